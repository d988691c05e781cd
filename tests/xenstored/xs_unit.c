/* SPDX-License-Identifier: MIT */
/* xenstored's parts one by one: bytes and paths, tree, permissions, quotas, and hostile rings. */
#include "unit.h"
#include "sim.h"
#include "xenstored/account.h"
#include "xenstored/txn.h"

/* Of the address sanitizer; its headers are not in the compiler's package. */
size_t __sanitizer_get_current_allocated_bytes(void);

static struct xs xs;

TEST(wire_messages)
{
    struct buf b = { 0 };
    struct xsd_sockmsg m;
    size_t need = 0;

    wire_put(&b, XS_READ, 7, 0, "/a", 3);
    CHECK_EQ(wire_next(b.p, 0, &m, &need), WIRE_MORE);
    CHECK_EQ(need, 16);
    CHECK_EQ(wire_next(b.p, 17, &m, &need), WIRE_MORE);
    CHECK_EQ(need, 2);
    CHECK_EQ(wire_next(b.p, b.len, &m, &need), WIRE_MESSAGE);
    CHECK_EQ(m.req_id, 7);
    ((struct xsd_sockmsg *)b.p)->len = XENSTORE_PAYLOAD_MAX;
    CHECK_EQ(wire_next(b.p, b.len, &m, &need), WIRE_MORE);
    ((struct xsd_sockmsg *)b.p)->len = XENSTORE_PAYLOAD_MAX + 1;
    CHECK_EQ(wire_next(b.p, b.len, &m, &need), WIRE_BAD);
    buf_free(&b);
}

TEST(wire_strings_and_numbers)
{
    const char *s[3];
    uint64_t v;

    CHECK_EQ(wire_strings((const uint8_t *)"a\0bc\0", 5, s, 3), 2);
    CHECK_STR(s[1], "bc");
    CHECK_EQ(wire_strings((const uint8_t *)"a\0bc", 4, s, 3), -1);
    CHECK_EQ(wire_strings((const uint8_t *)"a\0b\0c\0d\0", 8, s, 3), -1);
    CHECK_EQ(wire_strings((const uint8_t *)"", 0, s, 3), 0);
    CHECK(wire_number("4294967295", UINT32_MAX, &v) && v == UINT32_MAX);
    CHECK(!wire_number("4294967296", UINT32_MAX, &v));
    CHECK(!wire_number("", 10, &v) && !wire_number("-1", 10, &v) && !wire_number("1 ", 10, &v));
    CHECK_STR(wire_error(EAGAIN), "EAGAIN");
    CHECK_STR(wire_error(EXDEV), "EINVAL");
}

TEST(paths)
{
    struct path p;
    char big[XENSTORE_ABS_PATH_MAX + 2];

    CHECK_EQ(path_resolve(&p, "/a/b-_@9", 3, false), 0);
    CHECK_STR(p.s, "/a/b-_@9");
    CHECK_EQ(path_resolve(&p, "device/vif", 3, false), 0);
    CHECK_STR(p.s, "/local/domain/3/device/vif");
    CHECK_STR(p.s + p.rel, "device/vif");
    CHECK_EQ(path_resolve(&p, "/", 3, false), 0);
    CHECK_STR(p.s, "");
    static const char *const bad[] = {
        "", "/a/", "//", "/a//b", "/a b", "a/", "/\xc3", "@x", "/a.b"
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK_EQ(path_resolve(&p, bad[i], 3, false), EINVAL);
    CHECK_EQ(path_resolve(&p, "@releaseDomain", 3, true), 0);
    memset(big, 'a', sizeof(big));
    big[0] = '/';
    big[XENSTORE_ABS_PATH_MAX] = 0;
    CHECK_EQ(path_resolve(&p, big, 3, false), 0);
    big[XENSTORE_ABS_PATH_MAX] = 'a';
    big[XENSTORE_ABS_PATH_MAX + 1] = 0;
    CHECK_EQ(path_resolve(&p, big, 3, false), EINVAL);
    big[0] = 'a';
    big[XENSTORE_REL_PATH_MAX] = 0;
    CHECK_EQ(path_resolve(&p, big, 32751, false), 0);
    big[XENSTORE_REL_PATH_MAX] = 'a';
    big[XENSTORE_REL_PATH_MAX + 1] = 0;
    CHECK_EQ(path_resolve(&p, big, 32751, false), EINVAL);
}

static void put(struct tnode **root, const char *path, const char *value)
{
    static const struct perm none;

    tree_set(root, data_new(path, &none, 1, value, strlen(value)), 1);
}

/* Paths that sort between a node and its children if '/' is not the lowest. */
TEST(tree_order)
{
    struct tnode *root = NULL, *t;
    static const char *const in[] = { "/a-b", "/a/z", "/a", "/a0", "", "/a/b/c", "/a/b", "/a/b-" };

    for (size_t i = 0; i < 8; i++)
        put(&root, in[i], "");
    CHECK_STR(tree_next(root, "/a")->data->path, "/a/b");
    CHECK_STR(tree_skip(root, "/a")->data->path, "/a-b");
    CHECK_STR(tree_next(root, "/a/z")->data->path, "/a-b");
    CHECK(tree_next(root, "/a0") == NULL);
    t = tree_child(root, "/a", NULL);
    CHECK_STR(t->data->path, "/a/b");
    t = tree_child(root, "/a", t->data->path);
    CHECK_STR(t->data->path, "/a/b-");
    t = tree_child(root, "/a", t->data->path);
    CHECK_STR(t->data->path, "/a/z");
    CHECK(tree_child(root, "/a", t->data->path) == NULL);
    CHECK_STR(tree_child(root, "", NULL)->data->path, "/a");
    tree_put(root);
}

/* A snapshot keeps what it had, and a change copies a path, not the tree. */
TEST(tree_snapshots)
{
    struct tnode *root = NULL, *snap;
    char path[32];
    unsigned shared = 0;

    for (int i = 0; i < 4096; i++) {
        snprintf(path, sizeof(path), "/n%d", i);
        put(&root, path, "old");
    }
    snap = tree_get(root);
    put(&root, "/n77", "new");
    tree_del(&root, "/n78");
    CHECK(memcmp(tree_find(snap, "/n77")->data->value, "old", 3) == 0);
    CHECK(memcmp(tree_find(root, "/n77")->data->value, "new", 3) == 0);
    CHECK(tree_find(snap, "/n78") && !tree_find(root, "/n78"));
    for (int i = 0; i < 4096; i++) {
        snprintf(path, sizeof(path), "/n%d", i);
        shared += tree_find(snap, path) == tree_find(root, path);
    }
    CHECK(shared > 3900);
    tree_put(root);
    CHECK(tree_find(snap, "/n78") != NULL);
    tree_put(snap);
}

TEST(permissions)
{
    struct perm perms[3] = { { 1, PERM_NONE }, { 2, PERM_READ }, { 3, PERM_READ | PERM_WRITE } };
    struct data *d = data_new("/a", perms, 3, NULL, 0);
    struct identity who = { 1, NO_TARGET, false };
    struct buf b = { 0 };
    struct perm p;

    CHECK(perms_allow(&who, d, PERM_READ | PERM_WRITE) && perms_owner(&who, d));
    who.domid = 2;
    CHECK(perms_allow(&who, d, PERM_READ) && !perms_allow(&who, d, PERM_WRITE));
    CHECK(!perms_owner(&who, d));
    who.target = 1;
    CHECK(perms_allow(&who, d, PERM_WRITE) && perms_owner(&who, d));
    who = (struct identity){ 4, NO_TARGET, false };
    CHECK(!perms_allow(&who, d, PERM_READ));
    who.privileged = true;
    CHECK(perms_allow(&who, d, PERM_READ | PERM_WRITE));
    for (size_t i = 0; i < 4; i++) {
        static const char *const text[] = { "n0", "r1", "w12", "b32751" };

        CHECK(perm_parse(text[i], &p));
        b.len = 0;
        perm_format(&b, &p);
        CHECK_STR((char *)b.p, text[i]);
    }
    CHECK(!perm_parse("x1", &p) && !perm_parse("r", &p) && !perm_parse("r99999", &p) &&
          !perm_parse("", &p));
    buf_free(&b);
    data_put(d);
}

static void up(int domains)
{
    sim_init();
    xs_init(&xs, &sim_plat);
    for (int d = 0; d <= domains; d++) {
        char path[40];
        struct perm own = { d, PERM_NONE };

        snprintf(path, sizeof(path), "/local/domain/%d", d);
        store_apply_set(&xs, data_new(path, &own, 1, NULL, 0), true);
        CHECK_EQ(domain_introduce(&xs, d, 0, 0), 0);
    }
    client_send_events(&xs);
    xs.journal.rec.len = 0;
}

static void down(void)
{
    xs_free(&xs);
    sim_free();
}

static struct buf got;
static struct xsd_sockmsg got_msg;

/* One request's answer; events before it are dropped. */
static const char *call(int dom, uint32_t type, uint32_t tx, const char *p, size_t len)
{
    sim_put(dom, type, tx, p, len);
    sim_run(&xs, 0, 4);
    do {
        if (!sim_take(dom, &got_msg, &got))
            return "nothing";
    } while (got_msg.type == XS_WATCH_EVENT);
    return (char *)got.p;
}

static const char *event(int dom)
{
    return sim_take(dom, &got_msg, &got) && got_msg.type == XS_WATCH_EVENT ? (char *)got.p
                                                                           : "nothing";
}

TEST(quotas_hold)
{
    char big[3000] = "/local/domain/1/big";
    const char *r = "OK";
    int n = 0;

    up(2);
    xs.quota.nodes = 20;
    xs.quota.watches = 3;
    xs.quota.transactions = 2;
    while (strcmp(r, "OK") == 0 && n < 100) {
        char path[40];

        n++;
        snprintf(path, sizeof(path), "d%d", n);
        r = call(1, XS_MKDIR, 0, path, strlen(path) + 1);
    }
    CHECK_STR(r, "ENOSPC");
    CHECK_EQ(n, 20); /* its home counts */
    CHECK_STR(call(1, XS_RM, 0, "d1", 3), "OK");
    CHECK_STR(call(1, XS_MKDIR, 0, "x/y", 4), "ENOSPC");
    CHECK_STR(call(1, XS_MKDIR, 0, "x", 2), "OK");
    CHECK_EQ(xs.quota.owned[1], 20);
    CHECK_STR(call(1, XS_WRITE, 0, big, sizeof(big)), "ENOSPC");
    CHECK_STR(call(0, XS_WRITE, 0, "/z", 3), "OK");
    CHECK_STR(call(1, XS_WATCH, 0, "a\0t", 4), "OK");
    CHECK_STR(call(1, XS_WATCH, 0, "a\0t", 4), "EEXIST");
    CHECK_STR(call(1, XS_WATCH, 0, "b\0t", 4), "OK");
    CHECK_STR(call(1, XS_WATCH, 0, "c\0t", 4), "OK");
    CHECK_STR(call(1, XS_WATCH, 0, "d\0t", 4), "E2BIG");
    CHECK_STR(call(1, XS_TRANSACTION_START, 0, "", 1), "1");
    CHECK_STR(call(1, XS_TRANSACTION_START, 0, "", 1), "2");
    CHECK_STR(call(1, XS_TRANSACTION_START, 0, "", 1), "ENOSPC");
    CHECK_STR(call(1, XS_RM, 1, "x", 2), "OK");
    CHECK_STR(call(1, XS_MKDIR, 1, "y", 2), "OK");
    CHECK_STR(call(1, XS_MKDIR, 1, "z", 2), "ENOSPC");
    CHECK_STR(call(1, XS_TRANSACTION_END, 1, "T", 2), "OK");
    CHECK_EQ(xs.quota.owned[1], 20);
    down();
}

/* A path of `depth` components and about `len` bytes, each of them at most 60; the last is `n`. */
static size_t long_path(char *out, unsigned depth, size_t len, unsigned n)
{
    size_t at = 0;

    for (unsigned i = 1; i < depth; i++) {
        size_t part = len / depth;

        memset(out + at, 'a' + i % 26, part);
        at += part;
        out[at++] = '/';
    }
    return at + sprintf(out + at, "n%u", n) + 1;
}

static const char *write_long(int dom, uint32_t tx, unsigned n, char fill)
{
    char ask[4000];
    size_t len = long_path(ask, 25, 1850, n);

    memset(ask + len, fill, 1990);
    return call(dom, XS_WRITE, tx, ask, len + 1990);
}

/* Everything that a guest can make the daemon keep: together it is what the account says, and that
 * has a limit. */
TEST(memory_has_a_limit)
{
    size_t before, used;
    const char *r = "OK";
    char ask[4000];
    unsigned i;

    up(2);
    CHECK_STR(call(1, XS_WRITE, 0, "a\0v", 3), "OK");
    before = __sanitizer_get_current_allocated_bytes();
    /* Nodes alone, a third of it; then the same nodes in transactions, watches, what was seen. */
    for (i = 0; i < 990 && account_used(&xs, 1) < xs.quota.memory / 3; i++)
        CHECK_STR(write_long(1, 0, i, 'o'), "OK");
    CHECK(i > 150);
    for (unsigned t = 0; t < 10; t++) {
        CHECK_STR(call(1, XS_TRANSACTION_START, 0, "", 1), t == 9 ? "10" : (char[2]){ '1' + t });
        for (unsigned n = 0; n < 30; n++)
            r = write_long(1, t + 1, n, 'a' + t);
        for (unsigned n = 0; n < 40 && strcmp(r, "ENOSPC") != 0; n++) {
            r = call(1, XS_READ, t + 1, ask, long_path(ask, 25, 1850, 5000 + n));
            CHECK(strcmp(r, "ENOENT") == 0 || strcmp(r, "ENOSPC") == 0);
        }
    }
    CHECK_STR(r, "ENOSPC");
    for (i = 0; i < 300; i++) {
        size_t len = long_path(ask, 25, 1850, i);

        strcpy(ask + len, "t");
        r = call(1, XS_WATCH, 0, ask, len + 2);
    }
    CHECK_STR(r, "ENOSPC");
    CHECK_STR(write_long(1, 0, 5000, 'x'), "ENOSPC");
    CHECK_STR(call(1, XS_TRANSACTION_START, 0, "", 1), "ENOSPC");
    CHECK(xs.domains[1]->complained);
    CHECK(account_used(&xs, 1) > xs.quota.memory - 20000);
    CHECK(account_used(&xs, 1) <= xs.quota.memory);
    used = __sanitizer_get_current_allocated_bytes() - before;
    CHECK(used < xs.quota.memory + 65536);
    /* It may read, make things smaller, and end what it began; nobody else notices. */
    CHECK_STR(call(2, XS_WRITE, 0, "a/b\0v", 5), "OK");
    CHECK_STR(call(1, XS_READ, 0, "a", 2), "v");
    CHECK_STR(call(1, XS_RM, 0, "a", 2), "OK");
    CHECK_STR(call(1, XS_RESET_WATCHES, 0, "", 1), "OK");
    CHECK(account_used(&xs, 1) < xs.quota.memory / 2);
    CHECK_STR(write_long(1, 0, 5000, 'x'), "OK");
    down();
}

/* What a transaction will have been is counted when it ends, not when it began. */
TEST(quotas_hold_over_transactions)
{
    char path[40];

    up(1);
    xs.quota.nodes = 100;
    for (int i = 0; i < 90; i++) {
        snprintf(path, sizeof(path), "t/%d", i);
        CHECK_STR(call(1, XS_MKDIR, 0, path, strlen(path) + 1), "OK");
    }
    CHECK_STR(call(1, XS_TRANSACTION_START, 0, "", 1), "1");
    CHECK_STR(call(1, XS_RM, 1, "t", 2), "OK");
    for (int i = 0; i < 90; i++) {
        snprintf(path, sizeof(path), "u/%d", i);
        CHECK_STR(call(1, XS_MKDIR, 1, path, strlen(path) + 1), "OK");
    }
    /* Meanwhile the subtree is emptied, and the room used otherwise. */
    for (int i = 0; i < 90; i++) {
        snprintf(path, sizeof(path), "t/%d", i);
        CHECK_STR(call(1, XS_RM, 0, path, strlen(path) + 1), "OK");
        path[0] = 'v';
        CHECK_STR(call(1, XS_MKDIR, 0, path, strlen(path) + 1), "OK");
    }
    CHECK_STR(call(1, XS_TRANSACTION_END, 1, "T", 2), "ENOSPC");
    CHECK_EQ(xs.quota.owned[1], 93);
    CHECK_STR(call(1, XS_READ, 0, "u", 2), "ENOENT");
    CHECK_STR(call(1, XS_READ, 0, "v/7", 4), "");
    /* The same without the rest goes through. */
    CHECK_STR(call(1, XS_TRANSACTION_START, 0, "", 1), "2");
    CHECK_STR(call(1, XS_RM, 2, "v", 2), "OK");
    CHECK_STR(call(1, XS_MKDIR, 2, "u/1", 4), "OK");
    CHECK_STR(call(1, XS_TRANSACTION_END, 2, "T", 2), "OK");
    CHECK_EQ(xs.quota.owned[1], 4);
    down();
}

/* Special nodes lie outside the tree of paths, not outside transactions. */
TEST(special_nodes_in_transactions)
{
    up(0);
    CHECK_STR(call(0, XS_TRANSACTION_START, 0, "", 1), "1");
    CHECK_STR(call(0, XS_GET_PERMS, 1, "@releaseDomain", 15), "n0");
    CHECK_STR(call(0, XS_SET_PERMS, 0, "@releaseDomain\0r0", 18), "OK");
    CHECK_STR(call(0, XS_TRANSACTION_END, 1, "T", 2), "EAGAIN");
    CHECK_STR(call(0, XS_TRANSACTION_START, 0, "", 1), "2");
    CHECK_STR(call(0, XS_SET_PERMS, 2, "@releaseDomain\0n0\0r1", 21), "OK");
    CHECK_STR(call(0, XS_GET_PERMS, 2, "@releaseDomain", 15), "n0");
    CHECK_EQ(got.len, 6);
    CHECK_STR(call(0, XS_TRANSACTION_END, 2, "T", 2), "OK");
    CHECK_STR(call(0, XS_GET_PERMS, 0, "@releaseDomain", 15), "n0");
    CHECK_EQ(got.len, 6);
    down();
}

/* Who may write to another's node spends that one's memory, but not beyond its limit. */
TEST(memory_of_others)
{
    static char ask[1000] = "/local/domain/2/open";

    up(2);
    memset(ask + 21, 'x', sizeof(ask) - 21);
    CHECK_STR(call(2, XS_WRITE, 0, "open\0v", 6), "OK");
    CHECK_STR(call(2, XS_SET_PERMS, 0, "open\0b2", 8), "OK");
    for (int i = 0; i < 10; i++)
        CHECK_STR(write_long(2, 0, i, 'x'), "OK");
    CHECK_STR(call(1, XS_MKDIR, 0, "own", 4), "OK");
    xs.quota.memory = account_used(&xs, 2) + 500;
    CHECK_STR(call(1, XS_WRITE, 0, ask, sizeof(ask)), "ENOSPC");
    CHECK_STR(call(1, XS_TRANSACTION_START, 0, "", 1), "1");
    CHECK_STR(call(1, XS_WRITE, 1, ask, sizeof(ask)), "OK");
    CHECK_STR(call(1, XS_TRANSACTION_END, 1, "T", 2), "ENOSPC");
    CHECK_STR(call(2, XS_READ, 0, "open", 5), "v");
    CHECK_STR(call(1, XS_WRITE, 0, ask, 400), "OK");
    down();
}

/* A transaction that nobody uses gives back what it has, ends with EAGAIN and keeps no place. */
TEST(idle_transactions_age)
{
    uint64_t before;

    up(1);
    xs.now = 1000;
    xs.quota.transactions = 2;
    CHECK_STR(call(1, XS_TRANSACTION_START, 0, "", 1), "1");
    before = xs.quota.bytes[1];
    CHECK_STR(call(1, XS_WRITE, 1, "a\0v", 3), "OK");
    CHECK(xs.quota.bytes[1] > before);
    xs.now += 59;
    CHECK_EQ(txn_age(&xs), 1);
    CHECK_STR(call(1, XS_READ, 1, "a", 2), "v");
    xs.now += 59;
    CHECK_EQ(txn_age(&xs), 1);
    CHECK_STR(call(0, XS_TRANSACTION_START, 0, "", 1), "1");
    CHECK_STR(call(0, XS_WRITE, 1, "/z\0v", 4), "OK");
    xs.now += 1;
    CHECK_EQ(txn_age(&xs), (uint64_t)-1);
    CHECK_EQ(xs.quota.bytes[1], before);
    CHECK_STR(call(1, XS_READ, 1, "a", 2), "ENOENT");
    CHECK_STR(call(1, XS_TRANSACTION_END, 1, "T", 2), "EAGAIN");
    CHECK_STR(call(1, XS_TRANSACTION_END, 1, "T", 2), "ENOENT");
    for (int i = 0; i < 5; i++) {
        CHECK(strcmp(call(1, XS_TRANSACTION_START, 0, "", 1), "ENOSPC") != 0);
        xs.now += 100;
        txn_age(&xs);
    }
    CHECK_EQ(xs.domains[1]->ntxns, 2);
    /* Domain 0's do not age. */
    CHECK_STR(call(0, XS_TRANSACTION_END, 1, "T", 2), "OK");
    CHECK_STR(call(0, XS_READ, 0, "/z", 3), "v");
    down();
}

/* What one request costs is bounded, and whoever made us work waits as long as that took. */
TEST(turns_are_charged_by_work)
{
    char ask[4000];
    uint64_t work;
    size_t len;
    uint32_t debt, other = 0;

    up(2);
    /* The deepest path that there may be, all of it new; one more is refused. */
    len = long_path(ask, 29, 1900, 0);
    work = xs.work;
    CHECK_STR(call(1, XS_WRITE, 0, ask, len), "OK");
    CHECK(xs.work - work < 1500);
    len = long_path(ask, 30, 1900, 0);
    CHECK_STR(call(1, XS_WRITE, 0, ask, len), "EINVAL");
    CHECK_STR(call(1, XS_READ, 0, ask, len), "EINVAL");
    CHECK_STR(call(0, XS_READ, 0, ask, len), "ENOENT");
    for (int i = 0; i < 900; i++) {
        len = sprintf(ask, "t/%d", i) + 1;
        CHECK_STR(call(1, XS_MKDIR, 0, ask, len), "OK");
    }
    for (int i = 0; i < 10000 && xs.domains[1]->debt; i++) {
        client_ready(&xs, xs.domains[1]);
        server_turn(&xs);
    }
    /* One that costs much, with one behind it; beside them another's reads, one at a time. */
    sim_put(1, XS_RM, 0, "t", 2);
    sim_put(1, XS_READ, 0, "a", 2);
    sim_push(1);
    client_ready(&xs, xs.domains[1]);
    xs.requests = 0;
    server_turn(&xs);
    CHECK_EQ(xs.requests, 1);
    debt = xs.domains[1]->debt;
    CHECK(debt > 900);
    while (xs.domains[1]->debt && other < 1000) {
        sim_put(2, XS_READ, 0, "x", 2);
        sim_move(2);
        client_ready(&xs, xs.domains[2]);
        server_turn(&xs);
        other++;
    }
    sim_run(&xs, 1, 2);
    CHECK(other > debt / 20 && other < 1000);
    CHECK_EQ(xs.requests, 2 + other);
    down();
}

/* To connect anew is work as well, and forgetting most of all: the guest pays for it. */
TEST(reconnecting_costs)
{
    char ask[20];

    up(1);
    for (int i = 0; i < 100; i++)
        CHECK_STR(call(1, XS_WATCH, 0, ask, sprintf(ask, "w%d%ct", i, 0) + 1), "OK");
    while (xs.ready)
        server_turn(&xs);
    sim->page[1].ring.connection = XENSTORE_RECONNECT;
    client_ready(&xs, xs.domains[1]);
    CHECK(server_turn(&xs));
    CHECK_EQ(sim->page[1].ring.connection, XENSTORE_CONNECTED);
    CHECK(xs.domains[1]->debt > 90);
    CHECK_EQ(xs.watches.count, 0);
    down();
    sim_in[1].len = 0;
}

static unsigned looks;

/* A guest that sends on another CPU: it has signalled again whenever we look. */
static int next_of_flood(void *ctx)
{
    if (looks++ > 100000) {
        xs.stop = true;
        return NO_DOMAIN;
    }
    xs.stop = xs.requests > 0;
    return 1;
}

TEST(flood_of_signals)
{
    static struct platform flood;
    uint64_t one = 1;

    up(2);
    flood = sim_plat;
    flood.next = next_of_flood;
    flood.fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    xs.plat = &flood;
    xs.requests = looks = 0;
    while (client_next_ready(&xs))
        ;
    CHECK_EQ(server_open(&xs, NULL), 0);
    sim_put(2, XS_READ, 0, "x", 2);
    sim_move(2);
    client_ready(&xs, xs.domains[2]);
    CHECK_EQ(write(flood.fd, &one, sizeof(one)), sizeof(one));
    server_run(&xs);
    CHECK_EQ(xs.requests, 1);
    CHECK(looks < 10000);
    server_close(&xs);
    close(flood.fd);
    xs.plat = &sim_plat;
    down();
}

TEST(control_of_domains)
{
    up(2);
    CHECK_STR(call(1, XS_INTRODUCE, 0, "3\0001\0001", 6), "EACCES");
    CHECK_STR(call(0, XS_IS_DOMAIN_INTRODUCED, 0, "3", 2), "F");
    CHECK_STR(call(0, XS_WATCH, 0, "@introduceDomain\0i", 19), "OK");
    CHECK_STR(event(0), "@introduceDomain");
    CHECK_STR(call(1, XS_WATCH, 0, "@introduceDomain\0i", 19), "OK");
    CHECK_STR(event(1), "@introduceDomain");
    CHECK_STR(call(0, XS_INTRODUCE, 0, "3\0001\0001", 6), "OK");
    CHECK_STR(event(0), "@introduceDomain");
    CHECK_STR(event(1), "nothing"); /* not for all eyes, unless Domain 0 says so */
    CHECK_STR(call(0, XS_SET_PERMS, 0, "@introduceDomain\0r0", 20), "OK");
    CHECK_STR(call(0, XS_IS_DOMAIN_INTRODUCED, 0, "3", 2), "T");
    CHECK_STR(call(0, XS_SET_TARGET, 0, "1\0002", 4), "OK");
    CHECK_STR(call(1, XS_WRITE, 0, "/local/domain/2/x\0v", 19), "OK");
    CHECK_STR(call(2, XS_WRITE, 0, "/local/domain/1/x\0v", 19), "EACCES");
    CHECK_STR(call(0, XS_RELEASE, 0, "3", 2), "OK");
    CHECK_STR(call(0, XS_RELEASE, 0, "3", 2), "ENOENT");
    CHECK_STR(call(0, XS_RELEASE, 0, "0", 2), "EINVAL");
    CHECK_STR(call(0, XS_GET_DOMAIN_PATH, 0, "77", 3), "/local/domain/77");
    CHECK_STR(call(0, 999, 0, "", 1), "ENOSYS");
    CHECK_STR(call(0, XS_READ, 12, "/local", 7), "ENOENT");
    CHECK_STR(call(0, XS_RM, 0, "/", 2), "EINVAL");
    CHECK_STR(call(0, XS_MKDIR, 0, "@foo", 5), "EINVAL");
    CHECK_STR(call(1, XS_CONTROL, 0, "help", 5), "EACCES");
    CHECK_STR(call(0, XS_CONTROL, 0, "quota\0nodes=5", 14), "OK");
    CHECK_EQ(xs.quota.nodes, 5);
    down();
}

/* Rights on another domain end with that domain, whatever takes its number next. */
TEST(target_ends_with_its_domain)
{
    char *dir = sim_dir();

    up(3);
    CHECK_EQ(journal_open(&xs, dir), 0);
    CHECK_STR(call(0, XS_SET_TARGET, 0, "1\0002", 4), "OK");
    CHECK_STR(call(0, XS_SET_TARGET, 0, "3\0002", 4), "OK");
    CHECK_STR(call(1, XS_WRITE, 0, "/local/domain/2/x\0v", 19), "OK");
    sim->gone[2] = 1;
    domain_check_all(&xs);
    sim->gone[2] = 0;
    CHECK_STR(call(0, XS_INTRODUCE, 0, "2\0001\0001", 6), "OK");
    CHECK_STR(call(1, XS_WRITE, 0, "/local/domain/2/y\0v", 19), "EACCES");
    /* The same by other ways: let go and connected, connected again; and after a restart. */
    CHECK_STR(call(0, XS_SET_TARGET, 0, "1\0002", 4), "OK");
    CHECK_STR(call(0, XS_RELEASE, 0, "2", 2), "OK");
    CHECK_STR(call(0, XS_INTRODUCE, 0, "2\0001\0001", 6), "OK");
    CHECK_STR(call(1, XS_WRITE, 0, "/local/domain/2/y\0v", 19), "EACCES");
    CHECK_STR(call(0, XS_SET_TARGET, 0, "1\0002", 4), "OK");
    CHECK_STR(call(0, XS_INTRODUCE, 0, "2\0001\0001", 6), "OK");
    CHECK_STR(call(1, XS_WRITE, 0, "/local/domain/2/y\0v", 19), "EACCES");
    xs_free(&xs);
    xs_init(&xs, &sim_plat);
    CHECK_EQ(journal_open(&xs, dir), 0);
    domain_reconnect_all(&xs);
    CHECK(xs.domains[1] && xs.domains[1]->id.target == NO_TARGET);
    CHECK(xs.domains[3] && xs.domains[3]->id.target == NO_TARGET);
    down();
    sim_remove(dir);
}

/* Replies that a client does not take: nothing more is read of it until it does. */
TEST(outstanding_replies_are_bounded)
{
    unsigned answers = 0;

    up(1);
    CHECK_STR(call(0, XS_WRITE, 0, "/big\0", 5), "OK");
    CHECK_STR(call(0, XS_SET_PERMS, 0, "/big\0r0", 8), "OK");
    for (int i = 0; i < 60; i++) {
        char value[600] = "/big";

        memset(value + 5, 'x', sizeof(value) - 5);
        sim_put(0, XS_WRITE, 0, value, sizeof(value));
    }
    sim_run(&xs, 0, 0);
    /* Its ring takes 1,024 bytes of these; what it does not take waits with us, up to the limit. */
    xs.requests = 0;
    for (int i = 0; i < 200; i++)
        sim_put(1, XS_READ, 0, "/big", 5);
    while (sim_push(1)) {
        client_ready(&xs, xs.domains[1]);
        while (server_turn(&xs))
            ;
        CHECK(client_unsent(xs.domains[1]) <= xs.quota.outstanding + 611);
    }
    CHECK(xs.requests >= xs.quota.outstanding / 611 && xs.requests < 40);
    sim_run(&xs, 1, 1);
    while (sim_take(1, &got_msg, &got))
        answers += got_msg.type == XS_READ && got.len == 595;
    CHECK_EQ(answers, 200);
    down();
}

/* No more entries of permissions than the limit, for whoever has no privilege. */
TEST(permissions_are_counted)
{
    up(1);
    CHECK_STR(call(1, XS_WRITE, 0, "a\0v", 3), "OK");
    CHECK_STR(call(1, XS_SET_PERMS, 0, "a\0n1\0r1\0r2\0r3\0r4", 17), "OK");
    CHECK_STR(call(1, XS_SET_PERMS, 0, "a\0n1\0r1\0r2\0r3\0r4\0r5", 20), "ENOSPC");
    CHECK_STR(call(1, XS_GET_PERMS, 0, "a", 2), "n1");
    CHECK_EQ(got.len, 15);
    CHECK_STR(call(0, XS_SET_PERMS, 0, "/local/domain/1/a\0n1\0r1\0r2\0r3\0r4\0r5", 36), "OK");
    down();
}

TEST(watch_depth_and_relative_paths)
{
    up(1);
    CHECK_STR(call(1, XS_WATCH, 0, "a\0t\0001", 6), "OK");
    CHECK_STR(event(1), "a");
    CHECK_STR(call(1, XS_WRITE, 0, "a/b\0v", 5), "OK");
    CHECK_STR(event(1), "a/b");
    CHECK_STR(call(1, XS_WRITE, 0, "a/b/c\0v", 7), "OK");
    CHECK_STR(event(1), "nothing");
    CHECK_STR(call(1, XS_RESET_WATCHES, 0, "", 1), "OK");
    CHECK_EQ(xs.watches.count, 0);
    CHECK_STR(call(1, XS_UNWATCH, 0, "a\0t", 4), "ENOENT");
    down();
}

/* A client that takes no events gets each watch once when it comes back; nothing grows meanwhile.
 */
TEST(events_are_bounded)
{
    unsigned n = 0;

    up(2);
    xs.quota.events = 4096;
    CHECK_STR(call(1, XS_WATCH, 0, "a\0t", 4), "OK");
    CHECK_STR(event(1), "a");
    for (int i = 0; i < 2000; i++) {
        sim_put(0, XS_WRITE, 0, "/local/domain/1/a/b\0v", 21);
        while (sim_out[0].len)
            sim_run(&xs, 0, 0);
    }
    CHECK(xs.domains[1]->lost);
    CHECK(xs.domains[1]->out.len < 10000);
    sim_run(&xs, 0, 1);
    while (strcmp(event(1), "nothing") != 0)
        n++;
    CHECK(n > 20 && n < 300);
    CHECK(!xs.domains[1]->lost);
    CHECK_STR(call(1, XS_READ, 0, "a/b", 4), "v");
    down();
}

TEST(hostile_rings)
{
    struct xsd_sockmsg huge = { XS_WRITE, 1, 0, XENSTORE_PAYLOAD_MAX + 1 };

    up(4);
    sim->page[1].ring.req_prod += 5000;
    sim_kick(1);
    buf_add(&sim_out[2], &huge, sizeof(huge));
    sim->page[3].ring.rsp_cons = 77;
    sim->page[3].ring.req_prod = 0;
    sim_put(4, XS_READ, 0, "/local", 7);
    sim_run(&xs, 2, 2);
    sim_kick(3);
    sim_run(&xs, 4, 4);
    CHECK(xs.domains[1]->dead && xs.domains[2]->dead && !xs.domains[4]->dead);
    CHECK_EQ(sim->page[1].ring.error, XENSTORE_ERROR_RINGIDX);
    CHECK_EQ(sim->page[2].ring.error, XENSTORE_ERROR_PROTO);
    CHECK(sim_take(4, &got_msg, &got));
    CHECK_STR((char *)got.p, "EACCES");
    /* It may start again, with an empty ring. */
    buf_free(&sim_out[1]);
    sim->page[1].ring.connection = XENSTORE_RECONNECT;
    sim_kick(1);
    sim_run(&xs, 4, 4);
    CHECK_EQ(sim->page[1].ring.connection, XENSTORE_CONNECTED);
    CHECK_STR(call(1, XS_MKDIR, 0, "again", 6), "OK");
    down();
    buf_free(&got);
}

/* A thousand domains, ten watches each: a request costs the same as with one. */
TEST(many_clients_and_watches)
{
    struct buf p = { 0 };
    int answers = 0;

    up(1000);
    for (int d = 1; d <= 1000; d++) {
        for (int i = 0; i < 10; i++) {
            char text[40];
            int n = snprintf(text, sizeof(text), "w%d%ct%d", i, 0, i);

            sim_put(d, XS_WATCH, 0, text, n + 1);
        }
        sim_put(d, XS_WRITE, 0, "w3/x\0v", 6);
    }
    sim_run(&xs, 1, 1000);
    CHECK_EQ(xs.watches.count, 10000);
    for (int d = 1; d <= 1000; d++) {
        while (sim_take(d, &got_msg, &p))
            answers++;
    }
    CHECK_EQ(answers, 1000 * (10 + 10 + 1 + 1));
    buf_free(&p);
    buf_free(&got);
    down();
}

/* One that floods gets its turns, no more: another's single request is served within a few. */
TEST(fairness)
{
    up(2);
    for (int i = 0; i < 40; i++)
        sim_put(1, XS_READ, 0, "/", 2);
    sim_move(1);
    sim_put(2, XS_READ, 0, "x", 2);
    sim_move(2);
    while (sim_next(&sim_plat) >= 0)
        ;
    client_ready(&xs, xs.domains[1]);
    client_ready(&xs, xs.domains[2]);
    xs.requests = 0;
    CHECK(server_turn(&xs));
    CHECK(xs.requests <= 5);
    CHECK(sim->page[2].ring.rsp_prod > 0);
    down();
}

/* What a domain leaves: its nodes go, and its rights on others' nodes. */
TEST(sweep_after_a_domain)
{
    up(3);
    CHECK_STR(call(1, XS_WRITE, 0, "data/mine\0v", 11), "OK");
    CHECK_STR(call(0, XS_WRITE, 0, "/tool/a\0v", 9), "OK");
    CHECK_STR(call(0, XS_SET_PERMS, 0, "/tool/a\0r0\0r1\0b2", 17), "OK");
    CHECK_STR(call(0, XS_WRITE, 0, "/tool/b/c\0v", 11), "OK");
    CHECK_STR(call(0, XS_SET_PERMS, 0, "/tool/b\0n1", 11), "OK");
    CHECK_STR(call(0, XS_WATCH, 0, "/tool/b\0t", 10), "OK");
    sim->gone[1] = 1;
    domain_check_all(&xs);
    CHECK(sweep_busy(&xs.sweep));
    while (sweep_busy(&xs.sweep))
        sweep_work(&xs);
    CHECK_STR(call(0, XS_READ, 0, "/local/domain/1/data/mine", 26), "ENOENT");
    CHECK_STR(call(0, XS_READ, 0, "/tool/b/c", 10), "ENOENT");
    CHECK_EQ(xs.quota.owned[1], 0);
    CHECK_STR(call(0, XS_GET_PERMS, 0, "/tool/a", 8), "r0");
    CHECK_STR((char *)got.p + 3, "b2");
    CHECK_EQ(got.len, 6);
    sim->gone[1] = 0;
    down();
}
