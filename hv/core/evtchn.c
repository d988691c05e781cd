/* SPDX-License-Identifier: MIT */
/*
 * Event channels: ports and what they are bound to; events in the 2-level form (evtchn_fifo.c has
 * the other one).
 *
 * A port's record never moves or goes while its domain lives, so raising an event reads it without
 * a lock: whoever closes the port at the same time may see one more event, which guests allow for.
 * Only sending to another domain takes the sender's lock: it keeps the peer from vanishing, since
 * the peer's teardown has to unlink our end under both locks. That is also why a link needs no
 * reference on the peer: its record goes after its teardown, which leaves no link to it.
 *
 * A dying domain is marked as closed under its lock before its ports are: from then on nobody opens
 * a port there, binds to one or, when teardown is done, raises an event.
 */
#include "core/evtchn_private.h"

#include "core/access.h"
#include "core/pcpu.h"
#include "core/shared_info.h"
#include "core/trace.h"

static void set_kind(struct evtchn *ch, uint8_t kind)
{
    __atomic_store_n(&ch->kind, kind, __ATOMIC_RELEASE);
}

static void set_vcpu(struct evtchn *ch, unsigned int vcpu)
{
    __atomic_store_n(&ch->vcpu, (uint8_t)vcpu, __ATOMIC_RELAXED);
}

struct evtchn *evtchn_next(const struct domain *d, evtchn_port *port)
{
    while (*port < d->evtchn->limit) {
        struct evtchn *ch = port_of(d, *port);

        if (ch)
            return ch;
        *port = ALIGN_DOWN(*port, PORTS_PER_CHUNK) + PORTS_PER_CHUNK;
    }
    return NULL;
}

uint32_t evtchn_ports(const struct domain *d)
{
    return evtchn_is_fifo(d) ? d->evtchn->limit : MIN(d->evtchn->limit, shared_ports(d));
}

int evtchn_init(struct domain *d)
{
    struct evtchn_state *s = frame_alloc_hv();

    _Static_assert(sizeof(struct evtchn_state) <= PAGE_SIZE, "one page");
    if (!s)
        return -XEN_ENOMEM;
    spin_init(&s->lock, RANK_EVTCHN);
    s->chunks = s->few;
    s->limit = FEW_CHUNKS * PORTS_PER_CHUNK;
    bitmap_fill(s->avail, CHUNKS);
    d->evtchn = s;
    return 0;
}

int evtchn_set_limit(struct domain *d, uint32_t max_port)
{
    struct evtchn_state *s = d->evtchn;
    uint32_t limit = MIN(max_port, EVTCHN_FIFO_NR_CHANNELS - 1) + 1;

    _Static_assert(CHUNKS * sizeof(s->chunks[0]) == PAGE_SIZE, "one page");
    if (limit > FEW_CHUNKS * PORTS_PER_CHUNK && s->chunks == s->few) {
        struct evtchn **chunks = frame_alloc_hv();

        if (!chunks)
            return -XEN_ENOMEM;
        s->chunks = chunks;
    }
    s->limit = limit;
    return 0;
}

void evtchn_free(struct domain *d)
{
    struct evtchn_state *s = d->evtchn;

    if (!s)
        return;
    for (evtchn_port port = 0; evtchn_next(d, &port); port += PORTS_PER_CHUNK)
        frame_free_hv(s->chunks[port / PORTS_PER_CHUNK]);
    if (s->chunks != s->few)
        frame_free_hv(s->chunks);
    frame_free_hv(s);
    d->evtchn = NULL;
}

/* --- raising events --- */

void evtchn_wake_pollers(struct domain *d, evtchn_port port)
{
    for_each_vcpu (d, v) {
        int32_t polled = __atomic_load_n(&v->poll_port, __ATOMIC_RELAXED);

        if (polled == (int32_t)port || polled == POLL_SEVERAL)
            vcpu_end_poll(v);
    }
}

static inline void set_selector(struct vcpu *v, evtchn_port port)
{
    if (shared_select(v, port))
        vcpu_mark_events_pending(v);
}

/* An event on d's port, whose record is ch. */
static void set_pending(struct domain *d, struct evtchn *ch, evtchn_port port)
{
    struct vcpu *v;

    if (__builtin_expect(is_hv(ch), 0)) {
        v = vcpu_of(d, ch);
        if (v)
            vcpu_notify(v);
        return;
    }
    if (evtchn_is_fifo(d)) {
        evtchn_fifo_raise(d, ch, port);
        return;
    }
    if (port >= shared_ports(d) || bit_test_and_set(d->shared->evtchn_pending, port))
        return;
    v = vcpu_of(d, ch);
    if (!bit_test(shared_mask(d), port) && v)
        set_selector(v, port);
    if (__builtin_expect(__atomic_load_n(&d->pollers, __ATOMIC_RELAXED) != 0, 0))
        evtchn_wake_pollers(d, port);
}

/* The bit of a port in one of the two bitmaps, or in its word. */
static bool port_bit(struct domain *d, evtchn_port port, const unsigned long *map, unsigned int bit)
{
    const struct evtchn *ch = port_of(d, port);

    if (evtchn_is_fifo(d))
        return ch && evtchn_fifo_test(d, ch, port, bit);
    return port < shared_ports(d) && bit_test(map, port);
}

bool evtchn_is_pending(struct domain *d, evtchn_port port)
{
    return port_bit(d, port, d->shared->evtchn_pending, EVTCHN_FIFO_PENDING);
}

bool evtchn_is_masked(struct domain *d, evtchn_port port)
{
    return port_bit(d, port, shared_mask(d), EVTCHN_FIFO_MASKED);
}

/* v sends an event to d's port, whose record is ch. */
static inline void trace_event(const struct vcpu *v, const struct domain *d,
                               const struct evtchn *ch, evtchn_port port)
{
    TRACE(TRC_ORLOP_EVENT, trace_vcpu(v), (uint32_t)d->id << 16 | (ch->vcpu & ~PORT_HV), port);
}

int evtchn_send(struct vcpu *v, evtchn_port port)
{
    struct domain *d = v->domain;
    struct evtchn *ch = port_of(d, port);
    int rc = 0;

    if (!ch)
        return -XEN_EINVAL;
    COUNT(v->cpu, EVENTS);
    if (kind_of(ch) == EVTCHNSTAT_ipi) {
        trace_event(v, d, ch, port);
        set_pending(d, ch, port);
        return 0;
    }
    spin_lock(&d->evtchn->lock);
    if (ch->kind == EVTCHNSTAT_interdomain) {
        struct evtchn *to = port_of(ch->remote, ch->num);

        trace_event(v, ch->remote, to, ch->num);
        set_pending(ch->remote, to, ch->num);
    } else if (ch->kind == EVTCHNSTAT_ipi) {
        set_pending(d, ch, port);
    } else if (ch->kind != EVTCHNSTAT_unbound) { /* an unbound port has nobody to tell yet */
        rc = -XEN_EINVAL;
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

bool virq_is_global(unsigned int virq)
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

/* The VIRQ's event on the port that v has for it, if any. */
static void send_virq(struct vcpu *v, unsigned int virq)
{
    evtchn_port port = __atomic_load_n(&v->virq_port[virq], __ATOMIC_ACQUIRE);

    if (port)
        set_pending(v->domain, port_of(v->domain, port), port);
}

void evtchn_send_virq(struct vcpu *v, unsigned int virq)
{
    send_virq(v, virq);
}

void evtchn_send_global_virq(struct domain *d, unsigned int virq)
{
    if (d->vcpu[0]) /* the port knows the vCPU that is told */
        send_virq(d->vcpu[0], virq);
}

bool evtchn_virq_bound(const struct domain *d, unsigned int virq)
{
    return d->vcpu[0] && __atomic_load_n(&d->vcpu[0]->virq_port[virq], __ATOMIC_RELAXED) != 0;
}

void evtchn_send_pirq(struct domain *d, evtchn_port port)
{
    struct evtchn *ch = port_of(d, port);

    if (ch)
        set_pending(d, ch, port);
}

/* --- opening and closing --- */

/* The record's memory of port; false when there is none left. Lock held. */
static bool add_chunk(struct evtchn **chunk)
{
    struct evtchn *page = *chunk ? *chunk : frame_alloc_hv();

    if (page)
        __atomic_store_n(chunk, page, __ATOMIC_RELEASE);
    return page != NULL;
}

/* The lowest closed port, its record's memory present: its number or -errno. Lock held. */
static int find_port(struct domain *d)
{
    struct evtchn_state *s = d->evtchn;
    uint32_t nr = evtchn_ports(d), port;
    size_t c;

    if (s->closed)
        return -XEN_EINVAL;
    while ((c = bitmap_first(s->avail, CHUNKS)) * PORTS_PER_CHUNK < nr) {
        if (!add_chunk(&s->chunks[c]))
            return -XEN_ENOMEM;
        port = (uint32_t)c * PORTS_PER_CHUNK;
        uint32_t i = port == 0; /* 0 is none */
        while (i < PORTS_PER_CHUNK && port + i < nr && s->chunks[c][i].kind != EVTCHNSTAT_closed)
            i++;
        hc_charge((int32_t)(i / RECORDS_PER_UNIT));
        if (i < PORTS_PER_CHUNK && port + i < nr)
            return (int)(port + i);
        bitmap_clear(s->avail, c);
    }
    return -XEN_ENOSPC;
}

/* Opens the port that find_port() found. Lock held. */
static struct evtchn *open_port(struct domain *d, evtchn_port port, uint8_t kind, uint32_t num,
                                unsigned int vcpu)
{
    struct evtchn *ch = port_of(d, port);

    ch->num = num;
    set_vcpu(ch, vcpu);
    ch->remote = NULL;
    set_kind(ch, kind);
    __atomic_store_n(&d->evtchn->used, d->evtchn->used + 1, __ATOMIC_RELAXED);
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

int evtchn_alloc_hv(struct domain *d, domid_t remote, unsigned int vcpu, evtchn_port *port)
{
    return open_new(d, EVTCHNSTAT_unbound, remote, vcpu | PORT_HV, port);
}

bool evtchn_is_hv(const struct domain *d, evtchn_port port)
{
    const struct evtchn *ch = port_of(d, port);

    return ch && is_hv(ch);
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
    if (remote->evtchn->closed || peer->kind != EVTCHNSTAT_unbound || peer->num != d->id) {
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
    set_pending(d, ch, *port);
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
    if (virq_is_global(virq) && virq != VIRQ_ARGO && !access_host(d))
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

    spin_lock(&d->evtchn->lock);
    rc = find_port(d);
    if (rc > 0) {
        *port = (evtchn_port)rc;
        open_port(d, *port, EVTCHNSTAT_pirq, pirq, 0);
        rc = arch_pirq_bind(d, pirq, *port, share);
        if (rc) {
            set_kind(port_of(d, *port), EVTCHNSTAT_closed);
            __atomic_store_n(&d->evtchn->used, d->evtchn->used - 1, __ATOMIC_RELAXED);
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
        arch_pirq_unbind(d, ch->num);
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
    set_vcpu(ch, 0);
    if (d->evtchn->fifo)
        evtchn_fifo_close(d, ch, port);
    else if (port < shared_ports(d))
        bit_clear(d->shared->evtchn_pending, port);
    __atomic_store_n(&d->evtchn->used, d->evtchn->used - 1, __ATOMIC_RELAXED);
    bitmap_set(d->evtchn->avail, port / PORTS_PER_CHUNK);
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

/* Of work between two looks: a record looked at is one, one that is closed is a quarter of all. */
#define CLOSE_STEP RECORDS_PER_UNIT

/* -EAGAIN: gave way. Two that do it at once, or what is opened meanwhile, make it longer only. */
static int close_all(struct domain *d)
{
    struct evtchn_state *s = d->evtchn;
    evtchn_port port = __atomic_load_n(&s->close_next, __ATOMIC_RELAXED);
    unsigned int work = 0;
    struct evtchn *ch;

    for (; __atomic_load_n(&s->used, __ATOMIC_RELAXED) && (ch = evtchn_next(d, &port)); port++) {
        if (work >= CLOSE_STEP) {
            work = 0;
            if (hc_preempt(1)) {
                __atomic_store_n(&s->close_next, port, __ATOMIC_RELAXED);
                return -XEN_EAGAIN;
            }
        }
        work++;
        /* What is the hypervisor's goes with the domain. */
        if (kind_of(ch) != EVTCHNSTAT_closed && (!is_hv(ch) || s->closed)) {
            evtchn_close(d, port);
            work += CLOSE_STEP / 4;
        }
    }
    hc_charge(1);
    __atomic_store_n(&s->close_next, 0, __ATOMIC_RELAXED);
    return 0;
}

int evtchn_reset(struct domain *d, bool two_level)
{
    int rc = close_all(d);

    if (rc || !two_level)
        return rc;
    spin_lock(&d->evtchn->lock);
    if (d->evtchn->fifo)
        evtchn_fifo_end(d);
    spin_unlock(&d->evtchn->lock);
    return 0;
}

int evtchn_teardown(struct domain *d)
{
    spin_lock(&d->evtchn->lock);
    d->evtchn->closed = true;
    spin_unlock(&d->evtchn->lock);
    return evtchn_reset(d, true);
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
    switch (is_hv(ch) ? EVTCHNSTAT_closed : ch->kind) {
    case EVTCHNSTAT_virq:
        if (!virq_is_global(ch->num)) {
            rc = -XEN_EINVAL;
            break;
        }
        /* fallthrough */
    case EVTCHNSTAT_unbound:
    case EVTCHNSTAT_interdomain:
        set_vcpu(ch, vcpu);
        break;
    case EVTCHNSTAT_pirq:
        set_vcpu(ch, vcpu);
        arch_pirq_set_affinity(d, ch->num, d->vcpu[vcpu]);
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

    if (!ch || is_hv(ch))
        return -XEN_EINVAL;
    if (evtchn_is_fifo(d)) {
        evtchn_fifo_unmask(d, ch, port);
        return 0;
    }
    if (port >= shared_ports(d))
        return -XEN_EINVAL;
    /* The clearing is a full barrier: an event either sees the mask off or is seen here. */
    if (bit_test_and_clear(shared_mask(d), port) && bit_test(d->shared->evtchn_pending, port) &&
        vcpu_of(d, ch))
        set_selector(vcpu_of(d, ch), port);
    return 0;
}

int evtchn_status(struct domain *d, struct evtchn_status *st)
{
    const struct evtchn *ch = port_of(d, st->port);

    if (st->port >= evtchn_ports(d))
        return -XEN_EINVAL;
    *st = (struct evtchn_status){ .dom = st->dom, .port = st->port };
    if (!ch)
        return 0; /* closed */
    spin_lock(&d->evtchn->lock);
    st->status = ch->kind;
    st->vcpu = ch->vcpu & ~PORT_HV;
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
