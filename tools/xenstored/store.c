/* SPDX-License-Identifier: MIT */
#include "xenstored/store.h"
#include "xenstored/account.h"
#include "xenstored/txn.h"
#include "xenstored/wire.h"
#include "xenstored/xs.h"

#include <string.h>

/* The node; a transaction remembers that it looked. */
static struct tnode *look(struct xs *xs, struct txn *t, const char *path, unsigned what)
{
    xs->work++;
    return t ? txn_find_node(xs, t, path, what) : tree_find(xs->root, path);
}

/* The nearest node above `path` that exists, from the root down: what is below one that is not
 * there is not there either. NULL for a special path. */
static struct tnode *above(struct xs *xs, struct txn *t, const char *path)
{
    char at[XENSTORE_ABS_PATH_MAX + 1];
    struct tnode *n, *last = NULL;

    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        memcpy(at, path, slash - path);
        at[slash - path] = 0;
        n = look(xs, t, at, SAW_NODE);
        if (!n)
            break;
        last = n;
    }
    return last;
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

/* Whether a transaction may look at one more path, and at each above it. */
static int txn_room(struct xs *xs, struct client *c, struct txn *t, const char *path)
{
    size_t len = strlen(path) + sizeof(struct data) + sizeof(struct tnode), depth = 2;

    if (!t || c->id.privileged)
        return 0;
    if (t->nops >= xs->quota.txn_ops || t->nsaw >= xs->quota.txn_ops)
        return account_refuse(xs, c, "transaction-nodes", ENOSPC);
    for (const char *s = path; *s; s++)
        depth += *s == '/';
    return account_room(xs, c, c->id.domid, depth * len);
}

int store_read(struct xs *xs, struct client *c, struct txn *t, const char *path, struct data **out)
{
    struct tnode *n;
    int err = txn_room(xs, c, t, path);

    if (!err)
        err = find(xs, c, t, path, SAW_NODE, PERM_READ, &n);
    if (!err)
        *out = n->data;
    return err;
}

/* The child of `dir` that follows `prev` (NULL: the first). */
static struct tnode *child(struct xs *xs, struct txn *t, const char *dir, const char *prev)
{
    xs->work++;
    return t ? txn_child(xs, t, dir, prev) : tree_child(xs->root, dir, prev);
}

int store_list(struct xs *xs, struct client *c, struct txn *t, const char *path, uint64_t from,
               size_t max, struct buf *out, bool *end, uint64_t *gen)
{
    struct tnode *n, *in_store;
    size_t plen = strlen(path) + 1;
    uint64_t at = 0;
    int err = txn_room(xs, c, t, path);

    if (!err)
        err = find(xs, c, t, path, SAW_NODE | SAW_CHILDREN, PERM_READ, &n);
    if (err)
        return err;
    in_store = tree_find(xs->root, path);
    *gen = (in_store ? in_store->cgen : 0) + (t ? t->nops : 0);
    *end = true;
    for (n = child(xs, t, path, NULL); n; n = child(xs, t, path, n->data->path)) {
        const char *name = n->data->path + plen;
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

/* The one place where a node of the store gets content. */
static void set_main(struct xs *xs, struct data *d)
{
    char parent[XENSTORE_ABS_PATH_MAX + 1];
    struct tnode *old = tree_find(xs->root, d->path);
    bool new = !old;

    xs->work += 4;
    if (old)
        account_node(xs, old->data, -1);
    account_node(xs, d, 1);
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
    xs->work += 4;
    account_node(xs, n->data, -1);
    tree_del(&xs->root, path);
    while ((n = tree_next(xs->root, path)) && path_below(path, n->data->path)) {
        struct data *d = data_get(n->data);

        xs->work += 2;
        watch_fire(xs, d->path, true, d, NULL);
        account_node(xs, d, -1);
        tree_del(&xs->root, d->path);
        data_put(d);
    }
    if (tree_find(xs->root, parent))
        tree_touch(&xs->root, parent, ++xs->gen);
}

static void set(struct xs *xs, struct txn *t, struct data *d, bool quiet)
{
    if (t)
        txn_set(xs, t, d, quiet);
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
        set(xs, t, d, !last);
    }
    data_put(like);
}

static int create(struct xs *xs, struct client *c, struct txn *t, const char *path,
                  const void *value, uint32_t len)
{
    struct tnode *top = above(xs, t, path);
    int64_t more = 0; /* signed: in a transaction the sum may be below zero for a while */
    uint64_t bytes = len, each;

    if (!top)
        return EINVAL; /* a special path: these exist or never do */
    if (!perms_allow(&c->id, top->data, PERM_WRITE))
        return EACCES;
    each = DATA_COST + top->data->nperms * sizeof(struct perm) + 4 * sizeof(struct txn_op);
    for (const char *s = path + strlen(top->data->path); *s; s++) {
        const char *slash = strchr(s + 1, '/');

        if (*s != '/')
            continue;
        more++;
        bytes += each + (slash ? (size_t)(slash - path) : strlen(path));
    }
    more += (int64_t)xs->quota.owned[c->id.domid] + (t ? t->owned : 0);
    if (!c->id.privileged && more > (int64_t)xs->quota.nodes)
        return account_refuse(xs, c, "nodes", ENOSPC);
    if (account_room(xs, c, c->id.domid, bytes))
        return ENOSPC;
    create_down(xs, c, t, path, top, value, len);
    return 0;
}

static int check_size(struct xs *xs, struct client *c, uint32_t len, uint32_t nperms)
{
    if (c->id.privileged || len + nperms * sizeof(struct perm) <= xs->quota.node_size)
        return 0;
    return account_refuse(xs, c, "node-size", ENOSPC);
}

/* Puts other content in place of a node's. In a transaction both stay, on the client's account. */
static int replace(struct xs *xs, struct client *c, struct txn *t, struct data *old, struct data *d)
{
    uint16_t payer = t ? c->id.domid : old->perms[0].domid;
    uint32_t more = t ? d->size + 4 * sizeof(struct txn_op)
                      : (d->size > old->size ? d->size - old->size : 0);

    if (more && account_room(xs, c, payer, more)) {
        data_put(d);
        return ENOSPC;
    }
    set(xs, t, d, false);
    return 0;
}

int store_write(struct xs *xs, struct client *c, struct txn *t, const char *path, const void *value,
                uint32_t len)
{
    struct tnode *n;
    int err = txn_room(xs, c, t, path);

    if (!err)
        err = check_size(xs, c, len, 1);
    if (!err)
        err = find(xs, c, t, path, SAW_NODE, PERM_WRITE, &n);
    if (err == ENOENT)
        return create(xs, c, t, path, value, len);
    if (!err)
        err = replace(xs, c, t, n->data,
                      data_new(path, n->data->perms, n->data->nperms, value, len));
    return err;
}

int store_mkdir(struct xs *xs, struct client *c, struct txn *t, const char *path)
{
    struct tnode *n;
    int err = txn_room(xs, c, t, path);

    if (!err)
        err = find(xs, c, t, path, SAW_NODE, PERM_WRITE, &n);
    return err == ENOENT ? create(xs, c, t, path, NULL, 0) : err;
}

int store_rm(struct xs *xs, struct client *c, struct txn *t, const char *path)
{
    char parent[XENSTORE_ABS_PATH_MAX + 1];
    struct tnode *n;
    int err = txn_room(xs, c, t, path);

    strcpy(parent, path);
    if (!err && !path_up(parent))
        err = EINVAL;
    if (!err)
        err = find(xs, c, t, path, SAW_NODE, PERM_WRITE, &n);
    if (err == ENOENT)
        return look(xs, t, parent, SAW_NODE) ? 0 : ENOENT;
    if (!err && t)
        txn_rm(xs, t, path);
    else if (!err)
        store_apply_rm(xs, path);
    return err;
}

int store_set_perms(struct xs *xs, struct client *c, struct txn *t, const char *path,
                    const struct perm *perms, uint32_t n)
{
    struct tnode *old;
    int err = txn_room(xs, c, t, path);

    if (!err)
        err = find(xs, c, t, path, SAW_NODE, PERM_NONE, &old);
    if (err)
        return err;
    if (!perms_owner(&c->id, old->data))
        return EACCES;
    if (!c->id.privileged && perms[0].domid != old->data->perms[0].domid)
        return EPERM;
    if (!c->id.privileged && n > xs->quota.perms)
        return account_refuse(xs, c, "perms", ENOSPC);
    err = check_size(xs, c, old->data->len, n);
    if (!err)
        err = replace(xs, c, t, old->data,
                      data_new(path, perms, n, old->data->value, old->data->len));
    return err;
}
