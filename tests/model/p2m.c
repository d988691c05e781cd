/* SPDX-License-Identifier: MIT */
/*
 * The p2m of two hostile domains against a flat record, with CPUs whose TLBs and caches of table
 * pointers forget only when the flush hook tells them. After each p2m_sync() no CPU may hold a
 * translation that the record does not allow, and nothing may point to a freed table.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/errno.h>

#include "host/host.h"
#include "model/stream.h"
#include "x86/mm/p2m.h"
#include "x86/mm/paging.h"

#define DOMS 2
#define RAM 6144         /* frames */
#define SPAN 2048        /* guest frames looked at, in two places */
#define FAR (1ull << 18) /* the second place: 1 GiB */
#define CACHED 48
#define POINTERS 24

void *direct(uint64_t pa)
{
    return arch_map(MFN(pa >> PAGE_SHIFT));
}

uint64_t direct_pa(const void *p)
{
    return arch_unmap(p).v << PAGE_SHIFT;
}

struct page {
    uint32_t mfn;
    uint8_t type;
};

struct cached {
    uint64_t gfn, mfn;
    bool write;
};

struct pointer { /* a CPU's note that the table for this gfn is there */
    uint64_t gfn, pa;
    int level;
};

struct guest {
    struct domain *d;
    struct p2m p2m;
    struct page page[SPAN];
    struct cached tlb[CACHED];
    struct pointer ptr[POINTERS];
    unsigned int next_tlb, next_ptr;
    bool dirty[SPAN]; /* written since the last look, and the log is on */
    bool logging;
    /* Taken away, not yet synced: what is to be dropped afterwards. */
    struct p2m_entry gone[64];
    unsigned int nr_gone;
    void *shared; /* a page of the hypervisor's */
};

static struct guest guests[DOMS];
static bool failed;

#define EXPECT(cond)                                                         \
    do {                                                                     \
        if (!(cond)) {                                                       \
            printf("%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond); \
            failed = true;                                                   \
        }                                                                    \
    } while (0)

static uint64_t gfn_at(unsigned int i)
{
    return i < SPAN / 2 ? i : FAR + i - SPAN / 2;
}

/* --- what CPUs do --- */

static void remember(struct guest *g, uint64_t gfn, uint64_t mfn, bool write)
{
    g->tlb[g->next_tlb++ % CACHED] = (struct cached){ gfn + 1, mfn, write };
}

/* A walk as AMD's manual says, from a pointer that is cached, or from the top; it may be stale. */
static void hw_walk(struct guest *g, unsigned int i, bool write, uint64_t rnd)
{
    uint64_t gfn = gfn_at(i), pa = p2m_root(&g->p2m).v, step = 0;
    int level = 4;
    struct pointer *p = &g->ptr[rnd % POINTERS];

    for (unsigned int k = 0; write && k < CACHED; k++)
        if (g->tlb[k].gfn == gfn + 1 && g->tlb[k].write) {
            g->dirty[i] = true; /* and the tables do not hear of it */
            return;
        }
    if (p->pa && p->gfn >> (9 * p->level) == gfn >> (9 * p->level)) {
        pa = p->pa;
        level = p->level;
    }
    for (;; level--) {
        uint64_t *e = (uint64_t *)direct(pa) + ((gfn >> (9 * (level - 1))) & 511);

        if (!(*e & 1))
            return;
        if ((*e & 0x80) || level == 1) {
            if (level == 1 && (*e & 0x80))
                EXPECT(!"bit 7 in a small leaf");
            if (write && !(*e & 2))
                return;
            if (write)
                *e |= g->p2m.fmt->dirty;
            step = (gfn & ((1ull << (9 * (level - 1))) - 1));
            remember(g, gfn, ((*e & PTE_ADDR) >> 12) + step, *e & 2 && *e & g->p2m.fmt->dirty);
            if (write)
                g->dirty[i] = true;
            return;
        }
        EXPECT((*e & 7) == 7);
        pa = *e & PTE_ADDR;
        g->ptr[g->next_ptr++ % POINTERS] = (struct pointer){ gfn, pa, level - 1 };
    }
}

static void flush(struct domain *d)
{
    for (int i = 0; i < DOMS; i++)
        if (guests[i].d == d) {
            memset(guests[i].tlb, 0, sizeof(guests[i].tlb));
            memset(guests[i].ptr, 0, sizeof(guests[i].ptr));
        }
}

static const struct p2m_hooks hooks = { .flush = flush };

/* --- the record --- */

static bool may_write(uint8_t t)
{
    return t == P2M_RAM || t == P2M_SHARED || t == P2M_GRANT_RW || t == P2M_FOREIGN;
}

static void check_tlb(struct guest *g)
{
    for (unsigned int i = 0; i < CACHED; i++) {
        const struct cached *c = &g->tlb[i];

        if (!c->gfn)
            continue;
        uint64_t gfn = c->gfn - 1, at = gfn < FAR ? gfn : gfn - FAR + SPAN / 2;
        const struct page *p = &g->page[at];
        EXPECT(p->mfn == c->mfn);
        EXPECT(!c->write || may_write(p->type));
        EXPECT(frame_refs(frame_table[c->mfn].state) > 0);
    }
    for (unsigned int i = 0; i < POINTERS; i++)
        if (g->ptr[i].pa)
            EXPECT(frame_table[g->ptr[i].pa >> 12].state & FRAME_HV);
}

static void sync_all(struct guest *g)
{
    p2m_sync(&g->p2m);
    check_tlb(g);
    for (unsigned int i = 0; i < g->nr_gone; i++) {
        struct p2m_entry *e = &g->gone[i];

        for (uint64_t j = 0; j < 1ull << e->order && !mfn_eq(e->mfn, MFN_NONE); j++) {
            struct frame *f = frame_of(mfn_add(e->mfn, j));

            if (p2m_is_ram(e->type))
                EXPECT(frame_release(f, g->d));
            else
                frame_put(f);
        }
    }
    g->nr_gone = 0;
}

static void check_page(struct guest *g, unsigned int i)
{
    struct p2m_entry e = p2m_lookup(&g->p2m, GFN(gfn_at(i)));

    EXPECT(e.type == g->page[i].type);
    EXPECT(g->page[i].mfn ? e.mfn.v == g->page[i].mfn : mfn_eq(e.mfn, MFN_NONE));
    mfn_t mfn;
    EXPECT(p2m_peek(&g->p2m, GFN(gfn_at(i)), true, &mfn) == may_write(g->page[i].type));
    EXPECT(p2m_peek(&g->p2m, GFN(gfn_at(i)), false, &mfn) == (g->page[i].mfn != 0));
    EXPECT(!g->page[i].mfn || mfn.v == g->page[i].mfn);
    EXPECT(p2m_allows(&g->p2m, GFN(gfn_at(i)), false, false) == (g->page[i].mfn != 0));
    EXPECT(p2m_allows(&g->p2m, GFN(gfn_at(i)), true, false) == may_write(g->page[i].type));
    EXPECT(p2m_allows(&g->p2m, GFN(gfn_at(i)), false, true) == p2m_is_ram(g->page[i].type));
}

/* --- steps --- */

static bool fits(unsigned int i, unsigned int order)
{
    return i % (1u << order) == 0 && i % (SPAN / 2) + (1u << order) <= SPAN / 2;
}

static bool range_free(const struct guest *g, unsigned int i, unsigned int order)
{
    for (unsigned int j = i; j < i + (1u << order); j++)
        if (g->page[j].type != P2M_HOLE && g->page[j].type != P2M_MMIO_DM &&
            g->page[j].type != P2M_POD)
            return false;
    return true;
}

static void set_range(struct guest *g, unsigned int i, unsigned int order, uint64_t mfn, uint8_t t)
{
    for (unsigned int j = 0; j < 1u << order; j++)
        g->page[i + j] = (struct page){ mfn ? (uint32_t)(mfn + j) : 0, t };
}

static void populate(struct guest *g, unsigned int i, unsigned int order)
{
    struct frame *f = frame_alloc_for(g->d, order, 0);

    if (!f)
        return;
    if (frame_assign(f, order, g->d)) {
        frame_free(f, order);
        return;
    }
    int rc = p2m_place(&g->p2m, GFN(gfn_at(i)), frame_mfn(f), order, P2M_RAM);
    if (rc) {
        EXPECT(rc == -XEN_ENOMEM || (rc == -XEN_EBUSY && !range_free(g, i, order)));
        for (unsigned int j = 0; j < 1u << order; j++)
            frame_release(f + j, g->d);
        return;
    }
    EXPECT(range_free(g, i, order));
    set_range(g, i, order, frame_mfn(f).v, P2M_RAM);
}

static void place_empty(struct guest *g, unsigned int i, unsigned int order, enum p2m_type t)
{
    int rc = p2m_place(&g->p2m, GFN(gfn_at(i)), MFN_NONE, order, t);

    EXPECT(rc == 0 || rc == -XEN_ENOMEM || (rc == -XEN_EBUSY && !range_free(g, i, order)));
    if (rc == 0)
        set_range(g, i, order, 0, t);
}

static void remove_piece(struct guest *g, unsigned int i, unsigned int order, uint64_t word)
{
    struct p2m_entry was;
    mfn_t only = word & 1 ? MFN(g->page[i].mfn ^ (word >> 1 & 1)) : MFN_NONE;
    int rc = p2m_remove(&g->p2m, GFN(gfn_at(i)), only, order, &was);

    if (rc == -XEN_ENOMEM)
        return;
    if (rc) {
        EXPECT(rc == -XEN_ENOENT);
        EXPECT(g->page[i].type == P2M_HOLE || (word & 1 && (word & 2 || !g->page[i].mfn)));
        return;
    }
    EXPECT(was.order <= order && was.type == g->page[i].type);
    EXPECT(mfn_eq(was.mfn, MFN_NONE) ? !g->page[i].mfn : was.mfn.v == g->page[i].mfn);
    EXPECT(mfn_eq(only, MFN_NONE) || was.mfn.v == only.v);
    for (unsigned int j = 0; j < 1u << was.order; j++) {
        EXPECT(g->page[i + j].type == was.type);
        EXPECT(!g->page[i].mfn || g->page[i + j].mfn == g->page[i].mfn + j);
    }
    set_range(g, i, was.order, 0, P2M_HOLE);
    g->gone[g->nr_gone++] = was;
}

/* Another domain's frame, by foreign map or grant. */
static void borrow(struct guest *g, struct guest *from, unsigned int i, unsigned int j,
                   enum p2m_type t)
{
    struct p2m_entry e;
    bool write = may_write(t);
    int rc = p2m_get(&from->p2m, GFN(gfn_at(j)), write ? P2M_WRITE : 0, &e);

    if (from->page[j].type == P2M_RAM)
        EXPECT(rc == 0);
    if (rc)
        return;
    EXPECT(e.mfn.v == from->page[j].mfn);
    EXPECT(!write || may_write(from->page[j].type));
    EXPECT(from->page[j].type < P2M_GRANT_RW);
    if (p2m_place(&g->p2m, GFN(gfn_at(i)), e.mfn, 0, t)) {
        frame_put(frame_of(e.mfn));
        return;
    }
    EXPECT(range_free(g, i, 0));
    set_range(g, i, 0, e.mfn.v, t);
}

static void share(struct guest *g, unsigned int i)
{
    struct frame *f = frame_of(arch_unmap(g->shared));

    if (!frame_get(f, g->d))
        return;
    if (p2m_place(&g->p2m, GFN(gfn_at(i)), frame_mfn(f), 0, P2M_SHARED))
        frame_put(f);
    else
        set_range(g, i, 0, frame_mfn(f).v, P2M_SHARED);
}

static void change_type(struct guest *g, unsigned int i, unsigned int order, uint64_t word)
{
    static const uint8_t to[] = { P2M_RAM, P2M_RAM_RO, P2M_IOREQ, P2M_MMIO_DM, P2M_HOLE, P2M_POD };
    enum p2m_type from = (enum p2m_type)g->page[i].type, t = (enum p2m_type)to[word % 6];
    int rc;

    if (from == P2M_SHARED || (from >= P2M_GRANT_RW && from <= P2M_FOREIGN_RO))
        return;
    rc = p2m_set_type(&g->p2m, GFN(gfn_at(i)), &order, from, t);
    if (rc) {
        EXPECT(rc == -XEN_ENOMEM ||
               (rc == -XEN_EINVAL && !g->page[i].mfn != (t >= P2M_MMIO_DM || !t)));
        return;
    }
    /* A hole may be larger than what this program looks at. */
    for (unsigned int j = i; j < SPAN && j < i + (1u << order); j++) {
        EXPECT(g->page[j].type == from);
        g->page[j].type = (uint8_t)t;
    }
}

static void look_at_log(struct guest *g, unsigned int i, unsigned int n)
{
    unsigned long bitmap[SPAN / 64] = { 0 };
    uint64_t done = 0;
    int rc;

    n = MIN(n, SPAN / 2 - i % (SPAN / 2));
    do {
        rc = p2m_dirty(&g->p2m, GFN(gfn_at(i)), n, &done, bitmap);
        host_exit_path();
        pcpu_gave_way(arch_this_cpu());
    } while (rc == -XEN_EAGAIN);
    sync_all(g);
    for (unsigned int j = 0; j < done; j++) {
        bool set = bitmap[j / 64] >> (j % 64) & 1;

        EXPECT(set || !g->dirty[i + j] || g->page[i + j].type != P2M_RAM);
        EXPECT(!set || g->page[i + j].type == P2M_RAM);
        g->dirty[i + j] = false;
    }
}

static void step(uint64_t word)
{
    static const uint8_t orders[] = { 0, 0, 0, 0, 3, 9, 9, 10 };
    static const uint8_t small[] = { 0, 0, 9, 9, 18, 0, 9, 0 };
    struct guest *g = &guests[word & 1], *other = &guests[~word & 1];
    unsigned int i = (word >> 8) % SPAN, j = (word >> 24) % SPAN, order = orders[(word >> 40) & 7];
    uint64_t rest = word >> 44;

    if (rest & 1) /* crowd together, so that large pages become whole */
        i = i & ~511u & (SPAN - 1);
    if (rest & 2)
        j = j % 64;
    switch ((word >> 1) & 15) {
    case 0:
    case 1:
        i &= ~((1u << order) - 1);
        if (fits(i, order))
            populate(g, i, order);
        break;
    case 2: /* the rest of a large page, frame by frame, as it lies */
    case 3:
        i &= ~511u;
        if (range_free(g, i, 9)) {
            struct frame *f = frame_alloc_for(g->d, 9, 0);
            bool ok = f && !frame_assign(f, 9, g->d);

            for (unsigned int k = 0; ok && k < 512; k++) {
                unsigned int at = rest & 4 ? 511 - k : k;
                int rc = p2m_place(&g->p2m, GFN(gfn_at(i + at)), mfn_add(frame_mfn(f), at), 0,
                                   P2M_RAM);

                if (rc)
                    frame_release(f + at, g->d);
                else
                    set_range(g, i + at, 0, frame_mfn(f).v + at, P2M_RAM);
            }
            if (f && !ok)
                frame_free(f, 9);
        }
        break;
    case 4:
    case 5:
    case 6:
        order = small[(word >> 40) & 7];
        if (g->nr_gone < 64)
            remove_piece(g, i & ~((1u << MIN(order, 9u)) - 1), order, rest & 8 ? rest : 0);
        break;
    case 7:
        sync_all(g);
        break;
    case 8:
        i &= ~((1u << order) - 1);
        if (fits(i, order))
            place_empty(g, i, order, rest & 4 ? P2M_MMIO_DM : rest & 8 ? P2M_POD : P2M_BROKEN);
        break;
    case 9:
        borrow(g, other, i, j, rest & 4 ? P2M_FOREIGN : rest & 8 ? P2M_GRANT_RW : P2M_GRANT_RO);
        break;
    case 10:
        if (rest & 4)
            share(g, i);
        else
            p2m_set_limit(&g->p2m, 5 + (uint32_t)(rest >> 3) % 12);
        break;
    case 11:
        change_type(g, i & ~7u, small[(word >> 40) & 3], rest >> 2);
        break;
    case 12:
        look_at_log(g, i, 1 + j);
        break;
    case 13: /* the hypervisor writes, and the log hears of it */
        p2m_mark_dirty(&g->p2m, GFN(gfn_at(j)));
        g->dirty[j] |= g->page[j].type == P2M_RAM;
        p2m_mark_dirty(&g->p2m, GFN(~0ull));
        EXPECT(p2m_place(&g->p2m, GFN((1ull << 36) - 1), MFN(1), 1, P2M_RAM) == -XEN_EINVAL);
        EXPECT(p2m_place(&g->p2m, GFN(1ull << 36), MFN(1), 0, P2M_RAM) == -XEN_EINVAL);
        EXPECT(p2m_lookup(&g->p2m, GFN(~0ull)).type == P2M_HOLE);
        break;
    default:
        for (unsigned int k = 0; k < 24; k++)
            hw_walk(g, (i + k * (1 + (j & 15))) % SPAN, (rest >> (k & 7)) & 1, rest + k);
    }
    /* A CPU looks at any time, also at what is gone and not synced. */
    hw_walk(g, j, rest & 8, rest);
    check_page(g, i);
    check_page(other, j);
}

static void finish(struct guest *g)
{
    int rc;

    sync_all(g);
    for (unsigned int i = 0; i < SPAN; i++) { /* grants end before the domain does */
        struct p2m_entry was;

        check_page(g, i);
        if (g->page[i].type != P2M_GRANT_RW && g->page[i].type != P2M_GRANT_RO)
            continue;
        EXPECT(p2m_remove(&g->p2m, GFN(gfn_at(i)), MFN(g->page[i].mfn), 0, &was) == 0);
        g->page[i] = (struct page){ 0, 0 };
        p2m_sync(&g->p2m);
        frame_put(frame_of(was.mfn));
    }
    while ((rc = p2m_teardown(&g->p2m)) == -XEN_EAGAIN)
        pcpu_gave_way(arch_this_cpu());
    EXPECT(rc == 0 && g->p2m.tables == 0);
    for (unsigned int t = 0; t < P2M_TYPES; t++)
        EXPECT(g->p2m.entries[t] == 0);
}

/* With nobody's tables left, nothing but the allocation holds a frame. */
static void give_back(struct guest *g)
{
    while (g->d->page_list && !failed)
        EXPECT(frame_release(&frame_table[g->d->page_list], g->d));
}

static bool run(const uint64_t *words, unsigned int n, bool verbose)
{
    uint64_t before;

    host_boot(RAM, 2);
    host_verbose |= verbose;
    for (int i = 0; i < DOMS; i++) {
        guests[i].d = host_domain((domid_t)(i + 1), 1, 0, false);
        guests[i].shared = frame_alloc_hv();
        frame_share(frame_of(arch_unmap(guests[i].shared)), guests[i].d, true);
    }
    /* One domain runs on this CPU, and looks without a lock. */
    before = frame_free_count();
    for (int i = 0; i < DOMS; i++)
        EXPECT(p2m_init(&guests[i].p2m, guests[i].d, i ? &p2m_ept : &p2m_npt, &hooks,
                        i ? P2M_ORDER_1G : P2M_ORDER_2M, 16) == 0);
    arch_this_cpu()->current = guests[0].d->vcpu[0];
    for (unsigned int i = 0; i < n && !failed; i++) {
        if (verbose)
            printf("step %u\n", i);
        host_fail_every = words[i] >> 60 == 15 ? 3 : 0;
        step(words[i]);
        host_fail_every = 0;
        if (i % 64 == 0 || verbose)
            for (int k = 0; k < DOMS; k++)
                EXPECT(p2m_audit(&guests[k].p2m) == 0);
    }
    for (int i = 0; i < DOMS && !failed; i++)
        EXPECT(p2m_audit(&guests[i].p2m) == 0);
    for (int i = 0; i < DOMS && !failed; i++)
        finish(&guests[i]);
    for (int i = 0; i < DOMS && !failed; i++)
        give_back(&guests[i]);
    EXPECT(failed || frame_free_count() == before);
    return !failed;
}

int main(int argc, char **argv)
{
    return stream_main(argc, argv, run, 24);
}
