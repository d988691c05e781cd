/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tools/cli/config_value.h"
#include "tools/cli/config.h"
#include "tools/lib/text.h"
#include "tools/lib/util.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes the text; after CONFIG_MAX_ERRORS of them `more` ends the list. */
static void add_message(char ***list, unsigned *count, char *text, const char *more)
{
    if (*count > CONFIG_MAX_ERRORS) {
        free(text);
        return;
    }
    *list = mem_grow(*list, (*count + 1) * sizeof(**list));
    if (*count == CONFIG_MAX_ERRORS) {
        free(text);
        text = str_dup(more);
    }
    (*list)[(*count)++] = text_clean(text);
}

void config_error(struct config_errors *errors, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    va_end(ap);
    add_message(&errors->text, &errors->count, text, "there are more errors than these");
}

void config_warning(struct config_errors *errors, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    va_end(ap);
    if (errors->strict)
        add_message(&errors->text, &errors->count, text, "there are more errors than these");
    else
        add_message(&errors->warning, &errors->warnings, text,
                    "there are more warnings than these");
}

void config_errors_free(struct config_errors *errors)
{
    for (unsigned i = 0; i < errors->count; i++)
        free(errors->text[i]);
    for (unsigned i = 0; i < errors->warnings; i++)
        free(errors->warning[i]);
    free(errors->text);
    free(errors->warning);
    *errors = (struct config_errors){ .strict = errors->strict };
}

void config_syntax_error(struct config_settings *s, unsigned line, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        abort();
    va_end(ap);
    config_error(s->errors, "%s:%u: %s%s%s", s->file, line, s->key, *s->key ? ": " : "", text);
    free(text);
}

bool config_number(const char *text, int64_t *number)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    char *end;

    if (digits[0] < '0' || digits[0] > '9')
        return false;
    errno = 0;
    *number = strtoll(text, &end, 0);
    return !errno && !*end;
}

struct config_value *config_value_new(struct config_settings *s, enum config_value_kind kind,
                                      unsigned line)
{
    struct config_value *v = mem_alloc(sizeof(*v));

    v->kind = kind;
    v->line = line;
    v->all = s->values;
    s->values = v;
    return v;
}

struct config_value *config_value_string(struct config_settings *s, const char *text, unsigned line)
{
    struct config_value *v = config_value_new(s, VALUE_STRING, line);

    v->text = str_dup(text);
    return v;
}

void config_value_append(struct config_value *list, struct config_value *element)
{
    if (list->last)
        list->last->next = element;
    else
        list->first = element;
    list->last = element;
    list->count++;
}

void config_settings_add(struct config_settings *s, char *name, unsigned line,
                         struct config_value *value)
{
    struct config_setting *set = mem_alloc(sizeof(*set));

    set->name = name;
    set->origin = s->file;
    set->line = line;
    set->value = value;
    if (s->last)
        s->last->next = set;
    else
        s->first = set;
    s->last = set;
}

void config_settings_free(struct config_settings *s)
{
    while (s->first) {
        struct config_setting *set = s->first;

        s->first = set->next;
        free(set->name);
        free(set);
    }
    while (s->values) {
        struct config_value *v = s->values;

        s->values = v->all;
        free(v->text);
        free(v);
    }
    s->last = NULL;
}
