/* SPDX-License-Identifier: MIT */
/*
 * The daemon is a forked process that is killed at random moments while domains send it requests
 * without waiting for answers. Nothing may be lost or done twice: each request has exactly one
 * answer, the right one, each change exactly one event, and in the end the tree is what the
 * requests made of it.
 *
 * XS_KILLS in the environment says how often (100).
 */
#include "unit.h"
#include "sim.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define DOMS 6
#define KEYS 16
#define MAXV 1500 /* longer than the ring */

enum state { FREE, STARTING, INSIDE };

struct expected {
    uint32_t type;
    char *text; /* NULL: see the transaction */
    uint32_t len;
};

struct guest {
    char value[KEYS][MAXV + 1];
    bool there[KEYS];
    struct expected queue[8];
    int n;
    enum state state;
    uint32_t tx, key, serial;
    char next[MAXV + 1];
    uint64_t events, expected_events, answers, commits, retries;
};

static struct guest guest[DOMS + 1];
static pid_t daemon_pid;
static char *dir;

static void make_home(struct xs *xs)
{
    struct perm all = { 0, PERM_READ | PERM_WRITE };

    if (!tree_find(xs->root, "/k"))
        store_apply_set(xs, data_new("/k", &all, 1, NULL, 0), true);
    journal_commit(xs);
}

static void child(void)
{
    static struct xs xs;

    xs_init(&xs, &sim_plat);
    xs.journal.min_log = 100000;
    if (journal_open(&xs, dir) != 0)
        _exit(3);
    make_home(&xs);
    domain_reconnect_all(&xs);
    for (int d = 1; d <= DOMS; d++) {
        if (!xs.domains[d] && domain_introduce(&xs, d, 0, 0) != 0)
            _exit(4);
        journal_commit(&xs);
    }
    if (server_open(&xs, NULL) != 0)
        _exit(5);
    server_run(&xs);
    _exit(6);
}

static void start(void)
{
    daemon_pid = fork();
    if (daemon_pid == 0)
        child();
}

static void kill_daemon(void)
{
    int status;

    kill(daemon_pid, SIGKILL);
    waitpid(daemon_pid, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void expect(struct guest *g, uint32_t type, const char *text, uint32_t len)
{
    struct expected *e = &g->queue[g->n++];

    e->type = type;
    e->len = len;
    e->text = text ? xs_alloc(len + 1) : NULL;
    if (text)
        memcpy(e->text, text, len);
}

static void put_path(int d, uint32_t type, uint32_t tx, uint32_t key, const char *value)
{
    struct buf b = { 0 };
    char path[40];

    snprintf(path, sizeof(path), "/k/%d/k%u", d, key);
    buf_str(&b, path);
    if (value)
        buf_add(&b, value, strlen(value));
    sim_put(d, type, tx, b.p, b.len);
    buf_free(&b);
}

static void random_value(struct guest *g, char *out)
{
    uint32_t len = rand() % 4 ? rand() % 40 : rand() % MAXV;

    memset(out, 'a' + rand() % 26, len);
    out[len] = 0;
    if (len > 12)
        out[snprintf(out, 12, "%u", ++g->serial)] = '.';
}

/* One more request of a guest, and what must come back. */
static void ask(int d)
{
    struct guest *g = &guest[d];
    uint32_t k = rand() % KEYS;

    switch (rand() % 8) {
    case 0:
    case 1:
    case 2:
        random_value(g, g->value[k]);
        g->there[k] = true;
        g->expected_events++;
        put_path(d, XS_WRITE, 0, k, g->value[k]);
        expect(g, XS_WRITE, "OK", 3);
        break;
    case 3:
    case 4:
        put_path(d, XS_READ, 0, k, NULL);
        if (g->there[k])
            expect(g, XS_READ, g->value[k], strlen(g->value[k]));
        else
            expect(g, XS_ERROR, "ENOENT", 7);
        break;
    case 5:
        put_path(d, XS_RM, 0, k, NULL);
        g->expected_events += g->there[k];
        g->there[k] = false;
        expect(g, XS_RM, "OK", 3);
        break;
    default:
        sim_put(d, XS_TRANSACTION_START, 0, "", 1);
        g->state = STARTING;
        expect(g, XS_TRANSACTION_START, NULL, 0);
    }
}

static void txn_answer(int d, const struct xsd_sockmsg *msg, const char *text)
{
    struct guest *g = &guest[d];

    if (msg->type == XS_TRANSACTION_START) {
        g->tx = atoi(text);
        g->key = rand() % (KEYS - 1);
        random_value(g, g->next);
        put_path(d, XS_WRITE, g->tx, g->key, g->next);
        expect(g, XS_WRITE, "OK", 3);
        put_path(d, XS_WRITE, g->tx, g->key + 1, g->next);
        expect(g, XS_WRITE, "OK", 3);
        sim_put(d, XS_TRANSACTION_END, g->tx, "T", 2);
        expect(g, XS_TRANSACTION_END, NULL, 0);
        g->state = INSIDE;
        return;
    }
    g->state = FREE;
    if (msg->type == XS_ERROR) {
        CHECK_STR(text, "EAGAIN");
        g->retries++;
        return;
    }
    CHECK_STR(text, "OK");
    g->commits++;
    g->expected_events += 2;
    for (uint32_t k = g->key; k <= g->key + 1; k++) {
        strcpy(g->value[k], g->next);
        g->there[k] = true;
    }
}

static void answer(int d, const struct xsd_sockmsg *msg, struct buf *p)
{
    struct guest *g = &guest[d];
    struct expected e = g->queue[0];

    if (msg->type == XS_WATCH_EVENT) {
        g->events++;
        return;
    }
    CHECK(g->n > 0);
    if (!g->n)
        return;
    g->answers++;
    memmove(&g->queue[0], &g->queue[1], --g->n * sizeof(e));
    if (!e.text) {
        CHECK(msg->type == e.type || (msg->type == XS_ERROR && e.type == XS_TRANSACTION_END));
        txn_answer(d, msg, (char *)p->p);
        return;
    }
    CHECK_EQ(msg->type, e.type);
    if (msg->type == XS_ERROR && e.type != XS_ERROR)
        printf("domain %d, transaction %u: %s\n", d, msg->tx_id, (char *)p->p);
    CHECK_EQ(p->len, e.len);
    if (p->len == e.len && e.len)
        CHECK(memcmp(p->p, e.text, e.len) == 0);
    free(e.text);
}

/* One look of all guests at their rings; `more`: with new requests as well. True: something moved.
 */
static bool work_once(bool more)
{
    struct xsd_sockmsg msg;
    struct buf p = { 0 };
    bool moved = false;

    for (int d = 1; d <= DOMS; d++) {
        struct guest *g = &guest[d];

        while (more && g->state == FREE && g->n < 4)
            ask(d);
        moved |= sim_move(d);
        while (sim_take(d, &msg, &p))
            answer(d, &msg, &p);
    }
    buf_free(&p);
    return moved;
}

static uint64_t all_answers(void)
{
    uint64_t n = 0;

    for (int d = 1; d <= DOMS; d++)
        n += guest[d].answers;
    return n;
}

/* However slow the machine is: nothing moves for so long only if something is lost. */
static bool stuck(bool moved)
{
    static struct timespec since;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (moved || !since.tv_sec)
        since = now;
    else
        usleep(50);
    return now.tv_sec - since.tv_sec > 60;
}

/* Guests work until so many answers have come. */
static void work(unsigned answers)
{
    uint64_t want = all_answers() + answers;

    while (all_answers() < want && !stuck(work_once(true)))
        ;
    CHECK(all_answers() >= want);
}

static bool idle(void)
{
    for (int d = 1; d <= DOMS; d++) {
        if (guest[d].n || guest[d].state != FREE)
            return false;
    }
    return true;
}

static void drain(void)
{
    while (!idle() && !stuck(work_once(false)))
        ;
    CHECK(idle());
}

static void check_all(void)
{
    for (int d = 1; d <= DOMS; d++) {
        struct guest *g = &guest[d];

        CHECK_EQ(g->events, g->expected_events);
        CHECK(!g->n);
    }
    for (uint32_t k = 0; k < KEYS; k++) {
        for (int d = 1; d <= DOMS; d++) {
            struct guest *g = &guest[d];

            put_path(d, XS_READ, 0, k, NULL);
            if (g->there[k])
                expect(g, XS_READ, g->value[k], strlen(g->value[k]));
            else
                expect(g, XS_ERROR, "ENOENT", 7);
        }
        drain();
    }
}

TEST(killed_at_random)
{
    int kills = getenv("XS_KILLS") ? atoi(getenv("XS_KILLS")) : 100;
    uint64_t commits = 0, retries = 0;

    srand(getenv("XS_SEED") ? atoi(getenv("XS_SEED")) : 7);
    dir = sim_dir();
    sim_init();
    sim_plat.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    start();
    for (int d = 1; d <= DOMS; d++) {
        char text[40];
        int n = snprintf(text, sizeof(text), "/k/%d%ct", d, 0);

        sim_put(d, XS_MKDIR, 0, text, n - 1);
        expect(&guest[d], XS_MKDIR, "OK", 3);
        sim_put(d, XS_WATCH, 0, text, n + 1);
        expect(&guest[d], XS_WATCH, "OK", 3);
        guest[d].expected_events = 1;
    }
    drain();
    for (int i = 0; i < kills && !unit_failures; i++) {
        work(rand() % 80);
        /* Somewhere inside what it does then. */
        for (volatile int spin = rand() % 20000; spin > 0; spin--)
            ;
        kill_daemon();
        for (int n = rand() % 4; n > 0; n--)
            work_once(true);
        start();
        /* Now and then it dies while it recovers. */
        if (rand() % 4 == 0) {
            usleep(rand() % 3000);
            kill_daemon();
            start();
        }
    }
    drain();
    check_all();
    kill_daemon();
    for (int d = 1; d <= DOMS; d++) {
        commits += guest[d].commits;
        retries += guest[d].retries;
    }
    printf("%d kills, %llu answers, %llu commits, %llu EAGAIN\n", kills,
           (unsigned long long)all_answers(), (unsigned long long)commits,
           (unsigned long long)retries);
    CHECK(commits > (uint64_t)kills && retries > (uint64_t)kills / 8);
    close(sim_plat.fd);
    sim_free();
    sim_remove(dir);
}
