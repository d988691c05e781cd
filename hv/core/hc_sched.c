/* SPDX-License-Identifier: MIT */
/*
 * The sched_op hypercall: what a vCPU says about itself, and a tool about a domain's end. It
 * copies and checks arguments; sched.c, vcpu.c and domain.c act, under their own locks.
 * Watchdogs of a domain: domain.lock.
 */
#include "core/hypercall.h"

#include <xen/sched.h>

#include "core/evtchn.h"

#define MAX_POLL_PORTS 128
#define NS_PER_S 1000000000ull

static long op_block(struct vcpu *v)
{
    vcpu_set_upcall_mask(v, 0);
    vcpu_block(v);
    return 0;
}

static long op_yield(struct vcpu *v)
{
    sched_give_way(v);
    return 0;
}

/* Is one of the ports pending? 1, 0, or -errno for what is no list of ports. */
static long any_pending(struct vcpu *v, gptr_t ports, unsigned int nr, evtchn_port *first)
{
    evtchn_port list[MAX_POLL_PORTS];

    if (guest_read(v, list, ports, nr * sizeof(list[0])))
        return E(EFAULT);
    *first = nr ? list[0] : 0;
    for (unsigned int i = 0; i < nr; i++)
        if (list[i] >= evtchn_ports(v->domain) || list[i] == 0)
            return E(EINVAL);
    for (unsigned int i = 0; i < nr; i++)
        if (evtchn_is_pending(v->domain, list[i]))
            return 1;
    return 0;
}

static long op_poll(struct vcpu *v, gptr_t arg)
{
    struct sched_poll op;
    evtchn_port first = 0;
    gptr_t ports;
    long rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.nr_ports > MAX_POLL_PORTS)
        return E(EINVAL);
    if (__atomic_load_n(&v->poll_port, __ATOMIC_RELAXED) !=
        POLL_OFF) /* an upcall ended the last one */
        vcpu_end_poll(v);
    ports = GPTR(op.ports.p);
    rc = any_pending(v, ports, op.nr_ports, &first);
    if (rc || !vcpu_can_block(v))
        return rc < 0 ? rc : 0;
    __atomic_fetch_add(&v->domain->pollers, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_or(&v->pause_flags, VP_BLOCKED, __ATOMIC_SEQ_CST);
    __atomic_store_n(&v->poll_port,
                     op.nr_ports == 0   ? POLL_NONE
                     : op.nr_ports == 1 ? (int32_t)first
                                        : POLL_SEVERAL,
                     __ATOMIC_SEQ_CST);
    /* Marked as polling: an event from now on ends it, one that came before is seen here. */
    rc = any_pending(v, ports, op.nr_ports, &first);
    if (rc || !vcpu_can_block(v)) {
        vcpu_end_poll(v);
        return rc < 0 ? rc : 0;
    }
    if (op.timeout)
        timer_set(&v->poll_timer, v->cpu, op.timeout);
    else
        timer_stop(&v->poll_timer); /* an earlier poll's, which an event ended */
    pcpu_raise(v->cpu, WORK_SCHED);
    return 0;
}

static long op_shutdown(struct vcpu *v, gptr_t arg, bool latch_only)
{
    struct sched_shutdown op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.reason > SHUTDOWN_MAX)
        return E(EINVAL);
    if (latch_only)
        domain_latch_shutdown_code(v->domain, (uint8_t)op.reason);
    else
        domain_shutdown(v->domain, (uint8_t)op.reason);
    return 0;
}

static long op_remote_shutdown(struct vcpu *v, gptr_t arg)
{
    struct sched_remote_shutdown op;
    struct domain *d;
    long rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.reason > SHUTDOWN_MAX)
        return E(EINVAL);
    rc = access_domain_get(v, op.domain_id, ACCESS_CONTROL, &d);
    if (rc)
        return rc;
    if (d == v->domain)
        rc = E(EPERM);
    else
        domain_shutdown(d, (uint8_t)op.reason);
    domain_put(d);
    return rc;
}

/* A new watchdog: its id (from 1 on) or -errno. Lock held. */
static long new_watchdog(struct domain *d)
{
    for (unsigned int i = 0; i < NR_WATCHDOGS; i++) {
        if (!(d->watchdogs_on & 1u << i)) {
            d->watchdogs_on |= 1u << i;
            return i + 1;
        }
    }
    return E(ENOSPC);
}

static long op_watchdog(struct vcpu *v, gptr_t arg)
{
    struct sched_watchdog op;
    struct domain *d = v->domain;
    long id, rc = 0;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (op.id > NR_WATCHDOGS || (op.id == 0 && op.timeout == 0))
        return E(EINVAL);
    spin_lock(&d->lock);
    id = op.id ? (long)op.id : new_watchdog(d);
    if (id < 0) {
        rc = id;
    } else if (!(d->watchdogs_on & 1u << (id - 1))) {
        rc = E(EINVAL);
    } else if (op.timeout == 0) {
        timer_stop(&d->watchdog[id - 1]);
        d->watchdogs_on &= ~(1u << (id - 1));
    } else {
        timer_set(&d->watchdog[id - 1], v->cpu, arch_now() + op.timeout * NS_PER_S);
        rc = op.id ? 0 : id;
    }
    spin_unlock(&d->lock);
    return rc;
}

long hc_sched_op(struct vcpu *v, const struct hc_args *args)
{
    gptr_t p = GPTR(args->a[1]);

    switch ((uint32_t)args->a[0]) {
    case SCHEDOP_block:
        return op_block(v);
    case SCHEDOP_yield:
        return op_yield(v);
    case SCHEDOP_poll:
        return op_poll(v, p);
    case SCHEDOP_shutdown:
        return op_shutdown(v, p, false);
    case SCHEDOP_shutdown_code:
        return op_shutdown(v, p, true);
    case SCHEDOP_remote_shutdown:
        return op_remote_shutdown(v, p);
    case SCHEDOP_watchdog:
        return op_watchdog(v, p);
    default: /* pin_override: affinity is the tools' business */
        return E(ENOSYS);
    }
}
