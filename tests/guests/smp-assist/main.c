/* SPDX-License-Identifier: MIT */
/*
 * System calls of a program on one CPU while the kernel on another switches the short way to their
 * handler off and on: each one arrives there, whichever way it takes.
 */
#include "guest.h"

#define CALLS 20000

USER_CODE_BYTES(u_syscall, "mov $29, %eax; syscall; ud2");

static volatile bool stop;
static volatile unsigned long switches;

static void switch_assist(void *arg)
{
    while (!stop) {
        hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_architectural_iopl);
        hc_vm_assist(VMASST_CMD_disable, VMASST_TYPE_architectural_iopl);
        switches++;
    }
}

void guest_main(void)
{
    struct account before;
    unsigned int wrong = 0;
    struct regs r;

    user_init();
    memcpy(user_code(), u_syscall, (size_t)(u_syscall_end - u_syscall));
    account_take(&before);
    CHECK(cpu_start(1, switch_assist, NULL));
    for (unsigned int i = 0; i < CALLS && !wrong; i++) {
        user_regs_init(&r);
        wrong += user_run(&r) != VEC_SYSCALL || r.rip != USER_CODE + 7 || r.rax != 29;
    }
    stop = true;
    cpu_wait(1);
    CHECK_EQ(wrong, 0, "system calls that went elsewhere");
    CHECK(switches > 0, "nothing was switched");
    account_check(&before, "calls");
}
