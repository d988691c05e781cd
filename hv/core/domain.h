/* SPDX-License-Identifier: MIT */
/* A domain: a running virtual machine. Concepts hang their own state on it by pointer. */
#ifndef CORE_DOMAIN_H
#define CORE_DOMAIN_H

#include "core/frame.h"
#include "core/guest_ops.h"
#include "core/lock.h"
#include "core/param.h"
#include "core/timer.h"
#include "core/vcpu.h"
#include "lib/list.h"

struct dirty_log;
struct evtchn_state;
struct grant_state;
struct parked;

/* Life cycle; changes only by domain_set_state(), which knows the legal steps. */
enum domain_state {
    DOM_NEW,      /* being built; no vCPU has run */
    DOM_ALIVE,    /* runs, is paused or blocked */
    DOM_SHUTDOWN, /* stopped by itself or crashed; reason in shutdown_code */
    DOM_DYING,    /* teardown under way, resumable */
    DOM_DEAD      /* holds nothing; its record goes with the last reference */
};

struct domain {
    domid_t id;                  /* constant */
    bool privileged;             /* constant: may control others and the machine (Dom0) */
    uint8_t kind;                /* enum guest_kind; constant once vCPUs exist */
    const struct guest_ops *ops; /* constant: its guest kind */
    uint32_t refs;               /* atomic; the list holds one */
    struct list link;            /* [domlist lock] in the list of all domains */
    struct domain *hash_next;    /* [domlist lock] next of the same bucket of ids */
    struct domain *reap_next;    /* while it waits for its end: the next one that does */

    spinlock_t lock;         /* RANK_DOMAIN */
    enum domain_state state; /* [lock] to change; read anywhere */
    uint8_t shutdown_code;   /* [lock] SHUTDOWN_* */
    bool shutdown_latched;   /* [lock] SCHEDOP_shutdown_code chose the code beforehand */
    bool was_shut_down;      /* [lock] shutdown_code holds a reason; stays while DYING */
    bool started;            /* [domctl lock] the tools let it run once: it is built */
    uint64_t serial;         /* constant: no other domain of this boot has it, whatever its id */
    uint64_t target;         /* [domctl lock] serial of the domain whose device model it is; or 0 */
    uint32_t pause_count;    /* atomic: reasons why no vCPU may run */
    uint32_t control_pauses; /* [domctl lock] how many of these are the tools' */
    uint32_t max_vcpus;      /* constant after creation */
    uint32_t pollers;        /* atomic: vCPUs in SCHEDOP_poll */
    struct vcpu *vcpu[MAX_VCPUS]; /* [lock] to change; entries never go before the domain */
    uint8_t handle[16];           /* [lock] UUID */
    uint64_t vm_assist;           /* atomic bits VMASST_TYPE_* */
    bool is_64bit;                /* constant once vCPUs exist */

    spinlock_t page_lock;  /* RANK_PAGELIST */
    uint32_t page_list;    /* [page_lock] first owned frame, as mfn; 0 = none */
    uint32_t left_list;    /* [page_lock] of a dying domain: frames that only others still hold */
    bool relinquished;     /* [page_lock] dying, and holds nothing itself any more */
    uint64_t tot_pages;    /* [page_lock] frames on both lists; read anywhere: domain_pages() */
    uint64_t max_pages;    /* [page_lock] */
    uint64_t replacing;    /* [page_lock] frames it gives or gave that others will replace */
    uint64_t claimed;      /* [heap lock] pages set aside for it, see frame_claim() */
    bool parked_busy;      /* atomic: a CPU holds the slot of parked.h */
    struct parked *parked; /* [that slot] a long step that waits for its call */

    struct shared_info *shared;  /* constant: the shared_info page */
    mfn_t shared_mfn;            /* constant */
    bool narrow_shared;          /* atomic: its layout, see shared_info.h */
    struct evtchn_state *evtchn; /* constant; its own lock */
    struct grant_state *grants;  /* constant; its own lock */

    struct dirty_log *dirty;             /* atomic: of its writes, NULL: none; see dirty.h */
    struct cpumask dirty_cpus;           /* atomic: CPUs that may cache its translations */
    int64_t time_offset_seconds;         /* [lock] */
    struct timer watchdog[NR_WATCHDOGS]; /* [lock to arm] SCHEDOP_watchdog */
    uint32_t watchdogs_on;               /* [lock] bit per one in use */
    uint32_t log_budget;                 /* rate limit of log_refusal */
    uint64_t log_window;                 /* ns: start of the current budget */
    struct sched_domain sched;           /* weight, cap, and what was used of them */
};

/* Where a walk of d's frames is: on the first of its lists, or the one of those left over. */
struct page_walk {
    const struct domain *d;
    struct frame *f;
    bool left;
};

static inline struct frame *page_walk_next(struct page_walk *w)
{
    uint32_t m = w->f ? w->f->next : w->d->page_list;

    if (m == 0 && !w->left) {
        w->left = true;
        m = w->d->left_list;
    }
    return w->f = m ? &frame_table[m] : NULL;
}

/* Each frame w.f of d's two lists; `break` ends the walk. [page_lock], or d runs no more */
#define for_each_page(of, w) for (struct page_walk w = { .d = (of) }; page_walk_next(&(w));)

/* Each vCPU v, declared here, that d has, in the order of their numbers. No lock: none ever goes.
 */
#define for_each_vcpu(d, v) \
    for (struct vcpu *v = vcpu_from((d), 0); v; v = vcpu_from((d), (v)->id + 1))

static inline struct vcpu *vcpu_from(const struct domain *d, unsigned int id)
{
    struct vcpu *v = NULL;

    while (!v && id < d->max_vcpus)
        v = __atomic_load_n(&d->vcpu[id++], __ATOMIC_ACQUIRE);
    return v;
}

static inline uint64_t domain_pages(const struct domain *d)
{
    return __atomic_load_n(&d->tot_pages, __ATOMIC_RELAXED);
}

/* RANK_DOMCTL: one control operation, or audit, at a time. It is tried, never waited for. */
extern spinlock_t domctl_lock;
extern struct domain *dom0; /* set once by the Dom0 build */

/*
 * The domain of id with a reference, or NULL. Takes RANK_DOMLIST for a moment. A dying domain is
 * found as long as it owns a page: who asks for more than its number looks at its state.
 */
struct domain *domain_get(domid_t id);
/* n more references, by somebody who holds one; and n less. */
static inline void domain_get_more(struct domain *d, uint32_t n)
{
    __atomic_fetch_add(&d->refs, n, __ATOMIC_RELAXED);
}
void domain_put_many(struct domain *d, uint32_t n);
static inline void domain_put(struct domain *d)
{
    domain_put_many(d, 1);
}
/* As domain_get, and understands DOMID_SELF as caller's own domain. */
struct domain *domain_get_self(struct vcpu *caller, domid_t id);
/* The first domain of id >= from with a reference, or NULL. */
struct domain *domain_next(domid_t from);
/* The one behind d, whose reference it takes over. */
struct domain *domain_after(struct domain *d);

static inline void domain_walk_end(struct domain *const *d)
{
    if (*d)
        domain_put(*d);
}

/*
 * Each domain d, declared here, of id >= from. A reference on it is held during its turn, and
 * dropped however that ends: the next one's, break, goto or return.
 */
#define for_each_domain_from(d, from)                                                        \
    for (struct domain * d __attribute__((cleanup(domain_walk_end))) = domain_next(from); d; \
         d = domain_after(d))
#define for_each_domain(d) for_each_domain_from (d, 0)

/*
 * Initialise the core's part of a zeroed record that the architecture allocated: locks, event
 * channels, grants, shared_info. 0 or -errno; on failure nothing is left behind.
 */
int domain_init(struct domain *d, domid_t id, const struct guest_ops *ops, unsigned int max_vcpus);
/* Put a fully built domain on the list. */
void domain_publish(struct domain *d);
/* A domain id that nobody has, the one used longest ago first; DOMID_INVALID: none is left. */
domid_t domain_unused_id(void);

/* No vCPU of d runs once it returns (sync) or soon; counted. */
void domain_pause(struct domain *d, bool sync);
void domain_unpause(struct domain *d);
/* Option noreboot: a Dom0 that crashes or reboots halts the machine instead. */
extern bool opt_noreboot;
/*
 * One step of destroying d, which is not dom0 and not the caller's: 0 when it holds nothing any
 * more, -EAGAIN: gave way, call again. Its record goes when nobody else refers to its memory.
 * [domctl lock]
 */
int domain_kill(struct domain *d);
/* Has d's destruction begun? What would keep or give it something asks under the lock it takes. */
static inline bool domain_dying(const struct domain *d)
{
    return __atomic_load_n(&d->state, __ATOMIC_ACQUIRE) >= DOM_DYING;
}
/* The last page of a relinquished domain is gone: it ends on this CPU's exit path. Any locks. */
void domain_reap_later(struct domain *d);
/* Exit-path work: ends the domains that wait for it. */
void domain_reap(void);
/* XEN_DOMCTL_resumedomain: a domain that shut down runs on. 0 or -EINVAL. */
int domain_resume(struct domain *d);
/* sched_op shutdown: records the reason, stops all vCPUs, tells Dom0; Dom0's own moves the machine.
 */
void domain_shutdown(struct domain *d, uint8_t reason);
/* SCHEDOP_shutdown_code: what a later shutdown is to report. */
void domain_latch_shutdown_code(struct domain *d, uint8_t reason);
/*
 * d broke a rule without an error code: logs "Domain N (vcpu#M) crashed on cpu#K:" with the reason
 * and registers and shuts it down with SHUTDOWN_crash. v may be NULL. Returns; the caller unwinds.
 */
void domain_crash(struct domain *d, struct vcpu *v, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
