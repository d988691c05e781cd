/* SPDX-License-Identifier: MIT */
/*
 * The life of a domain: its record, the list of all, pause and shutdown, and its end.
 *
 * A state changes under the domain's lock, by the steps that domain_set_state() knows, and never
 * back from DYING. What would give a dying domain something asks domain_dying() under the lock that
 * it takes for it (page_lock, ...), which begin_dying() takes once afterwards: whoever came before
 * is done then. Destruction goes in steps that keep their place in what they undo; the record stays
 * as long as others hold one of its pages or a reference. The list has a lock of its own.
 */
#include "core/domain.h"

#include <xen/errno.h>
#include <xen/sched.h>

#include "core/bug.h"
#include "core/clock.h"
#include "core/evtchn.h"
#include "core/grant.h"
#include "core/log.h"
#include "core/parked.h"
#include "core/pcpu.h"
#include "lib/format.h"
#include "lib/string.h"

struct domain *dom0;
bool opt_noreboot;

static spinlock_t list_lock = SPINLOCK_INIT(RANK_DOMLIST);
static struct list domains = LIST_INIT(domains); /* [list_lock] in rising order of id */
#define BUCKETS 1024
static struct domain *buckets[BUCKETS]; /* [list_lock] by the low bits of their ids */

/* Which state may follow which: bit per successor. */
static const uint8_t successors[] = {
    [DOM_NEW] = 1u << DOM_ALIVE | 1u << DOM_DYING,
    [DOM_ALIVE] = 1u << DOM_SHUTDOWN | 1u << DOM_DYING,
    [DOM_SHUTDOWN] = 1u << DOM_ALIVE | 1u << DOM_DYING,
    [DOM_DYING] = 1u << DOM_DEAD,
    [DOM_DEAD] = 0,
};

static void domain_set_state(struct domain *d, enum domain_state to)
{
    BUG_ON(!(successors[d->state] & 1u << to));
    __atomic_store_n(&d->state, to, __ATOMIC_SEQ_CST);
}

/* One more reference of a domain on the list; [list_lock]. */
static struct domain *take(struct domain *d)
{
    __atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
    return d;
}

struct domain *domain_get(domid_t id)
{
    struct domain *d;

    spin_lock(&list_lock);
    d = buckets[id % BUCKETS];
    while (d && d->id != id)
        d = d->hash_next;
    if (d)
        take(d);
    spin_unlock(&list_lock);
    return d;
}

struct domain *domain_next(domid_t from)
{
    struct domain *d, *found = domain_get(from); /* mostly: who walks many finds each at once */

    if (found)
        return found;
    spin_lock(&list_lock);
    list_for_each (d, &domains, link) {
        if (d->id >= from) {
            found = take(d);
            break;
        }
    }
    spin_unlock(&list_lock);
    return found;
}

struct domain *domain_after(struct domain *d)
{
    struct domain *next = domain_next((domid_t)(d->id + 1));

    domain_put(d);
    return next;
}

domid_t domain_unused_id(void)
{
    static domid_t last; /* [domctl lock] */

    for (unsigned int i = 0; i < DOMID_FIRST_RESERVED; i++) {
        struct domain *d;

        last = last + 1u < DOMID_FIRST_RESERVED ? (domid_t)(last + 1) : 1;
        d = domain_get(last);
        if (!d)
            return last;
        domain_put(d);
    }
    return DOMID_INVALID;
}

struct domain *domain_get_self(struct vcpu *caller, domid_t id)
{
    struct domain *d = caller->domain;

    return id == DOMID_SELF || id == d->id ? take(d) : domain_get(id);
}

static void domain_destroy_record(struct domain *d)
{
    BUG_ON(d->state != DOM_DEAD);
    evtchn_free(d);
    grant_free(d);
    frame_unshare(d->shared);
    for (unsigned int i = 0; i < d->max_vcpus; i++)
        if (d->vcpu[i])
            d->ops->vcpu_free(d->vcpu[i]);
    d->ops->domain_free(d);
}

void domain_put_many(struct domain *d, uint32_t n)
{
    if (__atomic_fetch_sub(&d->refs, n, __ATOMIC_ACQ_REL) == n)
        domain_destroy_record(d);
}

static void watchdog_expired(void *arg)
{
    domain_shutdown(arg, SHUTDOWN_watchdog);
}

static uint64_t serials; /* atomic: domains there ever were */

int domain_init(struct domain *d, domid_t id, const struct guest_ops *ops, unsigned int max_vcpus)
{
    int rc;

    if (max_vcpus == 0 || max_vcpus > MAX_VCPUS || id >= DOMID_FIRST_RESERVED)
        return -XEN_EINVAL;
    d->id = id;
    d->ops = ops;
    d->kind = (uint8_t)ops->kind;
    d->refs = 1;
    d->max_vcpus = max_vcpus;
    d->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
    d->is_64bit = true;
    d->state = DOM_NEW;
    d->pause_count = 0;
    sched_init_domain(d);
    spin_init(&d->lock, RANK_DOMAIN);
    spin_init(&d->page_lock, RANK_PAGELIST);
    list_init(&d->link);
    for (unsigned int i = 0; i < NR_WATCHDOGS; i++)
        timer_init(&d->watchdog[i], watchdog_expired, d);
    d->shared = frame_alloc_hv();
    if (!d->shared)
        return -XEN_ENOMEM;
    d->shared_mfn = arch_unmap(d->shared);
    for (unsigned int i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        ((uint8_t *)&d->shared->vcpu_info[i])[VCPU_INFO_MASK] = 1;
    rc = evtchn_init(d);
    if (rc)
        goto no_evtchn;
    rc = grant_init(d);
    if (rc)
        goto no_grants;
    frame_share(frame_of(d->shared_mfn), d, true);
    clock_publish_wallclock(d);
    return 0;

no_grants:
    evtchn_free(d);
no_evtchn:
    frame_free_hv(d->shared);
    return rc;
}

void domain_publish(struct domain *d)
{
    struct domain *o;

    spin_lock(&list_lock);
    list_for_each (o, &domains, link)
        if (o->id > d->id)
            break;
    list_add_tail(&o->link, &d->link); /* in front of o, or at the end */
    d->hash_next = buckets[d->id % BUCKETS];
    buckets[d->id % BUCKETS] = d;
    domain_set_state(d, DOM_ALIVE);
    spin_unlock(&list_lock);
}

void domain_pause(struct domain *d, bool sync)
{
    __atomic_fetch_add(&d->pause_count, 1, __ATOMIC_SEQ_CST);
    for_each_vcpu (d, v) {
        if (sync && v != arch_this_cpu()->current)
            sched_sleep_sync(v);
        else
            sched_sleep(v);
    }
}

void domain_unpause(struct domain *d)
{
    if (__atomic_fetch_sub(&d->pause_count, 1, __ATOMIC_SEQ_CST) != 1)
        return;
    for_each_vcpu (d, v)
        sched_wake(v);
}

static const char *reason_name(uint8_t reason)
{
    static const char *const names[] = {
        [SHUTDOWN_poweroff] = "powered off",
        [SHUTDOWN_reboot] = "asks for a reboot",
        [SHUTDOWN_suspend] = "suspended",
        [SHUTDOWN_crash] = "crashed",
        [SHUTDOWN_watchdog] = "let its watchdog expire",
        [SHUTDOWN_soft_reset] = "asks for a reset",
    };

    return reason < ARRAY_SIZE(names) ? names[reason] : "shut down";
}

/* Dom0 is down: so is the machine. */
static void machine_down(uint8_t reason)
{
    log_info("Domain 0 %s: %s", reason_name(reason),
             reason == SHUTDOWN_poweroff ? "switching the machine off"
             : opt_noreboot              ? "'noreboot' set - not rebooting"
                                         : "rebooting the machine");
    log_close();
    if (reason == SHUTDOWN_poweroff)
        arch_poweroff();
    if (opt_noreboot)
        arch_halt();
    arch_reboot();
}

void domain_shutdown(struct domain *d, uint8_t reason)
{
    spin_lock(&d->lock);
    if (d->state != DOM_ALIVE) {
        spin_unlock(&d->lock);
        return;
    }
    if (!d->shutdown_latched)
        d->shutdown_code = reason;
    reason = d->shutdown_code;
    d->was_shut_down = true;
    if (d != dom0) { /* both at once: who resumes it takes away a pause that is there */
        domain_set_state(d, DOM_SHUTDOWN);
        domain_pause(d, false);
    }
    spin_unlock(&d->lock);
    if (d == dom0)
        machine_down(reason);
    log_info("Domain %u %s", d->id, reason_name(reason));
    if (dom0)
        evtchn_send_global_virq(dom0, VIRQ_DOM_EXC);
}

int domain_resume(struct domain *d)
{
    bool was_down;

    spin_lock(&d->lock);
    was_down = d->state == DOM_SHUTDOWN;
    if (was_down) {
        d->was_shut_down = false;
        d->shutdown_latched = false;
        domain_set_state(d, DOM_ALIVE);
    }
    spin_unlock(&d->lock);
    if (!was_down)
        return -XEN_EINVAL;
    domain_unpause(d);
    return 0;
}

/* --- the end --- */

static void begin_dying(struct domain *d)
{
    domain_pause(d, true); /* for ever */
    spin_lock(&d->lock);
    domain_set_state(d, DOM_DYING);
    spin_unlock(&d->lock);
    spin_lock(&d->page_lock); /* who assigns pages has seen it now, or is done */
    spin_unlock(&d->page_lock);
    grant_close(d);
    frame_claim(d, 0);
    domain_stop_timers(d);
    for_each_vcpu (d, v)
        sched_remove_vcpu(v);
}

int domain_kill(struct domain *d)
{
    bool last;
    int rc;

    if (!domain_dying(d))
        begin_dying(d);
    if (d->relinquished)
        return 0;
    rc = parked_drop(d);
    if (rc == 0)
        rc = evtchn_teardown(d);
    if (rc == 0)
        rc = d->ops->relinquish(d);
    if (rc == 0)
        rc = grant_teardown(d); /* after the page tables that map what was granted */
    if (rc)
        return rc;
    domain_drop_infos(d);
    spin_lock(&d->page_lock);
    d->relinquished = true;
    last = d->tot_pages == 0;
    spin_unlock(&d->page_lock);
    if (last)
        domain_reap_later(d);
    else
        log_debug("Domain %u is destroyed; other domains still hold %llu of its pages", d->id,
                  (unsigned long long)d->tot_pages);
    if (dom0)
        evtchn_send_global_virq(dom0, VIRQ_DOM_EXC);
    return 0;
}

static struct domain *reapable; /* atomic: stack by reap_next */

void domain_reap_later(struct domain *d)
{
    struct domain *top = __atomic_load_n(&reapable, __ATOMIC_RELAXED);

    do {
        d->reap_next = top;
    } while (!__atomic_compare_exchange_n(&reapable, &top, d, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    pcpu_raise(arch_this_cpu(), WORK_REAP);
}

static void unlist(struct domain *d)
{
    struct domain **at = &buckets[d->id % BUCKETS];

    spin_lock(&list_lock);
    list_del(&d->link);
    while (*at != d)
        at = &(*at)->hash_next;
    *at = d->hash_next;
    spin_unlock(&list_lock);
}

void domain_reap(void)
{
    struct domain *d = __atomic_exchange_n(&reapable, NULL, __ATOMIC_ACQ_REL), *next;

    for (; d; d = next) {
        next = d->reap_next;
        spin_lock(&d->lock);
        domain_set_state(d, DOM_DEAD);
        spin_unlock(&d->lock);
        unlist(d);
        log_debug("Domain %u is gone", d->id);
        domain_put(d);
        if (dom0)
            evtchn_send_global_virq(dom0, VIRQ_DOM_EXC);
    }
}

void domain_latch_shutdown_code(struct domain *d, uint8_t reason)
{
    spin_lock(&d->lock);
    d->shutdown_code = reason;
    d->shutdown_latched = true;
    spin_unlock(&d->lock);
}

void domain_crash(struct domain *d, struct vcpu *v, const char *fmt, ...)
{
    char why[256];
    va_list ap;

    if (d->state != DOM_ALIVE)
        return;
    va_start(ap, fmt);
    fmt_vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    log_err("Domain %u (vcpu#%u) crashed on cpu#%u:", d->id, v ? v->id : 0, arch_this_cpu()->id);
    log_err("  %s", why);
    if (v && d->ops->dump)
        d->ops->dump(v);
    domain_shutdown(d, SHUTDOWN_crash);
}
