/* SPDX-License-Identifier: MIT */
/* A guest gets another name. */
#include "tools/cli/rename.h"
#include "tools/cli/guest.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"
#include "tools/lib/xs.h"
#include "tools/cli/host.h"
#include "tools/cli/userdata.h"

#include <stdio.h>
#include <stdlib.h>

struct renaming {
    unsigned int domid;
    const char *name;
    char vm[80];              /* its folder in /vm */
    struct guest_config *cfg; /* of a guest that orlop made, or NULL */
};

/* For store_transact. */
static int write_names(struct store *s, void *ctx)
{
    struct renaming *r = ctx;
    char dir[64];
    int rc;

    snprintf(dir, sizeof(dir), "/local/domain/%u", r->domid);
    rc = store_put(s, dir, "name", "%s", r->name);
    if (rc == 0 && store_exists(s, "%s", r->vm))
        rc = store_put(s, r->vm, "name", "%s", r->name);
    if (rc == 0 && r->cfg)
        rc = record_store_config(s, r->cfg);
    return rc;
}

int guest_rename(struct host *h, unsigned int domid, const uint8_t uuid[16], const char *name,
                 struct error *e)
{
    struct renaming r = { .domid = domid, .name = name };
    char text[UUID_TEXT];
    struct guest_config cfg;
    struct error none = { 0 };
    int rc;

    uuid_to_text(uuid, text);
    snprintf(r.vm, sizeof(r.vm), "/vm/%s", text);
    if (record_load(&h->store, uuid, &cfg, &none) == 0) {
        free(cfg.name);
        cfg.name = str_dup(name);
        r.cfg = &cfg;
    }
    rc = store_transact(&h->store, write_names, &r);
    if (r.cfg)
        config_free(&cfg);
    if (rc < 0)
        return store_error(e, rc, "renaming the guest");
    userdata_update(&h->store, uuid);
    return 0;
}
