/* SPDX-License-Identifier: MIT */
/* The hypervisor's own page tables: see x86/layout.h for what lies where. */
#include "x86/mm/paging.h"

#include "core/bug.h"
#include "core/frame.h"
#include "core/param.h"
#include "lib/bitmap.h"
#include "lib/string.h"
#include "x86/boot/boot.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/mm/vmap.h"

#define FLAGS_RX (PTE_P | PTE_A | PTE_G)
#define FLAGS_RO (PTE_P | PTE_A | PTE_G | nx_bit)
#define FLAGS_RW (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_G | nx_bit)
/* What guests read must go with the switch to their programs' tables, where it is not shown. */
#define FLAGS_GUEST_RO (PTE_P | PTE_A | PTE_US | nx_bit)
#define FLAGS_TABLE (PTE_P | PTE_RW | PTE_A | PTE_D)
#define CHUNK_FRAMES (1ull << FRAME_CHUNK_SHIFT)

extern pte_t boot_l4[], area_l2[];
extern char __image_start[], __text_end[], __rodata_end[], __unpack_start[], __unpack_text_end[],
    __unpack_end[], __image_end[];

pte_t *idle_l4;
uint64_t idle_cr3;
uint64_t nx_bit;
struct frame *frame_table = (struct frame *)FRAME_TABLE_BASE;
uint64_t max_mfn;
unsigned long frame_chunks[MAX_MFN >> FRAME_CHUNK_SHIFT >> 6];
static bool heap_ready;

static void *new_table(void)
{
    void *p = heap_ready ? frame_alloc_hv() : bootmem_pages(1);

    if (!p)
        panic("Out of memory for the hypervisor's page tables");
    return p;
}

static unsigned int slot(uint64_t va, int level)
{
    return (va >> (12 + 9 * (level - 1))) & 511;
}

/* Guests walk where PTE_US is set, by linear page tables even at other levels: see paging_seal().
 */
static uint64_t table_flags(uint64_t va)
{
    return va >= M2P_RO_BASE && va < M2P_RO_END ? FLAGS_TABLE | PTE_US : FLAGS_TABLE;
}

/* The entry of `level` that translates va, with tables built down to there. */
static pte_t *walk(uint64_t va, int level)
{
    pte_t *table = idle_l4;

    for (int l = 4; l > level; l--) {
        pte_t *e = &table[slot(va, l)];
        if (!(*e & PTE_P))
            *e = direct_pa(new_table()) | table_flags(va);
        table = direct(*e & PTE_ADDR);
    }
    return &table[slot(va, level)];
}

pte_t *paging_pte(uint64_t va)
{
    return walk(va, 1);
}

void paging_map(uint64_t va, uint64_t pa, uint64_t flags)
{
    *walk(va, 1) = pa | flags;
}

static void map_image(void)
{
    *walk(STACKS_BASE, 3) = image_pa(area_l2) | FLAGS_TABLE; /* we are on one of these */
    for (char *p = __image_start; p < __image_end; p += PAGE_SIZE) {
        uint64_t flags = FLAGS_RW;
        if (p < __text_end)
            flags = FLAGS_RX;
        else if (p < __rodata_end)
            flags = FLAGS_RO;
        else if (p >= __unpack_start && p < __unpack_text_end)
            flags = FLAGS_RO;
        paging_map((uint64_t)p, image_pa(p), flags);
    }
}

static void map_direct(uint64_t pa, uint64_t end)
{
    while (pa < end) {
        uint64_t va = DIRECT_BASE + pa;
        if (cpu_feat.page1gb && !(pa & ((1ull << 30) - 1)) && end - pa >= 1ull << 30) {
            *walk(va, 3) = pa | FLAGS_RW | PTE_PS;
            pa += 1ull << 30;
        } else if (!(pa & 0x1fffff) && end - pa >= 0x200000) {
            *walk(va, 2) = pa | FLAGS_RW | PTE_PS;
            pa += 0x200000;
        } else {
            *walk(va, 1) = pa | FLAGS_RW;
            pa += PAGE_SIZE;
        }
    }
}

/*
 * Both views of the M2P for 1 GiB of machine memory: one 2 MiB page, the unit in which
 * XENMEM_machphys_mfn_list names the table.
 */
static void map_m2p(uint64_t first)
{
    uint64_t off = first * sizeof(uint64_t);
    uint64_t *m2p = bootmem_pages_aligned(512, 0x200000);

    for (unsigned long i = 0; i < M2P_EXTENT_FRAMES; i++)
        m2p[i] = ~0ull;
    *walk(M2P_RW_BASE + off, 2) = direct_pa(m2p) | FLAGS_RW | PTE_PS;
    *walk(M2P_RO_BASE + off, 2) = direct_pa(m2p) | FLAGS_GUEST_RO | PTE_PS;
}

uint64_t paging_m2p_extent(uint64_t i)
{
    pte_t *l4 = &idle_l4[slot(M2P_RW_BASE, 4)], *l3, *l2;

    l3 = (pte_t *)direct(*l4 & PTE_ADDR) + slot(M2P_RW_BASE + (i << 21), 3);
    if (!(*l3 & PTE_P))
        return 0;
    l2 = (pte_t *)direct(*l3 & PTE_ADDR) + slot(M2P_RW_BASE + (i << 21), 2);
    return *l2 & PTE_P ? (*l2 & PTE_ADDR) >> PAGE_SHIFT : 0;
}

/* The frame table for one chunk of frames. */
static void map_chunk(uint64_t chunk)
{
    uint64_t first = chunk << FRAME_CHUNK_SHIFT;
    unsigned long pages = CHUNK_FRAMES * sizeof(struct frame) / PAGE_SIZE;
    uint64_t pa = direct_pa(bootmem_pages(pages));

    for (unsigned long i = 0; i < pages; i++)
        paging_map((uint64_t)&frame_table[first] + i * PAGE_SIZE, pa + i * PAGE_SIZE, FLAGS_RW);
    bit_set(frame_chunks, chunk);
}

static void map_tables_of(const struct boot_memory *m)
{
    uint64_t start = m->base >> PAGE_SHIFT, end = (m->base + m->len) >> PAGE_SHIFT;

    if (end > MAX_MFN)
        end = MAX_MFN;
    if (end > max_mfn)
        max_mfn = end;
    for (uint64_t c = start >> FRAME_CHUNK_SHIFT; c << FRAME_CHUNK_SHIFT < end; c++)
        if (!bit_test(frame_chunks, c))
            map_chunk(c);
    for (uint64_t f = ALIGN_DOWN(start, M2P_EXTENT_FRAMES); f < end; f += M2P_EXTENT_FRAMES)
        if (!(*walk(M2P_RW_BASE + f * sizeof(uint64_t), 2) & PTE_P))
            map_m2p(f);
}

/* Over holes the frame table reads as zeros, so that a lookup has one bound to check. */
static void map_hole_chunks(void)
{
    uint64_t zero = direct_pa(bootmem_pages(1)), end = DIV_ROUND_UP(max_mfn, CHUNK_FRAMES);
    unsigned long pages = CHUNK_FRAMES * sizeof(struct frame) / PAGE_SIZE;

    for (uint64_t c = 0; c < end; c++) {
        uint64_t va = (uint64_t)&frame_table[c << FRAME_CHUNK_SHIFT];
        for (unsigned long i = 0; !bit_test(frame_chunks, c) && i < pages; i++)
            paging_map(va + i * PAGE_SIZE, zero, FLAGS_RO);
    }
}

/* RAM is never a device, even while nobody owns it; below 1 MiB it is, for Dom0's BIOS areas. */
static void mark_ram(const struct boot_memory *m)
{
    uint64_t end = MIN((m->base + m->len) >> PAGE_SHIFT, max_mfn);

    ram_frames += end - MIN(m->base >> PAGE_SHIFT, end);

    for (uint64_t mfn = MAX(m->base >> PAGE_SHIFT, 256ull); mfn < end; mfn++)
        frame_table[mfn] = (struct frame){ .state = FRAME_RAM, .owner = DOMID_INVALID };
}

/* Tools that save a guest look up its frames there: theirs to read, by DOMID_XEN. */
static void show_m2p(void)
{
    for (uint64_t i = 0; i < DIV_ROUND_UP(max_mfn, M2P_EXTENT_FRAMES); i++) {
        uint64_t first = paging_m2p_extent(i);

        for (unsigned int j = 0; first && j < 512; j++)
            frame_show(&frame_table[first + j], false);
    }
}

void paging_init(void)
{
    nx_bit = cpu_feat.nx ? PTE_NX : 0;
    idle_l4 = bootmem_pages(1);
    idle_cr3 = direct_pa(idle_l4);
    for (int i = HV_FIRST_SLOT; i <= HV_LAST_SLOT; i++) /* all there: guests' L4s copy them once */
        idle_l4[i] = direct_pa(bootmem_pages(1)) | FLAGS_TABLE;
    idle_l4[slot(M2P_RO_BASE, 4)] = (idle_l4[slot(M2P_RO_BASE, 4)] | PTE_US) & ~PTE_RW;
    map_image();
    /* vmap() may not need memory later: its lock comes after the allocator's. */
    for (uint64_t va = VMAP_BASE; va < VMAP_BASE + VMAP_PAGES * PAGE_SIZE; va += 512 * PAGE_SIZE)
        paging_pte(va);
    map_direct(0, 0xa0000);
    for (unsigned int i = 0; i < boot_info.nr_mem; i++)
        if (boot_info.mem[i].type == 1 && boot_info.mem[i].len)
            map_direct(boot_info.mem[i].base, boot_info.mem[i].base + boot_info.mem[i].len);
    for (unsigned int i = 0; i < boot_info.nr_mem; i++)
        if (boot_info.mem[i].type == 1 && boot_info.mem[i].len)
            map_tables_of(&boot_info.mem[i]);
    map_hole_chunks();
    boot_l4[slot(IMAGE_BASE, 4)] = idle_l4[slot(IMAGE_BASE, 4)];
    boot_l4[slot(DIRECT_BASE, 4)] = idle_l4[slot(DIRECT_BASE, 4)];
    write_cr3(idle_cr3);
    for (unsigned int i = 0; i < boot_info.nr_mem; i++)
        if (boot_info.mem[i].type == 1 && boot_info.mem[i].len)
            mark_ram(&boot_info.mem[i]);
    show_m2p();
}

void paging_install_slots(pte_t *l4)
{
    memcpy(&l4[HV_FIRST_SLOT], &idle_l4[HV_FIRST_SLOT],
           (HV_LAST_SLOT - HV_FIRST_SLOT + 1) * sizeof(pte_t));
    paging_show_m2p(l4, false);
}

void paging_heap_ready(void)
{
    heap_ready = true;
}

/*
 * From this table of `level` on nothing has one of the bits `no` in its leaves, nor PTE_US, if that
 * is among them, in any entry.
 */
static void check_entries(const pte_t *table, int level, pte_t no)
{
    for (int i = 0; i < 512; i++) {
        pte_t e = table[i];
        bool leaf = level == 1 || (e & PTE_PS);

        if (!(e & PTE_P))
            continue;
        if (e & no & (leaf ? ~0ull : PTE_US))
            panic("A mapping of the hypervisor is open to guests: %#lx", e);
        if (!leaf)
            check_entries(direct(e & PTE_ADDR), level - 1, no);
    }
}

/* Hypervisor text must not be writable through the direct map either. */
void paging_seal(void)
{
    for (uint64_t pa = image_pa(__image_start); pa < image_pa(__rodata_end); pa += PAGE_SIZE) {
        pte_t *l2 = walk(DIRECT_BASE + pa, 2);
        if (*l2 & PTE_PS) {
            pte_t *l1 = new_table();
            uint64_t base = *l2 & PTE_ADDR;
            for (int i = 0; i < 512; i++)
                l1[i] = (base + (uint64_t)i * PAGE_SIZE) | FLAGS_RW;
            *l2 = direct_pa(l1) | FLAGS_TABLE;
        }
        *walk(DIRECT_BASE + pa, 1) = pa | FLAGS_RO;
    }
    /*
     * What guests may read is the M2P, by one slot, and that not as a global page: it would stay in
     * TLBs. All other tables are closed at each level: a guest whose L4 names itself walks the
     * entries of these slots as those of an L3, L2 or L1.
     */
    check_entries(direct(idle_l4[HV_FIRST_SLOT] & PTE_ADDR), 3, PTE_G | PTE_RW);
    for (int i = HV_FIRST_SLOT + 1; i <= HV_LAST_SLOT; i++) {
        if (idle_l4[i] & PTE_US)
            panic("Slot %d is open to guests", i);
        check_entries(direct(idle_l4[i] & PTE_ADDR), 3, PTE_US);
    }
    paging_flush_all_cpus();
}

void paging_unpack(bool on)
{
    for (char *p = __unpack_start; p < __unpack_text_end; p += PAGE_SIZE)
        paging_map((uint64_t)p, image_pa(p), on ? FLAGS_RX : FLAGS_RO);
    paging_flush_all_cpus();
    if (on)
        return;
    for (char *p = __unpack_start; p < __unpack_end; p += PAGE_SIZE)
        *walk((uint64_t)p, 1) = 0;
    paging_flush_all_cpus();
    bootmem_release(image_pa(__unpack_start), image_pa(__unpack_end));
}

static void flush_global(void *unused)
{
    (void)unused;
    uint64_t cr4 = read_cr4();

    if (cr4 & CR4_PGE) {
        write_cr4(cr4 & ~CR4_PGE);
        write_cr4(cr4);
    } else if (cr4 & CR4_PCIDE) {
        invpcid(INVPCID_ALL, 0, 0);
    } else {
        write_cr3(read_cr3());
    }
}

void paging_flush_all_cpus(void)
{
    flush_global(NULL);
    if (nr_pcpus > 1)
        arch_call_others(&cpumask_all, flush_global, NULL);
}

uint64_t tlb_clock = 1;

void *arch_map(mfn_t mfn)
{
    return direct(mfn.v << PAGE_SHIFT);
}

mfn_t arch_unmap(const void *p)
{
    return MFN(direct_pa(p) >> PAGE_SHIFT);
}

void arch_clear_page(void *page)
{
    unsigned long n = 512;
    __asm__ volatile("rep stosq" : "+D"(page), "+c"(n) : "a"(0ul) : "memory");
}

void arch_set_gfn(mfn_t mfn, uint64_t gfn)
{
    m2p_rw[mfn.v] = gfn;
}

uint64_t arch_gfn(mfn_t mfn)
{
    return m2p_rw[mfn.v];
}
