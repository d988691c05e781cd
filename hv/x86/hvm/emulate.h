/* SPDX-License-Identifier: MIT */
/* Accesses of a hardware-assisted guest to what is no memory: completed here, device by device. */
#ifndef X86_HVM_EMULATE_H
#define X86_HVM_EMULATE_H

#include "x86/hvm/exits.h"

enum hvm_emulated {
    HVM_EMULATED,  /* it is done, or is to be executed again, or an exception was raised */
    HVM_NOT_KNOWN, /* an instruction that is not completed here; nothing has changed */
};

/*
 * The instruction at regs->rip touches an address where the nested tables have no memory, or none
 * that may be so accessed: executes it for v, which is current. Its bytes are fetched here, once.
 */
enum hvm_emulated hvm_emulate(struct hvm_vcpu *v, struct x86_regs *regs);
/* The same bytes again, with one more answer of a device model in the log (io.h). */
enum hvm_emulated hvm_emulate_again(struct hvm_vcpu *v, struct x86_regs *regs);

#endif
