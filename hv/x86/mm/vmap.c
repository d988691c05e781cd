/* SPDX-License-Identifier: MIT */
/* Addresses for devices and firmware tables: first fit over a bitmap of the vmap area's pages. */
#include "x86/mm/vmap.h"

#include "core/lock.h"
#include "lib/bitmap.h"
#include "x86/mm/paging.h"

static unsigned long used[VMAP_PAGES / 64];
static spinlock_t vmap_lock = SPINLOCK_INIT(RANK_VMAP);

static long find_run(unsigned long n)
{
    unsigned long run = 0;

    for (unsigned long i = 0; i < VMAP_PAGES; i++) {
        run = bit_test(used, i) ? 0 : run + 1;
        if (run == n)
            return (long)(i - n + 1);
    }
    return -1;
}

void *vmap(maddr_t pa, size_t len, enum vmap_attr attr)
{
    uint64_t first = pa.v & PAGE_MASK, last = (pa.v + len + PAGE_SIZE - 1) & PAGE_MASK;
    unsigned long n = (last - first) >> PAGE_SHIFT;
    uint64_t flags = PTE_P | PTE_A | PTE_G | nx_bit;

    if (!len || last <= first || n > VMAP_PAGES)
        return NULL;
    if (attr != VMAP_RO)
        flags |= PTE_RW | PTE_D;
    if (attr == VMAP_UC)
        flags |= PTE_PCD | PTE_PWT;
    if (attr == VMAP_WC)
        flags |= PTE_PAT;
    spin_lock(&vmap_lock);
    long at = find_run(n);
    uint64_t va = VMAP_BASE + (uint64_t)at * PAGE_SIZE;
    for (unsigned long i = 0; at >= 0 && i < n; i++) {
        bit_set(used, (unsigned long)at + i);
        paging_map(va + i * PAGE_SIZE, first + i * PAGE_SIZE, flags);
    }
    spin_unlock(&vmap_lock);
    return at < 0 ? NULL : (void *)(va + (pa.v - first));
}

void vunmap(void *p, size_t len)
{
    uint64_t first = (uint64_t)p & PAGE_MASK,
             last = ((uint64_t)p + len + PAGE_SIZE - 1) & PAGE_MASK;

    spin_lock(&vmap_lock);
    for (uint64_t va = first; va < last; va += PAGE_SIZE)
        *paging_pte(va) = 0;
    spin_unlock(&vmap_lock);
    paging_flush_all_cpus(); /* before the range is found free */
    spin_lock(&vmap_lock);
    for (uint64_t va = first; va < last; va += PAGE_SIZE)
        bit_clear(used, (va - VMAP_BASE) >> PAGE_SHIFT);
    spin_unlock(&vmap_lock);
}
