/* SPDX-License-Identifier: MIT */
/* String helpers that libc lacks; the same code in the hypervisor, the tools and the tests. */
#ifndef LIB_STRUTIL_H
#define LIB_STRUTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Copies `src` with its terminator into `dst` of `cap` bytes, cut where it does not fit; `dst` is
 * always terminated if cap > 0. Returns strlen(src): a value >= cap means that it was cut.
 */
size_t str_copy(char *dst, const char *src, size_t cap);

bool str_eq(const char *a, const char *b);

/* True if `s` begins with `prefix`. */
bool str_starts(const char *s, const char *prefix);

/*
 * Reads an unsigned number at `s`: decimal, 0x hexadecimal or 0 octal when `base` is 0, else base 2
 * to 16 (with base 16 a 0x is allowed). No sign, no leading space. Stores the first unread
 * character in `*end` (may be NULL: then the whole string must be the number). Returns false,
 * `*out` unchanged, when there is no digit or the value does not fit 64 bits.
 */
bool str_to_u64(const char *s, const char **end, unsigned base, uint64_t *out);

/*
 * Like str_to_u64 with base 0, followed by an optional unit B, K, M, G or T (either case, powers of
 * 1024). A number without a unit is multiplied by `unit` (1 for bytes, 1024 for Xen's memory
 * options).
 */
bool str_to_size(const char *s, const char **end, uint64_t unit, uint64_t *out);

#endif
