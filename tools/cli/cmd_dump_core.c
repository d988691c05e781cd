/* SPDX-License-Identifier: MIT */
/* orlop dump-core */
#include "tools/cli/command.h"
#include "tools/cli/core.h"
#include "tools/cli/host.h"
#include "tools/cli/undo.h"
#include "tools/lib/error.h"
#include "tools/lib/names.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int parse(int argc, char **argv, bool *live, bool *crash)
{
    static const struct option longs[] = { { "live", no_argument, NULL, 'L' },
                                           { "crash", no_argument, NULL, 'C' },
                                           { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, ":LC", longs, NULL)) != -1) {
        if (c == 'L')
            *live = true;
        else if (c == 'C')
            *crash = true;
        else
            return cmd_bad_option(argv);
    }
    if (*live && *crash)
        return cmd_usage("--live and --crash exclude each other");
    return argc - optind == 2 ? 0 : cmd_usage("give a guest and a file");
}

static void report(const char *name, unsigned int domid, const char *path)
{
    struct json_object *j;
    struct stat st;

    if (stat(path, &st) != 0)
        memset(&st, 0, sizeof(st));
    if (!json_output) {
        printf("%s: core file %s, %lld MiB (%lld MiB on disk)\n", name, path,
               (long long)(st.st_size >> 20), (long long)(st.st_blocks >> 11));
        return;
    }
    j = json_object_new_object();
    json_object_object_add(j, "name", json_object_new_string(name));
    json_object_object_add(j, "domid", json_object_new_int(domid));
    json_object_object_add(j, "file", json_object_new_string(path));
    json_object_object_add(j, "bytes", json_object_new_int64(st.st_size));
    json_object_object_add(j, "bytes_on_disk", json_object_new_int64((int64_t)st.st_blocks << 9));
    print_json(j);
}

/* A guest that was paused before stays so. */
static int dump(struct host *h, unsigned int domid, const char *path, bool live, bool crash,
                struct error *e)
{
    struct xen_domctl_getdomaininfo info;
    bool ours;
    int rc = xen_dominfo(h->xen, domid, &info);

    if (rc < 0)
        return xen_error(e, rc, "domain %u", domid);
    ours = !live && !(info.flags & (XEN_DOMINF_paused | XEN_DOMINF_shutdown));
    if (ours && (rc = xen_domctl_plain(h->xen, domid, XEN_DOMCTL_pausedomain)) < 0)
        return xen_error(e, rc, "pausing the guest");
    rc = core_write(h, domid, path, e);
    if (rc == 0 && crash)
        xen_destroy(h->xen, domid);
    else if (ours)
        xen_domctl_plain(h->xen, domid, XEN_DOMCTL_unpausedomain);
    return rc;
}

static int run(int argc, char **argv)
{
    bool live = false, crash = false;
    struct error e = { 0 };
    struct host h;
    int domid, code = parse(argc, argv, &live, &crash);

    if (code)
        return code;
    interrupt_catch();
    if (host_open(&h, &e) != 0)
        return host_fail(&h, &e);
    domid = name_find(h.xen, &h.store, argv[optind], &e);
    if (domid == 0)
        error_set(&e, EXIT_FAILED, "Its own kernel can write one (kdump).",
                  "Domain 0 cannot dump itself");
    if (domid <= 0 || dump(&h, domid, argv[optind + 1], live, crash, &e) != 0)
        return host_fail(&h, &e);
    report(argv[optind], domid, argv[optind + 1]);
    host_close(&h);
    return EXIT_DONE;
}

const struct command cmd_dump_core = {
    .name = "dump-core",
    .synopsis = "[-L | -C] GUEST FILE",
    .summary = "write a guest's memory and registers to a core file",
    .help = "The file is in Xen's ELF core format, as crash(8) and others read it. Pages of zeros\n"
            "become holes. The guest is paused meanwhile.\n"
            "\n"
            "  -L, --live    do not pause it: what is read does not fit together exactly\n"
            "  -C, --crash   destroy it afterwards",
    .options = "--live --crash",
    .group = GROUP_VIEW,
    .arg = ARG_GUEST,
    .json = true,
    .run = run,
};
