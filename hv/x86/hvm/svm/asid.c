/* SPDX-License-Identifier: MIT */
/*
 * Address-space tags. A CPU's translations carry the tag (ASID) of the guest that loaded them, so
 * nothing is flushed when guests take turns. A CPU hands out its tags in rising order; a vCPU whose
 * translations are to be forgotten gets the next one. When they are used up the CPU begins a new
 * generation: one flush of everything, by whoever enters first, and each vCPU gets a new tag before
 * it enters again.
 *
 * A vCPU's tag counts on one CPU only, in one generation.
 */
#include "x86/cpu/cpu.h"
#include "x86/hvm/svm/svm.h"

#define FIRST_TAG 1 /* 0 is the hypervisor's */

void svm_new_tag(struct svm_cpu *c, struct hvm_vcpu *v)
{
    struct vmcb *b = vmcb_of(v);

    v->stats.flushes++;
    if (c->next_tag >= c->nr_tags) {
        c->next_tag = FIRST_TAG;
        c->generation++;
        v->stats.generations++;
        b->tlb_control = TLB_FLUSH_ALL;
    }
    v->tag = c->next_tag++;
    v->tag_cpu = this_cpu_id() + 1;
    v->tag_generation = c->generation;
    b->asid = v->tag;
    svm_changed(v, CLEAN_ASID);
}

void svm_check_tag(struct svm_cpu *c, struct hvm_vcpu *v)
{
    if (v->tag_cpu == this_cpu_id() + 1 && v->tag_generation == c->generation)
        return;
    if (v->tag_cpu != this_cpu_id() + 1)
        svm_changed(v, ~0u); /* what another CPU kept of this block is not kept here */
    svm_new_tag(c, v);
}
