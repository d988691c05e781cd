/* SPDX-License-Identifier: MIT */
/*
 * Core scheduling (option sched-gran=core): the CPUs that are threads of one core run vCPUs of one
 * domain only, or idle. What sched.c asks; without the option pcpu.core is NULL, and nothing of
 * this is called.
 */
#ifndef CORE_SCHED_CORE_H
#define CORE_SCHED_CORE_H

#include "core/sched.h"

#define CORE_THREADS 8 /* of a core, at most */

struct core {
    spinlock_t lock;            /* RANK_CORE */
    const struct domain *owner; /* [lock to write] whose vCPUs run on it; NULL: nobody's */
    unsigned int running;       /* [lock to write] on how many of its CPUs */
    uint64_t since;             /* [lock to write] ns: when the owner got it */
    bool give_way;              /* [lock to write] the owner's vCPUs are to leave */
    unsigned int nr;            /* its CPUs; constant */
    uint16_t cpu[CORE_THREADS];
};

/* Groups the CPUs into cores, before any vCPU runs. */
void sched_core_init(void);

/*
 * v is the first that waits on p. The vCPU of p's queue that runs now, for which the core is taken;
 * or NULL: p idles, and looks again when that may have changed. [p's rq lock]
 */
struct vcpu *core_pick(struct pcpu *p, struct vcpu *v, uint64_t now);
/* Nobody waits on p: whoever waits on its siblings may have the core. [p's rq lock] */
void core_unused(struct pcpu *p);
/* p's vCPU does not run there any more. [p's rq lock] */
void core_drop(struct pcpu *p);
/* The owner of p's core is to leave it. A hint. */
static inline bool core_gives_way(const struct core *c)
{
    return __atomic_load_n(&c->give_way, __ATOMIC_RELAXED);
}
/*
 * prev's slice is over, and another domain's vCPU waits on p: until when does prev go on, since its
 * domain runs on a sibling and its turn is not over? 0: it does not. [p's rq lock]
 */
uint64_t core_keeps(struct pcpu *p, const struct vcpu *prev, uint64_t now);
/* Does a vCPU of d run on a sibling of p (1), of another domain (-1), or none (0)? A hint. */
int core_beside(const struct pcpu *p, const struct domain *d);
/* A CPU other than p where a vCPU waits of the domain that runs beside p, and none on p; or NULL.
 */
struct pcpu *core_others(struct pcpu *p);
/* The first of those on q that may run on p, or NULL. [q's rq lock] */
struct vcpu *core_first_on(struct pcpu *p, struct pcpu *q);
/* How far the one on p's siblings is that is furthest ahead; VTIME_NONE: none runs. A hint. */
vtime_t core_running_at(const struct pcpu *p, uint64_t now);
/* p's virtual time is at least its siblings', before a vCPU gets its place by it. [p's rq lock] */
void core_level(struct pcpu *p);
/* Counts how long p idled though vCPUs waited for it; it does so from now on, or not. [rq lock] */
void core_account(struct pcpu *p, uint64_t now, bool forced);

#endif
