/* SPDX-License-Identifier: MIT */
/*
 * What a guest finds that takes us for Microsoft's hypervisor, as Windows does: HVM_PARAM_VIRIDIAN
 * switches it on, CPUID tells it (policy/viridian.c), these MSRs are it.
 */
#ifndef X86_HVM_VIRIDIAN_H
#define X86_HVM_VIRIDIAN_H

#include "x86/hvm/hvm.h"

/*
 * HVM_PARAM_VIRIDIAN: 0, or -EINVAL for features that nobody knows or without the base, -EEXIST
 * when it was set to something else before. Any CPU.
 */
long viridian_set(struct hvm_domain *hd, uint64_t features);

/* RDMSR and WRMSR by v, current; false: #GP, as for each domain without. */
bool viridian_rdmsr(struct hvm_vcpu *v, uint32_t msr, uint64_t *val);
bool viridian_wrmsr(struct hvm_vcpu *v, uint32_t msr, uint64_t val);

#endif
