/* SPDX-License-Identifier: MIT */
/* orlop list, vcpu-list: the domains, and their vCPUs. */
#include "tools/cli/command.h"
#include "tools/cli/down.h"
#include "tools/cli/view.h"
#include "tools/lib/error.h"
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

static void show_domain(struct host *h, const struct view *v, struct json_object *list)
{
    char letters[7], label[NAME_SIZE];

    if (list) {
        json_object_array_add(list, view_json(v));
        return;
    }
    view_letters(v, letters);
    printf("%-32s %5u %7llu %5u     %s %9.1f%s\n", view_label(v, label), v->info.domain,
           (unsigned long long)(pages_to_kib(v->info.tot_pages) >> 10), v->info.nr_online_vcpus,
           letters, v->info.cpu_time / 1e9, v->unresolved ? " unresolved" : "");
}

/* Guests that have no domain just now stand below those that have. */
static void show_down(struct host *h, struct json_object *list)
{
    struct down_guest *down;
    unsigned int n = down_list(h, &down);

    for (unsigned int i = 0; i < n; i++) {
        char *text = list ? NULL : down_text(&down[i]);

        if (list)
            json_object_array_add(list, down_json(&down[i]));
        else
            printf("%-32s %5s  %s\n", down[i].name, "-", text);
        free(text);
    }
    down_free(down, n);
}

static bool with_uuid;

static void show_long(struct host *h, const struct view *v, struct json_object *list)
{
    char uuid[UUID_TEXT], letters[7], label[NAME_SIZE];

    uuid_to_text(v->info.handle, uuid);
    view_letters(v, letters);
    printf("%-32s %5u %7llu %5u     %s %9.1f %s %-9s\n", view_label(v, label), v->info.domain,
           (unsigned long long)(pages_to_kib(v->info.tot_pages) >> 10), v->info.nr_online_vcpus,
           letters, v->info.cpu_time / 1e9, uuid,
           v->info.flags & XEN_DOMINF_shutdown ? shutdown_name(shutdown_reason(v->info.flags))
                                               : "-");
}

static int list_run(int argc, char **argv)
{
    static const struct option longs[] = {
        { "long", no_argument, NULL, 'l' },    { "verbose", no_argument, NULL, 'v' },
        { "numa", no_argument, NULL, 'n' },    { "context", no_argument, NULL, 'Z' },
        { "cpupool", no_argument, NULL, 'c' }, { 0 }
    };
    char header[128];
    int c;

    with_uuid = false;
    while ((c = getopt_long(argc, argv, ":lvnZc", longs, NULL)) != -1) {
        if (c == 'l')
            json_output = true;
        else if (c == 'v')
            with_uuid = true;
        else if (c == 'n' || c == 'Z' || c == 'c')
            fprintf(stderr,
                    "orlop list: -%c has no effect: there is one pool of CPUs, and no "
                    "security labels\n",
                    c);
        else
            return cmd_bad_option(argv);
    }
    snprintf(header, sizeof(header), "%-32s %5s %7s %5s     %6s %9s%s", "Name", "ID", "MiB",
             "VCPUs", "State", "Time(s)",
             with_uuid ? " UUID                                 Reason" : "");
    return views_show(argc, argv, header, with_uuid && !json_output ? show_long : show_domain,
                      show_down);
}

const struct command cmd_list = {
    .name = "list",
    .aliases = "ls",
    .synopsis = "[-l] [-v] [GUEST...]",
    .summary = "list the guests: memory, vCPUs, state, time used",
    .help = "State: r running, b blocked (waits for something), p paused, s has shut down,\n"
            "c has crashed, d is being destroyed. Guests that wait for their restart, or that\n"
            "could not be started again, follow without a number.\n"
            "\n"
            "  -l, --long      all that is known of them, as JSON (the same as --json)\n"
            "  -v, --verbose   also UUID and why it has shut down\n",
    .options = "--long --verbose",
    .group = GROUP_VIEW,
    .arg = ARG_GUEST,
    .json = true,
    .run = list_run,
};

/* --- vCPUs --- */

struct vcpu_view {
    struct xen_domctl_getvcpuinfo info;
    char *hard, *soft; /* to free */
};

/* How many CPUs the host has: highest number plus one. */
static unsigned count_cpus(struct xen *x)
{
    struct xen_sysctl_physinfo p;

    return xen_physinfo(x, &p) == 0 ? p.max_cpu_id + 1 : 1;
}

static int read_affinity(struct xen *x, unsigned domid, unsigned vcpu, unsigned cpus,
                         struct vcpu_view *out)
{
    unsigned bytes = (cpus + 7) / 8;
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuaffinity, .domain = domid };
    uint8_t *hard = xen_buf(x, bytes), *soft = xen_buf(x, bytes);
    int rc;

    op.u.vcpuaffinity.vcpu = vcpu;
    op.u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT;
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, hard);
    op.u.vcpuaffinity.cpumap_hard.nr_bits = cpus;
    set_xen_guest_handle(op.u.vcpuaffinity.cpumap_soft.bitmap, soft);
    op.u.vcpuaffinity.cpumap_soft.nr_bits = cpus;
    rc = xen_domctl(x, &op);
    if (rc == 0) {
        out->hard = cpumap_text(hard, cpus, cpus);
        out->soft = cpumap_text(soft, cpus, cpus);
    }
    xen_buf_free(x, hard);
    xen_buf_free(x, soft);
    return rc;
}

static int read_vcpu(struct xen *x, unsigned domid, unsigned vcpu, unsigned cpus,
                     struct vcpu_view *out)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = domid };
    int rc;

    op.u.getvcpuinfo.vcpu = vcpu;
    rc = xen_domctl(x, &op);
    if (rc < 0)
        return rc;
    out->info = op.u.getvcpuinfo;
    return read_affinity(x, domid, vcpu, cpus, out);
}

static const char *vcpu_state(const struct xen_domctl_getvcpuinfo *v)
{
    return !v->online ? "offline" : v->running ? "running" : v->blocked ? "blocked" : "runnable";
}

static struct json_object *vcpu_json(const struct view *v, const struct vcpu_view *c)
{
    struct json_object *j = json_object_new_object();
    bool placed = c->info.online;

    json_object_object_add(j, "name", v->name[0] ? json_object_new_string(v->name) : NULL);
    json_object_object_add(j, "domid", json_object_new_int(v->info.domain));
    json_object_object_add(j, "vcpu", json_object_new_int(c->info.vcpu));
    json_object_object_add(j, "cpu", placed ? json_object_new_int(c->info.cpu) : NULL);
    json_object_object_add(j, "state", json_object_new_string(vcpu_state(&c->info)));
    json_object_object_add(j, "cpu_time_ns", json_object_new_int64(c->info.cpu_time));
    json_object_object_add(j, "affinity", json_object_new_string(c->hard));
    json_object_object_add(j, "soft_affinity", json_object_new_string(c->soft));
    return j;
}

static void print_vcpu(const struct view *v, const struct vcpu_view *c)
{
    char label[NAME_SIZE], cpu[12] = "-";

    if (c->info.online)
        snprintf(cpu, sizeof(cpu), "%u", c->info.cpu);
    printf("%-32s %5u %4u %4s  %-8s %9.1f  %s / %s\n", view_label(v, label), v->info.domain,
           c->info.vcpu, cpu, vcpu_state(&c->info), c->info.cpu_time / 1e9, c->hard, c->soft);
}

/* A domain that is gone meanwhile has none. */
static void show_vcpus(struct host *h, const struct view *v, struct json_object *list)
{
    unsigned cpus = count_cpus(h->xen);

    if (v->info.max_vcpu_id == XEN_INVALID_MAX_VCPU_ID)
        return;
    for (unsigned i = 0; i <= v->info.max_vcpu_id; i++) {
        struct vcpu_view c = { .hard = NULL };

        if (read_vcpu(h->xen, v->info.domain, i, cpus, &c) < 0)
            continue;
        if (list)
            json_object_array_add(list, vcpu_json(v, &c));
        else
            print_vcpu(v, &c);
        free(c.hard);
        free(c.soft);
    }
}

static int vcpu_list_run(int argc, char **argv)
{
    char header[96];

    snprintf(header, sizeof(header), "%-32s %5s %4s %4s  %-8s %9s  %s", "Name", "ID", "VCPU", "CPU",
             "State", "Time(s)", "Affinity (hard / soft)");
    return views_command(argc, argv, header, show_vcpus);
}

const struct command cmd_vcpu_list = {
    .name = "vcpu-list",
    .synopsis = "[GUEST...]",
    .summary = "list the vCPUs: where they are, their state and affinity",
    .help = "Hard affinity is where a vCPU may run, soft affinity where it likes to.\n"
            "`orlop vcpu-pin` changes them.\n",
    .group = GROUP_VIEW,
    .arg = ARG_GUEST,
    .json = true,
    .run = vcpu_list_run,
};
