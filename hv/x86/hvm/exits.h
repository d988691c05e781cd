/* SPDX-License-Identifier: MIT */
/* What happens when a hardware-assisted guest exits. */
#ifndef X86_HVM_EXITS_H
#define X86_HVM_EXITS_H

#include "x86/hvm/hvm.h"
#include "x86/regs.h"

/* Called by the vendor's entry code after each exit, interrupts off; regs are the guest's. */
void hvm_vmexit(struct x86_regs *regs);

/*
 * The length of the instruction that caused this exit, from memory where the processor does not
 * tell: 0 if what is in memory now is another one. Then nothing is to be done; the guest executes
 * what is there. (A guest that never gets on is crashed.)
 */
unsigned int hvm_insn_length(struct hvm_vcpu *v, const struct x86_regs *regs,
                             const struct hvm_exit *x);
/* rip goes behind an instruction of `len` bytes that was emulated. */
void hvm_skip(struct hvm_vcpu *v, struct x86_regs *regs, unsigned int len);

/* Exceptions to be delivered at the next entry; a second one makes a double fault or worse. */
void hvm_raise(struct hvm_vcpu *v, uint8_t vector);
void hvm_raise_code(struct hvm_vcpu *v, uint8_t vector, uint32_t code);

/* Before each entry that has something to do; true: pending work must be looked at again. */
bool hvm_exit_work(struct vcpu *v, struct x86_regs *regs);
/* Would v, blocked, have something to do? */
bool hvm_has_work(struct hvm_vcpu *v);

/* msr.c: true, or false for #GP. */
bool hvm_rdmsr(struct hvm_vcpu *v, uint32_t msr, uint64_t *val);
bool hvm_wrmsr(struct hvm_vcpu *v, uint32_t msr, uint64_t val);

/* cr.c */
void hvm_exit_cr(struct hvm_vcpu *v, struct x86_regs *regs, struct hvm_exit *x);
void hvm_exit_dr(struct hvm_vcpu *v, struct x86_regs *regs, struct hvm_exit *x);
void hvm_exit_xsetbv(struct hvm_vcpu *v, struct x86_regs *regs, struct hvm_exit *x);

/* hypercall.c */
void hvm_hypercall(struct hvm_vcpu *v, struct x86_regs *regs, struct hvm_exit *x);

enum hvm_mode hvm_mode(struct hvm_vcpu *v);

#endif
