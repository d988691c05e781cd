/* SPDX-License-Identifier: MIT */
/*
 * hv/x86/cpu/cpu.h with the simulated CPU in place of the one found by the stack pointer. Compile
 * with -Itests/host/pv_inc first.
 */
#ifndef TESTS_PV_CPU_H
#define TESTS_PV_CPU_H

#define cpu_info(...) cpu_info_by_stack(__VA_ARGS__)
#define this_x86(...) this_x86_by_stack(__VA_ARGS__)
#define this_cpu_id(...) this_cpu_id_by_stack(__VA_ARGS__)
#include "hv/x86/cpu/cpu.h"
#undef cpu_info
#undef this_x86
#undef this_cpu_id

/* Each look is a moment at which the rest of the machine may do something (pv_machine.c). */
struct cpu_info *cpu_info(void);
struct x86_pcpu *this_x86(void);

static inline unsigned int this_cpu_id(void)
{
    return arch_this_cpu()->id;
}

#endif
