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

/* backend=: only Domain 0 serves devices. */
/* The same as a warning (config_warning). */
void spec_warning(const struct spec *spec, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

bool spec_backend(const struct spec *spec, const char *value);

/* A parameter that is none of `keys`. Returns false. */
bool spec_unknown(const struct spec *spec, const char *key, const char *const *keys);

#endif
