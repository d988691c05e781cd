/* SPDX-License-Identifier: MIT */
#include "xenstored/txn.h"
#include "xenstored/store.h"
#include "xenstored/wire.h"
#include "xenstored/xs.h"

#include <stdlib.h>

struct txn *txn_new(struct xs *xs, struct client *c, uint32_t id)
{
    struct txn *t = xs_alloc(sizeof(*t));

    t->id = id;
    t->base = tree_get(xs->root);
    t->root = tree_get(xs->root);
    t->next = c->txns;
    c->txns = t;
    c->ntxns++;
    c->last_txn = id;
    return t;
}

struct txn *txn_find(struct client *c, uint32_t id)
{
    struct txn *t = c->txns;

    while (t && t->id != id)
        t = t->next;
    return t;
}

void txn_free(struct client *c, struct txn *t)
{
    struct txn **p = &c->txns;

    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    c->ntxns--;
    for (uint32_t i = 0; i < t->nops; i++) {
        data_put(t->ops[i].set);
        free(t->ops[i].rm);
    }
    free(t->ops);
    tree_put(t->base);
    tree_put(t->root);
    tree_put(t->saw);
    free(t);
}

void txn_saw(struct txn *t, const char *path, unsigned what)
{
    static const struct perm none;
    struct tnode *old = tree_find(t->saw, path);
    uint8_t flags = what | (old ? *old->data->value : 0);

    if (old && *old->data->value == flags)
        return;
    t->nsaw += !old;
    tree_set(&t->saw, data_new(path, &none, 1, &flags, 1), 0);
}

void txn_note(struct txn *t, struct txn_op op)
{
    if ((t->nops & (t->nops - 1)) == 0)
        t->ops = xs_realloc(t->ops, (t->nops ? t->nops * 2 : 1) * sizeof(*t->ops));
    t->ops[t->nops++] = op;
}

/* Contents are objects that never change: the same object means that nothing happened. */
static bool unchanged(struct xs *xs, struct txn *t)
{
    struct tnode *s;

    if (t->base == xs->root)
        return true;
    s = tree_find(t->saw, "");
    if (!s)
        s = tree_next(t->saw, "");
    for (; s; s = tree_next(t->saw, s->data->path)) {
        struct tnode *was = tree_find(t->base, s->data->path);
        struct tnode *now = tree_find(xs->root, s->data->path);
        uint8_t flags = *s->data->value;

        if (!was != !now)
            return false;
        if (was && (flags & SAW_NODE) && was->data != now->data)
            return false;
        if (was && (flags & SAW_CHILDREN) && was->cgen != now->cgen)
            return false;
    }
    return true;
}

int txn_commit(struct xs *xs, struct client *c, struct txn *t)
{
    int err = 0;

    if (t->doomed || !unchanged(xs, t))
        err = EAGAIN;
    else if (!c->id.privileged && t->owned > 0 &&
             xs->quota.owned[c->id.domid] + t->owned > xs->quota.nodes)
        err = ENOSPC;
    for (uint32_t i = 0; i < t->nops && !err; i++) {
        struct txn_op *op = &t->ops[i];

        if (op->set)
            store_apply_set(xs, data_get(op->set), op->quiet);
        else
            store_apply_rm(xs, op->rm);
    }
    txn_free(c, t);
    return err;
}
