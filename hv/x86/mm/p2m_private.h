/* SPDX-License-Identifier: MIT */
/* Entries and tables of a p2m, for p2m*.c only. */
#ifndef X86_MM_P2M_PRIVATE_H
#define X86_MM_P2M_PRIVATE_H

#include "core/bug.h"
#include "core/domain.h"
#include "core/frame.h"
#include "core/pcpu.h"
#include "x86/mm/p2m.h"
#include "x86/mm/paging.h"

/* The type of a leaf, in bits that no format's CPU looks at. */
#define TYPE_SHIFT 52
#define TYPE_MASK (31ull << TYPE_SHIFT)
#define TOP_LEVEL 4

static inline uint64_t entry_load(const uint64_t *e)
{
    return __atomic_load_n(e, __ATOMIC_ACQUIRE);
}

static inline unsigned int entry_slot(gfn_t gfn, int level)
{
    return (unsigned int)(gfn.v >> (9 * (level - 1))) & 511;
}

/* Pages that an entry of `level` stands for. */
static inline uint64_t level_pages(int level)
{
    return 1ull << (9 * (level - 1));
}

static inline enum p2m_type entry_type(uint64_t e)
{
    return (enum p2m_type)((e & TYPE_MASK) >> TYPE_SHIFT);
}

static inline bool entry_present(const struct p2m *p, uint64_t e)
{
    return (e & p->fmt->present) != 0;
}

static inline bool entry_is_table(const struct p2m *p, uint64_t e, int level)
{
    return level > 1 && entry_present(p, e) && !(e & PTE_PS);
}

static inline uint64_t *entry_table(uint64_t e)
{
    return direct(e & PTE_ADDR);
}

/* What may be overwritten by a new leaf. */
static inline bool entry_is_free(uint64_t e)
{
    enum p2m_type t = entry_type(e);

    return t == P2M_HOLE || t == P2M_MMIO_DM || t == P2M_POD;
}

/* Entries of a table in use, in its frame's record. [lock] */
static inline uint16_t *table_count(const uint64_t *table)
{
    return &frame_of(MFN(direct_pa(table) >> PAGE_SHIFT))->progress;
}

/*
 * The entry that decides about gfn, a leaf or a hole, and its level. *table, unless NULL: the table
 * that it is in.
 */
static inline uint64_t *find_entry(const struct p2m *p, gfn_t gfn, int *level, uint64_t **table)
{
    const uint64_t present = p->fmt->present;
    uint64_t *t = p->root;

    for (int l = TOP_LEVEL;; l--) {
        uint64_t *e = &t[entry_slot(gfn, l)], v = entry_load(e);

        if (l == 1 || !(v & present) || v & PTE_PS) {
            *level = l;
            if (table)
                *table = t;
            return e;
        }
        t = entry_table(v);
    }
}

/* Tables stay while this CPU walks them without the lock: p2m_sync() waits for it. */
static inline bool p2m_runs_here(const struct p2m *p)
{
    const struct vcpu *v = arch_this_cpu()->current;

    return __builtin_expect(v && v->domain == p->d, 1);
}

/* Stores a leaf or a hole in place of a leaf or a hole, and counts. [lock] */
void p2m_set_entry(struct p2m *p, uint64_t *table, uint64_t *e, int level, uint64_t new);
/* Makes a table of the leaf or hole *e, which says the same. 0, -ENOMEM. [lock] */
int p2m_split(struct p2m *p, uint64_t *table, uint64_t *e, int level);
/* Frees a table that no CPU can reach. [lock] */
void p2m_free_table(struct p2m *p, uint64_t *table);

#endif
