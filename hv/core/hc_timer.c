/* SPDX-License-Identifier: MIT */
#include "core/hypercall.h"

/* The older form of the single-shot timer: a deadline as argument, 0 to stop it. */
long hc_set_timer_op(struct vcpu *v, unsigned long deadline, unsigned long a1, unsigned long a2,
                     unsigned long a3, unsigned long a4)
{
    (void)a1, (void)a2, (void)a3, (void)a4;
    vcpu_set_singleshot(v, deadline);
    return 0;
}
