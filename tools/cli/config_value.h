/* SPDX-License-Identifier: MIT */
/*
 * What stands in a configuration file before it means anything: settings `name = value` in the
 * order of the file. Values nest (lists of lists), so all of them hang in one chain as well, by
 * which they are freed.
 */
#ifndef TOOLS_CLI_CONFIG_VALUE_H
#define TOOLS_CLI_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_errors;

enum config_value_kind { VALUE_NUMBER, VALUE_STRING, VALUE_LIST };

struct config_value {
    enum config_value_kind kind;
    unsigned line;
    char *text; /* of a string its content, of a number as it is written */
    int64_t number;
    struct config_value *first, *last; /* a list's elements */
    unsigned count;
    struct config_value *next; /* in the list that holds it */
    struct config_value *all;  /* in the chain of its settings */
};

struct config_setting {
    char *name;
    const char *origin; /* file, or "command line"; borrowed */
    unsigned line;      /* 0: no file's */
    struct config_value *value;
    struct config_setting *next;
};

struct config_settings {
    const char *file; /* the name for messages */
    struct config_errors *errors;
    struct config_setting *first, *last;
    struct config_value *values; /* chain of all */
    /* the parser's state */
    unsigned line;      /* of the word that was read last */
    unsigned next_line; /* where the next one begins */
    unsigned depth;     /* of open lists */
    unsigned list_line; /* where the outermost list began */
    bool ended;         /* the line end that is put behind the last line has been given */
    bool told;          /* this line's error has been reported */
    bool begun;         /* a word of this setting has been seen */
    char key[32];       /* the bare word that it begins with, or ""; cut if it is longer */
};

/* A key as the scanner hands it over. */
struct config_word {
    char *text;
    unsigned line;
};

enum { CONFIG_MAX_DEPTH = 16, CONFIG_MAX_VALUES = 65536, CONFIG_MAX_ERRORS = 50 };

/* Reads a text; what is wrong is added to s->errors, the rest of its lines to s. */
void config_settings_read(struct config_settings *s, const char *text, size_t length);

/* Adds a setting; takes the name. */
void config_settings_add(struct config_settings *s, char *name, unsigned line,
                         struct config_value *value);

struct config_value *config_value_new(struct config_settings *s, enum config_value_kind kind,
                                      unsigned line);
struct config_value *config_value_string(struct config_settings *s, const char *text,
                                         unsigned line);
void config_value_append(struct config_value *list, struct config_value *element);

void config_settings_free(struct config_settings *s);

/* A decimal, octal or hexadecimal number that fills the text. */
bool config_number(const char *text, int64_t *number);

/* Adds "file:line: " and the message. */
void config_syntax_error(struct config_settings *s, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
