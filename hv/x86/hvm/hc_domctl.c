/* SPDX-License-Identifier: MIT */
/* domctl's operations on hardware-assisted domains: their context, their pool of nested tables. */
#include "core/hypercall.h"

#include <xen/arch-x86/cpufeatureset.h>
#include <xen/domctl.h>

#include "core/log.h"
#include "lib/macros.h"
#include "x86/hvm/context.h"
#include "x86/hvm/domain.h"
#include "x86/hvm/records.h"
#include "x86/policy/cpu_policy.h"
#include "x86/switch.h"

/* --- the kinds of records --- */

static struct hvm_vcpu *vcpu_at(struct domain *d, unsigned int i)
{
    struct vcpu *c = i < d->max_vcpus ? d->vcpu[index_nospec(i, MAX_VCPUS)] : NULL;

    if (c)
        switch_sync(c); /* an idle CPU may still have it */
    return c ? hvm_vcpu(c) : NULL;
}

static int check_vcpu(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    (void)rec, (void)len;
    return vcpu_at(d, i) ? 0 : -XEN_EINVAL;
}

static uint32_t save_cpu(struct domain *d, unsigned int i, void *rec)
{
    struct hvm_vcpu *v = vcpu_at(d, i);

    if (!v)
        return 0;
    hvm_cpu_to_record(v, rec);
    return sizeof(struct hvm_hw_cpu);
}

static int check_cpu(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    struct hvm_vcpu *v = vcpu_at(d, i);

    (void)len;
    return v && hvm_cpu_record_ok(v, rec) ? 0 : -XEN_EINVAL;
}

/* A vCPU that has registers runs. */
static void load_cpu(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    struct hvm_vcpu *v = vcpu_at(d, i);

    (void)len;
    hvm_cpu_from_record(v, rec);
    v->x.v.initialised = true;
    __atomic_fetch_and(&v->x.v.pause_flags, ~(uint32_t)VP_DOWN, __ATOMIC_SEQ_CST);
    sched_wake(&v->x.v);
}

static uint32_t save_lapic(struct domain *d, unsigned int i, void *rec)
{
    struct hvm_vcpu *v = vcpu_at(d, i);

    if (!v)
        return 0;
    vlapic_save(&v->lapic, rec);
    return sizeof(struct hvm_hw_lapic);
}

static int check_lapic(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    const struct hvm_hw_lapic *r = rec;
    struct hvm_vcpu *v = vcpu_at(d, i);

    (void)len;
    return v && vlapic_base_ok(&v->lapic, r->apic_base_msr) ? 0 : -XEN_EINVAL;
}

static void load_lapic(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    (void)len;
    (void)vlapic_load(&vcpu_at(d, i)->lapic, rec);
}

static uint32_t save_lapic_regs(struct domain *d, unsigned int i, void *rec)
{
    struct hvm_vcpu *v = vcpu_at(d, i);

    if (!v)
        return 0;
    vlapic_save_regs(&v->lapic, rec);
    return sizeof(struct hvm_hw_lapic_regs);
}

static void load_lapic_regs(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    (void)len;
    vlapic_load_regs(&vcpu_at(d, i)->lapic, rec);
}

static uint32_t save_mtrr(struct domain *d, unsigned int i, void *rec)
{
    struct hvm_vcpu *v = vcpu_at(d, i);

    if (!v)
        return 0;
    hvm_mtrr_to_record(v, rec);
    return sizeof(struct hvm_hw_mtrr);
}

static int check_mtrr(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    (void)len;
    return vcpu_at(d, i) && hvm_mtrr_record_ok(rec) ? 0 : -XEN_EINVAL;
}

static void load_mtrr(struct domain *d, unsigned int i, const void *rec, uint32_t len)
{
    (void)len;
    hvm_mtrr_from_record(vcpu_at(d, i), rec);
}

#define KIND(name, type, instances, save, check, load)                                         \
    {                                                                                          \
        HVM_SAVE_CODE(name), sizeof(struct type), sizeof(struct type), instances, save, check, \
            load                                                                               \
    }
static const struct context_kind kinds[] = {
    KIND(CPU, hvm_hw_cpu, 0, save_cpu, check_cpu, load_cpu),
    KIND(LAPIC, hvm_hw_lapic, 0, save_lapic, check_lapic, load_lapic),
    KIND(LAPIC_REGS, hvm_hw_lapic_regs, 0, save_lapic_regs, check_vcpu, load_lapic_regs),
    KIND(MTRR, hvm_hw_mtrr, 0, save_mtrr, check_mtrr, load_mtrr),
};

static struct context_table table_of(const struct domain *d)
{
    return (struct context_table){ .kind = kinds,
                                   .nr = ARRAY_SIZE(kinds),
                                   .vcpus = d->max_vcpus,
                                   .cpuid = cpu_policy_ask(policy_of(d), 1, 0).a,
                                   .tsc_khz = policy_time.tsc_khz };
}

/* --- the calls --- */

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
    struct context_table t = table_of(d);
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
    struct context_table t = table_of(d);
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
