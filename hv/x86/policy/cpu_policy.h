/* SPDX-License-Identifier: MIT */
/*
 * CPU policies of PV domains: what the machine can offer, what the tools chose for a domain, and
 * the tools' calls about both. pv/cpuid.c and pv/msr.c answer a PV guest by them.
 */
#ifndef X86_POLICY_CPU_POLICY_H
#define X86_POLICY_CPU_POLICY_H

#include "x86/policy/told.h"

struct xen_domctl;
struct xen_sysctl;

/* Boot, after cpu_detect(): find out what PV guests can have here. */
void pv_policy_init(void);
/* The most that a PV guest can have (Dom0 has it), and what one gets unless the tools say more. */
extern struct cpu_policy pv_policy_max, pv_policy_default;

/* Can guests find the RDTSCP or RDPID instruction, and with it MSR_TSC_AUX? */
bool pv_cpuid_has_tsc_aux(void);

/* The processor as it is; 0 in MSRs that it has not got. */
void cpu_policy_raw(struct cpu_policy *p);

/* d's own policy. It changes only before d runs. */
static inline const struct cpu_policy *pv_policy(const struct domain *d)
{
    const struct x86_told *told = ((const struct x86_domain *)d)->told;

    if (told && told->has_cpu)
        return &told->cpu;
    return d->privileged ? &pv_policy_max : &pv_policy_default;
}

/* XEN_SYSCTL_get_cpu_policy, get_cpu_featureset. 0 or -errno. */
long x86_sysctl_cpu(struct vcpu *v, struct xen_sysctl *op, bool *copy_back);
/*
 * XEN_DOMCTL_get_cpu_policy, set_cpu_policy: 0 or -errno; when *copy_back is true after an error,
 * op->u.cpu_policy.err_* say what it is about. [domctl lock]
 */
long x86_domctl_cpu_policy(struct vcpu *v, struct domain *d, struct xen_domctl *op,
                           bool *copy_back);
/* XEN_DOMCTL_settscinfo, gettscinfo. [domctl lock] */
long x86_domctl_tsc(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back);

#endif
