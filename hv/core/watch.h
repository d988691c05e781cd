/* SPDX-License-Identifier: MIT */
/*
 * What somebody looks at now. All of it in one word, so that a path on which several things could
 * be looked at costs one branch while nothing is.
 */
#ifndef CORE_WATCH_H
#define CORE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

enum watch {
    WATCH_TRACE = 1u << 0, /* records of events (trace.h) */
    WATCH_COSTS = 1u << 1, /* what hypercalls cost (hc_perfc.c) */
};

extern uint32_t watched; /* atomic: enum watch */

static inline bool watching(enum watch what)
{
    return __builtin_expect(__atomic_load_n(&watched, __ATOMIC_RELAXED) & what, 0);
}

struct vcpu;
struct hc_args;
/*
 * v, current, calls hypercall nr, and somebody watches: makes the call by fn. In one, so that the
 * path without watchers keeps nothing for afterwards.
 */
long watched_hypercall(struct vcpu *v, unsigned long nr, const struct hc_args *args,
                       long (*fn)(struct vcpu *v, const struct hc_args *args))
    __attribute__((cold));

#endif
