/* SPDX-License-Identifier: MIT */
/* Errors with cause and remedy. */
#include "tools/lib/error.h"
#include "tools/lib/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *e, int code, const char *remedy, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return -1;
    e->code = code ? code : EINVAL;
    va_start(ap, fmt);
    vsnprintf(e->cause, sizeof(e->cause), fmt, ap);
    va_end(ap);
    text_clean(e->cause);
    snprintf(e->remedy, sizeof(e->remedy), "%s", remedy ? remedy : "");
    text_clean(e->remedy);
    return -1;
}

int error_remedy(struct error *e, const char *fmt, ...)
{
    va_list ap;

    if (!e)
        return -1;
    va_start(ap, fmt);
    vsnprintf(e->remedy, sizeof(e->remedy), fmt, ap);
    va_end(ap);
    text_clean(e->remedy);
    return -1;
}

static void prefix(struct error *e, const char *front)
{
    char old[sizeof(e->cause)];

    memcpy(old, e->cause, sizeof(old));
    if (snprintf(e->cause, sizeof(e->cause), "%s: %s", front, old) >= (int)sizeof(e->cause))
        memcpy(e->cause + sizeof(e->cause) - 4, "...", 4);
    text_clean(e->cause);
}

int error_in(struct error *e, const char *fmt, ...)
{
    char front[256];
    va_list ap;

    if (!e)
        return -1;
    va_start(ap, fmt);
    vsnprintf(front, sizeof(front), fmt, ap);
    va_end(ap);
    prefix(e, front);
    return -1;
}

int error_sys(struct error *e, int err, const char *remedy, const char *fmt, ...)
{
    char front[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(front, sizeof(front), fmt, ap);
    va_end(ap);
    return error_set(e, err, remedy, "%s: %s", front, strerror(err));
}

void error_print(const struct error *e, const char *who)
{
    if (!e->code)
        return;
    fprintf(stderr, "%s: %s\n", who, e->cause);
    if (e->remedy[0])
        fprintf(stderr, "    %s\n", e->remedy);
}

static void json_string(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        unsigned char c = *s;

        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

void error_print_json(const struct error *e)
{
    fputs("{\"error\": ", stdout);
    json_string(e->cause);
    fputs(", \"remedy\": ", stdout);
    json_string(e->remedy);
    puts("}");
}
