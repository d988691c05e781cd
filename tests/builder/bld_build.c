/* SPDX-License-Identifier: MIT */
/*
 * Whole guests on the fake hypervisor. What the builder made is looked at as the guest would see
 * it: by walking the page tables from CR3.
 */
#define _GNU_SOURCE
#include "unit.h"

#include <dirent.h>
#include <unistd.h>

#include <xen/features.h>

#include "lib/macros.h"
#include "test_guest.h"

#define LINUX_BASE 0xffffffff80000000ul

/* Like Debian's kernel in small: holes, a bss, segments apart, p2m and initramfs elsewhere. */
static const struct test_kernel linux_like = {
    .seg = { { 0x1000000, 0x123456, 0x123456, 0x8000, 0x40000 },
             { 0x1200000, 0x3000, 0x200000, 0, 0 },
             { 0x1523000, 0x801, 0x1000, 0, 0 } },
    .nr_segs = 3,
    .virt_base = LINUX_BASE,
    .entry = LINUX_BASE + 0x1000040,
    .init_p2m = 0x8000000000ul,
    .mod_start_pfn = true,
    .guest_os = "linux",
    .features = "!writable_page_tables|pae_pgdir_above_4gb",
};

/* Like a micro-guest: everything in the start region, a hypercall page. */
static const struct test_kernel micro_like = {
    .seg = { { 0x100000, 0x8123, 0x9000, 0, 0 } },
    .nr_segs = 1,
    .virt_base = LINUX_BASE,
    .entry = LINUX_BASE + 0x100000,
    .hypercall_page = LINUX_BASE + 0x102000,
};

/* Like GRUB: address 0, segments that share a page. */
static const struct test_kernel grub_like = {
    .seg = { { 0, 0xeaef, 0x41e1f0, 0, 0 }, { 0x41e1f0, 0x15bd8, 0x15bd8, 0, 0 } },
    .nr_segs = 2,
    .guest_os = "GRUB",
};

static const struct test_kernel *spec; /* of the guest that is looked at */

static void prepare(struct guest *g, const struct test_kernel *kernel, uint64_t mib, size_t initrd)
{
    size_t len;
    uint8_t *elf = make_elf(kernel, &len);

    spec = kernel;
    guest_prepare(g, BUILDER_PV, elf, len, initrd, mib);
    free(elf);
    g->req.max_kib = mib << 11;
    CHECK(g->req.kernel != NULL);
}

/* --- the guest's eyes --- */

/* The leaf entry for an address, 0 if it is not mapped. */
static uint64_t walk(uint64_t va)
{
    uint64_t table = fake->vcpu.ctrlreg[3] >> 12;

    for (int shift = 39;; shift -= 9) {
        uint64_t e = ((uint64_t *)fake_frame(table))[va >> shift & 511];

        if (!(e & 1) || !(e & 4) || shift == 12)
            return e & 1 ? e : 0;
        if (!(e & 2))
            return 0; /* upper levels do not restrict */
        table = e >> 12 & 0xffffffffff;
    }
}

/* The page of an address; an empty one with a complaint if there is none. */
static const uint8_t *at(uint64_t va)
{
    static const uint8_t none[4096];
    uint64_t e = walk(va);

    CHECK(e != 0);
    return (e ? (const uint8_t *)fake_frame(e >> 12 & 0xffffffffff) : none) + va % 4096;
}

static uint64_t mismatches(const struct guest *g, const struct test_segment *s)
{
    uint64_t bad = 0, va = s->paddr - spec->paddr_offset + spec->virt_base;

    for (uint64_t i = 0; i < s->memsz; i += MIN(4096 - (va + i) % 4096, s->memsz - i)) {
        const uint8_t *p = at(va + i);
        for (uint64_t j = 0; j < MIN(4096 - (va + i) % 4096, s->memsz - i); j++)
            bad += p[j] != test_byte(s, i + j);
    }
    return bad;
}

static uint8_t is_table[FAKE_FRAMES];

/* Marks all page tables; level 4 is the L4. */
static void mark_tables(void)
{
    uint64_t list[4096];
    size_t nr = 1, done = 0;

    memset(is_table, 0, sizeof(is_table));
    list[0] = fake->pinned;
    is_table[fake->pinned] = 4;
    while (done < nr) {
        uint64_t table = list[done++];
        const uint64_t *e = fake_frame(table);

        for (int i = 0; i < 512 && is_table[table] > 1; i++) {
            uint64_t mfn = e[i] >> 12 & 0xffffffffff;

            if (!(e[i] & 1))
                continue;
            CHECK(mfn < FAKE_FRAMES && fake->pfn_of[mfn] != FAKE_FREE && !is_table[mfn]);
            is_table[mfn] = is_table[table] - 1;
            list[nr++] = mfn;
        }
    }
}

/* Each table is mapped by nobody writable: not by the guest, not by the builder. */
static void check_tables(void)
{
    uint64_t bad = 0;

    mark_tables();
    for (uint64_t mfn = 0; mfn < FAKE_FRAMES; mfn++) {
        const uint64_t *e = fake_frame(mfn);

        bad += is_table[mfn] && fake->writable[mfn];
        for (int i = 0; is_table[mfn] == 1 && i < 512; i++) {
            uint64_t to = e[i] >> 12 & 0xffffffffff;

            if (e[i] & 1)
                bad += to >= FAKE_FRAMES || fake->pfn_of[to] == FAKE_FREE || !(e[i] & 4) ||
                       !!is_table[to] == !!(e[i] & 2);
        }
    }
    CHECK_EQ(bad, 0);
}

static void check_region(const struct guest *g, const struct start_info *si)
{
    uint64_t pages = 0, base = spec->virt_base, wrong = 0;
    uint64_t rsp = fake->vcpu.user_regs.rsp;

    for (; walk(base + pages * 4096); pages++)
        wrong += fake->pfn_of[walk(base + pages * 4096) >> 12 & 0xffffffffff] != pages;
    CHECK_EQ(wrong, 0);
    CHECK_EQ((base + pages * 4096) % (4u << 20), 0);
    CHECK(base + pages * 4096 - rsp >= 512 << 10);
    CHECK(walk(rsp - 8) & 2);
    CHECK(pages <= si->nr_pages);
    CHECK_EQ(walk(si->pt_base) >> 12 & 0xffffffffff, fake->pinned);
    for (uint64_t i = 0; i < si->nr_pt_frames; i++)
        CHECK(is_table[walk(si->pt_base + i * 4096) >> 12 & 0xffffffffff]);
}

static void check_p2m(const struct start_info *si)
{
    uint64_t wrong = 0;

    for (uint64_t pfn = 0; pfn < si->nr_pages; pfn++) {
        uint64_t mfn = *(const uint64_t *)at(si->mfn_list + pfn * 8);

        wrong += mfn >= FAKE_FRAMES || fake->pfn_of[mfn] != pfn;
    }
    CHECK_EQ(wrong, 0);
}

/* Pages by pfn, where no address maps them. */
static const uint8_t *by_pfn(uint64_t pfn)
{
    for (uint64_t mfn = 0; mfn < FAKE_FRAMES; mfn++)
        if (fake->pfn_of[mfn] == pfn)
            return fake_frame(mfn);
    return NULL;
}

static void check_initrd(const struct guest *g, const struct start_info *si)
{
    uint64_t bad = 0;

    CHECK_EQ(si->mod_len, g->initrd_len);
    CHECK_EQ(!!(si->flags & SIF_MOD_START_PFN), g->initrd_len && spec->mod_start_pfn);
    for (size_t i = 0; i < g->initrd_len; i += 4096) {
        const uint8_t *p = si->flags & SIF_MOD_START_PFN ? by_pfn(si->mod_start + i / 4096)
                                                         : at(si->mod_start + i);
        bad += memcmp(p, g->initrd + i, MIN(4096, g->initrd_len - i)) != 0;
    }
    CHECK_EQ(bad, 0);
}

static void check_rings(const struct guest *g, const struct start_info *si)
{
    const grant_entry_v1_t *t = fake_frame(FAKE_GRANTS);
    const struct shared_info *s = fake_frame(FAKE_SHARED_INFO);

    CHECK_EQ(si->console.domU.mfn, g->res.console_mfn);
    CHECK_EQ(si->console.domU.evtchn, 3);
    CHECK_EQ(si->store_mfn, g->res.store_mfn);
    CHECK_EQ(si->store_evtchn, 4);
    CHECK(g->res.store_mfn != g->res.console_mfn);
    CHECK_EQ(t[GNTTAB_RESERVED_CONSOLE].frame, g->res.console_mfn);
    CHECK_EQ(t[GNTTAB_RESERVED_CONSOLE].flags, GTF_permit_access);
    CHECK_EQ(t[GNTTAB_RESERVED_CONSOLE].domid, 0);
    CHECK_EQ(t[GNTTAB_RESERVED_XENSTORE].frame, g->res.store_mfn);
    CHECK_EQ(t[GNTTAB_RESERVED_XENSTORE].domid, 9);
    CHECK_EQ(s->vcpu_info[0].evtchn_upcall_mask, 1);
    CHECK_EQ(s->vcpu_info[31].evtchn_upcall_mask, 1);
    for (int i = 0; i < 4096; i++)
        CHECK(!((uint8_t *)fake_frame(g->res.console_mfn))[i] &&
              !((uint8_t *)fake_frame(g->res.store_mfn))[i]);
}

static void check_vcpu(const struct guest *g)
{
    const struct vcpu_guest_context *c = &fake->vcpu;

    CHECK(fake->started);
    CHECK_EQ(c->user_regs.rip, spec->entry);
    CHECK_EQ(c->user_regs.cs, FLAT_KERNEL_CS);
    CHECK_EQ(c->user_regs.ss, FLAT_KERNEL_SS);
    CHECK_EQ(c->user_regs.rflags, 0x200);
    CHECK_EQ(c->flags, VGCF_in_kernel | VGCF_online);
    CHECK_EQ(c->ctrlreg[3], fake->pinned << 12);
    CHECK(c->gdt_ents == 0 && c->ldt_ents == 0 && c->ctrlreg[1] == 0);
}

static void check_guest(const struct guest *g)
{
    const struct start_info *si;
    struct {
        uint64_t addr, size;
        uint32_t type;
    } __attribute__((packed)) e820;

    CHECK_EQ(g->rc, 0);
    if (g->rc) {
        printf("%s\n", g->e.cause);
        return;
    }
    si = (const void *)at(fake->vcpu.user_regs.rsi);
    CHECK_STR(si->magic, "xen-3.0-x86_64");
    CHECK_EQ(si->nr_pages, fake->pages);
    CHECK_EQ(si->nr_pages, g->req.memory_kib / 4);
    CHECK_EQ(g->res.nr_pages, si->nr_pages);
    CHECK_EQ(si->shared_info, FAKE_SHARED_INFO << 12);
    CHECK_STR((const char *)si->cmd_line, g->req.cmdline ? g->req.cmdline : "");
    check_tables();
    check_region(g, si);
    for (unsigned int i = 0; i < spec->nr_segs; i++)
        CHECK_EQ(mismatches(g, &spec->seg[i]), 0);
    check_p2m(si);
    check_initrd(g, si);
    check_rings(g, si);
    check_vcpu(g);
    memcpy(&e820, fake->map, sizeof(e820));
    CHECK_EQ(e820.addr, 0);
    CHECK_EQ(fake->map_entries, 1);
    CHECK_EQ(e820.size, MAX(g->req.max_kib, g->req.memory_kib) << 10);
    CHECK_EQ(e820.type, 1);
    if (spec->hypercall_page)
        CHECK_EQ(fake->hypercall_page, walk(spec->hypercall_page) >> 12 & 0xffffffffff);
}

static void one(const struct test_kernel *spec, uint64_t mib, size_t initrd, void (*change)(void))
{
    struct guest g;

    prepare(&g, spec, mib, initrd);
    if (change)
        change();
    guest_build(&g);
    check_guest(&g);
    guest_finish(&g);
}

TEST(linux_like)
{
    one(&linux_like, 64, 3000001, NULL);
    one(&linux_like, 64, 0, NULL);
}

TEST(micro_like_in_four_mib)
{
    one(&micro_like, 4, 0, NULL);
    one(&micro_like, 8, 5000, NULL);
}

TEST(grub_like)
{
    one(&grub_like, 16, 0, NULL);
}

/* What a BSD kernel without notes says of itself, and the symbols it wants behind itself. */
TEST(netbsd_like)
{
    struct test_kernel k = micro_like;
    struct guest g;
    uint64_t va;
    uint32_t count;

    k.no_notes = k.symbols = true;
    k.legacy = "GUEST_OS=NetBSD,XEN_VER=xen-3.0,LOADER=generic,VIRT_BASE=0xffffffff80000000,"
               "ELF_PADDR_OFFSET=0xffffffff80000000,VIRT_ENTRY=0xffffffff80100000,"
               "HYPERCALL_PAGE=0x102,BSD_SYMTAB=yes";
    k.paddr_offset = LINUX_BASE;
    k.seg[0].paddr += LINUX_BASE;
    k.seg[0].memsz = 0x9001; /* they begin at the next multiple of eight */
    prepare(&g, &k, 16, 3000);
    guest_build(&g);
    check_guest(&g);
    va = LINUX_BASE + 0x109008;
    memcpy(&count, at(va), sizeof(count));
    CHECK_EQ(count, 256 + TEST_SYMBOLS + ALIGN_UP(TEST_STRINGS, 8));
    CHECK(memcmp(at(va + 4), "\177ELF", 4) == 0);
    CHECK_EQ(*at(va + 4 + 256), 0x5a);
    CHECK_EQ(*at(va + 4 + 256 + TEST_SYMBOLS - 1), 0x5a);
    CHECK_EQ(*at(va + 4 + 256 + TEST_SYMBOLS), 0x43);
    CHECK_EQ(*at(va + 4 + 256 + TEST_SYMBOLS + TEST_STRINGS - 1), 0x43);
    guest_finish(&g);
}

TEST(initrd_inside)
{
    struct test_kernel k = linux_like;

    k.mod_start_pfn = false;
    one(&k, 64, 1000000, NULL);
    k.init_p2m = 0;
    one(&k, 64, 1000000, NULL);
}

TEST(segments_share_pages)
{
    struct test_kernel k = micro_like;

    k.nr_segs = 3;
    k.hypercall_page = 0;
    k.seg[0] = (struct test_segment){ 0x100800, 0x3900, 0x3900, 0, 0 };
    k.seg[1] = (struct test_segment){ 0x100000, 0x800, 0x800, 0, 0 };
    k.seg[2] = (struct test_segment){ 0x104100, 0x10, 0x2000, 0, 0 };
    one(&k, 8, 0, NULL);
}

TEST(paddr_offset)
{
    struct test_kernel k = micro_like;

    k.paddr_offset = 0x40000000;
    k.seg[0].paddr += k.paddr_offset;
    one(&k, 16, 0, NULL);
}

static void no_chunks(void)
{
    fake->no_chunks = true;
}

static void odd_chunks(void)
{
    fake->odd_chunks_fail = true;
}

static void dirty(void)
{
    fake->dirty = true;
}

TEST(memory_in_pieces)
{
    one(&linux_like, 48, 3000001, no_chunks);
    one(&linux_like, 63, 3000001, odd_chunks);
}

TEST(odd_size)
{
    struct guest g;

    prepare(&g, &linux_like, 64, 0);
    g.req.memory_kib = 64 * 1024 - 4 * 77;
    guest_build(&g);
    check_guest(&g);
    guest_finish(&g);
}

TEST(dirty_memory_is_cleared)
{
    one(&linux_like, 64, 5000, dirty);
    CHECK(fake->cleared > 0);
    one(&linux_like, 64, 5000, NULL);
    CHECK_EQ(fake->cleared, 0);
}

/* --- refusals --- */

static unsigned int open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned int n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Builds, expects this cause and remedy, and nothing asked of the hypervisor if `early`. */
static void refused(struct guest *g, const char *cause, const char *remedy, bool early)
{
    unsigned int before = open_files();

    guest_build(g);
    CHECK_EQ(g->rc, -1);
    CHECK_WHY(g->e.cause, cause);
    CHECK_WHY(g->e.remedy, remedy);
    if (early)
        CHECK_EQ(fake->calls, 0);
    CHECK_EQ(open_files(), before);
    guest_finish(g);
}

TEST(too_little_memory)
{
    struct guest g;
    uint64_t least;

    prepare(&g, &linux_like, 16, 5000000);
    least = builder_least_memory(g.req.kernel, 5000000);
    refused(&g, "16 MiB of memory are too little", "Set memory= to more than", true);
    prepare(&g, &linux_like, 16, 5000000);
    g.req.memory_kib = least - 4;
    refused(&g, "too little", "Set memory=", true);
    prepare(&g, &linux_like, 16, 5000000);
    g.req.memory_kib = least;
    g.req.max_kib = 0;
    guest_build(&g);
    check_guest(&g);
    guest_finish(&g);
}

TEST(hypervisor_has_no_more)
{
    struct guest g;

    prepare(&g, &linux_like, 64, 0);
    fake->limit = 48 << 8;
    refused(&g, "gave 48 of 64 MiB", "orlop mem-set", false);
}

TEST(bad_requests)
{
    char line[1200];
    struct guest g;

    prepare(&g, &micro_like, 8, 0);
    memset(line, 'x', sizeof(line));
    line[1023] = 0;
    g.req.cmdline = line;
    guest_build(&g);
    check_guest(&g);
    guest_finish(&g);
    prepare(&g, &micro_like, 8, 0);
    line[1023] = 'x';
    line[1100] = 0;
    g.req.cmdline = line;
    refused(&g, "has 1100 characters, and 1023 fit", "Shorten", true);
    prepare(&g, &micro_like, 8, 0);
    g.req.max_kib = 4096;
    refused(&g, "makes no sense", "maxmem", true);
    prepare(&g, &micro_like, 8, 0);
    g.req.ramdisk = "/nonexistent/initrd";
    refused(&g, "/nonexistent/initrd", "ramdisk=", true);
    prepare(&g, &micro_like, 8, 0);
    g.req.ramdisk = "/tmp";
    refused(&g, "not a file", "ramdisk=", true);
    struct test_kernel picky = linux_like;
    picky.features = "!mmu_pt_update_preserve_ad";
    prepare(&g, &picky, 64, 0);
    g.req.features = 1u << XENFEAT_gnttab_map_avail_bits;
    refused(&g, "requires a Xen feature", "Use a 64-bit kernel", true);
}

/* Each call to the hypervisor fails once: an error in words, and nothing stays open here. */
TEST(each_call_fails)
{
    unsigned int calls = FAKE_CALLS;

    for (unsigned int i = 1; i <= calls; i++) {
        struct guest g;
        unsigned int before;

        prepare(&g, i % 2 ? &micro_like : &linux_like, i % 2 ? 5 : 49, i % 2 ? 0 : 10000);
        before = open_files();
        fake->fail_at = i;
        guest_build(&g);
        if (fake->calls < i)
            calls = i;
        else if (g.rc == 0) /* only an extent of 2 MiB that did not come; single pages did */
            check_guest(&g);
        else
            CHECK(g.e.cause[0] && g.rc == -1);
        CHECK_EQ(open_files(), before);
        guest_finish(&g);
    }
    CHECK(calls > 8 && calls < FAKE_CALLS);
}

/* The initramfs shrinks between the parent's look at it and the child's copying. */
TEST(initrd_shrinks)
{
    struct guest g;

    prepare(&g, &micro_like, 16, 100000);
    fake->shrink = g.ramdisk;
    refused(&g, "shrank", "Try again", false);
}
