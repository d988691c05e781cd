/* SPDX-License-Identifier: MIT */
/* The ACPI tables of a PVH guest: which processors there are, and that there is nothing else. */
#ifndef BUILDER_ACPI_H
#define BUILDER_ACPI_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that acpi_tables() writes. */
size_t acpi_tables_size(unsigned int vcpus);

/*
 * Writes the tables for a machine of so many processors, to be found at guest-physical address
 * `at` (a multiple of 64), where the RSDP is. At most 127: local APIC ids are twice the vCPU's
 * number, and below 255. `to` has acpi_tables_size(vcpus) bytes.
 */
void acpi_tables(void *to, uint64_t at, unsigned int vcpus);

#endif
