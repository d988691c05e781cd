/* SPDX-License-Identifier: MIT */
/*
 * What every part of xenstored uses: memory that never fails, growable buffers with the
 * little-endian encoding of the journal, and the log.
 *
 * Memory: guests are held back by quotas, so running out of it is the machine's trouble, not a
 * request's. The daemon then ends at once; its state is in the journal and the next process goes
 * on.
 */
#ifndef XENSTORED_UTIL_H
#define XENSTORED_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *xs_alloc(size_t size); /* zeroed */
void *xs_realloc(void *p, size_t size);
char *xs_strdup(const char *s);

/* A line on stderr, or in syslog once xs_log_to_syslog was called. At most 100 lines in 10 seconds.
 */
void xs_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void xs_log_to_syslog(void);

/* A random number that no client can guess. */
uint64_t xs_random(void);

struct buf {
    uint8_t *p;
    size_t len, cap;
};

void buf_add(struct buf *b, const void *p, size_t n);
void buf_cut(struct buf *b, size_t n); /* drops the first n bytes */
void buf_free(struct buf *b);
void buf_str(struct buf *b, const char *s); /* with its NUL */

/* The journal's encoding. */
void put_u32(struct buf *b, uint32_t v);
void put_blob(struct buf *b, const void *p, size_t n);

struct reader {
    const uint8_t *p, *end;
    bool bad; /* read past the end: what was returned since is 0 or empty */
};

uint32_t get_u32(struct reader *r);
const uint8_t *get_blob(struct reader *r, uint32_t *n);
/* A blob that must be a string without NUL inside; a pointer into the record, which holds its NUL.
 */
const char *get_str(struct reader *r);

#endif
