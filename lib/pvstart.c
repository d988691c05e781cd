/* SPDX-License-Identifier: MIT */
/*
 * The first page tables of a PV guest and its start_info: see pvstart.h. Pure, so no locks: the
 * guest's memory is its builder's alone until the guest runs. What must hold: each page of the plan
 * is mapped where the plan says, and a table is never mapped writable.
 */
#include "lib/pvstart.h"

#include "lib/strutil.h"

#define PAGE_SHIFT 12
#define NR_ENTRIES 512ul
#define PTE_P 0x01ul
#define PTE_RW 0x02ul
#define PTE_US 0x04ul
#define PTE_A 0x20ul
#define PTE_D 0x40ul
#define ENTRY_RW (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D) /* a page, or a lower table */
#define ENTRY_RO (PTE_P | PTE_US | PTE_A)

/* Tables that cover [start, end): first pfn of each level's, one behind the other. */
struct tables {
    uint64_t start, end;
    uint64_t l1, l2, l3, l4;
    struct pv_table_counts n;
};

static uint64_t *entry(const struct pv_memory *m, uint64_t first_table, uint64_t index)
{
    return (uint64_t *)m->page(m->arg, first_table + index / NR_ENTRIES) + index % NR_ENTRIES;
}

static uint64_t address(const struct pv_memory *m, uint64_t pfn)
{
    return m->mfn(m->arg, pfn) << PAGE_SHIFT;
}

/*
 * Enters `count` tables, the first at pfn `from`, in those of the next level, the first at `to`;
 * both begin at address `start`, and a table of the lower level covers 2^shift bytes.
 */
static void link_level(const struct pv_memory *m, uint64_t from, uint64_t count, uint64_t to,
                       uint64_t start, unsigned int shift)
{
    uint64_t first = (start >> shift) % NR_ENTRIES;

    for (uint64_t i = 0; i < count; i++)
        *entry(m, to, first + i) = address(m, from + i) | ENTRY_RW;
}

static void map_pages(const struct pv_memory *m, const struct tables *t, uint64_t pfn)
{
    uint64_t first = (t->start >> PAGE_SHIFT) % NR_ENTRIES;
    uint64_t pages = (t->end - t->start) >> PAGE_SHIFT;
    uint64_t *at = NULL;

    for (uint64_t i = 0; i < pages; i++) {
        uint64_t slot = (first + i) % NR_ENTRIES;

        if (!at || slot == 0)
            at = entry(m, t->l1, first + i) - slot;
        at[slot] = address(m, pfn + i) | ENTRY_RW;
    }
}

static void build(const struct pv_memory *m, const struct tables *t, uint64_t pfn)
{
    link_level(m, t->l3, t->n.l3, t->l4, t->start, 39);
    link_level(m, t->l2, t->n.l2, t->l3, t->start, 30);
    link_level(m, t->l1, t->n.l1, t->l2, t->start, 21);
    map_pages(m, t, pfn);
}

/* A page table must not be writable by any mapping, its own included. */
static void protect(const struct pv_memory *m, const struct tables *t,
                    const struct pv_range *tables)
{
    uint64_t first = (t->start >> PAGE_SHIFT) % NR_ENTRIES;

    for (uint64_t pfn = tables->pfn; pfn < tables->pfn + tables->pages; pfn++)
        *entry(m, t->l1, first + pfn) = address(m, pfn) | ENTRY_RO;
}

void pv_start_tables(const struct pv_layout *l, const struct pv_memory *m)
{
    const struct pv_range *own = &l->part[PV_TABLES], *p2m = &l->part[PV_P2M];
    struct tables t = { .start = l->v_start, .end = l->v_end, .l4 = own->pfn, .n = l->tables };

    t.l3 = t.l4 + 1;
    t.l2 = t.l3 + t.n.l3;
    t.l1 = t.l2 + t.n.l2;
    build(m, &t, 0);
    protect(m, &t, own);
    if (!l->p2m_outside)
        return;
    t.start = p2m->va;
    t.end = p2m->va + (p2m->pages << PAGE_SHIFT);
    t.n = l->p2m_tables;
    t.l1 = l->part[PV_P2M_TABLES].pfn;
    t.l2 = t.l1 + t.n.l1;
    t.l3 = t.l2 + t.n.l2;
    build(m, &t, p2m->pfn);
}

void pv_start_info(const struct pv_layout *l, uint64_t nr_pages, uint64_t initrd_bytes,
                   uint32_t flags, struct start_info *si)
{
    const struct pv_range *initrd = &l->part[PV_INITRD];

    str_copy(si->magic, "xen-3.0-x86_64", sizeof(si->magic));
    si->nr_pages = nr_pages;
    si->flags = flags;
    si->pt_base = l->part[PV_TABLES].va;
    si->nr_pt_frames = l->part[PV_TABLES].pages;
    si->mfn_list = l->part[PV_P2M].va;
    if (initrd_bytes) {
        si->mod_start = l->initrd_by_pfn ? initrd->pfn : initrd->va;
        si->mod_len = initrd_bytes;
        si->flags |= l->initrd_by_pfn ? SIF_MOD_START_PFN : 0;
    }
    si->first_p2m_pfn = pv_layout_first_p2m_pfn(l);
    si->nr_p2m_frames = pv_layout_nr_p2m_frames(l);
}
