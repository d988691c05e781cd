/* SPDX-License-Identifier: MIT */
#include "core/hypercall.h"

/* The older form of the single-shot timer: a deadline as argument, 0 to stop it. */
long hc_set_timer_op(struct vcpu *v, const struct hc_args *args)
{
    vcpu_set_singleshot(v, args->a[0]);
    return 0;
}
