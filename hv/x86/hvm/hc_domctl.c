/* SPDX-License-Identifier: MIT */
/* domctl's operations on hardware-assisted domains: their context, their pool of nested tables. */
#include "core/hypercall.h"

#include <xen/arch-x86/cpufeatureset.h>
#include <xen/domctl.h>

#include "core/log.h"
#include "lib/string.h"
#include "x86/hvm/domain.h"
#include "x86/hvm/records.h"
#include "x86/policy/cpu_policy.h"
#include "x86/switch.h"

/* Largest record that there is; records are copied through it. */
union record {
    struct hvm_save_header header;
    struct hvm_hw_cpu cpu;
    struct hvm_hw_mtrr mtrr;
    struct hvm_hw_lapic lapic;
    struct hvm_hw_lapic_regs lapic_regs;
};
_Static_assert(sizeof(union record) <= PAGE_SIZE, "one page");

/* Where records go to, or come from, in the tools' buffer. */
struct stream {
    struct vcpu *v; /* who asks */
    gptr_t at;
    uint32_t done, size;
    union record *r;
};

static long put(struct stream *s, uint16_t type, uint16_t instance, uint32_t len)
{
    struct hvm_save_descriptor d = { type, instance, len };

    if (s->size - s->done < sizeof(d) + len)
        return E(ENOSPC);
    if (guest_put(s->v, gptr_add(s->at, s->done), &d) ||
        guest_write(s->v, gptr_add(s->at, s->done + sizeof(d)), s->r, len))
        return E(EFAULT);
    s->done += (uint32_t)sizeof(d) + len;
    return 0;
}

#define PUT(s, name, instance, field) put(s, HVM_SAVE_CODE(name), instance, sizeof((s)->r->field))

static long put_header(struct stream *s, const struct domain *d)
{
    const struct cpu_policy *p = policy_of(d);

    s->r->header = (struct hvm_save_header){ .magic = HVM_FILE_MAGIC,
                                             .version = HVM_FILE_VERSION,
                                             .changeset = ~0ull,
                                             .cpuid = cpu_policy_ask(p, 1, 0).a,
                                             .gtsc_khz = policy_time.tsc_khz };
    return PUT(s, HEADER, 0, header);
}

/* All records of a kind, one after the other, as the ABI has them. */
static long put_vcpus(struct stream *s, struct domain *d, uint16_t type)
{
    long rc = 0;

    for (unsigned int i = 0; rc == 0 && i < d->max_vcpus; i++) {
        struct hvm_vcpu *v = d->vcpu[i] ? hvm_vcpu(d->vcpu[i]) : NULL;

        if (!v)
            continue;
        switch (type) {
        case HVM_SAVE_CODE(CPU):
            switch_sync(&v->x.v);
            hvm_cpu_to_record(v, &s->r->cpu);
            rc = PUT(s, CPU, (uint16_t)i, cpu);
            break;
        case HVM_SAVE_CODE(LAPIC):
            vlapic_save(&v->lapic, &s->r->lapic);
            rc = PUT(s, LAPIC, (uint16_t)i, lapic);
            break;
        case HVM_SAVE_CODE(LAPIC_REGS):
            vlapic_save_regs(&v->lapic, &s->r->lapic_regs);
            rc = PUT(s, LAPIC_REGS, (uint16_t)i, lapic_regs);
            break;
        case HVM_SAVE_CODE(MTRR):
            hvm_mtrr_to_record(v, &s->r->mtrr);
            rc = PUT(s, MTRR, (uint16_t)i, mtrr);
            break;
        }
    }
    return rc;
}

static uint32_t context_size(const struct domain *d)
{
    const uint32_t desc = sizeof(struct hvm_save_descriptor);
    uint32_t vcpu = 4 * desc +
                    (uint32_t)(sizeof(struct hvm_hw_cpu) + sizeof(struct hvm_hw_mtrr) +
                               sizeof(struct hvm_hw_lapic) + sizeof(struct hvm_hw_lapic_regs));

    return 2 * desc + (uint32_t)sizeof(struct hvm_save_header) + d->max_vcpus * vcpu;
}

static long get_context(struct stream *s, struct domain *d)
{
    static const uint16_t types[] = { HVM_SAVE_CODE(CPU), HVM_SAVE_CODE(LAPIC),
                                      HVM_SAVE_CODE(LAPIC_REGS), HVM_SAVE_CODE(MTRR) };
    long rc = put_header(s, d);

    for (unsigned int i = 0; rc == 0 && i < ARRAY_SIZE(types); i++)
        rc = put_vcpus(s, d, types[i]);
    return rc ? rc : put(s, HVM_SAVE_CODE(END), 0, 0);
}

/* The record in s->r for vCPU `instance`, whose length is len. */
static long take(struct stream *s, struct domain *d, const struct hvm_save_descriptor *h)
{
    struct vcpu *c = h->instance < d->max_vcpus ? d->vcpu[index_nospec(h->instance, MAX_VCPUS)]
                                                : NULL;
    struct hvm_vcpu *v = c ? hvm_vcpu(c) : NULL;

    if (h->typecode == HVM_SAVE_CODE(HEADER))
        return h->length == sizeof(s->r->header) && s->r->header.magic == HVM_FILE_MAGIC
                   ? 0
                   : E(EINVAL);
    if (!v)
        return E(EINVAL);
    switch_sync(c);
    switch (h->typecode) {
    case HVM_SAVE_CODE(CPU):
        if (h->length != sizeof(s->r->cpu) || hvm_cpu_from_record(v, &s->r->cpu))
            return E(EINVAL);
        c->initialised = true;
        __atomic_fetch_and(&c->pause_flags, ~(uint32_t)VP_DOWN, __ATOMIC_SEQ_CST);
        sched_wake(c);
        return 0;
    case HVM_SAVE_CODE(MTRR):
        return h->length == sizeof(s->r->mtrr) ? hvm_mtrr_from_record(v, &s->r->mtrr) : E(EINVAL);
    case HVM_SAVE_CODE(LAPIC):
        return h->length == sizeof(s->r->lapic) ? vlapic_load(&v->lapic, &s->r->lapic) : E(EINVAL);
    case HVM_SAVE_CODE(LAPIC_REGS):
        if (h->length != sizeof(s->r->lapic_regs))
            return E(EINVAL);
        vlapic_load_regs(&v->lapic, &s->r->lapic_regs);
        return 0;
    default:
        log_refusal(d, "sethvmcontext: record %u is not there", h->typecode);
        return E(EINVAL);
    }
}

static long set_context(struct stream *s, struct domain *d)
{
    struct hvm_save_descriptor h;
    long rc = 0;

    while (rc == 0) {
        if (s->size - s->done < sizeof(h))
            return E(EINVAL);
        if (guest_get(s->v, &h, gptr_add(s->at, s->done)))
            return E(EFAULT);
        s->done += sizeof(h);
        if (h.typecode == HVM_SAVE_CODE(END))
            return 0;
        if (h.length > sizeof(*s->r) || h.length > s->size - s->done)
            return E(EINVAL);
        memset(s->r, 0, sizeof(*s->r));
        if (guest_read(s->v, s->r, gptr_add(s->at, s->done), h.length))
            return E(EFAULT);
        s->done += h.length;
        rc = take(s, d, &h);
    }
    return rc;
}

static long op_context(struct vcpu *v, struct domain *d, struct xen_domctl_hvmcontext *op, bool set)
{
    struct stream s = { .v = v, .at = HANDLE_PTR(op->buffer), .size = op->size };
    long rc;

    if (!set && !s.at.v) {
        op->size = context_size(d);
        return 0;
    }
    s.r = frame_alloc_hv();
    if (!s.r)
        return E(ENOMEM);
    domain_pause(d, true);
    rc = set ? set_context(&s, d) : get_context(&s, d);
    domain_unpause(d);
    hc_charge((int32_t)d->max_vcpus * 8);
    frame_free_hv(s.r);
    if (!set)
        op->size = s.done;
    return rc;
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
