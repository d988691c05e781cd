/* SPDX-License-Identifier: MIT */
/*
 * Which vCPU's state a CPU has: registers, selectors, page tables, FPU.
 *
 * A CPU that goes idle keeps the state of the vCPU that ran last, which is `resident` there: when
 * it comes back nothing is loaded. Its state in memory is then out of date, and the CPU still has
 * its CR3. The state moves to memory when another vCPU enters that CPU, when the vCPU enters
 * another CPU, or when somebody asks by context_sync().
 */
#ifndef X86_PV_CONTEXT_H
#define X86_PV_CONTEXT_H

#include "core/types.h"

struct vcpu;

/*
 * Bring v's state in memory up to date. v is current on this CPU: a copy of all but the FPU. Else v
 * does not run, and nobody lets it run meanwhile: no CPU has its state, CR3 or descriptor tables
 * afterwards, and what is in memory may be changed. May call another CPU.
 */
void context_sync(struct vcpu *v);
/*
 * v is current and a failsafe callback is to show its selectors: take them from the processor.
 * (Not for PVX_FAILSAFE: there memory holds what could not be loaded.)
 */
void context_note_selectors(struct vcpu *v);

/* The domain of this id is gone: another one may get the id, and is another one. */
void context_forget(domid_t id);

#endif
