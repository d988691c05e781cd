/* SPDX-License-Identifier: MIT */
/* vcpu_op: a guest's control of its own vCPUs. */
#include "core/hypercall.h"

#include <xen/sched.h>
#include <xen/vcpu.h>

#include "core/clock.h"
#include "core/gfn.h"
#include "core/shared_info.h"
#include "lib/string.h"

#define MIN_PERIOD_NS 1000000ull
#define MAX_PERIOD_NS ((1ull << 62) - 1)

static long op_initialise(struct vcpu *v, struct vcpu *target, gptr_t arg)
{
    const unsigned int order = sizeof(struct vcpu_guest_context) > PAGE_SIZE ? 1 : 0;
    struct domain *d = v->domain;
    struct vcpu_guest_context *c;
    long rc;

    _Static_assert(sizeof(struct vcpu_guest_context) <= 2 * PAGE_SIZE, "order 1");
    hc_charge(16);
    c = frame_alloc_hv_order(order);
    if (!c)
        return E(ENOMEM);
    rc = guest_get(v, c, arg) ? E(EFAULT) : 0;
    if (rc == 0) {
        spin_lock(&d->lock);
        rc = target->initialised ? E(EEXIST) : d->ops->set_context(target, c);
        if (rc == 0)
            target->initialised = true;
        spin_unlock(&d->lock);
    }
    frame_free_hv_order(c, order);
    if (rc == E(EAGAIN)) /* its page tables are being checked: pending work first */
        return hc_restart(v, HC_ARGS(VCPUOP_initialise, target->id, arg.v));
    return rc;
}

static long op_up(struct vcpu *target)
{
    if (!target->initialised)
        return E(EINVAL);
    if (__atomic_fetch_and(&target->pause_flags, ~(uint32_t)VP_DOWN, __ATOMIC_SEQ_CST) & VP_DOWN)
        sched_wake(target);
    return 0;
}

/* The last vCPU that is up takes its domain with it: nobody could bring one up again. */
static long op_down(struct vcpu *target)
{
    struct domain *d = target->domain;
    bool others = false, was_up = false;

    spin_lock(&d->lock);
    for_each_vcpu (d, v)
        if (v != target && !(vcpu_flags(v) & VP_DOWN))
            others = true;
    if (others)
        was_up = !(__atomic_fetch_or(&target->pause_flags, VP_DOWN, __ATOMIC_SEQ_CST) & VP_DOWN);
    spin_unlock(&d->lock);
    if (!others)
        domain_shutdown(d, SHUTDOWN_poweroff);
    else if (was_up)
        sched_sleep(target);
    return 0;
}

static long op_get_runstate(struct vcpu *v, struct vcpu *target, gptr_t arg)
{
    struct vcpu_runstate_info info;

    memset(&info, 0, sizeof(info));
    vcpu_get_runstate(target, &info);
    return guest_put(v, arg, &info) ? E(EFAULT) : 0;
}

static long op_register_runstate(struct vcpu *v, struct vcpu *target, gptr_t arg)
{
    struct vcpu_register_runstate_memory_area op;
    struct vcpu_runstate_info info;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.addr.p == 0) {
        __atomic_store_n(&target->runstate.area.v, 0, __ATOMIC_RELAXED);
        return 0;
    }
    vcpu_get_runstate(target, &info);
    if (clock_put_runstate(v, GPTR(op.addr.p), &info, v->narrow))
        return E(EFAULT);
    __atomic_store_n(&target->runstate.narrow, v->narrow, __ATOMIC_RELAXED);
    __atomic_store_n(&target->runstate.area.v, op.addr.p, __ATOMIC_RELAXED);
    return 0;
}

static long op_register_time(struct vcpu *v, struct vcpu *target, gptr_t arg)
{
    struct vcpu_register_time_memory_area op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    __atomic_store_n(&target->time_area.v, op.addr.p, __ATOMIC_RELAXED);
    if (target == v)
        clock_update_vcpu(v);
    else
        __atomic_store_n(&target->time_stamp, 0, __ATOMIC_RELAXED); /* at its next entry */
    return 0;
}

/*
 * From now on v's vcpu_info lives in the guest's frame. Events that went to the old place meanwhile
 * are not lost: everything counts as pending once.
 */
static void move_info(struct vcpu *v, struct frame *f, uint32_t offset)
{
    struct vcpu_info *info = (void *)((uint8_t *)arch_map(frame_mfn(f)) + offset);

    memmove(info, v->info, sizeof(*info)); /* it may move within the shared_info page */
    v->info_frame = f;
    __atomic_store_n(&v->info, info, __ATOMIC_SEQ_CST);
    shared_select_all(v, info);
    __atomic_store_n(&info->evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
    if (v->domain->ops->upcall)
        v->domain->ops->upcall(v);
}

static long op_register_info(struct vcpu *v, struct vcpu *target, gptr_t arg)
{
    struct vcpu_register_vcpu_info op;
    struct domain *d = v->domain;
    struct frame *f;
    long rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    /*
     * Atomic operations on it must not cross a cache line, in the narrow layout or, should the
     * guest change over to it, the wide one.
     */
    if (op.offset > PAGE_SIZE - sizeof(struct vcpu_info) ||
        op.offset % (shared_is_narrow(d) ? sizeof(uint32_t) : sizeof(xen_ulong_t)) != 0 ||
        (op.offset + offsetof(struct vcpu_info, evtchn_pending_sel)) % 64 >
            64 - sizeof(xen_ulong_t))
        return E(ENXIO);
    if (target != v && !(vcpu_flags(target) & VP_DOWN))
        return E(EINVAL);
    if (gfn_get(d, GFN(op.mfn), GFN_WRITE | GFN_MAP, &f))
        return E(EINVAL);
    spin_lock(&d->lock);
    rc = target->info_frame ? E(EINVAL) : 0; /* once per vCPU */
    if (rc == 0)
        move_info(target, f, op.offset);
    spin_unlock(&d->lock);
    if (rc)
        gfn_put(f, GFN_WRITE | GFN_MAP);
    return rc;
}

static long op_set_periodic(struct vcpu *v, struct vcpu *target, gptr_t arg)
{
    struct vcpu_set_periodic_timer op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.period_ns < MIN_PERIOD_NS || op.period_ns > MAX_PERIOD_NS)
        return E(EINVAL);
    vcpu_set_period(target, op.period_ns);
    return 0;
}

static long op_set_singleshot(struct vcpu *v, struct vcpu *target, gptr_t arg)
{
    struct vcpu_set_singleshot_timer op;

    if (target != v)
        return E(EINVAL);
    if (guest_get(v, &op, arg))
        return E(EFAULT);
    /* A time that is over, whatever the flag says: the event comes at once. Times are signed. */
    if (op.timeout_abs_ns == 0 || op.timeout_abs_ns > INT64_MAX)
        op.timeout_abs_ns = 1;
    vcpu_set_singleshot(v, op.timeout_abs_ns);
    return 0;
}

static long op_get_physid(struct vcpu *v, struct vcpu *target, gptr_t arg)
{
    struct vcpu_get_physid op;
    unsigned int cpu = cpumask_single(&target->affinity);

    /* The answer means something only for a vCPU that cannot move. */
    if (cpu >= nr_pcpus)
        return E(EINVAL);
    op.phys_id = arch_physid(cpu);
    return guest_put(v, arg, &op) ? E(EFAULT) : 0;
}

long hc_vcpu_op(struct vcpu *v, const struct hc_args *args)
{
    unsigned long id = args->a[1];
    struct domain *d = v->domain;
    struct vcpu *target = v;
    gptr_t p = GPTR(args->a[2]);

    id = (uint32_t)id;
    if (id != v->id) {
        if (id >= d->max_vcpus || !(target = d->vcpu[index_nospec(id, MAX_VCPUS)]))
            return E(ENOENT);
    }
    if (__builtin_expect((uint32_t)args->a[0] == VCPUOP_set_singleshot_timer, 1))
        return op_set_singleshot(v, target, p);
    switch ((uint32_t)args->a[0]) {
    case VCPUOP_stop_singleshot_timer:
        if (target != v)
            return E(EINVAL);
        vcpu_set_singleshot(v, 0);
        return 0;
    case VCPUOP_initialise:
        return op_initialise(v, target, p);
    case VCPUOP_up:
        return op_up(target);
    case VCPUOP_down:
        return op_down(target);
    case VCPUOP_is_up:
        return !(__atomic_load_n(&target->pause_flags, __ATOMIC_RELAXED) & VP_DOWN);
    case VCPUOP_get_runstate_info:
        return op_get_runstate(v, target, p);
    case VCPUOP_register_runstate_memory_area:
        return op_register_runstate(v, target, p);
    case VCPUOP_set_periodic_timer:
        return op_set_periodic(v, target, p);
    case VCPUOP_stop_periodic_timer:
        vcpu_set_period(target, 0);
        return 0;
    case VCPUOP_register_vcpu_info:
        return op_register_info(v, target, p);
    case VCPUOP_send_nmi:
        return d->ops->send_nmi(target);
    case VCPUOP_get_physid:
        return op_get_physid(v, target, p);
    case VCPUOP_register_vcpu_time_memory_area:
        return op_register_time(v, target, p);
    default:
        return E(ENOSYS);
    }
}
