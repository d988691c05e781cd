/* SPDX-License-Identifier: MIT */
/*
 * Numbers and strings through formats built from the input: never beyond the buffer, as long as the
 * C library says.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#pragma clang diagnostic ignored "-Wformat-nonliteral"

static void compare(const char *fmt, uint64_t v, size_t cap)
{
    char own[256], libc[256];
    int n = fmt_snprintf(own, cap, fmt, v);

    if (n != snprintf(libc, cap, fmt, v) || strcmp(own, libc) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char flags[] = "-0+ #";
    static const char conv[] = "duxXo";
    char fmt[32];
    uint64_t v;
    int n;

    if (size < 14)
        return 0;
    memcpy(&v, data, 8);
    n = snprintf(fmt, sizeof(fmt), "<%%%.*s%u", data[8] & 1, &flags[data[8] % 5], data[9] % 64u);
    if (data[10] & 1)
        n += snprintf(fmt + n, sizeof(fmt) - (size_t)n, ".%u", data[11] % 32u);
    /* The C standard leaves # with d and u, and + and space with unsigned ones, undefined. */
    if (data[8] & 1 && strchr("+ #", flags[data[8] % 5]))
        return 0;
    snprintf(fmt + n, sizeof(fmt) - (size_t)n, "l%c>", conv[data[12] % 5]);
    compare(fmt, v, data[13] ? data[13] : 1u);
    return 0;
}
