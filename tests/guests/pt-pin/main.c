/* SPDX-License-Identifier: MIT */
/* Pins and their counts; base pointers; tables that live on a reference alone. */
#include "guest.h"

static long pin(int level, unsigned long pfn)
{
    return mmuext1(MMUEXT_PIN_L1_TABLE + level - 1, p2m[pfn], 0);
}

static long unpin(unsigned long pfn)
{
    return mmuext1(MMUEXT_UNPIN_TABLE, p2m[pfn], 0);
}

static void check_counts(int level)
{
    unsigned long pfn = alloc_pfn();

    CHECK(pin(level, pfn) < 0, "pin L%d of a writable page", level);
    CHECK_EQ(direct_set(pfn, KERN_RO), 0, "read-only");
    CHECK(unpin(pfn) < 0, "unpin what is not pinned");
    CHECK_EQ(pin(level, pfn), 0, "pin L%d", level);
    CHECK(pin(level, pfn) < 0, "second pin of L%d", level);
    for (int other = 1; other <= 4; other++)
        if (other != level)
            CHECK(pin(other, pfn) < 0, "pin of an L%d as L%d", level, other);
    CHECK(direct_set(pfn, KERN_RW) < 0, "a pinned L%d made writable", level);
    CHECK_EQ(unpin(pfn), 0, "unpin L%d", level);
    CHECK(unpin(pfn) < 0, "second unpin of L%d", level);
    CHECK_EQ(direct_set(pfn, KERN_RW), 0, "L%d writable after unpin", level);
    free_pfn(pfn);
}

/* A linked table may be unpinned and keeps its type; the link's end frees it. */
static void check_pin_and_link(void)
{
    unsigned long pfn = alloc_table();
    uint64_t slot;

    map_page(TEST_VA, 0);
    slot = va_pte_maddr(TEST_VA, 2) + 8;
    CHECK_EQ(pin(1, pfn), 0, "pin");
    CHECK_EQ(mmu_set(slot, pfn_pte(pfn, PT_FLAGS)), 0, "link");
    CHECK_EQ(mmu_set(slot + 8, pfn_pte(pfn, PT_FLAGS)), 0, "second link");
    CHECK_EQ(unpin(pfn), 0, "unpin");
    CHECK(direct_set(pfn, KERN_RW) < 0, "writable while linked");
    CHECK_EQ(mmu_set(slot, 0), 0, "unlink");
    CHECK(direct_set(pfn, KERN_RW) < 0, "writable while linked once");
    CHECK_EQ(mmu_set(slot + 8, 0), 0, "unlink");
    CHECK_EQ(direct_set(pfn, KERN_RW), 0, "writable");
    free_pfn(pfn);
}

/* The kernel goes on in a copy of its L4, and cannot free the one in use. */
static void check_base(void)
{
    unsigned long copy = alloc_pfn(), data = alloc_pfn();

    memcpy(pfn_virt(copy), pfn_virt(kernel_l4_pfn), PAGE_SIZE);
    CHECK(mmuext1(MMUEXT_NEW_BASEPTR, p2m[copy], 0) < 0, "base pointer to a writable page");
    CHECK(mmuext1(MMUEXT_NEW_BASEPTR, p2m[data], 0) < 0, "base pointer to a data page");
    CHECK(mmuext1(MMUEXT_NEW_BASEPTR, M2P[0] + 0x100000000, 0) < 0, "base pointer to nowhere");
    CHECK_EQ(direct_set(copy, KERN_RO), 0, "read-only");
    CHECK_EQ(mmuext1(MMUEXT_NEW_BASEPTR, p2m[copy], 0), 0, "base pointer to an L4 not pinned");
    CHECK(direct_set(copy, KERN_RW) < 0, "the L4 in use made writable");
    /* The copy is live: a page hooked into it alone is visible. */
    map_page_in(copy, TEST_VA + (1ul << 40), pfn_pte(data, KERN_RW));
    *(uint64_t *)pfn_virt(data) = 99;
    CHECK_EQ(*(uint64_t *)(TEST_VA + (1ul << 40)), 99, "a page of the copy");
    CHECK_EQ(mmuext1(MMUEXT_NEW_BASEPTR, p2m[kernel_l4_pfn], 0), 0, "back");
    CHECK_EQ(try_read8((void *)(TEST_VA + (1ul << 40)), NULL), VEC_PF, "it is gone");
    CHECK_EQ(direct_set(copy, KERN_RW), 0, "the copy can be written again");
    free_pfn(data);
}

static void check_user_base(void)
{
    unsigned long pfn = alloc_pfn(), a = alloc_table();

    CHECK(mmuext1(MMUEXT_NEW_USER_BASEPTR, p2m[pfn], 0) < 0, "user base: writable page");
    CHECK_EQ(mmuext1(MMUEXT_NEW_USER_BASEPTR, p2m[a], 0), 0, "user base");
    CHECK(direct_set(a, KERN_RW) < 0, "the user L4 made writable");
    CHECK_EQ(mmuext1(MMUEXT_NEW_USER_BASEPTR, p2m[kernel_l4_pfn], 0), 0, "the kernel's as user's");
    CHECK_EQ(direct_set(a, KERN_RW), 0, "the old one is free");
    CHECK_EQ(mmuext1(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0, "no user L4");
    free_pfn(pfn);
    free_pfn(a);
}

/* Ending one's own tables under one's feet must not be possible. */
static void check_unpin_live(void)
{
    long rc = unpin(kernel_l4_pfn);

    printk("note: unpin of the live L4: %ld\n", rc);
    CHECK(direct_set(kernel_l4_pfn, KERN_RW) < 0, "the live L4 made writable");
    if (!rc)
        CHECK_EQ(pin(4, kernel_l4_pfn), 0, "pin again");
}

static void check_arguments(void)
{
    struct mmuext_op ops[3] = {
        { .cmd = MMUEXT_TLB_FLUSH_LOCAL },
        { .cmd = MMUEXT_UNPIN_TABLE },
        { .cmd = MMUEXT_TLB_FLUSH_LOCAL },
    };
    unsigned int done = 55;

    ops[1].arg1.mfn = 0x7fffffff;
    CHECK(hc_mmuext_op(ops, 3, &done, DOMID_SELF) < 0, "bad second op");
    CHECK_EQ(done, 1, "ops done");
    CHECK_EQ(hc_mmuext_op((void *)0x1000, 1, &done, DOMID_SELF), -EFAULT, "unmapped ops");
    CHECK(mmuext1(0x7f, 0, 0) < 0, "unknown command");
    CHECK(mmuext1(14, 0, 0) < 0, "unknown command 14");
    CHECK_EQ(hc_mmuext_op(ops, 1, &done, 0x1234), -ESRCH, "no such domain");
    CHECK_EQ(mmuext1(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0, "flush all");
    CHECK_EQ(mmuext1(MMUEXT_INVLPG_ALL, 0x8000000000000000, 0), 0,
             "invlpg of what is not canonical");
    CHECK_EQ(mmuext1(MMUEXT_INVLPG_LOCAL, HYPERVISOR_VIRT_START, 0), 0, "invlpg of the M2P");
    CHECK_EQ(mmuext1(MMUEXT_FLUSH_CACHE, 0, 0), 0, "flush cache");
    CHECK_EQ(mmuext1(MMUEXT_FLUSH_CACHE_GLOBAL, 0, 0), 0, "flush cache global");
    CHECK(mmuext1(MMUEXT_MARK_SUPER, 0, 0) < 0, "mark super");
}

void guest_main(void)
{
    struct account before;

    map_page(TEST_VA, 0);
    account_take(&before);
    for (int level = 1; level <= 4; level++)
        check_counts(level);
    check_pin_and_link();
    check_base();
    check_user_base();
    check_unpin_live();
    check_arguments();
    account_check(&before, "pins");
}
