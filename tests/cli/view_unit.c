/* SPDX-License-Identifier: MIT */
/* What the viewing commands make of numbers: states, CPU maps, durations, samples and their order.
 */
#include "tools/cli/top.h"
#include <json-c/json.h>
#include <xen/sched.h>
#include "unit.h"

static const char *state_of(uint32_t flags, char letters[7])
{
    struct view v = { .info.flags = flags };

    view_letters(&v, letters);
    return view_state(&v);
}

TEST(view_states)
{
    char letters[7];

    CHECK_STR(state_of(0, letters), "runnable");
    CHECK_STR(letters, "------");
    CHECK_STR(state_of(XEN_DOMINF_running, letters), "running");
    CHECK_STR(letters, "r-----");
    CHECK_STR(state_of(XEN_DOMINF_blocked | XEN_DOMINF_paused, letters), "paused");
    CHECK_STR(letters, "-bp---");
    CHECK_STR(state_of(XEN_DOMINF_shutdown | SHUTDOWN_crash << XEN_DOMINF_shutdownshift, letters),
              "crashed");
    CHECK_STR(letters, "---sc-");
    CHECK_STR(state_of(XEN_DOMINF_shutdown, letters), "shutdown");
    CHECK_STR(letters, "---s--");
    CHECK_STR(state_of(XEN_DOMINF_shutdown | XEN_DOMINF_dying, letters), "dying");
}

static bool map_is(uint32_t bits, unsigned n, unsigned online, const char *want)
{
    uint8_t map[4] = { bits, bits >> 8, bits >> 16, bits >> 24 };
    char *text = cpumap_text(map, n, online);
    bool good = strcmp(text, want) == 0;

    if (!good)
        printf("%#x: %s, not %s\n", bits, text, want);
    free(text);
    return good;
}

TEST(view_cpu_maps)
{
    CHECK(map_is(0x0f, 4, 4, "all"));
    CHECK(map_is(0x0d, 4, 4, "0,2-3"));
    CHECK(map_is(0x00, 4, 4, ""));
    CHECK(map_is(0xffff00ff, 32, 32, "0-7,16-31"));
    CHECK(map_is(0xffffffff, 32, 4, "all"));
    CHECK(map_is(0x80000001, 32, 32, "0,31"));
}

TEST(view_durations)
{
    char text[48];

    duration_text(0, text);
    CHECK_STR(text, "00:00:00");
    duration_text(86399, text);
    CHECK_STR(text, "23:59:59");
    duration_text(86400, text);
    CHECK_STR(text, "1 day, 00:00:00");
    duration_text(3 * 86400 + 7871, text);
    CHECK_STR(text, "3 days, 02:11:11");
    duration_text(UINT64_MAX, text);
}

/* Two domains: 5 used half a CPU and sent, 7 is new. */
TEST(view_samples)
{
    struct top_row old[1] = { { .view.info = { .domain = 5, .cpu_time = 1000000000 },
                                .io = { .sent = 1000, .read = 5000 } } };
    struct top_row new[2] = { { .view = { .info = { .domain = 7, .tot_pages = 9 }, .name = "b" } },
                              { .view = { .info = { .domain = 5, .cpu_time = 2000000000 },
                                          .name = "c" },
                                .io = { .sent = 5000, .read = 10 } } };
    struct top_sample before = { .when_ms = 1000, .rows = old, .count = 1 };
    struct top_sample now = { .when_ms = 3000, .rows = new, .count = 2 };

    top_compare(&before, &now);
    CHECK(new[0].cpu_percent == 0);
    CHECK(new[1].cpu_percent > 49.9 && new[1].cpu_percent < 50.1);
    CHECK_EQ(new[1].rate.sent, 2000);
    CHECK_EQ(new[1].rate.read, 0); /* a new device counts from 0 */
    top_sort(&now, TOP_BY_CPU);
    CHECK_EQ(new[0].view.info.domain, 5);
    top_sort(&now, TOP_BY_MEMORY);
    CHECK_EQ(new[0].view.info.domain, 7);
    top_sort(&now, TOP_BY_ID);
    CHECK_EQ(new[0].view.info.domain, 5);
    top_sort(&now, TOP_BY_NAME);
    CHECK_EQ(new[0].view.info.domain, 7);
    now.when_ms = before.when_ms;
    top_compare(&before, &now); /* no time between: no rates, no division by zero */
}

/* What domain 5, of two vCPUs, used in the last minute, asked at these moments. */
TEST(view_last_minute)
{
    struct top_row rows[2] = { { .view.info = { .domain = 5, .nr_online_vcpus = 2 } } };
    struct top_sample at[2] = { { .rows = &rows[0], .count = 1 },
                                { .rows = &rows[1], .count = 1 } };
    static const struct {
        int64_t ms, cpu_ms;
    } moment[] = {
        { 10000, 0 }, { 12000, 4000 }, { 14000, 6000 }, { 14500, 7000 }, { 20000, 7000 }
    };
    char text[TOP_STEPS + 1];

    top_spark(&rows[0].past, text);
    CHECK_EQ(strspn(text, " "), TOP_STEPS);
    for (unsigned int i = 0; i < 5; i++) {
        struct top_sample *now = &at[i % 2], *before = &at[1 - i % 2];

        memset(&now->rows[0], 0, sizeof(now->rows[0]));
        now->rows[0].view.info.domain = 5;
        now->rows[0].view.info.nr_online_vcpus = 2;
        now->rows[0].view.info.cpu_time = (uint64_t)moment[i].cpu_ms * 1000000;
        now->when_ms = moment[i].ms;
        if (i)
            top_compare(before, now);
        if (i == 2) {
            top_spark(&now->rows[0].past, text);
            CHECK_STR(text + TOP_STEPS - 3, " @="); /* all of both, then half */
        }
    }
    top_spark(&rows[0].past, text);
    CHECK_STR(text + TOP_STEPS - 6,
              " @@___"); /* the half second was full, then nothing for three steps */

    at[1].when_ms = 20000 + 3600000; /* an hour later: it ends */
    rows[1] = rows[0];
    rows[1].past = (struct top_past){ 0 };
    top_compare(&at[0], &at[1]);
    top_spark(&rows[1].past, text);
    CHECK_EQ(strspn(text, "_"), TOP_STEPS);
}

TEST(view_json)
{
    struct view v = { .info = { .domain = 3,
                                .tot_pages = 256,
                                .max_pages = UINT64_MAX,
                                .flags = XEN_DOMINF_shutdown | SHUTDOWN_reboot
                                                                   << XEN_DOMINF_shutdownshift,
                                .max_vcpu_id = XEN_INVALID_MAX_VCPU_ID } };
    struct json_object *j = view_json(&v);

    CHECK(strstr(json_object_to_json_string(j), "\"name\": null"));
    CHECK(strstr(json_object_to_json_string(j), "\"memory_kib\": 1024"));
    CHECK(strstr(json_object_to_json_string(j), "\"max_memory_kib\": null"));
    CHECK(strstr(json_object_to_json_string(j), "\"shutdown_reason\": \"reboot\""));
    CHECK(strstr(json_object_to_json_string(j), "\"vcpus\": 0"));
    json_object_put(j);
}

TEST(view_calls)
{
    static struct top_sample before = { .when_ms = 1000 }, now = { .when_ms = 3000 };
    const struct top_call *call[CALL_NUMBERS];
    char text[256];

    before.calls[1].all = (struct call_cost){ .calls = 10, .took = { 1, 5 }, .ns = 1000 };
    now.calls[1].all = (struct call_cost){ .calls = 2010, .took = { 1, 8, 1 }, .ns = 5000 };
    now.calls[1].name = "mmu_update";
    now.calls[2].all = (struct call_cost){ .calls = 400, .took = { 0, 0, 200 }, .ns = 400000 };
    now.calls[2].name = "set_gdt";
    now.calls[3].name = before.calls[3].name = "stack_switch"; /* set back meanwhile */
    before.calls[3].all = (struct call_cost){ .calls = 400, .took = { 2 }, .ns = 4000 };
    now.calls[3].all = (struct call_cost){ .calls = 4, .took = { 1 }, .ns = 40 };
    now.calls[4].name = "set_callbacks"; /* none was measured */
    now.calls[4].all = (struct call_cost){ .calls = 6 };
    top_calls_compare(&before, &now);
    CHECK_EQ(top_calls_sorted(&now, call), 3);
    CHECK_STR(call[0]->name, "set_gdt");
    CHECK_STR(call[1]->name, "mmu_update");
    CHECK_STR(call[2]->name, "set_callbacks");
    CHECK(call[0]->per_second == 200 && call[0]->mean_ns == 2000 && call[2]->mean_ns == 0);
    top_call_text(call[1], text, sizeof(text));
    CHECK_STR(text,
              "mmu_update                       1000     1000   0.00       -   75.0   25.0      "
              "-      -      -      -      -");
    CHECK_EQ(strlen(text), strlen(top_calls_columns));
    top_call_text(call[2], text, 30); /* what does not fit is cut */
    CHECK_EQ(strlen(text), 29);
}
