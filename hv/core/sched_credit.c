/* SPDX-License-Identifier: MIT */
/*
 * The credit scheduler: proportional shares by virtual time, and caps.
 *
 * Each vCPU has a virtual time that advances while it runs, the slower the larger its part of its
 * domain's weight is; the runnable vCPU with the smallest one is next. A domain's weight is divided
 * evenly among those of its vCPUs that run or would. With two busy domains of weights 256 and 768
 * on one CPU, the second one's virtual time advances at a third of the first one's pace, so it is
 * chosen three times as long.
 *
 * The unit: a vCPU that alone has the weight w of its domain gains 16 / w for each ns it runs. The
 * pace is limited to 64 a ns, so that 64 bits last for nine years.
 *
 * What must hold:
 * - Time is charged as it was used, never sampled, so nobody can run between two samples.
 * - Sleeping earns nothing: a vCPU that wakes is moved up to at most LAG behind the others of its
 *   CPU, and up to LAG behind its own domain's virtual time. So a short sleep does not renew what
 *   was used up, and vCPUs that hand one job around together get their domain's share and no more.
 *   What is left of the lag lets a vCPU that computes little go first at once.
 * - The virtual times of two CPUs whose vCPUs never move between them drift apart; who comes to a
 *   CPU is therefore brought near the ones there: by what it was ahead of those it leaves.
 * - Who has a CPU for itself gets no more than that, whatever its weight, so it saves nothing up
 *   either: it is at most a slice behind those who wait elsewhere. Otherwise its CPU would fall
 *   behind the others for good, and whoever came there from them would wait.
 *
 * A cap is a budget of CPU time that fills up at cap percent of real time, to at most what
 * CAP_PERIOD_NS gives. A domain without budget is parked until it has half of that again, so a
 * domain with a cap of 50 waits for 5 ms at a stretch. What was used too much is owed.
 *
 * Locks: the run queue's, for everything of a vCPU; sched_domain.lock for the budget, inside.
 */
#include "core/sched_credit.h"

#include "core/arch.h"
#include "core/domain.h"
#include "core/pcpu.h"
#include "core/vcpu.h"

#define RATE_SHIFT CREDIT_RATE_SHIFT
#define RATE_UNIT (16u << RATE_SHIFT)
#define RATE_MAX (64u << RATE_SHIFT)

#define LONGEST_NS (1ull << 36)   /* a minute: longer runs count as this, so that products fit */
#define LAG_NS 5000000ull         /* how far a vCPU that wakes is behind the others, at most */
#define LAG_MOVED_NS 120000000ull /* and one that comes from another CPU */
#define CAP_PERIOD_NS 10000000ull
#define CAP_QUANTUM_NS 100000ull /* no slice under a cap is shorter */

struct sched_settings sched_settings[MAX_CPUPOOLS + 2] = {
    [0 ... CPUPOOL_OFFLINE] = { .slice_ns = SCHED_SLICE_NS, .rate_limit_ns = SCHED_RATE_LIMIT_NS }
};

static inline uint64_t longest_slice(const struct runqueue *rq)
{
    return __atomic_load_n(&sched_settings[rq->pool].slice_ns, __ATOMIC_RELAXED);
}

static inline uint64_t rate_limit(const struct runqueue *rq)
{
    return __atomic_load_n(&sched_settings[rq->pool].rate_limit_ns, __ATOMIC_RELAXED);
}

static inline struct sched_domain *share_of(const struct vcpu *v)
{
    return &v->domain->sched;
}

static inline uint32_t rate_of(const struct vcpu *v)
{
    return __atomic_load_n(&share_of(v)->rate, __ATOMIC_RELAXED);
}

/* ns of running in virtual time at a pace. Long runs are charged in parts by their callers. */
static inline vtime_t scaled(uint64_t ns, uint32_t rate)
{
    return ns * rate >> RATE_SHIFT;
}

/* The pace of each vCPU of d, after its weight or the number of its active vCPUs changed. */
static void set_rate(struct sched_domain *s)
{
    uint32_t active = MAX(__atomic_load_n(&s->active, __ATOMIC_RELAXED), 1u);
    uint64_t rate = (uint64_t)RATE_UNIT * active / __atomic_load_n(&s->weight, __ATOMIC_RELAXED);

    rate = MAX(MIN(rate, (uint64_t)RATE_MAX), 1ull);
    __atomic_store_n(&s->rate, (uint32_t)rate, __ATOMIC_RELAXED);
}

void credit_activate(struct vcpu *v)
{
    if (v->sched.active)
        return;
    v->sched.active = true;
    if (__atomic_fetch_add(&share_of(v)->active, 1, __ATOMIC_RELAXED) != 0)
        set_rate(share_of(v));
}

void credit_deactivate(struct vcpu *v)
{
    if (!v->sched.active)
        return;
    v->sched.active = false;
    if (__atomic_sub_fetch(&share_of(v)->active, 1, __ATOMIC_RELAXED) != 0)
        set_rate(share_of(v));
}

/* t brought into [low, high]. */
static inline vtime_t within(vtime_t t, vtime_t low, vtime_t high)
{
    return t < low ? low : t > high ? high : t;
}

/* [rq lock] Others take what they read of it for a hint. */
static inline void set_vtime(struct vcpu *v, vtime_t t)
{
    __atomic_store_n(&v->sched.vtime, t, __ATOMIC_RELAXED);
}

/* How far t is ahead of `other`; 0: it is not. */
static inline vtime_t ahead_of(vtime_t t, vtime_t other)
{
    return t > other ? t - other : 0;
}

void credit_place_woken(struct runqueue *rq, struct vcpu *v, const struct credit_place *at)
{
    uint32_t rate = rate_of(v);
    vtime_t level = rq->vtime, here = level, others = level;
    vtime_t high = level + scaled(longest_slice(rq), rate);
    vtime_t whole = __atomic_load_n(&share_of(v)->vtime, __ATOMIC_RELAXED);
    vtime_t t = v->sched.vtime;

    if (at->running != VTIME_NONE) {
        here = MIN(level, MIN(at->running, at->least));
        here = others = MAX(here, level - scaled(LAG_MOVED_NS, rate));
        if (at->least != VTIME_NONE)
            others = MAX(here, at->least);
    }
    if (at->left > level)
        t = ahead_of(t, at->left - level);
    if (whole > others) /* the domain is ahead */
        here = MIN(here + (whole - others), high);
    set_vtime(v, within(t, here - scaled(LAG_NS, rate), high));
}

void credit_place_moved(struct runqueue *rq, struct vcpu *v)
{
    uint32_t rate = rate_of(v);

    set_vtime(v, within(v->sched.vtime, rq->vtime - scaled(LAG_MOVED_NS, rate),
                        rq->vtime + scaled(longest_slice(rq), rate)));
}

/* The domain's own virtual time; it never falls behind the CPU's by more than the lag. */
static void charge_domain(struct runqueue *rq, struct sched_domain *s, uint64_t ran)
{
    uint32_t weight = __atomic_load_n(&s->weight, __ATOMIC_RELAXED);
    vtime_t low = rq->vtime - scaled(LAG_MOVED_NS, RATE_UNIT / weight);
    vtime_t t = __atomic_load_n(&s->vtime, __ATOMIC_RELAXED);

    if (t < low)
        __atomic_compare_exchange_n(&s->vtime, &t, low, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    __atomic_fetch_add(&s->vtime, ran * 16 / weight, __ATOMIC_RELAXED);
}

static inline void raise_vtime(struct runqueue *rq, const struct vcpu *v)
{
    if (v->sched.vtime > rq->vtime && !rq->rides)
        __atomic_store_n(&rq->vtime, v->sched.vtime, __ATOMIC_RELAXED);
}

/* What others read of v, which runs. */
static inline void note_running(struct runqueue *rq, const struct vcpu *v, uint64_t now)
{
    __atomic_store_n(&rq->run_vtime, v->sched.vtime, __ATOMIC_RELAXED);
    __atomic_store_n(&rq->run_since, now, __ATOMIC_RELAXED);
    __atomic_store_n(&rq->run_rate, rate_of(v), __ATOMIC_RELAXED);
}

void credit_charge(struct runqueue *rq, struct vcpu *v, uint64_t now, bool alone)
{
    struct sched_domain *s = share_of(v);
    uint64_t ran = now > v->sched.charged ? now - v->sched.charged : 0;

    __atomic_store_n(&v->sched.charged, now, __ATOMIC_RELAXED);
    if (credit_capped(v)) {
        spin_lock(&s->lock);
        s->budget += (int64_t)(v->sched.granted - ran);
        spin_unlock(&s->lock);
    }
    v->sched.granted = 0;
    ran = MIN(ran, LONGEST_NS);
    set_vtime(v, v->sched.vtime + scaled(ran, rate_of(v)));
    charge_domain(rq, s, ran);
    if (alone)
        raise_vtime(rq, v);
}

void credit_charge_alone(struct runqueue *rq, struct vcpu *cur, uint64_t now, vtime_t least)
{
    vtime_t behind = scaled(longest_slice(rq), rate_of(cur));

    credit_charge(rq, cur, now, true);
    if (least == VTIME_NONE || cur->sched.vtime + behind >= least)
        return;
    set_vtime(cur, least - behind);
    raise_vtime(rq, cur);
    note_running(rq, cur, now);
}

vtime_t credit_vtime_at(const struct vcpu *v, uint64_t now)
{
    uint64_t charged = __atomic_load_n(&v->sched.charged, __ATOMIC_RELAXED);
    uint64_t ran = now > charged ? now - charged : 0;

    return __atomic_load_n(&v->sched.vtime, __ATOMIC_RELAXED) +
           scaled(MIN(ran, LONGEST_NS), rate_of(v));
}

static inline uint64_t least(uint64_t a, uint64_t b)
{
    return MIN(a, b);
}

/* v, under a cap, is about to run: the part of the budget that it may use is taken out of it. */
static uint64_t take_budget(struct vcpu *v)
{
    struct sched_domain *s = share_of(v);
    uint32_t active = MAX(__atomic_load_n(&s->active, __ATOMIC_RELAXED), 1u);
    uint64_t part;

    spin_lock(&s->lock);
    part = s->budget > 0 ? (uint64_t)s->budget / active : 0;
    part = MAX(part, CAP_QUANTUM_NS);
    s->budget -= (int64_t)part;
    spin_unlock(&s->lock);
    v->sched.granted = part;
    return part;
}

uint32_t credit_share(const struct vcpu *v)
{
    return MAX(RATE_MAX / rate_of(v), 1u);
}

/*
 * The longest slice times the part of the weights here, or that of an average CPU nearby if it is
 * less: what runs beside little on its CPU while more waits elsewhere would be far ahead by its
 * end.
 */
static uint64_t slice_for(const struct runqueue *rq, uint32_t share)
{
    uint64_t slice = longest_slice(rq), limit = rate_limit(rq);
    uint64_t around = __atomic_load_n(&rq->around, __ATOMIC_RELAXED);

    return MAX(slice * share / MAX(rq->load + share, around), MAX(limit, CAP_QUANTUM_NS));
}

void credit_share_slice(const struct runqueue *rq, struct vcpu *cur, uint64_t now)
{
    if (!credit_capped(cur))
        cur->sched.slice_end = now + slice_for(rq, credit_share(cur));
}

vtime_t credit_running_at(const struct runqueue *rq, uint64_t now)
{
    uint64_t since = __atomic_load_n(&rq->run_since, __ATOMIC_RELAXED);
    uint64_t ran = now > since ? MIN(now - since, LONGEST_NS) : 0;

    return __atomic_load_n(&rq->run_vtime, __ATOMIC_RELAXED) +
           scaled(ran, __atomic_load_n(&rq->run_rate, __ATOMIC_RELAXED));
}

void credit_start(struct runqueue *rq, struct vcpu *v, uint64_t now)
{
    uint32_t share = credit_share(v);
    uint64_t slice = slice_for(rq, share);

    if (credit_capped(v))
        slice = least(slice, take_budget(v));
    v->sched.entered = now;
    __atomic_store_n(&v->sched.charged, now, __ATOMIC_RELAXED);
    v->sched.slice_end = now + slice;
    raise_vtime(rq, v);
    note_running(rq, v, now);
    __atomic_store_n(&rq->run_share, share, __ATOMIC_RELAXED);
}

uint64_t credit_preempt_at(const struct vcpu *v, const struct vcpu *cur, uint64_t now)
{
    uint64_t limit = rate_limit(&cur->cpu->rq);

    if (credit_vtime_at(cur, now) <= v->sched.vtime)
        return VTIME_NONE;
    return MIN(cur->sched.entered + limit, cur->sched.slice_end);
}

void credit_yield(struct runqueue *rq, struct vcpu *v)
{
    if (rq->first != VTIME_NONE && v->sched.vtime <= rq->first)
        set_vtime(v, rq->first + 1);
}

/* --- caps --- */

/* The budget as it is now: what the cap gave since it was last filled up. [s->lock] */
static void fill_up(struct sched_domain *s, uint32_t cap, uint64_t now)
{
    int64_t most = (int64_t)(CAP_PERIOD_NS * cap / 100);
    uint64_t since = now > s->filled ? now - s->filled : 0;

    s->budget += (int64_t)(MIN(since, 1ull << 40) * cap / 100);
    s->budget = MIN(s->budget, most);
    s->filled = now;
}

bool credit_capped(const struct vcpu *v)
{
    return __atomic_load_n(&v->domain->sched.cap, __ATOMIC_RELAXED) != 0;
}

bool credit_cap_allows(struct vcpu *v, struct pcpu *p, uint64_t now)
{
    struct sched_domain *s = share_of(v);
    uint32_t cap = __atomic_load_n(&s->cap, __ATOMIC_RELAXED);
    int64_t enough = (int64_t)(CAP_PERIOD_NS * cap / 200);
    bool allowed;

    if (__builtin_expect(cap == 0, 1))
        return true;
    spin_lock(&s->lock);
    fill_up(s, cap, now);
    allowed = s->budget > 0;
    if (!allowed)
        timer_set(&s->refill, p, now + (uint64_t)(enough - s->budget) * 100 / cap);
    spin_unlock(&s->lock);
    return allowed;
}

static void refill(void *arg)
{
    sched_unpark(arg);
}

void sched_init_domain(struct domain *d)
{
    struct sched_domain *s = &d->sched;

    s->weight = SCHED_WEIGHT_DEFAULT;
    spin_init(&s->lock, RANK_CAP);
    timer_init(&s->refill, refill, d);
    set_rate(s);
}

void sched_stop_domain(struct domain *d)
{
    timer_stop_sync(&d->sched.refill);
}

void sched_set_share(struct domain *d, uint16_t weight, uint16_t cap)
{
    struct sched_domain *s = &d->sched;

    spin_lock(&s->lock);
    __atomic_store_n(&s->weight, weight, __ATOMIC_RELAXED);
    set_rate(s);
    if (cap != s->cap) {
        s->budget = (int64_t)(CAP_PERIOD_NS * cap / 100);
        s->filled = arch_now();
        __atomic_store_n(&s->cap, cap, __ATOMIC_RELAXED);
    }
    spin_unlock(&s->lock);
    sched_unpark(d); /* and who runs now comes under the new cap */
}
