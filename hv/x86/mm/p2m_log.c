/* SPDX-License-Identifier: MIT */
/*
 * The dirty log of a p2m: the CPU sets the dirty bit of the leaf through which a page is written,
 * the log takes it back. Leaves are made with the bit set, which saves the CPU the trouble where
 * nobody asks; who begins a log therefore finds everything written once. Leaves that are logged
 * are small. What the hypervisor writes on a guest's behalf it marks itself.
 *
 * A CPU that has the translation in its TLB does not set the bit again: until p2m_sync() after
 * p2m_dirty() a write may be missed, so the pages are read after that.
 */
#include "x86/mm/p2m_private.h"

#include <xen/errno.h>

#include "core/pcpu.h"
#include "lib/bitmap.h"

/* Takes the dirty bit of the leaf at gfn. 1: it was set, 0, or -errno. [lock] */
static int harvest(struct p2m *p, gfn_t gfn)
{
    uint64_t *table, *e;
    int level, rc;

    for (;;) {
        e = find_entry(p, gfn, &level, &table);
        if (!p2m_is_ram(entry_type(*e)) || !(*e & p->fmt->dirty))
            return 0;
        if (level == 1)
            break;
        rc = p2m_split(p, table, e, level);
        if (rc)
            return rc;
    }
    __atomic_fetch_and(e, ~p->fmt->dirty, __ATOMIC_ACQ_REL);
    p->removed++;
    return 1;
}

int p2m_dirty(struct p2m *p, gfn_t gfn, uint64_t nr, uint64_t *done, unsigned long *bitmap)
{
    struct pcpu *cpu = arch_this_cpu();

    while (*done < nr) {
        uint64_t upto = MIN(nr, *done + 64);
        int rc = 0;

        spin_lock(&p->lock);
        for (; *done < upto && rc >= 0; ++*done) {
            rc = harvest(p, GFN(gfn.v + *done));
            if (rc > 0)
                bitmap_set(bitmap, *done);
        }
        spin_unlock(&p->lock);
        if (rc < 0)
            return --*done, rc;
        if (*done < nr && pcpu_gives_way(cpu, 4))
            return -XEN_EAGAIN;
    }
    return 0;
}

/* The leaf at gfn: is it marked, or need not be? Else it is marked here if it still is the same. */
static bool mark(struct p2m *p, gfn_t gfn)
{
    int level;
    uint64_t *at = find_entry(p, gfn, &level, NULL), e = entry_load(at);

    if (!p2m_is_ram(entry_type(e)) || (e & (p->fmt->write | p->fmt->dirty)) != p->fmt->write)
        return true;
    return __atomic_compare_exchange_n(at, &e, e | p->fmt->dirty, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

void p2m_mark_dirty(struct p2m *p, gfn_t gfn)
{
    bool here = p2m_runs_here(p);

    if (gfn.v >> P2M_GFN_BITS)
        return;
    if (!here)
        spin_lock(&p->lock);
    while (!mark(p, gfn)) /* the CPU, or another one, changed it */
        ;
    if (!here)
        spin_unlock(&p->lock);
}
