/* SPDX-License-Identifier: MIT */
/*
 * Who looks at a console: a pty (pty.c) or a client of the socket (client.c). A viewer has a
 * position in the console's history and goes through it at its own pace; what the history lost
 * meanwhile, it misses and is told so.
 */
#ifndef CONSOLED_VIEWER_H
#define CONSOLED_VIEWER_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

struct console;
struct consoled;
struct viewer;

/* What the two kinds do differently. */
struct viewer_kind {
    void (*output)(struct viewer *v, const uint8_t *p, size_t n);
    void (*lost)(struct viewer *v, uint64_t n);
    void (*message)(struct viewer *v, const char *text);
    void (*end)(struct viewer *v, const char *why);
    /* Handles v->in; false: the viewer is to be closed. */
    bool (*input)(struct viewer *v);
    void (*closed)(struct viewer *v);
};

struct viewer {
    const struct viewer_kind *kind;
    struct consoled *d;
    struct console *con;         /* NULL: a client that has not asked yet, or wants no stream */
    struct viewer *next, **link; /* among con->viewers */
    int fd;
    struct event *rd, *wr;
    struct evbuffer *in, *out;
    uint64_t pos;
    bool follows; /* goes on when the history is read; if not the stream ends there */
    bool may_type;
    bool ended;    /* `end` was called: closed when all is written */
    bool failed;   /* to be freed in its next callback */
    int slave;     /* a pty's other side, which keeps it open; -1 */
    uint32_t uid;  /* a client's */
    char path[32]; /* a pty's name */
};

/* Takes the descriptor, which must not block. */
struct viewer *viewer_new(struct consoled *d, const struct viewer_kind *kind, int fd);
void viewer_free(struct viewer *v);
/* Puts it among the console's viewers, with the whole history before it. */
void viewer_join(struct viewer *v, struct console *con);
/* There may be something to write. Frees nothing. */
void viewer_kick(struct viewer *v);
/* Reads again what is typed, after the console took no more. Frees nothing. */
void viewer_listen(struct viewer *v);
void viewer_message(struct viewer *v, const char *text);

#endif
