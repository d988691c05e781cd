/* SPDX-License-Identifier: MIT */
/*
 * Deadlines. Each CPU has a heap of those that were armed on it; the earliest is in its hardware
 * timer, which is programmed again only when an earlier one comes. Functions run on the exit path
 * of that CPU, without the heap's lock: a timer that runs is not armed, and may be armed again, by
 * its own function too. timer_stop_sync() waits for one that runs.
 */
#include "core/timer.h"

#include "core/arch.h"
#include "core/pcpu.h"

#define NEVER (~0ull)

void timer_init_cpu(struct pcpu *p)
{
    spin_init(&p->timers.lock, RANK_TIMER);
    pqueue_init(&p->timers.queue);
    p->timers.programmed = NEVER;
}

void timer_init(struct timer *t, void (*fn)(void *), void *arg)
{
    *t = (struct timer){ .fn = fn, .arg = arg };
}

/* Takes t out of the heap it is in; returns with no lock held. */
static void timer_disarm(struct timer *t)
{
    for (;;) {
        struct pcpu *p = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);

        if (!p)
            return;
        spin_lock(&p->timers.lock);
        if (t->cpu == p) {
            pqueue_remove(&p->timers.queue, &t->node);
            t->armed = false;
            __atomic_store_n(&t->cpu, NULL, __ATOMIC_RELEASE);
            spin_unlock(&p->timers.lock);
            return;
        }
        spin_unlock(&p->timers.lock);
    }
}

/*
 * The hardware is written only when it would fire too late: one that fires early finds nothing due
 * and is programmed anew then. Guests mostly move their deadline further away.
 */
static void program_earlier(struct pcpu *p, uint64_t deadline)
{
    if (deadline < p->timers.programmed) {
        p->timers.programmed = deadline;
        arch_timer_set(deadline);
    }
}

void timer_set(struct timer *t, struct pcpu *p, uint64_t deadline)
{
    struct pcpu *self = arch_this_cpu();
    struct pcpu *was = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);
    bool first;

    if (was && was != p)
        timer_disarm(t);
    spin_lock(&p->timers.lock);
    if (t->armed)
        pqueue_remove(&p->timers.queue, &t->node);
    first = pqueue_insert(&p->timers.queue, &t->node, deadline);
    t->armed = true;
    __atomic_store_n(&t->cpu, p, __ATOMIC_RELAXED);
    if (first && p == self)
        program_earlier(p, deadline);
    spin_unlock(&p->timers.lock);
    if (first && p != self)
        pcpu_raise(p, WORK_TIMER);
}

void timer_stop(struct timer *t)
{
    timer_disarm(t);
}

static bool is_running(const struct timer *t)
{
    for (unsigned int i = 0; i < nr_pcpus; i++)
        if (__atomic_load_n(&pcpus[i]->timers.running, __ATOMIC_ACQUIRE) == t)
            return true;
    return false;
}

void timer_stop_sync(struct timer *t)
{
    timer_disarm(t);
    while (is_running(t)) {
        arch_poll();
        timer_disarm(t); /* it may have armed itself again */
    }
}

/* The first timer that is due, disarmed; NULL when there is none. Heap lock held. */
static struct timer *take_due(struct pcpu *p, uint64_t now)
{
    struct pqnode *n = pqueue_first(&p->timers.queue);
    struct timer *t;

    if (!n || n->key > now)
        return NULL;
    t = container_of(n, struct timer, node);
    pqueue_remove(&p->timers.queue, n);
    t->armed = false;
    __atomic_store_n(&p->timers.running, t, __ATOMIC_RELAXED);
    __atomic_store_n(&t->cpu, NULL, __ATOMIC_RELEASE); /* who sees this sees that it runs */
    return t;
}

void timer_run(struct pcpu *p)
{
    uint64_t now = arch_now();
    struct pqnode *n;
    struct timer *t;

    spin_lock(&p->timers.lock);
    p->timers.programmed = NEVER; /* it may have fired: what it holds is unknown */
    while ((t = take_due(p, now)) != NULL) {
        void (*fn)(void *) = t->fn;
        void *arg = t->arg;

        spin_unlock(&p->timers.lock);
        COUNT(p, TIMERS);
        fn(arg);
        spin_lock(&p->timers.lock);
        __atomic_store_n(&p->timers.running, NULL, __ATOMIC_RELEASE);
    }
    n = pqueue_first(&p->timers.queue);
    if (n)
        program_earlier(p, n->key);
    spin_unlock(&p->timers.lock);
}
