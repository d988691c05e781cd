/* SPDX-License-Identifier: MIT */
/* orlop domid, domname: from a guest's name to its number and back. */
#include "tools/cli/command.h"
#include "tools/cli/view.h"
#include "tools/lib/error.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>

static int translate(int argc, char **argv, bool to_name)
{
    struct error e = { 0 };
    struct json_object *j;
    struct host h;
    struct view v;

    if (!cmd_no_options(argc, argv))
        return EXIT_USAGE;
    if (argc - optind != 1)
        return cmd_usage("expected is one guest");
    if (view_open(&h, &e) < 0 || view_find(&h, argv[optind], &v, &e) < 0)
        return host_fail(&h, &e);
    if (to_name && !v.name[0]) {
        error_set(&e, ENOENT, NULL, "domain %u has no name", v.info.domain);
        return host_fail(&h, &e);
    }
    host_close(&h);
    if (json_output) {
        j = json_object_new_object();
        json_object_object_add(j, "name", v.name[0] ? json_object_new_string(v.name) : NULL);
        json_object_object_add(j, "domid", json_object_new_int(v.info.domain));
        print_json(j);
    } else if (to_name) {
        puts(v.name);
    } else {
        printf("%u\n", v.info.domain);
    }
    return EXIT_DONE;
}

static int domid_run(int argc, char **argv)
{
    return translate(argc, argv, false);
}

static int domname_run(int argc, char **argv)
{
    return translate(argc, argv, true);
}

const struct command cmd_domid = {
    .name = "domid",
    .synopsis = "GUEST",
    .summary = "print a guest's number",
    .help = "A guest gets a new number with each boot.\n",
    .group = GROUP_VIEW,
    .arg = ARG_GUEST,
    .json = true,
    .run = domid_run,
};

const struct command cmd_domname = {
    .name = "domname",
    .synopsis = "DOMID",
    .summary = "print the name of the guest of this number",
    .help = "The opposite of domid.\n",
    .group = GROUP_VIEW,
    .arg = ARG_GUEST,
    .json = true,
    .run = domname_run,
};
