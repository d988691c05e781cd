/* SPDX-License-Identifier: MIT */
/* Arithmetic of timers: ns and ticks. */
#ifndef X86_HVM_VTIME_H
#define X86_HVM_VTIME_H

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_SECOND 1000000000u
/* A guest's periodic timer comes no oftener than this: each costs the hypervisor a few us. */
#define VTIMER_MIN_NS 20000ull
#define VTIMER_NONE (~0ull)

/* a * b / c, rounded down, without overflow on the way; the result fits if a * b / c does. */
static inline uint64_t muldiv(uint64_t a, uint32_t b, uint32_t c)
{
    uint64_t low = (a & 0xffffffff) * b, high = (a >> 32) * b + (low >> 32);

    return ((high / c) << 32) + ((high % c << 32) + (low & 0xffffffff)) / c;
}

/* What all emulated timers ask for. */
struct vtimer_ops {
    uint64_t (*now)(void *ctx); /* ns */
    /* Call the device's ..._timer() at `deadline`, or VTIMER_NONE: never. `which`: of several. */
    void (*set_timer)(void *ctx, unsigned int which, uint64_t deadline);
    void (*isa)(void *ctx, unsigned int irq, bool up); /* an ISA line */
    void (*gsi)(void *ctx, unsigned int gsi, bool up); /* a pin of the I/O APIC */
    uint64_t (*wall_ns)(void *ctx); /* since 1970, the guest's time offset included */
};

#endif
