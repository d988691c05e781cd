/* SPDX-License-Identifier: MIT */
/*
 * The hypercalls of PV guests as the entry code wants them: for each privilege an array of handlers
 * by number, in which one that refuses stands where a guest of that privilege may call nothing. It
 * says what hypercall_dispatch() says. Filled with the first PV domain, constant afterwards; no
 * lock: domains are made one at a time.
 */
#include "core/access.h"
#include "core/hypercall.h"
#include "x86/pv/pv.h"

static hc_fn *calls[2][NR_HYPERCALLS];

static long no_call(struct vcpu *v, const struct hc_args *args)
{
    (void)v, (void)args;
    return E(ENOSYS);
}

static long no_privilege(struct vcpu *v, const struct hc_args *args)
{
    (void)v, (void)args;
    return E(EPERM);
}

static hc_fn *handler_of(const struct hypercall *h, bool privileged)
{
    if (h->kinds[privileged] & BIT(GUEST_PV))
        return h->fn;
    return h->kinds[1] & BIT(GUEST_PV) ? no_privilege : no_call;
}

hc_fn *const *pv_calls_of(const struct domain *d)
{
    bool p = access_host(d);

    for (unsigned int i = 0; i < NR_HYPERCALLS && !calls[p][i]; i++)
        calls[p][i] = handler_of(&hypercall_table[i], p);
    return calls[p];
}
