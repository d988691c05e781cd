/* SPDX-License-Identifier: MIT */
/*
 * A 64-bit PV guest's page tables as saving and loading see them: entries whose frame numbers are
 * the machine's in memory and the guest's own in a stream.
 */
#ifndef TOOLS_CLI_PAGE_TABLE_H
#define TOOLS_CLI_PAGE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define PTES 512u
#define PTE_PRESENT 1ull
#define PTE_FRAME_MASK 0x000ffffffffff000ull
#define L4_XEN_FIRST 256u /* slots of the hypervisor's in each L4 (<xen/arch-x86/xen-x86_64.h>) */
#define L4_XEN_LAST 271u
/* Types of pages, as the ABI numbers them, whose contents are not in a stream. */
#define TYPE_BROKEN 13u
#define TYPE_XALLOC 14u
#define TYPE_XTAB 15u

static inline uint64_t pte_frame(uint64_t pte)
{
    return (pte & PTE_FRAME_MASK) >> 12;
}

/*
 * The table `from` into `to` (which may be the same), with the frame number that other() gives for
 * each one, and without the hypervisor's slots of an L4. PTES, or the index of an entry of which
 * other() knew no other number.
 */
static inline unsigned int table_translate(const uint64_t *from, uint64_t *to, unsigned int level,
                                           bool (*other)(const void *arg, uint64_t *frame),
                                           const void *arg)
{
    for (unsigned int i = 0; i < PTES; i++) {
        uint64_t pte = from[i], frame = pte_frame(pte);

        if (level == 4 && i >= L4_XEN_FIRST && i <= L4_XEN_LAST)
            pte = 0;
        if (pte & PTE_PRESENT) {
            if (!other(arg, &frame))
                return i;
            pte = (pte & ~PTE_FRAME_MASK) | frame << 12;
        }
        to[i] = pte;
    }
    return PTES;
}

#endif
