/* SPDX-License-Identifier: MIT */
/* AMD's Secure Virtual Machine behind the vendor contract (hvm/vendor.h). */
#ifndef X86_HVM_SVM_SVM_H
#define X86_HVM_SVM_SVM_H

#include "x86/hvm/hvm.h"
#include "x86/hvm/svm/vmcb.h"

extern const struct hvm_vendor svm_vendor;

/* What this machine's SVM has: CPUID 8000000A EDX. */
extern uint32_t svm_features;

struct svm_cpu {
    void *save_area;   /* where VMRUN puts the host's state */
    struct vmcb *host; /* what VMLOAD restores of the host's */
    uint64_t host_pa;
    uint32_t next_tag, nr_tags;
    uint64_t generation; /* of tags; starts at 1 */
    bool flush_due;      /* the flush that begins this generation has not been made yet */
};

static inline struct vmcb *vmcb_of(struct hvm_vcpu *v)
{
    return v->control;
}

/* The processor must load these parts (enum vmcb_clean) of v's control block anew. v is not
 * entered. */
static inline void svm_changed(struct hvm_vcpu *v, uint32_t parts)
{
    vmcb_of(v)->clean &= ~parts;
    v->stats.cleared++;
}

/* A tag of this CPU for v, if the one it has is none any more (svm/asid.c). */
void svm_check_tag(struct svm_cpu *c, struct hvm_vcpu *v);
/* v forgets its translations: it gets another tag. */
void svm_new_tag(struct svm_cpu *c, struct hvm_vcpu *v);

/* The permission maps that all guests share (svm/maps.c): everything exits but what is listed. */
bool svm_maps_init(void);
extern uint64_t svm_msr_map_pa, svm_io_map_pa;

/* hvm_vendor.decode (svm/decode.c) */
void svm_decode(struct hvm_vcpu *v, struct hvm_exit *x);

/* svm/entry.S */
void svm_enter(void);

#endif
