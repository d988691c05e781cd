/* SPDX-License-Identifier: MIT */
/*
 * Flushes of guest translations by the flush clock (core/frame.h) and by tags (tlb.h). Apart from
 * the hypervisor's own tables, so that host programs run these lines against a simulated TLB.
 */
#include "x86/mm/tlb.h"

#include "core/frame.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"

static void note_flush(void)
{
    uint64_t now = __atomic_add_fetch(&tlb_clock, 2, __ATOMIC_SEQ_CST);

    __atomic_store_n(&cpu_info()->pcpu->tlb_flushed, now, __ATOMIC_RELEASE);
}

void tlb_flush_local(void)
{
    note_flush();
    if (spec_choice.tags)
        invpcid(INVPCID_ALL, 0, 0);
    else
        write_cr3(read_cr3());
}

void tlb_load(uint64_t cr3)
{
    note_flush();
    write_cr3(cr3 & ~CR3_KEEP);
    if (spec_choice.tags) /* the other tags, after the old table was left: see tlb.h */
        invpcid(INVPCID_ALL, 0, 0);
}

void tlb_flush_va(uint64_t va)
{
    invlpg(va);
    for (unsigned int tag = TAG_USER; spec_choice.tags && tag < NR_TAGS; tag++)
        invpcid(INVPCID_ADDRESS, tag, va);
}

void tlb_flush_user(void)
{
    if (!spec_choice.tags) /* each change of mode flushes */
        return;
    invpcid(INVPCID_TAG, TAG_USER, 0);
    if (spec_isolates())
        invpcid(INVPCID_TAG, TAG_ROOT_USER, 0);
}

static void flush_if_older(void *since)
{
    if (cpu_info()->pcpu->tlb_flushed <= *(uint64_t *)since)
        tlb_flush_local();
}

void arch_tlb_flush_stamped(const struct cpumask *cpus, uint32_t stamp)
{
    struct cpumask need = CPUMASK_NONE;
    unsigned int self = this_cpu_id();
    bool others = false;
    /* All 64 bits: a CPU may sleep with its translations while others flush 2^32 times. */
    uint64_t now = __atomic_load_n(&tlb_clock, __ATOMIC_SEQ_CST);
    uint64_t since = now - (uint32_t)(now - stamp);

    for (unsigned int i = 0; i < nr_pcpus; i++) {
        if (!cpumask_test(cpus, i) || /* a CPU that drops out meanwhile has flushed */
            __atomic_load_n(&pcpus[i]->tlb_flushed, __ATOMIC_ACQUIRE) > since)
            continue;
        if (i == self)
            tlb_flush_local();
        else {
            cpumask_set(&need, i);
            others = true;
        }
    }
    if (others)
        arch_call_others(&need, flush_if_older, &since);
}
