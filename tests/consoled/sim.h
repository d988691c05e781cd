/* SPDX-License-Identifier: MIT */
/*
 * Guests and a store in memory: the daemon's own code between them, in the test's process. Signals
 * are handled when the test says so (sim_run).
 */
#ifndef TESTS_CONSOLED_SIM_H
#define TESTS_CONSOLED_SIM_H

#define _GNU_SOURCE /* nftw */

#include "consoled/client.h"
#include "consoled/console.h"
#include "consoled/domain.h"
#include "consoled/hypervisor.h"
#include "consoled/viewer.h"
#include "lib/console_proto.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIM_GUESTS 8 /* domains 1 .. 7 */
#define SIM_NODES 128
#define SIM_PORT(domid) (100 + (domid)) /* local port of a domain */
#define SIM_HV_PORT 99

struct sim_watch {
    char path[64], token[16];
};

struct sim {
    struct xencons_interface page[SIM_GUESTS];
    bool exists[SIM_GUESTS], mapped[SIM_GUESTS], bound[SIM_GUESTS], masked[SIM_GUESTS];
    bool pending[SIM_GUESTS], refuse_bind;
    unsigned notified[SIM_GUESTS];
    char *path[SIM_NODES], *value[SIM_NODES];
    struct sim_watch watch[64], fired[256];
    unsigned watches, nfired;
    bool store_down, hv_pending, no_virq;
    char hv[1 << 16];
    uint32_t hv_len;
};

static struct sim sim;
static char sim_dir[64];
static struct consoled sim_d;

/* --- platform --- */
static void *sim_map(void *ctx, uint32_t domid, uint64_t gfn, bool *granted)
{
    errno = EINVAL;
    if (domid >= SIM_GUESTS || !sim.exists[domid] || gfn != 1000 + domid)
        return NULL;
    sim.mapped[domid] = true;
    return &sim.page[domid];
}

static void sim_unmap(void *ctx, void *page, bool granted)
{
    sim.mapped[(struct xencons_interface *)page - sim.page] = false;
}

static int sim_bind(void *ctx, uint32_t domid, uint32_t port)
{
    errno = EINVAL;
    if (sim.refuse_bind)
        return -1;
    sim.bound[domid] = true;
    sim.masked[domid] = false;
    return SIM_PORT(domid);
}

static int sim_bind_hypervisor(void *ctx)
{
    errno = EEXIST;
    return sim.no_virq ? -1 : SIM_HV_PORT;
}

static void sim_unbind(void *ctx, int local)
{
    if (local != SIM_HV_PORT)
        sim.bound[local - 100] = sim.pending[local - 100] = false;
}

static void sim_notify(void *ctx, int local)
{
    sim.notified[local - 100]++;
}

static int sim_next(void *ctx)
{
    if (sim.hv_pending) {
        sim.hv_pending = false;
        return SIM_HV_PORT;
    }
    for (int i = 0; i < SIM_GUESTS; i++) {
        if (sim.pending[i] && sim.bound[i] && !sim.masked[i]) {
            sim.pending[i] = false;
            sim.masked[i] = true;
            return SIM_PORT(i);
        }
    }
    return -1;
}

static void sim_unmask(void *ctx, int local)
{
    if (local != SIM_HV_PORT)
        sim.masked[local - 100] = false;
}

static bool sim_alive(void *ctx, uint32_t domid)
{
    return domid < SIM_GUESTS && sim.exists[domid];
}

static int sim_read_console(void *ctx, void *buf, size_t size, uint32_t *index)
{
    uint32_t n = sim.hv_len - *index;

    if (n > size)
        n = size;
    memcpy(buf, sim.hv + *index, n);
    *index += n;
    return n;
}

/* --- store --- */
static int sim_find(const char *path)
{
    for (int i = 0; i < SIM_NODES; i++) {
        if (sim.path[i] && strcmp(sim.path[i], path) == 0)
            return i;
    }
    return -1;
}

static void sim_fire(const char *path)
{
    for (unsigned i = 0; i < sim.watches; i++) {
        size_t n = strlen(sim.watch[i].path);

        if (strncmp(path, sim.watch[i].path, n) != 0 || (path[n] && path[n] != '/') ||
            sim.nfired == 256)
            continue;
        snprintf(sim.fired[sim.nfired].path, sizeof(sim.fired[0].path), "%s", path);
        strcpy(sim.fired[sim.nfired++].token, sim.watch[i].token);
    }
}

static void sim_set(const char *path, const char *value)
{
    int i = sim_find(path);

    for (int k = 0; i < 0; k++) {
        if (!sim.path[k])
            i = k;
    }
    free(sim.value[i]);
    if (!sim.path[i])
        sim.path[i] = strdup(path);
    sim.value[i] = strdup(value);
    sim_fire(path);
}

static void sim_rm(const char *under)
{
    for (int i = 0; i < SIM_NODES; i++) {
        if (!sim.path[i] || strncmp(sim.path[i], under, strlen(under)) != 0)
            continue;
        free(sim.path[i]);
        free(sim.value[i]);
        sim.path[i] = sim.value[i] = NULL;
    }
}

static int sim_store_fd(void *ctx)
{
    return -1;
}

static bool sim_store_open(void *ctx)
{
    sim.watches = sim.nfired = 0;
    return !sim.store_down;
}

static void sim_store_close(void *ctx)
{
    sim.watches = 0;
}

static bool sim_store_connected(void *ctx)
{
    return !sim.store_down;
}

static char *sim_store_read(void *ctx, const char *path)
{
    int i = sim_find(path);

    return i < 0 || sim.store_down ? NULL : strdup(sim.value[i]);
}

static bool sim_store_write(void *ctx, const char *path, const char *value, const char *beside)
{
    errno = ENOENT;
    if (sim.store_down || sim_find(beside) < 0)
        return false;
    sim_set(path, value);
    return true;
}

/* As libxenstore has it: the pointers and what they point to in one block. */
static char **sim_store_list(void *ctx, const char *path, unsigned *n)
{
    char **names = calloc(1, SIM_GUESTS * (sizeof(char *) + 4));
    char *text = (char *)(names + SIM_GUESTS), node[64];

    *n = 0;
    for (int i = 0; i < SIM_GUESTS && !sim.store_down; i++) {
        snprintf(node, sizeof(node), "/local/domain/%d/name", i);
        if (sim_find(node) < 0)
            continue;
        names[*n] = text + *n * 4;
        sprintf(names[(*n)++], "%d", i);
    }
    return names;
}

static bool sim_store_watch(void *ctx, const char *path, const char *token)
{
    struct sim_watch *w = &sim.watch[sim.watches];

    if (sim.store_down || sim.watches == 64)
        return false;
    snprintf(w->path, sizeof(w->path), "%s", path);
    snprintf(w->token, sizeof(w->token), "%s", token);
    sim.watches++;
    if (sim.nfired < 256)
        sim.fired[sim.nfired++] = *w;
    return true;
}

static void sim_store_unwatch(void *ctx, const char *path, const char *token)
{
    for (unsigned i = 0; i < sim.watches; i++) {
        if (strcmp(sim.watch[i].path, path) == 0 && strcmp(sim.watch[i].token, token) == 0) {
            sim.watch[i] = sim.watch[--sim.watches];
            return;
        }
    }
}

static bool sim_store_next(void *ctx, char *path, size_t path_size, char *token, size_t token_size)
{
    errno = sim.store_down ? EIO : EAGAIN;
    if (sim.store_down || !sim.nfired)
        return false;
    snprintf(path, path_size, "%s", sim.fired[0].path);
    snprintf(token, token_size, "%s", sim.fired[0].token);
    memmove(sim.fired, sim.fired + 1, --sim.nfired * sizeof(sim.fired[0]));
    return true;
}

static const struct platform sim_plat = { .fd = -1,
                                          .map = sim_map,
                                          .unmap = sim_unmap,
                                          .bind = sim_bind,
                                          .bind_hypervisor = sim_bind_hypervisor,
                                          .unbind = sim_unbind,
                                          .notify = sim_notify,
                                          .next = sim_next,
                                          .unmask = sim_unmask,
                                          .alive = sim_alive,
                                          .read_console = sim_read_console };

static const struct store sim_store = { .fd = sim_store_fd,
                                        .open = sim_store_open,
                                        .close = sim_store_close,
                                        .connected = sim_store_connected,
                                        .read = sim_store_read,
                                        .write_beside = sim_store_write,
                                        .list = sim_store_list,
                                        .watch = sim_store_watch,
                                        .unwatch = sim_store_unwatch,
                                        .next = sim_store_next };

/* --- the daemon --- */

static int sim_loops = 20; /* of libevent, between two looks at the ports */

/* Until nothing is left to do but wait. */
static void sim_run(void)
{
    for (int quiet = 0; quiet < 3; quiet++) {
        consoled_ports(&sim_d);
        if (!sim.store_down)
            domain_store_event(&sim_d);
        for (int i = 0; i < sim_loops; i++)
            event_base_loop(sim_d.base, EVLOOP_NONBLOCK);
    }
}

static char *sim_path(const char *name)
{
    static char path[4][128];
    static int turn;
    char *p = path[turn++ & 3];

    snprintf(p, sizeof(path[0]), "%s/%s", sim_dir, name);
    return p;
}

/* A daemon over what is in the directories and the guests now; settings_default, but small. */
static void sim_start(void)
{
    static char logs[128], state[128];

    memset(&sim_d, 0, sizeof(sim_d));
    settings_default(&sim_d.set);
    snprintf(logs, sizeof(logs), "%s", sim_path("log"));
    snprintf(state, sizeof(state), "%s", sim_path("state"));
    sim_d.set.log_dir = sim_d.set.hypervisor_log_dir = logs;
    sim_d.set.state_dir = state;
    sim_d.set.rate = 1 << 30;
    consoled_init(&sim_d, &sim_plat, &sim_store);
}

static int sim_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

static void sim_fresh(void)
{
    sim_rm("/");
    memset(&sim, 0, sizeof(sim));
    if (!sim_dir[0]) {
        strcpy(sim_dir, "/tmp/consoled-XXXXXX");
        if (!mkdtemp(sim_dir))
            abort();
    }
    nftw(sim_path("log"), sim_remove, 10, FTW_DEPTH);
    nftw(sim_path("state"), sim_remove, 10, FTW_DEPTH);
    mkdir(sim_path("log"), 0700);
    mkdir(sim_path("state"), 0700);
}

static void sim_done(void)
{
    nftw(sim_dir, sim_remove, 10, FTW_DEPTH);
    sim_dir[0] = 0;
    sim_rm("/");
}

/* As a toolstack does it: nodes first, then the store is told. */
static void sim_guest(int domid, const char *name)
{
    char path[64], text[32];

    memset(&sim.page[domid], 0, sizeof(sim.page[domid]));
    sim.exists[domid] = true;
    snprintf(path, sizeof(path), "/local/domain/%d/name", domid);
    sim_set(path, name);
    snprintf(path, sizeof(path), "/local/domain/%d/vm", domid);
    snprintf(text, sizeof(text), "/vm/%s", name);
    sim_set(path, text);
    snprintf(path, sizeof(path), "/local/domain/%d/console/port", domid);
    sim_set(path, "5");
    snprintf(path, sizeof(path), "/local/domain/%d/console/ring-ref", domid);
    snprintf(text, sizeof(text), "%d", 1000 + domid);
    sim_set(path, text);
    sim_fire("@introduceDomain");
}

static void sim_destroy(int domid)
{
    char path[64];

    sim.exists[domid] = false;
    snprintf(path, sizeof(path), "/local/domain/%d/", domid);
    sim_rm(path);
    sim_fire("@releaseDomain");
}

/* The guest's side: what fits; how much did. */
static size_t sim_put(int domid, const void *p, size_t n)
{
    struct xencons_interface *page = &sim.page[domid];
    const char *bytes = p;
    size_t i;

    for (i = 0; i < n && page->out_prod - page->out_cons < RING_OUT; i++)
        page->out[page->out_prod++ & (RING_OUT - 1)] = bytes[i];
    sim.pending[domid] = true;
    return i;
}

static void sim_puts(int domid, const char *s)
{
    sim_put(domid, s, strlen(s));
    sim_run();
}

static size_t sim_take(int domid, char *buf, size_t max)
{
    struct xencons_interface *page = &sim.page[domid];
    size_t n = 0;

    while (n < max && page->in_cons != page->in_prod)
        buf[n++] = page->in[page->in_cons++ & (RING_IN - 1)];
    sim.pending[domid] = true;
    return n;
}

/* --- a client of the socket --- */
struct sim_client {
    int fd;
    char line[CONSOLE_LINE_MAX];
    char out[1 << 17]; /* payloads of 'o' */
    char end[256], message[256];
    size_t len;
    uint64_t lost;
};

static void sim_connect(struct sim_client *c, uint32_t uid)
{
    int fd[2];

    memset(c, 0, sizeof(*c));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) != 0)
        abort();
    c->fd = fd[0];
    client_new(&sim_d, fd[1], uid);
}

static void sim_send(struct sim_client *c, const void *p, size_t n)
{
    if (send(c->fd, p, n, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != EAGAIN)
        abort();
}

/* False: closed, or nothing came. */
static bool sim_bytes(int fd, void *p, size_t n)
{
    for (size_t got = 0; got < n;) {
        ssize_t r = read(fd, (char *)p + got, n - got);

        if (r == 0 || (r < 0 && got == 0))
            return false;
        if (r < 0)
            sim_run();
        else
            got += r;
    }
    return true;
}

/* Sends a request and takes its line. */
static void sim_ask(struct sim_client *c, uint32_t uid, const char *line)
{
    size_t n = 0;

    sim_connect(c, uid);
    sim_send(c, line, strlen(line));
    sim_send(c, "\n", 1);
    sim_run();
    while (n < sizeof(c->line) - 1 && sim_bytes(c->fd, c->line + n, 1) && c->line[n] != '\n')
        n++;
    c->line[n] = 0;
}

/* Takes the frames that have come. */
static void sim_frames(struct sim_client *c)
{
    uint8_t h[CONSOLE_HEADER];
    char buf[CONSOLE_FRAME_MAX + 1];

    sim_run();
    while (sim_bytes(c->fd, h, sizeof(h))) {
        uint32_t len = console_header_len(h);

        if (len > CONSOLE_FRAME_MAX || (len && !sim_bytes(c->fd, buf, len)))
            abort();
        buf[len] = 0;
        if (h[0] == CONSOLE_F_OUTPUT && c->len + len < sizeof(c->out)) {
            memcpy(c->out + c->len, buf, len);
            c->len += len;
            c->out[c->len] = 0;
        } else if (h[0] == CONSOLE_F_END) {
            snprintf(c->end, sizeof(c->end), "%.255s", buf);
        } else if (h[0] == CONSOLE_F_MESSAGE) {
            snprintf(c->message, sizeof(c->message), "%.255s", buf);
        } else if (h[0] == CONSOLE_F_LOST) {
            c->lost += strtoull(buf, NULL, 10);
        }
    }
}

static void sim_type(struct sim_client *c, const char *text)
{
    uint8_t h[CONSOLE_HEADER];

    console_header_put(h, CONSOLE_F_INPUT, strlen(text));
    sim_send(c, h, sizeof(h));
    sim_send(c, text, strlen(text));
    sim_run();
}

static void sim_close(struct sim_client *c)
{
    close(c->fd);
    sim_run();
}

/* The whole of a log file. */
static const char *sim_log(const char *name)
{
    static char text[1 << 17];
    char path[160];
    int fd;
    ssize_t n;

    snprintf(path, sizeof(path), "%s/log/%s", sim_dir, name);
    fd = open(path, O_RDONLY);
    n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return text;
}

#endif
