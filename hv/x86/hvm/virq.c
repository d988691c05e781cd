/* SPDX-License-Identifier: MIT */
/*
 * The wires from devices to the pins of the I/O APIC and to the PICs: a pin is up while at least
 * one source pulls it. The domain's device lock is held.
 */
#include "x86/hvm/virq.h"

#include <xen/errno.h>

#include "lib/bitmap.h"
#include "lib/macros.h"
#include "lib/string.h"

#define NO_LINE 16u

/* Pin and PIC line get one pull more or less. */
static void pull(struct virq *q, unsigned int pin, unsigned int line, bool up)
{
    uint8_t before = q->pulls[pin];

    q->pulls[pin] = (uint8_t)(up ? before + 1 : before - 1);
    if (up ? before != 0 : q->pulls[pin] != 0)
        return;
    vioapic_line(&q->ioapic, pin, up);
    if (line < NO_LINE)
        vpic_line(&q->pic, line, up);
}

static unsigned int isa_pin(unsigned int irq)
{
    return irq ? irq : 2;
}

void virq_isa(struct virq *q, unsigned int irq, bool up)
{
    if (irq > 15 || bit_test(q->isa.i, irq) == up)
        return;
    bitmap_assign(q->isa.i, irq, up);
    pull(q, isa_pin(irq), irq, up);
}

unsigned int virq_pci_pin(unsigned int device, unsigned int intx)
{
    return (((device << 2) + (device >> 3) + intx) & 31) + 16;
}

static void pull_link(struct virq *q, unsigned int link, bool up)
{
    uint8_t before = q->link_pulls[link], irq = q->link.route[link];

    q->link_pulls[link] = (uint8_t)(up ? before + 1 : before - 1);
    if (irq && (up ? before == 0 : before == 1))
        pull(q, isa_pin(irq), irq, up);
}

static void pull_intx(struct virq *q, unsigned int device, unsigned int intx, bool up)
{
    pull(q, virq_pci_pin(device, intx), NO_LINE, up);
    pull_link(q, (device + intx) & 3, up);
}

void virq_pci(struct virq *q, unsigned int device, unsigned int intx, bool up)
{
    unsigned int wire = device * 4 + intx;

    if (device > 31 || intx > 3 || bit_test(q->pci.i, wire) == up)
        return;
    bitmap_assign(q->pci.i, wire, up);
    pull_intx(q, device, intx, up);
}

void virq_gsi(struct virq *q, unsigned int gsi, bool up)
{
    if (gsi < VIOAPIC_NUM_PINS)
        pull(q, gsi, MIN(gsi, NO_LINE), up);
}

void virq_callback(struct virq *q, bool up)
{
    const struct virq_callback *c = &q->callback;

    if (c->via == CALLBACK_NONE || c->up == up)
        return;
    q->callback.up = up;
    if (c->via == CALLBACK_GSI)
        virq_gsi(q, c->gsi, up);
    else
        pull_intx(q, c->device, c->intx, up);
}

int virq_set_link(struct virq *q, unsigned int link, unsigned int irq)
{
    unsigned int old;

    if (link >= VIRQ_LINKS || irq > 15)
        return -XEN_EINVAL;
    old = q->link.route[link];
    if (old == irq)
        return 0;
    q->link.route[link] = (uint8_t)irq;
    if (!q->link_pulls[link])
        return 0;
    if (old)
        pull(q, isa_pin(old), old, false);
    if (irq)
        pull(q, isa_pin(irq), irq, true);
    return 0;
}

/*
 * Only counts: what the controllers did about a line that went up is in their own records, and an
 * edge must not come twice.
 */
void virq_loaded(struct virq *q)
{
    const struct virq_callback *c = &q->callback;
    uint64_t lines = 0;

    memset(q->pulls, 0, sizeof(q->pulls));
    memset(q->link_pulls, 0, sizeof(q->link_pulls));
    q->isa.pad[0] &= 0xffff;
    for (unsigned int i = 0; i < 16; i++)
        q->pulls[isa_pin(i)] += bit_test(q->isa.i, i);
    for (unsigned int i = 0; i < 128; i++) {
        q->pulls[virq_pci_pin(i / 4, i % 4)] += bit_test(q->pci.i, i);
        q->link_pulls[(i / 4 + i % 4) & 3] += bit_test(q->pci.i, i);
    }
    if (c->up && c->via == CALLBACK_INTX) {
        q->pulls[virq_pci_pin(c->device, c->intx)]++;
        q->link_pulls[(c->device + c->intx) & 3]++;
    }
    for (unsigned int i = 0; i < VIRQ_LINKS; i++) {
        if (q->link.route[i] > 15)
            q->link.route[i] = 0;
        if (q->link.route[i] && q->link_pulls[i])
            q->pulls[isa_pin(q->link.route[i])]++;
    }
    if (c->up && c->via == CALLBACK_GSI)
        q->pulls[c->gsi]++;
    for (unsigned int i = 0; i < VIOAPIC_NUM_PINS; i++)
        if (q->pulls[i])
            lines |= BIT(i);
    vioapic_set_lines(&q->ioapic, lines);
}

void virq_init(struct virq *q, const struct virq_hooks *hooks, void *ctx)
{
    memset(q, 0, sizeof(*q));
    vioapic_init(&q->ioapic, hooks->send, ctx);
    vpic_init(&q->pic, hooks->extint, ctx);
}
