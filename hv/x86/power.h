/* SPDX-License-Identifier: MIT */
/* Off and again: ACPI S5 and the ways to reset a PC. arch_poweroff, arch_reboot, arch_halt live
 * here. */
#ifndef X86_POWER_H
#define X86_POWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acpi_fadt;
struct xenpf_enter_acpi_sleep;

/* Keeps what the FADT says, and reads S5's sleep type out of the DSDT. vmap works. */
void power_init(const struct acpi_fadt *fadt);

/*
 * XENPF_enter_acpi_sleep: Dom0 prepared S5 and hands over the values for the PM1 control registers.
 * Does not return when it works. -EINVAL: not S5 (sleep is not supported) or impossible values;
 * -ENODEV: no such registers.
 */
long power_enter_acpi_sleep(const struct xenpf_enter_acpi_sleep *op);

/* Resets the machine at once, by whatever works: UEFI, reset register, port 0xcf9, 8042, triple
 * fault. */
void power_reboot(void) __attribute__((noreturn));

/*
 * Pure: SLP_TYPa and SLP_TYPb of \_S5 in an AML block; false when it is not there in the plain form
 * (a package of constants).
 */
bool power_find_s5(const uint8_t *aml, size_t len, uint8_t *type_a, uint8_t *type_b);

#endif
