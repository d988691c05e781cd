/* SPDX-License-Identifier: MIT */
/* What every kind of Domain 0 is made of: the loader's modules, how much memory, how many vCPUs. */
#ifndef X86_BOOT_DOM0_IMAGE_H
#define X86_BOOT_DOM0_IMAGE_H

#include "lib/bzimage.h"
#include "lib/cmdline.h"
#include "lib/elf.h"
#include "lib/xennote.h"

struct dom0_image {
    const char *cmdline; /* the kernel's */
    struct bz_payload payload;
    void *unpacked; /* NULL: the module is the ELF file */
    size_t unpacked_len;
    struct elf_image elf;
    struct xen_notes notes;
    const void *initrd; /* module 1; NULL: none */
    uint64_t initrd_len;
};

/*
 * Open module 0 as a kernel, unpacked where it must be; the decompressors are given back. NULL, or
 * what is wrong. Once, at boot.
 */
const char *dom0_image_open(struct dom0_image *im);
/* Pages that dom0_mem= gives it, of what is free now or will be at the end; *max: its ceiling. */
uint64_t dom0_image_pages(const struct dom0_image *im, const struct cmdline_dom0_mem *mem,
                          uint64_t *max);
/* Kernel and modules were copied: their frames are free. */
void dom0_image_release(struct dom0_image *im);
/* How many vCPUs, by dom0_max_vcpus= (0: not given). */
unsigned int dom0_vcpus(unsigned int min, unsigned int max);

#endif
