/* SPDX-License-Identifier: MIT */
/* The clocks that the TSC is measured and checked against. */
#ifndef X86_TIME_REFCLOCK_H
#define X86_TIME_REFCLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* A free-running counter that goes up. */
struct ref_clock {
    const char *name;
    uint64_t hz;
    uint64_t mask; /* its width: all bits that count */
    uint64_t (*read)(void);
};

/* What ACPI says about the machine's clocks. */
struct time_hw {
    uint64_t hpet_base;    /* physical address, 0: none */
    uint16_t pmtimer_port; /* 0: none */
    bool pmtimer_32;       /* FADT flag TMR_VAL_EXT: 32 bits, else 24 */
    uint8_t rtc_century;   /* CMOS register of the century, 0: none */
};

/* Each returns its clock, running, or NULL with nothing changed. hpet_start maps its registers. */
const struct ref_clock *hpet_start(uint64_t base);
const struct ref_clock *pmtimer_start(uint16_t port, bool wide);
/* Channel 2 of the 8254; wraps after 55 ms, so for calibration only. */
const struct ref_clock *pit_start(void);

/* Ticks from `then` to `now`, over at most one wrap. */
static inline uint64_t ref_elapsed(const struct ref_clock *r, uint64_t then, uint64_t now)
{
    return (now - then) & r->mask;
}

#endif
