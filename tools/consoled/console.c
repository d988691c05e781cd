/* SPDX-License-Identifier: MIT */
#include "consoled/console.h"
#include "consoled/viewer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAKE_COST 64     /* what a signal costs of the rate, in bytes: floods of them are floods */
#define INPUT_LIMIT 1024 /* typed and not yet taken by the guest */
#define OFFENCES 16      /* impossible indices until a ring is no longer served */
#define AHEAD_MAX 16384  /* a log is never further ahead of its state: one piece of output */

static void on_resume(evutil_socket_t fd, short what, void *arg);

struct console *console_new(struct consoled *d, uint32_t domid)
{
    struct console *con = con_alloc(sizeof(*con));

    con->d = d;
    con->domid = domid;
    con->local = -1;
    con->log.fd = -1;
    con->input = evbuffer_new();
    con->resume = evtimer_new(d->base, on_resume, con);
    if (!con->input || !con->resume)
        abort();
    bucket_init(&con->bucket, d->set.rate, d->set.rate, con_now());
    return con;
}

void console_free(struct console *con)
{
    while (con->viewers)
        viewer_free(con->viewers);
    if (con->state == CONSOLE_CONNECTED)
        console_disconnect(con, CONSOLE_WAITING);
    event_free(con->resume);
    evbuffer_free(con->input);
    history_free(&con->hist);
    log_close(&con->log);
    state_close(&con->saved, false);
    free(con);
}

/* A line of ours between the runs of guests with the same name. Only in the log. */
static void log_mark(struct console *con, const char *what)
{
    char line[256], when[32];
    time_t now = time(NULL);
    struct tm tm;
    int n;

    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S %z", localtime_r(&now, &tm));
    if (con->domid == HYPERVISOR_ID)
        n = snprintf(line, sizeof(line), "--- %s: hypervisor: %s ---\n", when, what);
    else
        n = snprintf(line, sizeof(line), "--- %s: domain %u (%.100s): %s ---\r\n", when, con->domid,
                     con->name, what);
    log_write(&con->log, line, n);
}

static void remember(struct console *con, uint32_t cons)
{
    struct saved s = { con->hist.end, con->log.size, cons, con->port };

    state_put(&con->saved, &s);
}

/* The history of an earlier process is the end of the log; what is beyond log_size comes again. */
static void refill(struct console *con, const struct saved *s, uint64_t history)
{
    uint64_t ahead = con->log.size > s->log_size ? con->log.size - s->log_size : 0;
    uint64_t want = s->total < history ? s->total : history;
    size_t n;
    uint8_t *buf;

    if (!con->log.path || ahead > AHEAD_MAX)
        ahead = 0;
    buf = con_alloc(want + ahead + 1);
    n = con->log.path ? log_tail(con->log.path, buf, want + ahead) : 0;
    n = n > ahead ? n - ahead : 0;
    history_init(&con->hist, history, s->total - n);
    history_add(&con->hist, buf, n);
    free(buf);
}

void console_begin(struct console *con, const char *name, uint64_t history)
{
    struct consoled *d = con->d;
    const char *dir = con->domid == HYPERVISOR_ID ? d->set.hypervisor_log_dir : d->set.log_dir;
    struct saved s;
    char file[16];
    bool again;

    con->known = true;
    snprintf(con->name, sizeof(con->name), "%s", name);
    if (con->domid == HYPERVISOR_ID)
        snprintf(file, sizeof(file), "hypervisor");
    else
        snprintf(file, sizeof(file), "%u", con->domid);
    log_open(&con->log, dir, name, &d->set.log);
    again = state_open(&con->saved, d->set.state_dir, file, con->identity, &s);
    if (again) {
        refill(con, &s, history);
        con->resumes = s.port;
        con->ring.out_cons = s.cons;
    } else {
        history_init(&con->hist, history, 0);
        log_mark(con, "log begins");
    }
}

void console_rename(struct console *con, const char *name)
{
    struct consoled *d = con->d;

    if (strcmp(con->name, name) == 0)
        return;
    snprintf(con->name, sizeof(con->name), "%s", name);
    log_close(&con->log);
    log_open(&con->log, d->set.log_dir, name, &d->set.log);
    log_mark(con, "has this name now");
    remember(con, con->ring.out_cons);
}

static void complain(struct console *con, const char *what)
{
    if (!con->complained)
        con_log("domain %u (%s): cannot %s: %s; trying again each second", con->domid, con->name,
                what, strerror(errno));
    con->complained = true;
}

/* Goes on where the log ends: see state.h for what a kill may have left. */
static void catch_up(struct console *con, uint32_t cons)
{
    uint8_t buf[RING_OUT];
    size_t done;
    int n;

    ring_set_out_cons(&con->ring, cons);
    n = ring_peek(&con->ring, buf, sizeof(buf));
    if (n < 0) {
        ring_resync(&con->ring);
        return;
    }
    done = console_logged(con, buf, n);
    history_add(&con->hist, buf, done);
    ring_consume(&con->ring, done);
}

bool console_connect(struct console *con, uint64_t gfn, uint32_t port)
{
    const struct platform *plat = con->d->plat;
    bool again = con->resumes == port;
    uint32_t cons = con->ring.out_cons;
    void *page = plat->map(plat->ctx, con->domid, gfn, &con->granted);

    if (!page) {
        complain(con, "map its console page");
        return false;
    }
    con->local = plat->bind(plat->ctx, con->domid, port);
    if (con->local < 0 || con->local >= (int)PORTS) {
        complain(con, "bind its console's event channel (does another console daemon, such as "
                      "xenconsoled, serve it?)");
        plat->unmap(plat->ctx, page, con->granted);
        con->local = -1;
        return false;
    }
    con->complained = false;
    con->gfn = gfn;
    con->port = port;
    con->offences = 0;
    con->resumes = 0;
    con->d->by_port[con->local] = con;
    ring_attach(&con->ring, page);
    if (again)
        catch_up(con, cons);
    remember(con, con->ring.out_cons);
    con->state = CONSOLE_CONNECTED;
    /* What was written before there was anybody to signal. */
    console_event(con);
    plat->notify(plat->ctx, con->local);
    return true;
}

void console_output(struct console *con, const void *p, size_t n, uint32_t cons)
{
    if (!n)
        return;
    log_write(&con->log, p, n);
    history_add(&con->hist, p, n);
    remember(con, cons);
    for (struct viewer *v = con->viewers; v; v = v->next)
        viewer_kick(v);
}

size_t console_logged(struct console *con, const void *p, size_t n)
{
    struct saved s = { 0 };
    uint8_t *buf = con_alloc(n + 1);
    size_t ahead;

    state_get(&con->saved, &s);
    ahead = log_read_from(&con->log, s.log_size, buf, n);
    /* Only what is the same: another program may have written to the log, or emptied it. */
    if (memcmp(buf, p, ahead) != 0)
        ahead = 0;
    free(buf);
    return ahead;
}

/* Takes one piece of output. False: the indices are impossible. */
static bool take(struct console *con, int *got)
{
    uint8_t buf[RING_OUT];

    *got = ring_peek(&con->ring, buf, sizeof(buf));
    if (*got < 0)
        return false;
    if (*got) {
        console_output(con, buf, *got, con->ring.out_cons + *got);
        ring_consume(&con->ring, *got);
    }
    return true;
}

/* Gives the guest what was typed, as far as there is room. False: the indices are impossible. */
static bool give(struct console *con, int *given)
{
    uint8_t buf[INPUT_LIMIT];
    ev_ssize_t n = evbuffer_copyout(con->input, buf, sizeof(buf));

    *given = 0;
    if (n <= 0)
        return true;
    *given = ring_write(&con->ring, buf, n);
    if (*given < 0)
        return false;
    evbuffer_drain(con->input, *given);
    return true;
}

static void offend(struct console *con)
{
    if (con->offences++ == 0)
        con_log("domain %u (%s) has impossible indices in its console ring: what is in it is lost",
                con->domid, con->name);
    if (con->offences < OFFENCES) {
        ring_resync(&con->ring);
        return;
    }
    con_log("domain %u (%s): its console ring is no longer served; it is again when its "
            "console/port in the store changes, or when this daemon is started again",
            con->domid, con->name);
    console_disconnect(con, CONSOLE_DISABLED);
    for (struct viewer *v = con->viewers; v; v = v->next)
        viewer_message(v, "this guest's console ring held impossible indices: it is no longer "
                          "served");
}

static void hold(struct console *con)
{
    int64_t ms = bucket_wait(&con->bucket, con->d->set.rate / 16);
    struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

    con->held = true;
    evtimer_add(con->resume, &tv);
}

void console_event(struct console *con)
{
    const struct platform *plat = con->d->plat;
    bool had_room = console_takes_input(con);
    int got = 0, given = 0;

    if (con->state != CONSOLE_CONNECTED || con->held)
        return;
    if (bucket_level(&con->bucket, con_now()) <= 0) {
        hold(con);
        return;
    }
    if (!take(con, &got) || !give(con, &given))
        offend(con);
    bucket_spend(&con->bucket, WAKE_COST + (got > 0 ? got : 0));
    if (con->state != CONSOLE_CONNECTED)
        return;
    if (got > 0 || given > 0)
        plat->notify(plat->ctx, con->local);
    plat->unmask(plat->ctx, con->local);
    if (!had_room && console_takes_input(con)) {
        for (struct viewer *v = con->viewers; v; v = v->next)
            viewer_listen(v);
    }
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct console *con = arg;

    con->held = false;
    console_event(con);
}

bool console_takes_input(const struct console *con)
{
    return con->state != CONSOLE_CONNECTED || evbuffer_get_length(con->input) < INPUT_LIMIT;
}

void console_input(struct console *con, const void *p, size_t n)
{
    const struct platform *plat = con->d->plat;
    int given;

    if (con->state != CONSOLE_CONNECTED)
        return;
    evbuffer_add(con->input, p, n);
    if (!give(con, &given))
        offend(con);
    else if (given > 0)
        plat->notify(plat->ctx, con->local);
}

void console_disconnect(struct console *con, enum console_state state)
{
    const struct platform *plat = con->d->plat;
    int got;

    if (con->state != CONSOLE_CONNECTED) {
        con->state = state;
        return;
    }
    if (state == CONSOLE_DEAD)
        take(con, &got);
    evtimer_del(con->resume);
    con->held = false;
    con->state = state;
    con->d->by_port[con->local] = NULL;
    plat->unbind(plat->ctx, con->local);
    con->local = -1;
    plat->unmap(plat->ctx, (void *)con->ring.page, con->granted);
    con->ring.page = NULL;
    evbuffer_drain(con->input, evbuffer_get_length(con->input));
    for (struct viewer *v = con->viewers; v; v = v->next)
        viewer_listen(v);
}

void console_end(struct console *con)
{
    console_disconnect(con, CONSOLE_DEAD);
    log_mark(con, "has ended");
    con->died = con_now();
    log_close(&con->log);
    state_close(&con->saved, true);
    for (struct viewer *v = con->viewers; v; v = v->next)
        viewer_kick(v);
}

const char *console_state_name(const struct console *con)
{
    static const char *const names[] = { "waiting", "connected", "disabled", "dead" };

    return con->domid == HYPERVISOR_ID ? "hypervisor" : names[con->state];
}
