/* SPDX-License-Identifier: MIT */
/*
 * Records into Chrome's trace format (a JSON object with `traceEvents`), which Perfetto opens:
 *
 *   process "CPUs"       a thread for each physical CPU; a slice for each time that a vCPU had it
 *   a process a domain   a thread for each vCPU; a slice for each stay in a state
 *   arrows               from the slice in which a vCPU sent an event to the one in which the
 *                        receiver ran next, or runs
 *   instants             lost records on the CPU's track; hypercalls on the vCPU's
 *
 * The CPUs' records are merged by their cycle counters. What a trace contains may be anything: a
 * change from a state other than the one that was known ends that one all the same.
 */
#include "tools/cli/perfc.h"
#include "tools/cli/trace.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xen/vcpu.h>

#define CPUS_PID 1
#define PENDING 16 /* arrows that end when the receiver runs next */
#define NONE (~0u)
#define STATES 4

static const char *const state_name[STATES] = {
    [RUNSTATE_running] = "running",
    [RUNSTATE_runnable] = "runnable",
    [RUNSTATE_blocked] = "blocked",
    [RUNSTATE_offline] = "offline",
};

struct arrow {
    uint64_t at;
    uint32_t from; /* the sender, as in records */
    uint32_t port;
};

struct track {
    uint32_t id; /* domid << 16 | vcpu; NONE: this place of the table is free */
    uint8_t state;
    uint64_t since;
    unsigned int cpu; /* where it runs, or ran last */
    unsigned int pending;
    struct arrow arrow[PENDING];
};

struct cpu {
    const uint8_t *at, *end;
    uint64_t cycles;  /* of the record at `at` */
    uint32_t running; /* vCPU, or NONE */
    uint64_t since;
};

struct run {
    const struct trace *t;
    FILE *out;
    struct trace_stats *stats;
    struct cpu *cpu;
    struct track *track; /* open addressing; `room` is a power of two */
    size_t room, tracks;
    uint64_t begin, now;
    uint64_t arrows;
    bool comma;
};

/* --- output --- */

static void put_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fprintf(out, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            fprintf(out, "\\u%04x", *text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

static void begin_event(struct run *r)
{
    fputs(r->comma ? ",\n{" : "\n{", r->out);
    r->comma = true;
}

/* Cycles since the trace began, as microseconds with three digits. */
static void put_time(struct run *r, const char *key, uint64_t cycles)
{
    unsigned __int128 ns = (unsigned __int128)cycles * 1000000 / r->t->khz;
    uint64_t n = (uint64_t)ns;

    fprintf(r->out, ",\"%s\":%" PRIu64 ".%03u", key, n / 1000, (unsigned int)(n % 1000));
}

static unsigned int domid_of(uint32_t id)
{
    return id >> 16;
}

static unsigned int vcpu_of(uint32_t id)
{
    return id & 0xffff;
}

static void put_place(struct run *r, unsigned int pid, uint32_t tid)
{
    fprintf(r->out, ",\"pid\":%u,\"tid\":%" PRIu32, pid, tid);
}

static void put_cpu_place(struct run *r, unsigned int cpu)
{
    put_place(r, CPUS_PID, 1 + cpu);
}

/* Threads' numbers differ over all processes. */
static void put_vcpu_place(struct run *r, uint32_t id)
{
    put_place(r, CPUS_PID + 1 + domid_of(id), (domid_of(id) + 2) * TRACE_MAX_VCPUS + vcpu_of(id));
}

static const char *domain_name(struct run *r, unsigned int domid, char text[32])
{
    const char *name = r->t->name ? r->t->name(r->t->names, domid) : NULL;

    if (name && *name)
        return name;
    snprintf(text, 32, "domain %u", domid);
    return text;
}

static void put_meta(struct run *r, const char *what, const char *name)
{
    begin_event(r);
    fprintf(r->out, "\"name\":\"%s\",\"ph\":\"M\",\"args\":{\"name\":", what);
    put_text(r->out, name);
    fputs("}", r->out);
}

static void name_cpus(struct run *r)
{
    char text[32];

    put_meta(r, "process_name", "CPUs");
    put_place(r, CPUS_PID, 0);
    fputc('}', r->out);
    for (unsigned int i = 0; i < r->t->cpus; i++) {
        snprintf(text, sizeof(text), "CPU %u", i);
        put_meta(r, "thread_name", text);
        put_cpu_place(r, i);
        fputc('}', r->out);
    }
}

static void name_vcpu(struct run *r, uint32_t id)
{
    char text[32],
        *label = str_fmt("%s (domain %u)", domain_name(r, domid_of(id), text), domid_of(id));

    put_meta(r, "process_name", label);
    put_vcpu_place(r, id);
    fputc('}', r->out);
    snprintf(text, sizeof(text), "vCPU %u", vcpu_of(id));
    put_meta(r, "thread_name", text);
    put_vcpu_place(r, id);
    fputc('}', r->out);
    free(label);
}

static void put_slice_times(struct run *r, uint64_t from, uint64_t to)
{
    put_time(r, "ts", from - r->begin);
    put_time(r, "dur", to > from ? to - from : 0);
    r->stats->slices++;
}

static void put_state(struct run *r, const struct track *k, uint64_t to)
{
    begin_event(r);
    fprintf(r->out, "\"name\":\"%s\",\"cat\":\"state\",\"ph\":\"X\"", state_name[k->state]);
    put_slice_times(r, k->since, to);
    put_vcpu_place(r, k->id);
    if (k->state == RUNSTATE_running)
        fprintf(r->out, ",\"args\":{\"cpu\":%u}", k->cpu);
    fputc('}', r->out);
}

static void put_turn(struct run *r, unsigned int cpu, uint32_t id, uint64_t from, uint64_t to)
{
    char text[32], *label = str_fmt("%s v%u", domain_name(r, domid_of(id), text), vcpu_of(id));

    begin_event(r);
    fputs("\"name\":", r->out);
    put_text(r->out, label);
    fputs(",\"cat\":\"cpu\",\"ph\":\"X\"", r->out);
    put_slice_times(r, from, to);
    put_cpu_place(r, cpu);
    fprintf(r->out, ",\"args\":{\"domain\":%u,\"vcpu\":%u}}", domid_of(id), vcpu_of(id));
    free(label);
}

/* One end of an arrow; both ends have its number. */
static void put_arrow_end(struct run *r, const struct arrow *a, const char *ph, uint64_t at,
                          uint32_t id)
{
    begin_event(r);
    fprintf(r->out, "\"name\":\"event\",\"cat\":\"event\",\"ph\":\"%s\",\"id\":%" PRIu64, ph,
            r->arrows);
    if (*ph == 'f')
        fputs(",\"bp\":\"e\"", r->out);
    put_time(r, "ts", at - r->begin);
    put_vcpu_place(r, id);
    fprintf(r->out, ",\"args\":{\"port\":%u}}", a->port);
}

static void put_arrow(struct run *r, const struct arrow *a, uint64_t at, uint32_t to)
{
    put_arrow_end(r, a, "s", a->at, a->from);
    put_arrow_end(r, a, "f", at, to);
    r->arrows++;
    r->stats->arrows++;
}

static void put_instant(struct run *r, const char *name)
{
    begin_event(r);
    fputs("\"name\":", r->out);
    put_text(r->out, name);
    fputs(",\"ph\":\"i\",\"s\":\"t\"", r->out);
    put_time(r, "ts", r->now - r->begin);
}

/* --- what is known of vCPUs --- */

/* The place of id in a table with room for it. */
static struct track *place_of(struct track *table, size_t room, uint32_t id)
{
    size_t i = (size_t)((id * 0x9e3779b97f4a7c15ull) >> 32) &
               (room - 1); /* a vCPU's number is low */

    while (table[i].id != NONE && table[i].id != id)
        i = (i + 1) & (room - 1);
    return &table[i];
}

static struct track *new_table(size_t room)
{
    struct track *table = mem_alloc(room * sizeof(*table));

    for (size_t i = 0; i < room; i++)
        table[i].id = NONE;
    return table;
}

static void grow(struct run *r)
{
    struct track *old = r->track;
    size_t room = r->room;

    r->room *= 2;
    r->track = new_table(r->room);
    for (size_t i = 0; i < room; i++)
        if (old[i].id != NONE)
            *place_of(r->track, r->room, old[i].id) = old[i];
    free(old);
}

/* The track of id. When it is new it has been in `state` since the trace began, as far as we know.
 */
static struct track *track_of(struct run *r, uint32_t id, uint8_t state, unsigned int cpu)
{
    struct track *k;

    if (2 * r->tracks >= r->room)
        grow(r);
    k = place_of(r->track, r->room, id);
    if (k->id == id)
        return k;
    *k = (struct track){ .id = id, .state = state, .since = r->begin, .cpu = cpu };
    r->tracks++;
    name_vcpu(r, id);
    return k;
}

/* --- records --- */

static void cpu_free(struct run *r, unsigned int cpu)
{
    struct cpu *c = &r->cpu[cpu];

    if (c->running != NONE)
        put_turn(r, cpu, c->running, c->since, r->now);
    c->running = NONE;
}

static void runstate(struct run *r, unsigned int cpu, uint32_t event, uint32_t id)
{
    uint8_t old = event >> 8 & 0xf, new = event >> 4 & 0xf;
    struct cpu *c = &r->cpu[cpu];
    struct track *k;

    if (domid_of(id) >= DOMID_IDLE)
        return; /* an idle CPU is a gap on its track */
    if (old >= STATES || new >= STATES || vcpu_of(id) >= TRACE_MAX_VCPUS) {
        r->stats->unknown++;
        return;
    }
    k = track_of(r, id, old, cpu);
    if (k->state == RUNSTATE_running && r->cpu[k->cpu].running == id)
        cpu_free(r, k->cpu);
    else if (k->state == RUNSTATE_running && k->since == r->begin && k->cpu == cpu &&
             c->running == NONE)
        put_turn(r, cpu, id, r->begin, r->now); /* it ran when the trace began */
    put_state(r, k, r->now);
    k->state = new;
    k->since = r->now;
    if (new != RUNSTATE_running)
        return;
    cpu_free(r, cpu);
    k->cpu = cpu;
    c->running = id;
    c->since = r->now;
    for (unsigned int i = 0; i < k->pending; i++)
        put_arrow(r, &k->arrow[i], r->now, id);
    k->pending = 0;
}

static void event_sent(struct run *r, uint32_t from, uint32_t to, uint32_t port)
{
    struct arrow a = { .at = r->now, .from = from, .port = port };
    struct track *k;

    if (from == to)
        return;
    if (vcpu_of(from) >= TRACE_MAX_VCPUS || vcpu_of(to) >= TRACE_MAX_VCPUS ||
        domid_of(from) >= DOMID_IDLE || domid_of(to) >= DOMID_IDLE) {
        r->stats->unknown++;
        return;
    }
    k = place_of(r->track, r->room, to);
    if (k->id != to || place_of(r->track, r->room, from)->id != from)
        return; /* nothing is known yet of one of them: the arrow would end in nothing */
    if (k->state == RUNSTATE_running)
        put_arrow(r, &a, r->now, to);
    else if (k->pending < PENDING)
        k->arrow[k->pending++] = a;
}

static void hypercall(struct run *r, unsigned int cpu, uint32_t word)
{
    const char *name = hypercall_name(word & 0xfffff);
    char text[40];

    if (r->cpu[cpu].running == NONE)
        return;
    if (!name)
        snprintf(text, sizeof(text), "hypercall %u", word & 0xfffff);
    put_instant(r, name ? name : text);
    put_vcpu_place(r, r->cpu[cpu].running);
    fputc('}', r->out);
}

static void lost(struct run *r, unsigned int cpu, uint32_t n)
{
    char text[40];

    r->stats->lost += n;
    snprintf(text, sizeof(text), "%u records lost", n);
    put_instant(r, text);
    put_cpu_place(r, cpu);
    fputc('}', r->out);
}

static void record(struct run *r, unsigned int cpu, uint32_t event, const uint32_t *w,
                   unsigned int n)
{
    r->stats->records++;
    if ((event & ~0xff0u) == TRC_SCHED_RUNSTATE_CHANGE && n >= 1)
        runstate(r, cpu, event, w[0]);
    else if (event == TRC_ORLOP_EVENT && n >= 3)
        event_sent(r, w[0], w[1], w[2]);
    else if ((event == TRC_PV_HYPERCALL_V2 || event == TRC_PV_HYPERCALL_SUBCALL) && n >= 1)
        hypercall(r, cpu, w[0]);
    else if (event == TRC_LOST_RECORDS && n >= 1)
        lost(r, cpu, w[0]);
    else
        r->stats->unknown++;
}

/* --- the merge --- */

static size_t record_size(uint32_t head)
{
    return 4 * (1 + (TRC_HD_INCLUDES_CYCLE_COUNT(head) ? 2 : 0) + TRC_HD_EXTRA(head));
}

/* Goes on to the next record with a time. False at the end; -1 in *rc: what is there is broken. */
static bool next(struct cpu *c, unsigned int i, int *rc, struct error *e)
{
    uint32_t w[3];

    for (;;) {
        if (c->at == c->end)
            return false;
        if (c->end - c->at < 4) {
            *rc = error_set(e, EINVAL, NULL, "the records of CPU %u end inside one", i);
            return false;
        }
        memcpy(w, c->at, 4);
        if (record_size(w[0]) > (size_t)(c->end - c->at)) {
            *rc = error_set(e, EINVAL, NULL, "the records of CPU %u end inside one", i);
            return false;
        }
        if (TRC_HD_INCLUDES_CYCLE_COUNT(w[0]) && TRC_HD_TO_EVENT(w[0]) != TRC_TRACE_WRAP_BUFFER)
            break;
        c->at += record_size(w[0]);
    }
    memcpy(w, c->at, sizeof(w));
    c->cycles = w[1] | (uint64_t)w[2] << 32;
    return true;
}

static void take(struct run *r, unsigned int cpu)
{
    struct cpu *c = &r->cpu[cpu];
    uint32_t w[3 + TRACE_EXTRA_MAX];
    size_t size;

    memcpy(w, c->at, 4);
    size = record_size(w[0]);
    memcpy(w, c->at, size);
    c->at += size;
    if (c->cycles > r->now)
        r->now = c->cycles; /* another CPU's counter may be a little behind */
    record(r, cpu, TRC_HD_TO_EVENT(w[0]), w + 3, TRC_HD_EXTRA(w[0]));
}

/* The CPU whose record is the first in time, or -1. */
static int first(const struct run *r)
{
    int found = -1;

    for (unsigned int i = 0; i < r->t->cpus; i++) {
        const struct cpu *c = &r->cpu[i];

        if (c->at != c->end && (found < 0 || c->cycles < r->cpu[found].cycles))
            found = (int)i;
    }
    return found;
}

/* vCPUs without a record: they did the same all the time. */
static void put_quiet(struct run *r)
{
    for (unsigned int i = 0; i < r->t->nr_was; i++) {
        const struct trace_vcpu *v = &r->t->was[i];
        uint32_t id = (uint32_t)v->domid << 16 | v->vcpu;

        if (v->state >= STATES || place_of(r->track, r->room, id)->id == id)
            continue;
        track_of(r, id, v->state, v->cpu);
        if (v->state == RUNSTATE_running)
            put_turn(r, v->cpu, id, r->begin, r->now);
    }
}

static void finish(struct run *r)
{
    if (r->t->end > r->now)
        r->now = r->t->end;
    for (unsigned int i = 0; i < r->t->cpus; i++)
        cpu_free(r, i);
    put_quiet(r);
    for (size_t i = 0; i < r->room; i++)
        if (r->track[i].id != NONE)
            put_state(r, &r->track[i], r->now);
}

int trace_json(const struct trace *t, FILE *out, struct trace_stats *stats, struct error *e)
{
    struct run r = { .t = t, .out = out, .stats = stats, .room = 64 };
    int rc = 0, cpu;

    memset(stats, 0, sizeof(*stats));
    r.cpu = mem_alloc((t->cpus + 1) * sizeof(*r.cpu));
    r.track = new_table(r.room);
    for (unsigned int i = 0; i < t->cpus; i++) {
        const struct trace_cpu *c = &t->cpu[i];

        r.cpu[i] = (struct cpu){ .at = c->data, .end = c->data + c->used, .running = NONE };
        if (!next(&r.cpu[i], i, &rc, e))
            r.cpu[i].end = r.cpu[i].at;
    }
    cpu = first(&r);
    r.begin = t->begin ? t->begin : cpu < 0 ? 0 : r.cpu[cpu].cycles;
    r.now = r.begin;
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", out);
    name_cpus(&r);
    for (; cpu >= 0; cpu = first(&r)) {
        take(&r, (unsigned int)cpu);
        if (!next(&r.cpu[cpu], (unsigned int)cpu, &rc, e))
            r.cpu[cpu].end = r.cpu[cpu].at;
    }
    finish(&r);
    fputs("\n]}\n", out);
    free(r.cpu);
    free(r.track);
    return rc;
}
