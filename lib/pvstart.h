/* SPDX-License-Identifier: MIT */
/*
 * What a 64-bit PV guest stands on at its start, by the plan of lib/pvlayout.h: its first page
 * tables, and what start_info says of the plan. Pure functions over the guest's memory, which who
 * builds it reaches in a way of his own: the hypervisor for Domain 0, the tools for all others.
 */
#ifndef LIB_PVSTART_H
#define LIB_PVSTART_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>

#include "lib/pvlayout.h"

struct pv_memory {
    const void *arg;
    /* The machine frame behind a pfn, and where its 4 KiB can be written. */
    uint64_t (*mfn)(const void *arg, uint64_t pfn);
    void *(*page)(const void *arg, uint64_t pfn);
};

/* Fills in PV_TABLES and PV_P2M_TABLES, which are zero. Tables map themselves read-only. */
void pv_start_tables(const struct pv_layout *l, const struct pv_memory *m);

/*
 * Sets in *si, which is zero, what follows from the plan: all but shared_info, store, console and
 * command line. `flags`: SIF_ bits besides SIF_MOD_START_PFN.
 */
void pv_start_info(const struct pv_layout *l, uint64_t nr_pages, uint64_t initrd_bytes,
                   uint32_t flags, struct start_info *si);

#endif
