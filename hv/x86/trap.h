/* SPDX-License-Identifier: MIT */
/* Entries from assembly that concern every guest kind, and what they call. */
#ifndef X86_TRAP_H
#define X86_TRAP_H

#include <stdbool.h>

#include "x86/regs.h"

struct vcpu;

enum {
    /* clang-format off */
    TRAP_DE = 0, TRAP_DB = 1, TRAP_NMI = 2, TRAP_BP = 3, TRAP_OF = 4, TRAP_BR = 5, TRAP_UD = 6,
    TRAP_NM = 7, TRAP_DF = 8, TRAP_TS = 10, TRAP_NP = 11, TRAP_SS = 12, TRAP_GP = 13,
    TRAP_PF = 14, TRAP_MF = 16, TRAP_AC = 17, TRAP_MC = 18, TRAP_XM = 19,
    /* clang-format on */
};

/* entry.S: a CPU's first way to its guests, from any stack of its own. */
void start_guests(void) __attribute__((noreturn));
extern char vector_stubs[]; /* 16 bytes a vector */

/*
 * What only guests in rings 1 to 3 need, and pv/entry.S gives, since they are PV. Code that x86/
 * refers to by address or jumps to; for each the registers are as the processor left them, or:
 * exit_to_guest: the end of an entry from a guest; rsp is cpu_info's regs, complete.
 * restore_guest: the same when nothing is to be done first; the current vCPU has no `enter`.
 */
extern char entry_stubs[]; /* 64 bytes a CPU: SYSCALL at 0, SYSCALL32 at 32 */
extern char sysenter_entry[], page_fault[], exit_to_guest[], restore_guest[];

/* Called by entry.S. */
void x86_trap_guest(struct x86_regs *regs);
void x86_trap_hv(struct x86_regs *regs);
void x86_ist_trap(struct x86_regs *regs);
void x86_exit_work(struct x86_regs *regs);

/* If rip has an exception-table entry, go on there. */
bool trap_fixup(struct x86_regs *regs);

/* Symbol of a text address: name and offset; "?" when unknown. */
const char *symbol_of(uint64_t addr, uint64_t *offset);
void symbols_init(void);
uint32_t symtab_size(void);
/* Registers to the log. */
void dump_regs(const struct x86_regs *regs);
void dump_stack(uint64_t rsp);

#endif
