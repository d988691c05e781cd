/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "x86/time/stable.h"

static bool stable(struct tsc_evidence e)
{
    struct tsc_verdict v = tsc_decide(&e);

    CHECK(v.why && *v.why);
    return v.stable;
}

TEST(option)
{
    enum tsc_option o;

    CHECK(tsc_parse_option(NULL, &o) && o == TSC_AUTO);
    CHECK(tsc_parse_option("stable", &o) && o == TSC_FORCE_STABLE);
    CHECK(tsc_parse_option("unstable", &o) && o == TSC_FORCE_UNSTABLE);
    CHECK(!tsc_parse_option("maybe", &o) && o == TSC_AUTO);
    CHECK(!tsc_parse_option("", &o));
}

TEST(option_overrides)
{
    CHECK(stable((struct tsc_evidence){
        .option = TSC_FORCE_STABLE, .cpus = 4, .max_warp = 99, .compared = 2 }));
    CHECK(!stable(
        (struct tsc_evidence){ .option = TSC_FORCE_UNSTABLE, .invariant = true, .cpus = 1 }));
}

TEST(invariant)
{
    struct tsc_evidence e = { .invariant = true, .cpus = 8, .compared = 2, .agreed = 2 };

    CHECK(stable(e));
    e.compared = e.agreed = 0; /* no clock to compare with: CPUID's word is enough */
    CHECK(stable(e));
    e.max_warp = 1; /* but not against what we saw */
    CHECK(!stable(e));
    e.max_warp = 0;
    e.compared = 2;
    e.agreed = 1;
    CHECK(!stable(e));
}

TEST(not_invariant)
{
    struct tsc_evidence e = { .cpus = 4, .pairs = 3, .compared = 2, .agreed = 2 };

    CHECK(stable(e));
    e.pairs = 2;
    CHECK(!stable(e));
    e.pairs = 3;
    e.compared = e.agreed = 0;
    CHECK(!stable(e));
    e = (struct tsc_evidence){ .cpus = 1, .compared = 2, .agreed = 2 };
    CHECK(stable(e));
}

TEST(intervals)
{
    CHECK(tsc_interval_agrees(1000000000, 1000000000));
    CHECK(tsc_interval_agrees(1001000000, 1000000000));
    CHECK(!tsc_interval_agrees(1005000000, 1000000000));
    CHECK(!tsc_interval_agrees(995000000, 1000000000));
    CHECK(tsc_interval_agrees(90000, 0)); /* stopped between two reads */
    CHECK(!tsc_interval_agrees(0, 1000000000));
}

TEST(watch_forgives_one_but_not_three)
{
    struct tsc_watch w = { 0 };

    for (int i = 0; i < 10; i++) {
        CHECK(!tsc_watch_interval(&w, 1100000000, 1000000000));
        CHECK(!tsc_watch_interval(&w, 1100000000, 1000000000));
        CHECK(!tsc_watch_interval(&w, 1000000000, 1000000000));
    }
    CHECK(!tsc_watch_interval(&w, 900000000, 1000000000));
    CHECK(!tsc_watch_interval(&w, 900000000, 1000000000));
    CHECK(tsc_watch_interval(&w, 900000000, 1000000000));
    CHECK(!tsc_watch_interval(&w, 900000000, 1000000000)); /* said once */
}
