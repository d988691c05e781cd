/* SPDX-License-Identifier: MIT */
/* The end of a p2m, a table at a time, and its recount. */
#include "x86/mm/p2m_private.h"

#include <xen/errno.h>

#include "core/log.h"
#include "core/pcpu.h"

/* The leaf goes, and with it the reference that it stands for. RAM's is the page list's. */
static void drop_leaf(struct p2m *p, uint64_t *table, uint64_t *e, int level)
{
    enum p2m_type t = entry_type(*e);
    struct frame *f = frame_of(maddr_mfn(MADDR(*e & PTE_ADDR)));

    p2m_set_entry(p, table, e, level, 0);
    if (f && (t == P2M_SHARED || t == P2M_FOREIGN || t == P2M_FOREIGN_RO)) {
        spin_unlock(&p->lock); /* the last reference to a frame takes many locks */
        frame_put(f);
        spin_lock(&p->lock);
    }
}

/* Empties and frees a table of the lowest level below the root that there is. False: none. [lock]
 */
static bool free_one(struct p2m *p)
{
    uint64_t *up = NULL, *slot = NULL, *t = p->root;
    int level = TOP_LEVEL;

    for (unsigned int i = 0; i < 512; i++) {
        if (!entry_is_table(p, t[i], level))
            continue;
        up = t;
        slot = &t[i];
        t = entry_table(t[i]);
        level--;
        i = ~0u; /* look through that one from its start */
    }
    for (unsigned int i = 0; i < 512; i++)
        if (t[i])
            drop_leaf(p, t, &t[i], level);
    if (!up)
        return false;
    *slot = 0;
    --*table_count(up);
    p2m_free_table(p, t);
    return true;
}

int p2m_teardown(struct p2m *p)
{
    bool more = true;

    if (!p->root)
        return 0;
    p2m_sync(p);
    while (more) {
        spin_lock(&p->lock);
        more = free_one(p);
        spin_unlock(&p->lock);
        if (more && pcpu_gives_way(arch_this_cpu(), 10))
            return -XEN_EAGAIN;
    }
    p2m_free_table(p, p->root);
    p->root = NULL;
    return 0;
}

/* --- the recount --- */

static bool walk(const struct p2m *p, const uint64_t *table, int level, uint64_t gfn,
                 p2m_leaf_fn *fn, void *arg)
{
    for (unsigned int i = 0; i < 512; i++, gfn += level_pages(level)) {
        struct p2m_entry e = { MFN_NONE, entry_type(table[i]), (uint8_t)(9 * (level - 1)) };

        if (entry_is_table(p, table[i], level)) {
            if (!walk(p, entry_table(table[i]), level - 1, gfn, fn, arg))
                return false;
        } else if (table[i]) {
            if (entry_present(p, table[i]))
                e.mfn = maddr_mfn(MADDR(table[i] & PTE_ADDR));
            if (!fn(arg, GFN(gfn), e))
                return false;
        }
    }
    return true;
}

void p2m_for_each(const struct p2m *p, p2m_leaf_fn *fn, void *arg)
{
    if (p->root)
        walk(p, p->root, TOP_LEVEL, 0, fn, arg);
}

struct recount {
    const struct p2m *p;
    uint64_t entries[P2M_TYPES];
    unsigned int bad;
};

/* What a frame of this type must be. */
static bool frame_fits(const struct p2m *p, enum p2m_type t, const struct frame *f)
{
    uint64_t s = f ? f->state : 0;

    if (p2m_is_ram(t))
        return f && f->owner == p->d->id && (s & FRAME_ALLOCATED) && !(s & FRAME_HV);
    if (t == P2M_SHARED)
        return f && f->owner == p->d->id && (s & FRAME_HV) && frame_refs(s) > 1;
    return t == P2M_MMIO_DIRECT || (frame_refs(s) && f->owner < DOMID_FIRST_RESERVED);
}

static bool recount_leaf(void *arg, gfn_t gfn, struct p2m_entry e)
{
    struct recount *r = arg;

    r->entries[e.type] += 1ull << e.order;
    for (uint64_t i = 0; !mfn_eq(e.mfn, MFN_NONE) && i < 1ull << e.order; i++) {
        if (frame_fits(r->p, e.type, frame_of(mfn_add(e.mfn, i))))
            continue;
        log_err("audit: d%u's guest frame %#llx, type %u: frame %#llx is no such frame",
                r->p->d->id, (unsigned long long)(gfn.v + i), e.type,
                (unsigned long long)(e.mfn.v + i));
        r->bad++;
        break;
    }
    return r->bad < 32;
}

/* Pages of the tree below `table`, each with its count of entries. */
static uint32_t recount_tables(struct recount *r, const uint64_t *table, int level)
{
    unsigned int used = 0;
    uint32_t pages = 1;

    for (unsigned int i = 0; i < 512; i++) {
        used += table[i] != 0;
        if (entry_is_table(r->p, table[i], level))
            pages += recount_tables(r, entry_table(table[i]), level - 1);
    }
    if (used != *table_count(table) || (used == 0 && level < TOP_LEVEL)) {
        log_err("audit: d%u's table of level %d has %u entries, %u counted", r->p->d->id, level,
                *table_count(table), used);
        r->bad++;
    }
    return pages;
}

unsigned int p2m_audit(const struct p2m *p)
{
    struct recount r = { .p = p };
    uint32_t pages;

    if (!p->root)
        return 0;
    pages = recount_tables(&r, p->root, TOP_LEVEL);
    for (uint32_t m = p->retired; m; m = frame_table[m].next)
        pages++;
    p2m_for_each(p, recount_leaf, &r);
    if (pages != p->tables || p->tables > p->tables_max) {
        log_err("audit: d%u has %u pages of nested tables, %u counted", p->d->id, p->tables, pages);
        r.bad++;
    }
    for (unsigned int t = 0; t < P2M_TYPES && r.bad < 32; t++) {
        if (r.entries[t] == p->entries[t])
            continue;
        log_err("audit: d%u has %llu pages of type %u, %llu counted", p->d->id,
                (unsigned long long)p->entries[t], t, (unsigned long long)r.entries[t]);
        r.bad++;
    }
    return r.bad;
}
