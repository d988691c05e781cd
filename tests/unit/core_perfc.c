/* SPDX-License-Identifier: MIT */
/* sysctl perfc_op: the counters have names, and count. */
#include "core/types.h"

#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>

#include "core/hypercall.h"
#include "host/host.h"
#include "lib/xenabi.h"
#include "unit.h"

static struct domain *d, *e;

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 2);
    d = host_domain(0, 1, 16, true);
    e = host_domain(1, 2, 4, false);
    host_up(d, 0);
    host_up(e, 0);
}

#define DESC HOST_PAGE(4)
#define VALS HOST_PAGE(2)

static struct xen_sysctl_perfc_op last;

static long perfc(uint32_t cmd, unsigned long desc, unsigned long vals)
{
    struct xen_sysctl *op = host_guest(d, HOST_PAGE(0));
    long rc;

    *op = (struct xen_sysctl){ .cmd = XEN_SYSCTL_perfc_op,
                               .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    op->u.perfc_op.cmd = cmd;
    op->u.perfc_op.desc.p = (void *)desc;
    op->u.perfc_op.val.p = (void *)vals;
    host_be(d->vcpu[0]->cpu->id);
    rc = host_call(d->vcpu[0], __HYPERVISOR_sysctl, HOST_PAGE(0), 0, 0, 0);
    last = op->u.perfc_op;
    return rc;
}

/* Value n of a counter, as a query gives it now; ~0: there is none. */
static uint32_t value_if_any(const char *name, unsigned int n)
{
    const struct xen_sysctl_perfc_desc *desc = host_guest(d, DESC);
    const uint32_t *vals = host_guest(d, VALS);

    if (perfc(XEN_SYSCTL_PERFCOP_query, DESC, VALS) != 0)
        return ~0u;
    for (uint32_t i = 0; i < last.nr_counters; vals += desc[i++].nr_vals)
        if (strcmp(desc[i].name, name) == 0 && n < desc[i].nr_vals)
            return vals[n];
    return ~0u;
}

static uint32_t value(const char *name, unsigned int n)
{
    uint32_t value = value_if_any(name, n);

    if (value == ~0u)
        printf("    no counter %s\n", name);
    return value;
}

/* First: nobody has looked yet. */
TEST(numbers_without_buffers)
{
    CHECK(!watching(WATCH_COSTS));
    CHECK_EQ(perfc(XEN_SYSCTL_PERFCOP_query, 0, 0), 0);
    CHECK_EQ(last.nr_counters, NR_COUNTS + 2 + 3); /* three vCPUs */
    CHECK_EQ(last.nr_vals, NR_COUNTS + COUNT_CALLS + COUNT_WAITS * 4);
    CHECK_EQ(perfc(7, 0, 0), E(EINVAL));
    CHECK_EQ(perfc(XEN_SYSCTL_PERFCOP_query, 0x123456789000, 0), E(EFAULT));
    CHECK_EQ(perfc(XEN_SYSCTL_PERFCOP_query, 0, 0x123456789000), E(EFAULT));
}

TEST(hypercalls_by_number)
{
    uint32_t before = value("hypercalls", __HYPERVISOR_xen_version);

    for (int i = 0; i < 5; i++)
        host_call(d->vcpu[0], __HYPERVISOR_xen_version, 0, 0, 0, 0);
    CHECK_EQ(value("hypercalls", __HYPERVISOR_xen_version), before + 5);
    before = value("hypercalls", __HYPERVISOR_sysctl);
    CHECK_EQ(value("hypercalls", __HYPERVISOR_sysctl), before + 1);
}

static void block_and_wake(struct vcpu *v, uint64_t busy_ns)
{
    host_be(v->cpu->id);
    v->info->evtchn_upcall_pending = 0;
    host_call(v, __HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0);
    host_settle();
    host_be(0);
    vcpu_mark_events_pending(v);
    host_advance(busy_ns);
    host_settle();
}

TEST(waits_and_switches)
{
    uint32_t switches = value("switches of vCPUs", 0), wakes = value("wake-ups", 0);
    uint32_t mine = value("waits of d1v0", 0), all = value("waits for a CPU, below 2^n us", 0);

    block_and_wake(e->vcpu[0], 0); /* a CPU is free: it waits less than a microsecond */
    CHECK(value("switches of vCPUs", 0) > switches && value("wake-ups", 0) > wakes);
    CHECK_EQ(value("waits of d1v0", 0), mine + 1);
    CHECK(value("waits for a CPU, below 2^n us", 0) > all);
    CHECK_EQ(value("waits of d1v1", 0), 0);
    CHECK(count_wait(0) == 0 && count_wait(999) == 0 && count_wait(1000) == 1 &&
          count_wait(1999) == 1 && count_wait(2000) == 2 && count_wait(~0ull) == COUNT_WAITS - 1);
}

static void call_version(int times)
{
    for (int i = 0; i < times; i++)
        host_call(d->vcpu[0], __HYPERVISOR_xen_version, 0, 0, 0, 0);
}

#define VERSION_COST "cost of hypercall 17" /* __HYPERVISOR_xen_version */
#define VCPU_COST "cost of hypercall 24"    /* __HYPERVISOR_vcpu_op */

/* Here each look at the clock takes 100 ns, and a call that looks at none costs just that. */
TEST(costs_while_somebody_looks)
{
    uint32_t ns, before;

    value("hypercalls", 0); /* somebody looks */
    CHECK(watching(WATCH_COSTS));
    call_version(1);
    ns = value(VERSION_COST, 0);
    before = value(VERSION_COST, 2);
    call_version(3);
    CHECK_EQ(value(VERSION_COST, 0), ns + 300);
    CHECK_EQ(value(VERSION_COST, 1), 0);
    CHECK_EQ(value(VERSION_COST, 2), before + 3); /* below 128 ns */
    CHECK_EQ(value(VERSION_COST, 3), 0);
    host_call(d->vcpu[0], __HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 0, HOST_PAGE(0), 0);
    CHECK(value(VCPU_COST, 0) >= 200);
    CHECK_EQ(value(VCPU_COST, 2), 0);
    CHECK_EQ(value(VCPU_COST, 3), 1); /* below 512 ns */

    host_advance(99000000000ull); /* somebody looked a while ago */
    call_version(1);
    CHECK(watching(WATCH_COSTS));
    host_advance(2000000000ull); /* nobody looks: one call finds that out, and then none is told */
    call_version(1);
    CHECK(!watching(WATCH_COSTS));
    call_version(7);
    CHECK_EQ(value(VERSION_COST, 2), before + 5);
    CHECK(watching(WATCH_COSTS));
}

/* Each part of a multicall is measured, and other numbers are not told. */
TEST(costs_of_a_multicall)
{
    struct multicall_entry *list = host_guest(d, HOST_PAGE(1));
    uint32_t version, multicalls = value_if_any("cost of hypercall 13", 2 + 1);

    CHECK_EQ(multicalls, ~0u);
    version = value(VERSION_COST, 2);
    list[0] = list[1] = (struct multicall_entry){ .op = __HYPERVISOR_xen_version };
    CHECK_EQ(host_call(d->vcpu[0], __HYPERVISOR_multicall, HOST_PAGE(1), 2, 0, 0), 0);
    CHECK_EQ(value(VERSION_COST, 2), version + 2);
    CHECK(value("cost of hypercall 13", 0) >= 500);
}

TEST(places_of_costs)
{
    CHECK(count_cost(0) == 0 && count_cost(127) == 0 && count_cost(128) == 1);
    CHECK(count_cost(511) == 1 && count_cost(512) == 2 && count_cost(2047) == 2);
    CHECK(count_cost(2048) == 3 && count_cost(128 << 12) == 7 && count_cost((128 << 12) - 1) == 6);
    CHECK_EQ(count_cost(~0ull), COUNT_COSTS - 1);
}

TEST(reset)
{
    CHECK(value("hypercalls", __HYPERVISOR_sysctl) > 5);
    CHECK_EQ(perfc(XEN_SYSCTL_PERFCOP_reset, 0, 0), 0);
    CHECK_EQ(value("hypercalls", __HYPERVISOR_sysctl), 1); /* this query itself */
    CHECK_EQ(value("hypercalls", __HYPERVISOR_xen_version), 0);
    CHECK_EQ(value_if_any(VERSION_COST, 0), ~0u);
}
