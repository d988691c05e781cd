/* SPDX-License-Identifier: MIT */
/* What the decoders of keys share; a table of keys names them. Private to config*.c. */
#ifndef TOOLS_CLI_CONFIG_DECODE_H
#define TOOLS_CLI_CONFIG_DECODE_H

#include "tools/cli/config.h"
#include "tools/cli/config_value.h"

struct decode {
    struct guest_config *cfg;
    struct config_errors *errors;
    const char *folder;
    bool pvh;
    bool hvm;           /* type = 'hvm', wherever it stands */
    bool boots_itself;  /* bootloader= or firmware= asks for the kernel on the guest's disk */
    char *root, *extra; /* until the command line is put together */
    /* of config_screen.c, until all is read */
    bool vncunused, listens_on_display; /* vnclisten= names one */
    bool nographic, stdvga;
    bool has_display;   /* vncdisplay= was there */
    unsigned vfb_words; /* of those that config_screen.c knows, which were there */
    bool vfb, in_vfb;   /* vfb= has something in it, and is being read */
};

struct key {
    struct config_key_info info;
    bool (*decode)(struct decode *d, const struct key *key, const struct config_setting *s);
    size_t offset; /* of the field, for the decoders that serve several keys */
    int64_t min, max;
};

#define KEY(key_name, text, ...)                               \
    {                                                          \
        .info = { key_name, KEY_SUPPORTED, text }, __VA_ARGS__ \
    }
#define FIELD(member) offsetof(struct guest_config, member)

/* Adds "file:line: key: " and the message; false. */
bool key_error(struct decode *d, const struct config_setting *s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same as a warning (an error with --strict). */
void key_warning(struct decode *d, const struct config_setting *s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The wrong kind of value: false. */
bool key_expected(struct decode *d, const struct key *key, const struct config_setting *s);

void *key_field(struct decode *d, const struct key *key);
/* A number, which may stand in quotes. */
bool value_number(const struct config_value *v, int64_t *n);
/* A setting's 0 or 1; a warning for other numbers, which count as 1. */
bool value_bool(struct decode *d, const struct key *key, const struct config_setting *s, bool *yes);
/* A string that is not empty, or NULL. */
const char *value_string(const struct config_value *v);
/* A list without elements, a 0, "", "disabled": whatever the key is for, none of it is asked for.
 */
bool value_is_nothing(const struct config_value *v);
/* The first setting of this name, or NULL. */
const struct config_setting *setting_find(const struct config_settings *settings, const char *name);

/* Decoders of fields: unsigned between min and max, int64_t likewise, bool. */
bool decode_unsigned(struct decode *d, const struct key *key, const struct config_setting *s);
bool decode_offset(struct decode *d, const struct key *key, const struct config_setting *s);
bool decode_bool(struct decode *d, const struct key *key, const struct config_setting *s);

/* A key that only HVM guests read: false after the warning for any other. */
bool key_for_hvm(struct decode *d, const struct config_setting *s);

/* config_viridian.c */
bool decode_viridian(struct decode *d, const struct key *key, const struct config_setting *s);

/* Screens (config_screen.c): their keys, up to one without a name; what follows from all of them.
 */
extern const struct key config_screen_keys[];
bool config_screen_check(struct decode *d, const struct config_settings *settings);

#endif
