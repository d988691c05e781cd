/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's event trace: records as its CPUs wrote them (<xen/trace.h>), and what Perfetto
 * shows of them. trace_take.c fetches records from the hypervisor, trace_file.c from a file of
 * xentrace; trace_json.c converts them.
 */
#ifndef TOOLS_CLI_TRACE_H
#define TOOLS_CLI_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <xen/xen.h>
#include <xen/trace.h>

struct error;
struct host;

#define TRACE_MAX_CPUS 1024
#define TRACE_MAX_VCPUS 1024               /* of a domain */
#define TRACE_MOST_BYTES ((size_t)1 << 28) /* Domain 0 is small, and memory is taken twice */

/* Orlop's own record for an event from one vCPU to another: sender, receiver, port. */
#define TRC_ORLOP_EVENT 0x00011001

/* What one physical CPU wrote: whole records, one after the other. */
struct trace_cpu {
    uint8_t *data;
    size_t used, room;
};

/* A vCPU as it was when the trace began, for those of which the trace has no word. */
struct trace_vcpu {
    uint16_t domid, vcpu;
    uint16_t cpu;
    uint8_t state; /* RUNSTATE_* */
};

struct trace {
    struct trace_cpu cpu[TRACE_MAX_CPUS];
    unsigned int cpus;
    size_t bytes;        /* of all */
    bool full;           /* it ended before its time: no more is kept */
    uint64_t khz;        /* cycles a millisecond */
    uint64_t begin, end; /* cycles; 0, 0: by the first and the last record */
    struct trace_vcpu *was;
    unsigned int nr_was;
    /* The domain's name, or NULL; `names` is handed to it. NULL: nobody knows. */
    const char *(*name)(void *names, unsigned int domid);
    void *names;
};

/* Adds bytes of that CPU, whole records. -1 with e: no such CPU, or more than is kept. */
int trace_add(struct trace *t, unsigned int cpu, const void *data, size_t n, struct error *e);
void trace_free(struct trace *t);

/* Counts of what trace_json() met. */
struct trace_stats {
    uint64_t records, lost, unknown;
    uint64_t slices, arrows;
};

/*
 * Writes the trace in Chrome's JSON form. 0, or -1 with e: a record is broken (then what is in
 * front of it was written). Whether the writing itself failed the caller asks of `out`.
 */
int trace_json(const struct trace *t, FILE *out, struct trace_stats *stats, struct error *e);

/* Reads a file as Debian's xentrace writes it. -1 with e. */
int trace_file(struct trace *t, const char *path, struct error *e);

struct trace_wish {
    double seconds;
    bool hypercalls;
};
/*
 * Records for so long, or until SIGINT, SIGTERM or SIGHUP, or until no more is kept (t->full). -1
 * with e. Tracing is off after that, in any case.
 */
int trace_take(struct trace *t, struct host *h, const struct trace_wish *wish, struct error *e);

#endif
