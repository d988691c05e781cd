/* SPDX-License-Identifier: MIT */
/*
 * Which vCPU's state a CPU has: registers, page tables, FPU.
 *
 * A CPU that goes idle keeps the state of the vCPU that ran last, which is `resident` there: when
 * it comes back nothing is loaded. Its state in memory is then out of date, and the CPU still has
 * its page tables. The state moves to memory when another vCPU enters that CPU, when the vCPU
 * enters another CPU, or when somebody asks by switch_sync().
 */
#ifndef X86_SWITCH_H
#define X86_SWITCH_H

#include "core/types.h"

struct vcpu;

/*
 * Bring v's state in memory up to date. v is current on this CPU: a copy of what tools may see.
 * Else v does not run, and nobody lets it run meanwhile: no CPU has its state or page tables
 * afterwards, and what is in memory may be changed. May call another CPU.
 */
void switch_sync(struct vcpu *v);
/* The domain of this id is gone: another one may get the id, and is another one. */
void switch_forget(domid_t id);

#endif
