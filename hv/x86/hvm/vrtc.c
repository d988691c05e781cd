/* SPDX-License-Identifier: MIT */
/*
 * The clock is the host's wall clock plus an offset, which changes when the guest sets its own. The
 * registers hold a date only while the guest holds the update (SET); else they are made when they
 * are read. Flags for periods, seconds and alarms are set when somebody looks, and by a timer when
 * an interrupt is wanted.
 */
#include "x86/hvm/vrtc.h"

#include "lib/macros.h"
#include "lib/string.h"

#define RTC_IRQ 8u
#define NS 1000000000ull

enum {
    SECONDS,
    SECONDS_ALARM,
    MINUTES,
    MINUTES_ALARM,
    HOURS,
    HOURS_ALARM,
    WEEKDAY,
    DAY,
    MONTH,
    YEAR,
    REG_A,
    REG_B,
    REG_C,
    REG_D
};

#define A_UPDATING 0x80u
#define B_SET 0x80u
#define B_PERIODIC 0x40u
#define B_ALARM 0x20u
#define B_UPDATE 0x10u
#define B_BINARY 0x04u
#define B_24_HOURS 0x02u
#define C_IRQ 0x80u
#define PM_HOUR 0x80u

/* The guest's time of day as seconds since 1970; it changes with the second of the host's clock. */
static uint64_t guest_seconds(const struct vrtc *p)
{
    int64_t s = (int64_t)(p->ops->wall_ns(p->ctx) / NS) + p->hw.rtc_offset;

    return s > 0 ? (uint64_t)s : 0;
}

static uint64_t ns_of_second(const struct vrtc *p)
{
    return p->ops->wall_ns(p->ctx) % NS;
}

/* --- dates --- */

struct date {
    unsigned int year, month, day, weekday; /* month and day from 1, Sunday is 0 */
};

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_from(unsigned int year, unsigned int month, unsigned int day)
{
    int64_t y = (int64_t)year - (month <= 2), era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct date date_from(int64_t days)
{
    int64_t z = days + 719468, era = z / 146097, of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
    struct date d;

    d.day = (unsigned int)(of_year - (153 * m + 2) / 5 + 1);
    d.month = (unsigned int)(m < 10 ? m + 3 : m - 9);
    d.year = (unsigned int)(y + era * 400 + (d.month <= 2));
    d.weekday = (unsigned int)((days + 4) % 7);
    return d;
}

static uint8_t encode(const struct vrtc *p, unsigned int n)
{
    return (uint8_t)(p->hw.cmos_data[REG_B] & B_BINARY ? n : (n / 10) << 4 | n % 10);
}

static unsigned int decode(const struct vrtc *p, uint8_t val)
{
    return p->hw.cmos_data[REG_B] & B_BINARY ? val : (val >> 4) * 10u + (val & 15);
}

static uint8_t encode_hour(const struct vrtc *p, unsigned int hour)
{
    if (p->hw.cmos_data[REG_B] & B_24_HOURS)
        return encode(p, hour);
    return (uint8_t)(encode(p, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? PM_HOUR : 0));
}

static unsigned int decode_hour(const struct vrtc *p, uint8_t val)
{
    if (p->hw.cmos_data[REG_B] & B_24_HOURS)
        return decode(p, val);
    return decode(p, val & 0x7f) % 12 + (val & PM_HOUR ? 12 : 0);
}

/* Registers 0 to 9 from the time. */
static void fill_date(struct vrtc *p)
{
    uint64_t s = guest_seconds(p);
    struct date d = date_from((int64_t)(s / 86400));
    uint8_t *r = p->hw.cmos_data;

    r[SECONDS] = encode(p, s % 60);
    r[MINUTES] = encode(p, s / 60 % 60);
    r[HOURS] = encode_hour(p, s / 3600 % 24);
    r[WEEKDAY] = encode(p, d.weekday + 1);
    r[DAY] = encode(p, d.day);
    r[MONTH] = encode(p, d.month);
    r[YEAR] = encode(p, d.year % 100);
}

/* The time from the registers: from now on the clock shows them. 70 to 99 are of the last century.
 */
static void take_date(struct vrtc *p)
{
    const uint8_t *r = p->hw.cmos_data;
    unsigned int year = decode(p, r[YEAR]) % 100;
    int64_t days = days_from(year + (year < 70 ? 2000 : 1900),
                             MIN(MAX(decode(p, r[MONTH]), 1u), 12u),
                             MIN(MAX(decode(p, r[DAY]), 1u), 31u));
    int64_t s = days * 86400 + (int64_t)(decode_hour(p, r[HOURS]) % 24) * 3600 +
                (int64_t)(decode(p, r[MINUTES]) % 60) * 60 + decode(p, r[SECONDS]) % 60;

    p->hw.rtc_offset = s - (int64_t)(p->ops->wall_ns(p->ctx) / NS);
    p->seen_second = (uint64_t)s;
}

/* --- flags and interrupts --- */

static bool alarm_matches(const struct vrtc *p, uint64_t s)
{
    const uint8_t *r = p->hw.cmos_data; /* from c0 on, an alarm register means every value */

    return (r[SECONDS_ALARM] >= 0xc0 || decode(p, r[SECONDS_ALARM]) == s % 60) &&
           (r[MINUTES_ALARM] >= 0xc0 || decode(p, r[MINUTES_ALARM]) == s / 60 % 60) &&
           ((r[HOURS_ALARM] & 0xc0) == 0xc0 || decode_hour(p, r[HOURS_ALARM]) == s / 3600 % 24);
}

/* Periods of the rate in A, in ns; 0: off. */
static uint64_t period_ns(const struct vrtc *p)
{
    unsigned int rate = p->hw.cmos_data[REG_A] & 15;

    if (!rate || (p->hw.cmos_data[REG_A] & 0x60) == 0x60) /* the divider is held */
        return 0;
    return (NS << (rate <= 2 ? rate + 6 : rate - 1)) / 32768;
}

static void update_line(struct vrtc *p)
{
    uint8_t *c = &p->hw.cmos_data[REG_C];
    bool was = *c & C_IRQ, up = *c & p->hw.cmos_data[REG_B] & 0x70;

    *c = (uint8_t)((*c & 0x7f) | (up ? C_IRQ : 0));
    if (up != was)
        p->ops->isa(p->ctx, RTC_IRQ, up);
}

/* Sets the flags of what has happened until now. */
static void settle(struct vrtc *p)
{
    uint64_t now = p->ops->now(p->ctx), period = period_ns(p), second = guest_seconds(p), from;

    if (p->next_period != VTIMER_NONE && now >= p->next_period && period) {
        p->hw.cmos_data[REG_C] |= B_PERIODIC;
        p->next_period += ((now - p->next_period) / period + 1) * period;
    }
    if (!(p->hw.cmos_data[REG_B] & B_SET) && second > p->seen_second) {
        p->hw.cmos_data[REG_C] |= B_UPDATE;
        /* After a pause, what was its last minute is looked through. */
        from = second - MIN(second - p->seen_second, 64ull);
        for (uint64_t s = from + 1; s <= second; s++)
            if (alarm_matches(p, s))
                p->hw.cmos_data[REG_C] |= B_ALARM;
    }
    p->seen_second = MAX(second, p->seen_second);
    update_line(p);
}

static void arm(struct vrtc *p)
{
    uint64_t now = p->ops->now(p->ctx), at = VTIMER_NONE, left;
    uint8_t wanted = p->hw.cmos_data[REG_B] & ~p->hw.cmos_data[REG_C];

    if (wanted & B_PERIODIC && period_ns(p))
        at = MAX(p->next_period, now + VTIMER_MIN_NS);
    if (wanted & (B_ALARM | B_UPDATE) && !(p->hw.cmos_data[REG_B] & B_SET)) {
        left = NS - ns_of_second(p);
        at = MIN(at, now + left);
    }
    p->ops->set_timer(p->ctx, p->which, at);
}

void vrtc_timer(struct vrtc *p)
{
    settle(p);
    arm(p);
}

/* --- ports --- */

static void write_a(struct vrtc *p, uint8_t val)
{
    uint64_t before = period_ns(p), period;

    p->hw.cmos_data[REG_A] = val & 0x7f;
    period = period_ns(p);
    if (period != before)
        p->next_period = period ? p->ops->now(p->ctx) + period : VTIMER_NONE;
}

static void write_b(struct vrtc *p, uint8_t val)
{
    uint8_t old = p->hw.cmos_data[REG_B];

    if (val & B_SET && !(old & B_SET))
        fill_date(p); /* by the format so far */
    p->hw.cmos_data[REG_B] = val;
    if (!(val & B_SET) && (old & B_SET))
        take_date(p);
}

static void write_data(struct vrtc *p, uint8_t val)
{
    unsigned int i = p->hw.cmos_index;
    bool is_date = i == SECONDS || i == MINUTES || i == HOURS || (i >= WEEKDAY && i <= YEAR);

    settle(p);
    switch (i) {
    case REG_A:
        write_a(p, val);
        break;
    case REG_B:
        write_b(p, val);
        break;
    case REG_C:
    case REG_D:
        break;
    default:
        if (is_date && !(p->hw.cmos_data[REG_B] & B_SET))
            fill_date(p);
        p->hw.cmos_data[i] = val;
        if (is_date && !(p->hw.cmos_data[REG_B] & B_SET))
            take_date(p);
    }
    update_line(p);
    arm(p);
}

static uint8_t read_data(struct vrtc *p)
{
    unsigned int i = p->hw.cmos_index;
    uint8_t val;

    if (i <= YEAR && !(p->hw.cmos_data[REG_B] & B_SET))
        fill_date(p);
    if (i == REG_D)
        return 0x80; /* the battery is good */
    if (i == REG_A)  /* updating: the last 244 us of each second */
        return (uint8_t)(p->hw.cmos_data[REG_A] |
                         (!(p->hw.cmos_data[REG_B] & B_SET) && ns_of_second(p) >= NS - 244000
                              ? A_UPDATING
                              : 0));
    if (i != REG_C)
        return p->hw.cmos_data[i];
    settle(p);
    val = p->hw.cmos_data[REG_C];
    if (val & C_IRQ)
        p->ops->isa(p->ctx, RTC_IRQ, false);
    p->hw.cmos_data[REG_C] = 0;
    arm(p);
    return val;
}

bool vrtc_write(struct vrtc *p, uint16_t port, uint8_t val)
{
    if (!(port & 1)) {
        p->hw.cmos_index = val & 0x7f;
        return p->hw.cmos_index < RTC_CMOS_SIZE;
    }
    if (p->hw.cmos_index >= RTC_CMOS_SIZE)
        return false;
    write_data(p, val);
    return true;
}

bool vrtc_read(struct vrtc *p, uint16_t port, uint8_t *val)
{
    if (!(port & 1)) {
        *val = 0xff;
        return true;
    }
    if (p->hw.cmos_index >= RTC_CMOS_SIZE)
        return false;
    *val = read_data(p);
    return true;
}

/* --- beginning, records --- */

void vrtc_init(struct vrtc *p, const struct vtimer_ops *ops, void *ctx, unsigned int which)
{
    memset(p, 0, sizeof(*p));
    p->ops = ops;
    p->ctx = ctx;
    p->which = which;
    p->hw.cmos_data[REG_A] = 0x26; /* 32,768 Hz, 1,024 periods a second */
    p->hw.cmos_data[REG_B] = B_24_HOURS;
    p->next_period = ops->now(ctx) + period_ns(p);
    p->seen_second = guest_seconds(p);
}

void vrtc_load(struct vrtc *p, const struct hvm_hw_rtc *r)
{
    uint64_t period;

    p->hw = *r;
    p->hw.pad0 = 0;
    p->hw.cmos_index &= 0x7f;
    p->hw.cmos_data[REG_A] &= 0x7f;
    p->hw.cmos_data[REG_C] &= 0xf0;
    /* Ten thousand years either way are enough for every clock. */
    if (p->hw.rtc_offset > 315360000000 || p->hw.rtc_offset < -315360000000)
        p->hw.rtc_offset = 0;
    period = period_ns(p);
    p->next_period = period ? p->ops->now(p->ctx) + period : VTIMER_NONE;
    p->seen_second = guest_seconds(p);
    update_line(p);
    arm(p);
}
