/* SPDX-License-Identifier: MIT */
/*
 * What CPUID tells a PV vCPU: its domain's policy (policy/cpu_policy.h), plus Xen's leaves
 * (policy/xen_leaf.h). Seen by guests that ask with the forced
 * prefix, as Linux's kernel does; a plain CPUID in ring 3 shows the processor itself.
 */
#ifndef X86_PV_CPUID_H
#define X86_PV_CPUID_H

#include "core/types.h"
#include "lib/cpu_policy.h"
#include "x86/pv/pv.h"

/* The answer for v; any leaf and sub-leaf may be asked. */
void pv_cpuid(const struct pv_vcpu *v, uint32_t leaf, uint32_t sub, struct cpuid_regs *out);

/* APIC id that v finds in CPUID: each vCPU is a package of its own. */
static inline uint32_t pv_apic_id(const struct pv_vcpu *v)
{
    return v->x.v.id * 2;
}

#endif
