/* SPDX-License-Identifier: MIT */
/* xenstore, through libxenstore. */
#include "tools/lib/xs.h"
#include "tools/lib/error.h"
#include "tools/lib/text.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATH_SIZE (XENSTORE_ABS_PATH_MAX + 1)

static const char not_running[] =
    "Start it: systemctl start orlop-xenstored, or /etc/init.d/orlop start. If it died it left its "
    "state behind and goes on where it was.";

/* Without a daemon at the socket, libxenstore would ask the kernel, which waits for ever. The
 * connection, or -errno. */
static int daemon_listens(void)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

    if (fd < 0)
        return -errno;
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", xs_daemon_socket());
    rc = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? 0 : -errno;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

int store_open(struct store *s, struct error *e)
{
    int rc = daemon_listens();

    s->t = XBT_NULL;
    s->life = rc < 0 ? 0 : rc;
    s->h = rc < 0 ? NULL : xs_open(0);
    if (s->h)
        return 0;
    rc = rc < 0 ? rc : -errno;
    store_close(s);
    if (rc == -EACCES || rc == -EPERM)
        return error_sys(e, -rc, "Run this as root.", "%s", xs_daemon_socket());
    return error_set(e, -rc, not_running, "xenstored does not answer (%s: %s)", xs_daemon_socket(),
                     strerror(-rc));
}

void store_close(struct store *s)
{
    if (s->h)
        xs_close(s->h);
    if (s->life > 0)
        close(s->life);
    s->h = NULL;
    s->life = 0;
}

int store_reopen(struct store *s, int64_t deadline, struct error *e)
{
    unsigned int len;
    char *root = s->h ? xs_read(s->h, XBT_NULL, "/", &len) : NULL;

    if (root) {
        free(root);
        return 0;
    }
    store_close(s);
    while (store_open(s, e) != 0) {
        if (left_ms(deadline) == 0)
            return -1;
        usleep(50000);
    }
    if (e)
        e->code = 0;
    return 0;
}

static int result(bool ok)
{
    return ok ? 0 : -errno;
}

#define FORMAT(path, fmt)                       \
    do {                                        \
        va_list ap;                             \
        va_start(ap, fmt);                      \
        vsnprintf(path, sizeof(path), fmt, ap); \
        va_end(ap);                             \
    } while (0)

char *store_read(struct store *s, const char *fmt, ...)
{
    char path[PATH_SIZE];
    unsigned int len;

    FORMAT(path, fmt);
    return xs_read(s->h, s->t, path, &len);
}

char *store_text(struct store *s, const char *fmt, ...)
{
    char path[PATH_SIZE], *text;
    unsigned int len;

    FORMAT(path, fmt);
    text = xs_read(s->h, s->t, path, &len);
    return text ? text_clean(text) : str_dup("");
}

long long store_read_num(struct store *s, long long otherwise, const char *fmt, ...)
{
    char path[PATH_SIZE], *text, *end;
    unsigned int len;
    long long v;

    FORMAT(path, fmt);
    text = xs_read(s->h, s->t, path, &len);
    if (!text)
        return otherwise;
    errno = 0;
    v = strtoll(text, &end, 10);
    if (errno || end == text || *end)
        v = otherwise;
    free(text);
    return v;
}

bool store_exists(struct store *s, const char *fmt, ...)
{
    char path[PATH_SIZE], *text;
    unsigned int len;

    FORMAT(path, fmt);
    text = xs_read(s->h, s->t, path, &len);
    free(text);
    return text != NULL;
}

int store_write(struct store *s, const char *path, const char *value)
{
    return result(xs_write(s->h, s->t, path, value, strlen(value)));
}

int store_put(struct store *s, const char *dir, const char *name, const char *fmt, ...)
{
    char path[PATH_SIZE], value[XENSTORE_PAYLOAD_MAX];

    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    FORMAT(value, fmt);
    return store_write(s, path, value);
}

int store_rm(struct store *s, const char *fmt, ...)
{
    char path[PATH_SIZE];
    int rc;

    FORMAT(path, fmt);
    rc = result(xs_rm(s->h, s->t, path));
    return rc == -ENOENT ? 0 : rc;
}

char **store_list(struct store *s, unsigned int *n, const char *fmt, ...)
{
    char path[PATH_SIZE], **list;

    FORMAT(path, fmt);
    *n = 0;
    list = xs_directory(s->h, s->t, path, n);
    if (!list)
        *n = 0;
    return list;
}

int store_mkdir(struct store *s, const char *path, int owner, int reader)
{
    struct xs_permissions p[2] = { { .id = owner, .perms = XS_PERM_NONE },
                                   { .id = reader < 0 ? 0 : reader, .perms = XS_PERM_READ } };

    if (!xs_mkdir(s->h, s->t, path))
        return -errno;
    return result(xs_set_permissions(s->h, s->t, path, p, reader < 0 ? 1 : 2));
}

int store_transact(struct store *s, int (*fn)(struct store *s, void *ctx), void *ctx)
{
    int rc = -EAGAIN;

    for (int tries = 0; rc == -EAGAIN && tries < 100; tries++) {
        s->t = xs_transaction_start(s->h);
        if (s->t == XBT_NULL)
            return -errno;
        rc = fn(s, ctx);
        if (!xs_transaction_end(s->h, s->t, rc != 0) && rc == 0)
            rc = -errno;
        s->t = XBT_NULL;
    }
    return rc;
}

int store_watch(struct store *s, const char *path, const char *token)
{
    return result(xs_watch(s->h, path, token));
}

int store_unwatch(struct store *s, const char *path, const char *token)
{
    return result(xs_unwatch(s->h, path, token));
}

char *store_next(struct store *s, int64_t deadline, char **token)
{
    for (;;) {
        struct pollfd p[2] = { { .fd = xs_fileno(s->h), .events = POLLIN },
                               { .fd = s->life, .events = POLLIN } };
        char **event = xs_check_watch(s->h);
        int n;

        if (event) {
            /* The block begins with the pointers; both strings lie in it, the path first. */
            char *path = event[XS_WATCH_PATH], *tok = event[XS_WATCH_TOKEN];
            size_t len = strlen(path) + 1;
            char *out = mem_alloc(len + strlen(tok) + 1);

            strcpy(out, path);
            strcpy(out + len, tok);
            if (token)
                *token = out + len;
            free(event);
            return out;
        }
        if (errno != EAGAIN) {
            errno = EIO;
            return NULL;
        }
        n = poll(p, 2, deadline < 0 ? -1 : left_ms(deadline));
        if (n > 0 && p[1].revents) {
            errno = EIO;
            return NULL;
        }
        if (n < 0)
            return NULL;
        if (n == 0) {
            errno = ETIMEDOUT;
            return NULL;
        }
    }
}

int store_error(struct error *e, int err, const char *fmt, ...)
{
    char front[512];

    if (err < 0)
        err = -err;
    FORMAT(front, fmt);
    if (err == EIO || err == EPIPE || err == ECONNRESET || err == EBADF || err == ENOTCONN)
        return error_set(e, err, not_running, "%s: the connection to xenstored broke", front);
    if (err == EAGAIN)
        return error_set(e, err,
                         "Try again; if it stays so, orlop xenstore watch / shows who writes.",
                         "%s: other programs changed xenstore all the time", front);
    return error_set(e, err, NULL, "%s: xenstored says: %s", front, strerror(err));
}
