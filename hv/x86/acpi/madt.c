/* SPDX-License-Identifier: MIT */
/* The MADT: processors, I/O APICs, and how interrupts reach them (ACPI 6.4, section 5.2.12). */
#include "x86/acpi/view.h"

#define MADT_ENTRIES 44 /* offset of the first one */

enum madt_type {
    MADT_LAPIC = 0,
    MADT_IOAPIC = 1,
    MADT_OVERRIDE = 2,
    MADT_NMI_SOURCE = 3,
    MADT_LAPIC_NMI = 4,
    MADT_LAPIC_ADDRESS = 5,
    MADT_X2APIC = 9,
    MADT_X2APIC_NMI = 10,
};

static enum acpi_polarity polarity_of(uint16_t flags)
{
    switch (flags & 3) {
    case 1:
        return ACPI_ACTIVE_HIGH;
    case 3:
        return ACPI_ACTIVE_LOW;
    default:
        return ACPI_POLARITY_BUS;
    }
}

static enum acpi_trigger trigger_of(uint16_t flags)
{
    switch (flags >> 2 & 3) {
    case 1:
        return ACPI_EDGE;
    case 3:
        return ACPI_LEVEL;
    default:
        return ACPI_TRIGGER_BUS;
    }
}

static void add_cpu(struct acpi_info *info, uint32_t apic_id, uint32_t acpi_id, uint32_t flags,
                    bool x2apic)
{
    struct acpi_cpu cpu = { apic_id, acpi_id, flags & 1, !(flags & 1) && (flags & 2), x2apic };

    if (!cpu.enabled && !cpu.online_capable)
        return; /* firmware fills unused entries so */
    if (apic_id == (x2apic ? UINT32_MAX : 0xff)) {
        acpi_warn(info, "APIC", "a CPU has the broadcast APIC id");
        return;
    }
    for (unsigned i = 0; i < info->nr_cpus; i++) {
        if (info->cpus[i].apic_id == apic_id) {
            acpi_warn(info, "APIC", "two CPUs have the same APIC id");
            return;
        }
    }
    if (info->nr_cpus == ACPI_MAX_CPUS)
        acpi_warn(info, "APIC", "more than 256 CPUs, the rest is ignored");
    else
        info->cpus[info->nr_cpus++] = cpu;
}

static void add_ioapic(struct acpi_info *info, const struct acpi_view *e)
{
    struct acpi_ioapic io = { view_u8(e, 2), view_u32(e, 4), view_u32(e, 8) };

    if (io.address == 0 || io.address % 16)
        acpi_warn(info, "APIC", "an I/O APIC has an impossible address");
    else if (info->nr_ioapics == ACPI_MAX_IOAPICS)
        acpi_warn(info, "APIC", "more than 16 I/O APICs, the rest is ignored");
    else
        info->ioapics[info->nr_ioapics++] = io;
}

static void add_override(struct acpi_info *info, const struct acpi_view *e)
{
    uint16_t flags = view_u16(e, 8);
    struct acpi_override o = { view_u8(e, 3), view_u32(e, 4), polarity_of(flags),
                               trigger_of(flags) };

    if (view_u8(e, 2) != 0 || o.irq > 15)
        acpi_warn(info, "APIC", "an interrupt override is not for an ISA interrupt");
    else if (info->nr_overrides == ACPI_MAX_OVERRIDES)
        acpi_warn(info, "APIC", "too many interrupt overrides, the rest is ignored");
    else
        info->overrides[info->nr_overrides++] = o;
}

static void add_nmi_source(struct acpi_info *info, const struct acpi_view *e)
{
    uint16_t flags = view_u16(e, 2);
    struct acpi_nmi_source n = { view_u32(e, 4), polarity_of(flags), trigger_of(flags) };

    if (info->nr_nmi_sources == ACPI_MAX_NMIS)
        acpi_warn(info, "APIC", "too many NMI sources, the rest is ignored");
    else
        info->nmi_sources[info->nr_nmi_sources++] = n;
}

static void add_nmi(struct acpi_info *info, uint32_t acpi_id, uint16_t flags, uint8_t lint)
{
    struct acpi_nmi n = { acpi_id, lint, polarity_of(flags), trigger_of(flags) };

    if (lint > 1)
        acpi_warn(info, "APIC", "an NMI is on a pin other than LINT0 and LINT1");
    else if (info->nr_nmis == ACPI_MAX_NMIS)
        acpi_warn(info, "APIC", "too many NMI pins, the rest is ignored");
    else
        info->nmis[info->nr_nmis++] = n;
}

/* The length that an entry of this type has at least; 0 for types that are not read. */
static size_t entry_min(uint8_t type)
{
    switch (type) {
    case MADT_LAPIC:
    case MADT_NMI_SOURCE:
        return 8;
    case MADT_IOAPIC:
    case MADT_LAPIC_ADDRESS:
    case MADT_X2APIC_NMI:
        return 12;
    case MADT_OVERRIDE:
        return 10;
    case MADT_LAPIC_NMI:
        return 6;
    case MADT_X2APIC:
        return 16;
    default:
        return 0;
    }
}

static void read_entry(struct acpi_info *info, const struct acpi_view *e)
{
    uint8_t uid;

    switch (view_u8(e, 0)) {
    case MADT_LAPIC:
        add_cpu(info, view_u8(e, 3), view_u8(e, 2), view_u32(e, 4), false);
        break;
    case MADT_IOAPIC:
        add_ioapic(info, e);
        break;
    case MADT_OVERRIDE:
        add_override(info, e);
        break;
    case MADT_NMI_SOURCE:
        add_nmi_source(info, e);
        break;
    case MADT_LAPIC_NMI:
        uid = view_u8(e, 2);
        add_nmi(info, uid == 0xff ? ACPI_ALL_CPUS : uid, view_u16(e, 3), view_u8(e, 5));
        break;
    case MADT_LAPIC_ADDRESS:
        info->lapic_address = view_u64(e, 4);
        break;
    case MADT_X2APIC:
        add_cpu(info, view_u32(e, 4), view_u32(e, 12), view_u32(e, 8), true);
        break;
    case MADT_X2APIC_NMI:
        add_nmi(info, view_u32(e, 4), view_u16(e, 2), view_u8(e, 8));
        break;
    default:
        break;
    }
}

void acpi_read_madt(struct acpi_info *info, const struct acpi_view *t)
{
    size_t off = MADT_ENTRIES;

    if (t->len < MADT_ENTRIES) {
        acpi_warn(info, "APIC", "the table is too short");
        return;
    }
    info->madt_present = true;
    info->lapic_address = view_u32(t, 36);
    info->has_8259 = view_u32(t, 40) & 1;
    while (off < t->len) {
        size_t len = view_u8(t, off + 1);
        struct acpi_view e = view_part(t, off, len);

        if (len < 2 || e.len < len) {
            acpi_warn(info, "APIC",
                      "an entry's length is impossible; the entries from there on are ignored");
            return;
        }
        if (len < entry_min(view_u8(&e, 0)))
            acpi_warn(info, "APIC", "an entry is too short and ignored");
        else
            read_entry(info, &e);
        off += len;
    }
}

uint32_t acpi_isa_gsi(const struct acpi_info *info, uint8_t irq, enum acpi_polarity *polarity,
                      enum acpi_trigger *trigger)
{
    *polarity = ACPI_ACTIVE_HIGH;
    *trigger = ACPI_EDGE;
    for (unsigned i = 0; i < info->nr_overrides; i++) {
        const struct acpi_override *o = &info->overrides[i];

        if (o->irq != irq)
            continue;
        if (o->polarity != ACPI_POLARITY_BUS)
            *polarity = o->polarity;
        if (o->trigger != ACPI_TRIGGER_BUS)
            *trigger = o->trigger;
        return o->gsi;
    }
    return irq;
}
