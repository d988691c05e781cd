/* SPDX-License-Identifier: MIT */
/*
 * The two halves of loading a PV guest from a stream, and what they share. A child process reads
 * the stream and fills memory (image_load.c, image_fill.c): the foreign mappings go with it. Then
 * the parent pins the guest's page tables, which nobody may map writable any more, and sets its
 * vCPUs (image_set.c).
 */
#ifndef TOOLS_CLI_IMAGE_LOAD_H
#define TOOLS_CLI_IMAGE_LOAD_H

#include "tools/cli/image.h"
#include "tools/lib/stream.h"
#include "tools/lib/xen.h"

#define IMAGE_NONE (~0ull)

/* A record that is used only after all pages: kept in a file without a name, one after the other.
 */
struct late_record {
    uint32_t type, length; /* the body follows, filled up to 8 bytes */
};

struct loading {
    struct xen *x; /* of the process that uses it */
    const struct image_request *req;
    struct stream *s;
    struct error *e;

    /* From the static part. */
    uint64_t nr_pfns;
    uint64_t *p2m_pfn; /* pages of the guest's table of frames */
    uint64_t nr_p2m;

    /* Shared by parent and child. */
    uint64_t *mfn_of; /* by pfn, plus 1; 0: not populated */
    uint8_t *type_of; /* by pfn, as in PAGE_DATA */
    struct outcome *outcome;
    int late; /* the file of late records */

    uint64_t start_info; /* its pfn, or IMAGE_NONE: vCPU 0 has not come */
    uint64_t populated;
    bool verify; /* pages are compared from here on */
};

/* The machine frame of a page of memory, not of a page table; IMAGE_NONE. */
uint64_t loading_data_mfn(const struct loading *l, uint64_t pfn);

/* -1 with l->e: what the reader of the stream says. */
int loading_refused(struct loading *l);

/* --- image_fill.c: in the child --- */

/* The pages of a checked PAGE_DATA record. */
int fill_pages(struct loading *l, const struct stream_record *r);
/* When all pages are there: page tables, the guest's table of frames, start_info. */
int fill_finish(struct loading *l, struct image_result *result);

/* --- image_set.c: in the parent --- */

/* The CPU policy of the stream's static part; either may be NULL. */
int set_policy(struct loading *l, const struct stream_record *cpuid,
               const struct stream_record *msr);
/* Pins, late records, grants, memory map. */
int set_rest(struct loading *l, const struct image_result *result, struct host *h);

#endif
