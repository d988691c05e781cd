/* SPDX-License-Identifier: MIT */
#include "tools/builder/memory.h"

#include <stdlib.h>
#include <string.h>

#include "lib/macros.h"

int memory_init(struct memory *m, uint64_t nr_pages)
{
    m->nr_pages = nr_pages;
    m->chunk = calloc(DIV_ROUND_UP(nr_pages, CHUNK_PAGES), sizeof(*m->chunk));
    return m->chunk ? 0 : -1;
}

void memory_free(struct memory *m)
{
    for (uint64_t i = 0; m->chunk && i < DIV_ROUND_UP(m->nr_pages, CHUNK_PAGES); i++)
        free(m->chunk[i].single);
    free(m->chunk);
    m->chunk = NULL;
}

int window_add(struct window *w, uint64_t pfn, uint64_t pages)
{
    struct window_range *last = w->nr ? &w->range[w->nr - 1] : NULL;

    if (!pages)
        return 0;
    if (last && pfn >= last->pfn && pfn <= last->pfn + last->pages) {
        last->pages = MAX(last->pages, pfn + pages - last->pfn);
        return 0;
    }
    if (w->nr == w->room) {
        size_t room = w->room ? w->room * 2 : 64;
        void *p = realloc(w->range, room * sizeof(*w->range));

        if (!p)
            return -1;
        w->range = p;
        w->room = room;
    }
    w->range[w->nr++] = (struct window_range){ .pfn = pfn, .pages = pages };
    return 0;
}

static int by_pfn(const void *a, const void *b)
{
    const struct window_range *x = a, *y = b;

    return x->pfn < y->pfn ? -1 : x->pfn > y->pfn;
}

void window_close(struct window *w)
{
    size_t nr = w->nr;

    if (nr)
        qsort(w->range, nr, sizeof(*w->range), by_pfn);
    w->nr = 0;
    for (size_t i = 0; i < nr; i++) /* never needs room: there are at most as many as before */
        window_add(w, w->range[i].pfn, w->range[i].pages);
    w->pages = 0;
    for (size_t i = 0; i < w->nr; i++) {
        w->range[i].offset = w->pages << PAGE_SHIFT;
        w->pages += w->range[i].pages;
    }
}

void *window_page(const struct window *w, uint64_t pfn)
{
    size_t low = 0, high = w->nr;

    while (low < high) {
        size_t mid = (low + high) / 2;
        const struct window_range *r = &w->range[mid];

        if (pfn < r->pfn)
            high = mid;
        else if (pfn - r->pfn >= r->pages)
            low = mid + 1;
        else
            return w->base ? w->base + r->offset + ((pfn - r->pfn) << PAGE_SHIFT) : NULL;
    }
    return NULL;
}

void window_frames(const struct window *w, const struct memory *m, xen_pfn_t *out)
{
    for (size_t i = 0; i < w->nr; i++)
        for (uint64_t j = 0; j < w->range[i].pages; j++)
            *out++ = memory_mfn(m, w->range[i].pfn + j);
}

void window_free(struct window *w)
{
    free(w->range);
    memset(w, 0, sizeof(*w));
}
