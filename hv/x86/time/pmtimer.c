/* SPDX-License-Identifier: MIT */
/* The ACPI power-management timer (ACPI specification, section 4.8.3.3). */
#include "x86/cpu/ops.h"
#include "x86/time/refclock.h"

#include <stddef.h>

#define PMTIMER_HZ 3579545

static uint16_t pmtimer_port;

/* Some chipsets show a counter in the middle of its carry: take a value seen twice in order. */
static uint64_t pmtimer_read(void)
{
    uint32_t a, b, c;

    do {
        a = inl(pmtimer_port);
        b = inl(pmtimer_port);
        c = inl(pmtimer_port);
    } while ((a > b && a < c) || (b > c && b < a) || (c > a && c < b));
    return b;
}

static struct ref_clock pmtimer = { "ACPI PM timer", PMTIMER_HZ, 0xffffff, pmtimer_read };

const struct ref_clock *pmtimer_start(uint16_t port, bool wide)
{
    if (!port)
        return NULL;
    pmtimer_port = port;
    pmtimer.mask = wide ? 0xffffffff : 0xffffff;
    return &pmtimer;
}
