/* SPDX-License-Identifier: MIT */
/*
 * Scaling one clock to another the way the ABI's time record does it (vcpu_time_info): shift, then
 * multiply by a 32-bit fraction. Hypervisor and guests use the same steps, so they get the same
 * number out of the same counter.
 */
#ifndef X86_TIME_SCALE_H
#define X86_TIME_SCALE_H

#include <stdint.h>

#define NS_PER_SEC 1000000000ull

/* out = (in << shift, or >> -shift) * mul >> 32 */
struct clock_scale {
    uint32_t mul; /* at least 2^31: no precision is given away */
    int8_t shift;
};

/* The scale that multiplies by num / den; both below 2^62 and not zero. */
static inline struct clock_scale clock_scale_ratio(uint64_t num, uint64_t den)
{
    struct clock_scale s = { 0, 0 };
    uint64_t mul;

    while (num >= den) {
        den <<= 1;
        s.shift++;
    }
    while (num < den - num) { /* num / den below one half, without overflow */
        num <<= 1;
        s.shift--;
    }
    while (den >> 32) { /* make room for num << 32 */
        num >>= 1;
        den >>= 1;
    }
    mul = ((num << 32) + den / 2) / den;
    s.mul = mul >> 32 ? 0xffffffffu : (uint32_t)mul; /* rounded up to one */
    return s;
}

static inline uint64_t clock_scale(uint64_t in, struct clock_scale s)
{
    in = s.shift < 0 ? in >> -s.shift : in << s.shift;
    return (uint64_t)((unsigned __int128)in * s.mul >> 32);
}

/* a * b / c where the result fits 64 bits; no 128-bit division, which freestanding code lacks. */
static inline uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t lo, hi, q, r;

    __asm__("mulq %3" : "=a"(lo), "=d"(hi) : "a"(a), "rm"(b) : "cc");
    if (hi >= c) /* would not fit, or c == 0 */
        return UINT64_MAX;
    __asm__("divq %4" : "=a"(q), "=d"(r) : "a"(lo), "d"(hi), "rm"(c) : "cc");
    return q;
}

#endif
