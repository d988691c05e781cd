/* SPDX-License-Identifier: MIT */
/*
 * Global system interrupts: how the ISA's sixteen lines map onto them, and how a line signals.
 * Pure tables, filled from the MADT and by Dom0 (PHYSDEVOP_setup_gsi).
 */
#ifndef X86_IRQ_GSI_H
#define X86_IRQ_GSI_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_GSIS 1024
#define NR_ISA_IRQS 16

struct gsi_mode {
    bool level; /* else edge */
    bool active_low;
};

/* Forget all: ISA lines map to the GSIs of their number. */
void gsi_reset(void);
/*
 * An interrupt source override of the MADT (ACPI 6.4, section 5.2.12.5). False, and ignored, when
 * a number is out of range.
 */
bool gsi_add_override(uint8_t isa_irq, uint32_t gsi, uint16_t mps_flags);
/* The GSI of an ISA line (< NR_ISA_IRQS). */
uint32_t gsi_of_isa(unsigned int isa_irq);
/* How the line signals: Dom0's word, else an override, else ISA's or PCI's custom. */
struct gsi_mode gsi_mode(uint32_t gsi);
void gsi_set_mode(uint32_t gsi, struct gsi_mode mode);

#endif
