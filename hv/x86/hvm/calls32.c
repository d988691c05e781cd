/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls from 32-bit code: shapes, and the calls that have one structure. Calls whose arguments
 * look the same in both worlds go to their only handler by the table in glue/.
 */
#include "x86/hvm/calls32.h"

#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#include "lib/string.h"
#include "x86/hvm/calls32_handlers.h"

void *stage(struct vcpu *v)
{
    return hvm_vcpu(v)->stage;
}

void widen(const struct shape32 *s, const void *from32, void *to64)
{
    memset(to64, 0, s->size64);
    for (unsigned int i = 0; i < s->fields; i++)
        memcpy((uint8_t *)to64 + s->field[i].at64, (const uint8_t *)from32 + s->field[i].at32,
               s->field[i].bytes ?: 4);
}

void narrow(const struct shape32 *s, const void *from64, void *to32)
{
    memset(to32, 0, s->size32);
    for (unsigned int i = 0; i < s->fields; i++)
        memcpy((uint8_t *)to32 + s->field[i].at32, (const uint8_t *)from64 + s->field[i].at64,
               s->field[i].bytes ?: 4);
}

long call_shaped(struct vcpu *v, hc_fn *fn, const struct hc_args *args, unsigned int which,
                 const struct shape32 *s, unsigned int ways)
{
    struct hc_args wide = *args;
    gptr_t at = GPTR(args->a[which]);
    uint8_t in[64] = { 0 };
    long rc;

    if ((ways & SHAPE_IN) && guest_read(v, in, at, s->size32))
        return E(EFAULT);
    widen(s, in, stage(v));
    wide.a[which] = STAGE_BASE;
    rc = fn(v, &wide);
    if (rc == HC_RESTART) {
        v->restart_args.a[which] = at.v;
        return rc;
    }
    if (!(ways & SHAPE_OUT) || rc < 0)
        return rc;
    narrow(s, stage(v), in);
    return guest_write(v, at, in, s->size32) ? E(EFAULT) : rc;
}

long hypercall_dispatch32(struct vcpu *v, unsigned long nr, const struct hc_args *args)
{
    const struct domain *d = v->domain;
    const struct hypercall *h;
    bool outer = v->narrow;
    long rc;

    if (nr >= NR_HYPERCALLS)
        return E(ENOSYS);
    h = &hypercall_table[index_nospec(nr, NR_HYPERCALLS)];
    if (!(h->kinds[access_host(d)] & 1u << d->kind))
        return h->kinds[1] & 1u << d->kind ? E(EPERM) : E(ENOSYS);
    v->cpu->counts.calls[nr]++;
    if (!h->fn32)
        return E(ENOSYS);
    v->narrow = true;
    if (watching(WATCH_TRACE | WATCH_COSTS))
        rc = watched_hypercall(v, nr, args, h->fn32);
    else
        rc = h->fn32(v, args);
    v->narrow = outer;
    return rc;
}

/* --- calls with one structure --- */

long hc_xen_version32(struct vcpu *v, const struct hc_args *args)
{
    static const struct shape32 parameters = { 4, 8, 1, { { 0, 0, 0 } } };

    if (args->a[0] == XENVER_platform_parameters)
        return call_shaped(v, hc_xen_version, args, 1, &parameters, SHAPE_OUT);
    return hc_xen_version(v, args);
}

long hc_sched_op32(struct vcpu *v, const struct hc_args *args)
{
    static const struct shape32 poll = { 16, 24, 3, { { 0, 0, 0 }, { 4, 8, 4 }, { 8, 16, 8 } } };

    if (args->a[0] == SCHEDOP_poll)
        return call_shaped(v, hc_sched_op, args, 1, &poll, SHAPE_IN);
    return hc_sched_op(v, args);
}

long hc_set_timer_op32(struct vcpu *v, const struct hc_args *args)
{
    const struct hc_args wide = HC_ARGS(args->a[0] | args->a[1] << 32);

    return hc_set_timer_op(v, &wide);
}

long hc_vcpu_op32(struct vcpu *v, const struct hc_args *args)
{
    static const struct shape32 timer = { 12, 16, 2, { { 0, 0, 8 }, { 8, 8, 4 } } };
    /* Address of an area: a pointer, and room for one of eight bytes. */
    static const struct shape32 area = { 8, 8, 1, { { 0, 0, 0 } } };
    static const struct shape32 runstate = { 44, 48, 2, { { 0, 0, 4 }, { 4, 8, 40 } } };

    switch (args->a[0]) {
    case VCPUOP_set_singleshot_timer:
        return call_shaped(v, hc_vcpu_op, args, 2, &timer, SHAPE_IN);
    case VCPUOP_register_runstate_memory_area:
    case VCPUOP_register_vcpu_time_memory_area:
        return call_shaped(v, hc_vcpu_op, args, 2, &area, SHAPE_IN);
    case VCPUOP_get_runstate_info:
        return call_shaped(v, hc_vcpu_op, args, 2, &runstate, SHAPE_OUT);
    case VCPUOP_initialise: /* a hardware-assisted vCPU starts by INIT and SIPI */
        return E(EOPNOTSUPP);
    default:
        return hc_vcpu_op(v, args);
    }
}
