/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tools/cli/config_spec.h"
#include "tools/cli/config.h"
#include "tools/lib/util.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool spec_error(const struct spec *spec, const char *fmt, ...)
{
    va_list ap;
    char *message;

    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        abort();
    va_end(ap);
    config_error(spec->errors, "%s: '%s': %s", spec->where, spec->text, message);
    free(message);
    return false;
}

void spec_warning(const struct spec *spec, const char *fmt, ...)
{
    va_list ap;
    char *message;

    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        abort();
    va_end(ap);
    config_warning(spec->errors, "%s: '%s': %s", spec->where, spec->text, message);
    free(message);
}

bool spec_script(const struct spec *spec, const char *word, const char *ours, char **path)
{
    free(*path);
    *path = NULL;
    for (const char *p = word; *p; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return spec_error(spec, "script=%s: no blanks or control characters in its name", word);
    }
    if (*word != '/' && strchr(word, '/'))
        return spec_error(
            spec,
            "script=%s: expected is a path that begins with /, or the name of one in " HOTPLUG_DIR,
            word);
    *path = *word == '/' ? str_dup(word) : str_fmt(HOTPLUG_DIR "/%s", word);
    if (strncmp(*path, HOTPLUG_DIR "/", sizeof(HOTPLUG_DIR)) == 0 &&
        strcmp(*path + sizeof(HOTPLUG_DIR), ours) == 0) {
        free(*path);
        *path = NULL;
    }
    return true;
}

bool spec_backend(const struct spec *spec, const char *value)
{
    if (!*value || strcmp(value, "0") == 0 || strcmp(value, "Domain-0") == 0)
        return true;
    return spec_error(spec,
                      "backend=%s: driver domains are not supported yet, only Domain-0; leave "
                      "it out",
                      value);
}

bool spec_unknown(const struct spec *spec, const char *key, const char *const *keys)
{
    const char *near = nearest_name(key, keys);

    return spec_error(spec, "there is no parameter %s%s%s%s", key, near ? "; did you mean " : "",
                      near ? near : "", near ? "?" : "");
}
