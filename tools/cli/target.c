/* SPDX-License-Identifier: MIT */
/* The guest that a command is about. */
#include "tools/cli/target.h"
#include "tools/cli/command.h"
#include "tools/cli/undo.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool target_open(struct target *t, const char *name)
{
    int domid, rc;

    memset(t, 0, sizeof(*t));
    interrupt_catch();
    if (host_open(&t->h, &t->e) != 0)
        return false;
    domid = name_find(t->h.xen, &t->h.store, name, &t->e);
    if (domid < 0)
        return false;
    t->domid = domid;
    name_of(&t->h.store, domid, t->name);
    rc = xen_dominfo(t->h.xen, domid, &t->info);
    if (rc < 0)
        xen_error(&t->e, rc, "domain %d", domid);
    return rc >= 0;
}

int target_done(struct target *t, struct json_object *json, const char *fmt, ...)
{
    va_list ap;

    host_close(&t->h);
    if (json_output) {
        print_json(json);
        return EXIT_DONE;
    }
    json_object_put(json);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    return EXIT_DONE;
}

int target_fail(struct target *t)
{
    if (t->name[0])
        error_in(&t->e, "%s", t->name);
    return host_fail(&t->h, &t->e);
}

struct json_object *target_json(const struct target *t)
{
    struct json_object *j = json_object_new_object();

    json_object_object_add(j, "name", json_object_new_string(t->name));
    json_object_object_add(j, "domid", json_object_new_int(t->domid));
    return j;
}
