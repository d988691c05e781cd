/* SPDX-License-Identifier: MIT */
/*
 * Streams of records as tools hand them in, loaded into devices; these then run for a while. None
 * may read or write beyond what it has, hang, or wait for a time in the past for ever.
 */
#include <string.h>

#include "x86/hvm/context.h"
#include "x86/hvm/vhpet.h"
#include "x86/hvm/virq.h"
#include "x86/hvm/vpit.h"
#include "x86/hvm/vpm.h"
#include "x86/hvm/vrtc.h"

struct domain {
    struct virq irq;
    struct vpit pit;
    struct vrtc rtc;
    struct vhpet hpet;
    struct vpm pm;
    struct vlapic lapic, *table[1];
    struct vlapic_bus bus;
};

static struct domain dom;
static uint64_t now, deadline[8];

static uint64_t t_now(void *ctx)
{
    (void)ctx;
    return now;
}

static void t_set(void *ctx, unsigned int which, uint64_t at)
{
    (void)ctx;
    deadline[which] = at;
}

static void t_isa(void *ctx, unsigned int irq, bool up)
{
    (void)ctx;
    virq_isa(&dom.irq, irq, up);
}

static void t_gsi(void *ctx, unsigned int gsi, bool up)
{
    (void)ctx, (void)gsi, (void)up;
}

static uint64_t t_wall(void *ctx)
{
    (void)ctx;
    return 1700000000000000000 + now;
}

static uint64_t l_now(const struct vlapic *v)
{
    (void)v;
    return now;
}

static void l_set(struct vlapic *v, uint64_t at)
{
    (void)v;
    deadline[7] = at;
}

static uint64_t l_tsc(struct vlapic *v, uint64_t tsc)
{
    (void)v;
    return tsc > now ? tsc : 0;
}

static void l_nothing(struct vlapic *v)
{
    (void)v;
}

static void l_sipi(struct vlapic *v, uint8_t vector)
{
    (void)v, (void)vector;
}

static void l_eoi(struct vlapic *v, uint8_t vector)
{
    (void)v;
    vioapic_eoi(&dom.irq.ioapic, vector);
}

static const struct vtimer_ops timers = { t_now, t_set, t_isa, t_gsi, t_wall };
static const struct vlapic_ops lapics = { l_now,     l_set,  l_tsc, l_nothing, l_nothing,
                                          l_nothing, l_sipi, l_eoi, l_nothing };

static bool send(void *ctx, const struct apic_message *m)
{
    (void)ctx;
    return vlapic_send(&dom.bus, m);
}

static void extint(void *ctx, bool up)
{
    (void)ctx, (void)up;
}

static uint32_t none(struct domain *d, unsigned int i, void *rec)
{
    (void)d, (void)i, (void)rec;
    return 0;
}

#define LOADER(name, statement)                                                              \
    static void load_##name(struct domain *d, unsigned int i, const void *rec, uint32_t len) \
    {                                                                                        \
        (void)i, (void)len;                                                                  \
        statement;                                                                           \
    }

LOADER(pic, vpic_load(&d->irq.pic, i, rec))
LOADER(ioapic, vioapic_load(&d->irq.ioapic, rec))
LOADER(lapic, vlapic_load(&d->lapic, rec))
LOADER(regs, vlapic_load_regs(&d->lapic, rec))
LOADER(pci, memcpy(&d->irq.pci, rec, sizeof(d->irq.pci)))
LOADER(isa, memcpy(&d->irq.isa, rec, sizeof(d->irq.isa)))
LOADER(link, memcpy(&d->irq.link, rec, sizeof(d->irq.link)))
LOADER(pit, vpit_load(&d->pit, rec))
LOADER(rtc, vrtc_load(&d->rtc, rec))
LOADER(hpet, vhpet_load(&d->hpet, rec))
LOADER(pm, vpm_load(&d->pm, rec))

#define KIND(x, n, name)                                                    \
    {                                                                       \
        HVM_SAVE_CODE(x), 1, HVM_SAVE_LENGTH(x), n, none, NULL, load_##name \
    }
static const struct context_kind kinds[] = {
    KIND(PIC, 2, pic),         KIND(IOAPIC, 1, ioapic), KIND(LAPIC, 0, lapic),
    KIND(LAPIC_REGS, 0, regs), KIND(PCI_IRQ, 1, pci),   KIND(ISA_IRQ, 1, isa),
    KIND(PCI_LINK, 1, link),   KIND(PIT, 1, pit),       KIND(RTC, 1, rtc),
    KIND(HPET, 1, hpet),       KIND(PMTIMER, 1, pm),
};

static void fire(unsigned int which)
{
    if (which == 0)
        vpit_timer(&dom.pit);
    else if (which == 1)
        vrtc_timer(&dom.rtc);
    else if (which == 2)
        vpm_timer(&dom.pm);
    else if (which < 6)
        vhpet_timer(&dom.hpet, which - 3);
    else if (which == 7)
        vlapic_timer_fired(&dom.lapic);
}

static void run_for_a_while(void)
{
    uint8_t val;

    for (unsigned int n = 0; n < 200; n++) {
        unsigned int next = 0;
        int vector;

        for (unsigned int i = 1; i < 8; i++)
            if (deadline[i] < deadline[next])
                next = i;
        if (deadline[next] == VTIMER_NONE)
            break;
        if (deadline[next] > now)
            now = deadline[next];
        fire(next);
        vector = vlapic_pending(&dom.lapic);
        if (vector >= 0) {
            vlapic_accept(&dom.lapic, (uint8_t)vector);
            vlapic_mmio_write(&dom.lapic, 0xb0, 4, 0);
        }
        vpic_acknowledge(&dom.irq.pic);
        vrtc_read(&dom.rtc, 0x71, &val);
        vpit_read(&dom.pit, (uint16_t)(0x40 + n % 3));
        vhpet_read(&dom.hpet, 0xf0, 8);
        vpm_counter(&dom.pm);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct virq_hooks hooks = { send, extint };
    static const struct context_table table = { kinds, sizeof(kinds) / sizeof(kinds[0]), 1, 0, 0 };
    static uint64_t scratch[CONTEXT_RECORD_MAX / 8];
    static uint32_t page[256];

    now = 1000;
    for (unsigned int i = 0; i < 8; i++)
        deadline[i] = VTIMER_NONE;
    dom.table[0] = &dom.lapic;
    dom.bus = (struct vlapic_bus){ &lapics, dom.table, 1, 0, 40, true, true };
    vlapic_init(&dom.lapic, page, &dom.bus, NULL, 0);
    virq_init(&dom.irq, &hooks, &dom);
    vpit_init(&dom.pit, &timers, NULL, 0);
    vrtc_init(&dom.rtc, &timers, NULL, 1);
    vpm_init(&dom.pm, &timers, NULL, 2);
    vhpet_init(&dom.hpet, &timers, NULL, 3);
    if (context_load(&table, &dom, data, size, scratch) == 0) {
        virq_loaded(&dom.irq);
        run_for_a_while();
    }
    /* The contents alone, without the framing that random bytes seldom have. */
    if (size > 2) {
        const struct context_kind *k = &kinds[data[0] % table.nr];

        memset(scratch, 0, k->max);
        memcpy(scratch, data + 1, size - 1 < k->max ? size - 1 : k->max);
        k->load(&dom, data[1] % (k->instances ? k->instances : 1), scratch, k->max);
        virq_loaded(&dom.irq);
        run_for_a_while();
    }
    return 0;
}
