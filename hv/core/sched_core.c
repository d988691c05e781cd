/* SPDX-License-Identifier: MIT */
/*
 * Core scheduling: which domain has a core.
 *
 * What must hold: a CPU enters a vCPU only after it has taken the core for that vCPU's domain
 * (take()), which fails while a sibling runs another domain's; it drops the core after the vCPU's
 * state has left guest mode. So no two domains are in guest mode on one core at any time.
 *
 * Turns: a domain has the core until none of its vCPUs runs on it, or until a vCPU of another one
 * that waits on any of the core's CPUs is due: it has had no more than those that run, by virtual
 * time, and the turn has lasted for the rate limit. Then the owner's vCPUs are asked to leave
 * (give_way), and when the last one has left, the CPU whose first vCPU is furthest behind takes the
 * core; the others follow with vCPUs of the same domain. So domains share a core by CPU time as
 * vCPUs share a CPU. A CPU that idles while vCPUs wait for it has a timer armed and looks again, so
 * nobody depends on being told.
 *
 * Virtual times of a core's CPUs are compared, so who is placed on one of them is placed near the
 * furthest of them (core_level()). A vCPU that runs because its domain has the turn, not because it
 * is due itself (runqueue.rides), may be far ahead of all others: it does not count for that.
 */
#include "core/sched_core.h"

#include "core/arch.h"
#include "core/domain.h"
#include "core/log.h"
#include "core/pcpu.h"
#include "core/sched_credit.h"

#define LOOK_AGAIN_NS 1000000ull

static struct core cores[MAX_CPUS];

void sched_core_init(void)
{
    unsigned int n = 0, threads = 0;

    for (unsigned int i = 0; i < nr_pcpus; i++) {
        struct core *c = NULL;

        for (unsigned int k = 0; k < i && !c; k++)
            if (arch_core(k) == arch_core(i) && pcpus[k]->core->nr < CORE_THREADS)
                c = pcpus[k]->core;
        if (!c) {
            c = &cores[n++];
            spin_init(&c->lock, RANK_CORE);
        }
        c->cpu[c->nr++] = (uint16_t)i;
        threads = MAX(threads, c->nr);
        pcpus[i]->core = c;
    }
    log_info("Scheduling: by cores, %u of %u threads each at most", n, threads);
}

/* The i-th of p's siblings, or NULL for p itself. */
static struct pcpu *sibling(const struct pcpu *p, unsigned int i)
{
    return p->core->cpu[i] == p->id ? NULL : pcpus[p->core->cpu[i]];
}

static inline unsigned int waiting(const struct pcpu *p)
{
    return __atomic_load_n(&p->rq.nr, __ATOMIC_RELAXED);
}

static inline bool runs(const struct pcpu *p)
{
    return __atomic_load_n(&p->on_core, __ATOMIC_RELAXED);
}

/* Whose vCPUs run on p's siblings. [core lock] */
static inline const struct domain *beside(const struct pcpu *p)
{
    return p->core->running > (p->on_core ? 1u : 0u) ? p->core->owner : NULL;
}

static bool take(struct pcpu *p, const struct vcpu *v, uint64_t now)
{
    struct core *c = p->core;
    bool mine;

    spin_lock(&c->lock);
    mine = !c->give_way && (!c->owner || c->owner == v->domain);
    if (mine && !c->owner) {
        __atomic_store_n(&c->owner, v->domain, __ATOMIC_RELAXED);
        __atomic_store_n(&c->since, now, __ATOMIC_RELAXED);
    }
    if (mine && !p->on_core) {
        __atomic_store_n(&p->on_core, true, __ATOMIC_RELAXED);
        __atomic_store_n(&c->running, c->running + 1, __ATOMIC_RELAXED);
    }
    spin_unlock(&c->lock);
    return mine;
}

void core_drop(struct pcpu *p)
{
    struct core *c = p->core;

    spin_lock(&c->lock);
    if (p->on_core) {
        __atomic_store_n(&p->on_core, false, __ATOMIC_RELAXED);
        __atomic_store_n(&c->running, c->running - 1, __ATOMIC_RELAXED);
        if (c->running == 0) {
            __atomic_store_n(&c->owner, NULL, __ATOMIC_RELAXED);
            __atomic_store_n(&c->give_way, false, __ATOMIC_RELAXED);
        }
    }
    spin_unlock(&c->lock);
}

int core_beside(const struct pcpu *p, const struct domain *d)
{
    const struct domain *owner = __atomic_load_n(&p->core->owner, __ATOMIC_RELAXED);
    unsigned int n = __atomic_load_n(&p->core->running, __ATOMIC_RELAXED);

    if (n <= (runs(p) ? 1u : 0u) || !owner)
        return 0;
    return owner == d ? 1 : -1;
}

/* The virtual time of the one on p's siblings that is furthest ahead, by hints; 0: none runs. */
static vtime_t furthest_running(const struct pcpu *p, uint64_t now, uint32_t *rate)
{
    vtime_t most = 0;

    for (unsigned int i = 0; i < p->core->nr; i++) {
        struct pcpu *q = sibling(p, i);
        vtime_t t = q && runs(q) ? credit_running_at(&q->rq, now) : 0;

        if (t > most) {
            most = t;
            *rate = __atomic_load_n(&q->rq.run_rate, __ATOMIC_RELAXED);
        }
    }
    return most;
}

vtime_t core_running_at(const struct pcpu *p, uint64_t now)
{
    uint32_t rate;
    vtime_t most = furthest_running(p, now, &rate);

    return most ? most : VTIME_NONE;
}

/* When v, which waits on p, is due; a time up to `now`: it is. */
static uint64_t due_at(const struct pcpu *p, const struct vcpu *v, uint64_t now)
{
    const struct sched_settings *s = &sched_settings[p->rq.pool];
    uint64_t turn = __atomic_load_n(&p->core->since, __ATOMIC_RELAXED) +
                    __atomic_load_n(&s->rate_limit_ns, __ATOMIC_RELAXED);
    uint64_t slice = __atomic_load_n(&s->slice_ns, __ATOMIC_RELAXED);
    uint32_t rate = 0;
    vtime_t most = furthest_running(p, now, &rate);
    uint64_t at = now;

    if (most < v->sched.vtime && rate)
        at += MIN((v->sched.vtime - most) / rate << CREDIT_RATE_SHIFT, slice) + 1000;
    return MAX(at, turn);
}

/* A sibling on which somebody waits that is further behind than v; of equals the lowest CPU's. */
static struct pcpu *further_behind(const struct pcpu *p, const struct vcpu *v)
{
    vtime_t least = v->sched.vtime;
    struct pcpu *found = NULL;

    for (unsigned int i = 0; i < p->core->nr; i++) {
        struct pcpu *q = sibling(p, i);
        vtime_t first = q ? __atomic_load_n(&q->rq.first, __ATOMIC_RELAXED) : VTIME_NONE;

        if (first < least || (first == least && !found && q && q->id < p->id)) {
            least = first;
            found = q;
        }
    }
    return found;
}

/* Siblings that could run more vCPUs of d, which has just got the core, are to look. */
static void call_in(const struct pcpu *p, const struct domain *d)
{
    if (__atomic_load_n(&d->sched.active, __ATOMIC_RELAXED) < 2)
        return;
    for (unsigned int i = 0; i < p->core->nr; i++) {
        struct pcpu *q = sibling(p, i);

        if (q && !runs(q))
            pcpu_raise(q, WORK_SCHED);
    }
}

/* Those who run on the siblings are to leave. */
static void ask_to_leave(const struct pcpu *p)
{
    struct core *c = p->core;

    spin_lock(&c->lock);
    if (beside(p))
        __atomic_store_n(&c->give_way, true, __ATOMIC_RELAXED);
    spin_unlock(&c->lock);
    for (unsigned int i = 0; i < c->nr; i++) {
        struct pcpu *q = sibling(p, i);

        if (q && runs(q))
            pcpu_raise(q, WORK_SCHED);
    }
}

struct vcpu *core_first_on(struct pcpu *p, struct pcpu *q)
{
    const struct domain *d;
    struct vcpu *best = NULL;

    spin_lock(&p->core->lock); /* while it is held and d's vCPUs run, d does not go away */
    d = beside(p);
    if (d) {
        for_each_vcpu (d, v) {
            if (__atomic_load_n(&v->cpu, __ATOMIC_ACQUIRE) != q || !v->sched.queued ||
                !sched_allowed(v, p) || !sched_runnable(v))
                continue;
            if (!best || v->sched.vtime < best->sched.vtime)
                best = v;
        }
    }
    spin_unlock(&p->core->lock);
    return best;
}

struct pcpu *core_others(struct pcpu *p)
{
    const struct domain *d;
    struct pcpu *found = NULL;

    spin_lock(&p->core->lock);
    d = beside(p);
    if (d) {
        for_each_vcpu (d, v) {
            struct pcpu *q = __atomic_load_n(&v->cpu, __ATOMIC_ACQUIRE);

            if (!__atomic_load_n(&v->sched.queued, __ATOMIC_RELAXED))
                continue;
            found = q;
            if (q == p) /* it need not look elsewhere */
                break;
        }
    }
    spin_unlock(&p->core->lock);
    return found == p ? NULL : found;
}

/* Nobody runs on p's siblings: v takes the core, if nobody waits for it with more right. */
static bool begin_turn(struct pcpu *p, struct vcpu *v, uint64_t now)
{
    struct pcpu *q = further_behind(p, v);

    if (q) {
        pcpu_raise(q, WORK_SCHED);
        return false;
    }
    if (!take(p, v, now))
        return false;
    call_in(p, v->domain);
    return true;
}

struct vcpu *core_pick(struct pcpu *p, struct vcpu *v, uint64_t now)
{
    int with = core_beside(p, v->domain);
    uint64_t at = now + LOOK_AGAIN_NS;
    struct vcpu *w;

    p->rq.rides = with != 0; /* if it is taken */
    if (with == 0 && begin_turn(p, v, now))
        return v;
    if (with > 0 && take(p, v, now))
        return v;
    if (with < 0) {
        at = due_at(p, v, now);
        if (at <= now) {
            ask_to_leave(p);
            at = now + LOOK_AGAIN_NS;
        } else {
            w = core_first_on(p, p);
            if (w && credit_cap_allows(w, p, now) && take(p, w, now))
                return w;
        }
    }
    timer_set(&p->slice, p, at);
    return NULL;
}

void core_unused(struct pcpu *p)
{
    for (unsigned int i = 0; i < p->core->nr; i++) {
        struct pcpu *q = sibling(p, i);

        if (q && waiting(q) != 0 && !runs(q))
            pcpu_raise(q, WORK_SCHED);
    }
}

uint64_t core_keeps(struct pcpu *p, const struct vcpu *prev, uint64_t now)
{
    struct pqnode *first = pqueue_first(&p->rq.waiting);
    struct vcpu *v = first ? list_entry(first, struct vcpu, sched.node) : NULL;

    uint64_t due;

    if (!v || v->domain == prev->domain || core_beside(p, prev->domain) <= 0)
        return 0;
    due = due_at(p, v, now);
    return due > now ? due : 0;
}

void core_level(struct pcpu *p)
{
    for (unsigned int i = 0; i < p->core->nr; i++) {
        struct pcpu *q = sibling(p, i);
        vtime_t t = q ? __atomic_load_n(&q->rq.vtime, __ATOMIC_RELAXED) : 0;

        if (t > p->rq.vtime)
            __atomic_store_n(&p->rq.vtime, t, __ATOMIC_RELAXED);
    }
}

void core_account(struct pcpu *p, uint64_t now, bool forced)
{
    if (p->forced_since)
        p->counts.n[COUNT_FORCED] += now - p->forced_since;
    p->forced_since = forced ? now : 0;
}
