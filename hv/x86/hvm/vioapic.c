/* SPDX-License-Identifier: MIT */
/*
 * A pin that goes up sends the message of its entry, unless that is masked. A level-triggered one
 * then waits for the end of the interrupt (remote IRR) and sends again if it is still up.
 */
#include "x86/hvm/vioapic.h"

#include "lib/macros.h"
#include "lib/string.h"

#define VERSION 0x11u
#define REG_SELECT 0x00
#define REG_WINDOW 0x10

static void deliver(struct vioapic *p, unsigned int pin)
{
    union vioapic_redir_entry *e = &p->hw.redirtbl[pin];
    struct apic_message m = { .dest = e->fields.dest_id,
                              .vector = e->fields.vector,
                              .mode = e->fields.delivery_mode,
                              .logical = e->fields.dest_mode,
                              .level = e->fields.trig_mode };

    if (m.mode != APIC_FIXED && m.mode != APIC_LOWEST)
        m.level = false; /* NMI and INIT are edges whatever the entry says */
    if (p->send(p->ctx, &m) && m.level)
        e->fields.remote_irr = 1;
}

/* Sends what a pin that is up has to say. */
static void look(struct vioapic *p, unsigned int pin)
{
    const union vioapic_redir_entry *e = &p->hw.redirtbl[pin];

    if (p->lines & BIT(pin) && !e->fields.mask && !(e->fields.trig_mode && e->fields.remote_irr))
        deliver(p, pin);
}

void vioapic_line(struct vioapic *p, unsigned int pin, bool up)
{
    uint64_t before = p->lines;

    p->lines = up ? before | BIT(pin) : before & ~BIT(pin);
    if (up && !(before & BIT(pin)))
        look(p, pin);
}

void vioapic_eoi(struct vioapic *p, uint8_t vector)
{
    for (unsigned int pin = 0; pin < VIOAPIC_NUM_PINS; pin++) {
        union vioapic_redir_entry *e = &p->hw.redirtbl[pin];

        if (e->fields.vector != vector || !e->fields.trig_mode || !e->fields.remote_irr)
            continue;
        e->fields.remote_irr = 0;
        look(p, pin);
    }
}

bool vioapic_takes_extint(const struct vioapic *p)
{
    union vioapic_redir_entry e = { .bits = __atomic_load_n(&p->hw.redirtbl[0].bits,
                                                            __ATOMIC_RELAXED) };

    return !e.fields.mask && e.fields.delivery_mode == APIC_EXTINT;
}

static uint32_t read_selected(const struct vioapic *p)
{
    unsigned int index = p->hw.ioregsel & 0xff, pin = (index - 0x10) / 2;

    if (index == 0 || index == 2)
        return (p->hw.id & 15) << 24;
    if (index == 1)
        return VERSION | (VIOAPIC_NUM_PINS - 1) << 16;
    if (index < 0x10 || pin >= VIOAPIC_NUM_PINS)
        return 0;
    return (uint32_t)(p->hw.redirtbl[pin].bits >> (index & 1 ? 32 : 0));
}

/* Entry `pin` gets the value `bits`, but for what only the device changes. */
static void set_entry(struct vioapic *p, unsigned int pin, uint64_t bits)
{
    union vioapic_redir_entry *e = &p->hw.redirtbl[pin], new = { .bits = bits };

    new.fields.delivery_status = 0;
    new.fields.remote_irr = new.fields.trig_mode ? e->fields.remote_irr : 0;
    new.fields.reserve = 0;
    memset(new.fields.reserved, 0, sizeof(new.fields.reserved));
    *e = new;
    if (new.fields.trig_mode) /* an edge behind a mask is lost, a level is not */
        look(p, pin);
}

static void write_selected(struct vioapic *p, uint32_t val)
{
    unsigned int index = p->hw.ioregsel & 0xff, pin = (index - 0x10) / 2;
    uint64_t old;

    if (index == 0)
        p->hw.id = val >> 24 & 15;
    if (index < 0x10 || pin >= VIOAPIC_NUM_PINS)
        return;
    old = p->hw.redirtbl[pin].bits;
    if (index & 1)
        set_entry(p, pin, (old & 0xffffffff) | (uint64_t)val << 32);
    else
        set_entry(p, pin, (old & ~0xffffffffull) | val);
}

uint32_t vioapic_read(const struct vioapic *p, unsigned int offset)
{
    if (offset == REG_SELECT)
        return p->hw.ioregsel;
    return offset == REG_WINDOW ? read_selected(p) : 0;
}

void vioapic_write(struct vioapic *p, unsigned int offset, uint32_t val)
{
    if (offset == REG_SELECT)
        p->hw.ioregsel = val & 0xff;
    else if (offset == REG_WINDOW)
        write_selected(p, val);
}

void vioapic_init(struct vioapic *p, bool (*send)(void *ctx, const struct apic_message *m),
                  void *ctx)
{
    memset(p, 0, sizeof(*p));
    p->send = send;
    p->ctx = ctx;
    p->hw.base_address = VIOAPIC_BASE;
    for (unsigned int i = 0; i < VIOAPIC_NUM_PINS; i++)
        p->hw.redirtbl[i].fields.mask = 1;
}

void vioapic_set_lines(struct vioapic *p, uint64_t lines)
{
    p->lines = lines;
    for (unsigned int pin = 0; pin < VIOAPIC_NUM_PINS; pin++)
        if (p->hw.redirtbl[pin].fields.trig_mode)
            look(p, pin);
}

void vioapic_load(struct vioapic *p, const struct hvm_hw_vioapic *r)
{
    p->hw.id = r->id & 15;
    p->hw.ioregsel = r->ioregsel & 0xff;
    for (unsigned int pin = 0; pin < VIOAPIC_NUM_PINS; pin++) {
        p->hw.redirtbl[pin].fields.remote_irr = r->redirtbl[pin].fields.remote_irr;
        set_entry(p, pin, r->redirtbl[pin].bits);
    }
}
