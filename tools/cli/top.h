/* SPDX-License-Identifier: MIT */
/* What `orlop top` shows: all domains' use of the machine between two moments. */
#ifndef TOOLS_CLI_TOP_H
#define TOOLS_CLI_TOP_H

#include "tools/cli/perfc.h"
#include "tools/cli/view.h"

struct error;

/* Counters that only grow. */
struct top_io {
    uint64_t sent, received; /* bytes of all cards, as the guest sees them */
    uint64_t read, written;  /* bytes of all disks */
};

/* The last minute, in steps of two seconds, the latest last: the most that was used in a step. */
#define TOP_STEPS 30
#define TOP_STEP_MS 2000
#define TOP_UNKNOWN UINT8_MAX
struct top_past {
    int64_t step;               /* number of the last one; 0: nothing is known yet */
    uint8_t percent[TOP_STEPS]; /* of what its vCPUs could use; or TOP_UNKNOWN */
};

struct top_row {
    struct view view;
    struct top_io io;
    /* between the moments */
    double cpu_percent; /* of one CPU */
    struct top_io rate; /* bytes a second */
    struct top_past past;
};

/* A hypercall's number that was called. */
struct top_call {
    const char *name; /* NULL: never */
    struct call_cost all;
    /* between the moments */
    double per_second, mean_ns; /* the latter 0: none was measured */
    double cpu_percent;         /* of one CPU */
    uint32_t took[CALL_COSTS];
};

struct top_sample {
    int64_t when_ms;
    struct top_row *rows;
    int count;
    uint64_t total_kib, free_kib;
    unsigned cpus;
    struct top_call calls[CALL_NUMBERS]; /* by number */
};

/* Reads everything now; -1 with e. The caller frees with top_free. */
int top_read(struct host *h, struct top_sample *s, struct error *e);
/* Fills in what is between the moments, and goes on with what `before` knew of the last minute. */
void top_compare(const struct top_sample *before, struct top_sample *now);
void top_free(struct top_sample *s);
/* A letter for each step of the last minute, the fuller the more was used; ' ': not known. */
void top_spark(const struct top_past *past, char text[TOP_STEPS + 1]);

enum top_order { TOP_BY_CPU, TOP_BY_MEMORY, TOP_BY_NAME, TOP_BY_ID };
void top_sort(struct top_sample *s, enum top_order order);

/*
 * The hypercalls so far; nothing from a hypervisor that does not tell. Whoever asks makes the
 * hypervisor measure them for a while.
 */
void top_calls_read(struct host *h, struct top_sample *s);
/* Fills in what is between the moments. */
void top_calls_compare(const struct top_sample *before, struct top_sample *now);
/* Those that were called between the moments, the most expensive first: how many are in `out`. */
int top_calls_sorted(const struct top_sample *s, const struct top_call *out[CALL_NUMBERS]);
extern const char top_calls_columns[];
void top_call_text(const struct top_call *c, char *text, size_t size);
struct json_object *top_call_json(const struct top_call *c);

#endif
