/* SPDX-License-Identifier: MIT */
/* Memory of a hardware-assisted guest by its linear and by its physical addresses. */
#ifndef X86_HVM_COPY_H
#define X86_HVM_COPY_H

#include "x86/hvm/hvm.h"

/*
 * For the vCPU that is current on this CPU, in its kernel's name: its tables are walked as the
 * processor would for a supervisor. 0 or -EFAULT (then part of it may have moved).
 */
int hvm_copy_from(struct vcpu *v, void *dst, gptr_t src, size_t n);
int hvm_copy_to(struct vcpu *v, gptr_t dst, const void *src, size_t n);

/*
 * Up to n bytes of code from linear address `at` on, as the instruction fetch of v's current
 * privilege level gets them: how many, which is fewer where a page is not there.
 */
size_t hvm_fetch(struct hvm_vcpu *v, uint64_t at, void *dst, size_t n);

/* By guest-physical address, v current or its domain's builder: 0 or -EFAULT. */
int hvm_copy_to_phys(struct domain *d, uint64_t gpa, const void *src, size_t n);
int hvm_copy_from_phys(struct domain *d, void *dst, uint64_t gpa, size_t n);

#endif
