/* SPDX-License-Identifier: MIT */
/*
 * The plan of a 64-bit PV guest's start: what lies where, in pseudo-physical frames and in virtual
 * addresses, as the comment "Start-of-day memory layout" of <xen/xen.h> demands. Pure: from notes
 * and sizes to a list of ranges.
 *
 *   v_start = virt_base maps pfn 0, and so on one to one up to v_end (4 MiB aligned, 512 KiB or
 * more behind the stack):
 *
 *   | ... | kernel | initrd (1) | p2m list (2) | start info | store, console (3) | page tables |
 * stack | padding |
 *
 *   (1) with the note MOD_START_PFN not here but at pfns behind the region and the p2m; (2) with
 * the note INIT_P2M not here: its frames and then their page tables are the first pfns behind the
 * region (Linux takes first_p2m_pfn as the end of what its own addresses map), and it appears at
 * that virtual address; (3) not for Dom0.
 *
 * The page tables are laid out L4, L3s, L2s, L1s; Linux frees the first three again.
 */
#ifndef LIB_PVLAYOUT_H
#define LIB_PVLAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/xennote.h"

#define PV_NO_VA UINT64_MAX

enum pv_part {
    PV_KERNEL,
    PV_INITRD,
    PV_P2M,
    PV_P2M_TABLES, /* only with INIT_P2M: L1s, L2s, L3s in this order */
    PV_START_INFO,
    PV_STORE,
    PV_CONSOLE,
    PV_TABLES, /* of the region: L4, L3s, L2s, L1s in this order */
    PV_STACK,
    PV_PARTS
};

struct pv_range {
    uint64_t pfn;
    uint64_t pages; /* 0: this guest has no such part */
    uint64_t va;    /* page-aligned, or PV_NO_VA if it is not mapped at the start */
};

struct pv_table_counts {
    uint64_t l1, l2, l3;
};

struct pv_layout {
    struct pv_range part[PV_PARTS];
    uint64_t v_start, v_end;
    uint64_t region_pages; /* pfns 0 .. region_pages-1 are mapped at v_start */
    uint64_t used_pages;   /* pfns from here on are free; also set when nr_pages does not suffice */
    uint64_t entry;
    uint64_t hypercall_page; /* va, or PV_NO_VA */
    bool initrd_by_pfn;      /* start_info's mod_start is a pfn, with SIF_MOD_START_PFN */
    bool p2m_outside;        /* start_info's first_p2m_pfn and nr_p2m_frames count */
    struct pv_table_counts tables, p2m_tables;
};

struct pv_layout_input {
    const struct xen_notes *notes;
    uint64_t kernel_low, kernel_high; /* elf_extent */
    uint64_t nr_pages;                /* of the guest at start */
    uint64_t p2m_entries;             /* of the list; at least nr_pages, 0 means nr_pages */
    uint64_t initrd_bytes;            /* 0: none */
    bool dom0;
    uint64_t hv_start, hv_end; /* virtual addresses that belong to the hypervisor */
};

/* Fills in `*out`. Returns NULL or why the guest cannot start so. */
const char *pv_layout_plan(const struct pv_layout_input *in, struct pv_layout *out);

/* Virtual address of a physical address in an ELF file (p_paddr), by the notes. */
uint64_t pv_layout_va(const struct xen_notes *notes, uint64_t paddr);

/* The pfn that holds p_paddr `paddr`. */
uint64_t pv_layout_pfn(const struct xen_notes *notes, uint64_t paddr);

/* Numbers for start_info; the count covers p2m list and its tables. Both 0 unless p2m_outside. */
uint64_t pv_layout_first_p2m_pfn(const struct pv_layout *l);
uint64_t pv_layout_nr_p2m_frames(const struct pv_layout *l);

#endif
