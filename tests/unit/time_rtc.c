/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "machine.h"
#include "x86/time/rtc.c"

TEST(to_unix)
{
    static const struct rtc_time dates[] = {
        { 0, 0, 0, 1, 1, 1970 },    { 59, 59, 23, 31, 12, 1999 }, { 0, 0, 0, 29, 2, 2000 },
        { 1, 2, 3, 1, 3, 2000 },    { 7, 14, 3, 19, 1, 2038 },    { 30, 45, 12, 28, 2, 2100 },
        { 30, 45, 12, 1, 3, 2100 }, { 0, 0, 12, 21, 11, 2026 },
    };

    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        const struct rtc_time *t = &dates[i];
        struct tm tm = { .tm_sec = (int)t->sec,
                         .tm_min = (int)t->min,
                         .tm_hour = (int)t->hour,
                         .tm_mday = (int)t->day,
                         .tm_mon = (int)t->month - 1,
                         .tm_year = (int)t->year - 1900 };

        CHECK_EQ(rtc_to_unix(t), timegm(&tm));
    }
}

TEST(decode_bcd_24h)
{
    struct rtc_raw r = { 0x59, 0x30, 0x23, 0x31, 0x12, 0x26, 0x20, B_24H, true };
    struct rtc_time t;

    CHECK(rtc_decode(&r, &t));
    CHECK(t.sec == 59 && t.min == 30 && t.hour == 23 && t.day == 31 && t.month == 12);
    CHECK_EQ(t.year, 2026);
}

TEST(decode_12h)
{
    struct rtc_raw r = { 0, 0, 0x12, 1, 1, 0, 0, 0, false };
    struct rtc_time t;

    CHECK(rtc_decode(&r, &t) && t.hour == 0); /* 12 AM */
    r.hour = 0x12 | HOUR_PM;
    CHECK(rtc_decode(&r, &t) && t.hour == 12); /* 12 PM */
    r.hour = 0x11 | HOUR_PM;
    CHECK(rtc_decode(&r, &t) && t.hour == 23);
    r = (struct rtc_raw){ 0, 0, 11 | HOUR_PM, 1, 1, 0, 0, B_BINARY, false };
    CHECK(rtc_decode(&r, &t) && t.hour == 23);
}

TEST(decode_century)
{
    struct rtc_raw r = { 0, 0, 0, 1, 1, 0x99, 0, B_24H, false };
    struct rtc_time t;

    CHECK(rtc_decode(&r, &t) && t.year == 1999);
    r.year = 0x26;
    CHECK(rtc_decode(&r, &t) && t.year == 2026);
    r.has_century = true;
    r.century = 0xff; /* no century at all */
    CHECK(rtc_decode(&r, &t) && t.year == 2026);
    r.century = 0x21;
    CHECK(rtc_decode(&r, &t) && t.year == 2126);
}

TEST(decode_nonsense)
{
    struct rtc_raw r = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, true };
    struct rtc_time t;

    CHECK(!rtc_decode(&r, &t));
    r = (struct rtc_raw){ 0, 0, 0, 0, 1, 0, 0, B_24H, false }; /* day 0 */
    CHECK(!rtc_decode(&r, &t));
}

/* A CMOS clock that is being updated for a while, then ticks once between two reads. */
static uint8_t cmos_index;
static unsigned int updating, sec_reads;

static uint32_t cmos_in(uint16_t port, unsigned int size)
{
    (void)size;
    if (port != PORT_DATA)
        return cmos_index;
    switch (cmos_index & 0x7f) {
    case CMOS_A:
        return updating && updating-- ? A_UPDATE : 0;
    case CMOS_B:
        return B_24H;
    case CMOS_SEC:
        return sec_reads++ == 0 ? 0x58 : 0x59;
    case CMOS_MIN:
        return 0x01;
    case CMOS_HOUR:
        return 0x02;
    case CMOS_DAY:
    case CMOS_MONTH:
        return 0x03;
    case CMOS_YEAR:
        return 0x04;
    default:
        return 0x20;
    }
}

static void cmos_out(uint16_t port, unsigned int size, uint32_t v)
{
    (void)size;
    if (port == PORT_INDEX)
        cmos_index = (uint8_t)v;
}

TEST(reads_the_clock)
{
    struct tm tm = {
        .tm_sec = 59, .tm_min = 1, .tm_hour = 2, .tm_mday = 3, .tm_mon = 2, .tm_year = 104
    };

    host_machine.in = cmos_in;
    host_machine.out = cmos_out;
    rtc_init(0x32);
    cmos_index = 0x55; /* Dom0's */
    updating = 100;
    CHECK_EQ(arch_rtc_read(), timegm(&tm));
    CHECK_EQ(updating, 0);
    CHECK_EQ(cmos_index, 0x55);
    updating = UINT32_MAX; /* for ever: still an answer */
    CHECK_EQ(arch_rtc_read(), timegm(&tm));
}
