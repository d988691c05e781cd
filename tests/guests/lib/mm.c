/* SPDX-License-Identifier: MIT */
/*
 * Memory of the guest: a direct map of all its pages, a stack of free pages, page-table helpers.
 * Every page table is read-only in the direct map, as the ABI demands.
 */
#include "guest.h"

#define DM_TABLES 64 /* 128 MiB of direct map */

struct start_info *si;
struct shared_info *shared;
unsigned long *p2m;
unsigned long kernel_l4_pfn;

static pte_t dm_l1[DM_TABLES][512] __attribute__((aligned(4096)));
static pte_t dm_l2[512] __attribute__((aligned(4096)));
static pte_t dm_l3[512] __attribute__((aligned(4096)));
static uint8_t shared_page[PAGE_SIZE] __attribute__((aligned(4096)));
static unsigned long free_next, free_end;
static unsigned long free_stack[4096];
static unsigned int free_count;

unsigned long virt_to_pfn(const void *va)
{
    uint64_t v = (uint64_t)va;

    if (v >= DIRECT_BASE && v < DIRECT_BASE + ((uint64_t)DM_TABLES << 21))
        return (v - DIRECT_BASE) >> 12;
    return (v - ((uint64_t)_image_start - 0x100000)) >> 12;
}

unsigned long virt_to_mfn(const void *va)
{
    return p2m[virt_to_pfn(va)];
}

uint64_t virt_to_maddr(const void *va)
{
    return (virt_to_mfn(va) << 12) | ((uint64_t)va & (PAGE_SIZE - 1));
}

long mmu_set_cmd(uint64_t maddr, pte_t val, unsigned int cmd)
{
    struct mmu_update u = { .ptr = maddr | cmd, .val = val };

    return hc_mmu_update(&u, 1, NULL, DOMID_SELF);
}

long mmu_set(uint64_t maddr, pte_t val)
{
    return mmu_set_cmd(maddr, val, MMU_NORMAL_PT_UPDATE);
}

long mmuext1(unsigned int cmd, unsigned long arg1, unsigned long arg2)
{
    struct mmuext_op op = { .cmd = cmd };

    op.arg1.mfn = arg1;
    op.arg2.src_mfn = arg2;
    return hc_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static bool is_boot_table(unsigned long pfn)
{
    unsigned long first = virt_to_pfn((void *)si->pt_base);

    /* With the note INIT_P2M this range holds the P2M and the tables that map it. */
    if (pfn >= si->first_p2m_pfn && pfn < si->first_p2m_pfn + si->nr_p2m_frames)
        return true;
    return pfn >= first && pfn < first + si->nr_pt_frames;
}

static void must(long rc, const char *what)
{
    if (rc) {
        check_failed("mm.c", 0, "", "%s: %ld", what, rc);
        finish();
    }
}

/* Before the direct map exists: makes a page of the image read-only. */
static void image_read_only(void *va)
{
    must(hc_update_va_mapping((uint64_t)va, mk_pte(virt_to_mfn(va), KERN_RO),
                              UVMF_INVLPG | UVMF_ALL),
         "image page read-only");
}

static void build_direct_map(void)
{
    unsigned long tables = (si->nr_pages + 511) / 512;
    unsigned long dm_first = virt_to_pfn(dm_l1), dm_last = virt_to_pfn(dm_l3);
    uint64_t slot;

    if (tables > DM_TABLES)
        tables = DM_TABLES;
    if (dm_last < dm_first)
        dm_first = virt_to_pfn(dm_l3);
    for (unsigned long pfn = 0; pfn < si->nr_pages && pfn < tables * 512; pfn++) {
        bool table = is_boot_table(pfn) ||
                     (pfn >= virt_to_pfn(dm_l1) && pfn < virt_to_pfn(dm_l1) + DM_TABLES) ||
                     pfn == virt_to_pfn(dm_l2) || pfn == virt_to_pfn(dm_l3);

        dm_l1[pfn / 512][pfn % 512] = pfn_pte(pfn, table ? KERN_RO : KERN_RW);
    }
    for (unsigned long i = 0; i < DM_TABLES; i++)
        image_read_only(dm_l1[i]);
    for (unsigned long i = 0; i < tables; i++)
        dm_l2[i] = mk_pte(virt_to_mfn(dm_l1[i]), PT_FLAGS);
    dm_l3[0] = mk_pte(virt_to_mfn(dm_l2), PT_FLAGS);
    image_read_only(dm_l2);
    image_read_only(dm_l3);
    slot = virt_to_maddr((void *)si->pt_base) + 8 * ((DIRECT_BASE >> 39) & 511);
    must(mmu_set(slot, mk_pte(virt_to_mfn(dm_l3), PT_FLAGS)), "direct map");
}

void mm_init(void)
{
    uint64_t end = si->pt_base + si->nr_pt_frames * PAGE_SIZE + PAGE_SIZE + 0x80000;
    uint64_t base = (uint64_t)_image_start - 0x100000;

    p2m = (unsigned long *)si->mfn_list;
    kernel_l4_pfn = virt_to_pfn((void *)si->pt_base);
    must(hc_update_va_mapping((uint64_t)shared_page, si->shared_info | KERN_RW, UVMF_INVLPG),
         "shared info");
    shared = (struct shared_info *)shared_page;
    build_direct_map();
    free_next = (end - base + 0x3fffff) >> 22 << 10;
    free_end = si->nr_pages < DM_TABLES * 512 ? si->nr_pages : DM_TABLES * 512;
    if (si->first_p2m_pfn && si->first_p2m_pfn >= free_next && si->first_p2m_pfn < free_end)
        free_next = si->first_p2m_pfn + si->nr_p2m_frames;
}

unsigned long alloc_pfn(void)
{
    unsigned long pfn;

    if (free_count) {
        pfn = free_stack[--free_count];
    } else {
        if (free_next >= free_end)
            must(-ENOMEM, "out of pages");
        pfn = free_next++;
    }
    memset(pfn_virt(pfn), 0, PAGE_SIZE);
    return pfn;
}

void free_pfn(unsigned long pfn)
{
    if (free_count < ARRAY_SIZE(free_stack))
        free_stack[free_count++] = pfn;
}

long direct_set(unsigned long pfn, uint64_t flags)
{
    return hc_update_va_mapping((uint64_t)pfn_virt(pfn), flags ? pfn_pte(pfn, flags) : 0,
                                UVMF_INVLPG | UVMF_ALL);
}

pte_t pte_read(uint64_t maddr)
{
    return *(volatile pte_t *)((uint64_t)pfn_virt(M2P[maddr >> 12]) + (maddr & 0xff8));
}

uint64_t pte_maddr(unsigned long l4_pfn, uint64_t va, int level)
{
    uint64_t table = p2m[l4_pfn] << 12;

    for (int l = 4;; l--) {
        uint64_t entry = table + 8 * ((va >> (12 + 9 * (l - 1))) & 511);
        pte_t pte;

        if (l == level)
            return entry;
        pte = pte_read(entry);
        if (!(pte & PTE_P))
            return 0;
        table = pte & PTE_MFN;
    }
}

uint64_t va_pte_maddr(uint64_t va, int level)
{
    return pte_maddr(kernel_l4_pfn, va, level);
}

pte_t va_pte(uint64_t va, int level)
{
    uint64_t maddr = va_pte_maddr(va, level);

    return maddr ? pte_read(maddr) : 0;
}

unsigned long alloc_table(void)
{
    unsigned long pfn = alloc_pfn();

    must(direct_set(pfn, KERN_RO), "table read-only");
    return pfn;
}

void free_table(unsigned long pfn)
{
    must(direct_set(pfn, KERN_RW), "table writable again");
    free_pfn(pfn);
}

void map_page_in(unsigned long l4_pfn, uint64_t va, pte_t pte)
{
    for (int level = 4; level > 1; level--) {
        uint64_t entry = pte_maddr(l4_pfn, va, level);

        if (!(pte_read(entry) & PTE_P))
            must(mmu_set(entry, pfn_pte(alloc_table(), PT_FLAGS)), "link a table");
    }
    must(mmu_set(pte_maddr(l4_pfn, va, 1), pte), "map_page");
    mmuext1(MMUEXT_INVLPG_ALL, va, 0);
}

void map_page(uint64_t va, pte_t pte)
{
    map_page_in(kernel_l4_pfn, va, pte);
}
