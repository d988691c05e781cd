/* SPDX-License-Identifier: MIT */
/* The domain's policy, with what depends on the vCPU and its state, and Xen's own leaves. */
#include "x86/pv/cpuid.h"

#include <xen/arch-x86/cpufeatureset.h>
#include <xen/arch-x86/cpuid.h>

#include "lib/xenabi.h"
#include "x86/cpu/cpu.h"
#include "x86/pv/cpu_policy.h"

#define FB(name) (1u << (XEN_X86_FEATURE_##name % 32))
#define CR4_OSXSAVE 0x40000ull

struct pv_cpuid_time pv_cpuid_time;

static void leaf_1(const struct pv_vcpu *v, struct cpuid_regs *r)
{
    r->b = (r->b & 0xffffff) | pv_apic_id(v) << 24;
    if ((r->c & FB(XSAVE)) && (v->priv.cr4 & CR4_OSXSAVE))
        r->c |= FB(OSXSAVE);
    r->c |= FB(HYPERVISOR);
}

/* Topology: two levels, each with one logical CPU. */
static void leaf_b(const struct pv_vcpu *v, uint32_t sub, struct cpuid_regs *r)
{
    *r = (struct cpuid_regs){ 0, 0, sub & 0xff, pv_apic_id(v) };
    if (sub < 2) {
        r->b = 1;
        r->c |= (sub + 1) << 8;
    }
}

static void xen_time(const struct domain *d, uint32_t sub, struct cpuid_regs *r)
{
    const struct pv_cpuid_time *t = &pv_cpuid_time;

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

static void xen_leaf(const struct domain *d, uint32_t leaf, uint32_t sub, struct cpuid_regs *r)
{
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
}

void pv_cpuid(const struct pv_vcpu *v, uint32_t leaf, uint32_t sub, struct cpuid_regs *out)
{
    const struct cpu_policy *p = pv_policy(v->x.v.domain);

    if (leaf >= XEN_CPUID_FIRST_LEAF && leaf <= XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES)) {
        xen_leaf(v->x.v.domain, leaf, sub, out);
        return;
    }
    *out = cpu_policy_ask(p, leaf, sub);
    switch (leaf) {
    case 1:
        leaf_1(v, out);
        break;
    case 0xb:
        if (cpu_policy_ask(p, 0, 0).a >= 0xb)
            leaf_b(v, sub, out);
        break;
    case 0xd: /* sizes for what is on now */
        if (sub == 0 && out->a)
            out->b = cpu_policy_xsave_size(p, v->x.xcr0, false);
        if (sub == 1 && (out->a & FB(XSAVEC)))
            out->b = cpu_policy_xsave_size(p, v->x.xcr0, true);
        break;
    }
}
