/* SPDX-License-Identifier: MIT */
/*
 * Linear page tables: read-only entries of an L2, L3 or L4 that name a table of the same level.
 * What is taken, what is refused, that tables are read through them and never written, that no
 * entry is changed as another level's, and that nothing is left behind. As a BSD kernel has them.
 */
#include "guest.h"

static uint64_t entry(unsigned long pfn, unsigned int i)
{
    return ((uint64_t)p2m[pfn] << 12) + 8 * i;
}

static long pin(int level, unsigned long pfn)
{
    return mmuext1((unsigned int)(MMUEXT_PIN_L1_TABLE + level - 1), p2m[pfn], 0);
}

static long unpin(unsigned long pfn)
{
    return mmuext1(MMUEXT_UNPIN_TABLE, p2m[pfn], 0);
}

/* Names a table of its own level: its own freely, another one by the rule. */
static void check_rule(int level)
{
    unsigned long a = alloc_table(), b = alloc_table(), c = alloc_table();

    ANSWER(pin(level, a), 0);
    ANSWER(pin(level, b), 0);
    ANSWER(pin(level, c), 0);
    ANSWER(mmu_set(entry(a, 1), pfn_pte(a, KERN_RO)), 0);
    ANSWER(mmu_set(entry(a, 2), pfn_pte(a, KERN_RW)), -EINVAL);
    ANSWER(mmu_set(entry(a, 1), pfn_pte(a, KERN_RW)), -EINVAL); /* nor made writable later */
    ANSWER(mmu_set(entry(a, 4), pfn_pte(b, KERN_RO)), 0);
    ANSWER(mmu_set(entry(a, 5), pfn_pte(b, KERN_RW)), -EINVAL);
    ANSWER(mmu_set(entry(b, 4), pfn_pte(c, KERN_RO)), -EINVAL); /* it is named already */
    ANSWER(mmu_set(entry(b, 5), pfn_pte(a, KERN_RO)), -EINVAL); /* that one names others */
    ANSWER(mmu_set(entry(b, 6), pfn_pte(b, KERN_RO)), 0);
    ANSWER(mmu_set(entry(c, 5), pfn_pte(a, KERN_RO)), -EINVAL);
    ANSWER(mmu_set(entry(c, 6), pfn_pte(b, KERN_RO)), 0);
    ANSWER(unpin(b), 0);
    ANSWER(direct_set(b, KERN_RW), -EBUSY); /* two name it */
    ANSWER(mmu_set(entry(c, 6), 0), 0);
    ANSWER(direct_set(b, KERN_RW), -EBUSY);
    ANSWER(unpin(a), 0); /* takes b with it */
    ANSWER(direct_set(b, KERN_RW), 0);
    ANSWER(direct_set(a, KERN_RW), 0);
    ANSWER(unpin(c), 0);
    ANSWER(direct_set(c, KERN_RW), 0);
    free_pfn(a);
    free_pfn(b);
    free_pfn(c);
}

/* Entries that are there when the table is pinned. */
static void check_pinned_with(int level)
{
    unsigned long a = alloc_pfn(), b = alloc_table();
    uint64_t *t = pfn_virt(a);

    t[3] = pfn_pte(a, KERN_RO);
    t[4] = pfn_pte(b, KERN_RO);
    ANSWER(pin(level, b), 0);
    ANSWER(direct_set(a, KERN_RO), 0);
    ANSWER(pin(level, a), 0);
    ANSWER(unpin(b), 0);
    ANSWER(direct_set(b, KERN_RW), -EBUSY);
    ANSWER(unpin(a), 0);
    ANSWER(direct_set(b, KERN_RW), 0);
    ANSWER(direct_set(a, KERN_RW), 0);
    t[4] = 0;
    t[3] = pfn_pte(a, KERN_RW);
    ANSWER(direct_set(a, KERN_RO), 0);
    ANSWER(pin(level, a), -EINVAL);
    ANSWER(direct_set(a, KERN_RW), 0);
    t[3] = 0;
    free_pfn(a);
    free_pfn(b);
}

/*
 * The L4's slots of the hypervisor, walked as entries of an L3, an L2 and an L1: nothing to be read
 * there but the M2P, slot 256.
 */
static void check_closed(uint64_t base, uint64_t self)
{
    uint64_t as_l2 = base | self << 30, as_l1 = as_l2 | self << 21;
    unsigned int open = 0;

    for (uint64_t s = 257; s < 272; s++) {
        for (uint64_t i = 0; i < 512; i++) {
            open += try_read8((void *)(base | s << 30 | i << 21), NULL) != VEC_PF;
            open += try_read8((void *)(as_l2 | s << 21 | i << 12), NULL) != VEC_PF;
        }
        open += try_read8((void *)(as_l1 | s << 12), NULL) != VEC_PF;
        ANSWER(hc_update_va_mapping(base | s << 30, 0, 0), -EINVAL);
        ANSWER(hc_update_va_mapping(base | s << 30 | 1 << 21, 0, 0), -EINVAL);
        ANSWER(hc_update_va_mapping(as_l2 | s << 21, 0, 0), -EINVAL);
        ANSWER(hc_update_va_mapping(as_l1 | s << 12, 0, 0), -EINVAL);
    }
    CHECK_EQ(open, 0u, "pages of the hypervisor that can be read");
}

/* The kernel's own L4 in a slot of its own: all tables can be read at fixed addresses. */
static void check_recursive(void)
{
    const unsigned int slot = 300;
    uint64_t base = 0xffff000000000000ul | (uint64_t)slot << 39, va = TEST_VA;
    uint64_t l1_window = base | (va >> 9 & 0x7ffffffff8ul);
    uint64_t l4_window = base | (uint64_t)slot << 30 | (uint64_t)slot << 21 | (uint64_t)slot << 12;
    unsigned long page = alloc_pfn();

    map_page(va, pfn_pte(page, KERN_RW));
    ANSWER(mmu_set(entry(kernel_l4_pfn, slot), pfn_pte(kernel_l4_pfn, KERN_RO)), 0);
    CHECK_EQ(*(volatile uint64_t *)l1_window & PTE_MFN, pfn_pte(page, 0), "the L1 entry of a page");
    CHECK_EQ(((volatile uint64_t *)l4_window)[slot] & PTE_MFN, pfn_pte(kernel_l4_pfn, 0), "the L4");
    ANSWER(try_write64((void *)l4_window, 0), VEC_PF);
    ANSWER(try_write64((void *)(l4_window + 8 * 511), 0), VEC_PF);
    /* What looks like an L1 entry there is one of an upper table. */
    ANSWER(hc_update_va_mapping(l1_window, 0, 0), -EINVAL);
    ANSWER(hc_update_va_mapping(l4_window, pfn_pte(page, KERN_RW), 0), -EINVAL);
    CHECK_EQ(*(volatile uint64_t *)l1_window & PTE_MFN, pfn_pte(page, 0), "the L1 entry of a page");
    check_closed(base, slot);
    /* By its machine address, which the window tells, it is changed as ever. */
    ANSWER(mmu_set(va_pte_maddr(va, 1), 0), 0);
    CHECK_EQ(*(volatile uint64_t *)l1_window, 0, "the L1 entry, taken away");
    ANSWER(mmu_set(entry(kernel_l4_pfn, slot), 0), 0);
    mmuext1(MMUEXT_TLB_FLUSH_ALL, 0, 0);
    ANSWER(try_read8((void *)l4_window, NULL), VEC_PF);
    free_pfn(page);
}

static void check_off(void)
{
    unsigned long a = alloc_table();

    ANSWER(pin(3, a), 0);
    ANSWER(mmu_set(entry(a, 1), pfn_pte(a, KERN_RO)), -EINVAL);
    ANSWER(unpin(a), 0);
}

void guest_main(void)
{
    struct account before;

    map_page(TEST_VA, 0);
    account_take(&before);
    if (option("case=off")) {
        check_off();
    } else {
        for (int level = 2; level <= 4; level++) {
            check_rule(level);
            check_pinned_with(level);
        }
        check_recursive();
    }
    account_check(&before, "linear tables");
}
