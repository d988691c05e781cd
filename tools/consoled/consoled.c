/* SPDX-License-Identifier: MIT */
#include "consoled/consoled.h"
#include "consoled/console.h"
#include "consoled/domain.h"
#include "consoled/hypervisor.h"
#include "lib/console_proto.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT_TURN 256 /* signals that are handled before other work has its turn */

void settings_default(struct settings *s)
{
    *s = (struct settings){ .socket = CONSOLE_SOCKET,
                            .log_dir = "/var/log/orlop/consoles",
                            .hypervisor_log_dir = "/var/log/orlop",
                            .state_dir = "/run/orlop/consoled",
                            .hypervisor = true,
                            .log = { .size = 1 << 20, .keep = 3 },
                            .history = 64 << 10,
                            .rate = 256 << 10,
                            .keep_dead = 3600,
                            .max_dead = 64 };
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    if (domain_start(arg))
        con_log("connected to the store again");
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct consoled *d = arg;

    domain_tick(d);
    hypervisor_tick(d);
    if (d->ev_listen)
        event_add(d->ev_listen, NULL);
}

void consoled_ports(struct consoled *d)
{
    const struct platform *plat = d->plat;
    int port;

    for (int i = 0; i < PORT_TURN && (port = plat->next(plat->ctx)) >= 0; i++) {
        struct console *con = port < (int)PORTS ? d->by_port[port] : NULL;

        if (con && con != d->hypervisor) {
            console_event(con); /* unmasks by itself */
            continue;
        }
        if (con)
            hypervisor_read(d);
        plat->unmask(plat->ctx, port);
    }
}

static void on_ports(evutil_socket_t fd, short what, void *arg)
{
    consoled_ports(arg);
}

void consoled_init(struct consoled *d, const struct platform *plat, const struct store *store)
{
    static const struct timeval second = { 1, 0 };

    d->plat = plat;
    d->store = store;
    d->listener = -1;
    d->by_port = con_alloc(PORTS * sizeof(*d->by_port));
    d->base = event_base_new();
    d->ev_tick = event_new(d->base, -1, EV_PERSIST, on_tick, d);
    d->ev_retry = evtimer_new(d->base, on_retry, d);
    if (!d->base || !d->ev_tick || !d->ev_retry || event_add(d->ev_tick, &second) != 0)
        abort();
    if (plat->fd >= 0) {
        d->ev_ports = event_new(d->base, plat->fd, EV_READ | EV_PERSIST, on_ports, d);
        if (!d->ev_ports || event_add(d->ev_ports, NULL) != 0)
            abort();
    }
}

static void free_event(struct event **ev)
{
    if (*ev)
        event_free(*ev);
    *ev = NULL;
}

void consoled_free(struct consoled *d)
{
    for (unsigned i = 0; i < d->top; i++) {
        if (d->live[i])
            console_free(d->live[i]);
        d->live[i] = NULL;
    }
    while (d->dead) {
        struct console *con = d->dead;

        d->dead = con->next_dead;
        console_free(con);
    }
    hypervisor_stop(d);
    d->store->close(d->store->ctx);
    free_event(&d->ev_ports);
    free_event(&d->ev_store);
    free_event(&d->ev_retry);
    free_event(&d->ev_tick);
    free_event(&d->ev_listen);
    if (d->listener >= 0)
        close(d->listener);
    event_base_free(d->base);
    free(d->by_port);
    d->by_port = NULL;
    d->top = 0;
}
