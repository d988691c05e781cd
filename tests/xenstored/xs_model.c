/* SPDX-License-Identifier: MIT */
/*
 * Random requests of several domains against a naive model: nodes in an array; a transaction is the
 * list of its requests and answers. A commit that succeeds must be as if all its requests were made
 * at that moment: they are made on the model again, and each must have the same answer. One that
 * gets EAGAIN must have had a reason. Now and then the daemon is thrown away and another recovers
 * its journal. The accounts are counted anew after each step.
 *
 * Arguments are test names; XS_SEED and XS_STEPS in the environment change the run.
 */
#include "unit.h"
#include "sim.h"
#include "xenstored/txn.h"

#define DOMS 5 /* 0..4; domain 0 is privileged */
#define MAXN 400

struct mnode {
    char path[64], value[24];
    struct perm perms[3];
    int nperms;
};

struct world {
    struct mnode n[MAXN];
    int count;
};

struct ask {
    uint32_t type;
    char path[64], value[24];
    struct perm perms[3];
    int nperms;
};

struct mtxn {
    bool open, changed; /* changed: the store has changed since the start */
    bool odd;           /* an answer was neither now's nor could it be: no commit */
    uint32_t id;
    struct ask asks[24];
    char answers[24][1200];
    int n;
};

struct mwatch {
    char path[64], token[8];
    bool used;
};

static struct world store;
static struct mtxn txns[DOMS];
static struct mwatch watches[DOMS][6];
static char expect[DOMS][4000][80];
static int nexpect[DOMS];
static uint64_t seed;

static uint32_t rnd(uint32_t n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (seed >> 33) % n;
}

static struct mnode *mfind(struct world *w, const char *path)
{
    for (int i = 0; i < w->count; i++) {
        if (strcmp(w->n[i].path, path) == 0)
            return &w->n[i];
    }
    return NULL;
}

static bool mallow(int dom, const struct mnode *n, unsigned bits)
{
    if (dom == 0 || n->perms[0].domid == dom)
        return true;
    for (int i = 1; i < n->nperms; i++) {
        if (n->perms[i].domid == dom)
            return (n->perms[i].bits & bits) == bits;
    }
    return (n->perms[0].bits & bits) == bits;
}

static struct mnode *mabove(struct world *w, const char *path)
{
    char p[64];
    struct mnode *n = NULL;

    strcpy(p, path);
    while (!n && strrchr(p, '/')) {
        *strrchr(p, '/') = 0;
        n = mfind(w, p);
    }
    return n;
}

/* Notes the events of a change at `path`; only of the store itself. */
static void mfire(struct world *w, const char *path, const struct mnode *a, const struct mnode *b,
                  bool exact)
{
    if (w != &store)
        return;
    for (int d = 0; d < DOMS; d++) {
        for (int i = 0; i < 6; i++) {
            struct mwatch *mw = &watches[d][i];
            size_t l = strlen(mw->path);

            if (!mw->used || !((a && mallow(d, a, PERM_READ)) || (b && mallow(d, b, PERM_READ))))
                continue;
            if (strcmp(mw->path, path) == 0 ||
                (!exact && strncmp(mw->path, path, l) == 0 && path[l] == '/'))
                snprintf(expect[d][nexpect[d]++], 80, "%s %s", *path ? path : "/", mw->token);
        }
    }
}

static const char *mcreate(struct world *w, int dom, const char *path, const char *value)
{
    struct mnode *top = mabove(w, path), like;
    size_t at;

    if (!mallow(dom, top, PERM_WRITE))
        return "EACCES";
    like = *top;
    at = strlen(top->path);
    if (dom)
        like.perms[0].domid = dom;
    like.value[0] = 0;
    while (at < strlen(path)) {
        const char *s = strchr(path + at + 1, '/');

        at = s ? (size_t)(s - path) : strlen(path);
        memcpy(like.path, path, at);
        like.path[at] = 0;
        if (!s)
            strcpy(like.value, value);
        w->n[w->count++] = like;
    }
    mfire(w, path, NULL, &like, false);
    return "OK";
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Names sorted, each followed by a comma. */
static void mlist(struct world *w, const char *path, char *out)
{
    char names[MAXN][24];
    int n = 0;
    size_t l = strlen(path);

    for (int i = 0; i < w->count; i++) {
        const char *p = w->n[i].path;

        if (strncmp(p, path, l) == 0 && p[l] == '/' && !strchr(p + l + 1, '/'))
            strcpy(names[n++], p + l + 1);
    }
    qsort(names, n, sizeof(names[0]), by_name);
    out[0] = 0;
    for (int i = 0; i < n; i++)
        sprintf(out + strlen(out), "%s,", names[i]);
}

static void mremove(struct world *w, const char *path)
{
    size_t l = strlen(path);
    struct mnode n = *mfind(w, path);

    mfire(w, path, &n, NULL, false);
    for (int i = 0; i < w->count;) {
        const char *p = w->n[i].path;

        if (strncmp(p, path, l) != 0 || (p[l] && p[l] != '/')) {
            i++;
            continue;
        }
        n = w->n[i];
        w->n[i] = w->n[--w->count];
        if (strcmp(n.path, path) != 0)
            mfire(w, n.path, &n, NULL, true);
    }
}

static void mperms(const struct mnode *n, char *out)
{
    out[0] = 0;
    for (int i = 0; i < n->nperms; i++)
        sprintf(out + strlen(out), "%c%u,", "nrwb"[n->perms[i].bits], n -> perms[i].domid);
}

/* The answer that the protocol asks for, as text. */
static void manswer(struct world *w, int dom, const struct ask *a, char *out)
{
    struct mnode *n = mfind(w, a->path), *top, old;
    bool reads = a->type == XS_READ || a->type == XS_DIRECTORY || a->type == XS_GET_PERMS;
    unsigned bits = reads ? PERM_READ : a->type == XS_SET_PERMS ? 0 : PERM_WRITE;

    strcpy(out, "OK");
    if (n && !mallow(dom, n, bits)) {
        strcpy(out, "EACCES");
    } else if (!n && (top = mabove(w, a->path)) && !mallow(dom, top, bits)) {
        strcpy(out, "EACCES");
    } else if (!n && (a->type == XS_WRITE || a->type == XS_MKDIR)) {
        strcpy(out, mcreate(w, dom, a->path, a->type == XS_WRITE ? a->value : ""));
    } else if (!n && a->type == XS_RM) {
        char up[64];

        strcpy(up, a->path);
        *strrchr(up, '/') = 0;
        strcpy(out, mfind(w, up) ? "OK" : "ENOENT");
    } else if (!n) {
        strcpy(out, "ENOENT");
    } else if (a->type == XS_READ) {
        strcpy(out, n->value);
    } else if (a->type == XS_DIRECTORY) {
        mlist(w, a->path, out);
    } else if (a->type == XS_GET_PERMS) {
        mperms(n, out);
    } else if (a->type == XS_RM) {
        mremove(w, a->path);
    } else if (a->type == XS_WRITE) {
        strcpy(n->value, a->value);
        mfire(w, a->path, n, n, false);
    } else if (a->type == XS_SET_PERMS) {
        if (dom && n->perms[0].domid != dom) {
            strcpy(out, "EACCES");
        } else if (dom && a->perms[0].domid != dom) {
            strcpy(out, "EPERM");
        } else {
            old = *n;
            memcpy(n->perms, a->perms, sizeof(n->perms));
            n->nperms = a->nperms;
            mfire(w, a->path, &old, n, false);
        }
    }
}

static void random_path(char *out)
{
    static const char *const name[] = { "a", "b", "c-", "d", "b0" };
    int depth = 1 + rnd(3);

    strcpy(out, "/m");
    while (depth--)
        sprintf(out + strlen(out), "/%s", name[rnd(5)]);
}

/* Now and then at, above or below where the domain was last: what a change did has to show. */
static void next_path(int dom, char *out)
{
    static char last[DOMS][64];
    char *slash;

    if (!last[dom][0] || rnd(2)) {
        random_path(out);
    } else {
        strcpy(out, last[dom]);
        slash = strrchr(out, '/');
        if (rnd(3) == 0 && slash > out + 2)
            *slash = 0;
        else if (rnd(2) && strlen(out) < 40)
            strcat(out, rnd(2) ? "/a" : "/b");
    }
    strcpy(last[dom], out);
}

static struct ask random_ask(int dom)
{
    static const uint32_t types[] = {
        XS_READ,  XS_READ,  XS_DIRECTORY, XS_GET_PERMS, XS_WRITE,
        XS_WRITE, XS_WRITE, XS_MKDIR,     XS_RM,        XS_SET_PERMS
    };
    struct ask a = { .type = types[rnd(10)] };

    next_path(dom, a.path);
    sprintf(a.value, "v%u", rnd(1000000));
    a.nperms = 1 + rnd(3);
    for (int i = 0; i < a.nperms; i++)
        a.perms[i] = (struct perm){ rnd(DOMS), rnd(4) };
    return a;
}

static struct xs xs;

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* All messages that came: the one reply's text to `reply`, events compared with the expected ones.
 */
static void collect(int from, char *reply)
{
    struct xsd_sockmsg msg;
    struct buf p = { 0 };
    static char got[4000][80];

    reply[0] = 0;
    for (int d = 0; d < DOMS; d++) {
        int n = 0, replies = 0;

        while (sim_take(d, &msg, &p)) {
            if (msg.type == XS_WATCH_EVENT) {
                snprintf(got[n++], 80, "%s %s", p.p, p.p + strlen((char *)p.p) + 1);
                continue;
            }
            replies++;
            for (size_t i = 0; i + 1 < p.len; i++) {
                if (!p.p[i])
                    p.p[i] = ',';
            }
            snprintf(reply, 1200, "%s", (char *)p.p);
            if (msg.type == XS_DIRECTORY && p.len)
                strcat(reply, ",");
            if (msg.type == XS_GET_PERMS)
                strcat(reply, ",");
        }
        CHECK_EQ(replies, d == from);
        CHECK_EQ(n, nexpect[d]);
        qsort(got, n, 80, by_text);
        qsort(expect[d], nexpect[d], 80, by_text);
        for (int i = 0; i < n && i < nexpect[d]; i++)
            CHECK_STR(got[i], expect[d][i]);
        nexpect[d] = 0;
    }
    buf_free(&p);
}

static void send_ask(int dom, uint32_t tx, const struct ask *a)
{
    struct buf b = { 0 };

    buf_str(&b, a->path);
    if (a->type == XS_WRITE)
        buf_add(&b, a->value, strlen(a->value));
    for (int i = 0; a->type == XS_SET_PERMS && i < a->nperms; i++)
        perm_format(&b, &a->perms[i]);
    sim_put(dom, a->type, tx, b.p, b.len);
    buf_free(&b);
    sim_run(&xs, 0, DOMS - 1);
}

static void changed(int by)
{
    for (int d = 0; d < DOMS; d++)
        txns[d].changed = true;
}

/* What a request in the transaction must give: as if all so far were made now. */
static void in_txn(int dom, const struct ask *a, char *want)
{
    static struct world w;
    static char again[1200];
    struct mtxn *t = &txns[dom];

    w = store;
    for (int i = 0; i < t->n; i++)
        manswer(&w, dom, &t->asks[i], again);
    manswer(&w, dom, a, want);
}

static void one_ask(int dom)
{
    struct ask a = random_ask(dom);
    struct mtxn *t = &txns[dom];
    static char want[1200], got[1200];
    bool in = t->open && t->n < 24 && rnd(3);

    if (in)
        in_txn(dom, &a, want);
    else
        manswer(&store, dom, &a, want);
    send_ask(dom, in ? t->id : 0, &a);
    collect(dom, got);
    if (in && t->changed && strcmp(got, want) != 0)
        t->odd = true;
    else
        CHECK_STR(got, want);
    if (in) {
        t->asks[t->n] = a;
        strcpy(t->answers[t->n++], got);
    } else if (a.type >= XS_WRITE && strcmp(want, "OK") == 0) {
        changed(dom);
    }
}

static void txn_begin(int dom)
{
    struct mtxn *t = &txns[dom];
    char got[1200];

    sim_put(dom, XS_TRANSACTION_START, 0, "", 1);
    sim_run(&xs, 0, DOMS - 1);
    collect(dom, got);
    t->open = true;
    t->changed = t->odd = false;
    t->n = 0;
    t->id = atoi(got);
    CHECK(t->id != 0);
}

static unsigned commits, conflicts;

static void txn_finish(int dom, bool doomed)
{
    struct mtxn *t = &txns[dom];
    static char got[1200], again[1200];
    static struct world before;

    static int nbefore[DOMS];

    before = store;
    memcpy(nbefore, nexpect, sizeof(nbefore));
    sim_put(dom, XS_TRANSACTION_END, t->id, rnd(5) ? "T" : "F", 2);
    bool commit = sim_out[dom].p[sim_out[dom].len - 2] == 'T';
    sim_run(&xs, 0, DOMS - 1);
    t->open = false;
    /* Whether it went through shows only in the reply; replay first, and take it back if not. */
    bool same = true;
    for (int i = 0; commit && i < t->n; i++) {
        manswer(&store, dom, &t->asks[i], again);
        same &= strcmp(again, t->answers[i]) == 0;
    }
    struct xsd_sockmsg msg;
    size_t need;
    sim_move(dom);
    CHECK(wire_next(sim_in[dom].p, sim_in[dom].len, &msg, &need) == WIRE_MESSAGE);
    if (commit && msg.type == XS_ERROR) {
        store = before;
        memcpy(nexpect, nbefore, sizeof(nbefore));
    }
    collect(dom, got);
    if (!commit) {
        CHECK_STR(got, "OK");
    } else if (strcmp(got, "OK") == 0) {
        CHECK(same);
        CHECK(!t->odd);
        CHECK(!doomed);
        commits++;
        changed(dom);
    } else {
        CHECK_STR(got, "EAGAIN");
        CHECK(t->changed || doomed);
        conflicts++;
    }
}

static void one_watch(int dom)
{
    int i = rnd(6);
    struct mwatch *w = &watches[dom][i];
    struct buf b = { 0 };
    char got[1200];

    if (!w->used) {
        random_path(w->path);
        if (rnd(4) == 0)
            strcpy(w->path, "/m");
        sprintf(w->token, "t%d", i);
    }
    buf_str(&b, w->path);
    buf_str(&b, w->token);
    sim_put(dom, w->used ? XS_UNWATCH : XS_WATCH, 0, b.p, b.len);
    if (!w->used)
        snprintf(expect[dom][nexpect[dom]++], 80, "%s %s", w->path, w->token);
    w->used = !w->used;
    sim_run(&xs, 0, DOMS - 1);
    collect(dom, got);
    CHECK_STR(got, "OK");
    buf_free(&b);
}

static void start_daemon(const char *dir)
{
    xs_init(&xs, &sim_plat);
    xs.journal.min_log = 20000; /* checkpoints come often */
    xs.quota.nodes = xs.quota.transactions = 100000;
    CHECK_EQ(journal_open(&xs, dir), 0);
    domain_reconnect_all(&xs);
}

/* The whole tree, against the model. */
static void compare(void)
{
    int n = 0;

    for (struct tnode *t = tree_find(xs.root, "/m"); t; t = tree_next(xs.root, t->data->path)) {
        struct mnode *m = mfind(&store, t->data->path);

        if (strncmp(t->data->path, "/m", 2) != 0)
            break;
        n++;
        CHECK(m != NULL);
        if (!m)
            return;
        CHECK_EQ(t->data->len, strlen(m->value));
        CHECK(memcmp(t->data->value, m->value, t->data->len) == 0);
        CHECK_EQ(t->data->nperms, m->nperms);
        CHECK(memcmp(t->data->perms, m->perms, m->nperms * sizeof(struct perm)) == 0);
    }
    CHECK_EQ(n, store.count);
}

/* Nodes and bytes of each domain, from what there is. */
static void audit(void)
{
    uint64_t bytes[DOMS] = { 0 };
    uint32_t nodes[DOMS] = { 0 };

    for (struct tnode *t = tree_find(xs.root, ""); t; t = tree_next(xs.root, t->data->path)) {
        CHECK(t->data->perms[0].domid < DOMS);
        nodes[t->data->perms[0].domid]++;
        bytes[t->data->perms[0].domid] += t->data->size;
    }
    for (struct client *c = xs.clients; c; c = c->next) {
        for (struct watch *w = c->watches; w; w = w->client_next)
            bytes[c->id.domid] += watch_bytes(w->path, w->token);
        for (struct txn *t = c->txns; t; t = t->next)
            bytes[c->id.domid] += t->bytes;
    }
    for (int d = 0; d < DOMS; d++) {
        CHECK_EQ(xs.quota.owned[d], nodes[d]);
        CHECK_EQ(xs.quota.bytes[d], bytes[d]);
    }
}

TEST(random_requests)
{
    char *dir = sim_dir();
    int steps = getenv("XS_STEPS") ? atoi(getenv("XS_STEPS")) : 20000;
    struct ask first = { .type = XS_MKDIR, .path = "/m", .nperms = 1 };
    char got[1200];

    seed = getenv("XS_SEED") ? strtoull(getenv("XS_SEED"), NULL, 0) : 11;
    sim_init();
    start_daemon(dir);
    for (int d = 0; d < DOMS; d++) {
        CHECK_EQ(domain_introduce(&xs, d, 0, 0), 0);
        journal_commit(&xs);
    }
    send_ask(0, 0, &first);
    collect(0, got);
    first.type = XS_SET_PERMS;
    first.perms[0].bits = PERM_READ | PERM_WRITE;
    send_ask(0, 0, &first);
    collect(0, got);
    strcpy(store.n[0].path, "/m");
    store.n[0].nperms = 1;
    store.n[0].perms[0] = first.perms[0];
    store.count = 1;
    for (int i = 0; i < steps && !unit_failures; i++) {
        int dom = rnd(DOMS);
        uint32_t what = rnd(100);

        if (what < 8) {
            if (!txns[dom].open)
                txn_begin(dom);
            else
                txn_finish(dom, false);
        } else if (what < 12) {
            one_watch(dom);
        } else {
            one_ask(dom);
        }
        if (i % 16 == 0)
            audit();
        if (i % 997 == 996) {
            xs_free(&xs);
            start_daemon(dir);
            compare();
            for (int d = 0; d < DOMS; d++) {
                if (txns[d].open)
                    txn_finish(d, true);
            }
        }
        if (unit_failures)
            printf("at step %d\n", i);
    }
    compare();
    printf("%u commits, %u conflicts\n", commits, conflicts);
    CHECK(commits > 50 && conflicts > 20);
    xs_free(&xs);
    sim_free();
    sim_remove(dir);
}
