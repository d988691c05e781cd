/* SPDX-License-Identifier: MIT */
/*
 * sysctl perfc_op: the counters of count.h under names, each with one or several values of 32 bits,
 * of which tools take differences. After those of the whole machine comes a histogram for each of
 * the first vCPUs: how long it waited for a CPU. Domains come and go between two queries; a caller
 * goes by names. Resetting sets the CPUs' counters back; what another CPU counts at that moment may
 * survive it.
 */
#include "core/hypercall.h"

#include <xen/sysctl.h>

#include "lib/format.h"
#include "lib/string.h"

#define MOST_VCPUS 512 /* so that a query stays far below the bound of one call */

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
static uint32_t sum(size_t offset)
{
    uint64_t n = 0; /* its low half is told: tools take differences */

    for (unsigned int i = 0; i < nr_pcpus; i++)
        n += __atomic_load_n((uint64_t *)((char *)&pcpus[i]->counts + offset), __ATOMIC_RELAXED);
    return (uint32_t)n;
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
};

static void put_machine(struct query *q)
{
    uint32_t vals[COUNT_CALLS];

    for (unsigned int i = 0; i < NR_COUNTS; i++) {
        put_name(q, names[i], 1);
        vals[i] = sum(offsetof(struct counts, n[i]));
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

static void put_vcpus(struct query *q)
{
    unsigned int left = MOST_VCPUS;

    for_each_domain (d) {
        for_each_vcpu (d, t) {
            if (left-- == 0)
                return;
            put_vcpu(q, t);
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

long sysctl_perfc(struct vcpu *v, struct xen_sysctl_perfc_op *op)
{
    struct query q = { .v = v, .op = op };

    if (op->cmd != XEN_SYSCTL_PERFCOP_reset && op->cmd != XEN_SYSCTL_PERFCOP_query)
        return E(EINVAL);
    if (op->cmd == XEN_SYSCTL_PERFCOP_reset)
        reset();
    put_machine(&q);
    put_vcpus(&q);
    op->nr_counters = q.counters;
    op->nr_vals = q.vals;
    return q.failed ? E(EFAULT) : 0;
}
