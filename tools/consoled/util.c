/* SPDX-License-Identifier: MIT */
#include "consoled/util.h"
#include "lib/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#define LOG_LINES 100
#define LOG_PERIOD 10000 /* ms */

static bool to_syslog;

static void *need(void *p)
{
    if (!p) {
        con_log("out of memory: ending; start the daemon again when there is some");
        abort();
    }
    return p;
}

void *con_alloc(size_t size)
{
    return need(calloc(1, size));
}

void *con_realloc(void *p, size_t size)
{
    return need(realloc(p, size));
}

char *con_strdup(const char *s)
{
    return need(strdup(s));
}

int64_t (*con_clock)(void);

int64_t con_now(void)
{
    struct timespec t;

    if (con_clock)
        return con_clock();
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Whether one more line may be written; says how many were not, afterwards. */
static bool log_allowed(void)
{
    static int64_t since = -LOG_PERIOD;
    static unsigned lines, dropped;
    int64_t now = con_now();

    if (now - since >= LOG_PERIOD) {
        unsigned n = dropped;

        since = now;
        lines = dropped = 0;
        if (n)
            con_log("(%u lines left out)", n);
    }
    if (lines < LOG_LINES) {
        lines++;
        return true;
    }
    dropped++;
    return false;
}

void con_log(const char *fmt, ...)
{
    char line[512];
    va_list ap;

    if (!log_allowed())
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    text_clean(line);
    if (to_syslog)
        syslog(LOG_NOTICE, "%s", line);
    else
        fprintf(stderr, "orlop-consoled: %s\n", line);
}

void con_log_to_syslog(void)
{
    openlog("orlop-consoled", LOG_PID, LOG_DAEMON);
    to_syslog = true;
}

bool con_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    char *end;
    unsigned long long v;

    if (!text || *text < '0' || *text > '9')
        return false;
    errno = 0;
    v = strtoull(text, &end, 10);
    if (errno || *end || v < min || v > max)
        return false;
    *value = v;
    return true;
}

void bucket_init(struct bucket *b, int64_t rate, int64_t burst, int64_t now)
{
    *b = (struct bucket){ .level = burst, .rate = rate, .burst = burst, .stamp = now };
}

int64_t bucket_level(struct bucket *b, int64_t now)
{
    int64_t passed = now - b->stamp, gain;

    if (passed <= 0)
        return b->level;
    /* More than fills it from anywhere: no overflow below. */
    if (passed > 1000000)
        passed = 1000000;
    gain = passed * b->rate / 1000;
    /* What was too short to give a whole token stays on the clock. */
    if (gain == 0)
        return b->level;
    b->level += gain;
    b->stamp = now;
    if (b->level > b->burst)
        b->level = b->burst;
    return b->level;
}

void bucket_spend(struct bucket *b, int64_t n)
{
    b->level -= n;
}

int64_t bucket_wait(const struct bucket *b, int64_t want)
{
    if (want > b->burst)
        want = b->burst;
    if (b->level >= want)
        return 0;
    return (want - b->level) * 1000 / b->rate + 1;
}
