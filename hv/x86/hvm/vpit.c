/* SPDX-License-Identifier: MIT */
/*
 * Three counters that are computed from the time since they were loaded. Channel 0 is ISA line 0:
 * each time its output goes up, an edge. Periods that passed while nobody could be interrupted
 * count as one. Binary counting only; BCD is kept and ignored, as no system uses it.
 */
#include "x86/hvm/vpit.h"

#include "lib/macros.h"
#include "lib/string.h"

enum { ACCESS_LATCH, ACCESS_LOW, ACCESS_HIGH, ACCESS_WORD, STATE_HIGH_OF_WORD };

typedef struct hvm_hw_pit_channel channel_t;

static uint64_t ns_of(uint64_t ticks)
{
    return muldiv(ticks, NS_PER_SECOND, VPIT_HZ);
}

/* Ticks since channel i was loaded. */
static uint64_t ticks(const struct vpit *p, unsigned int i)
{
    uint64_t now = p->ops->now(p->ctx);

    return now > p->loaded_at[i] ? muldiv(now - p->loaded_at[i], VPIT_HZ, NS_PER_SECOND) : 0;
}

static bool repeats(const channel_t *c)
{
    return c->mode == 2 || c->mode == 3;
}

static uint16_t counter(const struct vpit *p, unsigned int i)
{
    const channel_t *c = &p->hw.channels[i];
    uint64_t t = ticks(p, i);

    if (c->mode == 3)
        return (uint16_t)(c->count - 2 * t % c->count);
    if (c->mode == 2)
        return (uint16_t)(c->count - t % c->count);
    return (uint16_t)(c->count - t);
}

static bool output(const struct vpit *p, unsigned int i)
{
    const channel_t *c = &p->hw.channels[i];
    uint64_t t = ticks(p, i);

    switch (c->mode) {
    case 0:
        return t >= c->count;
    case 1:
        return t < c->count;
    case 2:
        return t % c->count != c->count - 1;
    case 3:
        return t % c->count < (c->count + 1) / 2;
    default:
        return t != c->count;
    }
}

/* When channel 0's output goes up next, after `ns`. */
static uint64_t next_edge(const struct vpit *p, uint64_t ns)
{
    const channel_t *c = &p->hw.channels[0];
    uint64_t first = p->loaded_at[0] + ns_of(c->count), period = ns_of(c->count), n;

    if (ns < first)
        return first;
    if (!repeats(c))
        return VTIMER_NONE;
    n = (ns - p->loaded_at[0]) / period + 1; /* each from the start, so that nothing drifts */
    return p->loaded_at[0] + MAX(ns_of(n * c->count), ns - p->loaded_at[0] + 1);
}

static void arm(struct vpit *p)
{
    uint64_t now = p->ops->now(p->ctx), at;

    p->next = p->hw.channels[0].mode == 1 || p->hw.channels[0].mode == 5 ? VTIMER_NONE
                                                                         : next_edge(p, now);
    at = p->next;
    if (at != VTIMER_NONE && repeats(&p->hw.channels[0]))
        at = MAX(at, now + VTIMER_MIN_NS);
    p->ops->set_timer(p->ctx, p->which, at);
}

void vpit_timer(struct vpit *p)
{
    if (p->next == VTIMER_NONE)
        return;
    if (p->ops->now(p->ctx) >= p->next) {
        p->ops->isa(p->ctx, 0, true);
        p->ops->isa(p->ctx, 0, false);
    }
    arm(p);
}

/* --- ports --- */

static void load_count(struct vpit *p, unsigned int i, uint16_t count)
{
    p->hw.channels[i].count = count ? count : 0x10000;
    p->loaded_at[i] = p->ops->now(p->ctx);
    if (i == 0)
        arm(p);
}

static void latch_count(struct vpit *p, unsigned int i)
{
    channel_t *c = &p->hw.channels[i];

    if (c->count_latched)
        return;
    c->latched_count = counter(p, i);
    c->count_latched = c->rw_mode;
}

static void latch_status(struct vpit *p, unsigned int i)
{
    channel_t *c = &p->hw.channels[i];

    if (c->status_latched)
        return;
    c->status = (uint8_t)(output(p, i) << 7 | c->rw_mode << 4 | c->mode << 1 | c->bcd);
    c->status_latched = 1;
}

static void write_control(struct vpit *p, uint8_t val)
{
    unsigned int i = val >> 6, access = val >> 4 & 3;
    channel_t *c;

    if (i == 3) { /* read back */
        for (i = 0; i < 3; i++) {
            if (!(val >> (1 + i) & 1))
                continue;
            if (!(val & 0x20))
                latch_count(p, i);
            if (!(val & 0x10))
                latch_status(p, i);
        }
        return;
    }
    if (access == ACCESS_LATCH) {
        latch_count(p, i);
        return;
    }
    c = &p->hw.channels[i];
    c->rw_mode = c->read_state = c->write_state = (uint8_t)access;
    c->mode = (val >> 1 & 7) > 5 ? (val >> 1 & 3) : (val >> 1 & 7);
    c->bcd = val & 1;
    c->count_latched = c->status_latched = 0;
    if (i == 0) { /* it waits for its count */
        p->next = VTIMER_NONE;
        p->ops->set_timer(p->ctx, p->which, VTIMER_NONE);
    }
}

static void write_counter(struct vpit *p, unsigned int i, uint8_t val)
{
    channel_t *c = &p->hw.channels[i];

    switch (c->write_state) {
    case ACCESS_LOW:
        load_count(p, i, val);
        break;
    case ACCESS_HIGH:
        load_count(p, i, (uint16_t)(val << 8));
        break;
    case ACCESS_WORD:
        c->write_latch = val;
        c->write_state = STATE_HIGH_OF_WORD;
        break;
    default:
        c->write_state = ACCESS_WORD;
        load_count(p, i, (uint16_t)(c->write_latch | val << 8));
        break;
    }
}

static uint8_t read_counter(struct vpit *p, unsigned int i)
{
    channel_t *c = &p->hw.channels[i];
    uint16_t val;
    uint8_t *state = c->count_latched ? &c->count_latched : &c->read_state;

    if (c->status_latched) {
        c->status_latched = 0;
        return c->status;
    }
    val = c->count_latched ? c->latched_count : counter(p, i);
    switch (*state) {
    case ACCESS_WORD: /* the high half comes next */
        *state = STATE_HIGH_OF_WORD;
        return (uint8_t)val;
    case STATE_HIGH_OF_WORD:
        *state = c->count_latched ? 0 : ACCESS_WORD;
        return (uint8_t)(val >> 8);
    default:
        val = (uint16_t)(*state == ACCESS_HIGH ? val >> 8 : val);
        if (c->count_latched)
            c->count_latched = 0;
        return (uint8_t)val;
    }
}

static void write_speaker(struct vpit *p, uint8_t val)
{
    channel_t *c = &p->hw.channels[2];

    if (!c->gate && (val & 1)) /* the gate's rising edge starts it again */
        p->loaded_at[2] = p->ops->now(p->ctx);
    c->gate = val & 1;
    p->hw.speaker_data_on = val >> 1 & 1;
}

void vpit_write(struct vpit *p, uint16_t port, uint8_t val)
{
    if (port == 0x61)
        write_speaker(p, val);
    else if (port == 0x43)
        write_control(p, val);
    else
        write_counter(p, port & 3, val);
}

uint8_t vpit_read(struct vpit *p, uint16_t port)
{
    uint64_t refresh;

    if (port == 0x43)
        return 0xff;
    if (port != 0x61)
        return read_counter(p, port & 3);
    refresh = p->ops->now(p->ctx) / 15085 & 1; /* toggles as memory refresh did */
    return (uint8_t)(p->hw.channels[2].gate | p->hw.speaker_data_on << 1 | refresh << 4 |
                     output(p, 2) << 5);
}

/* --- beginning, records --- */

void vpit_init(struct vpit *p, const struct vtimer_ops *ops, void *ctx, unsigned int which)
{
    memset(p, 0, sizeof(*p));
    p->ops = ops;
    p->ctx = ctx;
    p->which = which;
    p->next = VTIMER_NONE;
    for (unsigned int i = 0; i < 3; i++)
        p->hw.channels[i] = (channel_t){ .count = 0x10000,
                                         .mode = 3,
                                         .rw_mode = 3,
                                         .read_state = 3,
                                         .write_state = 3,
                                         .gate = i < 2 };
}

void vpit_save(const struct vpit *p, struct hvm_hw_pit *r)
{
    *r = p->hw;
}

/* Channels begin their periods anew: the record does not say how far they were. */
void vpit_load(struct vpit *p, const struct hvm_hw_pit *r)
{
    uint64_t now = p->ops->now(p->ctx);

    p->hw = *r;
    p->hw.speaker_data_on &= 1;
    p->hw.pad0 = 0;
    for (unsigned int i = 0; i < 3; i++) {
        channel_t *c = &p->hw.channels[i];

        c->count = MIN(MAX(c->count, 1u), 0x10000u);
        c->mode = MIN(c->mode, 5);
        c->rw_mode = MAX(c->rw_mode & 3, 1);
        c->read_state = MIN(MAX(c->read_state, 1), 4);
        c->write_state = MIN(MAX(c->write_state, 1), 4);
        c->count_latched = MIN(c->count_latched, 4);
        c->status_latched &= 1;
        c->bcd &= 1;
        c->gate &= 1;
        p->loaded_at[i] = now;
    }
    arm(p);
}
