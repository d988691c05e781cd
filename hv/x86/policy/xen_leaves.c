/* SPDX-License-Identifier: MIT */
/* Xen's own CPUID leaves (<xen/arch-x86/cpuid.h>). */
#include "x86/policy/cpu_policy.h"

#include <xen/arch-x86/cpuid.h>

#include "lib/xenabi.h"
#include "x86/cpu/cpu.h"

#define HV_SPACE 0x100u /* by which Xen's leaves are moved where others are there */

struct policy_time policy_time;

static void time_leaf(const struct domain *d, uint32_t sub, struct cpuid_regs *r)
{
    const struct policy_time *t = &policy_time;
    const struct x86_tsc *own = &((const struct x86_domain *)d)->tsc;

    switch (sub) {
    case 0:
        r->a = own->emulated | (t->stable ? 2u : 0) | (policy_has_tsc_aux() ? 4u : 0);
        r->b = own->mode;
        r->c = own->emulated ? own->khz : t->tsc_khz;
        r->d = own->incarnation;
        break;
    case 1:
        r->c = own->emulated ? own->to_ns.mul : t->mul;
        r->d = (uint32_t)(int32_t)(own->emulated ? own->to_ns.shift : t->shift);
        break;
    case 2:
        r->a = t->tsc_khz;
        break;
    }
}

static void hypercall_leaf(bool hvm, bool moved, struct cpuid_regs *r)
{
    *r = (struct cpuid_regs){ 1, moved ? XEN_HYPERCALL_MSR_HV : XEN_HYPERCALL_MSR,
                              hvm ? 0 : XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD, 0 };
}

/* Of hardware-assisted guests only. */
static void hvm_leaf(const struct vcpu *v, uint32_t sub, struct cpuid_regs *r)
{
    if (sub != 0)
        return;
    r->a = XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT |
           XEN_HVM_CPUID_UPCALL_VECTOR;
    r->b = v->id;
    r->c = v->domain->id;
}

bool policy_xen_leaf(const struct vcpu *v, uint32_t leaf, uint32_t sub, struct cpuid_regs *r)
{
    const struct x86_domain *d = (const struct x86_domain *)v->domain;
    bool hvm = v->domain->kind == GUEST_HVM;
    bool moved = __atomic_load_n(&d->viridian, __ATOMIC_RELAXED) != 0;

    if (moved && leaf >= POLICY_HV_LEAF && leaf < POLICY_HV_LEAF + HV_SPACE) {
        policy_viridian_leaf(v, leaf - POLICY_HV_LEAF, r);
        return true;
    }
    leaf -= moved ? HV_SPACE : 0;
    if (leaf < XEN_CPUID_FIRST_LEAF || leaf > XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES))
        return false;
    *r = (struct cpuid_regs){ 0 };
    switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
        *r = (struct cpuid_regs){ XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES) + (moved ? HV_SPACE : 0),
                                  XEN_CPUID_SIGNATURE_EBX, XEN_CPUID_SIGNATURE_ECX,
                                  XEN_CPUID_SIGNATURE_EDX };
        break;
    case 1:
        r->a = XEN_ABI_VERSION;
        break;
    case 2:
        hypercall_leaf(hvm, moved, r);
        break;
    case 3:
        time_leaf(v->domain, sub, r);
        break;
    case 4:
        if (hvm)
            hvm_leaf(v, sub, r);
        break;
    case 5:
        if (sub == 0 && !hvm)
            r->b = cpu_feat.phys_bits & XEN_CPUID_MACHINE_ADDRESS_WIDTH_MASK;
        break;
    }
    return true;
}
