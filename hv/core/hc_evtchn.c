/* SPDX-License-Identifier: MIT */
/* event_channel_op: copies the arguments in, finds the domains, calls the concept. */
#include "core/access.h"
#include "core/evtchn.h"
#include "core/hypercall.h"
#include "core/log.h"

static long op_alloc_unbound(struct vcpu *v, gptr_t arg)
{
    struct evtchn_alloc_unbound op;
    struct domain *d;
    int rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    d = domain_get_self(v, op.dom);
    if (!d)
        return E(ESRCH);
    rc = domain_controls(v->domain, d) ? 0 : -XEN_EPERM;
    if (rc == 0) {
        domid_t remote = op.remote_dom == DOMID_SELF ? v->domain->id : op.remote_dom;

        rc = evtchn_alloc_unbound(d, remote, &op.port);
    }
    if (rc == 0 && guest_put(v, arg, &op)) {
        evtchn_close(d, op.port);
        rc = -XEN_EFAULT;
    }
    domain_put(d);
    return rc;
}

static long op_bind_interdomain(struct vcpu *v, gptr_t arg)
{
    struct evtchn_bind_interdomain op;
    struct domain *remote;
    int rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    remote = domain_get_self(v, op.remote_dom);
    if (!remote)
        return E(ESRCH);
    rc = evtchn_bind_interdomain(v->domain, remote, op.remote_port, &op.local_port);
    domain_put(remote);
    if (rc == 0 && guest_put(v, arg, &op)) {
        evtchn_close(v->domain, op.local_port);
        rc = -XEN_EFAULT;
    }
    return rc;
}

/* After a port was opened in the caller's domain: tell the guest its number, or take it back. */
static long tell_port(struct vcpu *v, gptr_t arg, const void *op, size_t size, evtchn_port port)
{
    if (guest_write(v, arg, op, size) == 0)
        return 0;
    evtchn_close(v->domain, port);
    return E(EFAULT);
}

static long op_bind_virq(struct vcpu *v, gptr_t arg)
{
    struct evtchn_bind_virq op;
    int rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    rc = evtchn_bind_virq(v->domain, op.virq, op.vcpu, &op.port);
    return rc ? rc : tell_port(v, arg, &op, sizeof(op), op.port);
}

static long op_bind_ipi(struct vcpu *v, gptr_t arg)
{
    struct evtchn_bind_ipi op;
    int rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    rc = evtchn_bind_ipi(v->domain, op.vcpu, &op.port);
    return rc ? rc : tell_port(v, arg, &op, sizeof(op), op.port);
}

static long op_bind_pirq(struct vcpu *v, gptr_t arg)
{
    struct evtchn_bind_pirq op;
    int rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    rc = evtchn_bind_pirq(v->domain, op.pirq, op.flags & BIND_PIRQ__WILL_SHARE, &op.port);
    return rc ? rc : tell_port(v, arg, &op, sizeof(op), op.port);
}

static long op_bind_vcpu(struct vcpu *v, gptr_t arg)
{
    struct evtchn_bind_vcpu op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    return evtchn_bind_vcpu(v->domain, op.port, op.vcpu);
}

/* send, close and unmask have the port as their only argument. */
static long op_port(struct vcpu *v, unsigned int cmd, gptr_t arg)
{
    evtchn_port port;

    if (guest_get(v, &port, arg))
        return E(EFAULT);
    if (cmd == EVTCHNOP_send)
        return evtchn_send(v, port);
    if (cmd == EVTCHNOP_unmask)
        return evtchn_unmask(v->domain, port);
    return evtchn_is_hv(v->domain, port) ? E(EINVAL) : evtchn_close(v->domain, port);
}

static long op_status(struct vcpu *v, gptr_t arg)
{
    struct evtchn_status op;
    struct domain *d;
    int rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    d = domain_get_self(v, op.dom);
    if (!d)
        return E(ESRCH);
    rc = access_ok(v->domain, d, ACCESS_INSPECT) ? evtchn_status(d, &op) : -XEN_EPERM;
    domain_put(d);
    if (rc == 0 && guest_put(v, arg, &op))
        rc = -XEN_EFAULT;
    return rc;
}

static long op_reset(struct vcpu *v, gptr_t arg)
{
    struct evtchn_reset op;
    struct domain *d;
    long rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    d = domain_get_self(v, op.dom);
    if (!d)
        return E(ESRCH);
    rc = domain_controls(v->domain, d) ? evtchn_reset(d, d == v->domain) : E(EPERM);
    domain_put(d);
    if (rc == E(EAGAIN))
        return hc_restart(v, HC_ARGS(EVTCHNOP_reset, arg.v));
    return rc;
}

static long op_init_control(struct vcpu *v, gptr_t arg)
{
    struct evtchn_init_control op;
    int rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    rc = evtchn_init_control(v->domain, op.vcpu, op.control_gfn, op.offset);
    op.link_bits = EVTCHN_FIFO_LINK_BITS;
    if (rc == 0 && guest_put(v, arg, &op))
        rc = -XEN_EFAULT;
    return rc;
}

static long op_expand_array(struct vcpu *v, gptr_t arg)
{
    struct evtchn_expand_array op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    hc_charge(16);
    return evtchn_expand_array(v->domain, op.array_gfn);
}

static long op_set_priority(struct vcpu *v, gptr_t arg)
{
    struct evtchn_set_priority op;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    return evtchn_set_priority(v->domain, op.port, op.priority);
}

long hc_event_channel_op(struct vcpu *v, const struct hc_args *args)
{
    unsigned long cmd = args->a[0];
    gptr_t p = GPTR(args->a[1]);

    switch ((uint32_t)cmd) {
    case EVTCHNOP_send:
    case EVTCHNOP_unmask:
    case EVTCHNOP_close:
        return op_port(v, (uint32_t)cmd, p);
    case EVTCHNOP_bind_interdomain:
        return op_bind_interdomain(v, p);
    case EVTCHNOP_bind_virq:
        return op_bind_virq(v, p);
    case EVTCHNOP_bind_pirq:
        return op_bind_pirq(v, p);
    case EVTCHNOP_status:
        return op_status(v, p);
    case EVTCHNOP_alloc_unbound:
        return op_alloc_unbound(v, p);
    case EVTCHNOP_bind_ipi:
        return op_bind_ipi(v, p);
    case EVTCHNOP_bind_vcpu:
        return op_bind_vcpu(v, p);
    case EVTCHNOP_reset:
        return op_reset(v, p);
    case EVTCHNOP_init_control:
        return op_init_control(v, p);
    case EVTCHNOP_expand_array:
        return op_expand_array(v, p);
    case EVTCHNOP_set_priority:
        return op_set_priority(v, p);
    default:
        return E(ENOSYS);
    }
}
