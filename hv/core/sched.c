/* SPDX-License-Identifier: MIT */
/*
 * The mechanism of scheduling. A vCPU is in one of four places, told by `queued` and `running`:
 *
 *   neither   blocked, paused or down; or about to be queued by who holds its queue's lock
 *   queued    in its CPU's queue
 *   running   on its CPU, or its registers are still being saved there: nobody else touches it
 *   (both)    never
 *
 * A vCPU loses its CPU only in sched_run(), on that CPU's exit path; everyone else merely asks for
 * that. v->cpu changes only while v is neither running nor queued, under the old queue's lock.
 */
#include "core/sched.h"

#include <xen/errno.h>
#include <xen/vcpu.h>

#include "core/bug.h"
#include "core/clock.h"
#include "core/domain.h"
#include "core/log.h"
#include "core/pcpu.h"

const struct sched_policy *sched_policy = &sched_policy_rr;

static void slice_over(void *arg)
{
    pcpu_raise(arg, WORK_SCHED);
}

void sched_init_cpu(struct pcpu *p)
{
    spin_init(&p->rq.lock, RANK_SCHED);
    list_init(&p->rq.runnable);
    p->rq.nr = 0;
    timer_init(&p->slice, slice_over, p);
    if (p->idle)
        p->idle->sched.running = true;
}

static inline bool is_idle(const struct vcpu *v)
{
    return v->domain == NULL;
}

static inline bool is_running(const struct vcpu *v)
{
    return __atomic_load_n(&v->sched.running, __ATOMIC_ACQUIRE);
}

bool sched_runnable(const struct vcpu *v)
{
    return vcpu_flags(v) == 0 && __atomic_load_n(&v->pause_count, __ATOMIC_RELAXED) == 0 &&
           __atomic_load_n(&v->domain->pause_count, __ATOMIC_RELAXED) == 0;
}

/* Locks the queue that v belongs to. */
static struct pcpu *lock_queue(const struct vcpu *v)
{
    for (;;) {
        struct pcpu *p = __atomic_load_n(&v->cpu, __ATOMIC_RELAXED);

        spin_lock(&p->rq.lock);
        if (__atomic_load_n(&v->cpu, __ATOMIC_RELAXED) == p)
            return p;
        spin_unlock(&p->rq.lock);
    }
}

static void enqueue(struct pcpu *p, struct vcpu *v, bool front)
{
    sched_policy->enqueue(&p->rq, v, front);
    v->sched.queued = true;
    __atomic_store_n(&p->rq.nr, p->rq.nr + 1, __ATOMIC_RELAXED);
}

static void dequeue(struct pcpu *p, struct vcpu *v)
{
    list_del(&v->sched.link);
    v->sched.queued = false;
    __atomic_store_n(&p->rq.nr, p->rq.nr - 1, __ATOMIC_RELAXED);
}

static bool allowed(const struct vcpu *v, const struct pcpu *p)
{
    return bitmap_test(v->affinity, p->id);
}

/* vCPUs in p's queue: a hint without its lock. */
static inline unsigned int waiting(const struct pcpu *p)
{
    return __atomic_load_n(&p->rq.nr, __ATOMIC_RELAXED);
}

static bool is_free(const struct pcpu *p)
{
    return p->online && __atomic_load_n(&p->current, __ATOMIC_RELAXED) == p->idle &&
           waiting(p) == 0;
}

/* The best CPU for v to wake on: where it was if free, any free one, else the shortest queue. */
static struct pcpu *choose_cpu(const struct vcpu *v)
{
    struct pcpu *best = v->cpu;

    if (allowed(v, best) && (is_free(best) || nr_pcpus == 1))
        return best;
    if (!allowed(v, best) || !best->online)
        best = NULL;
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        struct pcpu *p = pcpus[i];

        if (!p || !p->online || !allowed(v, p))
            continue;
        if (is_free(p))
            return p;
        if (!best || waiting(p) < waiting(best))
            best = p;
    }
    return best ? best : v->cpu;
}

/*
 * v may run and is nowhere: queue it. Its queue's lock is held on p, and released. `woken`: it has
 * waited, so it goes before one that computes.
 */
static void place(struct pcpu *p, struct vcpu *v, bool woken)
{
    struct pcpu *to = choose_cpu(v);
    bool kick;

    if (to != p) {
        __atomic_store_n(&v->cpu, to, __ATOMIC_RELAXED);
        spin_unlock(&p->rq.lock);
        p = lock_queue(v);
        if (v->sched.queued || is_running(v) || !sched_runnable(v)) {
            spin_unlock(&p->rq.lock);
            return;
        }
    }
    if (v->runstate.state != RUNSTATE_runnable)
        vcpu_set_runstate(v, RUNSTATE_runnable);
    kick = p->current == p->idle || (woken && sched_policy->preempts(v, p->current, arch_now()));
    enqueue(p, v, kick);
    p->rq.preempt |= kick;
    if (!kick)
        timer_set(&p->slice, p, p->current->sched.slice_end);
    spin_unlock(&p->rq.lock);
    if (kick)
        pcpu_raise(p, WORK_SCHED);
}

void sched_add_vcpu(struct vcpu *v)
{
    list_init(&v->sched.link);
    bitmap_fill(v->affinity, MAX_CPUS);
    bitmap_fill(v->soft_affinity, MAX_CPUS);
    v->cpu = pcpus[nr_pcpus > 1 ? v->id % nr_pcpus : 0];
    v->runstate.state = RUNSTATE_offline;
    v->runstate.entered = arch_now();
}

void sched_remove_vcpu(struct vcpu *v)
{
    __atomic_fetch_or(&v->pause_flags, VP_DOWN, __ATOMIC_SEQ_CST);
    sched_sleep_sync(v);
}

void sched_wake(struct vcpu *v)
{
    struct pcpu *p;

    p = lock_queue(v);
    if (is_running(v) || v->sched.queued || !sched_runnable(v))
        spin_unlock(&p->rq.lock); /* sched_run() looks again before it lets a vCPU go */
    else
        place(p, v, true);
}

static int stopped_state(const struct vcpu *v)
{
    return vcpu_flags(v) & VP_BLOCKED ? RUNSTATE_blocked : RUNSTATE_offline;
}

void sched_sleep(struct vcpu *v)
{
    struct pcpu *p = lock_queue(v);
    bool running = is_running(v);

    if (v->sched.queued && !sched_runnable(v)) {
        dequeue(p, v);
        vcpu_set_runstate(v, stopped_state(v));
    }
    spin_unlock(&p->rq.lock);
    if (running)
        pcpu_raise(p, WORK_SCHED);
}

void sched_sleep_sync(struct vcpu *v)
{
    sched_sleep(v);
    while (__atomic_load_n(&v->sched.running, __ATOMIC_ACQUIRE))
        arch_poll();
}

void sched_give_way(struct vcpu *v)
{
    if (waiting(v->cpu) == 0)
        return;
    v->sched.yielding = true;
    pcpu_raise(v->cpu, WORK_SCHED);
}

/*
 * What becomes of the vCPU that ran so far: true when it keeps the CPU. Else it is queued, or (to
 * be placed by the caller after the switch) wants another CPU. Queue lock held.
 */
static bool retire(struct pcpu *p, struct vcpu *prev, uint64_t now)
{
    bool give_way = prev->sched.yielding || p->rq.preempt || now >= prev->sched.slice_end;
    int state = RUNSTATE_runnable;

    prev->sched.yielding = false;
    if (!sched_runnable(prev))
        state = stopped_state(prev);
    else if (allowed(prev, p) && (p->rq.nr == 0 || !give_way))
        return true;
    vcpu_runstate_at(prev, state, now);
    return false;
}

/* A vCPU that another CPU has too many of, or NULL. No lock held. */
static struct vcpu *steal(struct pcpu *self)
{
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        struct pcpu *p = pcpus[i];
        struct vcpu *v;

        if (p == self || !p || waiting(p) == 0)
            continue;
        if (!spin_trylock(&p->rq.lock))
            continue;
        list_for_each (v, &p->rq.runnable, sched.link) {
            if (allowed(v, self)) {
                dequeue(p, v);
                __atomic_store_n(&v->cpu, self, __ATOMIC_RELAXED);
                spin_unlock(&p->rq.lock);
                return v;
            }
        }
        spin_unlock(&p->rq.lock);
    }
    return NULL;
}

/* Takes the next vCPU to run on p, or its idle one. Queue lock held. */
static struct vcpu *choose(struct pcpu *p)
{
    struct vcpu *v;

    p->rq.preempt = false;
    while ((v = sched_policy->pick(&p->rq)) != NULL) {
        v->sched.queued = false;
        __atomic_store_n(&p->rq.nr, p->rq.nr - 1, __ATOMIC_RELAXED);
        if (sched_runnable(v))
            return v;
        vcpu_set_runstate(v, stopped_state(v));
    }
    return p->idle;
}

static void enter(struct pcpu *p, struct vcpu *next, uint64_t now)
{
    __atomic_store_n(&p->current, next, __ATOMIC_RELAXED);
    if (is_idle(next)) {
        __atomic_store_n(&p->idle_since, now, __ATOMIC_RELAXED);
        return;
    }
    vcpu_runstate_at(next, RUNSTATE_running, now);
    next->sched.slice_end = now + SCHED_SLICE_NS;
    if (p->rq.nr != 0)
        timer_set(&p->slice, p, next->sched.slice_end);
    /* A full barrier: who marks an event pending after this sees that next runs, or next sees it.
     */
    (void)__atomic_exchange_n(&next->sched.running, true, __ATOMIC_SEQ_CST);
}

/*
 * prev's state is saved: from now on any CPU may run it. Most have just blocked and need no more;
 * who woke one meanwhile saw it running and left it to us.
 */
static void leave(struct vcpu *prev)
{
    struct pcpu *p;

    if (is_idle(prev))
        return;
    (void)__atomic_exchange_n(&prev->sched.running, false, __ATOMIC_SEQ_CST);
    if (!sched_runnable(prev))
        return;
    p = lock_queue(prev);
    if (prev->sched.queued || is_running(prev) || !sched_runnable(prev))
        spin_unlock(&p->rq.lock); /* somebody else was quicker */
    else
        place(p, prev, false);
}

static void switch_to(struct pcpu *p, struct vcpu *prev, struct vcpu *next)
{
    arch_switch(prev, next);
    leave(prev);
    if (!is_idle(next)) {
        if (next->time_cpu != p ||
            __atomic_load_n(&next->time_stamp, __ATOMIC_RELAXED) != clock_stamp())
            clock_update_vcpu(next);
        if (__atomic_load_n(&next->runstate.area.v, __ATOMIC_RELAXED))
            clock_publish_runstate(next);
    }
}

/*
 * Queues v, which this CPU stole. Between two queues' locks it was nowhere: who woke it then placed
 * it, or runs it elsewhere; who paused it, to end its domain perhaps, found nothing to stop.
 */
static void take_in(struct pcpu *p, struct vcpu *v)
{
    if (v->cpu != p || v->sched.queued || is_running(v))
        return;
    if (sched_runnable(v))
        enqueue(p, v, false);
    else
        vcpu_set_runstate(v, stopped_state(v));
}

void sched_run(struct pcpu *p)
{
    struct vcpu *prev = p->current, *next, *stolen = NULL;
    uint64_t now;

    /* Nobody else waits and the current one may stay: nothing to do, no clock to read. */
    if (!is_idle(prev) && sched_runnable(prev) && allowed(prev, p) && waiting(p) == 0) {
        prev->sched.yielding = false;
        return;
    }
    if (waiting(p) == 0 && nr_pcpus > 1)
        stolen = steal(p);
    now = arch_now();
    spin_lock(&p->rq.lock);
    if (stolen)
        take_in(p, stolen);
    if (!is_idle(prev) && retire(p, prev, now)) {
        if (p->rq.nr != 0)
            timer_set(&p->slice, p, prev->sched.slice_end);
        spin_unlock(&p->rq.lock);
        return;
    }
    next = choose(p);
    if (next == prev) { /* idle stays idle */
        spin_unlock(&p->rq.lock);
        return;
    }
    if (is_idle(prev))
        __atomic_store_n(&p->idle_ns, p->idle_ns + now - p->idle_since, __ATOMIC_RELAXED);
    enter(p, next, now);
    spin_unlock(&p->rq.lock);
    switch_to(p, prev, next);
}

int sched_set_affinity(struct vcpu *v, const unsigned long *cpus)
{
    struct pcpu *p;
    bool any = false, moved;

    for (unsigned int i = 0; i < nr_pcpus && !any; i++)
        any = bitmap_test(cpus, i);
    if (!any)
        return -XEN_EINVAL;
    p = lock_queue(v);
    bitmap_copy(v->affinity, cpus, MAX_CPUS);
    moved = !allowed(v, p);
    if (moved && v->sched.queued) {
        dequeue(p, v);
        place(p, v, false);
        return 0;
    }
    spin_unlock(&p->rq.lock);
    if (moved && is_running(v))
        pcpu_raise(p, WORK_SCHED);
    return 0;
}
