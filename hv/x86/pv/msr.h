/* SPDX-License-Identifier: MIT */
/* RDMSR and WRMSR of PV guests: an explicit list; anything else is refused. */
#ifndef X86_PV_MSR_H
#define X86_PV_MSR_H

#include "core/types.h"
#include "x86/pv/pv.h"

/* v is current, in its kernel. False: #GP. */
bool pv_rdmsr(struct pv_vcpu *v, uint32_t msr, uint64_t *val);
bool pv_wrmsr(struct pv_vcpu *v, uint32_t msr, uint64_t val);

#endif
