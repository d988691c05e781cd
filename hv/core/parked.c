/* SPDX-License-Identifier: MIT */
/* See parked.h. */
#include "core/parked.h"

#include <xen/errno.h>

#include "core/domain.h"
#include "core/hypercall.h"

unsigned int step_order = 9; /* 2 MiB cleared */

static bool hold(struct domain *d)
{
    return !__atomic_exchange_n(&d->parked_busy, true, __ATOMIC_SEQ_CST);
}

static void let_go(struct domain *d)
{
    __atomic_store_n(&d->parked_busy, false, __ATOMIC_SEQ_CST);
}

/* [slot] 0: nothing waits any more; -EAGAIN: gave up for now. */
static int undo_all(struct domain *d)
{
    while (d->parked) {
        if (d->parked->undo(d, d->parked))
            d->parked = NULL;
        if (hc_preempt(1) && d->parked)
            return -XEN_EAGAIN;
    }
    return 0;
}

int parked_open(struct domain *d, bool (*undo)(struct domain *d, struct parked *p), uint32_t token,
                struct parked **p)
{
    int rc = 0;

    if (!hold(d))
        return -XEN_EAGAIN;
    if (domain_dying(d)) /* its end looks at the slot after it says so */
        rc = -XEN_EINVAL;
    else if (!d->parked || d->parked->token != token || d->parked->undo != undo)
        rc = undo_all(d);
    *p = rc ? NULL : d->parked;
    if (rc)
        let_go(d);
    return rc;
}

void parked_close(struct domain *d, struct parked *p)
{
    static uint32_t last; /* atomic */

    d->parked = p;
    if (p && !p->token)
        p->token = 1 + __atomic_fetch_add(&last, 1, __ATOMIC_RELAXED) % ((1u << TOKEN_BITS) - 1);
    let_go(d);
}

int parked_drop(struct domain *d)
{
    int rc;

    if (!hold(d))
        return -XEN_EAGAIN;
    rc = undo_all(d);
    let_go(d);
    return rc;
}
