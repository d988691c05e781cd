/* SPDX-License-Identifier: MIT */
/*
 * A guest of 4 MiB that does nothing: dom0/tasks/guest-many and others start hundreds. It prints a
 * line on its console's ring, watches control/shutdown in xenstore and sleeps until that asks it to
 * end. With flood= on its command line it sends on its store port without end instead, with spin=
 * it computes without end. As Domain 0 it has neither ring, and only ends.
 */
#include "guest.h"

#include <xen/io/console.h>
#include <xen/io/xs_wire.h>

/* Where the two rings are, and their ports; as Domain 0 there are none. */
struct rings {
    struct xencons_interface *console;
    struct xenstore_domain_interface *store;
    evtchn_port_t console_port, store_port;
};
static struct rings rings;

#ifndef PVH_H /* tests/guests/pvh-idle has its own */
static bool find_rings(void)
{
    if (si->flags & SIF_INITDOMAIN)
        return false;
    rings = (struct rings){ pfn_virt(M2P[si->console.domU.mfn]), pfn_virt(M2P[si->store_mfn]),
                            si->console.domU.evtchn, si->store_evtchn };
    return true;
}
#else
static bool find_rings(void);
#endif

static void notify(evtchn_port_t port)
{
    struct evtchn_send op = { .port = port };

    hc_event_channel_op(EVTCHNOP_send, &op);
}

static void sleep_on(evtchn_port_t port)
{
    struct sched_poll p = { .nr_ports = 1 };

    p.ports.p = &port;
    hc_sched_op(SCHEDOP_poll, &p);
    event_clear(port);
}

static void say(const char *text)
{
    volatile struct xencons_interface *c = rings.console;

    for (; *text; text++)
        c->out[MASK_XENCONS_IDX(c->out_prod++, c->out)] = *text;
    notify(rings.console_port);
}

static void store_put(const void *data, uint32_t len)
{
    const char *p = data;

    for (uint32_t i = 0; i < len; i++) {
        while (*(volatile uint32_t *)&rings.store->req_prod -
                   *(volatile uint32_t *)&rings.store->req_cons ==
               XENSTORE_RING_SIZE)
            sleep_on(rings.store_port);
        rings.store->req[MASK_XENSTORE_IDX(rings.store->req_prod)] = p[i];
        BARRIER();
        rings.store->req_prod++;
    }
}

static void store_get(void *data, uint32_t len)
{
    char *p = data;

    for (uint32_t i = 0; i < len; i++) {
        while (*(volatile uint32_t *)&rings.store->rsp_prod == rings.store->rsp_cons) {
            notify(rings.store_port);
            sleep_on(rings.store_port);
        }
        BARRIER();
        p[i] = rings.store->rsp[MASK_XENSTORE_IDX(rings.store->rsp_cons)];
        BARRIER();
        rings.store->rsp_cons++;
    }
}

/* A request; its answer is read by the loop of serve() like all that comes. */
static void ask(uint32_t type, const char *payload, uint32_t len)
{
    struct xsd_sockmsg m = { .type = type, .len = len };

    store_put(&m, sizeof(m));
    store_put(payload, len);
    notify(rings.store_port);
}

static void obey(const char *word)
{
    struct sched_shutdown down = { .reason = SHUTDOWN_poweroff };

    if (!strncmp(word, "reboot", 7))
        down.reason = SHUTDOWN_reboot;
    else if (strncmp(word, "poweroff", 9) && strncmp(word, "halt", 5))
        return;
    hc_sched_op(SCHEDOP_shutdown, &down);
}

static void serve(void)
{
    static const char watch[] = "control/shutdown\0w", feature[] = "control/feature-poweroff\0"
                                                                   "1";
    static char payload[XENSTORE_PAYLOAD_MAX + 1];
    struct xsd_sockmsg m;

    ask(XS_WRITE, feature, sizeof(feature) - 1);
    ask(XS_WATCH, watch, sizeof(watch));
    for (;;) {
        store_get(&m, sizeof(m));
        if (m.len > XENSTORE_PAYLOAD_MAX)
            return;
        store_get(payload, m.len);
        payload[m.len] = 0;
        if (m.type == XS_WATCH_EVENT)
            ask(XS_READ, "control/shutdown", 17);
        else if (m.type == XS_READ)
            obey(payload);
    }
}

void guest_main(void)
{
    const char *name = option_value("name");

    CHECK(name != NULL, "no name= on the command line");
    if (!find_rings())
        return;
    say("orlop-guest: ");
    say(name ? name : "?");
    say(": up\r\n");
    while (option_value("flood"))
        notify(rings.store_port);
    while (option_value("spin"))
        ;
    serve();
}
