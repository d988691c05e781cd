/* SPDX-License-Identifier: MIT */
#include "x86/policy/xen_leaf.h"

#include "core/types.h"

#include <xen/arch-x86/cpuid.h>

#include "lib/xenabi.h"
#include "x86/cpu/cpu.h"
#include "x86/policy/cpu_policy.h"
#include "x86/vcpu.h"

struct xen_leaf_time xen_leaf_time;

static void xen_time(const struct domain *d, uint32_t sub, struct cpuid_regs *r)
{
    const struct xen_leaf_time *t = &xen_leaf_time;

    switch (sub) {
    case 0:
        r->b = ((const struct x86_domain *)d)->tsc_mode;
        r->a = (r->b == 1) | (t->stable ? 2u : 0) | (pv_cpuid_has_tsc_aux() ? 4u : 0);
        r->c = t->tsc_khz;
        break;
    case 1:
        r->c = t->mul;
        r->d = (uint32_t)(int32_t)t->shift;
        break;
    case 2:
        r->a = t->tsc_khz;
        break;
    }
}

bool xen_leaf(const struct domain *d, uint32_t leaf, uint32_t sub, struct cpuid_regs *r)
{
    if (leaf < XEN_CPUID_FIRST_LEAF || leaf > XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES))
        return false;
    *r = (struct cpuid_regs){ 0 };
    switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
        *r = (struct cpuid_regs){ XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES), XEN_CPUID_SIGNATURE_EBX,
                                  XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX };
        break;
    case 1:
        r->a = XEN_ABI_VERSION;
        break;
    case 2:
        *r = (struct cpuid_regs){ 1, XEN_HYPERCALL_MSR, XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD,
                                  0 };
        break;
    case 3:
        xen_time(d, sub, r);
        break;
    case 5:
        if (sub == 0)
            r->b = cpu_feat.phys_bits & XEN_CPUID_MACHINE_ADDRESS_WIDTH_MASK;
        break;
    }
    return true;
}
