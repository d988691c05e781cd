/* SPDX-License-Identifier: MIT */
/* An opened kernel, as builder_build uses it. */
#ifndef BUILDER_KERNEL_H
#define BUILDER_KERNEL_H

#include "lib/elf.h"
#include "lib/pvlayout.h"
#include "lib/xennote.h"
#include "tools/builder/builder.h"

struct builder_kernel {
    char *path;
    int fd; /* the ELF, unpacked; nobody else changes it */
    void *map;
    uint64_t size;
    bool cached;
    enum builder_type type;
    struct elf_image elf;
    struct xen_notes notes;
    uint8_t *symbols; /* elf_bsd_symtab()'s, for a kernel that wants them; or NULL */
    uint64_t symbols_len;
};

/* Where the symbols go: p_paddr, behind all segments. */
uint64_t kernel_symbols_at(const struct builder_kernel *k);

/* The plan for a guest with this memory and initramfs. NULL or why not. */
const char *kernel_plan(const struct builder_kernel *k, uint64_t nr_pages, uint64_t initrd_bytes,
                        struct pv_layout *out);

/* May it run where the hypervisor offers these XENFEAT_ bits (0: the usual)? -1 with e. */
int kernel_check(const struct builder_kernel *k, uint32_t features, struct error *e);

#endif
