/* SPDX-License-Identifier: MIT */
/* Root pointer, root table, and the walk over the tables. One mapping is in use at a time. */
#include "lib/macros.h"
#include "lib/string.h"
#include "x86/acpi/view.h"

#define RSDP_V1 20 /* bytes that the first checksum covers */
#define RSDP_V2 36
#define EBDA_POINTER 0x40e /* the BIOS keeps the EBDA's segment here */
#define BIOS_START 0xe0000
#define BIOS_END 0x100000
#define MAX_ROOT_ENTRIES 512

void acpi_warn(struct acpi_info *info, const char *table, const char *text)
{
    struct acpi_warning *w = &info->warnings[info->nr_warnings];

    if (info->nr_warnings == ACPI_MAX_WARNINGS) {
        info->lost_warnings++;
        return;
    }
    info->nr_warnings++;
    for (unsigned i = 0; i < 4; i++)
        w->table[i] = table[i] >= ' ' && table[i] <= '~' ? table[i] : '?';
    w->table[4] = '\0';
    w->text = text;
}

static bool checksum_ok(const uint8_t *p, size_t len)
{
    uint8_t sum = 0;

    while (len--)
        sum = (uint8_t)(sum + *p++);
    return sum == 0;
}

struct roots {
    uint64_t rsdt, xsdt;
    uint8_t revision;
};

/* Reads a root pointer of up to `len` bytes. */
static bool read_rsdp(const uint8_t *p, size_t len, struct roots *r)
{
    struct acpi_view v = { p, len };

    if (len < RSDP_V1 || memcmp(p, "RSD PTR ", 8) != 0 || !checksum_ok(p, RSDP_V1))
        return false;
    r->revision = view_u8(&v, 15);
    r->rsdt = view_u32(&v, 16);
    r->xsdt = 0;
    if (r->revision >= 2 && len >= RSDP_V2 && checksum_ok(p, RSDP_V2))
        r->xsdt = view_u64(&v, 24);
    return r->rsdt || r->xsdt;
}

static bool search_rsdp(acpi_map_fn *map, uint64_t start, uint64_t end, struct acpi_info *info,
                        struct roots *r)
{
    for (uint64_t pa = start; pa < end; pa += 16) {
        size_t len = MIN(end - pa, (uint64_t)RSDP_V2);
        const uint8_t *p = map(pa, len);

        if (p && read_rsdp(p, len, r)) {
            info->rsdp = pa;
            return true;
        }
    }
    return false;
}

static bool find_rsdp(acpi_map_fn *map, const void *copy, size_t len, struct acpi_info *info,
                      struct roots *r)
{
    const uint8_t *p;
    uint64_t ebda = 0;

    if (copy && read_rsdp(copy, len, r))
        return true;
    if (copy)
        acpi_warn(info, "RSDP", "the boot loader's copy is damaged");
    p = map(EBDA_POINTER, 2);
    if (p)
        ebda = (uint64_t)(p[0] | p[1] << 8) << 4;
    if (ebda >= 0x400 && ebda < 0xa0000 && search_rsdp(map, ebda, ebda + 1024, info, r))
        return true;
    return search_rsdp(map, BIOS_START, BIOS_END, info, r);
}

/*
 * Maps the whole table at `pa`; false, with a warning, if it is none. The signature is in `sig`
 * even so, if readable.
 */
static bool open_table(acpi_map_fn *map, uint64_t pa, struct acpi_info *info, char sig[4],
                       struct acpi_view *t)
{
    const uint8_t *p = pa && pa + ACPI_MAX_TABLE > pa ? map(pa, ACPI_HEADER) : NULL;
    struct acpi_view header = { p, ACPI_HEADER };
    uint32_t len;

    memcpy(sig, "????", 4);
    if (!p) {
        acpi_warn(info, sig, "a table lies at an unreadable address");
        return false;
    }
    memcpy(sig, p, 4);
    len = view_u32(&header, 4);
    if (len < ACPI_HEADER || len > ACPI_MAX_TABLE) {
        acpi_warn(info, sig, "the table's length is impossible");
        return false;
    }
    p = map(pa, len);
    if (!p) {
        acpi_warn(info, sig, "the table lies at an unreadable address");
        return false;
    }
    t->p = p;
    t->len = len;
    if (!checksum_ok(p, len)) {
        acpi_warn(info, sig, "the table's checksum is wrong");
        return false;
    }
    return true;
}

typedef void table_reader(struct acpi_info *info, const struct acpi_view *t);

static const struct {
    char sig[5];
    table_reader *read;
} readers[] = {
    { "APIC", acpi_read_madt }, { "FACP", acpi_read_fadt }, { "HPET", acpi_read_hpet },
    { "MCFG", acpi_read_mcfg }, { "DMAR", acpi_read_dmar }, { "IVRS", acpi_read_ivrs },
};

/* Reads the table at `pa` if its kind is known and new; `*seen` has a bit for each reader. */
static void read_table(acpi_map_fn *map, uint64_t pa, struct acpi_info *info, unsigned *seen)
{
    const uint8_t *p = pa && pa + ACPI_MAX_TABLE > pa ? map(pa, ACPI_HEADER) : NULL;
    struct acpi_view t;
    char sig[4];

    for (unsigned i = 0; p && i < ARRAY_SIZE(readers); i++) {
        if (memcmp(p, readers[i].sig, 4) != 0)
            continue;
        if (*seen & 1u << i) {
            acpi_warn(info, readers[i].sig, "a second table of this kind is ignored");
        } else if (open_table(map, pa, info, sig, &t)) {
            *seen |= 1u << i;
            readers[i].read(info, &t);
        }
        return;
    }
    if (!p)
        acpi_warn(info, "????", "a table lies at an unreadable address");
}

/* Reads all tables that the root table at `pa` names; `width` is 4 for an RSDT, 8 for an XSDT. */
static const char *walk_root(acpi_map_fn *map, uint64_t pa, unsigned width, struct acpi_info *info)
{
    struct acpi_view t;
    size_t entries;
    unsigned seen = 0;
    char sig[4];

    if (!open_table(map, pa, info, sig, &t))
        return "the ACPI root table is damaged";
    if (memcmp(sig, width == 8 ? "XSDT" : "RSDT", 4) != 0)
        return "the ACPI root table has a wrong signature";
    entries = (t.len - ACPI_HEADER) / width;
    if (entries > MAX_ROOT_ENTRIES) {
        acpi_warn(info, sig, "too many entries, the last ones are ignored");
        entries = MAX_ROOT_ENTRIES;
    }
    for (size_t i = 0; i < entries; i++) {
        struct acpi_view entry = { map(pa + ACPI_HEADER + i * width, width), width };

        /* Reading a table ends the root table's mapping, hence the new one for each entry. */
        if (entry.p)
            read_table(map, view_read(&entry, 0, width), info, &seen);
    }
    return NULL;
}

const char *acpi_parse(acpi_map_fn *map, const void *rsdp_copy, size_t rsdp_len,
                       struct acpi_info *info)
{
    const char *why = "the ACPI root table is missing";
    struct roots r;

    memset(info, 0, sizeof(*info));
    if (!find_rsdp(map, rsdp_copy, rsdp_len, info, &r))
        return "no ACPI root pointer";
    info->revision = r.revision;
    if (r.xsdt)
        why = walk_root(map, r.xsdt, 8, info);
    if (why && r.rsdt)
        why = walk_root(map, r.rsdt, 4, info);
    return why;
}
