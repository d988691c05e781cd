/* SPDX-License-Identifier: MIT */
/*
 * A guest is made in this order:
 *
 *   look      kernel, disks, bridges, CPUs, memory, name: nothing exists yet, nothing to take back
 *   make      domain, its memory claimed, event channels, block devices, all store nodes in one
 *             transaction (from here on Domain 0's backends work beside us)
 *   build     memory, kernel, page tables; or what a saved guest's stream has of them
 *   connect   the rings, backends that took up their devices, cards in their bridges, an HVM
 *             guest's device model
 *
 * Failing after `make` began runs the undo list; being killed leaves the locked file of
 * guest_lock.h.
 */
#include "tools/builder/builder.h"
#include "tools/cli/cpu_features.h"
#include "tools/cli/cpus.h"
#include "tools/cli/device.h"
#include "tools/cli/device_model.h"
#include "tools/cli/guest.h"
#include "tools/cli/guest_lock.h"
#include "tools/cli/host.h"
#include "tools/cli/image.h"
#include "tools/cli/screen.h"
#include "tools/cli/undo.h"
#include "tools/cli/userdata.h"
#include "tools/lib/error.h"
#include "tools/lib/names.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xen/hvm/params.h>

#define DEVICE_WAIT_MS 30000
#define ERASE_WAIT_MS 10000
#define SLACK_KIB 1024 /* by which a domain may exceed its target, as Xen's tools have it */

struct making {
    struct host *h;
    struct guest_config *cfg;
    const struct create_options *o;
    struct builder_kernel *kernel;
    struct disk_backing *backing;
    struct dm_files files; /* HVM */
    unsigned int domid;
    unsigned int console_port, store_port;
    unsigned int vnc_port; /* 0: no screen */
    int screen;            /* the socket that listens there, or -1 */
    struct guest_lock lock;
    int name_lock;
    struct undo undo;
};

/* Under the name lock: what other programs could take away from under us. */
static int look_last(struct making *m, struct create_plan *plan, struct error *e)
{
    if (name_free(m->h->xen, &m->h->store, m->cfg->name, e) != 0)
        return -1;
    if (xen_find_uuid(m->h->xen, m->cfg->uuid) >= 0)
        return error_set(e, EEXIST, "Leave out uuid=, and each guest gets one of its own.",
                         "there is a domain with this uuid already");
    if (guest_check_devices(m->h, m->cfg, m->backing, m->o->force, e) != 0)
        return -1;
    if (guest_check_memory(m->h, m->cfg, plan, e) != 0)
        return -1;
    if (m->cfg->screen.vnc)
        m->screen = screen_listen(&m->cfg->screen, &m->vnc_port, e);
    return m->cfg->screen.vnc && m->screen < 0 ? -1 : 0;
}

static void undo_domain(void *ctx)
{
    struct making *m = ctx;
    struct error e = { 0 };

    if (guest_erase(m->h, m->domid, m->cfg->uuid, m->o->restart, now_ms() + ERASE_WAIT_MS, &e) != 0)
        error_print(&e, "orlop: taking the guest back");
}

static int create_domain(struct making *m, struct error *e)
{
    const struct guest_config *c = m->cfg;
    struct xen_domctl op = { .cmd = XEN_DOMCTL_createdomain };
    struct xen_domctl_createdomain *d = &op.u.createdomain;
    uint32_t pool;
    int rc;

    if (guest_check_pool(m->h, c, &pool, e) != 0)
        return -1;
    d->cpupool_id = pool;

    memcpy(d->handle, c->uuid, 16);
    d->max_vcpus = c->maxvcpus;
    d->max_evtchn_port = c->max_event_channels ? c->max_event_channels : 1023;
    d->max_grant_frames = c->max_grant_frames ? c->max_grant_frames : 64;
    d->max_maptrack_frames = c->max_maptrack_frames ? c->max_maptrack_frames : 1024;
    d->grant_opts = XEN_DOMCTL_GRANT_version(1);
    if (c->type != GUEST_PV)
        d->flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap;
    if (c->type == GUEST_PVH)
        d->arch.emulation_flags = XEN_X86_EMU_LAPIC;
    if (c->type == GUEST_HVM)
        d->arch.emulation_flags = XEN_X86_EMU_ALL & ~(XEN_X86_EMU_VPCI | XEN_X86_EMU_USE_PIRQ);
    rc = xen_domctl(m->h->xen, &op);
    if (rc < 0)
        return xen_error(e, rc, "creating the domain");
    m->domid = op.domain;
    undo_push(&m->undo, undo_domain, m);
    return 0;
}

static int set_scheduling(struct making *m, struct error *e)
{
    const struct guest_config *c = m->cfg;
    struct xen_sysctl s = { .cmd = XEN_SYSCTL_sched_id };
    struct xen_domctl op = { .cmd = XEN_DOMCTL_scheduler_op, .domain = m->domid };
    int rc;

    if (c->cpu_weight == 256 && !c->cap)
        return 0;
    rc = xen_sysctl(m->h->xen, &s);
    if (rc >= 0) {
        op.u.scheduler_op.sched_id = s.u.sched_id.sched_id;
        op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
        op.u.scheduler_op.u.credit.weight = c->cpu_weight; /* credit2 has the same layout */
        op.u.scheduler_op.u.credit.cap = c->cap;
        rc = xen_domctl(m->h->xen, &op);
    }
    return rc < 0 ? xen_error(e, rc, "cpu_weight=, cap=") : 0;
}

static int set_clock(struct making *m, struct error *e)
{
    struct xen_domctl op = { .domain = m->domid };
    int64_t offset = m->cfg->rtc_offset_s;
    time_t now = time(NULL);
    struct tm local;
    int rc = 0;

    if (m->cfg->localtime && localtime_r(&now, &local))
        offset += local.tm_gmtoff;
    if (offset) {
        op.cmd = XEN_DOMCTL_settimeoffset;
        op.u.settimeoffset.time_offset_seconds = offset;
        rc = xen_domctl(m->h->xen, &op);
        if (rc < 0)
            return xen_error(e, rc, "rtc_timeoffset=, localtime=");
    }
    if (m->cfg->tsc_mode != TSC_DEFAULT) {
        memset(&op.u, 0, sizeof(op.u));
        op.cmd = XEN_DOMCTL_settscinfo;
        op.u.tsc_info.tsc_mode = m->cfg->tsc_mode;
        rc = xen_domctl(m->h->xen, &op);
    }
    return rc < 0 ? xen_error(e, rc, "tsc_mode=") : 0;
}

/* The pages are ours from here on, whoever else creates guests; 0 pages gives the rest back. */
static int claim(struct making *m, uint64_t pages)
{
    struct xen_memory_reservation r = { .nr_extents = pages, .domid = m->domid };
    long rc = xen_memory_op(m->h->xen, XENMEM_claim_pages, &r, sizeof(r));

    return rc == -ENOSYS ? 0 : rc;
}

static int limit_memory(struct making *m, unsigned int mb, struct error *e)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_max_mem, .domain = m->domid };
    int rc;

    op.u.max_mem.max_memkb = ((uint64_t)mb << 10) + SLACK_KIB;
    rc = xen_domctl(m->h->xen, &op);
    return rc < 0 ? xen_error(e, rc, "setting its limit of memory") : 0;
}

static int set_resources(struct making *m, struct error *e)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_max_vcpus, .domain = m->domid };
    int rc;

    op.u.max_vcpus.max = m->cfg->maxvcpus;
    rc = xen_domctl(m->h->xen, &op);
    if (rc < 0)
        return xen_error(e, rc, "making %u vCPUs", m->cfg->maxvcpus);
    /* A guest that was saved while it shrank or grew has what it has. */
    if (limit_memory(m, m->o->image ? m->cfg->maxmem_mb : m->cfg->memory_mb, e) != 0)
        return -1;
    rc = claim(m, (uint64_t)m->cfg->memory_mb << 8);
    if (rc < 0)
        return xen_error(e, rc, "reserving %u MiB", m->cfg->memory_mb);
    if (cpus_apply(m->h->xen, m->domid, m->cfg->maxvcpus, &m->cfg->cpus, &m->cfg->cpus_soft, e) !=
        0)
        return -1;
    return set_scheduling(m, e) != 0 ? -1 : set_clock(m, e);
}

/* In the order in which xl makes them: a guest sees the numbers. */
static int make_ports(struct making *m, struct error *e)
{
    int store = xen_alloc_unbound(m->h->xen, m->domid, 0);
    int console = xen_alloc_unbound(m->h->xen, m->domid, 0);

    if (console < 0 || store < 0)
        return xen_error(e, console < 0 ? console : store, "making its event channels");
    m->console_port = console;
    m->store_port = store;
    return 0;
}

static void undo_disk(void *ctx)
{
    disk_drop(ctx);
}

static int open_disks(struct making *m, struct error *e)
{
    for (unsigned int i = 0; i < m->cfg->nr_disks; i++) {
        if (disk_open(&m->cfg->disks[i], &m->backing[i], e) != 0)
            return -1;
        undo_push(&m->undo, undo_disk, &m->backing[i]);
    }
    return 0;
}

static int store_all(struct making *m, struct error *e)
{
    struct guest_nodes n = { .cfg = m->cfg,
                             .domid = m->domid,
                             .console_port = m->console_port,
                             .store_port = m->store_port,
                             .backing = m->backing,
                             .vnc_port = m->vnc_port };
    int rc = store_transact(&m->h->store, guest_store_nodes, &n);

    return rc ? store_error(e, rc, "writing the guest's nodes") : 0;
}

/* Disks first: should they be undone, it is after the domain and its backends are. */
static int make(struct making *m, struct error *e)
{
    int rc = open_disks(m, e);

    rc = rc ? rc : create_domain(m, e);
    rc = rc ? rc : set_resources(m, e);
    if (m->cfg->cpuid && !m->o->image) /* a saved guest's policy is in its image */
        rc = rc ? rc : cpu_wish_apply(m->h->xen, m->domid, m->cfg->cpuid, e);
    rc = rc ? rc : make_ports(m, e);
    rc = rc ? rc : store_all(m, e);
    if (rc == 0) { /* what an older domain of that number left is not about this one */
        userdata_remove(m->domid);
        userdata_update(&m->h->store, m->cfg->uuid);
    }
    if (rc == 0 && m->o->force) /* so that it may come back */
        record_put(&m->h->store, m->cfg->uuid, "force", "1");
    return rc ? rc : interrupt_check(e);
}

/* Introduces the guest to xenstored, when its memory is there. */
static int introduce(struct making *m, uint64_t console_mfn, uint64_t store_mfn, struct error *e)
{
    char base[64];
    int rc;

    snprintf(base, sizeof(base), "/local/domain/%u", m->domid);
    rc = store_put(&m->h->store, base, "store/ring-ref", "%llu", (unsigned long long)store_mfn);
    rc = rc ? rc
            : store_put(&m->h->store, base, "console/ring-ref", "%llu",
                        (unsigned long long)console_mfn);
    if (rc == 0 && !xs_introduce_domain(m->h->store.h, m->domid, store_mfn, m->store_port))
        rc = -errno;
    return rc ? store_error(e, rc, "introducing the guest to xenstored") : interrupt_check(e);
}

static int restore(struct making *m, struct error *e)
{
    struct image_request r = { .domid = m->domid,
                               .max_kib = (uint64_t)m->cfg->maxmem_mb << 10,
                               .vcpus = m->cfg->maxvcpus,
                               .console_port = m->console_port,
                               .store_port = m->store_port,
                               .before_pages = m->o->before_pages,
                               .arg = m->o->arg };
    struct image_result got;

    if (image_load(m->h, &r, m->o->image, &got, e) != 0)
        return -1;
    if (limit_memory(m, m->cfg->memory_mb, e) != 0)
        return -1;
    return introduce(m, got.console_mfn, got.store_mfn, e);
}

static uint32_t viridian_param(unsigned int groups)
{
    if (!groups)
        return 0;
    return HVMPV_base_freq | (groups & VIRIDIAN_FREQ ? 0 : HVMPV_no_freq) |
           (groups & VIRIDIAN_TIME ? HVMPV_time_ref_count : 0);
}

static int build(struct making *m, struct error *e)
{
    bool hvm = m->cfg->type == GUEST_HVM;
    unsigned int video = m->cfg->screen.videoram_mb; /* its device model takes that */
    struct builder_request r = { .domid = m->domid,
                                 .kernel = m->kernel,
                                 .ramdisk = hvm ? m->files.bios : m->cfg->ramdisk,
                                 .cmdline = hvm ? NULL : m->cfg->cmdline,
                                 .memory_kib = (uint64_t)(m->cfg->memory_mb - video) << 10,
                                 .max_kib = (uint64_t)(m->cfg->maxmem_mb - video) << 10,
                                 .vcpus = m->cfg->maxvcpus,
                                 .vcpus_online = m->cfg->vcpus,
                                 .viridian = viridian_param(m->cfg->viridian),
                                 .console_port = m->console_port,
                                 .store_port = m->store_port };
    struct builder_result got;

    if (builder_build(&r, &got, e) != 0)
        return interrupt_check(e) ? -1 : error_in(e, "building the guest's memory");
    return introduce(m, got.console_mfn, got.store_mfn, e);
}

static int connect(struct making *m, struct error *e)
{
    struct dm_start dm = { .cfg = m->cfg,
                           .files = &m->files,
                           .backing = m->backing,
                           .domid = m->domid,
                           .screen = m->screen };
    int64_t deadline = now_ms() + DEVICE_WAIT_MS;
    struct device d;

    if (dm_needed(m->cfg) && dm_start(m->h, &dm, e) != 0)
        return -1;
    for (unsigned int i = 0; i < m->cfg->nr_disks; i++) {
        device_of_disk(&d, &m->cfg->disks[i], &m->backing[i]);
        d.force = m->o->force;
        if (device_await(m->h, m->domid, &d, deadline, e) != 0)
            return -1;
    }
    for (unsigned int i = 0; i < m->cfg->nr_vifs; i++) {
        device_of_vif(&d, &m->cfg->vifs[i], m->cfg->uuid);
        if (device_await(m->h, m->domid, &d, deadline, e) != 0)
            return -1;
    }
    if (dm_needed(m->cfg) && dm_await(m->h, &dm, deadline, e) != 0)
        return -1;
    claim(m, 0);
    return interrupt_check(e);
}

/*
 * The last step. The lock's file goes before the guest runs: whoever finds it would take the guest
 * back.
 */
static int finish(struct making *m, struct error *e)
{
    int rc = 0;

    if (m->o->restart)
        record_put(&m->h->store, m->cfg->uuid, "pending", NULL);
    record_put(&m->h->store, m->cfg->uuid, "restart_at", NULL);
    if (m->o->keep) {
        *m->o->keep = m->lock;
        m->lock.fd = -1;
    }
    guest_unlock(&m->lock);
    if (!m->o->paused)
        rc = xen_domctl_plain(m->h->xen, m->domid, XEN_DOMCTL_unpausedomain);
    return rc < 0 ? xen_error(e, rc, "starting the guest") : 0;
}

static void let_go(struct making *m)
{
    for (unsigned int i = 0; i < m->cfg->nr_disks; i++)
        disk_close(&m->backing[i]);
    free(m->backing);
    builder_kernel_close(m->kernel);
    if (m->name_lock >= 0)
        close(m->name_lock);
    if (m->screen >= 0)
        close(m->screen);
    guest_unlock(&m->lock);
}

static int all_steps(struct making *m, struct create_plan *plan, struct error *e)
{
    int rc = m->o->image ? dm_find(m->cfg, &m->files, e)
                         : guest_check_kernel(m->cfg, &m->kernel, &m->files, plan, e);

    if (rc == 0 && (m->name_lock = name_lock(e)) < 0)
        rc = -1;
    rc = rc ? rc : look_last(m, plan, e);
    if (rc || m->o->check)
        return rc;
    if (m->lock.fd < 0)
        rc = guest_lock(&m->lock, m->cfg->uuid, true, e);
    if (rc == 0)
        guest_lock_note(&m->lock, LEFT_ERASE);
    rc = rc ? rc : make(m, e);
    if (rc == 0) { /* the name is in the store now */
        close(m->name_lock);
        m->name_lock = -1;
    }
    rc = rc ? rc : m->o->image ? restore(m, e) : build(m, e);
    rc = rc ? rc : connect(m, e);
    return rc ? rc : finish(m, e);
}

int guest_create(struct host *h, struct guest_config *cfg, const struct create_options *o,
                 unsigned int *domid, struct create_plan *plan, struct error *e)
{
    struct making *m = mem_alloc(sizeof(*m));
    struct create_plan own = { 0 };
    int rc;

    m->h = h;
    m->cfg = cfg;
    m->o = o;
    m->name_lock = -1;
    m->screen = -1;
    m->lock.fd = -1;
    if (o->held) {
        m->lock = *o->held;
        o->held->fd = -1;
    }
    m->backing = mem_alloc(cfg->nr_disks * sizeof(*m->backing));
    for (unsigned int i = 0; i < cfg->nr_disks; i++)
        m->backing[i].fd = -1;
    if (!cfg->has_uuid)
        uuid_random(cfg->uuid);
    cfg->has_uuid = true;
    rc = all_steps(m, plan ? plan : &own, e);
    if (rc == 0)
        *domid = m->domid;
    else
        undo_run(&m->undo);
    let_go(m);
    free(m);
    return rc ? -1 : 0;
}
