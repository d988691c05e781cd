/* SPDX-License-Identifier: MIT */
/*
 * RSDP, XSDT, FADT, MADT and an empty DSDT, after ACPI 5.0 (chapter 5.2). The FADT says "hardware-
 * reduced": no timer, no sleep, no control block; and no VGA, no CMOS clock, no 8042. The MADT
 * lists all vCPUs that there may ever be as usable: a kernel that knows Xen takes those offline
 * that the xenstore calls so, and could not bring up later what was not listed. The processor's
 * UID is the vCPU's number: by it Linux finds the vCPU of a processor.
 */
#include "tools/builder/acpi.h"

#include <string.h>

#include <xen/arch-x86/hvm/start_info.h>

#include "lib/macros.h"

#define PACKED __attribute__((packed))
#define LAPIC_ADDRESS 0xfee00000u
#define MADT_LAPIC 0
#define MADT_LAPIC_ENABLED 1u
#define FADT_NO_VGA (1u << 2)
#define FADT_NO_CMOS_RTC (1u << 5)
#define FADT_WBINVD (1u << 0)
#define FADT_HW_REDUCED (1u << 20)

struct rsdp {
    char signature[8];
    uint8_t checksum; /* of the first 20 bytes */
    char oem[6];
    uint8_t revision;
    uint32_t rsdt, length;
    uint64_t xsdt;
    uint8_t whole_checksum, reserved[3];
} PACKED;

struct header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[6], oem_table[8];
    uint32_t oem_revision;
    char creator[4];
    uint32_t creator_revision;
} PACKED;

struct xsdt {
    struct header h;
    uint64_t table[2];
} PACKED;

struct fadt {
    struct header h;
    uint32_t facs, dsdt;
    uint8_t unused1[109 - 44];
    uint16_t boot_arch;
    uint8_t unused2;
    uint32_t flags;
    uint8_t unused3[140 - 116];
    uint64_t x_dsdt;
    uint8_t unused4[268 - 148];
} PACKED;
_Static_assert(offsetof(struct fadt, boot_arch) == 109 && offsetof(struct fadt, flags) == 112 &&
                   offsetof(struct fadt, x_dsdt) == 140 && sizeof(struct fadt) == 268,
               "ACPI 5.0, table 5-34");

struct madt_lapic {
    uint8_t type, length, uid, apic_id;
    uint32_t flags;
} PACKED;

struct madt {
    struct header h;
    uint32_t lapic_address, flags;
    struct madt_lapic cpu[];
} PACKED;

/* All in one piece, in this order; the MADT, whose length varies, is last. */
struct tables {
    struct rsdp rsdp;
    uint8_t pad[64 - sizeof(struct rsdp)];
    struct xsdt xsdt;
    struct fadt fadt;
    struct header dsdt;
    struct madt madt;
} PACKED;

static uint8_t checksum(const void *p, size_t len)
{
    const uint8_t *b = p;
    uint8_t sum = 0;

    while (len--)
        sum += *b++;
    return (uint8_t)-sum;
}

static void fill_header(struct header *h, const char *signature, uint8_t revision, size_t len)
{
    memcpy(h->signature, signature, 4);
    h->length = (uint32_t)len;
    h->revision = revision;
    memcpy(h->oem, "Orlop ", 6);
    memcpy(h->oem_table, "PVH     ", 8);
    memcpy(h->creator, "ORLP", 4);
    h->oem_revision = h->creator_revision = 1;
    h->checksum = checksum(h, len);
}

static size_t madt_size(unsigned int vcpus)
{
    return sizeof(struct madt) + vcpus * sizeof(struct madt_lapic);
}

size_t acpi_tables_size(unsigned int vcpus)
{
    return offsetof(struct tables, madt) + madt_size(vcpus);
}

static void fill_madt(struct madt *m, unsigned int vcpus)
{
    m->lapic_address = LAPIC_ADDRESS;
    for (unsigned int i = 0; i < vcpus; i++)
        m->cpu[i] = (struct madt_lapic){ .type = MADT_LAPIC,
                                         .length = sizeof(m->cpu[i]),
                                         .uid = (uint8_t)i,
                                         .apic_id = (uint8_t)(2 * i),
                                         .flags = MADT_LAPIC_ENABLED };
    fill_header(&m->h, "APIC", 3, madt_size(vcpus));
}

void acpi_tables(void *to, uint64_t at, unsigned int vcpus)
{
    struct tables *t = to;

    memset(t, 0, acpi_tables_size(vcpus));
    fill_madt(&t->madt, vcpus);
    fill_header(&t->dsdt, "DSDT", 2, sizeof(t->dsdt));
    t->fadt.x_dsdt = at + offsetof(struct tables, dsdt);
    t->fadt.dsdt = (uint32_t)t->fadt.x_dsdt;
    t->fadt.boot_arch = FADT_NO_VGA | FADT_NO_CMOS_RTC;
    t->fadt.flags = FADT_WBINVD | FADT_HW_REDUCED;
    fill_header(&t->fadt.h, "FACP", 5, sizeof(t->fadt));
    t->xsdt.table[0] = at + offsetof(struct tables, fadt);
    t->xsdt.table[1] = at + offsetof(struct tables, madt);
    fill_header(&t->xsdt.h, "XSDT", 1, sizeof(t->xsdt));
    memcpy(t->rsdp.signature, "RSD PTR ", 8);
    memcpy(t->rsdp.oem, "Orlop ", 6);
    t->rsdp.revision = 2;
    t->rsdp.length = sizeof(t->rsdp);
    t->rsdp.xsdt = at + offsetof(struct tables, xsdt);
    t->rsdp.checksum = checksum(&t->rsdp, 20);
    t->rsdp.whole_checksum = checksum(&t->rsdp, sizeof(t->rsdp));
}
