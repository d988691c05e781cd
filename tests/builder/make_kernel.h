/* SPDX-License-Identifier: MIT */
/* Makes kernels for tests: an ELF with Xen notes, packed or not, in a bzImage or not. */
#ifndef TESTS_MAKE_KERNEL_H
#define TESTS_MAKE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/bzimage.h"

struct test_segment {
    uint64_t paddr, filesz, memsz;
    uint64_t hole, hole_end; /* of the file's bytes these are zero */
};

struct test_kernel {
    struct test_segment seg[3];
    unsigned int nr_segs;
    uint64_t virt_base, paddr_offset, entry;
    uint64_t init_p2m, hypercall_page, phys32_entry; /* 0: no such note */
    bool mod_start_pfn, no_notes, elf32;
    bool symbols;         /* has a symbol table, and wants it (BSD_SYMTAB) */
    const char *legacy;   /* a section __xen_guest; NULL: none */
    const char *guest_os; /* NULL: no such note */
    const char *features;
};

/* What the file has at byte i of a segment. */
uint8_t test_byte(const struct test_segment *s, uint64_t i);

/* The ELF, to free(). */
uint8_t *make_elf(const struct test_kernel *k, size_t *len);

#define TEST_SYMBOLS 0x1230u /* bytes of the symbol table: all 0x5a */
#define TEST_STRINGS 0x456u  /* and of its strings: all 0x43 */

/* As it is, packed by gzip. To free(). */
uint8_t *make_gzip(const uint8_t *elf, size_t elf_len, size_t *len);

/* A bzImage around it; BZ_ELF is a payload that is not packed. To free(). */
uint8_t *make_bzimage(const uint8_t *elf, size_t elf_len, enum bz_format format, size_t *len);

/* Writes a file. */
void write_file(const char *path, const void *data, size_t len);

#endif
