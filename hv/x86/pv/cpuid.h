/* SPDX-License-Identifier: MIT */
/*
 * What CPUID tells a PV vCPU: its domain's policy (pv/cpu_policy.h), plus Xen's leaves from
 * 0x40000000 on (<xen/arch-x86/cpuid.h>). Seen by guests that ask with the forced
 * prefix, as Linux's kernel does; a plain CPUID in ring 3 shows the processor itself.
 */
#ifndef X86_PV_CPUID_H
#define X86_PV_CPUID_H

#include "core/types.h"
#include "lib/cpu_policy.h"
#include "x86/pv/pv.h"

/* Facts about time that Xen's leaf 3 reports; the time code fills it at boot. */
struct pv_cpuid_time {
    uint32_t tsc_khz;
    uint32_t mul; /* scale from TSC to ns, as in vcpu_time_info */
    int8_t shift;
    bool stable; /* the TSC is known to be reliable */
};
extern struct pv_cpuid_time pv_cpuid_time;

/* The answer for v; any leaf and sub-leaf may be asked. */
void pv_cpuid(const struct pv_vcpu *v, uint32_t leaf, uint32_t sub, struct cpuid_regs *out);

#define XEN_HYPERCALL_MSR 0x40000000u /* writing a frame number fills it with hypercall stubs */

/* APIC id that v finds in CPUID: each vCPU is a package of its own. */
static inline uint32_t pv_apic_id(const struct pv_vcpu *v)
{
    return v->x.v.id * 2;
}

/* Can guests find the RDTSCP or RDPID instruction, and with it MSR_TSC_AUX? */
bool pv_cpuid_has_tsc_aux(void);

#endif
