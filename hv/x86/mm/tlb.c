/* SPDX-License-Identifier: MIT */
/*
 * Flushes of guest translations by the flush clock (core/frame.h). Apart from the hypervisor's own
 * tables, so that host programs run these lines against a simulated TLB.
 */
#include "core/frame.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/mm/paging.h"

void tlb_note_flush(void)
{
    cpu_info()->pcpu->tlb_flushed = __atomic_add_fetch(&tlb_clock, 1, __ATOMIC_SEQ_CST);
}

void tlb_flush_local(void)
{
    tlb_note_flush();
    write_cr3(read_cr3());
}

static void flush_if_older(void *stamp)
{
    /* Flushed since the stamp was taken: nothing to do. */
    if ((int32_t)(cpu_info()->pcpu->tlb_flushed - *(uint32_t *)stamp) <= 0)
        tlb_flush_local();
}

void arch_tlb_flush_stamped(const unsigned long *cpus, uint32_t stamp)
{
    unsigned long need[MAX_CPUS / 64] = { 0 };
    unsigned int self = this_cpu_id();
    bool others = false;

    for (unsigned int i = 0; i < nr_pcpus; i++) {
        if (!(cpus[i / 64] >> (i % 64) & 1) ||
            (int32_t)(__atomic_load_n(&pcpus[i]->tlb_flushed, __ATOMIC_ACQUIRE) - stamp) > 0)
            continue;
        if (i == self)
            tlb_flush_local();
        else {
            need[i / 64] |= 1ul << (i % 64);
            others = true;
        }
    }
    if (others)
        arch_call_others(need, flush_if_older, &stamp);
}
