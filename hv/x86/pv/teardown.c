/* SPDX-License-Identifier: MIT */
/*
 * Giving up a dying domain's memory. No vCPU runs any more and their CR3s are dropped. Each frame
 * loses its pin and its allocation; tables go with their last use. What other domains still map
 * stays until they let go, on the domain's second list.
 */
#include "core/bug.h"
#include <xen/errno.h>

#include "core/domain.h"
#include "core/pcpu.h"
#include "x86/pv/ptable.h"

#define STEP 256 /* frames between two looks at pending work */
/* The domain's own hold on a frame: one that it gave back may still be pinned, or half a table. */
#define HELD_BY_ITSELF (FRAME_ALLOCATED | FRAME_PINNED | FRAME_PARTIAL)

/*
 * One hold of f goes; f is picked again while it has others. What a table leaves to be undone hangs
 * in pd->drop, which was empty.
 */
static void give_up(struct pv_domain *pd, struct frame *f)
{
    struct domain *d = &pd->x.d;

    spin_lock(&pd->pt_lock);
    uint64_t s = __atomic_load_n(&f->state, __ATOMIC_ACQUIRE);
    if (s & FRAME_PARTIAL) { /* what nobody finished is undone from where it stands */
        __atomic_fetch_or(&f->state, FRAME_UNDOING, __ATOMIC_RELAXED);
        pd->drop.f[frame_type_of(s)] = f;
        pd->drop.any = true;
    } else if (s & FRAME_PINNED) {
        __atomic_fetch_and(&f->state, ~FRAME_PINNED, __ATOMIC_ACQ_REL);
        pt_put_table(&pd->drop, d, f, (int)frame_type_of(s));
    }
    spin_unlock(&pd->pt_lock);
    if (!(s & (FRAME_PARTIAL | FRAME_PINNED)))
        frame_release(f, d);
}

/* Nothing is left half undone. */
static bool drop_done(struct pv_domain *pd)
{
    spin_lock(&pd->pt_lock);
    bool done = pt_drop_continue(&pd->drop, &pd->x.d);
    spin_unlock(&pd->pt_lock);
    return done;
}

/*
 * A frame of d that d itself holds, with a reference. NULL: the first one was held by others only,
 * and is set aside; or, when the list is empty, none is left.
 */
static struct frame *next_held(struct domain *d)
{
    struct frame *f = NULL;

    spin_lock(&d->page_lock);
    for (uint32_t at = d->page_list; at && !f; at = frame_table[at].next) {
        if (!(frame_table[at].state & HELD_BY_ITSELF)) {
            if (at != d->page_list)
                continue;
            frame_set_aside(d);
            break;
        }
        if (frame_get_more(&frame_table[at])) /* no: half a GiB of tables map it, they go first */
            f = &frame_table[at];
    }
    spin_unlock(&d->page_lock);
    return f;
}

int pv_relinquish(struct domain *d)
{
    struct pv_domain *pd = pv_domain(d);

    for (unsigned int i = 0; i < STEP; i++) {
        if (!drop_done(pd))
            return -XEN_EAGAIN;
        struct frame *f = next_held(d);
        if (f) {
            give_up(pd, f);
            frame_put(f);
        } else if (!d->page_list) {
            return 0;
        }
        if (pcpu_gives_way(arch_this_cpu(), 1))
            break;
    }
    return -XEN_EAGAIN;
}
