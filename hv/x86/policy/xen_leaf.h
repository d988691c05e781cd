/* SPDX-License-Identifier: MIT */
/* Xen's own CPUID leaves, from 0x40000000 on (<xen/arch-x86/cpuid.h>). */
#ifndef X86_POLICY_XEN_LEAF_H
#define X86_POLICY_XEN_LEAF_H

#include "core/types.h"
#include "lib/cpu_policy.h"

struct domain;

/* Facts about time that Xen's leaf 3 reports; the time code fills it at boot. */
struct xen_leaf_time {
    uint32_t tsc_khz;
    uint32_t mul; /* scale from TSC to ns, as in vcpu_time_info */
    int8_t shift;
    bool stable; /* the TSC is known to be reliable */
};
extern struct xen_leaf_time xen_leaf_time;

#define XEN_HYPERCALL_MSR 0x40000000u /* writing a frame number fills it with hypercall stubs */

/* What a vCPU of d finds there; false: it is none of these leaves, *r is as it was. */
bool xen_leaf(const struct domain *d, uint32_t leaf, uint32_t sub, struct cpuid_regs *r);

#endif
