/* SPDX-License-Identifier: MIT */
/* The trap table and the callbacks of a PV vCPU. */
#include "guest.h"

struct trap_info trap_table[257];

uint64_t trap_cr2(const struct cpu *cpu)
{
    return shared ? shared->vcpu_info[cpu->id].arch.cr2 : 0;
}

static long set_callback(unsigned int type, const char *entry)
{
    struct callback_register cb = { .type = type, .address = (unsigned long)entry };

    return hc_callback_op(CALLBACKOP_register, &cb);
}

static void fill_trap_table(void)
{
    for (unsigned int i = 0; i < 256; i++) {
        struct trap_info *t = &trap_table[i];

        t->vector = i;
        t->flags = i == VEC_BP || i == VEC_OF || i == 0x80 ? 3 : 0;
        t->cs = FLAT_KERNEL_CS;
        t->address = (unsigned long)trap_stubs + 16 * i;
    }
}

void trap_init(void)
{
    long rc;

    fill_trap_table();
    rc = hc_set_trap_table(trap_table);
    CHECK_EQ(rc, 0, "set_trap_table");
    rc = set_callback(CALLBACKTYPE_event, event_entry);
    CHECK_EQ(rc, 0, "event callback");
    rc = set_callback(CALLBACKTYPE_failsafe, failsafe_entry);
    CHECK_EQ(rc, 0, "failsafe callback");
    rc = set_callback(CALLBACKTYPE_syscall, syscall_entry);
    CHECK_EQ(rc, 0, "syscall callback");
    set_callback(CALLBACKTYPE_syscall32, syscall32_entry);
    set_callback(CALLBACKTYPE_sysenter, sysenter_entry);
    rc = hc_stack_switch(FLAT_KERNEL_SS, (uint64_t)this_cpu() + CPU_TRAP_STACK);
    CHECK_EQ(rc, 0, "stack_switch");
}
