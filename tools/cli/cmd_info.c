/* SPDX-License-Identifier: MIT */
/* orlop info, uptime: the host, or one guest in full. */
#include "tools/cli/command.h"
#include "tools/cli/config.h"
#include "tools/cli/down.h"
#include "tools/cli/guest.h"
#include "tools/cli/json_put.h"
#include "tools/cli/view.h"
#include "tools/lib/error.h"
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <xen/version.h>

static void put_text_or_null(struct json_object *j, const char *key, const char *text)
{
    json_object_object_add(j, key, text ? json_object_new_string(text) : NULL);
}

/* What XENVER_* `cmd` stores into `size` bytes; an empty text if it does not tell. */
static void version_text(struct xen *x, int cmd, char *text, size_t size)
{
    char *buffer = xen_buf(x, size + 1);

    memset(buffer, 0, size + 1);
    if (xen_call(x, __HYPERVISOR_xen_version, cmd, (uintptr_t)buffer, 0, 0) < 0)
        buffer[0] = 0;
    memcpy(text, buffer, size);
    text[size - 1] = 0;
    for (size_t n = strlen(text); n && text[n - 1] == ' '; n--)
        text[n - 1] = 0;
    xen_buf_free(x, buffer);
}

static void put_version(struct xen *x, struct json_object *j)
{
    long version = xen_call(x, __HYPERVISOR_xen_version, XENVER_version, 0, 0, 0);
    char extra[sizeof(xen_extraversion_t)], caps[sizeof(xen_capabilities_info_t)];
    char line[sizeof(xen_commandline_t)];
    char *text;

    version_text(x, XENVER_extraversion, extra, sizeof(extra));
    version_text(x, XENVER_capabilities, caps, sizeof(caps));
    version_text(x, XENVER_commandline, line, sizeof(line));
    text = str_fmt("%ld.%ld%s", version >> 16, version & 0xffff, extra);
    put_text_or_null(j, "hypervisor", strstr(extra, "orlop") ? "Orlop" : "Xen");
    put_text_or_null(j, "version", text);
    put_text_or_null(j, "capabilities", caps);
    put_text_or_null(j, "command_line", line);
    free(text);
}

static const char *scheduler_name(struct xen *x)
{
    static const char *const names[] = { [XEN_SCHEDULER_CREDIT2] = "credit2",
                                         [XEN_SCHEDULER_ARINC653] = "arinc653",
                                         [XEN_SCHEDULER_RTDS] = "rtds",
                                         [XEN_SCHEDULER_NULL] = "null" };
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_sched_id };

    if (xen_sysctl(x, &op) < 0 || op.u.sched_id.sched_id >= sizeof(names) / sizeof(names[0]))
        return NULL;
    return names[op.u.sched_id.sched_id];
}

static int host_info(struct host *h, struct json_object *j, struct error *e)
{
    struct xen_sysctl_physinfo p;
    struct utsname u = { 0 };
    struct view *views;
    int rc = xen_physinfo(h->xen, &p), n;

    if (rc < 0)
        return xen_error(e, rc, "asking for the machine's resources");
    n = views_get(h, &views, e);
    if (n < 0)
        return -1;
    free(views);
    uname(&u);
    put_text_or_null(j, "host", u.nodename);
    put_text_or_null(j, "kernel", u.release);
    put_version(h->xen, j);
    put_text_or_null(j, "scheduler", scheduler_name(h->xen));
    put_number(j, "cpus", p.nr_cpus);
    put_number(j, "cpu_khz", p.cpu_khz);
    put_number(j, "cores_per_socket", p.cores_per_socket);
    put_number(j, "threads_per_core", p.threads_per_core);
    put_number(j, "nodes", p.nr_nodes);
    put_number(j, "memory_kib", pages_to_kib(p.total_pages));
    put_number(j, "free_memory_kib", pages_to_kib(p.free_pages));
    put_number(j, "claimed_memory_kib", pages_to_kib(p.outstanding_pages));
    put_number(j, "domains", n);
    return 0;
}

/* The devices of one kind that Domain 0 serves to the guest: number, state, a few of their nodes.
 */
static struct json_object *devices(struct store *s, const char *kind, unsigned domid,
                                   const char *const *nodes)
{
    struct json_object *list = json_object_new_array();
    unsigned n = 0;
    char **ids = store_list(s, &n, "/local/domain/0/backend/%s/%u", kind, domid);

    for (unsigned i = 0; i < n; i++) {
        struct json_object *j = json_object_new_object();

        put_text_or_null(j, "id", ids[i]);
        for (const char *const *node = nodes; *node; node++) {
            char *value = store_text(s, "/local/domain/0/backend/%s/%u/%s/%s", kind, domid, ids[i],
                                     *node);

            if (*value)
                put_text_or_null(j, *node, value);
            free(value);
        }
        json_object_array_add(list, j);
    }
    free(ids);
    return list;
}

/* A guest that has no domain just now. */
static bool down_info(struct host *h, const char *name, struct json_object **out)
{
    struct down_guest *down;
    unsigned int n = down_list(h, &down);

    for (unsigned int i = 0; i < n && !*out; i++) {
        if (strcmp(down[i].name, name) == 0)
            *out = down_json(&down[i]);
    }
    down_free(down, n);
    return *out;
}

static int guest_info(struct host *h, const char *word, struct json_object **out, struct error *e)
{
    static const char *const disk_nodes[] = { "dev", "params", "mode", "state", NULL };
    static const char *const vif_nodes[] = { "mac", "bridge", "ip", "state", NULL };
    struct guest_config cfg;
    char *restarts;
    struct view v;
    struct error none = { 0 };

    if (view_find(h, word, &v, e) < 0)
        return down_info(h, word, out) ? (e->code = 0) : -1;
    *out = view_json(&v);
    if (!h->store.h)
        return 0;
    restarts = record_get(&h->store, v.info.handle, "restarts");
    put_number(*out, "restarts", restarts ? strtoll(restarts, NULL, 10) : 0);
    free(restarts);
    put_number(*out, "memory_target_kib",
               store_read_num(&h->store, pages_to_kib(v.info.tot_pages),
                              "/local/domain/%u/memory/target", v.info.domain));
    json_object_object_add(*out, "disks", devices(&h->store, "vbd", v.info.domain, disk_nodes));
    json_object_object_add(*out, "cards", devices(&h->store, "vif", v.info.domain, vif_nodes));
    if (record_load(&h->store, v.info.handle, &cfg, &none) == 0) {
        json_object_object_add(*out, "config", config_to_json(&cfg));
        config_free(&cfg);
    }
    return 0;
}

/* One object as lines "key: value"; what nests follows indented, as JSON on a line. */
static void print_object(struct json_object *j)
{
    json_object_object_foreach(j, key, value)
    {
        size_t length = strlen(key);
        bool kib = length > 4 && strcmp(key + length - 4, "_kib") == 0;

        if (kib && json_object_is_type(value, json_type_int))
            printf("%-20.*s: %.1f MiB\n", (int)length - 4, key,
                   json_object_get_int64(value) / 1024.0);
        else if (json_object_is_type(value, json_type_array)) {
            for (size_t i = 0; i < json_object_array_length(value); i++)
                printf("%-20s: %s\n", key,
                       json_object_to_json_string_ext(json_object_array_get_idx(value, i),
                                                      JSON_C_TO_STRING_NOSLASHESCAPE));
        } else if (value)
            printf("%-20s: %s\n", key,
                   json_object_is_type(value, json_type_object)
                       ? json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE)
                       : json_object_get_string(value));
    }
}

static int info_run(int argc, char **argv)
{
    static const struct option longs[] = { { "numa", no_argument, NULL, 'n' }, { 0 } };
    struct json_object *j = NULL;
    struct error e = { 0 };
    struct host h;
    int rc, c;

    while ((c = getopt_long(argc, argv, ":n", longs, NULL)) != -1) {
        if (c != 'n') /* xl's, for its NUMA nodes: their number is always shown */
            return cmd_bad_option(argv);
    }
    if (argc - optind > 1)
        return cmd_usage("one guest at a time");
    if (view_open(&h, &e) < 0)
        return host_fail(&h, &e);
    if (optind < argc) {
        rc = guest_info(&h, argv[optind], &j, &e);
    } else {
        j = json_object_new_object();
        rc = host_info(&h, j, &e);
    }
    if (rc < 0) {
        json_object_put(j);
        return host_fail(&h, &e);
    }
    host_close(&h);
    if (json_output) {
        print_json(j);
    } else {
        print_object(j);
        json_object_put(j);
    }
    return EXIT_DONE;
}

const struct command cmd_info = {
    .name = "info",
    .synopsis = "[-n] [GUEST]",
    .summary = "tell about the host: hypervisor, CPUs, memory; or about a guest in full",
    .help = "With a guest: its state, devices and the configuration it was made with (as it is\n"
            "now, with devices attached since), and how often it was restarted.\n"
            "\n"
            "  -n   passed over: the number of NUMA nodes is always shown\n",
    .group = GROUP_VIEW,
    .arg = ARG_GUEST,
    .json = true,
    .run = info_run,
};

/* --- uptime --- */

/* Seconds since the domain was made; -1 when nobody wrote that down. */
static int64_t uptime_of(struct host *h, const struct view *v)
{
    char uuid[UUID_TEXT], *text;
    int64_t seconds = -1;

    if (v->info.domain == 0) {
        text = file_read("/proc/uptime", 100, NULL);
        seconds = text ? strtoll(text, NULL, 10) : -1;
    } else {
        uuid_to_text(v->info.handle, uuid);
        text = h->store.h ? store_read(&h->store, "/vm/%s/start_time", uuid) : NULL;
        if (text)
            seconds = time(NULL) - strtoll(text, NULL, 10);
    }
    free(text);
    return seconds;
}

static bool brief; /* a line without a header: xl's uptime -s */

static void show_uptime(struct host *h, const struct view *v, struct json_object *list)
{
    char label[NAME_SIZE], text[48] = "unknown";
    int64_t seconds = uptime_of(h, v);
    struct json_object *j;

    if (!list && brief) {
        if (seconds >= 0)
            duration_text(seconds, text);
        printf("%s up %s\n", view_label(v, label), text);
        return;
    }
    if (!list) {
        if (seconds >= 0)
            duration_text(seconds, text);
        printf("%-32s %5u  %s\n", view_label(v, label), v->info.domain, text);
        return;
    }
    j = json_object_new_object();
    json_object_object_add(j, "name", v->name[0] ? json_object_new_string(v->name) : NULL);
    put_number(j, "domid", v->info.domain);
    json_object_object_add(j, "uptime_s", seconds < 0 ? NULL : json_object_new_int64(seconds));
    json_object_array_add(list, j);
}

static int uptime_run(int argc, char **argv)
{
    static const struct option longs[] = { { "short", no_argument, NULL, 's' }, { 0 } };
    char header[64];
    int c;

    brief = false;
    while ((c = getopt_long(argc, argv, ":s", longs, NULL)) != -1) {
        if (c != 's')
            return cmd_bad_option(argv);
        brief = true;
    }
    snprintf(header, sizeof(header), "%-32s %5s  %s", "Name", "ID", "Uptime");
    return views_show(argc, argv, brief ? NULL : header, show_uptime, NULL);
}

const struct command cmd_uptime = {
    .name = "uptime",
    .synopsis = "[-s] [GUEST...]",
    .summary = "tell how long guests have been running",
    .help = "A reboot makes a new domain, whose time begins anew.\n"
            "\n"
            "  -s, --short   a line for each, without a header\n",
    .options = "--short",
    .group = GROUP_VIEW,
    .arg = ARG_GUEST,
    .json = true,
    .run = uptime_run,
};
