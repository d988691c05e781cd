/* SPDX-License-Identifier: MIT */
/* Takes the machine's interrupt controllers, clocks and power registers as ACPI describes them. */
#ifndef X86_MACHINE_H
#define X86_MACHINE_H

#include <stdbool.h>

#include "core/types.h"

struct acpi_info;

/*
 * First CPU, vmap and the frame allocator working, interrupts off: 8259 masked, local APIC on, I/O
 * APICs mapped and masked, TSC and timer calibrated (arch_now() runs from here on), RTC and power
 * registers known. x2apic: the option's value, -1 if not given.
 */
void machine_init(const struct acpi_info *acpi, int x2apic);

/* Is the frame one of the machine's that no guest may map: APICs, IOMMU registers? */
bool machine_owns_frame(mfn_t mfn);
/* May it be mapped, but never writable: the HPET, which firmware code in Dom0 reads? */
bool machine_frame_readonly(mfn_t mfn);

#endif
