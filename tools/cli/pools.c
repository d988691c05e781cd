/* SPDX-License-Identifier: MIT */
/* CPU pools. */
#include "tools/cli/pools.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void name_pool(struct host *h, struct pool *p)
{
    char *name = h->store.h ? store_text(&h->store, "/local/pool/%u/name", p->id) : NULL;

    if (name && *name)
        snprintf(p->name, sizeof(p->name), "%s", name);
    else
        snprintf(p->name, sizeof(p->name), "Pool-%u", p->id);
    free(name);
}

static int map_op(struct xen *x, struct xen_sysctl_cpupool_op *with, uint8_t *cpus)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cpupool_op, .u.cpupool_op = *with };
    uint8_t *buf = xen_buf(x, CONFIG_MAX_CPUS / 8);
    int rc;

    memset(buf, 0, CONFIG_MAX_CPUS / 8);
    set_xen_guest_handle(op.u.cpupool_op.cpumap.bitmap, buf);
    op.u.cpupool_op.cpumap.nr_bits = CONFIG_MAX_CPUS;
    rc = xen_sysctl(x, &op);
    memcpy(cpus, buf, CONFIG_MAX_CPUS / 8);
    xen_buf_free(x, buf);
    *with = op.u.cpupool_op;
    return rc < 0 ? rc : 0;
}

int pools_get(struct host *h, struct pool *out, struct error *e)
{
    struct xen_sysctl_cpupool_op op;
    unsigned int n = 0, next = 0;
    int rc = 0;

    while (n < POOLS_MAX) {
        op = (struct xen_sysctl_cpupool_op){ .op = XEN_SYSCTL_CPUPOOL_OP_INFO, .cpupool_id = next };
        memset(&out[n], 0, sizeof(out[n]));
        rc = map_op(h->xen, &op, out[n].cpus);
        if (rc < 0 || op.cpupool_id < next)
            break;
        out[n].id = op.cpupool_id;
        out[n].domains = op.n_dom;
        out[n].sched = op.sched_id;
        name_pool(h, &out[n++]);
        next = op.cpupool_id + 1;
    }
    if (rc < 0 && rc != -ENOENT)
        return xen_error(e, rc, "asking for the CPU pools");
    return n;
}

int pool_find(struct host *h, const char *word, struct pool *out, struct error *e)
{
    static struct pool all[POOLS_MAX];
    int n = pools_get(h, all, e);
    char names[300] = "";
    unsigned int id;

    for (int i = 0; i < n; i++) {
        size_t used = strlen(names);

        if (strcmp(all[i].name, word) == 0 || (parse_uint(word, &id) && id == all[i].id)) {
            *out = all[i];
            return 0;
        }
        if (used < sizeof(names) - POOL_NAME)
            snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "", all[i].name);
    }
    if (n < 0)
        return -1;
    error_set(e, ENOENT, NULL, "there is no CPU pool \"%.60s\"", word);
    return error_remedy(e, "There are %s (orlop cpupool-list).", names);
}

int pool_op(struct xen *x, uint32_t what, uint32_t *pool, uint32_t domid, uint32_t cpu)
{
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cpupool_op };
    int rc;

    op.u.cpupool_op = (struct xen_sysctl_cpupool_op){ .op = what,
                                                      .cpupool_id = *pool,
                                                      .sched_id = XEN_SCHEDULER_CREDIT,
                                                      .domid = domid,
                                                      .cpu = cpu };
    rc = xen_sysctl(x, &op);
    if (rc >= 0)
        *pool = op.u.cpupool_op.cpupool_id;
    return rc < 0 ? rc : 0;
}

int pool_free_cpus(struct xen *x, uint8_t *cpus)
{
    struct xen_sysctl_cpupool_op op = { .op = XEN_SYSCTL_CPUPOOL_OP_FREEINFO };

    return map_op(x, &op, cpus);
}

int pool_error(struct error *e, int rc, const struct pool *p, const char *what)
{
    switch (-rc) {
    case ENODEV:
        return error_set(e, ENODEV,
                         "orlop cpupool-list shows whose it is; a CPU is taken from one pool "
                         "(cpupool-cpu-remove) before it is given to another.",
                         "%s: the CPU is not free, or not %s's", what, p->name);
    case EBUSY:
        return error_set(e, EBUSY, "Move its domains to another pool first: orlop cpupool-migrate",
                         "%s: %s has domains, which need a CPU", what, p->name);
    case ENOENT:
        return error_set(e, ENOENT, "Give it one: orlop cpupool-cpu-add",
                         "%s: %s has no CPU, or is gone", what, p->name);
    case ENOSPC:
        return error_set(e, ENOSPC, "Destroy one: orlop cpupool-destroy",
                         "%s: there are as many CPU pools as there may be", what);
    case EINVAL:
        return error_set(e, EINVAL, "Domain 0 stays in Pool-0, which cannot be destroyed.",
                         "%s: the hypervisor does not do that with %s", what, p->name);
    }
    return xen_error(e, rc, "%s", what);
}

static bool has(const uint8_t *cpus, unsigned int cpu)
{
    return cpu < CONFIG_MAX_CPUS && cpus[cpu / 8] >> cpu % 8 & 1;
}

char *pool_cpu_text(const uint8_t *cpus)
{
    char *text = str_dup("");

    for (unsigned int i = 0, last; i < CONFIG_MAX_CPUS; i = last + 1) {
        char *more;

        for (last = i; has(cpus, i) && has(cpus, last + 1);)
            last++;
        if (!has(cpus, i))
            continue;
        more = last > i ? str_fmt("%s%s%u-%u", text, *text ? "," : "", i, last)
                        : str_fmt("%s%s%u", text, *text ? "," : "", i);
        free(text);
        text = more;
    }
    if (*text)
        return text;
    free(text);
    return str_dup("none");
}

const char *pool_scheduler(const struct pool *p)
{
    switch (p->sched) {
    case XEN_SCHEDULER_CREDIT:
        return "credit";
    case XEN_SCHEDULER_CREDIT2:
        return "credit2";
    case XEN_SCHEDULER_RTDS:
        return "rtds";
    case XEN_SCHEDULER_NULL:
        return "null";
    default:
        return "another one";
    }
}
