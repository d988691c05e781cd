/* SPDX-License-Identifier: MIT */
/* The records of Xen's HVM context (<xen/hvm/save.h>): a vCPU's registers as the tools see them. */
#ifndef X86_HVM_RECORDS_H
#define X86_HVM_RECORDS_H

#include "x86/hvm/context.h"
#include "x86/hvm/hvm.h"

#include <xen/hvm/save.h>

/* Which records d has (context_kinds.c); and after some were taken: wires are counted anew. */
struct context_table hvm_context_table(struct domain *d);
void hvm_context_loaded(struct domain *d);

/* v does not run, and nobody lets it. */
void hvm_cpu_to_record(struct hvm_vcpu *v, struct hvm_hw_cpu *r);
void hvm_mtrr_to_record(struct hvm_vcpu *v, struct hvm_hw_mtrr *r);
/* Is it what a processor of this guest could have? Only such records may be taken. */
bool hvm_cpu_record_ok(const struct hvm_vcpu *v, const struct hvm_hw_cpu *r);
bool hvm_mtrr_record_ok(const struct hvm_hw_mtrr *r);
void hvm_cpu_from_record(struct hvm_vcpu *v, const struct hvm_hw_cpu *r);
void hvm_mtrr_from_record(struct hvm_vcpu *v, const struct hvm_hw_mtrr *r);

#endif
