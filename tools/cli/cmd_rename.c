/* SPDX-License-Identifier: MIT */
/* orlop rename. */
#include "tools/cli/command.h"
#include "tools/cli/config.h"
#include "tools/cli/rename.h"
#include "tools/cli/view.h"
#include "tools/lib/error.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The name lock is held. */
static int rename_guest(struct host *h, const struct view *v, const char *name, struct error *e)
{
    if (name_free(h->xen, &h->store, name, e) < 0)
        return -1;
    return guest_rename(h, v->info.domain, v->info.handle, name, e);
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
