/* SPDX-License-Identifier: MIT */
/*
 * Each call acts on the calling vCPU, or on one that does not run (pv_set_trap): no locks.
 * Addresses may be anything canonical; what builds a frame checks address and selector again
 * (traps.c).
 */
#include "x86/pv/callback.h"

#include <xen/callback.h>
#include <xen/nmi.h>

#include "core/log.h"
#include "lib/string.h"
#include "x86/pv/desc.h"

bool pv_set_trap(struct pv_vcpu *v, const struct trap_info *t)
{
    if (!pv_canonical(t->address))
        return false;
    v->traps[t->vector] = (struct pv_trap){
        .address = t->address,
        .cs = t->cs | 3,
        .dpl = (uint8_t)TI_GET_DPL(t),
        .mask = TI_GET_IF(t) != 0,
    };
    return true;
}

long hc_set_trap_table(struct vcpu *v, const struct hc_args *args)
{
    unsigned long table = args->a[0];
    struct pv_vcpu *pv = pv_vcpu(v);
    struct trap_info t;
    gptr_t at;

    if (!table) {
        memset(pv->traps, 0, sizeof(pv->traps));
        return 0;
    }
    hc_charge(16);
    /* An end mark after at most one entry for each vector. */
    for (unsigned int i = 0; i <= ARRAY_SIZE(pv->traps); i++) {
        if (!gptr_index(GPTR(table), i, sizeof(t), &at) || guest_get(v, &t, at))
            return E(EFAULT);
        if (t.address == 0)
            return 0;
        if (!pv_set_trap(pv, &t)) {
            log_refusal(v->domain, "trap %u at %#lx, which is not canonical", t.vector, t.address);
            return E(EINVAL);
        }
    }
    log_refusal(v->domain, "trap table without an end");
    return E(EINVAL);
}

long hc_set_callbacks(struct vcpu *v, const struct hc_args *args)
{
    unsigned long event = args->a[0];
    unsigned long failsafe = args->a[1];
    unsigned long syscall = args->a[2];
    struct pv_vcpu *pv = pv_vcpu(v);

    pv->event = (struct pv_callback){ event, true };
    pv->failsafe = (struct pv_callback){ failsafe, false };
    pv->syscall_rip = syscall;
    pv_set_short_paths(pv);
    pv->syscall_mask = false;
    return 0;
}

static long set_callback(struct pv_vcpu *v, unsigned int type, uint64_t address, bool mask)
{
    if (!pv_canonical(address))
        return E(EINVAL);
    switch (type) {
    case CALLBACKTYPE_event: /* its entry always masks further ones */
        v->event = (struct pv_callback){ address, true };
        return 0;
    case CALLBACKTYPE_failsafe:
        v->failsafe = (struct pv_callback){ address, mask };
        return 0;
    case CALLBACKTYPE_syscall:
        v->syscall_rip = address;
        pv_set_short_paths(v);
        v->syscall_mask = mask;
        return 0;
    case CALLBACKTYPE_syscall32:
        v->syscall32_rip = address;
        v->syscall32_mask = mask;
        return 0;
    case CALLBACKTYPE_sysenter:
        v->sysenter_rip = address;
        v->sysenter_mask = mask;
        return 0;
    case CALLBACKTYPE_nmi:
        v->nmi = (struct pv_callback){ address, true };
        return 0;
    default:
        return E(ENOSYS);
    }
}

static long do_register(struct vcpu *v, gptr_t arg)
{
    struct callback_register r;

    if (guest_get(v, &r, arg))
        return E(EFAULT);
    return set_callback(pv_vcpu(v), r.type, r.address, r.flags & CALLBACKF_mask_events);
}

static long do_unregister(struct vcpu *v, gptr_t arg)
{
    struct callback_unregister u;

    if (guest_get(v, &u, arg))
        return E(EFAULT);
    switch (u.type) {
    case CALLBACKTYPE_event:
    case CALLBACKTYPE_failsafe:
    case CALLBACKTYPE_syscall:
    case CALLBACKTYPE_syscall32:
    case CALLBACKTYPE_sysenter:
        return E(EINVAL); /* these can only be replaced */
    default:
        return set_callback(pv_vcpu(v), u.type, 0, false);
    }
}

long hc_callback_op(struct vcpu *v, const struct hc_args *args)
{
    unsigned long arg = args->a[1];

    switch ((int)args->a[0]) {
    case CALLBACKOP_register:
        return do_register(v, GPTR(arg));
    case CALLBACKOP_unregister:
        return do_unregister(v, GPTR(arg));
    default:
        return E(ENOSYS);
    }
}

long hc_nmi_op(struct vcpu *v, const struct hc_args *args)
{
    struct xennmi_callback cb;

    switch ((unsigned int)args->a[0]) {
    case XENNMI_register_callback:
        if (v->id != 0 || !access_host(v->domain))
            return E(EINVAL);
        if (guest_get(v, &cb, GPTR(args->a[1])))
            return E(EFAULT);
        return set_callback(pv_vcpu(v), CALLBACKTYPE_nmi, cb.handler_address, true);
    case XENNMI_unregister_callback:
        return set_callback(pv_vcpu(v), CALLBACKTYPE_nmi, 0, true);
    default:
        return E(ENOSYS);
    }
}
