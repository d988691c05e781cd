/* SPDX-License-Identifier: MIT */
/* fmt_snprintf against the C library's: same text, same length. */
#include "unit.h"

#include <stdint.h>

#include "lib/format.h"

static char own[128], libc[128];

#define SAME(...)                                                    \
    do {                                                             \
        int unit_n = fmt_snprintf(own, sizeof(own), __VA_ARGS__);    \
        CHECK_EQ(unit_n, snprintf(libc, sizeof(libc), __VA_ARGS__)); \
        CHECK_STR(own, libc);                                        \
    } while (0)

TEST(format_integers)
{
    SAME("%d|%i|%u", -1, 0, 4000000000u);
    SAME("%5d|%-5d|%05d|%+d|% d", -42, -42, -42, 42, 42);
    SAME("%.3d|%8.3d|%-8.3d|%.0d", 7, 7, -7, 0);
    SAME("%ld|%lld|%lu|%llu", -1L, (long long)INT64_MIN, -1UL, -1ULL);
    SAME("%hd|%hhd|%hu|%hhu", (short)-2, (signed char)-3, (unsigned short)65535,
         (unsigned char)255);
    SAME("%zu|%zd|%td", (size_t)-1, (size_t)1, (ptrdiff_t)-1);
    SAME("%jd", (intmax_t)-5);
    SAME("%*d|%-*d", 6, 1, 6, 1);
}

TEST(format_hex)
{
    SAME("%x|%X|%#x|%#X|%#x", 0xbeefu, 0xbeefu, 0xbeefu, 0xbeefu, 0u);
    SAME("%016lx|%#018lx|%08x|%8x|%-8x|", 0xffff800000000000ul, 0x1000ul, 1u, 1u, 1u);
    SAME("%o", 0755u);
    SAME("%p", (void *)0x1234);
}

TEST(format_strings)
{
    const char *volatile none = NULL;

    SAME("%s|%8s|%-8s|%.2s|%8.2s", "abc", "abc", "abc", "abc", "abc");
    SAME("%c%c|%3c|%-3c|", 'a', 'b', 'c', 'd');
    SAME("100%%");
    SAME("%.*s", 3, "abcdef");
    fmt_snprintf(own, sizeof(own), "%s", none);
    CHECK_STR(own, "(null)");
}

TEST(format_cuts)
{
    char buf[8];

    CHECK_EQ(fmt_snprintf(buf, sizeof(buf), "0123456789"), 10);
    CHECK_STR(buf, "0123456");
    CHECK_EQ(fmt_snprintf(buf, 0, "abc"), 3);
    CHECK_EQ(fmt_snprintf(NULL, 0, "%d", 12), 2);
    CHECK_EQ(fmt_snprintf(buf, 1, "abc"), 3);
    CHECK_STR(buf, "");
    CHECK_EQ(fmt_append(buf, sizeof(buf), "%s", "abc"), 3);
    CHECK_EQ(fmt_append(buf, sizeof(buf), "%d", 12345), 7);
    CHECK_STR(buf, "abc1234");
}

TEST(format_unknown_is_copied)
{
    const char *fmt = "%y%"; /* not a literal at the call: the compiler would refuse it, rightly */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    CHECK_EQ(fmt_snprintf(own, sizeof(own), fmt), 3);
#pragma GCC diagnostic pop
    CHECK_STR(own, "%y%");
}
