/* SPDX-License-Identifier: MIT */
/* orlop restore */
#include "tools/cli/command.h"
#include "tools/cli/down.h"
#include "tools/cli/guest.h"
#include "tools/cli/guest_lock.h"
#include "tools/cli/host.h"
#include "tools/cli/monitor.h"
#include "tools/cli/restore.h"
#include "tools/cli/undo.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int parse(int argc, char **argv, struct create_options *o)
{
    static const struct option longs[] = { { "paused", no_argument, NULL, 'p' },
                                           { "force", no_argument, NULL, 'O' },
                                           { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, ":p", longs, NULL)) != -1) {
        if (c == 'p')
            o->paused = true;
        else if (c == 'O')
            o->force = true;
        else
            return cmd_bad_option(argv);
    }
    return argc - optind == 1 ? 0 : cmd_usage("which file?");
}

static int restore(struct host *h, struct stream *s, struct guest_config *cfg,
                   struct create_options *o, unsigned int *domid, struct error *e)
{
    o->image = s;
    leftovers_clean(h);
    down_forget(h, cfg->name);
    monitor_ensure();
    return guest_create(h, cfg, o, domid, NULL, e) == 0 ? 0 : error_in(e, "%s", cfg->name);
}

static void report(const struct guest_config *cfg, const struct create_options *o,
                   unsigned int domid)
{
    struct json_object *j;

    if (!json_output) {
        printf("%s is domain %u%s\n", cfg->name, domid, o->paused ? ", paused" : "");
        return;
    }
    j = json_object_new_object();
    json_object_object_add(j, "name", json_object_new_string(cfg->name));
    json_object_object_add(j, "domid", json_object_new_int((int)domid));
    json_object_object_add(j, "paused", json_object_new_boolean(o->paused));
    print_json(j);
}

static int run(int argc, char **argv)
{
    struct create_options o = { 0 };
    struct guest_config cfg = { 0 };
    struct error e = { 0 };
    unsigned int domid = 0;
    struct host h = { 0 };
    int fd, rc = parse(argc, argv, &o);
    struct stream s = { .read = restore_read, .arg = &fd };

    if (rc)
        return rc;
    interrupt_catch();
    fd = open(argv[optind], O_RDONLY | O_CLOEXEC);
    rc = fd < 0 ? error_sys(&e, errno, NULL, "%s", argv[optind]) : restore_open(&s, &cfg, &e);
    if (rc && fd >= 0)
        error_in(&e, "%s", argv[optind]);
    rc = rc ? rc : host_open(&h, &e);
    rc = rc ? rc : restore(&h, &s, &cfg, &o, &domid, &e);
    if (rc == 0)
        report(&cfg, &o, domid);
    config_free(&cfg);
    stream_close(&s);
    if (fd >= 0)
        close(fd);
    if (rc)
        return host_fail(&h, &e);
    host_close(&h);
    return EXIT_DONE;
}

const struct command cmd_restore = {
    .name = "restore",
    .synopsis = "[-p] [--force] FILE",
    .summary = "let a saved guest go on",
    .help =
        "FILE was written by orlop save or xl save. The guest gets a new domain with the same\n"
        "configuration and goes on where it was. Whatever in the file is not good is named, and\n"
        "nothing is left behind. The file stays: restoring it again is safe only with the disks\n"
        "as they were when it was saved.\n"
        "\n"
        "  -p, --paused   leave it paused; orlop unpause lets it go on\n"
        "      --force    give it disks that another guest or Domain 0 writes",
    .options = "--paused --force",
    .group = GROUP_GUEST,
    .arg = ARG_FILE,
    .json = true,
    .run = run,
};
