/* SPDX-License-Identifier: MIT */
/*
 * Extents are kept in order of guest frame numbers and without holes, so a lookup is a search
 * among a few. At boot, one CPU, no locks.
 */
#include "x86/boot/dom0_mem.h"

#include "lib/string.h"
#include "x86/mm/paging.h"

#define LIST_ORDER 3 /* 1,365 extents */

bool dom0_mem_init(struct dom0_mem *m, struct domain *d)
{
    *m = (struct dom0_mem){ .d = d, .ext = frame_alloc_hv_order(LIST_ORDER) };
    m->max = (PAGE_SIZE << LIST_ORDER) / sizeof(*m->ext);
    return m->ext != NULL;
}

void dom0_mem_end(struct dom0_mem *m)
{
    frame_free_hv_order(m->ext, LIST_ORDER);
}

static bool add_extent(struct dom0_mem *m, uint64_t mfn, uint64_t pages)
{
    struct dom0_extent *last = m->nr ? &m->ext[m->nr - 1] : NULL;

    if (last && last->mfn + last->pages == mfn) {
        last->pages += pages;
    } else {
        if (m->nr == m->max)
            return false;
        m->ext[m->nr++] = (struct dom0_extent){ m->pages, mfn, pages };
    }
    m->pages += pages;
    return true;
}

bool dom0_mem_grow(struct dom0_mem *m, uint64_t pages)
{
    unsigned int order = FRAME_MAX_ORDER;

    while (m->pages < pages) {
        while ((1ull << order) > pages - m->pages)
            order--;
        struct frame *f = frame_alloc(order, 0);
        if (f) {
            if (frame_give(f, order, m->d, m->pages) ||
                !add_extent(m, frame_mfn(f).v, 1ull << order))
                return false;
        } else if (order-- == 0) {
            return false;
        }
    }
    return true;
}

static const struct dom0_extent *find(const struct dom0_mem *m, uint64_t pfn)
{
    const struct dom0_extent *e = m->ext;

    while (pfn - e->pfn >= e->pages)
        e++;
    return e;
}

mfn_t dom0_mfn(const struct dom0_mem *m, uint64_t pfn)
{
    const struct dom0_extent *e = find(m, pfn);

    return MFN(e->mfn + (pfn - e->pfn));
}

void *dom0_page(const struct dom0_mem *m, uint64_t pfn)
{
    return direct(dom0_mfn(m, pfn).v << PAGE_SHIFT);
}

/* The longest contiguous part of [at, at + n): its address, and its length in *len. */
static char *run_at(const struct dom0_mem *m, uint64_t at, uint64_t n, uint64_t *len)
{
    const struct dom0_extent *e = find(m, at >> PAGE_SHIFT);
    uint64_t off = at - (e->pfn << PAGE_SHIFT);

    *len = MIN(n, (e->pages << PAGE_SHIFT) - off);
    return (char *)direct(e->mfn << PAGE_SHIFT) + off;
}

void dom0_copy(const struct dom0_mem *m, uint64_t at, const void *src, uint64_t n)
{
    const char *s = src;

    for (uint64_t len; n; n -= len, at += len, s += len) {
        char *to = run_at(m, at, n, &len);
        memcpy(to, s, len);
    }
}

void dom0_clear(const struct dom0_mem *m, uint64_t at, uint64_t n)
{
    for (uint64_t len; n; n -= len, at += len) {
        char *to = run_at(m, at, n, &len);
        memset(to, 0, len);
    }
}

void dom0_write_p2m(const struct dom0_mem *m, uint64_t pfn)
{
    const uint64_t per_page = PAGE_SIZE / sizeof(uint64_t);
    uint64_t *out = NULL;

    for (const struct dom0_extent *e = m->ext; e < m->ext + m->nr; e++) {
        for (uint64_t i = 0; i < e->pages; i++) {
            uint64_t slot = (e->pfn + i) % per_page;
            if (slot == 0)
                out = dom0_page(m, pfn + (e->pfn + i) / per_page);
            out[slot] = e->mfn + i;
        }
    }
    if (m->pages % per_page) /* entries beyond the guest's memory */
        memset(out + m->pages % per_page, 0xff, (per_page - m->pages % per_page) * 8);
}
