/* SPDX-License-Identifier: MIT */
/* orlop console, log: a guest's console, as the console daemon serves it. */
#include "tools/cli/command.h"
#include "tools/lib/console_client.h"
#include "tools/lib/error.h"
#include "tools/lib/text.h"
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>

static int outcome(enum console_result result, const struct error *e)
{
    if (result != CONSOLE_FAILED)
        return EXIT_DONE;
    return e->remedy[0] ? cmd_fail("%s\n    %s", e->cause, e->remedy) : cmd_fail("%s", e->cause);
}

static int console_run(int argc, char **argv)
{
    static const struct option options[] = { { "read-only", no_argument, NULL, 'r' },
                                             { "history", required_argument, NULL, 'H' },
                                             { "wait", required_argument, NULL, 'w' },
                                             { 0 } };
    struct console_options o;
    struct error e = { 0 };
    char greeting[128];
    uint64_t n;
    int c;

    console_options_default(&o);
    while ((c = getopt_long(argc, argv, ":rH:w:", options, NULL)) != -1) {
        if (c == 'r') {
            o.readonly = true;
        } else if (c == 'H') {
            if (!parse_number(optarg, 0, INT64_MAX, &n))
                return cmd_usage("--history %s: a number of bytes", optarg);
            o.history = n;
        } else if (c == 'w') {
            if (!parse_number(optarg, 0, 86400, &n))
                return cmd_usage("--wait %s: a number of seconds", optarg);
            o.wait_ms = n * 1000;
        } else {
            return cmd_bad_option(argv);
        }
    }
    if (optind != argc - 1)
        return cmd_usage("the console of which guest?");
    snprintf(greeting, sizeof(greeting), "Console of %.80s; Ctrl-] leaves it.", argv[optind]);
    o.greeting = isatty(0) ? text_clean(greeting) : NULL;
    return outcome(console_attach(argv[optind], &o, &e), &e);
}

const struct command cmd_console = {
    .name = "console",
    .synopsis = "[--read-only] [--history BYTES] [--wait SECONDS] GUEST",
    .summary = "attach to a guest's console; Ctrl-] detaches",
    .help = "  -r, --read-only      only look\n"
            "  -H, --history BYTES  show so much of what was printed before; 0 for none\n"
            "  -w, --wait SECONDS   how long to wait for a guest that is not there yet (2)\n"
            "The guest \"hypervisor\" is the hypervisor's own console.\n",
    .options = "--read-only --history --wait",
    .group = GROUP_VIEW,
    .arg = ARG_GUEST,
    .run = console_run,
};

/* The history as {"guest": ..., "lines": [...]}: console_log writes to a file first. */
static int log_json(const char *guest, struct error *e)
{
    struct json_object *j, *lines = json_object_new_array();
    struct console_options o;
    FILE *file = tmpfile();
    size_t size = 0;
    char *line = NULL;
    ssize_t n;

    console_options_default(&o);
    o.in = -1;
    o.out = file ? fileno(file) : -1;
    if (!file || console_log(guest, false, &o, e) == CONSOLE_FAILED) {
        if (!file)
            error_sys(e, 0, "Is there room in /tmp?", "a file for the history");
        else
            fclose(file);
        json_object_put(lines);
        return -1;
    }
    rewind(file);
    while ((n = getline(&line, &size, file)) > 0) {
        n = strcspn(line, "\r\n");
        json_object_array_add(lines, json_object_new_string_len(line, n));
    }
    free(line);
    fclose(file);
    j = json_object_new_object();
    json_object_object_add(j, "guest", json_object_new_string(guest));
    json_object_object_add(j, "lines", lines);
    print_json(j);
    return 0;
}

static int log_run(int argc, char **argv)
{
    static const struct option options[] = { { "follow", no_argument, NULL, 'f' },
                                             { "bytes", required_argument, NULL, 'c' },
                                             { 0 } };
    struct console_options o;
    struct error e = { 0 };
    bool follow = false;
    uint64_t n;
    int c;

    console_options_default(&o);
    o.in = -1;
    o.history = -1;
    while ((c = getopt_long(argc, argv, ":fc:", options, NULL)) != -1) {
        if (c == 'c' && parse_number(optarg, 0, INT64_MAX, &n))
            o.history = n;
        else if (c == 'c')
            return cmd_usage("--bytes %s: a number", optarg);
        else if (c == 'f')
            follow = true;
        else
            return cmd_bad_option(argv);
    }
    if (optind != argc - 1)
        return cmd_usage("the log of which guest?");
    if (json_output && follow)
        return cmd_usage("--json and --follow do not go together");
    if (json_output)
        return log_json(argv[optind], &e) < 0 ? outcome(CONSOLE_FAILED, &e) : EXIT_DONE;
    return outcome(console_log(argv[optind], follow, &o, &e), &e);
}

const struct command cmd_log = {
    .name = "log",
    .synopsis = "[--follow] [--bytes N] GUEST",
    .summary = "print what a guest has written to its console, also after its end",
    .help = "  -f, --follow   go on with what comes, until the guest ends\n"
            "  -c, --bytes N  only the last N bytes\n"
            "`orlop log hypervisor` is the hypervisor's own console. The files are in\n"
            "/var/log/orlop/consoles.\n",
    .options = "--follow --bytes",
    .group = GROUP_VIEW,
    .arg = ARG_GUEST,
    .json = true,
    .run = log_run,
};
