/* SPDX-License-Identifier: MIT */
#include "xenstored/watch.h"
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

static uint32_t hash(const struct watch_index *ix, const char *s)
{
    uint64_t h = ix->seed;

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x9e3779b97f4a7c15 + (h >> 29);
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

void watch_fire(struct xs *xs, const char *path, bool exact, struct data *before,
                struct data *after)
{
    char at[XENSTORE_ABS_PATH_MAX + 1];
    uint32_t depth = 0;

    strcpy(at, path);
    do {
        uint32_t h = hash(&xs->watches, at);
        struct watch *w = xs->watches.slot[h & (xs->watches.size - 1)];

        for (; w; w = w->hash_next) {
            if (w->hash == h && depth <= w->depth && strcmp(w->path, at) == 0 &&
                may_see(w, before, after))
                watch_send(xs, w, path);
        }
        depth++;
    } while (!exact && path_up(at));
}
