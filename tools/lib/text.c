/* SPDX-License-Identifier: MIT */
/* Foreign text. */
#include "tools/lib/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The length of the UTF-8 sequence at p and its character; 0: it is none (RFC 3629). */
static size_t decode(const unsigned char *p, uint32_t *c)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;

    if (n == 0 || p[0] > 0xf4)
        return 0;
    *c = n == 1 ? p[0] : p[0] & (0x7f >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) /* the text's end is none either */
            return 0;
        *c = *c << 6 | (p[i] & 0x3f);
    }
    if (n > 1 && (*c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000)))
        return 0;
    return n;
}

static bool harmless(uint32_t c, bool lines)
{
    if (c < 0x20)
        return lines && (c == '\n' || c == '\t');
    if (c >= 0x7f && c < 0xa0)
        return false;
    /* Marks and overrides of direction, separators of lines; isolates. */
    return c != 0x200e && c != 0x200f && !(c >= 0x2028 && c <= 0x202e) &&
           !(c >= 0x2066 && c <= 0x2069);
}

static char *clean(char *text, bool lines)
{
    unsigned char *from = (unsigned char *)text, *to = from;

    while (*from) {
        uint32_t c = 0;
        size_t n = decode(from, &c);

        if (n && harmless(c, lines)) {
            memmove(to, from, n);
            to += n;
        } else {
            *to++ = '?';
        }
        from += n ? n : 1;
    }
    *to = 0;
    return text;
}

char *text_clean(char *text)
{
    return clean(text, false);
}

char *text_clean_lines(char *text)
{
    return clean(text, true);
}
