/* SPDX-License-Identifier: MIT */
/* Whether a guest can be made, before anything is. */
#include "tools/builder/builder.h"
#include "tools/cli/cpus.h"
#include "tools/cli/device.h"
#include "tools/cli/device_model.h"
#include "tools/cli/disk_use.h"
#include "tools/cli/guest.h"
#include "tools/cli/host.h"
#include "tools/cli/hotplug.h"
#include "tools/cli/pools.h"
#include "tools/cli/vif.h"
#include "tools/lib/error.h"
#include "tools/lib/names.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the hypervisor needs beyond a guest's own memory: its records, tables, grant frames. */
#define OVERHEAD_KIB 1024
#define HVM_LEAST_MB 8 /* hvmloader, SeaBIOS and the tables that they make */

static int check_ramdisk(const struct guest_config *cfg, struct stat *st, struct error *e)
{
    if (!cfg->ramdisk || (stat(cfg->ramdisk, st) == 0 && access(cfg->ramdisk, R_OK) == 0))
        return 0;
    return error_sys(e, errno, "Check ramdisk= in the configuration.", "ramdisk %s", cfg->ramdisk);
}

/* What is wrong with a kernel of its own the guest's firmware or boot loader says. */
static int check_hvm(const struct guest_config *cfg, struct builder_kernel **kernel,
                     struct dm_files *files, struct error *e)
{
    struct builder_kernel *k;
    struct stat st = { 0 };

    if (check_ramdisk(cfg, &st, e) != 0)
        return -1;
    k = builder_kernel_open(files->loader, BUILDER_CACHE_DIR, BUILDER_HVM, e);
    if (!k)
        return -1;
    if (kernel)
        *kernel = k;
    else
        builder_kernel_close(k);
    if (cfg->memory_mb >= HVM_LEAST_MB + cfg->screen.videoram_mb)
        return 0;
    return error_set(e, ENOMEM, "Set memory= to more.",
                     "memory=%u is too little for an HVM guest's firmware and picture: they take "
                     "%u MiB",
                     cfg->memory_mb, HVM_LEAST_MB + cfg->screen.videoram_mb);
}

int guest_check_kernel(const struct guest_config *cfg, struct builder_kernel **kernel,
                       struct dm_files *files, struct create_plan *plan, struct error *e)
{
    enum builder_type type = cfg->type == GUEST_PVH ? BUILDER_PVH : BUILDER_PV;
    struct builder_kernel *k;
    struct stat st = { 0 };
    uint64_t least;

    if (dm_find(cfg, files, e) != 0)
        return -1;
    if (cfg->type == GUEST_HVM)
        return check_hvm(cfg, kernel, files, e);
    k = builder_kernel_open(cfg->kernel, BUILDER_CACHE_DIR, type, e);
    if (!k)
        return error_in(e, "kernel");
    plan->cached = builder_kernel_was_cached(k);
    snprintf(plan->kernel_kind, sizeof(plan->kernel_kind), "%s",
             builder_kind_name(builder_kernel_kind(k)));
    snprintf(plan->kernel_version, sizeof(plan->kernel_version), "%s", builder_kernel_version(k));
    if (check_ramdisk(cfg, &st, e) != 0) {
        builder_kernel_close(k);
        return -1;
    }
    least = builder_least_memory(k, st.st_size);
    if (kernel)
        *kernel = k;
    else
        builder_kernel_close(k);
    if ((uint64_t)cfg->memory_mb << 10 >= least)
        return 0;
    error_set(e, ENOMEM, NULL, "memory=%u is too little for this kernel%s even to start",
              cfg->memory_mb, cfg->ramdisk ? " and ramdisk" : "");
    return error_remedy(e, "Set memory= to %llu at least; to work in it takes more.",
                        (unsigned long long)(least + 1023) >> 10);
}

/* Two disks of the guest with the same bytes, one of them written. */
static int same_disk_twice(const struct guest_config *cfg, struct error *e)
{
    struct disk_use *use = mem_alloc((cfg->nr_disks + 1) * sizeof(*use));
    struct stat st;
    int rc = 0;

    for (unsigned int i = 0; rc == 0 && i < cfg->nr_disks; i++) {
        if (!cfg->disks[i].script && stat(cfg->disks[i].target, &st) == 0)
            disk_use_of(&use[i], &st);
        for (unsigned int j = 0; rc == 0 && j < i; j++) {
            if ((cfg->disks[i].readonly && cfg->disks[j].readonly) ||
                !disk_use_same(&use[i], &use[j]))
                continue;
            rc = error_set(e, EINVAL, "Give each of them a file or device of its own.",
                           "disks %s and %s are the same bytes: %s and %s", cfg->disks[j].vdev,
                           cfg->disks[i].vdev, cfg->disks[j].target, cfg->disks[i].target);
        }
    }
    free(use);
    return rc;
}

/* Can the hypervisor run hardware-assisted guests here? */
static int check_machine(struct host *h, const struct guest_config *cfg, struct error *e)
{
    const uint32_t need = XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_hap;
    struct xen_sysctl_physinfo p;
    int rc = xen_physinfo(h->xen, &p);

    if (rc < 0)
        return xen_error(e, rc, "asking what the machine can do");
    if ((p.capabilities & need) == need)
        return 0;
    return error_set(
        e, EOPNOTSUPP,
        "Switch SVM or VMX on in the firmware's settings if the processor has it (`orlop "
        "dmesg` says why it is not used), or write type = 'pv'.",
        "this machine runs no %s guests: that needs AMD SVM or Intel VMX, with nested paging",
        cfg->type == GUEST_HVM ? "HVM" : "PVH");
}

int guest_check_pool(struct host *h, const struct guest_config *cfg, uint32_t *id, struct error *e)
{
    struct pool p;

    *id = 0;
    if (!cfg->pool)
        return 0;
    if (pool_find(h, cfg->pool, &p, e) != 0)
        return error_in(e, "pool=");
    *id = p.id;
    return 0;
}

int guest_check_devices(struct host *h, const struct guest_config *cfg,
                        struct disk_backing *backing, bool force, struct error *e)
{
    if (cfg->type != GUEST_PV && check_machine(h, cfg, e) != 0)
        return -1;
    if (cfg->nr_disks && device_check_backend(DEVICE_VBD, e) != 0)
        return -1;
    if (cfg->nr_vifs && device_check_backend(DEVICE_VIF, e) != 0)
        return -1;
    for (unsigned int i = 0; i < cfg->nr_disks; i++) {
        if (disk_check(&cfg->disks[i], &backing[i], e) != 0)
            return -1;
        if (!force && !cfg->disks[i].script && disk_use_check(h, &cfg->disks[i], e) != 0)
            return -1;
    }
    if (!force && same_disk_twice(cfg, e) != 0)
        return -1;
    for (unsigned int i = 0; i < cfg->nr_vifs; i++) {
        if (hotplug_check_vif(&cfg->vifs[i], e) != 0)
            return error_in(e, "network card %u", cfg->vifs[i].devid);
        vif_warn_address(&h->store, &cfg->vifs[i], cfg->uuid);
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
