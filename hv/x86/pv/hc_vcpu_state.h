/* SPDX-License-Identifier: MIT */
/* domctl's calls that carry a PV vCPU's state from one host to another. */
#ifndef X86_PV_HC_VCPU_STATE_H
#define X86_PV_HC_VCPU_STATE_H

#include "core/hypercall.h"

#include <xen/domctl.h>

/*
 * XEN_DOMCTL_{get,set}_ext_vcpucontext, {get,set}vcpuextstate, {get,set}_vcpu_msrs on d, another
 * domain than v's. 0 or -errno: -EINVAL, with the reason in the log, for what no guest here may
 * have. [domctl lock]
 */
long pv_domctl_vcpu_state(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back);

#endif
