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
#include <time.h>
#include <unistd.h>

#define END_MS 3000

/*
 * It stays in our process group, since ssh may have to ask for a password; but Ctrl-C is for us:
 * we may be at a point where the channel must not break.
 */
static void become_program(const int to[2], const int from[2], char *const *argv)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
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
    fcntl(c->out, F_SETFL, O_NONBLOCK); /* see stream_out.h */
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
    fcntl(c->in, F_SETFL, O_NONBLOCK);
    return c->out < 0 ? error_sys(e, errno, NULL, "%s", host) : 0;
}

/* Its input has ended; one that goes on all the same is ended. */
static void end_program(pid_t pid)
{
    const struct timespec pause = { .tv_nsec = 10000000 };
    int64_t deadline = now_ms() + END_MS;
    pid_t done;

    while ((done = waitpid(pid, NULL, WNOHANG)) == 0 && left_ms(deadline) > 0)
        nanosleep(&pause, NULL);
    if (done != 0)
        return;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void channel_close(struct channel *c)
{
    if (c->in >= 0)
        close(c->in);
    if (c->out >= 0)
        close(c->out);
    if (c->pid > 0)
        end_program(c->pid);
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
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            return error_set(e, EPIPE, NULL, "the connection to the other side has ended");
        p += got;
        n -= (size_t)got;
    }
    return 0;
}
