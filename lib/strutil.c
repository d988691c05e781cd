/* SPDX-License-Identifier: MIT */
#include "lib/strutil.h"

#include "lib/string.h"

size_t str_copy(char *dst, const char *src, size_t cap)
{
    size_t len = strlen(src);

    if (cap) {
        size_t n = len < cap ? len : cap - 1;

        memcpy(dst, src, n);
        dst[n] = '\0';
    }
    return len;
}

bool str_eq(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* The value of a digit, or 255 for anything else. */
static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 255;
}

static const char *skip_base_prefix(const char *s, unsigned *base)
{
    bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') && digit_value(s[2]) < 16;

    if (hex && (*base == 0 || *base == 16)) {
        *base = 16;
        return s + 2;
    }
    if (*base == 0)
        *base = s[0] == '0' ? 8 : 10;
    return s;
}

bool str_to_u64(const char *s, const char **end, unsigned base, uint64_t *out)
{
    uint64_t value = 0;
    const char *first;

    s = skip_base_prefix(s, &base);
    first = s;
    for (;; s++) {
        unsigned d = digit_value(*s);

        if (d >= base)
            break;
        if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
            __builtin_add_overflow(value, (uint64_t)d, &value))
            return false;
    }
    if (s == first || (!end && *s))
        return false;
    if (end)
        *end = s;
    *out = value;
    return true;
}

/* The shift of a unit letter, or -1 if `c` is none. */
static int unit_shift(char c)
{
    switch (c) {
    case 'b':
    case 'B':
        return 0;
    case 'k':
    case 'K':
        return 10;
    case 'm':
    case 'M':
        return 20;
    case 'g':
    case 'G':
        return 30;
    case 't':
    case 'T':
        return 40;
    default:
        return -1;
    }
}

bool str_to_size(const char *s, const char **end, uint64_t unit, uint64_t *out)
{
    const char *p;
    uint64_t value;
    int shift;

    if (!str_to_u64(s, &p, 0, &value))
        return false;
    shift = unit_shift(*p);
    if (shift >= 0) {
        unit = UINT64_C(1) << shift;
        p++;
    }
    if ((!end && *p) || __builtin_mul_overflow(value, unit, &value))
        return false;
    if (end)
        *end = p;
    *out = value;
    return true;
}
