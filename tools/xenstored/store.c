/* SPDX-License-Identifier: MIT */
#include "xenstored/store.h"
#include "xenstored/txn.h"
#include "xenstored/wire.h"
#include "xenstored/xs.h"

#include <string.h>

static struct tnode **root_of(struct xs *xs, struct txn *t)
{
    return t ? &t->root : &xs->root;
}

/* The node, and a transaction remembers that it looked. */
static struct tnode *look(struct xs *xs, struct txn *t, const char *path, unsigned what)
{
    if (t)
        txn_saw(t, path, what);
    return tree_find(*root_of(xs, t), path);
}

/* The nearest node above `path` that exists. */
static struct tnode *above(struct xs *xs, struct txn *t, const char *path)
{
    char at[XENSTORE_ABS_PATH_MAX + 1];
    struct tnode *n = NULL;

    strcpy(at, path);
    while (!n && path_up(at))
        n = look(xs, t, at, SAW_NODE);
    return n;
}

/* Finds a node that the client may use so. What it may not even look for does not "not exist". */
static int find(struct xs *xs, struct client *c, struct txn *t, const char *path, unsigned what,
                unsigned bits, struct tnode **out)
{
    struct tnode *n = look(xs, t, path, what), *p;

    *out = n;
    if (n)
        return perms_allow(&c->id, n->data, bits) ? 0 : EACCES;
    p = above(xs, t, path);
    return p && !perms_allow(&c->id, p->data, bits) ? EACCES : ENOENT;
}

static int txn_room(struct xs *xs, struct client *c, struct txn *t)
{
    if (t && !c->id.privileged && (t->nops > xs->quota.txn_ops || t->nsaw > xs->quota.txn_ops))
        return ENOSPC;
    return 0;
}

int store_read(struct xs *xs, struct client *c, struct txn *t, const char *path, struct data **out)
{
    struct tnode *n;
    int err = txn_room(xs, c, t);

    if (!err)
        err = find(xs, c, t, path, SAW_NODE, PERM_READ, &n);
    if (!err)
        *out = n->data;
    return err;
}

int store_list(struct xs *xs, struct client *c, struct txn *t, const char *path, uint64_t from,
               size_t max, struct buf *out, bool *end, uint64_t *gen)
{
    struct tnode *n, *root, *child;
    size_t plen = strlen(path) + 1;
    uint64_t at = 0;
    int err = txn_room(xs, c, t);

    if (!err)
        err = find(xs, c, t, path, SAW_NODE | SAW_CHILDREN, PERM_READ, &n);
    if (err)
        return err;
    *gen = n->cgen;
    *end = true;
    root = *root_of(xs, t);
    for (child = tree_child(root, path, NULL); child; child = tree_child(root, path, child)) {
        const char *name = child->data->path + plen;
        size_t len = strlen(name) + 1;

        if (at >= from) {
            if (out->len + len > max) {
                *end = false;
                return 0;
            }
            buf_str(out, name);
        }
        at += len;
    }
    return 0;
}

static void count(struct xs *xs, const struct data *d, int by)
{
    xs->quota.owned[d->perms[0].domid] += by;
}

/* The one place where a node of the store gets content. */
static void set_main(struct xs *xs, struct data *d)
{
    char parent[XENSTORE_ABS_PATH_MAX + 1];
    struct tnode *old = tree_find(xs->root, d->path);
    bool new = !old;

    if (old)
        count(xs, old->data, -1);
    count(xs, d, 1);
    tree_set(&xs->root, d, ++xs->gen);
    strcpy(parent, d->path);
    if (new &&path_up(parent) && tree_find(xs->root, parent))
        tree_touch(&xs->root, parent, ++xs->gen);
    journal_node(&xs->journal.rec, tree_find(xs->root, d->path));
}

void store_apply_set(struct xs *xs, struct data *d, bool quiet)
{
    struct tnode *old = tree_find(xs->root, d->path);
    struct data *before = old ? data_get(old->data) : NULL;

    set_main(xs, d);
    if (!quiet)
        watch_fire(xs, d->path, false, before, d);
    data_put(before);
}

void store_apply_rm(struct xs *xs, const char *path)
{
    char parent[XENSTORE_ABS_PATH_MAX + 1];
    struct tnode *n = tree_find(xs->root, path);
    struct buf *rec = &xs->journal.rec;

    strcpy(parent, path);
    if (!n || !path_up(parent))
        return;
    put_u32(rec, JR_RM);
    put_blob(rec, path, strlen(path));
    watch_fire(xs, path, false, n->data, NULL);
    count(xs, n->data, -1);
    tree_del(&xs->root, path);
    while ((n = tree_next(xs->root, path)) && path_below(path, n->data->path)) {
        struct data *d = data_get(n->data);

        watch_fire(xs, d->path, true, d, NULL);
        count(xs, d, -1);
        tree_del(&xs->root, d->path);
        data_put(d);
    }
    if (tree_find(xs->root, parent))
        tree_touch(&xs->root, parent, ++xs->gen);
}

static void set_txn(struct xs *xs, struct client *c, struct txn *t, struct data *d, bool quiet)
{
    char parent[XENSTORE_ABS_PATH_MAX + 1];
    struct tnode *old = tree_find(t->root, d->path);
    bool new = !old;

    t->owned += (d->perms[0].domid == c->id.domid) -
                (old && old->data->perms[0].domid == c->id.domid);
    txn_note(t, (struct txn_op){ .set = data_get(d), .quiet = quiet });
    tree_set(&t->root, d, ++xs->gen);
    strcpy(parent, d->path);
    if (new &&path_up(parent) && tree_find(t->root, parent))
        tree_touch(&t->root, parent, ++xs->gen);
}

static void set(struct xs *xs, struct client *c, struct txn *t, struct data *d, bool quiet)
{
    if (t)
        set_txn(xs, c, t, d, quiet);
    else
        store_apply_set(xs, d, quiet);
}

/* Makes `path`, and first the parents that are missing below `top`. */
static void create_down(struct xs *xs, struct client *c, struct txn *t, const char *path,
                        struct tnode *top, const void *value, uint32_t len)
{
    size_t plen = strlen(path), at = strlen(top->data->path);
    struct data *like = data_get(top->data), *d;
    struct perm owner = like->perms[0];
    char part[XENSTORE_ABS_PATH_MAX + 1];

    if (!c->id.privileged)
        owner.domid = c->id.domid;
    while (at < plen) {
        const char *slash = strchr(path + at + 1, '/');
        bool last = !slash;

        at = last ? plen : slash - path;
        memcpy(part, path, at);
        part[at] = 0;
        d = data_new(part, like->perms, like->nperms, last ? value : NULL, last ? len : 0);
        d->perms[0] = owner;
        set(xs, c, t, d, !last);
    }
    data_put(like);
}

static int create(struct xs *xs, struct client *c, struct txn *t, const char *path,
                  const void *value, uint32_t len)
{
    struct tnode *top = above(xs, t, path);
    int64_t more = 0; /* signed: in a transaction the sum may be below zero for a while */

    if (!top)
        return EINVAL; /* a special path: these exist or never do */
    if (!perms_allow(&c->id, top->data, PERM_WRITE))
        return EACCES;
    for (const char *s = path + strlen(top->data->path); *s; s++)
        more += *s == '/';
    more += (int64_t)xs->quota.owned[c->id.domid] + (t ? t->owned : 0);
    if (!c->id.privileged && more > (int64_t)xs->quota.nodes)
        return ENOSPC;
    create_down(xs, c, t, path, top, value, len);
    return 0;
}

static bool too_big(struct xs *xs, struct client *c, uint32_t len, uint32_t nperms)
{
    return !c->id.privileged && len + nperms * sizeof(struct perm) > xs->quota.node_size;
}

int store_write(struct xs *xs, struct client *c, struct txn *t, const char *path, const void *value,
                uint32_t len)
{
    struct tnode *n;
    int err = txn_room(xs, c, t);

    if (!err && too_big(xs, c, len, 1))
        err = ENOSPC;
    if (!err)
        err = find(xs, c, t, path, SAW_NODE, PERM_WRITE, &n);
    if (err == ENOENT)
        return create(xs, c, t, path, value, len);
    if (!err)
        set(xs, c, t, data_new(path, n->data->perms, n->data->nperms, value, len), false);
    return err;
}

int store_mkdir(struct xs *xs, struct client *c, struct txn *t, const char *path)
{
    struct tnode *n;
    int err = txn_room(xs, c, t);

    if (!err)
        err = find(xs, c, t, path, SAW_NODE, PERM_WRITE, &n);
    return err == ENOENT ? create(xs, c, t, path, NULL, 0) : err;
}

static void rm_txn(struct xs *xs, struct client *c, struct txn *t, const char *path)
{
    char parent[XENSTORE_ABS_PATH_MAX + 1];
    struct tnode *n = tree_find(t->root, path);

    txn_note(t, (struct txn_op){ .rm = xs_strdup(path) });
    do {
        struct data *d = data_get(n->data);

        t->owned -= d->perms[0].domid == c->id.domid;
        tree_del(&t->root, d->path);
        data_put(d);
        n = tree_next(t->root, path);
    } while (n && path_below(path, n->data->path));
    strcpy(parent, path);
    if (path_up(parent) && tree_find(t->root, parent))
        tree_touch(&t->root, parent, ++xs->gen);
}

int store_rm(struct xs *xs, struct client *c, struct txn *t, const char *path)
{
    char parent[XENSTORE_ABS_PATH_MAX + 1];
    struct tnode *n;
    int err = txn_room(xs, c, t);

    strcpy(parent, path);
    if (!err && !path_up(parent))
        err = EINVAL;
    if (!err)
        err = find(xs, c, t, path, SAW_NODE, PERM_WRITE, &n);
    if (err == ENOENT)
        return look(xs, t, parent, SAW_NODE) ? 0 : ENOENT;
    if (!err && t)
        rm_txn(xs, c, t, path);
    else if (!err)
        store_apply_rm(xs, path);
    return err;
}

int store_set_perms(struct xs *xs, struct client *c, struct txn *t, const char *path,
                    const struct perm *perms, uint32_t n)
{
    struct tnode *old;
    int err = txn_room(xs, c, t);

    if (!err)
        err = find(xs, c, t, path, SAW_NODE, PERM_NONE, &old);
    if (err)
        return err;
    if (!perms_owner(&c->id, old->data))
        return EACCES;
    if (!c->id.privileged && perms[0].domid != old->data->perms[0].domid)
        return EPERM;
    if (too_big(xs, c, old->data->len, n) || (!c->id.privileged && n > xs->quota.perms))
        return ENOSPC;
    set(xs, c, t, data_new(path, perms, n, old->data->value, old->data->len), false);
    return 0;
}
