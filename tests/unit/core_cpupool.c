/* SPDX-License-Identifier: MIT */
/* CPU pools: what the operations answer, and that vCPUs run on their pool's CPUs only. */
#include "core/types.h"

#include <xen/domctl.h>
#include <xen/sysctl.h>

#include "core/audit.h"
#include "core/hc_cpupool.h"
#include "core/hypercall.h"
#include "host/host.h"
#include "lib/xenabi.h"
#include "unit.h"

static struct domain *d, *e, *f;

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 4);
    d = host_domain(0, 1, 6, true);
    e = host_domain(1, 4, 4, false);
    f = host_domain(2, 2, 4, false);
    host_up(d, 0);
    for (unsigned int i = 0; i < 4; i++)
        host_up(e, i);
    for (unsigned int i = 0; i < 2; i++)
        host_up(f, i);
}

static struct xen_sysctl_cpupool_op last;
static uint64_t last_map;
static unsigned int gave_way;

static long sysctl(struct xen_sysctl *with)
{
    struct xen_sysctl *op = host_guest(d, HOST_PAGE(0));
    long rc;

    *op = *with;
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    host_be(d->vcpu[0]->cpu->id);
    rc = host_call(d->vcpu[0], __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0, 0);
    while (rc == HC_RESTART) { /* it gave way to work of this CPU, and goes on */
        struct hc_args again = d->vcpu[0]->restart_args;

        host_settle();
        host_be(d->vcpu[0]->cpu->id);
        rc = host_call(d->vcpu[0], __HYPERVISOR_sysctl, again.a[0], again.a[1], again.a[2], 0);
        gave_way++;
    }
    *with = *op;
    return rc;
}

static long pool_op(uint32_t what, uint32_t pool, uint32_t domid, uint32_t cpu)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cpupool_op };
    uint64_t *map = host_guest(d, HOST_PAGE(1));
    long rc;

    *map = 0;
    op.u.cpupool_op = (struct xen_sysctl_cpupool_op){
        .op = what, .cpupool_id = pool, .sched_id = XEN_SCHEDULER_CREDIT, .domid = domid, .cpu = cpu
    };
    op.u.cpupool_op.cpumap.bitmap.p = (void *)HOST_PAGE(1);
    op.u.cpupool_op.cpumap.nr_bits = 64;
    rc = sysctl(&op);
    last = op.u.cpupool_op;
    last_map = *map;
    host_settle();
    return rc;
}

#define ANY XEN_SYSCTL_CPUPOOL_PAR_ANY
#define CREATE(pool) pool_op(XEN_SYSCTL_CPUPOOL_OP_CREATE, pool, 0, 0)
#define DESTROY(pool) pool_op(XEN_SYSCTL_CPUPOOL_OP_DESTROY, pool, 0, 0)
#define INFO(pool) pool_op(XEN_SYSCTL_CPUPOOL_OP_INFO, pool, 0, 0)
#define FREE() pool_op(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0, 0, 0)
#define ADD(pool, cpu) pool_op(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, pool, 0, cpu)
#define REMOVE(pool, cpu) pool_op(XEN_SYSCTL_CPUPOOL_OP_RMCPU, pool, 0, cpu)
#define MOVE(pool, domid) pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, pool, domid, 0)

/* For some slices: each vCPU on its pool's CPUs, nothing contradictory, and how many CPUs run
 * guests. */
static unsigned int watch(void)
{
    unsigned int busiest = 0;

    for (int i = 0; i < 40; i++) {
        struct domain *all[] = { d, e, f };
        unsigned int busy = 0;

        host_advance(SCHED_SLICE_NS / 4);
        host_settle();
        for (unsigned int k = 0; k < 3; k++)
            for (unsigned int n = 0; n < all[k]->max_vcpus; n++) {
                struct vcpu *v = all[k]->vcpu[n];

                if (v->sched.running || v->sched.queued)
                    CHECK_EQ(v->cpu->rq.pool, all[k]->sched.pool);
                busy += v->sched.running;
            }
        CHECK_EQ(audit(), 0);
        busiest = MAX(busiest, busy);
    }
    return busiest;
}

TEST(one_pool_at_boot)
{
    CHECK_EQ(INFO(0), 0);
    CHECK_EQ(last.n_dom, 3);
    CHECK_EQ(last_map, 15);
    CHECK_EQ(INFO(1), E(ENOENT));
    CHECK_EQ(FREE(), 0);
    CHECK_EQ(last_map, 0);
    CHECK_EQ(pool_op(99, 0, 0, 0), E(EOPNOTSUPP));
}

TEST(two_pools)
{
    CHECK_EQ(CREATE(ANY), 0);
    CHECK_EQ(last.cpupool_id, 1);
    CHECK_EQ(CREATE(1), E(EEXIST));
    CHECK_EQ(CREATE(0), E(EEXIST));
    CHECK_EQ(CREATE(MAX_CPUPOOLS), E(EINVAL));
    CHECK_EQ(MOVE(1, 1), E(ENOENT)); /* no CPU */
    CHECK_EQ(ADD(1, 3), E(ENODEV));  /* it is pool 0's */
    CHECK_EQ(ADD(1, 4), E(EINVAL));
    CHECK_EQ(REMOVE(0, 3), 0);
    CHECK_EQ(watch(), 3);
    CHECK_EQ(FREE(), 0);
    CHECK_EQ(last_map, 8);
    CHECK_EQ(REMOVE(0, 3), E(ENODEV));
    CHECK_EQ(ADD(1, ANY), 0);
    CHECK_EQ(MOVE(1, 0), E(EINVAL)); /* Domain 0 itself */
    CHECK_EQ(MOVE(1, 7), E(EINVAL));
    CHECK_EQ(MOVE(2, 1), E(ENOENT));
    CHECK_EQ(MOVE(1, 1), 0);
    CHECK_EQ(watch(), 4);
    CHECK_EQ(e->sched.pool, 1);
    CHECK_EQ(INFO(1), 0);
    CHECK(last.n_dom == 1 && last_map == 8);
    CHECK_EQ(INFO(ANY), 0);
    CHECK(last.cpupool_id == 0 && last.n_dom == 2 && last_map == 7);
    CHECK_EQ(REMOVE(1, 3), E(EBUSY)); /* the last one */
    CHECK_EQ(DESTROY(1), E(EBUSY));
}

/* A vCPU bound to a CPU that its pool has lost may run on all of the pool's. */
TEST(affinities_that_a_pool_cannot_keep)
{
    struct cpumask map = CPUMASK_NONE;

    cpumask_set(&map, 3);
    CHECK_EQ(sched_set_affinity(f->vcpu[0], &map), -XEN_EINVAL); /* not in its pool */
    CHECK_EQ(sched_set_affinity(e->vcpu[0], &map), 0);
    map = CPUMASK_NONE;
    cpumask_set(&map, 2);
    CHECK_EQ(sched_set_affinity(f->vcpu[0], &map), 0);
    watch();
    CHECK_EQ(f->vcpu[0]->cpu->id, 2);
    CHECK_EQ(REMOVE(0, 2), 0);
    watch();
    CHECK(f->vcpu[0]->cpu->id < 2 && cpumask_test(&f->vcpu[0]->affinity, 0));
    CHECK_EQ(ADD(1, 2), 0);
    watch();
    CHECK(cpumask_test(&e->vcpu[0]->affinity, 3) &&
          !cpumask_test(&e->vcpu[0]->affinity, 2)); /* kept */
}

TEST(a_slice_for_each_pool)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_scheduler_op };

    op.u.scheduler_op = (struct xen_sysctl_scheduler_op){ .cpupool_id = 1,
                                                          .sched_id = XEN_SCHEDULER_CREDIT,
                                                          .cmd = XEN_SYSCTL_SCHEDOP_putinfo };
    op.u.scheduler_op.u.sched_credit.tslice_ms = 5;
    op.u.scheduler_op.u.sched_credit.ratelimit_us = 500;
    CHECK_EQ(sysctl(&op), 0);
    CHECK_EQ(sched_settings[1].slice_ns, 5000000);
    CHECK_EQ(sched_settings[0].slice_ns, SCHED_SLICE_NS);
    op.u.scheduler_op.cpupool_id = 9;
    CHECK_EQ(sysctl(&op), E(EINVAL));
}

TEST(the_end_of_a_pool)
{
    CHECK_EQ(MOVE(0, 1), 0);
    watch();
    CHECK_EQ(REMOVE(1, ANY), 0);
    CHECK_EQ(DESTROY(1), E(EBUSY)); /* it has a CPU */
    CHECK_EQ(REMOVE(1, ANY), 0);
    CHECK_EQ(REMOVE(1, ANY), E(ENODEV));
    CHECK_EQ(DESTROY(1), 0);
    CHECK_EQ(DESTROY(1), E(ENOENT));
    CHECK_EQ(DESTROY(0), E(EINVAL));
    CHECK_EQ(watch(), 2);
    CHECK_EQ(REMOVE(0, 1), 0);
    CHECK_EQ(REMOVE(0, 0), E(EBUSY)); /* Domain 0's last */
    CHECK_EQ(watch(), 1);
    for (unsigned int i = 1; i < 4; i++)
        CHECK_EQ(ADD(0, i), 0);
    CHECK_EQ(watch(), 4);
    CHECK(!cpupool_usable(1) && cpupool_usable(0) && !cpupool_exists(77));
}

static long hotplug(uint32_t what, uint32_t cpu)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cpu_hotplug };
    long rc;

    op.u.cpu_hotplug = (struct xen_sysctl_cpu_hotplug){ .cpu = cpu, .op = what };
    rc = sysctl(&op);
    host_settle();
    return rc;
}

static uint32_t cpus_online(void)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_physinfo };

    return sysctl(&op) == 0 ? op.u.physinfo.nr_cpus : 0;
}

/* A CPU that is offline runs nobody, and is in no pool's and no free CPUs' list. */
TEST(offline_and_online)
{
    struct cpumask map = CPUMASK_NONE;

    cpumask_set(&map, 3);
    CHECK_EQ(sched_set_affinity(e->vcpu[1], &map), 0);
    CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_OFFLINE, 0), E(EINVAL));
    CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_OFFLINE, 4), E(EINVAL));
    CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_ONLINE, 3), E(EINVAL));
    CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_SMT_DISABLE, 0), E(EOPNOTSUPP));
    CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_OFFLINE, 3), 0);
    CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_OFFLINE, 3), E(EINVAL));
    CHECK_EQ(watch(), 3);
    CHECK(cpumask_test(&e->vcpu[1]->affinity, 0)); /* it was bound to that CPU */
    CHECK_EQ(cpus_online(), 3);
    CHECK_EQ(FREE(), 0);
    CHECK_EQ(last_map, 0);
    CHECK_EQ(ADD(0, 3), E(ENODEV));
    CHECK_EQ(ADD(0, ANY), E(ENODEV));
    CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_OFFLINE, 2), 0);
    CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_OFFLINE, 1), 0);
    CHECK_EQ(watch(), 1);
    for (unsigned int i = 1; i < 4; i++)
        CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_ONLINE, i), 0);
    CHECK_EQ(watch(), 4);
    CHECK_EQ(cpus_online(), 4);
}

/* The last CPU of a pool with domains stays online. */
TEST(offline_of_a_pools_last)
{
    CHECK_EQ(CREATE(1), 0);
    CHECK_EQ(REMOVE(0, 3), 0);
    CHECK_EQ(ADD(1, 3), 0);
    CHECK_EQ(MOVE(1, 1), 0);
    CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_OFFLINE, 3), E(EBUSY));
    CHECK_EQ(MOVE(0, 1), 0);
    CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_OFFLINE, 3), 0);
    CHECK_EQ(DESTROY(1), 0);
    CHECK_EQ(hotplug(XEN_SYSCTL_CPU_HOTPLUG_ONLINE, 3), 0);
    CHECK_EQ(watch(), 4);
}

/* CPUs and domains move while everything runs: nobody is lost, nobody runs where it must not. */
TEST(storm)
{
    uint64_t seed = 12345;

    CHECK_EQ(CREATE(1), 0);
    CHECK_EQ(CREATE(2), 0);
    for (int i = 0; i < 600; i++) {
        unsigned int a, b, c;

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        a = seed >> 33 & 3;
        b = (seed >> 40) % 3;
        c = seed >> 50 & 3;
        if (c == 0)
            pool_op(XEN_SYSCTL_CPUPOOL_OP_RMCPU, b, 0, a);
        else if (c == 1)
            pool_op(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, b, 0, a);
        else if (c == 2)
            pool_op(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, b, 1 + (a & 1), 0);
        else
            host_advance(SCHED_SLICE_NS / 3);
        host_settle();
        for (unsigned int n = 0; n < 4; n++)
            CHECK(e->vcpu[n]->sched.running || e->vcpu[n]->sched.queued);
        CHECK_EQ(d->vcpu[0]->sched.running || d->vcpu[0]->sched.queued, 1);
        CHECK_EQ(audit(), 0);
    }
    watch();
    CHECK(gave_way > 0);
}
