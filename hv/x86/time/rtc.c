/* SPDX-License-Identifier: MIT */
/*
 * Index and data ports are a pair under rtc_lock (RANK_MACHINE). Reading and decoding are apart,
 * so that tests can try registers as they like.
 */
#include "x86/time/rtc.h"

#include "core/arch.h"
#include "core/lock.h"
#include "core/log.h"
#include "x86/cpu/ops.h"

#define PORT_INDEX 0x70
#define PORT_DATA 0x71
#define NMI_OFF 0x80 /* rides on the index port; we leave NMIs on */

enum {
    CMOS_SEC = 0,
    CMOS_MIN = 2,
    CMOS_HOUR = 4,
    CMOS_DAY = 7,
    CMOS_MONTH = 8,
    CMOS_YEAR = 9,
    CMOS_A = 10,
    CMOS_B = 11
};
#define A_UPDATE 0x80
#define B_BINARY 0x04
#define B_24H 0x02
#define HOUR_PM 0x80

/* An update takes 2 ms; a clock that updates for longer is broken, and read as it stands. */
#define UPDATE_SPINS 20000
#define READ_TRIES 4

static uint8_t century_reg;
static spinlock_t rtc_lock = SPINLOCK_INIT(RANK_MACHINE);

static unsigned int from_bcd(uint8_t v)
{
    return (v >> 4) * 10u + (v & 15u);
}

bool rtc_decode(const struct rtc_raw *r, struct rtc_time *t)
{
    bool bcd = !(r->status_b & B_BINARY);
    bool pm = !(r->status_b & B_24H) && (r->hour & HOUR_PM);
    uint8_t hour = r->status_b & B_24H ? r->hour : (uint8_t)(r->hour & ~HOUR_PM);
    unsigned int century = 0;

    t->sec = bcd ? from_bcd(r->sec) : r->sec;
    t->min = bcd ? from_bcd(r->min) : r->min;
    t->hour = bcd ? from_bcd(hour) : hour;
    t->day = bcd ? from_bcd(r->day) : r->day;
    t->month = bcd ? from_bcd(r->month) : r->month;
    t->year = bcd ? from_bcd(r->year) : r->year;
    if (!(r->status_b & B_24H)) /* 12 is midnight, 12 PM is noon */
        t->hour = t->hour % 12 + (pm ? 12 : 0);
    if (r->has_century)
        century = bcd ? from_bcd(r->century) : r->century;
    if (century < 19 || century > 29)
        century = t->year < 70 ? 20 : 19;
    t->year += century * 100;
    return t->sec < 61 && t->min < 60 && t->hour < 24 && t->day >= 1 && t->day <= 31 &&
           t->month >= 1 && t->month <= 12;
}

/* Days from 1970 by counting from 1 March of year 0, so that leap days end a year. */
uint64_t rtc_to_unix(const struct rtc_time *t)
{
    uint64_t y = t->year - (t->month <= 2);
    uint64_t m = (t->month + 9) % 12;
    uint64_t days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + t->day - 1 - 719468;

    return ((days * 24 + t->hour) * 60 + t->min) * 60 + t->sec;
}

static uint8_t cmos(uint8_t reg)
{
    outb(PORT_INDEX, reg & (uint8_t)~NMI_OFF);
    return inb(PORT_DATA);
}

static void read_raw(struct rtc_raw *r)
{
    for (unsigned int i = 0; i < UPDATE_SPINS && (cmos(CMOS_A) & A_UPDATE); i++)
        cpu_pause();
    r->sec = cmos(CMOS_SEC);
    r->min = cmos(CMOS_MIN);
    r->hour = cmos(CMOS_HOUR);
    r->day = cmos(CMOS_DAY);
    r->month = cmos(CMOS_MONTH);
    r->year = cmos(CMOS_YEAR);
    r->has_century = century_reg != 0;
    r->century = century_reg ? cmos(century_reg) : 0;
    r->status_b = cmos(CMOS_B);
}

void rtc_init(uint8_t century)
{
    century_reg = century < 128 ? century : 0;
}

uint64_t arch_rtc_read(void)
{
    struct rtc_raw r = { 0 };
    struct rtc_time t;
    uint8_t index;

    spin_lock(&rtc_lock);
    index = inb(PORT_INDEX); /* Dom0 may be between its own two accesses */
    for (unsigned int i = 0; i < READ_TRIES; i++) {
        uint8_t sec;

        read_raw(&r);
        sec = cmos(CMOS_SEC);
        if (sec == r.sec && !(cmos(CMOS_A) & A_UPDATE))
            break;
    }
    outb(PORT_INDEX, index & (uint8_t)~NMI_OFF);
    spin_unlock(&rtc_lock);
    if (!rtc_decode(&r, &t)) {
        log_warn("real-time clock shows no valid date; taking 1970-01-01");
        return 0;
    }
    return rtc_to_unix(&t);
}
