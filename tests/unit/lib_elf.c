/* SPDX-License-Identifier: MIT */
/* ELF files, their Xen notes, and bzImages, made here in memory of exactly their size. */
#include "unit.h"

#include <elf.h>

#include <xen/elfnote.h>
#include <xen/features.h>

#include "lib/bzimage.h"
#include "lib/macros.h"
#include "lib/xennote.h"

#define NOTES_OFF 0x400
#define LOAD_OFF 0x800
#define FILE_SIZE 0x1000

static uint8_t file[FILE_SIZE];
static uint8_t *exact;
static size_t notes_len;
static Elf64_Ehdr eh;
static Elf64_Phdr ph[3];
static struct elf_image image;
static struct xen_notes notes;

static void add_note(const char *name, uint32_t type, const void *desc, uint32_t len)
{
    Elf64_Nhdr n = { (uint32_t)strlen(name) + 1, len, type };
    uint8_t *p = file + NOTES_OFF + notes_len;

    memcpy(p, &n, sizeof(n));
    memcpy(p + sizeof(n), name, n.n_namesz);
    memcpy(p + sizeof(n) + ALIGN_UP(n.n_namesz, 4), desc, len);
    notes_len += sizeof(n) + ALIGN_UP(n.n_namesz, 4) + ALIGN_UP(len, 4);
}

static void add_number(uint32_t type, uint64_t v)
{
    add_note("Xen", type, &v, 8);
}

static void add_text(uint32_t type, const char *s)
{
    add_note("Xen", type, s, (uint32_t)strlen(s) + 1);
}

static void start(void)
{
    memset(file, 0, sizeof(file));
    memset(ph, 0, sizeof(ph));
    notes_len = 0;
    eh = (Elf64_Ehdr){ .e_ident = { 0x7f, 'E', 'L', 'F', 2, 1, 1 },
                       .e_type = ET_EXEC,
                       .e_machine = EM_X86_64,
                       .e_version = 1,
                       .e_entry = 0x100000,
                       .e_phoff = 64,
                       .e_phentsize = 56,
                       .e_phnum = 3 };
    ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
                          .p_flags = PF_R | PF_X,
                          .p_offset = LOAD_OFF,
                          .p_vaddr = 0xffffffff80100000,
                          .p_paddr = 0x100000,
                          .p_filesz = 0x700,
                          .p_memsz = 0x2000 };
    ph[1] = (Elf64_Phdr){ .p_type = PT_LOAD,
                          .p_offset = 0xf00,
                          .p_paddr = 0x200000,
                          .p_filesz = 0x100,
                          .p_memsz = 0x100 };
    ph[2] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = NOTES_OFF, .p_align = 4 };
}

/* Opens the file cut to `size` bytes, in memory of that size. */
static const char *open_cut(size_t size)
{
    memcpy(file, &eh, sizeof(eh));
    if (ph[2].p_filesz == 0)
        ph[2].p_filesz = notes_len;
    memcpy(file + 64, ph, sizeof(ph));
    free(exact);
    exact = malloc(size ? size : 1);
    memcpy(exact, file, size);
    return elf_open(&image, exact, size);
}

static const char *open_image(void)
{
    return open_cut(FILE_SIZE);
}

static const char *parse_notes(void)
{
    const char *why = open_image();

    return why ? why : xennote_parse(&image, &notes);
}

TEST(elf_opens)
{
    struct elf_segment seg;
    unsigned index = 0;
    uint64_t low, high;

    start();
    CHECK_NULL(open_image());
    CHECK(image.entry == 0x100000 && image.machine == ELF_EM_X86_64);
    elf_extent(&image, &low, &high);
    CHECK(low == 0x100000 && high == 0x200100);
    CHECK(elf_next_segment(&image, &index, ELF_PT_LOAD, &seg) && seg.data == exact + LOAD_OFF);
    CHECK(elf_next_segment(&image, &index, ELF_PT_LOAD, &seg) && seg.filesz == 0x100);
    CHECK(!elf_next_segment(&image, &index, ELF_PT_LOAD, &seg));
    CHECK(elf_identify("\177ELF\001\001\001\0\0\0\0\0\0\0\0\0", 16) == ELF_32);
    CHECK(elf_identify("\177ELF", 4) == ELF_NONE);
}

/* One PT_LOAD and one PT_NOTE, as hvmloader and 32-bit PVH kernels are. */
static size_t make_32(Elf32_Ehdr *h, Elf32_Phdr *p)
{
    *h = (Elf32_Ehdr){ .e_ident = { 0x7f, 'E', 'L', 'F', 1, 1, 1 },
                       .e_type = ET_EXEC,
                       .e_machine = EM_386,
                       .e_version = 1,
                       .e_entry = 0x100020,
                       .e_phoff = sizeof(*h),
                       .e_phentsize = sizeof(*p),
                       .e_phnum = 2 };
    p[0] = (Elf32_Phdr){ .p_type = PT_LOAD,
                         .p_offset = LOAD_OFF,
                         .p_vaddr = 0xc0100000,
                         .p_paddr = 0x100000,
                         .p_filesz = 0x700,
                         .p_memsz = 0x2000,
                         .p_flags = PF_R | PF_X,
                         .p_align = 32 };
    p[1] = (Elf32_Phdr){
        .p_type = PT_NOTE, .p_offset = NOTES_OFF, .p_filesz = notes_len, .p_align = 4
    };
    return LOAD_OFF + 0x700;
}

static const char *open_32(const Elf32_Ehdr *h, const Elf32_Phdr *p, size_t size)
{
    memcpy(file, h, sizeof(*h));
    memcpy(file + sizeof(*h), p, 2 * sizeof(*p));
    free(exact);
    exact = malloc(size ? size : 1);
    memcpy(exact, file, size);
    return elf_open_any(&image, exact, size);
}

TEST(elf_of_32_bits)
{
    struct elf_segment seg;
    unsigned index = 0;
    uint32_t entry = 0x100040;
    Elf32_Ehdr h;
    Elf32_Phdr p[2];
    size_t size;

    start();
    add_note("Xen", XEN_ELFNOTE_PHYS32_ENTRY, &entry, 4);
    size = make_32(&h, p);
    CHECK_NULL(open_32(&h, p, size));
    CHECK(image.kind == ELF_32 && image.machine == ELF_EM_386 && image.entry == 0x100020);
    CHECK(elf_next_segment(&image, &index, ELF_PT_LOAD, &seg) && seg.data == exact + LOAD_OFF);
    CHECK(seg.paddr == 0x100000 && seg.vaddr == 0xc0100000 && seg.filesz == 0x700 &&
          seg.memsz == 0x2000 && seg.flags == (ELF_PF_R | ELF_PF_X));
    CHECK_NULL(xennote_parse(&image, &notes));
    CHECK_EQ(notes.phys32_entry, 0x100040);
    for (size_t cut = 0; cut < size; cut++)
        CHECK(open_32(&h, p, cut) != NULL);
    p[0].p_paddr = 0xfffff000; /* above 4 GiB ends no 64-bit address */
    CHECK_NULL(open_32(&h, p, size));
    p[0].p_memsz = 0x6ff;
    CHECK_WHY(open_32(&h, p, size), "larger in the file");
    h.e_phentsize = sizeof(Elf64_Phdr);
    CHECK_WHY(open_32(&h, p, size), "wrong size");
}

TEST(elf_every_truncation_is_refused)
{
    for (size_t size = 0; size < FILE_SIZE; size++) {
        start();
        CHECK(open_cut(size) != NULL);
    }
}

#define REFUSED(change, part)          \
    do {                               \
        start();                       \
        change;                        \
        CHECK_WHY(open_image(), part); \
    } while (0)

TEST(elf_refusals)
{
    REFUSED(eh.e_ident[0] = 0, "not an ELF");
    REFUSED(eh.e_ident[4] = 1, "32-bit");
    REFUSED(eh.e_ident[5] = 2, "little-endian");
    REFUSED(eh.e_version = 2, "version");
    REFUSED(eh.e_type = ET_REL, "executable");
    REFUSED(eh.e_phnum = 0, "no program headers");
    REFUSED(eh.e_phnum = 0xffff, "too many");
    REFUSED(eh.e_phentsize = 32, "wrong size");
    REFUSED(eh.e_phoff = UINT64_MAX, "outside");
    REFUSED(eh.e_phoff = FILE_SIZE - 167, "outside");
    REFUSED(ph[0].p_filesz = 0x3000, "outside");
    REFUSED(ph[0].p_offset = UINT64_MAX - 0x6ff, "outside");
    REFUSED(ph[1].p_memsz = 0x80, "larger in the file");
    REFUSED(ph[0].p_memsz = UINT64_MAX, "wraps");
    REFUSED(ph[0].p_paddr = UINT64_MAX - 0x1000, "wraps");
    REFUSED(ph[2].p_filesz = FILE_SIZE, "outside");
    REFUSED(ph[0].p_type = ph[1].p_type = 0, "nothing to load");
    REFUSED(ph[0].p_paddr = ph[0].p_vaddr = UINT64_MAX - 0x1000, "wraps");
}

/* What stands in fields that nobody reads refuses no kernel. */
TEST(elf_unused_fields)
{
    start();
    ph[0].p_vaddr = UINT64_MAX - 0x1000;
    ph[1].p_offset = UINT64_MAX;
    ph[1].p_filesz = ph[1].p_memsz = 0;
    CHECK_NULL(open_image());
    eh.e_shoff = UINT64_MAX;
    eh.e_shnum = 0xffff;
    eh.e_shentsize = 1;
    eh.e_flags = 0xffffffff;
    CHECK_NULL(open_image());
}

TEST(xennotes_debian)
{
    uint64_t l1[2] = { 1, 3 };

    start();
    add_text(XEN_ELFNOTE_GUEST_OS, "linux");
    add_text(XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
    add_text(XEN_ELFNOTE_LOADER, "generic");
    add_number(XEN_ELFNOTE_VIRT_BASE, 0xffffffff80000000);
    add_number(XEN_ELFNOTE_INIT_P2M, 0x8000000000);
    add_number(XEN_ELFNOTE_ENTRY, 0xffffffff80100010);
    add_text(XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb|future");
    add_note("Xen", XEN_ELFNOTE_SUPPORTED_FEATURES, "\001\210\0\0", 4);
    add_note("Xen", XEN_ELFNOTE_L1_MFN_VALID, l1, 16);
    add_note("Xen", XEN_ELFNOTE_MOD_START_PFN, "\001\0\0\0", 4);
    add_text(XEN_ELFNOTE_PAE_MODE, "yes");
    add_note("GNU", 3, "abcdefgh", 8);
    add_note("Xen", 0x1000001, "x", 1);
    add_number(XEN_ELFNOTE_ENTRY, 7); /* the first one counts */
    CHECK_NULL(parse_notes());
    CHECK_EQ(notes.entry, 0xffffffff80100010);
    CHECK_EQ(notes.virt_base, 0xffffffff80000000);
    CHECK(xennote_has(&notes, XEN_ELFNOTE_INIT_P2M) && notes.init_p2m == 0x8000000000);
    CHECK_EQ(notes.features_required, BIT(XENFEAT_writable_page_tables));
    CHECK_EQ(notes.features_supported, 0x8811);
    CHECK(notes.l1_valid_mask == 1 && notes.l1_valid_value == 3);
    CHECK(notes.mod_start_pfn && notes.pae && !notes.unknown_required);
    CHECK(!xennote_has(&notes, XEN_ELFNOTE_HYPERCALL_PAGE));
    CHECK_STR(notes.guest_os, "linux");
    CHECK_NULL(xennote_check_pv(&notes, &image, 0xffff800000000000, 1, true));
    /* Plain writes to tables work, though the features do not say that tables need no protection.
     */
    CHECK_NULL(xennote_check_pv(&notes, &image, 0xffff800000000000, 0, true));
}

TEST(xennotes_from_sections)
{
    Elf64_Shdr sh = { .sh_type = SHT_NOTE, .sh_offset = NOTES_OFF, .sh_addralign = 4 };

    start();
    add_number(XEN_ELFNOTE_VIRT_BASE, 0x1000);
    ph[2].p_type = 0;
    sh.sh_size = notes_len;
    eh.e_shoff = 0x300;
    eh.e_shentsize = 64;
    eh.e_shnum = 2;
    memcpy(file + 0x340, &sh, sizeof(sh));
    CHECK_NULL(parse_notes());
    CHECK_EQ(notes.virt_base, 0x1000);
    CHECK_EQ(notes.entry, 0x100000);
    eh.e_shoff = FILE_SIZE - 127; /* a damaged table of sections is none */
    CHECK_WHY(parse_notes(), "no Xen notes");
}

TEST(xennotes_damage)
{
    uint32_t huge = 0xfffffff0;

    start();
    CHECK_WHY(parse_notes(), "no Xen notes");
    start();
    add_note("Xen", XEN_ELFNOTE_ENTRY, "abc", 3);
    CHECK_WHY(parse_notes(), "length other than");
    for (int field = 0; field < 2; field++) { /* sizes that do not fit end the walk */
        start();
        add_number(XEN_ELFNOTE_VIRT_BASE, 1);
        add_number(XEN_ELFNOTE_ENTRY, 2);
        memcpy(file + NOTES_OFF + notes_len / 2 + 4 * field, &huge, 4);
        CHECK_NULL(parse_notes());
        CHECK(notes.virt_base == 1 && notes.entry == 0x100000);
    }
    start();
    add_text(XEN_ELFNOTE_FEATURES, "!!|!|||!dom0");
    add_text(XEN_ELFNOTE_GUEST_OS, "a name that is longer than what is kept of it");
    CHECK_NULL(parse_notes());
    CHECK(notes.unknown_required && notes.features_required == BIT(XENFEAT_dom0));
    CHECK_EQ(strlen(notes.guest_os), XENNOTE_TEXT_MAX - 1);
}

/* Linux 6.12 has note 19, PHYS32_RELOC, of 12 bytes; and the next kernel may have the next one. */
TEST(xennotes_unknown_ones_are_ignored)
{
    static const char bytes[40] = "whatever newer hypervisors want to know";

    start();
    for (uint32_t type = XEN_ELFNOTE_PHYS32_ENTRY + 1; type < 45; type++)
        add_note("Xen", type, bytes, type % sizeof(bytes));
    add_note("Xen", 19, bytes, 12);
    add_note("Xen", UINT32_MAX, bytes, 3);
    add_number(XEN_ELFNOTE_VIRT_BASE, 0x1000);
    CHECK_NULL(parse_notes());
    CHECK_EQ(notes.virt_base, 0x1000);
    CHECK_EQ(notes.present, BIT(XEN_ELFNOTE_VIRT_BASE));
}

TEST(xennotes_unneeded_ones_may_be_odd)
{
    static const uint32_t unneeded[] = { XEN_ELFNOTE_PHYS32_ENTRY, XEN_ELFNOTE_SUSPEND_CANCEL,
                                         XEN_ELFNOTE_L1_MFN_VALID, XEN_ELFNOTE_PAE_MODE,
                                         XEN_ELFNOTE_BSD_SYMTAB,   XEN_ELFNOTE_INFO };

    for (size_t i = 0; i < sizeof(unneeded) / sizeof(unneeded[0]); i++) {
        for (uint32_t len = 0; len < 24; len++) {
            start();
            add_note("Xen", unneeded[i], "abcdefghijklmnopqrstuvwxyz", len);
            add_number(XEN_ELFNOTE_VIRT_BASE, 0x1000);
            CHECK_NULL(parse_notes());
            CHECK(xennote_has(&notes, XEN_ELFNOTE_VIRT_BASE));
        }
    }
}

static const char *check_dom0(void)
{
    const char *why = parse_notes();

    return why ? why : xennote_check_pv(&notes, &image, 0xffff800000000000, 1, true);
}

TEST(xennotes_unfit_kernels)
{
    start();
    add_number(XEN_ELFNOTE_PHYS32_ENTRY, 0x100000);
    CHECK_WHY(check_dom0(), "PVH only");
    start();
    add_text(XEN_ELFNOTE_LOADER, "special");
    CHECK_WHY(check_dom0(), "loader");
    start();
    add_text(XEN_ELFNOTE_XEN_VERSION, "xen-2.0");
    CHECK_WHY(check_dom0(), "xen-3.0");
    start();
    add_text(XEN_ELFNOTE_FEATURES, "!teleport");
    CHECK_WHY(check_dom0(), "unknown here");
    start();
    add_number(XEN_ELFNOTE_SUPPORTED_FEATURES, 1);
    CHECK_WHY(check_dom0(), "Domain 0");
    start();
    add_number(XEN_ELFNOTE_HV_START_LOW, 0xffff810000000000);
    CHECK_WHY(check_dom0(), "belong to the hypervisor");
    start();
    eh.e_machine = EM_AARCH64;
    add_number(XEN_ELFNOTE_VIRT_BASE, 0);
    CHECK_WHY(check_dom0(), "x86-64");
}

/* A bzImage: two setup sectors, then code of 0x100 bytes, then the payload. */
#define CODE 0x600
#define PAYLOAD (CODE + 0x100)
#define PAYLOAD_LEN 64

static struct bz_payload payload;

static void start_bzimage(const char *magic, size_t magic_len)
{
    uint32_t v[2] = { 0x100, PAYLOAD_LEN };
    uint32_t size = 12345;

    memset(file, 0, sizeof(file));
    file[0x1f1] = 2;
    memcpy(file + 0x1fe, "\x55\xaa", 2);
    memcpy(file + 0x202, "HdrS\x0f\x02", 6);
    file[0x211] = 1;
    memcpy(file + 0x248, v, 8);
    memcpy(file + PAYLOAD, magic, magic_len);
    memcpy(file + PAYLOAD + PAYLOAD_LEN - 4, &size, 4);
}

static const char *parse_bzimage(size_t size)
{
    free(exact);
    exact = malloc(size ? size : 1);
    memcpy(exact, file, size);
    return bzimage_parse(exact, size, &payload);
}

TEST(bzimage_formats)
{
    static const struct {
        const char *magic;
        size_t len;
        enum bz_format format;
        const char *name;
    } kinds[] = {
        { "\x1f\x8b\x08", 3, BZ_GZIP, "gzip" },
        { "\xfd"
          "7zXZ\0",
          6, BZ_XZ, "xz" },
        { "\x28\xb5\x2f\xfd", 4, BZ_ZSTD, "zstd" },
        { "\x02\x21\x4c\x18", 4, BZ_LZ4, "lz4" },
        { "\177ELF", 4, BZ_ELF, "uncompressed ELF" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        enum bz_format f = kinds[i].format;

        start_bzimage(kinds[i].magic, kinds[i].len);
        CHECK_NULL(parse_bzimage(PAYLOAD + PAYLOAD_LEN));
        CHECK_EQ(payload.format, f);
        CHECK(payload.data == exact + PAYLOAD && payload.protocol == 0x20f);
        CHECK_EQ(payload.len, PAYLOAD_LEN - (f == BZ_GZIP || f == BZ_ELF ? 0 : 4));
        CHECK_EQ(payload.unpacked_size, f == BZ_ELF ? PAYLOAD_LEN : 12345);
        CHECK_STR(bz_format_name(f), kinds[i].name);
    }
}

TEST(bzimage_refusals)
{
    start_bzimage("\x1f\x8b\x08", 3);
    for (size_t size = 0; size < PAYLOAD + PAYLOAD_LEN; size++)
        CHECK(parse_bzimage(size) != NULL);
    CHECK_WHY(parse_bzimage(100), "neither");
    CHECK_WHY(parse_bzimage(PAYLOAD + PAYLOAD_LEN - 1), "truncated");
    file[0x1f1] = 0; /* means 4 sectors */
    CHECK_WHY(parse_bzimage(FILE_SIZE), "unknown format");
    start_bzimage("\x1f\x8b\x08", 3);
    file[0x206] = 7;
    CHECK_WHY(parse_bzimage(FILE_SIZE), "2.08");
    start_bzimage("\x1f\x8b\x08", 3);
    file[0x211] = 0;
    CHECK_WHY(parse_bzimage(FILE_SIZE), "zImage");
    start_bzimage("BZh", 3);
    CHECK_WHY(parse_bzimage(FILE_SIZE), "supported");
    start_bzimage("\x1f\x8b\x08", 3);
    memset(file + 0x248, 0xff, 8);
    CHECK_WHY(parse_bzimage(FILE_SIZE), "truncated");
    start_bzimage("\x1f\x8b\x08", 3);
    memset(file + 0x24c, 0, 4);
    CHECK_WHY(parse_bzimage(FILE_SIZE), "no payload");
    start_bzimage("\x1f\x8b\x08", 3);
    memset(file + PAYLOAD + PAYLOAD_LEN - 4, 0xff, 4);
    CHECK_WHY(parse_bzimage(FILE_SIZE), "1 GiB");
    memset(file + PAYLOAD + PAYLOAD_LEN - 4, 0, 4);
    CHECK_WHY(parse_bzimage(FILE_SIZE), "nothing");
}

TEST(bzimage_plain_elf)
{
    start();
    open_image();
    CHECK_NULL(parse_bzimage(FILE_SIZE));
    CHECK(payload.format == BZ_ELF && payload.len == FILE_SIZE && payload.data == exact);
}

TEST(gzip_file)
{
    memset(file, 0, sizeof(file));
    memcpy(file, "\x1f\x8b\x08", 3);
    memcpy(file + 96, "\x39\x30\0\0", 4);
    CHECK_NULL(parse_bzimage(100));
    CHECK(payload.format == BZ_GZIP && payload.data == exact && payload.len == 100);
    CHECK_EQ(payload.unpacked_size, 12345);
    CHECK_WHY(parse_bzimage(17), "ends within its header");
    CHECK_WHY(parse_bzimage(96), "nothing");
}

/* --- sections --- */

#define SECTIONS_OFF 0x200
#define NAMES_OFF 0x380
#define LEGACY_OFF 0x900
#define SYMBOLS_OFF 0xa00
#define STRINGS_OFF 0xb00

static Elf64_Shdr sections[5];

/* None, names, __xen_guest, symbols, their strings. */
static void start_sections(const char *legacy)
{
    static const char names[] = "\0.names\0__xen_guest";

    start();
    ph[2].p_type = 0;
    eh.e_shoff = SECTIONS_OFF;
    eh.e_shentsize = 64;
    eh.e_shnum = 5;
    eh.e_shstrndx = 1;
    memset(sections, 0, sizeof(sections));
    memcpy(file + NAMES_OFF, names, sizeof(names));
    sections[1] = (Elf64_Shdr){
        .sh_name = 1, .sh_type = SHT_STRTAB, .sh_offset = NAMES_OFF, .sh_size = sizeof(names)
    };
    strcpy((char *)file + LEGACY_OFF, legacy);
    sections[2] = (Elf64_Shdr){ .sh_name = 8,
                                .sh_type = SHT_PROGBITS,
                                .sh_offset = LEGACY_OFF,
                                .sh_size = strlen(legacy) + 1 };
    sections[3] = (Elf64_Shdr){ .sh_type = SHT_SYMTAB,
                                .sh_offset = SYMBOLS_OFF,
                                .sh_size = 72,
                                .sh_entsize = 24,
                                .sh_link = 4 };
    memset(file + SYMBOLS_OFF, 0x11, 72);
    sections[4] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_offset = STRINGS_OFF, .sh_size = 13 };
    memset(file + STRINGS_OFF, 0x22, 13);
}

static const char *parse_sections(void)
{
    memcpy(file + SECTIONS_OFF, sections, sizeof(sections));
    return parse_notes();
}

TEST(xen_guest_section)
{
    /* As NetBSD's kernels had it. */
    start_sections("GUEST_OS=NetBSD,GUEST_VER=4.99 ,XEN_VER=xen-3.0,LOADER=generic,"
                   "VIRT_BASE=0xffffffff80000000,ELF_PADDR_OFFSET=0xffffffff80000000,"
                   "VIRT_ENTRY=0xffffffff80100000,HYPERCALL_PAGE=0x00000101,"
                   "FEATURES=!writable_page_tables|dom0,PAE=yes[extended-cr3],BSD_SYMTAB=yes");
    CHECK_NULL(parse_sections());
    CHECK_STR(notes.guest_os, "NetBSD");
    CHECK_STR(notes.guest_version, "4.99");
    CHECK_STR(notes.xen_version, "xen-3.0");
    CHECK_STR(notes.loader, "generic");
    CHECK_EQ(notes.virt_base, 0xffffffff80000000);
    CHECK_EQ(notes.paddr_offset, 0xffffffff80000000);
    CHECK_EQ(notes.entry, 0xffffffff80100000);
    CHECK(xennote_has(&notes, XEN_ELFNOTE_HYPERCALL_PAGE));
    CHECK_EQ(notes.hypercall_page, 0xffffffff80101000); /* told by its frame */
    CHECK_EQ(notes.features_required, BIT(XENFEAT_writable_page_tables));
    CHECK(notes.pae && notes.bsd_symtab);
    CHECK_NULL(xennote_check_pv(&notes, &image, 0xffff800000000000, 0, true));

    start_sections("GUEST_OS=x,VIRT_BASE=0x1000"); /* p_paddr counts from there */
    CHECK_NULL(parse_sections());
    CHECK(notes.paddr_offset == 0x1000 && notes.entry == 0x100000 && !notes.bsd_symtab);
    start_sections("GUEST_OS=x,VIRT_BASE=0x1000,ELF_PADDR_OFFSET=0");
    CHECK_NULL(parse_sections());
    CHECK_EQ(notes.paddr_offset, 0);
    start_sections(" ,,=,BSD_SYMTAB ,A_KEY_THAT_IS_LONGER_THAN_ANY=1,VIRT_BASE=010\n");
    CHECK_NULL(parse_sections());
    CHECK(notes.bsd_symtab && notes.virt_base == 8);
    start_sections("VIRT_BASE=all of it");
    CHECK_WHY(parse_sections(), "is none");
    start_sections("VIRT_BASE=");
    CHECK_WHY(parse_sections(), "is none");
    start_sections("VIRT_BASE=0x1000"); /* notes go before */
    ph[2].p_type = PT_NOTE;
    add_number(XEN_ELFNOTE_VIRT_BASE, 0x2000);
    CHECK_NULL(parse_sections());
    CHECK_EQ(notes.virt_base, 0x2000);
    CHECK_EQ(notes.paddr_offset, 0);
}

/* A section that is not all there is not there. */
TEST(xen_guest_damage)
{
    start_sections("GUEST_OS=x");
    eh.e_shstrndx = 5;
    CHECK_WHY(parse_sections(), "no Xen notes");
    start_sections("GUEST_OS=x");
    sections[1].sh_size = FILE_SIZE;
    CHECK_WHY(parse_sections(), "no Xen notes");
    start_sections("GUEST_OS=x");
    sections[1].sh_size = 12;
    CHECK_WHY(parse_sections(), "no Xen notes");
    start_sections("GUEST_OS=x");
    sections[2].sh_size = UINT64_MAX - LEGACY_OFF;
    CHECK_WHY(parse_sections(), "no Xen notes");
    start_sections("GUEST_OS=x");
    sections[2].sh_name = 1000;
    CHECK_WHY(parse_sections(), "no Xen notes");
    start_sections("GUEST_OS=x");
    sections[2].sh_size = 9; /* no terminator */
    CHECK_NULL(parse_sections());
    CHECK_STR(notes.guest_os, "");
}

TEST(bsd_symbols)
{
    uint8_t *out;
    uint32_t count;
    Elf64_Ehdr h;
    Elf64_Shdr s[3];

    start_sections("GUEST_OS=x");
    CHECK_NULL(parse_sections());
    CHECK_EQ(elf_bsd_symtab(&image, NULL), 4u + 256 + 72 + 16);
    out = malloc(4 + 256 + 72 + 16);
    CHECK_EQ(elf_bsd_symtab(&image, out), 4u + 256 + 72 + 16);
    memcpy(&count, out, 4);
    CHECK_EQ(count, 256u + 72 + 16);
    memcpy(&h, out + 4, sizeof(h));
    CHECK(memcmp(h.e_ident, ELFMAG, 4) == 0 && h.e_machine == EM_X86_64 && h.e_version == 1);
    CHECK(h.e_phnum == 0 && h.e_shnum == 3 && h.e_shentsize == 64);
    memcpy(s, out + 4 + h.e_shoff, sizeof(s));
    CHECK(s[0].sh_type == SHT_NULL && s[1].sh_type == SHT_SYMTAB && s[2].sh_type == SHT_STRTAB);
    CHECK(s[1].sh_link == 2 && s[1].sh_size == 72 && s[2].sh_size == 13);
    CHECK(memcmp(out + 4 + s[1].sh_offset, file + SYMBOLS_OFF, 72) == 0);
    CHECK(memcmp(out + 4 + s[2].sh_offset, file + STRINGS_OFF, 13) == 0);
    free(out);

    sections[3].sh_link = 5;
    parse_sections();
    CHECK_EQ(elf_bsd_symtab(&image, NULL), 0);
    sections[3].sh_link = 3; /* no strings */
    parse_sections();
    CHECK_EQ(elf_bsd_symtab(&image, NULL), 0);
    sections[3].sh_link = 4;
    sections[3].sh_size = FILE_SIZE;
    parse_sections();
    CHECK_EQ(elf_bsd_symtab(&image, NULL), 0);
    sections[3].sh_size = 72;
    sections[4].sh_offset = FILE_SIZE - 12;
    parse_sections();
    CHECK_EQ(elf_bsd_symtab(&image, NULL), 0);
}
