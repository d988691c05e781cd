/* SPDX-License-Identifier: MIT */
/* x86/hvm/vlapic*.c as programs see it. */
#include "unit.h"

#include <xen/errno.h>

#include "x86/hvm/vlapic_private.h"

#define CPUS 4

static struct vlapic apic[CPUS], *table[CPUS];
static uint32_t pages[CPUS][256];
static struct vlapic_bus bus;
static uint64_t now;
static struct {
    uint64_t deadline;
    unsigned int kicks, nmis, inits, sipis, eois, modes;
    uint8_t sipi_vector, eoi_vector;
} seen[CPUS];

static unsigned int index_of(const struct vlapic *v)
{
    return (unsigned int)(v - apic);
}

static uint64_t op_now(const struct vlapic *v)
{
    (void)v;
    return now;
}

static void op_set_timer(struct vlapic *v, uint64_t deadline)
{
    seen[index_of(v)].deadline = deadline;
}

/* The guest's TSC runs at 2 GHz and began 1,000 ns ago. */
static uint64_t op_tsc_deadline(struct vlapic *v, uint64_t tsc)
{
    (void)v;
    return tsc / 2 + 1000 > now ? tsc / 2 + 1000 : 0;
}

static void op_kick(struct vlapic *v)
{
    seen[index_of(v)].kicks++;
}

static void op_nmi(struct vlapic *v)
{
    seen[index_of(v)].nmis++;
}

static void op_init(struct vlapic *v)
{
    seen[index_of(v)].inits++;
}

static void op_sipi(struct vlapic *v, uint8_t vector)
{
    seen[index_of(v)].sipis++;
    seen[index_of(v)].sipi_vector = vector;
}

static void op_eoi(struct vlapic *v, uint8_t vector)
{
    seen[index_of(v)].eois++;
    seen[index_of(v)].eoi_vector = vector;
}

static void op_mode(struct vlapic *v)
{
    seen[index_of(v)].modes++;
}

static const struct vlapic_ops ops = { op_now,  op_set_timer, op_tsc_deadline, op_kick, op_nmi,
                                       op_init, op_sipi,      op_eoi,          op_mode };

/* Four APICs, enabled as a kernel does. */
static void fresh(void)
{
    now = 5000;
    bus = (struct vlapic_bus){ .ops = &ops,
                               .lapic = table,
                               .nr = CPUS,
                               .phys_bits = 40,
                               .has_x2apic = true,
                               .has_deadline = true };
    for (unsigned int i = 0; i < CPUS; i++) {
        table[i] = &apic[i];
        vlapic_init(&apic[i], pages[i], &bus, NULL, 2 * i);
        vlapic_mmio_write(&apic[i], APIC_SVR, 4, 0x1ff);
    }
    memset(seen, 0, sizeof(seen));
}

static void to_x2apic(struct vlapic *v)
{
    CHECK(vlapic_wrmsr(v, 0x1b, v->apic_base | APIC_BASE_X2APIC));
}

static uint32_t rd(struct vlapic *v, unsigned int offset)
{
    return (uint32_t)vlapic_mmio_read(v, offset, 4);
}

static void wr(struct vlapic *v, unsigned int offset, uint32_t val)
{
    vlapic_mmio_write(v, offset, 4, val);
}

TEST(after_power_on)
{
    struct vlapic *v = &apic[1];

    fresh();
    vlapic_init(v, pages[1], &bus, NULL, 2);
    CHECK_EQ(rd(v, APIC_ID), 2u << 24);
    CHECK_EQ(rd(v, APIC_VERSION), 0x50014);
    CHECK_EQ(rd(v, APIC_SVR), 0xff);
    CHECK_EQ(rd(v, APIC_DFR), ~0u);
    for (unsigned int r = APIC_LVT_TIMER; r <= APIC_LVT_ERROR; r += 16)
        CHECK_EQ(rd(v, r), 0x10000);
    CHECK_EQ(v->apic_base, 0xfee00800);
    CHECK_EQ(apic[0].apic_base, 0xfee00900);
    CHECK(vlapic_hit(v, 0xfee00fff) && !vlapic_hit(v, 0xfee01000) && !vlapic_hit(v, 0x1fee00000));
    wr(v, APIC_LVT_LINT0, 0x700); /* entries stay masked while the APIC is off by software */
    CHECK_EQ(rd(v, APIC_LVT_LINT0), 0x10700);
    vlapic_post(v, 0x40, false);
    CHECK_EQ(vlapic_highest_request(v), -1);
}

TEST(priorities)
{
    struct vlapic *v = &apic[0];

    fresh();
    CHECK_EQ(vlapic_pending(v), -1);
    vlapic_post(v, 0x41, false);
    vlapic_post(v, 0x41, false);
    vlapic_post(v, 0x52, false);
    CHECK_EQ(seen[0].kicks, 2);
    CHECK_EQ(vlapic_pending(v), 0x52);
    wr(v, APIC_TPR, 0x50); /* class 5 is held */
    CHECK_EQ(vlapic_pending(v), -1);
    CHECK_EQ(vlapic_highest_request(v), 0x52);
    CHECK_EQ(vlapic_cr8(v), 5);
    vlapic_set_cr8(v, 4);
    CHECK_EQ(rd(v, APIC_TPR), 0x40);
    CHECK_EQ(vlapic_pending(v), 0x52);
    vlapic_accept(v, 0x52);
    CHECK_EQ(rd(v, APIC_PPR), 0x50);
    CHECK_EQ(rd(v, APIC_ISR + 0x20), 1u << 18);
    CHECK_EQ(rd(v, APIC_IRR + 0x20), 1u << 1);
    CHECK_EQ(vlapic_pending(v), -1);
    vlapic_post(v, 0x5f, false); /* of the same class: waits */
    CHECK_EQ(vlapic_pending(v), -1);
    vlapic_post(v, 0x60, false);
    CHECK_EQ(vlapic_pending(v), 0x60);
    vlapic_accept(v, 0x60);
    wr(v, APIC_EOI, 0); /* ends the highest */
    CHECK_EQ(rd(v, APIC_PPR), 0x50);
    seen[0].kicks = 0;
    wr(v, APIC_EOI, 0); /* what it held comes in: the vCPU has to look */
    CHECK_EQ(seen[0].kicks, 1);
    CHECK_EQ(vlapic_pending(v), 0x5f);
    vlapic_accept(v, 0x5f);
    wr(v, APIC_EOI, 0);
    wr(v, APIC_EOI, 0); /* nothing is in service */
    CHECK_EQ(rd(v, APIC_PPR), 0x40);
    seen[0].kicks = 0;
    wr(v, APIC_TPR, 0x4f);
    CHECK_EQ(seen[0].kicks, 0);
    vlapic_set_cr8(v, 0);
    CHECK_EQ(seen[0].kicks, 1);
    CHECK_EQ(vlapic_pending(v), 0x41);
    wr(v, APIC_SVR, 0xff);
    CHECK_EQ(vlapic_pending(v), -1); /* switched off: requests stay */
    wr(v, APIC_SVR, 0x1ff);
    CHECK_EQ(seen[0].kicks, 2);
    CHECK_EQ(vlapic_pending(v), 0x41);
    wr(v, APIC_TPR, 0x10);
    CHECK_EQ(seen[0].kicks, 3);
}

TEST(an_upcall_waits_unseen_until_the_apic_is_on)
{
    struct vlapic *v = &apic[0];

    fresh();
    vlapic_post(v, 0x41, false); /* came while it was on */
    wr(v, APIC_SVR, 0xff);
    vlapic_post_upcall(v, 0xf3);
    CHECK_EQ(rd(v, APIC_IRR + 0x20), 1u << 1);
    CHECK_EQ(rd(v, APIC_IRR + 0x70), 0);
    CHECK_EQ(vlapic_pending(v), -1);
    wr(v, APIC_SVR, 0x1ff);
    CHECK_EQ(rd(v, APIC_IRR + 0x70), 1u << 19);
    CHECK_EQ(vlapic_pending(v), 0xf3);
}

TEST(level_interrupts_tell_their_end)
{
    struct vlapic *v = &apic[0];

    fresh();
    vlapic_post(v, 0x71, true);
    CHECK_EQ(rd(v, APIC_TMR + 0x30), 1u << 17);
    vlapic_accept(v, 0x71);
    wr(v, APIC_EOI, 0);
    CHECK(seen[0].eois == 1 && seen[0].eoi_vector == 0x71);
    vlapic_post(v, 0x71, false);
    CHECK_EQ(rd(v, APIC_TMR + 0x30), 0);
    vlapic_accept(v, 0x71);
    wr(v, APIC_EOI, 0);
    CHECK_EQ(seen[0].eois, 1);
}

TEST(one_shot_timer)
{
    struct vlapic *v = &apic[2];

    fresh();
    wr(v, APIC_TDCR, 3); /* by 16: 160 ns each */
    wr(v, APIC_LVT_TIMER, 0x30);
    wr(v, APIC_TMICT, 100);
    CHECK_EQ(seen[2].deadline, 5000 + 16000);
    now += 1600;
    CHECK_EQ(rd(v, APIC_TMCCT), 90);
    now += 1;
    CHECK_EQ(rd(v, APIC_TMCCT), 90);
    wr(v, APIC_TDCR, 0xb); /* by 1, from here on */
    CHECK_EQ(seen[2].deadline, now + 900);
    now += 899;
    vlapic_timer_fired(v); /* early: it is set again */
    CHECK_EQ(vlapic_pending(v), -1);
    CHECK_EQ(seen[2].deadline, now + 1);
    now += 10;
    vlapic_timer_fired(v);
    CHECK_EQ(vlapic_pending(v), 0x30);
    CHECK_EQ(seen[2].deadline, VLAPIC_NONE);
    CHECK_EQ(rd(v, APIC_TMCCT), 0);
    wr(v, APIC_TMICT, 50);
    wr(v, APIC_TMICT, 0); /* stops it */
    CHECK_EQ(seen[2].deadline, VLAPIC_NONE);
}

TEST(periodic_timer_neither_drifts_nor_storms)
{
    struct vlapic *v = &apic[0];

    fresh();
    wr(v, APIC_TDCR, 0); /* by 2: 20 ns each */
    wr(v, APIC_LVT_TIMER, 0x20031);
    wr(v, APIC_TMICT, 5000); /* 100,000 ns */
    CHECK_EQ(seen[0].deadline, 105000);
    now = 105700;
    vlapic_timer_fired(v);
    CHECK_EQ(seen[0].deadline, 205000);
    now = 105000 + 50 * 100000 + 300; /* the domain was paused */
    CHECK_EQ(rd(v, APIC_TMCCT), 5000 - 15);
    vlapic_timer_fired(v);
    CHECK_EQ(seen[0].deadline, 105000 + 51 * 100000);
    CHECK_EQ(seen[0].kicks, 1);     /* 51 times it was due; the first one is still not taken */
    wr(v, APIC_LVT_TIMER, 0x30031); /* masked: nobody waits for it */
    CHECK_EQ(seen[0].deadline, VLAPIC_NONE);
    now += 1000000;
    CHECK_EQ(rd(v, APIC_TMCCT), 5000 - 15);
    vlapic_accept(v, 0x31);
    wr(v, APIC_LVT_TIMER, 0x20031);
    CHECK_EQ(seen[0].deadline, 105000 + 61 * 100000);
    CHECK_EQ(vlapic_pending(v), -1);
    wr(v, APIC_TMICT, 1); /* 20 ns: a limit holds */
    CHECK(seen[0].deadline >= now + 10000);
    wr(v, APIC_SVR, 0xff); /* off: masks it */
    CHECK_EQ(seen[0].deadline, VLAPIC_NONE);
}

TEST(deadline_timer)
{
    struct vlapic *v = &apic[1];
    uint64_t val;

    fresh();
    CHECK(vlapic_wrmsr(v, 0x6e0, 1 << 20)); /* not in that mode: ignored */
    CHECK(vlapic_rdmsr(v, 0x6e0, &val) && val == 0);
    wr(v, APIC_LVT_TIMER, 0x40032);
    wr(v, APIC_TMICT, 77);
    CHECK_EQ(rd(v, APIC_TMICT), 0);
    CHECK(vlapic_wrmsr(v, 0x6e0, 20000));
    CHECK_EQ(seen[1].deadline, 11000);
    CHECK(vlapic_rdmsr(v, 0x6e0, &val) && val == 20000);
    now = 11000;
    vlapic_timer_fired(v);
    CHECK_EQ(vlapic_pending(v), 0x32);
    CHECK(vlapic_rdmsr(v, 0x6e0, &val) && val == 0);
    vlapic_accept(v, 0x32);
    wr(v, APIC_EOI, 0);
    CHECK(vlapic_wrmsr(v, 0x6e0, 5)); /* long ago */
    CHECK_EQ(vlapic_pending(v), 0x32);
    vlapic_accept(v, 0x32);
    wr(v, APIC_EOI, 0);
    CHECK(vlapic_wrmsr(v, 0x6e0, 1 << 20));
    CHECK(vlapic_wrmsr(v, 0x6e0, 0)); /* disarms */
    CHECK_EQ(seen[1].deadline, VLAPIC_NONE);
    vlapic_timer_fired(v);
    CHECK_EQ(vlapic_pending(v), -1);
    CHECK(vlapic_wrmsr(v, 0x6e0, 1 << 20));
    wr(v, APIC_LVT_TIMER, 0x32); /* another mode disarms too */
    CHECK_EQ(seen[1].deadline, VLAPIC_NONE);
    bus.has_deadline = false;
    CHECK(!vlapic_wrmsr(v, 0x6e0, 0) && !vlapic_rdmsr(v, 0x6e0, &val));
    wr(v, APIC_LVT_TIMER, 0x40032);
    CHECK_EQ(rd(v, APIC_LVT_TIMER), 0x32);
}

static unsigned int who(void)
{
    unsigned int mask = 0;

    for (unsigned int i = 0; i < CPUS; i++) {
        int vector = vlapic_pending(&apic[i]);

        if (vector < 0)
            continue;
        mask |= 1u << i;
        vlapic_accept(&apic[i], (uint8_t)vector);
        wr(&apic[i], APIC_EOI, 0);
        if (vlapic_x2apic(&apic[i]))
            CHECK(vlapic_wrmsr(&apic[i], 0x80b, 0));
    }
    return mask;
}

static unsigned int ipi(unsigned int from, uint32_t dest, uint32_t icr)
{
    wr(&apic[from], APIC_ICR2, dest << 24);
    wr(&apic[from], APIC_ICR, icr);
    return who();
}

TEST(messages_reach_whom_they_name)
{
    fresh();
    CHECK_EQ(ipi(0, 4, 0x40), 1u << 2);
    CHECK_EQ(ipi(0, 3, 0x40), 0);
    CHECK_EQ(ipi(0, 0xff, 0x40), 15);
    CHECK_EQ(ipi(1, 0, 0x40040), 2); /* self */
    CHECK_EQ(ipi(1, 0, 0x80040), 15);
    CHECK_EQ(ipi(1, 0, 0xc0040), 13);
    for (unsigned int i = 0; i < CPUS; i++) /* flat model */
        wr(&apic[i], APIC_LDR, 1u << (24 + i));
    CHECK_EQ(ipi(0, 0x0a, 0x841), 10);
    for (unsigned int i = 0; i < CPUS; i++) { /* two clusters of two */
        wr(&apic[i], APIC_DFR, 0);
        wr(&apic[i], APIC_LDR, (i / 2) << 28 | 1u << (24 + i % 2));
    }
    CHECK_EQ(ipi(0, 0x13, 0x841), 12);
    CHECK_EQ(ipi(0, 0x01, 0x841), 1);
    CHECK_EQ(ipi(0, 0xf2, 0x841), 10);
    /* Lowest priority: one gets it, each in turn; a busy one does not. */
    wr(&apic[1], APIC_TPR, 0x30);
    unsigned int got[4] = { 0 };
    for (int i = 0; i < 9; i++) {
        unsigned int one = ipi(0, 0xff, 0x941);

        CHECK(one && !(one & (one - 1)));
        got[__builtin_ctz(one)]++;
    }
    CHECK(got[0] == 3 && got[1] == 0 && got[2] == 3 && got[3] == 3);
    CHECK_EQ(seen[0].nmis + seen[1].nmis, 0);
    ipi(0, 2, 0x400);
    CHECK(seen[1].nmis == 1 && seen[0].nmis == 0);
    ipi(0, 0, 0xc4500); /* INIT to all others */
    CHECK(seen[0].inits == 0 && seen[1].inits == 1 && seen[3].inits == 1);
    ipi(0, 0, 0x88500); /* its end is not a second one */
    CHECK_EQ(seen[1].inits, 1);
    ipi(0, 6, 0x69f);
    CHECK(seen[3].sipis == 1 && seen[3].sipi_vector == 0x9f);
    CHECK_EQ(ipi(0, 2, 0x0f), 0); /* no such vector */
    wr(&apic[0], APIC_ESR, 0);
    CHECK_EQ(rd(&apic[0], APIC_ESR), ESR_SEND_VECTOR);
    wr(&apic[0], APIC_ESR, 0);
    CHECK_EQ(rd(&apic[0], APIC_ESR), 0);
}

TEST(msi)
{
    fresh();
    CHECK(vlapic_send_msi(&bus, 0xfee04000, 0x55));
    CHECK_EQ(vlapic_highest_request(&apic[2]), 0x55);
    CHECK_EQ(who(), 4);
    CHECK(!vlapic_send_msi(&bus, 0xfee03000, 0x55));
    CHECK(!vlapic_send_msi(&bus, 0xfed00000, 0x55));
    CHECK(vlapic_send_msi(&bus, 0xfee02000, 0xc056)); /* level */
    vlapic_accept(&apic[1], 0x56);
    wr(&apic[1], APIC_EOI, 0);
    CHECK_EQ(seen[1].eois, 1);
}

TEST(x2apic)
{
    struct vlapic *v = &apic[3];
    uint64_t val;

    fresh();
    CHECK(!vlapic_rdmsr(v, 0x802, &val));
    CHECK(!vlapic_wrmsr(v, 0x1b, 0xfee00400)); /* on only by way of xAPIC */
    for (unsigned int i = 0; i < CPUS; i++)
        to_x2apic(&apic[i]);
    CHECK(!vlapic_hit(v, 0xfee00000));
    CHECK(vlapic_rdmsr(v, 0x802, &val) && val == 6);
    CHECK(vlapic_rdmsr(v, 0x80d, &val) && val == 1u << 6);
    CHECK(vlapic_wrmsr(&apic[0], 0x830, 6ull << 32 | 0x42));
    CHECK(vlapic_rdmsr(&apic[0], 0x830, &val) && val == (6ull << 32 | 0x42));
    CHECK_EQ(who(), 8);
    CHECK(vlapic_wrmsr(&apic[0], 0x830, 0x44ull << 32 | 0x842)); /* cluster 0, bits 2 and 6 */
    CHECK_EQ(who(), 10);
    CHECK(vlapic_wrmsr(&apic[0], 0x830, 0xffffffffull << 32 | 0x42));
    CHECK_EQ(who(), 15);
    CHECK(vlapic_wrmsr(&apic[0], 0x830, 0xffull << 32 | 0x42)); /* no broadcast here */
    CHECK_EQ(who(), 0);
    CHECK(vlapic_wrmsr(v, 0x83f, 0x43));
    CHECK_EQ(who(), 8);
    /* What is reserved, read-only or not there. */
    static const struct {
        uint32_t msr;
        uint64_t val;
    } bad[] = {
        { 0x802, 6 },      { 0x803, 0 },     { 0x808, 0x100 },      { 0x80a, 0 },     { 0x80b, 1 },
        { 0x80d, 0 },      { 0x80e, 0 },     { 0x80f, 0x400 },      { 0x810, 0 },     { 0x828, 1 },
        { 0x830, 0x1042 }, { 0x831, 0 },     { 0x832, 1ull << 32 }, { 0x832, 0x100 }, { 0x839, 0 },
        { 0x83e, 4 },      { 0x83f, 0x100 }, { 0x838, 1ull << 32 }, { 0x840, 0 },     { 0x8ff, 0 },
        { 0x82f, 0 },
    };
    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(!vlapic_wrmsr(v, bad[i].msr, bad[i].val));
    CHECK(!vlapic_rdmsr(v, 0x80b, &val) && !vlapic_rdmsr(v, 0x831, &val));
    CHECK(!vlapic_rdmsr(v, 0x83f, &val) && !vlapic_rdmsr(v, 0x80e, &val));
    CHECK(!vlapic_wrmsr(v, 0x1b, 0xfee00800)); /* back only by way of off */
    CHECK(vlapic_wrmsr(v, 0x1b, 0xfee00000));
    CHECK(vlapic_wrmsr(v, 0x1b, 0xfee00800));
    CHECK_EQ(rd(v, APIC_ID), 6u << 24);
    CHECK_EQ(rd(v, APIC_SVR), 0xff); /* as after power-on */
    CHECK(!vlapic_wrmsr(v, 0x1b, 1ull << 40 | 0xfee00800));
    CHECK(!vlapic_wrmsr(v, 0x1b, 0xfee00801));
    bus.has_x2apic = false;
    CHECK(!vlapic_wrmsr(v, 0x1b, 0xfee00c00));
}

TEST(odd_accesses)
{
    struct vlapic *v = &apic[0];

    fresh();
    CHECK_EQ(vlapic_mmio_read(v, APIC_VERSION + 2, 1), 5);
    CHECK_EQ(vlapic_mmio_read(v, APIC_VERSION + 4, 4), 0);
    CHECK_EQ(vlapic_mmio_read(v, APIC_VERSION + 3, 2), 0);
    vlapic_mmio_write(v, APIC_TPR, 1, 0x20);
    vlapic_mmio_write(v, APIC_TPR + 4, 4, 0x20);
    CHECK_EQ(rd(v, APIC_TPR), 0);
    CHECK_EQ(rd(v, 0x3c0), 0);
    wr(v, APIC_ESR, 0);
    CHECK_EQ(rd(v, APIC_ESR), ESR_REGISTER);
    for (unsigned int i = 0; i < 4096; i++) {
        vlapic_mmio_read(v, i, 4);
        vlapic_mmio_write(v, i, 4, 0x10fff);
    }
}

TEST(errors_interrupt)
{
    struct vlapic *v = &apic[0];

    fresh();
    wr(v, APIC_LVT_ERROR, 0xfe);
    vlapic_post(v, 7, false);
    CHECK_EQ(vlapic_pending(v), 0xfe);
    wr(v, APIC_LVT_ERROR, 5); /* a wrong vector for wrong vectors */
    wr(v, APIC_ESR, 0);
    vlapic_post(v, 7, false);
    CHECK_EQ(vlapic_pending(v), 0xfe);
}

TEST(pins)
{
    fresh();
    CHECK(!vlapic_takes_extint(&apic[0]));
    wr(&apic[0], APIC_LVT_LINT0, 0x700);
    CHECK(vlapic_takes_extint(&apic[0]));
    vlapic_lint(&apic[0], 0);
    CHECK_EQ(vlapic_pending(&apic[0]), -1);
    wr(&apic[0], APIC_LVT_LINT0, 0x35);
    vlapic_lint(&apic[0], 0);
    CHECK_EQ(vlapic_pending(&apic[0]), 0x35);
    wr(&apic[0], APIC_LVT_LINT1, 0x400);
    vlapic_lint(&apic[0], 1);
    CHECK_EQ(seen[0].nmis, 1);
    CHECK(vlapic_wrmsr(&apic[0], 0x1b, 0xfee00000));
    CHECK(vlapic_takes_extint(&apic[0]));
    CHECK(vlapic_wrmsr(&apic[1], 0x1b, 0xfee00000));
    CHECK(!vlapic_takes_extint(&apic[1]));
}

TEST(records)
{
    struct hvm_hw_lapic l, bad;
    struct hvm_hw_lapic_regs r;
    struct vlapic *v = &apic[1];

    fresh();
    wr(v, APIC_LVT_TIMER, 0x20044);
    wr(v, APIC_TDCR, 0xb);
    wr(v, APIC_TMICT, 100000); /* 1 ms */
    vlapic_post(v, 0x99, true);
    vlapic_post(v, 0x98, false);
    vlapic_accept(v, 0x99);
    now += 250000;
    vlapic_save(v, &l);
    vlapic_save_regs(v, &r);
    now = 1000; /* another machine */
    memset(seen, 0, sizeof(seen));
    vlapic_init(v, pages[1], &bus, NULL, 2);
    CHECK_EQ(vlapic_load(v, &l), 0);
    vlapic_load_regs(v, &r);
    CHECK_EQ(seen[1].deadline, 1000 + 750000);
    CHECK_EQ(rd(v, APIC_PPR), 0x90);
    CHECK_EQ(vlapic_highest_request(v), 0x98);
    wr(v, APIC_EOI, 0);
    CHECK(seen[1].eois == 1 && seen[1].eoi_vector == 0x99);
    CHECK_EQ(vlapic_pending(v), 0x98);
    bad = l;
    bad.apic_base_msr |= 1;
    CHECK_EQ(vlapic_load(v, &bad), -XEN_EINVAL);
    bad.apic_base_msr = 0xfee00400;
    CHECK_EQ(vlapic_load(v, &bad), -XEN_EINVAL);
    memset(&r, 0xff, sizeof(r)); /* nothing that hardware could not hold is taken */
    vlapic_load_regs(v, &r);
    CHECK_EQ(rd(v, APIC_ID), 2u << 24);
    CHECK_EQ(rd(v, APIC_VERSION), 0x50014);
    CHECK_EQ(rd(v, APIC_SVR), 0x3ff);
    CHECK_EQ(rd(v, APIC_ISR), 0xffff0000);
    CHECK_EQ(rd(v, APIC_LVT_ERROR), 0x100ff);
    CHECK_EQ(rd(v, APIC_TDCR), 0xb);
    memset(&r, 0, sizeof(r));
    vlapic_load_regs(v, &r);
    CHECK_EQ(rd(v, APIC_LVT_LINT0), 0x10000); /* off by software: masked */
    CHECK_EQ(vlapic_highest_request(v), -1);
    CHECK_EQ(vlapic_pending(v), -1);
}

/* --- a processor that works on the page: what Intel SDM volume 3, chapter 30 has it do --- */

static uint32_t *word_of(struct vlapic *v, enum apic_reg bank, unsigned int vector)
{
    return vector_word(v, bank, vector / 32);
}

static void processor_takes(struct vlapic *v, unsigned int vector)
{
    CHECK(*word_of(v, APIC_IRR, vector) & 1u << vector % 32);
    *word_of(v, APIC_IRR, vector) &= ~(1u << vector % 32);
    *word_of(v, APIC_ISR, vector) |= 1u << vector % 32;
}

static void processor_ends(struct vlapic *v, unsigned int vector)
{
    *word_of(v, APIC_ISR, vector) &= ~(1u << vector % 32);
}

TEST(assistable)
{
    struct vlapic *v = &apic[1];

    fresh();
    CHECK(!vlapic_assistable(v)); /* its page's accesses exit */
    to_x2apic(v);
    CHECK(seen[1].modes == 1 && vlapic_assistable(v));
    CHECK(vlapic_wrmsr(v, 0x80f, 0xff)); /* off by software: nothing is delivered */
    CHECK(seen[1].modes == 2 && !vlapic_assistable(v));
    CHECK(vlapic_wrmsr(v, 0x80f, 0x1ff));
    CHECK(seen[1].modes == 3 && vlapic_assistable(v));
    CHECK(vlapic_wrmsr(v, 0x80f, 0x1fe));
    CHECK_EQ(seen[1].modes, 3);
    vlapic_reset(v, true);
    CHECK(seen[1].modes == 4 && !vlapic_assistable(v));
}

TEST(assisted)
{
    struct vlapic *v = &apic[1];

    fresh();
    to_x2apic(v);
    vlapic_post(v, 0x61, false);
    vlapic_accept(v, 0x61);
    vlapic_assist(v, true);
    CHECK_EQ(vlapic_in_service(v), 0x61);
    vlapic_post(v, 0x62, false); /* not in the page while the processor may work on it */
    vlapic_post(v, 0x81, true);
    CHECK_EQ(*word_of(v, APIC_IRR, 0x62) | *word_of(v, APIC_IRR, 0x81), 0);
    CHECK_EQ(vlapic_pending(v), 0x81);
    vlapic_pull(v);
    CHECK_EQ(vlapic_highest_request(v), 0x81);
    CHECK_EQ(vlapic_level_triggered(v, 2), 2);
    CHECK_EQ(vlapic_level_triggered(v, 1) | vlapic_level_triggered(v, 3), 0);
    processor_takes(v, 0x81);
    CHECK(vlapic_in_service(v) == 0x81 && vlapic_highest_request(v) == 0x62);
    CHECK_EQ(vlapic_pending(v), -1);
    CHECK_EQ(rd(v, APIC_PPR), 0x80);
    processor_ends(v, 0x81);
    vlapic_ended(v, 0x81);
    CHECK(seen[1].eois == 1 && seen[1].eoi_vector == 0x81);
    *word_of(v, APIC_IRR, 0x35) |= 1u << 0x35 % 32; /* it sends one to itself */
    processor_ends(v, 0x61);
    CHECK_EQ(vlapic_pending(v), 0x62);
    processor_takes(v, 0x62);
    processor_ends(v, 0x62);
    CHECK_EQ(vlapic_pending(v), 0x35);
    /* A vector that no interrupt may have: an error, as without its help. */
    v->regs[VLAPIC_REG(APIC_SELF_IPI)] = 7;
    vlapic_written(v, APIC_SELF_IPI);
    CHECK(vlapic_wrmsr(v, 0x828, 0));
    CHECK_EQ(rd(v, APIC_ESR), 0x20);
    vlapic_assist(v, false);
    vlapic_accept(v, 0x35);
    CHECK_EQ(v->in_service, 0x35);
    CHECK(vlapic_wrmsr(v, 0x80b, 0));
    CHECK_EQ(v->in_service, -1);
}

TEST(saved_with_what_was_posted)
{
    struct vlapic *v = &apic[1];
    struct hvm_hw_lapic l;
    struct hvm_hw_lapic_regs r;

    fresh();
    to_x2apic(v);
    vlapic_assist(v, true);
    vlapic_post(v, 0x42, false);
    vlapic_pull(v);
    vlapic_post(v, 0x44, false);
    processor_takes(v, 0x42);
    vlapic_save(v, &l);
    vlapic_save_regs(v, &r);
    vlapic_post(v, 0x46, false);
    memset(seen, 0, sizeof(seen));
    CHECK_EQ(vlapic_load(v, &l), 0);
    vlapic_load_regs(v, &r);
    CHECK(seen[1].modes > 0); /* who told the processor what is in service has to do it again */
    CHECK_EQ(vlapic_in_service(v), 0x42);
    CHECK_EQ(vlapic_highest_request(v), 0x44); /* 0x46 came after */
    CHECK_EQ(rd(v, APIC_IRR + 0x20), 1u << 4);
    CHECK_EQ(rd(v, APIC_ISR + 0x20), 1u << 2);
}
