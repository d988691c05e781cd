/* SPDX-License-Identifier: MIT */
/* Any bytes as a saved guest: what is handed out is within its record, what is refused has a
 * reason. */
#include "tools/lib/stream.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct input {
    const uint8_t *p;
    size_t n;
};

static bool read_input(void *arg, void *buf, size_t n)
{
    struct input *in = arg;

    if (n > in->n)
        return false;
    memcpy(buf, in->p, n);
    in->p += n;
    in->n -= n;
    return true;
}

static void must(bool good)
{
    if (!good)
        abort();
}

/* As who restores it uses a record. */
static unsigned int use(struct stream *s, const struct stream_record *r)
{
    uint8_t page[STREAM_PAGE];
    unsigned int sum = 0;
    uint32_t count;

    for (uint32_t i = 0; r->type != STREAM_PAGE_DATA && i < r->length; i++)
        sum += r->body[i];
    if (r->type != STREAM_PAGE_DATA)
        return sum;
    memcpy(&count, r->body, sizeof(count));
    must(count <= STREAM_BATCH && r->length >= 8 + 8 * count);
    must(s->pages % STREAM_PAGE == 0 && s->pages == r->length - 8 - 8 * count);
    if (s->pages && r->body[8] & 1) /* else they are skipped */
        sum += stream_pages(s, page, sizeof(page));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t e;

        memcpy(&e, r->body + 8 + 8 * i, sizeof(e));
        must(STREAM_PFN(e) <= s->max_pfn && s->max_pfn <= UINT32_MAX);
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct input in = { p + 1, n ? n - 1 : 0 };
    struct stream s = { .read = read_input, .arg = &in };
    struct stream_record r = { .type = STREAM_TYPES };
    volatile unsigned int sum = 0;
    bool good;

    if (n == 0)
        return 0;
    good = stream_open(&s, *p & 1);
    while (good && r.type != STREAM_END) {
        good = stream_next(&s, &r);
        if (good)
            sum += use(&s, &r);
    }
    must(good == !s.why[0]);
    stream_close(&s);
    return 0;
}
