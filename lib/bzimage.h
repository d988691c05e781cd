/* SPDX-License-Identifier: MIT */
/*
 * Finds the kernel inside a Linux bzImage (boot protocol 2.08 or later, as Linux's
 * Documentation/x86/boot.rst describes it) or accepts an ELF file as it is, or packed by gzip.
 * Nothing is unpacked here.
 */
#ifndef LIB_BZIMAGE_H
#define LIB_BZIMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bz_format { BZ_UNKNOWN, BZ_ELF, BZ_GZIP, BZ_XZ, BZ_ZSTD, BZ_LZ4, BZ_BZIP2, BZ_LZMA, BZ_LZO };

#define BZ_MAX_UNPACKED (UINT64_C(1) << 30) /* a kernel that claims more is refused */

struct bz_payload {
    enum bz_format format;
    const void
        *data; /* what the decompressor gets, without the size that the kernel's build appends */
    size_t len;
    uint64_t unpacked_size; /* as the file claims; len itself for BZ_ELF */
    uint16_t protocol;      /* boot protocol, 0x20f for 2.15; 0 for an ELF, plain or packed */
};

/* The format that the first bytes show. */
enum bz_format bz_identify(const void *data, size_t len);

/* For messages: "xz", ... */
const char *bz_format_name(enum bz_format format);

/* Returns NULL or what is wrong; `*out` then refers to parts of the file. */
const char *bzimage_parse(const void *file, size_t len, struct bz_payload *out);

#endif
