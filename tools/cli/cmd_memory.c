/* SPDX-License-Identifier: MIT */
/* orlop mem-set, mem-max */
#include "tools/cli/command.h"
#include "tools/cli/guest.h"
#include "tools/cli/target.h"
#include "tools/cli/undo.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLACK_KIB 1024
#define LEAST_KIB (4 << 10)

/* "256", "256m", "2g", "262144k": KiB; plain numbers are MiB, as memory= has them. */
static bool parse_size(const char *text, uint64_t *kib)
{
    char *end;
    uint64_t n;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    n = strtoull(text, &end, 10);
    if (errno || n > 1ull << 40 || (*end && end[1]))
        return false;
    switch (*end | 0x20) {
    case 'k':
        *kib = n;
        return true;
    case 'g':
        *kib = n << 20;
        return true;
    case 'm':
    case ' ': /* the end of the text */
        *kib = n << 10;
        return true;
    }
    return false;
}

static int limit(struct target *t, uint64_t kib)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_max_mem, .domain = t->domid };
    int rc;

    op.u.max_mem.max_memkb = kib + SLACK_KIB;
    rc = xen_domctl(t->h.xen, &op);
    return rc < 0 ? xen_error(&t->e, rc, "setting the limit of memory") : 0;
}

/* Whether the machine has what the guest is to get in addition. */
static int check_free(struct target *t, uint64_t kib)
{
    struct xen_sysctl_physinfo p;
    uint64_t has = t->info.tot_pages << 2, free_kib;
    int rc = xen_physinfo(t->h.xen, &p);

    if (rc < 0)
        return xen_error(&t->e, rc, "asking for free memory");
    free_kib = (p.free_pages - p.outstanding_pages) << 2;
    if (kib <= has + free_kib)
        return 0;
    return error_set(&t->e, ENOMEM, "Shrink another domain first (orlop mem-set), or end one.",
                     "%llu MiB more are asked for, %llu MiB are free",
                     (unsigned long long)((kib - has) >> 10), (unsigned long long)(free_kib >> 10));
}

static int set_memory(struct store *s, struct guest_config *cfg, void *ctx)
{
    if (cfg && cfg->type == GUEST_PV) /* a PVH guest starts again with what it may have */
        cfg->memory_mb = *(uint64_t *)ctx >> 10;
    return 0;
}

/* More: the limit first, so that the guest finds room. Less: the wish first. */
static int set_target(struct target *t, uint64_t kib)
{
    char dir[64];
    int rc = 0;

    snprintf(dir, sizeof(dir), "/local/domain/%u/memory", t->domid);
    if (t->domid && kib > t->info.max_pages << 2)
        rc = limit(t, kib);
    if (rc == 0 && (rc = store_put(&t->h.store, dir, "target", "%llu", (unsigned long long)kib)))
        rc = store_error(&t->e, rc, "%s/target", dir);
    if (rc == 0 && t->domid)
        rc = limit(t, kib);
    if (rc == 0 && t->domid)
        rc = record_change(&t->h.store, t->info.handle, set_memory, &kib, &t->e);
    return rc;
}

/* The guest's driver works in steps of its own; this looks five times a second. */
static int await(struct target *t, uint64_t kib, unsigned int seconds)
{
    int64_t deadline = now_ms() + seconds * 1000ll;
    uint64_t goal = kib >> 2, first = t->info.tot_pages;
    uint64_t way = first > goal ? first - goal : goal - first;

    for (;;) {
        struct timespec pause = { .tv_nsec = 200000000 };
        uint64_t left;
        int rc = xen_dominfo(t->h.xen, t->domid, &t->info);

        if (rc < 0)
            return xen_error(&t->e, rc, "waiting for the guest");
        left = t->info.tot_pages > goal ? t->info.tot_pages - goal : goal - t->info.tot_pages;
        progress("memory", way > left ? way - left : 0, way);
        if (left <= SLACK_KIB >> 2)
            return 0;
        if (left_ms(deadline) == 0)
            return error_set(&t->e, ETIMEDOUT,
                             "The target stays set. A guest without a balloon driver, or one that "
                             "needs its memory, does not follow.",
                             "the guest has %llu MiB after %u s",
                             (unsigned long long)(t->info.tot_pages >> 8), seconds);
        if (interrupt_check(&t->e) != 0)
            return -1;
        nanosleep(&pause, NULL);
    }
}

static int parse(int argc, char **argv, uint64_t *wait)
{
    static const struct option longs[] = { { "wait", required_argument, NULL, 'w' }, { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, wait ? ":w:" : ":", wait ? longs : longs + 1, NULL)) !=
           -1) {
        if (c != 'w')
            return cmd_bad_option(argv);
        if (!parse_number(optarg, 1, 86400, wait))
            return cmd_usage("--wait %s: give seconds, 1 to 86400", optarg);
    }
    return argc - optind == 2 ? 0 : cmd_usage("give a guest and a size");
}

static int check_target(struct target *t, uint64_t kib)
{
    uint64_t most = store_read_num(&t->h.store, -1, "/local/domain/%u/memory/static-max", t->domid);

    if (kib < LEAST_KIB)
        return error_set(&t->e, EINVAL, "Sizes are MiB unless k, m or g follows: mem-set web1 512",
                         "%llu KiB are too little for any guest", (unsigned long long)kib);
    if (kib > most) {
        error_set(&t->e, EINVAL, NULL, "%llu MiB are more than its maximum of %llu MiB",
                  (unsigned long long)(kib >> 10), (unsigned long long)(most >> 10));
        return error_remedy(&t->e,
                            "Raise it for its next start (orlop mem-max %s %llu), or write "
                            "maxmem= in its configuration.",
                            t->name, (unsigned long long)(kib >> 10));
    }
    return check_free(t, kib);
}

static int run_set(int argc, char **argv)
{
    struct json_object *j;
    struct target t;
    uint64_t wait = 0, kib;
    int rc = parse(argc, argv, &wait);

    if (rc)
        return rc;
    if (!parse_size(argv[optind + 1], &kib))
        return cmd_usage("%s: not a size; MiB, or with k, m or g", argv[optind + 1]);
    if (!target_open(&t, argv[optind]) || check_target(&t, kib) != 0 || set_target(&t, kib) != 0)
        return target_fail(&t);
    if (wait && await(&t, kib, wait) != 0)
        return target_fail(&t);
    j = target_json(&t);
    json_object_object_add(j, "target_kib", json_object_new_int64(kib));
    return target_done(&t, j, "%s: its target is %llu MiB", t.name,
                       (unsigned long long)(kib >> 10));
}

static int set_max(struct store *s, struct guest_config *cfg, void *ctx)
{
    if (cfg && cfg->type == GUEST_PV) /* a PVH guest starts again as it was written */
        cfg->maxmem_mb = *(uint64_t *)ctx >> 10;
    return 0;
}

static int store_max(struct target *t, uint64_t kib)
{
    uint64_t target = store_read_num(&t->h.store, 0, "/local/domain/%u/memory/target", t->domid);
    char dir[64];
    int rc;

    if (!t->domid)
        return error_set(&t->e, EINVAL,
                         "It is set at boot: dom0_mem=...,max:... for the hypervisor.",
                         "Domain 0's maximum is fixed");
    if (kib < target)
        return error_set(&t->e, EINVAL, "Lower the target first: orlop mem-set",
                         "%llu MiB are less than its target of %llu MiB",
                         (unsigned long long)(kib >> 10), (unsigned long long)(target >> 10));
    snprintf(dir, sizeof(dir), "/local/domain/%u/memory", t->domid);
    rc = store_put(&t->h.store, dir, "static-max", "%llu", (unsigned long long)kib);
    if (rc)
        return store_error(&t->e, rc, "%s/static-max", dir);
    return record_change(&t->h.store, t->info.handle, set_max, &kib, &t->e);
}

static int run_max(int argc, char **argv)
{
    struct json_object *j;
    struct target t;
    uint64_t kib;
    int rc = parse(argc, argv, NULL);

    if (rc)
        return rc;
    if (!parse_size(argv[optind + 1], &kib))
        return cmd_usage("%s: not a size; MiB, or with k, m or g", argv[optind + 1]);
    if (!target_open(&t, argv[optind]) || store_max(&t, kib) != 0)
        return target_fail(&t);
    j = target_json(&t);
    json_object_object_add(j, "max_kib", json_object_new_int64(kib));
    return target_done(&t, j, "%s: its maximum is %llu MiB", t.name,
                       (unsigned long long)(kib >> 10));
}

const struct command cmd_mem_set = {
    .name = "mem-set",
    .synopsis = "[-w SECONDS] GUEST SIZE",
    .summary = "make a running guest's memory larger or smaller",
    .help =
        "The guest's balloon driver gives memory back or takes it. SIZE is MiB, or with k, m or\n"
        "g behind it; at most the guest's maximum (maxmem=). It stays so after a reboot.\n"
        "\n"
        "  -w, --wait SECONDS   return when the guest has done it, at most so late",
    .options = "--wait",
    .group = GROUP_RESOURCE,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_set,
};

const struct command cmd_mem_max = {
    .name = "mem-max",
    .synopsis = "GUEST SIZE",
    .summary = "set how far mem-set may make a guest's memory grow",
    .help =
        "SIZE is MiB, or with k, m or g behind it. A running kernel has room in its tables only\n"
        "for the maximum it was started with: a larger one counts in full from its next start.",
    .group = GROUP_RESOURCE,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_max,
};
