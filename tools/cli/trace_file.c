/* SPDX-License-Identifier: MIT */
/* Records in memory, and from files of xentrace: windows, each behind a record that names its CPU.
 */
#include "tools/cli/trace.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int trace_add(struct trace *t, unsigned int cpu, const void *data, size_t n, struct error *e)
{
    struct trace_cpu *c;

    if (cpu >= TRACE_MAX_CPUS)
        return error_set(e, EINVAL, NULL, "the trace names CPU %u", cpu);
    if (n > TRACE_MOST_BYTES - t->bytes)
        return error_set(e, EFBIG, "Record for a shorter time, or without --hypercalls.",
                         "the trace has more than %zu MiB", TRACE_MOST_BYTES >> 20);
    c = &t->cpu[cpu];
    if (n > c->room - c->used) {
        c->room = 2 * c->room + n + 4096;
        c->data = mem_grow(c->data, c->room);
    }
    if (n)
        memcpy(c->data + c->used, data, n);
    c->used += n;
    t->bytes += n;
    if (cpu >= t->cpus)
        t->cpus = cpu + 1;
    return 0;
}

void trace_free(struct trace *t)
{
    for (unsigned int i = 0; i < t->cpus; i++)
        free(t->cpu[i].data);
    free(t->was);
    memset(t, 0, sizeof(*t));
}

/* The record in front of a window: its header, the CPU, the window's bytes. */
static int window(struct trace *t, const uint8_t *at, size_t left, size_t *used, struct error *e)
{
    uint32_t head[3], event;

    if (left < sizeof(head))
        return error_set(e, EINVAL, NULL, "it ends inside a record");
    memcpy(head, at, sizeof(head));
    event = TRC_HD_TO_EVENT(head[0]);
    if (event != TRC_TRACE_CPU_CHANGE || TRC_HD_INCLUDES_CYCLE_COUNT(head[0]) ||
        TRC_HD_EXTRA(head[0]) != 2)
        return error_set(e, EINVAL, "Make it with: xentrace FILE", "it is no file of xentrace");
    if (head[2] > left - sizeof(head))
        return error_set(e, EINVAL, NULL, "it ends inside a window of %u bytes", head[2]);
    *used = sizeof(head) + head[2];
    return trace_add(t, head[1], at + sizeof(head), head[2], e);
}

int trace_file(struct trace *t, const char *path, struct error *e)
{
    size_t len, used = 0;
    char *text = file_read(path, TRACE_MOST_BYTES + 1, &len);
    int rc = 0;

    if (!text)
        return error_sys(e, errno, NULL, "%s", path);
    if (len > TRACE_MOST_BYTES)
        rc = error_set(e, EFBIG, "Record for a shorter time.", "%s has more than %zu MiB", path,
                       TRACE_MOST_BYTES >> 20);
    for (size_t at = 0; rc == 0 && at < len; at += used) {
        rc = window(t, (uint8_t *)text + at, len - at, &used, e);
        if (rc)
            error_in(e, "%s, byte %zu", path, at);
    }
    free(text);
    return rc;
}
