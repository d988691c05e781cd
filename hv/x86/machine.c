/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor keeps for itself of the machine's registers is listed here at boot, by
 * frame, and constant after that: no domain maps these frames, or only to read.
 */
#include "x86/machine.h"

#include "core/log.h"
#include "x86/acpi/acpi.h"
#include "x86/irq/ioapic.h"
#include "x86/irq/lapic.h"
#include "x86/power.h"
#include "x86/time/rtc.h"
#include "x86/time/tsc.h"

#define LAPIC_DEFAULT_BASE 0xfee00000ull

static uint64_t own_frames[ACPI_MAX_IOMMUS + 2];
static unsigned int nr_own_frames;
static uint64_t hpet_frame;

static void own(uint64_t address)
{
    if (address && nr_own_frames < ARRAY_SIZE(own_frames))
        own_frames[nr_own_frames++] = address >> PAGE_SHIFT;
}

static uint32_t highest_apic_id(const struct acpi_info *acpi)
{
    uint32_t max = 0;

    for (unsigned int i = 0; i < acpi->nr_cpus; i++)
        if (acpi->cpus[i].enabled)
            max = MAX(max, acpi->cpus[i].apic_id);
    return max;
}

static uint16_t mps_flags(const struct acpi_override *o)
{
    uint16_t polarity = o->polarity == ACPI_ACTIVE_HIGH  ? 1
                        : o->polarity == ACPI_ACTIVE_LOW ? 3
                                                         : 0;
    uint16_t trigger = o->trigger == ACPI_EDGE ? 1 : o->trigger == ACPI_LEVEL ? 3 : 0;

    return (uint16_t)(polarity | trigger << 2);
}

static void init_lines(const struct acpi_info *acpi)
{
    gsi_reset();
    for (unsigned int i = 0; i < acpi->nr_overrides; i++)
        if (!gsi_add_override(acpi->overrides[i].irq, acpi->overrides[i].gsi,
                              mps_flags(&acpi->overrides[i])))
            log_warn("ACPI: interrupt override of ISA %u ignored", acpi->overrides[i].irq);
    for (unsigned int i = 0; i < acpi->nr_ioapics; i++)
        ioapic_add(acpi->ioapics[i].id, acpi->ioapics[i].address, acpi->ioapics[i].gsi_base);
    if (!ioapic_count())
        log_warn("no I/O APIC: devices have no interrupt lines, only MSI");
}

void machine_init(const struct acpi_info *acpi, int x2apic)
{
    struct time_hw hw = { .hpet_base = acpi->hpet_present ? acpi->hpet_address : 0,
                          .pmtimer_32 = acpi->fadt.pm_timer_32bit };

    if (acpi->fadt.pm_timer.space == ACPI_SPACE_IO)
        hw.pmtimer_port = (uint16_t)acpi->fadt.pm_timer.address;
    irq_mask_8259();
    lapic_init_bsp(highest_apic_id(acpi), x2apic);
    init_lines(acpi);
    tsc_init(&hw);
    rtc_init(acpi->fadt.century);
    power_init(&acpi->fadt);
    own(acpi->lapic_address);
    hpet_frame = hw.hpet_base >> PAGE_SHIFT;
    for (unsigned int i = 0; i < acpi->nr_iommus; i++)
        own(acpi->iommus[i]);
}

bool machine_owns_frame(mfn_t mfn)
{
    if (mfn.v == LAPIC_DEFAULT_BASE >> PAGE_SHIFT || ioapic_is_register_frame(mfn))
        return true;
    for (unsigned int i = 0; i < nr_own_frames; i++)
        if (own_frames[i] == mfn.v)
            return true;
    return false;
}

bool machine_frame_readonly(mfn_t mfn)
{
    return hpet_frame && mfn.v == hpet_frame;
}
