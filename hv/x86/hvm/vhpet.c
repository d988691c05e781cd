/* SPDX-License-Identifier: MIT */
/*
 * A counter of 64 bits and three comparators. A periodic comparator moves on by its period from
 * where it was, so it does not drift; periods that passed meanwhile count as one.
 */
#include "x86/hvm/vhpet.h"

#include "lib/macros.h"
#include "lib/string.h"

#define GENERAL_ENABLE 1ull
#define GENERAL_LEGACY 2ull

#define T_LEVEL BIT(1)
#define T_ENABLE BIT(2)
#define T_PERIODIC BIT(3)
#define T_CAN_PERIODIC BIT(4)
#define T_IS_64 BIT(5)
#define T_SET_VALUE BIT(6)
#define T_AS_32 BIT(8)
#define T_ROUTE_SHIFT 9
#define T_ROUTE (31ull << T_ROUTE_SHIFT)
#define T_WRITABLE (T_LEVEL | T_ENABLE | T_PERIODIC | T_SET_VALUE | T_AS_32 | T_ROUTE)
#define ROUTES 0x00f00000ull /* pins 20 to 23 */
#define T_FIXED (T_CAN_PERIODIC | T_IS_64 | ROUTES << 32)

/* Vendor, three timers, 64 bits, legacy routes, and a tick's length in femtoseconds. */
#define CAPABILITY (0x8086a201ull | (VHPET_TICK_NS * 1000000ull) << 32)

static bool enabled(const struct vhpet *p)
{
    return (p->hw.config & GENERAL_ENABLE) != 0;
}

bool vhpet_replaces_legacy(const struct vhpet *p)
{
    return (p->hw.config & GENERAL_LEGACY) != 0;
}

static uint64_t main_counter(const struct vhpet *p)
{
    return p->hw.mc64 + (enabled(p) ? (p->ops->now(p->ctx) - p->since) / VHPET_TICK_NS : 0);
}

/* The counter's value as of now becomes the base of what follows. */
static void rebase(struct vhpet *p, uint64_t counter)
{
    p->hw.mc64 = counter;
    p->since = p->ops->now(p->ctx);
}

/* --- interrupts --- */

static void line(struct vhpet *p, unsigned int n, bool up)
{
    unsigned int route = (unsigned int)(p->hw.timers[n].config >> T_ROUTE_SHIFT) & 31;

    if (vhpet_replaces_legacy(p) && n < 2)
        p->ops->isa(p->ctx, n ? 8 : 0, up);
    else if (ROUTES >> route & 1)
        p->ops->gsi(p->ctx, route, up);
}

static void raise(struct vhpet *p, unsigned int n)
{
    if (p->hw.timers[n].config & T_LEVEL) {
        if (p->hw.isr & BIT(n))
            return;
        p->hw.isr |= BIT(n);
        line(p, n, true);
    } else {
        line(p, n, true);
        line(p, n, false);
    }
}

/* Ends a level-triggered interrupt: its line goes down. */
static void lower(struct vhpet *p, unsigned int n)
{
    if (p->hw.isr & BIT(n)) {
        p->hw.isr &= ~BIT(n);
        line(p, n, false);
    }
}

/* --- comparators --- */

static uint64_t width(uint64_t config)
{
    return config & T_AS_32 ? 0xffffffff : ~0ull;
}

static void arm(struct vhpet *p, unsigned int n)
{
    uint64_t config = p->hw.timers[n].config, ticks, now = p->ops->now(p->ctx);

    p->next[n] = VTIMER_NONE;
    if (enabled(p) && (config & T_ENABLE)) {
        ticks = (p->hw.timers[n].cmp - main_counter(p)) & width(config);
        if (ticks >> 56 == 0) { /* else it is behind the counter: it comes after the wrap */
            p->next[n] = p->since + (main_counter(p) - p->hw.mc64 + ticks) * VHPET_TICK_NS;
            if (config & T_PERIODIC)
                p->next[n] = MAX(p->next[n], now + VTIMER_MIN_NS);
        }
    }
    p->ops->set_timer(p->ctx, p->which + n, p->next[n]);
}

static void arm_all(struct vhpet *p)
{
    for (unsigned int n = 0; n < HPET_TIMER_NUM; n++)
        arm(p, n);
}

/* A periodic comparator moves to the first period's end that is still to come. */
static void advance(struct vhpet *p, unsigned int n)
{
    uint64_t mask = width(p->hw.timers[n].config), period = p->hw.period[n] & mask, behind;

    if (!(p->hw.timers[n].config & T_PERIODIC) || !period)
        return;
    behind = (main_counter(p) - p->hw.timers[n].cmp) & mask;
    if (behind > mask / 2) /* not there yet */
        return;
    p->hw.timers[n].cmp = (p->hw.timers[n].cmp + (behind / period + 1) * period) & mask;
}

void vhpet_timer(struct vhpet *p, unsigned int n)
{
    uint64_t config = p->hw.timers[n].config;

    if (p->next[n] == VTIMER_NONE || p->ops->now(p->ctx) < p->next[n])
        return;
    p->next[n] = VTIMER_NONE;
    advance(p, n);
    raise(p, n);
    if (config & T_PERIODIC && p->hw.period[n])
        arm(p, n);
    else
        p->ops->set_timer(p->ctx, p->which + n, VTIMER_NONE);
}

/* --- registers --- */

static void write_general(struct vhpet *p, uint64_t val)
{
    uint64_t counter = main_counter(p), changed = (p->hw.config ^ val) & 3;

    for (unsigned int n = 0; changed && n < HPET_TIMER_NUM; n++)
        lower(p, n); /* by the route that it took */
    rebase(p, counter);
    p->hw.config = val & (GENERAL_ENABLE | GENERAL_LEGACY);
    if (changed)
        arm_all(p);
}

static void write_config(struct vhpet *p, unsigned int n, uint64_t val)
{
    uint64_t old = p->hw.timers[n].config, route = (val & T_ROUTE) >> T_ROUTE_SHIFT;

    if (!(ROUTES >> route & 1)) /* a pin that cannot be: none */
        val &= ~T_ROUTE;
    val = (val & T_WRITABLE) | T_FIXED;
    if ((old ^ val) & (T_ROUTE | T_LEVEL | T_ENABLE))
        lower(p, n);
    p->hw.timers[n].config = val;
    if (val & T_AS_32) {
        p->hw.timers[n].cmp &= 0xffffffff;
        p->hw.period[n] &= 0xffffffff;
    }
    arm(p, n);
}

static void write_comparator(struct vhpet *p, unsigned int n, uint64_t val)
{
    uint64_t config = p->hw.timers[n].config;

    val &= width(config);
    if (!(config & T_PERIODIC) || (config & T_SET_VALUE))
        p->hw.timers[n].cmp = val;
    if (config & T_PERIODIC) {
        p->hw.period[n] = val;
        p->hw.timers[n].config &= ~T_SET_VALUE;
    }
    arm(p, n);
}

static uint64_t read_reg(const struct vhpet *p, unsigned int r)
{
    unsigned int n = (r - 0x100) / 0x20;

    switch (r) {
    case 0x00:
        return p->hw.capability;
    case 0x10:
        return p->hw.config;
    case 0x20:
        return p->hw.isr;
    case 0xf0:
        return main_counter(p);
    default:
        break;
    }
    if (r < 0x100 || n >= HPET_TIMER_NUM)
        return 0;
    return (r & 0x18) == 0 ? p->hw.timers[n].config : (r & 0x18) == 8 ? p->hw.timers[n].cmp : 0;
}

static void write_reg(struct vhpet *p, unsigned int r, uint64_t val)
{
    unsigned int n = (r - 0x100) / 0x20;

    if (r == 0x10) {
        write_general(p, val);
    } else if (r == 0x20) {
        for (n = 0; n < HPET_TIMER_NUM; n++)
            if (val >> n & 1)
                lower(p, n);
    } else if (r == 0xf0) {
        rebase(p, val);
        arm_all(p);
    } else if (r >= 0x100 && n < HPET_TIMER_NUM) {
        if ((r & 0x18) == 0)
            write_config(p, n, val);
        else if ((r & 0x18) == 8)
            write_comparator(p, n, val);
    }
}

static bool fits(unsigned int offset, unsigned int size)
{
    return (size == 4 || size == 8) && !(offset & (size - 1)) && offset <= VHPET_SIZE - size;
}

uint64_t vhpet_read(struct vhpet *p, unsigned int offset, unsigned int size)
{
    uint64_t val;

    if (!fits(offset, size))
        return ~0ull;
    val = read_reg(p, offset & ~7u);
    return size == 8 ? val : (val >> (offset & 4 ? 32 : 0)) & 0xffffffff;
}

void vhpet_write(struct vhpet *p, unsigned int offset, unsigned int size, uint64_t val)
{
    unsigned int r = offset & ~7u;
    uint64_t old;

    if (!fits(offset, size))
        return;
    if (size == 4) { /* half of a register; to the status, zeros mean nothing */
        old = r == 0x20 ? 0 : read_reg(p, r);
        if (r >= 0x100 && (r & 0x18) == 8 &&
            p->hw.timers[MIN((r - 0x100) / 0x20, 2u)].config & T_PERIODIC)
            old = p->hw.period[MIN((r - 0x100) / 0x20, 2u)];
        val = offset & 4 ? (old & 0xffffffff) | val << 32
                         : (old & ~0xffffffffull) | (val & 0xffffffff);
    }
    write_reg(p, r, val);
}

/* --- beginning, records --- */

void vhpet_init(struct vhpet *p, const struct vtimer_ops *ops, void *ctx, unsigned int which)
{
    memset(p, 0, sizeof(*p));
    p->ops = ops;
    p->ctx = ctx;
    p->which = which;
    p->since = ops->now(ctx);
    p->hw.capability = CAPABILITY;
    for (unsigned int n = 0; n < HPET_TIMER_NUM; n++) {
        p->hw.timers[n].config = T_FIXED;
        p->hw.timers[n].cmp = ~0ull;
        p->next[n] = VTIMER_NONE;
    }
}

void vhpet_save(struct vhpet *p, struct hvm_hw_hpet *r)
{
    rebase(p, main_counter(p));
    *r = p->hw;
}

/* Lines that are up are in the records of the wires: raising them again is no news there. */
void vhpet_load(struct vhpet *p, const struct hvm_hw_hpet *r)
{
    memset(&p->hw, 0, sizeof(p->hw));
    p->hw.capability = CAPABILITY;
    p->hw.config = r->config & (GENERAL_ENABLE | GENERAL_LEGACY);
    p->hw.isr = r->isr & ((1u << HPET_TIMER_NUM) - 1);
    p->hw.mc64 = r->mc64;
    p->since = p->ops->now(p->ctx);
    for (unsigned int n = 0; n < HPET_TIMER_NUM; n++) {
        p->hw.timers[n].config = (r->timers[n].config & T_WRITABLE) | T_FIXED;
        p->hw.timers[n].cmp = r->timers[n].cmp & width(p->hw.timers[n].config);
        p->hw.period[n] = r->period[n] & width(p->hw.timers[n].config);
        p->hw.isr &= p->hw.timers[n].config & T_LEVEL ? ~0ull : ~BIT(n);
    }
    arm_all(p);
}
