/* SPDX-License-Identifier: MIT */
/*
 * What `orlop metrics` prints of a host with much on it, read by Prometheus' own promtool
 * (scripts/fetch promtool), which also finds what Prometheus takes and its users would stumble
 * over.
 */
#include "tools/cli/metrics_text.h"

#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define PROMTOOL "build/fetch/promtool"

/* --- a host --- */

#define CALLS 64
#define WAITS 20

static struct perfc_counter counters[40];
static uint32_t vals[CALLS + WAITS * 8 + 40];
static struct perfc perfc = { counters, 0, vals };
static unsigned int used;

static void counter(const char *name, unsigned int n)
{
    struct perfc_counter *c = &counters[perfc.nr++];

    strcpy(c->name, name);
    c->nr = n;
    c->vals = vals + used;
    for (unsigned int i = 0; i < n; i++, used++)
        vals[used] = used * 40503u + 1;
}

static void fill_perfc(void)
{
    static const char *const single[] = {
        "switches of vCPUs",
        "vCPUs taken from another CPU",
        "wake-ups",
        "events sent",
        "timers fired",
        "interrupts to other CPUs",
        "grant copies",
        "grants mapped",
        "grants unmapped",
        "looks at pending work",
        "us idled beside another domain",
    };

    perfc.nr = used = 0;
    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
        counter(single[i], 1);
    counter("hypercalls", CALLS);
    counter("cost of hypercall 1", 2 + CALL_COSTS); /* mmu_update */
    counter("cost of hypercall 3", 2 + CALL_COSTS); /* stack_switch, nothing of which took long */
    for (unsigned int i = 0; i < 2 + CALL_COSTS; i++)
        vals[used - 1 - i] = i == 8 ? 7 : i == 7 ? 5 : i == 9 ? 1500 : 0;
    counter("cost of hypercall 8", 3); /* of another hypervisor */
    counter("cost of hypercall 99", 2 + CALL_COSTS);
    counter("waits for a CPU, below 2^n us", WAITS);
    counter("waits of d0v0", WAITS);
    counter("waits of d7v0", WAITS);
    counter("waits of d7v1", WAITS);
}

static const char *text_of(const struct metrics *m)
{
    static char text[1 << 18];
    FILE *out = fmemopen(text, sizeof(text), "w");

    metrics_text(out, m);
    fclose(out);
    return text;
}

static const char *whole_host(void)
{
    static struct top_row rows[3];
    static const struct top_sample sample = {
        .rows = rows, .count = 3, .cpus = 2, .total_kib = 8u << 20, .free_kib = 123456
    };
    static const uint64_t idle[] = { 1, 86400ull * 1000000000 };

    fill_perfc();
    memset(rows, 0, sizeof(rows));
    strcpy(rows[0].view.name, "Domain-0");
    rows[0].view.info.cpu_time = 123456789012345;
    rows[0].view.info.tot_pages = 1u << 19;
    strcpy(rows[1].view.name, "a \"name\" with \\, { and }, \xc3\xa9");
    rows[1].view.info.domain = 7;
    rows[1].io = (struct top_io){ 1, 1ull << 40, ~0ull, 3 };
    rows[2].view.info.domain = 8; /* it has no name */
    return text_of(&(struct metrics){ &sample, idle, 2, &perfc });
}

/* --- promtool --- */

/* What it says of the text goes to our output; its exit code. */
static int promtool(const char *text)
{
    FILE *to;

    fflush(stdout);
    to = popen("scripts/unpacked " PROMTOOL " promtool check metrics 2>&1", "w");
    fputs(text, to);
    return WEXITSTATUS(pclose(to));
}

static bool have_promtool(void)
{
    char why[160] = "it was not fetched";
    FILE *missing;

    if (access(PROMTOOL "/usr/bin/promtool", X_OK) == 0)
        return true;
    missing = fopen(PROMTOOL ".missing", "r");
    if (missing) {
        if (fgets(why, sizeof(why), missing))
            why[strcspn(why, "\n")] = 0;
        fclose(missing);
    }
    SKIP(why);
    return false;
}

TEST(metrics_values)
{
    const char *text = whole_host();

    CHECK(strstr(text, "\norlop_cpus 2\n"));
    CHECK(strstr(text, "\norlop_cpu_idle_seconds_total{cpu=\"1\"} 86400.000000000\n"));
    CHECK(
        strstr(text, "\norlop_domain_memory_bytes{domid=\"0\",domain=\"Domain-0\"} 2147483648\n"));
    CHECK(strstr(text, "{domid=\"7\",domain=\"a \\\"name\\\" with \\\\, { and }, \xc3\xa9\"} "));
    CHECK(strstr(text, "\norlop_forced_idle_seconds_total 0.405031\n"));
    CHECK(strstr(text, "\norlop_hypercalls_total{call=\"mmu_update\"} "));
    CHECK(strstr(text, "\norlop_vcpu_waits_total{domid=\"7\",vcpu=\"1\",below_us=\"1\"} "));
}

#define COST "\norlop_hypercall_duration_seconds"

TEST(metrics_costs)
{
    const char *text = whole_host();

    CHECK(strstr(text, "\n# TYPE orlop_hypercall_duration_seconds histogram\n"));
    CHECK(strstr(text, COST "_bucket{call=\"mmu_update\",le=\"1.28e-07\"} "));
    CHECK(strstr(text, COST "_bucket{call=\"stack_switch\",le=\"1.28e-07\"} 5\n"));
    CHECK(strstr(text, COST "_bucket{call=\"stack_switch\",le=\"5.12e-07\"} 5\n"));
    CHECK(strstr(text, COST "_bucket{call=\"stack_switch\",le=\"+Inf\"} 5\n"));
    CHECK(strstr(text, COST "_sum{call=\"stack_switch\"} 30.064772572\n")); /* 7 << 32 | 1500 */
    CHECK(strstr(text, COST "_count{call=\"stack_switch\"} 5\n"));
    CHECK(!strstr(text, COST "_count{call=\"sched_op_compat\"}"));
}

TEST(metrics_by_promtool)
{
    static const struct top_sample nothing = { 0 };

    if (!have_promtool())
        return;
    CHECK_EQ(promtool(whole_host()), 0);
    CHECK_EQ(promtool(text_of(&(struct metrics){ .sample = &nothing })), 0);
}
