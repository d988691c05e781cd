/* SPDX-License-Identifier: MIT */
/*
 * Extended state (x87, SSE, AVX ...): saved and restored whole when a CPU goes from one vCPU to
 * another; the idle vCPU uses none, so a vCPU that comes back finds its registers untouched.
 */
#ifndef X86_CPU_FPU_H
#define X86_CPU_FPU_H

#include <stdbool.h>

struct x86_vcpu;

/* Memory for v's state; false when there is none. */
bool fpu_alloc(struct x86_vcpu *v);
void fpu_free(struct x86_vcpu *v);
/* v is about to run on this CPU: make the registers its own. */
void fpu_load(struct x86_vcpu *v);
/* v leaves this CPU for good or for another: its state goes to memory. */
void fpu_save(struct x86_vcpu *v);

#endif
