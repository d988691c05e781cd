/* SPDX-License-Identifier: MIT */
/*
 * A counter of 32 bits at 3.58 MHz. Its status bit is set each time its highest bit changes, every
 * ten minutes; only who enabled that gets a timer for it.
 */
#include "x86/hvm/vpm.h"

#include "lib/string.h"

#define SCI_IRQ 9u
#define KNOWN (PM_TIMER_STS | PM_GLOBAL_STS | PM_POWER_BUTTON | PM_SLEEP_BUTTON | 0x400u)

static void update_sci(struct vpm *p)
{
    bool up = (p->hw.pm1a_sts & p->hw.pm1a_en & KNOWN) != 0;

    if (up != p->sci) {
        p->sci = up;
        p->ops->isa(p->ctx, SCI_IRQ, up);
    }
}

/* The counter as of now, and its status bit. */
static void count(struct vpm *p)
{
    uint64_t now = p->ops->now(p->ctx), gone, before = p->hw.tmr_val, after;

    gone = muldiv(now - p->since, PMTIMER_HZ, NS_PER_SECOND);
    if (!gone)
        return;
    p->since += muldiv(gone, NS_PER_SECOND, PMTIMER_HZ);
    after = before + gone;
    if (before >> 31 != after >> 31)
        p->hw.pm1a_sts |= PM_TIMER_STS;
    p->hw.tmr_val = (uint32_t)after;
}

static void arm(struct vpm *p)
{
    uint32_t left = 0x80000000u - (p->hw.tmr_val & 0x7fffffff);
    uint64_t at = VTIMER_NONE;

    if (p->hw.pm1a_en & PM_TIMER_STS && !(p->hw.pm1a_sts & PM_TIMER_STS))
        at = p->since + muldiv(left, NS_PER_SECOND, PMTIMER_HZ) + 1;
    p->ops->set_timer(p->ctx, p->which, at);
}

static void settle(struct vpm *p)
{
    count(p);
    update_sci(p);
    arm(p);
}

uint32_t vpm_counter(struct vpm *p)
{
    count(p);
    return p->hw.tmr_val;
}

uint32_t vpm_read_event(struct vpm *p, unsigned int offset, unsigned int size)
{
    uint32_t both;

    count(p);
    both = p->hw.pm1a_sts | (uint32_t)p->hw.pm1a_en << 16;
    both >>= 8 * (offset & 3);
    return size < 4 ? both & ((1u << (8 * size)) - 1) : both;
}

void vpm_write_event(struct vpm *p, unsigned int offset, unsigned int size, uint32_t val)
{
    uint32_t mask = size < 4 ? (1u << (8 * size)) - 1 : ~0u, clear;

    offset &= 3;
    mask <<= 8 * offset;
    val = val << (8 * offset) & mask;
    count(p);
    clear = val & 0xffff;
    p->hw.pm1a_sts &= (uint16_t)~clear; /* ones clear */
    if (mask >> 16)
        p->hw.pm1a_en = (uint16_t)((p->hw.pm1a_en & ~(mask >> 16)) | val >> 16);
    settle(p);
}

void vpm_press(struct vpm *p, uint16_t button)
{
    p->hw.pm1a_sts |= button & (PM_POWER_BUTTON | PM_SLEEP_BUTTON);
    update_sci(p);
}

void vpm_timer(struct vpm *p)
{
    settle(p);
}

void vpm_init(struct vpm *p, const struct vtimer_ops *ops, void *ctx, unsigned int which)
{
    memset(p, 0, sizeof(*p));
    p->ops = ops;
    p->ctx = ctx;
    p->which = which;
    p->since = ops->now(ctx);
}

void vpm_save(struct vpm *p, struct hvm_hw_pmtimer *r)
{
    count(p);
    *r = p->hw;
}

/* The SCI's wire is in a record of its own: only what is different from it is told. */
void vpm_load(struct vpm *p, const struct hvm_hw_pmtimer *r)
{
    p->hw = *r;
    p->since = p->ops->now(p->ctx);
    settle(p);
}
