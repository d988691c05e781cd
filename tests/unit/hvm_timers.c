/* SPDX-License-Identifier: MIT */
/* PIT, RTC, HPET and PM timer, on a clock that the test moves. */
#include "unit.h"

#include "x86/hvm/vhpet.h"
#include "x86/hvm/vpit.h"
#include "x86/hvm/vpm.h"
#include "x86/hvm/vrtc.h"

#define SECOND 1000000000ull

static uint64_t now, wall;
static uint64_t deadline[8];
static unsigned int isa_edges[16], gsi_edges[48];
static bool isa_up[16], gsi_up[48];

static uint64_t op_now(void *ctx)
{
    CHECK(ctx == &now);
    return now;
}

static void op_set_timer(void *ctx, unsigned int which, uint64_t at)
{
    (void)ctx;
    deadline[which] = at;
}

static void op_isa(void *ctx, unsigned int irq, bool up)
{
    (void)ctx;
    isa_edges[irq] += up && !isa_up[irq];
    isa_up[irq] = up;
}

static void op_gsi(void *ctx, unsigned int gsi, bool up)
{
    (void)ctx;
    gsi_edges[gsi] += up && !gsi_up[gsi];
    gsi_up[gsi] = up;
}

static uint64_t op_wall(void *ctx)
{
    (void)ctx;
    return wall + now;
}

static const struct vtimer_ops ops = { op_now, op_set_timer, op_isa, op_gsi, op_wall };

static void fresh(void)
{
    now = 1000;
    wall = 1700000000 * SECOND; /* 2023-11-14 22:13:20, a Tuesday */
    for (int i = 0; i < 8; i++)
        deadline[i] = VTIMER_NONE;
    memset(isa_edges, 0, sizeof(isa_edges));
    memset(gsi_edges, 0, sizeof(gsi_edges));
    memset(isa_up, 0, sizeof(isa_up));
    memset(gsi_up, 0, sizeof(gsi_up));
}

TEST(muldiv_is_exact)
{
    CHECK_EQ(muldiv(1193182, 1000000000, 1193182), 1000000000);
    CHECK_EQ(muldiv(~0ull >> 30, 1u << 30, 1u << 30), ~0ull >> 30);
    CHECK_EQ(muldiv(10000000000000000000ull, 3, 4), 7500000000000000000ull);
}

/* --- PIT --- */

static struct vpit pit;

static void pit_set(unsigned int channel, unsigned int mode, uint16_t count)
{
    vpit_write(&pit, 0x43, (uint8_t)(channel << 6 | 0x30 | mode << 1));
    vpit_write(&pit, (uint16_t)(0x40 + channel), (uint8_t)count);
    vpit_write(&pit, (uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

static uint16_t pit_get(unsigned int channel)
{
    uint16_t low;

    vpit_write(&pit, 0x43, (uint8_t)(channel << 6));
    low = vpit_read(&pit, (uint16_t)(0x40 + channel));
    return (uint16_t)(low | vpit_read(&pit, (uint16_t)(0x40 + channel)) << 8);
}

TEST(pit_periodic)
{
    uint64_t start;

    fresh();
    vpit_init(&pit, &ops, &now, 0);
    start = now;
    pit_set(0, 2, 11932); /* 10 ms, nearly */
    CHECK_EQ(deadline[0], start + 10000150);
    for (unsigned int i = 1; i <= 1000; i++) {
        now = deadline[0] + 777; /* late each time */
        vpit_timer(&pit);
        CHECK_EQ(isa_edges[0], i);
    }
    CHECK(deadline[0] - start - 1001 * 10000150ull < 1000000); /* no drift but rounding */
    now += 3 * SECOND;                                         /* a pause */
    vpit_timer(&pit);
    CHECK_EQ(isa_edges[0], 1001);
    CHECK(deadline[0] > now && deadline[0] <= now + 10000151);
    pit_set(0, 3, 1); /* as fast as it goes */
    CHECK(deadline[0] >= now + VTIMER_MIN_NS);
    vpit_write(&pit, 0x43, 0x34); /* a new mode waits for its count */
    CHECK_EQ(deadline[0], VTIMER_NONE);
    pit_set(0, 2, 0); /* 65,536 */
    CHECK(deadline[0] > now + 54 * 1000000ull && deadline[0] < now + 55 * 1000000ull);
}

TEST(pit_one_shot_and_reading)
{
    fresh();
    vpit_init(&pit, &ops, &now, 0);
    pit_set(0, 0, 1194); /* 1 ms */
    now += 500000;
    CHECK_EQ(pit_get(0), 1194 - 596);
    now = deadline[0];
    vpit_timer(&pit);
    CHECK_EQ(isa_edges[0], 1);
    CHECK_EQ(deadline[0], VTIMER_NONE);
    /* A latch holds while both halves are read; a status by read-back comes first. */
    pit_set(2, 2, 0x1234);
    vpit_write(&pit, 0x43, 0xc8); /* count and status of channel 2 */
    now += 1000000;
    CHECK_EQ(vpit_read(&pit, 0x42), 0xb4);
    CHECK_EQ(vpit_read(&pit, 0x42), 0x34);
    CHECK_EQ(vpit_read(&pit, 0x42), 0x12);
    CHECK(pit_get(2) < 0x1234);
    /* Low byte alone. */
    vpit_write(&pit, 0x43, 0x90);
    vpit_write(&pit, 0x42, 100);
    CHECK_EQ(vpit_read(&pit, 0x42), 100);
    CHECK_EQ(vpit_read(&pit, 0x42), 100);
    CHECK_EQ(vpit_read(&pit, 0x43), 0xff);
}

/* How kernels measure the TSC: channel 2 in mode 0, its gate and its output in port 0x61. */
TEST(pit_speaker)
{
    fresh();
    vpit_init(&pit, &ops, &now, 0);
    vpit_write(&pit, 0x61, 1);
    pit_set(2, 0, 11932);
    now += 9000000;
    CHECK_EQ(vpit_read(&pit, 0x61) & 0x21, 1);
    now += 1100000;
    CHECK_EQ(vpit_read(&pit, 0x61) & 0x21, 0x21);
    vpit_write(&pit, 0x61, 0);
    vpit_write(&pit, 0x61, 3); /* the gate starts it again */
    CHECK_EQ(vpit_read(&pit, 0x61) & 0x23, 3);
    uint8_t refresh = vpit_read(&pit, 0x61) & 0x10;
    now += 15085;
    CHECK((vpit_read(&pit, 0x61) & 0x10) != refresh);
}

TEST(pit_records)
{
    struct hvm_hw_pit r;

    fresh();
    vpit_init(&pit, &ops, &now, 0);
    pit_set(0, 2, 11932);
    vpit_save(&pit, &r);
    vpit_init(&pit, &ops, &now, 0);
    now = 5000000;
    vpit_load(&pit, &r);
    CHECK_EQ(deadline[0], now + 10000150);
    memset(&r, 0xff, sizeof(r));
    vpit_load(&pit, &r);
    memset(&r, 0, sizeof(r));
    vpit_load(&pit, &r);
    for (uint16_t port = 0x40; port < 0x44; port++)
        vpit_read(&pit, port);
}

/* --- RTC --- */

static struct vrtc rtc;

static uint8_t cmos(uint8_t index)
{
    uint8_t val = 0;

    CHECK(vrtc_write(&rtc, 0x70, index));
    CHECK(vrtc_read(&rtc, 0x71, &val));
    return val;
}

static void set_cmos(uint8_t index, uint8_t val)
{
    vrtc_write(&rtc, 0x70, index);
    CHECK(vrtc_write(&rtc, 0x71, val));
}

TEST(rtc_date)
{
    uint8_t val;

    fresh();
    vrtc_init(&rtc, &ops, &now, 0);
    CHECK(cmos(0) == 0x20 && cmos(2) == 0x13 && cmos(4) == 0x22);
    CHECK(cmos(6) == 3 && cmos(7) == 0x14 && cmos(8) == 0x11 && cmos(9) == 0x23);
    set_cmos(11, 0x06); /* binary */
    CHECK(cmos(4) == 22 && cmos(9) == 23);
    set_cmos(11, 0x00); /* BCD, 12 hours */
    CHECK_EQ(cmos(4), 0x90);
    now += 2 * 3600 * SECOND; /* midnight has passed */
    CHECK(cmos(4) == 0x12 && cmos(7) == 0x15);
    set_cmos(11, 0x82); /* hold, set a leap day, go on */
    set_cmos(0, 0x58);
    set_cmos(2, 0x59);
    set_cmos(4, 0x23);
    set_cmos(7, 0x28);
    set_cmos(8, 0x02);
    set_cmos(9, 0x24);
    now += 10 * SECOND;
    CHECK_EQ(cmos(0), 0x58); /* it stands */
    set_cmos(11, 0x02);
    CHECK_EQ(cmos(0), 0x58);
    now += 2 * SECOND;
    CHECK(cmos(0) == 0 && cmos(7) == 0x29 && cmos(8) == 2 && cmos(6) == 5); /* a Thursday */
    now += 86400 * SECOND;
    CHECK(cmos(7) == 1 && cmos(8) == 3);
    now += SECOND - (wall + now) % SECOND - 100000; /* just before the next second */
    CHECK_EQ(cmos(10), 0xa6);
    now += 100000;
    CHECK_EQ(cmos(10), 0x26);
    CHECK_EQ(cmos(13), 0x80);
    CHECK(!vrtc_write(&rtc, 0x70, 0x0e)); /* the device model's */
    CHECK(!vrtc_read(&rtc, 0x71, &val) && !vrtc_write(&rtc, 0x71, 1));
    for (unsigned int i = 0; i < 14; i++)
        for (unsigned int v = 0; v < 256; v++) {
            set_cmos((uint8_t)i, (uint8_t)v);
            cmos((uint8_t)i);
        }
}

TEST(rtc_interrupts)
{
    fresh();
    vrtc_init(&rtc, &ops, &now, 0);
    CHECK_EQ(cmos(12), 0);
    CHECK_EQ(deadline[0], VTIMER_NONE);
    set_cmos(11, 0x42); /* periodic, 1,024 Hz */
    CHECK_EQ(deadline[0], 1000 + 976562);
    now = deadline[0];
    vrtc_timer(&rtc);
    CHECK_EQ(isa_edges[8], 1);
    CHECK_EQ(deadline[0], VTIMER_NONE); /* until it is acknowledged */
    now += 100 * SECOND;
    CHECK_EQ(cmos(12), 0xd0); /* a second passed too */
    CHECK(!isa_up[8]);
    CHECK(deadline[0] > now && deadline[0] <= now + 976562);
    set_cmos(11, 0x02);
    now += 10000000;
    CHECK_EQ(cmos(12) & 0xc0, 0x40); /* the flag alone */
    /* An alarm at 22:15:05. */
    set_cmos(1, 0x05);
    set_cmos(3, 0x15);
    set_cmos(5, 0x22);
    set_cmos(11, 0x22);
    unsigned int seconds = 0;
    while (!isa_edges[8] || isa_edges[8] == 1) {
        now = deadline[0];
        vrtc_timer(&rtc);
        if (++seconds > 100)
            break;
    }
    CHECK(cmos(0) == 0x05 && cmos(2) == 0x15);
    CHECK_EQ(cmos(12) & 0xa0, 0xa0);
    set_cmos(1, 0xff); /* each second of that minute */
    now = deadline[0];
    vrtc_timer(&rtc);
    CHECK_EQ(cmos(12) & 0xa0, 0xa0);
    set_cmos(11, 0x12);
    now = deadline[0];
    vrtc_timer(&rtc);
    CHECK_EQ(cmos(12) & 0x90, 0x90);
    set_cmos(10, 0x20); /* no rate */
    set_cmos(11, 0x42);
    CHECK_EQ(deadline[0], VTIMER_NONE);
}

TEST(rtc_records)
{
    struct hvm_hw_rtc r;

    fresh();
    vrtc_init(&rtc, &ops, &now, 0);
    set_cmos(9, 0x30); /* another year */
    r = rtc.hw;
    wall += 1000 * SECOND; /* another host's clock */
    vrtc_init(&rtc, &ops, &now, 0);
    vrtc_load(&rtc, &r);
    CHECK_EQ(cmos(9), 0x30);
    memset(&r, 0xff, sizeof(r));
    vrtc_load(&rtc, &r);
    r.rtc_offset = INT64_MIN;
    vrtc_load(&rtc, &r);
    cmos(9);
    r.rtc_offset = INT64_MAX;
    vrtc_load(&rtc, &r);
    cmos(9);
}

/* --- HPET --- */

static struct vhpet hpet;

TEST(hpet_counter_and_one_shot)
{
    fresh();
    vhpet_init(&hpet, &ops, &now, 0);
    CHECK_EQ(vhpet_read(&hpet, 0, 8), 0x00f424008086a201);
    CHECK_EQ(vhpet_read(&hpet, 4, 4), 16000000);
    CHECK_EQ(vhpet_read(&hpet, 0x100, 8), 0x00f0000000000030);
    now += SECOND;
    CHECK_EQ(vhpet_read(&hpet, 0xf0, 8), 0);
    vhpet_write(&hpet, 0xf0, 8, 0xfffffff0);
    vhpet_write(&hpet, 0x10, 4, 1);
    now += 16 * 32;
    CHECK_EQ(vhpet_read(&hpet, 0xf0, 8), 0x100000010);
    CHECK_EQ(vhpet_read(&hpet, 0xf4, 4), 1);
    vhpet_write(&hpet, 0x120, 8, 21 << 9 | 4); /* timer 1, edge, pin 21 */
    vhpet_write(&hpet, 0x128, 8, 0x100000010 + 1000);
    CHECK_EQ(deadline[1], now + 16000);
    now += 15999;
    vhpet_timer(&hpet, 1);
    CHECK_EQ(gsi_edges[21], 0);
    now += 1;
    vhpet_timer(&hpet, 1);
    CHECK_EQ(gsi_edges[21], 1);
    CHECK_EQ(deadline[1], VTIMER_NONE);
    vhpet_write(&hpet, 0x128, 8, 5); /* behind the counter: it comes after the wrap */
    CHECK_EQ(deadline[1], VTIMER_NONE);
    vhpet_write(&hpet, 0x120, 8, 2 << 9 | 4); /* a pin that cannot be */
    CHECK_EQ(vhpet_read(&hpet, 0x120, 8) & 0x3e00, 0);
    vhpet_write(&hpet, 0x10, 8, 0);
    uint64_t stopped = vhpet_read(&hpet, 0xf0, 8);
    now += SECOND;
    CHECK_EQ(vhpet_read(&hpet, 0xf0, 8), stopped);
    CHECK_EQ(vhpet_read(&hpet, 0xf2, 4), ~0ull);
    CHECK_EQ(vhpet_read(&hpet, 0x3f8, 8), 0);
}

TEST(hpet_periodic_and_level)
{
    fresh();
    vhpet_init(&hpet, &ops, &now, 0);
    vhpet_write(&hpet, 0x10, 8, 3);      /* legacy routes: timer 0 is ISA 0 */
    vhpet_write(&hpet, 0x100, 8, 0x4c);  /* enable, periodic, set the comparator */
    vhpet_write(&hpet, 0x108, 8, 62500); /* 1 ms */
    vhpet_write(&hpet, 0x108, 8, 62500);
    CHECK_EQ(deadline[0], 1000 + 1000000);
    for (unsigned int i = 1; i < 100; i++) {
        now = deadline[0] + 321;
        vhpet_timer(&hpet, 0);
        CHECK_EQ(isa_edges[0], i);
    }
    CHECK_EQ(deadline[0], 1000 + 100 * 1000000ull);
    now += 5 * SECOND + 10;
    vhpet_timer(&hpet, 0);
    CHECK_EQ(isa_edges[0], 100);
    CHECK(deadline[0] > now && (deadline[0] - 1000) % 1000000 == 0);
    vhpet_write(&hpet, 0x108, 8, 1); /* 16 ns: a limit holds */
    CHECK(deadline[0] >= now + 10000);
    /* Level: until the status bit is cleared. */
    vhpet_write(&hpet, 0x140, 8, 20 << 9 | 6);
    vhpet_write(&hpet, 0x148, 8, vhpet_read(&hpet, 0xf0, 8) + 100);
    now = deadline[2];
    vhpet_timer(&hpet, 2);
    CHECK(gsi_up[20] && vhpet_read(&hpet, 0x20, 8) == 4);
    vhpet_write(&hpet, 0x20, 4, 3);
    CHECK(gsi_up[20]);
    vhpet_write(&hpet, 0x20, 4, 4);
    CHECK(!gsi_up[20] && vhpet_read(&hpet, 0x20, 8) == 0);
    /* Moving the route takes the line down. */
    vhpet_write(&hpet, 0x148, 8, vhpet_read(&hpet, 0xf0, 8) + 100);
    now = deadline[2];
    vhpet_timer(&hpet, 2);
    CHECK(gsi_up[20]);
    vhpet_write(&hpet, 0x140, 8, 22 << 9 | 6);
    CHECK(!gsi_up[20] && !gsi_up[22]);
}

TEST(hpet_32_bits_and_records)
{
    struct hvm_hw_hpet r;

    fresh();
    vhpet_init(&hpet, &ops, &now, 0);
    vhpet_write(&hpet, 0xf0, 8, 0x1fffffff0);
    vhpet_write(&hpet, 0x10, 8, 1);
    vhpet_write(&hpet, 0x100, 8, 20 << 9 | 0x104);
    vhpet_write(&hpet, 0x108, 4, 0x10); /* over the wrap of the lower half */
    CHECK_EQ(deadline[0], now + 32 * 16);
    now += 16 * 16;
    vhpet_save(&hpet, &r);
    vhpet_init(&hpet, &ops, &now, 0);
    now += SECOND;
    vhpet_load(&hpet, &r);
    CHECK_EQ(deadline[0], now + 16 * 16);
    CHECK_EQ(vhpet_read(&hpet, 0xf0, 8), 0x200000000);
    memset(&r, 0xff, sizeof(r));
    vhpet_load(&hpet, &r);
    CHECK_EQ(vhpet_read(&hpet, 0x0, 8), 0x00f424008086a201);
    CHECK_EQ(vhpet_read(&hpet, 0x10, 8), 3);
    for (unsigned int i = 0; i < 0x400; i += 4)
        vhpet_write(&hpet, i, 4, ~0u);
    for (unsigned int i = 0; i < 3; i++) {
        now += SECOND;
        vhpet_timer(&hpet, i);
    }
}

/* --- PM timer --- */

static struct vpm pm;

TEST(pm_timer)
{
    struct hvm_hw_pmtimer r;

    fresh();
    vpm_init(&pm, &ops, &now, 0);
    now += SECOND;
    CHECK_EQ(vpm_counter(&pm), 3579545);
    for (unsigned int i = 0; i < 1000; i++) { /* looking does not slow it down */
        now += 1000001;
        vpm_counter(&pm);
    }
    CHECK(vpm_counter(&pm) - 2 * 3579545u < 8);
    CHECK_EQ(deadline[0], VTIMER_NONE);
    vpm_write_event(&pm, 2, 2, PM_TIMER_STS);
    CHECK(deadline[0] > 598 * SECOND && deadline[0] < 601 * SECOND);
    now = deadline[0];
    vpm_timer(&pm);
    CHECK(isa_up[9] && (vpm_counter(&pm) & 0x80000000));
    CHECK_EQ(vpm_read_event(&pm, 0, 2), PM_TIMER_STS);
    CHECK_EQ(vpm_read_event(&pm, 2, 1), 1);
    vpm_write_event(&pm, 0, 2, PM_TIMER_STS);
    CHECK(!isa_up[9]);
    now = deadline[0];
    vpm_timer(&pm);
    CHECK(isa_up[9] && !(vpm_counter(&pm) & 0x80000000));
    vpm_write_event(&pm, 2, 2, PM_POWER_BUTTON);
    CHECK(!isa_up[9]);
    CHECK_EQ(deadline[0], VTIMER_NONE);
    vpm_press(&pm, PM_POWER_BUTTON | PM_TIMER_STS);
    CHECK(isa_up[9]);
    vpm_save(&pm, &r);
    now += 100 * SECOND;
    vpm_load(&pm, &r);
    CHECK_EQ(vpm_counter(&pm), r.tmr_val);
    vpm_write_event(&pm, 1, 1, 1); /* the byte with the button */
    CHECK(!isa_up[9]);
    vpm_write_event(&pm, 0, 4, ~0u);
    CHECK_EQ(vpm_read_event(&pm, 0, 4), 0xffff0000);
}
