/* SPDX-License-Identifier: MIT */
/* orlop sched: guests' shares of CPU time, their weights and caps. */
#include "tools/cli/command.h"
#include "tools/cli/view.h"
#include "tools/lib/error.h"
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

struct share {
    uint32_t weight, cap;
};

enum { UNCHANGED = ~0u };

/* The scheduler, if it is one that has weights and caps; -1 with e. */
static int scheduler(struct xen *x, struct error *e)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_sched_id };
    int rc = xen_sysctl(x, &op);

    if (rc < 0)
        return xen_error(e, rc, "asking for the scheduler");
    if (op.u.sched_id.sched_id == XEN_SCHEDULER_CREDIT ||
        op.u.sched_id.sched_id == XEN_SCHEDULER_CREDIT2)
        return op.u.sched_id.sched_id;
    return error_set(e, EOPNOTSUPP, "Boot the hypervisor with sched=credit.",
                     "the hypervisor's scheduler (number %u) has no weights and caps",
                     op.u.sched_id.sched_id);
}

/* Reads a domain's share, or sets it with XEN_DOMCTL_SCHEDOP_putinfo; 0 or -errno. */
static int share_op(struct xen *x, int sched, unsigned domid, unsigned cmd, struct share *s)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_scheduler_op, .domain = domid };
    struct xen_domctl_scheduler_op *so = &op.u.scheduler_op;
    int rc;

    so->sched_id = sched;
    so->cmd = cmd;
    if (sched == XEN_SCHEDULER_CREDIT) {
        so->u.credit.weight = s->weight;
        so->u.credit.cap = s->cap;
    } else {
        so->u.credit2.weight = s->weight;
        so->u.credit2.cap = s->cap;
    }
    rc = xen_domctl(x, &op);
    if (rc == 0 && cmd == XEN_DOMCTL_SCHEDOP_getinfo) {
        s->weight = sched == XEN_SCHEDULER_CREDIT ? so->u.credit.weight : so->u.credit2.weight;
        s->cap = sched == XEN_SCHEDULER_CREDIT ? so->u.credit.cap : so->u.credit2.cap;
    }
    return rc;
}

static int change(struct host *h, int sched, const struct view *v, const struct share *want,
                  struct error *e)
{
    struct share now = { 0 };
    int rc = share_op(h->xen, sched, v->info.domain, XEN_DOMCTL_SCHEDOP_getinfo, &now);
    char label[NAME_SIZE];

    if (rc == 0) {
        if (want->weight != UNCHANGED)
            now.weight = want->weight;
        if (want->cap != UNCHANGED)
            now.cap = want->cap;
        rc = share_op(h->xen, sched, v->info.domain, XEN_DOMCTL_SCHEDOP_putinfo, &now);
    }
    return rc < 0 ? xen_error(e, rc, "%s: setting weight and cap", view_label(v, label)) : 0;
}

static void show(struct host *h, int sched, const struct view *v, struct json_object *list)
{
    struct share s = { 0 };
    struct json_object *j;
    char label[NAME_SIZE];

    if (share_op(h->xen, sched, v->info.domain, XEN_DOMCTL_SCHEDOP_getinfo, &s) < 0)
        return; /* gone meanwhile */
    if (!list) {
        printf("%-32s %5u %6u %4u\n", view_label(v, label), v->info.domain, s.weight, s.cap);
        return;
    }
    j = json_object_new_object();
    json_object_object_add(j, "name", v->name[0] ? json_object_new_string(v->name) : NULL);
    json_object_object_add(j, "domid", json_object_new_int(v->info.domain));
    json_object_object_add(j, "weight", json_object_new_int(s.weight));
    json_object_object_add(j, "cap", json_object_new_int(s.cap));
    json_object_array_add(list, j);
}

static void show_all(struct host *h, int sched, const struct view *views, int n)
{
    struct json_object *list = json_output ? json_object_new_array() : NULL;

    if (!list)
        printf("%-32s %5s %6s %4s\n", "Name", "ID", "Weight", "Cap");
    for (int i = 0; i < n; i++)
        show(h, sched, &views[i], list);
    if (list)
        print_json(list);
}

/* -1: usage was wrong and has been told. */
static int parse_options(int argc, char **argv, char **guest, struct share *want)
{
    static const struct option options[] = { { "domain", required_argument, NULL, 'd' },
                                             { "weight", required_argument, NULL, 'w' },
                                             { "cap", required_argument, NULL, 'c' },
                                             { 0 } };
    uint64_t n;
    int c;

    while ((c = getopt_long(argc, argv, ":d:w:c:", options, NULL)) != -1) {
        if (c == 'd') {
            *guest = optarg;
        } else if (c == 'w') {
            if (!parse_number(optarg, 1, 65535, &n))
                return cmd_usage("--weight %s: a number from 1 to 65535", optarg), -1;
            want->weight = n;
        } else if (c == 'c') {
            if (!parse_number(optarg, 0, 65535, &n))
                return cmd_usage("--cap %s: percent of one CPU, 0 for no limit", optarg), -1;
            want->cap = n;
        } else {
            return cmd_bad_option(argv), -1;
        }
    }
    if (optind < argc && !*guest)
        *guest = argv[optind++];
    if (optind < argc)
        return cmd_usage("%s: one guest at a time", argv[optind]), -1;
    if (!*guest && (want->weight != UNCHANGED || want->cap != UNCHANGED))
        return cmd_usage("whose weight or cap?"), -1;
    return 0;
}

static int sched_run(int argc, char **argv)
{
    struct share want = { UNCHANGED, UNCHANGED };
    struct error e = { 0 };
    struct view *views = NULL;
    char *guest = NULL;
    struct host h;
    int sched, n;

    if (parse_options(argc, argv, &guest, &want) < 0)
        return EXIT_USAGE;
    if (view_open(&h, &e) < 0 || (sched = scheduler(h.xen, &e)) < 0 ||
        (n = views_select(&h, &guest, guest != NULL, &views, &e)) < 0)
        return host_fail(&h, &e);
    if (want.weight == UNCHANGED && want.cap == UNCHANGED) {
        show_all(&h, sched, views, n);
    } else if (change(&h, sched, views, &want, &e) < 0) {
        free(views);
        return host_fail(&h, &e);
    }
    free(views);
    host_close(&h);
    return EXIT_DONE;
}

const struct command cmd_sched = {
    .name = "sched",
    .aliases = "sched-credit sched-credit2",
    .synopsis = "[GUEST [--weight N] [--cap PERCENT]]",
    .summary = "show or set guests' shares of CPU time",
    .help = "  -w, --weight N      a guest of weight 512 gets twice the time of one with 256\n"
            "  -c, --cap PERCENT   not more than this of one CPU, though others are idle;\n"
            "                      0 takes the limit away\n"
            "  -d, --domain GUEST  the same as the argument\n"
            "A change lasts until the guest ends; cpu_weight= and cap= in its configuration\n"
            "make it last.\n",
    .options = "--weight --cap --domain",
    .group = GROUP_RESOURCE,
    .arg = ARG_GUEST,
    .json = true,
    .run = sched_run,
};
