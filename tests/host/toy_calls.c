/* SPDX-License-Identifier: MIT */
/* The hypercall table of machines with toy guests: what the core itself answers. */
#include "core/hypercall.h"

#define ANY 0xff
#define CALL(name) [__HYPERVISOR_##name] = { #name, hc_##name, NULL, { ANY, ANY } }
#define PRIVILEGED(name) [__HYPERVISOR_##name] = { #name, hc_##name, NULL, { 0, ANY } }

/* For the test of the table itself. */
static long answer(struct vcpu *v, const struct hc_args *args)
{
    (void)v, (void)args;
    return 1234;
}

/* clang-format off */
const struct hypercall hypercall_table[NR_HYPERCALLS] = {
    CALL(memory_op),
    CALL(multicall),
    CALL(set_timer_op),
    CALL(xen_version),
    CALL(console_io),
    CALL(grant_table_op),
    CALL(vm_assist),
    CALL(vcpu_op),
    CALL(sched_op),
    CALL(event_channel_op),
    PRIVILEGED(sysctl),
    PRIVILEGED(domctl),
    [__HYPERVISOR_set_trap_table] = { "", answer, NULL, { BIT(GUEST_PV), BIT(GUEST_PV) } },
    [__HYPERVISOR_platform_op] = { "", answer, NULL, { 0, BIT(GUEST_PV) } },
};
/* clang-format on */
