/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor counts for whoever watches: each CPU for itself, always, so a count costs one
 * addition to memory that no other CPU writes. sysctl perfc_op (hc_perfc.c) adds them up.
 */
#ifndef CORE_COUNT_H
#define CORE_COUNT_H

#include <stdint.h>

#define COUNT_CALLS 64 /* hypercalls by number */
#define COUNT_WAITS 20 /* powers of two of a microsecond */
#define COUNT_KIND 4   /* of a vCPU, by its guest kind (guest_ops.h) */
#define COUNT_COSTS 8  /* 128 ns and its products with powers of four */

enum count {
    COUNT_SWITCHES, /* another vCPU got the CPU */
    COUNT_STEALS,   /* it came from another CPU's queue */
    COUNT_WAKES,    /* a vCPU had a reason to run again */
    COUNT_EVENTS,   /* sent by guests */
    COUNT_KICKS,    /* interrupts to another CPU so that it looks at its work */
    COUNT_TIMERS,   /* timers that fired */
    COUNT_WORK,     /* looks at pending work on the way to a guest */
    COUNT_MAPS,     /* grants mapped */
    COUNT_UNMAPS,   /* and unmapped */
    COUNT_COPIES,   /* grant copies */
    COUNT_FORCED,   /* ns that it idled beside another domain though vCPUs waited for it */
    NR_COUNTS
};

/* What calls of a number cost, while somebody looks (watch.h). */
struct call_cost {
    uint64_t ns;
    uint32_t calls[COUNT_COSTS]; /* how many took so long, see count_cost() */
};

struct counts {
    uint64_t n[NR_COUNTS];
    uint64_t calls[COUNT_CALLS];
    uint64_t waits[COUNT_WAITS]; /* how long vCPUs waited for the CPU, see count_wait() */
    struct call_cost costs[COUNT_CALLS];
};

/* The place of a wait in a histogram: 0 is below a microsecond, n below 2^n microseconds. */
static inline unsigned int count_wait(uint64_t ns)
{
    uint64_t us = ns / 1000;
    unsigned int n = us ? 64 - (unsigned int)__builtin_clzll(us) : 0;

    return n < COUNT_WAITS ? n : COUNT_WAITS - 1;
}

/* The place of a cost in a histogram: n is below 128 * 4^n ns, the last one whatever is more. */
static inline unsigned int count_cost(uint64_t ns)
{
    uint64_t m = ns >> 7;
    unsigned int n = m ? (65 - (unsigned int)__builtin_clzll(m)) / 2 : 0;

    return n < COUNT_COSTS ? n : COUNT_COSTS - 1;
}

#define COUNT(pcpu, what) ((void)(pcpu)->counts.n[COUNT_##what]++)

#endif
