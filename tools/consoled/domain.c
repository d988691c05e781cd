/* SPDX-License-Identifier: MIT */
#include "consoled/domain.h"
#include "consoled/console.h"
#include "consoled/pty.h"
#include "consoled/viewer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 500    /* until the store is tried again */
#define PTY_LINGER 1000 /* ms for a pty's reader to take the last output */

static char *get(struct consoled *d, uint32_t domid, const char *node)
{
    char path[96];

    snprintf(path, sizeof(path), "/local/domain/%u/%s", domid, node);
    return d->store->read(d->store->ctx, path);
}

static bool get_number(struct consoled *d, uint32_t domid, const char *node, uint64_t max,
                       uint64_t *value)
{
    char *text = get(d, domid, node);
    bool ok = con_number(text, 0, max, value);

    free(text);
    return ok;
}

static void watch_both(struct consoled *d, struct console *con, bool on)
{
    static const char *const nodes[] = { "console", "name" };
    char path[64], token[16];

    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "/local/domain/%u/%s", con->domid, nodes[i]);
        snprintf(token, sizeof(token), "%u", con->domid);
        if (on)
            d->store->watch(d->store->ctx, path, token);
        else
            d->store->unwatch(d->store->ctx, path, token);
    }
}

/* Only while the guest's nodes are there: nothing is left in the store for one that is gone. */
static void publish_tty(struct console *con)
{
    const struct store *st = con->d->store;
    char path[64], beside[64];

    if (!con->pty)
        return;
    snprintf(path, sizeof(path), "/local/domain/%u/console/tty", con->domid);
    snprintf(beside, sizeof(beside), "/local/domain/%u/console/ring-ref", con->domid);
    if (!st->write_beside(st->ctx, path, con->pty->path, beside))
        con_log("domain %u (%s): cannot write console/tty to the store: %s", con->domid, con->name,
                strerror(errno));
}

static void load_name(struct console *con, char *name, size_t size)
{
    char *text = get(con->d, con->domid, "name");

    if (text && *text)
        snprintf(name, size, "%s", text);
    else if (con->known)
        snprintf(name, size, "%s", con->name);
    else
        snprintf(name, size, "dom%u", con->domid);
    free(text);
}

static void begin(struct console *con, const char *name)
{
    struct consoled *d = con->d;
    uint64_t limit = d->set.history;
    char *vm = get(d, con->domid, "vm");

    get_number(d, con->domid, "console/limit", INT64_MAX, &limit);
    if (limit > d->set.history)
        limit = d->set.history;
    snprintf(con->identity, sizeof(con->identity), "%u %.100s", con->domid, vm ? vm : "");
    free(vm);
    console_begin(con, name, limit);
}

/* Whether the console is ours to serve: PV guests have no device model behind theirs. */
static bool ours(struct console *con)
{
    char *type = get(con->d, con->domid, "console/type");
    bool yes = !type || strcmp(type, "xenconsoled") == 0;

    free(type);
    return yes;
}

/* Brings a console in line with its nodes in the store. */
static void load(struct console *con)
{
    struct consoled *d = con->d;
    char name[sizeof(con->name)];
    uint64_t gfn, port;

    if (!get_number(d, con->domid, "console/ring-ref", INT64_MAX, &gfn) ||
        !get_number(d, con->domid, "console/port", PORTS - 1, &port) || !port || !ours(con))
        return;
    load_name(con, name, sizeof(name));
    if (!con->known)
        begin(con, name);
    else
        console_rename(con, name);
    if (con->state != CONSOLE_WAITING) {
        if (con->gfn == gfn && con->port == port)
            return;
        console_disconnect(con, CONSOLE_WAITING);
    }
    if (!console_connect(con, gfn, port))
        return;
    if (!con->pty)
        pty_open(con);
    publish_tty(con);
}

static void add(struct consoled *d, uint32_t domid)
{
    struct console *con;

    if (!d->plat->alive(d->plat->ctx, domid))
        return;
    con = d->live[domid] = console_new(d, domid);
    if (d->top <= domid)
        d->top = domid + 1;
    watch_both(d, con, true);
    load(con);
}

/* Guests that are new. */
static void scan(struct consoled *d)
{
    unsigned n = 0;
    char **names = d->store->list(d->store->ctx, "/local/domain", &n);
    uint64_t domid;

    for (unsigned i = 0; names && i < n; i++) {
        if (con_number(names[i], 1, DOMIDS - 1, &domid) && !d->live[domid])
            add(d, domid);
    }
    free(names);
}

/* At most max_dead are remembered. */
static void trim_dead(struct consoled *d)
{
    struct console **p = &d->dead;

    for (uint64_t n = 0; *p && n < d->set.max_dead; n++)
        p = &(*p)->next_dead;
    while (*p) {
        struct console *con = *p;

        *p = con->next_dead;
        console_free(con);
    }
}

static void end(struct consoled *d, struct console *con)
{
    d->live[con->domid] = NULL;
    while (d->top && !d->live[d->top - 1])
        d->top--;
    watch_both(d, con, false);
    if (!con->known) {
        console_free(con);
        return;
    }
    console_end(con);
    con->next_dead = d->dead;
    d->dead = con;
    trim_dead(d);
}

static void look_for_ends(struct consoled *d)
{
    for (unsigned i = d->top; i-- > 0;) {
        if (d->live[i] && !d->plat->alive(d->plat->ctx, i))
            end(d, d->live[i]);
    }
}

static void fired(struct consoled *d, const char *path, const char *token)
{
    size_t len = strlen(path);
    uint64_t domid;

    if (strcmp(token, "introduce") == 0)
        scan(d);
    else if (strcmp(token, "release") == 0)
        look_for_ends(d);
    else if (len > 4 && strcmp(path + len - 4, "/tty") == 0)
        return; /* that was us */
    else if (con_number(token, 1, DOMIDS - 1, &domid) && d->live[domid])
        load(d->live[domid]);
}

static void on_store(evutil_socket_t fd, short what, void *arg)
{
    domain_store_event(arg);
}

static void store_lost(struct consoled *d)
{
    struct timeval tv = { RETRY_MS / 1000, RETRY_MS % 1000 * 1000 };

    if (d->ev_store)
        event_free(d->ev_store);
    d->ev_store = NULL;
    d->store_up = false;
    d->store->close(d->store->ctx);
    evtimer_add(d->ev_retry, &tv);
}

static void check_store(struct consoled *d)
{
    if (!d->store_up || d->store->connected(d->store->ctx))
        return;
    con_log("the connection to the store is lost: trying again until xenstored is back");
    store_lost(d);
}

void domain_store_event(struct consoled *d)
{
    char path[256], token[16];

    while (d->store->next(d->store->ctx, path, sizeof(path), token, sizeof(token)))
        fired(d, path, token);
    if (errno != EAGAIN && errno != EINTR)
        check_store(d);
}

bool domain_start(struct consoled *d)
{
    const struct store *st = d->store;

    if (!st->open(st->ctx) || !st->watch(st->ctx, "@introduceDomain", "introduce") ||
        !st->watch(st->ctx, "@releaseDomain", "release")) {
        store_lost(d);
        return false;
    }
    if (st->fd(st->ctx) >= 0) {
        d->ev_store = event_new(d->base, st->fd(st->ctx), EV_READ | EV_PERSIST, on_store, d);
        if (!d->ev_store || event_add(d->ev_store, NULL) != 0)
            abort();
    }
    d->store_up = true;
    for (unsigned i = 0; i < d->top; i++) {
        if (d->live[i])
            watch_both(d, d->live[i], true);
    }
    look_for_ends(d);
    scan(d);
    return true;
}

static void expire(struct consoled *d, int64_t now)
{
    struct console **p = &d->dead;

    while (*p) {
        struct console *con = *p;

        if (con->pty && now - con->died >= PTY_LINGER)
            viewer_free(con->pty);
        if (now - con->died < (int64_t)d->set.keep_dead * 1000) {
            p = &con->next_dead;
            continue;
        }
        *p = con->next_dead;
        console_free(con);
    }
}

void domain_tick(struct consoled *d)
{
    check_store(d);
    for (unsigned i = 0; i < d->top; i++) {
        struct console *con = d->live[i];

        if (con && con->known && con->state == CONSOLE_WAITING)
            load(con);
    }
    expire(d, con_now());
}

static bool matches(const struct console *con, const char *key, bool number, uint64_t domid)
{
    return con->known && (number ? con->domid == domid : strcmp(con->name, key) == 0);
}

static struct console *find_live(struct consoled *d, const char *key, bool number, uint64_t domid)
{
    for (unsigned i = 0; i < d->top; i++) {
        if (d->live[i] && matches(d->live[i], key, number, domid))
            return d->live[i];
    }
    return NULL;
}

struct console *domain_find(struct consoled *d, const char *key)
{
    uint64_t domid = 0;
    bool number = con_number(key, 1, DOMIDS - 1, &domid);
    struct console *con;

    /* A guest that was made a moment ago: its watch may not have fired yet. */
    con = find_live(d, key, number, domid);
    if (!con) {
        scan(d);
        con = find_live(d, key, number, domid);
    }
    if (con)
        return con;
    if (d->hypervisor && strcmp(key, d->hypervisor->name) == 0)
        return d->hypervisor;
    for (con = d->dead; con && !matches(con, key, number, domid); con = con->next_dead)
        ;
    return con;
}

void domain_each(struct consoled *d, void (*f)(struct consoled *, struct console *, void *),
                 void *arg)
{
    if (d->hypervisor)
        f(d, d->hypervisor, arg);
    for (unsigned i = 0; i < d->top; i++) {
        if (d->live[i])
            f(d, d->live[i], arg);
    }
    for (struct console *con = d->dead; con; con = con->next_dead)
        f(d, con, arg);
}
