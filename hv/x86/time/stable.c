/* SPDX-License-Identifier: MIT */
/* No state and no machine: measurements in, verdicts out. */
#include "x86/time/stable.h"

#include "lib/strutil.h"

#define SLACK_NS 100000
#define SLACK_FRACTION 512

bool tsc_parse_option(const char *value, enum tsc_option *out)
{
    *out = TSC_AUTO;
    if (!value)
        return true;
    if (str_eq(value, "stable") || str_eq(value, "stable:socket"))
        *out = TSC_FORCE_STABLE;
    else if (str_eq(value, "unstable"))
        *out = TSC_FORCE_UNSTABLE;
    else
        return false;
    return true;
}

struct tsc_verdict tsc_decide(const struct tsc_evidence *e)
{
    if (e->option == TSC_FORCE_STABLE)
        return (struct tsc_verdict){ true, "tsc=stable" };
    if (e->option == TSC_FORCE_UNSTABLE)
        return (struct tsc_verdict){ false, "tsc=unstable" };
    if (e->max_warp)
        return (struct tsc_verdict){ false, "it runs backwards from one CPU to another" };
    if (e->compared > e->agreed)
        return (struct tsc_verdict){ false, "it disagrees with the reference clock" };
    if (e->invariant)
        return (struct tsc_verdict){ true, "CPUID says invariant" };
    if (e->pairs + 1 < e->cpus)
        return (struct tsc_verdict){ false, "not invariant, and not compared between all CPUs" };
    if (e->agreed < 2)
        return (struct tsc_verdict){ false, "not invariant, and no clock to compare it with" };
    return (struct tsc_verdict){ true, "in step on all CPUs and with the reference clock" };
}

bool tsc_interval_agrees(uint64_t tsc_ns, uint64_t ref_ns)
{
    uint64_t off = tsc_ns > ref_ns ? tsc_ns - ref_ns : ref_ns - tsc_ns;

    return off <= ref_ns / SLACK_FRACTION + SLACK_NS;
}

bool tsc_watch_interval(struct tsc_watch *w, uint64_t tsc_ns, uint64_t ref_ns)
{
    if (tsc_interval_agrees(tsc_ns, ref_ns)) {
        w->bad = 0;
        return false;
    }
    return ++w->bad == TSC_BAD_LIMIT;
}
