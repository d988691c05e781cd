/* SPDX-License-Identifier: MIT */
/*
 * The ACPI parser on tables made here. Each mapping is a fresh copy of exactly the length asked
 * for, and the former one is freed, so the sanitizer sees every read outside of what was mapped or
 * after its time.
 */
#include "unit.h"

#include "x86/acpi/acpi.h"

#define MEMORY (1u << 20)
#define RSDP 0xf0010
#define XSDT 0x20000
#define TABLES 0x21000 /* the tables follow one another from here on */

static uint8_t memory[MEMORY];
static uint8_t *mapping;
static uint32_t next_table;
static unsigned nr_tables;
static struct acpi_info info;

static const void *map(uint64_t pa, size_t len)
{
    free(mapping);
    mapping = NULL;
    if (pa > MEMORY || len > MEMORY - pa)
        return NULL;
    mapping = malloc(len ? len : 1);
    memcpy(mapping, memory + pa, len);
    return mapping;
}

static void put(uint32_t at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        memory[at + i] = (uint8_t)(value >> 8 * i);
}

static void sum(uint32_t at, uint32_t len, uint32_t field)
{
    uint8_t s = 0;

    memory[field] = 0;
    for (uint32_t i = 0; i < len; i++)
        s = (uint8_t)(s + memory[at + i]);
    memory[field] = (uint8_t)-s;
}

static void seal(uint32_t at, uint32_t len)
{
    put(at + 4, len, 4);
    sum(at, len, at + 9);
}

static void put_rsdp(uint32_t at, uint32_t rsdt, uint64_t xsdt)
{
    memcpy(memory + at, "RSD PTR ", 8);
    memory[at + 15] = xsdt ? 2 : 0;
    put(at + 16, rsdt, 4);
    put(at + 20, 36, 4);
    put(at + 24, xsdt, 8);
    sum(at, 20, at + 8);
    sum(at, 36, at + 32);
}

static void start(void)
{
    memset(memory, 0, sizeof(memory));
    next_table = TABLES;
    nr_tables = 0;
    memcpy(memory + XSDT, "XSDT", 4);
    seal(XSDT, 36);
    put_rsdp(RSDP, 0, XSDT);
}

/* Appends a table and names it in the XSDT; returns its address. */
static uint32_t add_table(const char *sig, uint32_t len)
{
    uint32_t at = next_table;

    next_table += (len + 63) & ~63u;
    memcpy(memory + at, sig, 4);
    seal(at, len);
    put(XSDT + 36 + 8 * nr_tables++, at, 8);
    seal(XSDT, 36 + 8 * nr_tables);
    return at;
}

static const char *parse(void)
{
    const char *why = acpi_parse(map, NULL, 0, &info);

    free(mapping);
    mapping = NULL;
    return why;
}

/* How many warnings contain `part`. */
static unsigned warned(const char *part)
{
    unsigned n = 0;

    for (unsigned i = 0; i < info.nr_warnings; i++)
        n += strstr(info.warnings[i].text, part) != NULL;
    return n;
}

static uint32_t madt_end;

static uint32_t add_madt(void)
{
    uint32_t at = add_table("APIC", 2000);

    put(at + 36, 0xfee00000, 4);
    put(at + 40, 1, 4);
    madt_end = at + 44;
    return at;
}

static void add_entry(const uint8_t *bytes)
{
    memcpy(memory + madt_end, bytes, bytes[1]);
    madt_end += bytes[1];
}

#define ENTRY(...) add_entry((const uint8_t[]){ __VA_ARGS__ })

TEST(acpi_no_root)
{
    memset(memory, 0, sizeof(memory));
    CHECK_WHY(parse(), "no ACPI root pointer");
    start();
    memory[RSDP + 8]++;
    CHECK_WHY(parse(), "no ACPI root pointer");
}

TEST(acpi_root_in_ebda_and_copy)
{
    uint8_t copy[36];

    start();
    memcpy(copy, memory + RSDP, 36);
    memcpy(memory + 0x9fc20, memory + RSDP, 36);
    memset(memory + RSDP, 0, 36);
    put(0x40e, 0x9fc0, 2);
    CHECK_NULL(parse());
    CHECK_EQ(info.rsdp, 0x9fc20);
    put(0x40e, 0, 2);
    CHECK_WHY(parse(), "no ACPI");
    CHECK_NULL(acpi_parse(map, copy, sizeof(copy), &info));
    CHECK_EQ(info.rsdp, 0);
    CHECK_WHY(acpi_parse(map, copy, 19, &info), "no ACPI");
    CHECK_EQ(warned("copy is damaged"), 1);
    start();
    copy[3] = 0;
    CHECK_NULL(acpi_parse(map, copy, sizeof(copy), &info));
    CHECK_EQ(info.rsdp, RSDP);
}

TEST(acpi_falls_back_to_rsdt)
{
    uint32_t hpet;

    start();
    hpet = add_table("HPET", 56);
    put(hpet + 44, 0xfed00000, 8);
    seal(hpet, 56);
    memcpy(memory + 0x30000, "RSDT", 4);
    put(0x30000 + 36, hpet, 4);
    seal(0x30000, 40);
    put_rsdp(RSDP, 0x30000, XSDT);
    memory[XSDT + 20]++;
    CHECK_NULL(parse());
    CHECK(info.hpet_present);
    CHECK_EQ(warned("checksum"), 1);
    put_rsdp(RSDP, 0x30000, 0);
    CHECK_NULL(parse());
    CHECK(info.hpet_present && info.hpet_address == 0xfed00000);
    memcpy(memory + 0x30000, "XXXX", 4);
    seal(0x30000, 40);
    CHECK_WHY(parse(), "signature");
}

TEST(acpi_madt)
{
    uint32_t at;
    enum acpi_polarity pol;
    enum acpi_trigger trig;

    start();
    at = add_madt();
    ENTRY(0, 8, 0, 0, 1, 0, 0, 0);
    ENTRY(0, 8, 1, 1, 2, 0, 0, 0);
    ENTRY(0, 8, 2, 0xff, 0, 0, 0, 0);
    ENTRY(9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0);
    ENTRY(1, 12, 4, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0);
    ENTRY(2, 10, 0, 0, 2, 0, 0, 0, 0, 0);
    ENTRY(2, 10, 0, 9, 20, 0, 0, 0, 0xf, 0);
    ENTRY(4, 6, 0xff, 0, 0, 1);
    ENTRY(10, 12, 5, 0, 3, 0, 0, 0, 0, 0, 0, 0);
    ENTRY(3, 8, 5, 0, 7, 0, 0, 0);
    ENTRY(5, 12, 0, 0, 0, 0, 0xe1, 0xfe, 1, 0, 0, 0);
    ENTRY(0x7f, 5, 1, 2, 3);
    seal(at, madt_end - at);
    CHECK_NULL(parse());
    CHECK_EQ(info.nr_warnings, 0);
    CHECK(info.madt_present && info.has_8259);
    CHECK_EQ(info.lapic_address, 0x1fee10000);
    CHECK_EQ(info.nr_cpus, 3);
    CHECK(info.cpus[0].enabled && !info.cpus[1].enabled && info.cpus[1].online_capable);
    CHECK(info.cpus[2].apic_id == 0x100 && info.cpus[2].x2apic && info.cpus[2].acpi_id == 3);
    CHECK(info.nr_ioapics == 1 && info.ioapics[0].address == 0xfec00000 && info.ioapics[0].id == 4);
    CHECK(info.nr_nmis == 2 && info.nmis[0].acpi_id == ACPI_ALL_CPUS && info.nmis[0].lint == 1);
    CHECK(info.nmis[1].polarity == ACPI_ACTIVE_HIGH && info.nmis[1].trigger == ACPI_EDGE);
    CHECK(info.nr_nmi_sources == 1 && info.nmi_sources[0].gsi == 7);
    CHECK_EQ(acpi_isa_gsi(&info, 0, &pol, &trig), 2);
    CHECK(pol == ACPI_ACTIVE_HIGH && trig == ACPI_EDGE);
    CHECK_EQ(acpi_isa_gsi(&info, 9, &pol, &trig), 20);
    CHECK(pol == ACPI_ACTIVE_LOW && trig == ACPI_LEVEL);
    CHECK_EQ(acpi_isa_gsi(&info, 4, &pol, &trig), 4);
}

TEST(acpi_madt_damage)
{
    uint32_t at;

    start();
    at = add_madt();
    ENTRY(0, 8, 0, 0, 1, 0, 0, 0);
    ENTRY(0, 8, 1, 0, 1, 0, 0, 0);
    ENTRY(0, 8, 1, 0xff, 1, 0, 0, 0);
    ENTRY(1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    ENTRY(2, 10, 0, 16, 2, 0, 0, 0, 0, 0);
    ENTRY(4, 6, 0xff, 0, 0, 2);
    ENTRY(1, 4, 0, 0);
    seal(at, madt_end - at);
    CHECK_NULL(parse());
    CHECK_EQ(info.nr_cpus, 1);
    CHECK_EQ(info.nr_ioapics + info.nr_overrides + info.nr_nmis, 0);
    CHECK(warned("same APIC id") && warned("broadcast") && warned("impossible address"));
    CHECK(warned("not for an ISA") && warned("LINT0") && warned("too short"));

    for (uint8_t len = 0; len < 2; len++) { /* an entry that would not advance */
        memory[madt_end + 1] = len;
        seal(at, madt_end + 8 - at);
        CHECK_NULL(parse());
        CHECK_EQ(warned("from there on"), 1);
    }
    seal(at, madt_end - 1 - at); /* the last entry is cut off */
    CHECK_NULL(parse());
    CHECK_EQ(warned("from there on"), 1);
    seal(at, 40);
    CHECK_NULL(parse());
    CHECK(!info.madt_present && warned("too short"));
}

TEST(acpi_madt_too_many)
{
    uint32_t at;

    start();
    at = add_table("APIC", 44 + 300 * 16 + 40 * 12);
    madt_end = at + 44;
    for (unsigned i = 0; i < 300; i++)
        ENTRY(9, 16, 0, 0, (uint8_t)i, (uint8_t)(i >> 8), 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
    for (uint8_t i = 0; i < 40; i++)
        ENTRY(1, 12, i, 0, 0, 0, 0xc0, 0xfe, i, 0, 0, 0);
    seal(at, madt_end - at);
    CHECK_NULL(parse());
    CHECK(info.nr_cpus == ACPI_MAX_CPUS && info.nr_ioapics == ACPI_MAX_IOAPICS);
    CHECK_EQ(info.nr_warnings, ACPI_MAX_WARNINGS);
    CHECK_EQ(info.lost_warnings, 300 - 256 + 40 - 16 - ACPI_MAX_WARNINGS);
}

static uint32_t add_fadt(uint32_t len)
{
    uint32_t at = add_table("FACP", len);

    put(at + 46, 9, 2);
    put(at + 48, 0xb2, 4);
    memory[at + 52] = 2;
    put(at + 56, 0x600, 4);
    put(at + 64, 0x604, 4);
    put(at + 76, 0x608, 4);
    memory[at + 88] = 4;
    memory[at + 89] = 2;
    memory[at + 91] = 4;
    put(at + 112, 1 << 8 | 1 << 10, 4);
    seal(at, len);
    return at;
}

TEST(acpi_fadt)
{
    const struct acpi_fadt *f = &info.fadt;
    uint32_t at;

    start();
    at = add_fadt(244);
    memory[at + 116] = 1;
    memory[at + 117] = 8;
    put(at + 120, 0xcf9, 8);
    memory[at + 128] = 0xf;
    memory[at + 172] = 1;
    memory[at + 173] = 16;
    put(at + 176, 0x1804, 8);
    seal(at, 244);
    CHECK_NULL(parse());
    CHECK_EQ(info.nr_warnings, 0);
    CHECK(f->present && f->sci_irq == 9 && f->smi_command == 0xb2 && f->acpi_enable == 2);
    CHECK(f->pm1a_event.address == 0x600 && f->pm1a_event.bits == 32);
    CHECK(f->pm1a_control.address == 0x1804 && f->pm1a_control.space == ACPI_SPACE_IO);
    CHECK(f->pm1b_control.address == 0);
    CHECK(f->pm_timer.address == 0x608 && f->pm_timer_32bit);
    CHECK(f->reset_supported && f->reset.address == 0xcf9 && f->reset_value == 0xf);
}

TEST(acpi_fadt_old_short_and_wrong)
{
    uint32_t at;

    start();
    at = add_fadt(116);
    memory[at + 64 + 2] = 1; /* a port above 0xffff */
    seal(at, 116);
    CHECK_NULL(parse());
    CHECK(info.fadt.present && info.fadt.pm1a_control.address == 0 && !info.fadt.reset_supported);
    CHECK(warned("0xffff") && warned("power-off") && warned("reset register"));
    seal(at, 115);
    CHECK_NULL(parse());
    CHECK(!info.fadt.present && warned("too short"));
    start();
    at = add_fadt(244);
    memory[at + 172] = 1;
    put(at + 176, 0x123456, 8);
    seal(at, 244);
    CHECK_NULL(parse());
    CHECK(info.fadt.pm1a_control.address == 0x604 && warned("extended address"));
}

TEST(acpi_hpet_and_mcfg)
{
    uint32_t at;

    start();
    at = add_table("HPET", 56);
    put(at + 44, 0xfed00004, 8);
    seal(at, 56);
    at = add_table("MCFG", 44 + 3 * 16 + 5);
    put(at + 44, 0xb0000000, 8);
    memory[at + 44 + 11] = 0xff;
    put(at + 60, 0xb0000001, 8);
    put(at + 76, 0xc0000000, 8);
    memory[at + 76 + 10] = 2;
    memory[at + 76 + 11] = 1;
    seal(at, 44 + 3 * 16 + 5);
    CHECK_NULL(parse());
    CHECK(!info.hpet_present && warned("impossible address") == 1);
    CHECK(info.nr_mcfg == 1 && info.mcfg[0].base == 0xb0000000 && info.mcfg[0].bus_last == 0xff);
    CHECK_EQ(warned("entry is impossible"), 3);
}

TEST(acpi_iommus)
{
    uint32_t at;

    start();
    at = add_table("DMAR", 48 + 16 + 8);
    put(at + 50, 16, 2);
    put(at + 56, 0xfed90000, 8);
    put(at + 64, 1, 2);
    put(at + 66, 7, 2);
    seal(at, 48 + 16 + 7);
    at = add_table("IVRS", 48 + 24 + 24 + 4);
    put(at + 48, 0x10, 1);
    put(at + 50, 24, 2);
    put(at + 56, 0xfeb80000, 8);
    put(at + 72, 0x11, 1);
    put(at + 74, 24, 2);
    put(at + 80, 0xfeb80000, 8);
    seal(at, 48 + 24 + 24 + 4);
    CHECK_NULL(parse());
    CHECK(info.nr_iommus == 2 && info.iommus[0] == 0xfed90000 && info.iommus[1] == 0xfeb80000);
    CHECK_EQ(warned("length is impossible"), 1);
}

TEST(acpi_broken_tables_are_skipped)
{
    uint32_t hpet;

    start();
    add_table("HPET", 56);
    memory[TABLES + 40]++; /* wrong checksum */
    hpet = add_table("HPET", 56);
    put(hpet + 44, 0xfed00000, 8);
    seal(hpet, 56);
    add_table("HPET", 56);
    put(XSDT + 36 + 8 * nr_tables++, 0, 8);
    put(XSDT + 36 + 8 * nr_tables++, UINT64_MAX - 10, 8);
    put(XSDT + 36 + 8 * nr_tables++, 0x123456789000, 8);
    put(XSDT + 36 + 8 * nr_tables++, XSDT, 8); /* itself */
    put(XSDT + 36 + 8 * nr_tables++, hpet + 36, 8);
    seal(XSDT, 36 + 8 * nr_tables + 3);
    CHECK_NULL(parse());
    CHECK(info.hpet_present);
    CHECK_EQ(warned("checksum"), 1);
    CHECK_EQ(warned("second table"), 1);
    CHECK_EQ(warned("unreadable"), 3);
    put(hpet + 4, 35, 4);
    CHECK_NULL(parse());
    CHECK_EQ(warned("length is impossible"), 1);
    put(hpet + 4, 0xffffffff, 4);
    CHECK_NULL(parse());
    CHECK_EQ(warned("length is impossible"), 1);
    put(XSDT + 4, 35, 4);
    CHECK_WHY(parse(), "root table");
}
