/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* REG_EFL */
#include "host/step.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <ucontext.h>

#include "host/host.h"

#define TRAP_FLAG 0x100

static void (*intruder)(void *);
static void *intruder_arg;
static unsigned int intruder_cpu;
static volatile bool over;

/* The processor's trap after an instruction: Linux takes the trap flag away while we are here. */
static void stepped(int signal, siginfo_t *info, void *context)
{
    unsigned int me = arch_this_cpu()->id;
    ucontext_t *c = context;

    if (over) {
        c->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
        return;
    }
    host_be(intruder_cpu);
    intruder(intruder_arg);
    host_be(me);
}

void host_step_over(void)
{
    over = true;
}

void host_step(void (*fn)(void *), void (*intrude)(void *), void *arg, unsigned int cpu)
{
    struct sigaction a = { .sa_sigaction = stepped, .sa_flags = SA_SIGINFO }, old;

    intruder = intrude;
    intruder_arg = arg;
    intruder_cpu = cpu;
    over = false;
    sigaction(SIGTRAP, &a, &old);
    __asm__ volatile("pushfq; orl %0, (%%rsp); popfq" : : "i"(TRAP_FLAG) : "memory", "cc");
    fn(arg);
    over = true;
    __asm__ volatile("nop" : : : "memory");
    sigaction(SIGTRAP, &old, NULL);
}
