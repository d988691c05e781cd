/* SPDX-License-Identifier: MIT */
#include "xenstored/request.h"
#include "xenstored/account.h"
#include "xenstored/domain.h"
#include "xenstored/store.h"
#include "xenstored/txn.h"
#include "xenstored/wire.h"
#include "xenstored/xs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct req {
    struct xs *xs;
    struct client *c;
    struct txn *txn;
    const struct xsd_sockmsg *msg;
    const uint8_t *payload;
    const char *str[WIRE_MAX_STRINGS];
    int n;
    struct path path;
    struct buf reply; /* empty: OK */
};

static int do_directory(struct req *r)
{
    bool end;
    uint64_t gen;
    int err = store_list(r->xs, r->c, r->txn, r->path.s, 0, XENSTORE_PAYLOAD_MAX, &r->reply, &end,
                         &gen);

    return err ? err : end ? 0 : E2BIG;
}

/* A further NUL marks the end of the list. */
static int do_directory_part(struct req *r)
{
    char text[24];
    uint64_t from, gen;
    bool end;
    struct buf names = { 0 };
    int err;

    if (!wire_number(r->str[1], UINT32_MAX, &from))
        return EINVAL;
    err = store_list(r->xs, r->c, r->txn, r->path.s, from, XENSTORE_PAYLOAD_MAX - sizeof(text) - 1,
                     &names, &end, &gen);
    if (!err) {
        snprintf(text, sizeof(text), "%" PRIu64, gen);
        buf_str(&r->reply, text);
        buf_add(&r->reply, names.p, names.len);
        if (end)
            buf_add(&r->reply, "", 1);
    }
    buf_free(&names);
    return err;
}

static int do_read(struct req *r)
{
    struct data *d;
    int err = store_read(r->xs, r->c, r->txn, r->path.s, &d);

    if (!err)
        buf_add(&r->reply, d->value, d->len);
    return err;
}

static int do_get_perms(struct req *r)
{
    struct data *d;
    int err = store_read(r->xs, r->c, r->txn, r->path.s, &d);

    for (uint32_t i = 0; !err && i < d->nperms; i++)
        perm_format(&r->reply, &d->perms[i]);
    return err;
}

static int do_set_perms(struct req *r)
{
    struct perm perms[WIRE_MAX_STRINGS];

    for (int i = 1; i < r->n; i++) {
        if (!perm_parse(r->str[i], &perms[i - 1]))
            return EINVAL;
    }
    return store_set_perms(r->xs, r->c, r->txn, r->path.s, perms, r->n - 1);
}

static int do_write(struct req *r)
{
    const uint8_t *value = (const uint8_t *)r->str[0] + strlen(r->str[0]) + 1;

    return store_write(r->xs, r->c, r->txn, r->path.s, value, r->payload + r->msg->len - value);
}

static int do_mkdir(struct req *r)
{
    return store_mkdir(r->xs, r->c, r->txn, r->path.s);
}

static int do_rm(struct req *r)
{
    return store_rm(r->xs, r->c, r->txn, r->path.s);
}

static int do_watch(struct req *r)
{
    uint64_t depth = DEPTH_ALL;
    struct buf *rec = &r->xs->journal.rec;
    struct watch *w;

    if (r->n == 3 && !wire_number(r->str[2], DEPTH_ALL, &depth))
        return EINVAL;
    if (r->path.s[0] == '@' && strcmp(r->path.s, SPECIAL_INTRODUCE) != 0 &&
        strcmp(r->path.s, SPECIAL_RELEASE) != 0)
        return EINVAL;
    if (watch_find(r->xs, r->c, r->path.s, r->str[1]))
        return EEXIST;
    if (!r->c->id.privileged && r->c->nwatches >= r->xs->quota.watches)
        return account_refuse(r->xs, r->c, "watches", E2BIG);
    if (account_room(r->xs, r->c, r->c->id.domid, watch_bytes(r->path.s, r->str[1])))
        return ENOSPC;
    w = watch_add(r->xs, r->c, r->path.s, r->str[1], r->path.rel, depth);
    if (r->c->is_ring) {
        journal_words(rec, JR_WATCH, r->c->id.domid, w->rel);
        put_u32(rec, w->depth);
        put_blob(rec, w->path, strlen(w->path));
        put_blob(rec, w->token, strlen(w->token));
    }
    watch_send(r->xs, w, w->path);
    return 0;
}

static int do_unwatch(struct req *r)
{
    struct watch *w = watch_find(r->xs, r->c, r->path.s, r->str[1]);
    struct buf *rec = &r->xs->journal.rec;

    if (!w)
        return ENOENT;
    if (r->c->is_ring) {
        put_u32(rec, JR_UNWATCH);
        put_u32(rec, r->c->id.domid);
        put_blob(rec, w->path, strlen(w->path));
        put_blob(rec, w->token, strlen(w->token));
    }
    watch_del(r->xs, w);
    return 0;
}

/* Ends a transaction without a trace. */
static void end_txn(struct xs *xs, struct txn *t)
{
    if (t->client->is_ring)
        journal_words(&xs->journal.rec, JR_TXN_END, t->client->id.domid, t->id);
    txn_free(xs, t);
}

static int do_txn_start(struct req *r)
{
    struct client *c = r->c;
    struct txn *old;
    uint32_t id = c->last_txn;
    char text[12];

    if (r->msg->tx_id)
        return EBUSY;
    /* One that nobody used for so long keeps no place. */
    if (!c->id.privileged && c->ntxns >= r->xs->quota.transactions && (old = txn_aged(c)))
        end_txn(r->xs, old);
    if (!c->id.privileged && c->ntxns >= r->xs->quota.transactions)
        return account_refuse(r->xs, c, "transactions", ENOSPC);
    if (account_room(r->xs, c, c->id.domid, sizeof(struct txn)))
        return ENOSPC;
    do {
        id++;
    } while (id == 0 || txn_find(c, id));
    txn_new(r->xs, c, id);
    if (c->is_ring)
        journal_words(&r->xs->journal.rec, JR_TXN, c->id.domid, id);
    snprintf(text, sizeof(text), "%u", id);
    buf_str(&r->reply, text);
    return 0;
}

static int do_txn_end(struct req *r)
{
    bool commit = strcmp(r->str[0], "T") == 0;

    if (!commit && strcmp(r->str[0], "F") != 0)
        return EINVAL;
    if (!r->txn)
        return ENOENT;
    if (!commit) {
        end_txn(r->xs, r->txn);
        return 0;
    }
    if (r->c->is_ring)
        journal_words(&r->xs->journal.rec, JR_TXN_END, r->c->id.domid, r->txn->id);
    return txn_commit(r->xs, r->c, r->txn);
}

static bool domid_arg(struct req *r, int i, uint16_t *domid)
{
    uint64_t v;

    if (!wire_number(r->str[i], DOMIDS - 1, &v))
        return false;
    *domid = v;
    return true;
}

static int do_introduce(struct req *r)
{
    uint16_t domid;
    uint64_t gfn, port;

    if (!domid_arg(r, 0, &domid) || !wire_number(r->str[1], UINT64_MAX, &gfn) ||
        !wire_number(r->str[2], UINT32_MAX, &port))
        return EINVAL;
    if (domid == 0)
        return EINVAL;
    if (r->xs->domains[domid] == r->c)
        return EINVAL;
    return domain_introduce(r->xs, domid, gfn, port);
}

static int known_domain(struct req *r, struct client **out)
{
    uint16_t domid;

    if (!domid_arg(r, 0, &domid))
        return EINVAL;
    *out = r->xs->domains[domid];
    return *out ? 0 : ENOENT;
}

static int do_release(struct req *r)
{
    struct client *d;
    int err = known_domain(r, &d);

    if (!err && d->id.domid == 0)
        err = EINVAL;
    return err ? err : domain_release(r->xs, d);
}

static int do_resume(struct req *r)
{
    struct client *d;
    int err = known_domain(r, &d);

    if (!err) {
        d->shutdown_seen = false;
        journal_words(&r->xs->journal.rec, JR_SHUTDOWN, d->id.domid, 0);
    }
    return err;
}

static int do_set_target(struct req *r)
{
    struct client *d;
    uint16_t target;
    int err = known_domain(r, &d);

    if (err)
        return err;
    if (!domid_arg(r, 1, &target))
        return EINVAL;
    if (!r->xs->domains[target])
        return ENOENT;
    d->id.target = target;
    journal_words(&r->xs->journal.rec, JR_TARGET, d->id.domid, target);
    return 0;
}

static int do_is_introduced(struct req *r)
{
    uint16_t domid;

    if (!domid_arg(r, 0, &domid))
        return EINVAL;
    buf_str(&r->reply, domid == 0 || r->xs->domains[domid] ? "T" : "F");
    return 0;
}

static int do_get_domain_path(struct req *r)
{
    char text[32];
    uint16_t domid;

    if (!domid_arg(r, 0, &domid))
        return EINVAL;
    snprintf(text, sizeof(text), "/local/domain/%u", domid);
    buf_str(&r->reply, text);
    return 0;
}

static int do_reset_watches(struct req *r)
{
    client_reset(r->xs, r->c);
    return 0;
}

static void say(struct buf *b, const char *name, unsigned long long value)
{
    char line[80];

    snprintf(line, sizeof(line), "%s: %llu\n", name, value);
    buf_add(b, line, strlen(line));
}

/* What a domain uses, under the names of the limits. */
static void say_used(struct req *r, uint16_t domid)
{
    struct client *d = r->xs->domains[domid];

    say(&r->reply, "nodes", r->xs->quota.owned[domid]);
    say(&r->reply, "memory", account_used(r->xs, domid));
    if (d) {
        say(&r->reply, "watches", d->nwatches);
        say(&r->reply, "transactions", d->ntxns);
        say(&r->reply, "outstanding", client_unsent(d));
    }
    buf_add(&r->reply, "", 1);
}

static int do_control(struct req *r)
{
    const char *cmd = r->str[0];
    uint16_t domid;

    if (strcmp(cmd, "help") == 0) {
        buf_str(&r->reply, "help\nquota\nquota NAME=NUMBER\nquota DOMAIN\nstats\n");
    } else if (strcmp(cmd, "quota") == 0 && r->n == 2 && domid_arg(r, 1, &domid)) {
        say_used(r, domid);
    } else if (strcmp(cmd, "quota") == 0 && r->n == 2) {
        return quota_set(&r->xs->quota, r->str[1]) ? 0 : EINVAL;
    } else if (strcmp(cmd, "quota") == 0) {
        for (unsigned i = 0; quota_name(i); i++)
            say(&r->reply, quota_name(i), quota_value(&r->xs->quota, i));
        buf_add(&r->reply, "", 1);
    } else if (strcmp(cmd, "stats") == 0) {
        say(&r->reply, "requests", r->xs->requests);
        say(&r->reply, "signals", r->xs->signals);
        say(&r->reply, "work", r->xs->work);
        say(&r->reply, "watches", r->xs->watches.count);
        say(&r->reply, "journal bytes", r->xs->journal.log.end);
        buf_add(&r->reply, "", 1);
    } else {
        return EINVAL;
    }
    return 0;
}

enum { PRIV = 1, PATH = 2, SPECIAL = 4, BINARY = 8, IN_TXN = 16 };

static const struct {
    int (*run)(struct req *r);
    uint8_t min, max, flags;
} table[XS_TYPE_COUNT] = {
    [XS_CONTROL] = { do_control, 1, 16, PRIV },
    [XS_DIRECTORY] = { do_directory, 1, 1, PATH | IN_TXN },
    [XS_READ] = { do_read, 1, 1, PATH | IN_TXN },
    [XS_GET_PERMS] = { do_get_perms, 1, 1, PATH | SPECIAL | IN_TXN },
    [XS_WATCH] = { do_watch, 2, 3, PATH | SPECIAL },
    [XS_UNWATCH] = { do_unwatch, 2, 2, PATH | SPECIAL },
    [XS_TRANSACTION_START] = { do_txn_start, 0, 1, 0 },
    [XS_TRANSACTION_END] = { do_txn_end, 1, 1, IN_TXN },
    [XS_INTRODUCE] = { do_introduce, 3, 4, PRIV },
    [XS_RELEASE] = { do_release, 1, 1, PRIV },
    [XS_GET_DOMAIN_PATH] = { do_get_domain_path, 1, 1, 0 },
    [XS_WRITE] = { do_write, 1, 1, PATH | BINARY | IN_TXN },
    [XS_MKDIR] = { do_mkdir, 1, 1, PATH | IN_TXN },
    [XS_RM] = { do_rm, 1, 1, PATH | IN_TXN },
    [XS_SET_PERMS] = { do_set_perms, 2, WIRE_MAX_STRINGS, PATH | SPECIAL | IN_TXN },
    [XS_IS_DOMAIN_INTRODUCED] = { do_is_introduced, 1, 1, 0 },
    [XS_RESUME] = { do_resume, 1, 1, PRIV },
    [XS_SET_TARGET] = { do_set_target, 2, 2, PRIV },
    [XS_RESET_WATCHES] = { do_reset_watches, 0, 1, 0 },
    [XS_DIRECTORY_PART] = { do_directory_part, 2, 2, PATH | IN_TXN },
};

/* A deep path costs for each of its components. */
static int check_depth(struct req *r)
{
    uint32_t depth = 0;

    for (const char *s = r->path.s; *s; s++)
        depth += *s == '/';
    if (r->c->id.privileged || depth <= r->xs->quota.depth)
        return 0;
    return account_refuse(r->xs, r->c, "depth", EINVAL);
}

static int run(struct req *r)
{
    uint32_t type = r->msg->type, len = r->msg->len;
    unsigned flags;

    if (type >= XS_TYPE_COUNT || !table[type].run)
        return ENOSYS;
    flags = table[type].flags;
    if ((flags & PRIV) && !r->c->id.privileged)
        return EACCES;
    if (flags & BINARY) {
        const uint8_t *nul = memchr(r->payload, 0, len);

        r->n = nul ? wire_strings(r->payload, nul + 1 - r->payload, r->str, 1) : -1;
    } else {
        r->n = wire_strings(r->payload, len, r->str, table[type].max);
    }
    if (r->n < table[type].min)
        return EINVAL;
    if ((flags & PATH) && path_resolve(&r->path, r->str[0], r->c->id.domid, flags & SPECIAL))
        return EINVAL;
    if ((flags & PATH) && check_depth(r))
        return EINVAL;
    if ((flags & IN_TXN) && r->msg->tx_id) {
        r->txn = txn_find(r->c, r->msg->tx_id);
        if (!r->txn)
            return ENOENT;
        txn_use(r->xs, r->txn);
    }
    return table[type].run(r);
}

/* Requests that reply with data do so even when it is empty. */
static bool has_data(uint32_t type)
{
    return type == XS_READ || type == XS_DIRECTORY;
}

void request_handle(struct xs *xs, struct client *c, const struct xsd_sockmsg *msg,
                    const uint8_t *payload)
{
    struct req r = { .xs = xs, .c = c, .msg = msg, .payload = payload };
    struct buf out = { 0 };
    uint32_t type = msg->type;
    int err = run(&r);

    if (err) {
        type = XS_ERROR;
        r.reply.len = 0;
        buf_str(&r.reply, wire_error(err));
    } else if (!r.reply.len && !has_data(type)) {
        buf_str(&r.reply, "OK");
    }
    wire_put(&out, type, msg->req_id, msg->tx_id, r.reply.p, r.reply.len);
    client_send(xs, c, out.p, out.len);
    buf_free(&out);
    buf_free(&r.reply);
}
