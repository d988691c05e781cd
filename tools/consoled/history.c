/* SPDX-License-Identifier: MIT */
#include "consoled/history.h"
#include "consoled/util.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE 4096

void history_init(struct history *h, size_t limit, uint64_t pos)
{
    *h = (struct history){ .limit = FIRST_SIZE, .start = pos, .end = pos };
    while (h->limit < limit)
        h->limit *= 2;
}

void history_free(struct history *h)
{
    free(h->bytes);
    h->bytes = NULL;
    h->size = 0;
    h->start = h->end;
}

/* Copies between the ring and p, in at most two pieces. */
static void copy_in(struct history *h, uint64_t pos, const uint8_t *p, size_t n)
{
    size_t at = pos & (h->size - 1), first = h->size - at;

    if (first > n)
        first = n;
    memcpy(h->bytes + at, p, first);
    memcpy(h->bytes, p + first, n - first);
}

static void copy_out(const struct history *h, uint64_t pos, uint8_t *p, size_t n)
{
    size_t at = pos & (h->size - 1), first = h->size - at;

    if (first > n)
        first = n;
    memcpy(p, h->bytes + at, first);
    memcpy(p + first, h->bytes, n - first);
}

static void grow(struct history *h, size_t want)
{
    struct history new = *h;
    size_t kept = h->end - h->start;

    new.size = h->size ? h->size : FIRST_SIZE;
    while (new.size < want &&new.size < new.limit)
        new.size *= 2;
    if (new.size == h->size)
        return;
    new.bytes = con_alloc(new.size);
    if (kept) {
        uint8_t *tmp = con_alloc(kept);

        copy_out(h, h->start, tmp, kept);
        copy_in(&new, new.start, tmp, kept);
        free(tmp);
    }
    free(h->bytes);
    *h = new;
}

void history_add(struct history *h, const void *p, size_t n)
{
    const uint8_t *bytes = p;

    if (!n)
        return;
    grow(h, h->end - h->start + n);
    if (n > h->size) { /* only its end will remain */
        h->end += n - h->size;
        bytes += n - h->size;
        n = h->size;
    }
    copy_in(h, h->end, bytes, n);
    h->end += n;
    if (h->end - h->start > h->size)
        h->start = h->end - h->size;
}

size_t history_read(const struct history *h, uint64_t pos, void *buf, size_t max)
{
    if (h->end - pos < max)
        max = h->end - pos;
    if (max)
        copy_out(h, pos, buf, max);
    return max;
}
