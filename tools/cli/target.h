/* SPDX-License-Identifier: MIT */
/* The guest that a command is about. */
#ifndef TOOLS_CLI_TARGET_H
#define TOOLS_CLI_TARGET_H

#include "tools/cli/host.h"
#include "tools/lib/error.h"
#include "tools/lib/names.h"

struct json_object;

struct target {
    struct host h;
    struct error e;
    unsigned int domid;
    char name[NAME_SIZE];
    struct xen_domctl_getdomaininfo info;
};

/* Opens the host and finds the guest; false: t->e says why, for target_fail. */
bool target_open(struct target *t, const char *name);
/* Prints the result of a finished command: json (put here) with --json, else the line by format. */
int target_done(struct target *t, struct json_object *json, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Prints t->e; EXIT_FAILED. */
int target_fail(struct target *t);
/* {"name":, "domid":} */
struct json_object *target_json(const struct target *t);

#endif
