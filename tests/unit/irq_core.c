/* SPDX-License-Identifier: MIT */
/* Interrupt sources on simulated chips and four CPUs. */
#include "machine.h"
#include "x86/irq/gsi.c"
#include "x86/irq/irq.c"

volatile uint32_t *lapic_regs;
static uint32_t regs[1024];
struct pcpu *pcpus[MAX_CPUS];
unsigned int nr_pcpus;
static struct x86_pcpu cpus[4];
static uint64_t now_ns;

/* What the chip was told last. */
static struct {
    uint32_t apic_id;
    uint8_t vector;
    bool masked;
    unsigned int programs;
} chip;
static unsigned int sent, last_port, eois, handled;

static void chip_program(struct irq *irq, uint32_t apic_id)
{
    chip.apic_id = apic_id;
    chip.vector = irq->vector;
    chip.programs++;
}

static void chip_mask(struct irq *irq)
{
    (void)irq;
    chip.masked = true;
}

static void chip_unmask(struct irq *irq)
{
    (void)irq;
    chip.masked = false;
}

const struct irq_chip ioapic_chip = { "test", chip_program, chip_mask, chip_unmask };

bool ioapic_has_gsi(uint32_t gsi)
{
    return gsi < 24;
}

bool lapic_test_vector(unsigned int reg, uint8_t vector)
{
    (void)reg;
    (void)vector;
    return true;
}

void evtchn_send_pirq(struct domain *d, evtchn_port port)
{
    CHECK(d != NULL);
    sent++;
    last_port = port;
}

void *frame_alloc_hv(void)
{
    return calloc(1, PAGE_SIZE);
}

void frame_free_hv(void *page)
{
    free(page);
}

uint64_t arch_now(void)
{
    return now_ns += 1000;
}

static struct domain dom;

static void setup(void)
{
    lapic_regs = regs;
    gsi_reset();
    nr_pcpus = 4;
    for (unsigned int i = 0; i < 4; i++) {
        cpus[i].apic_id = i * 2;
        pcpus[i] = &cpus[i].p;
    }
    machine_cpu = 0;
    machine_log[0] = 0;
    sent = handled = 0;
    spurious_seen = 0;
}

/* An interrupt at the CPU and vector that the chip was told. */
static void fire(void)
{
    machine_cpu = chip.apic_id / 2;
    regs[LAPIC_EOI / 4] = 1;
    irq_handle(chip.vector);
    eois += regs[LAPIC_EOI / 4] == 0;
}

TEST(vectors_to_pick)
{
    DECLARE_BITMAP(used, 256);

    bitmap_zero(used, 256);
    CHECK_EQ(irq_pick_vector(used, VEC_DEVICE_FIRST), VEC_DEVICE_FIRST);
    CHECK_EQ(irq_pick_vector(used, VEC_INT80), VEC_INT80 + 1);
    CHECK_EQ(irq_pick_vector(used, VEC_INT82), VEC_INT82 + 1);
    CHECK_EQ(irq_pick_vector(used, 0xf0), VEC_DEVICE_FIRST);
    CHECK_EQ(irq_pick_vector(used, 0), VEC_DEVICE_FIRST);
    bitmap_set(used, VEC_DEVICE_LAST);
    CHECK_EQ(irq_pick_vector(used, VEC_DEVICE_LAST), VEC_DEVICE_FIRST);
    for (unsigned int v = VEC_DEVICE_FIRST; v <= VEC_DEVICE_LAST; v++)
        bitmap_set(used, v);
    CHECK_EQ(irq_pick_vector(used, 0x40), 0);
    bitmap_clear(used, 0x3f);
    CHECK_EQ(irq_pick_vector(used, 0x40), 0x3f);
    bitmap_set(used, 0x3f);
    bitmap_clear(used, VEC_INT80); /* never given out */
    CHECK_EQ(irq_pick_vector(used, 0x40), 0);
}

TEST(edge_is_acknowledged_at_once)
{
    struct irq *irq;

    setup();
    irq = irq_of_gsi(5);
    CHECK(irq && irq_of_gsi(5) == irq);
    CHECK(!irq_needs_eoi(irq));
    CHECK_EQ(irq_bind_guest(irq, 1, &dom, 77), 0);
    CHECK_EQ(chip.apic_id, 2);
    CHECK(!chip.masked);
    CHECK_EQ(irq_bind_guest(irq, 1, &dom, 78), -XEN_EBUSY);
    fire();
    fire();
    CHECK_EQ(sent, 2);
    CHECK_EQ(last_port, 77);
    CHECK(!chip.masked);
    irq_unbind(irq);
    CHECK(chip.masked);
}

TEST(level_waits_for_the_guest)
{
    struct irq *irq;

    setup();
    irq = irq_of_gsi(17);
    CHECK(irq_needs_eoi(irq));
    CHECK_EQ(irq_bind_guest(irq, 0, &dom, 9), 0);
    eois = 0;
    fire();
    CHECK_EQ(eois, 1);
    CHECK(chip.masked); /* stuck or not, it says no more */
    irq_guest_eoi(irq);
    CHECK(!chip.masked);
    irq_guest_eoi(irq); /* harmless */
    fire();
    irq_unbind(irq);
    irq_guest_eoi(irq);
    CHECK(chip.masked); /* closed while in flight */
    CHECK_EQ(irq_bind_guest(irq, 0, &dom, 9), 0);
    CHECK(!chip.masked);
    irq_unbind(irq);
}

TEST(edge_before_binding_is_kept)
{
    struct irq *irq;

    setup();
    irq = irq_alloc(&ioapic_chip);
    CHECK_EQ(irq_assign_vector(irq, 2), 0);
    fire();
    CHECK_EQ(sent, 0);
    CHECK_EQ(irq_bind_guest(irq, 2, &dom, 5), 0);
    CHECK_EQ(sent, 1);
    irq_unbind(irq);
    CHECK_EQ(irq_bind_guest(irq, 2, &dom, 5), 0);
    CHECK_EQ(sent, 1);
    irq_unbind(irq);
    irq_free(irq);
}

TEST(moving_keeps_the_vector_and_the_old_place)
{
    struct irq *irq;
    uint8_t vector;

    setup();
    irq = irq_alloc(&ioapic_chip);
    CHECK_EQ(irq_bind_guest(irq, 0, &dom, 3), 0);
    vector = chip.vector;
    irq_set_cpu(irq, 3);
    CHECK_EQ(chip.apic_id, 6);
    CHECK_EQ(chip.vector, vector);
    fire();
    machine_cpu = 0; /* one that was under way to the old CPU */
    irq_handle(vector);
    CHECK_EQ(sent, 2);
    irq_set_cpu(irq, 99); /* no such CPU */
    CHECK_EQ(chip.apic_id, 6);
    irq_unbind(irq);
    irq_free(irq);
    irq_handle(vector);
    machine_cpu = 3;
    irq_handle(vector);
    CHECK_EQ(spurious_seen, 2); /* the vector is free on both */
    CHECK_EQ(sent, 2);
}

TEST(a_taken_vector_stops_a_move)
{
    struct irq *a, *b;

    setup();
    a = irq_alloc(&ioapic_chip);
    b = irq_alloc(&ioapic_chip);
    next_vector = 0x50;
    CHECK_EQ(irq_assign_vector(a, 0), 0);
    next_vector = 0x50;
    CHECK_EQ(irq_assign_vector(b, 1), 0);
    CHECK_EQ(a->vector, b->vector);
    irq_set_cpu(a, 1);
    CHECK_EQ(a->cpu, 0);
    irq_set_cpu(a, 2);
    CHECK_EQ(a->cpu, 2);
    irq_free(a);
    irq_free(b);
}

TEST(vectors_run_out)
{
    static struct irq *all[4 * 256];
    unsigned int n = 0;

    setup();
    for (; n < ARRAY_SIZE(all); n++) {
        all[n] = irq_alloc(&ioapic_chip);
        if (irq_assign_vector(all[n], 0))
            break;
    }
    /* GSIs 5 and 17 have kept theirs: one on CPU 1, one on CPU 0. */
    CHECK_EQ(n, 4 * (VEC_DEVICE_LAST - VEC_DEVICE_FIRST + 1 - 2) - 2);
    CHECK(all[n] && all[n]->vector == 0);
    for (unsigned int i = 0; i <= n; i++)
        irq_free(all[i]);
    all[0] = irq_alloc(&ioapic_chip);
    CHECK_EQ(irq_assign_vector(all[0], 0), 0);
    CHECK_EQ(all[0]->cpu, 0);
    irq_free(all[0]);
}

static void handler(void *arg)
{
    CHECK(arg == &handled);
    handled++;
}

TEST(own_handler)
{
    setup();
    gsi_add_override(4, 20, 0);
    CHECK_EQ(irq_bind_isa(4, handler, &handled), 0);
    fire();
    CHECK_EQ(handled, 1);
    CHECK_EQ(irq_bind_guest(irq_of_gsi(20), 0, &dom, 1), -XEN_EBUSY);
    CHECK_EQ(irq_bind_isa(16, handler, NULL), -XEN_ENODEV);
    irq_unbind(irq_of_gsi(20));
}

TEST(stuck_line_of_our_own_is_given_up)
{
    setup();
    CHECK_EQ(irq_bind_handler(irq_of_gsi(18), 0, handler, &handled), 0);
    for (unsigned int i = 0; i < 2 * STORM_LIMIT && !chip.masked; i++) {
        now_ns -= 900; /* 10 us apart at most */
        fire();
    }
    CHECK(chip.masked);
    CHECK(handled <= STORM_LIMIT);
    CHECK(strstr(machine_log, "never goes quiet") != NULL);
    irq_unbind(irq_of_gsi(18));
}

TEST(mode_of_a_line)
{
    struct gsi_mode edge = { .level = false }, level = { .level = true, .active_low = true };
    struct irq *irq;

    setup();
    irq = irq_of_gsi(19);
    CHECK(irq_needs_eoi(irq));
    CHECK_EQ(irq_set_gsi_mode(19, edge), 0);
    CHECK(!irq_needs_eoi(irq));
    CHECK_EQ(irq_bind_guest(irq, 0, &dom, 1), 0);
    CHECK_EQ(irq_set_gsi_mode(19, level), -XEN_EBUSY);
    CHECK_EQ(irq_set_gsi_mode(19, edge), 0);
    CHECK_EQ(irq_set_gsi_mode(24, edge), -XEN_EINVAL);
    irq_unbind(irq);
}

TEST(unknown_vectors)
{
    setup();
    for (unsigned int i = 0; i < 100; i++)
        irq_handle(0x30);
    CHECK_EQ(spurious_seen, 100);
    irq_dump();
}
