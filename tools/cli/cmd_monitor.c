/* SPDX-License-Identifier: MIT */
/*
 * orlop monitor: one small daemon that waits for guests to stop, and for programs that are killed
 * while they work on one. It keeps nothing in memory that matters: at each event it looks at the
 * hypervisor's list and at the records in xenstore, and a child process does what one guest needs.
 */
#define _GNU_SOURCE
#include "tools/cli/monitor.h"
#include "tools/cli/command.h"
#include "tools/cli/device_model.h"
#include "tools/cli/guest.h"
#include "tools/cli/guest_lock.h"
#include "tools/cli/host.h"
#include "tools/cli/monitor_act.h"
#include "tools/cli/monitor_dm.h"
#include "tools/lib/error.h"
#include "tools/lib/text.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILDREN 64
#define DEVICE_MODELS 1024 /* whose end is seen at once; of further ones at the next event */
#define LOOK_AGAIN_MS 2000 /* after somebody else had a guest's lock */
#define LOCK_FREE_MS 1000  /* a program's end is told a moment before its lock is free */

struct child {
    pid_t pid;
    uint8_t uuid[16];
};

static struct {
    struct host h;
    struct child child[CHILDREN];
    bool look_again; /* something could not be done yet */
    bool waiting;    /* a guest waits for its restart */
    int lock;
    int ends;           /* of programs that held a guest's lock: leftovers_watch() */
    int64_t look_until; /* what such programs left; 0: nothing is to be looked for */
} mon;

static volatile sig_atomic_t stop, child_ended;

void monitor_log(const char *fmt, ...)
{
    time_t now = time(NULL);
    char when[32], text[2048];
    struct tm tm;
    va_list ap;

    localtime_r(&now, &tm);
    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    fprintf(stderr, "%s %s\n", when, text_clean(text));
}

static void on_signal(int sig)
{
    if (sig == SIGCHLD)
        child_ended = 1;
    else
        stop = 1;
}

static struct child *slot_of(const uint8_t *uuid)
{
    for (unsigned int i = 0; i < CHILDREN; i++) {
        if (mon.child[i].pid && memcmp(mon.child[i].uuid, uuid, 16) == 0)
            return &mon.child[i];
    }
    return NULL;
}

static struct child *free_slot(void)
{
    for (unsigned int i = 0; i < CHILDREN; i++) {
        if (!mon.child[i].pid)
            return &mon.child[i];
    }
    return NULL;
}

/* In place of a guest's: what killed programs left. */
static const uint8_t leftovers[16];

/* In the child: handles of its own, since the parent's connections must not be shared. */
static int child_main(const uint8_t *uuid)
{
    struct error e = { 0 };
    struct host h;
    bool done;

    signal(SIGCHLD, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    close(mon.lock);
    if (host_open(&h, &e) != 0) {
        monitor_log("%s", e.cause);
        return 1;
    }
    done = uuid == leftovers ? leftovers_clean(&h) >= 0 : monitor_act(&h, uuid);
    host_close(&h);
    return done ? 0 : 2;
}

static void start_child(const uint8_t *uuid)
{
    struct child *c = free_slot();
    pid_t pid = c ? fork() : -1;

    if (pid == 0)
        _exit(child_main(uuid));
    if (pid < 0) {
        mon.look_again = true;
        return;
    }
    c->pid = pid;
    memcpy(c->uuid, uuid, 16);
}

/*
 * Status 2: the guest's lock was taken; any other end may have left something to do as well. That
 * is tried again after a pause: an end is news only where a child did all it was to do.
 */
static bool reap(void)
{
    bool news = false;
    int status;
    pid_t pid;

    child_ended = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (unsigned int i = 0; i < CHILDREN; i++) {
            if (mon.child[i].pid == pid)
                mon.child[i].pid = 0;
        }
        if (status != 0)
            mon.look_again = true;
        else
            news = true;
    }
    return news;
}

static const struct xen_domctl_getdomaininfo *find(const struct xen_domctl_getdomaininfo *all,
                                                   int n, const uint8_t *uuid)
{
    for (int i = 0; i < n; i++) {
        if (memcmp(all[i].handle, uuid, 16) == 0)
            return &all[i];
    }
    return NULL;
}

/*
 * The records first, then the list: a guest that is being made has its domain before its record, so
 * that it is never taken for one that has lost it.
 */
static void look_at_all(void)
{
    struct xen_domctl_getdomaininfo *all = NULL;
    unsigned int records;
    char **names = store_list(&mon.h.store, &records, RECORD_ROOT);
    int n = xen_domlist(mon.h.xen, &all);

    if (n < 0)
        monitor_log("listing the domains: %s", strerror(-n));
    for (unsigned int i = 0; n >= 0 && i < records; i++) {
        const struct xen_domctl_getdomaininfo *info;
        uint8_t uuid[16];

        if (!uuid_from_text(names[i], uuid))
            continue;
        info = find(all, n, uuid);
        if (info && !(info->flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown)))
            mon.look_again |= !monitor_dm_look(&mon.h, info);
        if (slot_of(uuid))
            continue;
        switch (monitor_look(&mon.h, uuid, info)) {
        case NEED_NOTHING:
            break;
        case NEED_TIME:
            mon.waiting = true;
            break;
        case NEED_ACTION:
            start_child(uuid);
            break;
        }
    }
    monitor_dm_sweep();
    free(all);
    free(names);
}

static void look_for_leftovers(void)
{
    if (leftovers_news(mon.ends))
        mon.look_until = now_ms() + LOCK_FREE_MS;
    if (!mon.look_until)
        return;
    if (now_ms() < mon.look_until)
        mon.look_again = true;
    else
        mon.look_until = 0; /* for the last time */
    if (!leftovers_any() || slot_of(leftovers))
        return;
    monitor_log("a program was killed that worked on a guest: what it left is taken back");
    start_child(leftovers);
}

/* What other tools expect of Domain 0 itself, if nobody has written it. */
static void name_domain0(struct store *s)
{
    if (!store_exists(s, "/local/domain/0/domid"))
        store_write(s, "/local/domain/0/domid", "0");
    if (!store_exists(s, "/local/domain/0/name"))
        store_write(s, "/local/domain/0/name", "Domain-0");
    if (!store_exists(s, "/local/pool/0/name")) /* libxl makes no domain in a pool without */
        store_write(s, "/local/pool/0/name", "Pool-0");
    if (mkdir("/run/xen", 0700) != 0 && errno != EEXIST) /* libxl's locks are in it */
        monitor_log("/run/xen: %s", strerror(errno));
}

/* Connects, and waits for xenstored as long as it takes, or until a signal of `during` ends it. */
static void connect_store(const sigset_t *during)
{
    static const struct timespec pause = { .tv_nsec = 500000000 };
    struct error e = { 0 };
    bool said = false;

    while (!stop) {
        store_close(&mon.h.store);
        if (store_open(&mon.h.store, &e) == 0 &&
            store_watch(&mon.h.store, "@releaseDomain", "monitor") == 0 &&
            store_watch(&mon.h.store, DM_NEWS, "monitor") == 0) {
            name_domain0(&mon.h.store);
            return;
        }
        if (!said)
            monitor_log("waiting for xenstored: %s", e.cause);
        said = true;
        ppoll(NULL, 0, &pause, during);
    }
}

/*
 * Until one of these says something, a child's end is news, or it is time to look again. A signal
 * between the look and the wait is not lost: it is blocked but for the wait.
 */
static void await(struct pollfd *p, unsigned int n, const sigset_t *during)
{
    int64_t deadline = now_ms() + (mon.waiting ? 1000 : LOOK_AGAIN_MS);

    while (!stop && !(child_ended && reap())) {
        bool timed = mon.look_again || mon.waiting;
        int64_t left = left_ms(deadline);
        struct timespec t = { .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 };

        if (ppoll(p, n, timed ? &t : NULL, during) >= 0)
            return;
    }
}

static void wait_for_news(const sigset_t *during)
{
    static struct pollfd p[3 + DEVICE_MODELS];
    unsigned int n = 3 + monitor_dm_fds(p + 3, DEVICE_MODELS);
    char **event;

    p[0] = (struct pollfd){ .fd = xs_fileno(mon.h.store.h), .events = POLLIN };
    p[1] = (struct pollfd){ .fd = mon.h.store.life, .events = POLLIN };
    p[2] = (struct pollfd){ .fd = mon.ends, .events = POLLIN };
    await(p, n, during);
    mon.look_again = mon.waiting = false;
    while ((event = xs_check_watch(mon.h.store.h)))
        free(event);
    if (p[1].revents || errno != EAGAIN)
        connect_store(during);
}

static void serve(void)
{
    struct sigaction a = { .sa_handler = on_signal };
    sigset_t blocked, during;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, &during);
    sigaction(SIGCHLD, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGINT, &a, NULL);
    connect_store(&during);
    mon.ends = leftovers_watch();
    leftovers_clean(&mon.h);
    while (!stop) {
        look_at_all();
        look_for_leftovers();
        wait_for_news(&during);
    }
    monitor_log("the monitor ends");
}

/* The parent returns when the child is ready to serve. */
static int to_background(void)
{
    int fds[2], log, null;
    char byte;

    if (pipe2(fds, O_CLOEXEC) != 0)
        return -1;
    switch (fork()) {
    case -1:
        return -1;
    case 0:
        break;
    default:
        close(fds[1]);
        _exit(read(fds[0], &byte, 1) == 1 ? EXIT_DONE : EXIT_FAILED);
    }
    setsid();
    make_dirs(MONITOR_LOG, 0755);
    log = open(MONITOR_LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, 0);
    dup2(null, 1);
    dup2(log >= 0 ? log : null, 2);
    if (chdir("/") != 0)
        monitor_log("cannot change to /");
    if (write(fds[1], "", 1) != 1)
        monitor_log("nobody waited for the start");
    close(fds[1]);
    return 0;
}

static int parse(int argc, char **argv, bool *foreground)
{
    static const struct option longs[] = { { "foreground", no_argument, NULL, 'F' }, { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, ":F", longs, NULL)) != -1) {
        if (c != 'F')
            return cmd_bad_option(argv);
        *foreground = true;
    }
    return optind < argc ? cmd_usage("what is \"%s\"?", argv[optind]) : 0;
}

/* For the init script. */
static void write_pid(void)
{
    char pid[16];
    int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());

    if (ftruncate(mon.lock, 0) != 0 || pwrite(mon.lock, pid, n, 0) != n)
        monitor_log(MONITOR_LOCK ": %s", strerror(errno));
}

/* The lock is taken by the process that serves: flock belongs to the open file, and fork keeps it.
 */
static int run(int argc, char **argv)
{
    struct error e = { 0 };
    bool foreground = false;
    int rc = parse(argc, argv, &foreground);

    if (rc)
        return rc;
    make_dirs(MONITOR_LOCK, 0755);
    mon.lock = lock_file(MONITOR_LOCK, false);
    if (mon.lock == -EWOULDBLOCK)
        return foreground ? cmd_fail("it runs already") : EXIT_DONE;
    if (mon.lock < 0)
        return cmd_fail("%s: %s\n    Run this as root.", MONITOR_LOCK, strerror(-mon.lock));
    mon.h.xen = xen_open(&e);
    if (!mon.h.xen)
        return host_fail(&mon.h, &e);
    if (!foreground && to_background() != 0)
        return cmd_fail("cannot go to the background: %s", strerror(errno));
    write_pid();
    monitor_log("the monitor watches over the guests (pid %d)", (int)getpid());
    serve();
    host_close(&mon.h);
    return EXIT_DONE;
}

const struct command cmd_monitor = {
    .name = "monitor",
    .synopsis = "[-F]",
    .summary = "carry out what guests' configurations say when they stop",
    .help = "The daemon for on_poweroff=, on_reboot=, on_crash= and on_watchdog=. orlop create\n"
            "starts it when it does not run; it may be killed and started again at any time. Its\n"
            "log is " MONITOR_LOG ".\n"
            "\n"
            "  -F, --foreground   stay in the foreground and log to stderr",
    .options = "--foreground",
    .group = GROUP_HOST,
    .arg = ARG_NONE,
    .run = run,
};
