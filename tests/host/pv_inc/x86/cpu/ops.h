/* SPDX-License-Identifier: MIT */
/* Privileged instructions of the simulated CPUs of pv_machine.c: those that x86/pv's memory code
 * uses. */
#ifndef X86_CPU_OPS_H
#define X86_CPU_OPS_H

#include <stdbool.h>
#include <stdint.h>

uint64_t read_cr3(void);
void write_cr3(uint64_t v);
void invlpg(uint64_t va);
#define INVPCID_ADDRESS 0ul
#define INVPCID_TAG 1ul
#define INVPCID_ALL 3ul
void invpcid(uint64_t kind, uint64_t tag, uint64_t va);
unsigned long copy_user(void *dst, const void *src, unsigned long n);

static inline unsigned long copy_user16(void *dst, const void *src)
{
    return copy_user(dst, src, 16);
}

static inline void user_begin(void)
{
}

static inline void user_end(void)
{
}

#define user_store(at, val, fault)                          \
    do {                                                    \
        uint64_t word_ = (val);                             \
        if (copy_user((void *)(at), &word_, sizeof(word_))) \
            goto fault;                                     \
    } while (0)

#define user_load(to, at, fault)                              \
    do {                                                      \
        if (copy_user(&(to), (const void *)(at), sizeof(to))) \
            goto fault;                                       \
    } while (0)

static inline void wbinvd(void)
{
}

static inline void swapgs(void)
{
}

static inline void clts(void)
{
}

static inline void stts(void)
{
}

static inline void write_cr4(uint64_t v)
{
    (void)v;
}

static inline void wrmsr(uint32_t msr, uint64_t val)
{
    (void)msr, (void)val;
}

/* Only of programs that link code which asks. */
void cpuid(uint32_t leaf, uint32_t sub, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d);

#endif
