/* SPDX-License-Identifier: MIT */
/* Cache attributes: entries of every PAT index, two that differ for one frame, tables among them.
 */
#include "guest.h"

static const pte_t attributes[] = {
    0,       PTE_PWT,           PTE_PCD,           PTE_PCD | PTE_PWT,
    PTE_PAT, PTE_PAT | PTE_PWT, PTE_PAT | PTE_PCD, PTE_PAT | PTE_PCD | PTE_PWT,
};

static uint64_t slot(unsigned int n)
{
    return va_pte_maddr(TEST_VA, 1) + 8 * n;
}

/* RAM with each attribute: accepted or refused, it works or changes nothing. */
static void check_each(void)
{
    unsigned long pfn = alloc_pfn();
    volatile uint64_t *page = (volatile uint64_t *)(TEST_VA + PAGE_SIZE);

    for (unsigned int i = 0; i < ARRAY_SIZE(attributes); i++) {
        CHECK_EQ(direct_set(pfn, 0), 0, "leave the direct map");
        long rc = mmu_set(slot(1), pfn_pte(pfn, KERN_RW) | attributes[i]);

        if (rc) {
            printk("note: attribute %u refused: %ld\n", i, rc);
            CHECK_EQ(pte_read(slot(1)), 0, "the entry");
        } else {
            if ((pte_read(slot(1)) & 0x98) != attributes[i])
                printk("note: attribute %u became %#lx\n", i, pte_read(slot(1)) & 0x98);
            mmuext1(MMUEXT_INVLPG_LOCAL, (uint64_t)page, 0);
            *page = 0x1000 + i;
            CHECK_EQ(*page, 0x1000 + i, "a page of attribute %u", i);
        }
        CHECK_EQ(mmu_set(slot(1), 0), 0, "clear");
        mmuext1(MMUEXT_INVLPG_LOCAL, (uint64_t)page, 0);
        CHECK_EQ(direct_set(pfn, KERN_RW), 0, "write-back again after attribute %u", i);
        if (!rc)
            CHECK_EQ(*(volatile uint64_t *)pfn_virt(pfn), 0x1000 + i, "through the direct map");
    }
    free_pfn(pfn);
}

/* Two attributes for one frame at a time: refused, or the older one follows; never an error later.
 */
static void check_conflict(void)
{
    unsigned long pfn = alloc_pfn();
    long rc = mmu_set(slot(1), pfn_pte(pfn, KERN_RW) | PTE_PCD | PTE_PWT);

    printk("note: a second attribute: %ld\n", rc);
    *(volatile uint64_t *)pfn_virt(pfn) = 77;
    if (!rc)
        CHECK_EQ(*(volatile uint64_t *)(TEST_VA + PAGE_SIZE), 77, "the uncached mapping");
    CHECK_EQ(mmu_set(slot(1), 0), 0, "clear");
    CHECK_EQ(direct_set(pfn, KERN_RO), 0, "read-only");
    CHECK_EQ(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[pfn], 0),
             mmuext1(MMUEXT_UNPIN_TABLE, p2m[pfn], 0) ? 1 : 0, "as a page table afterwards");
    CHECK_EQ(direct_set(pfn, KERN_RW), 0, "writable");
    free_pfn(pfn);
}

/* A page table's frame is write-back for the hypervisor that walks it. */
static void check_table(void)
{
    unsigned long table = M2P[va_pte_maddr(TEST_VA, 1) >> 12];
    long rc = mmu_set(slot(1), pfn_pte(table, KERN_RO) | PTE_PCD | PTE_PWT);

    printk("note: an uncached view of a page table: %ld\n", rc);
    CHECK_EQ(mmu_set(slot(2), pfn_pte(table, KERN_RO)), 0, "a cached view");
    CHECK_EQ(mmu_set(slot(1), 0), 0, "clear");
    CHECK_EQ(mmu_set(slot(2), 0), 0, "clear");
    CHECK(mmu_set(slot(1), pfn_pte(table, KERN_RW) | PTE_PCD) < 0, "an uncached writable view");
}

/* Device memory keeps the attribute that was asked for. */
static void check_device(void)
{
    CHECK_EQ(mmu_set(slot(1), mk_pte(0xb8, KERN_RW) | PTE_PCD | PTE_PWT), 0, "uncached device");
    CHECK_EQ(pte_read(slot(1)) & (PTE_PCD | PTE_PWT), PTE_PCD | PTE_PWT, "attribute");
    CHECK_EQ(mmu_set(slot(1), 0), 0, "clear");
    mmuext1(MMUEXT_INVLPG_LOCAL, TEST_VA + PAGE_SIZE, 0);
}

void guest_main(void)
{
    struct account before;

    map_page(TEST_VA, 0);
    account_take(&before);
    check_each();
    check_conflict();
    check_table();
    check_device();
    account_check(&before, "cache attributes");
}
