/* SPDX-License-Identifier: MIT */
/* What devices a guest has. */
#include "tools/cli/device_list.h"
#include "tools/lib/util.h"
#include "tools/lib/xs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The frontend's nodes are the guest's to write, so of them only its state is read. Where the
 * backend is follows from the numbers, and what the device is, the backend's nodes say.
 */
static void read_one(struct store *s, unsigned int domid, enum device_kind kind,
                     struct device_info *d)
{
    char front[DEVICE_PATH], back[DEVICE_PATH];

    device_paths(domid, kind, d->id, front, back);
    d->backend = 0;
    d->state = store_read_num(s, 0, "%s/state", front);
    d->backend_state = store_read_num(s, 0, "%s/state", back);
    if (kind == DEVICE_VBD) {
        d->name = store_text(s, "%s/dev", back);
        d->target = store_text(s, "%s/params", back);
        d->mode = store_text(s, "%s/mode", back);
    } else {
        d->name = store_text(s, "%s/vifname", back);
        if (!d->name[0]) {
            free(d->name);
            d->name = str_fmt("vif%u.%u", domid, d->id);
        }
        d->target = store_text(s, "%s/bridge", back);
        d->mode = store_text(s, "%s/mac", back);
    }
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
    char **name = store_list(s, &names, "/local/domain/0/backend/%s/%u", device_class(kind), domid);
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
