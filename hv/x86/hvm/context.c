/* SPDX-License-Identifier: MIT */
/*
 * Framing of a hardware-assisted domain's records: a header, then each record behind a descriptor
 * with code, instance and length, then an END. A stream that is loaded need not have all: tools set
 * a new vCPU's registers with a stream that has only that record.
 */
#include "x86/hvm/context.h"

#include <xen/errno.h>

#include "lib/macros.h"
#include "lib/string.h"

#define DESCRIPTOR sizeof(struct hvm_save_descriptor)

static unsigned int instances(const struct context_table *t, const struct context_kind *k)
{
    return k->instances ? k->instances : t->vcpus;
}

static const struct context_kind *find(const struct context_table *t, uint16_t code)
{
    for (unsigned int i = 0; i < t->nr; i++)
        if (t->kind[i].code == code)
            return &t->kind[i];
    return NULL;
}

size_t context_size(const struct context_table *t)
{
    size_t size = 2 * DESCRIPTOR + sizeof(struct hvm_save_header);

    for (unsigned int i = 0; i < t->nr; i++)
        size += instances(t, &t->kind[i]) * (DESCRIPTOR + t->kind[i].max);
    return size;
}

/* --- saving --- */

struct writer {
    uint8_t *buf;
    size_t size, at;
};

static bool put(struct writer *w, uint16_t code, unsigned int instance, const void *rec,
                uint32_t len)
{
    struct hvm_save_descriptor d = { .typecode = code,
                                     .instance = (uint16_t)instance,
                                     .length = len };

    if (w->size - w->at < DESCRIPTOR + len)
        return false;
    memcpy(w->buf + w->at, &d, DESCRIPTOR);
    memcpy(w->buf + w->at + DESCRIPTOR, rec, len);
    w->at += DESCRIPTOR + len;
    return true;
}

/* A record as its kind makes it, in scratch: its length, 0: there is none. */
static uint32_t make(struct domain *d, const struct context_kind *k, unsigned int instance,
                     void *scratch)
{
    memset(scratch, 0, k->max);
    return MIN(k->save(d, instance, scratch), k->max);
}

static bool put_kind(const struct context_table *t, struct domain *d, const struct context_kind *k,
                     struct writer *w, void *scratch)
{
    for (unsigned int i = 0; i < instances(t, k); i++) {
        uint32_t len = make(d, k, i, scratch);

        if (len && !put(w, k->code, i, scratch, len))
            return false;
    }
    return true;
}

long context_save(const struct context_table *t, struct domain *d, uint8_t *buf, size_t size,
                  void *scratch)
{
    struct hvm_save_header h = { .magic = HVM_FILE_MAGIC,
                                 .version = HVM_FILE_VERSION,
                                 .cpuid = t->cpuid,
                                 .gtsc_khz = t->tsc_khz };
    struct writer w = { .buf = buf, .size = size };
    bool ok = put(&w, HVM_SAVE_CODE(HEADER), 0, &h, sizeof(h));

    for (unsigned int i = 0; i < t->nr && ok; i++)
        ok = put_kind(t, d, &t->kind[i], &w, scratch);
    ok = ok && put(&w, HVM_SAVE_CODE(END), 0, "", 0);
    return ok ? (long)w.at : -XEN_ENOSPC;
}

long context_save_one(const struct context_table *t, struct domain *d, uint16_t code,
                      unsigned int instance, void *scratch)
{
    const struct context_kind *k = find(t, code);
    uint32_t len;

    if (!k || instance >= instances(t, k))
        return -XEN_ENOENT;
    len = make(d, k, instance, scratch);
    return len ? (long)len : -XEN_ENOENT;
}

/* --- loading --- */

/* Record i of a stream: its descriptor and its bytes; false: the stream ends before its end. */
static bool next_record(const uint8_t *buf, size_t size, size_t *at, struct hvm_save_descriptor *d,
                        const uint8_t **rec)
{
    if (size - *at < DESCRIPTOR)
        return false;
    memcpy(d, buf + *at, DESCRIPTOR);
    *at += DESCRIPTOR;
    if (size - *at < d->length)
        return false;
    *rec = buf + *at;
    *at += d->length;
    return true;
}

static int check_header(const struct hvm_save_descriptor *d, const uint8_t *rec)
{
    struct hvm_save_header h;

    if (d->typecode != HVM_SAVE_CODE(HEADER) || d->length < sizeof(h))
        return -XEN_EINVAL;
    memcpy(&h, rec, sizeof(h));
    return h.magic == HVM_FILE_MAGIC && h.version == HVM_FILE_VERSION ? 0 : -XEN_EINVAL;
}

/* Checks, or loads, one record: a copy that is as long as its kind wants. */
static int one_record(const struct context_table *t, struct domain *dom,
                      const struct hvm_save_descriptor *d, const uint8_t *rec, void *copy,
                      bool load)
{
    const struct context_kind *k = find(t, d->typecode);

    if (!k || d->instance >= instances(t, k) || d->length < k->min || d->length > k->max)
        return -XEN_EINVAL;
    memset(copy, 0, k->max);
    memcpy(copy, rec, d->length);
    if (!load)
        return k->check ? k->check(dom, d->instance, copy, d->length) : 0;
    k->load(dom, d->instance, copy, d->length);
    return 0;
}

static int pass(const struct context_table *t, struct domain *dom, const uint8_t *buf, size_t size,
                void *copy, bool load)
{
    struct hvm_save_descriptor d;
    const uint8_t *rec;
    size_t at = 0;
    int rc;

    if (!next_record(buf, size, &at, &d, &rec) || check_header(&d, rec))
        return -XEN_EINVAL;
    for (;;) {
        if (!next_record(buf, size, &at, &d, &rec))
            return -XEN_EINVAL;
        if (d.typecode == HVM_SAVE_CODE(END))
            return 0;
        rc = one_record(t, dom, &d, rec, copy, load);
        if (rc)
            return rc;
    }
}

int context_load(const struct context_table *t, struct domain *d, const uint8_t *buf, size_t size,
                 void *scratch)
{
    int rc = pass(t, d, buf, size, scratch, false);

    return rc ? rc : pass(t, d, buf, size, scratch, true);
}
