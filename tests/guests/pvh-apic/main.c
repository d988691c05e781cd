/* SPDX-License-Identifier: MIT */
/*
 * A PVH guest's local APIC: its page of registers and its MSRs, priorities, messages to itself, the
 * timer in each of its modes, errors, and the way from one mode to the next.
 */
#include "pvh.h"

#define PAGE 0xfee00000ul
#define MSR_BASE 0x1bu
#define MSR_DEADLINE 0x6e0u
#define X2APIC(offset) (0x800u + ((offset) >> 4))

enum {
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    IRR = 0x200,
    ESR = 0x280,
    ICR = 0x300,
    ICR2 = 0x310,
    LVT_TIMER = 0x320,
    LVT_LINT0 = 0x350,
    LVT_ERROR = 0x370,
    TMICT = 0x380,
    TMCCT = 0x390,
    TDCR = 0x3e0,
    SELF = 0x3f0
};

static bool by_msr;       /* x2APIC mode */
static bool hold_end;     /* the handler leaves the interrupt in service */
static unsigned int seen; /* interrupts since the last look */
static uint8_t order[16];

static uint32_t rd(unsigned int r)
{
    return by_msr ? (uint32_t)rdmsr(X2APIC(r)) : *(volatile uint32_t *)(PAGE + r);
}

static void wr(unsigned int r, uint32_t val)
{
    if (by_msr)
        wrmsr(X2APIC(r), val);
    else
        *(volatile uint32_t *)(PAGE + r) = val;
}

static bool handler(struct regs *r)
{
    if (r->vector < 32)
        return false;
    if (seen < sizeof(order))
        order[seen] = (uint8_t)r->vector;
    seen++;
    irq_hits[r->vector]++;
    if (!hold_end)
        wr(EOI, 0);
    return true;
}

static void fresh(void)
{
    seen = 0;
    memset(order, 0, sizeof(order));
    memset((void *)irq_hits, 0, sizeof(irq_hits));
}

/* Lets interrupts in for a moment. */
static void window(void)
{
    __asm__ volatile("sti; nop; nop; cli" ::: "memory");
}

static void self_ipi(uint32_t vector)
{
    if (by_msr)
        wrmsr(X2APIC(SELF), vector);
    else
        wr(ICR, 0x40000 | vector);
}

static void priorities(void)
{
    fresh();
    self_ipi(0x51);
    self_ipi(0x52);
    self_ipi(0x81);
    self_ipi(0x52); /* is pending already */
    CHECK_EQ(rd(IRR + 0x20), 1u << 17 | 1u << 18, "IRR, vectors 64 to 95");
    window();
    CHECK(seen == 3 && order[0] == 0x81 && order[1] == 0x52 && order[2] == 0x51,
          "%u interrupts: %#x, %#x, %#x", seen, order[0], order[1], order[2]);
    fresh();
    wr(TPR, 0x60);
    self_ipi(0x6f);
    self_ipi(0x71);
    window();
    CHECK(seen == 1 && order[0] == 0x71, "TPR 0x60: %u interrupts, %#x", seen, order[0]);
    __asm__ volatile("mov %0, %%cr8" : : "r"(5ul)); /* the next window takes it */
    CHECK_EQ(rd(TPR), 0x50, "TPR by CR8");
    window();
    CHECK(seen == 2 && order[1] == 0x6f, "CR8 5: %u interrupts, %#x", seen, order[1]);
    __asm__ volatile("mov %0, %%cr8" : : "r"(0ul));
    /* One in service holds those of its class and below until its end. */
    fresh();
    hold_end = true;
    self_ipi(0x62);
    window();
    CHECK_EQ(rd(PPR), 0x60, "PPR");
    CHECK_EQ(rd(ISR + 0x30), 1u << 2, "ISR, vectors 96 to 127");
    self_ipi(0x6e);
    self_ipi(0x55);
    window();
    CHECK_EQ(seen, 1, "interrupts while 0x62 is in service");
    hold_end = false;
    wr(EOI, 0);
    window();
    CHECK(seen == 3 && order[1] == 0x6e && order[2] == 0x55, "behind its end: %u, %#x, %#x", seen,
          order[1], order[2]);
    CHECK_EQ(rd(PPR), 0, "PPR at the end");
}

static void errors(void)
{
    fresh();
    wr(LVT_ERROR, 0xfe);
    wr(ESR, 0);
    if (by_msr)
        wrmsr(X2APIC(ICR), 0x40000 | 7);
    else
        wr(ICR, 0x40000 | 7);
    window();
    CHECK_EQ(irq_hits[0xfe], 1, "error interrupts");
    wr(ESR, 0);
    CHECK(rd(ESR) & 0x60, "ESR %#x", rd(ESR));
    wr(LVT_ERROR, 0x10000);
}

/* While software has the APIC switched off, requests are kept. */
static void held_by_svr(void)
{
    fresh();
    self_ipi(0x63);
    wr(SVR, 0xff);
    window();
    CHECK_EQ(seen, 0, "interrupts while the APIC is off");
    wr(SVR, 0x1ff);
    window();
    CHECK(seen == 1 && order[0] == 0x63, "switched on again: %u interrupts, %#x", seen, order[0]);
}

/* Waits in HLT, as an idle kernel does. */
static void wait_for(unsigned int vector, unsigned int count)
{
    while (irq_hits[vector] < count)
        __asm__ volatile("sti; hlt; cli" ::: "memory");
}

static void timers(void)
{
    uint64_t tsc;
    uint32_t first, second;

    fresh();
    wr(TDCR, 0xb); /* by one */
    wr(LVT_TIMER, 0x10041);
    wr(TMICT, 100000000);
    first = rd(TMCCT);
    second = rd(TMCCT);
    CHECK(first <= 100000000 && second < first, "counter %u, then %u", first, second);
    wr(TMICT, 0);
    CHECK_EQ(rd(TMCCT), 0, "counter that was stopped");
    wr(LVT_TIMER, 0x41); /* once */
    wr(TMICT, 100000);
    wait_for(0x41, 1);
    CHECK_EQ(rd(TMCCT), 0, "counter at its end");
    wr(LVT_TIMER, 0x20042); /* again and again */
    wr(TMICT, 50000);
    wait_for(0x42, 5);
    wr(LVT_TIMER, 0x30042);
    fresh();
    window();
    first = irq_hits[0x42]; /* one may have been on its way */
    for (int i = 0; i < 100000; i++)
        cpu_relax();
    window();
    CHECK_EQ(irq_hits[0x42], first, "interrupts of a masked timer");
    wr(TMICT, 0);
    if (!(cpuid(1, 0).c & 1u << 24))
        return;
    wr(LVT_TIMER, 0x40043);
    __asm__ volatile("rdtsc; shl $32, %%rdx; or %%rdx, %%rax" : "=a"(tsc) : : "rdx");
    wrmsr(MSR_DEADLINE, tsc + (1ul << 40)); /* minutes */
    CHECK_EQ(rdmsr(MSR_DEADLINE), tsc + (1ul << 40), "deadline");
    wrmsr(MSR_DEADLINE, tsc + 1000000);
    wait_for(0x43, 1);
    CHECK_EQ(rdmsr(MSR_DEADLINE), 0, "deadline that has passed");
    wrmsr(MSR_DEADLINE, 1);
    window();
    CHECK_EQ(irq_hits[0x43], 2, "interrupts of a deadline in the past");
    wr(LVT_TIMER, 0x10043);
}

static void by_page(void)
{
    CHECK_EQ(rdmsr(MSR_BASE), PAGE | 0x900, "APIC_BASE");
    CHECK_EQ(rd(ID), 0, "id");
    CHECK_EQ(rd(VERSION) & 0xff, 0x14, "version");
    CHECK_EQ(rd(LVT_LINT0), 0x10000, "LINT0");
    wr(SVR, 0x1ff);
    CHECK_EQ(rd(SVR), 0x1ff, "SVR");
    wr(LDR, 0x01ffffff);
    CHECK_EQ(rd(LDR), 0x01000000, "LDR");
    fresh();
    wr(ICR2, 0x01000000); /* by logical id */
    wr(ICR, 0x844);
    window();
    CHECK_EQ(irq_hits[0x44], 1, "an interrupt by logical id");
    wr(ICR2, 0x05000000); /* nobody */
    wr(ICR, 0x44);
    window();
    CHECK_EQ(irq_hits[0x44], 1, "an interrupt for nobody");
    CHECK_EQ(try_rdmsr(X2APIC(ID), NULL), VEC_GP, "an x2APIC register in xAPIC mode");
}

static void to_x2apic(void)
{
    static const struct {
        uint32_t msr;
        uint64_t val;
    } bad[] = { { 0x802, 0 }, { 0x803, 0 },     { 0x80b, 1 }, { 0x80d, 0 },
                { 0x80e, 0 }, { 0x80f, 0x400 }, { 0x831, 0 }, { 0x832, 0x100 },
                { 0x839, 0 }, { 0x83f, 0x100 }, { 0x840, 0 }, { 0x8ff, 0 } };
    /* A processor that reads the others from memory has to fault on these. */
    static const uint32_t not_there[] = { 0x800, 0x801, 0x804, 0x807, 0x809, 0x80b, 0x80c,
                                          0x80e, 0x829, 0x82e, 0x831, 0x83a, 0x83f, 0x840 };
    uint64_t v;

    CHECK_EQ(try_wrmsr(MSR_BASE, PAGE | 0x400), VEC_GP, "x2APIC without xAPIC");
    CHECK_EQ(try_wrmsr(MSR_BASE, PAGE | 0x901), VEC_GP, "a reserved bit of APIC_BASE");
    CHECK_EQ(try_wrmsr(MSR_BASE, PAGE | 0xd00), NO_FAULT, "x2APIC");
    by_msr = true;
    CHECK_EQ(rd(LDR), 1, "logical id");
    CHECK_EQ(*(volatile uint32_t *)(PAGE + VERSION), ~0u, "the page in x2APIC mode");
    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_EQ(try_wrmsr(bad[i].msr, bad[i].val), VEC_GP, "MSR %#x written", bad[i].msr);
    for (unsigned int i = 0; i < ARRAY_SIZE(not_there); i++)
        CHECK_EQ(try_rdmsr(not_there[i], &v), VEC_GP, "MSR %#x read", not_there[i]);
    wrmsr(X2APIC(ICR), 5ul << 32 | 0x44); /* nobody */
    CHECK_EQ(rdmsr(X2APIC(ICR)), 5ul << 32 | 0x44, "ICR");
    wr(LVT_ERROR, 0x100fe);
    CHECK_EQ(rdmsr(X2APIC(LVT_ERROR)), 0x100fe, "LVT error");
    wr(LVT_ERROR, 0x10000);
    CHECK_EQ(try_wrmsr(MSR_BASE, PAGE | 0x900), VEC_GP, "straight back to xAPIC mode");
}

void guest_main(void)
{
    trap_hook = handler;
    by_page();
    priorities();
    errors();
    held_by_svr();
    timers();
    if (!(cpuid(1, 0).c & 1u << 21)) {
        printk("no x2APIC\n");
        return;
    }
    to_x2apic();
    priorities();
    errors();
    held_by_svr();
    timers();
    /* Off and on again: as after RESET. */
    wrmsr(MSR_BASE, PAGE | 0x100);
    wrmsr(MSR_BASE, PAGE | 0x900);
    by_msr = false;
    CHECK_EQ(rd(SVR), 0xff, "SVR of a new start");
}
