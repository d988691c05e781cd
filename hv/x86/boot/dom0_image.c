/* SPDX-License-Identifier: MIT */
/*
 * What every kind of Domain 0 is made of. Runs once at boot, on the first CPU, before any guest:
 * no locks. What the loader left is checked here, and a failure is a reason in words.
 */
#include "x86/boot/dom0_image.h"

#include "core/frame.h"
#include "core/pcpu.h"
#include "x86/boot/boot.h"
#include "x86/boot/unpack_call.h"
#include "x86/mm/paging.h"

#define HV_RESERVE_PAGES 1024ull /* left to the hypervisor, whatever dom0_mem says */

static uint64_t module_len(unsigned int i)
{
    return boot_info.module[i].end - boot_info.module[i].start;
}

static void *module_data(unsigned int i)
{
    return direct(boot_info.module[i].start);
}

const char *dom0_image_open(struct dom0_image *im)
{
    const char *err;

    if (!boot_info.nr_modules || !module_len(0))
        return "there is no kernel: the boot loader's first module must be one";
    im->cmdline = cmdline_skip_word(boot_info.module[0].cmdline);
    im->initrd_len = boot_info.nr_modules > 1 ? module_len(1) : 0;
    im->initrd = im->initrd_len ? module_data(1) : NULL;
    err = bzimage_parse(module_data(0), module_len(0), &im->payload);
    if (err)
        return err;
    const void *elf = im->payload.data;
    size_t len = im->payload.len;
    if (im->payload.format != BZ_ELF) {
        im->unpacked_len = im->payload.unpacked_size;
        im->unpacked = boot_alloc(im->unpacked_len);
        if (!im->unpacked)
            return "not enough memory to unpack the kernel";
        paging_unpack(true);
        err = unpack_kernel(&im->payload, im->unpacked, im->unpacked_len, &len);
        elf = im->unpacked;
    }
    paging_unpack(false);
    if (!err)
        err = elf_open(&im->elf, elf, len);
    if (!err)
        err = xennote_parse(&im->elf, &im->notes);
    return err;
}

uint64_t dom0_image_pages(const struct dom0_image *im, const struct cmdline_dom0_mem *mem,
                          uint64_t *max)
{
    uint64_t avail = frame_free_count() << PAGE_SHIFT, bytes;

    avail += ALIGN_DOWN(im->unpacked ? im->unpacked_len : 0, PAGE_SIZE);
    for (unsigned int i = 0; i < boot_info.nr_modules; i++)
        avail += ALIGN_DOWN(module_len(i), PAGE_SIZE);
    avail -= MIN(avail, HV_RESERVE_PAGES << PAGE_SHIFT);
    bytes = cmdline_dom0_bytes(mem, avail, max);
    *max >>= PAGE_SHIFT;
    return bytes >> PAGE_SHIFT;
}

void dom0_image_release(struct dom0_image *im)
{
    if (im->unpacked)
        boot_free(im->unpacked, im->unpacked_len);
    for (unsigned int i = 0; i < boot_info.nr_modules; i++)
        bootmem_release(boot_info.module[i].start, ALIGN_UP(boot_info.module[i].end, PAGE_SIZE));
}

unsigned int dom0_vcpus(unsigned int min, unsigned int max)
{
    unsigned int n = nr_pcpus;

    n = min ? MAX(n, min) : n;
    n = max ? MIN(n, max) : n;
    return MIN(n, (unsigned int)MAX_VCPUS);
}
