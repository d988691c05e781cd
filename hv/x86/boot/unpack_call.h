/* SPDX-License-Identifier: MIT */
/* Runs the decompressors where they can live: executable, on a big stack, with an FS base. */
#ifndef X86_BOOT_UNPACK_CALL_H
#define X86_BOOT_UNPACK_CALL_H

#include "lib/bzimage.h"

/*
 * Unpack `p` to `out` of `cap` bytes; `*len` is what came out. Working memory comes from the frame
 * allocator and goes back. NULL, or what is wrong. Once, at boot, on the first CPU.
 */
const char *unpack_kernel(const struct bz_payload *p, void *out, size_t cap, size_t *len);

/*
 * A run of frames of any length; the rest of the allocator's block goes back at once. NULL when
 * there is none that large. `boot_free` takes any part of it back.
 */
void *boot_alloc(size_t bytes);
void boot_free(void *p, size_t bytes);

#endif
