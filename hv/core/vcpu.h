/* SPDX-License-Identifier: MIT */
/* A virtual CPU: the part that every architecture and guest kind has. */
#ifndef CORE_VCPU_H
#define CORE_VCPU_H

#include "core/lock.h"
#include "core/sched.h"
#include "core/timer.h"
#include "core/types.h"

struct domain;
struct pcpu;
struct vcpu_runstate_info;

/* Reasons why a vCPU may not run: bits of vcpu.pause_flags (atomic). */
enum vcpu_pause {
    VP_DOWN = 1u << 0,     /* VCPUOP_down, or never brought up */
    VP_BLOCKED = 1u << 1,  /* SCHEDOP_block or poll */
    VP_STARTING = 1u << 2, /* another vCPU sets its registers: by one at a time */
};

/* vcpu.poll_port beside a port. */
#define POLL_OFF 0
#define POLL_SEVERAL (-1) /* any port may be one of them */
#define POLL_NONE (-2)    /* only the deadline or an upcall ends it */

/* The queues of a vCPU whose domain uses the FIFO form of event channels; see evtchn_fifo.c. */
struct evtchn_queues {
    spinlock_t lock;                           /* RANK_EVTQUEUE */
    struct evtchn_fifo_control_block *control; /* [lock] in the guest's memory; NULL: none */
    uint32_t tail[16];                         /* [lock] by priority: the port linked last */
};

struct vcpu {
    uint32_t id;             /* constant */
    struct domain *domain;   /* constant; NULL for idle vCPUs */
    struct pcpu *cpu;        /* [its run queue lock] CPU it runs or is queued on; who stores another
                                releases to it what was done under the old lock */
    uint32_t pause_flags;    /* atomic, enum vcpu_pause */
    uint32_t pause_count;    /* atomic: domain_pause, and control operations */
    bool initialised;        /* has a context (VCPUOP_initialise or the builder) */
    struct sched_unit sched; /* see sched.h */
    struct cpumask affinity; /* [rq lock] hard affinity */
    struct cpumask soft_affinity;

    /* Shared with the guest; in the direct map. Constant but for VCPUOP_register_vcpu_info. */
    struct vcpu_info *info;
    struct frame *info_frame; /* referenced frame of a registered vcpu_info, or NULL */

    struct timer singleshot; /* VCPUOP_set_singleshot_timer; armed by v itself only */
    spinlock_t timer_lock;   /* RANK_VCPU */
    struct timer periodic;   /* [timer_lock to arm] VCPUOP_set_periodic_timer; only while v runs */
    uint64_t period_ns;      /* [timer_lock to change] 0 = off */
    uint64_t last_tick;      /* [timer_lock] ns */
    uint32_t virq_port[24];  /* [evtchn lock] port bound to each VIRQ, 0 = none */
    struct evtchn_queues queues;
    struct timer poll_timer; /* SCHEDOP_poll's deadline */
    int32_t poll_port; /* atomic: port polled for, or POLL_*; who sets it to 0 ends the poll */

    struct {              /* runstate */
        int state;        /* RUNSTATE_*; [its run queue lock] */
        uint64_t entered; /* ns */
        uint64_t time[4]; /* ns spent in each */
        gptr_t area;      /* registered area, 0 = none */
        bool narrow;      /* it is laid out for 32-bit code */
    } runstate;
    gptr_t time_area;      /* VCPUOP_register_vcpu_time_memory_area, 0 = none */
    struct pcpu *time_cpu; /* [own CPU] where and when its time record was last filled */
    uint32_t time_stamp;
    uint32_t time_version;     /* [own CPU] version of that record, even */
    struct vcpu_info own_info; /* vCPUs beyond shared_info's, until they register one */

    /*
     * A hypercall that gives way to pending work leaves here the arguments with which it is to be
     * called again, and returns HC_RESTART; who called it (registers, multicall) stores them.
     */
    struct hc_args restart_args;
    bool in_multicall;
    bool narrow; /* [own CPU] its hypercall comes from 32-bit code */
};

/*
 * Initialise the core's part of a zeroed record; adds it to its domain and the scheduler, down.
 * 0 or -errno.
 */
int vcpu_init(struct vcpu *v, struct domain *d, unsigned int id);
/* Marks an event pending for v: sets evtchn_upcall_pending, wakes or kicks it. Any CPU. */
void vcpu_mark_events_pending(struct vcpu *v);
/*
 * The two bytes in front of vcpu_info: pending and mask. Architectures whose headers do not name
 * the second one have it as padding.
 */
#define VCPU_INFO_MASK (offsetof(struct vcpu_info, evtchn_upcall_pending) + 1)
static inline uint8_t vcpu_upcall_mask(const struct vcpu *v)
{
    return __atomic_load_n((const uint8_t *)v->info + VCPU_INFO_MASK, __ATOMIC_RELAXED);
}

static inline void vcpu_set_upcall_mask(struct vcpu *v, uint8_t mask)
{
    __atomic_store_n((uint8_t *)v->info + VCPU_INFO_MASK, mask, __ATOMIC_RELAXED);
}

/* True if v has an unmasked pending upcall. */
static inline bool vcpu_has_upcall(const struct vcpu *v)
{
    return __atomic_load_n(&v->info->evtchn_upcall_pending, __ATOMIC_RELAXED) != 0 &&
           vcpu_upcall_mask(v) == 0;
}
/* May v, current, wait? No if something would interrupt it at once: see guest_ops.can_block. */
bool vcpu_can_block(const struct vcpu *v);
/* v, current, waits from its next exit on until something is there for it (SCHEDOP_block, HLT). */
void vcpu_block(struct vcpu *v);
/* VCPUOP_set_periodic_timer; 0 stops it. A tick never wakes v: it comes while v runs. */
void vcpu_set_period(struct vcpu *v, uint64_t period_ns);
/* For the scheduler, where v->period_ns is set: v begins to run on this CPU, or has left it. */
void vcpu_ticks_resume(struct vcpu *v);
void vcpu_ticks_stop(struct vcpu *v);
/*
 * VCPUOP_set_singleshot_timer: VIRQ_TIMER at `deadline` ns, at once when that is over; 0 stops it.
 * v is current.
 */
void vcpu_set_singleshot(struct vcpu *v, uint64_t deadline);
/* If v polls, it runs again. True if it did. Any CPU. */
bool vcpu_end_poll(struct vcpu *v);
/*
 * No timer of d fires any more, and none that fired still runs. d is dying, none of its vCPUs runs.
 * No locks.
 */
void domain_stop_timers(struct domain *d);
/* v->pause_flags, from any CPU. */
static inline uint32_t vcpu_flags(const struct vcpu *v)
{
    return __atomic_load_n(&v->pause_flags, __ATOMIC_RELAXED);
}
/* Give back the frames of registered vcpu_infos. d is dying, none of its vCPUs runs. No locks. */
void domain_drop_infos(struct domain *d);
/* Make v look again: wakes it if it is blocked, kicks it if it runs elsewhere. */
void vcpu_notify(struct vcpu *v);
/* Runstate change at time `now`, or now. Holds v's run queue lock. */
void vcpu_runstate_at(struct vcpu *v, int state, uint64_t now);
/* A consistent copy of v's runstate with the time of the current state up to now. Any CPU. */
void vcpu_get_runstate(struct vcpu *v, struct vcpu_runstate_info *out);

#endif
