/* SPDX-License-Identifier: MIT */
/* What CPUID tells: the domain's policy, with what depends on the vCPU and its state. */
#include <xen/arch-x86/cpufeatureset.h>

#include "x86/cpu/cpu.h"
#include "x86/cpu/registers.h"
#include "x86/policy/cpu_policy.h"

#define FB(name) (1u << (XEN_X86_FEATURE_##name % 32))

static void leaf_1(const struct x86_vcpu *v, uint64_t cr4, struct cpuid_regs *r)
{
    r->b = (r->b & 0xffffff) | policy_apic_id(&v->v) << 24;
    if ((r->c & FB(XSAVE)) && (cr4 & CR4_OSXSAVE))
        r->c |= FB(OSXSAVE);
    r->c |= FB(HYPERVISOR);
}

/* Topology: two levels, each with one logical CPU. */
static void leaf_b(const struct x86_vcpu *v, uint32_t sub, struct cpuid_regs *r)
{
    *r = (struct cpuid_regs){ 0, 0, sub & 0xff, policy_apic_id(&v->v) };
    if (sub < 2) {
        r->b = 1;
        r->c |= (sub + 1) << 8;
    }
}

void policy_cpuid(const struct x86_vcpu *v, uint64_t cr4, uint32_t leaf, uint32_t sub,
                  struct cpuid_regs *out)
{
    const struct cpu_policy *p = policy_of(v->v.domain);

    if (policy_xen_leaf(&v->v, leaf, sub, out))
        return;
    *out = cpu_policy_ask(p, leaf, sub);
    switch (leaf) {
    case 1:
        leaf_1(v, cr4, out);
        break;
    case 0xb:
        if (cpu_policy_ask(p, 0, 0).a >= 0xb)
            leaf_b(v, sub, out);
        break;
    case 0xd: /* sizes for what is on now */
        if (sub == 0 && out->a)
            out->b = cpu_policy_xsave_size(p, v->xcr0, false);
        if (sub == 1 && (out->a & FB(XSAVEC)))
            out->b = cpu_policy_xsave_size(p, v->xcr0, true);
        break;
    }
}
