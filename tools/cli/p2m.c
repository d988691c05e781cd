/* SPDX-License-Identifier: MIT */
/* A guest's table of frames, read from outside. */
#include "tools/cli/p2m.h"
#include "tools/cli/host.h"
#include "tools/lib/error.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define PFN_LIMIT (1ull << 32) /* 16 TiB: beyond this the guest talks nonsense */
#define PTE_FRAME(pte) ((pte) >> 12 & ((1ull << 40) - 1))

static void *map(struct p2m *p, uint64_t mfn)
{
    xenforeignmemory_handle *fmem = xen_fmem(p->h->xen, NULL);
    xen_pfn_t frame = mfn;
    int bad = 0;
    void *page;

    if (!fmem)
        return NULL;
    page = xenforeignmemory_map(fmem, p->domid, PROT_READ, 1, &frame, &bad);
    if (page && bad) {
        xenforeignmemory_unmap(fmem, page, 1);
        return NULL;
    }
    return page;
}

static void unmap(struct p2m *p, void *page)
{
    xenforeignmemory_unmap(xen_fmem(p->h->xen, NULL), page, 1);
}

/*
 * One word of a guest's page, which stays mapped until the next one of its level; P2M_NONE if that
 * is none of its pages.
 */
static uint64_t word(struct p2m *p, unsigned int level, uint64_t mfn, unsigned int index)
{
    if (!p->last[level].page || p->last[level].mfn != mfn) {
        if (p->last[level].page)
            unmap(p, (void *)p->last[level].page);
        p->last[level].page = map(p, mfn);
        p->last[level].mfn = mfn;
    }
    return p->last[level].page ? p->last[level].page[index] : P2M_NONE;
}

/* The machine frame behind a virtual address, through the guest's page tables. */
static uint64_t walk(struct p2m *p, uint64_t va)
{
    uint64_t mfn = p->cr3;

    for (int level = P2M_LEVELS - 1; level >= 0; level--) {
        uint64_t pte = word(p, level, mfn, va >> (12 + 9 * level) & 511);

        if (pte == P2M_NONE || !(pte & 1))
            return P2M_NONE;
        mfn = PTE_FRAME(pte);
    }
    return mfn;
}

uint64_t p2m_table(struct p2m *p, uint64_t page)
{
    uint64_t list;

    if (p->vaddr)
        return walk(p, p->vaddr + (page << 12));
    list = word(p, 1, p->list_list, page / P2M_PER_PAGE);
    return list == P2M_NONE ? P2M_NONE : word(p, 0, list, page % P2M_PER_PAGE);
}

int p2m_open(struct p2m *p, struct host *h, unsigned int domid, uint64_t shared_info_mfn,
             struct error *e)
{
    const struct arch_shared_info *a;

    memset(p, 0, sizeof(*p));
    p->h = h;
    p->domid = domid;
    if (!xen_fmem(h->xen, e))
        return -1;
    p->shared = map(p, shared_info_mfn);
    if (!p->shared)
        return error_sys(e, errno, NULL, "mapping the guest's shared page");
    a = &((const shared_info_t *)p->shared)->arch;
    p->max_pfn = a->max_pfn;
    p->list_list = a->pfn_to_mfn_frame_list_list;
    if (a->p2m_cr3 && (!p->list_list || p->list_list == ~0ull)) {
        p->vaddr = a->p2m_vaddr;
        p->cr3 = PTE_FRAME(a->p2m_cr3);
    }
    if (p->max_pfn && p->max_pfn < PFN_LIMIT && (p->vaddr || (p->list_list && ~p->list_list)) &&
        p->max_pfn <= (uint64_t)P2M_PER_PAGE * P2M_PER_PAGE * P2M_PER_PAGE)
        return 0;
    p2m_close(p);
    return error_set(e, ENODATA,
                     "It does so early in its start; micro-guests and crashed loaders never do.",
                     "the guest's kernel has not said where its table of frames lies");
}

int p2m_open_hvm(struct p2m *p, struct host *h, unsigned int domid, struct error *e)
{
    domid_t id = (domid_t)domid;
    long max = xen_memory_op(h->xen, XENMEM_maximum_gpfn, &id, sizeof(id));

    memset(p, 0, sizeof(*p));
    p->h = h;
    p->domid = domid;
    p->hvm = true;
    if (!xen_fmem(h->xen, e))
        return -1;
    if (max < 0)
        return xen_error(e, (int)max, "asking how far the guest's memory goes");
    p->max_pfn = (uint64_t)max + 1;
    return 0;
}

void p2m_close(struct p2m *p)
{
    if (p->shared)
        unmap(p, p->shared);
    p->shared = NULL;
    for (unsigned int i = 0; i < P2M_LEVELS; i++) {
        if (p->last[i].page)
            unmap(p, (void *)p->last[i].page);
        p->last[i].page = NULL;
    }
    frame_set_free(&p->tables);
}

/* Linux marks frames that are not its own in the two top bits. */
void p2m_read(struct p2m *p, uint64_t page, uint64_t entry[P2M_PER_PAGE])
{
    const uint64_t *table;
    uint64_t mfn;

    memset(entry, 0xff, P2M_PER_PAGE * sizeof(*entry));
    for (unsigned int i = 0; p->hvm && i < P2M_PER_PAGE; i++)
        if (page * P2M_PER_PAGE + i < p->max_pfn)
            entry[i] = page * P2M_PER_PAGE + i;
    if (p->hvm)
        return;
    mfn = p2m_table(p, page);
    if (mfn == P2M_NONE || frame_set_has(&p->tables, mfn))
        return;
    table = map(p, mfn);
    if (!table)
        return;
    frame_set_add(&p->tables, mfn);
    for (unsigned int i = 0; i < P2M_PER_PAGE && page * P2M_PER_PAGE + i < p->max_pfn; i++) {
        uint64_t v = ((const volatile uint64_t *)table)[i];

        entry[i] = v >> 62 ? P2M_NONE : v;
    }
    unmap(p, (void *)table);
}
