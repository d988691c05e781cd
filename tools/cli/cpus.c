/* SPDX-License-Identifier: MIT */
/* Where vCPUs may run. */
#include "tools/cli/cpus.h"
#include "tools/cli/config.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"
#include "tools/lib/xen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct topology {
    unsigned int nr;
    unsigned int *node; /* NULL: one node */
};

static int topology_get(struct xen *x, struct topology *t, struct error *e)
{
    struct xen_sysctl_physinfo p;
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_cputopoinfo };
    xen_sysctl_cputopo_t *buf;
    int rc = xen_physinfo(x, &p);

    if (rc < 0)
        return xen_error(e, rc, "asking for the host's CPUs");
    t->nr = p.max_cpu_id + 1 > CONFIG_MAX_CPUS ? CONFIG_MAX_CPUS : p.max_cpu_id + 1;
    t->node = NULL;
    if (p.nr_nodes <= 1)
        return 0;
    buf = xen_buf(x, t->nr * sizeof(*buf));
    op.u.cputopoinfo.num_cpus = t->nr;
    set_xen_guest_handle(op.u.cputopoinfo.cputopo, buf);
    if (xen_sysctl(x, &op) >= 0) {
        t->node = mem_alloc(t->nr * sizeof(*t->node));
        for (unsigned int i = 0; i < t->nr; i++)
            t->node[i] = buf[i].node;
    }
    xen_buf_free(x, buf);
    return 0;
}

static int resolve(const struct topology *t, const char *list, uint8_t *bits, struct error *e)
{
    const char *why = cpulist_resolve(list, t->nr, t->node, bits);

    if (!why)
        return 0;
    error_set(e, EINVAL, NULL, "CPUs \"%s\": %s", list, why);
    return error_remedy(e, "This host has CPUs 0 to %u (orlop info).", t->nr - 1);
}

int cpus_check(struct xen *x, const struct affinity_config *a, const char *key, struct error *e)
{
    uint8_t bits[CONFIG_MAX_CPUS / 8];
    struct topology t;
    int rc = 0;

    if (!a->count)
        return 0;
    if (topology_get(x, &t, e) != 0)
        return -1;
    for (unsigned int i = 0; rc == 0 && i < a->count; i++)
        rc = resolve(&t, a->list[i], bits, e);
    free(t.node);
    return rc ? error_in(e, "%s", key) : 0;
}

static int set(struct xen *x, unsigned int domid, unsigned int vcpu, unsigned int nr,
               const uint8_t *hard, const uint8_t *soft, struct error *e)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_setvcpuaffinity, .domain = domid };
    size_t bytes = (nr + 7) / 8;
    uint8_t *buf = xen_buf(x, 2 * CONFIG_MAX_CPUS / 8);
    int rc;

    op.u.vcpuaffinity.vcpu = vcpu;
    if (hard) {
        memcpy(buf, hard, bytes);
        op.u.vcpuaffinity.flags |= XEN_VCPUAFFINITY_HARD;
        set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, buf);
        op.u.vcpuaffinity.cpumap_hard.nr_bits = nr;
    }
    if (soft) {
        memcpy(buf + CONFIG_MAX_CPUS / 8, soft, bytes);
        op.u.vcpuaffinity.flags |= XEN_VCPUAFFINITY_SOFT;
        set_xen_guest_handle(op.u.vcpuaffinity.cpumap_soft.bitmap, buf + CONFIG_MAX_CPUS / 8);
        op.u.vcpuaffinity.cpumap_soft.nr_bits = nr;
    }
    rc = xen_domctl(x, &op);
    xen_buf_free(x, buf);
    return rc < 0 ? xen_error(e, rc, "pinning vCPU %u", vcpu) : 0;
}

static int pin(struct xen *x, const struct topology *t, unsigned int domid, unsigned int vcpu,
               const char *hard, const char *soft, struct error *e)
{
    uint8_t h[CONFIG_MAX_CPUS / 8], s[CONFIG_MAX_CPUS / 8];

    if ((hard && resolve(t, hard, h, e) != 0) || (soft && resolve(t, soft, s, e) != 0))
        return -1;
    return set(x, domid, vcpu, t->nr, hard ? h : NULL, soft ? s : NULL, e);
}

int cpus_pin(struct xen *x, unsigned int domid, unsigned int vcpu, const char *hard,
             const char *soft, struct error *e)
{
    struct topology t;
    int rc;

    if (topology_get(x, &t, e) != 0)
        return -1;
    rc = pin(x, &t, domid, vcpu, hard, soft, e);
    free(t.node);
    return rc;
}

static const char *of_vcpu(const struct affinity_config *a, unsigned int vcpu)
{
    if (!a->count)
        return NULL;
    if (!a->per_vcpu)
        return a->list[0];
    return vcpu < a->count ? a->list[vcpu] : NULL;
}

int cpus_apply(struct xen *x, unsigned int domid, unsigned int vcpus,
               const struct affinity_config *hard, const struct affinity_config *soft,
               struct error *e)
{
    struct topology t;
    int rc = 0;

    if (!hard->count && !soft->count)
        return 0;
    if (topology_get(x, &t, e) != 0)
        return -1;
    for (unsigned int v = 0; rc == 0 && v < vcpus; v++) {
        const char *h = of_vcpu(hard, v), *s = of_vcpu(soft, v);

        if (h || s)
            rc = pin(x, &t, domid, v, h, s, e);
    }
    free(t.node);
    return rc;
}
