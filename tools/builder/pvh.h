/* SPDX-License-Identifier: MIT */
/*
 * What a PVH guest finds in its memory at its start, and where (<xen/arch-x86/hvm/start_info.h>):
 * its kernel where its ELF wants to be, then its initramfs, then hvm_start_info with what that
 * points to. RAM begins at 0 and goes around the hole below 4 GiB, in which the ACPI tables and the
 * pages of the two rings are.
 *
 * An HVM guest begins in the same way, with hvmloader for a kernel and its BIOS as a module of the
 * name "firmware". There are no ACPI tables, which hvmloader makes, no RAM where a PC has its
 * screen's memory, and hvm_info_table (<xen/hvm/hvm_info_table.h>) below 640 KiB. Pure functions.
 */
#ifndef BUILDER_PVH_H
#define BUILDER_PVH_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/builder/domain.h"
#include "tools/builder/kernel.h"

/* Guest frames. */
#define PVH_HOLE 0xf0000ul
#define PVH_HOLE_END 0x100000ul
#define PVH_ACPI 0xfc000ul
#define PVH_RINGS 0xfeffeul
#define PVH_CONSOLE PVH_RINGS
#define PVH_STORE (PVH_RINGS + 1)
#define PVH_NR_RINGS 2u
#define PVH_MAX_RANGES 4u
#define HVM_VGA 0xa0ul /* no RAM: hvm_info_table.h */
#define HVM_VGA_PAGES 0x20ul
#define HVM_LOW_PAGES 0x100ul /* hvmloader tells of the first MiB itself */

struct pvh_plan {
    uint64_t initrd, info; /* guest-physical addresses, of pages */
    uint64_t initrd_bytes;
    uint64_t info_pages, used_pages;
    uint32_t entry;
    struct e820_entry map[PVH_MAX_RANGES];
    unsigned int ranges;
    uint64_t acpi_pages;
    bool hvm;
};

/*
 * The plan for this memory, initramfs, command line and number of vCPUs. NULL, or why not; then
 * out->used_pages says what would be needed, or is 0 when nothing helps.
 */
const char *pvh_plan(const struct builder_kernel *k, uint64_t nr_pages, uint64_t initrd_bytes,
                     unsigned int vcpus, struct pvh_plan *out);

/* hvm_info_table for this page, HVM_INFO_PFN, and memory; the first `online` of the vCPUs are on.
 */
void hvm_info(void *page, uint64_t nr_pages, unsigned int vcpus, unsigned int online);

/* `to`: the pages of plan->info, zero. cmdline is shorter than MAX_GUEST_CMDLINE. */
void pvh_start_info(const struct pvh_plan *plan, const char *cmdline, void *to);

#endif
