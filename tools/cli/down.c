/* SPDX-License-Identifier: MIT */
/* Guests without a domain. */
#include "tools/cli/down.h"
#include "tools/cli/guest.h"
#include "tools/cli/guest_lock.h"
#include "tools/cli/host.h"
#include "tools/lib/error.h"
#include "tools/lib/text.h"
#include "tools/lib/util.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FORGET_MS 10000

static int64_t number(struct host *h, const uint8_t *uuid, const char *name)
{
    char *text = record_get(&h->store, uuid, name);
    int64_t v = text ? strtoll(text, NULL, 10) : 0;

    free(text);
    return v;
}

/* False for a record of something else: of a guest that is being made, or nobody's. */
static bool read_one(struct host *h, const char *text, struct down_guest *g)
{
    struct guest_config cfg = { 0 };
    struct error e = { 0 };
    char *pending;

    if (!uuid_from_text(text, g->uuid) || xen_find_uuid(h->xen, g->uuid) >= 0)
        return false;
    g->reason = record_get(&h->store, g->uuid, "down");
    pending = record_get(&h->store, g->uuid, "pending");
    if ((!g->reason && !pending) || record_load(&h->store, g->uuid, &cfg, &e) != 0) {
        free(g->reason);
        free(pending);
        return false;
    }
    if (g->reason)
        text_clean(g->reason);
    free(pending);
    snprintf(g->name, sizeof(g->name), "%s", cfg.name);
    config_free(&cfg);
    g->restart_at = g->reason ? 0 : number(h, g->uuid, "restart_at");
    g->restarts = (unsigned int)number(h, g->uuid, "restarts");
    return true;
}

unsigned int down_list(struct host *h, struct down_guest **out)
{
    unsigned int records = 0, n = 0;
    char **names = h->store.h ? store_list(&h->store, &records, RECORD_ROOT) : NULL;

    *out = mem_alloc((records + 1) * sizeof(**out));
    for (unsigned int i = 0; i < records; i++) {
        memset(&(*out)[n], 0, sizeof(**out));
        n += read_one(h, names[i], &(*out)[n]);
    }
    free(names);
    return n;
}

void down_free(struct down_guest *list, unsigned int n)
{
    for (unsigned int i = 0; i < n; i++)
        free(list[i].reason);
    free(list);
}

static int64_t left_s(const struct down_guest *g)
{
    int64_t left = g->restart_at - time(NULL);

    return left > 0 ? left : 0;
}

char *down_text(const struct down_guest *g)
{
    const char *s = g->restarts == 1 ? "" : "s";

    if (g->reason)
        return str_fmt("stays down: %s (%u restart%s)", g->reason, g->restarts, s);
    return str_fmt("restarts in %lld s (%u restart%s)", (long long)left_s(g), g->restarts, s);
}

struct json_object *down_json(const struct down_guest *g)
{
    struct json_object *j = json_object_new_object();
    char uuid[UUID_TEXT];

    uuid_to_text(g->uuid, uuid);
    json_object_object_add(j, "name", json_object_new_string(g->name));
    json_object_object_add(j, "domid", NULL);
    json_object_object_add(j, "uuid", json_object_new_string(uuid));
    json_object_object_add(j, "state", json_object_new_string("down"));
    json_object_object_add(j, "restarts", json_object_new_int64(g->restarts));
    json_object_object_add(j, "restart_in_s", g->reason ? NULL : json_object_new_int64(left_s(g)));
    json_object_object_add(j, "reason", g->reason ? json_object_new_string(g->reason) : NULL);
    return j;
}

bool down_forget(struct host *h, const char *name)
{
    struct down_guest *down;
    unsigned int n = down_list(h, &down);
    bool found = false;

    for (unsigned int i = 0; i < n && !found; i++) {
        struct error e = { 0 };
        struct guest_lock l;

        if (strcmp(down[i].name, name) != 0 || guest_lock(&l, down[i].uuid, true, &e) != 0)
            continue;
        found = xen_find_uuid(h->xen, down[i].uuid) < 0 &&
                guest_erase(h, -1, down[i].uuid, false, now_ms() + FORGET_MS, &e) == 0;
        guest_unlock(&l);
    }
    down_free(down, n);
    return found;
}
