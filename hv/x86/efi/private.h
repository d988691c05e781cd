/* SPDX-License-Identifier: MIT */
/* Between the files of this folder. */
#ifndef X86_EFI_PRIVATE_H
#define X86_EFI_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copy `n` bytes of the firmware's memory at physical `pa`; false: it cannot be mapped. */
bool efi_read(void *out, uint64_t pa, size_t n);
/* Map the runtime regions, read the table of services at `table`. NULL, or why it cannot be. */
const char *efi_map_services(uint64_t table);

#endif
