/* SPDX-License-Identifier: MIT */
/* UEFI's memory map: pure, and doubtful of every length in it. */
#include "lib/efi_map.h"

#include "lib/string.h"

/* EFI_MEMORY_DESCRIPTOR; newer firmware may have more behind it. */
struct descriptor {
    uint32_t type, pad;
    uint64_t start, virtual_start, pages, attr;
};

bool efi_map_next(const struct efi_map *map, size_t *pos, struct efi_region *out)
{
    struct descriptor d;

    if (map->entry_size < sizeof(d))
        return false;
    while (*pos <= map->len && map->len - *pos >= sizeof(d)) {
        memcpy(&d, (const uint8_t *)map->entries + *pos, sizeof(d));
        *pos += map->entry_size;
        if (!d.pages || d.pages > UINT64_MAX >> 12 || d.start + (d.pages << 12) < d.start)
            continue;
        *out = (struct efi_region){ d.start, d.start + (d.pages << 12), d.attr, d.type };
        return true;
    }
    return false;
}

bool efi_map_find(const struct efi_map *map, uint64_t pa, struct efi_region *out)
{
    size_t pos = 0;

    while (efi_map_next(map, &pos, out))
        if (pa >= out->start && pa < out->end)
            return true;
    return false;
}
