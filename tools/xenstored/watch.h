/* SPDX-License-Identifier: MIT */
/*
 * Watches, found by the hash of their path: a change looks at its own path and those above, however
 * many watches there are elsewhere.
 */
#ifndef XENSTORED_WATCH_H
#define XENSTORED_WATCH_H

#include "xenstored/tree.h"

#include <stdint.h>

#define DEPTH_ALL 0xffffffffu

struct xs;
struct client;

struct watch {
    struct watch *hash_next;
    struct watch *client_next, **client_pprev;
    struct client *client;
    uint32_t hash;
    uint32_t rel;   /* events leave out so many bytes at the start of the path */
    uint32_t depth; /* how far below the path changes count */
    char *path, *token;
};

struct watch_index {
    struct watch **slot;
    uint32_t size, count; /* size is a power of two */
    uint64_t seed;
};

void watch_index_init(struct watch_index *ix);
void watch_index_free(struct watch_index *ix);

/* What a watch takes in memory. */
size_t watch_bytes(const char *path, const char *token);

struct watch *watch_find(struct xs *xs, struct client *c, const char *path, const char *token);
struct watch *watch_add(struct xs *xs, struct client *c, const char *path, const char *token,
                        uint32_t rel, uint32_t depth);
void watch_del(struct xs *xs, struct watch *w);

/* One event of this watch for a path at or below its own. */
void watch_send(struct xs *xs, struct watch *w, const char *path);

/*
 * The node at `path` changed from `before` to `after` (either may be NULL). Watches at the path,
 * and unless `exact` above it, fire for clients that may read either.
 */
void watch_fire(struct xs *xs, const char *path, bool exact, struct data *before,
                struct data *after);

#endif
