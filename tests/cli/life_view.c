/* SPDX-License-Identifier: MIT */
/* What the device model of a PV guest's screen may ask xenstore (tools/cli/dm_store.h). */
#define _GNU_SOURCE
#include "tools/cli/dm_store.h"
#include "unit.h"

#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

static bool may(unsigned int type, const char *path)
{
    return dm_store_allows(7, type, path, (uint32_t)strlen(path) + 1);
}

TEST(view_reads)
{
    CHECK(may(XS_READ, "/local/domain/7/device/vfb/0/page-ref"));
    CHECK(may(XS_DIRECTORY, "backend/vfb/7"));
    CHECK(may(XS_DIRECTORY, "backend/console/7"));
    CHECK(may(XS_WATCH, "/local/domain/0/backend/vkbd/7"));
    CHECK(may(XS_READ, "/local/domain/0/device-model/7/state"));
    CHECK(may(XS_GET_DOMAIN_PATH, "7"));
    CHECK(!may(XS_READ, "/local/domain/70/device/vfb/0/page-ref"));
    CHECK(!may(XS_READ, "/local/domain/0/domid"));
    CHECK(!may(XS_DIRECTORY, "/local/domain/0/backend"));
    CHECK(!may(XS_DIRECTORY, "backend"));
    CHECK(!may(XS_READ, "backend/vfb/70/0/state"));
    CHECK(!may(XS_READ, "/orlop/x/config/0"));
    CHECK(!may(XS_WATCH, "@releaseDomain"));
    CHECK(!may(XS_READ, ""));
    CHECK(!may(XS_READ, "/"));
}

TEST(view_writes)
{
    CHECK(may(XS_WRITE, "/local/domain/0/backend/vfb/7/0/state"));
    CHECK(may(XS_WRITE, "device-model/7/state"));
    CHECK(may(XS_RM, "backend/vkbd/7/0"));
    CHECK(!may(XS_WRITE, "/local/domain/7/device/vfb/0/state"));
    CHECK(!may(XS_WRITE, "backend/vbd/7/51712/params"));
    CHECK(!may(XS_WRITE, "backend/console/7/0/state"));
    CHECK(!may(XS_SET_PERMS, "/local/domain/7"));
    CHECK(!may(XS_MKDIR, "backend/vfb/8"));
    CHECK(!may(XS_WRITE, "/local/domain/0/backend/vfb/70"));
}

TEST(view_other_requests)
{
    CHECK(dm_store_allows(7, XS_TRANSACTION_START, "", 1));
    CHECK(dm_store_allows(7, XS_TRANSACTION_END, "T", 2));
    CHECK(!may(XS_INTRODUCE, "7"));
    CHECK(!may(XS_RELEASE, "7"));
    CHECK(!may(XS_SET_TARGET, "7"));
    CHECK(!may(XS_CONTROL, "log"));
    CHECK(!may(XS_RESET_WATCHES, ""));
    CHECK(!may(XS_RESUME, "7"));
    CHECK(!may(1000, "backend/vfb/7"));
    CHECK(!dm_store_allows(7, XS_READ, "backend/vfb/7", 13)); /* nothing ends the path */
    CHECK(!dm_store_allows(7, XS_READ, "", 0));
}

/* --- the process, between a xenstored and a QEMU of the test's own --- */

#define WAIT_MS 60000

static struct sockaddr_un address(const char *folder, const char *name)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", folder, name);
    return a;
}

/* The next connection, or descriptor with something to read; -1 after a minute. */
static int ready(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, WAIT_MS) == 1 ? fd : -1;
}

static void ask(int fd, unsigned int type, const char *path)
{
    struct xsd_sockmsg m = { .type = type, .req_id = 5, .len = (uint32_t)strlen(path) + 1 };

    CHECK(write_all(fd, &m, sizeof(m)) == 0 && write_all(fd, path, m.len) == 0);
}

/* What has come: its type, and its text. */
static unsigned int take(int fd, char *text, size_t size)
{
    struct xsd_sockmsg m = { .type = ~0u };

    memset(text, 0, size);
    CHECK(ready(fd) >= 0 && recv(fd, &m, sizeof(m), MSG_WAITALL) == sizeof(m) && m.len < size);
    CHECK(recv(fd, text, m.len, MSG_WAITALL) == (ssize_t)m.len && m.req_id == 5);
    return m.type;
}

/* Whether /proc/PID/status has this line. */
static bool status_says(pid_t pid, const char *line)
{
    char path[64], text[4096];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    f = fopen(path, "r");
    CHECK(f != NULL);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    return strstr(text, line) != NULL;
}

static pid_t peer(int fd)
{
    struct ucred c = { 0 };
    socklen_t n = sizeof(c);

    CHECK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) == 0);
    return c.pid;
}

TEST(view_process)
{
    char folder[] = "/tmp/life-view-XXXXXX", root[64], proc[64], text[64], *view;
    struct sockaddr_un a, to;
    struct error e = { 0 };
    int server, qemu, store;
    pid_t pid, filter;

    if (getuid() != 0)
        return; /* only root may do without the rest of the files */
    CHECK(mkdtemp(folder) != NULL);
    a = address(folder, "socket");
    to = address(folder, "view");
    view = to.sun_path;
    setenv("XENSTORED_PATH", a.sun_path, 1);
    pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    server = socket(AF_UNIX, SOCK_STREAM, 0);
    qemu = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(server, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(server, 4) == 0);
    CHECK(dm_store_start(7, view, pid, &e) == 0);
    CHECK(connect(qemu, (struct sockaddr *)&to, sizeof(to)) == 0);
    store = accept(ready(server), NULL, NULL);
    CHECK(store >= 0);
    filter = peer(store);

    /* It can do nothing but this. */
    CHECK(status_says(filter, "\nSeccomp:\t2\n") && status_says(filter, "\nNoNewPrivs:\t1\n"));
    CHECK(status_says(filter, "\nCapPrm:\t0000000000000000\n"));
    CHECK(status_says(filter, "\nCapEff:\t0000000000000000\n"));
    CHECK(status_says(filter, "\nCapBnd:\t0000000000000000\n"));
    snprintf(proc, sizeof(proc), "/proc/%d/root", (int)filter);
    root[readlink(proc, root, sizeof(root) - 1)] = '\0';
    CHECK(strcmp(root, folder) == 0);

    ask(qemu, XS_READ, "/local/domain/7/device/vfb/0/state");
    CHECK(take(store, text, sizeof(text)) == XS_READ);
    CHECK(strcmp(text, "/local/domain/7/device/vfb/0/state") == 0);
    ask(store, XS_READ, "4");
    CHECK(take(qemu, text, sizeof(text)) == XS_READ && strcmp(text, "4") == 0);
    ask(qemu, XS_READ, "/local/domain/0/domid");
    CHECK(take(qemu, text, sizeof(text)) == XS_ERROR && strcmp(text, "EACCES") == 0);

    /* A connection again; then it ends with QEMU. */
    close(qemu);
    CHECK(ready(store) >= 0 && read(store, text, 1) == 0);
    close(store);
    qemu = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(qemu, (struct sockaddr *)&to, sizeof(to)) == 0);
    store = accept(ready(server), NULL, NULL);
    CHECK(store >= 0);
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
    CHECK(ready(store) >= 0 && read(store, text, 1) == 0);
    unlink(view);
    unlink(a.sun_path);
    rmdir(folder);
    unsetenv("XENSTORED_PATH");
}
