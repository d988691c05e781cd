/* SPDX-License-Identifier: MIT */
/*
 * What a processor's VMX must have, and what is used of it: one decision at boot, a pure function
 * of its capability MSRs (Intel SDM volume 3, appendix A). No state.
 */
#ifndef X86_HVM_VMX_CAPS_H
#define X86_HVM_VMX_CAPS_H

#include <stdbool.h>
#include <stdint.h>

struct vmx_caps {
    uint64_t basic, pin, proc, proc2, exit, entry; /* the TRUE forms where there are such */
    uint64_t ept_vpid;
};

struct vmx_controls {
    uint32_t revision;
    uint32_t pin, proc, proc2, exit, entry;
    unsigned int max_order; /* of EPT leaves: P2M_ORDER_* */
    uint64_t invept;        /* the narrowest kind of INVEPT */
    bool apic;              /* it can deliver a local APIC's interrupts by itself: vmx/apic.c */
    uint64_t eptp;          /* bits of an EPT pointer beside the address */
};

/* NULL, or what is missing, in words for the log. */
const char *vmx_choose(const struct vmx_caps *caps, struct vmx_controls *out);

#endif
