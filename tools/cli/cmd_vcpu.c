/* SPDX-License-Identifier: MIT */
/* orlop vcpu-set, vcpu-pin */
#include "tools/cli/command.h"
#include "tools/cli/cpus.h"
#include "tools/cli/guest.h"
#include "tools/cli/target.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

struct wanted {
    unsigned int domid, vcpus, max;
};

static int set_vcpus(struct store *s, struct guest_config *cfg, void *ctx)
{
    const struct wanted *w = ctx;
    char dir[64], name[32];
    int rc = 0;

    snprintf(dir, sizeof(dir), "/local/domain/%u/cpu", w->domid);
    for (unsigned int i = 0; rc == 0 && i < w->max; i++) {
        snprintf(name, sizeof(name), "%u/availability", i);
        rc = store_put(s, dir, name, i < w->vcpus ? "online" : "offline");
    }
    if (cfg)
        cfg->vcpus = w->vcpus;
    return rc;
}

static int plain_options(int argc, char **argv, int least, int most, const char *what)
{
    static const struct option none[] = { { 0 } };

    if (getopt_long(argc, argv, ":", none, NULL) != -1)
        return cmd_bad_option(argv);
    return argc - optind >= least && argc - optind <= most ? 0 : cmd_usage("%s", what);
}

static int run_set(int argc, char **argv)
{
    int rc = plain_options(argc, argv, 2, 2, "give a guest and a number of vCPUs");
    struct json_object *j;
    struct wanted w;
    struct target t;
    uint64_t n;

    if (rc)
        return rc;
    if (!parse_number(argv[optind + 1], 1, CONFIG_MAX_VCPUS, &n))
        return cmd_usage("%s: not a number from 1 to %d", argv[optind + 1], CONFIG_MAX_VCPUS);
    if (!target_open(&t, argv[optind]))
        return target_fail(&t);
    w = (struct wanted){ t.domid, n, t.info.max_vcpu_id + 1 };
    if (n > w.max) {
        error_set(&t.e, EINVAL, "maxvcpus= in its configuration says how many it may have.",
                  "it has at most %u vCPU%s", w.max, w.max == 1 ? "" : "s");
        return target_fail(&t);
    }
    if (record_change(&t.h.store, t.info.handle, set_vcpus, &w, &t.e) != 0)
        return target_fail(&t);
    j = target_json(&t);
    json_object_object_add(j, "vcpus", json_object_new_int64(n));
    return target_done(&t, j, "%s: %u of its %u vCPUs are to be in use", t.name, w.vcpus, w.max);
}

const struct command cmd_vcpu_set = {
    .name = "vcpu-set",
    .synopsis = "GUEST COUNT",
    .summary = "set how many of its vCPUs a running guest uses",
    .help =
        "The guest's kernel takes vCPUs in use or out of it; orlop vcpu-list shows what it has\n"
        "done. At most the guest's maxvcpus=. It stays so after a reboot.",
    .group = GROUP_RESOURCE,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_set,
};

static const char *list_or_null(const char *text)
{
    return text && strcmp(text, "-") != 0 ? text : NULL;
}

static int pin(struct target *t, const char *which, const char *hard, const char *soft)
{
    unsigned int first = 0, last = t->info.max_vcpu_id;
    uint64_t n;

    if (strcmp(which, "all") != 0) {
        if (!parse_number(which, 0, last, &n))
            return error_set(&t->e, EINVAL, "orlop vcpu-list shows them.",
                             "\"%s\" is none of its vCPUs 0 to %u", which, last);
        first = last = n;
    }
    for (unsigned int v = first; v <= last; v++) {
        if (cpus_pin(t->h.xen, t->domid, v, hard, soft, &t->e) != 0)
            return -1;
    }
    return 0;
}

static int run_pin(int argc, char **argv)
{
    int rc = plain_options(argc, argv, 3, 4, "give a guest, a vCPU or all, and CPUs");
    const char *hard, *soft;
    struct json_object *j;
    struct target t;

    if (rc)
        return rc;
    hard = list_or_null(argv[optind + 2]);
    soft = list_or_null(argv[optind + 3]);
    if (!hard && !soft)
        return cmd_usage("both lists are \"-\": nothing would change");
    if (!target_open(&t, argv[optind]) || pin(&t, argv[optind + 1], hard, soft) != 0)
        return target_fail(&t);
    j = target_json(&t);
    json_object_object_add(j, "vcpu", json_object_new_string(argv[optind + 1]));
    if (hard)
        json_object_object_add(j, "cpus", json_object_new_string(hard));
    if (soft)
        json_object_object_add(j, "cpus_soft", json_object_new_string(soft));
    return target_done(&t, j, "%s: vCPU %s is pinned", t.name, argv[optind + 1]);
}

const struct command cmd_vcpu_pin = {
    .name = "vcpu-pin",
    .synopsis = "GUEST VCPU|all CPUS [PREFERRED]",
    .summary = "say on which CPUs a guest's vCPUs may run",
    .help = "CPUS is a list as in cpus=: 0-3,^2 or all or node:1. PREFERRED (cpus_soft=) is where\n"
            "they run rather, if there is a choice. \"-\" for either leaves it as it is.",
    .group = GROUP_RESOURCE,
    .arg = ARG_GUEST,
    .json = true,
    .run = run_pin,
};
