/* SPDX-License-Identifier: MIT */
#include "xenstored/client.h"
#include "xenstored/account.h"
#include "xenstored/request.h"
#include "xenstored/ring.h"
#include "xenstored/txn.h"
#include "xenstored/wire.h"
#include "xenstored/xs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORK_REQUEST                                                                              \
    3                  /* what each request costs, whatever it does: together with its node, 5 us \
                        */
#define WORK_BYTES 256 /* bytes of requests, replies and records that count like a node */
#define PRIVILEGED_EVENTS (4u << 20) /* even a stopped program of Domain 0 has a limit */

struct client *client_new(struct xs *xs, uint16_t domid)
{
    struct client *c = xs_alloc(sizeof(*c));

    c->id = (struct identity){ domid, NO_TARGET, domid == 0 };
    c->fd = -1;
    c->next = xs->clients;
    if (c->next)
        c->next->pprev = &c->next;
    c->pprev = &xs->clients;
    xs->clients = c;
    return c;
}

static void forget(struct xs *xs, struct client *c)
{
    xs->work += c->nwatches;
    while (c->watches)
        watch_del(xs, c->watches);
    while (c->txns)
        txn_free(xs, c->txns);
}

static void unlink_ready(struct xs *xs, struct client *c)
{
    struct client **p = &xs->ready;

    while (*p && *p != c)
        p = &(*p)->ready_next;
    if (!*p)
        return;
    *p = c->ready_next;
    if (!*p)
        xs->ready_tail = p;
}

void client_free(struct xs *xs, struct client *c)
{
    forget(xs, c);
    if (c->is_ready)
        unlink_ready(xs, c);
    for (struct client **p = &xs->owed; *p; p = &(*p)->event_next) {
        if (*p == c) {
            *p = c->event_next;
            break;
        }
    }
    if (c->is_ring) {
        if (c->page)
            xs->plat->unmap(xs->plat->ctx, c);
        if (xs->domains[c->id.domid] == c)
            xs->domains[c->id.domid] = NULL;
    }
    if (c->fd >= 0)
        close(c->fd);
    *c->pprev = c->next;
    if (c->next)
        c->next->pprev = c->pprev;
    buf_free(&c->in);
    buf_free(&c->out);
    buf_free(&c->events);
    free(c);
}

void client_ready(struct xs *xs, struct client *c)
{
    if (c->is_ready)
        return;
    c->is_ready = true;
    c->ready_next = NULL;
    *xs->ready_tail = c;
    xs->ready_tail = &c->ready_next;
}

struct client *client_next_ready(struct xs *xs)
{
    struct client *c = xs->ready;

    if (c) {
        c->is_ready = false;
        xs->ready = c->ready_next;
        if (!xs->ready)
            xs->ready_tail = &xs->ready;
    }
    return c;
}

void client_send(struct xs *xs, struct client *c, const void *p, size_t n)
{
    struct buf *rec = &xs->journal.rec;

    if (c->dead || !n)
        return;
    buf_add(&c->out, p, n);
    if (c->is_ring) {
        put_u32(rec, JR_OUT);
        put_u32(rec, c->id.domid);
        put_blob(rec, p, n);
    }
}

static void set_lost(struct xs *xs, struct client *c, bool lost)
{
    c->lost = lost;
    if (c->is_ring)
        journal_words(&xs->journal.rec, JR_LOST, c->id.domid, lost);
}

void client_event(struct xs *xs, struct client *c, const char *path, const char *token)
{
    size_t max = c->id.privileged ? PRIVILEGED_EVENTS : xs->quota.events;
    size_t plen = strlen(path) + 1, tlen = strlen(token) + 1;
    struct xsd_sockmsg msg = { XS_WATCH_EVENT, 0, 0, plen + tlen };

    if (c->dead || c->lost || plen + tlen > XENSTORE_PAYLOAD_MAX)
        return;
    if (client_unsent(c) + c->events.len > max ||
        account_room(xs, c, c->id.domid, sizeof(msg) + plen + tlen)) {
        set_lost(xs, c, true);
        return;
    }
    buf_add(&c->events, &msg, sizeof(msg));
    buf_add(&c->events, path, plen);
    buf_add(&c->events, token, tlen);
    if (!c->owes_events) {
        c->owes_events = true;
        c->event_next = xs->owed;
        xs->owed = c;
    }
}

void client_send_events(struct xs *xs)
{
    while (xs->owed) {
        struct client *c = xs->owed;

        xs->owed = c->event_next;
        c->owes_events = false;
        client_send(xs, c, c->events.p, c->events.len);
        c->events.len = 0;
        client_ready(xs, c);
    }
}

void client_reset(struct xs *xs, struct client *c)
{
    forget(xs, c);
    if (c->is_ring)
        journal_words(&xs->journal.rec, JR_RESET, c->id.domid, 0);
}

void client_recover_events(struct xs *xs, struct client *c)
{
    if (!c->lost || client_unsent(c) || c->dead)
        return;
    set_lost(xs, c, false);
    for (struct watch *w = c->watches; w; w = w->client_next) {
        xs->work++;
        watch_send(xs, w, w->path);
    }
    client_send_events(xs);
    journal_commit(xs);
}

static void flush(struct xs *xs, struct client *c)
{
    if (c->is_ring) {
        ring_flush(xs, c);
    } else {
        while (client_unsent(c) && !c->dead) {
            ssize_t n = send(c->fd, c->out.p + c->out_off, client_unsent(c), MSG_NOSIGNAL);

            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0) {
                c->dead = n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
                break;
            }
            c->out_off += n;
        }
    }
    if (c->out_off == c->out.len || c->out_off > 65536) {
        buf_cut(&c->out, c->out_off);
        c->out_off = 0;
    }
}

/* Up to `need` bytes from the client into c->in. False: none. */
static bool fetch(struct xs *xs, struct client *c, size_t need)
{
    uint8_t block[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
    ssize_t n;

    if (c->is_ring)
        return ring_fetch(xs, c, need);
    do {
        n = recv(c->fd, block, need < sizeof(block) ? need : sizeof(block), 0);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        c->dead = n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
        return false;
    }
    buf_add(&c->in, block, n);
    return true;
}

/* Carries out the request in c->in: all of it is in one record, then the outside world sees it. */
static void serve(struct xs *xs, struct client *c, const struct xsd_sockmsg *msg)
{
    if (c->is_ring)
        journal_words(&xs->journal.rec, JR_IN_DONE, c->id.domid, c->req_cons);
    request_handle(xs, c, msg, c->in.p + sizeof(*msg));
    client_send_events(xs);
    xs->work += WORK_REQUEST + (c->in.len + xs->journal.rec.len) / WORK_BYTES;
    c->in.len = 0;
    xs->requests++;
    journal_commit(xs);
    if (c->is_ring)
        ring_consumed(xs, c);
    journal_work(xs);
}

bool client_pump(struct xs *xs, struct client *c, uint32_t turn)
{
    struct xsd_sockmsg msg;
    uint64_t until = xs->work + turn;
    size_t need;

    /* Before the ring is looked at: what comes later signals again. */
    if (c->masked)
        xs->plat->unmask(xs->plat->ctx, c);
    c->masked = false;
    if (c->is_ring)
        ring_check(xs, c);
    flush(xs, c);
    /* What a new connection cost comes on top of it. */
    c->debt += xs->work - (until - turn);
    if (c->debt >= turn) {
        c->debt -= turn;
        return !c->dead;
    }
    until = xs->work + turn - c->debt;
    c->debt = 0;
    while (!c->dead && xs->work < until) {
        client_recover_events(xs, c);
        if (client_unsent(c) > xs->quota.outstanding)
            return false;
        switch (wire_next(c->in.p, c->in.len, &msg, &need)) {
        case WIRE_MESSAGE:
            serve(xs, c, &msg);
            flush(xs, c);
            break;
        case WIRE_MORE:
            if (!fetch(xs, c, need)) {
                flush(xs, c);
                return false;
            }
            xs->work++;
            break;
        case WIRE_BAD:
            xs_log("domain %u sent a message of more than %u bytes: cut off", c->id.domid,
                   XENSTORE_PAYLOAD_MAX);
            if (c->is_ring)
                ring_cut_off(xs, c, XENSTORE_ERROR_PROTO);
            c->dead = true;
            break;
        }
    }
    c->debt = xs->work > until ? xs->work - until : 0;
    return !c->dead;
}
