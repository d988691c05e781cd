/* SPDX-License-Identifier: MIT */
/*
 * What must outlive the process to go on exactly: how much a stream has given, how long its log was
 * then, and where in its ring the next byte is. One small file a stream, mapped: what was stored
 * stays when the process is killed, at whatever instruction. It must lie on a file system in memory
 * and is worthless after a reboot.
 *
 * Order for each piece of output: log first, then this, then the ring's index. So after a kill the
 * log may be ahead of this by a part of one piece, and this ahead of the ring; console.c puts both
 * right, and no byte is lost or logged twice.
 */
#ifndef CONSOLED_STATE_H
#define CONSOLED_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct saved {
    uint64_t total;    /* bytes that the stream has given */
    uint64_t log_size; /* of the newest part of its log, at that moment */
    uint32_t cons;     /* position in the ring */
    uint32_t port;     /* which ring that was; 0: none yet */
};

struct state_page;
struct state {
    struct state_page *page; /* NULL: there is none, and everything works but a restart */
    char *path;
};

/* Opens dir/NAME. If it was made for the same identity (which run of which guest), true, and what
 * it holds in *saved; if not it begins anew, and *saved is zero. */
bool state_open(struct state *s, const char *dir, const char *name, const char *identity,
                struct saved *saved);
void state_get(const struct state *s, struct saved *saved);
void state_put(struct state *s, const struct saved *saved);
/* remove: the stream has ended. */
void state_close(struct state *s, bool remove);

#endif
