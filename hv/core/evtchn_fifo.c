/* SPDX-License-Identifier: MIT */
/*
 * Event channels with the FIFO ABI.
 *
 * The guest gives pages of words, one for each port, and a control block for each vCPU. A port that
 * is pending and not masked is LINKED: it hangs in one of the 16 queues of a vCPU. The guest takes
 * events off a queue at its head, clearing LINKED and the link together; we append at the tail.
 *
 * All this is the guest's memory, so nothing that we rely on is read from it:
 *
 *   - The tail of each queue is ours. A port becomes LINKED only under the lock of the queue it was
 *     in last, so a tail that is LINKED is in that queue and no other.
 *   - A link is written by one atomic addition to the tail's word, whose link is 0. The word as it
 *     was says whether the guest had taken it off before; then the queue was empty, the new port is
 *     its head, and the addition is undone, which nobody sees, as a link means something only while
 *     LINKED. No step is ever repeated because the guest changed a word (and BUSY is not needed).
 *   - Links are never followed. Words full of rubbish make a guest lose or repeat events.
 *
 * Words and control blocks are touched under the lock of some vCPU's queues only: who takes away a
 * page passes through all these locks before it lets go of it.
 */
#include "core/evtchn_private.h"

#include "core/gfn.h"
#include "core/hypercall.h"
#include "core/shared_info.h"

#define PENDING (1u << EVTCHN_FIFO_PENDING)
#define MASKED (1u << EVTCHN_FIFO_MASKED)
#define LINKED (1u << EVTCHN_FIFO_LINKED)
#define LINK ((uint32_t)EVTCHN_FIFO_LINK_MASK)
#define PRIORITIES EVTCHN_FIFO_MAX_QUEUES

/*
 * evtchn.fifo: the queue it was in last (vCPU * PRIORITIES + priority), the priority it is to have
 * (0 stands for the usual one), and whether an event came before its word was there.
 */
#define FIFO_QUEUE 0x07ffu
#define FIFO_PRIORITY_SHIFT 11
#define FIFO_PRIORITY (0xfu << FIFO_PRIORITY_SHIFT)
#define FIFO_EARLY 0x8000u
_Static_assert(MAX_VCPUS *PRIORITIES <= FIFO_QUEUE + 1, "a queue's number fits");

/* An event on its way: its state, the vCPU it was queued for last and the one it is for now. */
struct event {
    uint32_t fifo;
    struct vcpu *was, *now;
};

static event_word_t *word_of(const struct domain *d, evtchn_port port)
{
    const struct evtchn_state *s = d->evtchn;

    if (port / WORDS_PER_PAGE >= __atomic_load_n(&s->nr_pages, __ATOMIC_ACQUIRE))
        return NULL;
    return &s->words[port / WORDS_PER_PAGE % MAX_WORD_PAGES][port % WORDS_PER_PAGE];
}

static uint32_t fifo_of(const struct evtchn *ch)
{
    return __atomic_load_n(&ch->fifo, __ATOMIC_RELAXED);
}

static void set_fifo(struct evtchn *ch, uint32_t fifo)
{
    __atomic_store_n(&ch->fifo, (uint16_t)fifo, __ATOMIC_RELAXED);
}

static unsigned int priority_of(uint32_t fifo)
{
    return (fifo & FIFO_PRIORITY) >> FIFO_PRIORITY_SHIFT ^ EVTCHN_FIFO_PRIORITY_DEFAULT;
}

/* Locks the queues that ch was in last and is for now. False: d has no such vCPU. */
static bool lock_event(const struct domain *d, const struct evtchn *ch, struct event *e)
{
    for (;;) {
        e->fifo = fifo_of(ch);
        e->was = d->vcpu[(e->fifo & FIFO_QUEUE) / PRIORITIES];
        e->now = vcpu_of(d, ch);
        if (!e->was || !e->now)
            return false;
        spin_lock_pair(&e->was->queues.lock, &e->now->queues.lock);
        if (e->fifo == fifo_of(ch))
            return true;
        spin_unlock_pair(&e->was->queues.lock, &e->now->queues.lock); /* it moved meanwhile */
    }
}

static void unlock_event(const struct event *e)
{
    spin_unlock_pair(&e->was->queues.lock, &e->now->queues.lock);
}

/* Puts a port that became LINKED at the queue's end. True: the guest has to be told. */
static bool append(const struct domain *d, struct evtchn_queues *q, unsigned int priority,
                   evtchn_port port)
{
    evtchn_port tail = q->tail[priority];
    event_word_t *w = tail && tail != port ? word_of(d, tail) : NULL;

    q->tail[priority] = port;
    if (w && (__atomic_load_n(w, __ATOMIC_RELAXED) & LINKED)) {
        if (__atomic_fetch_add(w, port, __ATOMIC_SEQ_CST) & LINKED)
            return false;
        __atomic_fetch_and(w, ~LINK, __ATOMIC_SEQ_CST);
    }
    __atomic_store_n(&q->control->head[priority], port, __ATOMIC_RELEASE);
    return !(__atomic_fetch_or(&q->control->ready, 1u << priority, __ATOMIC_SEQ_CST) &
             1u << priority);
}

/* Links the port if it is pending, unmasked and in no queue. True: e->now has to be told. */
static bool enqueue(const struct domain *d, struct evtchn *ch, evtchn_port port, event_word_t *w,
                    const struct event *e)
{
    uint32_t s = __atomic_load_n(w, __ATOMIC_RELAXED), last = e->fifo & FIFO_QUEUE;
    unsigned int priority = priority_of(e->fifo), queue = e->now->id * PRIORITIES + priority;

    if ((s & (PENDING | MASKED | LINKED)) != PENDING || !e->now->queues.control)
        return false;
    __atomic_fetch_or(w, LINKED, __ATOMIC_SEQ_CST);
    if (queue != last) {
        if (e->was->queues.tail[last % PRIORITIES] == port) /* that one is empty now */
            e->was->queues.tail[last % PRIORITIES] = 0;
        set_fifo(ch, (e->fifo & ~FIFO_QUEUE) | queue);
    }
    return append(d, &e->now->queues, priority, port);
}

/* An event on the port. True: it is the first one, so somebody may poll for it. */
static bool raise(struct domain *d, struct evtchn *ch, evtchn_port port)
{
    bool first, tell = false;
    struct event e;
    event_word_t *w;

    if (!lock_event(d, ch, &e))
        return false;
    w = word_of(d, port);
    if (w) {
        if (e.fifo & FIFO_EARLY)
            set_fifo(ch, e.fifo &= ~FIFO_EARLY);
        first = !(__atomic_fetch_or(w, PENDING, __ATOMIC_SEQ_CST) & PENDING);
        tell = enqueue(d, ch, port, w, &e);
    } else {
        first = !(e.fifo & FIFO_EARLY);
        set_fifo(ch, e.fifo | FIFO_EARLY);
    }
    unlock_event(&e);
    if (tell)
        vcpu_mark_events_pending(e.now);
    return first;
}

void evtchn_fifo_raise(struct domain *d, struct evtchn *ch, evtchn_port port)
{
    if (raise(d, ch, port) &&
        __builtin_expect(__atomic_load_n(&d->pollers, __ATOMIC_RELAXED) != 0, 0))
        evtchn_wake_pollers(d, port);
}

void evtchn_fifo_unmask(struct domain *d, struct evtchn *ch, evtchn_port port)
{
    bool tell = false;
    struct event e;
    event_word_t *w;

    if (!lock_event(d, ch, &e))
        return;
    w = word_of(d, port);
    if (w) {
        __atomic_fetch_and(w, ~MASKED, __ATOMIC_SEQ_CST);
        tell = enqueue(d, ch, port, w, &e);
    }
    unlock_event(&e);
    if (tell)
        vcpu_mark_events_pending(e.now);
}

bool evtchn_fifo_test(struct domain *d, const struct evtchn *ch, evtchn_port port, unsigned int bit)
{
    const event_word_t *w;
    struct event e;
    bool set;

    if (!lock_event(d, ch, &e))
        return false;
    w = word_of(d, port);
    set = w ? __atomic_load_n(w, __ATOMIC_SEQ_CST) & 1u << bit
            : bit == EVTCHN_FIFO_PENDING && (e.fifo & FIFO_EARLY);
    unlock_event(&e);
    return set;
}

void evtchn_fifo_close(struct domain *d, struct evtchn *ch, evtchn_port port)
{
    event_word_t *w;
    struct event e;

    if (!lock_event(d, ch, &e))
        return;
    w = word_of(d, port);
    if (w)
        __atomic_fetch_and(w, ~PENDING, __ATOMIC_SEQ_CST);
    set_fifo(ch, e.fifo & FIFO_QUEUE); /* it may still be linked there */
    unlock_event(&e);
}

int evtchn_set_priority(struct domain *d, evtchn_port port, unsigned int priority)
{
    struct evtchn *ch = port_of(d, port);
    struct event e;
    int rc = 0;

    if (!ch || is_hv(ch))
        return -XEN_EINVAL;
    spin_lock(&d->evtchn->lock);
    if (!d->evtchn->fifo) {
        rc = -XEN_ENOSYS;
    } else if (ch->kind == EVTCHNSTAT_closed) {
        rc = -XEN_EACCES;
    } else if (priority >= PRIORITIES) {
        rc = -XEN_EINVAL;
    } else if (lock_event(d, ch, &e)) {
        priority ^= EVTCHN_FIFO_PRIORITY_DEFAULT;
        set_fifo(ch, (e.fifo & ~FIFO_PRIORITY) | priority << FIFO_PRIORITY_SHIFT);
        unlock_event(&e);
    }
    spin_unlock(&d->evtchn->lock);
    return rc;
}

/* --- the guest's pages --- */

#define PAGE_ACCESS (GFN_WRITE | GFN_MAP)

/* Events that d got before it asked for this form come as soon as their words are there. */
static void switch_form(struct domain *d)
{
    evtchn_port port = 1;
    struct evtchn *ch;

    hc_charge(MAX_EVTCHNS_2L / RECORDS_PER_UNIT);
    for (; (ch = evtchn_next(d, &port)) != NULL && port < shared_ports(d); port++)
        if (ch->kind != EVTCHNSTAT_closed && bit_test(d->shared->evtchn_pending, port))
            set_fifo(ch, fifo_of(ch) | FIFO_EARLY);
    __atomic_store_n(&d->evtchn->fifo, true, __ATOMIC_RELEASE);
}

int evtchn_init_control(struct domain *d, unsigned int vcpu, uint64_t gfn, uint32_t offset)
{
    struct vcpu *v = vcpu < d->max_vcpus ? d->vcpu[index_nospec(vcpu, MAX_VCPUS)] : NULL;
    struct frame *f;
    int rc;

    if (!v)
        return -XEN_ENOENT;
    if (offset > PAGE_SIZE - sizeof(*v->queues.control) || offset % 8)
        return -XEN_EINVAL;
    if (gfn_get(d, GFN(gfn), PAGE_ACCESS, &f))
        return -XEN_EINVAL;
    rc = 0;
    spin_lock(&d->evtchn->lock);
    if (v->queues.control || d->evtchn->closed) {
        rc = -XEN_EINVAL;
    } else {
        if (!d->evtchn->fifo)
            switch_form(d);
        spin_lock(&v->queues.lock);
        v->queues.control = (void *)((uint8_t *)arch_map(frame_mfn(f)) + offset);
        spin_unlock(&v->queues.lock);
    }
    spin_unlock(&d->evtchn->lock);
    if (rc)
        gfn_put(f, PAGE_ACCESS);
    return rc;
}

/* All who found a page of words there, or not there, are done with it. [evtchn lock] */
static void pass_queues(struct domain *d)
{
    hc_charge((int32_t)d->max_vcpus / 16);
    for_each_vcpu (d, v) {
        spin_lock(&v->queues.lock);
        spin_unlock(&v->queues.lock);
    }
}

int evtchn_expand_array(struct domain *d, uint64_t gfn)
{
    struct evtchn_state *s = d->evtchn;
    evtchn_port port, end;
    struct evtchn *ch;
    struct frame *f;
    int rc = 0;

    /* Never taken back but by the domain's own reset: looked at again under the lock. */
    if (!__atomic_load_n(&s->fifo, __ATOMIC_ACQUIRE))
        return -XEN_EOPNOTSUPP;
    if (gfn_get(d, GFN(gfn), PAGE_ACCESS, &f))
        return -XEN_EINVAL;
    spin_lock(&s->lock);
    port = s->nr_pages * WORDS_PER_PAGE;
    end = port + WORDS_PER_PAGE;
    if (!s->fifo || s->closed)
        rc = -XEN_EOPNOTSUPP;
    else if (s->nr_pages == MAX_WORD_PAGES)
        rc = -XEN_ENOSPC;
    if (rc == 0) {
        s->words[s->nr_pages] = arch_map(frame_mfn(f));
        __atomic_store_n(&s->nr_pages, s->nr_pages + 1, __ATOMIC_RELEASE);
        pass_queues(d);
        for (; (ch = evtchn_next(d, &port)) != NULL && port < end; port++) {
            if (fifo_of(ch) & FIFO_EARLY) {
                raise(d, ch, port); /* who polls for it was told when it came */
                hc_charge(1);
            }
        }
    }
    spin_unlock(&s->lock);
    if (rc)
        gfn_put(f, PAGE_ACCESS);
    return rc;
}

static void put_page(const void *p)
{
    gfn_put(frame_of(arch_unmap(p)), PAGE_ACCESS);
}

void evtchn_fifo_end(struct domain *d)
{
    struct evtchn_state *s = d->evtchn;
    uint32_t pages = s->nr_pages;

    __atomic_store_n(&s->fifo, false, __ATOMIC_RELEASE);
    __atomic_store_n(&s->nr_pages, 0, __ATOMIC_SEQ_CST);
    pass_queues(d);
    hc_charge((int32_t)(pages / 8 + d->max_vcpus / 8));
    for (uint32_t i = 0; i < pages; i++)
        put_page(s->words[i]);
    for_each_vcpu (d, v) {
        struct evtchn_queues *q = &v->queues;
        const void *control;

        if (!q->control)
            continue;
        spin_lock(&q->lock);
        control = q->control;
        q->control = NULL;
        for (unsigned int p = 0; p < PRIORITIES; p++)
            q->tail[p] = 0;
        spin_unlock(&q->lock);
        put_page(control);
    }
}

void evtchn_walk_pages(const struct domain *d, void (*fn)(void *arg, mfn_t page), void *arg)
{
    for (uint32_t i = 0; i < d->evtchn->nr_pages; i++)
        fn(arg, arch_unmap(d->evtchn->words[i]));
    for_each_vcpu (d, v)
        if (v->queues.control)
            fn(arg, arch_unmap(v->queues.control));
}
