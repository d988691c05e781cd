/* SPDX-License-Identifier: MIT */
/* Hypercall handlers outside the core: PV (x86/pv), the machine (x86). */
#ifndef X86_GLUE_HANDLERS_H
#define X86_GLUE_HANDLERS_H

#include "core/hypercall.h"

hc_fn hc_set_trap_table, hc_mmu_update, hc_set_gdt, hc_stack_switch, hc_set_callbacks,
    hc_fpu_taskswitch, hc_platform_op, hc_set_debugreg, hc_get_debugreg, hc_update_descriptor,
    hc_update_va_mapping, hc_update_va_mapping_otherdomain, hc_iret, hc_set_segment_base,
    hc_mmuext_op, hc_callback_op, hc_nmi_op, hc_physdev_op, hc_physdev_op_compat, hc_mca, hc_hvm_op,
    hc_dm_op;

#endif
