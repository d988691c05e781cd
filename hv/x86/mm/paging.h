/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own page tables. They hang in slots 256 to 271 of every L4: a change made
 * through here is seen by all CPUs under whatever CR3.
 */
#ifndef X86_MM_PAGING_H
#define X86_MM_PAGING_H

#include "core/types.h"
#include "x86/layout.h"

#define PTE_P 0x001ull
#define PTE_RW 0x002ull
#define PTE_US 0x004ull
#define PTE_PWT 0x008ull
#define PTE_PCD 0x010ull
#define PTE_A 0x020ull
#define PTE_D 0x040ull
#define PTE_PS 0x080ull
#define PTE_PAT 0x080ull /* in an L1 entry */
#define PTE_G 0x100ull
#define PTE_NX (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

typedef uint64_t pte_t;

extern pte_t *idle_l4; /* the L4 without a guest */
extern uint64_t idle_cr3;
extern uint64_t nx_bit; /* PTE_NX, or 0 where the CPU has none */

/* Direct map: any RAM frame. */
static inline void *direct(uint64_t pa)
{
    return (void *)(DIRECT_BASE + pa);
}
static inline uint64_t direct_pa(const void *p)
{
    return (uint64_t)p - DIRECT_BASE;
}

/* How far above the linked place the loader put the image: a multiple of 2 MiB. Set by boot/head.S.
 */
extern uint64_t image_moved;
/* What is linked into the hypervisor. */
static inline uint64_t image_pa(const void *p)
{
    return (uint64_t)p - IMAGE_BASE + image_moved;
}

/* Build the final tables from boot_info and switch to them; frame table and M2P exist after it. */
void paging_init(void);
/* From now on tables come from the frame allocator. */
void paging_heap_ready(void);
/* Address of a hypervisor address's L1 entry, building tables on the way (boot, CPU bring-up). */
pte_t *paging_pte(uint64_t va);
/* Map one page of hypervisor address space; a changed entry is the caller's to flush. */
void paging_map(uint64_t va, uint64_t pa, uint64_t flags);
/* Drop the linear aliases a hypervisor page no longer needs on all CPUs. */
void paging_flush_all_cpus(void);
/* Slots 256 to 271 into a guest's L4. */
void paging_install_slots(pte_t *l4);
/* The M2P in an L4 that a guest kernel runs on, and not in one of its programs. */
static inline void paging_show_m2p(pte_t *l4, bool show)
{
    l4[HV_FIRST_SLOT] = show ? idle_l4[HV_FIRST_SLOT] : 0;
}
/* After boot: text read-only everywhere, boot tables and decompressors given back. */
void paging_seal(void);
/* The decompressors' pages become executable (true) or go back to the allocator (false). */
void paging_unpack(bool on);
/* Frames whose M2P entries fill one 2 MiB page; the i-th such page's first frame, 0: not there. */
#define M2P_EXTENT_FRAMES (1ull << 18)
uint64_t paging_m2p_extent(uint64_t i);
/* Writable view of the M2P. */
#define m2p_rw ((uint64_t *)M2P_RW_BASE)

#endif
