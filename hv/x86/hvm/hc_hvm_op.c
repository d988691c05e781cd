/* SPDX-License-Identifier: MIT */
/* hvm_op: parameters, and what a hardware-assisted guest says of itself. */
#include "core/hypercall.h"

#include <xen/hvm/hvm_op.h>
#include <xen/sched.h>

#include "core/access.h"
#include "core/log.h"
#include "x86/hvm/devices.h"
#include "x86/hvm/hypercall_page.h"
#include "x86/hvm/viridian.h"

#define VIA_TYPE(v) ((v) >> 56)
#define VIA_VALUE(v) ((v) & ((UINT64_C(1) << 56) - 1))
#define MIN_VECTOR 16u

/* What a guest, or its firmware, may say itself. */
static bool tools_only(uint32_t index)
{
    switch (index) {
    case HVM_PARAM_CALLBACK_IRQ:
    case HVM_PARAM_VM86_TSS:
    case HVM_PARAM_VM86_TSS_SIZED:
    case HVM_PARAM_VM_GENERATION_ID_ADDR:
    case HVM_PARAM_ACPI_IOPORTS_LOCATION:
    case HVM_PARAM_STORE_EVTCHN:
    case HVM_PARAM_CONSOLE_EVTCHN:
        return false;
    default:
        return true;
    }
}

/* Where the callback of val comes in, if by a wire. -EINVAL: there is no such wire. */
static long callback_wire(uint64_t val, struct virq_callback *to)
{
    uint64_t gsi = VIA_VALUE(val), device = (val >> 11) & 31, bus = (val >> 16) & 0xffffffff;

    *to = (struct virq_callback){ .via = CALLBACK_NONE };
    if (VIA_TYPE(val) == HVM_PARAM_CALLBACK_TYPE_PCI_INTX) {
        *to = (struct virq_callback){ .via = CALLBACK_INTX,
                                      .device = (uint8_t)device,
                                      .intx = (uint8_t)(val & 3) };
        return bus ? E(EINVAL) : 0;
    }
    if (VIA_TYPE(val) == HVM_PARAM_CALLBACK_TYPE_GSI && gsi)
        *to = (struct virq_callback){ .via = CALLBACK_GSI, .gsi = (uint8_t)gsi };
    return gsi >= VIOAPIC_NUM_PINS && to->via == CALLBACK_GSI ? E(EINVAL) : 0;
}

static long set_callback(struct hvm_domain *hd, uint64_t value)
{
    uint64_t type = VIA_TYPE(value);
    uint8_t vector = type == HVM_PARAM_CALLBACK_TYPE_VECTOR ? (uint8_t)value : 0;
    struct virq_callback wire;
    long rc = callback_wire(value, &wire);

    if (type > HVM_PARAM_CALLBACK_TYPE_VECTOR || rc) {
        log_refusal(&hd->x.d, "event upcall by %#lx: no vector, pin or INTx of bus 0", value);
        return type > HVM_PARAM_CALLBACK_TYPE_VECTOR ? E(EOPNOTSUPP) : rc;
    }
    if (vector && vector < MIN_VECTOR)
        return E(EINVAL);
    __atomic_store_n(&hd->callback_vector, vector, __ATOMIC_SEQ_CST);
    /*
     * A PVH domain has no wires: one that is named raises nothing there. Linux names one once its
     * vCPUs have upcall vectors of their own, only to tell the tools that it knows Xen.
     */
    if (hd->dev)
        hvm_callback_set(hd->dev, wire);
    return 0;
}

static long set_param(struct vcpu *v, struct hvm_domain *hd, const struct xen_hvm_param *p)
{
    long rc = 0;

    if (tools_only(p->index) && !access_ok(v->domain, &hd->x.d, ACCESS_CONTROL))
        return E(EPERM);
    switch (p->index) {
    case HVM_PARAM_CALLBACK_IRQ:
        rc = set_callback(hd, p->value);
        if (rc == 0 && v->domain == &hd->x.d)
            hvm_latch_layout(hvm_vcpu(v), v->narrow);
        break;
    case HVM_PARAM_VIRIDIAN:
        rc = viridian_set(hd, p->value);
        break;
    case HVM_PARAM_ALTP2M:
    case HVM_PARAM_NESTEDHVM:
        rc = p->value ? E(EOPNOTSUPP) : 0;
        break;
    case HVM_PARAM_TIMER_MODE:
        rc = p->value > HVMPTM_one_missed_tick_pending ? E(EINVAL) : 0;
        break;
    case HVM_PARAM_HPET_ENABLED:
    case HVM_PARAM_ACPI_IOPORTS_LOCATION:
        rc = p->value > 1 ? E(EINVAL) : 0;
        if (rc == 0 && hd->dev)
            hvm_devices_param(hd->dev, p->index, p->value);
        break;
    case HVM_PARAM_TRIPLE_FAULT_REASON:
        rc = p->value > SHUTDOWN_MAX ? E(EINVAL) : 0;
        break;
    }
    if (rc == 0)
        __atomic_store_n(&hd->params[index_nospec(p->index, HVM_NR_PARAMS)], p->value,
                         __ATOMIC_RELAXED);
    return rc;
}

static long get_param(struct hvm_domain *hd, struct xen_hvm_param *p)
{
    p->value = __atomic_load_n(&hd->params[index_nospec(p->index, HVM_NR_PARAMS)],
                               __ATOMIC_RELAXED);
    return 0;
}

static long op_param(struct vcpu *v, gptr_t arg, bool set)
{
    struct xen_hvm_param p;
    struct domain *d;
    long rc;

    if (guest_get(v, &p, arg))
        return E(EFAULT);
    if (p.index >= HVM_NR_PARAMS)
        return E(EINVAL);
    d = domain_get_self(v, p.domid);
    if (!d)
        return E(ESRCH);
    if (!access_ok(v->domain, d, ACCESS_INSPECT))
        rc = E(EPERM);
    else if (d->kind != GUEST_HVM)
        rc = E(EINVAL);
    else
        rc = set ? set_param(v, hvm_domain(d), &p) : get_param(hvm_domain(d), &p);
    domain_put(d);
    if (rc == 0 && !set && guest_put(v, arg, &p))
        rc = E(EFAULT);
    return rc;
}

static long op_upcall_vector(struct vcpu *v, gptr_t arg)
{
    struct xen_hvm_evtchn_upcall_vector op;
    struct domain *d = v->domain;
    struct vcpu *target;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.vector < MIN_VECTOR)
        return E(EINVAL);
    if (op.vcpu >= d->max_vcpus)
        return E(ENOENT);
    target = d->vcpu[index_nospec(op.vcpu, MAX_VCPUS)];
    if (!target)
        return E(ENOENT);
    __atomic_store_n(&hvm_vcpu(target)->upcall_vector, op.vector, __ATOMIC_SEQ_CST);
    if (target->id == 0 && hvm_domain(d)->dev) /* a wire goes down */
        hvm_ask(hvm_vcpu(target), HVMX_CALLBACK);
    /* What became pending before had no vector to come by, and would never raise one again. */
    if (__atomic_load_n(&target->info->evtchn_upcall_pending, __ATOMIC_SEQ_CST))
        d->ops->upcall(target);
    return 0;
}

static long op_get_mem_type(struct vcpu *v, gptr_t arg)
{
    struct xen_hvm_get_mem_type op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.domid != DOMID_SELF && op.domid != v->domain->id)
        return E(EPERM);
    switch (p2m_lookup(&hvm_domain(v->domain)->p2m, GFN(op.pfn)).type) {
    case P2M_RAM:
        op.mem_type = HVMMEM_ram_rw;
        break;
    case P2M_RAM_RO:
        op.mem_type = HVMMEM_ram_ro;
        break;
    default:
        op.mem_type = HVMMEM_mmio_dm;
    }
    return guest_put(v, arg, &op) ? E(EFAULT) : 0;
}

static long op_get_time(struct vcpu *v, gptr_t arg)
{
    struct xen_hvm_get_time op = { .now = arch_now() };

    return guest_put(v, arg, &op) ? E(EFAULT) : 0;
}

long hc_hvm_op(struct vcpu *v, const struct hc_args *args)
{
    gptr_t arg = GPTR(args->a[1]);
    unsigned long op = args->a[0];

    if (op == HVMOP_set_param || op == HVMOP_get_param)
        return op_param(v, arg, op == HVMOP_set_param);
    if (v->domain->kind != GUEST_HVM) /* the rest is about the caller itself */
        return E(ENOSYS);
    switch (op) {
    case HVMOP_set_evtchn_upcall_vector:
        return op_upcall_vector(v, arg);
    case HVMOP_get_mem_type:
        return op_get_mem_type(v, arg);
    case HVMOP_get_time:
        return op_get_time(v, arg);
    case HVMOP_flush_tlbs:
        return 0;
    default:
        /* pagetable_dying too, a hint for shadow tables: refused, Linux does not give it at each
         * exec and exit. */
        return E(ENOSYS);
    }
}
