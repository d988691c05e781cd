/* SPDX-License-Identifier: MIT */
#include "lib/elf.h"

#include "lib/macros.h"
#include "lib/string.h"

struct ehdr {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
static_assert_size(struct ehdr, 64);

struct phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
static_assert_size(struct phdr, 56);

struct ehdr32 {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version, entry, phoff, shoff, flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
static_assert_size(struct ehdr32, 52);

struct phdr32 {
    uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};
static_assert_size(struct phdr32, 32);

struct shdr {
    uint32_t name, type;
    uint64_t flags, addr, offset, size;
    uint32_t link, info;
    uint64_t addralign, entsize;
};
static_assert_size(struct shdr, 64);

struct nhdr {
    uint32_t namesz, descsz, type;
};

/* True if `len` bytes at `off` lie inside `size`. */
static bool inside(uint64_t off, uint64_t len, uint64_t size)
{
    return off <= size && len <= size - off;
}

/*
 * The image has no alignment, so its headers are copied. The caller knows that the index is in
 * range.
 */
static void get_phdr(const struct elf_image *e, unsigned index, struct phdr *ph)
{
    struct phdr32 p;

    if (e->kind == ELF_32) {
        memcpy(&p, e->data + e->phoff + index * sizeof(p), sizeof(p));
        *ph = (struct phdr){
            p.type, p.flags, p.offset, p.vaddr, p.paddr, p.filesz, p.memsz, p.align
        };
        return;
    }
    memcpy(ph, e->data + e->phoff + index * sizeof(*ph), sizeof(*ph));
}

static void get_shdr(const struct elf_image *e, unsigned index, struct shdr *sh)
{
    memcpy(sh, e->data + e->shoff + index * sizeof(*sh), sizeof(*sh));
}

enum elf_kind elf_identify(const void *data, size_t size)
{
    const uint8_t *ident = data;

    if (size < 16 || memcmp(ident, "\177ELF", 4) != 0)
        return ELF_NONE;
    return ident[4] == 1 ? ELF_32 : ident[4] == 2 ? ELF_64 : ELF_NONE;
}

/* The header in the form of 64 bits; false: the image ends within it. A 32-bit one has no sections
 * here. */
static bool get_header(const uint8_t *data, size_t size, enum elf_kind kind, struct ehdr *h)
{
    struct ehdr32 s;

    if (size < (kind == ELF_32 ? sizeof(s) : sizeof(*h)))
        return false;
    if (kind == ELF_64) {
        memcpy(h, data, sizeof(*h));
        return true;
    }
    memcpy(&s, data, sizeof(s));
    *h = (struct ehdr){ .type = s.type,
                        .machine = s.machine,
                        .version = s.version,
                        .entry = s.entry,
                        .phoff = s.phoff,
                        .phentsize = s.phentsize,
                        .phnum = s.phnum };
    memcpy(h->ident, s.ident, sizeof(h->ident));
    return true;
}

static const char *check_header(const struct ehdr *h, enum elf_kind kind, size_t size)
{
    size_t entry = kind == ELF_32 ? sizeof(struct phdr32) : sizeof(struct phdr);

    if (h->ident[5] != 1)
        return "the ELF file is not little-endian";
    if (h->ident[6] != 1 || h->version != 1)
        return "the ELF file has an unknown version";
    if (h->type != 2 && h->type != 3)
        return "the ELF file is not an executable";
    if (h->phnum == 0)
        return "the ELF file has no program headers";
    if (h->phnum > ELF_MAX_SEGMENTS)
        return "the ELF file has too many program headers";
    if (h->phentsize != entry)
        return "the ELF file's program headers have a wrong size";
    if (!inside(h->phoff, (uint64_t)h->phnum * entry, size))
        return "the ELF file's program headers lie outside of the file (truncated?)";
    return NULL;
}

static const char *check_load(const struct phdr *ph)
{
    if (ph->filesz > ph->memsz)
        return "an ELF segment is larger in the file than in memory";
    if (ph->paddr + ph->memsz < ph->paddr) /* virtual addresses are not used */
        return "an ELF segment wraps around the end of memory";
    return NULL;
}

static const char *check_segments(const struct elf_image *e)
{
    bool loads = false;

    for (unsigned i = 0; i < e->phnum; i++) {
        const char *why;
        struct phdr ph;

        get_phdr(e, i, &ph);
        if ((ph.type != ELF_PT_LOAD && ph.type != ELF_PT_NOTE) || !(ph.filesz | ph.memsz))
            continue; /* of an empty segment nothing is used */
        if (!inside(ph.offset, ph.filesz, e->size))
            return "an ELF segment lies outside of the file (truncated?)";
        why = ph.type == ELF_PT_LOAD ? check_load(&ph) : NULL;
        if (why)
            return why;
        loads |= ph.type == ELF_PT_LOAD && ph.memsz;
    }
    return loads ? NULL : "the ELF file has nothing to load";
}

const char *elf_open_any(struct elf_image *e, const void *data, size_t size)
{
    enum elf_kind kind = elf_identify(data, size);
    struct ehdr h;
    const char *why;

    memset(e, 0, sizeof(*e));
    if (kind == ELF_NONE)
        return "not an ELF file";
    if (!get_header(data, size, kind, &h))
        return "the ELF file ends within its header";
    why = check_header(&h, kind, size);
    if (why)
        return why;
    e->data = data;
    e->size = size;
    e->kind = kind;
    e->machine = h.machine;
    e->entry = h.entry;
    e->phoff = h.phoff;
    e->phnum = h.phnum;
    if (h.shentsize == sizeof(struct shdr) &&
        inside(h.shoff, (uint64_t)h.shnum * sizeof(struct shdr), size)) {
        e->shoff = h.shoff;
        e->shnum = h.shnum;
        e->shstrndx = h.shstrndx;
    }
    return check_segments(e);
}

const char *elf_open(struct elf_image *e, const void *data, size_t size)
{
    if (elf_identify(data, size) == ELF_32) {
        memset(e, 0, sizeof(*e));
        return "a 32-bit ELF file";
    }
    return elf_open_any(e, data, size);
}

bool elf_next_segment(const struct elf_image *e, unsigned *index, uint32_t type,
                      struct elf_segment *seg)
{
    while (*index < e->phnum) {
        struct phdr ph;

        get_phdr(e, (*index)++, &ph);
        if (ph.type != type || !inside(ph.offset, ph.filesz, e->size))
            continue;
        seg->type = ph.type;
        seg->flags = ph.flags;
        seg->vaddr = ph.vaddr;
        seg->paddr = ph.paddr;
        seg->filesz = ph.filesz;
        seg->memsz = ph.memsz;
        seg->align = ph.align;
        seg->data = e->data + ph.offset;
        return true;
    }
    return false;
}

void elf_extent(const struct elf_image *e, uint64_t *low, uint64_t *high)
{
    struct elf_segment seg;
    unsigned index = 0;

    *low = UINT64_MAX;
    *high = 0;
    while (elf_next_segment(e, &index, ELF_PT_LOAD, &seg)) {
        if (!seg.memsz)
            continue;
        *low = MIN(*low, seg.paddr);
        *high = MAX(*high, seg.paddr + seg.memsz);
    }
}

/* Sets the walk to the next segment's or section's notes; false when there are no more. */
static bool next_note_area(const struct elf_image *e, struct elf_note_iter *it)
{
    struct elf_segment seg;

    if (elf_next_segment(e, &it->segment, ELF_PT_NOTE, &seg)) {
        it->pos = seg.data;
        it->left = seg.filesz;
        it->align = seg.align == 8 ? 8 : 4;
        return true;
    }
    while (it->section < e->shnum) {
        struct shdr sh;

        get_shdr(e, it->section++, &sh);
        if (sh.type != ELF_SHT_NOTE || !inside(sh.offset, sh.size, e->size))
            continue;
        it->pos = e->data + sh.offset;
        it->left = sh.size;
        it->align = sh.addralign == 8 ? 8 : 4;
        return true;
    }
    return false;
}

/* Takes one note off the current area; false if none is left there or it is damaged. */
static bool take_note(struct elf_note_iter *it, struct elf_note *note)
{
    struct nhdr h;
    uint64_t desc_off, end;

    if (it->left < sizeof(h))
        return false;
    memcpy(&h, it->pos, sizeof(h));
    desc_off = ALIGN_UP(sizeof(h) + (uint64_t)h.namesz, it->align);
    end = ALIGN_UP(desc_off + h.descsz, it->align);
    if (!inside(desc_off, h.descsz, it->left))
        return false;
    note->name = (const char *)it->pos + sizeof(h);
    note->name_len = h.namesz;
    note->type = h.type;
    note->desc = it->pos + desc_off;
    note->desc_len = h.descsz;
    end = MIN(end, it->left); /* the last note's padding may be missing */
    it->pos += end;
    it->left -= end;
    return true;
}

bool elf_next_note(const struct elf_image *e, struct elf_note_iter *it, struct elf_note *note)
{
    do {
        if (take_note(it, note))
            return true;
    } while (next_note_area(e, it));
    return false;
}

bool elf_note_named(const struct elf_note *note, const char *name)
{
    size_t len = strlen(name);

    return (note->name_len == len || (note->name_len == len + 1 && note->name[len] == '\0')) &&
           memcmp(note->name, name, len) == 0;
}

bool elf_note_number(const struct elf_note *note, uint64_t *out)
{
    uint64_t v = 0;

    if (note->desc_len != 1 && note->desc_len != 2 && note->desc_len != 4 && note->desc_len != 8)
        return false;
    for (unsigned i = note->desc_len; i-- > 0;)
        v = v << 8 | note->desc[i];
    *out = v;
    return true;
}

/* --- sections --- */

/* Does the string at `off` of the section `strings` equal `name`? */
static bool is_named(const struct elf_image *e, const struct shdr *strings, uint32_t off,
                     const char *name)
{
    size_t len = strlen(name) + 1;

    return off <= strings->size && len <= strings->size - off &&
           memcmp(e->data + strings->offset + off, name, len) == 0;
}

bool elf_find_section(const struct elf_image *e, const char *name, const uint8_t **data,
                      size_t *len)
{
    struct shdr strings, sh;

    if (e->shstrndx >= e->shnum)
        return false;
    get_shdr(e, e->shstrndx, &strings);
    if (!inside(strings.offset, strings.size, e->size))
        return false;
    for (unsigned i = 0; i < e->shnum; i++) {
        get_shdr(e, i, &sh);
        if (!is_named(e, &strings, sh.name, name) || !inside(sh.offset, sh.size, e->size))
            continue;
        *data = e->data + sh.offset;
        *len = sh.size;
        return true;
    }
    return false;
}

/* The first table of symbols whose strings are there too. */
static bool find_symbols(const struct elf_image *e, struct shdr *symbols, struct shdr *strings)
{
    for (unsigned i = 0; i < e->shnum; i++) {
        get_shdr(e, i, symbols);
        if (symbols->type != ELF_SHT_SYMTAB || symbols->link >= e->shnum ||
            !inside(symbols->offset, symbols->size, e->size))
            continue;
        get_shdr(e, symbols->link, strings);
        if (strings->type == ELF_SHT_STRTAB && inside(strings->offset, strings->size, e->size))
            return true;
    }
    return false;
}

size_t elf_bsd_symtab(const struct elf_image *e, uint8_t *out)
{
    struct {
        struct ehdr h;
        struct shdr none, symbols, strings;
    } head;
    struct shdr symbols, strings;
    uint64_t strings_at, size;
    uint32_t count;

    if (!find_symbols(e, &symbols, &strings))
        return 0;
    strings_at = sizeof(head) + ALIGN_UP(symbols.size, 8);
    size = strings_at + ALIGN_UP(strings.size, 8); /* of parts of the image: no overflow */
    if (size > UINT32_MAX)
        return 0;
    if (!out)
        return sizeof(count) + size;
    count = (uint32_t)size;
    memset(&head, 0, sizeof(head));
    memcpy(&head.h, e->data, sizeof(head.h));
    head.h.phoff = head.h.phnum = 0;
    head.h.shoff = offsetof(__typeof__(head), none);
    head.h.shentsize = sizeof(struct shdr);
    head.h.shnum = 3;
    head.h.shstrndx = 0;
    head.symbols = symbols;
    head.symbols.offset = sizeof(head);
    head.symbols.link = 2;
    head.strings = strings;
    head.strings.offset = strings_at;
    memset(out, 0, sizeof(count) + size);
    memcpy(out, &count, sizeof(count));
    out += sizeof(count);
    memcpy(out, &head, sizeof(head));
    memcpy(out + head.symbols.offset, e->data + symbols.offset, symbols.size);
    memcpy(out + head.strings.offset, e->data + strings.offset, strings.size);
    return sizeof(count) + size;
}
