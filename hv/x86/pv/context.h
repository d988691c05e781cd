/* SPDX-License-Identifier: MIT */
/* A PV vCPU's state between memory and the CPU: selectors, bases, CR3, descriptor tables, FPU. */
#ifndef X86_PV_CONTEXT_H
#define X86_PV_CONTEXT_H

#include "core/types.h"

struct vcpu;

/* As struct x86_guest_ops says of these. */
void pv_save(struct vcpu *v, bool leaving);
void pv_load_tables(struct vcpu *v);
void pv_load(struct vcpu *v);
/*
 * v is current and a failsafe callback is to show its selectors: take them from the processor.
 * (Not for PVX_FAILSAFE: there memory holds what could not be loaded.)
 */
void pv_note_selectors(struct vcpu *v);

#endif
