/* SPDX-License-Identifier: MIT */
/* Whether a guest can be made, before anything is. */
#include "tools/cli/cpus.h"
#include "tools/cli/device.h"
#include "tools/cli/guest.h"
#include "tools/cli/host.h"
#include "tools/cli/vif.h"
#include "tools/lib/error.h"
#include "tools/lib/names.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the hypervisor needs beyond a guest's own memory: its records, tables, grant frames. */
#define OVERHEAD_KIB 1024

static int same_disk_twice(const struct guest_config *cfg, const struct disk_backing *b,
                           struct error *e)
{
    for (unsigned int i = 0; i < cfg->nr_disks; i++) {
        for (unsigned int j = 0; j < i; j++) {
            if (strcmp(b[i].key, b[j].key) != 0 ||
                (cfg->disks[i].readonly && cfg->disks[j].readonly))
                continue;
            return error_set(e, EINVAL, "Give each of them a file or device of its own.",
                             "disks %s and %s are the same: %s", cfg->disks[j].vdev,
                             cfg->disks[i].vdev, cfg->disks[i].target);
        }
    }
    return 0;
}

int guest_check_devices(struct host *h, const struct guest_config *cfg,
                        struct disk_backing *backing, struct error *e)
{
    if (cfg->nr_disks && device_check_backend(DEVICE_VBD, e) != 0)
        return -1;
    if (cfg->nr_vifs && device_check_backend(DEVICE_VIF, e) != 0)
        return -1;
    for (unsigned int i = 0; i < cfg->nr_disks; i++) {
        if (disk_check(&cfg->disks[i], &backing[i], e) != 0)
            return -1;
        if (record_check_disk(h, &cfg->disks[i], &backing[i], e) != 0)
            return -1;
    }
    if (same_disk_twice(cfg, backing, e) != 0)
        return -1;
    for (unsigned int i = 0; i < cfg->nr_vifs; i++) {
        if (vif_check_bridge(cfg->vifs[i].bridge, e) != 0)
            return error_in(e, "network card %u", cfg->vifs[i].devid);
    }
    if (cpus_check(h->xen, &cfg->cpus, "cpus=", e) != 0)
        return -1;
    return cpus_check(h->xen, &cfg->cpus_soft, "cpus_soft=", e);
}

static int by_size(const void *a, const void *b)
{
    const struct xen_domctl_getdomaininfo *x = a, *y = b;

    return x->tot_pages < y->tot_pages ? 1 : x->tot_pages > y->tot_pages ? -1 : 0;
}

/* Who has the memory: the remedy of "too little". */
static void name_owners(struct host *h, struct error *e)
{
    struct xen_domctl_getdomaininfo *all = NULL;
    int n = xen_domlist(h->xen, &all);
    size_t used = 0;
    char text[384] = "";

    if (n > 0)
        qsort(all, n, sizeof(*all), by_size);
    for (int i = 0; i < n && i < 5 && used < sizeof(text); i++) {
        char name[NAME_SIZE];

        name_of(&h->store, all[i].domain, name);
        used += snprintf(text + used, sizeof(text) - used, "%s%s %llu MiB", i ? ", " : "",
                         name[0] ? name : "(no name)", (unsigned long long)(all[i].tot_pages >> 8));
    }
    free(all);
    error_remedy(e, "Shrink a domain (orlop mem-set NAME MIB) or end one; they have: %s.", text);
}

int guest_check_memory(struct host *h, const struct guest_config *cfg, struct create_plan *plan,
                       struct error *e)
{
    struct xen_sysctl_physinfo p;
    int rc = xen_physinfo(h->xen, &p);

    if (rc < 0)
        return xen_error(e, rc, "asking for free memory");
    plan->free_kib = (p.free_pages - p.outstanding_pages) << 2;
    plan->need_kib = ((uint64_t)cfg->memory_mb << 10) + OVERHEAD_KIB;
    if (plan->need_kib <= plan->free_kib)
        return 0;
    error_set(e, ENOMEM, NULL,
              "not enough memory: the guest needs %llu MiB (memory=%u), %llu MiB are free",
              (unsigned long long)(plan->need_kib >> 10), cfg->memory_mb,
              (unsigned long long)(plan->free_kib >> 10));
    name_owners(h, e);
    return -1;
}
