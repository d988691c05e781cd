/* SPDX-License-Identifier: MIT */
/* UEFI's memory map: entries larger than the standard's, senseless ones, maps cut short. */
#include "lib/efi_map.h"

#include <string.h>

#include "unit.h"

struct wide { /* 48 bytes, as OVMF has them */
    uint32_t type, pad;
    uint64_t start, virtual_start, pages, attr, more;
};

static const struct wide table[] = {
    { 7, 0, 0, 0, 160, 0xf, 0 },
    { EFI_RUNTIME_DATA, 0, 0x7f000000, 0, 16, EFI_ATTR_RUNTIME | EFI_ATTR_WB, 0 },
    { EFI_RUNTIME_CODE, 0, 0x7f020000, 0, 0, EFI_ATTR_RUNTIME, 0 },            /* no pages */
    { EFI_RUNTIME_CODE, 0, ~0xfffull, 0, 2, EFI_ATTR_RUNTIME, 0 },             /* wraps */
    { EFI_RUNTIME_CODE, 0, 0x1000, 0, UINT64_MAX >> 11, EFI_ATTR_RUNTIME, 0 }, /* too many */
    { EFI_MMIO, 0, 0xffc00000, 0, 0x400, EFI_ATTR_RUNTIME | 1, 0 },
};

static unsigned int count(size_t len, size_t entry)
{
    struct efi_map m = { table, len, entry };
    struct efi_region r;
    size_t pos = 0;
    unsigned int n = 0;

    while (efi_map_next(&m, &pos, &r)) {
        CHECK(r.end > r.start);
        n++;
    }
    return n;
}

TEST(entries_that_make_sense)
{
    struct efi_map m = { table, sizeof(table), sizeof(table[0]) };
    struct efi_region r;
    size_t pos = 0;

    CHECK(efi_map_next(&m, &pos, &r) && r.type == 7 && r.end == 0xa0000);
    CHECK(efi_map_next(&m, &pos, &r) && r.type == EFI_RUNTIME_DATA && r.start == 0x7f000000 &&
          r.end == 0x7f010000 && r.attr == (EFI_ATTR_RUNTIME | EFI_ATTR_WB));
    CHECK(efi_map_next(&m, &pos, &r) && r.type == EFI_MMIO && r.end == 0x100000000);
    CHECK(!efi_map_next(&m, &pos, &r));
}

TEST(short_maps)
{
    size_t w = sizeof(table[0]);

    CHECK_EQ(count(0, w), 0);
    CHECK_EQ(count(39, w), 0);
    CHECK_EQ(count(40, w), 1); /* the first one's own bytes are there */
    CHECK_EQ(count(w + 39, w), 1);
    CHECK_EQ(count(sizeof(table), 39), 0); /* not UEFI's entries */
    CHECK_EQ(count(sizeof(table), 0), 0);
    CHECK_EQ(count(sizeof(table), SIZE_MAX / 2), 1);
}

TEST(search)
{
    struct efi_map m = { table, sizeof(table), sizeof(table[0]) };
    struct efi_region r;

    CHECK(efi_map_find(&m, 0x7f00ffff, &r) && r.type == EFI_RUNTIME_DATA);
    CHECK(!efi_map_find(&m, 0x7f010000, &r));
    CHECK(efi_map_find(&m, 0xffffffff, &r) && r.type == EFI_MMIO);
    CHECK(!efi_map_find(&m, UINT64_MAX, &r));
}
