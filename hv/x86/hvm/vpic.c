/* SPDX-License-Identifier: MIT */
/*
 * Two 8259A, the second one behind line 2 of the first. A line whose bit in ELCR is set counts as
 * long as it is up; others when they go up, and stay requested until they are acknowledged.
 */
#include "x86/hvm/vpic.h"

#include <xen/errno.h>

#include "lib/string.h"

#define CASCADE 2u
#define NONE 8u

/* Distance from the highest priority; 8: no bit is set. */
static unsigned int first_by_priority(const struct hvm_hw_vpic *c, unsigned int bits)
{
    for (unsigned int i = 0; i < 8; i++)
        if (bits >> ((c->priority_add + i) & 7) & 1)
            return i;
    return NONE;
}

/* The line that asks for service and may have it, or NONE. */
static unsigned int request(const struct hvm_hw_vpic *c)
{
    unsigned int asks = first_by_priority(c, c->irr & ~c->imr), served = c->isr;

    if (asks == NONE)
        return NONE;
    if (c->special_mask_mode)
        served &= ~(unsigned int)c->imr;
    if (c->special_fully_nested_mode && c->is_master)
        served &= ~(1u << CASCADE);
    return asks < first_by_priority(c, served) ? (asks + c->priority_add) & 7 : NONE;
}

static void update(struct vpic *p)
{
    struct hvm_hw_vpic *master = &p->chip[0], *slave = &p->chip[1];
    uint8_t up;

    slave->int_output = request(slave) != NONE;
    if (slave->int_output)
        master->irr |= 1u << CASCADE;
    else
        master->irr &= (uint8_t) ~(1u << CASCADE);
    up = request(master) != NONE;
    if (up == master->int_output)
        return;
    master->int_output = up;
    p->output(p->ctx, up);
}

void vpic_line(struct vpic *p, unsigned int irq, bool up)
{
    struct hvm_hw_vpic *c = &p->chip[irq / 8 & 1];
    uint8_t bit = (uint8_t)(1u << (irq & 7));

    if (up)
        c->irr |= bit;
    else if (c->elcr & bit)
        c->irr &= (uint8_t)~bit;
    update(p);
}

/* --- acknowledging and ending --- */

static void take(struct hvm_hw_vpic *c, unsigned int line)
{
    uint8_t bit = (uint8_t)(1u << line);

    if (!(c->elcr & bit))
        c->irr &= (uint8_t)~bit;
    if (!c->auto_eoi)
        c->isr |= bit;
    else if (c->rotate_on_auto_eoi)
        c->priority_add = (line + 1) & 7;
}

/* The line served, by one chip's turn of an acknowledge cycle; 7 if none asks any more. */
static unsigned int acknowledge_chip(struct hvm_hw_vpic *c)
{
    unsigned int line = request(c);

    if (line == NONE)
        return 7;
    take(c, line);
    return line;
}

uint8_t vpic_acknowledge(struct vpic *p)
{
    unsigned int line = acknowledge_chip(&p->chip[0]), vector = p->chip[0].irq_base + line;

    if (line == CASCADE)
        vector = p->chip[1].irq_base + acknowledge_chip(&p->chip[1]);
    update(p);
    return (uint8_t)vector;
}

static void end_of_interrupt(struct hvm_hw_vpic *c, unsigned int line, bool rotate)
{
    c->isr &= (uint8_t) ~(1u << line);
    if (rotate)
        c->priority_add = (line + 1) & 7;
}

/* --- ports --- */

static void write_icw1(struct hvm_hw_vpic *c, uint8_t val)
{
    c->init_state = (uint8_t)((val & 3) << 2 | 1);
    c->imr = c->isr = 0;
    c->irr &= c->elcr;
    c->priority_add = 0;
    c->special_mask_mode = c->readsel_isr = c->poll = 0;
    c->rotate_on_auto_eoi = 0;
    if (!(val & 1))
        c->special_fully_nested_mode = c->auto_eoi = 0;
}

static void write_ocw2(struct hvm_hw_vpic *c, uint8_t val)
{
    unsigned int line = val & 7, served = c->isr;

    switch (val >> 5) {
    case 0:
    case 4:
        c->rotate_on_auto_eoi = val >> 7;
        break;
    case 1: /* of the highest in service */
    case 5:
        if (c->special_mask_mode)
            served &= ~(unsigned int)c->imr;
        line = first_by_priority(c, served);
        if (line != NONE)
            end_of_interrupt(c, (line + c->priority_add) & 7, val >> 7);
        break;
    case 3:
    case 7:
        end_of_interrupt(c, line, val >> 7);
        break;
    case 6:
        c->priority_add = (line + 1) & 7;
        break;
    default:
        break;
    }
}

static void write_command(struct hvm_hw_vpic *c, uint8_t val)
{
    if (val & 0x10) {
        write_icw1(c, val);
    } else if (val & 8) {
        c->poll = val >> 2 & 1;
        if (val & 2)
            c->readsel_isr = val & 1;
        if (val & 0x40)
            c->special_mask_mode = val >> 5 & 1;
    } else {
        write_ocw2(c, val);
    }
}

static void write_data(struct hvm_hw_vpic *c, uint8_t val)
{
    bool single = c->init_state & 8, icw4 = c->init_state & 4;
    unsigned int next = 0;

    switch (c->init_state & 3) {
    case 0:
        c->imr = val;
        return;
    case 1:
        c->irq_base = val & 0xf8;
        next = single ? (icw4 ? 3 : 0) : 2;
        break;
    case 2:
        next = icw4 ? 3 : 0;
        break;
    default:
        c->special_fully_nested_mode = val >> 4 & 1;
        c->auto_eoi = val >> 1 & 1;
        break;
    }
    c->init_state = (uint8_t)(next ? (c->init_state & 12) | next : 0);
}

static const uint8_t elcr_writable[2] = { 0xf8, 0xde };

void vpic_write(struct vpic *p, uint16_t port, uint8_t val)
{
    struct hvm_hw_vpic *c = &p->chip[port >= 0x4d0 ? port & 1 : port >> 7 & 1];

    if (port >= 0x4d0)
        c->elcr = val & elcr_writable[port & 1];
    else if (port & 1)
        write_data(c, val);
    else
        write_command(c, val);
    update(p);
}

uint8_t vpic_read(struct vpic *p, uint16_t port)
{
    struct hvm_hw_vpic *c = &p->chip[port >= 0x4d0 ? port & 1 : port >> 7 & 1];
    unsigned int line;

    if (port >= 0x4d0)
        return c->elcr;
    if (c->poll) { /* reading acknowledges */
        c->poll = 0;
        line = request(c);
        if (line == NONE)
            return 7;
        take(c, line);
        update(p);
        return (uint8_t)(0x80 | line);
    }
    if (port & 1)
        return c->imr;
    return c->readsel_isr ? c->isr : c->irr;
}

/* --- beginning, records --- */

void vpic_init(struct vpic *p, void (*output)(void *ctx, bool up), void *ctx)
{
    memset(p, 0, sizeof(*p));
    p->output = output;
    p->ctx = ctx;
    p->chip[0].is_master = 1;
}

int vpic_load(struct vpic *p, unsigned int chip, const struct hvm_hw_vpic *r)
{
    struct hvm_hw_vpic *c;

    if (chip > 1)
        return -XEN_EINVAL;
    c = &p->chip[chip];
    *c = *r;
    c->is_master = chip == 0;
    c->irq_base &= 0xf8;
    c->elcr &= elcr_writable[chip];
    c->priority_add &= 7;
    c->int_output = 0; /* counted anew, and told */
    update(p);
    return 0;
}
