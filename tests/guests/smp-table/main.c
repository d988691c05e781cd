/* SPDX-License-Identifier: MIT */
/*
 * Two CPUs on one page table: a page that one maps writable while the other makes it a table, a
 * request that changes under the hypervisor's eyes, Dirty bits, a root in use elsewhere, flushes.
 */
#include "guest.h"

#define ROUNDS 3000

static volatile bool stop;
static volatile unsigned int turn, answer;
static unsigned long page;      /* the frame both want */
static uint64_t slot_a, slot_b; /* two free entries */
static unsigned int mapped_count, pinned_count, breaches;

static void map_and_scribble(void *arg)
{
    uint64_t va = TEST_VA + PAGE_SIZE;

    while (!stop) {
        if (mmu_set(slot_a, pfn_pte(page, KERN_RW)))
            continue;
        mmuext1(MMUEXT_INVLPG_LOCAL, va, 0);
        mapped_count++;
        for (int i = 0; i < 50; i++)
            *(volatile pte_t *)va = pfn_pte(kernel_l4_pfn, KERN_RW);
        *(volatile pte_t *)va = 0;
        mmu_set(slot_a, 0);
        mmuext1(MMUEXT_INVLPG_LOCAL, va, 0);
    }
}

/* While the page is a table nothing but zero may ever stand in it. */
static void check_pin_against_map(void)
{
    volatile pte_t *p;

    page = alloc_table();
    p = pfn_virt(page);
    stop = false;
    CHECK(cpu_start(1, map_and_scribble, NULL));
    /* More when the other CPU, of a busy host, stood still with the page mapped all the time. */
    for (int i = 0; i < ROUNDS || (!pinned_count && i < 100 * ROUNDS); i++) {
        if (mmuext1(MMUEXT_PIN_L1_TABLE, p2m[page], 0))
            continue;
        pinned_count++;
        for (int n = 0; n < 200; n++)
            breaches += *p != 0;
        CHECK_EQ(mmuext1(MMUEXT_UNPIN_TABLE, p2m[page], 0), 0, "unpin");
        for (int n = i % 64; n; n--)
            cpu_relax(); /* the other's turn, at times */
    }
    stop = true;
    cpu_wait(1);
    CHECK_EQ(breaches, 0, "a table was written while it was one");
    CHECK(pinned_count > 0 && mapped_count > 0, "pinned %u, mapped %u", pinned_count, mapped_count);
    printk("note: pinned %u, mapped %u\n", pinned_count, mapped_count);
    free_table(page);
}

static struct mmu_update request;
static pte_t good, bad;

static void flip_request(void *arg)
{
    while (!stop) {
        *(volatile uint64_t *)&request.val = bad;
        cpu_relax();
        *(volatile uint64_t *)&request.val = good;
        cpu_relax();
    }
}

/* The arguments change during the call: what is checked is what is used. */
static void check_changing_request(void)
{
    unsigned long pfn = alloc_pfn();
    unsigned int refused = 0, wrong = 0;

    good = pfn_pte(pfn, KERN_RW);
    bad = pfn_pte(kernel_l4_pfn, KERN_RW);
    request.ptr = slot_b;
    request.val = good;
    stop = false;
    CHECK(cpu_start(1, flip_request, NULL));
    for (int i = 0; i < ROUNDS; i++) {
        refused += hc_mmu_update(&request, 1, NULL, DOMID_SELF) != 0;
        wrong += (pte_read(slot_b) & PTE_MFN) == (bad & PTE_MFN);
        mmu_set(slot_b, 0);
    }
    stop = true;
    cpu_wait(1);
    CHECK_EQ(wrong, 0, "a bad entry went in");
    printk("note: %u of %u refused\n", refused, ROUNDS);
    free_pfn(pfn);
}

static void write_on_turn(void *arg)
{
    volatile uint8_t *va = (volatile uint8_t *)(TEST_VA + 2 * PAGE_SIZE);

    while (!stop) {
        if (turn == answer) {
            cpu_relax();
            continue;
        }
        *va = 1;
        answer = turn;
    }
}

/* A Dirty bit that another CPU sets during updates that preserve it is not lost. */
static void check_dirty(void)
{
    unsigned long pfn = alloc_pfn();
    pte_t base = pfn_pte(pfn, PTE_P | PTE_RW | PTE_US);
    unsigned int lost = 0;

    mmu_set(slot_b, base);
    stop = false;
    turn = answer = 0;
    CHECK(cpu_start(1, write_on_turn, NULL));
    for (unsigned int i = 1; i < 200; i++) {
        CHECK_EQ(hc_update_va_mapping(TEST_VA + 2 * PAGE_SIZE, base, UVMF_INVLPG | UVMF_ALL), 0,
                 "clean");
        turn = i;
        while (answer != turn)
            mmu_set_cmd(slot_b, base | (i & 1 ? 0x200 : 0), MMU_PT_UPDATE_PRESERVE_AD);
        lost += !(pte_read(slot_b) & PTE_D);
    }
    stop = true;
    cpu_wait(1);
    CHECK_EQ(lost, 0, "Dirty bits lost");
    mmu_set(slot_b, 0);
    free_pfn(pfn);
}

static unsigned long other_root;

static void live_elsewhere(void *arg)
{
    CHECK_EQ(mmuext1(MMUEXT_NEW_BASEPTR, p2m[other_root], 0), 0, "another root");
    answer = 1;
    while (!stop)
        cpu_relax();
    CHECK_EQ(mmuext1(MMUEXT_NEW_BASEPTR, p2m[kernel_l4_pfn], 0), 0, "back");
}

/* A root that another CPU runs on cannot be made writable, nor unlinked to nothing. */
static void check_foreign_root(void)
{
    other_root = alloc_pfn();
    memcpy(pfn_virt(other_root), pfn_virt(kernel_l4_pfn), PAGE_SIZE);
    CHECK_EQ(direct_set(other_root, KERN_RO), 0, "read-only");
    stop = false;
    answer = 0;
    CHECK(cpu_start(1, live_elsewhere, NULL));
    while (!answer)
        cpu_relax();
    CHECK(direct_set(other_root, KERN_RW) < 0, "a root in use made writable");
    CHECK(mmuext1(MMUEXT_UNPIN_TABLE, p2m[other_root], 0) < 0, "unpin of what is not pinned");
    stop = true;
    cpu_wait(1);
    CHECK_EQ(direct_set(other_root, KERN_RW), 0, "the root after its use");
    free_pfn(other_root);
}

static void watch(void *arg)
{
    volatile uint64_t *va = (volatile uint64_t *)(TEST_VA + 2 * PAGE_SIZE);
    unsigned int seen = 0;

    while (!stop) {
        unsigned int now = turn;

        (void)*va; /* keeps the translation in the TLB */
        if (now == seen)
            continue;
        if (*va != now)
            breaches++;
        seen = now;
        answer = now;
    }
}

/* After a flush of all CPUs, or of this one by mask, the other sees the new page. */
static void check_flush(void)
{
    unsigned long pfn[2] = { alloc_pfn(), alloc_pfn() };
    uint64_t va = TEST_VA + 2 * PAGE_SIZE, mask = 2;

    mmu_set(slot_b, pfn_pte(pfn[0], KERN_RW));
    stop = false;
    turn = answer = 0;
    breaches = 0;
    CHECK(cpu_start(1, watch, NULL));
    for (unsigned int i = 1; i <= 200; i++) {
        pte_t pte = pfn_pte(pfn[i & 1], KERN_RW);

        *(volatile uint64_t *)pfn_virt(pfn[i & 1]) = i;
        if (i % 4 == 0) {
            hc_update_va_mapping(va, pte, UVMF_INVLPG | UVMF_ALL);
        } else if (i % 4 == 1) {
            hc_update_va_mapping(va, pte, UVMF_TLB_FLUSH | (uint64_t)&mask);
        } else {
            mmu_set(slot_b, pte);
            mmuext1(i % 4 == 2 ? MMUEXT_TLB_FLUSH_ALL : MMUEXT_INVLPG_MULTI, i % 4 == 2 ? 0 : va,
                    i % 4 == 2 ? 0 : (uint64_t)&mask);
        }
        turn = i;
        while (answer != i)
            cpu_relax();
    }
    stop = true;
    cpu_wait(1);
    CHECK_EQ(breaches, 0, "stale translations after a flush");
    mmu_set(slot_b, 0);
    mmuext1(MMUEXT_TLB_FLUSH_ALL, 0, 0);
    free_pfn(pfn[0]);
    free_pfn(pfn[1]);
}

void guest_main(void)
{
    struct account before;

    map_page(TEST_VA, 0);
    slot_a = va_pte_maddr(TEST_VA, 1) + 8;
    slot_b = slot_a + 8;
    CHECK(cpu_start(1, cpu_nothing, NULL));
    cpu_wait(1);
    account_take(&before);
    check_pin_against_map();
    check_changing_request();
    check_dirty();
    check_foreign_root();
    check_flush();
    account_check(&before, "two CPUs on one table");
}
