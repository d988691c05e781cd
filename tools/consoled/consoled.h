/* SPDX-License-Identifier: MIT */
/*
 * The daemon as a whole. One process, one thread, libevent's loop; everything below runs in its
 * callbacks.
 */
#ifndef CONSOLED_CONSOLED_H
#define CONSOLED_CONSOLED_H

#include "consoled/logfile.h"
#include "consoled/platform.h"
#include "consoled/util.h"

#include <event2/event.h>

#define DOMIDS 0x7ff0    /* DOMID_FIRST_RESERVED */
#define PORTS (1u << 17) /* the ABI's limit with FIFO event channels */
#define MAX_VIEWERS 512  /* at the socket */

struct settings {
    const char *socket, *log_dir, *hypervisor_log_dir, *state_dir;
    const char *group; /* may view; NULL: nobody but root */
    bool group_types;  /* and type */
    bool hypervisor;   /* log its console too */
    struct log_limits log;
    uint64_t history;   /* bytes a guest in memory */
    uint64_t rate;      /* bytes a second that are taken from a guest */
    uint64_t keep_dead; /* seconds that a dead guest's history stays */
    uint64_t max_dead;  /* how many of them at most */
};

struct console;

struct consoled {
    struct settings set;
    struct event_base *base;
    const struct platform *plat;
    const struct store *store;
    struct console *live[DOMIDS]; /* by domain */
    unsigned top;                 /* beyond the highest of them */
    struct console *dead;         /* newest first */
    struct console *hypervisor;   /* NULL: not logged */
    struct console **by_port;     /* PORTS */
    struct event *ev_ports, *ev_store, *ev_retry, *ev_tick, *ev_listen;
    bool store_up;
    unsigned viewers; /* at the socket */
    int listener;
    unsigned group_id;
};

/* Limits and directories as the usage text has them. */
void settings_default(struct settings *s);
/* Allocates and starts the clock; no guests yet. */
void consoled_init(struct consoled *d, const struct platform *plat, const struct store *store);
/* Handles the ports that were signalled, up to a limit. */
void consoled_ports(struct consoled *d);
/* All consoles closed, state kept: what a killed daemon leaves. */
void consoled_free(struct consoled *d);

#endif
