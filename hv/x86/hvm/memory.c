/* SPDX-License-Identifier: MIT */
/* Memory of hardware-assisted domains: the end of it, and its recount. */
#include <xen/errno.h>

#include "core/pcpu.h"
#include "core/ptype.h"
#include "x86/hvm/memory.h"

#define STEP 256 /* frames between two looks at pending work */

/*
 * The first frame that d itself still holds, with a reference. NULL: the first one was held by
 * others only, and is set aside; or none is left.
 */
static struct frame *next_held(struct domain *d)
{
    struct frame *f = NULL;

    spin_lock(&d->page_lock);
    if (d->page_list) {
        f = &frame_table[d->page_list];
        if (!(frame_state(f) & FRAME_ALLOCATED) || !frame_get_more(f)) {
            frame_set_aside(d);
            f = NULL;
        }
    }
    spin_unlock(&d->page_lock);
    return f;
}

int hvm_relinquish(struct hvm_domain *hd)
{
    struct domain *d = &hd->x.d;
    int rc = p2m_teardown(&hd->p2m);

    for (unsigned int i = 0; rc == 0 && i < STEP; i++) {
        struct frame *f = next_held(d);

        if (f) {
            frame_release(f, d);
            frame_put(f);
        } else if (!d->page_list) {
            return 0;
        }
        if (pcpu_gives_way(arch_this_cpu(), 1))
            break;
    }
    return -XEN_EAGAIN;
}

unsigned int hvm_audit(void)
{
    unsigned int bad = 0;

    for_each_domain (d)
        if (d->kind == GUEST_HVM && !domain_dying(d))
            bad += p2m_audit(&hvm_domain(d)->p2m);
    return bad;
}

struct reference_walk {
    void (*fn)(void *arg, mfn_t mfn);
    void *arg;
};

static bool reference(void *arg, gfn_t gfn, struct p2m_entry e)
{
    const struct reference_walk *w = arg;

    (void)gfn;
    if (e.type == P2M_SHARED || e.type == P2M_FOREIGN || e.type == P2M_FOREIGN_RO)
        w->fn(w->arg, e.mfn);
    return true;
}

void hvm_each_reference(struct domain *d, void (*fn)(void *arg, mfn_t mfn), void *arg)
{
    struct reference_walk w = { fn, arg };

    p2m_for_each(&hvm_domain(d)->p2m, reference, &w);
}
