/* SPDX-License-Identifier: MIT */
/* What devices a guest has. */
#include "tools/cli/device_list.h"
#include "tools/lib/util.h"
#include "tools/lib/xs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text_of(struct store *s, const char *dir, const char *name)
{
    char *v = store_read(s, "%s/%s", dir, name);

    return v ? v : str_dup("");
}

static void read_one(struct store *s, unsigned int domid, enum device_kind kind,
                     struct device_info *d)
{
    char front[96], *back;

    snprintf(front, sizeof(front), "/local/domain/%u/device/%s/%u", domid, device_class(kind),
             d->id);
    back = text_of(s, front, "backend");
    d->backend = store_read_num(s, 0, "%s/backend-id", front);
    d->state = store_read_num(s, 0, "%s/state", front);
    d->backend_state = store_read_num(s, 0, "%s/state", back);
    if (kind == DEVICE_VBD) {
        d->name = text_of(s, back, "dev");
        d->target = text_of(s, back, "params");
        d->mode = text_of(s, back, "mode");
    } else {
        d->name = text_of(s, back, "vifname");
        if (!d->name[0]) {
            free(d->name);
            d->name = str_fmt("vif%u.%u", domid, d->id);
        }
        d->target = text_of(s, back, "bridge");
        d->mode = text_of(s, front, "mac");
    }
    free(back);
}

static int by_id(const void *a, const void *b)
{
    const struct device_info *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

unsigned int device_list(struct store *s, unsigned int domid, enum device_kind kind,
                         struct device_info **out)
{
    unsigned int names, n = 0;
    char **name = store_list(s, &names, "/local/domain/%u/device/%s", domid, device_class(kind));
    struct device_info *list = mem_alloc((names + 1) * sizeof(*list));

    for (unsigned int i = 0; i < names; i++) {
        if (parse_uint(name[i], &list[n].id))
            read_one(s, domid, kind, &list[n++]);
    }
    free(name);
    qsort(list, n, sizeof(*list), by_id);
    *out = list;
    return n;
}

void device_list_free(struct device_info *list, unsigned int n)
{
    for (unsigned int i = 0; i < n; i++) {
        free(list[i].name);
        free(list[i].target);
        free(list[i].mode);
    }
    free(list);
}

const char *device_state_name(int state)
{
    static const char *const names[] = { "unknown",     "starting",      "waiting",
                                         "initialised", "connected",     "closing",
                                         "closed",      "reconfiguring", "reconfigured" };

    return state >= 0 && state < (int)(sizeof(names) / sizeof(names[0])) ? names[state] : "unknown";
}
