/* SPDX-License-Identifier: MIT */
/* The hypercall page of hardware-assisted guests. */
#ifndef X86_HVM_HYPERCALL_PAGE_H
#define X86_HVM_HYPERCALL_PAGE_H

#include "x86/hvm/hvm.h"

/*
 * From now on the domain's shared_info has the layout of 32-bit code, or of 64-bit code: v,
 * current, has just named its hypercall page or its callback, as PV drivers do before all else.
 */
void hvm_latch_layout(struct hvm_vcpu *v, bool narrow);
/* WRMSR to 0x40000000 by v, current: fills the guest's frame; false: #GP. */
bool hvm_write_hypercall_page(struct hvm_vcpu *v, uint64_t val);

#endif
