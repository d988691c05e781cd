/* SPDX-License-Identifier: MIT */
/*
 * Copies are short loops of unaligned words below a threshold and string instructions above it (on
 * x86-64; `rep movs` has a start-up cost that short copies must not pay). The empty asm statements
 * keep the compiler from recognising a loop as memcpy or memset and so calling the function from
 * within itself.
 */
#include "lib/string.h"

#include <stdint.h>

typedef uint64_t __attribute__((may_alias, aligned(1))) word;

#define HIDE(p) __asm__("" : "+r"(p))
#define REP_MIN \
    128 /* bytes; below this the word loop is cheaper than starting a string instruction */

/* The last word is read first and written last: it overlaps others, which spares a loop of bytes.
 */
static void copy_up(unsigned char *d, const unsigned char *s, size_t n)
{
    uint64_t last;
    word *end;

    if (n < sizeof(word)) {
        for (; n; n--) {
            *d++ = *s++;
            HIDE(d);
        }
        return;
    }
    end = (word *)(d + n - sizeof(word));
    last = *(const word *)(s + n - sizeof(word));
    for (; n >= 2 * sizeof(word); n -= 2 * sizeof(word)) {
        uint64_t a = ((const word *)s)[0], b = ((const word *)s)[1];

        ((word *)d)[0] = a;
        ((word *)d)[1] = b;
        d += 2 * sizeof(word);
        s += 2 * sizeof(word);
        HIDE(d);
    }
    if (n > sizeof(word))
        *(word *)d = *(const word *)s;
    *end = last;
}

static void copy_down(unsigned char *d, const unsigned char *s, size_t n)
{
    for (; n >= sizeof(word); n -= sizeof(word)) {
        *(word *)(d + n - sizeof(word)) = *(const word *)(s + n - sizeof(word));
        HIDE(d);
    }
    while (n--) {
        d[n] = s[n];
        HIDE(d);
    }
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
#if defined(__x86_64__)
    if (n >= REP_MIN) {
        unsigned char *d = dst;
        const unsigned char *s = src;
        size_t words = n / sizeof(word), at = n - sizeof(word);
        uint64_t last = *(const word *)(s + at);

        __asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
        *(word *)((unsigned char *)dst + at) = last;
        return dst;
    }
#endif
    copy_up(dst, src, n);
    return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
    uintptr_t d = (uintptr_t)dst, s = (uintptr_t)src;

    if (d - s >= n) /* below the source or clear of it: an upward copy never overwrites what it
                       still reads */
        copy_up(dst, src, n);
    else
        copy_down(dst, src, n);
    return dst;
}

void *memset(void *dst, int c, size_t n)
{
    unsigned char *d = dst;
    uint64_t pattern = (unsigned char)c * UINT64_C(0x0101010101010101);

#if defined(__x86_64__)
    if (n >= REP_MIN) {
        size_t words = n / sizeof(word);

        __asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
        n %= sizeof(word);
    }
#endif
    for (; n >= sizeof(word); n -= sizeof(word), d += sizeof(word)) {
        *(word *)d = pattern;
        HIDE(d);
    }
    for (; n; n--) {
        *d++ = (unsigned char)c;
        HIDE(d);
    }
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *p = a, *q = b;

    for (; n >= sizeof(word) && *(const word *)p == *(const word *)q; n -= sizeof(word)) {
        p += sizeof(word);
        q += sizeof(word);
    }
    for (; n; n--, p++, q++) {
        if (*p != *q)
            return *p < *q ? -1 : 1;
    }
    return 0;
}

size_t strlen(const char *s)
{
    const char *p = s;

    while (*p) {
        p++;
        HIDE(p);
    }
    return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t max)
{
    size_t n = 0;

    while (n < max && s[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (int)(unsigned char)*a - (int)(unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++) {
        if (*a != *b)
            return (int)(unsigned char)*a - (int)(unsigned char)*b;
        if (!*a)
            break;
    }
    return 0;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)(uintptr_t)s;
        if (!*s)
            return NULL;
    }
}
