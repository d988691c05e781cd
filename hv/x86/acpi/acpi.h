/* SPDX-License-Identifier: MIT */
/*
 * Reads the firmware's static ACPI tables (ACPI 6.4, chapter 5; HPET and MCFG by their own
 * specifications) into one plain struct. Pure: memory is reached through the caller's function
 * only, so the same code runs in host tests. The tables count as damaged until proven: no length,
 * count or address in them makes this fault, loop or overflow; what is broken is skipped and named
 * in `warnings`. AML (DSDT, SSDT) is Dom0's business.
 */
#ifndef X86_ACPI_ACPI_H
#define X86_ACPI_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACPI_MAX_CPUS 256
#define ACPI_MAX_IOAPICS 16
#define ACPI_MAX_OVERRIDES 24
#define ACPI_MAX_NMIS 16
#define ACPI_MAX_MCFG 16
#define ACPI_MAX_IOMMUS 16
#define ACPI_MAX_WARNINGS 24

#define ACPI_ALL_CPUS UINT32_MAX /* in struct acpi_nmi */

struct acpi_cpu {
    uint32_t apic_id;
    uint32_t acpi_id;    /* the processor's UID in AML */
    bool enabled;        /* usable now */
    bool online_capable; /* not enabled, but may come later */
    bool x2apic;         /* from an x2APIC entry */
};

struct acpi_ioapic {
    uint8_t id;
    uint64_t address;
    uint32_t gsi_base;
};

/* Polarity and trigger of an interrupt: MPS INTI flags. */
enum acpi_polarity { ACPI_POLARITY_BUS, ACPI_ACTIVE_HIGH, ACPI_ACTIVE_LOW };
enum acpi_trigger { ACPI_TRIGGER_BUS, ACPI_EDGE, ACPI_LEVEL };

struct acpi_override { /* ISA interrupt `irq` arrives as `gsi` */
    uint8_t irq;
    uint32_t gsi;
    enum acpi_polarity polarity;
    enum acpi_trigger trigger;
};

struct acpi_nmi {     /* LINT pin `lint` of a CPU is an NMI */
    uint32_t acpi_id; /* or ACPI_ALL_CPUS */
    uint8_t lint;
    enum acpi_polarity polarity;
    enum acpi_trigger trigger;
};

struct acpi_nmi_source { /* an I/O APIC input that is an NMI */
    uint32_t gsi;
    enum acpi_polarity polarity;
    enum acpi_trigger trigger;
};

struct acpi_mcfg { /* base address is that of bus 0 of the segment, as the specification has it */
    uint64_t base;
    uint16_t segment;
    uint8_t bus_first, bus_last;
};

/* A register block; address 0: there is none. */
enum acpi_space {
    ACPI_SPACE_MEMORY = 0,
    ACPI_SPACE_IO = 1,
    ACPI_SPACE_PCI = 2,
    ACPI_SPACE_OTHER = 3
};
struct acpi_reg {
    enum acpi_space space;
    uint16_t bits; /* 0 if the table does not say */
    uint64_t address;
};

struct acpi_fadt {
    bool present;
    uint8_t revision;
    uint16_t sci_irq;
    uint32_t smi_command; /* port; 0: the machine is always in ACPI mode */
    uint8_t acpi_enable, acpi_disable;
    struct acpi_reg pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer;
    struct acpi_reg gpe0, gpe1;
    bool pm_timer_32bit;
    bool reset_supported;
    struct acpi_reg reset;
    uint8_t reset_value;
    bool hardware_reduced;
    bool no_vga, no_msi, no_rtc, has_8042; /* IAPC_BOOT_ARCH */
    uint8_t century;                       /* RTC register index, 0: none */
    uint64_t dsdt;                         /* physical address of the DSDT, 0: none */
};

struct acpi_warning {
    char table[5]; /* signature, or "RSDP" */
    const char *text;
};

struct acpi_info {
    uint64_t rsdp; /* physical address; 0 when only a copy was given */
    uint8_t revision;

    bool madt_present;
    bool has_8259; /* the dual 8259 must be masked */
    uint64_t lapic_address;
    unsigned nr_cpus, nr_ioapics, nr_overrides, nr_nmis, nr_nmi_sources;
    struct acpi_cpu cpus[ACPI_MAX_CPUS]; /* in the table's order; no APIC id twice */
    struct acpi_ioapic ioapics[ACPI_MAX_IOAPICS];
    struct acpi_override overrides[ACPI_MAX_OVERRIDES];
    struct acpi_nmi nmis[ACPI_MAX_NMIS];
    struct acpi_nmi_source nmi_sources[ACPI_MAX_NMIS];

    struct acpi_fadt fadt;

    bool hpet_present;
    uint64_t hpet_address;
    uint8_t hpet_id;
    uint16_t hpet_min_tick;

    unsigned nr_mcfg;
    struct acpi_mcfg mcfg[ACPI_MAX_MCFG];

    unsigned nr_iommus; /* register bases from DMAR and IVRS; these pages are never Dom0's */
    uint64_t iommus[ACPI_MAX_IOMMUS];

    unsigned nr_warnings, lost_warnings;
    struct acpi_warning warnings[ACPI_MAX_WARNINGS];
};

/*
 * Gives read access to `len` bytes of physical memory at `pa`, or NULL if that is impossible. The
 * result need stay valid only until the next call; unaligned addresses occur, and `len` is at most
 * ACPI_MAX_TABLE.
 */
typedef const void *acpi_map_fn(uint64_t pa, size_t len);
#define ACPI_MAX_TABLE (1u << 20)

/*
 * Finds the root pointer and reads the tables. `rsdp_copy` is the boot loader's copy (multiboot 2)
 * of `rsdp_len` bytes, or NULL; without a good one the BIOS areas are searched. Returns NULL, or
 * why there are no tables at all; `*info` is valid in both cases.
 */
const char *acpi_parse(acpi_map_fn *map, const void *rsdp_copy, size_t rsdp_len,
                       struct acpi_info *info);

/*
 * The GSI of an ISA interrupt, with its polarity and trigger ("bus" resolved to ISA's: active high,
 * edge).
 */
uint32_t acpi_isa_gsi(const struct acpi_info *info, uint8_t irq, enum acpi_polarity *polarity,
                      enum acpi_trigger *trigger);

#endif
