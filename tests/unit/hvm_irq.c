/* SPDX-License-Identifier: MIT */
/* PICs, I/O APIC and the wires to them. */
#include "unit.h"

#include "x86/hvm/virq.h"

static struct virq q;
static struct apic_message last;
static unsigned int sent, outputs;
static bool output_up, refuse;

static bool op_send(void *ctx, const struct apic_message *m)
{
    CHECK(ctx == &q);
    sent++;
    last = *m;
    return !refuse;
}

static void op_extint(void *ctx, bool up)
{
    CHECK(ctx == &q);
    outputs++;
    output_up = up;
}

static void fresh(void)
{
    static const struct virq_hooks hooks = { op_send, op_extint };

    virq_init(&q, &hooks, &q);
    sent = outputs = 0;
    output_up = refuse = false;
}

/* As PC firmware does. */
static void start_pics(uint8_t icw4)
{
    static const uint16_t ports[2] = { 0x20, 0xa0 };

    for (int i = 0; i < 2; i++) {
        vpic_write(&q.pic, ports[i], 0x11);
        vpic_write(&q.pic, ports[i] + 1, i ? 0x28 : 0x20);
        vpic_write(&q.pic, ports[i] + 1, i ? 2 : 4);
        vpic_write(&q.pic, ports[i] + 1, icw4);
        vpic_write(&q.pic, ports[i] + 1, 0);
    }
}

TEST(pic_edges_and_priorities)
{
    fresh();
    start_pics(1);
    virq_isa(&q, 4, true);
    CHECK(output_up);
    virq_isa(&q, 4, false); /* an edge stays requested */
    virq_isa(&q, 1, true);
    CHECK_EQ(vpic_read(&q.pic, 0x20), 0x12);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x21);
    CHECK(!output_up); /* 4 has to wait for 1 */
    vpic_write(&q.pic, 0x20, 0x0b);
    CHECK_EQ(vpic_read(&q.pic, 0x20), 2);
    vpic_write(&q.pic, 0x20, 0x20);
    CHECK(output_up);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x24);
    virq_isa(&q, 0, true); /* a higher one interrupts */
    CHECK(output_up);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x20);
    vpic_write(&q.pic, 0x20, 0x64); /* the end of 4 alone */
    vpic_write(&q.pic, 0x20, 0x20);
    CHECK_EQ(vpic_read(&q.pic, 0x20), 0);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x27); /* spurious, and not in service */
    CHECK_EQ(vpic_read(&q.pic, 0x20), 0);
}

TEST(pic_slave)
{
    fresh();
    start_pics(1);
    virq_isa(&q, 14, true);
    CHECK_EQ(vpic_read(&q.pic, 0xa0), 0x40);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x2e);
    CHECK(!output_up);
    virq_isa(&q, 8, true); /* held by the master, which has line 2 in service */
    CHECK(!output_up);
    vpic_write(&q.pic, 0x20, 0x20);
    CHECK(output_up);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x28);
    vpic_write(&q.pic, 0xa0, 0x20);
    vpic_write(&q.pic, 0xa0, 0x20);
    vpic_write(&q.pic, 0x20, 0x20);
    CHECK(!output_up);
    vpic_write(&q.pic, 0xa1, 0xff);
    virq_isa(&q, 12, true);
    CHECK(!output_up); /* masked */
    vpic_write(&q.pic, 0xa1, 0xef);
    CHECK(output_up);
    vpic_write(&q.pic, 0x21, 4); /* the cascade is masked */
    CHECK(!output_up);
}

TEST(pic_modes)
{
    fresh();
    start_pics(3); /* automatic end */
    virq_isa(&q, 3, true);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x23);
    vpic_write(&q.pic, 0x20, 0x0b);
    CHECK_EQ(vpic_read(&q.pic, 0x20), 0);
    virq_isa(&q, 3, false);
    start_pics(1);
    vpic_write(&q.pic, 0x4d1, 0xff);
    CHECK_EQ(vpic_read(&q.pic, 0x4d1), 0xde); /* lines 8 and 13 cannot be */
    vpic_write(&q.pic, 0x4d0, 0x20);
    virq_isa(&q, 5, true); /* level */
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x25);
    vpic_write(&q.pic, 0x20, 0x20);
    CHECK(output_up); /* it is still up */
    virq_isa(&q, 5, false);
    CHECK(!output_up);
    /* Rotation: after 5 is served with rotation, 6 is the highest. */
    virq_isa(&q, 5, true);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x25);
    virq_isa(&q, 5, false);
    vpic_write(&q.pic, 0x20, 0xa0);
    virq_isa(&q, 1, true);
    virq_isa(&q, 6, true);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x26);
    vpic_write(&q.pic, 0x20, 0x20);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x21);
    /* Special mask mode: what is in service and masked holds nobody. */
    virq_isa(&q, 3, true);
    virq_isa(&q, 3, false);
    vpic_write(&q.pic, 0x20, 0xc7); /* back to 0 first */
    CHECK(!output_up);
    vpic_write(&q.pic, 0x20, 0x68);
    vpic_write(&q.pic, 0x21, 2);
    CHECK(output_up);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x23);
    /* Special fully nested: the slave's higher lines interrupt its lower ones. */
    start_pics(0x11);
    virq_isa(&q, 12, true);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x2c);
    virq_isa(&q, 9, true);
    CHECK(output_up);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x29);
    virq_isa(&q, 9, false);
    virq_isa(&q, 12, false);
    /* A poll acknowledges. */
    start_pics(1);
    virq_isa(&q, 7, true);
    vpic_write(&q.pic, 0x20, 0x0c);
    CHECK_EQ(vpic_read(&q.pic, 0x20), 0x87);
    vpic_write(&q.pic, 0x20, 0x0c);
    CHECK_EQ(vpic_read(&q.pic, 0x20), 7);
}

static void entry(unsigned int pin, uint64_t bits)
{
    for (unsigned int half = 0; half < 2; half++) {
        vioapic_write(&q.ioapic, 0, 0x10 + 2 * pin + half);
        vioapic_write(&q.ioapic, 0x10, (uint32_t)(bits >> (32 * half)));
    }
}

static uint64_t entry_of(unsigned int pin)
{
    uint64_t bits = 0;

    for (unsigned int half = 0; half < 2; half++) {
        vioapic_write(&q.ioapic, 0, 0x10 + 2 * pin + half);
        bits |= (uint64_t)vioapic_read(&q.ioapic, 0x10) << (32 * half);
    }
    return bits;
}

TEST(ioapic_edges_and_levels)
{
    fresh();
    vioapic_write(&q.ioapic, 0, 1);
    CHECK_EQ(vioapic_read(&q.ioapic, 0x10), 0x2f0011);
    CHECK_EQ(entry_of(7), 0x10000);
    entry(4, 2ull << 56 | 0x34);
    virq_isa(&q, 4, true);
    CHECK(sent == 1 && last.vector == 0x34 && last.dest == 2 && !last.level && !last.logical);
    virq_isa(&q, 4, true); /* no second edge */
    CHECK_EQ(sent, 1);
    virq_isa(&q, 4, false);
    virq_isa(&q, 4, true);
    CHECK_EQ(sent, 2);
    virq_isa(&q, 0, true); /* ISA 0 is pin 2 */
    entry(2, 0x30);
    CHECK_EQ(sent, 2); /* an edge behind a mask is lost */
    virq_isa(&q, 0, false);
    virq_isa(&q, 0, true);
    CHECK(sent == 3 && last.vector == 0x30);
    /* A level waits for its end and comes again while the line is up. */
    unsigned int pin = virq_pci_pin(3, 0);
    CHECK_EQ(pin, 28);
    virq_pci(&q, 3, 0, true);
    entry(pin, 0x8845ull);
    CHECK(sent == 4 && last.level && last.logical && last.vector == 0x45);
    CHECK_EQ(entry_of(pin), 0xc845); /* remote IRR */
    virq_pci(&q, 3, 0, false);
    virq_pci(&q, 3, 0, true);
    CHECK_EQ(sent, 4);
    vioapic_eoi(&q.ioapic, 0x44);
    CHECK_EQ(sent, 4);
    vioapic_eoi(&q.ioapic, 0x45);
    CHECK_EQ(sent, 5);
    virq_pci(&q, 3, 0, false);
    vioapic_eoi(&q.ioapic, 0x45);
    CHECK_EQ(sent, 5);
    CHECK_EQ(entry_of(pin), 0x8845);
    refuse = true; /* nobody takes it: it does not wait for an end */
    virq_pci(&q, 3, 0, true);
    CHECK_EQ(entry_of(pin), 0x8845);
    vioapic_write(&q.ioapic, 0, 0xff);
    vioapic_write(&q.ioapic, 0x10, ~0u);
    CHECK_EQ(vioapic_read(&q.ioapic, 0x10), 0);
}

TEST(wires_share_pins)
{
    fresh();
    start_pics(1);
    vpic_write(&q.pic, 0x4d0, 0xf8);
    vpic_write(&q.pic, 0x4d1, 0xde);
    CHECK_EQ(virq_set_link(&q, 4, 5), -22);
    CHECK_EQ(virq_set_link(&q, 0, 16), -22);
    CHECK_EQ(virq_set_link(&q, 1, 11), 0);
    entry(virq_pci_pin(1, 0), 0x8050);
    virq_pci(&q, 1, 0, true); /* link 1 */
    CHECK(sent == 1 && output_up);
    CHECK_EQ(vpic_acknowledge(&q.pic), 0x2b);
    virq_pci(&q, 5, 0, true); /* the same link */
    virq_pci(&q, 1, 0, false);
    CHECK_EQ(vpic_read(&q.pic, 0xa0), 8); /* still up */
    CHECK_EQ(virq_set_link(&q, 1, 10), 0);
    CHECK_EQ(vpic_read(&q.pic, 0xa0), 4);
    virq_isa(&q, 10, true);
    virq_pci(&q, 5, 0, false);
    CHECK_EQ(vpic_read(&q.pic, 0xa0), 4);
    virq_isa(&q, 10, false);
    CHECK_EQ(vpic_read(&q.pic, 0xa0), 0);
    virq_gsi(&q, 100, true);
    virq_pci(&q, 32, 0, true);
    virq_isa(&q, 16, true);
    for (unsigned int i = 0; i < VIOAPIC_NUM_PINS; i++)
        CHECK_EQ(q.pulls[i], 0);
}

/* Event channels by a pin: level, and in company. */
TEST(irq_callback)
{
    fresh();
    start_pics(1);
    vpic_write(&q.pic, 0x4d1, 0x0c); /* 10 and 11 are levels */
    virq_callback(&q, true);         /* by nothing */
    CHECK(!q.callback.up);
    entry(24, 0x8050);
    q.callback = (struct virq_callback){ .via = CALLBACK_GSI, .gsi = 24 };
    virq_callback(&q, true);
    virq_callback(&q, true);
    CHECK_EQ(sent, 1);
    vioapic_eoi(&q.ioapic, 0x50); /* still up */
    CHECK_EQ(sent, 2);
    virq_loaded(&q);
    CHECK_EQ(q.pulls[24], 1);
    virq_callback(&q, false);
    vioapic_eoi(&q.ioapic, 0x50);
    CHECK_EQ(sent, 2);
    CHECK_EQ(q.pulls[24], 0);

    CHECK_EQ(virq_set_link(&q, 3, 11), 0);
    entry(virq_pci_pin(2, 1), 0x8051);
    q.callback = (struct virq_callback){ .via = CALLBACK_INTX, .device = 2, .intx = 1 };
    virq_callback(&q, true);
    CHECK_EQ(sent, 3);
    CHECK(output_up && vpic_acknowledge(&q.pic) == 0x2b);
    virq_pci(&q, 2, 1, true); /* the device's own is another's business */
    virq_loaded(&q);
    CHECK_EQ(q.pulls[virq_pci_pin(2, 1)], 2);
    CHECK_EQ(q.link_pulls[3], 2);
    CHECK_EQ(q.pulls[11], 1);
    virq_pci(&q, 2, 1, false);
    vioapic_eoi(&q.ioapic, 0x51);
    CHECK_EQ(sent, 4);
    virq_callback(&q, false);
    vioapic_eoi(&q.ioapic, 0x51);
    CHECK_EQ(sent, 4);
    for (unsigned int i = 0; i < VIOAPIC_NUM_PINS; i++)
        CHECK_EQ(q.pulls[i], 0);
    CHECK_EQ(q.link_pulls[3], 0);
}

TEST(irq_records)
{
    struct virq saved;

    fresh();
    start_pics(1);
    virq_set_link(&q, 3, 5);
    entry(4, 0x34);
    entry(virq_pci_pin(2, 1), 0x8051);
    virq_isa(&q, 4, true);
    virq_pci(&q, 2, 1, true);
    CHECK_EQ(sent, 2);
    saved = q;
    fresh();
    CHECK_EQ(vpic_load(&q.pic, 0, &saved.pic.chip[0]), 0);
    CHECK_EQ(vpic_load(&q.pic, 1, &saved.pic.chip[1]), 0);
    CHECK_EQ(vpic_load(&q.pic, 2, &saved.pic.chip[1]), -22);
    CHECK(output_up);
    vioapic_load(&q.ioapic, &saved.ioapic.hw);
    q.pci = saved.pci;
    q.isa = saved.isa;
    q.link = saved.link;
    virq_loaded(&q);
    CHECK_EQ(sent, 0); /* the edge was delivered over there, the level waits for its end */
    CHECK(memcmp(q.pulls, saved.pulls, sizeof(q.pulls)) == 0);
    vioapic_eoi(&q.ioapic, 0x51);
    CHECK_EQ(sent, 1);
    virq_pci(&q, 2, 1, false);
    virq_isa(&q, 4, false);
    for (unsigned int i = 0; i < VIOAPIC_NUM_PINS; i++)
        CHECK_EQ(q.pulls[i], 0);
    memset(&q.pic.chip, 0xff, sizeof(q.pic.chip)); /* a hostile record */
    saved.pic = q.pic;
    vpic_load(&q.pic, 1, &saved.pic.chip[1]);
    CHECK(!q.pic.chip[1].is_master && q.pic.chip[1].priority_add < 8);
    memset(&saved.ioapic.hw, 0xff, sizeof(saved.ioapic.hw));
    vioapic_load(&q.ioapic, &saved.ioapic.hw);
    memset(&q.link, 0xff, sizeof(q.link));
    memset(&q.pci, 0xff, sizeof(q.pci));
    virq_loaded(&q);
    CHECK_EQ(q.link.route[0], 0);
}
