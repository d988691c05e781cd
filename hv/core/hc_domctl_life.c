/* SPDX-License-Identifier: MIT */
/* domctl: making, starting and ending domains. All under the domctl lock. */
#include "core/hc_cpupool.h"
#include "core/hc_domctl.h"

#include <xen/vcpu.h>

#include "core/access.h"
#include "core/evtchn.h"
#include "core/grant.h"
#include "core/log.h"
#include "lib/string.h"

/* --- createdomain --- */

#define CDF_IGNORED \
    (XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_oos_off | XEN_DOMCTL_CDF_xs_domain | XEN_DOMCTL_CDF_hap)

/* What of the description this version cannot do, in words; NULL: nothing. */
static const char *unsupported(const struct xen_domctl_createdomain *c)
{
    if ((c->flags & XEN_DOMCTL_CDF_hvm) && !guest_kinds[GUEST_HVM])
        return "HVM and PVH guests need AMD SVM or Intel VMX, with nested paging: use a PV guest "
               "(type = \"pv\")";
    if (c->flags & XEN_DOMCTL_CDF_iommu)
        return "no IOMMU is in use";
    if (c->flags & ~(CDF_IGNORED | XEN_DOMCTL_CDF_MAX | (XEN_DOMCTL_CDF_MAX - 1)))
        return "a flag that nobody knows";
    if (c->flags & ~CDF_IGNORED)
        return "nested virtualisation, vPMU and measured boot are not there";
    if (c->vmtrace_size)
        return "vmtrace is not there";
#ifdef XEN_DOMCTL_ALTP2M_mode_mask /* since Xen 4.20 */
    if (c->altp2m_opts)
        return "altp2m is not there";
#endif
    return NULL;
}

/* What of the description is wrong, in words; NULL: nothing. Without a port a domain has no event
 * channels. */
static const char *nonsense(const struct xen_domctl_createdomain *c)
{
    if (c->max_vcpus == 0 || c->max_vcpus > MAX_VCPUS)
        return "no vCPUs, or more than there may be";
    if (XEN_DOMCTL_GRANT_version(c->grant_opts) == 0 ||
        (c->grant_opts & ~XEN_DOMCTL_GRANT_version_mask))
        return "grant options that nobody knows";
    return NULL;
}

static long apply_limits(struct domain *d, const struct xen_domctl_createdomain *c)
{
    long rc = grant_set_limits(d, (uint32_t)c->max_grant_frames, (uint32_t)c->max_maptrack_frames);

    return rc ? rc : evtchn_set_limit(d, c->max_evtchn_port);
}

static long new_domain(struct vcpu *v, domid_t id, const struct xen_domctl_createdomain *c)
{
    enum guest_kind kind = c->flags & XEN_DOMCTL_CDF_hvm ? GUEST_HVM : GUEST_PV;
    struct domain *d;
    long rc = guest_kinds[kind]->domain_create(id, c, &d);

    if (rc)
        return rc;
    memcpy(d->handle, c->handle, sizeof(d->handle));
    d->sched.pool = c->cpupool_id;
    rc = apply_limits(d, c);
    d->control_pauses = 1; /* until the first unpausedomain */
    d->pause_count = 1;
    domain_publish(d);
    if (rc) { /* holds nothing yet: one step is enough */
        log_refusal(v->domain, "createdomain: limits of grants or event channels out of range");
        while (domain_kill(d) == -XEN_EAGAIN)
            ;
    }
    return rc;
}

long domctl_create(struct vcpu *v, struct xen_domctl *op)
{
    const struct xen_domctl_createdomain *c = &op->u.createdomain;
    const char *why = unsupported(c);
    struct domain *d;
    domid_t id = op->domain;
    long rc;

    if (why) {
        log_refusal(v->domain, "createdomain: %s", why);
        return E(EOPNOTSUPP);
    }
    why = nonsense(c);
    if (why) {
        log_refusal(v->domain, "createdomain: %s", why);
        return E(EINVAL);
    }
    if (!cpupool_usable(c->cpupool_id)) {
        log_refusal(v->domain, "createdomain: no CPU pool %u with a CPU in it", c->cpupool_id);
        return E(ENOENT);
    }
    if (id > 0 && id < DOMID_FIRST_RESERVED) {
        d = domain_get(id);
        if (d) {
            domain_put(d);
            return E(EEXIST);
        }
    } else {
        id = domain_unused_id();
        if (id == DOMID_INVALID)
            return E(ENOMEM);
    }
    rc = new_domain(v, id, c);
    op->domain = id;
    return rc;
}

/* --- vCPUs --- */

#define VCPU_COST 4 /* in hc_preempt()'s units: some pages cleared */

/* Makes vCPUs 0 .. max-1; those that are there already stay. -EAGAIN: gave way, call again. */
static long op_max_vcpus(struct domain *d, uint32_t max)
{
    if (max == 0 || max > d->max_vcpus)
        return E(EINVAL);
    for (unsigned int i = 0; i < max; i++) {
        long rc = d->vcpu[i] ? 0 : d->ops->vcpu_create(d, i);

        if (rc)
            return rc;
        if (hc_preempt(VCPU_COST) && i + 1 < max)
            return E(EAGAIN);
    }
    return 0;
}

static void take_context(struct vcpu *t, const struct vcpu_guest_context *c)
{
    t->initialised = true;
    if (c->flags & VGCF_online)
        __atomic_fetch_and(&t->pause_flags, ~(uint32_t)VP_DOWN, __ATOMIC_SEQ_CST);
    else
        __atomic_fetch_or(&t->pause_flags, (uint32_t)VP_DOWN, __ATOMIC_SEQ_CST);
}

static long op_setcontext(struct vcpu *v, struct domain *d, const struct xen_domctl_vcpucontext *op)
{
    const unsigned int order = sizeof(struct vcpu_guest_context) > PAGE_SIZE ? 1 : 0;
    struct vcpu *t = domctl_vcpu(d, op->vcpu);
    struct vcpu_guest_context *c;
    long rc;

    if (!t)
        return op->vcpu >= d->max_vcpus ? E(EINVAL) : E(ESRCH);
    if (!op->ctxt.p)
        return E(EINVAL);
    hc_charge(8);
    c = frame_alloc_hv_order(order);
    if (!c)
        return E(ENOMEM);
    rc = guest_get(v, c, HANDLE_PTR(op->ctxt)) ? E(EFAULT) : 0;
    if (rc == 0) {
        domain_pause(d, true);
        rc = d->ops->set_context(t, c);
        if (rc == 0)
            take_context(t, c);
        else if (rc != E(EAGAIN))
            log_refusal(v->domain,
                        "setvcpucontext of d%uv%u: registers, tables or descriptors "
                        "that a guest may not have (%ld)",
                        d->id, t->id, rc);
        domain_unpause(d);
    }
    frame_free_hv_order(c, order);
    return rc;
}

/* --- the end --- */

static long op_destroy(struct vcpu *v, struct domain *d)
{
    if (d == dom0) {
        log_refusal(v->domain, "destroydomain: Domain 0 ends by switching off the machine");
        return E(EINVAL);
    }
    return domain_kill(d);
}

/* The domain that a device model serves. */
static long op_set_target(struct domain *d, domid_t target)
{
    struct domain *t = target == d->id ? NULL : domain_get(target);

    if (!t)
        return E(ESRCH);
    /* Not the id, which another domain may have one day. */
    __atomic_store_n(&d->target, t->serial, __ATOMIC_RELAXED);
    domain_put(t);
    return 0;
}

long domctl_life(struct vcpu *v, struct domain *d, struct xen_domctl *op)
{
    /* Nobody does these to itself, or to a domain that goes. */
    long no = d == v->domain ? E(EINVAL) : domain_dying(d) ? E(ESRCH) : 0;

    if (op->cmd == XEN_DOMCTL_destroydomain)
        return d == v->domain && d != dom0 ? E(EINVAL) : op_destroy(v, d);
    switch (op->cmd) {
    case XEN_DOMCTL_max_vcpus:
        return no ? no : op_max_vcpus(d, op->u.max_vcpus.max);
    case XEN_DOMCTL_setvcpucontext:
        return no ? no : op_setcontext(v, d, &op->u.vcpucontext);
    case XEN_DOMCTL_resumedomain:
        return no ? no : domain_resume(d);
    case XEN_DOMCTL_set_target:
        return no ? no : op_set_target(d, (domid_t)op->u.set_target.target);
    case XEN_DOMCTL_sendtrigger: {
        struct vcpu *t = domctl_vcpu(d, op->u.sendtrigger.vcpu);

        if (no)
            return no;
        if (op->u.sendtrigger.trigger != XEN_DOMCTL_SENDTRIGGER_NMI) /* a machine's buttons */
            return d->kind == GUEST_HVM ? E(ENOSYS) : E(EINVAL);
        return t ? d->ops->send_nmi(t) : E(ESRCH);
    }
    default:
        return E(ENOSYS);
    }
}
