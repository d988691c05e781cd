/* SPDX-License-Identifier: MIT */
/*
 * UEFI's memory map, as a boot loader hands it over: entries of a size that the firmware says, in
 * any order. Pure; the map is read at most once for each question and never changed.
 */
#ifndef LIB_EFI_MAP_H
#define LIB_EFI_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { /* kinds of memory that matter here (UEFI 2.10, 7.2) */
       EFI_RUNTIME_CODE = 5,
       EFI_RUNTIME_DATA = 6,
       EFI_MMIO = 11,
};
#define EFI_ATTR_WB 0x8ull
#define EFI_ATTR_RUNTIME (1ull << 63)

struct efi_map {
    const void *entries;
    size_t len;        /* bytes in all */
    size_t entry_size; /* bytes from one entry to the next */
};

struct efi_region {
    uint64_t start, end; /* physical; end is exclusive and above start */
    uint64_t attr;
    uint32_t type;
};

/*
 * The next entry that makes sense (pages, no wrap), from *pos on, which begins as 0 and moves
 * behind it. False: there are no more, or the entries are too short to be UEFI's.
 */
bool efi_map_next(const struct efi_map *map, size_t *pos, struct efi_region *out);
/* The entry that holds physical address `pa`; false: none does. */
bool efi_map_find(const struct efi_map *map, uint64_t pa, struct efi_region *out);

#endif
