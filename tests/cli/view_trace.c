/* SPDX-License-Identifier: MIT */
/*
 * What `orlop trace` makes of records: valid JSON of Chrome's trace format, slices that do not
 * overlap, arrows that begin and end in slices; and of any bytes at least valid JSON.
 */
#include "tools/cli/trace.h"
#include "tools/lib/error.h"
#include <json-c/json.h>
#include <math.h>
#include <stdarg.h>
#include <unistd.h>
#include <xen/vcpu.h>
#include "unit.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static struct trace t;

static void put(unsigned int cpu, uint64_t cycles, uint32_t event, unsigned int n, ...)
{
    uint32_t w[10] = { event | n << TRACE_EXTRA_SHIFT | TRC_HD_CYCLE_FLAG, cycles, cycles >> 32 };
    struct error e = { 0 };
    va_list args;

    va_start(args, n);
    for (unsigned int i = 0; i < n; i++)
        w[3 + i] = va_arg(args, uint32_t);
    va_end(args);
    CHECK_EQ(trace_add(&t, cpu, w, 4 * (3 + n), &e), 0);
}

static uint32_t id(unsigned int domid, unsigned int vcpu)
{
    return domid << 16 | vcpu;
}

static void state(unsigned int cpu, uint64_t cycles, uint32_t who, int old, int new)
{
    put(cpu, cycles, TRC_SCHED_RUNSTATE_CHANGE | old << 8 | new << 4, 1, who);
}

static struct trace_stats stats;
static struct error why;

/* The trace as JSON, parsed; NULL: it is none. */
static struct json_object *convert(int want)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    struct json_object *j;

    if (!t.khz)
        t.khz = 1000000; /* a cycle is a nanosecond */
    memset(&why, 0, sizeof(why));
    CHECK_EQ(trace_json(&t, out, &stats, &why), want);
    fclose(out);
    j = json_tokener_parse(text);
    if (!j)
        printf("no JSON: %.300s\n", text);
    free(text);
    trace_free(&t);
    return j;
}

static const char *text_of(struct json_object *e, const char *key)
{
    struct json_object *v;

    return json_object_object_get_ex(e, key, &v) ? json_object_get_string(v) : "";
}

static double number_of(struct json_object *e, const char *key)
{
    struct json_object *v;

    if (!json_object_object_get_ex(e, key, &v))
        return NAN;
    CHECK(json_object_is_type(v, json_type_double) || json_object_is_type(v, json_type_int));
    return json_object_get_double(v);
}

static struct json_object *events_of(struct json_object *j)
{
    struct json_object *list = NULL;

    CHECK(j && json_object_object_get_ex(j, "traceEvents", &list) &&
          json_object_is_type(list, json_type_array));
    return list;
}

#define FOR_EACH(e, j)                                               \
    for (size_t i_ = 0, n_ = json_object_array_length(events_of(j)); \
         i_ < n_ && ((e) = json_object_array_get_idx(events_of(j), i_)) != NULL; i_++)

/* The slice of that name on a track that begins at `ts` us and is `dur` long. */
static bool has_slice(struct json_object *j, const char *name, int tid, double ts, double dur)
{
    struct json_object *e;

    FOR_EACH(e, j)
    if (!strcmp(text_of(e, "ph"), "X") && !strcmp(text_of(e, "name"), name) &&
        number_of(e, "tid") == tid && number_of(e, "ts") == ts && number_of(e, "dur") == dur)
        return true;
    return false;
}

static bool in_slice(struct json_object *j, struct json_object *at)
{
    double ts = number_of(at, "ts");
    struct json_object *e;

    FOR_EACH(e, j)
    if (!strcmp(text_of(e, "ph"), "X") && number_of(e, "tid") == number_of(at, "tid") &&
        number_of(e, "ts") <= ts && ts <= number_of(e, "ts") + number_of(e, "dur"))
        return true;
    return false;
}

/* The form that the format's description asks of each event. */
static void check_form(struct json_object *j)
{
    unsigned int begun = 0, ended = 0;
    struct json_object *e, *f;

    FOR_EACH(e, j)
    {
        const char *ph = text_of(e, "ph");

        CHECK(strlen(ph) == 1 && strchr("MXisf", *ph));
        CHECK(*text_of(e, "name") && number_of(e, "pid") >= 1 && number_of(e, "tid") >= 0);
        if (*ph == 'M')
            CHECK(json_object_object_get_ex(e, "args", &f) && *text_of(f, "name"));
        else
            CHECK(number_of(e, "ts") >= 0);
        if (*ph == 'X')
            CHECK(number_of(e, "dur") >= 0);
        if (*ph == 's' || *ph == 'f')
            CHECK(number_of(e, "id") >= 0 && in_slice(j, e));
        begun += *ph == 's';
        ended += *ph == 'f';
    }
    CHECK_EQ(begun, ended);
    CHECK_EQ(begun, stats.arrows);
}

/* No two slices of one track overlap. Quadratic. */
static void check_overlap(struct json_object *j)
{
    struct json_object *list = events_of(j), *a, *b;
    size_t n = json_object_array_length(list);

    for (size_t i = 0; i < n; i++) {
        a = json_object_array_get_idx(list, i);
        for (size_t k = i + 1; k < n && !strcmp(text_of(a, "ph"), "X"); k++) {
            b = json_object_array_get_idx(list, k);
            if (strcmp(text_of(b, "ph"), "X") || number_of(a, "tid") != number_of(b, "tid"))
                continue;
            CHECK(number_of(a, "ts") + number_of(a, "dur") <= number_of(b, "ts") + 1e-6 ||
                  number_of(b, "ts") + number_of(b, "dur") <= number_of(a, "ts") + 1e-6);
        }
    }
}

#define TID(domid, vcpu) (((domid) + 2) * TRACE_MAX_VCPUS + (vcpu))

static const char *odd_name(void *arg, unsigned int domid)
{
    return domid == 1 ? "we\"b\\\n1" : NULL;
}

TEST(tracks_and_arrows)
{
    struct json_object *j, *e;
    bool named = false;

    t.name = odd_name;
    state(0, 1000, id(0, 0), RUNSTATE_blocked, RUNSTATE_runnable);
    state(1, 1500, id(1, 0), RUNSTATE_running, RUNSTATE_blocked); /* it ran from the beginning */
    state(0, 2000, id(0, 0), RUNSTATE_runnable, RUNSTATE_running);
    put(0, 2500, TRC_ORLOP_EVENT, 3, id(0, 0), id(1, 0), 7);
    state(0, 2600, id(1, 0), RUNSTATE_blocked, RUNSTATE_runnable); /* woken from CPU 0 */
    state(1, 3000, id(1, 0), RUNSTATE_runnable, RUNSTATE_running);
    put(1, 3100, TRC_ORLOP_EVENT, 3, id(1, 0), id(0, 0), 8); /* which runs */
    put(1, 3200, TRC_LOST_RECORDS, 4, 5, id(1, 0), 3150, 0);
    put(0, 3250, TRC_PV_HYPERCALL_V2, 1, 29 | TRC_PV_HYPERCALL_V2_ARG_64(0));
    state(0, 4000, id(0, 0), RUNSTATE_running, RUNSTATE_blocked);
    t.end = 5000;
    j = convert(0);
    check_form(j);
    check_overlap(j);
    CHECK_EQ(stats.records, 10);
    CHECK_EQ(stats.arrows, 2);
    CHECK_EQ(stats.lost, 5);
    CHECK_EQ(stats.unknown, 0);
    CHECK(has_slice(j, "runnable", TID(0, 0), 0, 1));
    CHECK(has_slice(j, "running", TID(0, 0), 1, 2));
    CHECK(has_slice(j, "blocked", TID(0, 0), 3, 1));
    CHECK(has_slice(j, "running", TID(1, 0), 0, 0.5));
    CHECK(has_slice(j, "blocked", TID(1, 0), 0.5, 1.1));
    CHECK(has_slice(j, "runnable", TID(1, 0), 1.6, 0.4));
    CHECK(has_slice(j, "running", TID(1, 0), 2, 2));
    CHECK(has_slice(j, "domain 0 v0", 1, 1, 2)); /* CPU 0 */
    CHECK(has_slice(j, "we\"b\\\n1 v0", 2, 0, 0.5));
    CHECK(has_slice(j, "we\"b\\\n1 v0", 2, 2, 2));
    FOR_EACH(e, j)
    {
        if (!strcmp(text_of(e, "ph"), "f") && number_of(e, "tid") == TID(1, 0))
            CHECK_EQ(number_of(e, "ts") * 1000, 2000); /* when it runs */
        if (!strcmp(text_of(e, "ph"), "f") && number_of(e, "tid") == TID(0, 0))
            CHECK(fabs(number_of(e, "ts") - 2.1) < 1e-9);
        if (!strcmp(text_of(e, "ph"), "i") && strstr(text_of(e, "name"), "5 records lost"))
            CHECK_EQ(number_of(e, "tid"), 2);
        named |= !strcmp(text_of(e, "ph"), "i") && !strcmp(text_of(e, "name"), "sched_op");
    }
    CHECK(named);
    json_object_put(j);
}

TEST(who_did_nothing_is_there)
{
    struct trace_vcpu was[] = { { 3, 0, 1, RUNSTATE_running },
                                { 3, 1, 0, RUNSTATE_blocked },
                                { 0, 0, 0, RUNSTATE_running } };
    struct json_object *j;

    t.was = malloc(sizeof(was));
    memcpy(t.was, was, sizeof(was));
    t.nr_was = 3;
    state(0, 1000, id(0, 0), RUNSTATE_blocked, RUNSTATE_runnable);
    state(1, 3000, id(0, 0), RUNSTATE_runnable, RUNSTATE_blocked);
    j = convert(0);
    check_form(j);
    check_overlap(j);
    CHECK(has_slice(j, "domain 3 v0", 2, 0, 2));
    CHECK(has_slice(j, "running", TID(3, 0), 0, 2));
    CHECK(has_slice(j, "blocked", TID(3, 1), 0, 2));
    CHECK(!has_slice(j, "domain 0 v0", 1, 0, 2));
    json_object_put(j);
}

TEST(nothing_at_all)
{
    struct json_object *j = convert(0);

    CHECK_EQ(json_object_array_length(events_of(j)), 1); /* the process of the CPUs */
    json_object_put(j);
}

TEST(broken_records)
{
    struct error e = { 0 };
    struct json_object *j;

    state(0, 1000, id(0, 0), RUNSTATE_blocked, RUNSTATE_runnable);
    CHECK_EQ(trace_add(&t, 0, "\1\2\3", 3, &e), 0);
    j = convert(-1);
    CHECK(strstr(why.cause, "CPU 0"));
    check_form(j);
    json_object_put(j);
    CHECK_EQ(trace_add(&t, TRACE_MAX_CPUS, "", 0, &e), -1);
    CHECK_EQ(trace_add(&t, 0, "", TRACE_MOST_BYTES + 1, &e), -1);
    CHECK(strstr(e.cause, "MiB"));
    trace_free(&t);
}

/* Any words are records of some kind, with times that jump. */
TEST(any_bytes)
{
    uint32_t seed = 1, w[400];
    struct error e = { 0 };

    for (unsigned int round = 0; round < 300; round++) {
        struct json_object *j;

        for (unsigned int cpu = 0; cpu < 3; cpu++) {
            for (unsigned int i = 0; i < COUNT_OF(w); i++) {
                seed = seed * 1664525 + 1013904223;
                w[i] = seed;
                if (i % 4 == 0) /* often a change of state, with a time */
                    w[i] = (seed >> 8 & 0xff0) | (uint32_t)TRC_HD_CYCLE_FLAG | 1u << 28 |
                           TRC_SCHED_RUNSTATE_CHANGE;
                if (i % 4 == 3 && round % 2)
                    w[i] &= 0x00030003;
                if (i % 4 == 2)
                    w[i] &= 0xff;
            }
            trace_add(&t, cpu, w, sizeof(w), &e);
        }
        t.khz = 1;
        {
            char *text = NULL;
            size_t len;
            FILE *out = open_memstream(&text, &len);

            trace_json(&t, out, &stats, &e);
            fclose(out);
            j = json_tokener_parse(text);
            free(text);
            trace_free(&t);
        }
        CHECK(j != NULL);
        if (j && round < 8)
            check_form(j);
        json_object_put(j);
    }
}

static int read_file(const void *data, size_t n)
{
    char path[] = "/tmp/orlop-trace-XXXXXX";
    int fd = mkstemp(path), rc;

    CHECK(write(fd, data, n) == (ssize_t)n);
    close(fd);
    memset(&why, 0, sizeof(why));
    rc = trace_file(&t, path, &why);
    unlink(path);
    return rc;
}

TEST(files_of_xentrace)
{
    const uint32_t w[] = { TRC_TRACE_CPU_CHANGE | 2u << 28,
                           1,
                           16,
                           TRC_SCHED_RUNSTATE_CHANGE | 0x210 | 1u << 28 |
                               (uint32_t)TRC_HD_CYCLE_FLAG,
                           5000,
                           0,
                           id(2, 0),
                           TRC_TRACE_CPU_CHANGE | 2u << 28,
                           0,
                           0 };
    uint32_t bad[COUNT_OF(w)];

    CHECK_EQ(read_file(w, sizeof(w)), 0);
    CHECK(t.cpus == 2 && t.cpu[1].used == 16 && t.cpu[0].used == 0);
    json_object_put(convert(0));
    CHECK_EQ(stats.records, 1);
    CHECK_EQ(read_file(w, sizeof(w) - 1), -1);
    CHECK(strstr(why.cause, "ends inside"));
    trace_free(&t);
    CHECK_EQ(read_file(w, 20), -1);
    CHECK(strstr(why.cause, "window of 16 bytes"));
    memcpy(bad, w, sizeof(w));
    bad[0] = 0x7f454c46;
    CHECK_EQ(read_file(bad, sizeof(bad)), -1);
    CHECK(strstr(why.cause, "no file of xentrace"));
    bad[0] = w[0];
    bad[1] = 0xffffffff;
    CHECK_EQ(read_file(bad, sizeof(bad)), -1);
    CHECK_EQ(trace_file(&t, "/nowhere/at/all", &why), -1);
    trace_free(&t);
}
