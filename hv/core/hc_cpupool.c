/* SPDX-License-Identifier: MIT */
/*
 * CPU pools. Each CPU is in one pool or in none (then it idles), each domain in one; a domain's
 * vCPUs run on its pool's CPUs only. Pool 0 is always there and has Domain 0.
 *
 * What must hold, under the domctl lock, which each operation holds:
 * - a pool with domains that live has a CPU;
 * - each vCPU's affinity names a CPU of its pool, once the walk that follows a change has ended. In
 *   between a vCPU may be left on a CPU where it should no longer be, and runs there.
 *
 * The walk over all domains gives way; its place is in the second argument, which the ABI leaves
 * free. A caller that makes one up has vCPUs looked at that need it not.
 */
#include "core/hc_cpupool.h"

#include <xen/sysctl.h>

#include "core/hypercall.h"
#include "core/log.h"
#include "core/pcpu.h"
#include "core/sched.h"

#define WALK_GOES_ON 0x706f6f6c00000000ul
#define WALK_PLACE 0xfffful

static uint32_t pools_made; /* [domctl lock to write] bit n: pool n + 1 exists */
_Static_assert(MAX_CPUPOOLS <= 33, "a bit for each pool but 0");

bool cpupool_exists(uint32_t pool)
{
    return pool == 0 || (pool < MAX_CPUPOOLS &&
                         (__atomic_load_n(&pools_made, __ATOMIC_RELAXED) >> (pool - 1) & 1));
}

static unsigned int nr_cpus_of(uint32_t pool)
{
    struct cpumask cpus = sched_pool_cpus(pool);

    return cpumask_weight(&cpus);
}

bool cpupool_usable(uint32_t pool)
{
    return cpupool_exists(pool) && nr_cpus_of(pool) != 0;
}

/* The domains of a pool that live. */
static uint32_t nr_domains_of(uint32_t pool)
{
    uint32_t n = 0;

    for_each_domain (d)
        n += d->sched.pool == pool && !domain_dying(d);
    return n;
}

static void rehome_domain(struct domain *d, const struct cpumask *cpus)
{
    unsigned int reset = 0;

    for_each_vcpu (d, v)
        reset += sched_rehome(v, cpus);
    if (reset)
        log_info("CPU pools: %u vCPUs of d%u, bound to CPUs that pool %u does not have, may run on "
                 "all of its CPUs",
                 reset, d->id, d->sched.pool);
}

/* All domains, from `id` on, are where they may be. 0, or that it gave way. */
static long rehome_all(struct vcpu *v, unsigned long arg, domid_t id)
{
    for_each_domain_from (d, id) {
        struct cpumask cpus = sched_pool_cpus(d->sched.pool);

        if (!domain_dying(d))
            rehome_domain(d, &cpus);
        if (hc_preempt(1 + (int32_t)d->max_vcpus / 4))
            return hc_restart(v, HC_ARGS(arg, WALK_GOES_ON | (d->id + 1ul)));
    }
    return 0;
}

static long pool_create(struct vcpu *v, struct xen_sysctl_cpupool_op *op)
{
    uint32_t pool = op->cpupool_id;

    if (op->sched_id != XEN_SCHEDULER_CREDIT) {
        log_refusal(v->domain, "cpupool_op: the scheduler of every pool is credit, not number %u",
                    op->sched_id);
        return E(EINVAL);
    }
    for (uint32_t i = 1; pool == XEN_SYSCTL_CPUPOOL_PAR_ANY && i < MAX_CPUPOOLS; i++)
        if (!cpupool_exists(i))
            pool = i;
    if (pool >= MAX_CPUPOOLS) {
        log_refusal(v->domain, "cpupool_op: there may be %u pools, 0 to %u", MAX_CPUPOOLS,
                    MAX_CPUPOOLS - 1);
        return pool == XEN_SYSCTL_CPUPOOL_PAR_ANY ? E(ENOSPC) : E(EINVAL);
    }
    if (cpupool_exists(pool))
        return E(EEXIST);
    sched_settings[pool] = sched_settings[0];
    __atomic_fetch_or(&pools_made, 1u << (pool - 1), __ATOMIC_RELAXED);
    op->cpupool_id = pool;
    return 0;
}

static long pool_destroy(struct vcpu *v, uint32_t pool)
{
    if (pool == 0)
        return E(EINVAL);
    if (nr_cpus_of(pool)) { /* as a pool with domains has */
        log_refusal(v->domain, "cpupool_op: pool %u has CPUs", pool);
        return E(EBUSY);
    }
    __atomic_fetch_and(&pools_made, ~(1u << (pool - 1)), __ATOMIC_RELAXED);
    return 0;
}

/* The CPU that is meant: the given one, or with PAR_ANY the last one of a pool; NULL: none. */
static struct pcpu *cpu_of(uint32_t cpu, uint32_t pool)
{
    if (cpu != XEN_SYSCTL_CPUPOOL_PAR_ANY)
        return cpu < nr_pcpus ? pcpus[cpu] : NULL;
    for (unsigned int i = nr_pcpus; i-- > 0;)
        if (pcpus[i]->rq.pool == pool)
            return pcpus[i];
    return NULL;
}

static long pool_add(struct vcpu *v, const struct xen_sysctl_cpupool_op *op)
{
    struct pcpu *p = cpu_of(op->cpu, CPUPOOL_NONE);

    if (!p)
        return op->cpu == XEN_SYSCTL_CPUPOOL_PAR_ANY ? E(ENODEV) : E(EINVAL);
    if (p->rq.pool != CPUPOOL_NONE) {
        log_refusal(v->domain, "cpupool_op: CPU %u is in pool %u already", p->id, p->rq.pool);
        return E(ENODEV);
    }
    sched_set_cpu_pool(p, op->cpupool_id);
    return 0;
}

static long pool_remove(struct vcpu *v, unsigned long arg, const struct xen_sysctl_cpupool_op *op)
{
    struct pcpu *p = cpu_of(op->cpu, op->cpupool_id);

    if (!p)
        return op->cpu == XEN_SYSCTL_CPUPOOL_PAR_ANY ? E(ENODEV) : E(EINVAL);
    if (p->rq.pool != op->cpupool_id)
        return E(ENODEV);
    if (nr_cpus_of(op->cpupool_id) == 1 && nr_domains_of(op->cpupool_id)) {
        log_refusal(v->domain, "cpupool_op: CPU %u is the last one of pool %u, which has domains",
                    p->id, op->cpupool_id);
        return E(EBUSY);
    }
    sched_set_cpu_pool(p, CPUPOOL_NONE);
    return rehome_all(v, arg, 0);
}

static long pool_move(struct vcpu *v, const struct xen_sysctl_cpupool_op *op)
{
    struct domain *d = op->domid < DOMID_FIRST_RESERVED ? domain_get((domid_t)op->domid) : NULL;
    struct cpumask cpus;

    if (!d || d == v->domain || domain_dying(d)) {
        if (d)
            domain_put(d);
        return E(EINVAL);
    }
    if (!cpupool_usable(op->cpupool_id)) {
        log_refusal(v->domain, "cpupool_op: pool %u has no CPU", op->cpupool_id);
        domain_put(d);
        return E(ENOENT);
    }
    if (d->sched.pool != op->cpupool_id) {
        __atomic_store_n(&d->sched.pool, op->cpupool_id, __ATOMIC_SEQ_CST);
        cpus = sched_pool_cpus(op->cpupool_id);
        rehome_domain(d, &cpus);
    }
    domain_put(d);
    return 0;
}

/* The pool of that number, or the next one: tools find all pools so. */
static long pool_info(struct vcpu *v, struct xen_sysctl_cpupool_op *op)
{
    struct cpumask cpus;
    uint32_t pool = op->cpupool_id == XEN_SYSCTL_CPUPOOL_PAR_ANY ? 0 : op->cpupool_id;

    while (pool < MAX_CPUPOOLS && !cpupool_exists(pool))
        pool++;
    if (pool >= MAX_CPUPOOLS)
        return E(ENOENT);
    op->cpupool_id = pool;
    op->sched_id = XEN_SCHEDULER_CREDIT;
    op->n_dom = nr_domains_of(pool);
    cpus = sched_pool_cpus(pool);
    return bitmap_to_guest(v, &op->cpumap, cpus.w, nr_pcpus);
}

static long pool_free_cpus(struct vcpu *v, const struct xen_sysctl_cpupool_op *op)
{
    struct cpumask cpus = sched_pool_cpus(CPUPOOL_NONE);

    return bitmap_to_guest(v, &op->cpumap, cpus.w, nr_pcpus);
}

/* --- CPUs on- and offline: one that is offline idles, in a pool of its own --- */

static long cpu_offline(struct vcpu *v, unsigned long arg, struct pcpu *p)
{
    uint32_t pool = p->rq.pool;

    if (p->id == 0 || pool == CPUPOOL_OFFLINE) {
        log_refusal(v->domain, "cpu_hotplug: CPU %u %s", p->id,
                    p->id ? "is offline already" : "stays online");
        return E(EINVAL);
    }
    if (pool != CPUPOOL_NONE && nr_cpus_of(pool) == 1 && nr_domains_of(pool)) {
        log_refusal(v->domain, "cpu_hotplug: CPU %u is the last one of pool %u, which has domains",
                    p->id, pool);
        return E(EBUSY);
    }
    sched_set_cpu_pool(p, CPUPOOL_OFFLINE);
    log_info("CPU %u is offline", p->id);
    return rehome_all(v, arg, 0);
}

static long cpu_online(struct pcpu *p)
{
    if (p->rq.pool != CPUPOOL_OFFLINE)
        return E(EINVAL);
    sched_set_cpu_pool(p, 0);
    log_info("CPU %u is online, in pool 0", p->id);
    return 0;
}

static long locked_hotplug(struct vcpu *v, const struct hc_args *args,
                           const struct xen_sysctl_cpu_hotplug *op)
{
    unsigned long place = args->a[1];
    struct pcpu *p = op->cpu < nr_pcpus ? pcpus[op->cpu] : NULL;

    switch (op->op) {
    case XEN_SYSCTL_CPU_HOTPLUG_OFFLINE:
        if ((place & ~WALK_PLACE) == WALK_GOES_ON)
            return rehome_all(v, args->a[0], (domid_t)(place & WALK_PLACE));
        return p ? cpu_offline(v, args->a[0], p) : E(EINVAL);
    case XEN_SYSCTL_CPU_HOTPLUG_ONLINE:
        return p ? cpu_online(p) : E(EINVAL);
    default:
        return E(EOPNOTSUPP);
    }
}

long sysctl_cpu_hotplug(struct vcpu *v, const struct hc_args *args,
                        const struct xen_sysctl_cpu_hotplug *op)
{
    long rc;

    if (!spin_trylock(&domctl_lock))
        return hc_restart(v, HC_ARGS(args->a[0], args->a[1]));
    rc = locked_hotplug(v, args, op);
    spin_unlock(&domctl_lock);
    return rc;
}

static long locked(struct vcpu *v, const struct hc_args *args, struct xen_sysctl_cpupool_op *op)
{
    unsigned long place = args->a[1];

    if (op->op == XEN_SYSCTL_CPUPOOL_OP_RMCPU && (place & ~WALK_PLACE) == WALK_GOES_ON)
        return rehome_all(v, args->a[0], (domid_t)(place & WALK_PLACE));
    switch (op->op) {
    case XEN_SYSCTL_CPUPOOL_OP_CREATE:
        return pool_create(v, op);
    case XEN_SYSCTL_CPUPOOL_OP_INFO:
        return pool_info(v, op);
    case XEN_SYSCTL_CPUPOOL_OP_FREEINFO:
        return pool_free_cpus(v, op);
    case XEN_SYSCTL_CPUPOOL_OP_DESTROY:
    case XEN_SYSCTL_CPUPOOL_OP_ADDCPU:
    case XEN_SYSCTL_CPUPOOL_OP_RMCPU:
    case XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN:
        break;
    default:
        return E(EOPNOTSUPP);
    }
    if (!cpupool_exists(op->cpupool_id))
        return E(ENOENT);
    switch (op->op) {
    case XEN_SYSCTL_CPUPOOL_OP_DESTROY:
        return pool_destroy(v, op->cpupool_id);
    case XEN_SYSCTL_CPUPOOL_OP_ADDCPU:
        return pool_add(v, op);
    case XEN_SYSCTL_CPUPOOL_OP_RMCPU:
        return pool_remove(v, args->a[0], op);
    default:
        return pool_move(v, op);
    }
}

long sysctl_cpupool(struct vcpu *v, const struct hc_args *args, struct xen_sysctl_cpupool_op *op)
{
    long rc;

    if (!spin_trylock(&domctl_lock)) /* another CPU is at it: come again */
        return hc_restart(v, HC_ARGS(args->a[0], args->a[1]));
    rc = locked(v, args, op);
    spin_unlock(&domctl_lock);
    return rc;
}
