/* SPDX-License-Identifier: MIT */
/* Memory of hardware-assisted domains, as the core and the tools ask for it (struct guest_ops). */
#ifndef X86_HVM_MEMORY_H
#define X86_HVM_MEMORY_H

#include "x86/hvm/hvm.h"

int hvm_gfn_get(struct domain *d, gfn_t gfn, unsigned int access, struct frame **f);
int hvm_gfn_place(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned int order);
int hvm_gfn_remove(struct domain *d, gfn_t gfn, unsigned int *order, mfn_t *mfn);
void hvm_gfn_flush(struct domain *d);
void hvm_grant_map(struct vcpu *v, struct domain *owner, struct grant_use *u,
                   const struct grant_at *at, unsigned int n);
void hvm_grant_unmap(struct vcpu *v, struct grant_use *u, const struct grant_at *at,
                     unsigned int n);

/* hc_memory.c */
long hvm_memory_op(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long start_extent);

/*
 * d's own page at guest frame `from` goes to `to`, and what was there goes; `from` becomes a hole.
 * 0 or -errno.
 */
long hvm_move_page(struct domain *d, uint64_t from, uint64_t to);

/* One step of giving up d's memory; -EAGAIN: call again. */
int hvm_relinquish(struct hvm_domain *hd);
/* Contradictions in the nested tables of all hardware-assisted domains. */
unsigned int hvm_audit(void);
void hvm_each_reference(struct domain *d, void (*fn)(void *arg, mfn_t mfn), void *arg);

#endif
