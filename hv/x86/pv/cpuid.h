/* SPDX-License-Identifier: MIT */
/*
 * What CPUID tells a PV vCPU: its domain's policy (policy/cpu_policy.h), plus Xen's leaves from
 * 0x40000000 on (<xen/arch-x86/cpuid.h>). Seen by guests that ask with the forced
 * prefix, as Linux's kernel does; a plain CPUID in ring 3 shows the processor itself.
 */
#ifndef X86_PV_CPUID_H
#define X86_PV_CPUID_H

#include "core/types.h"
#include "x86/cpu/registers.h"
#include "x86/policy/cpu_policy.h"
#include "x86/pv/pv.h"

/*
 * The answer for v; any leaf and sub-leaf may be asked. OSXSAVE is shown from the start, as
 * Debian's Xen does: Linux takes XSAVE, and with it AVX, only if it finds that the hypervisor has
 * it on.
 */
static inline void pv_cpuid(const struct pv_vcpu *v, uint32_t leaf, uint32_t sub,
                            struct cpuid_regs *out)
{
    policy_cpuid(&v->x, v->priv.cr4 | CR4_OSXSAVE, leaf, sub, out);
}

#endif
