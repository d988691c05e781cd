/* SPDX-License-Identifier: MIT */
#include "xenstored/txn.h"
#include "xenstored/account.h"
#include "xenstored/store.h"
#include "xenstored/wire.h"
#include "xenstored/xs.h"

#include <stdlib.h>
#include <string.h>

/*
 * `over` has an entry for each node that the transaction changed: its content, or one without
 * permissions where there is none. CUT in its node's cgen: what the store has there and below does
 * not show, since the transaction removed it.
 */
#define CUT 1

/* What was seen at a path of the store, as the value of its entry in `saw`. */
struct seen {
    uint64_t node, children; /* gen of the content, cgen; 0: there was no node */
    unsigned what;
};

static void charge(struct xs *xs, struct txn *t, uint64_t bytes)
{
    t->bytes += bytes;
    account_add(xs, t->client->id.domid, bytes);
}

static void leave_age(struct xs *xs, struct txn *t)
{
    if (!t->older && xs->oldest != t)
        return;
    *(t->older ? &t->older->newer : &xs->oldest) = t->newer;
    *(t->newer ? &t->newer->older : &xs->newest) = t->older;
    t->older = t->newer = NULL;
}

void txn_use(struct xs *xs, struct txn *t)
{
    t->used = xs->now;
    t->aged = false;
    if (t->client->id.privileged)
        return;
    leave_age(xs, t);
    t->older = xs->newest;
    *(t->older ? &t->older->newer : &xs->oldest) = t;
    xs->newest = t;
}

struct txn *txn_new(struct xs *xs, struct client *c, uint32_t id)
{
    struct txn *t = xs_alloc(sizeof(*t));

    t->id = id;
    t->client = c;
    t->next = c->txns;
    c->txns = t;
    c->ntxns++;
    c->last_txn = id;
    charge(xs, t, sizeof(*t));
    txn_use(xs, t);
    return t;
}

struct txn *txn_find(struct client *c, uint32_t id)
{
    struct txn *t = c->txns;

    while (t && t->id != id)
        t = t->next;
    return t;
}

/* Everything that it did and saw. */
static void forget(struct xs *xs, struct txn *t)
{
    xs->work += t->nops + t->nsaw;
    for (uint32_t i = 0; i < t->nops; i++) {
        data_put(t->ops[i].set);
        free(t->ops[i].rm);
    }
    free(t->ops);
    tree_put(t->over);
    tree_put(t->saw);
    account_add(xs, t->client->id.domid, -(int64_t)t->bytes);
    t->bytes = 0;
    t->ops = NULL;
    t->over = t->saw = NULL;
    t->nops = t->nsaw = 0;
    t->owned = 0;
}

void txn_free(struct xs *xs, struct txn *t)
{
    struct txn **p = &t->client->txns;

    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    t->client->ntxns--;
    leave_age(xs, t);
    forget(xs, t);
    free(t);
}

int64_t txn_age(struct xs *xs)
{
    struct txn *t;

    while ((t = xs->oldest) && xs->now - t->used >= xs->quota.txn_idle) {
        leave_age(xs, t);
        forget(xs, t);
        charge(xs, t, sizeof(*t));
        t->doomed = t->aged = true;
    }
    return t ? t->used + xs->quota.txn_idle - xs->now : -1;
}

struct txn *txn_aged(struct client *c)
{
    struct txn *oldest = NULL;

    for (struct txn *t = c->txns; t; t = t->next) {
        if (t->aged)
            oldest = t;
    }
    return oldest;
}

/* What was seen first counts: if it has changed since, so did the answers. */
static void saw(struct xs *xs, struct txn *t, const char *path, const struct tnode *n,
                unsigned what)
{
    static const struct perm none;
    struct tnode *old = tree_find(t->saw, path);
    struct seen seen = { 0 };
    struct data *d;

    if (old)
        memcpy(&seen, old->data->value, sizeof(seen));
    what &= ~seen.what;
    if (!what)
        return;
    if (what & SAW_NODE)
        seen.node = n ? n->data->gen : 0;
    if (what & SAW_CHILDREN)
        seen.children = n ? n->cgen : 0;
    seen.what |= what;
    d = data_new(path, &none, 1, &seen, sizeof(seen));
    if (!old) {
        t->nsaw++;
        charge(xs, t, d->size);
    }
    tree_set(&t->saw, d, 0);
}

/* Whether the transaction removed the path, or something above it, from what the store shows. */
static bool hidden(struct txn *t, const char *path)
{
    char at[XENSTORE_ABS_PATH_MAX + 1];
    const char *slash = path;
    struct tnode *n;

    if (!t->over || !*path)
        return false;
    while (slash) {
        size_t len;

        slash = strchr(slash + 1, '/');
        len = slash ? (size_t)(slash - path) : strlen(path);
        memcpy(at, path, len);
        at[len] = 0;
        n = tree_find(t->over, at);
        if (n && (n->cgen & CUT))
            return true;
    }
    return false;
}

struct tnode *txn_find_node(struct xs *xs, struct txn *t, const char *path, unsigned what)
{
    struct tnode *own = tree_find(t->over, path), *n;

    /* Its own content stands over the store's, whose children may show nevertheless. */
    if (own)
        what &= ~SAW_NODE;
    if (own && !own->data->nperms)
        return NULL;
    if (!what)
        return own;
    if (hidden(t, path))
        return own;
    n = tree_find(xs->root, path);
    saw(xs, t, path, n, what);
    return own ? own : n;
}

struct tnode *txn_child(struct xs *xs, struct txn *t, const char *dir, const char *prev)
{
    bool shows = !hidden(t, dir);

    for (;;) {
        struct tnode *o = tree_child(t->over, dir, prev);
        struct tnode *n = shows ? tree_child(xs->root, dir, prev) : NULL;
        int order = !o ? 1 : !n ? -1 : tree_order(o->data->path, n->data->path);

        if (order > 0)
            return n;
        if (o->data->nperms)
            return o;
        prev = o->data->path;
    }
}

static void note(struct xs *xs, struct txn *t, struct txn_op op)
{
    if ((t->nops & (t->nops - 1)) == 0)
        t->ops = xs_realloc(t->ops, (t->nops ? t->nops * 2 : 1) * sizeof(*t->ops));
    t->ops[t->nops++] = op;
    charge(xs, t, 2 * sizeof(op) + (op.set ? op.set->size : strlen(op.rm) + 1 + 16));
}

void txn_set(struct xs *xs, struct txn *t, struct data *d, bool quiet)
{
    struct tnode *old = txn_find_node(xs, t, d->path, SAW_NODE);
    uint16_t domid = t->client->id.domid;

    t->owned += (d->perms[0].domid == domid) - (old && old->data->perms[0].domid == domid);
    note(xs, t, (struct txn_op){ .set = data_get(d), .quiet = quiet });
    tree_set(&t->over, d, 0);
}

/* All entries of a tree that are not before `path`, in order: the one behind `prev`, or the first.
 */
static struct tnode *following(struct tnode *root, const char *path, const struct tnode *prev)
{
    struct tnode *n = prev ? tree_next(root, prev->data->path) : tree_find(root, path);

    return n || prev ? n : tree_next(root, path);
}

/* The same within the subtree at `path`. */
static struct tnode *subtree(struct tnode *root, const char *path, const struct tnode *prev)
{
    struct tnode *n = following(root, path, prev);

    return n && (strcmp(n->data->path, path) == 0 || path_below(path, n->data->path)) ? n : NULL;
}

/* How many of the client's nodes there are at `path` and below, as the transaction sees it. */
static uint32_t count_owned(struct xs *xs, struct txn *t, const char *path)
{
    uint16_t domid = t->client->id.domid;
    struct tnode *n = NULL;
    uint32_t count = 0;

    while (!hidden(t, path) && (n = subtree(xs->root, path, n))) {
        xs->work++;
        count += n->data->perms[0].domid == domid && !tree_find(t->over, n->data->path) &&
                 !hidden(t, n->data->path);
    }
    n = NULL;
    while ((n = subtree(t->over, path, n)))
        count += n->data->nperms && n->data->perms[0].domid == domid;
    return count;
}

void txn_rm(struct xs *xs, struct txn *t, const char *path)
{
    struct data *none = data_new(path, NULL, 0, NULL, 0);
    struct tnode *n;

    t->owned -= count_owned(xs, t, path);
    note(xs, t, (struct txn_op){ .rm = xs_strdup(path) });
    while ((n = tree_next(t->over, path)) && path_below(path, n->data->path))
        tree_del(&t->over, n->data->path);
    charge(xs, t, none->size);
    tree_set(&t->over, none, CUT);
    tree_touch(&t->over, path, CUT);
}

static bool unchanged(struct xs *xs, struct txn *t)
{
    struct tnode *s = NULL;

    while ((s = following(t->saw, "", s))) {
        struct tnode *now = tree_find(xs->root, s->data->path);
        struct seen seen;

        xs->work++;
        memcpy(&seen, s->data->value, sizeof(seen));
        if ((seen.what & SAW_NODE) && seen.node != (now ? now->data->gen : 0))
            return false;
        if ((seen.what & SAW_CHILDREN) && seen.children != (now ? now->cgen : 0))
            return false;
    }
    return true;
}

/* Brings the accounts to what they are after the transaction (1), or back (-1). */
static void account_all(struct xs *xs, struct txn *t, int by)
{
    struct tnode *o = NULL, *n;
    const char *cut = NULL;

    while ((o = following(t->over, "", o))) {
        const char *path = o->data->path;

        xs->work++;
        if (o->data->nperms)
            account_node(xs, o->data, by);
        if (cut && path_below(cut, path))
            continue;
        if (o->cgen & CUT)
            cut = path;
        for (n = NULL; (n = subtree(xs->root, path, n)); xs->work++) {
            account_node(xs, n->data, -by);
            if (!(o->cgen & CUT))
                break;
        }
    }
    account_add(xs, t->client->id.domid, -by * (int64_t)t->bytes);
}

/* Whether the limits hold after the transaction; counted anew, since the store may have changed. */
static int check_limits(struct xs *xs, struct client *c, struct txn *t)
{
    uint32_t *nodes = &xs->quota.owned[c->id.domid], had = *nodes;
    int err = 0;

    if (c->id.privileged)
        return 0;
    account_all(xs, t, 1);
    if (*nodes > xs->quota.nodes && *nodes > had)
        err = account_refuse(xs, c, "nodes", ENOSPC);
    /* The client's own memory gets less: what the transaction took holds its nodes twice.
     * Another's, whose nodes it wrote to, may not. */
    for (uint32_t i = 0; i < t->nops && !err; i++) {
        struct data *d = t->ops[i].set;

        if (d && d->perms[0].domid != c->id.domid)
            err = account_room(xs, c, d->perms[0].domid, 0);
    }
    account_all(xs, t, -1);
    return err;
}

int txn_commit(struct xs *xs, struct client *c, struct txn *t)
{
    int err = t->doomed || !unchanged(xs, t) ? EAGAIN : check_limits(xs, c, t);

    for (uint32_t i = 0; i < t->nops && !err; i++) {
        struct txn_op *op = &t->ops[i];

        if (op->set)
            store_apply_set(xs, data_get(op->set), op->quiet);
        else
            store_apply_rm(xs, op->rm);
    }
    txn_free(xs, t);
    return err;
}
