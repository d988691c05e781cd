/* SPDX-License-Identifier: MIT */
/*
 * Which machine frame is behind each pseudo-physical frame of the new guest, and which of its
 * frames this process has mapped where. Both are plain data: build.c fills them by hypercalls, the
 * tests by hand.
 */
#ifndef BUILDER_MEMORY_H
#define BUILDER_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ul
#define CHUNK_ORDER 9 /* 2 MiB: what the hypervisor is asked for at a time */
#define CHUNK_PAGES (1ul << CHUNK_ORDER)

struct memory_chunk {
    xen_pfn_t base;    /* of CHUNK_PAGES frames in a row ... */
    xen_pfn_t *single; /* ... unless this is not NULL: each frame on its own */
};

struct memory {
    uint64_t nr_pages;
    uint64_t hole_at, hole_pages; /* no frames of the guest; a multiple of CHUNK_PAGES; or 0 */
    struct memory_chunk *chunk;   /* one for each CHUNK_PAGES, the last may be a part */
};

/* -1: not enough memory here. */
int memory_init(struct memory *m, uint64_t nr_pages);
void memory_free(struct memory *m);

/* pfn < nr_pages, and it was populated. */
static inline xen_pfn_t memory_mfn(const struct memory *m, uint64_t pfn)
{
    const struct memory_chunk *c = &m->chunk[pfn >> CHUNK_ORDER];
    uint64_t i = pfn & (CHUNK_PAGES - 1);

    return c->single ? c->single[i] : c->base + i;
}

/* Where in the guest page i of its memory is. */
static inline xen_pfn_t memory_gfn(const struct memory *m, uint64_t i)
{
    return i < m->hole_at ? i : i + m->hole_pages;
}

struct window_range {
    uint64_t pfn, pages;
    uint64_t offset; /* of its first byte in the window */
};

/* Ranges of pfns, one behind the other in this process's addresses. */
struct window {
    struct window_range *range;
    size_t nr, room;
    uint64_t pages;
    uint8_t *base; /* NULL until mapped */
};

/* Adds frames; they may overlap earlier ones. -1: not enough memory here. */
int window_add(struct window *w, uint64_t pfn, uint64_t pages);

/* Puts the ranges in order, joins those that touch, gives each its offset. */
void window_close(struct window *w);

/* Where the frame is mapped; NULL if it is not in the window. Frames of one range follow it. */
void *window_page(const struct window *w, uint64_t pfn);

/* The machine frames of the whole window, in order: out[w->pages]. */
void window_frames(const struct window *w, const struct memory *m, xen_pfn_t *out);

/* Forgets the ranges; unmapping is the caller's. */
void window_free(struct window *w);

#endif
