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
/*
 * While nobody owns the registers CR0.TS is clear and XCR0 has all states; the owner has its own.
 * Both are slow to write, so they are written only where they differ.
 */
/* v is about to run on this CPU, and nobody owns the registers: make them its own. */
void fpu_load(struct x86_vcpu *v);
/* v leaves this CPU, where CR0.TS is clear: its state goes to memory. */
void fpu_save(struct x86_vcpu *v);

#endif
