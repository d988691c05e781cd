/* SPDX-License-Identifier: MIT */
/*
 * CPUID leaves from 0x40000000 on of a domain to which we look like Microsoft's hypervisor, too
 * (the Hypervisor Top Level Functional Specification, chapter "Feature and Interface Discovery").
 * Only what is there is told, whatever the tools asked for; the MSRs are hvm/viridian.c's.
 */
#include "x86/policy/cpu_policy.h"

#include <xen/hvm/params.h>

#include "core/param.h"
#include "x86/cpu/cpu.h"

#define LAST_LEAF 6
#define NEVER 0xffffffffu /* after so many turns a spin lock tells the hypervisor */

enum { /* what the partition may use: leaf 3, eax and edx */
       MAY_TIME_REF_COUNT = 1u << 1,
       MAY_HYPERCALLS = 1u << 5,
       MAY_VP_INDEX = 1u << 6,
       MAY_FREQUENCIES = 1u << 11,
       HAS_FREQUENCIES = 1u << 8,
       RELAXED_TIMING = 1u << 5, /* leaf 4: watchdogs of the guest should be patient */
       NESTED_PAGING = 1u << 3,  /* leaf 6: used */
};

static void features(uint32_t asked, struct cpuid_regs *r)
{
    r->a = MAY_HYPERCALLS | MAY_VP_INDEX;
    if (asked & HVMPV_time_ref_count)
        r->a |= MAY_TIME_REF_COUNT;
    if (!(asked & HVMPV_no_freq)) {
        r->a |= MAY_FREQUENCIES;
        r->d = HAS_FREQUENCIES;
    }
}

void policy_viridian_leaf(const struct vcpu *v, uint32_t leaf, struct cpuid_regs *r)
{
    *r = (struct cpuid_regs){ 0 };
    switch (leaf) {
    case 0: /* "Microsoft Hv" */
        *r = (struct cpuid_regs){ POLICY_HV_LEAF + LAST_LEAF, 0x7263694d, 0x666f736f, 0x76482074 };
        break;
    case 1: /* "Hv#1" */
        r->a = 0x31237648;
        break;
    case 2: /* build number, version: those that it is told to be like */
        r->a = 0x1772;
        r->b = 6u << 16;
        break;
    case 3:
        features(((const struct x86_domain *)v->domain)->viridian, r);
        break;
    case 4:
        r->a = RELAXED_TIMING;
        r->b = NEVER;
        break;
    case 5:
        r->a = MAX_VCPUS;
        break;
    case 6:
        r->a = NESTED_PAGING;
        break;
    }
}
