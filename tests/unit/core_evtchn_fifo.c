/* SPDX-License-Identifier: MIT */
/* The FIFO form of event channels, with a guest that takes its events, and one that does not. */
#include <pthread.h>
#include <sched.h>

#include <xen/errno.h>

#include "core/audit.h"
#include "core/evtchn.h"
#include "core/hypercall.h"
#include "host/host.h"
#include "unit.h"

#define P (1u << EVTCHN_FIFO_PENDING)
#define M (1u << EVTCHN_FIFO_MASKED)
#define L (1u << EVTCHN_FIFO_LINKED)
#define LINK EVTCHN_FIFO_LINK_MASK
#define USUAL EVTCHN_FIFO_PRIORITY_DEFAULT

enum { CONTROL = 1, WORDS = 2, MORE = 4 }; /* pages of a */

static struct domain *a, *b, *c;
static struct vcpu *a0, *a1;
static uint32_t local_head[2][16]; /* what a guest keeps itself */

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 2);
    a = host_domain(0, 2, 8, true);
    b = host_domain(1, 1, 4, false);
    c = host_domain(2, 1, 4, false);
    a0 = host_up(a, 0);
    a1 = host_up(a, 1);
}

static uint64_t page(struct domain *d, unsigned int i)
{
    return host_guest_mfn(d, i).v;
}

static event_word_t *word(evtchn_port port)
{
    return (event_word_t *)host_guest(a, HOST_PAGE(WORDS)) + port;
}

static struct evtchn_fifo_control_block *control(unsigned int vcpu)
{
    return (void *)((uint8_t *)host_guest(a, HOST_PAGE(CONTROL)) + 1024 * vcpu);
}

static uint64_t typed(struct domain *d, unsigned int i)
{
    return frame_typed(frame_of(host_guest_mfn(d, i))->state);
}

/* a uses the form from now on, all its ports masked, as Linux does it. */
static void begin(void)
{
    memset(control(0), 0, PAGE_SIZE);
    memset(local_head, 0, sizeof(local_head));
    for (unsigned int i = 0; i < PAGE_SIZE / 4; i++)
        *word(i) = M;
    CHECK_EQ(evtchn_init_control(a, 0, page(a, CONTROL), 0), 0);
    CHECK_EQ(evtchn_init_control(a, 1, page(a, CONTROL), 1024), 0);
    CHECK_EQ(evtchn_expand_array(a, page(a, WORDS)), 0);
    a0->info->evtchn_upcall_pending = 0;
    a1->info->evtchn_upcall_pending = 0;
}

static void end(void)
{
    int rc;

    while ((rc = evtchn_reset(a, true)) == -XEN_EAGAIN)
        ;
    CHECK_EQ(rc, 0);
    CHECK_EQ(typed(a, CONTROL), 1);
    CHECK_EQ(typed(a, WORDS), 1);
    CHECK_EQ(audit(), 0);
}

/* An unmasked port that can be raised by evtchn_send(a0, it). */
static evtchn_port open(unsigned int vcpu)
{
    evtchn_port p = 0;

    CHECK_EQ(evtchn_bind_ipi(a, vcpu, &p), 0);
    *word(p) = 0;
    return p;
}

/* The vCPU's upcall, one event of it: the port, 0 when there is none. It was linked, maybe not P.
 */
static evtchn_port take(unsigned int vcpu, unsigned int priority)
{
    struct evtchn_fifo_control_block *cb = control(vcpu);
    uint32_t *head = &local_head[vcpu][priority];
    evtchn_port port;

    if (*head == 0) {
        if (!(cb->ready & 1u << priority))
            return 0;
        cb->ready &= ~(1u << priority);
        *head = cb->head[priority];
    }
    port = *head;
    CHECK(*word(port) & L);
    *head = *word(port) & LINK;
    *word(port) &= ~(L | LINK);
    return port;
}

/* take() of an event that pends: it does no longer. */
static evtchn_port handle(unsigned int vcpu, unsigned int priority)
{
    evtchn_port port = take(vcpu, priority);

    if (port) {
        CHECK(*word(port) & P);
        *word(port) &= ~P;
    }
    return port;
}

TEST(arguments)
{
    struct evtchn_init_control *op = host_guest(a, HOST_PAGE(0));

    CHECK_EQ(evtchn_expand_array(a, page(a, WORDS)), -XEN_EOPNOTSUPP);
    CHECK_EQ(evtchn_init_control(a, 2, page(a, CONTROL), 0), -XEN_ENOENT);
    CHECK_EQ(evtchn_init_control(a, ~0u, page(a, CONTROL), 0), -XEN_ENOENT);
    CHECK_EQ(evtchn_init_control(a, 0, page(b, 0), 0), -XEN_EINVAL);
    CHECK_EQ(evtchn_init_control(a, 0, ~0ull, 0), -XEN_EINVAL);
    CHECK_EQ(evtchn_init_control(a, 0, page(a, CONTROL), 4), -XEN_EINVAL);
    CHECK_EQ(evtchn_init_control(a, 0, page(a, CONTROL), PAGE_SIZE - 64), -XEN_EINVAL);
    CHECK_EQ(evtchn_init_control(a, 0, page(a, CONTROL), ~7u), -XEN_EINVAL);
    CHECK_EQ(evtchn_ports(a), MAX_EVTCHNS_2L);
    CHECK_EQ(typed(a, CONTROL), 1);
    begin();
    CHECK_EQ(evtchn_init_control(a, 0, page(a, CONTROL), 0), -XEN_EINVAL);
    CHECK_EQ(evtchn_expand_array(a, page(b, 0)), -XEN_EINVAL);
    CHECK_EQ(typed(a, CONTROL), 3);
    CHECK_EQ(typed(a, WORDS), 2);
    end();
    CHECK_EQ(evtchn_ports(a), MAX_EVTCHNS_2L);
    *op = (struct evtchn_init_control){ .control_gfn = page(a, CONTROL), .offset = 4096 - 72 };
    CHECK_EQ(
        host_call(a0, __HYPERVISOR_event_channel_op, EVTCHNOP_init_control, HOST_PAGE(0), 0, 0), 0);
    CHECK_EQ(op->link_bits, 17);
    end();
}

TEST(queue)
{
    evtchn_port p, q, r;

    begin();
    p = open(0), q = open(0), r = open(0);
    CHECK_EQ(evtchn_send(a0, p), 0);
    CHECK_EQ(*word(p), P | L);
    CHECK_EQ(control(0)->ready, 1u << USUAL);
    CHECK_EQ(control(0)->head[USUAL], p);
    CHECK_EQ(a0->info->evtchn_upcall_pending, 1);
    a0->info->evtchn_upcall_pending = 0;
    evtchn_send(a0, q);
    evtchn_send(a0, r);
    evtchn_send(a0, p);
    CHECK_EQ(a0->info->evtchn_upcall_pending, 0); /* the guest knows of this queue */
    CHECK_EQ(handle(0, USUAL), p);
    evtchn_send(a0, p);
    CHECK_EQ(handle(0, USUAL), q);
    CHECK_EQ(handle(0, USUAL), r);
    CHECK_EQ(handle(0, USUAL), p);
    CHECK_EQ(handle(0, USUAL), 0);
    evtchn_send(a0, p); /* the tail, taken off: alone again, not linked to itself */
    CHECK_EQ(*word(p), P | L);
    CHECK_EQ(a0->info->evtchn_upcall_pending, 1);
    evtchn_send(a0, q);
    CHECK_EQ(handle(0, USUAL), p);
    CHECK_EQ(handle(0, USUAL), q);
    CHECK_EQ(handle(0, USUAL), 0);
    end();
}

TEST(masks)
{
    evtchn_port p;

    begin();
    p = open(0);
    *word(p) = M;
    evtchn_send(a0, p);
    CHECK_EQ(*word(p), P | M);
    CHECK(evtchn_is_pending(a, p) && evtchn_is_masked(a, p));
    CHECK_EQ(a0->info->evtchn_upcall_pending, 0);
    CHECK_EQ(evtchn_unmask(a, p), 0);
    CHECK_EQ(*word(p), P | L);
    CHECK_EQ(a0->info->evtchn_upcall_pending, 1);
    *word(p) |= M; /* masked while it waits: the guest takes it off and leaves it pending */
    CHECK_EQ(take(0, USUAL), p);
    CHECK_EQ(*word(p), P | M);
    CHECK_EQ(evtchn_unmask(a, p), 0);
    CHECK_EQ(handle(0, USUAL), p);
    *word(p) |= M;
    CHECK_EQ(evtchn_unmask(a, p), 0);
    CHECK_EQ(*word(p), 0);
    CHECK_EQ(evtchn_close(a, p), 0);
    CHECK_EQ(evtchn_unmask(a, evtchn_ports(a)), -XEN_EINVAL);
    end();
}

/* An event goes where it belongs now; one that still waits where it was before stays there. */
TEST(moves)
{
    evtchn_port p, q, r;

    begin();
    CHECK_EQ(evtchn_alloc_unbound(a, 0, &p), 0);
    CHECK_EQ(evtchn_bind_interdomain(a, a, p, &q), 0);
    r = open(0);
    *word(p) = 0;
    CHECK_EQ(evtchn_set_priority(a, p, 16), -XEN_EINVAL);
    CHECK_EQ(evtchn_set_priority(a, r + 1, 3), -XEN_EACCES); /* closed */
    evtchn_send(a0, q);
    CHECK_EQ(evtchn_set_priority(a, p, 3), 0);
    CHECK_EQ(evtchn_bind_vcpu(a, p, 1), 0);
    evtchn_send(a0, q);
    CHECK_EQ(handle(0, USUAL), p);
    evtchn_send(a0, q);
    CHECK_EQ(control(1)->ready, 1u << 3);
    CHECK_EQ(a1->info->evtchn_upcall_pending, 1);
    /* p was the old queue's tail, and is linked, but elsewhere: r begins that queue anew. */
    evtchn_send(a0, r);
    CHECK_EQ(*word(p), P | L);
    CHECK_EQ(handle(0, USUAL), r);
    CHECK_EQ(handle(0, USUAL), 0);
    CHECK_EQ(handle(1, 3), p);
    CHECK_EQ(evtchn_close(a, p), 0);
    CHECK_EQ(evtchn_alloc_unbound(a, 1, &p), 0); /* the same one, of usual priority again */
    CHECK_EQ(evtchn_close(a, p), 0);
    CHECK_EQ(evtchn_bind_ipi(a, 0, &p), 0);
    evtchn_send(a0, p);
    CHECK_EQ(handle(0, USUAL), p);
    end();
    CHECK_EQ(evtchn_bind_ipi(a, 0, &p), 0);
    CHECK_EQ(evtchn_set_priority(a, p, 3), -XEN_ENOSYS);
    CHECK_EQ(evtchn_close(a, p), 0);
}

/* What came before the form, or before the words, was not lost. */
TEST(early)
{
    evtchn_port p, q;

    CHECK_EQ(evtchn_bind_ipi(a, 0, &p), 0);
    CHECK_EQ(evtchn_bind_ipi(a, 1, &q), 0);
    bit_set(a->shared->evtchn_mask, p);
    evtchn_send(a0, p);
    memset(control(0), 0, PAGE_SIZE);
    memset(local_head, 0, sizeof(local_head));
    memset(word(0), 0, PAGE_SIZE);
    CHECK_EQ(evtchn_init_control(a, 0, page(a, CONTROL), 0), 0);
    CHECK(evtchn_is_pending(a, p));
    CHECK(!evtchn_is_pending(a, q));
    evtchn_send(a0, q);
    CHECK_EQ(evtchn_expand_array(a, page(a, WORDS)), 0);
    CHECK_EQ(handle(0, USUAL), p);
    CHECK_EQ(*word(q), P); /* its vCPU has no control block yet */
    CHECK_EQ(evtchn_init_control(a, 1, page(a, CONTROL), 1024), 0);
    *word(q) |= M;
    CHECK_EQ(evtchn_unmask(a, q), 0);
    CHECK_EQ(handle(1, USUAL), q);
    end();
    bit_clear(a->shared->evtchn_mask, p);
}

/* Words full of rubbish: nothing but the guest's own pages changes, nothing takes for ever. */
TEST(rubbish)
{
    static const uint32_t bad[] = {
        ~0u, L, L | LINK, P | L | LINK, LINK, 1, 0x0fffffff, P | L | 5
    };
    evtchn_port p[4];
    uint32_t rnd = 1;

    begin();
    for (unsigned int i = 0; i < 4; i++)
        p[i] = open(i % 2);
    for (unsigned int i = 0; i < 100000; i++) {
        rnd = rnd * 1664525 + 1013904223;
        *word(p[rnd >> 8 & 3]) = rnd >> 16 & 1 ? bad[rnd >> 10 & 7] : 0;
        control(0)->ready = rnd >> 20;
        control(0)->head[rnd >> 24 & 15] = rnd;
        evtchn_set_priority(a, p[rnd >> 12 & 3], rnd >> 28);
        evtchn_send(a0, p[rnd >> 14 & 3]);
        evtchn_unmask(a, p[rnd >> 26 & 3]);
    }
    for (unsigned int i = 0; i < PAGE_SIZE / 4; i++)
        if (i != p[0] && i != p[1] && i != p[2] && i != p[3])
            CHECK_EQ(*word(i), M);
    end();
}

TEST(poll)
{
    struct {
        struct {
            uint64_t ports;
            uint32_t nr, pad;
            uint64_t timeout;
        } op;
        evtchn_port port[2];
    } *g = host_guest(a, HOST_PAGE(0));
    evtchn_port p;

    begin();
    p = open(1);
    *word(p) = M;
    g->op.ports = HOST_PAGE(0) + sizeof(g->op);
    g->op.nr = 1;
    g->op.timeout = 0;
    g->port[0] = p;
    host_be(a1->cpu->id);
    CHECK_EQ(host_call(a1, __HYPERVISOR_sched_op, 3, HOST_PAGE(0), 0, 0), 0);
    host_settle();
    CHECK(!a1->sched.running);
    host_be(a0->cpu->id);
    CHECK_EQ(evtchn_send(a0, p), 0);
    host_settle();
    CHECK(a1->sched.running);
    CHECK_EQ(a->pollers, 0);
    host_be(a1->cpu->id);
    CHECK_EQ(host_call(a1, __HYPERVISOR_sched_op, 3, HOST_PAGE(0), 0, 0), 0); /* it still pends */
    CHECK_EQ(a1->pause_flags, 0);
    g->port[0] = evtchn_ports(a);
    CHECK_EQ(host_call(a1, __HYPERVISOR_sched_op, 3, HOST_PAGE(0), 0, 0), E(EINVAL));
    host_be(0);
    end();
}

#define RACERS 6
#define ROUNDS 100000

static evtchn_port racer[RACERS];
static uint32_t done; /* atomic: threads that raise no more */

/* Raises events, and changes their priorities, on a CPU of its own. */
static void *raise_many(void *arg)
{
    unsigned int cpu = (unsigned int)(uintptr_t)arg;
    uint32_t rnd = cpu;

    host_be(cpu);
    for (unsigned int i = 0; i < ROUNDS; i++) {
        rnd = rnd * 1664525 + 1013904223;
        if (rnd >> 8 & 7)
            evtchn_send(a0, racer[(rnd >> 16) % RACERS]);
        else
            evtchn_set_priority(a, racer[(rnd >> 16) % RACERS], 5 + (rnd >> 12 & 1));
        if (i % 64 == 0)
            sched_yield();
    }
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* One event off the queue, as Linux does it; *ready as it goes on. */
static void take_atomic(unsigned int priority, uint32_t *ready)
{
    uint32_t *head = &local_head[0][priority];
    event_word_t *w, old;

    if (*head == 0)
        *head = __atomic_load_n(&control(0)->head[priority], __ATOMIC_SEQ_CST);
    w = word(*head);
    old = __atomic_fetch_and(w, ~(L | LINK), __ATOMIC_SEQ_CST);
    *head = old & LINK;
    if (*head == 0)
        *ready &= ~(1u << priority);
    __atomic_fetch_and(w, ~P, __ATOMIC_SEQ_CST);
}

/* Two CPUs raise what the guest takes at the same time: in the end nothing is left behind. */
TEST(race)
{
    pthread_t t[2];
    uint32_t ready = 0;
    bool last = false;

    begin();
    for (unsigned int i = 0; i < RACERS; i++)
        racer[i] = open(0);
    for (uintptr_t i = 0; i < 2; i++) {
        host_cpus[i].alive = 1;
        pthread_create(&t[i], NULL, raise_many, (void *)i);
    }
    while (!last) {
        last = __atomic_load_n(&done, __ATOMIC_SEQ_CST) == 2;
        ready |= __atomic_exchange_n(&control(0)->ready, 0, __ATOMIC_SEQ_CST);
        while (ready) {
            take_atomic((unsigned int)__builtin_ctz(ready), &ready);
            ready |= __atomic_exchange_n(&control(0)->ready, 0, __ATOMIC_SEQ_CST);
        }
    }
    for (unsigned int i = 0; i < 2; i++) {
        pthread_join(t[i], NULL);
        host_cpus[i].alive = 0;
    }
    for (unsigned int i = 0; i < RACERS; i++)
        CHECK_EQ(*word(racer[i]), 0);
    end();
}

TEST(all_ports)
{
    uint64_t used = frame_total_count() - frame_free_count();
    evtchn_port p, n = 0;
    int rc;

    CHECK_EQ(evtchn_set_limit(a, ~0u), 0);
    begin();
    for (unsigned int i = 1; i < 128; i++)
        CHECK_EQ(evtchn_expand_array(a, page(a, MORE)), 0);
    CHECK_EQ(evtchn_expand_array(a, page(a, MORE)), -XEN_ENOSPC);
    while ((rc = evtchn_bind_ipi(a, 0, &p)) == 0)
        n++;
    CHECK_EQ(rc, -XEN_ENOSPC);
    CHECK_EQ(n, EVTCHN_FIFO_NR_CHANNELS - 1);
    CHECK_EQ(evtchn_close(a, 131071), 0);
    CHECK_EQ(evtchn_close(a, 70000), 0);
    CHECK_EQ(evtchn_bind_ipi(a, 0, &p), 0);
    CHECK_EQ(p, 70000);
    CHECK_EQ(evtchn_bind_ipi(a, 0, &p), 0);
    CHECK_EQ(p, 131071);
    evtchn_send(a0, p);
    CHECK_EQ(control(0)->head[USUAL], p);
    CHECK_EQ(((event_word_t *)host_guest(a, HOST_PAGE(MORE)))[1023], P | L);
    CHECK_EQ(evtchn_send(a0, 131072), -XEN_EINVAL);
    CHECK_EQ(audit(), 0);
    end();
    CHECK_EQ(typed(a, MORE), 1);
    CHECK_EQ(evtchn_bind_ipi(a, 0, &p), 0);
    CHECK_EQ(p, 1);
    CHECK_EQ(evtchn_close(a, p), 0);
    /* The records stay: 512 pages and the one that lists them. */
    CHECK(frame_total_count() - frame_free_count() <= used + 513);
}

TEST(limit)
{
    evtchn_port p;
    int rc;

    CHECK_EQ(evtchn_set_limit(b, 300), 0);
    CHECK_EQ(evtchn_init_control(b, 0, page(b, 1), 0), 0);
    CHECK_EQ(evtchn_ports(b), 301);
    do
        rc = evtchn_alloc_unbound(b, 0, &p);
    while (rc == 0);
    CHECK_EQ(rc, -XEN_ENOSPC);
    CHECK_EQ(p, 300);
    CHECK_EQ(evtchn_send(b->vcpu[0], 301), -XEN_EINVAL);
    CHECK_EQ(audit(), 0);
}

/* A dying domain: closed for everyone, others' ends unbound, its pages its own again. */
TEST(dying)
{
    struct evtchn_status st;
    evtchn_port mine, theirs, left, p;
    unsigned int steps = 0;
    int rc;

    CHECK_EQ(evtchn_alloc_unbound(a, c->id, &mine), 0);
    CHECK_EQ(evtchn_bind_interdomain(c, a, mine, &theirs), 0);
    CHECK_EQ(evtchn_alloc_unbound(c, a->id, &left), 0);
    for (unsigned int i = 0; i < 2000; i++)
        CHECK_EQ(evtchn_bind_ipi(c, 0, &p), 0);
    CHECK_EQ(evtchn_init_control(c, 0, page(c, 1), 0), 0);
    CHECK_EQ(evtchn_expand_array(c, page(c, 2)), 0);
    arch_this_cpu()->work_left = 1;
    while ((rc = evtchn_teardown(c)) == -XEN_EAGAIN) {
        CHECK_EQ(evtchn_bind_ipi(c, 0, &p), -XEN_EINVAL);
        CHECK_EQ(evtchn_alloc_unbound(c, 0, &p), -XEN_EINVAL);
        CHECK_EQ(audit(), 0);
        steps++;
        pcpu_gave_way(arch_this_cpu());
        arch_this_cpu()->work_left = 100;
    }
    CHECK_EQ(rc, 0);
    CHECK(steps >= 4);
    st = (struct evtchn_status){ .port = mine };
    CHECK_EQ(evtchn_status(a, &st), 0);
    CHECK_EQ(st.status, EVTCHNSTAT_unbound);
    CHECK_EQ(st.u.unbound.dom, c->id);
    CHECK_EQ(evtchn_send(a0, mine), 0); /* nobody there */
    CHECK_EQ(evtchn_bind_interdomain(c, a, mine, &theirs), -XEN_EINVAL);
    CHECK_EQ(evtchn_bind_interdomain(a, c, left, &theirs), -XEN_EINVAL);
    CHECK_EQ(evtchn_init_control(c, 0, page(c, 1), 0), -XEN_EINVAL);
    CHECK_EQ(typed(c, 1), 1);
    CHECK_EQ(typed(c, 2), 1);
    CHECK_EQ(evtchn_close(a, mine), 0);
    CHECK_EQ(audit(), 0);
}

/* Others' reset closes ports and leaves the form: only the domain itself gives its pages up. */
static uint64_t words_then;

/* Another CPU, in the middle of an event, lets go of a's queue at last. */
static void let_go(void *queue)
{
    words_then = typed(a, WORDS);
    spin_unlock(&((struct evtchn_queues *)queue)->lock);
}

/* Words are the guest's again only when nobody who found them there can still write to them. */
TEST(the_end_waits_for_events_on_their_way)
{
    begin();
    host_be(1);
    spin_lock(&a1->queues.lock);
    host_cpus[1].call_arg = &a1->queues;
    host_cpus[1].call_fn = let_go;
    host_be(0);
    end();
    CHECK_EQ(words_then, 2);
}

TEST(reset)
{
    struct evtchn_reset *op = host_guest(a, HOST_PAGE(0));
    evtchn_port p;

    begin();
    op->dom = b->id;
    CHECK_EQ(host_call(a0, __HYPERVISOR_event_channel_op, EVTCHNOP_reset, HOST_PAGE(0), 0, 0), 0);
    CHECK_EQ(evtchn_ports(b), 301);
    CHECK_EQ(typed(b, 1), 2); /* still FIFO */
    p = open(0);
    op->dom = DOMID_SELF;
    CHECK_EQ(host_call(a0, __HYPERVISOR_event_channel_op, EVTCHNOP_reset, HOST_PAGE(0), 0, 0), 0);
    CHECK_EQ(evtchn_ports(a), MAX_EVTCHNS_2L);
    CHECK_EQ(evtchn_send(a0, p), -XEN_EINVAL);
    end();
}
