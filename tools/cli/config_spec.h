/* SPDX-License-Identifier: MIT */
/* What the parsers of device specifications (disk=, vif=) share. */
#ifndef TOOLS_CLI_CONFIG_SPEC_H
#define TOOLS_CLI_CONFIG_SPEC_H

#include <stdbool.h>

struct config_errors;

struct spec {
    const char *where; /* begins each message */
    const char *text;  /* the whole specification, as written */
    struct config_errors *errors;
};

/* Adds "where: 'text': message". Returns false. */
bool spec_error(const struct spec *spec, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The same as a warning (config_warning). */
void spec_warning(const struct spec *spec, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * script=: the path of a hotplug script into *path, to free(); NULL for HOTPLUG_DIR/`ours`, whose
 * work is done here.
 */
bool spec_script(const struct spec *spec, const char *word, const char *ours, char **path);

/* backend=: only Domain 0 serves devices. */
bool spec_backend(const struct spec *spec, const char *value);

/* A parameter that is none of `keys`. Returns false. */
bool spec_unknown(const struct spec *spec, const char *key, const char *const *keys);

#endif
