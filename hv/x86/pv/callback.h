/* SPDX-License-Identifier: MIT */
/* Where a PV guest wants to be entered: traps, events, system calls, NMI. */
#ifndef X86_PV_CALLBACK_H
#define X86_PV_CALLBACK_H

#include "core/hypercall.h"
#include "x86/pv/pv.h"

hc_fn hc_set_trap_table, hc_set_callbacks, hc_callback_op, hc_nmi_op;
hc_fn hc_stack_switch, hc_fpu_taskswitch, hc_set_segment_base, hc_set_debugreg, hc_get_debugreg;
hc_fn hc_set_gdt, hc_update_descriptor;

/* A guest's address to jump to: canonical and not the hypervisor's. 0 is none. */
static inline bool callback_address_ok(uint64_t a)
{
    return pv_range_ok(a, 1);
}

/* One entry of a trap table into v->traps[]; false: a bad address or selector, nothing changed. */
bool pv_set_trap(struct pv_vcpu *v, const struct trap_info *t);

#endif
