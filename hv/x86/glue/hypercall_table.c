/* SPDX-License-Identifier: MIT */
/*
 * Every hypercall that is answered. What is not here, or not for the caller's kind and mode, says
 * -ENOSYS.
 */
#include "x86/glue/handlers.h"

#include <xen/arch-x86/xen-mca.h> /* __HYPERVISOR_mca */

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
    CALL(memory_op, NULL, ANY),
    CALL(multicall, NULL, ANY),
    CALL(update_va_mapping, NULL, PV),
    CALL(set_timer_op, NULL, ANY),
    CALL(event_channel_op_compat, NULL, PV),
    CALL(xen_version, NULL, ANY),
    CALL(console_io, NULL, ANY),
    CALL(physdev_op_compat, NULL, PV),
    CALL(grant_table_op, NULL, ANY),
    CALL(vm_assist, NULL, ANY),
    CALL(update_va_mapping_otherdomain, NULL, PV),
    CALL(iret, NULL, PV),
    CALL(vcpu_op, NULL, ANY),
    CALL(set_segment_base, NULL, PV),
    CALL(mmuext_op, NULL, PV),
    CALL(nmi_op, NULL, PV),
    CALL(sched_op, NULL, ANY),
    CALL(callback_op, NULL, PV),
    CALL(event_channel_op, NULL, ANY),
    CALL(physdev_op, NULL, ANY),
    CALL(hvm_op, NULL, ANY),
    PRIVILEGED(sysctl, NULL, ANY),
    PRIVILEGED(domctl, NULL, ANY),
    PRIVILEGED(mca, NULL, ANY),
};
