/* SPDX-License-Identifier: MIT */
#include "consoled/viewer.h"
#include "consoled/console.h"
#include "lib/console_proto.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define TURN 16         /* pieces that are written before others have their turn */
#define OUT_LIMIT 65536 /* not yet written, beyond which messages are dropped */

/* Freed where no caller holds it: in its own callback. */
static void fail(struct viewer *v)
{
    v->failed = true;
    event_active(v->wr, EV_WRITE, 0);
}

/* Puts the next piece into v->out; false: there is none. */
static bool next_piece(struct viewer *v)
{
    uint8_t buf[CONSOLE_FRAME_MAX];
    struct console *con = v->con;
    size_t n;

    if (!con || v->ended)
        return false;
    if (v->pos < con->hist.start) {
        v->kind->lost(v, con->hist.start - v->pos);
        v->pos = con->hist.start;
    }
    n = history_read(&con->hist, v->pos, buf, sizeof(buf));
    v->pos += n;
    if (n) {
        v->kind->output(v, buf, n);
    } else if (con->state == CONSOLE_DEAD || !v->follows) {
        v->ended = true;
        v->kind->end(v, con->state == CONSOLE_DEAD ? "the guest has ended" : "end of the history");
    }
    return evbuffer_get_length(v->out) != 0;
}

void viewer_kick(struct viewer *v)
{
    int turns = 0;

    if (v->failed)
        return;
    while (evbuffer_get_length(v->out) || next_piece(v)) {
        if (turns++ == TURN) {
            event_add(v->wr, NULL);
            return;
        }
        if (evbuffer_write(v->out, v->fd) < 0) {
            if (errno == EAGAIN || errno == EINTR)
                event_add(v->wr, NULL);
            else
                fail(v);
            return;
        }
    }
    if (v->ended && v->slave < 0)
        fail(v);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
    struct viewer *v = arg;

    if (v->failed)
        viewer_free(v);
    else
        viewer_kick(v);
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    struct viewer *v = arg;
    int n;

    if (v->failed) {
        viewer_free(v);
        return;
    }
    n = evbuffer_read(v->in, v->fd, CONSOLE_FRAME_MAX);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        event_add(v->rd, NULL);
        return;
    }
    if (n <= 0 || !v->kind->input(v)) {
        viewer_free(v);
        return;
    }
    viewer_kick(v);
    viewer_listen(v);
}

void viewer_listen(struct viewer *v)
{
    /* What cannot be typed is not read: whoever types waits. */
    if (v->failed || (v->con && !console_takes_input(v->con)))
        return;
    event_add(v->rd, NULL);
}

struct viewer *viewer_new(struct consoled *d, const struct viewer_kind *kind, int fd)
{
    struct viewer *v = con_alloc(sizeof(*v));

    v->d = d;
    v->kind = kind;
    v->fd = fd;
    v->slave = -1;
    v->in = evbuffer_new();
    v->out = evbuffer_new();
    v->rd = event_new(d->base, fd, EV_READ, on_read, v);
    v->wr = event_new(d->base, fd, EV_WRITE, on_write, v);
    if (!v->in || !v->out || !v->rd || !v->wr)
        abort();
    event_add(v->rd, NULL);
    return v;
}

void viewer_free(struct viewer *v)
{
    if (v->kind->closed)
        v->kind->closed(v);
    if (v->con) {
        *v->link = v->next;
        if (v->next)
            v->next->link = v->link;
    }
    event_free(v->rd);
    event_free(v->wr);
    evbuffer_free(v->in);
    evbuffer_free(v->out);
    close(v->fd);
    if (v->slave >= 0)
        close(v->slave);
    free(v);
}

void viewer_join(struct viewer *v, struct console *con)
{
    v->con = con;
    v->pos = con->hist.start;
    v->link = &con->viewers;
    v->next = con->viewers;
    if (v->next)
        v->next->link = &v->next;
    con->viewers = v;
}

void viewer_message(struct viewer *v, const char *text)
{
    if (v->ended || evbuffer_get_length(v->out) > OUT_LIMIT)
        return;
    v->kind->message(v, text);
    viewer_kick(v);
}
