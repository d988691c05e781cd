/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions, one inline wrapper each. x86/pv and x86/insn reach the processor only
 * through these; tests/host replaces this header's folder by its own.
 */
#ifndef X86_CPU_OPS_H
#define X86_CPU_OPS_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return ((uint64_t)hi << 32) | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t val)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)val), "d"((uint32_t)(val >> 32)) : "memory");
}

/* As rdmsr/wrmsr, but a #GP makes them return false. */
bool rdmsr_safe(uint32_t msr, uint64_t *val);
bool wrmsr_safe(uint32_t msr, uint64_t val);

static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t *a, uint32_t *b, uint32_t *c,
                         uint32_t *d)
{
    __asm__ volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d) : "a"(leaf), "c"(sub));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline uint16_t inw(uint16_t port)
{
    uint16_t v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline uint32_t inl(uint16_t port)
{
    uint32_t v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t v)
{
    __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return ((uint64_t)hi << 32) | lo;
}

static inline uint64_t read_cr0(void)
{
    uint64_t v;
    __asm__ volatile("mov %%cr0, %0" : "=r"(v));
    return v;
}

static inline void write_cr0(uint64_t v)
{
    __asm__ volatile("mov %0, %%cr0" ::"r"(v) : "memory");
}

static inline uint64_t read_cr2(void)
{
    uint64_t v;
    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}

static inline uint64_t read_cr3(void)
{
    uint64_t v;
    __asm__ volatile("mov %%cr3, %0" : "=r"(v));
    return v;
}

static inline void write_cr3(uint64_t v)
{
    __asm__ volatile("mov %0, %%cr3" ::"r"(v) : "memory");
}

static inline uint64_t read_cr4(void)
{
    uint64_t v;
    __asm__ volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}

static inline void write_cr4(uint64_t v)
{
    __asm__ volatile("mov %0, %%cr4" ::"r"(v) : "memory");
}

static inline void invlpg(uint64_t va)
{
    __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory");
}

/* Kinds of INVPCID; none of them drops global translations. */
#define INVPCID_ADDRESS 0ul /* of a canonical address, under one tag */
#define INVPCID_TAG 1ul     /* all under one tag */
#define INVPCID_ALL 3ul     /* all under all tags */

static inline void invpcid(uint64_t kind, uint64_t tag, uint64_t va)
{
    const struct {
        uint64_t tag, va;
    } what = { tag, va };

    __asm__ volatile("invpcid %0, %1" ::"m"(what), "r"(kind) : "memory");
}

static inline void wbinvd(void)
{
    __asm__ volatile("wbinvd" ::: "memory");
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause" ::: "memory");
}

static inline void cli(void)
{
    __asm__ volatile("cli" ::: "memory");
}

/* Interrupts on for exactly one wait: sti's shadow covers hlt. */
/* Interrupts that wait are taken here. */
static inline void sti_cli(void)
{
    __asm__ volatile("sti; nop; cli" ::: "memory");
}

static inline void sti_hlt_cli(void)
{
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

/* The guest's other GS base; see the mode switches in pv/entry.S. */
static inline void swapgs(void)
{
    __asm__ volatile("swapgs" ::: "memory");
}

/* Copy n bytes where one side is guest memory; the caller checked the range. 0, or 1: a fault. */
unsigned long copy_user(void *dst, const void *src, unsigned long n);
/* The same of 16 bytes from the guest. */
unsigned long copy_user16(void *dst, const void *src);

/* Access to guest memory by user_store() and user_load(), on and off; nothing else is done in
 * between. */
static inline void user_begin(void)
{
    __asm__ volatile("1: .byte 0x0f, 0x1f, 0x00\n\t"
                     ".pushsection .alt_table, \"a\"\n\t.long 1b - ., 1\n\t.popsection" ::
                         : "memory");
}

static inline void user_end(void)
{
    __asm__ volatile("1: .byte 0x0f, 0x1f, 0x00\n\t"
                     ".pushsection .alt_table, \"a\"\n\t.long 1b - ., 2\n\t.popsection" ::
                         : "memory");
}

/* Store 8 bytes at a guest's address, whose range the caller checked; a fault goes to the label. */
#define user_store(at, val, fault)                                                     \
    __asm__ goto("1: movq %0, %1\n\t.pushsection .ex_table, \"a\"\n\t.long 1b - .\n\t" \
                 ".long %l[" #fault "] - .\n\t.popsection" ::"r"((uint64_t)(val)),     \
                 "m"(*(uint64_t *)(at))                                                \
                 : "memory"                                                            \
                 : fault)

/* The same way 8 and 2 bytes are loaded into `to`. */
#define user_load(to, at, fault)                                                       \
    __asm__ goto("1: movq %1, %0\n\t.pushsection .ex_table, \"a\"\n\t.long 1b - .\n\t" \
                 ".long %l[" #fault "] - .\n\t.popsection"                             \
                 : "=r"(to)                                                            \
                 : "m"(*(const uint64_t *)(at))                                        \
                 :                                                                     \
                 : fault)
#define user_load2(to, at, fault)                                                        \
    __asm__ goto("1: movzwl %1, %0\n\t.pushsection .ex_table, \"a\"\n\t.long 1b - .\n\t" \
                 ".long %l[" #fault "] - .\n\t.popsection"                               \
                 : "=r"(to)                                                              \
                 : "m"(*(const uint16_t *)(at))                                          \
                 :                                                                       \
                 : fault)

static inline void clts(void)
{
    __asm__ volatile("clts");
}

static inline void stts(void)
{
    write_cr0(read_cr0() | 8);
}

#endif
