/* SPDX-License-Identifier: MIT */
/*
 * The CPUs as the core sees them: records, and the word of work that waits for each one's exit
 * path. `pending` is atomic and set from anywhere; everything else belongs to its CPU.
 */
#include "core/pcpu.h"

#include "core/bug.h"
#include "core/clock.h"
#include "core/domain.h"
#include "core/keys.h"
#include "core/log.h"
#include "core/trace.h"
#include "core/vcpu.h"

struct pcpu *pcpus[MAX_CPUS];
unsigned int nr_pcpus;
const struct cpumask cpumask_all = CPUMASK_ALL;

void pcpu_init(struct pcpu *p, unsigned int id, struct vcpu *idle)
{
    BUG_ON(id >= MAX_CPUS || pcpus[id]);
    p->id = id;
    p->idle = idle;
    p->current = idle;
    idle->cpu = p;
    pcpu_gave_way(p);
    idle->id = id;
    timer_init_cpu(p);
    sched_init_cpu(p);
    __atomic_store_n(&pcpus[id], p, __ATOMIC_RELEASE);
}

void pcpu_online(struct pcpu *p)
{
    p->idle_since = arch_now();
    __atomic_store_n(&p->online, true, __ATOMIC_RELEASE);
    __atomic_fetch_add(&nr_pcpus, 1, __ATOMIC_SEQ_CST);
}

/*
 * A CPU looks at `pending` with interrupts off as its last step before a guest runs or it sleeps,
 * and an IPI that comes later interrupts either. So who finds bits already set may rely on the IPI
 * of whoever set the first one.
 */
void pcpu_raise(struct pcpu *p, enum pending_work work)
{
    uint32_t old = __atomic_fetch_or(&p->pending, (uint32_t)work, __ATOMIC_SEQ_CST);

    if (old == 0 && p != arch_this_cpu()) {
        COUNT(arch_this_cpu(), KICKS);
        arch_kick(p->id);
    }
}

uint64_t pcpu_idle_time(const struct pcpu *p)
{
    uint64_t since = __atomic_load_n(&p->idle_since, __ATOMIC_RELAXED);
    uint64_t ns = __atomic_load_n(&p->idle_ns, __ATOMIC_RELAXED);

    if (__atomic_load_n(&p->current, __ATOMIC_RELAXED) == p->idle)
        ns += arch_now() - since;
    return ns;
}

/* What comes seldom; log and keys before another vCPU is chosen. */
static __attribute__((noinline)) void do_rare_work(uint32_t work)
{
    if (work & WORK_REAP)
        domain_reap();
    if (work & WORK_CONRING)
        log_notify();
    if (work & WORK_LOG)
        log_late();
    if (work & WORK_TRACE)
        trace_notify();
    if (work & WORK_KEY)
        keys_run();
}

void pcpu_do_pending(struct pcpu *p)
{
    while (__atomic_load_n(&p->pending, __ATOMIC_RELAXED) != 0) {
        uint32_t work = __atomic_exchange_n(&p->pending, 0, __ATOMIC_SEQ_CST);

        COUNT(p, WORK);

        if (work & WORK_TIMER)
            timer_run(p);
        if (__builtin_expect(work & ~(uint32_t)(WORK_TIMER | WORK_SCHED | WORK_CLOCK), 0))
            do_rare_work(work);
        if (work & WORK_SCHED)
            sched_run(p);
        if ((work & WORK_CLOCK) && p->current != p->idle)
            clock_update_vcpu(p->current);
    }
}
