/* SPDX-License-Identifier: MIT */
/*
 * Translations that CPUs remember of guests' tables, and how they are made to forget them.
 *
 * Where the processor has address-space tags (PCID, and INVPCID to flush by them; spec_choice.tags)
 * each of a CPU's views of the running vCPU has a tag of its own: its kernel's L4, its programs'
 * L4, and their isolated roots (mm/isolation.h). A change between these by CR3 then flushes
 * nothing. What must hold:
 *
 * - A tag has translations of one table only: that with which CR3 was last loaded under it. So who
 *   gives a view another table flushes its tag, and not while CR3 has the old table: the processor
 *   walks ahead of any need.
 * - Whatever is said to be flushed is so under all tags: only this file flushes.
 * - Nothing is kept for a vCPU that is not resident: the next one begins with a flush of all tags.
 *
 * The hypervisor's own translations are global, or there are no global ones (isolation). Interrupts
 * are off and each CPU flushes itself: no locks.
 */
#ifndef X86_MM_TLB_H
#define X86_MM_TLB_H

#include <stdint.h>

#include "x86/cpu/spec.h"

enum {
    TAG_OWN = 0, /* the hypervisor's and the firmware's tables: each load flushes */
    TAG_USER,
    TAG_KERNEL,
    TAG_ROOT_USER,
    TAG_ROOT_KERNEL,
    NR_TAGS,
};

#define CR3_KEEP (1ull << 63) /* to CR3: what has the tag stays */

/* For CR3: the table at this machine address, whose tag has no other table's translations. */
static inline uint64_t tlb_cr3(uint64_t table, unsigned int tag)
{
    return spec_choice.tags ? table | tag | CR3_KEEP : table;
}

/* Drop all translations of guest addresses on this CPU and record the flush. */
void tlb_flush_local(void);
/* The same; CR3 has this value from now on, whatever table the CPU was on. */
void tlb_load(uint64_t cr3);
/* Drop this CPU's translations of va, which is canonical. */
void tlb_flush_va(uint64_t va);
/* The programs' view gets another table. CR3 is not on the old one. */
void tlb_flush_user(void);

#endif
