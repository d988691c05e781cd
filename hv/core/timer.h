/* SPDX-License-Identifier: MIT */
/* Deadlines: a heap per CPU, the earliest programs the CPU's timer. */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include "core/lock.h"
#include "core/types.h"
#include "lib/pqueue.h"

struct pcpu;

struct timer {
    struct pqnode node;    /* [heap lock] key: deadline in ns */
    struct pcpu *cpu;      /* [heap lock] whose heap it is in; NULL when not armed */
    bool armed;            /* [heap lock] */
    void (*fn)(void *arg); /* called on that CPU from its exit path, without locks */
    void *arg;
};

struct timer_heap {
    spinlock_t lock; /* RANK_TIMER */
    struct pqueue queue;
    uint64_t programmed;   /* [own CPU] deadline in the hardware, ~0 none */
    struct timer *running; /* atomic: the one whose function runs now */
};

void timer_init_cpu(struct pcpu *p);
void timer_init(struct timer *t, void (*fn)(void *), void *arg);
/*
 * Arm (or re-arm) for `deadline` ns on CPU p. Takes RANK_TIMER. Two CPUs never arm one timer at the
 * same time: each belongs to an object whose lock or whose running vCPU sees to that.
 */
void timer_set(struct timer *t, struct pcpu *p, uint64_t deadline);
/* Disarm; the function may still be running on its CPU. */
void timer_stop(struct timer *t);
/* Disarm for good: returns when the function does not run either. Not from a timer's function. */
void timer_stop_sync(struct timer *t);
/* Exit-path work: run what is due on this CPU and program the next. */
void timer_run(struct pcpu *p);

#endif
