/* SPDX-License-Identifier: MIT */
/* Domain 0's memory while it is built: few, large blocks, filled by guest frame number. */
#ifndef X86_BOOT_DOM0_MEM_H
#define X86_BOOT_DOM0_MEM_H

#include "core/domain.h"

struct dom0_extent {
    uint64_t pfn, mfn, pages;
};

struct dom0_mem {
    struct domain *d;
    struct dom0_extent *ext; /* in rising order of pfn, without holes */
    unsigned int nr, max;
    uint64_t pages; /* allocated so far: pfns 0 .. pages-1 */
};

/* False: no memory for the list. */
bool dom0_mem_init(struct dom0_mem *m, struct domain *d);
void dom0_mem_end(struct dom0_mem *m);
/* Allocate up to `pages` in all, in the largest blocks there are, and enter them in the M2P. */
bool dom0_mem_grow(struct dom0_mem *m, uint64_t pages);
/* Frame of an allocated pfn, and where it is in the direct map. */
mfn_t dom0_mfn(const struct dom0_mem *m, uint64_t pfn);
void *dom0_page(const struct dom0_mem *m, uint64_t pfn);
/* Copy to, clear at byte `at` of the guest's memory; all of it is allocated. */
void dom0_copy(const struct dom0_mem *m, uint64_t at, const void *src, uint64_t n);
void dom0_clear(const struct dom0_mem *m, uint64_t at, uint64_t n);
/* The p2m list of all pages, into pfns from `pfn` on. */
void dom0_write_p2m(const struct dom0_mem *m, uint64_t pfn);

#endif
