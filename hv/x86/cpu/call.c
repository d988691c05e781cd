/* SPDX-License-Identifier: MIT */
/*
 * Cross-CPU calls. Each CPU has one record of the call that it makes, and one set of CPUs that have
 * a call for it: any number of calls are on their way at once, and nobody waits for another's turn.
 * A target runs them from its interrupt, or, while it waits for something in the hypervisor (the
 * answers to its own call, too), from arch_poll(). No lock.
 *
 * What must hold: a function that is called calls no other CPU, and takes no lock that a CPU holds
 * while it makes a call.
 */
#include "core/arch.h"
#include "core/bug.h"
#include "core/pcpu.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/watchdog.h"
#include "x86/irq/lapic.h"
#include "x86/irq/vectors.h"

/* What a call counts for when long work asks whether to give way: the wait is part of the work. */
#define CALL_COST 32

struct call {
    uint32_t
        pending; /* atomic: targets that have not run it; the caller fills the rest when it is 0 */
    void (*fn)(void *);
    void *arg;
} __attribute__((aligned(64)));

static struct call calls[MAX_CPUS];    /* by caller */
static struct cpumask asked[MAX_CPUS]; /* by target: who has a call for it; atomic */

struct pcpu *arch_this_cpu(void)
{
    return cpu_info()->pcpu;
}

/* What CPU `from` asks of this one. The caller may use its record again once `pending` is 0. */
static void answer(unsigned int from)
{
    struct call *c = &calls[from];

    c->fn(c->arg);
    __atomic_fetch_sub(&c->pending, 1, __ATOMIC_RELEASE);
}

void arch_poll(void)
{
    struct cpumask *mine = &asked[this_cpu_id()];

    for (unsigned int i = 0; i < BITMAP_LONGS(nr_pcpus); i++) {
        unsigned long w = __atomic_load_n(&mine->w[i], __ATOMIC_RELAXED);

        if (__builtin_expect(w != 0, 0))
            w = __atomic_exchange_n(&mine->w[i], 0, __ATOMIC_ACQUIRE);
        for (; w; w &= w - 1)
            answer(i * BITS_PER_LONG + (unsigned int)__builtin_ctzl(w));
    }
    cpu_pause();
}

void arch_call_others(const struct cpumask *cpus, void (*fn)(void *), void *arg)
{
    unsigned int self = this_cpu_id(), count = 0;
    struct cpumask targets = CPUMASK_NONE;
    struct patience patience = { 0 };
    struct call *c = &calls[self];

    ASSERT(c->pending == 0);
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        if (i != self && cpumask_test(cpus, i) && pcpus[i] && pcpus[i]->online) {
            cpumask_set(&targets, i);
            count++;
        }
    }
    if (!count)
        return;
    arch_this_cpu()->work_left -= CALL_COST;
    c->fn = fn;
    c->arg = arg;
    __atomic_store_n(&c->pending, count, __ATOMIC_RELAXED);
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        if (cpumask_test(&targets, i)) {
            cpumask_set_atomic(&asked[i], self); /* the record is there before */
            lapic_send_ipi(((struct x86_pcpu *)pcpus[i])->apic_id, VEC_CALL);
        }
    }
    while (__atomic_load_n(&c->pending, __ATOMIC_ACQUIRE)) {
        arch_poll(); /* two that call each other */
        watchdog_waiting(&patience, "another CPU to answer its call");
    }
}

void arch_kick(unsigned int cpu)
{
    if (cpu != this_cpu_id())
        lapic_send_ipi(((struct x86_pcpu *)pcpus[cpu])->apic_id, VEC_KICK);
}

void arch_idle_wait(void)
{
    lapic_before_idle();
    sti_hlt_cli();
}
