/* SPDX-License-Identifier: MIT */
/* The end: registers, backtrace, all CPUs stopped. */
#ifndef X86_PANIC_H
#define X86_PANIC_H

#include <stdbool.h>

#include "x86/regs.h"

/* panic() with the registers of a fault in the hypervisor. */
void panic_regs(struct x86_regs *regs, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 2, 3)));
bool panic_in_progress(void);
/* The NMI of another CPU's panic: print where we were, then stop. */
void panic_stop_this_cpu(struct x86_regs *regs) __attribute__((noreturn));
/* noreboot was given: halt instead of rebooting after a panic. */
extern bool opt_noreboot;

#endif
