/* SPDX-License-Identifier: MIT */
/*
 * Round robin: vCPUs of one CPU take turns of one slice. It reports itself as the credit scheduler
 * and keeps weight and cap, which tools read and write, without acting on them yet.
 */
#include "core/types.h"

#include <xen/domctl.h>

#include "core/sched.h"
#include "core/vcpu.h"

/* A vCPU that just woke waits at most this long for one that computes. */
#define RATE_LIMIT_NS 1000000ull

static void rr_enqueue(struct runqueue *rq, struct vcpu *v, bool front)
{
    if (front)
        list_add(&rq->runnable, &v->sched.link);
    else
        list_add_tail(&rq->runnable, &v->sched.link);
}

static struct vcpu *rr_pick(struct runqueue *rq)
{
    struct list *l = list_pop(&rq->runnable);

    return l ? list_entry(l, struct vcpu, sched.link) : NULL;
}

static bool rr_preempts(const struct vcpu *v, const struct vcpu *cur, uint64_t now)
{
    (void)v;
    return cur->sched.slice_end <= now + SCHED_SLICE_NS - RATE_LIMIT_NS;
}

const struct sched_policy sched_policy_rr = {
    .name = "round robin (as credit)",
    .abi_id = XEN_SCHEDULER_CREDIT,
    .enqueue = rr_enqueue,
    .pick = rr_pick,
    .preempts = rr_preempts,
};
