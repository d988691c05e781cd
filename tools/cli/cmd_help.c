/* SPDX-License-Identifier: MIT */
/* orlop help, version, completion. */
#include "tools/cli/command.h"
#include "tools/cli/config.h"
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "lib/xenabi.h"

#define ORLOP_TOOLS_VERSION "0.3"

static const char *const group_title[] = {
    [GROUP_GUEST] = "Guests",
    [GROUP_RESOURCE] = "Memory, vCPUs and shares of a guest",
    [GROUP_DEVICE] = "Disks and network cards of a guest",
    [GROUP_VIEW] = "Looking",
    [GROUP_HOST] = "The host",
};

static void help_all(void)
{
    printf("Usage: orlop [--json] COMMAND [ARGUMENT...]\n");
    for (unsigned g = 0; g < sizeof(group_title) / sizeof(group_title[0]); g++) {
        bool titled = false;

        for (const struct command *const *c = command_table; *c; c++) {
            if ((*c)->group != g)
                continue;
            if (!titled)
                printf("\n%s:\n", group_title[g]);
            titled = true;
            printf("  %-16s %s\n", (*c)->name, (*c)->summary);
        }
    }
    printf("\nA GUEST is named by its name or its domain id. `orlop help COMMAND` tells more,\n"
           "`orlop help config` lists the keys of a guest's configuration; man orlop(1),\n"
           "orlop.cfg(5). Exit codes: 0 done, 1 failed (stderr says why), 2 wrong command line.\n");
}

static void help_command(const struct command *c)
{
    printf("orlop %s: %s\n\nUsage: orlop %s%s%s\n", c->name, c->summary, c->name,
           c->synopsis[0] ? " " : "", c->synopsis);
    if (c->aliases)
        printf("Also called: %s\n", c->aliases);
    printf("\n%s%s", c->help, c->help[strlen(c->help) - 1] == '\n' ? "" : "\n");
    if (c->json)
        printf("\n--json prints the same as JSON.\n");
}

static void help_config(void)
{
    unsigned count;
    const struct config_key_info *keys = config_key_list(&count);

    printf("Keys of a guest's configuration file (xl.cfg's format):\n");
    for (unsigned i = 0; i < count; i++) {
        if (keys[i].state == KEY_SUPPORTED)
            printf("  %-20s %s\n", keys[i].name, keys[i].expects);
    }
    printf("\nKnown, without effect here (a warning):\n");
    for (unsigned i = 0; i < count; i++) {
        if (keys[i].state == KEY_IGNORED)
            printf("  %-32s %s\n", keys[i].name, keys[i].expects);
    }
    printf("\nKnown but not supported (yet):\n");
    for (unsigned i = 0; i < count; i++) {
        if (keys[i].state == KEY_LATER || keys[i].state == KEY_NEVER)
            printf("  %-32s %s\n", keys[i].name, keys[i].expects);
    }
}

static struct json_object *config_json(void)
{
    static const char *const states[] = {
        [KEY_SUPPORTED] = "supported",
        [KEY_IGNORED] = "ignored",
        [KEY_LATER] = "later",
        [KEY_NEVER] = "never",
    };
    struct json_object *list = json_object_new_array();
    unsigned count;
    const struct config_key_info *keys = config_key_list(&count);

    for (unsigned i = 0; i < count; i++) {
        struct json_object *one = json_object_new_object();

        json_object_object_add(one, "name", json_object_new_string(keys[i].name));
        json_object_object_add(one, "state", json_object_new_string(states[keys[i].state]));
        json_object_object_add(one, "expects", json_object_new_string(keys[i].expects));
        json_object_array_add(list, one);
    }
    return list;
}

static struct json_object *help_json(void)
{
    struct json_object *list = json_object_new_array();

    for (const struct command *const *c = command_table; *c; c++) {
        struct json_object *one = json_object_new_object();

        json_object_object_add(one, "name", json_object_new_string((*c)->name));
        json_object_object_add(one, "synopsis", json_object_new_string((*c)->synopsis));
        json_object_object_add(one, "summary", json_object_new_string((*c)->summary));
        json_object_object_add(one, "options",
                               json_object_new_string((*c)->options ? (*c)->options : ""));
        json_object_object_add(one, "json", json_object_new_boolean((*c)->json));
        json_object_array_add(list, one);
    }
    return list;
}

static int help_run(int argc, char **argv)
{
    const struct command *c;

    if (argc > 2)
        return cmd_usage("one command at a time");
    if (json_output && argc == 1) {
        print_json(help_json());
        return EXIT_DONE;
    }
    if (argc == 1) {
        help_all();
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "config") == 0) {
        if (json_output)
            print_json(config_json());
        else
            help_config();
        return EXIT_DONE;
    }
    if (json_output)
        return cmd_usage("--json goes with `help` and `help config` only");
    c = command_find(argv[1]);
    if (!c)
        return cmd_usage("%s: there is no such command; `orlop help` lists them", argv[1]);
    help_command(c);
    return EXIT_DONE;
}

const struct command cmd_help = {
    .name = "help",
    .synopsis = "[COMMAND|config]",
    .summary = "list the commands, explain one, or list the configuration's keys",
    .help = "Without an argument all commands are listed. `orlop COMMAND --help` is the same as\n"
            "`orlop help COMMAND`.\n",
    .group = GROUP_HOST,
    .arg = ARG_COMMAND,
    .json = true,
    .run = help_run,
};

static int version_run(int argc, char **argv)
{
    if (json_output) {
        struct json_object *v = json_object_new_object();

        json_object_object_add(v, "orlop", json_object_new_string(ORLOP_TOOLS_VERSION));
        json_object_object_add(v, "abi", json_object_new_string(XEN_ABI_TEXT));
        print_json(v);
        return EXIT_DONE;
    }
    printf("orlop " ORLOP_TOOLS_VERSION " (Xen ABI " XEN_ABI_TEXT ")\n");
    return EXIT_DONE;
}

const struct command cmd_version = {
    .name = "version",
    .synopsis = "",
    .summary = "print the version of the tools (`orlop info` has the hypervisor's)",
    .help = "The same as `orlop --version`.\n",
    .group = GROUP_HOST,
    .json = true,
    .run = version_run,
};
