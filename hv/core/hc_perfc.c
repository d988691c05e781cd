/* SPDX-License-Identifier: MIT */
/*
 * sysctl perfc_op: the counters of count.h under names, each with one or several values of 32 bits,
 * of which tools take differences. After those of the whole machine comes a histogram for each of
 * the first vCPUs: how long it waited for a CPU; and what its guest kind counts (hvm/hvm.h: of a
 * hardware-assisted one). Domains come and go between two queries; a caller
 * goes by names. Resetting sets the CPUs' counters back; what another CPU counts at that moment may
 * survive it.
 *
 * What hypercalls cost is measured while somebody looks: for WATCHED_NS after each query. So the
 * first one finds what was measured for those who looked before. Each part of a multicall is
 * measured, too, as is each part of a call that gave way.
 */
#include "core/hypercall.h"

#include <xen/sysctl.h>

#include "lib/format.h"
#include "lib/string.h"

#define WATCHED_NS 100000000000ull /* Prometheus asks once a minute, or more often */
#define MOST_VCPUS 512             /* so that a query stays far below the bound of one call */

uint32_t watched;
static uint64_t costs_until; /* atomic: arch_now() when nobody looks at costs any more */

struct query {
    struct vcpu *v;
    const struct xen_sysctl_perfc_op *op;
    uint32_t counters, vals;
    bool failed;
};

static void put_name(struct query *q, const char *name, uint32_t n)
{
    struct xen_sysctl_perfc_desc desc = { .nr_vals = n };

    if (q->op->desc.p) {
        fmt_snprintf(desc.name, sizeof(desc.name), "%s", name);
        if (guest_put(q->v, HANDLE_AT(q->op->desc, q->counters), &desc))
            q->failed = true;
    }
    q->counters++;
}

static void put_values(struct query *q, const uint32_t *vals, uint32_t n)
{
    if (q->op->val.p && guest_write(q->v, HANDLE_AT(q->op->val, q->vals), vals, n * sizeof(*vals)))
        q->failed = true;
    q->vals += n;
}

/* The sum over all CPUs of the counter that lies at `offset` in struct counts. */
static uint64_t sum64(size_t offset)
{
    uint64_t n = 0;

    for (unsigned int i = 0; i < nr_pcpus; i++)
        n += __atomic_load_n((uint64_t *)((char *)&pcpus[i]->counts + offset), __ATOMIC_RELAXED);
    return n;
}

/* Its low half is told: tools take differences. */
static uint32_t sum(size_t offset)
{
    return (uint32_t)sum64(offset);
}

static const char *const names[NR_COUNTS] = {
    [COUNT_SWITCHES] = "switches of vCPUs",
    [COUNT_STEALS] = "vCPUs taken from another CPU",
    [COUNT_WAKES] = "wake-ups",
    [COUNT_EVENTS] = "events sent",
    [COUNT_KICKS] = "interrupts to other CPUs",
    [COUNT_TIMERS] = "timers fired",
    [COUNT_WORK] = "looks at pending work",
    [COUNT_MAPS] = "grants mapped",
    [COUNT_UNMAPS] = "grants unmapped",
    [COUNT_COPIES] = "grant copies",
    [COUNT_FORCED] = "us idled beside another domain",
};

static void put_machine(struct query *q)
{
    uint32_t vals[COUNT_CALLS];

    for (unsigned int i = 0; i < NR_COUNTS; i++) {
        put_name(q, names[i], 1);
        vals[i] = i == COUNT_FORCED ? (uint32_t)(sum64(offsetof(struct counts, n[i])) / 1000)
                                    : sum(offsetof(struct counts, n[i]));
    }
    put_values(q, vals, NR_COUNTS);
    put_name(q, "hypercalls", COUNT_CALLS);
    for (unsigned int i = 0; i < COUNT_CALLS; i++)
        vals[i] = sum(offsetof(struct counts, calls[i]));
    put_values(q, vals, COUNT_CALLS);
    put_name(q, "waits for a CPU, below 2^n us", COUNT_WAITS);
    for (unsigned int i = 0; i < COUNT_WAITS; i++)
        vals[i] = sum(offsetof(struct counts, waits[i]));
    put_values(q, vals, COUNT_WAITS);
}

/* The low half and the high half of all nanoseconds, and the histogram. */
#define COST_VALUES (2 + COUNT_COSTS)

static bool sum_costs(unsigned int nr, uint32_t vals[COST_VALUES])
{
    uint64_t ns = 0;

    memset(vals, 0, COST_VALUES * sizeof(*vals));
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        const struct call_cost *c = &pcpus[i]->counts.costs[nr];
        uint64_t here = __atomic_load_n(&c->ns, __ATOMIC_RELAXED);

        if (here == 0)
            continue;
        ns += here;
        for (unsigned int k = 0; k < COUNT_COSTS; k++)
            vals[2 + k] += __atomic_load_n(&c->calls[k], __ATOMIC_RELAXED);
    }
    vals[0] = (uint32_t)ns;
    vals[1] = (uint32_t)(ns >> 32);
    return ns != 0;
}

/* Only of calls that were measured: most numbers are nobody's. */
static void put_costs(struct query *q)
{
    uint32_t vals[COST_VALUES];
    char name[40];

    for (unsigned int nr = 0; nr < COUNT_CALLS; nr++) {
        if (!sum_costs(nr, vals))
            continue;
        fmt_snprintf(name, sizeof(name), "cost of hypercall %u", nr);
        put_name(q, name, COST_VALUES);
        put_values(q, vals, COST_VALUES);
    }
}

static void put_vcpu(struct query *q, const struct vcpu *t)
{
    uint32_t vals[COUNT_WAITS];
    char name[40];

    fmt_snprintf(name, sizeof(name), "waits of d%uv%u", t->domain->id, t->id);
    put_name(q, name, COUNT_WAITS);
    for (unsigned int i = 0; i < COUNT_WAITS; i++)
        vals[i] = __atomic_load_n(&t->sched.waits[i], __ATOMIC_RELAXED);
    put_values(q, vals, COUNT_WAITS);
}

static void put_kind(struct query *q, const struct vcpu *t)
{
    uint32_t vals[COUNT_KIND];
    char name[40];
    unsigned int n;

    if (!t->domain->ops->counts)
        return;
    n = t->domain->ops->counts(t, vals);
    fmt_snprintf(name, sizeof(name), "assistance of d%uv%u", t->domain->id, t->id);
    put_name(q, name, n);
    put_values(q, vals, n);
}

static void put_vcpus(struct query *q)
{
    unsigned int left = MOST_VCPUS;

    for_each_domain (d) {
        for_each_vcpu (d, t) {
            if (left-- == 0)
                return;
            put_vcpu(q, t);
            put_kind(q, t);
        }
    }
}

static void reset(void)
{
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        uint64_t *n = (uint64_t *)&pcpus[i]->counts;

        for (size_t k = 0; k < sizeof(pcpus[i]->counts) / sizeof(*n); k++)
            __atomic_store_n(&n[k], 0, __ATOMIC_RELAXED);
    }
}

/* --- costs of hypercalls --- */

static void watch_costs(void)
{
    __atomic_store_n(&costs_until, arch_now() + WATCHED_NS, __ATOMIC_RELAXED);
    __atomic_fetch_or(&watched, WATCH_COSTS, __ATOMIC_RELAXED);
}

static long measured(struct vcpu *v, unsigned long nr, const struct hc_args *args, hc_fn *fn)
{
    struct call_cost *c = &arch_this_cpu()->counts.costs[nr];
    uint64_t from = arch_now(), ns;
    long rc;

    if (from > __atomic_load_n(&costs_until, __ATOMIC_RELAXED))
        __atomic_fetch_and(&watched, ~(uint32_t)WATCH_COSTS, __ATOMIC_RELAXED);
    rc = fn(v, args);
    ns = arch_now() - from;
    __atomic_store_n(&c->ns, c->ns + ns, __ATOMIC_RELAXED);
    __atomic_store_n(&c->calls[count_cost(ns)], c->calls[count_cost(ns)] + 1, __ATOMIC_RELAXED);
    return rc;
}

long watched_hypercall(struct vcpu *v, unsigned long nr, const struct hc_args *args, hc_fn *fn)
{
    if (watching(WATCH_TRACE))
        trace_hypercall(v, nr, args);
    return watching(WATCH_COSTS) ? measured(v, nr, args, fn) : fn(v, args);
}

long sysctl_perfc(struct vcpu *v, struct xen_sysctl_perfc_op *op)
{
    struct query q = { .v = v, .op = op };

    if (op->cmd != XEN_SYSCTL_PERFCOP_reset && op->cmd != XEN_SYSCTL_PERFCOP_query)
        return E(EINVAL);
    if (op->cmd == XEN_SYSCTL_PERFCOP_reset)
        reset();
    else
        watch_costs();
    put_machine(&q);
    put_costs(&q);
    put_vcpus(&q);
    op->nr_counters = q.counters;
    op->nr_vals = q.vals;
    return q.failed ? E(EFAULT) : 0;
}
