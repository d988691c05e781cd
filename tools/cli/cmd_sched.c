/* SPDX-License-Identifier: MIT */
/* orlop sched: guests' shares of CPU time, their weights and caps; slice and rate limit of CPU
 * pools. */
#include "tools/cli/command.h"
#include "tools/cli/pools.h"
#include "tools/cli/view.h"
#include "tools/lib/error.h"
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

struct share {
    uint32_t weight, cap;
};

/* What the command line asks for. */
struct ask {
    char *guest, *pool;
    struct share share;
    uint32_t slice_ms, ratelimit_us; /* of pools */
    bool params;                     /* about pools, not guests */
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

/* Reads a pool's slice and rate limit, or sets them; 0 or -errno. */
static int params_op(struct xen *x, int sched, uint32_t pool, uint32_t cmd, struct ask *a)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_scheduler_op };
    struct xen_sysctl_credit_schedule *c = &op.u.scheduler_op.u.sched_credit;
    int rc;

    op.u.scheduler_op.cpupool_id = pool;
    op.u.scheduler_op.sched_id = sched;
    op.u.scheduler_op.cmd = cmd;
    c->tslice_ms = a->slice_ms;
    c->ratelimit_us = a->ratelimit_us;
    rc = xen_sysctl(x, &op);
    a->slice_ms = c->tslice_ms;
    a->ratelimit_us = c->ratelimit_us;
    return rc < 0 ? rc : 0;
}

static int change_params(struct host *h, int sched, const struct pool *p, const struct ask *a,
                         struct error *e)
{
    struct ask now = { 0 };
    int rc = params_op(h->xen, sched, p->id, XEN_SYSCTL_SCHEDOP_getinfo, &now);

    if (rc == 0) {
        if (a->slice_ms != UNCHANGED)
            now.slice_ms = a->slice_ms;
        if (a->ratelimit_us != UNCHANGED)
            now.ratelimit_us = a->ratelimit_us;
        rc = params_op(h->xen, sched, p->id, XEN_SYSCTL_SCHEDOP_putinfo, &now);
    }
    if (rc == -EINVAL)
        return error_set(e, EINVAL,
                         "The rate limit is 0 or 100 to 500000 us, and not more than the slice.",
                         "%s: slice %u ms and rate limit %u us do not fit together", p->name,
                         now.slice_ms, now.ratelimit_us);
    return rc < 0 ? xen_error(e, rc, "%s: setting slice and rate limit", p->name) : 0;
}

static void show_params(struct host *h, int sched, const struct pool *p, struct json_object *list)
{
    struct ask now = { 0 };
    struct json_object *j;

    if (params_op(h->xen, sched, p->id, XEN_SYSCTL_SCHEDOP_getinfo, &now) != 0)
        return; /* gone meanwhile */
    if (!list) {
        printf("%-20s %4u %8u %12u\n", p->name, p->id, now.slice_ms, now.ratelimit_us);
        return;
    }
    j = json_object_new_object();
    json_object_object_add(j, "pool", json_object_new_string(p->name));
    json_object_object_add(j, "id", json_object_new_int(p->id));
    json_object_object_add(j, "scheduler", json_object_new_string(pool_scheduler(p)));
    json_object_object_add(j, "slice_ms", json_object_new_int(now.slice_ms));
    json_object_object_add(j, "ratelimit_us", json_object_new_int(now.ratelimit_us));
    json_object_array_add(list, j);
}

/* The pools' settings: shown, or changed for the one that is named (without a name the first). */
static int params(struct host *h, int sched, const struct ask *a, struct error *e)
{
    static struct pool all[POOLS_MAX];
    struct json_object *list;
    struct pool one;
    int n = pools_get(h, all, e);

    if (n < 0 || (a->pool && pool_find(h, a->pool, &one, e) != 0))
        return -1;
    if (sched != XEN_SCHEDULER_CREDIT)
        return error_set(e, EOPNOTSUPP, "Boot the hypervisor with sched=credit.",
                         "the hypervisor's scheduler has no slice and rate limit");
    if (a->slice_ms != UNCHANGED || a->ratelimit_us != UNCHANGED)
        return change_params(h, sched, a->pool ? &one : &all[0], a, e);
    list = json_output ? json_object_new_array() : NULL;
    if (!list)
        printf("%-20s %4s %8s %12s\n", "Pool", "ID", "Slice/ms", "Ratelimit/us");
    for (int i = 0; i < n; i++)
        if (!a->pool || all[i].id == one.id)
            show_params(h, sched, &all[i], list);
    if (list)
        print_json(list);
    return 0;
}

/* An option with a number: false if it is none in that range. */
static bool take_number(uint32_t *to, uint64_t min, uint64_t max)
{
    uint64_t n;

    if (!parse_number(optarg, min, max, &n))
        return false;
    *to = n;
    return true;
}

static int take_option(int c, char **argv, struct ask *a)
{
    switch (c) {
    case 'd':
        a->guest = optarg;
        return 0;
    case 'w':
        return take_number(&a->share.weight, 1, 65535)
                   ? 0
                   : cmd_usage("--weight %s: a number from 1 to 65535", optarg);
    case 'c':
        return take_number(&a->share.cap, 0, 65535)
                   ? 0
                   : cmd_usage("--cap %s: percent of one CPU, 0 for no limit", optarg);
    case 's':
        a->params = true;
        return 0;
    case 'p':
        a->pool = optarg;
        return 0;
    case 't':
        a->params = true;
        return take_number(&a->slice_ms, 1, 1000)
                   ? 0
                   : cmd_usage("--slice %s: milliseconds, 1 to 1000", optarg);
    case 'r':
        a->params = true;
        return take_number(&a->ratelimit_us, 0, 500000)
                   ? 0
                   : cmd_usage("--ratelimit %s: microseconds, 0 or 100 to 500000", optarg);
    default:
        return cmd_bad_option(argv);
    }
}

/* Not 0: usage was wrong and has been told. */
static int parse_options(int argc, char **argv, struct ask *a)
{
    static const struct option options[] = { { "domain", required_argument, NULL, 'd' },
                                             { "weight", required_argument, NULL, 'w' },
                                             { "cap", required_argument, NULL, 'c' },
                                             { "schedparam", no_argument, NULL, 's' },
                                             { "cpupool", required_argument, NULL, 'p' },
                                             { "slice", required_argument, NULL, 't' },
                                             { "tslice_ms", required_argument, NULL, 't' },
                                             { "ratelimit", required_argument, NULL, 'r' },
                                             { "ratelimit_us", required_argument, NULL, 'r' },
                                             { 0 } };
    bool share;
    int c, rc = 0;

    while (rc == 0 && (c = getopt_long(argc, argv, ":d:w:c:sp:t:r:", options, NULL)) != -1)
        rc = take_option(c, argv, a);
    if (rc)
        return rc;
    share = a->share.weight != UNCHANGED || a->share.cap != UNCHANGED;
    if (optind < argc && !a->guest)
        a->guest = argv[optind++];
    if (optind < argc)
        return cmd_usage("%s: one guest at a time", argv[optind]);
    if (a->params && (a->guest || share))
        return cmd_usage(
            "slice and rate limit are a pool's, weight and cap a guest's: one after the other");
    return !a->guest && share ? cmd_usage("whose weight or cap?") : 0;
}

/* The guests that are meant: one, or all, or those of a pool. */
static int guests(struct host *h, int sched, struct ask *a, struct error *e)
{
    struct view *views = NULL;
    int n = views_select(h, &a->guest, a->guest != NULL, &views, e), kept = 0, rc = 0;
    struct pool pool;

    if (n < 0)
        return -1;
    if (a->pool && pool_find(h, a->pool, &pool, e) != 0)
        rc = -1;
    for (int i = 0; a->pool && rc == 0 && i < n; i++)
        if (views[i].info.cpupool == pool.id)
            views[kept++] = views[i];
    if (a->pool)
        n = kept;
    if (rc == 0 && (a->share.weight != UNCHANGED || a->share.cap != UNCHANGED))
        rc = change(h, sched, views, &a->share, e);
    else if (rc == 0)
        show_all(h, sched, views, n);
    free(views);
    return rc;
}

static int sched_run(int argc, char **argv)
{
    struct ask a = { .share = { UNCHANGED, UNCHANGED },
                     .slice_ms = UNCHANGED,
                     .ratelimit_us = UNCHANGED };
    int sched, rc = parse_options(argc, argv, &a);
    struct error e = { 0 };
    struct host h;

    if (rc)
        return rc;
    if (view_open(&h, &e) < 0 || (sched = scheduler(h.xen, &e)) < 0)
        return host_fail(&h, &e);
    if ((a.params ? params(&h, sched, &a, &e) : guests(&h, sched, &a, &e)) != 0)
        return host_fail(&h, &e);
    host_close(&h);
    return EXIT_DONE;
}

const struct command cmd_sched = {
    .name = "sched",
    .aliases = "sched-credit sched-credit2",
    .synopsis = "[GUEST [--weight N] [--cap PERCENT] | -s [--slice MS] [--ratelimit US]]",
    .summary = "show or set guests' shares of CPU time",
    .help = "  -w, --weight N      a guest of weight 512 gets twice the time of one with 256\n"
            "  -c, --cap PERCENT   not more than this of one CPU, though others are idle;\n"
            "                      0 takes the limit away\n"
            "  -d, --domain GUEST  the same as the argument\n"
            "  -s, --schedparam    show the longest slice and the rate limit of CPU pools\n"
            "  -t, --slice MS      set the slice, 1 to 1000 ms (also --tslice_ms)\n"
            "  -r, --ratelimit US  a vCPU that got a CPU keeps it so long, if it can use it\n"
            "                      (also --ratelimit_us)\n"
            "  -p, --cpupool POOL  of this pool (the first one), or its guests\n"
            "A change lasts until the guest ends; cpu_weight= and cap= in its configuration\n"
            "make it last.\n",
    .options = "--weight --cap --domain --schedparam --slice --ratelimit --cpupool --tslice_ms "
               "--ratelimit_us",
    .group = GROUP_RESOURCE,
    .arg = ARG_GUEST,
    .json = true,
    .run = sched_run,
};
