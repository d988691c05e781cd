/* SPDX-License-Identifier: MIT */
/* Connects dev/ with x86/, which do not see each other. */
#ifndef X86_GLUE_DEVICES_H
#define X86_GLUE_DEVICES_H

struct acpi_info;

/*
 * First CPU, after machine_init(), before Dom0 is built: PCI windows, Dom0's PIRQs, serial input by
 * interrupt (by polling where there is none), debug key for interrupts.
 */
void devices_init(const struct acpi_info *acpi);

#endif
