/* SPDX-License-Identifier: MIT */
/*
 * Answers of the memory hypercalls: a row for each refusal that kernels see, with Xen's error. Run
 * on Debian's Xen it shows that the rows are right. What differs on purpose is in docs/abi.md, and
 * here EITHER.
 */
#include "guest.h"

#define NONCANON 0x8000000000000000ul
#define HYPERVISOR (HYPERVISOR_VIRT_START + (5ul << 39))
#define UNMAPPED ((void *)0x1000)
#define NO_FRAME 0x40000000ul
#define HV_FRAME 0x100ul /* RAM that is no guest's */

static unsigned long page, ro, table; /* writable; read-only; read-only, for page tables */
static uint64_t spare;                /* machine address of an L1 entry that is not used */

/* --- mmu_update --- */

static long set(uint64_t ptr, uint64_t val, unsigned int dom)
{
    struct mmu_update u = { .ptr = ptr, .val = val };

    return hc_mmu_update(&u, 1, NULL, dom);
}

static void mmu_arguments(void)
{
    struct mmu_update u[3] = { { spare, 0 }, { spare, mk_pte(NO_FRAME, KERN_RO) }, { spare, 0 } };
    unsigned int done = 77;

    ANSWER(hc_mmu_update(UNMAPPED, 0, &done, DOMID_SELF), 0);
    ANSWER(done, 0);
    ANSWER(hc_mmu_update(UNMAPPED, 1, &done, DOMID_SELF), -EFAULT);
    ANSWER(hc_mmu_update((void *)HYPERVISOR, 1, NULL, DOMID_SELF), -EFAULT);
    ANSWER(hc_mmu_update(u, 1, UNMAPPED, DOMID_SELF), 0);
    ANSWER(hc_mmu_update(u, 3, &done, DOMID_SELF), -EPERM);
    ANSWER(done, 1);
    ANSWER(set(spare, 0, 0x1234), -ESRCH);
    ANSWER(set(spare, 0, 0), -ESRCH); /* itself, but not as DOMID_SELF */
    ANSWER(set(spare, 0, DOMID_INVALID), -ESRCH);
    ANSWER(set(spare, 0, DOMID_IO), 0);
    ANSWER(set(spare, 0, DOMID_XEN), 0);
    ANSWER(set(spare, pfn_pte(ro, KERN_RO), DOMID_IO), -EBUSY);
    ANSWER(set(spare, pfn_pte(ro, KERN_RO), DOMID_XEN), -EBUSY);
    ANSWER(set(spare, 0, DOMID_SELF | 1 << 16), 0);
    ANSWER(set(spare, 0, DOMID_SELF | 0x1235 << 16), -ESRCH);
    ANSWER(set(spare, 0, DOMID_SELF | (DOMID_SELF + 1u) << 16), -ESRCH);
}

static void mmu_commands(void)
{
    uint64_t m2p = (uint64_t)p2m[page] << 12 | MMU_MACHPHYS_UPDATE;

    ANSWER(set(m2p, page, DOMID_SELF), 0);
    ANSWER(set(m2p | 8, page, DOMID_SELF), 0);
    ANSWER(set(NO_FRAME << 12 | 1, 5, DOMID_SELF), -EINVAL);
    ANSWER(set(HV_FRAME << 12 | 1, 5, DOMID_SELF), -EINVAL);
    ANSWER(set(m2p, page, 0x1234), -ESRCH);
    ANSWER(set(spare | MMU_PT_UPDATE_PRESERVE_AD, 0, DOMID_SELF), 0);
    ANSWER(set(spare | MMU_PT_UPDATE_NO_TRANSLATE, 0, DOMID_SELF), 0);
    for (unsigned int cmd = 4; cmd < 8; cmd++) /* as well: entries that are not aligned */
        ANSWER(set(spare | cmd, 0, DOMID_SELF), -ENOSYS);
}

static void mmu_tables(void)
{
    ANSWER(set(NO_FRAME << 12, 0, DOMID_SELF), -EINVAL);
    ANSWER(set(HV_FRAME << 12, 0, DOMID_SELF), -EINVAL);
    ANSWER(set(NONCANON, 0, DOMID_SELF), -EINVAL);
    ANSWER(set((uint64_t)p2m[page] << 12, 5, DOMID_SELF), 0);
    ANSWER(set((uint64_t)p2m[ro] << 12, 0, DOMID_SELF), 0);
    for (unsigned int slot = 256; slot < 272; slot++)
        ANSWER(set((uint64_t)p2m[kernel_l4_pfn] << 12 | slot * 8, 0, DOMID_SELF), -EINVAL);
}

static void mmu_l1_values(void)
{
    static const uint64_t flags[] = { PTE_G,   1 << 9, 1 << 10,   1 << 11,   PTE_PAT,  PTE_PCD,
                                      PTE_PWT, PTE_NX, 1ul << 52, 1ul << 58, 1ul << 62 };

    ANSWER(set(spare, mk_pte(NO_FRAME, KERN_RO), DOMID_SELF), -EPERM);
    ANSWER(set(spare, mk_pte(0xfffffffful, KERN_RO), DOMID_SELF), -EPERM);
    ANSWER(set(spare, pfn_pte(ro, KERN_RO) | 1ul << 51, DOMID_SELF), -EPERM);
    ANSWER(set(spare, mk_pte(0xfee00, KERN_RO), DOMID_SELF), -EPERM);
    EITHER(set(spare, mk_pte(0xfec00, KERN_RW), DOMID_SELF), 0, -EPERM);
    ANSWER(set(spare, mk_pte(0xb8, KERN_RW), DOMID_SELF), 0);
    ANSWER(set(spare, mk_pte(HV_FRAME, KERN_RO), DOMID_SELF), -EBUSY);
    ANSWER(set(spare, mk_pte(HV_FRAME, KERN_RW), DOMID_SELF), -EBUSY);
    ANSWER(set(spare, pfn_pte(kernel_l4_pfn, KERN_RW), DOMID_SELF), -EBUSY);
    ANSWER(set(spare, pfn_pte(kernel_l4_pfn, KERN_RO), DOMID_SELF), 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(flags); i++)
        ANSWER(set(spare, pfn_pte(ro, PTE_P) | flags[i], DOMID_SELF), 0);
    ANSWER(set(spare, 0xdeadbeef00000fe0, DOMID_SELF), 0); /* not present: anything */
    ANSWER(set(spare, 0, DOMID_SELF), 0);
}

static void mmu_upper_values(void)
{
    uint64_t l2 = va_pte_maddr(TEST_VA + (64ul << 21), 2),
             l3 = va_pte_maddr(TEST_VA + (64ul << 30), 3);
    uint64_t l4 = va_pte_maddr(TEST_VA + (1ul << 39), 4);

    ANSWER(set(l2, pfn_pte(table, PT_FLAGS | 0xe00), DOMID_SELF), 0);
    ANSWER(set(l2, 0, DOMID_SELF), 0);
    ANSWER(set(l2, pfn_pte(table, PT_FLAGS | PTE_G), DOMID_SELF), -EINVAL);
    ANSWER(set(l2, pfn_pte(table, PT_FLAGS | PTE_PCD), DOMID_SELF), -EINVAL);
    ANSWER(set(l2, pfn_pte(table, PT_FLAGS | PTE_PWT), DOMID_SELF), -EINVAL);
    ANSWER(set(l2, pfn_pte(table, PT_FLAGS | PTE_PSE), DOMID_SELF), -EINVAL);
    ANSWER(set(l2, pfn_pte(page, PT_FLAGS), DOMID_SELF), -EINVAL);
    ANSWER(set(l2, mk_pte(NO_FRAME, PT_FLAGS), DOMID_SELF), -EINVAL);
    ANSWER(set(l2, mk_pte(HV_FRAME, PT_FLAGS), DOMID_SELF), -EINVAL);
    ANSWER(set(l2, pfn_pte(kernel_l4_pfn, PT_FLAGS), DOMID_SELF), -EINVAL);
    ANSWER(set(l3, mk_pte(0x40000, PT_FLAGS | PTE_PSE), DOMID_SELF), -EINVAL);
    ANSWER(set(l4, pfn_pte(table, PT_FLAGS | PTE_PSE), DOMID_SELF), -EINVAL);
    ANSWER(set(l4, pfn_pte(table, PT_FLAGS | PTE_G), DOMID_SELF), -EINVAL);
}

static void va_mapping(void)
{
    ANSWER(hc_update_va_mapping(TEST_VA, 0, 0), 0);
    ANSWER(hc_update_va_mapping(TEST_VA + (3ul << 39), 0, 0), -EINVAL);
    ANSWER(hc_update_va_mapping(HYPERVISOR, 0, 0), -EINVAL);
    ANSWER(hc_update_va_mapping(HYPERVISOR_VIRT_START, 0, 0), -EINVAL);
    ANSWER(hc_update_va_mapping(NONCANON, 0, 0), -EINVAL);
    ANSWER(hc_update_va_mapping(TEST_VA, mk_pte(NO_FRAME, KERN_RW), 0), -EPERM);
    ANSWER(hc_update_va_mapping(TEST_VA, pfn_pte(kernel_l4_pfn, KERN_RW), 0), -EBUSY);
    ANSWER(hc_update_va_mapping(TEST_VA, 0, UVMF_FLUSHTYPE_MASK), 0);
    ANSWER(hc_update_va_mapping(TEST_VA, 0, UVMF_FLUSHTYPE_MASK | UVMF_ALL), 0);
    ANSWER(HC4(__HYPERVISOR_update_va_mapping_otherdomain, TEST_VA, 0, 0, 0x1234), -ESRCH);
    ANSWER(HC4(__HYPERVISOR_update_va_mapping_otherdomain, TEST_VA, 0, 0, DOMID_SELF), 0);
    ANSWER(HC4(__HYPERVISOR_update_va_mapping_otherdomain, TEST_VA, 0, 0, DOMID_IO), 0);
}

/* --- mmuext_op --- */

static long ext(unsigned int cmd, unsigned long a, unsigned long b, unsigned int dom)
{
    struct mmuext_op op = { .cmd = cmd };

    op.arg1.mfn = a;
    op.arg2.src_mfn = b;
    return hc_mmuext_op(&op, 1, NULL, dom);
}

/* Everything that a frame pinned as one level cannot be at the same time. */
static void pinned(unsigned int cmd)
{
    unsigned long f = p2m[table];

    ANSWER(ext(cmd, f, 0, DOMID_SELF), 0);
    ANSWER(ext(cmd, f, 0, DOMID_SELF), -EINVAL);
    ANSWER(ext((cmd + 1) & 3, f, 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_CLEAR_PAGE, f, 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_COPY_PAGE, f, p2m[page], DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_COPY_PAGE, p2m[page], f, DOMID_SELF), 0);
    ANSWER(direct_set(table, KERN_RW), -EBUSY);
    ANSWER(hc_set_gdt(&f, 512), -EINVAL);
    ANSWER(hc_update_descriptor(f << 12, 0), -EINVAL);
    if (cmd != MMUEXT_PIN_L4_TABLE) {
        ANSWER(ext(MMUEXT_NEW_BASEPTR, f, 0, DOMID_SELF), -EINVAL);
        ANSWER(ext(MMUEXT_NEW_USER_BASEPTR, f, 0, DOMID_SELF), -EINVAL);
    }
    ANSWER(ext(MMUEXT_UNPIN_TABLE, f, 0, 0x1234), -ESRCH);
    ANSWER(ext(MMUEXT_UNPIN_TABLE, f, 0, DOMID_SELF), 0);
    ANSWER(ext(MMUEXT_UNPIN_TABLE, f, 0, DOMID_SELF), -EINVAL);
}

/* Pins the table with one entry in it. */
static long pin_with(unsigned int cmd, unsigned int slot, pte_t entry)
{
    uint64_t *t = pfn_virt(table);
    long rc;

    CHECK_EQ(direct_set(table, KERN_RW), 0, "writable");
    t[slot] = entry;
    CHECK_EQ(direct_set(table, KERN_RO), 0, "read-only");
    rc = ext(cmd, p2m[table], 0, DOMID_SELF);
    if (rc == 0)
        ext(MMUEXT_UNPIN_TABLE, p2m[table], 0, DOMID_SELF);
    direct_set(table, KERN_RW);
    t[slot] = 0;
    direct_set(table, KERN_RO);
    return rc;
}

static void pins(unsigned int cmd)
{
    bool l1 = cmd == MMUEXT_PIN_L1_TABLE;

    ANSWER(ext(cmd, p2m[page], 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(cmd, NO_FRAME, 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(cmd, ~0ul, 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(cmd, HV_FRAME, 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(cmd, si->shared_info >> 12, 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(cmd, p2m[table], 0, DOMID_IO), -EINVAL);
    ANSWER(ext(cmd, p2m[table], 0, DOMID_XEN), -EINVAL);
    ANSWER(ext(cmd, p2m[table], 0, 0x1234), -ESRCH);
    ANSWER(ext(cmd, p2m[table], 0, 0), -ESRCH);
    pinned(cmd);
    ANSWER(pin_with(cmd, 5, mk_pte(NO_FRAME, KERN_RO)), l1 ? -EPERM : -EINVAL);
    ANSWER(pin_with(cmd, 5, mk_pte(HV_FRAME, KERN_RO)), l1 ? -EBUSY : -EINVAL);
    ANSWER(pin_with(cmd, 5, pfn_pte(page, KERN_RO)), l1 ? 0 : -EINVAL);
    ANSWER(pin_with(cmd, 5, pfn_pte(kernel_l4_pfn, KERN_RW)), l1 ? -EBUSY : -EINVAL);
    ANSWER(pin_with(cmd, 256, mk_pte(HV_FRAME, KERN_RW)), l1                           ? -EBUSY
                                                          : cmd == MMUEXT_PIN_L4_TABLE ? 0
                                                                                       : -EINVAL);
}

static void mmuext(void)
{
    uint64_t va = (uint64_t)pfn_virt(ro);

    for (unsigned int cmd = MMUEXT_PIN_L1_TABLE; cmd <= MMUEXT_PIN_L4_TABLE; cmd++)
        pins(cmd);
    ANSWER(ext(MMUEXT_UNPIN_TABLE, NO_FRAME, 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_UNPIN_TABLE, p2m[page], 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_NEW_BASEPTR, p2m[page], 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_NEW_BASEPTR, 0, 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_NEW_USER_BASEPTR, p2m[page], 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_NEW_USER_BASEPTR, NO_FRAME, 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_NEW_USER_BASEPTR, 0, 0, DOMID_SELF), 0);
    ANSWER(ext(MMUEXT_TLB_FLUSH_MULTI, 0, 0x1000, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_INVLPG_MULTI, 0, 0x1000, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_INVLPG_ALL, NONCANON, 0, DOMID_SELF), 0);
    ANSWER(ext(MMUEXT_INVLPG_LOCAL, HYPERVISOR, 0, DOMID_SELF), 0);
    ANSWER(ext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0, DOMID_IO), -EPERM);
    ANSWER(ext(MMUEXT_SET_LDT, 0, 0, DOMID_IO), -EPERM);
    ANSWER(ext(MMUEXT_CLEAR_PAGE, p2m[page], 0, DOMID_IO), -EINVAL);
    ANSWER(ext(MMUEXT_CLEAR_PAGE, NO_FRAME, 0, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_COPY_PAGE, p2m[page], NO_FRAME, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_COPY_PAGE, p2m[page], HV_FRAME, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_SET_LDT, va + 8, 16, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_SET_LDT, va, 8193, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_SET_LDT, HYPERVISOR, 16, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_SET_LDT, NONCANON, 16, DOMID_SELF), -EINVAL);
    ANSWER(ext(MMUEXT_SET_LDT, va, 8192, DOMID_SELF), 0);
    ANSWER(ext(MMUEXT_SET_LDT, 0, 0, DOMID_SELF), 0);
    ANSWER(ext(0x7f, 0, 0, DOMID_SELF), -ENOSYS);
    ANSWER(hc_mmuext_op(UNMAPPED, 1, NULL, DOMID_SELF), -EFAULT);
}

void guest_main(void)
{
    struct account before;

    page = alloc_pfn();
    ro = alloc_pfn();
    table = alloc_table();
    map_page(TEST_VA, 0);
    spare = va_pte_maddr(TEST_VA, 1);
    CHECK_EQ(direct_set(ro, KERN_RO), 0, "read-only");
    account_take(&before);
    mmu_arguments();
    mmu_commands();
    mmu_tables();
    mmu_l1_values();
    mmu_upper_values();
    va_mapping();
    mmuext();
    account_check(&before, "answers");
}
