/* SPDX-License-Identifier: MIT */
/* IA-PC HPET specification 1.0a. Only the main counter is used; its timers stay off. */
#include "core/log.h"
#include "x86/mm/vmap.h"
#include "x86/time/refclock.h"

#define HPET_SIZE 0x400
#define REG_CAPS_PERIOD 0x004 /* femtoseconds a tick */
#define REG_CONFIG 0x010
#define REG_COUNTER 0x0f0
#define REG_TIMER_CONFIG(n) (0x100 + 0x20 * (n))

#define CONFIG_RUN 0x1
#define CONFIG_LEGACY 0x2 /* routes timers 0 and 1 to the lines of PIT and RTC */
#define TIMER_IRQ_ON 0x4
#define PERIOD_MAX 100000000 /* the specification's limit: 100 ns */
#define FS_PER_SEC 1000000000000000ull

static volatile uint32_t *regs;

static uint64_t hpet_read(void)
{
    return regs[REG_COUNTER / 4];
}

static struct ref_clock hpet = { "HPET", 0, 0xffffffff, hpet_read };

const struct ref_clock *hpet_start(uint64_t base)
{
    uint32_t period, timers;

    if (!base)
        return NULL;
    if (!regs)
        regs = vmap(MADDR(base), HPET_SIZE, VMAP_UC);
    if (!regs)
        return NULL;
    period = regs[REG_CAPS_PERIOD / 4];
    if (period == 0 || period > PERIOD_MAX) {
        log_warn("HPET: implausible period of %u fs, not used", period);
        return NULL;
    }
    timers = (regs[0] >> 8 & 0x1f) + 1;
    for (uint32_t n = 0; n < timers; n++)
        regs[REG_TIMER_CONFIG(n) / 4] &= ~(uint32_t)TIMER_IRQ_ON;
    regs[REG_CONFIG / 4] = (regs[REG_CONFIG / 4] & ~(uint32_t)CONFIG_LEGACY) | CONFIG_RUN;
    hpet.hz = (FS_PER_SEC + period / 2) / period;
    return &hpet;
}
