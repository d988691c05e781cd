/* SPDX-License-Identifier: MIT */
/* sched_op: block, poll, yield, watchdog, shutdown's arguments. */
#include "guest.h"

#define MS 1000000ul

static long timer_port, a, b;

static long poll(evtchn_port_t *ports, unsigned int n, uint64_t timeout)
{
    struct sched_poll op = { .nr_ports = n, .timeout = timeout };

    op.ports.p = ports;
    return hc_sched_op(SCHEDOP_poll, &op);
}

static void send(long port)
{
    struct evtchn_send op = { .port = (evtchn_port_t)port };

    CHECK_EQ(hc_event_channel_op(EVTCHNOP_send, &op), 0, "send");
}

static void open_ports(void)
{
    struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
    struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF };

    timer_port = event_bind_virq(VIRQ_TIMER, 0);
    event_port_unmask((unsigned int)timer_port);
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc), 0, "port");
    a = bind.remote_port = alloc.port;
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind), 0, "port");
    b = bind.local_port;
    event_port_mask((unsigned int)b);
    CHECK_EQ(hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0, "stop the periodic timer");
}

static void check_block(void)
{
    uint64_t start;

    events_on();  /* what is pending already is no wake-up call */
    events_off(); /* until the block unmasks them: on a slow host the timer may fire before it */
    start = system_time();
    hc_set_timer_op(start + 20 * MS);
    CHECK_EQ(hc_sched_op(SCHEDOP_block, NULL), 0, "block");
    CHECK(system_time() >= start + 20 * MS, "woken early, after %lu", system_time() - start);
    events_off();
    start = system_time();
    hc_set_timer_op(start + 10 * MS);
    CHECK_EQ(hc_sched_op(SCHEDOP_block, NULL), 0, "block with upcalls masked");
    CHECK_EQ(shared->vcpu_info[0].evtchn_upcall_mask, 0, "mask after block");
    CHECK(system_time() >= start + 10 * MS, "woken early");
    events_off();
    /* Something pending: no sleep at all. */
    event_port_unmask((unsigned int)b);
    send(a);
    start = system_time();
    hc_set_timer_op(start + 2000 * MS);
    CHECK_EQ(hc_sched_op(SCHEDOP_block, NULL), 0, "block with an event pending");
    CHECK(system_time() < start + 1000 * MS, "slept with an event pending");
    hc_set_timer_op(0);
    event_port_mask((unsigned int)b);
    event_clear((unsigned int)b);
    events_off();
}

static void check_poll(void)
{
    evtchn_port_t ports[2] = { (evtchn_port_t)b, (evtchn_port_t)a };
    uint64_t start = system_time();

    CHECK_EQ(poll(ports, 2, start + 20 * MS), 0, "poll with a time limit");
    CHECK(system_time() >= start + 20 * MS, "back after %lu", system_time() - start);
    send(a);
    start = system_time();
    CHECK_EQ(poll(ports, 1, start + 2000 * MS), 0, "poll of a pending port");
    CHECK(system_time() < start + 1000 * MS, "slept with a pending port");
    event_clear((unsigned int)b);
    start = system_time();
    CHECK_EQ(poll(ports, 2, start - MS), 0, "a limit that is over");
    CHECK(system_time() < start + 500 * MS, "slept for %lu", system_time() - start);
    CHECK_EQ(poll(NULL, 0, system_time() + 2 * MS), 0, "no ports");
    CHECK_EQ(shared->vcpu_info[0].evtchn_upcall_mask, 1, "mask after poll");
}

static void check_poll_arguments(void)
{
    static evtchn_port_t many[200];
    evtchn_port_t bad[] = { 0x20000, 4096, ~0u };

    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_EQ(poll(&bad[i], 1, system_time() + MS), -EINVAL, "port %#x", bad[i]);
    CHECK_EQ(poll(many, 129, system_time() + MS), -EINVAL, "129 ports");
    CHECK_EQ(poll(many, ~0u, system_time() + MS), -EINVAL, "4294967295 ports");
    CHECK_EQ(poll((void *)0x1000, 1, system_time() + MS), -EFAULT, "ports not mapped");
    CHECK_EQ(poll((void *)0x8000000000000000, 1, system_time() + MS), -EFAULT, "not canonical");
}

static void check_others(void)
{
    struct sched_remote_shutdown remote = { .domain_id = 0x1234, .reason = SHUTDOWN_crash };
    struct sched_watchdog dog = { .id = 0, .timeout = 2 };
    struct sched_pin_override pin = { .pcpu = 77 };
    long id;

    CHECK_EQ(hc_sched_op(SCHEDOP_yield, NULL), 0, "yield");
    CHECK(hc_sched_op(SCHEDOP_remote_shutdown, &remote) < 0, "shutdown of no domain");
    CHECK(hc_sched_op(SCHEDOP_pin_override, &pin) < 0, "pin to CPU 77");
    CHECK_EQ(hc_sched_op(99, NULL), -ENOSYS, "unknown operation");
    CHECK_EQ(hc_sched_op(-1, NULL), -ENOSYS, "operation -1");
    id = hc_sched_op(SCHEDOP_watchdog, &dog);
    CHECK(id > 0, "watchdog %ld", id);
    dog.id = (uint32_t)id;
    CHECK_EQ(hc_sched_op(SCHEDOP_watchdog, &dog), 0, "poke it");
    dog.timeout = 0;
    CHECK_EQ(hc_sched_op(SCHEDOP_watchdog, &dog), 0, "stop it");
    dog.id = 99;
    dog.timeout = 5;
    CHECK(hc_sched_op(SCHEDOP_watchdog, &dog) < 0, "watchdog 99");
    dog.id = ~0u;
    CHECK(hc_sched_op(SCHEDOP_watchdog, &dog) < 0, "watchdog -1");
    /* A stopped one does not bite. */
    events_on();
    events_off();
    hc_set_timer_op(system_time() + 3000 * MS);
    hc_sched_op(SCHEDOP_block, NULL);
    events_off();
}

void guest_main(void)
{
    struct account before;

    event_close((unsigned int)event_bind_virq(VIRQ_DEBUG, 0)); /* the first port needs a page */
    account_take(&before);
    open_ports();
    check_block();
    check_poll();
    check_poll_arguments();
    check_others();
    event_close((unsigned int)timer_port);
    event_close((unsigned int)a);
    event_close((unsigned int)b);
    account_check(&before, "scheduling");
}
