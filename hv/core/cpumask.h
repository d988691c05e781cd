/* SPDX-License-Identifier: MIT */
/*
 * A set of CPUs, by pcpu.id. Functions whose name says `atomic` may meet others that change the
 * same set; cpumask_test() may as well. The rest is for sets of one's own, or under their lock.
 */
#ifndef CORE_CPUMASK_H
#define CORE_CPUMASK_H

#include "core/param.h"
#include "lib/bitmap.h"

struct cpumask {
    DECLARE_BITMAP(w, MAX_CPUS);
};

#define CPUMASK_NONE ((struct cpumask){ { 0 } })
#define CPUMASK_ALL ((struct cpumask){ { [0 ... BITMAP_LONGS(MAX_CPUS) - 1] = ~0ul } })

extern const struct cpumask cpumask_all; /* CPUMASK_ALL: everybody that is there */

static inline bool cpumask_test(const struct cpumask *m, unsigned int cpu)
{
    return bit_test(m->w, cpu);
}

static inline void cpumask_set(struct cpumask *m, unsigned int cpu)
{
    bitmap_set(m->w, cpu);
}

static inline void cpumask_set_atomic(struct cpumask *m, unsigned int cpu)
{
    bit_set(m->w, cpu);
}

static inline void cpumask_clear_atomic(struct cpumask *m, unsigned int cpu)
{
    bit_clear(m->w, cpu);
}

static inline bool cpumask_test_and_clear_atomic(struct cpumask *m, unsigned int cpu)
{
    return bit_test_and_clear(m->w, cpu);
}

/* What m is, word by word, while others change it. */
static inline struct cpumask cpumask_read_atomic(const struct cpumask *m)
{
    struct cpumask now;

    for (size_t i = 0; i < BITMAP_LONGS(MAX_CPUS); i++)
        now.w[i] = __atomic_load_n(&m->w[i], __ATOMIC_SEQ_CST);
    return now;
}

/* m becomes `to`, word by word, while others read it. */
static inline void cpumask_write_atomic(struct cpumask *m, const struct cpumask *to)
{
    for (size_t i = 0; i < BITMAP_LONGS(MAX_CPUS); i++)
        __atomic_store_n(&m->w[i], to->w[i], __ATOMIC_RELAXED);
}

static inline struct cpumask cpumask_of(unsigned int cpu)
{
    struct cpumask m = CPUMASK_NONE;

    cpumask_set(&m, cpu);
    return m;
}

static inline struct cpumask cpumask_and(const struct cpumask *a, const struct cpumask *b)
{
    struct cpumask m;

    for (size_t i = 0; i < BITMAP_LONGS(MAX_CPUS); i++)
        m.w[i] = a->w[i] & b->w[i];
    return m;
}

static inline bool cpumask_empty(const struct cpumask *m)
{
    return bitmap_empty(m->w, MAX_CPUS);
}

static inline bool cpumask_intersects(const struct cpumask *a, const struct cpumask *b)
{
    struct cpumask both = cpumask_and(a, b);

    return !cpumask_empty(&both);
}

static inline unsigned int cpumask_weight(const struct cpumask *m)
{
    return (unsigned int)bitmap_weight(m->w, MAX_CPUS);
}

/* The first one, or MAX_CPUS. */
static inline unsigned int cpumask_first(const struct cpumask *m)
{
    return (unsigned int)bitmap_first(m->w, MAX_CPUS);
}

/* The only one in it; MAX_CPUS or more: there is none, or another one. */
static inline unsigned int cpumask_single(const struct cpumask *m)
{
    unsigned int cpu = cpumask_first(m);

    return bitmap_next(m->w, MAX_CPUS, cpu + 1) < MAX_CPUS ? MAX_CPUS : cpu;
}

#endif
