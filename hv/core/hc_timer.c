/* SPDX-License-Identifier: MIT */
/* The set_timer_op hypercall. The vCPU's timer_lock is taken by vcpu_set_singleshot(). */
#include "core/hypercall.h"

/*
 * The older form of the single-shot timer: a deadline as argument, 0 to stop it. One that is
 * negative, or further away than any kernel means, comes from a clock that overflowed in the guest:
 * it gets its event soon and can look again.
 */
#define FAR_NS (1ull << 50)
#define SOON_NS 100000000ull

static uint64_t sane_deadline(uint64_t deadline)
{
    uint64_t now = arch_now();

    if (deadline > INT64_MAX || (deadline > now && deadline - now > FAR_NS))
        return now + SOON_NS;
    return deadline;
}

long hc_set_timer_op(struct vcpu *v, const struct hc_args *args)
{
    vcpu_set_singleshot(v, args->a[0] ? sane_deadline(args->a[0]) : 0);
    return 0;
}
