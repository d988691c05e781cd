/* SPDX-License-Identifier: MIT */
/* What `orlop top` shows: all domains' use of the machine between two moments. */
#ifndef TOOLS_CLI_TOP_H
#define TOOLS_CLI_TOP_H

#include "tools/cli/view.h"

struct error;

/* Counters that only grow. */
struct top_io {
    uint64_t sent, received; /* bytes of all cards, as the guest sees them */
    uint64_t read, written;  /* bytes of all disks */
};

struct top_row {
    struct view view;
    struct top_io io;
    /* between the moments */
    double cpu_percent; /* of one CPU */
    struct top_io rate; /* bytes a second */
};

struct top_sample {
    int64_t when_ms;
    struct top_row *rows;
    int count;
    uint64_t total_kib, free_kib;
    unsigned cpus;
};

/* Reads everything now; -1 with e. The caller frees with top_free. */
int top_read(struct host *h, struct top_sample *s, struct error *e);
/* Fills in what is between the moments. */
void top_compare(const struct top_sample *before, struct top_sample *now);
void top_free(struct top_sample *s);

enum top_order { TOP_BY_CPU, TOP_BY_MEMORY, TOP_BY_NAME, TOP_BY_ID };
void top_sort(struct top_sample *s, enum top_order order);

#endif
