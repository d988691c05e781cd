/* SPDX-License-Identifier: MIT */
#include "core/hypercall.h"

long hypercall_dispatch(struct vcpu *v, unsigned long nr, unsigned long a0, unsigned long a1,
                        unsigned long a2, unsigned long a3, unsigned long a4)
{
    const struct hypercall *h;

    if (nr >= NR_HYPERCALLS)
        return E(ENOSYS);
    h = &hypercall_table[index_nospec(nr, NR_HYPERCALLS)];
    if (!h->fn)
        return E(ENOSYS);
    if (h->privileged && !v->domain->privileged)
        return E(EPERM);
    return h->fn(v, a0, a1, a2, a3, a4);
}
