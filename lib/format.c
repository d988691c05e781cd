/* SPDX-License-Identifier: MIT */
#include "lib/format.h"

#include <stdbool.h>
#include <stdint.h>

#include "lib/string.h"

struct out {
    char *buf;
    size_t cap;
    size_t len; /* of the whole text, also beyond cap */
};

struct spec {
    bool left, zero, plus, space, alt;
    int width;
    int precision; /* -1: none given */
    int longs;     /* 0 int, 1 long, 2 long long, -1 short, -2 char */
    char conv;
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->cap)
        o->buf[o->len] = c;
    o->len++;
}

static void pad(struct out *o, char c, int n)
{
    while (n-- > 0)
        put(o, c);
}

static void put_text(struct out *o, const struct spec *s, const char *text, size_t len)
{
    int fill = s->width - (int)len;

    if (!s->left)
        pad(o, ' ', fill);
    for (size_t i = 0; i < len; i++)
        put(o, text[i]);
    if (s->left)
        pad(o, ' ', fill);
}

/* Writes the digits of `v` backwards from `end`; returns where they begin. */
static char *digits(char *end, uint64_t v, unsigned base, bool upper)
{
    const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";

    do {
        *--end = set[v % base];
        v /= base;
    } while (v);
    return end;
}

static void put_number(struct out *o, const struct spec *s, uint64_t v, unsigned base,
                       const char *prefix)
{
    char tmp[24];
    char *end = tmp + sizeof(tmp);
    char *first = s->precision == 0 && v == 0 ? end : digits(end, v, base, s->conv == 'X');
    int len = (int)(end - first);
    int zeros = s->precision > len ? s->precision - len : 0;
    int fill;

    if (s->zero && !s->left && s->precision < 0)
        zeros = s->width - len - (int)strlen(prefix);
    if (zeros < 0)
        zeros = 0;
    fill = s->width - len - zeros - (int)strlen(prefix);
    if (!s->left)
        pad(o, ' ', fill);
    while (*prefix)
        put(o, *prefix++);
    pad(o, '0', zeros);
    while (first < end)
        put(o, *first++);
    if (s->left)
        pad(o, ' ', fill);
}

/* A width or precision; large values are cut to keep the output finite. */
static int parse_int(const char **fmt, int star)
{
    int v = 0;

    if (**fmt == '*') {
        (*fmt)++;
        return star;
    }
    while (**fmt >= '0' && **fmt <= '9') {
        v = v * 10 + (*(*fmt)++ - '0');
        if (v > 4096)
            v = 4096;
    }
    return v;
}

static const char *parse_flags(const char *f, struct spec *s)
{
    for (;; f++) {
        switch (*f) {
        case '-':
            s->left = true;
            break;
        case '0':
            s->zero = true;
            break;
        case '+':
            s->plus = true;
            break;
        case ' ':
            s->space = true;
            break;
        case '#':
            s->alt = true;
            break;
        default:
            return f;
        }
    }
}

static const char *parse_length(const char *f, struct spec *s)
{
    for (;; f++) {
        switch (*f) {
        case 'l':
            s->longs++;
            break;
        case 'h':
            s->longs--;
            break;
        case 'z':
        case 't':
            s->longs = 1;
            break;
        case 'j':
            s->longs = 2;
            break;
        default:
            return f;
        }
    }
}

static void put_signed(struct out *o, const struct spec *s, int64_t v)
{
    const char *prefix = v < 0 ? "-" : s->plus ? "+" : s->space ? " " : "";

    put_number(o, s, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, prefix);
}

static void put_unsigned(struct out *o, const struct spec *s, uint64_t v)
{
    switch (s->conv) {
    case 'u':
        put_number(o, s, v, 10, "");
        break;
    case 'o':
        put_number(o, s, v, 8, "");
        break;
    default:
        put_number(o, s, v, 16, s->alt && v ? (s->conv == 'X' ? "0X" : "0x") : "");
        break;
    }
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
    if (!text)
        text = "(null)";
    put_text(o, s, text, s->precision < 0 ? strlen(text) : strnlen(text, (size_t)s->precision));
}

/* va_list may be an array type, which a function cannot take by address; a struct carries it. */
struct args {
    va_list ap;
};

static int64_t get_signed(struct args *a, int longs)
{
    switch (longs) {
    case 0:
        return va_arg(a->ap, int);
    case -1:
        return (short)va_arg(a->ap, int);
    case 1:
        return va_arg(a->ap, long);
    default:
        return longs < -1 ? (signed char)va_arg(a->ap, int) : va_arg(a->ap, long long);
    }
}

static uint64_t get_unsigned(struct args *a, int longs)
{
    switch (longs) {
    case 0:
        return va_arg(a->ap, unsigned);
    case -1:
        return (unsigned short)va_arg(a->ap, unsigned);
    case 1:
        return va_arg(a->ap, unsigned long);
    default:
        return longs < -1 ? (unsigned char)va_arg(a->ap, unsigned)
                          : va_arg(a->ap, unsigned long long);
    }
}

/* One conversion at `*f`, just behind the %; returns the first character behind it. */
static const char *convert(struct out *o, const char *f, struct args *a)
{
    const char *start = f;
    struct spec s = { .precision = -1 };
    char c;

    f = parse_flags(f, &s);
    s.width = parse_int(&f, *f == '*' ? va_arg(a->ap, int) : 0);
    if (s.width < 0) {
        s.left = true;
        s.width = -s.width;
    }
    if (*f == '.') {
        f++;
        s.precision = parse_int(&f, *f == '*' ? va_arg(a->ap, int) : 0);
    }
    f = parse_length(f, &s);
    s.conv = *f;
    switch (s.conv) {
    case 'c':
        c = (char)va_arg(a->ap, int);
        put_text(o, &s, &c, 1);
        break;
    case 's':
        put_string(o, &s, va_arg(a->ap, const char *));
        break;
    case 'd':
    case 'i':
        put_signed(o, &s, get_signed(a, s.longs));
        break;
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        put_unsigned(o, &s, get_unsigned(a, s.longs));
        break;
    case 'p':
        put_number(o, &s, (uintptr_t)va_arg(a->ap, void *), 16, "0x");
        break;
    case '%':
        put(o, '%');
        break;
    default:
        put(o, '%');
        return start;
    }
    return f + 1;
}

int fmt_vsnprintf(char *buf, size_t cap, const char *fmt, va_list ap)
{
    struct out o = { .buf = buf, .cap = cap };
    struct args a;

    va_copy(a.ap, ap);
    while (*fmt) {
        if (*fmt == '%')
            fmt = convert(&o, fmt + 1, &a);
        else
            put(&o, *fmt++);
    }
    va_end(a.ap);
    if (cap)
        buf[o.len < cap ? o.len : cap - 1] = '\0';
    return (int)o.len;
}

int fmt_snprintf(char *buf, size_t cap, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = fmt_vsnprintf(buf, cap, fmt, ap);
    va_end(ap);
    return n;
}

size_t fmt_append(char *buf, size_t cap, const char *fmt, ...)
{
    size_t len = strnlen(buf, cap);
    va_list ap;

    if (len >= cap)
        return cap ? cap - 1 : 0;
    va_start(ap, fmt);
    fmt_vsnprintf(buf + len, cap - len, fmt, ap);
    va_end(ap);
    return len + strlen(buf + len);
}
