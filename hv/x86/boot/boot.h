/* SPDX-License-Identifier: MIT */
/* What the boot loader told us, in one form for multiboot 1 and 2. */
#ifndef X86_BOOT_BOOT_H
#define X86_BOOT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/param.h"
#include "lib/efi_map.h"

struct boot_module {
    uint64_t start, end; /* physical */
    const char *cmdline; /* as given, file name included; direct map */
};

struct boot_memory {
    uint64_t base, len;
    uint32_t type; /* E820: 1 = RAM */
};

/* A picture's memory, as the loader set it up. */
struct boot_screen {
    uint64_t base;                 /* physical; 0: there is none */
    uint32_t pitch, width, height; /* bytes from line to line; pixels */
    uint8_t bpp;
    uint8_t red_pos, red_size, green_pos, green_size, blue_pos, blue_size; /* bits */
};

struct boot_info {
    const char *loader;
    char cmdline[2048]; /* without the first word */
    struct boot_module module[MAX_MODULES];
    unsigned int nr_modules;
    struct boot_memory mem[MAX_MEMMAP]; /* sorted by base, RAM never overlaps anything else */
    unsigned int nr_mem;
    uint64_t rsdp;    /* physical address given by the loader, 0: search for it */
    bool text_screen; /* EGA text at 0xb8000 may be used */
    struct boot_screen screen;
    uint64_t efi_system_table; /* physical; 0: not started by UEFI */
    struct efi_map efi_map;    /* inside the loader's information, which stays reserved */
    uint32_t info_len;         /* bytes of the loader's own structures */
};
extern struct boot_info boot_info;

/* glue/start.c: called by head.S on the boot stack, once; magic and info are the loader's. */
void boot_main(uint32_t magic, uint32_t info);

/*
 * Fill boot_info from the loader's structures; they lie below 4 GiB, where boot tables map
 * everything. NULL, or why it cannot be used.
 */
const char *boot_parse(uint32_t magic, uint32_t info);

/* --- memory before the allocator: bump from the top of low RAM, zeroed, never given back --- */
/* `n` contiguous frames below 4 GiB; panics when there are none. */
void *bootmem_pages(unsigned long n);
/* The same, at a multiple of `align` bytes (a power of two). */
void *bootmem_pages_aligned(unsigned long n, uint64_t align);
/* Keep [start, end) out of bootmem and of the allocator. */
void bootmem_reserve(uint64_t start, uint64_t end);
/* Give all RAM that is neither reserved nor handed out to the frame allocator. */
void bootmem_finish(void);
/* Give [start, end) of reserved RAM back, once the allocator runs. */
void bootmem_release(uint64_t start, uint64_t end);

#endif
