/* SPDX-License-Identifier: MIT */
/*
 * Machine checks (Intel SDM volume 3, chapter 15; AMD APM volume 2, chapter 9). What can be
 * survived is logged, everything else ends in a panic that shows the banks.
 */
#ifndef X86_CPU_MC_H
#define X86_CPU_MC_H

#include <stdbool.h>
#include <stdint.h>

struct x86_regs;

#define MC_STATUS_VAL (1ull << 63)
#define MC_STATUS_OVER (1ull << 62)
#define MC_STATUS_UC (1ull << 61)
#define MC_STATUS_EN (1ull << 60)
#define MC_STATUS_MISCV (1ull << 59)
#define MC_STATUS_ADDRV (1ull << 58)
#define MC_STATUS_PCC (1ull << 57)
#define MC_STATUS_S (1ull << 56)
#define MC_STATUS_AR (1ull << 55)
#define MC_GLOBAL_RIPV 1ull
#define MC_GLOBAL_MCIP 4ull

/*
 * Pure: must a bank with this status, met in the machine-check exception, stop the machine?
 * `recovery`: the CPU tells errors that need action from others (Intel's MCG_SER_P).
 */
bool mc_fatal(uint64_t status, bool recovery);

/* Each CPU: reports what the banks hold from before, then switches them on. Needs the log. */
void mc_init_cpu(void);
/* The exception, on its own stack. Returns when what happened can be lived with. */
void mc_exception(struct x86_regs *regs);
/* This CPU, now and then: logs and clears what the banks hold. */
void mc_poll(void);

#endif
