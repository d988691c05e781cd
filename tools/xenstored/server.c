/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* accept4 */
#include "xenstored/server.h"
#include "xenstored/account.h"
#include "xenstored/domain.h"
#include "xenstored/txn.h"
#include "xenstored/wire.h"
#include "xenstored/xs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TURN 16     /* units of work for a client before the next has its turn: about four reads */
#define SIGNALS 256 /* looked at before the clients have their turns */

static void make_node(struct xs *xs, const char *path)
{
    static const struct perm none;
    struct data *d = data_new(path, &none, 1, NULL, 0);

    account_node(xs, d, 1);
    tree_set(&xs->root, d, 0);
}

void xs_init(struct xs *xs, const struct platform *plat)
{
    static const char *const nodes[] = {
        "",    "/tool",           "/tool/xenstored", "/local", "/local/domain",
        "/vm", SPECIAL_INTRODUCE, SPECIAL_RELEASE
    };
    struct timespec now;

    memset(xs, 0, sizeof(*xs));
    xs->plat = plat;
    xs->ready_tail = &xs->ready;
    xs->epoll = xs->listener = -1;
    quota_init(&xs->quota);
    watch_index_init(&xs->watches);
    /* Numbers of a list never come back, not even after a restart. */
    clock_gettime(CLOCK_REALTIME, &now);
    xs->gen = (uint64_t)now.tv_sec << 30;
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
        make_node(xs, nodes[i]);
}

void xs_free(struct xs *xs)
{
    while (xs->clients)
        client_free(xs, xs->clients);
    journal_close(xs);
    tree_put(xs->root);
    xs->root = NULL;
    free(xs->sweep.at);
    watch_index_free(&xs->watches);
}

static int listen_at(struct xs *xs, const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old;

    if (fd < 0)
        return errno;
    if (strlen(path) >= sizeof(addr.sun_path)) {
        close(fd);
        return ENAMETOOLONG;
    }
    strcpy(addr.sun_path, path);
    unlink(path);
    old = umask(0177);
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 || listen(fd, 64) != 0) {
        int err = errno;

        umask(old);
        close(fd);
        return err;
    }
    umask(old);
    xs->listener = fd;
    return 0;
}

static void arm(struct xs *xs, int op, int fd, uint32_t events, void *ptr)
{
    struct epoll_event ev = { .events = events, .data.ptr = ptr };

    epoll_ctl(xs->epoll, op, fd, &ev);
}

int server_open(struct xs *xs, const char *socket_path)
{
    int err;

    xs->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (xs->epoll < 0)
        return errno;
    if (socket_path) {
        err = listen_at(xs, socket_path);
        if (err)
            return err;
        arm(xs, EPOLL_CTL_ADD, xs->listener, EPOLLIN, &xs->listener);
    }
    if (xs->plat->fd >= 0)
        arm(xs, EPOLL_CTL_ADD, xs->plat->fd, EPOLLIN, (void *)xs->plat);
    return 0;
}

void server_close(struct xs *xs)
{
    if (xs->listener >= 0)
        close(xs->listener);
    if (xs->epoll >= 0)
        close(xs->epoll);
    xs->listener = xs->epoll = -1;
}

static void accept_all(struct xs *xs)
{
    int fd;

    while ((fd = accept4(xs->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        struct client *c = client_new(xs, 0);

        c->fd = fd;
        c->armed = EPOLLIN;
        arm(xs, EPOLL_CTL_ADD, fd, EPOLLIN, c);
    }
}

/*
 * A domain that has signalled stays masked until it is served, so it can signal once a turn,
 * however fast it sends. The number is bounded nevertheless: what is left is there the next time.
 */
static void platform_events(struct xs *xs)
{
    bool ended = false;

    for (int i = 0; i < SIGNALS; i++) {
        int domid = xs->plat->next(xs->plat->ctx);

        if (domid == NO_DOMAIN)
            break;
        xs->signals++;
        if (domid == SOME_ENDED) {
            ended = true;
        } else if (domid >= 0 && xs->domains[domid]) {
            xs->domains[domid]->masked = true;
            client_ready(xs, xs->domains[domid]);
        }
    }
    if (ended)
        domain_check_all(xs);
}

/* A program whose replies do not fit wakes us when they do; with many waiting it is not read. */
static void rearm(struct xs *xs, struct client *c)
{
    uint32_t want = client_unsent(c) ? EPOLLOUT : 0;

    if (client_unsent(c) <= xs->quota.outstanding)
        want |= EPOLLIN;
    if (c->armed == want)
        return;
    c->armed = want;
    arm(xs, EPOLL_CTL_MOD, c->fd, want, c);
}

bool server_turn(struct xs *xs)
{
    struct client *c;
    unsigned n = 0;

    for (c = xs->ready; c; c = c->ready_next)
        n++;
    while (n-- && (c = client_next_ready(xs))) {
        bool more = client_pump(xs, c, TURN);

        if (c->fd >= 0 && c->dead) {
            client_free(xs, c);
            continue;
        }
        if (c->fd >= 0)
            rearm(xs, c);
        if (more)
            client_ready(xs, c);
    }
    return xs->ready != NULL;
}

/* Milliseconds until there is something to do without a signal, -1: nothing. */
static int idle_time(struct xs *xs)
{
    int64_t wait = txn_age(xs);

    if (xs->ready || xs->journal.snap || sweep_busy(&xs->sweep))
        return 0;
    return wait < 0 ? -1 : (wait > 3600 ? 3600 : wait) * 1000;
}

static void update_clock(struct xs *xs)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    xs->now = t.tv_sec;
}

void server_run(struct xs *xs)
{
    struct epoll_event ev[64];

    update_clock(xs);
    while (!xs->stop) {
        int n = epoll_wait(xs->epoll, ev, 64, idle_time(xs));

        update_clock(xs); /* what is used now is not as old as the wait */
        for (int i = 0; i < n; i++) {
            void *p = ev[i].data.ptr;

            if (p == &xs->listener)
                accept_all(xs);
            else if (p == xs->plat)
                platform_events(xs);
            else
                client_ready(xs, p);
        }
        server_turn(xs);
        journal_work(xs);
        sweep_work(xs);
    }
}
