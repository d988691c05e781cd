/* SPDX-License-Identifier: MIT */
/* The records of the journal: written from the state, applied to it. */
#include "xenstored/journal.h"
#include "xenstored/account.h"
#include "xenstored/txn.h"
#include "xenstored/wire.h"
#include "xenstored/xs.h"

#include <string.h>

void journal_words(struct buf *rec, uint32_t kind, uint32_t a, uint32_t b)
{
    put_u32(rec, kind);
    put_u32(rec, a);
    put_u32(rec, b);
}

void journal_node(struct buf *rec, const struct tnode *t)
{
    const struct data *d = t->data;

    put_u32(rec, JR_NODE);
    put_blob(rec, d->path, strlen(d->path));
    put_u32(rec, d->nperms);
    for (uint32_t i = 0; i < d->nperms; i++)
        put_u32(rec, d->perms[i].domid | (uint32_t)d->perms[i].bits << 16);
    put_blob(rec, d->value, d->len);
}

void record_client(struct buf *rec, struct client *c)
{
    uint32_t id = c->id.domid;

    journal_words(rec, JR_DOM, id, c->gfn);
    journal_words(rec, c->gfn >> 32, c->port, c->req_cons);
    put_u32(rec, c->rsp_prod);
    if (c->id.target != NO_TARGET)
        journal_words(rec, JR_TARGET, id, c->id.target);
    if (c->shutdown_seen)
        journal_words(rec, JR_SHUTDOWN, id, 1);
    if (c->lost)
        journal_words(rec, JR_LOST, id, 1);
    if (c->in.len) {
        journal_words(rec, JR_IN, id, c->req_cons);
        put_blob(rec, c->in.p, c->in.len);
    }
    if (client_unsent(c)) {
        put_u32(rec, JR_OUT);
        put_u32(rec, id);
        put_blob(rec, c->out.p + c->out_off, client_unsent(c));
    }
    for (struct watch *w = c->watches; w; w = w->client_next) {
        journal_words(rec, JR_WATCH, id, w->rel);
        put_u32(rec, w->depth);
        put_blob(rec, w->path, strlen(w->path));
        put_blob(rec, w->token, strlen(w->token));
    }
    for (struct txn *t = c->txns; t; t = t->next)
        journal_words(rec, JR_TXN, id, t->id);
}

static void apply_node(struct xs *xs, struct reader *r)
{
    struct perm perms[WIRE_MAX_STRINGS];
    const char *path = get_str(r);
    uint32_t n = get_u32(r), len;
    const uint8_t *value;
    struct tnode *old;
    struct data *d;

    if (n < 1 || n > WIRE_MAX_STRINGS || strlen(path) > XENSTORE_ABS_PATH_MAX) {
        r->bad = true;
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t v = get_u32(r);

        perms[i] = (struct perm){ v, v >> 16 };
    }
    value = get_blob(r, &len);
    if (r->bad)
        return;
    old = tree_find(xs->root, path);
    if (old)
        account_node(xs, old->data, -1);
    d = data_new(path, perms, n, value, len);
    account_node(xs, d, 1);
    tree_set(&xs->root, d, ++xs->gen);
}

static void apply_rm(struct xs *xs, struct reader *r)
{
    const char *path = get_str(r);
    struct tnode *n = tree_find(xs->root, path);

    while (!r->bad && n && (strcmp(path, n->data->path) == 0 || path_below(path, n->data->path))) {
        struct data *d = data_get(n->data);

        account_node(xs, d, -1);
        tree_del(&xs->root, d->path);
        data_put(d);
        n = tree_next(xs->root, path);
    }
}

static struct client *apply_dom(struct xs *xs, uint32_t id, struct reader *r)
{
    struct client *c;

    if (xs->domains[id])
        client_free(xs, xs->domains[id]);
    c = client_new(xs, id);
    c->is_ring = true;
    c->gfn = get_u32(r);
    c->gfn |= (uint64_t)get_u32(r) << 32;
    c->port = get_u32(r);
    c->req_cons = get_u32(r);
    c->rsp_prod = get_u32(r);
    xs->domains[id] = c;
    return c;
}

static void apply_watch(struct xs *xs, struct client *c, struct reader *r)
{
    uint32_t rel = get_u32(r), depth = get_u32(r);
    const char *path = get_str(r), *token = get_str(r);

    if (!r->bad && rel <= strlen(path) && strlen(path) <= XENSTORE_ABS_PATH_MAX)
        watch_add(xs, c, path, token, rel, depth);
    else
        r->bad = true;
}

static void apply_unwatch(struct xs *xs, struct client *c, struct reader *r)
{
    const char *path = get_str(r), *token = get_str(r);
    struct watch *w = watch_find(xs, c, path, token);

    if (w)
        watch_del(xs, w);
    else
        r->bad = true;
}

/* What the dead process's transactions did is lost; their ids live on and end with EAGAIN. */
static void apply_txn(struct xs *xs, struct client *c, uint32_t id)
{
    if (!txn_find(c, id))
        txn_new(xs, c, id)->doomed = true;
}

static void apply_in(struct client *c, struct reader *r)
{
    uint32_t n;
    const uint8_t *p;

    c->req_cons = get_u32(r);
    p = get_blob(r, &n);
    if (c->in.len + n <= sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)
        buf_add(&c->in, p, n);
    else
        r->bad = true;
}

static void apply_out(struct client *c, struct reader *r)
{
    uint32_t n;
    const uint8_t *p = get_blob(r, &n);

    buf_add(&c->out, p, n);
}

static void apply_to_client(struct xs *xs, struct client *c, uint32_t kind, struct reader *r)
{
    struct txn *t;

    switch (kind) {
    case JR_WATCH:
        apply_watch(xs, c, r);
        return;
    case JR_UNWATCH:
        apply_unwatch(xs, c, r);
        return;
    case JR_IN:
        apply_in(c, r);
        return;
    case JR_OUT:
        apply_out(c, r);
        return;
    case JR_RING:
        c->req_cons = get_u32(r);
        c->rsp_prod = get_u32(r);
        c->in.len = c->out.len = 0;
        return;
    default:
        break;
    }
    uint32_t v = get_u32(r);

    switch (kind) {
    case JR_DOM_DEL:
        client_free(xs, c);
        break;
    case JR_TARGET:
        c->id.target = v;
        break;
    case JR_SHUTDOWN:
        c->shutdown_seen = v;
        break;
    case JR_TXN:
        apply_txn(xs, c, v);
        break;
    case JR_TXN_END:
        t = txn_find(c, v);
        if (t)
            txn_free(xs, t);
        break;
    case JR_RESET:
        while (c->watches)
            watch_del(xs, c->watches);
        while (c->txns)
            txn_free(xs, c->txns);
        break;
    case JR_IN_DONE:
        c->req_cons = v;
        c->in.len = 0;
        break;
    case JR_LOST:
        c->lost = v;
        break;
    default:
        r->bad = true;
    }
}

bool record_apply(struct xs *xs, const uint8_t *p, size_t n)
{
    struct reader r = { p, p + n, false };

    while (!r.bad && r.p < r.end) {
        uint32_t kind = get_u32(&r), id;

        if (kind == JR_NODE) {
            apply_node(xs, &r);
        } else if (kind == JR_RM) {
            apply_rm(xs, &r);
        } else {
            id = get_u32(&r);
            if (id >= DOMIDS || (kind != JR_DOM && !xs->domains[id]))
                return false;
            if (kind == JR_DOM)
                apply_dom(xs, id, &r);
            else
                apply_to_client(xs, xs->domains[id], kind, &r);
        }
    }
    return !r.bad;
}
