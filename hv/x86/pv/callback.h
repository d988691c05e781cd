/* SPDX-License-Identifier: MIT */
/* Where a PV guest wants to be entered: traps, events, system calls, NMI. */
#ifndef X86_PV_CALLBACK_H
#define X86_PV_CALLBACK_H

#include "core/hypercall.h"
#include "x86/pv/pv.h"

hc_fn hc_set_trap_table, hc_set_callbacks, hc_callback_op, hc_nmi_op;
hc_fn hc_stack_switch, hc_fpu_taskswitch, hc_set_segment_base, hc_set_debugreg, hc_get_debugreg;
hc_fn hc_set_gdt, hc_update_descriptor;

/*
 * One entry of a trap table into v->traps[]; false: not canonical, nothing changed. Other addresses
 * that are not the guest's are found when the handler is entered, and end the domain.
 */
bool pv_set_trap(struct pv_vcpu *v, const struct trap_info *t);

#endif
