/* SPDX-License-Identifier: MIT */
/*
 * Event channels with the 2-level ABI.
 *
 * A port's record never moves or goes while its domain lives, so raising an event reads it without
 * a lock: whoever closes the port at the same time may see one more event, which guests allow for.
 * Only sending to another domain takes the sender's lock: it keeps the peer from vanishing, since
 * the peer's teardown has to unlink our end under both locks.
 */
#include "core/evtchn.h"

#include <xen/errno.h>

#include "core/domain.h"
#include "core/hypercall.h"
#include "core/keys.h"
#include "core/log.h"
#include "core/pcpu.h"

struct evtchn {
    uint8_t kind;          /* [evtchn lock; read without it] EVTCHNSTAT_* */
    uint16_t vcpu;         /* [evtchn lock; read without it] vCPU that is told */
    uint32_t num;          /* [evtchn lock] peer's port, PIRQ, VIRQ, or domain id allowed to bind */
    struct domain *remote; /* [both evtchn locks] the peer's domain while interdomain */
};
_Static_assert(sizeof(struct evtchn) == 16, "256 ports a page");

#define PORTS_PER_CHUNK (PAGE_SIZE / sizeof(struct evtchn))
#define CHUNKS (MAX_EVTCHNS_2L / PORTS_PER_CHUNK)

struct evtchn_state {
    spinlock_t lock;               /* RANK_EVTCHN */
    struct evtchn *chunks[CHUNKS]; /* set under the lock, then constant */
    uint32_t used;                 /* [lock] ports that are not closed */
    uint32_t hint;                 /* [lock] no free port below */
    uint32_t close_next;           /* [lock] teardown's progress */
};

const struct pirq_hooks *pirq_hooks;

static struct evtchn *port_of(const struct domain *d, evtchn_port port)
{
    struct evtchn *chunk;

    if (port >= MAX_EVTCHNS_2L)
        return NULL;
    port = (evtchn_port)index_nospec(port, MAX_EVTCHNS_2L);
    chunk = __atomic_load_n(&d->evtchn->chunks[port / PORTS_PER_CHUNK], __ATOMIC_ACQUIRE);
    return chunk ? &chunk[port % PORTS_PER_CHUNK] : NULL;
}

static uint8_t kind_of(const struct evtchn *ch)
{
    return __atomic_load_n(&ch->kind, __ATOMIC_ACQUIRE);
}

static void set_kind(struct evtchn *ch, uint8_t kind)
{
    __atomic_store_n(&ch->kind, kind, __ATOMIC_RELEASE);
}

static struct vcpu *vcpu_of(const struct domain *d, const struct evtchn *ch)
{
    return d->vcpu[__atomic_load_n(&ch->vcpu, __ATOMIC_RELAXED)];
}

int evtchn_init(struct domain *d)
{
    struct evtchn_state *s = frame_alloc_hv();

    _Static_assert(sizeof(struct evtchn_state) <= PAGE_SIZE, "one page");
    if (!s)
        return -XEN_ENOMEM;
    spin_init(&s->lock, RANK_EVTCHN);
    s->hint = 1; /* port 0 is never valid */
    d->evtchn = s;
    return 0;
}

void evtchn_free(struct domain *d)
{
    struct evtchn_state *s = d->evtchn;

    if (!s)
        return;
    for (unsigned int i = 0; i < CHUNKS; i++)
        if (s->chunks[i])
            frame_free_hv(s->chunks[i]);
    frame_free_hv(s);
    d->evtchn = NULL;
}

/* --- raising events --- */

static void wake_pollers(struct domain *d, evtchn_port port)
{
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpu[i];
        int32_t polled = v ? __atomic_load_n(&v->poll_port, __ATOMIC_RELAXED) : POLL_OFF;

        if (polled == (int32_t)port || polled == POLL_SEVERAL)
            vcpu_end_poll(v);
    }
}

static inline void set_selector(struct vcpu *v, evtchn_port port)
{
    if (!bit_test_and_set(&v->info->evtchn_pending_sel, port / BITS_PER_LONG))
        vcpu_mark_events_pending(v);
}

/* An event on d's port, whose vCPU is v. */
static void set_pending(struct domain *d, struct vcpu *v, evtchn_port port)
{
    struct shared_info *s = d->shared;

    if (bit_test_and_set(s->evtchn_pending, port))
        return;
    if (!bit_test(s->evtchn_mask, port) && v)
        set_selector(v, port);
    if (__builtin_expect(__atomic_load_n(&d->pollers, __ATOMIC_RELAXED) != 0, 0))
        wake_pollers(d, port);
}

bool evtchn_is_pending(const struct domain *d, evtchn_port port)
{
    return port < MAX_EVTCHNS_2L && bit_test(d->shared->evtchn_pending, port);
}

int evtchn_send(struct vcpu *v, evtchn_port port)
{
    struct domain *d = v->domain;
    struct evtchn *ch = port_of(d, port);
    int rc = 0;

    if (!ch)
        return -XEN_EINVAL;
    if (kind_of(ch) == EVTCHNSTAT_ipi) {
        set_pending(d, vcpu_of(d, ch), port);
        return 0;
    }
    spin_lock(&d->evtchn->lock);
    if (ch->kind == EVTCHNSTAT_interdomain) {
        const struct evtchn *peer = port_of(ch->remote, ch->num);

        set_pending(ch->remote, vcpu_of(ch->remote, peer), ch->num);
    } else if (ch->kind == EVTCHNSTAT_ipi) {
        set_pending(d, vcpu_of(d, ch), port);
    } else if (ch->kind != EVTCHNSTAT_unbound) { /* an unbound port has nobody to tell yet */
        rc = -XEN_EINVAL;
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

static bool virq_is_global(unsigned int virq)
{
    switch (virq) {
    case VIRQ_TIMER:
    case VIRQ_DEBUG:
    case VIRQ_XENOPROF:
    case VIRQ_XENPMU:
        return false;
    default:
        return true;
    }
}

void evtchn_send_virq(struct vcpu *v, unsigned int virq)
{
    evtchn_port port = __atomic_load_n(&v->virq_port[virq], __ATOMIC_ACQUIRE);

    if (port)
        set_pending(v->domain, v, port);
}

void evtchn_send_global_virq(struct domain *d, unsigned int virq)
{
    evtchn_port port;

    if (!d->vcpu[0])
        return;
    port = __atomic_load_n(&d->vcpu[0]->virq_port[virq], __ATOMIC_ACQUIRE);
    if (port)
        set_pending(d, vcpu_of(d, port_of(d, port)), port);
}

bool evtchn_virq_bound(const struct domain *d, unsigned int virq)
{
    return d->vcpu[0] && __atomic_load_n(&d->vcpu[0]->virq_port[virq], __ATOMIC_RELAXED) != 0;
}

void evtchn_send_pirq(struct domain *d, evtchn_port port)
{
    const struct evtchn *ch = port_of(d, port);

    if (ch)
        set_pending(d, vcpu_of(d, ch), port);
}

/* --- opening and closing --- */

/* A closed port, its record's memory present: its number or -errno. Lock held. */
static int find_port(struct domain *d)
{
    struct evtchn_state *s = d->evtchn;

    for (uint32_t port = s->hint; port < MAX_EVTCHNS_2L; port++) {
        struct evtchn **chunk = &s->chunks[port / PORTS_PER_CHUNK];

        if (!*chunk) {
            struct evtchn *page = frame_alloc_hv();

            if (!page)
                return -XEN_ENOMEM;
            __atomic_store_n(chunk, page, __ATOMIC_RELEASE);
        }
        if ((*chunk)[port % PORTS_PER_CHUNK].kind == EVTCHNSTAT_closed) {
            s->hint = port;
            return (int)port;
        }
    }
    return -XEN_ENOSPC;
}

/* Opens the port that find_port() found. Lock held. */
static struct evtchn *open_port(struct domain *d, evtchn_port port, uint8_t kind, uint32_t num,
                                unsigned int vcpu)
{
    struct evtchn *ch = port_of(d, port);

    ch->num = num;
    ch->vcpu = (uint16_t)vcpu;
    ch->remote = NULL;
    set_kind(ch, kind);
    __atomic_store_n(&d->evtchn->used, d->evtchn->used + 1, __ATOMIC_RELAXED);
    d->evtchn->hint = port + 1;
    return ch;
}

static int open_new(struct domain *d, uint8_t kind, uint32_t num, unsigned int vcpu,
                    evtchn_port *port)
{
    int found;

    spin_lock(&d->evtchn->lock);
    found = find_port(d);
    if (found > 0) {
        open_port(d, (evtchn_port)found, kind, num, vcpu);
        *port = (evtchn_port)found;
    }
    spin_unlock(&d->evtchn->lock);
    return found > 0 ? 0 : found;
}

int evtchn_alloc_unbound(struct domain *d, domid_t remote, evtchn_port *port)
{
    return open_new(d, EVTCHNSTAT_unbound, remote, 0, port);
}

int evtchn_bind_ipi(struct domain *d, unsigned int vcpu, evtchn_port *port)
{
    if (vcpu >= d->max_vcpus || !d->vcpu[index_nospec(vcpu, MAX_VCPUS)])
        return -XEN_ENOENT;
    return open_new(d, EVTCHNSTAT_ipi, 0, vcpu, port);
}

int evtchn_bind_interdomain(struct domain *d, struct domain *remote, evtchn_port remote_port,
                            evtchn_port *port)
{
    struct evtchn *peer = port_of(remote, remote_port), *ch;
    int rc;

    if (!peer)
        return -XEN_EINVAL;
    spin_lock_pair(&d->evtchn->lock, &remote->evtchn->lock);
    if (peer->kind != EVTCHNSTAT_unbound || peer->num != d->id) {
        rc = -XEN_EINVAL;
        goto out;
    }
    rc = find_port(d);
    if (rc < 0)
        goto out;
    *port = (evtchn_port)rc;
    ch = open_port(d, *port, EVTCHNSTAT_interdomain, remote_port, 0);
    ch->remote = remote;
    peer->num = *port;
    peer->remote = d;
    set_kind(peer, EVTCHNSTAT_interdomain);
    rc = 0;
    /* The peer may have sent while nobody was there to hear it. */
    set_pending(d, vcpu_of(d, ch), *port);
out:
    spin_unlock_pair(&d->evtchn->lock, &remote->evtchn->lock);
    return rc;
}

int evtchn_bind_virq(struct domain *d, unsigned int virq, unsigned int vcpu, evtchn_port *port)
{
    struct vcpu *v;
    int rc;

    if (virq >= NR_VIRQS || (virq_is_global(virq) && vcpu != 0))
        return -XEN_EINVAL;
    if (virq_is_global(virq) && virq != VIRQ_ARGO && !d->privileged)
        return -XEN_EPERM;
    if (vcpu >= d->max_vcpus || !(v = d->vcpu[index_nospec(vcpu, MAX_VCPUS)]))
        return -XEN_ENOENT;
    virq = (unsigned int)index_nospec(virq, NR_VIRQS);
    spin_lock(&d->evtchn->lock);
    rc = v->virq_port[virq] ? -XEN_EEXIST : find_port(d);
    if (rc > 0) {
        *port = (evtchn_port)rc;
        open_port(d, *port, EVTCHNSTAT_virq, virq, vcpu);
        __atomic_store_n(&v->virq_port[virq], *port, __ATOMIC_RELEASE);
        rc = 0;
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

int evtchn_bind_pirq(struct domain *d, unsigned int pirq, bool share, evtchn_port *port)
{
    int rc;

    if (!d->privileged)
        return -XEN_EPERM;
    if (!pirq_hooks)
        return -XEN_EINVAL;
    spin_lock(&d->evtchn->lock);
    rc = find_port(d);
    if (rc > 0) {
        *port = (evtchn_port)rc;
        open_port(d, *port, EVTCHNSTAT_pirq, pirq, 0);
        rc = pirq_hooks->bind(d, pirq, *port, share);
        if (rc) {
            set_kind(port_of(d, *port), EVTCHNSTAT_closed);
            d->evtchn->used--;
            d->evtchn->hint = *port;
        }
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

/* Unlinks what port is tied to and closes it. The lock is held, the peer's too. */
static void close_locked(struct domain *d, evtchn_port port, struct evtchn *ch)
{
    struct vcpu *v = vcpu_of(d, ch);

    switch (ch->kind) {
    case EVTCHNSTAT_interdomain: {
        struct evtchn *peer = port_of(ch->remote, ch->num);

        set_kind(peer, EVTCHNSTAT_unbound);
        peer->num = d->id;
        peer->remote = NULL;
        break;
    }
    case EVTCHNSTAT_pirq:
        pirq_hooks->unbind(d, ch->num);
        break;
    case EVTCHNSTAT_virq:
        if (virq_is_global(ch->num))
            v = d->vcpu[0];
        __atomic_store_n(&v->virq_port[ch->num], 0, __ATOMIC_RELEASE);
        break;
    default:
        break;
    }
    set_kind(ch, EVTCHNSTAT_closed);
    ch->remote = NULL;
    ch->vcpu = 0;
    bit_clear(d->shared->evtchn_pending, port);
    __atomic_store_n(&d->evtchn->used, d->evtchn->used - 1, __ATOMIC_RELAXED);
    if (port < d->evtchn->hint)
        d->evtchn->hint = port;
}

int evtchn_close(struct domain *d, evtchn_port port)
{
    struct evtchn *ch = port_of(d, port);

    if (!ch)
        return -XEN_EINVAL;
    for (;;) {
        struct domain *peer = d;

        spin_lock(&d->evtchn->lock);
        if (ch->kind == EVTCHNSTAT_closed) {
            spin_unlock(&d->evtchn->lock);
            return -XEN_EINVAL;
        }
        if (ch->kind != EVTCHNSTAT_interdomain || ch->remote == d) {
            close_locked(d, port, ch);
            spin_unlock(&d->evtchn->lock);
            return 0;
        }
        peer = ch->remote; /* linked to us, so alive: a reference holds it while we let go */
        __atomic_fetch_add(&peer->refs, 1, __ATOMIC_RELAXED);
        spin_unlock(&d->evtchn->lock);
        spin_lock_pair(&d->evtchn->lock, &peer->evtchn->lock);
        if (ch->kind == EVTCHNSTAT_interdomain && ch->remote == peer) {
            close_locked(d, port, ch);
            spin_unlock_pair(&d->evtchn->lock, &peer->evtchn->lock);
            domain_put(peer);
            return 0;
        }
        spin_unlock_pair(&d->evtchn->lock, &peer->evtchn->lock);
        domain_put(peer);
    }
}

#define TEARDOWN_STEP 64

int evtchn_teardown(struct domain *d)
{
    struct evtchn_state *s = d->evtchn;
    uint32_t port = __atomic_load_n(&s->close_next, __ATOMIC_RELAXED);
    unsigned int work = 0;

    /* Two that do it at the same time, or what is opened meanwhile, only makes it longer. */
    for (; __atomic_load_n(&s->used, __ATOMIC_RELAXED) != 0 && port < MAX_EVTCHNS_2L; port++) {
        const struct evtchn *ch = port_of(d, port);

        if (++work > 16 * TEARDOWN_STEP) {
            __atomic_store_n(&s->close_next, port, __ATOMIC_RELAXED);
            return -XEN_EAGAIN;
        }
        if (ch && kind_of(ch) != EVTCHNSTAT_closed) {
            evtchn_close(d, port);
            work += 16;
        }
    }
    __atomic_store_n(&s->close_next, 0, __ATOMIC_RELAXED);
    return 0;
}

/* --- the rest --- */

int evtchn_bind_vcpu(struct domain *d, evtchn_port port, unsigned int vcpu)
{
    struct evtchn *ch = port_of(d, port);
    int rc = 0;

    if (vcpu >= d->max_vcpus || !d->vcpu[index_nospec(vcpu, MAX_VCPUS)])
        return -XEN_ENOENT;
    if (!ch)
        return -XEN_EINVAL;
    spin_lock(&d->evtchn->lock);
    switch (ch->kind) {
    case EVTCHNSTAT_virq:
        if (!virq_is_global(ch->num)) {
            rc = -XEN_EINVAL;
            break;
        }
        /* fallthrough */
    case EVTCHNSTAT_unbound:
    case EVTCHNSTAT_interdomain:
        __atomic_store_n(&ch->vcpu, (uint16_t)vcpu, __ATOMIC_RELAXED);
        break;
    case EVTCHNSTAT_pirq:
        __atomic_store_n(&ch->vcpu, (uint16_t)vcpu, __ATOMIC_RELAXED);
        pirq_hooks->set_affinity(d, ch->num, d->vcpu[vcpu]);
        break;
    default:
        rc = -XEN_EINVAL;
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

int evtchn_unmask(struct domain *d, evtchn_port port)
{
    struct evtchn *ch = port_of(d, port);

    if (!ch)
        return -XEN_EINVAL;
    /* The clearing is a full barrier: an event either sees the mask off or is seen here. */
    if (bit_test_and_clear(d->shared->evtchn_mask, port) &&
        bit_test(d->shared->evtchn_pending, port) && vcpu_of(d, ch))
        set_selector(vcpu_of(d, ch), port);
    return 0;
}

int evtchn_status(struct domain *d, struct evtchn_status *st)
{
    const struct evtchn *ch = port_of(d, st->port);

    if (st->port >= MAX_EVTCHNS_2L)
        return -XEN_EINVAL;
    *st = (struct evtchn_status){ .dom = st->dom, .port = st->port };
    if (!ch)
        return 0; /* closed */
    spin_lock(&d->evtchn->lock);
    st->status = ch->kind;
    st->vcpu = ch->vcpu;
    switch (ch->kind) {
    case EVTCHNSTAT_unbound:
        st->u.unbound.dom = (domid_t)ch->num;
        break;
    case EVTCHNSTAT_interdomain:
        st->u.interdomain.dom = ch->remote->id;
        st->u.interdomain.port = ch->num;
        break;
    case EVTCHNSTAT_pirq:
        st->u.pirq = ch->num;
        break;
    case EVTCHNSTAT_virq:
        st->u.virq = ch->num;
        break;
    default:
        break;
    }
    spin_unlock(&d->evtchn->lock);
    return 0;
}

static const char *const kind_names[] = {
    "closed", "unbound", "interdomain", "pirq", "virq", "ipi"
};

static void dump_domain(struct domain *d)
{
    log_info("Event channels of domain %u: %u used; port: pending/masked kind number vcpu", d->id,
             d->evtchn->used);
    for (evtchn_port port = 1; port < MAX_EVTCHNS_2L; port++) {
        const struct evtchn *ch = port_of(d, port);

        if (!ch || ch->kind == EVTCHNSTAT_closed)
            continue;
        keys_alive();
        log_info("  %4u: [%d/%d] %-11s n=%u d=%d v=%u", port,
                 (int)bit_test(d->shared->evtchn_pending, port),
                 (int)bit_test(d->shared->evtchn_mask, port), kind_names[ch->kind], ch->num,
                 ch->kind == EVTCHNSTAT_interdomain ? ch->remote->id : -1, ch->vcpu);
    }
}

void evtchn_dump(void)
{
    struct domain *d;

    for (domid_t id = 0; (d = domain_next(id)) != NULL; id = (domid_t)(d->id + 1), domain_put(d))
        dump_domain(d);
}

/* Contradictions of one open port. */
static unsigned int audit_port(struct domain *d, evtchn_port port, const struct evtchn *ch)
{
    const struct evtchn *peer;
    const struct vcpu *v;
    bool bad = false;

    if (ch->vcpu >= d->max_vcpus)
        bad = true;
    if (ch->kind == EVTCHNSTAT_interdomain) {
        peer = ch->remote ? port_of(ch->remote, ch->num) : NULL;
        bad |= !peer || peer->kind != EVTCHNSTAT_interdomain || peer->remote != d ||
               peer->num != port;
    } else if (ch->kind == EVTCHNSTAT_virq) {
        v = d->vcpu[virq_is_global(ch->num) ? 0 : ch->vcpu];
        bad |= ch->num >= NR_VIRQS || !v || v->virq_port[ch->num] != port;
    }
    if (bad)
        log_err("audit: d%u port %u (%s) contradicts its other end", d->id, port,
                kind_names[ch->kind]);
    return bad;
}

unsigned int evtchn_audit(struct domain *d)
{
    unsigned int bad = 0, open = 0;

    for (evtchn_port port = 0; port < MAX_EVTCHNS_2L; port++) {
        const struct evtchn *ch = port_of(d, port);

        if (!ch || ch->kind == EVTCHNSTAT_closed) {
            bad += ch && port != 0 && port < d->evtchn->hint;
            continue;
        }
        open++;
        bad += audit_port(d, port, ch);
    }
    for (unsigned int i = 0; i < d->max_vcpus; i++) {
        for (unsigned int virq = 0; d->vcpu[i] && virq < NR_VIRQS; virq++) {
            evtchn_port port = d->vcpu[i]->virq_port[virq];
            const struct evtchn *ch = port ? port_of(d, port) : NULL;

            bad += port && (!ch || ch->kind != EVTCHNSTAT_virq || ch->num != virq);
        }
    }
    if (open != d->evtchn->used) {
        log_err("audit: d%u has %u open ports, %u counted", d->id, open, d->evtchn->used);
        bad++;
    }
    return bad;
}
