/* SPDX-License-Identifier: MIT */
/*
 * Unpacks a kernel's payload in one call, with the distribution's own static libraries (liblzma,
 * libzstd, liblz4, zlib) behind a shim. The code, its constants and its data are in the sections
 * .unpack.text, .unpack.rodata, .unpack.data and .unpack.bss, so that they can be freed after boot.
 * Boot only, one CPU, not reentrant.
 *
 * The libraries use SSE and a stack-protector canary at %fs:0x28 and the red zone. The caller
 * provides: CR4.OSFXSR set (CR0.EM and TS clear), an FS base with 48 readable bytes, a 16-byte
 * aligned stack of UNPACK_STACK bytes, and no interrupt on that stack.
 */
#ifndef X86_BOOT_UNPACK_H
#define X86_BOOT_UNPACK_H

#include <stddef.h>

#include "lib/bzimage.h"

#define UNPACK_STACK 16384 /* bytes; the unit test measures what is used */

/*
 * Working memory that suffices for what kernels' builds produce (for xz the dictionary of up to 32
 * MiB and 1 MiB).
 */
size_t unpack_work_size(enum bz_format format);

/*
 * Unpacks `in_len` bytes into `out` of `out_cap` bytes and stores the length in `*out_len`. `work`
 * must not overlap the others; it holds nothing of use afterwards. Returns NULL, or why it failed:
 * damaged or truncated input, output that does not fit, too little working memory. `out` then has
 * arbitrary contents. The checksums that the formats carry are verified. A plain ELF is copied.
 */
const char *unpack_payload(enum bz_format format, const void *in, size_t in_len, void *out,
                           size_t out_cap, size_t *out_len, void *work, size_t work_len);

#endif
