/* SPDX-License-Identifier: MIT */
/* Segment, descriptor-table and debug registers: one inline wrapper each, as in cpu/ops.h. */
#ifndef X86_CPU_SEGS_H
#define X86_CPU_SEGS_H

#include <stdbool.h>
#include <stdint.h>

#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"

/* entry.S: load a guest's selector; 1 if that faulted, then the null selector is loaded. */
unsigned int load_ds(uint16_t sel);
unsigned int load_es(uint16_t sel);
unsigned int load_fs(uint16_t sel);
unsigned int load_gs(uint16_t sel);

#define READ_SELECTOR(reg)                                \
    static inline uint16_t read_##reg(void)               \
    {                                                     \
        uint32_t v;                                       \
        __asm__ volatile("mov %%" #reg ", %0" : "=r"(v)); \
        return (uint16_t)v;                               \
    }
READ_SELECTOR(ds)
READ_SELECTOR(es)
READ_SELECTOR(fs)
READ_SELECTOR(gs)

/*
 * Bases. `fsgs`: this CPU's CR4.FSGSBASE is set. The hypervisor itself uses neither FS nor GS, so
 * the active GS base is the guest's, and the one behind it waits for swapgs.
 */
static inline uint64_t read_fs_base(bool fsgs)
{
    uint64_t v;
    if (!fsgs)
        return rdmsr(MSR_FS_BASE);
    __asm__ volatile("rdfsbase %0" : "=r"(v));
    return v;
}

static inline void write_fs_base(bool fsgs, uint64_t v)
{
    if (fsgs)
        __asm__ volatile("wrfsbase %0" ::"r"(v));
    else
        wrmsr(MSR_FS_BASE, v);
}

static inline uint64_t read_gs_base(bool fsgs)
{
    uint64_t v;
    if (!fsgs)
        return rdmsr(MSR_GS_BASE);
    __asm__ volatile("rdgsbase %0" : "=r"(v));
    return v;
}

static inline void write_gs_base(bool fsgs, uint64_t v)
{
    if (fsgs)
        __asm__ volatile("wrgsbase %0" ::"r"(v));
    else
        wrmsr(MSR_GS_BASE, v);
}

static inline uint64_t read_hidden_gs_base(bool fsgs)
{
    uint64_t v;
    if (!fsgs)
        return rdmsr(MSR_KERNEL_GS_BASE);
    __asm__ volatile("swapgs; rdgsbase %0; swapgs" : "=r"(v));
    return v;
}

static inline void write_hidden_gs_base(bool fsgs, uint64_t v)
{
    if (fsgs)
        __asm__ volatile("swapgs; wrgsbase %0; swapgs" ::"r"(v));
    else
        wrmsr(MSR_KERNEL_GS_BASE, v);
}

static inline void lldt(uint16_t sel)
{
    __asm__ volatile("lldt %w0" ::"r"((uint32_t)sel) : "memory");
}

static inline uint64_t xgetbv0(void)
{
    uint32_t lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo | (uint64_t)hi << 32;
}

static inline void xsetbv0(uint64_t v)
{
    __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

static inline uint64_t read_dr(unsigned int n)
{
    uint64_t v = 0;

    switch (n) {
    /* clang-format off */
    case 0: __asm__ volatile("mov %%dr0, %0" : "=r"(v)); break;
    case 1: __asm__ volatile("mov %%dr1, %0" : "=r"(v)); break;
    case 2: __asm__ volatile("mov %%dr2, %0" : "=r"(v)); break;
    case 3: __asm__ volatile("mov %%dr3, %0" : "=r"(v)); break;
    case 6: __asm__ volatile("mov %%dr6, %0" : "=r"(v)); break;
    case 7: __asm__ volatile("mov %%dr7, %0" : "=r"(v)); break;
        /* clang-format on */
    }
    return v;
}

static inline void write_dr(unsigned int n, uint64_t v)
{
    switch (n) {
    /* clang-format off */
    case 0: __asm__ volatile("mov %0, %%dr0" ::"r"(v)); break;
    case 1: __asm__ volatile("mov %0, %%dr1" ::"r"(v)); break;
    case 2: __asm__ volatile("mov %0, %%dr2" ::"r"(v)); break;
    case 3: __asm__ volatile("mov %0, %%dr3" ::"r"(v)); break;
    case 6: __asm__ volatile("mov %0, %%dr6" ::"r"(v)); break;
    case 7: __asm__ volatile("mov %0, %%dr7" ::"r"(v)); break;
        /* clang-format on */
    }
}

#endif
