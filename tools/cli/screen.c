/* SPDX-License-Identifier: MIT */
/* See screen.h. */
#define _GNU_SOURCE
#include "tools/cli/screen.h"
#include "tools/cli/userdata.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"
#include "tools/lib/xs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xen/io/xenbus.h>

#define TRIES 100 /* as many displays as xl looks at */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t address_of(const char *text, unsigned int port, union address *a)
{
    memset(a, 0, sizeof(*a));
    if (inet_pton(AF_INET, text, &a->v4.sin_addr) == 1) {
        a->v4.sin_family = AF_INET;
        a->v4.sin_port = htons((uint16_t)port);
        return sizeof(a->v4);
    }
    inet_pton(AF_INET6, text, &a->v6.sin6_addr); /* config_screen.c lets nothing else pass */
    a->v6.sin6_family = AF_INET6;
    a->v6.sin6_port = htons((uint16_t)port);
    return sizeof(a->v6);
}

/* A socket that listens there, or -errno. */
static int listen_at(const char *address, unsigned int port)
{
    union address a;
    socklen_t len = address_of(address, port, &a);
    int one = 1, rc, fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    /* Connections of a guest before it do not keep the port; who listens does. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (a.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, &a.any, len) == 0 && listen(fd, 4) == 0)
        return fd;
    rc = -errno;
    close(fd);
    return rc;
}

int screen_listen(const struct screen_config *screen, unsigned int *port, struct error *e)
{
    unsigned int first = VNC_PORT_BASE + screen->display, tries = screen->only ? 1 : TRIES;
    int fd = -EADDRINUSE;

    for (unsigned int i = 0; fd == -EADDRINUSE && i < tries; i++) {
        *port = first + i;
        fd = listen_at(screen->listen, *port);
    }
    if (fd >= 0)
        return fd;
    if (fd == -EADDRINUSE && screen->only)
        return error_set(e, EADDRINUSE,
                         "Write another vncdisplay=, or vncunused = 1 for the first free one; "
                         "`ss -ltnp` shows who has it.",
                         "vncdisplay=%u: port %u of %s is in use", screen->display, first,
                         screen->listen);
    if (fd == -EADDRINUSE)
        return error_set(e, EADDRINUSE, "Write a vncdisplay= far from there.",
                         "vncdisplay=%u: ports %u to %u of %s are in use", screen->display, first,
                         *port, screen->listen);
    return error_sys(e, -fd, "Write vnclisten= with an address of this computer, or leave it out.",
                     "vnclisten=%s", screen->listen);
}

/* Like a disk's or a card's, for the backend in QEMU, which reads nothing but who it is for. */
static int store_device(struct store *s, unsigned int domid, const char *class)
{
    char front[96], back[96];
    int rc;

    snprintf(front, sizeof(front), "/local/domain/%u/device/%s/0", domid, class);
    snprintf(back, sizeof(back), "/local/domain/0/backend/%s/%u/0", class, domid);
    rc = store_mkdir(s, front, (int)domid, 0);
    rc = rc ? rc : store_mkdir(s, back, 0, (int)domid);
    rc = rc ? rc : store_put(s, front, "backend", "%s", back);
    rc = rc ? rc : store_put(s, front, "backend-id", "0");
    rc = rc ? rc : store_put(s, back, "frontend", "%s", front);
    rc = rc ? rc : store_put(s, back, "frontend-id", "%u", domid);
    rc = rc ? rc : store_put(s, back, "online", "1");
    rc = rc ? rc : store_put(s, back, "state", "%d", XenbusStateInitialising);
    rc = rc ? rc : store_put(s, front, "state", "%d", XenbusStateInitialising);
    return rc ? rc : libxl_store_device(s, domid, class, 0, front, back);
}

int screen_store(struct store *s, unsigned int domid, const struct guest_config *cfg,
                 unsigned int port)
{
    char base[64];
    int rc;

    if (!cfg->screen.vnc)
        return 0;
    snprintf(base, sizeof(base), "/local/domain/%u", domid);
    rc = store_put(s, base, "console/vnc-listen", "%s", cfg->screen.listen);
    rc = rc ? rc : store_put(s, base, "console/vnc-port", "%u", port);
    if (rc || cfg->type == GUEST_HVM)
        return rc;
    rc = store_device(s, domid, "vfb");
    return rc ? rc : store_device(s, domid, "vkbd");
}

int screen_find(struct store *s, unsigned int domid, struct screen_place *place, struct error *e)
{
    long long port = store_read_num(s, 0, "/local/domain/%u/console/vnc-port", domid);
    char *address = store_read(s, "/local/domain/%u/console/vnc-listen", domid);
    union address a;
    bool known = address && strlen(address) < sizeof(place->address) &&
                 (inet_pton(AF_INET, address, &a.v4.sin_addr) == 1 ||
                  inet_pton(AF_INET6, address, &a.v6.sin6_addr) == 1);

    if (known)
        strcpy(place->address, address);
    if (known && strcmp(address, "0.0.0.0") == 0)
        strcpy(place->address, "127.0.0.1");
    if (known && strcmp(address, "::") == 0)
        strcpy(place->address, "::1");
    free(address);
    place->port = (unsigned int)port;
    if (known && port >= VNC_PORT_BASE && port <= 65535)
        return 0;
    return error_set(e, ENOENT,
                     "A configuration with vnc = 1 gives it one; `orlop console` has its text "
                     "console.",
                     "it has no screen that a VNC viewer could show");
}

/* The viewer reads the password from its standard input, as it does under xl. */
static int give_password(const char *password)
{
    int fds[2];

    if (pipe(fds) != 0)
        return -1;
    if (write(fds[1], password, strlen(password)) < 0 || dup2(fds[0], 0) < 0)
        return -1;
    close(fds[0]);
    close(fds[1]);
    return 0;
}

int screen_view(const struct screen_place *place, const char *password)
{
    bool v6 = strchr(place->address, ':');
    char *where = str_fmt("%s%s%s::%u", v6 ? "[" : "", place->address, v6 ? "]" : "", place->port);

    if (password && give_password(password) != 0)
        return -1;
    execlp("vncviewer", "vncviewer", where, password ? "-autopass" : NULL, NULL);
    free(where);
    return -1;
}
