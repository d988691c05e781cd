/* SPDX-License-Identifier: MIT */
/*
 * What a walk of a guest's tables must give, written mode by mode from the manuals, with nothing
 * in common with x86/mm/guest_walk.c; and a little memory of pages that refer to each other.
 */
#ifndef TESTS_WALK_MODEL_H
#define TESTS_WALK_MODEL_H

#include <string.h>

#include "x86/mm/guest_walk.h"

#define WM_PAGES 8 /* guest frames 0 to 7 are memory, 7 read-only */
#define WM_READ_ONLY 7

struct walk_memory {
    uint64_t page[WM_PAGES][512];
    void (*meanwhile)(struct walk_memory *m); /* another CPU, at each look at a page */
};

static inline void *wm_get(void *ctx, uint64_t gfn, bool write)
{
    struct walk_memory *m = ctx;

    if (m->meanwhile)
        m->meanwhile(m);
    return gfn < WM_PAGES && !(write && gfn >= WM_READ_ONLY) ? m->page[gfn] : NULL;
}

struct wm_result {
    enum guest_walk_result r;
    uint64_t gpa;
    uint32_t pfec;
};

struct wm {
    const struct guest_paging *g;
    struct walk_memory *m;
    uint32_t access;
    bool w, u, nx; /* so far */
    uint64_t *touched[4];
    uint32_t *touched32[4];
    uint64_t at[4];
    int n;
};

static inline uint32_t wm_code(const struct wm *s, bool wide, uint32_t bits)
{
    bool fetch = (s->access & PFEC_I) &&
                 ((wide && (s->g->efer >> 11 & 1)) || (s->g->cr4 >> 20 & 1));

    return bits | (s->access & PFEC_W) | (s->access & PFEC_U) | (fetch ? PFEC_I : 0);
}

static inline struct wm_result wm_fault(const struct wm *s, bool wide, uint32_t bits)
{
    return (struct wm_result){ WALK_FAULT, 0, wm_code(s, wide, bits) };
}

/* The page is found: rights, then accessed and dirty. */
static inline struct wm_result wm_finish(struct wm *s, bool wide, uint64_t gpa)
{
    const struct guest_paging *g = s->g;
    bool user = s->access & PFEC_U, write = s->access & PFEC_W, fetch = s->access & PFEC_I,
         ok = true;
    bool wp = g->cr0 >> 16 & 1, smep = g->cr4 >> 20 & 1, smap = g->cr4 >> 21 & 1;
    bool ac = (g->rflags >> 18 & 1) && !(s->access & WALK_IMPLICIT);

    if (user && !s->u)
        ok = false;
    if (write && !s->w && (user || wp))
        ok = false;
    if (fetch && s->nx)
        ok = false;
    if (!user && s->u && fetch && smep)
        ok = false;
    if (!user && s->u && !fetch && smap && !ac)
        ok = false;
    if (!ok)
        return wm_fault(s, wide, PFEC_P);
    for (int i = 0; i < s->n && !(s->access & WALK_LOOK); i++) {
        uint64_t add = 0x20 | (i + 1 == s->n && write ? 0x40 : 0);
        uint64_t have = s->touched[i] ? *s->touched[i] : *s->touched32[i];

        if ((have & add) == add)
            continue;
        if (s->at[i] >= WM_READ_ONLY)
            return (struct wm_result){ WALK_NO_TABLE, s->at[i] << 12, 0 };
        if (s->touched[i])
            *s->touched[i] |= add;
        else
            *s->touched32[i] |= (uint32_t)add;
    }
    return (struct wm_result){ WALK_OK, gpa, 0 };
}

static inline struct wm_result wm_none(uint64_t pa)
{
    return (struct wm_result){ WALK_NO_TABLE, pa & ~0xfffull, 0 };
}

static inline bool wm_any(uint64_t e, int high, int low)
{
    return high >= low && (e >> low & (~0ull >> (63 - (high - low)))) != 0;
}

static inline struct wm_result wm_walk32(struct wm *s, uint32_t va)
{
    uint64_t cr3 = s->g->cr3 & 0xfffff000, pde, pte, pa;
    uint32_t *e;

    if (cr3 >> 12 >= WM_PAGES)
        return wm_none(cr3);
    e = (uint32_t *)s->m->page[cr3 >> 12] + (va >> 22);
    pde = *e;
    if (!(pde & 1))
        return wm_fault(s, false, 0);
    s->touched32[s->n] = e;
    s->at[s->n++] = cr3 >> 12;
    s->w = pde >> 1 & 1;
    s->u = pde >> 2 & 1;
    if ((s->g->cr4 >> 4 & 1) && (pde >> 7 & 1)) {
        int top = s->g->phys_bits < 40 ? s->g->phys_bits : 40; /* bits 32 .. top-1 exist */

        if (top < 32)
            top = 32;
        if (wm_any(pde, 21, 13 + (top - 32)))
            return wm_fault(s, false, PFEC_P | PFEC_RSVD);
        pa = (pde >> 22 << 22) | (pde >> 13 & 0xff) << 32 | (va & 0x3fffff);
        return wm_finish(s, false, pa);
    }
    pa = pde & 0xfffff000;
    if (pa >> 12 >= WM_PAGES)
        return wm_none(pa);
    e = (uint32_t *)s->m->page[pa >> 12] + (va >> 12 & 1023);
    pte = *e;
    if (!(pte & 1))
        return wm_fault(s, false, 0);
    s->touched32[s->n] = e;
    s->at[s->n++] = pa >> 12;
    s->w &= pte >> 1 & 1;
    s->u &= pte >> 2 & 1;
    return wm_finish(s, false, (pte & 0xfffff000) | (va & 0xfff));
}

/* From a directory on: what PAE and long mode have in common. size: bits of address below it. */
static inline struct wm_result wm_wide(struct wm *s, uint64_t va, uint64_t table, int size,
                                       bool lma)
{
    bool nxe = s->g->efer >> 11 & 1;

    for (; size >= 12; size -= 9) {
        uint64_t *e, v;
        bool rsvd, leaf = size == 12;

        if (table >> 12 >= WM_PAGES)
            return wm_none(table);
        e = &s->m->page[table >> 12][va >> size & 511];
        v = *e;
        if (!(v & 1))
            return wm_fault(s, true, 0);
        rsvd = wm_any(v, 51, s->g->phys_bits) || (!nxe && v >> 63);
        if (!lma)
            rsvd |= wm_any(v, 62, 52);
        if (v >> 7 & 1) {
            if (size == 39 || (size == 30 && !s->g->page1gb))
                rsvd = true;
            else if (size > 12) {
                leaf = true;
                rsvd |= wm_any(v, size - 1, 13);
            }
        }
        if (rsvd)
            return wm_fault(s, true, PFEC_P | PFEC_RSVD);
        s->touched[s->n] = e;
        s->at[s->n++] = table >> 12;
        s->w &= v >> 1 & 1;
        s->u &= v >> 2 & 1;
        s->nx |= v >> 63;
        if (leaf)
            return wm_finish(
                s, true, (v & 0x000fffffffffffff) >> size << size | (va & ((1ull << size) - 1)));
        table = v & 0x000ffffffffff000;
    }
    return wm_none(0);
}

static inline struct wm_result wm_walk(const struct guest_paging *g, struct walk_memory *m,
                                       uint64_t va, uint32_t access)
{
    struct wm s = { .g = g, .m = m, .access = access, .w = true, .u = true };

    if (!(g->cr0 >> 31 & 1))
        return (struct wm_result){ WALK_OK, va & 0xffffffff, 0 };
    if (g->efer >> 10 & 1)
        return wm_wide(&s, va, g->cr3 & 0x000ffffffffff000, 39, true);
    if (!(g->cr4 >> 5 & 1))
        return wm_walk32(&s, (uint32_t)va);
    /* Four entries of the first table; no rights in them. */
    uint64_t pdpt = g->cr3 & 0xffffffe0, e;
    if (pdpt >> 12 >= WM_PAGES)
        return wm_none(pdpt);
    e = m->page[pdpt >> 12][(pdpt & 0xfff) / 8 + (va >> 30 & 3)];
    if (!(e & 1))
        return wm_fault(&s, true, 0);
    if (wm_any(e, 63, g->phys_bits) || wm_any(e, 2, 1) || wm_any(e, 8, 6))
        return wm_fault(&s, true, PFEC_P | PFEC_RSVD);
    return wm_wide(&s, va, e & 0x000ffffffffff000, 21, false);
}

#endif
