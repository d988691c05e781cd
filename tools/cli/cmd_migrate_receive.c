/* SPDX-License-Identifier: MIT */
/*
 * orlop migrate-receive: the other side of orlop migrate and xl migrate. The guest is made paused,
 * and runs only after the sender's permission; whatever ends before that takes it away again.
 */
#define _GNU_SOURCE
#include "tools/cli/command.h"
#include "tools/cli/disk_sizes.h"
#include "tools/cli/down.h"
#include "tools/cli/guest.h"
#include "tools/cli/guest_lock.h"
#include "tools/cli/handshake.h"
#include "tools/cli/host.h"
#include "tools/cli/monitor.h"
#include "tools/cli/rename.h"
#include "tools/cli/restore.h"
#include "tools/cli/suspend.h"
#include "tools/cli/undo.h"
#include "tools/lib/error.h"
#include "tools/lib/names.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ERASE_WAIT_MS 30000
#define MAX_WHY 1000

struct receiving {
    struct host h;
    struct stream s;
    struct guest_config cfg;
    uint8_t senders[16]; /* with name: the uuid that the sender's has */
    char *name;          /* it is to have at last, if another has it still; NULL: it has it */
    unsigned int domid;
    struct guest_lock lock;
    bool checks; /* the sender hears of them, and has not yet */
    int in, out;
    struct error e;
};

static int parse(int argc, char **argv, const char **port, bool *checks)
{
    static const struct option longs[] = { { "tcp", required_argument, NULL, 'P' },
                                           { "checks", no_argument, NULL, 'C' },
                                           { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, ":edp", longs, NULL)) != -1) {
        if (c == 'P')
            *port = optarg;
        else if (c == 'C')
            *checks = true;
        else if (c == '?' || c == ':')
            return cmd_bad_option(argv);
        else
            fprintf(stderr, "orlop migrate-receive: -%c has no effect\n", c);
    }
    return optind == argc ? 0 : cmd_usage("no arguments are expected");
}

static void keep_alive(int fd)
{
    const int on = 1, seconds = 30, times = 4;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
}

/* A socket that listens to all addresses of this host of that family; -1 with errno. */
static int listen_to(const char *port, int family, struct error *e)
{
    struct addrinfo hints = { .ai_family = family,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_PASSIVE },
                    *a = NULL;
    int on = 1, fd, err, rc = getaddrinfo(NULL, port, &hints, &a);

    if (rc) {
        error_set(e, EINVAL, NULL, "port %s: %s", port, gai_strerror(rc));
        errno = EAFNOSUPPORT;
        return -1;
    }
    fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, 1) != 0) {
        err = errno;
        error_sys(e, err, NULL, "port %s", port);
        if (fd >= 0)
            close(fd);
        fd = -1;
        errno = err;
    }
    freeaddrinfo(a);
    return fd;
}

/* One connection. IPv6's socket takes IPv4's as well, where the kernel has IPv6 at all. */
static int accept_one(const char *port, struct error *e)
{
    struct error none = { 0 };
    int got, fd = listen_to(port, AF_INET6, &none);

    if (fd < 0)
        fd = listen_to(port, AF_INET, e);
    if (fd < 0)
        return -1;
    got = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (got >= 0) /* a sender without power says nothing more */
        keep_alive(got);
    else
        error_sys(e, errno, NULL, "port %s", port);
    close(fd);
    return got;
}

/* What prints goes to stderr: stdout is the sender's. */
static int open_channel(struct receiving *r, const char *port)
{
    if (port) {
        r->in = accept_one(port, &r->e);
        r->out = r->in;
        return r->in < 0 ? -1 : 0;
    }
    r->in = 0;
    r->out = fcntl(1, F_DUPFD_CLOEXEC, 3); /* no daemon may hold the channel open */
    return r->out < 0 || dup2(2, 1) < 0 ? error_sys(&r->e, errno, NULL, "stdout") : 0;
}

static int say(struct receiving *r, const char *words, size_t n)
{
    int rc = write_all(r->out, words, n);

    return rc ? error_sys(&r->e, -rc, NULL, "answering the sender") : 0;
}

/*
 * The sender is on this host: its guest has name, uuid and disks until the end. Ours gets a uuid of
 * its own, and the name when it runs.
 */
static void beside_itself(struct receiving *r, struct create_options *o)
{
    if (!r->cfg.has_uuid || xen_find_uuid(r->h.xen, r->cfg.uuid) < 0)
        return;
    r->name = r->cfg.name;
    memcpy(r->senders, r->cfg.uuid, sizeof(r->senders));
    r->cfg.name = str_fmt("%.50s--incoming", r->name);
    uuid_random(r->cfg.uuid);
    o->force = true;
}

/* All but its pages is there, and nobody else can take it any more: the guest may stop. */
static int tell_good(void *arg)
{
    static const char good[HANDSHAKE_CHECKED_SIZE + 2] = HANDSHAKE_CHECKED;
    struct receiving *r = arg;

    r->checks = false;
    return write_all(r->out, good, sizeof(good)) ? -1 : 0;
}

/* The guest runs on where it is, and whoever sends it reads why. */
static void tell_bad(struct receiving *r)
{
    const char *why = *r->e.cause ? r->e.cause : "no reason is known"; /* no length says yes */
    size_t n = strnlen(why, MAX_WHY);
    const uint8_t length[2] = { (uint8_t)n, (uint8_t)(n >> 8) };

    if (write_all(r->out, HANDSHAKE_CHECKED, HANDSHAKE_CHECKED_SIZE) == 0 &&
        write_all(r->out, length, sizeof(length)) == 0)
        write_all(r->out, why, n);
}

static int make_guest(struct receiving *r)
{
    struct create_options o = { .paused = true,
                                .keep = &r->lock,
                                .image = &r->s,
                                .before_pages = r->checks ? tell_good : NULL,
                                .arg = r };

    if (disk_sizes_check(r->s.config, &r->cfg, &r->e) != 0)
        return -1;
    beside_itself(r, &o);
    leftovers_clean(&r->h);
    down_forget(&r->h, r->cfg.name);
    monitor_ensure();
    return guest_create(&r->h, &r->cfg, &o, &r->domid, NULL, &r->e) == 0
               ? 0
               : error_in(&r->e, "%s", r->cfg.name);
}

/* Nobody lets it run any more. */
static void take_away(struct receiving *r)
{
    struct error e = { 0 };

    if (guest_erase(&r->h, (int)r->domid, r->cfg.uuid, false, now_ms() + ERASE_WAIT_MS, &e) != 0)
        error_print(&e, "orlop migrate-receive: taking the guest away");
}

static int let_run(struct receiving *r)
{
    int lock, rc = 0, other = r->name ? xen_find_uuid(r->h.xen, r->senders) : -1;

    if (other >= 0 && !suspend_is(&r->h, (unsigned int)other))
        return error_set(&r->e, EEXIST, "It is not the sender's: give one of them another uuid.",
                         "domain %d has the guest's uuid, and runs", other);
    if (r->name) {
        lock = name_lock(&r->e);
        rc = lock < 0 ? -1 : name_free(r->h.xen, &r->h.store, r->name, &r->e);
        rc = rc ? -1 : guest_rename(&r->h, r->domid, r->cfg.uuid, r->name, &r->e);
        if (lock >= 0)
            close(lock);
        if (rc)
            return -1;
    }
    rc = xen_domctl_plain(r->h.xen, r->domid, XEN_DOMCTL_unpausedomain);
    return rc < 0 ? xen_error(&r->e, rc, "starting the guest") : 0;
}

/* Tells the sender whether it runs here; if not, that there is nothing of it here any more. */
static void report(struct receiving *r, bool runs)
{
    char text[HANDSHAKE_REPORT_SIZE + 1] = HANDSHAKE_REPORT;

    text[HANDSHAKE_REPORT_SIZE] = runs ? 0 : (char)0xff;
    if (!runs)
        take_away(r);
    if (write_all(r->out, text, sizeof(text)) == 0 && !runs)
        write_all(r->out, HANDSHAKE_GO, HANDSHAKE_GO_SIZE);
}

/*
 * While it is ours we hold its lock: if we are killed, it is erased. The lock's file goes before
 * the guest runs.
 */
static int take_over(struct receiving *r)
{
    char got[HANDSHAKE_GO_SIZE];
    int rc = say(r, HANDSHAKE_READY, HANDSHAKE_READY_SIZE);

    if (rc == 0 &&
        (!restore_read(&r->in, got, sizeof(got)) || memcmp(got, HANDSHAKE_GO, sizeof(got)) != 0))
        rc = error_set(&r->e, ECANCELED, NULL,
                       "the sender gave no permission to run the guest: it is taken away here");
    if (rc == 0) {
        guest_unlock(&r->lock);
        rc = let_run(r);
    }
    report(r, rc == 0);
    return rc;
}

static int run(int argc, char **argv)
{
    struct receiving r = { .in = -1, .out = -1, .lock = { .fd = -1 } };
    const char *port = NULL;
    int rc = parse(argc, argv, &port, &r.checks);

    if (rc)
        return rc;
    interrupt_catch();
    signal(SIGPIPE, SIG_IGN);
    r.s.read = restore_read;
    r.s.arg = &r.in;
    rc = host_open(&r.h, &r.e);
    rc = rc ? rc : open_channel(&r, port);
    rc = rc ? rc
            : say(&r, r.checks ? HANDSHAKE_HELLO_CHECKS : HANDSHAKE_HELLO, HANDSHAKE_HELLO_SIZE);
    rc = rc ? rc : restore_open(&r.s, &r.cfg, &r.e);
    rc = rc ? rc : make_guest(&r);
    if (rc && r.checks && r.out >= 0)
        tell_bad(&r);
    rc = rc ? rc : take_over(&r);
    guest_unlock(&r.lock);
    if (rc == 0)
        fprintf(stderr, "%s is domain %u\n", r.name ? r.name : r.cfg.name, r.domid);
    free(r.name);
    config_free(&r.cfg);
    stream_close(&r.s);
    if (rc)
        return host_fail(&r.h, &r.e);
    host_close(&r.h);
    return EXIT_DONE;
}

const struct command cmd_migrate_receive = {
    .name = "migrate-receive",
    .synopsis = "[--checks] [--tcp PORT]",
    .summary = "take a guest that another host migrates here",
    .help =
        "orlop migrate and xl migrate start it on the other host, by ssh, and speak to it by its\n"
        "input and output. The guest runs here only after the sender's permission.\n"
        "\n"
        "      --checks     for orlop migrate: says first whether the guest can be taken, so\n"
        "                   that it need not stop for nothing. xl does not understand it\n"
        "      --tcp PORT   wait for one connection to this port instead. Nothing protects it:\n"
        "                   whoever connects may start a guest and by its scripts run anything\n"
        "                   as root. For networks that you trust\n"
        "\n"
        "xl's options -e, -d and -p are passed over.",
    .options = "--checks --tcp",
    .group = GROUP_GUEST,
    .arg = ARG_NONE,
    .run = run,
};
