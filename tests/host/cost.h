/* SPDX-License-Identifier: MIT */
#ifndef TESTS_COST_H
#define TESTS_COST_H

#include <stdint.h>

#include "core/hypercall.h"

/* Instructions so far, as cost.c counts them. */
extern uint64_t host_cost;

/* What the design allows between two looks at pending work. */
#define COST_MAX 1000000u

/*
 * Makes the call, again and again as it gives way, with nothing pending: the most that it does in
 * one go. *rc: its result.
 */
static inline uint64_t cost_of(struct vcpu *v, unsigned long nr, unsigned long a0, unsigned long a1,
                               unsigned long a2, unsigned long a3, long *rc)
{
    struct hc_args a = HC_ARGS(a0, a1, a2, a3);
    uint64_t most = 0, begin;

    do {
        pcpu_gave_way(arch_this_cpu());
        arch_this_cpu()->pending = 0;
        begin = host_cost;
        *rc = hypercall_dispatch(v, nr, &a);
        most = MAX(most, host_cost - begin);
        a = v->restart_args;
    } while (*rc == HC_RESTART);
    return most;
}

#endif
