/* SPDX-License-Identifier: MIT */
/*
 * CPU policies of domains: what the machine can offer each guest kind, what the tools chose for a
 * domain, and the tools' calls about both. pv/ and hvm/ answer their guests by them.
 */
#ifndef X86_POLICY_CPU_POLICY_H
#define X86_POLICY_CPU_POLICY_H

#include "core/access.h"
#include "x86/policy/told.h"

struct xen_domctl;
struct xen_sysctl;

/* Guest kinds that differ in what their processor can have. */
enum policy_kind { POLICY_PV, POLICY_HVM, POLICY_KINDS };

/* Boot, after cpu_detect(): find out what guests can have here. */
void policy_init(void);
/* The most that a guest can have (Dom0 has it), and what one gets unless the tools say more. */
extern struct cpu_policy policy_max[POLICY_KINDS], policy_default[POLICY_KINDS];

/* The processor as it is; 0 in MSRs that it has not got. */
void policy_raw(struct cpu_policy *p);

static inline enum policy_kind policy_kind_of(const struct domain *d)
{
    return d->kind == GUEST_HVM ? POLICY_HVM : POLICY_PV;
}

/* d's own policy. It changes only before d runs. */
static inline const struct cpu_policy *policy_of(const struct domain *d)
{
    const struct x86_told *told = ((const struct x86_domain *)d)->told;
    enum policy_kind k = policy_kind_of(d);

    if (told && told->has_cpu)
        return &told->cpu;
    return access_host(d) ? &policy_max[k] : &policy_default[k];
}

/* A leaf, counted from POLICY_HV_LEAF, of a domain with other leaves (policy/viridian.c). */
void policy_viridian_leaf(const struct vcpu *v, uint32_t leaf, struct cpuid_regs *r);

/* May d's XCR0 be val? The rules of the SDM, among the states that its policy has. */
static inline bool policy_xcr0_ok(const struct domain *d, uint64_t val)
{
    uint64_t zmm = val & 0xe0;

    if ((val & ~cpu_policy_states(policy_of(d))) || !(val & 1) || ((val & 4) && !(val & 2)))
        return false;
    return !zmm || (zmm == 0xe0 && (val & 4));
}

/* Facts about time that Xen's leaf 3 reports; the time code fills it at boot. */
struct policy_time {
    uint32_t tsc_khz;
    uint32_t mul; /* scale from TSC to ns, as in vcpu_time_info */
    int8_t shift;
    bool stable; /* the TSC is known to be reliable */
};
extern struct policy_time policy_time;

#define XEN_HYPERCALL_MSR 0x40000000u    /* writing a frame number fills it with hypercall stubs */
#define XEN_HYPERCALL_MSR_HV 0x40000200u /* the same where other MSRs are there (viridian) */
#define POLICY_HV_LEAF 0x40000000u       /* of other leaves; Xen's are then 0x100 higher */

/* The answer for v, whose CR4 is given; any leaf and sub-leaf may be asked (policy/cpuid.c). */
void policy_cpuid(const struct x86_vcpu *v, uint64_t cr4, uint32_t leaf, uint32_t sub,
                  struct cpuid_regs *out);
/* Is it one of Xen's own leaves, from 0x40000000 on? Then *out is what v finds there. */
bool policy_xen_leaf(const struct vcpu *v, uint32_t leaf, uint32_t sub, struct cpuid_regs *out);

/* APIC id that v finds in CPUID: each vCPU is a package of its own. */
static inline uint32_t policy_apic_id(const struct vcpu *v)
{
    return v->id * 2;
}

/* Can guests find the RDTSCP or RDPID instruction, and with it MSR_TSC_AUX? */
bool policy_has_tsc_aux(void);

/* XEN_SYSCTL_get_cpu_policy, get_cpu_featureset. 0 or -errno. */
long policy_sysctl(struct vcpu *v, struct xen_sysctl *op, bool *copy_back);
/*
 * XEN_DOMCTL_get_cpu_policy, set_cpu_policy: 0 or -errno; when *copy_back is true after an error,
 * op->u.cpu_policy.err_* say what it is about. [domctl lock]
 */
long policy_domctl(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back);
/* XEN_DOMCTL_settscinfo, gettscinfo. [domctl lock] */
long policy_domctl_tsc(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back);

#endif
