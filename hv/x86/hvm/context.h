/* SPDX-License-Identifier: MIT */
/*
 * A hardware-assisted domain's state as Xen's stream of records: <xen/hvm/save.h>. This file knows
 * the framing; what each record holds is in a table of kinds.
 */
#ifndef X86_HVM_CONTEXT_H
#define X86_HVM_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/hvm/save.h>

struct domain;

struct context_kind {
    uint16_t code;      /* HVM_SAVE_CODE() */
    uint32_t min, max;  /* bytes; a shorter record is filled up with zeros to `max` */
    uint16_t instances; /* at most; 0: one for each vCPU */
    /*
     * Fills `rec`, zeroed, of `max` bytes: its length, or 0: there is no such instance now. The
     * domain is paused.
     */
    uint32_t (*save)(struct domain *d, unsigned int instance, void *rec);
    /* Could load() take it? Nothing changes. NULL: always. 0 or -errno. */
    int (*check)(struct domain *d, unsigned int instance, const void *rec, uint32_t len);
    /* Takes it over. It does not fail if check() did not. */
    void (*load)(struct domain *d, unsigned int instance, const void *rec, uint32_t len);
};

struct context_table {
    const struct context_kind *kind; /* in the order in which they are saved */
    unsigned int nr;
    unsigned int vcpus;      /* instances of kinds that each vCPU has */
    uint32_t cpuid, tsc_khz; /* of the header */
};

#define CONTEXT_RECORD_MAX 4096u /* the largest record of any kind */

/* Bytes that a whole stream needs at most. */
size_t context_size(const struct context_table *t);
/*
 * The whole stream into buf: its length, or -ENOSPC. scratch: CONTEXT_RECORD_MAX bytes, as aligned
 * as a record wants to be; here and below.
 */
long context_save(const struct context_table *t, struct domain *d, uint8_t *buf, size_t size,
                  void *scratch);
/* One record without its descriptor, in scratch: its length; -ENOENT: no such kind or instance. */
long context_save_one(const struct context_table *t, struct domain *d, uint16_t code,
                      unsigned int instance, void *scratch);
/*
 * Takes over the records of a stream, all or none: framing, codes, lengths, instances and contents
 * are checked first. 0; -EINVAL; what a check says. Nobody else may change buf meanwhile.
 */
int context_load(const struct context_table *t, struct domain *d, const uint8_t *buf, size_t size,
                 void *scratch);

#endif
