/* SPDX-License-Identifier: MIT */
/* domctl: what Dom0's tools ask of a domain. */
#include "core/hc_domctl.h"

#include <xen/vcpu.h>

#include "core/access.h"
#include "core/clock.h"
#include "core/gfn.h"
#include "core/log.h"
#include "core/sched.h"
#include "lib/string.h"

spinlock_t domctl_lock = SPINLOCK_INIT(RANK_DOMCTL);

static uint32_t state_flags(const struct domain *d)
{
    uint32_t flags = 0;

    if (domain_dying(d))
        flags |= XEN_DOMINF_dying;
    if (d->was_shut_down)
        flags |= XEN_DOMINF_shutdown | (uint32_t)d->shutdown_code << XEN_DOMINF_shutdownshift;
    if (d->control_pauses)
        flags |= XEN_DOMINF_paused;
    if (d->ops->kind == GUEST_HVM) /* always with nested tables */
        flags |= XEN_DOMINF_hvm_guest | XEN_DOMINF_hap;
    return flags;
}

void domain_report(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    bool blocked = true, running = false;

    memset(info, 0, sizeof(*info));
    info->domain = d->id;
    info->max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
    for_each_vcpu (d, v) {
        struct vcpu_runstate_info rs;

        info->max_vcpu_id = v->id;
        vcpu_get_runstate(v, &rs);
        info->cpu_time += rs.time[RUNSTATE_running];
        if (vcpu_flags(v) & VP_DOWN)
            continue;
        info->nr_online_vcpus++;
        blocked &= (vcpu_flags(v) & VP_BLOCKED) != 0;
        running |= rs.state == RUNSTATE_running;
    }
    info->flags = state_flags(d) | (blocked ? XEN_DOMINF_blocked : 0) |
                  (running ? XEN_DOMINF_running : 0);
    info->tot_pages = domain_pages(d);
    info->outstanding_pages = d->claimed;
    info->max_pages = d->max_pages;
    info->shared_info_frame = gfn_of(d, d->shared_mfn);
    memcpy(info->handle, d->handle, sizeof(info->handle));
    info->cpupool = d->sched.pool;
    if (d->ops->report)
        d->ops->report(d, info);
}

static long op_getvcpuinfo(struct domain *d, struct xen_domctl_getvcpuinfo *op)
{
    struct vcpu *t = domctl_vcpu(d, op->vcpu);
    struct vcpu_runstate_info rs;

    if (op->vcpu >= d->max_vcpus)
        return E(EINVAL);
    if (!t)
        return E(ESRCH);
    vcpu_get_runstate(t, &rs);
    op->online = !(vcpu_flags(t) & VP_DOWN);
    op->blocked = (vcpu_flags(t) & VP_BLOCKED) != 0;
    op->running = __atomic_load_n(&t->sched.running, __ATOMIC_RELAXED);
    op->cpu_time = rs.time[RUNSTATE_running];
    op->cpu = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE)->id;
    return 0;
}

static long op_getaffinity(struct vcpu *v, struct domain *d, struct xen_domctl_vcpuaffinity *op)
{
    const struct vcpu *t = domctl_vcpu(d, op->vcpu);
    long rc = 0;

    if (!t)
        return op->vcpu >= d->max_vcpus ? E(EINVAL) : E(ESRCH);
    if (op->flags & XEN_VCPUAFFINITY_HARD)
        rc = bitmap_to_guest(v, &op->cpumap_hard, t->affinity.w, MAX_CPUS);
    if (rc == 0 && (op->flags & XEN_VCPUAFFINITY_SOFT))
        rc = bitmap_to_guest(v, &op->cpumap_soft, t->soft_affinity.w, MAX_CPUS);
    return rc;
}

/* Tools pass "all bits" of the CPUs they know for "everywhere": that goes for CPUs beyond, too. */
static void widen(struct cpumask *map)
{
    if (bitmap_first_zero(map->w, nr_pcpus) >= nr_pcpus)
        *map = cpumask_all;
}

static long op_setaffinity(struct vcpu *v, struct domain *d, struct xen_domctl_vcpuaffinity *op)
{
    struct vcpu *t = domctl_vcpu(d, op->vcpu);
    struct cpumask hard, soft, both;
    long rc = 0;

    if (!t)
        return op->vcpu >= d->max_vcpus ? E(EINVAL) : E(ESRCH);
    if ((op->flags & XEN_VCPUAFFINITY_HARD) &&
        (rc = cpumask_from_guest(v, &hard, &op->cpumap_hard)) != 0)
        return rc;
    if ((op->flags & XEN_VCPUAFFINITY_SOFT) &&
        (rc = cpumask_from_guest(v, &soft, &op->cpumap_soft)) != 0)
        return rc;
    if (op->flags & XEN_VCPUAFFINITY_HARD) {
        widen(&hard);
        rc = sched_set_affinity(t, &hard);
        if (rc == 0)
            rc = bitmap_to_guest(v, &op->cpumap_hard, t->affinity.w, nr_pcpus);
    }
    if (rc == 0 && (op->flags & XEN_VCPUAFFINITY_SOFT)) {
        widen(&soft);
        t->soft_affinity = soft;
        both = cpumask_and(&soft, &t->affinity);
        rc = bitmap_to_guest(v, &op->cpumap_soft, both.w, nr_pcpus);
    }
    return rc;
}

static long op_getcontext(struct vcpu *v, struct domain *d, struct xen_domctl_vcpucontext *op)
{
    const unsigned int order = sizeof(struct vcpu_guest_context) > PAGE_SIZE ? 1 : 0;
    struct vcpu *t = domctl_vcpu(d, op->vcpu);
    struct vcpu_guest_context *c;
    long rc = 0;

    if (!t || d == v->domain)
        return E(EINVAL);
    if (!t->initialised)
        return E(ENODATA);
    hc_charge(8);
    c = frame_alloc_hv_order(order);
    if (!c)
        return E(ENOMEM);
    domain_pause(d, true);
    d->ops->get_context(t, c);
    domain_unpause(d);
    if (guest_put(v, HANDLE_PTR(op->ctxt), c))
        rc = E(EFAULT);
    frame_free_hv_order(c, order);
    return rc;
}

static long op_pause(struct vcpu *v, struct domain *d)
{
    if (d == v->domain)
        return E(EINVAL);
    d->control_pauses++;
    domain_pause(d, true);
    return 0;
}

static long op_unpause(struct domain *d)
{
    if (d->control_pauses == 0) /* as the caller's own: what is paused makes no calls */
        return E(EINVAL);
    d->started = true;
    d->control_pauses--;
    domain_unpause(d);
    return 0;
}

static long op_max_mem(struct domain *d, const struct xen_domctl_max_mem *op)
{
    spin_lock(&d->page_lock);
    d->max_pages = op->max_memkb / (PAGE_SIZE / 1024);
    spin_unlock(&d->page_lock);
    return 0;
}

static long op_time_offset(struct domain *d, const struct xen_domctl_settimeoffset *op)
{
    spin_lock(&d->lock);
    d->time_offset_seconds = op->time_offset_seconds;
    spin_unlock(&d->lock);
    clock_publish_wallclock(d);
    return 0;
}

static long op_node_affinity(struct vcpu *v, struct xen_domctl_nodeaffinity *op)
{
    unsigned long node0 = 1;

    return bitmap_to_guest(v, &op->nodemap, &node0, 1);
}

static long do_domctl(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back)
{
    long rc;

    *copy_back = false;
    switch (op->cmd) {
    case XEN_DOMCTL_getdomaininfo:
        *copy_back = true;
        domain_report(d, &op->u.getdomaininfo);
        op->domain = d->id;
        return 0;
    case XEN_DOMCTL_getvcpuinfo:
        *copy_back = true;
        return op_getvcpuinfo(d, &op->u.getvcpuinfo);
    case XEN_DOMCTL_getvcpuaffinity:
        return op_getaffinity(v, d, &op->u.vcpuaffinity);
    case XEN_DOMCTL_setvcpuaffinity:
        return op_setaffinity(v, d, &op->u.vcpuaffinity);
    case XEN_DOMCTL_scheduler_op:
        *copy_back = true;
        return domctl_scheduler(v, d, &op->u.scheduler_op);
    case XEN_DOMCTL_getvcpucontext:
        return op_getcontext(v, d, &op->u.vcpucontext);
    case XEN_DOMCTL_pausedomain:
        return op_pause(v, d);
    case XEN_DOMCTL_unpausedomain:
        return op_unpause(d);
    case XEN_DOMCTL_max_mem:
        return op_max_mem(d, &op->u.max_mem);
    case XEN_DOMCTL_setdomainhandle:
        memcpy(d->handle, op->u.setdomainhandle.handle, sizeof(d->handle));
        return 0;
    case XEN_DOMCTL_settimeoffset:
        return op_time_offset(d, &op->u.settimeoffset);
    case XEN_DOMCTL_getnodeaffinity:
        return op_node_affinity(v, &op->u.nodeaffinity);
    case XEN_DOMCTL_setnodeaffinity:
        return 0;                /* one node: every choice is that one */
#ifdef XEN_DOMCTL_set_llc_colors /* since Xen 4.20, whose tools go on after this answer only */
    case XEN_DOMCTL_set_llc_colors:
        return E(EOPNOTSUPP);
#endif
    default:
        rc = domctl_life(v, d, op);
        if (rc == E(ENOSYS))
            rc = arch_domctl(v, d, op, copy_back);
        return rc == E(ENOSYS) ? d->ops->domctl(v, d, op, copy_back) : rc;
    }
}

/* The domain that op is about, with a reference. */
static struct domain *subject(struct vcpu *v, const struct xen_domctl *op)
{
    /* Tools walk the domains with this one: it means the first domain from there on. */
    if (op->cmd == XEN_DOMCTL_getdomaininfo)
        return domain_next(op->domain);
    return domain_get_self(v, op->domain);
}

static long locked_domctl(struct vcpu *v, struct xen_domctl *op, bool *copy_back)
{
    struct domain *d;
    long rc;

    if (op->cmd == XEN_DOMCTL_createdomain)
        return domctl_create(v, op);
    d = subject(v, op);
    if (!d)
        return E(ESRCH);
    rc = access_ok(v->domain, d, ACCESS_CONTROL) ? do_domctl(v, d, op, copy_back) : E(EPERM);
    domain_put(d);
    return rc;
}

long hc_domctl(struct vcpu *v, const struct hc_args *args)
{
    unsigned long arg = args->a[0];
    struct xen_domctl op;
    bool copy_back = true;
    long rc;

    if (guest_get(v, &op, GPTR(arg)))
        return E(EFAULT);
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
        return E(EACCES);
    if (!spin_trylock(&domctl_lock)) /* another CPU is at it: come again */
        return hc_restart(v, HC_ARGS(arg));
    rc = locked_domctl(v, &op, &copy_back);
    spin_unlock(&domctl_lock);
    if (rc == E(EAGAIN))
        return hc_restart(v, HC_ARGS(arg));
    /* Some errors, too, say more in op. */
    if (copy_back && guest_put(v, GPTR(arg), &op) && rc == 0)
        rc = E(EFAULT);
    return rc;
}
