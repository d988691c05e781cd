/* SPDX-License-Identifier: MIT */
/* See config_decode.h. Pure functions. */
#define _GNU_SOURCE
#include "tools/cli/config_decode.h"
#include "tools/cli/config_keys.h"
#include "tools/lib/util.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *config_where(const struct config_setting *s, unsigned line)
{
    return line ? str_fmt("%s:%u: %.64s", s->origin, line, s->name)
                : str_fmt("%s: %.64s", s->origin, s->name);
}

bool key_error(struct decode *d, const struct config_setting *s, const char *fmt, ...)
{
    va_list ap;
    char *message, *where = config_where(s, s->line);

    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        abort();
    va_end(ap);
    config_error(d->errors, "%s: %s", where, message);
    free(message);
    free(where);
    return false;
}

void key_warning(struct decode *d, const struct config_setting *s, const char *fmt, ...)
{
    char *where = config_where(s, s->line), *message;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        abort();
    va_end(ap);
    config_warning(d->errors, "%s: %s", where, message);
    free(message);
    free(where);
}

bool key_expected(struct decode *d, const struct key *key, const struct config_setting *s)
{
    static const char *const kinds[] = { "a number", "a string", "a list" };
    const struct config_value *v = s->value;

    if (v->text)
        return key_error(d, s, "expected is %s, not '%s'", key->info.expects, v->text);
    return key_error(d, s, "expected is %s, not %s", key->info.expects, kinds[v->kind]);
}

void *key_field(struct decode *d, const struct key *key)
{
    return (char *)d->cfg + key->offset;
}

bool value_number(const struct config_value *v, int64_t *n)
{
    if (v->kind == VALUE_NUMBER)
        *n = v->number;
    return v->kind == VALUE_NUMBER || (v->kind == VALUE_STRING && config_number(v->text, n));
}

bool decode_unsigned(struct decode *d, const struct key *key, const struct config_setting *s)
{
    int64_t n;

    if (!value_number(s->value, &n))
        return key_expected(d, key, s);
    if (n < key->min || n > key->max)
        return key_error(d, s, "expected is %s; %lld is not between %lld and %lld",
                         key->info.expects, (long long)n, (long long)key->min, (long long)key->max);
    *(unsigned *)key_field(d, key) = n;
    return true;
}

bool decode_offset(struct decode *d, const struct key *key, const struct config_setting *s)
{
    int64_t n;

    if (!value_number(s->value, &n) || n < key->min || n > key->max)
        return key_expected(d, key, s);
    *(int64_t *)key_field(d, key) = n;
    return true;
}

bool value_bool(struct decode *d, const struct key *key, const struct config_setting *s, bool *yes)
{
    int64_t n;

    if (!value_number(s->value, &n))
        return key_expected(d, key, s);
    if (n < 0 || n > 1)
        key_warning(d, s, "%lld counts as 1; expected is %s", (long long)n, key->info.expects);
    *yes = n != 0;
    return true;
}

bool decode_bool(struct decode *d, const struct key *key, const struct config_setting *s)
{
    return value_bool(d, key, s, key_field(d, key));
}

const char *value_string(const struct config_value *v)
{
    return v->kind == VALUE_STRING && *v->text ? v->text : NULL;
}

bool value_is_nothing(const struct config_value *v)
{
    if (v->kind == VALUE_LIST)
        return !v->count;
    return !*v->text || strcmp(v->text, "0") == 0 || strcmp(v->text, "disabled") == 0;
}

const struct config_setting *setting_find(const struct config_settings *settings, const char *name)
{
    for (const struct config_setting *s = settings->first; s; s = s->next) {
        if (strcmp(s->name, name) == 0)
            return s;
    }
    return NULL;
}

bool key_for_hvm(struct decode *d, const struct config_setting *s)
{
    if (!d->hvm)
        key_warning(d, s, "%s", config_only_hvm);
    return d->hvm;
}
