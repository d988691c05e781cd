/* SPDX-License-Identifier: MIT */
#include "tools/builder/content.h"

#include <string.h>

#include "lib/macros.h"

#define NR_ENTRIES 512ul
#define PTE_P 0x01ul
#define PTE_RW 0x02ul
#define PTE_US 0x04ul
#define PTE_A 0x20ul
#define PTE_D 0x40ul
#define ENTRY_RW (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D) /* a page, or a lower table */
#define ENTRY_RO (PTE_P | PTE_US | PTE_A)

void content_p2m(const struct pv_layout *l, const struct memory *m, const struct window *w)
{
    uint64_t *list = window_page(w, l->part[PV_P2M].pfn);

    for (uint64_t pfn = 0; pfn < m->nr_pages; pfn++)
        list[pfn] = memory_mfn(m, pfn);
}

/* --- page tables --- */

/* Tables that cover [start, end): first pfn of each level's, one behind the other. */
struct tables {
    uint64_t start, end;
    uint64_t l1, l2, l3, l4;
    struct pv_table_counts n;
};

struct target {
    const struct memory *m;
    const struct window *w;
};

static uint64_t *entry(const struct target *t, uint64_t first_table, uint64_t index)
{
    return (uint64_t *)window_page(t->w, first_table + index / NR_ENTRIES) + index % NR_ENTRIES;
}

/*
 * Enters `count` tables, the first at pfn `from`, in those of the next level, the first at `to`;
 * both begin at address `start`, and a table of the lower level covers 2^shift bytes.
 */
static void link_level(const struct target *t, uint64_t from, uint64_t count, uint64_t to,
                       uint64_t start, unsigned int shift)
{
    uint64_t first = (start >> shift) % NR_ENTRIES;

    for (uint64_t i = 0; i < count; i++)
        *entry(t, to, first + i) = memory_mfn(t->m, from + i) << PAGE_SHIFT | ENTRY_RW;
}

static void map_pages(const struct target *t, const struct tables *s, uint64_t pfn)
{
    uint64_t first = (s->start >> PAGE_SHIFT) % NR_ENTRIES;
    uint64_t pages = (s->end - s->start) >> PAGE_SHIFT;
    uint64_t *at = NULL;

    for (uint64_t i = 0; i < pages; i++) {
        uint64_t slot = (first + i) % NR_ENTRIES;

        if (!at || slot == 0)
            at = entry(t, s->l1, first + i) - slot;
        at[slot] = memory_mfn(t->m, pfn + i) << PAGE_SHIFT | ENTRY_RW;
    }
}

static void build(const struct target *t, const struct tables *s, uint64_t pfn)
{
    link_level(t, s->l3, s->n.l3, s->l4, s->start, 39);
    link_level(t, s->l2, s->n.l2, s->l3, s->start, 30);
    link_level(t, s->l1, s->n.l1, s->l2, s->start, 21);
    map_pages(t, s, pfn);
}

/* A page table must not be writable by any mapping, its own included. */
static void protect(const struct target *t, const struct tables *s, const struct pv_range *tables)
{
    uint64_t first = (s->start >> PAGE_SHIFT) % NR_ENTRIES;

    for (uint64_t pfn = tables->pfn; pfn < tables->pfn + tables->pages; pfn++)
        *entry(t, s->l1, first + pfn) = memory_mfn(t->m, pfn) << PAGE_SHIFT | ENTRY_RO;
}

void content_tables(const struct pv_layout *l, const struct memory *m, const struct window *w)
{
    const struct pv_range *own = &l->part[PV_TABLES], *p2m = &l->part[PV_P2M];
    struct target t = { .m = m, .w = w };
    struct tables s = { .start = l->v_start, .end = l->v_end, .l4 = own->pfn, .n = l->tables };

    s.l3 = s.l4 + 1;
    s.l2 = s.l3 + s.n.l3;
    s.l1 = s.l2 + s.n.l2;
    build(&t, &s, 0);
    protect(&t, &s, own);
    if (!l->p2m_outside)
        return;
    s.start = p2m->va;
    s.end = p2m->va + (p2m->pages << PAGE_SHIFT);
    s.n = l->p2m_tables;
    s.l1 = l->part[PV_P2M_TABLES].pfn;
    s.l2 = s.l1 + s.n.l1;
    s.l3 = s.l2 + s.n.l2;
    build(&t, &s, p2m->pfn);
}

/* --- start info --- */

void content_start_info(const struct pv_layout *l, const struct memory *m,
                        const struct content_info *info, void *page)
{
    const struct pv_range *initrd = &l->part[PV_INITRD];
    struct start_info *si = page;

    memcpy(si->magic, "xen-3.0-x86_64", sizeof("xen-3.0-x86_64"));
    si->nr_pages = m->nr_pages;
    si->shared_info = info->shared_info_mfn << PAGE_SHIFT;
    si->flags = info->flags;
    si->store_mfn = memory_mfn(m, l->part[PV_STORE].pfn);
    si->store_evtchn = info->store_port;
    si->console.domU.mfn = memory_mfn(m, l->part[PV_CONSOLE].pfn);
    si->console.domU.evtchn = info->console_port;
    si->pt_base = l->part[PV_TABLES].va;
    si->nr_pt_frames = l->part[PV_TABLES].pages;
    si->mfn_list = l->part[PV_P2M].va;
    if (initrd->pages) {
        si->mod_start = l->initrd_by_pfn ? initrd->pfn : initrd->va;
        si->mod_len = info->initrd_bytes;
        si->flags |= l->initrd_by_pfn ? SIF_MOD_START_PFN : 0;
    }
    memcpy(si->cmd_line, info->cmdline, strlen(info->cmdline) + 1);
    si->first_p2m_pfn = pv_layout_first_p2m_pfn(l);
    si->nr_p2m_frames = pv_layout_nr_p2m_frames(l);
}
