/* SPDX-License-Identifier: MIT */
/* The real-time clock in CMOS (Motorola MC146818A). Read at boot for the wall clock. */
#ifndef X86_TIME_RTC_H
#define X86_TIME_RTC_H

#include <stdbool.h>
#include <stdint.h>

/* The CMOS register of the century by the FADT, 0: none. Then arch_rtc_read() works. */
void rtc_init(uint8_t century_reg);

/* Pure, for the tests: registers as read, to a date, to seconds since 1970. */
struct rtc_raw {
    uint8_t sec, min, hour, day, month, year, century, status_b;
    bool has_century;
};
struct rtc_time {
    unsigned int sec, min, hour, day, month, year; /* year in full */
};
/* BCD or binary, 12 or 24 hours, with or without century. False: no date at all. */
bool rtc_decode(const struct rtc_raw *r, struct rtc_time *t);
uint64_t rtc_to_unix(const struct rtc_time *t);

#endif
