/* SPDX-License-Identifier: MIT */
/* What sched.c asks of the credit scheduler (sched_credit.c). */
#ifndef CORE_SCHED_CREDIT_H
#define CORE_SCHED_CREDIT_H

#include "core/sched.h"

#define CREDIT_RATE_SHIFT 16 /* of sched_domain.rate */

/* v runs, is queued or parked from now on, or does so no more. [rq lock] */
void credit_activate(struct vcpu *v);
void credit_deactivate(struct vcpu *v);
/* What a vCPU that wakes finds; virtual times. */
struct credit_place {
    vtime_t left;    /* of the queue where it fell asleep */
    vtime_t running; /* of the one that runs on its CPU now, VTIME_NONE: idle */
    vtime_t least;   /* of the furthest behind that waits anywhere near, VTIME_NONE: nobody does */
};
/* v, which waited for something, is about to be queued on rq: a place near the others'. [rq lock]
 */
void credit_place_woken(struct runqueue *rq, struct vcpu *v, const struct credit_place *at);
/* v comes from another CPU's queue to rq. [rq lock] */
void credit_place_moved(struct runqueue *rq, struct vcpu *v);
/* v has run up to `now`: counts it. `alone`: nobody waited for its CPU. [rq lock] */
void credit_charge(struct runqueue *rq, struct vcpu *v, uint64_t now, bool alone);
/*
 * The same for cur, which has run alone so far. Others may have waited elsewhere meanwhile: the
 * furthest behind of them is at `least` (VTIME_NONE: nobody has). [rq lock]
 */
void credit_charge_alone(struct runqueue *rq, struct vcpu *cur, uint64_t now, vtime_t least);
/* v is about to run on rq: its slice begins. [rq lock] */
void credit_start(struct runqueue *rq, struct vcpu *v, uint64_t now);
/* cur ran alone on rq's CPU, and somebody has come: it begins a slice. [rq lock] */
void credit_share_slice(const struct runqueue *rq, struct vcpu *cur, uint64_t now);
/* v's part of the weights of a queue. [rq lock] */
uint32_t credit_share(const struct vcpu *v);
/* Has v's domain a cap? */
bool credit_capped(const struct vcpu *v);
/* About the virtual time of the vCPU that runs on rq's CPU. Without its lock. */
vtime_t credit_running_at(const struct runqueue *rq, uint64_t now);
/* v's virtual time at `now`, while it runs. [rq lock] */
vtime_t credit_vtime_at(const struct vcpu *v, uint64_t now);
/*
 * v, queued on the CPU where cur runs, has had less. When is cur to leave the CPU for it? A time up
 * to `now`: at once. VTIME_NONE: not before its slice ends. [rq lock]
 */
uint64_t credit_preempt_at(const struct vcpu *v, const struct vcpu *cur, uint64_t now);
/* v gives others precedence for once: it goes behind the first of them. [rq lock] */
void credit_yield(struct runqueue *rq, struct vcpu *v);
/*
 * May v run under its domain's cap? If not, the refill timer is armed on p, which will call
 * sched_unpark(). [rq lock]
 */
bool credit_cap_allows(struct vcpu *v, struct pcpu *p, uint64_t now);
/* How far, in a pace, a vCPU must be behind another before it is moved to that one's CPU. */
#define CREDIT_MOVE_NS 1000000ull
static inline vtime_t credit_margin(uint32_t rate)
{
    return CREDIT_MOVE_NS * rate >> CREDIT_RATE_SHIFT;
}

#endif
