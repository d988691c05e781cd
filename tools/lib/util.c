/* SPDX-License-Identifier: MIT */
/* Small things that every tool needs. */
#define _GNU_SOURCE
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void *checked(void *p)
{
    static const char text[] = "orlop: out of memory in Domain 0\n"
                               "    Give Domain 0 more (dom0_mem=) or end programs in it.\n";

    if (p)
        return p;
    if (write(2, text, sizeof(text) - 1) < 0)
        _exit(2);
    _exit(1);
}

void *mem_alloc(size_t size)
{
    return checked(calloc(1, size ? size : 1));
}

void *mem_grow(void *p, size_t size)
{
    return checked(realloc(p, size ? size : 1));
}

char *str_dup(const char *s)
{
    return checked(strdup(s));
}

char *str_fmt(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        s = NULL;
    va_end(ap);
    return checked(s);
}

char *file_read(const char *path, size_t max, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
    size_t n = 0, cap = 4096;
    char *p;

    if (fd < 0)
        return NULL;
    p = mem_alloc(cap + 1);
    while (n < max) {
        ssize_t got;

        if (n == cap) {
            cap *= 2;
            p = mem_grow(p, cap + 1);
        }
        got = read(fd, p + n, cap - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            err = errno;
        if (got <= 0)
            break;
        n += got;
    }
    close(fd);
    if (err) {
        free(p);
        errno = err;
        return NULL;
    }
    p[n] = 0;
    if (len)
        *len = n;
    return p;
}

int write_all(int fd, const void *data, size_t n)
{
    const char *p = data;

    while (n) {
        ssize_t done = write(fd, p, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        p += done;
        n -= done;
    }
    return 0;
}

int file_write(const char *path, const char *text)
{
    char *tmp = str_fmt("%s.%d", path, (int)getpid());
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc;

    if (fd < 0) {
        rc = -errno;
        free(tmp);
        return rc;
    }
    rc = write_all(fd, text, strlen(text));
    close(fd);
    if (rc == 0 && rename(tmp, path) != 0)
        rc = -errno;
    if (rc != 0)
        unlink(tmp);
    free(tmp);
    return rc;
}

int make_dirs(const char *path, int mode)
{
    char *copy = str_dup(path), *p = copy;
    int rc = 0;

    while (rc == 0 && (p = strchr(p + 1, '/'))) {
        *p = 0;
        if (mkdir(copy, mode) != 0 && errno != EEXIST)
            rc = -errno;
        *p = '/';
    }
    free(copy);
    return rc;
}

int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int left_ms(int64_t deadline)
{
    int64_t left = deadline - now_ms();

    if (left < 0)
        return 0;
    return left > 1000000 ? 1000000 : left;
}

bool parse_u64(const char *s, uint64_t *v)
{
    char *end;

    if (*s < '0' || *s > '9')
        return false;
    errno = 0;
    *v = strtoull(s, &end, 10);
    return errno == 0 && *end == 0;
}

bool parse_uint(const char *s, unsigned int *v)
{
    uint64_t x;

    if (!parse_u64(s, &x) || x > UINT32_MAX)
        return false;
    *v = x;
    return true;
}

void uuid_random(uint8_t uuid[16])
{
    if (getrandom(uuid, 16, 0) != 16)
        checked(NULL);
    uuid[6] = (uuid[6] & 0x0f) | 0x40;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

void uuid_to_text(const uint8_t uuid[16], char text[UUID_TEXT])
{
    for (int i = 0; i < 16; i++) {
        text += sprintf(text, "%02x", uuid[i]);
        if (i == 3 || i == 5 || i == 7 || i == 9)
            *text++ = '-';
    }
    *text = 0;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool uuid_from_text(const char *text, uint8_t uuid[16])
{
    for (int i = 0; i < 16; i++) {
        int hi = hex(text[0]), lo = hi < 0 ? -1 : hex(text[1]);

        if (lo < 0)
            return false;
        uuid[i] = hi << 4 | lo;
        text += 2;
        if ((i == 3 || i == 5 || i == 7 || i == 9) && *text == '-')
            text++;
    }
    return *text == 0;
}

int lock_file(const char *path, bool wait)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    while (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) != 0) {
        int err = errno;

        if (wait && err == EINTR)
            continue;
        close(fd);
        return -err;
    }
    return fd;
}

bool progress_off;

void progress(const char *what, uint64_t done, uint64_t total)
{
    static int64_t last;
    static int tty = -1;
    int64_t now;

    if (tty < 0)
        tty = isatty(2);
    if (!tty || progress_off)
        return;
    now = now_ms();
    if (done < total && now - last < 100)
        return;
    last = now;
    fprintf(stderr, "\r%s: %3d %%%s", what, (int)(total ? done * 100 / total : 100),
            done >= total ? "\n" : "");
}
