/* SPDX-License-Identifier: MIT */
/*
 * Which vCPU's state a CPU has. A vCPU is resident on at most one CPU, and while it is, its state
 * in memory is out of date: who wants it calls switch_sync(). No locks; x86_vcpu.resident is
 * atomic.
 */
#include "x86/switch.h"

#include "core/arch.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/spec.h"
#include "x86/guest.h"
#include "x86/mm/paging.h"
#include "x86/mm/tlb.h"

/* The domain that each CPU ran last, + 1; SOMEBODY: one that is gone. */
static uint16_t last_domain[MAX_CPUS];
#define SOMEBODY 0xffffu

/* v, resident here and not running, leaves: all its state goes to memory. */
static void save(struct x86_pcpu *xp, struct vcpu *v)
{
    x86_ops(v)->save(v, true);
    xp->resident = NULL;
}

/*
 * v's state is in memory and this CPU is not on its page tables any more: from now on it may enter
 * another CPU, or its tables may go. `next`: the domain whose tables are loaded now, or NULL.
 */
static void release(struct x86_pcpu *xp, struct vcpu *v, const struct domain *next)
{
    if (v->domain != next)
        cpumask_clear_atomic(&v->domain->dirty_cpus, xp->p.id);
    __atomic_store_n(&x86_vcpu(v)->resident, 0, __ATOMIC_RELEASE);
}

/* Cross-call, or local: move v's state from this CPU to memory, and leave its tables. */
static void evict(void *arg)
{
    struct x86_pcpu *xp = this_x86();
    struct vcpu *v = arg;

    if (xp->resident != v || cpu_info()->current == v)
        return;
    save(xp, v);
    tlb_load(idle_cr3);
    release(xp, v, NULL);
}

static void evict_anywhere(struct vcpu *v)
{
    struct cpumask there;
    uint32_t where = __atomic_load_n(&x86_vcpu(v)->resident, __ATOMIC_ACQUIRE);

    if (!where)
        return;
    if (where - 1 == this_cpu_id()) {
        evict(v);
        return;
    }
    there = cpumask_of(where - 1);
    arch_call_others(&there, evict, v);
}

void switch_sync(struct vcpu *v)
{
    if (cpu_info()->current == v)
        x86_ops(v)->save(v, false);
    else
        evict_anywhere(v);
}

/*
 * v's page tables. It is resident and its domain dirty here before the CPU can load a translation:
 * who changes a table later finds both.
 */
static void load_tables(struct x86_pcpu *xp, struct vcpu *v)
{
    __atomic_store_n(&x86_vcpu(v)->resident, xp->p.id + 1, __ATOMIC_SEQ_CST);
    cpumask_set_atomic(&v->domain->dirty_cpus, xp->p.id);
    x86_ops(v)->load_tables(v);
}

/* What the last domain taught the branch predictors is forgotten before another one runs. */
static void note_domain(unsigned int cpu, const struct domain *d)
{
    uint16_t was = __atomic_load_n(&last_domain[cpu], __ATOMIC_RELAXED);

    if (was == d->id + 1)
        return;
    __atomic_store_n(&last_domain[cpu], (uint16_t)(d->id + 1), __ATOMIC_RELAXED);
    if (was)
        spec_switch_domain();
}

void switch_forget(domid_t id)
{
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        uint16_t was = (uint16_t)(id + 1);

        __atomic_compare_exchange_n(&last_domain[i], &was, SOMEBODY, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
    }
}

void arch_switch(struct vcpu *prev, struct vcpu *next)
{
    struct x86_pcpu *xp = this_x86();
    struct vcpu *old = xp->resident;

    (void)prev;
    cpu_info()->current = next;
    if (next->domain == NULL || old == next)
        return;           /* idle changes nothing, and who comes back finds everything as it was */
    evict_anywhere(next); /* serves other CPUs while it waits: `old` may go */
    old = xp->resident;
    if (old)
        save(xp, old);
    load_tables(xp, next);
    if (old)
        release(xp, old, next->domain);
    note_domain(xp->p.id, next->domain);
    x86_ops(next)->load(next);
    xp->resident = next;
}
