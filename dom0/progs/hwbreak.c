/* SPDX-License-Identifier: MIT */
/* ptrace with hardware breakpoints, watchpoints and single steps, on a child that moves about. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 50
#define DR(n) offsetof(struct user, u_debugreg[n])

static volatile uint64_t watched;

static void check(int good, const char *what)
{
    if (good)
        return;
    printf("hwbreak: failed: %s (errno %d)\n", what, errno);
    exit(1);
}

__attribute__((noinline)) static void target(void)
{
    __asm__ volatile("nop" : : : "memory");
}

static void child(void)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    for (int i = 0; i < ROUNDS; i++) {
        target();
        sched_yield();
        watched = i;
    }
    raise(SIGSTOP);
    for (int i = 0; i < 20; i++)
        getppid();
    _exit(7);
}

static void expect_stop(pid_t pid, int sig, const char *what)
{
    int status;

    check(waitpid(pid, &status, 0) == pid, "waitpid");
    check(WIFSTOPPED(status) && WSTOPSIG(status) == sig, what);
}

static void set_register(pid_t pid, int n, uint64_t value)
{
    check(!ptrace(PTRACE_POKEUSER, pid, DR(n), value), "set a debug register");
}

int main(void)
{
    struct user_regs_struct regs;
    int status, steps = 0;
    uint64_t dr6;
    pid_t pid = fork();

    if (!pid)
        child();
    expect_stop(pid, SIGSTOP, "first stop");
    set_register(pid, 0, (uintptr_t)target);
    set_register(pid, 1, (uintptr_t)&watched);
    /* DR0: execution; DR1: write of 8 bytes (RW=01, LEN=10). */
    set_register(pid, 7, 0x1 | 0x4 | (0x9ULL << 20));
    errno = 0;
    check(ptrace(PTRACE_POKEUSER, pid, DR(2), 0xffff800000000000ULL) == -1,
          "a breakpoint on a hypervisor address is refused");
    for (int i = 0; i < ROUNDS; i++) {
        check(!ptrace(PTRACE_CONT, pid, 0, 0), "continue");
        expect_stop(pid, SIGTRAP, "stop at the breakpoint");
        check(!ptrace(PTRACE_GETREGS, pid, 0, &regs), "registers");
        check(regs.rip == (uintptr_t)target, "breakpoint's address");
        dr6 = ptrace(PTRACE_PEEKUSER, pid, DR(6), 0);
        check((dr6 & 0xf) == 1, "DR6 names breakpoint 0");
        check(!ptrace(PTRACE_CONT, pid, 0, 0), "continue");
        expect_stop(pid, SIGTRAP, "stop at the watchpoint");
        dr6 = ptrace(PTRACE_PEEKUSER, pid, DR(6), 0);
        check((dr6 & 0xf) == 2, "DR6 names watchpoint 1");
        errno = 0;
        check((int)ptrace(PTRACE_PEEKDATA, pid, &watched, 0) == i, "watched value");
    }
    check(!ptrace(PTRACE_CONT, pid, 0, 0), "continue");
    expect_stop(pid, SIGSTOP, "second stop");
    set_register(pid, 7, 0);
    while (1) {
        check(!ptrace(PTRACE_SINGLESTEP, pid, 0, 0), "single step");
        check(waitpid(pid, &status, 0) == pid, "waitpid");
        if (WIFEXITED(status))
            break;
        check(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP, "stop after a step");
        steps++;
    }
    check(WEXITSTATUS(status) == 7 && steps > 60, "the child's end after single steps");
    printf("hwbreak: %d breakpoints, %d watchpoints, %d steps\n", ROUNDS, ROUNDS, steps);
    return 0;
}
