/* SPDX-License-Identifier: MIT */
/* What the builder asks of the hypervisor. All return 0, or -1 with e. */
#ifndef BUILDER_DOMAIN_H
#define BUILDER_DOMAIN_H

#include "lib/pvlayout.h"
#include "tools/builder/builder.h"
#include "tools/builder/memory.h"
#include "tools/lib/xen.h"

/* An entry of a memory map as the BIOS call E820 returns it. */
struct e820_entry {
    uint64_t addr, size;
    uint32_t type;
} __attribute__((packed));
#define E820_RAM 1
#define E820_RESERVED 2
#define E820_ACPI 3

/* The domain that is built. */
struct target {
    struct xen *x;
    domid_t domid;
    struct error *e;
};

/* Gives the domain the pages of m, in 2 MiB where possible. */
int domain_populate(const struct target *t, struct memory *m);

/* Maps the closed window, writable. */
int domain_map(const struct target *t, const struct memory *m, struct window *w);
int domain_unmap(const struct target *t, struct window *w);

/* Fills the first nr pages with zeros: for a hypervisor that hands out others. */
int domain_clear(const struct target *t, const struct memory *m, uint64_t nr);

/*
 * Finds the shared info and masks events on all vCPUs: a guest starts so, since it cannot take an
 * upcall before it has said where to, and Linux does not know where its mask is at first.
 */
int domain_shared_info(const struct target *t, xen_pfn_t *mfn);

int domain_memory_map(const struct target *t, const struct e820_entry *ranges, unsigned int nr);

/* The reserved entries of the grant table: the two rings may be mapped by who serves them. */
int domain_grants(const struct target *t, const struct builder_request *req, xen_pfn_t console,
                  xen_pfn_t store);

int domain_hypercall_page(const struct target *t, xen_pfn_t mfn);

/* No mapping of a page table by this process is left. */
int domain_pin_l4(const struct target *t, xen_pfn_t l4);
int domain_start_vcpu(const struct target *t, const struct pv_layout *l, xen_pfn_t l4);

/* --- hardware-assisted guests: domain_hvm.c --- */

/* How much memory the hypervisor may take for its nested page tables; before it gets any. */
int domain_paging_pool(const struct target *t, uint64_t kib);
/* Gives it pages at these guest frames, and maps them, zero; NULL with e. */
void *domain_add_pages(const struct target *t, xen_pfn_t first, uint64_t nr);
int domain_set_param(const struct target *t, uint32_t index, uint64_t value); /* HVM_PARAM_* */
/* Takes such pages of its RAM away again. */
int domain_drop_pages(const struct target *t, xen_pfn_t first, uint64_t nr);
/* vCPU 0 in protected mode at `entry`, ebx = start_info, online; the memory of the first `vcpus`
 * write-back (0: firmware sets up the MTRRs). */
int domain_start_hvm(const struct target *t, unsigned int vcpus, uint32_t entry,
                     uint32_t start_info);

#endif
