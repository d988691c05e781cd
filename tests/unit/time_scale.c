/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "unit.h"
#include "x86/time/scale.h"

static const uint64_t rates[] = { 10000000,   99999999,   999999999,  1000000000, 1000000001,
                                  1193182,    2399998765, 3000000000, 3999999999, 4000000000,
                                  5012345678, 8589934592, 19999999999 };

static uint64_t exact(uint64_t v, uint64_t num, uint64_t den)
{
    return (uint64_t)((unsigned __int128)v * num / den);
}

TEST(ratio_is_normal)
{
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct clock_scale s = clock_scale_ratio(NS_PER_SEC, rates[i]);

        CHECK(s.mul >> 31);
        CHECK(s.shift > -32 && s.shift < 32);
    }
}

/* A day of TSC ticks comes out right to one part in 2^29, both ways. */
TEST(scales_a_day)
{
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct clock_scale to = clock_scale_ratio(NS_PER_SEC, rates[i]);
        struct clock_scale from = clock_scale_ratio(rates[i], NS_PER_SEC);
        uint64_t ticks = rates[i] * 86400, day = 86400 * NS_PER_SEC;
        uint64_t ns = clock_scale(ticks, to), back = clock_scale(day, from);

        CHECK((ns > day ? ns - day : day - ns) <= day >> 29);
        CHECK((back > ticks ? back - ticks : ticks - back) <= ticks >> 29);
    }
}

TEST(one_gigahertz)
{
    struct clock_scale s = clock_scale_ratio(NS_PER_SEC, NS_PER_SEC);

    CHECK_EQ(s.mul, 0x80000000u);
    CHECK_EQ(s.shift, 1);
    for (uint64_t v = 1; v < 1ull << 60; v = v * 3 + 1)
        CHECK_EQ(clock_scale(v, s), v);
}

/* What Linux does with the record: shift, 64 by 32 bits, upper part. */
TEST(guest_computes_the_same)
{
    struct clock_scale s = clock_scale_ratio(NS_PER_SEC, 2399998765u);
    uint64_t delta = 123456789012345ull;
    unsigned __int128 product = (unsigned __int128)(delta >> -s.shift) * s.mul;

    CHECK(s.shift < 0);
    CHECK_EQ(clock_scale(delta, s), (uint64_t)(product >> 32));
}

TEST(muldiv)
{
    CHECK_EQ(muldiv64(7, 6, 4), 10);
    CHECK_EQ(muldiv64(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
    CHECK_EQ(muldiv64(1ull << 63, 2, 1), UINT64_MAX); /* does not fit: the most there is */
    CHECK_EQ(muldiv64(1, 1, 0), UINT64_MAX);
    CHECK_EQ(muldiv64(86400ull * 3579545, NS_PER_SEC, 3579545), 86400 * NS_PER_SEC);
    CHECK_EQ(muldiv64(987654321, 3000000000u, 14318180), exact(987654321, 3000000000u, 14318180));
}
