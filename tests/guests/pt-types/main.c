/* SPDX-License-Identifier: MIT */
/*
 * A frame is a page table of one level, or writable, never two of these: every way to break that is
 * refused and leaves the entry as it was. A linear entry is read-only: see pt-linear.
 */
#include "guest.h"

static unsigned long table_pfn[5]; /* the tables of TEST_VA by level */

/* One entry that must be refused; it keeps its old value. */
static void refuse(uint64_t maddr, pte_t val, const char *what)
{
    pte_t before = pte_read(maddr);
    long rc = mmu_set(maddr, val);

    CHECK(rc < 0, "%s: accepted %#lx", what, val);
    CHECK_EQ(pte_read(maddr), before, "%s: the entry changed", what);
    if (rc >= 0)
        mmu_set(maddr, before);
}

/* An entry that may be refused or accepted; it is put back. */
static void either(uint64_t maddr, pte_t val, const char *what)
{
    pte_t before = pte_read(maddr);
    long rc = mmu_set(maddr, val);

    printk("note: %s: %ld\n", what, rc);
    CHECK_EQ(mmu_set(maddr, before), 0, "%s: put back", what);
    CHECK_EQ(pte_read(maddr), before, "%s: the entry", what);
}

static void build(void)
{
    unsigned long pfn = alloc_pfn();

    map_page(TEST_VA, pfn_pte(pfn, KERN_RW));
    table_pfn[0] = pfn;
    for (int level = 1; level <= 4; level++)
        table_pfn[level] = M2P[va_pte_maddr(TEST_VA, level) >> 12];
}

/* entry: 1 to 4, points at tables of the level below. Free slot next to the used one. */
static uint64_t slot(int entry)
{
    return va_pte_maddr(TEST_VA, entry) + 8;
}

static void check_writable_mapping_of_tables(void)
{
    for (int level = 1; level <= 4; level++) {
        unsigned long pfn = table_pfn[level];
        long rc = direct_set(pfn, KERN_RW);

        CHECK(rc < 0, "update_va_mapping made the L%d writable", level);
        CHECK_EQ(va_pte((uint64_t)pfn_virt(pfn), 1) & PTE_RW, 0, "L%d in the direct map", level);
        refuse(slot(1), pfn_pte(pfn, KERN_RW), "writable mapping of a table");
        either(slot(1), pfn_pte(pfn, KERN_RO), "read-only mapping of a table");
    }
}

/* A table of a wrong level, or a data page, at every level. */
static void check_cross_level(void)
{
    for (int entry = 2; entry <= 4; entry++) {
        for (int target = 0; target <= 4; target++) {
            if (target == entry - 1)
                continue;
            if (target == entry)
                continue; /* linear: below */
            refuse(slot(entry), pfn_pte(table_pfn[target], PT_FLAGS), "cross-level entry");
        }
    }
}

static void check_writable_linear(void)
{
    for (int entry = 2; entry <= 4; entry++) {
        refuse(slot(entry), pfn_pte(table_pfn[entry], PT_FLAGS), "writable linear entry");
    }
}

/* The tables that map the tables stay read-only through every path to them. */
static void check_l1_of_itself(void)
{
    refuse(slot(1), pfn_pte(table_pfn[1], KERN_RW), "an L1 that maps itself writable");
    CHECK_EQ(mmu_set(slot(1), pfn_pte(table_pfn[1], KERN_RO)), 0, "an L1 that maps itself");
    CHECK_EQ(*(pte_t *)(TEST_VA + PAGE_SIZE), pte_read(va_pte_maddr(TEST_VA, 1)), "through itself");
    /* A legal value may be emulated (writable page tables); a writable mapping of it never. */
    CHECK_EQ(try_write64((void *)(TEST_VA + PAGE_SIZE + 16), pfn_pte(table_pfn[1], KERN_RW)),
             VEC_PF, "bad write through itself");
    CHECK_EQ(pte_read(slot(1) + 8), 0, "the entry");
    CHECK_EQ(mmu_set(slot(1), 0), 0, "undo");
}

static void check_superpages(void)
{
    unsigned long aligned = (p2m[table_pfn[0]] + 511) & ~511ul;

    refuse(slot(2), mk_pte(aligned, PT_FLAGS | PTE_PSE), "2 MiB page");
    refuse(slot(3), mk_pte(0, PT_FLAGS | PTE_PSE), "1 GiB page");
    refuse(slot(4), pfn_pte(table_pfn[3], PT_FLAGS | PTE_PSE), "PS in an L4 entry");
    refuse(slot(2), mk_pte(p2m[table_pfn[1]], PT_FLAGS | PTE_PSE), "PS with a table's frame");
}

/* Address bits that no machine has; not-present entries may hold anything. */
static void check_reserved_bits(void)
{
    for (int bit = 45; bit < 52; bit++)
        for (int entry = 1; entry <= 4; entry++)
            refuse(slot(entry), (1ul << bit) | PT_FLAGS, "frame beyond memory");
    for (int entry = 1; entry <= 4; entry++) {
        CHECK_EQ(mmu_set(slot(entry), 0xdeadbeefdeadbeeeul & ~PTE_P), 0, "not present, L%d", entry);
        CHECK_EQ(mmu_set(slot(entry), 0), 0, "clear, L%d", entry);
    }
    CHECK_EQ(mmu_set(slot(1), ~1ul), 0, "all bits but present");
    CHECK_EQ(pte_read(slot(1)), ~1ul, "all bits but present");
    CHECK_EQ(mmu_set(slot(1), 0), 0, "clear");
}

/* Slots 256 to 271 of an L4 are the hypervisor's, in a live table and in a new one. */
static void check_reserved_slots(void)
{
    uint64_t l4 = p2m[kernel_l4_pfn] << 12;
    unsigned long pfn = alloc_pfn();
    pte_t *table = pfn_virt(pfn);

    for (unsigned int i = 256; i < 272; i++) {
        refuse(l4 + 8 * i, pfn_pte(table_pfn[3], PT_FLAGS), "a hypervisor slot");
        CHECK(mmu_set(l4 + 8 * i, 0) < 0, "hypervisor slot %u cleared", i);
        table[i] = pfn_pte(table_pfn[3], PT_FLAGS);
    }
    CHECK_EQ(direct_set(pfn, KERN_RO), 0, "read-only");
    if (mmuext1(MMUEXT_PIN_L4_TABLE, p2m[pfn], 0) == 0) {
        for (unsigned int i = 256; i < 272; i++)
            CHECK(table[i] != pfn_pte(table_pfn[3], PT_FLAGS), "new L4 kept slot %u", i);
        CHECK_EQ(mmuext1(MMUEXT_UNPIN_TABLE, p2m[pfn], 0), 0, "unpin");
    }
    for (unsigned int i = 256; i < 272; i++)
        if (mmu_set(((uint64_t)p2m[pfn] << 12) + 8 * i, 0)) {
            /* It may still count as an L4 without references; a writable mapping resets it. */
            break;
        }
    CHECK_EQ(direct_set(pfn, KERN_RW), 0, "writable again");
    free_pfn(pfn);
}

/* A page is a table only while nothing maps it writable, counting every mapping. */
static void check_writable_then_table(void)
{
    unsigned long pfn = alloc_pfn();
    uint64_t second = slot(1);

    CHECK_EQ(mmu_set(second, pfn_pte(pfn, KERN_RW)), 0, "second writable mapping");
    refuse(slot(2), pfn_pte(pfn, PT_FLAGS), "table with two writable mappings");
    CHECK_EQ(direct_set(pfn, KERN_RO), 0, "first mapping read-only");
    refuse(slot(2), pfn_pte(pfn, PT_FLAGS), "table with one writable mapping");
    CHECK_EQ(mmu_set(second, pfn_pte(pfn, KERN_RO)), 0, "second mapping read-only");
    CHECK_EQ(mmu_set(slot(2), pfn_pte(pfn, PT_FLAGS)), 0, "table");
    refuse(second, pfn_pte(pfn, KERN_RW), "second mapping writable again");
    CHECK(direct_set(pfn, KERN_RW) < 0, "first mapping writable again");
    CHECK_EQ(mmu_set(slot(2), 0), 0, "unlink");
    CHECK_EQ(mmu_set(second, pfn_pte(pfn, KERN_RW)), 0, "writable again after");
    CHECK_EQ(mmu_set(second, 0), 0, "clear");
    CHECK_EQ(direct_set(pfn, KERN_RW), 0, "writable again");
    free_pfn(pfn);
}

/* A new L1 whose entry number i is bad: the whole table is refused and nothing is kept. */
static void check_bad_tables(void)
{
    static const unsigned int places[] = { 0, 1, 255, 511 };
    unsigned long pfn = alloc_pfn(), good = alloc_pfn();
    pte_t *table = pfn_virt(pfn);

    for (unsigned int i = 0; i < ARRAY_SIZE(places); i++) {
        for (unsigned int n = 0; n < 512; n++)
            table[n] = pfn_pte(good, KERN_RW);
        table[places[i]] = pfn_pte(table_pfn[1], KERN_RW);
        CHECK_EQ(direct_set(pfn, KERN_RO), 0, "read-only");
        refuse(slot(2), pfn_pte(pfn, PT_FLAGS), "L1 with one bad entry");
        CHECK(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[pfn], 0) < 0, "pin of it");
        CHECK_EQ(direct_set(pfn, KERN_RW), 0, "writable again");
    }
    /* The good page lost no reference and got none: it can still become a table. */
    CHECK_EQ(direct_set(good, KERN_RO), 0, "good page read-only");
    CHECK_EQ(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[good], 0), 0, "good page as a table");
    CHECK_EQ(mmuext1(MMUEXT_UNPIN_TABLE, p2m[good], 0), 0, "unpin");
    CHECK_EQ(direct_set(good, KERN_RW), 0, "good page writable again");
    free_pfn(good);
    free_pfn(pfn);
}

/* Without the user bit an entry still serves the kernel, which runs in ring 3. */
static void check_supervisor_entry(void)
{
    unsigned long pfn = alloc_pfn();
    uint8_t v;

    CHECK_EQ(mmu_set(slot(1), pfn_pte(pfn, KERN_RW & ~PTE_US)), 0, "entry without US");
    CHECK_EQ(try_read8((void *)(TEST_VA + PAGE_SIZE), &v), NO_FAULT, "read");
    CHECK_EQ(try_write8((void *)(TEST_VA + PAGE_SIZE), 7), NO_FAULT, "write");
    CHECK_EQ(*(uint8_t *)pfn_virt(pfn), 7, "what was written");
    CHECK_EQ(mmu_set(slot(1), 0), 0, "clear");
    free_pfn(pfn);
}

void guest_main(void)
{
    struct account before;

    account_take(&before);
    build();
    check_writable_mapping_of_tables();
    check_cross_level();
    check_writable_linear();
    check_l1_of_itself();
    check_superpages();
    check_reserved_bits();
    check_reserved_slots();
    check_writable_then_table();
    check_bad_tables();
    check_supervisor_entry();
    account_check(&before, "types");
}
