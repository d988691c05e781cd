/* SPDX-License-Identifier: MIT */
/* What domctl and sysctl refuse and no other test meets, by refusal: see tests/model/refusals. */
#include "core/types.h"

#include <xen/domctl.h>
#include <xen/sysctl.h>

#include "core/audit.h"
#include "core/hc_cpupool.h"
#include "core/hypercall.h"
#include "host/host.h"
#include "lib/xenabi.h"
#include "unit.h"

#define ARG HOST_PAGE(0)
#define DATA HOST_PAGE(1) /* and the next page */
#define NOWHERE HOST_PAGE(HOST_GUEST_PAGES)

static struct domain *d, *e; /* Dom0 and a guest of two vCPUs */
static struct vcpu *v;

static const struct guest_ops *toy;
static struct guest_ops limited;

/* The end of the address space can be written, for lists that wrap around. */
static int write_end(struct vcpu *c, gptr_t dst, const void *src, size_t n)
{
    return dst.v >= -4096ul ? 0 : toy->copy_to(c, dst, src, n);
}

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 2);
    d = host_domain(0, 1, 6, true);
    e = host_domain(1, 2, 4, false);
    v = host_up(d, 0);
    host_up(e, 0);
    toy = d->ops;
    limited = *toy;
    limited.copy_to = write_end;
    d->ops = &limited;
}

static struct xen_sysctl *new_sysctl(uint32_t cmd)
{
    struct xen_sysctl *op = host_guest(d, ARG);

    memset(op, 0, sizeof(*op));
    op->cmd = cmd;
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return op;
}

static struct xen_domctl *new_domctl(uint32_t cmd, domid_t id)
{
    struct xen_domctl *op = host_guest(d, ARG);

    memset(op, 0, sizeof(*op));
    op->cmd = cmd;
    op->domain = id;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    return op;
}

static long go(unsigned int call)
{
    long rc;

    host_be(v->cpu->id);
    rc = host_call(v, call, ARG, 0, 0, 0);
    host_settle();
    return rc;
}

static long pool(uint32_t what, uint32_t number, uint32_t domid, uint32_t cpu)
{
    new_sysctl(XEN_SYSCTL_cpupool_op)->u.cpupool_op = (struct xen_sysctl_cpupool_op){
        .op = what,
        .cpupool_id = number,
        .sched_id = XEN_SCHEDULER_CREDIT,
        .domid = domid,
        .cpu = cpu,
    };
    return go(__HYPERVISOR_sysctl);
}

/* --- CPU pools --- */

TEST(pools_of_other_schedulers)
{
    struct xen_sysctl *op = new_sysctl(XEN_SYSCTL_cpupool_op);

    op->u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_CREATE;
    op->u.cpupool_op.cpupool_id = 1;
    op->u.cpupool_op.sched_id = XEN_SCHEDULER_CREDIT2;
    CHECK_EQ(go(__HYPERVISOR_sysctl), E(EINVAL));
    CHECK(!cpupool_exists(1));
}

/* CPUs that are in no pool are not a pool. */
TEST(domains_of_no_pool)
{
    static const uint32_t none[] = { 3, CPUPOOL_NONE, CPUPOOL_OFFLINE, ~0u };

    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0, 0, 1), 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(none); i++) {
        struct xen_domctl *op = new_domctl(XEN_DOMCTL_createdomain, 0);

        op->u.createdomain.max_vcpus = 1;
        op->u.createdomain.grant_opts = 1;
        op->u.createdomain.cpupool_id = none[i];
        CHECK_EQ(go(__HYPERVISOR_domctl), E(ENOENT));
    }
    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 0, 0, 1), 0);
    CHECK_EQ(audit(), 0);
}

TEST(the_dying_stay_in_their_pool)
{
    struct domain *g = host_domain(7, 1, 2, false);
    struct frame *held = frame_of(host_guest_mfn(g, 0));

    CHECK(frame_get(held, g));
    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_CREATE, 1, 0, 0), 0);
    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0, 0, 1), 0);
    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 1, 0, 1), 0);
    new_domctl(XEN_DOMCTL_destroydomain, 7);
    CHECK_EQ(go(__HYPERVISOR_domctl), 0);
    CHECK(domain_dying(g));
    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 1, 7, 0), E(EINVAL));
    CHECK_EQ(g->sched.pool, 0);
    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 1, 0, 0), E(EINVAL)); /* the caller */
    frame_put(held);
    host_settle();
    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 1, 0, 1), 0);
    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 1, 0, 0), 0);
    CHECK_EQ(pool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 0, 0, 1), 0);
    CHECK_EQ(audit(), 0);
}

/* --- the scheduler --- */

TEST(parameters_of_other_schedulers)
{
    struct xen_sysctl *op = new_sysctl(XEN_SYSCTL_scheduler_op);

    op->u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT;
    op->u.scheduler_op.cmd = XEN_SYSCTL_SCHEDOP_getinfo;
    CHECK_EQ(go(__HYPERVISOR_sysctl), 0);
    op->u.scheduler_op.cmd = 7;
    CHECK_EQ(go(__HYPERVISOR_sysctl), E(EINVAL));
    op->u.scheduler_op.cmd = XEN_SYSCTL_SCHEDOP_getinfo;
    op->u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
    CHECK_EQ(go(__HYPERVISOR_sysctl), E(EINVAL));
}

TEST(affinities_that_cannot_be_read_or_told)
{
    struct xen_domctl *op = new_domctl(XEN_DOMCTL_getvcpuaffinity, 1);
    struct cpumask before = e->vcpu[0]->affinity;

    op->u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
    op->u.vcpuaffinity.cpumap_hard.bitmap.p = (void *)NOWHERE;
    op->u.vcpuaffinity.cpumap_hard.nr_bits = 2;
    CHECK_EQ(go(__HYPERVISOR_domctl), E(EFAULT));
    op->cmd = XEN_DOMCTL_setvcpuaffinity;
    CHECK_EQ(go(__HYPERVISOR_domctl), E(EFAULT));
    CHECK_EQ(memcmp(&before, &e->vcpu[0]->affinity, sizeof(before)), 0);
}

/* --- vCPUs' contexts --- */

TEST(contexts_without_memory)
{
    static const uint32_t ops[] = { XEN_DOMCTL_getvcpucontext, XEN_DOMCTL_setvcpucontext };

    for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
        struct xen_domctl *op = new_domctl(ops[i], 1);
        uint32_t pauses = e->pause_count;

        op->u.vcpucontext.ctxt.p = (void *)DATA;
        memset(host_guest(d, DATA), 0, PAGE_SIZE);
        ((struct vcpu_guest_context *)host_guest(d, DATA))->flags = VGCF_online;
        host_fail_every = 1;
        CHECK_EQ(go(__HYPERVISOR_domctl), E(ENOMEM));
        host_fail_every = 0;
        CHECK_EQ(go(__HYPERVISOR_domctl), 0);
        op->u.vcpucontext.ctxt.p = (void *)NOWHERE;
        CHECK_EQ(go(__HYPERVISOR_domctl), E(EFAULT));
        CHECK_EQ(e->pause_count, pauses);
    }
}

/* --- lists --- */

TEST(lists_that_cannot_be_told)
{
    struct xen_sysctl *op = new_sysctl(XEN_SYSCTL_getdomaininfolist);

    op->u.getdomaininfolist.max_domains = 2;
    op->u.getdomaininfolist.buffer.p = (void *)-8ul; /* the second one would be at its begin */
    CHECK_EQ(go(__HYPERVISOR_sysctl), E(EFAULT));
    op = new_sysctl(XEN_SYSCTL_pcitopoinfo);
    op->u.pcitopoinfo.num_devs = 1;
    op->u.pcitopoinfo.nodes.p = (void *)NOWHERE;
    CHECK_EQ(go(__HYPERVISOR_sysctl), E(EFAULT));
}

TEST(debug_keys_by_the_page)
{
    struct xen_sysctl *op = new_sysctl(XEN_SYSCTL_debug_keys);

    memset(host_guest(d, DATA), 0, PAGE_SIZE);
    op->u.debug_keys.keys.p = (void *)DATA;
    op->u.debug_keys.nr_keys = PAGE_SIZE;
    CHECK_EQ(go(__HYPERVISOR_sysctl), E(E2BIG));
    op->u.debug_keys.nr_keys = 32;
    CHECK_EQ(go(__HYPERVISOR_sysctl), 0);
}

/* Every id is in use: the last test, since these records stay. */
TEST(no_more_domains)
{
    struct domain *all = calloc(DOMID_FIRST_RESERVED, sizeof(*all));
    struct xen_domctl *op;

    for (domid_t id = DOMID_FIRST_RESERVED - 1; id > 1; id--) { /* downwards: each comes first */
        all[id].id = id;
        all[id].refs = 1;
        domain_publish(&all[id]);
    }
    op = new_domctl(XEN_DOMCTL_createdomain, 0);
    op->u.createdomain.max_vcpus = 1;
    op->u.createdomain.grant_opts = 1;
    host_be(v->cpu->id);
    CHECK_EQ(host_call(v, __HYPERVISOR_domctl, ARG, 0, 0, 0), E(ENOMEM));
}
