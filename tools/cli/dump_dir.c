/* SPDX-License-Identifier: MIT */
/* The folder of core files. */
#include "tools/cli/dump_dir.h"
#include "tools/lib/util.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char pattern[] = "-dddddddd-dddddd.core"; /* d: a digit */
#define TAIL (sizeof(pattern) - 1)

char *dump_path(const char *dir, const char *name, time_t when)
{
    struct tm tm;
    char text[32];

    localtime_r(&when, &tm);
    strftime(text, sizeof(text), "%Y%m%d-%H%M%S", &tm);
    return str_fmt("%s/%s-%s.core", dir, name, text);
}

/* Exactly NAME and a time: "web" has no part in what "web-1" left. */
static bool is_of(const char *file, const char *name)
{
    size_t len = strlen(name);

    if (strncmp(file, name, len) != 0 || strlen(file) != len + TAIL)
        return false;
    for (size_t i = 0; i < TAIL; i++) {
        char c = file[len + i];

        if (pattern[i] == 'd' ? c < '0' || c > '9' : c != pattern[i])
            return false;
    }
    return true;
}

/* The oldest one's name, to free(), and how many there are. */
static char *oldest(const char *dir, const char *name, unsigned int *count)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    char *first = NULL;

    *count = 0;
    while (d && (entry = readdir(d))) {
        if (!is_of(entry->d_name, name))
            continue;
        ++*count;
        if (first && strcmp(entry->d_name, first) >= 0)
            continue;
        free(first);
        first = str_dup(entry->d_name);
    }
    if (d)
        closedir(d);
    return first;
}

unsigned int dump_prune(const char *dir, const char *name, unsigned int keep)
{
    unsigned int removed = 0, count;
    bool more = true;

    while (more) {
        char *file = oldest(dir, name, &count), *path = NULL;

        more = file && count >= keep;
        if (more) {
            path = str_fmt("%s/%s", dir, file);
            more = unlink(path) == 0;
            removed += more;
        }
        free(path);
        free(file);
    }
    return removed;
}
