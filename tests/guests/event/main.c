/* SPDX-License-Identifier: MIT */
/* Event channels of one vCPU: binding, sending, masks and upcalls, closing, every port, bad ports.
 */
#include "guest.h"

#define PORTS 4096

static long alloc_unbound(void)
{
    struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
    long rc = hc_event_channel_op(EVTCHNOP_alloc_unbound, &op);

    return rc ? rc : (long)op.port;
}

static long bind_to(unsigned int remote)
{
    struct evtchn_bind_interdomain op = { .remote_dom = DOMID_SELF, .remote_port = remote };
    long rc = hc_event_channel_op(EVTCHNOP_bind_interdomain, &op);

    return rc ? rc : (long)op.local_port;
}

static long bind_ipi(unsigned int vcpu)
{
    struct evtchn_bind_ipi op = { .vcpu = vcpu };
    long rc = hc_event_channel_op(EVTCHNOP_bind_ipi, &op);

    return rc ? rc : (long)op.port;
}

static long send(unsigned int port)
{
    struct evtchn_send op = { .port = port };

    return hc_event_channel_op(EVTCHNOP_send, &op);
}

static long status(unsigned int port, struct evtchn_status *st)
{
    memset(st, 0, sizeof(*st));
    st->dom = DOMID_SELF;
    st->port = port;
    return hc_event_channel_op(EVTCHNOP_status, st);
}

static unsigned int state_of(unsigned int port)
{
    struct evtchn_status st;

    CHECK_EQ(status(port, &st), 0, "status of %u", port);
    return st.status;
}

/* Two ends in one domain: what one sends pends at the other. */
static void check_loopback(void)
{
    long a = alloc_unbound(), b;
    struct evtchn_status st;

    CHECK(a > 0, "alloc_unbound %ld", a);
    CHECK_EQ(state_of(a), EVTCHNSTAT_unbound, "state");
    b = bind_to(a);
    CHECK(b > 0 && b != a, "bind %ld to %ld", b, a);
    CHECK_EQ(status(a, &st), 0, "status");
    CHECK_EQ(st.status, EVTCHNSTAT_interdomain, "state");
    CHECK_EQ(st.u.interdomain.port, b, "peer");
    CHECK_EQ(st.u.interdomain.dom, 0, "peer's domain");
    CHECK_EQ(bind_to(a), -EINVAL, "bound a second time");
    event_port_mask(a);
    event_port_mask(b);
    event_clear(a);
    event_clear(b);
    CHECK_EQ(send(a), 0, "send");
    CHECK(event_pending(b) && !event_pending(a), "pending: %d %d", event_pending(a),
          event_pending(b));
    event_clear(b);
    CHECK_EQ(send(b), 0, "send");
    CHECK(event_pending(a) && !event_pending(b), "pending: %d %d", event_pending(a),
          event_pending(b));
    event_clear(a);
    CHECK_EQ(event_close(a), 0, "close");
    CHECK_EQ(state_of(a), EVTCHNSTAT_closed, "state of the closed end");
    CHECK_EQ(state_of(b), EVTCHNSTAT_unbound, "state of the other end");
    send(b);
    CHECK(!event_pending(a), "pending at a closed port");
    CHECK_EQ(event_close(b), 0, "close");
    CHECK(event_close(b) < 0, "close of what is closed");
    CHECK(send(b) < 0, "send through what is closed");
}

/* The masks: of the port, of the vCPU; the selector; edges that the port's mask holds back. */
static void check_delivery(void)
{
    struct vcpu_info *v = &shared->vcpu_info[0];
    long a = alloc_unbound(), b = bind_to(a);
    unsigned int before = this_cpu()->upcalls;

    events_off();
    event_port_unmask(b);
    port_hits[b] = 0;
    CHECK_EQ(send(a), 0, "send");
    CHECK(event_pending(b), "pending");
    CHECK(v->evtchn_upcall_pending, "upcall pending");
    CHECK(v->evtchn_pending_sel >> (b / 64) & 1, "selector %#lx", v->evtchn_pending_sel);
    CHECK_EQ(this_cpu()->upcalls, before, "upcalls while the vCPU is masked");
    events_on();
    CHECK_EQ(port_hits[b], 1, "deliveries after unmasking");
    CHECK(this_cpu()->upcalls > before, "upcalls");
    CHECK_EQ(v->evtchn_upcall_mask, 0, "mask after the upcall");
    CHECK_EQ(send(a), 0, "send");
    CHECK_EQ(port_hits[b], 2, "delivery at once");
    event_port_mask(b);
    CHECK_EQ(send(a), 0, "send");
    CHECK_EQ(port_hits[b], 2, "delivery through a masked port");
    CHECK(event_pending(b), "pending");
    event_port_unmask(b);
    CHECK_EQ(port_hits[b], 3, "delivery by unmask");
    CHECK(!event_pending(b), "pending after delivery");
    event_port_unmask(b);
    CHECK_EQ(port_hits[b], 3, "unmask without anything pending");
    events_off();
    for (int i = 0; i < 5; i++)
        send(a);
    events_on();
    CHECK_EQ(port_hits[b], 4, "five sends are one event");
    events_off();
    event_close(a);
    event_close(b);
}

static void check_ipi(void)
{
    long p = bind_ipi(0);
    struct evtchn_status st;

    CHECK(p > 0, "bind_ipi %ld", p);
    CHECK_EQ(status(p, &st), 0, "status");
    CHECK_EQ(st.status, EVTCHNSTAT_ipi, "state");
    event_port_unmask(p);
    port_hits[p] = 0;
    events_on();
    CHECK_EQ(send(p), 0, "send");
    CHECK_EQ(port_hits[p], 1, "an IPI to itself");
    events_off();
    CHECK(bind_ipi(77) < 0, "an IPI to a vCPU that is not there");
    CHECK(bind_ipi(~0u) < 0, "an IPI to vCPU -1");
    struct evtchn_bind_vcpu move = { .port = p, .vcpu = 0 };
    CHECK(hc_event_channel_op(EVTCHNOP_bind_vcpu, &move) < 0, "an IPI moved");
    CHECK_EQ(event_close(p), 0, "close");
}

static void check_virq(void)
{
    long p = event_bind_virq(VIRQ_DEBUG, 0), q;
    struct evtchn_status st;

    CHECK(p > 0, "VIRQ_DEBUG %ld", p);
    CHECK_EQ(status(p, &st), 0, "status");
    CHECK_EQ(st.status, EVTCHNSTAT_virq, "state");
    CHECK_EQ(st.u.virq, VIRQ_DEBUG, "virq");
    CHECK_EQ(event_bind_virq(VIRQ_DEBUG, 0), -EEXIST, "bound twice");
    CHECK(send(p) < 0, "send through a VIRQ");
    CHECK_EQ(event_close(p), 0, "close");
    q = event_bind_virq(VIRQ_DEBUG, 0);
    CHECK(q > 0, "again");
    event_close(q);
    CHECK(event_bind_virq(24, 0) < 0, "VIRQ 24");
    CHECK(event_bind_virq(~0u, 0) < 0, "VIRQ -1");
    CHECK(event_bind_virq(VIRQ_TIMER, 77) < 0, "VIRQ of vCPU 77");
    CHECK(event_bind_virq(VIRQ_TIMER, ~0u) < 0, "VIRQ of vCPU -1");
}

/* Ports and domains that are not there, for each operation. */
static void check_bad(void)
{
    static const unsigned int bad[] = { 0, 2000, PORTS - 1, PORTS, 0x20000, 0x80000000, ~0u };
    struct evtchn_status st;

    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
        struct evtchn_bind_vcpu move = { .port = bad[i] };
        struct evtchn_unmask unmask = { .port = bad[i] };

        CHECK(send(bad[i]) < 0, "send to %#x", bad[i]);
        CHECK(event_close(bad[i]) < 0, "close of %#x", bad[i]);
        CHECK(bind_to(bad[i]) < 0, "bind to %#x", bad[i]);
        CHECK(hc_event_channel_op(EVTCHNOP_bind_vcpu, &move) < 0, "bind_vcpu of %#x", bad[i]);
        if (bad[i] >= PORTS) {
            CHECK(hc_event_channel_op(EVTCHNOP_unmask, &unmask) < 0, "unmask of %#x", bad[i]);
            CHECK(status(bad[i], &st) < 0, "status of %#x", bad[i]);
        }
    }
    struct evtchn_alloc_unbound alloc = { .dom = 0x1234, .remote_dom = 0 };
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc), -ESRCH, "no such domain");
    struct evtchn_bind_interdomain bind = { .remote_dom = 0x1234, .remote_port = 1 };
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind), -ESRCH, "no such domain");
    struct evtchn_bind_pirq pirq = { .pirq = 100000 };
    CHECK(hc_event_channel_op(EVTCHNOP_bind_pirq, &pirq) < 0, "PIRQ 100000");
    pirq.pirq = ~0u;
    CHECK(hc_event_channel_op(EVTCHNOP_bind_pirq, &pirq) < 0, "PIRQ -1");
    CHECK_EQ(hc_event_channel_op(99, &pirq), -ENOSYS, "unknown operation");
    CHECK(hc_event_channel_op(-1, &pirq) < 0, "operation -1");
}

/* A port for another domain is not for this one; the bits of unused ports stay clear. */
static void check_others_port(void)
{
    struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = 5 };
    long rc = hc_event_channel_op(EVTCHNOP_alloc_unbound, &op);

    CHECK_EQ(rc, 0, "a port for domain 5");
    CHECK(bind_to(op.port) < 0, "bound to a port that is for domain 5");
    CHECK_EQ(event_close(op.port), 0, "close");
}

static void check_all_ports(void)
{
    static uint8_t used[PORTS];
    unsigned int count = 0;
    long p;

    while ((p = alloc_unbound()) > 0 && count < 2 * PORTS) {
        if (!CHECK(p < PORTS && !used[p], "port %ld", p))
            break;
        used[p] = 1;
        count++;
    }
    CHECK_EQ(p, -ENOSPC, "after the last port");
    CHECK(count > 900, "only %u ports", count);
    printk("note: %u ports\n", count);
    CHECK(bind_ipi(0) < 0, "an IPI without a free port");
    CHECK(event_bind_virq(VIRQ_DEBUG, 0) < 0, "a VIRQ without a free port");
    for (unsigned int i = 1; i < PORTS; i++)
        if (used[i])
            CHECK_EQ(event_close(i), 0, "close of %u", i);
    p = alloc_unbound();
    CHECK(p > 0, "a port after all were closed: %ld", p);
    event_close(p);
}

static void check_reset(void)
{
    struct evtchn_reset op = { .dom = DOMID_SELF };
    long a = alloc_unbound(), b = bind_to(a), v = event_bind_virq(VIRQ_DEBUG, 0);

    CHECK_EQ(hc_event_channel_op(EVTCHNOP_reset, &op), 0, "reset");
    CHECK_EQ(state_of(a), EVTCHNSTAT_closed, "state");
    CHECK_EQ(state_of(b), EVTCHNSTAT_closed, "state");
    v = event_bind_virq(VIRQ_DEBUG, 0);
    CHECK(v > 0, "VIRQ after reset: %ld", v);
    event_close(v);
    op.dom = 0x1234;
    CHECK(hc_event_channel_op(EVTCHNOP_reset, &op) < 0, "reset of no domain");
}

void guest_main(void)
{
    struct account before;

    account_take(&before);
    check_loopback();
    check_delivery();
    check_ipi();
    check_virq();
    check_bad();
    check_others_port();
    check_all_ports();
    check_reset();
    /* Xen keeps the buckets of ports that were used. */
    struct account after;
    account_take(&after);
    CHECK(after.free_pages + 64 >= before.free_pages, "%lu pages were lost",
          before.free_pages - after.free_pages);
}
