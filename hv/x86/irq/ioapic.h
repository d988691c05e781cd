/* SPDX-License-Identifier: MIT */
/* I/O APICs: the lines of the chipset's devices. Intel 82093AA and successors. */
#ifndef X86_IRQ_IOAPIC_H
#define X86_IRQ_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/types.h"
#include "x86/irq/irq.h"

#define MAX_IOAPICS 64

/*
 * An I/O APIC of the MADT: maps it and masks all its lines. False, and it is left out, when it does
 * not answer, overlaps another one's GSIs, or there are too many.
 */
bool ioapic_add(uint8_t id, uint64_t base, uint32_t gsi_base);
bool ioapic_has_gsi(uint32_t gsi);
uint32_t ioapic_nr_gsis(void); /* one past the highest */
unsigned int ioapic_count(void);
/* Is it one of the frames that hold their registers? Guests may not map these. */
bool ioapic_is_register_frame(mfn_t mfn);

/*
 * Register `reg` of the I/O APIC at `base`, for Dom0: false when there is no such thing.
 * Redirection entries read as they are.
 */
bool ioapic_read_register(uint64_t base, uint32_t reg, uint32_t *value);
/* The GSI of redirection register `reg` of the I/O APIC at `base`; false: not such a register. */
bool ioapic_register_gsi(uint64_t base, uint32_t reg, uint32_t *gsi);

extern const struct irq_chip ioapic_chip;

/* Pure: the low word of a redirection entry. */
uint32_t ioapic_entry_low(uint8_t vector, struct gsi_mode mode, bool masked);

#endif
