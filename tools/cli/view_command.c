/* SPDX-License-Identifier: MIT */
/* Commands that show a line for each domain. */
#include "tools/cli/command.h"
#include "tools/cli/view.h"
#include "tools/lib/error.h"
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

int views_show(int argc, char **argv, const char *header, view_show *show, views_after *after)
{
    struct json_object *list = NULL;
    struct view *views = NULL;
    struct error e = { 0 };
    struct host h;
    int n;

    if (view_open(&h, &e) < 0 ||
        (n = views_select(&h, argv + optind, argc - optind, &views, &e)) < 0)
        return host_fail(&h, &e);
    if (json_output)
        list = json_object_new_array();
    else if (header)
        puts(header);
    for (int i = 0; i < n; i++)
        show(&h, &views[i], list);
    if (after && optind >= argc)
        after(&h, list);
    if (list)
        print_json(list);
    free(views);
    host_close(&h);
    return EXIT_DONE;
}

int views_command(int argc, char **argv, const char *header, view_show *show)
{
    if (!cmd_no_options(argc, argv))
        return EXIT_USAGE;
    return views_show(argc, argv, header, show, NULL);
}
