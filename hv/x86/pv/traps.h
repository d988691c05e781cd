/* SPDX-License-Identifier: MIT */
/* Exceptions, events and mode changes of PV vCPUs. v is current in all of these. */
#ifndef X86_PV_TRAPS_H
#define X86_PV_TRAPS_H

#include "x86/pv/pv.h"
#include "x86/trap.h"

/*
 * Make the guest find itself in its handler of `vector`: the exception frame goes onto its kernel
 * stack. A missing handler or a stack that cannot be written crashes the domain.
 */
void pv_inject(struct vcpu *v, struct x86_regs *regs, unsigned int vector, uint32_t error_code);
/* As pv_inject for #PF at cr2; the user bit of the error code is the guest's view. */
void pv_inject_pf(struct vcpu *v, struct x86_regs *regs, uint64_t cr2, uint32_t error_code);
/* Enter the handler of an event or callback; `segments`: the failsafe frame with selectors. */
void pv_enter_callback(struct vcpu *v, struct x86_regs *regs, const struct pv_callback *cb,
                       bool segments);
/* Emulate a write to an L1 table that faulted at cr2. False: it was something else. */
bool pv_ptwrite(struct vcpu *v, struct x86_regs *regs, uint64_t cr2);
/* Change between guest kernel and guest user mode: page tables and GS base. */
void pv_toggle_mode(struct pv_vcpu *pv);

/* As struct guest_ops and struct x86_guest_ops say of these. */
void pv_exception(struct vcpu *v, struct x86_regs *regs);
bool pv_exit_work(struct vcpu *v, struct x86_regs *regs);
bool pv_hv_fault(struct vcpu *v, uint64_t cr2, uint32_t error_code);
bool pv_can_block(const struct vcpu *v);
int pv_send_nmi(struct vcpu *v);
void pv_vm_assist_changed(struct domain *d);

/* Called by pv/entry.S. */
/*
 * SYSCALL of v's kernel, current, but for iret. The registers that C functions preserve stay as
 * they are in regs, or regs->vector says no more that it was a SYSCALL.
 */
void pv_hypercall(struct x86_regs *regs, struct vcpu *v);
/* A handler returned rc, HC_RESTART or HC_LEFT: what of current's registers changes. */
void pv_hypercall_unfinished(struct x86_regs *regs, long rc);
void pv_syscall(struct x86_regs *regs);
void pv_syscall32(struct x86_regs *regs);
void pv_sysenter(struct x86_regs *regs);
void pv_page_fault(struct x86_regs *regs);
/* The same where guests run isolated, on the way in and out (x86/mm/isolation.h). */
void pv_isolated_page_fault(struct x86_regs *regs);
/*
 * On the way out to current, a PV vCPU: the root to load, up to date, or 0 where its domain runs on
 * its own tables.
 */
uint64_t pv_isolated_root(void);
void pv_iret_fault(struct x86_regs *regs);

#endif
