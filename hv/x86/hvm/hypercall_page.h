/* SPDX-License-Identifier: MIT */
/* The hypercall page of hardware-assisted guests. */
#ifndef X86_HVM_HYPERCALL_PAGE_H
#define X86_HVM_HYPERCALL_PAGE_H

#include "x86/hvm/hvm.h"

/* WRMSR to 0x40000000 by v, current: fills the guest's frame; false: #GP. */
bool hvm_write_hypercall_page(struct hvm_vcpu *v, uint64_t val);

#endif
