/* SPDX-License-Identifier: MIT */
/*
 * Cross-CPU calls. One call at a time in the whole machine; its targets run it from their
 * interrupt, or, if they are in the hypervisor waiting for something, from arch_poll().
 */
#include "core/arch.h"
#include "core/pcpu.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/watchdog.h"
#include "x86/irq/lapic.h"
#include "x86/irq/vectors.h"

/* What a call counts for when long work asks whether to give way: the wait is part of the work. */
#define CALL_COST 32

static struct {
    uint32_t next;    /* atomic: the ticket that the next caller draws */
    uint32_t serving; /* atomic: whose turn it is to call */
    uint32_t pending; /* atomic: targets that have not run it */
    void (*fn)(void *);
    void *arg;
} call;
static struct cpumask call_mask; /* atomic: who still has to run it */

struct pcpu *arch_this_cpu(void)
{
    return cpu_info()->pcpu;
}

void arch_poll(void)
{
    unsigned int id = this_cpu_id();

    if (cpumask_test(&call_mask, id) && cpumask_test_and_clear_atomic(&call_mask, id)) {
        call.fn(call.arg);
        __atomic_fetch_sub(&call.pending, 1, __ATOMIC_RELEASE);
    }
    cpu_pause();
}

void arch_call_others(const struct cpumask *cpus, void (*fn)(void *), void *arg)
{
    unsigned int self = this_cpu_id(), count = 0;
    struct cpumask targets = CPUMASK_NONE;
    struct patience patience = { 0 };
    uint32_t ticket;

    for (unsigned int i = 0; i < nr_pcpus; i++) {
        if (i != self && cpumask_test(cpus, i) && pcpus[i] && pcpus[i]->online) {
            cpumask_set(&targets, i);
            count++;
        }
    }
    if (!count)
        return;
    arch_this_cpu()->work_left -= CALL_COST;
    /* In the order of asking: one that calls all the time must not keep the others waiting. */
    ticket = __atomic_fetch_add(&call.next, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&call.serving, __ATOMIC_ACQUIRE) != ticket) {
        arch_poll();
        watchdog_waiting(&patience, "its turn to call other CPUs");
    }
    patience = (struct patience){ 0 };
    call.fn = fn;
    call.arg = arg;
    __atomic_store_n(&call.pending, count, __ATOMIC_RELEASE);
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        if (cpumask_test(&targets, i)) {
            cpumask_set_atomic(&call_mask, i);
            lapic_send_ipi(((struct x86_pcpu *)pcpus[i])->apic_id, VEC_CALL);
        }
    }
    while (__atomic_load_n(&call.pending, __ATOMIC_ACQUIRE)) {
        cpu_pause();
        watchdog_waiting(&patience, "another CPU to answer its call");
    }
    __atomic_store_n(&call.serving, ticket + 1, __ATOMIC_RELEASE);
}

void arch_kick(unsigned int cpu)
{
    if (cpu != this_cpu_id())
        lapic_send_ipi(((struct x86_pcpu *)pcpus[cpu])->apic_id, VEC_KICK);
}

void arch_idle_wait(void)
{
    sti_hlt_cli();
}
