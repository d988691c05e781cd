/* SPDX-License-Identifier: MIT */
#include "xenstored/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <syslog.h>
#include <time.h>

static void *checked(void *p)
{
    if (!p) {
        fputs("xenstored: out of memory; the state is in the journal\n", stderr);
        abort();
    }
    return p;
}

void *xs_alloc(size_t size)
{
    return checked(calloc(1, size ? size : 1));
}

void *xs_realloc(void *p, size_t size)
{
    return checked(realloc(p, size ? size : 1));
}

char *xs_strdup(const char *s)
{
    return checked(strdup(s));
}

static bool to_syslog;

void xs_log_to_syslog(void)
{
    openlog("xenstored", LOG_PID, LOG_DAEMON);
    to_syslog = true;
}

void xs_log(const char *fmt, ...)
{
    static time_t window;
    static unsigned lines;
    struct timespec now;
    va_list ap;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - window >= 10) {
        window = now.tv_sec;
        lines = 0;
    }
    if (lines++ >= 100)
        return;
    va_start(ap, fmt);
    if (to_syslog) {
        vsyslog(LOG_NOTICE, fmt, ap);
    } else {
        fputs("xenstored: ", stderr);
        vfprintf(stderr, fmt, ap);
        fputc('\n', stderr);
    }
    va_end(ap);
}

/* xorshift64* from a seed of the kernel: enough for tree priorities and the hash. */
uint64_t xs_random(void)
{
    static uint64_t s;

    while (!s) {
        if (getrandom(&s, sizeof(s), 0) != sizeof(s))
            s = (uint64_t)time(NULL) * 0x9e3779b97f4a7c15;
    }
    s ^= s >> 12;
    s ^= s << 25;
    s ^= s >> 27;
    return s * 0x2545f4914f6cdd1d;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (!n)
        return;
    if (b->len + n > b->cap) {
        b->cap = (b->len + n) * 2;
        b->p = xs_realloc(b->p, b->cap);
    }
    memcpy(b->p + b->len, p, n);
    b->len += n;
}

void buf_cut(struct buf *b, size_t n)
{
    b->len -= n;
    if (b->len)
        memmove(b->p, b->p + n, b->len);
    else if (b->cap > 65536)
        buf_free(b);
}

void buf_free(struct buf *b)
{
    free(b->p);
    *b = (struct buf){ 0 };
}

void buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s) + 1);
}

void put_u32(struct buf *b, uint32_t v)
{
    uint8_t le[4] = { v, v >> 8, v >> 16, v >> 24 };

    buf_add(b, le, 4);
}

/* A NUL follows each blob, so a string can be used in place. */
void put_blob(struct buf *b, const void *p, size_t n)
{
    put_u32(b, n);
    buf_add(b, p, n);
    buf_add(b, "", 1);
}

uint32_t get_u32(struct reader *r)
{
    if (r->bad || r->end - r->p < 4) {
        r->bad = true;
        return 0;
    }
    r->p += 4;
    return r->p[-4] | r->p[-3] << 8 | r->p[-2] << 16 | (uint32_t)r->p[-1] << 24;
}

const uint8_t *get_blob(struct reader *r, uint32_t *n)
{
    const uint8_t *p;

    *n = get_u32(r);
    if (r->bad || (size_t)(r->end - r->p) < (size_t)*n + 1) {
        r->bad = true;
        *n = 0;
        return (const uint8_t *)"";
    }
    p = r->p;
    r->p += (size_t)*n + 1;
    return p;
}

const char *get_str(struct reader *r)
{
    uint32_t n;
    const uint8_t *p = get_blob(r, &n);

    if (strnlen((const char *)p, (size_t)n + 1) != n) {
        r->bad = true;
        return "";
    }
    return (const char *)p;
}
