/* SPDX-License-Identifier: MIT */
/*
 * Frames that are not the guest's: the hypervisor's memory, free memory, other domains', I/O. And
 * the arguments of mmu_update and update_va_mapping themselves.
 */
#include "guest.h"

static uint8_t own[0x100000 / 8 * 2]; /* bit per machine frame up to 8 GiB */

static bool is_own(unsigned long mfn)
{
    return mfn / 8 < sizeof(own) && (own[mfn / 8] >> (mfn % 8) & 1);
}

static void learn_own(void)
{
    for (unsigned long pfn = 0; pfn < si->nr_pages; pfn++)
        own[p2m[pfn] / 8] |= 1 << (p2m[pfn] % 8);
    own[(si->shared_info >> 12) / 8] |= 1 << ((si->shared_info >> 12) % 8);
}

static void refuse_frame(unsigned long mfn, const char *what)
{
    uint64_t entry = va_pte_maddr(TEST_VA, 1);

    CHECK(mmu_set(entry, mk_pte(mfn, KERN_RW)) < 0, "%s %#lx mapped writable", what, mfn);
    CHECK_EQ(pte_read(entry), 0, "the entry");
    CHECK(hc_update_va_mapping(TEST_VA, mk_pte(mfn, KERN_RW), UVMF_INVLPG) < 0,
          "%s %#lx mapped writable by va", what, mfn);
    CHECK(mmu_set(va_pte_maddr(TEST_VA, 2) + 8, mk_pte(mfn, PT_FLAGS)) < 0, "%s %#lx as an L1",
          what, mfn);
    CHECK(mmu_set((mfn << 12) | 0x10, 0) < 0, "%s %#lx written as a table", what, mfn);
    CHECK(mmuext1(MMUEXT_PIN_L1_TABLE, mfn, 0) < 0, "%s %#lx pinned", what, mfn);
    CHECK(mmuext1(MMUEXT_CLEAR_PAGE, mfn, 0) < 0, "%s %#lx cleared", what, mfn);
    CHECK(mmuext1(MMUEXT_NEW_BASEPTR, mfn, 0) < 0, "%s %#lx as base", what, mfn);
    CHECK(mmu_set_cmd(mfn << 12, 0, MMU_MACHPHYS_UPDATE) < 0, "%s %#lx: M2P changed", what, mfn);
}

/* Memory of the machine between 16 MiB and 496 MiB that is not ours: the hypervisor's or free. */
static void check_ram(void)
{
    unsigned int tried = 0;

    for (unsigned long mfn = 0x1000; mfn < 0x1f000 && tried < 300; mfn += 241) {
        if (is_own(mfn))
            continue;
        refuse_frame(mfn, "memory");
        CHECK(mmu_set(va_pte_maddr(TEST_VA, 1), mk_pte(mfn, KERN_RO)) < 0,
              "memory %#lx mapped read-only", mfn);
        tried++;
    }
    CHECK(tried > 100, "only %u frames tried", tried);
}

static void check_beyond(void)
{
    refuse_frame(0x40000000, "far away");
    refuse_frame(0xffffffffff, "the last frame");
}

/* The local APIC is the hypervisor's; the I/O APIC at most read-only; the VGA window is Dom0's. */
static void check_io(void)
{
    uint64_t entry = va_pte_maddr(TEST_VA, 1);
    long rc;
    uint8_t v;

    CHECK(mmu_set(entry, mk_pte(0xfee00, KERN_RW | PTE_PCD)) < 0, "local APIC writable");
    rc = mmu_set(entry, mk_pte(0xfec00, KERN_RW | PTE_PCD));
    if (!rc) {
        uint32_t id;

        CHECK_EQ(pte_read(entry) & PTE_RW, 0, "I/O APIC writable");
        id = *(volatile uint32_t *)TEST_VA;
        try_write8((void *)TEST_VA, (uint8_t)~id);
        CHECK_EQ(*(volatile uint32_t *)TEST_VA, id, "I/O APIC index");
    }
    CHECK_EQ(mmu_set(entry, mk_pte(0xb8, KERN_RW | PTE_PCD | PTE_PWT)), 0, "VGA window");
    mmuext1(MMUEXT_INVLPG_LOCAL, TEST_VA, 0);
    CHECK_EQ(try_read8((void *)TEST_VA, &v), NO_FAULT, "read of it");
    CHECK_EQ(mmu_set(entry, mk_pte(0xff, KERN_RO)), 0, "BIOS");
    mmuext1(MMUEXT_INVLPG_LOCAL, TEST_VA, 0);
    CHECK_EQ(try_read8((void *)(TEST_VA + 0xff0), &v), NO_FAULT, "read of it");
    CHECK_EQ(v, 0xea, "the reset vector's jump");
    CHECK_EQ(mmu_set(entry, 0), 0, "clear");
    mmuext1(MMUEXT_INVLPG_LOCAL, TEST_VA, 0);
    CHECK(mmu_set(va_pte_maddr(TEST_VA, 2) + 8, mk_pte(0xb8, PT_FLAGS)) < 0, "I/O as an L1");
}

static void check_mmu_update_arguments(void)
{
    uint64_t entry = va_pte_maddr(TEST_VA, 1);
    unsigned long pfn = alloc_pfn();
    struct mmu_update u[4] = {
        { entry, pfn_pte(pfn, KERN_RW) },
        { entry + 8, pfn_pte(pfn, KERN_RW) },
        { entry + 16, pfn_pte(kernel_l4_pfn, KERN_RW) },
        { entry + 24, pfn_pte(pfn, KERN_RW) },
    };
    unsigned int done = 77;

    CHECK(hc_mmu_update(u, 4, &done, DOMID_SELF) < 0, "a bad third element");
    CHECK_EQ(done, 2, "elements done");
    CHECK_EQ(pte_read(entry + 8), u[1].val | (pte_read(entry + 8) & ~u[1].val), "the second");
    CHECK_EQ(pte_read(entry + 24), 0, "the fourth");
    u[0].val = u[1].val = 0;
    CHECK_EQ(hc_mmu_update(u, 2, &done, DOMID_SELF), 0, "undo");
    CHECK_EQ(done, 2, "elements done");
    CHECK_EQ(hc_mmu_update(u, 0, &done, DOMID_SELF), 0, "no elements");
    CHECK_EQ(hc_mmu_update((void *)0x1000, 1, &done, DOMID_SELF), -EFAULT, "unmapped list");
    CHECK_EQ(hc_mmu_update((void *)(HYPERVISOR_VIRT_START + (6ul << 39)), 1, &done, DOMID_SELF),
             -EFAULT, "list in the hypervisor");
    CHECK_EQ(hc_mmu_update(u, 1, &done, 0x1234), -ESRCH, "no such domain");
    CHECK(mmu_set(entry + 4, 0) < 0, "address not aligned");
    /* Bit 31 of the count is the hypervisor's mark of a call that goes on; a guest may forge it. */
    u[0].val = pfn_pte(kernel_l4_pfn, KERN_RW);
    done = 0;
    CHECK(hc_mmu_update(u, 0x80000001, &done, DOMID_SELF) < 0, "a forged continuation");
    CHECK_EQ(pte_read(entry), 0, "the entry");
    CHECK(hc_mmu_update((void *)(TEST_VA + (1ul << 30)), 0xffffffff, &done, DOMID_SELF) < 0,
          "an endless list");
    free_pfn(pfn);
}

/* update_va_mapping where no L1 is, in the hypervisor's half, and out of the address space. */
static void check_va_arguments(void)
{
    static const uint64_t places[] = {
        TEST_VA + (1ul << 30),
        0x7ffffffff000,
        0x0000800000000000,
        0xffff7ffffffff000,
        HYPERVISOR_VIRT_START,
        HYPERVISOR_VIRT_START + (4ul << 39),
        HYPERVISOR_VIRT_END - PAGE_SIZE,
    };
    unsigned long pfn = alloc_pfn();

    for (unsigned int i = 0; i < ARRAY_SIZE(places); i++) {
        CHECK(hc_update_va_mapping(places[i], pfn_pte(pfn, KERN_RW), UVMF_INVLPG) < 0,
              "update_va_mapping at %#lx", places[i]);
        CHECK(hc_update_va_mapping(places[i], 0, 0) < 0, "cleared %#lx", places[i]);
    }
    CHECK_EQ(hc_update_va_mapping(TEST_VA, pfn_pte(pfn, KERN_RW), UVMF_TLB_FLUSH | UVMF_ALL), 0,
             "with a flush of all");
    CHECK_EQ(hc_update_va_mapping(TEST_VA, 0, UVMF_INVLPG | UVMF_ALL), 0, "clear");
    CHECK(HC4(__HYPERVISOR_update_va_mapping_otherdomain, TEST_VA, 0, 0, 0x1234) < 0,
          "no such domain");
    free_pfn(pfn);
}

/* A plain page may be written by mmu_update; the M2P follows MMU_MACHPHYS_UPDATE. */
static void check_allowed(void)
{
    unsigned long pfn = alloc_pfn();
    uint64_t *page = pfn_virt(pfn);

    CHECK_EQ(mmu_set((p2m[pfn] << 12) + 16, 0x1122334455667788), 0, "write of a data page");
    CHECK_EQ(page[2], 0x1122334455667788, "written");
    CHECK_EQ(mmu_set_cmd(p2m[pfn] << 12, 0x1234, MMU_MACHPHYS_UPDATE), 0, "M2P");
    CHECK_EQ(M2P[p2m[pfn]], 0x1234, "M2P");
    CHECK_EQ(mmu_set_cmd(p2m[pfn] << 12, pfn, MMU_MACHPHYS_UPDATE), 0, "M2P back");
    page[3] = 5;
    CHECK_EQ(mmuext1(MMUEXT_CLEAR_PAGE, p2m[pfn], 0), 0, "clear page");
    CHECK_EQ(page[3], 0, "cleared");
    page[3] = 5;
    unsigned long other = alloc_pfn();
    CHECK_EQ(mmuext1(MMUEXT_COPY_PAGE, p2m[other], p2m[pfn]), 0, "copy page");
    CHECK_EQ(((uint64_t *)pfn_virt(other))[3], 5, "copied");
    CHECK(mmuext1(MMUEXT_CLEAR_PAGE, p2m[kernel_l4_pfn], 0) < 0, "clear of the L4");
    CHECK(mmuext1(MMUEXT_COPY_PAGE, p2m[kernel_l4_pfn], p2m[pfn]) < 0, "copy over the L4");
    free_pfn(other);
    free_pfn(pfn);
}

void guest_main(void)
{
    struct account before;

    learn_own();
    map_page(TEST_VA, 0);
    account_take(&before);
    check_ram();
    check_beyond();
    check_io();
    check_mmu_update_arguments();
    check_va_arguments();
    check_allowed();
    account_check(&before, "frames");
}
