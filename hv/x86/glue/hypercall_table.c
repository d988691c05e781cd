/* SPDX-License-Identifier: MIT */
/* Every hypercall that is answered. What is not here says -ENOSYS. */
#include "x86/glue/handlers.h"

#include <xen/arch-x86/xen-mca.h> /* __HYPERVISOR_mca */

#define CALL(name, args) [__HYPERVISOR_##name] = { #name, hc_##name, false, args }
#define PRIVILEGED(name, args) [__HYPERVISOR_##name] = { #name, hc_##name, true, args }

const struct hypercall hypercall_table[NR_HYPERCALLS] = {
    CALL(set_trap_table, 1),
    CALL(mmu_update, 4),
    CALL(set_gdt, 2),
    CALL(stack_switch, 2),
    CALL(set_callbacks, 3),
    CALL(fpu_taskswitch, 1),
    PRIVILEGED(platform_op, 1),
    CALL(set_debugreg, 2),
    CALL(get_debugreg, 1),
    CALL(update_descriptor, 2),
    CALL(memory_op, 2),
    CALL(multicall, 2),
    CALL(update_va_mapping, 3),
    CALL(set_timer_op, 1),
    CALL(xen_version, 2),
    CALL(console_io, 3),
    CALL(grant_table_op, 3),
    CALL(vm_assist, 2),
    CALL(update_va_mapping_otherdomain, 4),
    CALL(iret, 0),
    CALL(vcpu_op, 3),
    CALL(set_segment_base, 2),
    CALL(mmuext_op, 4),
    CALL(nmi_op, 2),
    CALL(sched_op, 2),
    CALL(callback_op, 2),
    CALL(event_channel_op, 2),
    CALL(physdev_op, 2),
    PRIVILEGED(sysctl, 1),
    PRIVILEGED(domctl, 1),
    PRIVILEGED(mca, 1),
};
