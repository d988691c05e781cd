/* SPDX-License-Identifier: MIT */
/* Control registers and their like, with the rules that hold between them (hvm/cr.c). */
#ifndef X86_HVM_STATE_H
#define X86_HVM_STATE_H

#include "x86/hvm/hvm.h"

#define X86_CR0_PE 0x1ull
#define X86_CR0_ET 0x10ull
#define X86_CR0_PG 0x80000000ull
#define X86_CR4_PAE 0x20ull
#define X86_CR4_OSXSAVE 0x40000ull
#define X86_EFER_LME 0x100ull
#define X86_EFER_LMA 0x400ull

/* CR4 and EFER bits that v may set, by its policy. */
uint64_t hvm_cr4_valid(const struct hvm_vcpu *v);
uint64_t hvm_efer_valid(const struct hvm_vcpu *v);
/*
 * v's XCR0 is the one that this CPU has. QEMU's SVM does not let XSETBV exit, so who needs the
 * value asks first.
 */
void hvm_sync_xcr0(struct hvm_vcpu *v);
/* WRMSR to EFER by v, current; false: #GP. */
bool hvm_set_efer(struct hvm_vcpu *v, uint64_t val);
/* v's TSC offset, or its domain's TSC mode, changed. */
void hvm_set_tsc(struct hvm_vcpu *v);
#define HVM_MTRR_CAP 0x508ull /* 8 variable ranges, fixed ones, write-combining */
/* May the range register of this number (any fixed one's) have this value, or does it #GP? */
bool hvm_mtrr_ok(uint32_t msr, uint64_t val);

#endif
