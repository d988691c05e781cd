/* SPDX-License-Identifier: MIT */
#include "xenstored/watch.h"
#include "xenstored/account.h"
#include "xenstored/wire.h"
#include "xenstored/xs.h"

#include <stdlib.h>
#include <string.h>

void watch_index_init(struct watch_index *ix)
{
    ix->size = 256;
    ix->count = 0;
    ix->slot = xs_alloc(ix->size * sizeof(*ix->slot));
    ix->seed = xs_random();
}

void watch_index_free(struct watch_index *ix)
{
    free(ix->slot);
    ix->slot = NULL;
}

/* From left to right: what is hashed of a path's start goes into the hash of the whole. */
static uint64_t mix(uint64_t h, char c)
{
    return (h ^ (unsigned char)c) * 0x9e3779b97f4a7c15 + (h >> 29);
}

static uint32_t hash(const struct watch_index *ix, const char *s)
{
    uint64_t h = ix->seed;

    for (; *s; s++)
        h = mix(h, *s);
    return h >> 32;
}

static void grow(struct watch_index *ix)
{
    uint32_t size = ix->size * 2;
    struct watch **slot = xs_alloc(size * sizeof(*slot));

    for (uint32_t i = 0; i < ix->size; i++) {
        struct watch *w = ix->slot[i], *next;

        for (; w; w = next) {
            next = w->hash_next;
            w->hash_next = slot[w->hash & (size - 1)];
            slot[w->hash & (size - 1)] = w;
        }
    }
    free(ix->slot);
    ix->slot = slot;
    ix->size = size;
}

struct watch *watch_find(struct xs *xs, struct client *c, const char *path, const char *token)
{
    uint32_t h = hash(&xs->watches, path);
    struct watch *w = xs->watches.slot[h & (xs->watches.size - 1)];

    while (w && !(w->client == c && strcmp(w->path, path) == 0 && strcmp(w->token, token) == 0))
        w = w->hash_next;
    return w;
}

size_t watch_bytes(const char *path, const char *token)
{
    return sizeof(struct watch) + strlen(path) + strlen(token) + 3 * 16;
}

struct watch *watch_add(struct xs *xs, struct client *c, const char *path, const char *token,
                        uint32_t rel, uint32_t depth)
{
    struct watch_index *ix = &xs->watches;
    struct watch *w = xs_alloc(sizeof(*w));
    struct watch **slot;

    if (ix->count++ >= ix->size)
        grow(ix);
    w->client = c;
    w->path = xs_strdup(path);
    w->token = xs_strdup(token);
    w->rel = rel;
    w->depth = depth;
    w->hash = hash(ix, path);
    slot = &ix->slot[w->hash & (ix->size - 1)];
    w->hash_next = *slot;
    *slot = w;
    w->client_next = c->watches;
    if (w->client_next)
        w->client_next->client_pprev = &w->client_next;
    w->client_pprev = &c->watches;
    c->watches = w;
    c->nwatches++;
    account_add(xs, c->id.domid, watch_bytes(path, token));
    return w;
}

void watch_del(struct xs *xs, struct watch *w)
{
    struct watch_index *ix = &xs->watches;
    struct watch **p = &ix->slot[w->hash & (ix->size - 1)];

    while (*p != w)
        p = &(*p)->hash_next;
    *p = w->hash_next;
    ix->count--;
    *w->client_pprev = w->client_next;
    if (w->client_next)
        w->client_next->client_pprev = w->client_pprev;
    w->client->nwatches--;
    account_add(xs, w->client->id.domid, -(int64_t)watch_bytes(w->path, w->token));
    free(w->path);
    free(w->token);
    free(w);
}

void watch_send(struct xs *xs, struct watch *w, const char *path)
{
    client_event(xs, w->client, *path ? path + w->rel : "/", w->token);
}

static bool may_see(const struct watch *w, struct data *before, struct data *after)
{
    const struct identity *id = &w->client->id;

    return (before && perms_allow(id, before, PERM_READ)) ||
           (after && perms_allow(id, after, PERM_READ));
}

/* The watches at the first `len` bytes of `path`, whose hash is h. */
static void fire_at(struct xs *xs, const char *path, size_t len, uint32_t h, uint32_t depth,
                    struct data *before, struct data *after)
{
    struct watch *w = xs->watches.slot[h & (xs->watches.size - 1)];

    for (; w; w = w->hash_next) {
        xs->work++;
        if (w->hash == h && depth <= w->depth && strncmp(w->path, path, len) == 0 &&
            !w->path[len] && may_see(w, before, after))
            watch_send(xs, w, path);
    }
}

void watch_fire(struct xs *xs, const char *path, bool exact, struct data *before,
                struct data *after)
{
    uint32_t hashes[XENSTORE_ABS_PATH_MAX / 2 + 2]; /* of each path above, the root's first */
    uint32_t at[XENSTORE_ABS_PATH_MAX / 2 + 2], n = 0, depth = 0;
    uint64_t h = xs->watches.seed;
    size_t len;

    for (len = 0; path[len]; len++) {
        if (path[len] == '/') {
            at[n] = len;
            hashes[n++] = h >> 32;
        }
        h = mix(h, path[len]);
    }
    fire_at(xs, path, len, h >> 32, depth, before, after);
    while (!exact && n--)
        fire_at(xs, path, at[n], hashes[n], ++depth, before, after);
}
