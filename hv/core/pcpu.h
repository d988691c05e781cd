/* SPDX-License-Identifier: MIT */
/* What the core keeps for each physical CPU. Fields without a tag belong to that CPU alone. */
#ifndef CORE_PCPU_H
#define CORE_PCPU_H

#include "core/arch.h"
#include "core/count.h"
#include "core/param.h"
#include "core/sched.h"
#include "core/timer.h"

/* Work that waits for a CPU's exit path: named bits of pcpu.pending (atomic). */
enum pending_work {
    WORK_SCHED = 1u << 0,   /* pick a vCPU again */
    WORK_TIMER = 1u << 1,   /* the timer interrupt fired */
    WORK_REAP = 1u << 2,    /* destroyed domains wait for their records to go */
    WORK_KEY = 1u << 3,     /* a debug key was pressed */
    WORK_CONRING = 1u << 4, /* the console ring grew: tell Dom0 */
    WORK_LOG = 1u << 6,     /* refusals wait for the serial line */
    WORK_TRACE = 1u << 7,   /* a trace buffer is half full: tell Dom0 */
    WORK_CLOCK = 1u << 5,   /* the scale of time changed: refresh the current vCPU's record */
};

struct pcpu {
    unsigned int id;
    uint32_t pending; /* enum pending_work; set by any CPU with atomic or */
    bool online;      /* written at bring-up, read anywhere */
    struct vcpu *current;
    struct vcpu *idle;
    struct runqueue rq;       /* lock inside */
    struct timer_heap timers; /* lock inside */
    struct timer slice;       /* end of the current vCPU's slice, armed while others wait */
    uint64_t idle_ns;         /* time spent in the idle vCPU up to its last switch out */
    uint64_t idle_since;      /* ns: when the idle vCPU was switched in last */
    uint64_t tlb_flushed;     /* flush clock at the last full flush of guest translations */
    uint32_t lock_ranks;      /* bit per rank held (debug) */
    int32_t work_left;        /* units until the next long operation gives way: pcpu_gives_way() */
    struct counts counts;     /* read anywhere */
    struct core *core;        /* sched_core.h; NULL: each CPU is scheduled by itself. Constant */
    bool on_core;             /* [core lock to write] its vCPU is counted there */
    uint64_t forced_since;    /* ns: it idles though vCPUs wait for it; 0: not so */
    uint64_t heartbeat;       /* counts seconds on the exit path, for the architecture's watchdog */
};

extern struct pcpu *pcpus[MAX_CPUS]; /* NULL where there is no CPU; set before online */
extern unsigned int nr_pcpus;        /* CPUs online; ids are dense 0 .. nr_pcpus-1 */

/* Ask CPU p to do `work` at its next exit to a guest, waking it if it sleeps or runs a guest. */
void pcpu_raise(struct pcpu *p, enum pending_work work);
/*
 * Set up the core's part of a zeroed record for CPU `id` with its idle vCPU, and put it in pcpus[].
 * The CPU counts as online after pcpu_online().
 */
void pcpu_init(struct pcpu *p, unsigned int id, struct vcpu *idle);
void pcpu_online(struct pcpu *p);
/*
 * Must a long operation give way on this CPU p after work worth `cost` (in units of about 1,000
 * instructions)? Yes when something is pending; and from time to time in any case, since interrupts
 * are off in the hypervisor and wait until a guest runs. It stays yes until p did give way: who
 * asks may have nothing left to do, but who called it may.
 */
static inline bool pcpu_gives_way(struct pcpu *p, int32_t cost)
{
    p->work_left -= cost;
    return __builtin_expect(p->work_left <= 0, 0) ||
           __atomic_load_n(&p->pending, __ATOMIC_RELAXED) != 0;
}

/* p is about to take interrupts, in the guest or by itself. */
static inline void pcpu_gave_way(struct pcpu *p)
{
    p->work_left = PREEMPT_BUDGET;
}
/* Nanoseconds that p has been idle, up to now. */
uint64_t pcpu_idle_time(const struct pcpu *p);
/* Do all pending work of this CPU: called from the exit path and the idle loop, no locks held. */
void pcpu_do_pending(struct pcpu *p);

#endif
