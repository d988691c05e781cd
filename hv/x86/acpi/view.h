/* SPDX-License-Identifier: MIT */
/*
 * Bounded little-endian reads, private to this folder. A read beyond the end gives 0, which is what
 * a field that an older, shorter table lacks means.
 */
#ifndef X86_ACPI_VIEW_H
#define X86_ACPI_VIEW_H

#include "x86/acpi/acpi.h"

#define ACPI_HEADER 36

struct acpi_view {
    const uint8_t *p;
    size_t len;
};

static inline uint64_t view_read(const struct acpi_view *v, size_t off, unsigned bytes)
{
    uint64_t value = 0;

    if (off > v->len || v->len - off < bytes)
        return 0;
    while (bytes--)
        value = value << 8 | v->p[off + bytes];
    return value;
}

static inline uint8_t view_u8(const struct acpi_view *v, size_t off)
{
    return (uint8_t)view_read(v, off, 1);
}

static inline uint16_t view_u16(const struct acpi_view *v, size_t off)
{
    return (uint16_t)view_read(v, off, 2);
}

static inline uint32_t view_u32(const struct acpi_view *v, size_t off)
{
    return (uint32_t)view_read(v, off, 4);
}

static inline uint64_t view_u64(const struct acpi_view *v, size_t off)
{
    return view_read(v, off, 8);
}

/* The part from `off` on, at most `len` bytes. */
static inline struct acpi_view view_part(const struct acpi_view *v, size_t off, size_t len)
{
    struct acpi_view part = { v->p, 0 };

    if (off <= v->len) {
        part.p += off;
        part.len = v->len - off < len ? v->len - off : len;
    }
    return part;
}

/* Notes a warning; `table` is a signature of 4 characters. */
void acpi_warn(struct acpi_info *info, const char *table, const char *text);

/* One parser per table; the view is the whole table, header included, with a right checksum. */
void acpi_read_madt(struct acpi_info *info, const struct acpi_view *t);
void acpi_read_fadt(struct acpi_info *info, const struct acpi_view *t);
void acpi_read_hpet(struct acpi_info *info, const struct acpi_view *t);
void acpi_read_mcfg(struct acpi_info *info, const struct acpi_view *t);
void acpi_read_dmar(struct acpi_info *info, const struct acpi_view *t);
void acpi_read_ivrs(struct acpi_info *info, const struct acpi_view *t);

#endif
