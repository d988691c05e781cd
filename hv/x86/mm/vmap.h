/* SPDX-License-Identifier: MIT */
/* Hypervisor virtual addresses for things outside the direct map. Takes RANK_VMAP. */
#ifndef X86_MM_VMAP_H
#define X86_MM_VMAP_H

#include <stddef.h>

#include "core/types.h"

#define VMAP_PAGES 8192ul /* 32 MiB of the area are enough for tables, APICs, MMCFG windows */

/* WC: writes are gathered (the ABI's PAT, cpu.c). Never executable. */
enum vmap_attr { VMAP_RW, VMAP_RO, VMAP_UC, VMAP_WC };

/*
 * Map `len` bytes at physical `pa` (any alignment); NULL when the space is used up. The mapping is
 * visible on all CPUs at once. RAM that ACPI tables lie in may be mapped too.
 */
void *vmap(maddr_t pa, size_t len, enum vmap_attr attr);
void vunmap(void *va, size_t len);

#endif
