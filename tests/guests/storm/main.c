/* SPDX-License-Identifier: MIT */
/*
 * Two CPUs do random things to a dozen pages: link them at every level, map, pin, unpin, write,
 * use as roots and descriptor tables, grant, give back. No answer matters; afterwards everything is
 * undone, each page must be plain again, nothing may be lost, and the audit must be clean.
 */
#include "guest.h"

#define POOL 12
#define TABLE ((volatile grant_entry_v1_t *)(TEST_VA + (1ul << 21)))

static unsigned long pool[POOL];
static uint64_t maps[POOL];  /* an L1 entry for each page */
static uint64_t links[3][4]; /* entries of L2, L3, L4 */
static volatile bool stop;
static unsigned int rounds = 1500;

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static pte_t random_pte(uint64_t r)
{
    pte_t flags = PTE_P | PTE_US | (r & 1 ? PTE_RW : 0) | (r & 2 ? PTE_A | PTE_D : 0);

    return (r >> 8) % 5 == 0 ? 0 : pfn_pte(pool[(r >> 16) % POOL], flags);
}

static void random_table_write(uint64_t r)
{
    unsigned long pfn = pool[r % POOL];
    uint64_t maddr = (p2m[pfn] << 12) + 8 * (r >> 8 & 3);
    pte_t pte = random_pte(r >> 20);

    if (r >> 60 & 1) {
        mmu_set(maddr, pte);
    } else {
        volatile pte_t *p = (volatile pte_t *)((uint64_t)pfn_virt(pfn) + 8 * (r >> 8 & 3));

        TRY("lock xchgq %0, (%1)", "r"(pte), "r"(p) : "memory");
    }
}

static void random_grant(uint64_t r, unsigned int cpu)
{
    uint64_t va = TEST_VA + (POOL + 4 + cpu) * PAGE_SIZE;
    unsigned int ref = 8 + r % 4;
    struct gnttab_map_grant_ref op = {
        .host_addr = va,
        .ref = ref,
        .flags = GNTMAP_host_map | (r & 64 ? GNTMAP_readonly : 0),
    };
    struct gnttab_unmap_grant_ref undo = { .host_addr = va };

    if (r & 128 && !(TABLE[ref].flags & (GTF_reading | GTF_writing)))
        TABLE[ref].frame = (uint32_t)p2m[pool[(r >> 8) % POOL]];
    if (hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 1) || op.status)
        return;
    undo.handle = op.handle;
    hc_grant_table_op(GNTTABOP_unmap_grant_ref, &undo, 1);
    CHECK_EQ(undo.status, 0, "unmap of a grant");
}

static void random_root(unsigned long pfn, unsigned int cpu)
{
    if (mmuext1(MMUEXT_NEW_USER_BASEPTR, p2m[pfn], 0) == 0)
        mmuext1(MMUEXT_NEW_USER_BASEPTR, 0, 0);
    (void)cpu;
}

static void random_descriptors(unsigned long pfn)
{
    unsigned long frame = p2m[pfn];

    if (hc_set_gdt(&frame, 512) == 0) {
        hc_update_descriptor((frame << 12) + 8, 0x00cff3000000ffff);
        hc_update_descriptor((frame << 12) + 8, 0);
        hc_set_gdt(NULL, 0);
    }
}

static void random_step(uint64_t *seed, unsigned int cpu)
{
    uint64_t r = next(seed), s = next(seed);
    unsigned long pfn = pool[s % POOL];

    switch (r % 11) {
    case 0:
    case 1:
        mmu_set(maps[s >> 8 & 7], random_pte(s >> 16));
        break;
    case 2:
        mmuext1(MMUEXT_PIN_L1_TABLE + (s >> 8 & 3), p2m[pfn], 0);
        break;
    case 3:
    case 4:
        mmuext1(MMUEXT_UNPIN_TABLE, p2m[pfn], 0);
        break;
    case 5:
        direct_set(pfn, s >> 8 & 1 ? KERN_RW : KERN_RO);
        break;
    case 6:
        mmu_set(links[(s >> 8) % 3][s >> 16 & 3], random_pte(s >> 20) & ~PTE_RW);
        break;
    case 7:
        random_table_write(s);
        break;
    case 8:
        random_grant(s, cpu);
        break;
    case 9:
        random_root(pfn, cpu);
        break;
    default:
        random_descriptors(pfn);
    }
}

static void other_cpu(void *arg)
{
    uint64_t seed = 0x2545f4914f6cdd1d;

    while (!stop)
        random_step(&seed, 1);
}

static void set_up(void)
{
    xen_pfn_t frame = 0;
    struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1 };

    setup.frame_list.p = &frame;
    CHECK_EQ(hc_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0, "setup_table");
    map_page((uint64_t)TABLE, mk_pte(frame, KERN_RW));
    for (unsigned int i = 0; i < POOL; i++) {
        pool[i] = alloc_pfn();
        maps[i] = va_pte_maddr(TEST_VA, 1) + 8 * (i + 1);
    }
    for (int level = 2; level <= 4; level++)
        for (unsigned int i = 0; i < 4; i++)
            links[level - 2][i] = va_pte_maddr(TEST_VA, level) + 8 * (i + 2);
    for (unsigned int ref = 8; ref < 12; ref++) {
        TABLE[ref].domid = 0;
        TABLE[ref].frame = (uint32_t)p2m[pool[ref]];
        TABLE[ref].flags = GTF_permit_access;
    }
}

/* Undoes every link, map and pin; tables may hold each other, so go on until nothing changes. */
static void undo(void)
{
    for (unsigned int i = 0; i < POOL; i++)
        CHECK_EQ(mmu_set(maps[i], 0), 0, "clear a map");
    for (unsigned int i = 0; i < 12; i++)
        CHECK_EQ(mmu_set(links[i / 4][i % 4], 0), 0, "clear a link");
    mmuext1(MMUEXT_NEW_USER_BASEPTR, 0, 0);
    for (unsigned int i = 0; i < POOL; i++)
        mmuext1(MMUEXT_UNPIN_TABLE, p2m[pool[i]], 0);
    mmuext1(MMUEXT_TLB_FLUSH_ALL, 0, 0);
    for (unsigned int i = 0; i < POOL; i++)
        CHECK_EQ(direct_set(pool[i], KERN_RW), 0, "page %u is plain again", i);
    for (unsigned int i = 0; i < POOL; i++) {
        memset(pfn_virt(pool[i]), 0, PAGE_SIZE);
        CHECK_EQ(direct_set(pool[i], KERN_RO), 0, "read-only");
        CHECK_EQ(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[pool[i]], 0), 0, "page %u as a table", i);
        CHECK_EQ(mmuext1(MMUEXT_UNPIN_TABLE, p2m[pool[i]], 0), 0, "unpin");
        CHECK_EQ(direct_set(pool[i], KERN_RW), 0, "writable");
    }
}

/* A CPU's first map allocates, for good. */
static void first_maps(void *arg)
{
    random_grant(0, this_cpu()->id);
}

void guest_main(void)
{
    uint64_t seed = 0x9e3779b97f4a7c15;
    struct account before;

    map_page(TEST_VA, 0);
    set_up();
    first_maps(NULL);
    CHECK(cpu_start(1, first_maps, NULL));
    cpu_wait(1);
    account_take(&before);
    CHECK_EQ(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0, "vm_assist");
    CHECK(cpu_start(1, other_cpu, NULL));
    for (unsigned int i = 0; i < rounds; i++)
        random_step(&seed, 0);
    stop = true;
    cpu_wait(1);
    undo();
    account_check(&before, "storm");
}
