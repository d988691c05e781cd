/* SPDX-License-Identifier: MIT */
/*
 * Plan and contents of a PVH or HVM guest's first memory; pvh.h says what lies where. What must
 * hold: all of it is RAM of the guest's map, apart from each other, and nothing lies in the hole
 * below 4 GiB but the ACPI tables and the two rings. Pure functions without locks or state.
 */
#include "tools/builder/pvh.h"

#include <stddef.h>
#include <string.h>

#include <xen/elfnote.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/hvm/hvm_info_table.h>

#include "lib/macros.h"
#include "tools/builder/acpi.h"

_Static_assert(E820_RAM == XEN_HVM_MEMMAP_TYPE_RAM &&
                   E820_RESERVED == XEN_HVM_MEMMAP_TYPE_RESERVED &&
                   E820_ACPI == XEN_HVM_MEMMAP_TYPE_ACPI,
               "both maps have the same types");

/* hvm_start_info and all that it points to but the initramfs. */
struct info_block {
    struct hvm_start_info start;
    struct hvm_modlist_entry module;
    struct hvm_memmap_table_entry map[PVH_MAX_RANGES];
    char module_name[16];
    char cmdline[MAX_GUEST_CMDLINE];
};

static const char firmware[] = "firmware"; /* the module's name that hvmloader looks for */

static uint64_t page_up(uint64_t addr)
{
    return (addr + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

static void add_range(struct pvh_plan *p, uint64_t first, uint64_t pages, uint32_t type)
{
    if (pages)
        p->map[p->ranges++] = (struct e820_entry){ first << PAGE_SHIFT, pages << PAGE_SHIFT, type };
}

static void make_map(struct pvh_plan *p, uint64_t nr_pages)
{
    uint64_t low = MIN(nr_pages, PVH_HOLE);

    if (p->hvm) {
        add_range(p, HVM_LOW_PAGES, low - HVM_LOW_PAGES, E820_RAM);
    } else {
        add_range(p, 0, low, E820_RAM);
        add_range(p, PVH_ACPI, p->acpi_pages, E820_ACPI);
        add_range(p, PVH_RINGS, PVH_NR_RINGS, E820_RESERVED);
    }
    add_range(p, PVH_HOLE_END, nr_pages - low, E820_RAM);
}

const char *pvh_plan(const struct builder_kernel *k, uint64_t nr_pages, uint64_t initrd_bytes,
                     unsigned int vcpus, struct pvh_plan *out)
{
    uint64_t low, high, room = PVH_HOLE << PAGE_SHIFT;

    uint64_t entry = k->type == BUILDER_HVM ? k->elf.entry : k->notes.phys32_entry;

    *out = (struct pvh_plan){ .initrd_bytes = initrd_bytes, .hvm = k->type == BUILDER_HVM };
    elf_extent(&k->elf, &low, &high);
    if (high > room || initrd_bytes > room)
        return "it does not fit below 3.75 GiB";
    if (entry < low || entry >= high)
        return "its entry point lies outside of it";
    if (out->hvm && low < HVM_LOW_PAGES << PAGE_SHIFT)
        return "it wants to be in the first MiB";
    out->entry = (uint32_t)entry;
    out->initrd = page_up(high);
    out->info = page_up(out->initrd + initrd_bytes);
    out->info_pages = page_up(sizeof(struct info_block)) >> PAGE_SHIFT;
    out->used_pages = (out->info >> PAGE_SHIFT) + out->info_pages;
    if (!out->hvm)
        out->acpi_pages = page_up(acpi_tables_size(vcpus)) >> PAGE_SHIFT;
    if (out->used_pages > PVH_HOLE)
        return "it does not fit below 3.75 GiB with its initramfs";
    if (out->used_pages > nr_pages)
        return "there is too little memory";
    make_map(out, nr_pages);
    return NULL;
}

void pvh_start_info(const struct pvh_plan *plan, const char *cmdline, void *to)
{
    struct info_block *b = to;

    b->start = (struct hvm_start_info){
        .magic = XEN_HVM_START_MAGIC_VALUE,
        .version = 1,
        .nr_modules = plan->initrd_bytes != 0,
        .modlist_paddr = plan->info + offsetof(struct info_block, module),
        .cmdline_paddr = plan->info + offsetof(struct info_block, cmdline),
        .rsdp_paddr = PVH_ACPI << PAGE_SHIFT,
        .memmap_paddr = plan->info + offsetof(struct info_block, map),
        .memmap_entries = plan->ranges,
    };
    if (!plan->initrd_bytes)
        b->start.modlist_paddr = 0;
    b->module = (struct hvm_modlist_entry){ .paddr = plan->initrd, .size = plan->initrd_bytes };
    if (plan->hvm) {
        b->start.rsdp_paddr = 0;
        b->module.cmdline_paddr = plan->info + offsetof(struct info_block, module_name);
        memcpy(b->module_name, firmware, sizeof(firmware));
    }
    for (unsigned int i = 0; i < plan->ranges; i++)
        b->map[i] = (struct hvm_memmap_table_entry){ .addr = plan->map[i].addr,
                                                     .size = plan->map[i].size,
                                                     .type = plan->map[i].type };
    memcpy(b->cmdline, cmdline, strlen(cmdline) + 1);
}

void hvm_info(void *page, uint64_t nr_pages, unsigned int vcpus, unsigned int online)
{
    struct hvm_info_table *t = (void *)((uint8_t *)page + HVM_INFO_OFFSET);
    uint64_t low = MIN(nr_pages, PVH_HOLE);
    uint8_t sum = 0;

    *t = (struct hvm_info_table){
        .signature = "HVM INFO",
        .length = sizeof(*t),
        .apic_mode = 1,
        .nr_vcpus = vcpus,
        .low_mem_pgend = (uint32_t)low,
        .high_mem_pgend = nr_pages > low ? (uint32_t)(PVH_HOLE_END + nr_pages - low) : 0,
        .reserved_mem_pgstart = PVH_RINGS,
    };
    for (unsigned int i = 0; i < online; i++)
        t->vcpu_online[i / 8] |= (uint8_t)(1u << i % 8);
    for (size_t i = 0; i < sizeof(*t); i++)
        sum = (uint8_t)(sum + ((const uint8_t *)t)[i]);
    t->checksum = (uint8_t)-sum;
}
