/* SPDX-License-Identifier: MIT */
/*
 * One kind of exit at a time, many times over, between the marks that bench/count.c knows:
 * bench/pvh shows what each costs the hypervisor. As a test: each exit comes back with what it
 * should, and the guest goes on.
 */
#include "pvh.h"

#define TIMES 500
#define MSR_APIC_BASE 0x1bu
#define LAPIC ((volatile uint32_t *)0xfee00000ul)
#define LAPIC_VERSION 12 /* index of a word */
#define NO_PORT 0x1234

/* nopl 0x4f52EERR(%rax,%rax,1): EE is 1 at a row's beginning and 2 at its end, RR the row. */
#define MARK(event, row)                                         \
    __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00\n\t.long %c0" \
                     :                                           \
                     : "i"(0x4f520000 | (event) << 8 | (row))    \
                     : "memory")

#define ROW(row, statement)                 \
    do {                                    \
        statement; /* once: caches, TLBs */ \
        MARK(1, row);                       \
        for (int i = 0; i < TIMES; i++) {   \
            statement;                      \
        }                                   \
        MARK(2, row);                       \
    } while (0)

static uint32_t in(uint16_t port)
{
    uint32_t v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "d"(port));
    return v;
}

static uint64_t tsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}

static void reload_cr3(void)
{
    uint64_t v;

    __asm__ volatile("mov %%cr3, %0\n\tmov %0, %%cr3" : "=r"(v) : : "memory");
}

static void invlpg(void)
{
    __asm__ volatile("invlpg (%0)" : : "r"(0x200000ul) : "memory");
}

void guest_main(void)
{
    uint64_t base = rdmsr(MSR_APIC_BASE), val = 0;
    uint32_t version = LAPIC[LAPIC_VERSION], port = 0;
    uint64_t before, after;
    struct cpuid r = { 0 };
    long rc = 0;

    ROW(0, r = cpuid(0x40000000, 0));
    CHECK_EQ(r.b, 0x566e6558, "CPUID");
    ROW(1, port = in(NO_PORT));
    CHECK_EQ(port, ~0u, "a port that nobody claims");
    ROW(2, val = rdmsr(MSR_APIC_BASE));
    CHECK_EQ(val, base, "APIC_BASE");
    ROW(3, val = LAPIC[LAPIC_VERSION]);
    CHECK_EQ(val, version, "the APIC's version");
    ROW(4, rc = HC2(63, 0, 0));
    CHECK_EQ(rc, -38, "a hypercall that is not there");
    ROW(5, rc = HC2(__HYPERVISOR_xen_version, XENVER_version, 0));
    CHECK(rc >> 16 == 4, "xen_version");
    before = tsc();
    ROW(6, after = tsc());
    CHECK(after > before, "the TSC goes on");
    ROW(7, reload_cr3());
    ROW(8, invlpg());
}
