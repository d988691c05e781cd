/* SPDX-License-Identifier: MIT */
/* Orlop's record of a guest in xenstore. */
#include "tools/cli/disk.h"
#include "tools/cli/guest.h"
#include "tools/cli/host.h"
#include "tools/cli/userdata.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE 3000 /* with its path below XENSTORE_PAYLOAD_MAX */

static char *dir_of(const uint8_t uuid[16], char dir[64])
{
    memcpy(dir, RECORD_ROOT "/", sizeof(RECORD_ROOT "/"));
    uuid_to_text(uuid, dir + strlen(dir));
    return dir;
}

int record_store_config(struct store *s, const struct guest_config *cfg)
{
    struct json_object *json = config_to_json(cfg);
    const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN |
                                                                JSON_C_TO_STRING_NOSLASHESCAPE);
    char dir[64], name[32];
    int n = 0, rc = store_rm(s, "%s/config", dir_of(cfg->uuid, dir));

    for (size_t at = 0, len = strlen(text); rc == 0 && at < len; at += PIECE) {
        snprintf(name, sizeof(name), "config/%d", n++);
        rc = store_put(s, dir, name, "%.*s", PIECE, text + at);
    }
    json_object_put(json);
    return rc;
}

static char *config_text(struct store *s, const char *dir)
{
    char *all = NULL, *piece;
    size_t len = 0;

    for (int n = 0; (piece = store_read(s, "%s/config/%d", dir, n)); n++) {
        size_t add = strlen(piece);

        all = mem_grow(all, len + add + 1);
        memcpy(all + len, piece, add + 1);
        len += add;
        free(piece);
    }
    return all;
}

int record_load(struct store *s, const uint8_t uuid[16], struct guest_config *cfg, struct error *e)
{
    struct config_errors errors = { 0 };
    struct json_object *json;
    char dir[64], *text = config_text(s, dir_of(uuid, dir));
    bool ok;

    if (!text)
        return error_set(e, ENOENT, "Only guests that orlop create made are known to it in full.",
                         "there is no record of this guest's configuration in xenstore");
    json = json_tokener_parse(text);
    free(text);
    ok = json && config_from_json(cfg, json, &errors);
    json_object_put(json);
    if (!ok)
        error_set(e, EINVAL, "Destroy the guest and create it from its file.",
                  "%s/config is damaged%s%s", dir, errors.count ? ": " : "",
                  errors.count ? errors.text[0] : "");
    config_errors_free(&errors);
    return ok ? 0 : -1;
}

struct change {
    const uint8_t *uuid;
    int (*fn)(struct store *s, struct guest_config *cfg, void *ctx);
    void *ctx;
    struct error *e;
};

static int change(struct store *s, void *ctx)
{
    struct change *c = ctx;
    struct guest_config cfg = { 0 };
    struct error e = { 0 };
    bool known = record_load(s, c->uuid, &cfg, &e) == 0;
    int rc;

    if (!known && e.code != ENOENT) {
        *c->e = e;
        return -EINVAL;
    }
    rc = c->fn(s, known ? &cfg : NULL, c->ctx);
    if (known)
        rc = rc ? rc : record_store_config(s, &cfg);
    config_free(&cfg);
    return rc;
}

int record_change(struct store *s, const uint8_t uuid[16],
                  int (*fn)(struct store *s, struct guest_config *cfg, void *ctx), void *ctx,
                  struct error *e)
{
    struct change c = { .uuid = uuid, .fn = fn, .ctx = ctx, .e = e };
    int rc = store_transact(s, change, &c);

    if (rc && !e->code)
        store_error(e, rc, "changing the guest's nodes");
    if (rc == 0)
        userdata_update(s, uuid);
    return rc ? -1 : 0;
}

int record_put(struct store *s, const uint8_t uuid[16], const char *name, const char *value)
{
    char dir[64];

    dir_of(uuid, dir);
    return value ? store_put(s, dir, name, "%s", value) : store_rm(s, "%s/%s", dir, name);
}

char *record_get(struct store *s, const uint8_t uuid[16], const char *name)
{
    char dir[64];

    return store_read(s, "%s/%s", dir_of(uuid, dir), name);
}

int record_uuid(struct host *h, unsigned int domid, uint8_t uuid[16], struct error *e)
{
    struct xen_domctl_getdomaininfo info;
    int rc = xen_dominfo(h->xen, domid, &info);

    if (rc < 0)
        return xen_error(e, rc, "domain %u", domid);
    memcpy(uuid, info.handle, 16);
    return 0;
}

int record_add_disk(struct store *s, const uint8_t uuid[16], const struct disk_backing *b,
                    bool readonly)
{
    char text[UUID_TEXT], name[DISK_KEY + UUID_TEXT + 16];
    int rc;

    uuid_to_text(uuid, text);
    snprintf(name, sizeof(name), "disks/%s/%s", b->key, text);
    rc = store_put(s, RECORD_ROOT, name, readonly ? "r" : "w");
    snprintf(name, sizeof(name), "%s/keys/%s", text, b->key);
    return rc ? rc : store_put(s, RECORD_ROOT, name, "%s", "");
}

int record_drop_disk(struct store *s, const uint8_t uuid[16], const char *key)
{
    char text[UUID_TEXT], **rest;
    unsigned int n;
    int rc;

    uuid_to_text(uuid, text);
    rc = store_rm(s, RECORD_ROOT "/%s/keys/%s", text, key);
    rc = rc ? rc : store_rm(s, RECORD_ROOT "/disks/%s/%s", key, text);
    rest = store_list(s, &n, RECORD_ROOT "/disks/%s", key);
    free(rest);
    return rc == 0 && n == 0 ? store_rm(s, RECORD_ROOT "/disks/%s", key) : rc;
}
