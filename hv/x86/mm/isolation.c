/* SPDX-License-Identifier: MIT */
/* Roots without the hypervisor: see isolation.h. */
#include "x86/mm/isolation.h"

#include "core/frame.h"
#include "lib/macros.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/spec.h"
#include "x86/mm/tlb.h"

#define FLAGS_TABLE (PTE_P | PTE_RW | PTE_A | PTE_D)
#define FLAGS_READ (PTE_P | PTE_A)

extern char __entry_start[], __entry_end[];

static unsigned int slot(uint64_t va, int level)
{
    return (va >> (12 + 9 * (level - 1))) & 511;
}

/* The entry of `level` for va below l4, with tables built down to there; NULL: no memory. */
static pte_t *entry(pte_t *l4, uint64_t va, int level)
{
    pte_t *table = l4;

    for (int l = 4; l > level; l--) {
        pte_t *e = &table[slot(va, l)];
        if (!(*e & PTE_P)) {
            void *p = frame_alloc_hv();
            if (!p)
                return NULL;
            *e = direct_pa(p) | FLAGS_TABLE;
        }
        table = direct(*e & PTE_ADDR);
    }
    return &table[slot(va, level)];
}

/* The page that the hypervisor has at va, there too. */
static bool show(pte_t *l4, uint64_t va, uint64_t pa, pte_t flags)
{
    pte_t *e = entry(l4, va, 1);

    if (!e)
        return false;
    *e = pa | flags;
    return true;
}

/* What does not depend on the CPU, and is code or a table of addresses in it. */
static bool show_entry_code(pte_t *l4)
{
    uint64_t idt = cpu_idt_base();
    bool ok = show(l4, idt, image_pa((void *)idt), FLAGS_READ | nx_bit);

    for (char *p = __entry_start; ok && p < __entry_end; p += PAGE_SIZE)
        ok = show(l4, (uint64_t)p, image_pa(p), FLAGS_READ);
    return ok;
}

static bool show_stack_page(pte_t *l4, unsigned int cpu, unsigned int page)
{
    uint64_t va = STACKS_BASE + (uint64_t)cpu * STACK_SLOT + page * PAGE_SIZE;

    return show(l4, va, *paging_pte(va) & PTE_ADDR, FLAGS_TABLE | nx_bit);
}

static bool show_own(pte_t *l4, struct x86_pcpu *xp)
{
    static const uint8_t pages[] = { STACK_NMI_PAGE, STACK_MC_PAGE, STACK_DF_PAGE, STACK_DB_PAGE,
                                     (STACK_SLOT >> PAGE_SHIFT) - 1 };
    pte_t *window = entry(l4, GDTS_BASE + (uint64_t)xp->p.id * GDT_WINDOW, 2);
    bool ok = window && show(l4, (uint64_t)xp, direct_pa(xp), FLAGS_READ | nx_bit);

    for (size_t i = 0; ok && i < ARRAY_SIZE(pages); i++)
        ok = show_stack_page(l4, xp->p.id, pages[i]);
    if (ok) /* the table itself: what desc.c puts into it is there at once */
        *window = direct_pa(xp->gdt_ptes) | FLAGS_TABLE;
    return ok;
}

bool isolation_create(struct x86_pcpu *xp)
{
    struct isolation *i;
    pte_t *a, *b;

    if (!spec_isolates())
        return true;
    i = frame_alloc_hv();
    a = frame_alloc_hv();
    b = frame_alloc_hv();
    if (!i || !a || !b || !show_entry_code(a) || !show_own(a, xp))
        return false;
    memcpy(b, a, PAGE_SIZE);
    i->root[0].l4 = a;
    i->root[1].l4 = b;
    i->root[0].tag = TAG_ROOT_USER;
    i->root[1].tag = TAG_ROOT_KERNEL;
    xp->isolation = i;
    return true;
}

/* The guest's part of its L4; the count is read before the first entry. */
static void copy(struct isolation_root *r, const pte_t *l4)
{
    for (unsigned int i = 0; i <= HV_FIRST_SLOT; i++) /* that slot: the M2P, where it is shown */
        r->l4[i] = __atomic_load_n(&l4[i], __ATOMIC_RELAXED);
    for (unsigned int i = HV_LAST_SLOT + 1; i < 512; i++)
        r->l4[i] = __atomic_load_n(&l4[i], __ATOMIC_RELAXED);
}

uint64_t isolation_load(struct isolation_root *r, uint64_t from, const uint64_t *changes)
{
    uint64_t now = __atomic_load_n(changes, __ATOMIC_ACQUIRE);
    uint64_t load = tlb_cr3(direct_pa(r->l4), r->tag);
    const pte_t *l4 = direct(from);

    if (r->from != from || r->seen != now || r->l4[HV_FIRST_SLOT] != l4[HV_FIRST_SLOT]) {
        r->from = from;
        r->seen = now;
        copy(r, l4);
        load &= ~CR3_KEEP;
    }
    return load;
}
