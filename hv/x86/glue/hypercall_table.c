/* SPDX-License-Identifier: MIT */
/*
 * Every hypercall that is answered. What is not here, or not for the caller's kind and mode, says
 * -ENOSYS.
 */
#include "x86/glue/handlers.h"

#include <xen/arch-x86/xen-mca.h> /* __HYPERVISOR_mca */

#include "x86/hvm/calls32_handlers.h"

#define PV BIT(GUEST_PV)
#define ANY (BIT(GUEST_PV) | BIT(GUEST_PV32) | BIT(GUEST_HVM))
/* The call, its handler for 32-bit callers, the guest kinds that may make it. */
#define CALL(name, fn32, kinds) [__HYPERVISOR_##name] = { #name, hc_##name, fn32, { kinds, kinds } }
#define PRIVILEGED(name, fn32, kinds) \
    [__HYPERVISOR_##name] = { #name, hc_##name, fn32, { 0, kinds } }

const struct hypercall hypercall_table[NR_HYPERCALLS] = {
    CALL(set_trap_table, NULL, PV),
    CALL(mmu_update, NULL, PV),
    CALL(set_gdt, NULL, PV),
    CALL(stack_switch, NULL, PV),
    CALL(set_callbacks, NULL, PV),
    CALL(fpu_taskswitch, NULL, PV),
    CALL(sched_op_compat, NULL, PV),
    PRIVILEGED(platform_op, NULL, ANY),
    CALL(set_debugreg, NULL, PV),
    CALL(get_debugreg, NULL, PV),
    CALL(update_descriptor, NULL, PV),
    CALL(memory_op, hc_memory_op32, ANY),
    CALL(multicall, hc_multicall32, ANY),
    CALL(update_va_mapping, NULL, PV),
    CALL(set_timer_op, hc_set_timer_op32, ANY),
    CALL(event_channel_op_compat, NULL, PV),
    CALL(xen_version, hc_xen_version32, ANY),
    CALL(console_io, hc_console_io, ANY),
    CALL(physdev_op_compat, NULL, PV),
    CALL(grant_table_op, hc_grant_table_op32, ANY),
    CALL(vm_assist, hc_vm_assist, ANY),
    CALL(update_va_mapping_otherdomain, NULL, PV),
    CALL(iret, NULL, PV),
    CALL(vcpu_op, hc_vcpu_op32, ANY),
    CALL(set_segment_base, NULL, PV),
    CALL(mmuext_op, NULL, PV),
    CALL(nmi_op, NULL, PV),
    CALL(sched_op, hc_sched_op32, ANY),
    CALL(callback_op, NULL, PV),
    CALL(event_channel_op, hc_event_channel_op, ANY),
    CALL(physdev_op, NULL, ANY),
    CALL(hvm_op, hc_hvm_op, ANY),
    CALL(dm_op, NULL, ANY),
    PRIVILEGED(sysctl, NULL, ANY),
    PRIVILEGED(domctl, NULL, ANY),
    PRIVILEGED(mca, NULL, ANY),
};
