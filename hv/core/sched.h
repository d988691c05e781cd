/* SPDX-License-Identifier: MIT */
/*
 * Scheduling: which vCPU runs on which CPU. The mechanism (block, wake, pause, affinity,
 * preemption) is here; which runnable vCPU is next is the policy's business.
 */
#ifndef CORE_SCHED_H
#define CORE_SCHED_H

#include "core/lock.h"
#include "core/param.h"
#include "lib/bitmap.h"
#include "lib/list.h"

struct vcpu;
struct domain;
struct pcpu;

/* Per physical CPU. */
struct runqueue {
    spinlock_t lock;      /* RANK_SCHED */
    struct list runnable; /* [lock] vCPUs that may run and do not, in order */
    unsigned int nr;      /* [lock] their number; read anywhere as a hint */
    bool preempt;         /* [lock] the first of them goes before the one that runs */
};

/* Per-vCPU scheduling state, embedded in struct vcpu. */
struct sched_unit {
    struct list link;   /* [rq lock] in runqueue.runnable while `queued` */
    bool queued;        /* [rq lock] */
    bool running;       /* [rq lock] on its CPU now */
    bool yielding;      /* [its CPU] wants others first at the next choice */
    uint64_t slice_end; /* [rq lock] ns */
};

/* Which runnable vCPU of a queue is next, and for how long. All calls hold the queue's lock. */
struct sched_policy {
    const char *name;
    uint32_t abi_id; /* XEN_SCHEDULER_* that tools see */
    /* Queue v; `front`: it was preempted with time left. */
    void (*enqueue)(struct runqueue *rq, struct vcpu *v, bool front);
    /* Take the next vCPU out of the queue; NULL when it is empty. */
    struct vcpu *(*pick)(struct runqueue *rq);
    /* Should v, just woken, take the CPU from cur at once? */
    bool (*preempts)(const struct vcpu *v, const struct vcpu *cur, uint64_t now);
};
extern const struct sched_policy *sched_policy;
extern const struct sched_policy sched_policy_rr;

#define SCHED_SLICE_NS 30000000ull

void sched_init_cpu(struct pcpu *p);
/* Place a new vCPU on a CPU; it is blocked and offline (VCPU down). */
void sched_add_vcpu(struct vcpu *v);
void sched_remove_vcpu(struct vcpu *v);
/* v has a reason to run now (event, unpause, up). Any CPU, any context without RANK_SCHED. */
void sched_wake(struct vcpu *v);
/* v lost its permission to run (pause, down, block): its CPU drops it soon. */
void sched_sleep(struct vcpu *v);
/* As sched_sleep, and returns only when v is off its CPU with its state saved. v is not current. */
void sched_sleep_sync(struct vcpu *v);
/* Let others of the same CPU run first. v is current. */
void sched_give_way(struct vcpu *v);
/* Exit-path work: switch to the best vCPU of this CPU. */
void sched_run(struct pcpu *p);
/* May v run? (online, not paused, not blocked, domain not paused or dying) */
bool sched_runnable(const struct vcpu *v);
/* New hard affinity (MAX_CPUS bits): -EINVAL when it names no online CPU. */
int sched_set_affinity(struct vcpu *v, const unsigned long *cpus);

#endif
