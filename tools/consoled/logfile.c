/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* asprintf */
#include "consoled/logfile.h"
#include "consoled/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_LEN 200 /* with its endings a name that each file system takes */

static char *format(const char *fmt, const char *a, const char *b, unsigned n)
{
    char *s;

    if (asprintf(&s, fmt, a, b, n) < 0)
        abort();
    return s;
}

char *log_path(const char *dir, const char *name)
{
    char safe[NAME_MAX_LEN + 1];
    size_t n = 0;

    for (; name[n] && n < NAME_MAX_LEN; n++) {
        char c = name[n];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  (n && strchr("._+-", c));

        safe[n] = ok ? c : '_';
    }
    safe[n] = 0;
    return format("%s/%s.log", dir, n ? safe : "_", 0);
}

static void complain(struct logfile *l, const char *what)
{
    if (!l->complained)
        con_log("%s: cannot %s: %s; its guest is served without a log until this is mended",
                l->path, what, strerror(errno));
    l->complained = true;
}

static void open_file(struct logfile *l)
{
    struct stat st;

    l->fd = open(l->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (l->fd < 0) {
        complain(l, "open it");
        return;
    }
    l->size = fstat(l->fd, &st) == 0 ? st.st_size : 0;
}

void log_open(struct logfile *l, const char *dir, const char *name, const struct log_limits *limits)
{
    *l = (struct logfile){ .fd = -1, .limits = limits };
    if (!limits->size)
        return;
    l->path = log_path(dir, name);
    open_file(l);
}

void log_close(struct logfile *l)
{
    if (l->fd >= 0)
        close(l->fd);
    free(l->path);
    *l = (struct logfile){ .fd = -1 };
}

void log_reopen(struct logfile *l)
{
    if (!l->path)
        return;
    if (l->fd >= 0)
        close(l->fd);
    l->complained = false;
    open_file(l);
}

/* NAME.log.(n-1) becomes NAME.log.n, and so on down to NAME.log itself. */
static void rotate(struct logfile *l)
{
    char *to = NULL;

    if (!l->limits->keep) {
        if (ftruncate(l->fd, 0) != 0)
            complain(l, "shorten it");
        l->size = 0;
        return;
    }
    for (unsigned n = l->limits->keep; n; n--) {
        char *from = n == 1 ? con_strdup(l->path) : format("%s%s.%u", l->path, "", n - 1);

        to = format("%s%s.%u", l->path, "", n);
        if (rename(from, to) != 0 && errno != ENOENT)
            complain(l, "rename it");
        free(from);
        free(to);
    }
    close(l->fd);
    open_file(l);
}

void log_write(struct logfile *l, const void *p, size_t n)
{
    ssize_t done;

    if (!l->path)
        return;
    if (l->fd < 0)
        open_file(l);
    if (l->fd >= 0 && l->size && l->size + n > l->limits->size)
        rotate(l);
    if (l->fd < 0)
        return;
    done = write(l->fd, p, n);
    if (done > 0)
        l->size += done;
    if (done == (ssize_t)n)
        l->complained = false;
    else
        complain(l, "write all to it");
}

static size_t tail_of(const char *path, uint8_t *buf, size_t max)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    ssize_t n = 0;

    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        if ((uint64_t)st.st_size < max)
            max = st.st_size;
        n = pread(fd, buf, max, st.st_size - max);
    }
    close(fd);
    return n > 0 ? n : 0;
}

size_t log_tail(const char *path, void *buf, size_t max)
{
    uint8_t *p = buf;
    size_t n = tail_of(path, p, max), older;
    char *prev;

    if (n == max)
        return n;
    /* What is missing is the end of the part before. */
    prev = format("%s%s.%u", path, "", 1);
    memmove(p + (max - n), p, n);
    older = tail_of(prev, p, max - n);
    memmove(p + older, p + (max - n), n);
    free(prev);
    return older + n;
}

size_t log_read_from(const struct logfile *l, uint64_t offset, void *buf, size_t max)
{
    ssize_t n = l->fd >= 0 ? pread(l->fd, buf, max, offset) : 0;

    return n > 0 ? n : 0;
}
