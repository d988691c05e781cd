/* SPDX-License-Identifier: MIT */
/* Streams of bytes to another host. */
#define _GNU_SOURCE
#include "tools/cli/channel.h"
#include "tools/cli/undo.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * It is in a process group of its own: Ctrl-C is for us, and we may be at a point where the channel
 * must not break.
 */
static void become_program(const int to[2], const int from[2], char *const *argv)
{
    static const int signals[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE };

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        signal(signals[i], SIG_DFL);
    setpgid(0, 0);
    if (dup2(to[0], 0) == 0 && dup2(from[1], 1) == 1)
        execvp(argv[0], argv);
    _exit(127);
}

int channel_program(struct channel *c, char *const *argv, struct error *e)
{
    int to[2], from[2];

    *c = (struct channel){ -1, -1, 0 };
    if (pipe2(to, O_CLOEXEC) != 0)
        return error_sys(e, errno, NULL, "%s", argv[0]);
    if (pipe2(from, O_CLOEXEC) != 0) {
        close(to[0]);
        close(to[1]);
        return error_sys(e, errno, NULL, "%s", argv[0]);
    }
    c->pid = fork();
    if (c->pid == 0)
        become_program(to, from, argv);
    close(to[0]);
    close(from[1]);
    c->in = from[0];
    c->out = to[1];
    if (c->pid > 0)
        return 0;
    c->pid = 0;
    error_sys(e, errno, NULL, "%s", argv[0]);
    channel_close(c);
    return -1;
}

int channel_tcp(struct channel *c, const char *host, const char *port, struct error *e)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
    int rc = getaddrinfo(host, port, &hints, &all), err = ECONNREFUSED;

    *c = (struct channel){ -1, -1, 0 };
    if (rc)
        return error_set(e, EHOSTUNREACH, NULL, "%s port %s: %s", host, port, gai_strerror(rc));
    for (struct addrinfo *a = all; a && c->in < 0; a = a->ai_next) {
        c->in = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (c->in >= 0 && connect(c->in, a->ai_addr, a->ai_addrlen) != 0) {
            err = errno;
            close(c->in);
            c->in = -1;
        }
    }
    freeaddrinfo(all);
    if (c->in < 0)
        return error_sys(e, err, "Is orlop migrate-receive --tcp running there?", "%s port %s",
                         host, port);
    c->out = fcntl(c->in, F_DUPFD_CLOEXEC, 3);
    return c->out < 0 ? error_sys(e, errno, NULL, "%s", host) : 0;
}

void channel_close(struct channel *c)
{
    if (c->in >= 0)
        close(c->in);
    if (c->out >= 0)
        close(c->out);
    while (c->pid > 0 && waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *c = (struct channel){ -1, -1, 0 };
}

int channel_read(struct channel *c, void *buf, size_t n, int64_t deadline, bool signals,
                 struct error *e)
{
    for (uint8_t *p = buf; n;) {
        struct pollfd f = { .fd = c->in, .events = POLLIN };
        int ready = poll(&f, 1, left_ms(deadline));
        ssize_t got = ready > 0 ? read(c->in, p, n) : -1;

        if (signals && interrupt_check(e) != 0)
            return -1;
        if (ready == 0)
            return error_set(e, ETIMEDOUT, NULL, "the other side does not answer");
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_set(e, EPIPE, NULL, "the connection to the other side has ended");
        p += got;
        n -= (size_t)got;
    }
    return 0;
}
