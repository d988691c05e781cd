/* SPDX-License-Identifier: MIT */
/*
 * The timer of a local APIC. It had `timer_count` at `timer_start` and loses one each ten ns times
 * the divider; at zero it posts its vector and, if periodic, begins again at the time at which it
 * got there, so that it does not drift. Periods that passed while the vCPU could not run count
 * as one: it does not storm. While its entry is masked nobody waits for it; what it counts follows
 * from the time. In TSC-deadline mode the counter stands still.
 */
#include "x86/hvm/vlapic_private.h"

#include "lib/macros.h"

/* A guest that asks for less than this apart gets this: each costs the hypervisor a few us. */
#define MIN_GAP_NS 20000ull

static uint64_t tick_ns(const struct vlapic *v)
{
    uint32_t d = reg(v, APIC_TDCR);
    unsigned int shift = ((d & 3) | (d & 8) >> 1) + 1;

    return BUS_CYCLE_NS << (shift & 7); /* 0b111: by one */
}

static bool periodic(const struct vlapic *v)
{
    return (reg(v, APIC_LVT_TIMER) & LVT_TIMER_MODE) == TIMER_PERIODIC;
}

/* When the counter gets to zero, or got there first. */
static uint64_t zero_at(const struct vlapic *v)
{
    return v->timer_start + v->timer_count * tick_ns(v);
}

uint32_t vlapic_current_count(const struct vlapic *v)
{
    uint64_t now, zero, period;

    if (v->timer_start == VLAPIC_NONE || !v->timer_count)
        return 0;
    now = v->bus->ops->now(v);
    zero = zero_at(v);
    if (now >= zero) {
        period = reg(v, APIC_TMICT) * tick_ns(v);
        if (!periodic(v) || !period)
            return 0;
        zero += (now - zero) / period * period + period;
    }
    return (uint32_t)((zero - now + tick_ns(v) - 1) / tick_ns(v));
}

bool vlapic_settle_timer(struct vlapic *v)
{
    uint64_t now, zero, period;

    if (v->timer_start == VLAPIC_NONE || !v->timer_count)
        return false;
    now = v->bus->ops->now(v);
    zero = zero_at(v);
    if (now < zero)
        return false;
    period = reg(v, APIC_TMICT) * tick_ns(v);
    if (periodic(v) && period) {
        v->timer_start = zero + (now - zero) / period * period;
        v->timer_count = reg(v, APIC_TMICT);
    } else {
        v->timer_start = VLAPIC_NONE;
        v->timer_count = 0;
    }
    return true;
}

void vlapic_restart_timer(struct vlapic *v)
{
    uint32_t lvt = reg(v, APIC_LVT_TIMER);
    uint64_t at = VLAPIC_NONE;

    if ((lvt & LVT_TIMER_MODE) == TIMER_DEADLINE) {
        if (v->tsc_deadline) {
            at = v->bus->ops->tsc_deadline(v, v->tsc_deadline);
            if (!at) {
                vlapic_timer_fired(v);
                return;
            }
        }
    } else if (v->timer_start != VLAPIC_NONE && v->timer_count && !(lvt & LVT_MASKED)) {
        at = MAX(zero_at(v), v->bus->ops->now(v) + (periodic(v) ? MIN_GAP_NS : 0));
    }
    v->bus->ops->set_timer(v, at);
}

void vlapic_timer_fired(struct vlapic *v)
{
    uint32_t lvt = reg(v, APIC_LVT_TIMER);
    bool reached;

    if ((lvt & LVT_TIMER_MODE) == TIMER_DEADLINE) {
        reached = v->tsc_deadline != 0; /* else it was disarmed meanwhile */
        v->tsc_deadline = 0;
        v->bus->ops->set_timer(v, VLAPIC_NONE);
    } else {
        reached = vlapic_settle_timer(v);
        vlapic_restart_timer(v);
    }
    if (reached && !(lvt & LVT_MASKED))
        vlapic_post(v, lvt & 0xff, false);
}
