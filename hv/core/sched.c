/* SPDX-License-Identifier: MIT */
/*
 * The mechanism of scheduling. A vCPU is in one of five places, told by three flags, at most one of
 * which is set:
 *
 *   none      blocked, paused or down; or about to be queued by who holds its queue's lock
 *   queued    in its CPU's queue
 *   running   on its CPU, or its registers are still being saved there: nobody else touches it
 *   parked    it may run, but its domain has used up what its cap allows; sched_unpark() ends that
 *
 * A vCPU loses its CPU only in sched_run(), on that CPU's exit path; everyone else merely asks for
 * that. v->cpu changes only while v is neither running nor queued, under the old queue's lock.
 *
 * Each CPU has a queue of its own, ordered by virtual time (sched_credit.c). Virtual times of
 * different CPUs can be compared as long as vCPUs move between them: a CPU that chooses takes the
 * first one of another CPU's queue if that is further behind than its own, and a CPU whose queue
 * is never empty asks the one whose vCPU is furthest ahead to do so. So the machine is shared as if
 * there was one queue, within credit_margin(), and nobody takes a lock of the whole machine.
 */
#include "core/sched.h"

#include <xen/errno.h>
#include <xen/vcpu.h>

#include "core/bug.h"
#include "core/clock.h"
#include "core/domain.h"
#include "core/log.h"
#include "core/pcpu.h"
#include "core/sched_core.h"
#include "core/sched_credit.h"
#include "core/trace.h"

#define VTIME_START (1ull << 40) /* room for who is behind it */
#define MOST_LOOKED_AT 64
#define NEIGHBOURS 16 /* CPUs among which queues are compared each time one chooses */

static void slice_over(void *arg)
{
    pcpu_raise(arg, WORK_SCHED);
}

void sched_init_cpu(struct pcpu *p)
{
    spin_init(&p->rq.lock, RANK_SCHED);
    pqueue_init(&p->rq.waiting);
    list_init(&p->rq.movable);
    p->rq.nr = 0;
    p->rq.vtime = VTIME_START;
    p->rq.first = VTIME_NONE;
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

/* Is v running, queued or parked? Queue lock held. */
static inline bool is_somewhere(const struct vcpu *v)
{
    return is_running(v) || v->sched.queued || v->sched.parked;
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
        struct pcpu *p = __atomic_load_n(&v->cpu, __ATOMIC_ACQUIRE);

        spin_lock(&p->rq.lock);
        if (__atomic_load_n(&v->cpu, __ATOMIC_ACQUIRE) == p)
            return p;
        spin_unlock(&p->rq.lock);
    }
}

/* What others look at without the lock, after the queue changed. */
static void tell_queue(struct runqueue *rq, unsigned int nr)
{
    struct pqnode *first = pqueue_first(&rq->waiting);

    __atomic_store_n(&rq->nr, nr, __ATOMIC_RELAXED);
    __atomic_store_n(&rq->first, first ? first->key : VTIME_NONE, __ATOMIC_RELAXED);
}

static void enqueue(struct pcpu *p, struct vcpu *v)
{
    credit_activate(v);
    pqueue_insert(&p->rq.waiting, &v->sched.node, v->sched.vtime);
    __atomic_store_n(&v->sched.queued, true, __ATOMIC_RELAXED);
    if (!v->sched.bound)
        list_add_tail(&p->rq.movable, &v->sched.link);
    v->sched.share = credit_share(v);
    __atomic_store_n(&p->rq.load, p->rq.load + v->sched.share, __ATOMIC_RELAXED);
    tell_queue(&p->rq, p->rq.nr + 1);
}

static void dequeue(struct pcpu *p, struct vcpu *v)
{
    pqueue_remove(&p->rq.waiting, &v->sched.node);
    if (list_linked(&v->sched.link))
        list_del(&v->sched.link);
    __atomic_store_n(&v->sched.queued, false, __ATOMIC_RELAXED);
    __atomic_store_n(&p->rq.load, p->rq.load - v->sched.share, __ATOMIC_RELAXED);
    tell_queue(&p->rq, p->rq.nr - 1);
}

static inline uint32_t pool_of(const struct pcpu *p)
{
    return __atomic_load_n(&p->rq.pool, __ATOMIC_RELAXED);
}

/* Who changes p's pool takes p's queue lock. */
bool sched_allowed(const struct vcpu *v, const struct pcpu *p)
{
    return cpumask_test(&v->affinity, p->id) &&
           pool_of(p) == __atomic_load_n(&v->domain->sched.pool, __ATOMIC_RELAXED);
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

/* The same where cores are shared by one domain's vCPUs only: best beside its own domain's. */
static unsigned int core_distance(const struct vcpu *v, const struct pcpu *p)
{
    int with = core_beside(p, v->domain);

    if (!is_free(p) || with < 0)
        return 3 + waiting(p);
    return with > 0 ? 0 : cpumask_test(&v->soft_affinity, p->id) ? 1 : 2;
}

/*
 * How good a place p is for v, 0 the best: free and preferred by its soft affinity, free, or by the
 * number that wait.
 */
static unsigned int distance(const struct vcpu *v, const struct pcpu *p)
{
    if (p->core)
        return core_distance(v, p);
    if (is_free(p))
        return cpumask_test(&v->soft_affinity, p->id) ? 0 : 1;
    return 2 + waiting(p);
}

/* The best CPU for v to wait on: where it was if that is as good as any. */
static struct pcpu *choose_cpu(const struct vcpu *v)
{
    struct pcpu *best = v->cpu;
    unsigned int least = ~0u;

    if (nr_pcpus == 1)
        return best;
    if (sched_allowed(v, best) && best->online)
        least = distance(v, best);
    for (unsigned int i = 0; i < nr_pcpus && least != 0; i++) {
        struct pcpu *p = pcpus[i];

        if (p && p->online && sched_allowed(v, p) && distance(v, p) < least) {
            best = p;
            least = distance(v, p);
        }
    }
    return best;
}

/* The CPU i places after p's own among those of its pool whose queues are compared, or NULL. */
static struct pcpu *neighbour(const struct pcpu *p, unsigned int i)
{
    unsigned int id = (p->id & ~(NEIGHBOURS - 1u)) + ((p->id + i) & (NEIGHBOURS - 1));
    struct pcpu *q = id < nr_pcpus ? pcpus[id] : NULL;

    return q && pool_of(q) == pool_of(p) ? q : NULL;
}

/*
 * vCPUs wait on p: if another CPU runs one that is ahead of the first of them and has none waiting,
 * it is to look here. Queue lock held.
 */
static void ask_for_help(const struct pcpu *p, uint64_t now)
{
    vtime_t furthest = p->rq.first;
    struct pcpu *found = NULL;

    for (unsigned int i = 1; i < NEIGHBOURS; i++) {
        struct pcpu *q = neighbour(p, i);
        vtime_t t;

        if (!q || waiting(q) != 0 || is_free(q))
            continue;
        t = credit_running_at(&q->rq, now);
        t -= 2 * credit_margin(__atomic_load_n(&q->rq.run_rate, __ATOMIC_RELAXED));
        if (t > furthest) {
            furthest = t;
            found = q;
        }
    }
    if (!found)
        return;
    __atomic_store_n(&found->rq.help, true, __ATOMIC_RELAXED);
    pcpu_raise(found, WORK_SCHED);
}

/* The virtual time of the furthest behind that waits on p or near it, VTIME_NONE: nobody does. */
static vtime_t least_waiting(const struct pcpu *p)
{
    vtime_t least = p->rq.first;

    if (nr_pcpus > 1)
        arch_this_cpu()->work_left--; /* who wakes many in one hypercall gives way earlier */
    for (unsigned int i = 1; i < NEIGHBOURS && nr_pcpus > 1; i++) {
        const struct pcpu *q = neighbour(p, i);

        if (q)
            least = MIN(least, __atomic_load_n(&q->rq.first, __ATOMIC_RELAXED));
    }
    return least;
}

/*
 * Somebody comes to p, where nobody waited. `alone`: the one that runs had p for itself so far,
 * while others may have waited elsewhere (but a CPU of a core is for one domain in turns, which is
 * not the same). Queue lock held.
 */
static void charge_alone(struct pcpu *p, uint64_t now, bool alone)
{
    credit_charge_alone(&p->rq, p->current, now, alone && !p->core ? least_waiting(p) : VTIME_NONE);
}

/*
 * v is about to wait on p, where cur runs: cur's slice is limited now. True if cur is to go at
 * once. Queue lock held.
 */
static bool limit_slice(struct pcpu *p, struct vcpu *cur, const struct vcpu *v, uint64_t now)
{
    uint64_t at = credit_preempt_at(v, cur, now);

    if (at <= now)
        return true;
    if (at < cur->sched.slice_end)
        cur->sched.slice_end = at;
    timer_set(&p->slice, p, cur->sched.slice_end);
    return false;
}

/*
 * v may run and is nowhere: queue it, or park it. Its queue's lock is held on p, and released.
 * `woken`: it waited for something.
 */
static void place(struct pcpu *p, struct vcpu *v, bool woken)
{
    struct credit_place at = { __atomic_load_n(&p->rq.vtime, __ATOMIC_RELAXED), VTIME_NONE,
                               VTIME_NONE };
    struct pcpu *const from = p;
    struct pcpu *to;
    uint64_t now = arch_now();
    struct vcpu *cur;
    bool kick;

    while ((to = choose_cpu(v)) != p) {
        __atomic_store_n(&v->cpu, to, __ATOMIC_RELEASE);
        spin_unlock(&p->rq.lock);
        p = lock_queue(v);
        if (is_somewhere(v) || !sched_runnable(v)) {
            spin_unlock(&p->rq.lock);
            return;
        }
        if (sched_allowed(v, p)) /* else pools changed meanwhile */
            break;
    }
    if (v->runstate.state != RUNSTATE_runnable)
        vcpu_runstate_at(v, RUNSTATE_runnable, now);
    cur = p->current;
    if (!is_idle(cur) && p->rq.nr == 0)
        charge_alone(p, now, woken || p != from); /* else v has only just given way to it */
    if (p->core)
        core_level(p);
    if (woken && !is_idle(cur)) {
        at.running = credit_vtime_at(cur, now);
        at.least = least_waiting(p);
    } else if (woken && p->core) {
        at.running = core_running_at(p, now);
    }
    if (woken)
        credit_place_woken(&p->rq, v, &at);
    else if (to == p)
        credit_place_moved(&p->rq, v);
    credit_activate(v);
    if (!credit_cap_allows(v, p, now)) {
        v->sched.parked = true;
        spin_unlock(&p->rq.lock);
        return;
    }
    enqueue(p, v);
    if (!is_idle(cur) && p->rq.nr == 1)
        credit_share_slice(&p->rq, cur, now);
    if (woken && at.running > v->sched.vtime)
        __atomic_store_n(&p->rq.woken, true, __ATOMIC_RELAXED);
    kick = is_idle(cur) || limit_slice(p, cur, v, now);
    p->rq.preempt |= kick;
    if (!kick && nr_pcpus > 1)
        ask_for_help(p, now);
    spin_unlock(&p->rq.lock);
    if (kick)
        pcpu_raise(p, WORK_SCHED);
}

void sched_add_vcpu(struct vcpu *v)
{
    pqueue_node_init(&v->sched.node);
    list_init(&v->sched.link);
    v->affinity = cpumask_all;
    v->soft_affinity = cpumask_all;
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
    if (is_somewhere(v) || !sched_runnable(v)) {
        spin_unlock(&p->rq.lock); /* sched_run() looks again before it lets a vCPU go */
    } else {
        COUNT(arch_this_cpu(), WAKES);
        TRACE(TRC_SCHED_WAKE, v->domain->id, v->id);
        place(p, v, true);
    }
}

/* v, which may not run any more, is nowhere. Queue lock held. */
static void stop(struct vcpu *v, uint64_t now)
{
    credit_deactivate(v);
    vcpu_runstate_at(v, vcpu_flags(v) & VP_BLOCKED ? RUNSTATE_blocked : RUNSTATE_offline, now);
}

void sched_sleep(struct vcpu *v)
{
    struct pcpu *p = lock_queue(v);
    bool running = is_running(v);

    if ((v->sched.queued || v->sched.parked) && !sched_runnable(v)) {
        if (v->sched.queued)
            dequeue(p, v);
        v->sched.parked = false;
        stop(v, arch_now());
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
    TRACE(TRC_SCHED_YIELD, v->domain->id, v->id);
    pcpu_raise(v->cpu, WORK_SCHED);
}

/*
 * What becomes of the vCPU that ran so far: true when it keeps the CPU. Else it is to be placed by
 * the caller after the switch, if it may still run. Queue lock held.
 */
static bool retire(struct pcpu *p, struct vcpu *prev, uint64_t now)
{
    bool core_over = p->core && core_gives_way(p->core);
    bool give_way = prev->sched.yielding || p->rq.preempt || now >= prev->sched.slice_end ||
                    core_over;
    uint64_t until = 0;

    credit_charge(&p->rq, prev, now, p->rq.nr == 0);
    if (!sched_runnable(prev)) {
        prev->sched.yielding = false;
        stop(prev, now);
        return false;
    }
    if (prev->sched.yielding)
        credit_yield(&p->rq, prev);
    prev->sched.yielding = false;
    if (sched_allowed(prev, p) && credit_cap_allows(prev, p, now)) {
        if (!give_way)
            return true;
        if (!core_over && prev->sched.vtime > p->rq.first && p->core)
            until = core_keeps(p, prev, now);
        if (!core_over && (prev->sched.vtime <= p->rq.first || until)) { /* its own successor */
            credit_start(&p->rq, prev, now);
            if (until)
                prev->sched.slice_end = MIN(prev->sched.slice_end, until);
            return true;
        }
    }
    vcpu_runstate_at(prev, RUNSTATE_runnable, now);
    return false;
}

/* What waits on a CPU and runs there. Without its lock. */
static inline uint64_t load_of(const struct pcpu *p)
{
    return __atomic_load_n(&p->rq.load, __ATOMIC_RELAXED) +
           __atomic_load_n(&p->rq.run_share, __ATOMIC_RELAXED);
}

/*
 * The neighbour whose first waiting vCPU is the furthest behind `limit`, or NULL. Without locks.
 * How much there is on a CPU nearby is noted on the way.
 */
static struct pcpu *furthest_behind(struct pcpu *self, vtime_t limit)
{
    struct pcpu *found = NULL;
    uint64_t load = load_of(self);
    unsigned int n = 1;

    for (unsigned int i = 1; i < NEIGHBOURS; i++) {
        struct pcpu *p = neighbour(self, i);
        vtime_t first;

        if (!p)
            continue;
        load += load_of(p);
        n++;
        first = __atomic_load_n(&p->rq.first, __ATOMIC_RELAXED);
        if (first < limit) {
            limit = first;
            found = p;
        }
    }
    __atomic_store_n(&self->rq.around, load / n, __ATOMIC_RELAXED);
    return found;
}

/* Takes the first vCPU that waits on p for `self`, if it may run there and is behind `limit`. */
static struct vcpu *take_first(struct pcpu *self, struct pcpu *p, vtime_t limit)
{
    struct pqnode *first;
    struct vcpu *v = NULL;

    if (!spin_trylock(&p->rq.lock))
        return NULL;
    first = pqueue_first(&p->rq.waiting);
    if (first && first->key < limit)
        v = list_entry(first, struct vcpu, sched.node);
    if (v && sched_allowed(v, self) &&
        (limit == VTIME_NONE || cpumask_test(&v->soft_affinity, self->id))) {
        dequeue(p, v);
        __atomic_store_n(&v->cpu, self, __ATOMIC_RELEASE);
    } else {
        v = NULL;
    }
    spin_unlock(&p->rq.lock);
    return v;
}

/*
 * One of those that wait on p and may run on `self`. Those bound to one CPU are not even looked at;
 * of others, bound to some, the first MOST_LOOKED_AT.
 */
static struct vcpu *take_allowed(struct pcpu *self, struct pcpu *p)
{
    struct vcpu *v = NULL, *w;
    unsigned int looked = 0;

    if (!spin_trylock(&p->rq.lock))
        return NULL;
    list_for_each (w, &p->rq.movable, sched.link) {
        if (sched_allowed(w, self))
            v = w;
        if (v || ++looked == MOST_LOOKED_AT)
            break;
    }
    if (v) {
        dequeue(p, v);
        __atomic_store_n(&v->cpu, self, __ATOMIC_RELEASE);
    }
    spin_unlock(&p->rq.lock);
    return v;
}

/* A vCPU that waits anywhere and may run on `self`, which would idle; or NULL. No lock held. */
static struct vcpu *take_any(struct pcpu *self)
{
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        struct pcpu *p = pcpus[i];
        struct vcpu *v;

        if (p == self || !p || waiting(p) == 0 || pool_of(p) != pool_of(self))
            continue;
        v = take_first(self, p, VTIME_NONE);
        if (!v)
            v = take_allowed(self, p);
        if (v)
            return v;
    }
    return NULL;
}

/* A vCPU that waits elsewhere and may run on p beside its own domain's, or NULL. No lock held. */
static struct vcpu *take_beside(struct pcpu *p)
{
    struct pcpu *q = core_others(p);
    struct vcpu *v;

    if (!q || !spin_trylock(&q->rq.lock))
        return NULL;
    v = core_first_on(p, q);
    if (v) {
        dequeue(q, v);
        __atomic_store_n(&v->cpu, p, __ATOMIC_RELEASE);
    }
    spin_unlock(&q->rq.lock);
    return v;
}

/*
 * A vCPU of another CPU that is to run on p rather than those that are there: when p would idle any
 * one, else one that is further behind. No lock held.
 */
static struct vcpu *steal(struct pcpu *p, const struct vcpu *prev)
{
    vtime_t limit = __atomic_load_n(&p->rq.first, __ATOMIC_RELAXED);
    bool stays = !is_idle(prev) && sched_runnable(prev) && sched_allowed(prev, p);
    struct pcpu *from;

    if (!stays && p->core && core_beside(p, NULL) != 0)
        return take_beside(p);
    if (limit == VTIME_NONE && !stays)
        return take_any(p);
    if (stays)
        limit = MIN(limit, credit_vtime_at(prev, arch_now()));
    limit -= credit_margin(__atomic_load_n(&p->rq.run_rate, __ATOMIC_RELAXED));
    from = furthest_behind(p, limit);
    return from ? take_first(p, from, limit) : NULL;
}

/* v is where it may not be (any more): it is moved, or its CPU drops it. No locks. */
static void leave_wrong_cpu(struct vcpu *v)
{
    struct pcpu *p = lock_queue(v);
    bool stays = sched_allowed(v, p), running = is_running(v);

    if (!stays && v->sched.queued) {
        dequeue(p, v);
        place(p, v, false);
        return;
    }
    spin_unlock(&p->rq.lock);
    if (!stays && running)
        pcpu_raise(p, WORK_SCHED);
}

/* The first in p's queue that may run; those before it are let go. Queue lock held. */
static struct vcpu *first_ready(struct pcpu *p, uint64_t now)
{
    struct pqnode *first;

    while ((first = pqueue_first(&p->rq.waiting)) != NULL) {
        struct vcpu *v = list_entry(first, struct vcpu, sched.node);
        bool runnable = sched_runnable(v);

        if (runnable && credit_cap_allows(v, p, now))
            return v;
        dequeue(p, v);
        if (runnable)
            v->sched.parked = true;
        else
            stop(v, now);
    }
    return NULL;
}

/* Who runs on p is decided. Queue lock held. */
static inline void chosen(struct pcpu *p)
{
    p->rq.preempt = false;
    __atomic_store_n(&p->rq.woken, false, __ATOMIC_RELAXED);
}

/* Takes the next vCPU to run on p, or its idle one. Queue lock held. */
static struct vcpu *choose(struct pcpu *p, uint64_t now)
{
    struct vcpu *v = first_ready(p, now);

    chosen(p);
    if (p->core) {
        if (v)
            v = core_pick(p, v, now);
        else
            core_unused(p);
        core_account(p, now, !v && p->rq.nr != 0);
    }
    if (!v)
        return p->idle;
    dequeue(p, v);
    return v;
}

/* Who runs on p is to be looked at again when its slice ends, if that matters. Queue lock held. */
static void arm_slice(struct pcpu *p, const struct vcpu *cur)
{
    if (p->rq.nr != 0 || credit_capped(cur))
        timer_set(&p->slice, p, cur->sched.slice_end);
}

/* The idle vCPUs are traced like others: they run, or may. */
static void trace_idle(const struct vcpu *v, int from, int to)
{
    TRACE(TRC_SCHED_RUNSTATE_CHANGE | (uint32_t)from << 8 | (uint32_t)to << 4, trace_vcpu(v));
}

static void enter(struct pcpu *p, struct vcpu *next, uint64_t now)
{
    uint64_t waited;

    if (is_idle(p->current))
        trace_idle(p->current, RUNSTATE_running, RUNSTATE_runnable);
    __atomic_store_n(&p->current, next, __ATOMIC_RELAXED);
    if (is_idle(next)) {
        trace_idle(next, RUNSTATE_runnable, RUNSTATE_running);
        __atomic_store_n(&p->idle_since, now, __ATOMIC_RELAXED);
        return;
    }
    waited = now > next->runstate.entered ? now - next->runstate.entered : 0;
    COUNT(p, SWITCHES);
    p->counts.waits[count_wait(waited)]++;
    next->sched.waits[count_wait(waited)]++;
    vcpu_runstate_at(next, RUNSTATE_running, now);
    credit_start(&p->rq, next, now);
    arm_slice(p, next);
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
    if (is_somewhere(prev) || !sched_runnable(prev))
        spin_unlock(&p->rq.lock); /* somebody else was quicker */
    else
        place(p, prev, !prev->sched.active);
}

static void switch_to(struct pcpu *p, struct vcpu *prev, struct vcpu *next)
{
    arch_switch(prev, next);
    if (__builtin_expect(__atomic_load_n(&prev->period_ns, __ATOMIC_RELAXED) != 0, 0))
        vcpu_ticks_stop(prev);
    leave(prev);
    if (!is_idle(next)) {
        if (__builtin_expect(__atomic_load_n(&next->period_ns, __ATOMIC_RELAXED) != 0, 0))
            vcpu_ticks_resume(next);
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
static void take_in(struct pcpu *p, struct vcpu *v, uint64_t now)
{
    if (v->cpu != p || is_somewhere(v))
        return;
    if (!sched_runnable(v)) {
        stop(v, now);
        return;
    }
    if (!is_idle(p->current) && p->rq.nr == 0)
        charge_alone(p, now, true);
    if (p->core)
        core_level(p);
    credit_place_moved(&p->rq, v);
    enqueue(p, v);
    p->rq.preempt = true;
}

/* Nobody else waits and the current one may stay: nothing to do, no clock to read. */
static bool nothing_changes(struct pcpu *p, struct vcpu *cur)
{
    return !is_idle(cur) && sched_runnable(cur) && sched_allowed(cur, p) && waiting(p) == 0 &&
           !__atomic_load_n(&p->rq.help, __ATOMIC_RELAXED) && !credit_capped(cur) &&
           !(p->core && core_gives_way(p->core));
}

/* The choice: switches from prev to who is next. `stolen` (or NULL) comes from another queue. */
static void run_next(struct pcpu *p, struct vcpu *prev, struct vcpu *stolen)
{
    uint64_t now = arch_now();
    struct vcpu *next;

    spin_lock(&p->rq.lock);
    __atomic_store_n(&p->rq.help, false, __ATOMIC_RELAXED);
    if (stolen) {
        COUNT(p, STEALS);
        take_in(p, stolen, now);
    }
    if (!is_idle(prev) && retire(p, prev, now)) {
        chosen(p);
        arm_slice(p, prev);
        spin_unlock(&p->rq.lock);
        return;
    }
    if (p->core)
        core_drop(p);
    next = choose(p, now);
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

void sched_run(struct pcpu *p)
{
    struct vcpu *prev = p->current, *stolen = NULL;

    if (nothing_changes(p, prev)) {
        prev->sched.yielding = false;
        return;
    }
    if (nr_pcpus > 1 && !__atomic_load_n(&p->rq.woken, __ATOMIC_RELAXED))
        stolen = steal(p, prev);
    run_next(p, prev, stolen);
    if (stolen) /* between the two queues its pool, or this CPU's, may have changed */
        leave_wrong_cpu(stolen);
}

void sched_unpark(struct domain *d)
{
    for_each_vcpu (d, v) {
        struct pcpu *p = lock_queue(v);

        if (is_running(v))
            pcpu_raise(p, WORK_SCHED);
        if (!v->sched.parked) {
            spin_unlock(&p->rq.lock);
            continue;
        }
        v->sched.parked = false;
        place(p, v, false);
    }
}

static void set_affinity(struct vcpu *v, const struct cpumask *cpus)
{
    struct pcpu *p = lock_queue(v);

    v->affinity = *cpus;
    v->sched.bound = cpumask_single(cpus) < MAX_CPUS;
    if (v->sched.queued) { /* there may be a better place for it now */
        dequeue(p, v);
        place(p, v, false);
        return;
    }
    spin_unlock(&p->rq.lock);
    leave_wrong_cpu(v);
}

struct cpumask sched_pool_cpus(unsigned int pool)
{
    struct cpumask cpus = CPUMASK_NONE;

    for (unsigned int i = 0; i < nr_pcpus; i++)
        if (pool_of(pcpus[i]) == pool)
            cpumask_set(&cpus, i);
    return cpus;
}

void sched_set_cpu_pool(struct pcpu *p, unsigned int pool)
{
    spin_lock(&p->rq.lock);
    __atomic_store_n(&p->rq.pool, pool, __ATOMIC_RELAXED);
    spin_unlock(&p->rq.lock);
    pcpu_raise(p, WORK_SCHED);
}

bool sched_rehome(struct vcpu *v, const struct cpumask *cpus)
{
    if (cpumask_intersects(&v->affinity, cpus)) {
        leave_wrong_cpu(v);
        return false;
    }
    set_affinity(v, &cpumask_all);
    return true;
}

int sched_set_affinity(struct vcpu *v, const struct cpumask *cpus)
{
    struct cpumask pool = sched_pool_cpus(
        __atomic_load_n(&v->domain->sched.pool, __ATOMIC_RELAXED));

    if (!cpumask_intersects(cpus, &pool))
        return -XEN_EINVAL;
    set_affinity(v, cpus);
    return 0;
}
