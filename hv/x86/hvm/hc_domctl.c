/* SPDX-License-Identifier: MIT */
/* domctl's operations on hardware-assisted domains: their context, their pool of nested tables. */
#include "core/hypercall.h"

#include <xen/arch-x86/cpufeatureset.h>
#include <xen/domctl.h>

#include "core/log.h"
#include "lib/macros.h"
#include "x86/hvm/context.h"
#include "x86/hvm/devices.h"
#include "x86/hvm/domain.h"
#include "x86/hvm/records.h"
#include "x86/policy/cpu_policy.h"
#include "x86/switch.h"

static long get_context(struct vcpu *v, struct domain *d, const struct context_table *t,
                        struct xen_domctl_hvmcontext *op, uint8_t *buf, void *scratch)
{
    long n;

    domain_pause(d, true);
    n = context_save(t, d, buf, context_size(t), scratch);
    domain_unpause(d);
    if (n < 0)
        return n;
    if (n > op->size)
        return E(ENOSPC);
    op->size = (uint32_t)n;
    return guest_write(v, HANDLE_PTR(op->buffer), buf, (size_t)n) ? E(EFAULT) : 0;
}

static long set_context(struct vcpu *v, struct domain *d, const struct context_table *t,
                        const struct xen_domctl_hvmcontext *op, uint8_t *buf, void *scratch)
{
    long rc;

    if (guest_read(v, buf, HANDLE_PTR(op->buffer), op->size))
        return E(EFAULT);
    domain_pause(d, true);
    rc = context_load(t, d, buf, op->size, scratch);
    if (rc == 0)
        hvm_context_loaded(d);
    domain_unpause(d);
    if (rc)
        log_refusal(d, "sethvmcontext: a record that it cannot have, or no records at all");
    return rc;
}

/* A buffer for as many bytes, and behind it CONTEXT_RECORD_MAX for one record. */
static uint8_t *get_buffer(size_t size, unsigned int *order)
{
    *order = 0;
    while (PAGE_SIZE << *order < size + CONTEXT_RECORD_MAX)
        ++*order;
    return frame_alloc_hv_order(*order);
}

static long op_context(struct vcpu *v, struct domain *d, struct xen_domctl_hvmcontext *op, bool set)
{
    struct context_table t = hvm_context_table(d);
    size_t size = ALIGN_UP(context_size(&t), 16);
    unsigned int order;
    uint8_t *buf;
    long rc;

    if (!set && !HANDLE_PTR(op->buffer).v) {
        op->size = (uint32_t)context_size(&t);
        return 0;
    }
    if (set && op->size > size)
        return E(EINVAL);
    buf = get_buffer(size, &order);
    if (!buf)
        return E(ENOMEM);
    rc = set ? set_context(v, d, &t, op, buf, buf + size)
             : get_context(v, d, &t, op, buf, buf + size);
    hc_charge((int32_t)d->max_vcpus * 8);
    frame_free_hv_order(buf, order);
    return rc;
}

/* One record, without its descriptor. */
static long op_partial(struct vcpu *v, struct domain *d, struct xen_domctl_hvmcontext_partial *op)
{
    struct context_table t = hvm_context_table(d);
    void *rec;
    long n;

    if (op->type > UINT16_MAX)
        return E(EINVAL);
    rec = frame_alloc_hv();
    if (!rec)
        return E(ENOMEM);
    domain_pause(d, true);
    n = context_save_one(&t, d, (uint16_t)op->type, op->instance, rec);
    domain_unpause(d);
    if (n >= 0) {
        uint64_t room = op->bufsz;

        op->bufsz = (uint64_t)n;
        if (!HANDLE_PTR(op->buffer).v)
            n = 0;
        else if ((uint64_t)n > room)
            n = E(ENOSPC);
        else
            n = guest_write(v, HANDLE_PTR(op->buffer), rec, (size_t)n) ? E(EFAULT) : 0;
    }
    frame_free_hv(rec);
    return n;
}

/* The buttons of an HVM guest's PC; what they do is its system's choice. */
static long op_trigger(struct domain *d, uint32_t trigger)
{
    struct hvm_devices *dev = hvm_domain(d)->dev;
    uint16_t button;

    if (trigger == XEN_DOMCTL_SENDTRIGGER_POWER)
        button = PM_POWER_BUTTON;
    else if (trigger == XEN_DOMCTL_SENDTRIGGER_SLEEP)
        button = PM_SLEEP_BUTTON;
    else
        button = 0;
    if (!dev || !button) {
        log_refusal(d, "sendtrigger %u: %s", trigger,
                    dev ? "only the power and the sleep button are there" : "it has no buttons");
        return E(EOPNOTSUPP);
    }
    spin_lock(&dev->lock);
    vpm_press(&dev->pm, button);
    spin_unlock(&dev->lock);
    return 0;
}

long hvm_domctl(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back)
{
    struct hvm_domain *hd = hvm_domain(d);

    if (domain_dying(d))
        return E(ESRCH);
    switch (op->cmd) {
    case XEN_DOMCTL_gethvmcontext:
    case XEN_DOMCTL_sethvmcontext:
        if (d == v->domain)
            return E(EINVAL);
        *copy_back = true;
        return op_context(v, d, &op->u.hvmcontext, op->cmd == XEN_DOMCTL_sethvmcontext);
    case XEN_DOMCTL_gethvmcontext_partial:
        if (d == v->domain)
            return E(EINVAL);
        *copy_back = true;
        return op_partial(v, d, &op->u.hvmcontext_partial);
    case XEN_DOMCTL_sendtrigger:
        return op_trigger(d, op->u.sendtrigger.trigger);
    case XEN_DOMCTL_set_paging_mempool_size:
        if (op->u.paging_mempool.size & ~PAGE_MASK || op->u.paging_mempool.size >> 44)
            return E(EINVAL);
        return p2m_set_limit(&hd->p2m, (uint32_t)(op->u.paging_mempool.size >> PAGE_SHIFT));
    case XEN_DOMCTL_get_paging_mempool_size:
        op->u.paging_mempool.size = (uint64_t)hd->p2m.tables_max << PAGE_SHIFT;
        *copy_back = true;
        return 0;
    default:
        return E(ENOSYS);
    }
}
