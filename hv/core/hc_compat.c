/* SPDX-License-Identifier: MIT */
/*
 * The forms that sched_op and event_channel_op had before 2005, which kernels of that age still
 * use. They carry the same operations, by another way of passing them.
 */
#include "core/hypercall.h"

#include <xen/event_channel.h>
#include <xen/sched.h>

#include "core/domain.h"

/* The reason of a shutdown is the argument itself. */
long hc_sched_op_compat(struct vcpu *v, const struct hc_args *args)
{
    switch ((uint32_t)args->a[0]) {
    case SCHEDOP_yield:
    case SCHEDOP_block:
        return hc_sched_op(v, args);
    case SCHEDOP_shutdown:
        if (args->a[1] > SHUTDOWN_MAX)
            return E(EINVAL);
        domain_shutdown(v->domain, (uint8_t)args->a[1]);
        return 0;
    default:
        return E(ENOSYS);
    }
}

/* Command and operand in one record: the operand is what event_channel_op takes. */
long hc_event_channel_op_compat(struct vcpu *v, const struct hc_args *args)
{
    struct hc_args new = { .a = { 0, args->a[0] + offsetof(struct evtchn_op, u) } };
    uint32_t cmd;

    if (guest_get(v, &cmd, GPTR(args->a[0])))
        return E(EFAULT);
    if (cmd > EVTCHNOP_unmask) /* the last one of that time; none of them gives way */
        return E(ENOSYS);
    new.a[0] = cmd;
    return hc_event_channel_op(v, &new);
}
