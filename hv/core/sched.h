/* SPDX-License-Identifier: MIT */
/*
 * Scheduling: which vCPU runs on which CPU, and for how long. sched.c is the mechanism (block,
 * wake, pause, affinity, preemption, moving between CPUs); sched_credit.c says what a vCPU has had
 * of what it may have, and so which one is next.
 */
#ifndef CORE_SCHED_H
#define CORE_SCHED_H

#include "core/count.h"
#include "core/cpumask.h"
#include "core/lock.h"
#include "core/param.h"
#include "core/timer.h"
#include "lib/bitmap.h"
#include "lib/list.h"
#include "lib/pqueue.h"

struct vcpu;
struct domain;
struct pcpu;

/*
 * Virtual time: the CPU time that a vCPU has had, divided by its part of its domain's weight.
 * Who has had least is next. See sched_credit.c for its unit.
 */
typedef uint64_t vtime_t;
#define VTIME_NONE (~0ull)

/* Per physical CPU. */
struct runqueue {
    spinlock_t lock;       /* RANK_SCHED */
    struct pqueue waiting; /* [lock] vCPUs that may run and do not, by virtual time */
    struct list movable;   /* [lock] those of them that are not bound to this CPU */
    unsigned int nr;       /* [lock] their number; read anywhere as a hint */
    bool help;             /* atomic: look for vCPUs that are further behind than the one here */
    bool preempt;          /* [lock] the first of them goes before the one that runs */
    bool woken;            /* [lock] so does one that has just woken, and nobody else comes first;
                            * read by its CPU as a hint */
    uint64_t load;         /* [lock] sum of sched_unit.share of those that wait */
    uint64_t around;       /* atomic: load and run_share of a CPU nearby, their mean */
    vtime_t vtime;         /* [lock] how far the vCPUs of this CPU have come; never goes back */
    bool rides;            /* [lock] by cores: its vCPU runs in a turn that another one began */
    vtime_t first;         /* [lock] virtual time of the first that waits, VTIME_NONE: none; a hint
                            * to others */
    vtime_t run_vtime;     /* [lock] of the one that runs, at time run_since; hints to others */
    uint64_t run_since;    /* ns */
    uint32_t run_rate;     /* its sched_domain.rate then; stale while the CPU idles */
    uint32_t run_share;    /* the same of credit_share() */
    uint32_t pool;         /* [lock to write] the CPU's pool, CPUPOOL_NONE: it runs no guest */
};

/* Per-vCPU scheduling state, embedded in struct vcpu. */
struct sched_unit {
    struct pqnode node; /* [rq lock] in runqueue.waiting while `queued` */
    struct list link;   /* [rq lock] in runqueue.movable while queued and not bound */
    bool bound;         /* [rq lock] its affinity names one CPU */
    bool queued;        /* [rq lock to write] */
    bool running;       /* [rq lock] on its CPU now */
    bool parked;        /* [rq lock] may run, but its domain has used what its cap allows */
    bool active;        /* [rq lock] counted in sched_domain.active: runs, is queued or parked */
    bool yielding;      /* [its CPU] wants others first at the next choice */
    uint32_t share;     /* [rq lock] its part of the weight, as counted in runqueue.load */
    vtime_t vtime;      /* [rq lock to change] */
    uint64_t charged;   /* [rq lock to change] ns: up to when vtime counts, while it runs */
    uint64_t entered;   /* [rq lock] ns: when it got the CPU */
    uint64_t slice_end; /* [rq lock] ns */
    uint32_t waits[COUNT_WAITS]; /* [rq lock] how long it waited for a CPU, see count_wait() */
    uint64_t granted;            /* [rq lock] ns taken from its domain's budget for this slice */
};

/* Per-domain scheduling state, embedded in struct domain. */
struct sched_domain {
    uint16_t weight; /* atomic */
    uint16_t cap;    /* atomic: percent of one CPU, 0: none */
    uint32_t active; /* atomic: its vCPUs that run or would */
    uint32_t rate; /* atomic: virtual time for each ns that one of them runs, see sched_credit.c */
    vtime_t vtime; /* atomic: the virtual time of the domain as a whole */
    uint32_t pool; /* atomic: on whose CPUs it runs; [domctl lock to write] */
    spinlock_t lock;     /* RANK_CAP */
    int64_t budget;      /* [lock] ns that its vCPUs may run under the cap; negative: owed */
    uint64_t filled;     /* [lock] ns: when the budget was last filled up */
    struct timer refill; /* [lock to arm] lets the parked ones run again */
};

#define SCHED_WEIGHT_DEFAULT 256
#define SCHED_SLICE_NS 30000000ull /* the longest slice, and what XEN_SYSCTL tells by default */
#define SCHED_RATE_LIMIT_NS \
    1000000ull /* a vCPU that got a CPU keeps it so long, if it can use it */

/* A pool's settings: options (for pool 0) and sysctl scheduler_op. */
struct sched_settings {
    uint64_t slice_ns;      /* 1 to 1,000 ms */
    uint64_t rate_limit_ns; /* 0: none; at most the slice */
};
extern struct sched_settings sched_settings[MAX_CPUPOOLS + 2]; /* by pool; the fields: atomic */

void sched_init_cpu(struct pcpu *p);
/* A new domain's part; d is zeroed. */
void sched_init_domain(struct domain *d);
/* No timer of d's cap fires any more. d is dying, none of its vCPUs runs. No locks. */
void sched_stop_domain(struct domain *d);
/* Weight (not 0) and cap of d, from now on. Any CPU, no locks of RANK_SCHED and beyond. */
void sched_set_share(struct domain *d, uint16_t weight, uint16_t cap);
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
/* May v run on p, by affinity and pool? Exact under p's queue lock, else a hint. */
bool sched_allowed(const struct vcpu *v, const struct pcpu *p);
/* The CPUs of a pool. */
struct cpumask sched_pool_cpus(unsigned int pool);
/* CPU p belongs to that pool from now on: who is not to run there any more is moved by
 * sched_rehome(). */
void sched_set_cpu_pool(struct pcpu *p, unsigned int pool);
/*
 * The CPUs of v's domain's pool, or the pool of its domain, have changed; `cpus` is what they are
 * now, not empty. If v's affinity names none of them it may run on all (then true); v leaves a CPU
 * where it must not be. Any CPU, no locks.
 */
bool sched_rehome(struct vcpu *v, const struct cpumask *cpus);
/* New hard affinity: -EINVAL when it names no online CPU of the domain's pool. */
int sched_set_affinity(struct vcpu *v, const struct cpumask *cpus);
/* The vCPUs of d that wait for its cap may run again. No locks. */
void sched_unpark(struct domain *d);

#endif
