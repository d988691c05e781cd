/* SPDX-License-Identifier: MIT */
/* Segment and debug registers that hold nothing. */
#ifndef X86_CPU_SEGS_H
#define X86_CPU_SEGS_H

#include <stdbool.h>
#include <stdint.h>

#include "x86/cpu/ops.h"

#define MSR_TSC_AUX 0xc0000103u

#define SELECTOR(reg)                                   \
    static inline unsigned int load_##reg(uint16_t sel) \
    {                                                   \
        (void)sel;                                      \
        return 0;                                       \
    }                                                   \
    static inline uint16_t read_##reg(void)             \
    {                                                   \
        return 0;                                       \
    }
SELECTOR(ds)
SELECTOR(es)
SELECTOR(fs)
SELECTOR(gs)

#define BASE(name)                                         \
    static inline uint64_t read_##name(bool fsgs)          \
    {                                                      \
        (void)fsgs;                                        \
        return 0;                                          \
    }                                                      \
    static inline void write_##name(bool fsgs, uint64_t v) \
    {                                                      \
        (void)fsgs, (void)v;                               \
    }
BASE(fs_base)
BASE(gs_base)
BASE(hidden_gs_base)

static inline void lldt(uint16_t sel)
{
    (void)sel;
}

static inline void write_dr(unsigned int n, uint64_t v)
{
    (void)n, (void)v;
}

#endif
