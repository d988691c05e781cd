/* SPDX-License-Identifier: MIT */
/*
 * What every part of consoled uses: memory that never fails, the log, the clock.
 *
 * Memory: each guest's is bounded, so running out of it is the machine's trouble. The daemon then
 * ends at once; the next process finds what it needs in the state files and the guests' logs.
 */
#ifndef CONSOLED_UTIL_H
#define CONSOLED_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *con_alloc(size_t size); /* zeroed */
void *con_realloc(void *p, size_t size);
char *con_strdup(const char *s);

/* A line on stderr, or in syslog once con_log_to_syslog was called. At most 100 lines in 10
 * seconds.
 */
void con_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void con_log_to_syslog(void);

/* Monotonic milliseconds; of con_clock where a test has set one. */
int64_t con_now(void);
extern int64_t (*con_clock)(void);

/* A whole decimal number from min to max. */
bool con_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* A budget that refills with time: `rate` a second, at most `burst` saved up. It may be overdrawn.
 */
struct bucket {
    int64_t level, rate, burst;
    int64_t stamp; /* when `level` was right, in ms */
};

void bucket_init(struct bucket *b, int64_t rate, int64_t burst, int64_t now);
/* What may be spent now; 0 or less: nothing. */
int64_t bucket_level(struct bucket *b, int64_t now);
void bucket_spend(struct bucket *b, int64_t n);
/* Milliseconds until at least `want` (up to the burst) may be spent. */
int64_t bucket_wait(const struct bucket *b, int64_t want);

#endif
