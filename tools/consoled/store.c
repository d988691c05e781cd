/* SPDX-License-Identifier: MIT */
#include "consoled/store.h"
#include "consoled/platform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

static struct xs_handle *xs;

static int store_fd(void *ctx)
{
    return xs ? xs_fileno(xs) : -1;
}

static bool store_open(void *ctx)
{
    xs = xs_open(0);
    return xs != NULL;
}

static void store_close(void *ctx)
{
    if (xs)
        xs_close(xs);
    xs = NULL;
}

static bool store_connected(void *ctx)
{
    unsigned n;
    void *there = xs ? xs_read(xs, XBT_NULL, "/local/domain/0", &n) : NULL;
    bool answered = xs && (there || errno == ENOENT || errno == EACCES);

    free(there);
    return answered;
}

static char *store_read(void *ctx, const char *path)
{
    unsigned n;

    return xs ? xs_read(xs, XBT_NULL, path, &n) : NULL;
}

static bool try_write(const char *path, const char *value, const char *beside)
{
    xs_transaction_t t = xs_transaction_start(xs);
    char *there;
    unsigned n;
    bool ok;

    if (!t)
        return false;
    there = xs_read(xs, t, beside, &n);
    ok = there && xs_write(xs, t, path, value, strlen(value));
    free(there);
    if (!xs_transaction_end(xs, t, !ok))
        return false;
    if (!ok)
        errno = ENOENT;
    return ok;
}

static bool store_write_beside(void *ctx, const char *path, const char *value, const char *beside)
{
    for (int i = 0; xs && i < 20; i++) {
        if (try_write(path, value, beside))
            return true;
        if (errno != EAGAIN)
            break;
    }
    return false;
}

static char **store_list(void *ctx, const char *path, unsigned *n)
{
    return xs ? xs_directory(xs, XBT_NULL, path, n) : NULL;
}

static bool store_watch(void *ctx, const char *path, const char *token)
{
    return xs && xs_watch(xs, path, token);
}

static void store_unwatch(void *ctx, const char *path, const char *token)
{
    if (xs)
        xs_unwatch(xs, path, token);
}

static bool store_next(void *ctx, char *path, size_t path_size, char *token, size_t token_size)
{
    char **ev;

    if (!xs) {
        errno = ENOTCONN;
        return false;
    }
    ev = xs_check_watch(xs);
    if (!ev)
        return false;
    snprintf(path, path_size, "%s", ev[XS_WATCH_PATH]);
    snprintf(token, token_size, "%s", ev[XS_WATCH_TOKEN]);
    free(ev);
    return true;
}

void store_init(struct store *store)
{
    *store = (struct store){ .fd = store_fd,
                             .open = store_open,
                             .close = store_close,
                             .connected = store_connected,
                             .read = store_read,
                             .write_beside = store_write_beside,
                             .list = store_list,
                             .watch = store_watch,
                             .unwatch = store_unwatch,
                             .next = store_next };
}
