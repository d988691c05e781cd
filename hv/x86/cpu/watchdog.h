/* SPDX-License-Identifier: MIT */
/*
 * Each CPU counts a heartbeat a second, from a timer on its exit path, and looks at its
 * neighbour's. A CPU whose count stands still for ten beats of the one that watches it, or that
 * somebody waits for that long, panics the machine; the panic shows where each CPU was. Halting
 * CPUs and CPUs whose guest has its events masked go on counting, since the timer interrupts both.
 * With each beat it answers calls whose interrupt may have got lost. Counted in beats, not by the
 * clock: a virtual machine may be stopped for hours.
 */
#ifndef X86_CPU_WATCHDOG_H
#define X86_CPU_WATCHDOG_H

#include <stdint.h>

/* This CPU, once the clock runs and it is online. */
void watchdog_start_cpu(void);

/* For loops that wait for another CPU: panics after ten seconds. Zeroed at the start of the wait.
 */
struct patience {
    uint32_t turns;
    uint64_t since;
};
void watchdog_waiting(struct patience *p, const char *what);

#endif
