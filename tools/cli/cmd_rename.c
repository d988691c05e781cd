/* SPDX-License-Identifier: MIT */
/* orlop rename. */
#include "tools/cli/command.h"
#include "tools/cli/config.h"
#include "tools/cli/guest.h"
#include "tools/cli/view.h"
#include "tools/lib/error.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct renaming {
    unsigned domid;
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

/* The name lock is held. */
static int rename_guest(struct host *h, const struct view *v, const char *name, struct error *e)
{
    struct renaming r = { .domid = v->info.domain, .name = name };
    char uuid[UUID_TEXT];
    struct guest_config cfg;
    struct error none = { 0 };
    int rc;

    if (name_free(h->xen, &h->store, name, e) < 0)
        return -1;
    uuid_to_text(v->info.handle, uuid);
    snprintf(r.vm, sizeof(r.vm), "/vm/%s", uuid);
    if (record_load(&h->store, v->info.handle, &cfg, &none) == 0) {
        free(cfg.name);
        cfg.name = str_dup(name);
        r.cfg = &cfg;
    }
    rc = store_transact(&h->store, write_names, &r);
    if (r.cfg)
        config_free(&cfg);
    return rc < 0 ? store_error(e, rc, "renaming %s", v->name) : 0;
}

static int rename_run(int argc, char **argv)
{
    struct error e = { 0 };
    struct host h;
    struct view v;
    int lock, rc;

    if (!cmd_no_options(argc, argv))
        return EXIT_USAGE;
    if (argc - optind != 2)
        return cmd_usage("expected are a guest and its new name");
    if (!guest_name_valid(argv[optind + 1]))
        return cmd_usage(
            "%s: a name is made of letters, digits and _-.+:, not of digits only, does "
            "not begin with -, and has up to %d bytes",
            argv[optind + 1], CONFIG_MAX_NAME);
    if (host_open(&h, &e) < 0 || view_find(&h, argv[optind], &v, &e) < 0)
        return host_fail(&h, &e);
    if (v.info.domain == 0) {
        error_set(&e, EPERM, NULL, "Domain-0 keeps its name");
        return host_fail(&h, &e);
    }
    if (strcmp(v.name, argv[optind + 1]) == 0) {
        printf("%s has this name already; nothing was changed\n", v.name);
        host_close(&h);
        return EXIT_DONE;
    }
    lock = name_lock(&e);
    rc = lock < 0 ? -1 : rename_guest(&h, &v, argv[optind + 1], &e);
    if (lock >= 0)
        close(lock);
    if (rc < 0)
        return host_fail(&h, &e);
    host_close(&h);
    return EXIT_DONE;
}

const struct command cmd_rename = {
    .name = "rename",
    .synopsis = "GUEST NEW-NAME",
    .summary = "give a guest another name",
    .help =
        "The guest keeps it when it reboots. Its configuration file stays as it is, and so does\n"
        "the name of its console's log until it reboots.\n",
    .group = GROUP_GUEST,
    .arg = ARG_GUEST,
    .run = rename_run,
};
