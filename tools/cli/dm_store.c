/* SPDX-License-Identifier: MIT */
/* See dm_store.h. One thread in a process of its own, no locks. All that comes from QEMU is
 * hostile. */
#define _GNU_SOURCE
#include "tools/cli/dm_store.h"
#include "lib/macros.h"
#include "tools/lib/error.h"
#include "tools/lib/seccomp.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>
#include <xenstore.h>

#define CLIENTS 4 /* QEMU opens two connections */

/* --- what may pass --- */

/* The kinds of backends that QEMU looks for at its start, and those that it is to serve. */
static const char *const looked_for[] = { "console", "qdisk", "qnic", "qusb", "9pfs" };
static const char *const served[] = { "vfb", "vkbd" };

/* Whether the path is this node or below it. */
static bool within(const char *path, const char *node)
{
    size_t n = strlen(node);

    return strncmp(path, node, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* "backend/KIND/DOMID", for a path relative to Domain 0's folder. */
static bool within_backend(const char *path, const char *kind, unsigned int domid)
{
    char node[64];

    snprintf(node, sizeof(node), "backend/%s/%u", kind, domid);
    return within(path, node);
}

static bool is_own(const char *path, unsigned int domid)
{
    char node[64];

    snprintf(node, sizeof(node), "device-model/%u", domid);
    if (within(path, node))
        return true;
    for (unsigned int i = 0; i < sizeof(served) / sizeof(served[0]); i++) {
        if (within_backend(path, served[i], domid))
            return true;
    }
    return false;
}

static bool is_readable(const char *path, unsigned int domid)
{
    char node[64];

    for (unsigned int i = 0; i < sizeof(looked_for) / sizeof(looked_for[0]); i++) {
        if (within_backend(path, looked_for[i], domid))
            return true;
    }
    snprintf(node, sizeof(node), "/local/domain/%u", domid);
    return within(path, node) || is_own(path, domid);
}

bool dm_store_allows(unsigned int domid, uint32_t type, const char *payload, uint32_t len)
{
    static const char base[] = "/local/domain/0/";
    const char *path = payload;

    if (!memchr(payload, '\0', len))
        return false;
    if (strncmp(path, base, strlen(base)) == 0)
        path += strlen(base); /* the same as the relative path */
    switch (type) {
    case XS_READ:
    case XS_DIRECTORY:
    case XS_GET_PERMS:
    case XS_WATCH:
    case XS_UNWATCH:
        return is_readable(path, domid);
    case XS_WRITE:
    case XS_MKDIR:
    case XS_RM:
    case XS_SET_PERMS:
        return is_own(path, domid);
    case XS_GET_DOMAIN_PATH:
    case XS_TRANSACTION_START:
    case XS_TRANSACTION_END:
        return true;
    default:
        return false;
    }
}

/* --- messages --- */

/* What has come from one side, until it is a whole message. */
struct half {
    int fd;
    size_t have;
    char buf[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
};

struct client {
    bool used;
    struct half qemu, store;
};

struct filter {
    unsigned int domid;
    int listening, life;
    const char *store; /* xenstored's socket, as this process sees it */
    struct client client[CLIENTS];
};

static void drop(struct client *c)
{
    close(c->qemu.fd);
    close(c->store.fd);
    c->used = false;
}

/* "No", as xenstored says it. */
static int refuse(int fd, const struct xsd_sockmsg *request)
{
    static const char why[] = "EACCES";
    struct {
        struct xsd_sockmsg head;
        char text[sizeof(why)];
    } m = { .head = *request };

    m.head.type = XS_ERROR;
    m.head.len = sizeof(why);
    memcpy(m.text, why, sizeof(why));
    return write_all(fd, &m, sizeof(m.head) + sizeof(why));
}

/* Whole messages go on, or are refused. False: this connection is over. */
static bool pass(const struct filter *f, struct half *from, int to, bool asks)
{
    struct xsd_sockmsg head;
    ssize_t n = read(from->fd, from->buf + from->have, sizeof(from->buf) - from->have);
    size_t size;

    if (n <= 0)
        return n < 0 && errno == EINTR;
    from->have += (size_t)n;
    while (from->have >= sizeof(head)) {
        memcpy(&head, from->buf, sizeof(head));
        if (head.len > XENSTORE_PAYLOAD_MAX)
            return false;
        size = sizeof(head) + head.len;
        if (from->have < size)
            break;
        if (asks && !dm_store_allows(f->domid, head.type, from->buf + sizeof(head), head.len)) {
            if (refuse(from->fd, &head) != 0)
                return false;
        } else if (write_all(to, from->buf, size) != 0) {
            return false;
        }
        from->have -= size;
        memmove(from->buf, from->buf + size, from->have);
    }
    return true;
}

static int connect_to(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void admit(struct filter *f, int store)
{
    int fd = accept4(f->listening, NULL, NULL, SOCK_CLOEXEC);

    for (unsigned int i = 0; fd >= 0 && store >= 0 && i < CLIENTS; i++) {
        struct client *c = &f->client[i];

        if (c->used)
            continue;
        c->used = true;
        c->qemu.fd = fd;
        c->store.fd = store;
        c->qemu.have = c->store.have = 0;
        return;
    }
    if (fd >= 0)
        close(fd);
    if (store >= 0)
        close(store);
}

static void serve(struct filter *f)
{
    struct pollfd p[2 + 2 * CLIENTS];

    for (;;) {
        p[0] = (struct pollfd){ .fd = f->life, .events = POLLIN };
        p[1] = (struct pollfd){ .fd = f->listening, .events = POLLIN };
        for (unsigned int i = 0; i < CLIENTS; i++) {
            const struct client *c = &f->client[i];

            p[2 + 2 * i] = (struct pollfd){ .fd = c->used ? c->qemu.fd : -1, .events = POLLIN };
            p[3 + 2 * i] = (struct pollfd){ .fd = c->used ? c->store.fd : -1, .events = POLLIN };
        }
        if (poll(p, 2 + 2 * CLIENTS, -1) < 0 && errno != EINTR)
            return;
        if (p[0].revents)
            return;
        for (unsigned int i = 0; i < CLIENTS; i++) {
            struct client *c = &f->client[i];

            if (c->used && ((p[2 + 2 * i].revents && !pass(f, &c->qemu, c->store.fd, true)) ||
                            (p[3 + 2 * i].revents && !pass(f, &c->store, c->qemu.fd, false))))
                drop(c);
        }
        if (p[1].revents)
            admit(f, connect_to(f->store));
    }
}

/* --- its start --- */

static int listen_at(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    unlink(path);
    if (fd >= 0 && (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, CLIENTS) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* What serve() calls, and how it ends. */
static const int calls[] = {
    SYS_read,    SYS_write, SYS_poll,         SYS_restart_syscall, SYS_accept4,
    SYS_connect, SYS_close, SYS_rt_sigreturn, SYS_exit_group,
};

static int filter_calls(void)
{
    struct sock_filter statements[16 + 2 * ARRAY_SIZE(calls)];
    struct sc_filter f = { .f = statements };

    sc_begin(&f);
    sc_allow(&f, calls, ARRAY_SIZE(calls));
    SC_ADD(&f, SC_UNLESS(SYS_socket, 3));
    SC_ADD(&f, SC_LOAD(args[0]));
    SC_ADD(&f, SC_UNLESS(AF_UNIX, 1));
    SC_ADD(&f, SC_RETURN(SECCOMP_RET_ALLOW));
    SC_ADD(&f, SC_RETURN(SECCOMP_RET_KILL_PROCESS));
    return sc_install(&f);
}

/* All capabilities, also those that a program could have again by being root. */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
            return -1;
    }
    return (int)syscall(SYS_capset, &head, none);
}

/*
 * From here on the folder of xenstored's socket is all that there is of files, and connections to
 * it all that can be made. The user stays root, without any capability: the socket is root's.
 */
static int confine(struct filter *f)
{
    struct rlimit none = { 0, 0 };
    char *folder = str_dup(xs_daemon_socket()), *name = strrchr(folder, '/');

    if (!name)
        return -1;
    f->store = str_dup(name);
    *name = '\0';
    if (chroot(*folder ? folder : "/") != 0 || chdir("/") != 0 || setrlimit(RLIMIT_CORE, &none) ||
        setrlimit(RLIMIT_FSIZE, &none) || setrlimit(RLIMIT_NPROC, &none) ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || drop_capabilities() != 0)
        return -1;
    return filter_calls();
}

/* It needs nothing but connections to xenstored. Where it cannot be confined, it ends, and QEMU
 * finds nobody who listens. */
static void become(struct filter *f)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    setsid();
    prctl(PR_SET_NAME, "orlop-vfb-store");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
    for (unsigned int i = 0; i < 3; i++)
        dup2(null, (int)i);
    f->listening = fcntl(f->listening, F_DUPFD, 10);
    f->life = fcntl(f->life, F_DUPFD, 10);
    dup2(f->listening, 3);
    dup2(f->life, 4);
    f->listening = 3;
    f->life = 4;
    syscall(SYS_close_range, 5u, ~0u, 0u);
    if (confine(f) == 0)
        serve(f);
    _exit(0);
}

int dm_store_start(unsigned int domid, const char *path, pid_t qemu, struct error *e)
{
    struct filter f = { .domid = domid,
                        .life = (int)syscall(SYS_pidfd_open, qemu, 0),
                        .listening = listen_at(path) };
    pid_t pid;

    if (f.listening < 0 || f.life < 0)
        return error_sys(e, errno, NULL, "%s", path);
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        if (fork() == 0)
            become(&f);
        _exit(0);
    }
    close(f.listening);
    close(f.life);
    if (pid < 0)
        return error_sys(e, errno, NULL, "starting the device model's view of xenstore");
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return 0;
}
