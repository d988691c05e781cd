/* SPDX-License-Identifier: MIT */
/* What UEFI's system table says, copied once at boot. */
#include "core/log.h"
#include "lib/macros.h"
#include "lib/string.h"
#include "x86/boot/boot.h"
#include "x86/efi/efi.h"
#include "x86/efi/private.h"
#include "x86/mm/vmap.h"

#define MAX_TABLES 256

struct efi_facts efi;

bool efi_read(void *out, uint64_t pa, size_t n)
{
    void *p = pa ? vmap(MADDR(pa), n, VMAP_RO) : NULL;

    if (!p)
        return false;
    memcpy(out, p, n);
    vunmap(p, n);
    return true;
}

static void read_vendor(uint64_t pa)
{
    if (!efi_read(efi.vendor, pa, sizeof(efi.vendor)))
        return;
    efi.vendor[ARRAY_SIZE(efi.vendor) - 1] = 0;
}

static void find_rsdp(void)
{
    static const uint8_t acpi2[16] = { 0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11,
                                       0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 };
    struct efi_config_entry e;

    for (uint32_t i = 0; i < efi.nr_tables; i++)
        if (efi_read(&e, efi.tables + i * sizeof(e), sizeof(e)) && !memcmp(e.guid, acpi2, 16))
            efi.rsdp = e.table;
}

/* The vendor's name as far as it is plain. */
static const char *plain_vendor(void)
{
    static char text[ARRAY_SIZE(efi.vendor)];

    for (unsigned int i = 0; i < ARRAY_SIZE(text) && efi.vendor[i]; i++)
        text[i] = efi.vendor[i] >= ' ' && efi.vendor[i] < 0x7f ? (char)efi.vendor[i] : '?';
    return text;
}

void efi_init(bool want_services)
{
    struct efi_system_table t;
    const char *why = "the option efi=no-rs leaves them alone";

    if (!boot_info.efi_system_table)
        return;
    if (!efi_read(&t, boot_info.efi_system_table, sizeof(t)) ||
        t.hdr.signature != EFI_SYSTEM_TABLE_SIGNATURE) {
        log_warn("UEFI: the system table that the boot loader names is none; Domain 0 finds no "
                 "firmware");
        return;
    }
    efi.started = true;
    efi.revision = t.hdr.revision;
    efi.firmware_revision = t.firmware_revision;
    efi.tables = t.tables;
    efi.nr_tables = (uint32_t)MIN(t.nr_tables, (uint64_t)MAX_TABLES);
    read_vendor(t.vendor);
    find_rsdp();
    log_info("UEFI %u.%u by %s, %u tables", efi.revision >> 16, (efi.revision & 0xffff) / 10,
             plain_vendor(), efi.nr_tables);
    if (want_services && !boot_info.efi_map.len)
        why = "the boot loader passed no memory map of UEFI's";
    else if (want_services)
        why = efi_map_services(t.runtime);
    efi.services = !why;
    if (why)
        log_warn("UEFI: no runtime services (clock, variables, reset): %s", why);
}
