/* SPDX-License-Identifier: MIT */
/*
 * Every page that a guest's root reaches beside the guest's own, on a machine with two CPUs: the
 * list is written down here, and there is nothing else.
 */
#include "hv/x86/mm/isolation.c"

#include <stdlib.h>

#include "unit.h"

#define PAGES 256
#define IDT (IMAGE_BASE + 0x280000)
#define ENTRY (IMAGE_BASE + 0x401000) /* three pages; the link says so, too */
#define XP_PA(cpu) (0x100000ull + (cpu)*PAGE_SIZE)

struct spec_choice spec_choice;
uint64_t nx_bit = PTE_NX;
uint64_t image_moved = 0x3f000000;

static unsigned char memory[2 << 20] __attribute__((aligned(4096)));
static unsigned int used, limit;
static pte_t windows[2][512] __attribute__((aligned(4096)));

void *direct(uint64_t pa)
{
    return pa >= 0x8000000 ? (void *)windows[(pa - 0x8000000) / PAGE_SIZE] : memory + pa;
}

uint64_t direct_pa(const void *p)
{
    if (p >= (void *)windows && p < (void *)(windows + 2))
        return 0x8000000 + (uint64_t)((const char *)p - (const char *)windows);
    if ((uint64_t)p >= DIRECT_BASE && (uint64_t)p < HV_END)
        return (uint64_t)p - DIRECT_BASE;
    return (uint64_t)((const unsigned char *)p - memory);
}

void *frame_alloc_hv(void)
{
    return used < limit ? memory + PAGE_SIZE * used++ : NULL;
}

uint64_t cpu_idt_base(void)
{
    return IDT;
}

/* Where a stack's page lies: its address says it. */
pte_t *paging_pte(uint64_t va)
{
    static pte_t e;

    e = (0x40000000ull + (va - STACKS_BASE)) | PTE_P | PTE_RW | PTE_G;
    return &e;
}

struct cpu_info *cpu_info(void)
{
    return NULL;
}

/* A CPU's record, a page of its own; by this program's address it is below the hypervisor's. */
static struct x86_pcpu *record(unsigned int cpu)
{
    struct x86_pcpu *xp = (void *)(memory + (120 + cpu) * PAGE_SIZE);

    memset(xp, 0, PAGE_SIZE);
    xp->p.id = cpu;
    xp->gdt_ptes = windows[cpu];
    return xp;
}

static struct page {
    uint64_t va, pa;
    pte_t flags;
} seen[PAGES];
static unsigned int nr_seen;

static void walk(const pte_t *table, uint64_t va, int level)
{
    for (unsigned int i = 0; i < 512; i++) {
        uint64_t at = va | (uint64_t)i << (12 + 9 * (level - 1));

        if (level == 4 && i >= 256)
            at |= 0xffffull << 48;
        pte_t e = table[i];

        if (!(e & PTE_P))
            continue;
        CHECK(!(e & PTE_US));
        CHECK(level == 1 || !(e & PTE_PS));
        if (level > 1) {
            walk(direct(e & PTE_ADDR), at, level - 1);
        } else {
            CHECK(nr_seen < PAGES);
            seen[nr_seen++] = (struct page){ at, e & PTE_ADDR, e & ~PTE_ADDR };
        }
    }
}

static void start(void)
{
    memset(memory, 0, sizeof(memory));
    memset(windows, 0, sizeof(windows));
    used = 0;
    limit = 100;
    spec_choice.isolate_domu = true;
}

static bool expected(const struct page *p, unsigned int cpu, const struct x86_pcpu *xp)
{
    static const unsigned int stack[] = { 1, 3, 5, 7, 15 };
    uint64_t slot = STACKS_BASE + cpu * 0x10000ull, window = GDTS_BASE + cpu * 0x200000ull;

    if (p->va >= ENTRY && p->va < ENTRY + 3 * PAGE_SIZE)
        return p->pa == p->va - IMAGE_BASE + image_moved && !(p->flags & (PTE_RW | PTE_NX | PTE_G));
    if (p->va == IDT)
        return p->pa == IDT - IMAGE_BASE + image_moved && (p->flags & PTE_NX) &&
               !(p->flags & (PTE_RW | PTE_G));
    if (p->va == (uint64_t)xp)
        return p->pa == direct_pa(xp) && (p->flags & PTE_NX) && !(p->flags & (PTE_RW | PTE_G));
    for (size_t i = 0; i < ARRAY_SIZE(stack); i++)
        if (p->va == slot + stack[i] * PAGE_SIZE)
            return p->pa == 0x40000000ull + (p->va - STACKS_BASE) && (p->flags & PTE_NX) &&
                   !(p->flags & PTE_G);
    return p->va == window + 14 * PAGE_SIZE && p->pa == 0x5000 + cpu * PAGE_SIZE;
}

TEST(every_page)
{
    start();
    for (unsigned int cpu = 0; cpu < 2; cpu++) {
        struct x86_pcpu *xp = record(cpu);

        CHECK(isolation_create(xp));
        windows[cpu][14] = (0x5000 + cpu * PAGE_SIZE) | PTE_P | PTE_RW | PTE_NX;
        for (unsigned int r = 0; r < 2; r++) {
            nr_seen = 0;
            walk(xp->isolation->root[r].l4, 0, 4);
            CHECK_EQ(nr_seen, 3 + 1 + 1 + 5 + 1); /* code, IDT, record, stacks, window */
            for (unsigned int i = 0; i < nr_seen; i++)
                CHECK(expected(&seen[i], cpu, xp));
        }
    }
}

TEST(none_where_nobody_needs_it)
{
    struct x86_pcpu *xp = record(0);

    start();
    spec_choice.isolate_domu = false;
    CHECK(isolation_create(xp));
    CHECK(!xp->isolation && !used);
}

TEST(each_allocation_may_fail)
{
    struct x86_pcpu *xp;
    unsigned int all;

    start();
    CHECK(isolation_create(record(0)));
    all = used;
    for (unsigned int n = 0; n < all; n++) {
        start();
        limit = n;
        xp = record(0);
        CHECK(!isolation_create(xp));
        CHECK(!xp->isolation);
    }
}

TEST(the_guests_part)
{
    struct x86_pcpu *xp;
    uint64_t changes = 1;
    struct isolation_root *r;
    pte_t *l4, own;

    start();
    xp = record(0);
    CHECK(isolation_create(xp));
    r = &xp->isolation->root[1];
    own = r->l4[259];
    l4 = frame_alloc_hv();
    for (unsigned int i = 0; i < 512; i++)
        l4[i] = 0x1000ull * i | PTE_P | PTE_US;
    CHECK_EQ(isolation_load(r, direct_pa(l4), &changes), direct_pa(r->l4));
    for (unsigned int i = 0; i < 512; i++)
        if (i <= 256 || i > 271)
            CHECK_EQ(r->l4[i], l4[i]);
        else
            CHECK(r->l4[i] != l4[i]);
    CHECK_EQ(r->l4[259], own);

    /* Copied when something moved, and only then. */
    l4[7] = 0;
    isolation_load(r, direct_pa(l4), &changes);
    CHECK(r->l4[7] != 0);
    changes++;
    isolation_load(r, direct_pa(l4), &changes);
    CHECK_EQ(r->l4[7], 0);
    l4[256] = 0; /* the M2P is hidden */
    isolation_load(r, direct_pa(l4), &changes);
    CHECK_EQ(r->l4[256], 0);
    l4[8] = 0;
    isolation_forget(xp->isolation);
    isolation_load(r, direct_pa(l4), &changes);
    CHECK_EQ(r->l4[8], 0);
    isolation_forget(NULL);
}

/* With tags: what the root's has stays as long as its table does. */
TEST(tags)
{
    struct x86_pcpu *xp;
    uint64_t changes = 1, kept[2];
    pte_t *l4;

    start();
    xp = record(0);
    CHECK(isolation_create(xp));
    l4 = frame_alloc_hv();
    spec_choice.tags = true;
    for (unsigned int i = 0; i < 2; i++) {
        struct isolation_root *r = &xp->isolation->root[i];

        kept[i] = direct_pa(r->l4) | (i ? 4 : 3) | 1ull << 63;
        CHECK_EQ(isolation_load(r, direct_pa(l4), &changes), kept[i] & ~CR3_KEEP);
        CHECK_EQ(isolation_load(r, direct_pa(l4), &changes), kept[i]);
        changes++;
        CHECK_EQ(isolation_load(r, direct_pa(l4), &changes), kept[i] & ~CR3_KEEP);
        CHECK_EQ(isolation_load(r, direct_pa(l4), &changes), kept[i]);
        isolation_forget(xp->isolation);
        CHECK_EQ(isolation_load(r, direct_pa(l4), &changes), kept[i] & ~CR3_KEEP);
        CHECK_EQ(isolation_load(r, direct_pa(l4) + PAGE_SIZE, &changes), kept[i] & ~CR3_KEEP);
    }
    spec_choice.tags = false;
}
