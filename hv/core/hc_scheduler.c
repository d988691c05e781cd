/* SPDX-License-Identifier: MIT */
/*
 * The tools' controls of the scheduler: domctl and sysctl scheduler_op, in the form of Xen's credit
 * scheduler. The caller holds the domctl lock for the first, and was checked to be privileged.
 */
#include "core/hypercall.h"

#include <xen/domctl.h>
#include <xen/sysctl.h>

#include "core/hc_cpupool.h"
#include "core/log.h"

#define CAP_KEEP 0xffff /* putinfo: the cap stays; a weight of 0 stays, too */

/* Weight and cap as the tools see them; what is out of range is refused. */
static long put_share(struct vcpu *v, struct domain *d, const struct xen_domctl_sched_credit *c)
{
    uint16_t weight = c->weight ? c->weight : d->sched.weight;
    uint16_t cap = c->cap != CAP_KEEP ? c->cap : d->sched.cap;

    if (cap > 100 * d->max_vcpus && c->cap != CAP_KEEP) {
        log_refusal(v->domain, "scheduler_op: d%u's %u vCPUs cannot use %u %% of a CPU", d->id,
                    d->max_vcpus, cap);
        return E(EINVAL);
    }
    sched_set_share(d, weight, cap);
    return 0;
}

long domctl_scheduler(struct vcpu *v, struct domain *d, struct xen_domctl_scheduler_op *op)
{
    struct xen_domctl_sched_credit *c = &op->u.credit;

    if (op->sched_id != XEN_SCHEDULER_CREDIT)
        return E(EINVAL);
    switch (op->cmd) {
    case XEN_DOMCTL_SCHEDOP_getinfo:
        c->weight = d->sched.weight;
        c->cap = d->sched.cap;
        return 0;
    case XEN_DOMCTL_SCHEDOP_putinfo:
        return put_share(v, d, c);
    default:
        return E(EINVAL);
    }
}

long sysctl_scheduler(struct vcpu *v, struct xen_sysctl_scheduler_op *op)
{
    struct xen_sysctl_credit_schedule *c = &op->u.sched_credit;
    uint32_t pool = op->cpupool_id == XEN_SYSCTL_CPUPOOL_PAR_ANY ? 0 : op->cpupool_id;
    struct sched_settings *s = &sched_settings[pool < MAX_CPUPOOLS ? pool : 0];

    if (op->sched_id != XEN_SCHEDULER_CREDIT || !cpupool_exists(pool))
        return E(EINVAL);
    if (op->cmd == XEN_SYSCTL_SCHEDOP_putinfo) {
        uint64_t slice = c->tslice_ms * 1000000ull, limit = c->ratelimit_us * 1000ull;

        if (c->tslice_ms < XEN_SYSCTL_CSCHED_TSLICE_MIN ||
            c->tslice_ms > XEN_SYSCTL_CSCHED_TSLICE_MAX || c->vcpu_migr_delay_us != 0 ||
            (limit && (c->ratelimit_us < XEN_SYSCTL_SCHED_RATELIMIT_MIN ||
                       c->ratelimit_us > XEN_SYSCTL_SCHED_RATELIMIT_MAX || limit > slice))) {
            log_refusal(v->domain,
                        "scheduler_op: a slice of %u ms, a rate limit of %u us and a "
                        "migration delay of %u us do not fit together",
                        c->tslice_ms, c->ratelimit_us, c->vcpu_migr_delay_us);
            return E(EINVAL);
        }
        __atomic_store_n(&s->slice_ns, slice, __ATOMIC_RELAXED);
        __atomic_store_n(&s->rate_limit_ns, limit, __ATOMIC_RELAXED);
    } else if (op->cmd != XEN_SYSCTL_SCHEDOP_getinfo) {
        return E(EINVAL);
    }
    c->tslice_ms = (uint32_t)(s->slice_ns / 1000000);
    c->ratelimit_us = (uint32_t)(s->rate_limit_ns / 1000);
    c->vcpu_migr_delay_us = 0;
    return 0;
}
