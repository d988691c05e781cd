/* SPDX-License-Identifier: MIT */
/*
 * The last bytes of a stream, each with its position: the number of bytes that came before it. It
 * grows as needed up to its limit. Readers keep positions of their own.
 */
#ifndef CONSOLED_HISTORY_H
#define CONSOLED_HISTORY_H

#include <stddef.h>
#include <stdint.h>

struct history {
    uint8_t *bytes;
    size_t size;         /* of `bytes`, a power of two */
    size_t limit;        /* for `size`, a power of two */
    uint64_t start, end; /* positions: what is kept is [start, end) */
};

/* An empty one whose first byte will have the given position. limit is rounded up to a power of
 * two.
 */
void history_init(struct history *h, size_t limit, uint64_t pos);
void history_free(struct history *h);
void history_add(struct history *h, const void *p, size_t n);
/* Copies up to max bytes from position pos on, which is within [start, end]; how many. */
size_t history_read(const struct history *h, uint64_t pos, void *buf, size_t max);

#endif
