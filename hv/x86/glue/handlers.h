/* SPDX-License-Identifier: MIT */
/*
 * Hypercall handlers outside the core: PV (x86/pv), the machine (x86/irq). Weak, so that a build
 * without one of them answers -ENOSYS.
 */
#ifndef X86_GLUE_HANDLERS_H
#define X86_GLUE_HANDLERS_H

#include "core/hypercall.h"

#define HC_WEAK __attribute__((weak))

extern hc_fn hc_set_trap_table HC_WEAK, hc_mmu_update HC_WEAK, hc_set_gdt HC_WEAK,
    hc_stack_switch HC_WEAK, hc_set_callbacks HC_WEAK, hc_fpu_taskswitch HC_WEAK,
    hc_platform_op HC_WEAK, hc_set_debugreg HC_WEAK, hc_get_debugreg HC_WEAK,
    hc_update_descriptor HC_WEAK, hc_update_va_mapping HC_WEAK,
    hc_update_va_mapping_otherdomain HC_WEAK, hc_iret HC_WEAK, hc_set_segment_base HC_WEAK,
    hc_mmuext_op HC_WEAK, hc_callback_op HC_WEAK, hc_nmi_op HC_WEAK, hc_physdev_op HC_WEAK,
    hc_mca HC_WEAK;

#endif
