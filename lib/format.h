/* SPDX-License-Identifier: MIT */
/* printf-style formatting into a buffer. */
#ifndef LIB_FORMAT_H
#define LIB_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/*
 * Formats into `buf` of `cap` bytes; the result is always terminated if cap > 0, and cut where it
 * does not fit. Returns the length that the whole text has (>= cap: it was cut). Knows %c %s %d %i
 * %u %x %X %o %p %%, lengths hh h l ll z t j, flags - 0 + space #, width and precision (numbers or
 * *). An unknown conversion is copied as it stands, so that a mistake shows. A NULL string prints
 * as (null). No floating point.
 */
int fmt_vsnprintf(char *buf, size_t cap, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
int fmt_snprintf(char *buf, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* fmt_snprintf at the end of the string in `buf`; returns the new length, at most cap - 1. */
size_t fmt_append(char *buf, size_t cap, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
