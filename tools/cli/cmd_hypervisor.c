/* SPDX-License-Identifier: MIT */
/* orlop dmesg, debug-keys: the hypervisor's log and its debug output. */
#include "tools/cli/command.h"
#include "tools/cli/host.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 16384 };

/* What the ring holds from *index on, at most PIECE bytes into `buffer`; a count or -errno. */
static int read_console(struct xen *x, char *buffer, uint32_t *index, bool clear)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_readconsole };
    int rc;

    op.u.readconsole.clear = clear;
    op.u.readconsole.incremental = 1;
    op.u.readconsole.index = *index;
    set_xen_guest_handle(op.u.readconsole.buffer, buffer);
    op.u.readconsole.count = PIECE;
    rc = xen_sysctl(x, &op);
    if (rc < 0)
        return rc;
    *index = op.u.readconsole.index;
    return op.u.readconsole.count;
}

/* One JSON object a line of the log. */
static void put_lines(char **rest, const char *data, int n)
{
    char *all = str_fmt("%s%.*s", *rest ? *rest : "", n, data), *p = all, *end;

    while ((end = strchr(p, '\n')) != NULL) {
        struct json_object *j = json_object_new_object();

        *end = 0;
        json_object_object_add(j, "line", json_object_new_string(p));
        print_json_line(j);
        p = end + 1;
    }
    free(*rest);
    *rest = str_dup(p);
    free(all);
}

static int dmesg(struct host *h, bool clear, bool follow, struct error *e)
{
    char *buffer = xen_buf(h->xen, PIECE), *rest = NULL;
    uint32_t index = 0;
    int n;

    for (;;) {
        n = read_console(h->xen, buffer, &index, clear);
        if (n < 0 || (n == 0 && !follow))
            break;
        if (n == 0)
            usleep(250000);
        else if (json_output)
            put_lines(&rest, buffer, n);
        else
            fwrite(buffer, 1, n, stdout);
        if (follow && fflush(stdout) != 0)
            break;
    }
    if (rest && *rest)
        put_lines(&rest, "\n", 1);
    free(rest);
    xen_buf_free(h->xen, buffer);
    return n < 0 ? xen_error(e, n, "reading the hypervisor's log") : 0;
}

static int dmesg_run(int argc, char **argv)
{
    static const struct option options[] = { { "clear", no_argument, NULL, 'c' },
                                             { "follow", no_argument, NULL, 'f' },
                                             { 0 } };
    bool clear = false, follow = false;
    struct host h = { NULL };
    struct error e = { 0 };
    int c;

    while ((c = getopt_long(argc, argv, ":cf", options, NULL)) != -1) {
        if (c == '?' || c == ':')
            return cmd_bad_option(argv);
        clear |= c == 'c';
        follow |= c == 'f';
    }
    if (optind < argc)
        return cmd_usage("%s: no argument is expected", argv[optind]);
    h.xen = xen_open(&e);
    if (!h.xen || dmesg(&h, clear, follow, &e) < 0)
        return host_fail(&h, &e);
    host_close(&h);
    return EXIT_DONE;
}

const struct command cmd_dmesg = {
    .name = "dmesg",
    .synopsis = "[--clear] [--follow]",
    .summary = "print the hypervisor's log",
    .help = "  -c, --clear   empty the log after it was printed\n"
            "  -f, --follow  go on with what comes\n"
            "`orlop log hypervisor` has what has left the hypervisor's ring, if the console\n"
            "daemon runs.\n",
    .options = "--clear --follow",
    .group = GROUP_HOST,
    .json = true,
    .run = dmesg_run,
};

static int debug_keys_run(int argc, char **argv)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_debug_keys };
    struct host h = { NULL };
    struct error e = { 0 };
    char *keys;
    int rc;

    if (!cmd_no_options(argc, argv))
        return EXIT_USAGE;
    if (optind != argc - 1 || !*argv[optind])
        return cmd_usage("which keys? `orlop debug-keys h` lists them in the hypervisor's log");
    h.xen = xen_open(&e);
    if (!h.xen)
        return host_fail(&h, &e);
    keys = xen_buf(h.xen, strlen(argv[optind]) + 1);
    strcpy(keys, argv[optind]);
    set_xen_guest_handle(op.u.debug_keys.keys, keys);
    op.u.debug_keys.nr_keys = strlen(keys);
    rc = xen_sysctl(h.xen, &op);
    if (rc < 0)
        xen_error(&e, rc, "debug keys %s", keys);
    xen_buf_free(h.xen, keys);
    if (rc < 0)
        return host_fail(&h, &e);
    host_close(&h);
    return EXIT_DONE;
}

const struct command cmd_debug_keys = {
    .name = "debug-keys",
    .synopsis = "KEYS",
    .summary = "press the hypervisor's debug keys; their output goes to its log",
    .help = "Each letter is a key, as after Ctrl-A three times on the serial console. What they\n"
            "print is read with `orlop dmesg`; the key h lists all keys there.\n",
    .group = GROUP_HOST,
    .run = debug_keys_run,
};
