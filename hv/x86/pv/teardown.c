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

/* Nothing is left half undone. */
static bool drop_done(struct pv_domain *pd)
{
    spin_lock(&pd->pt_lock);
    bool done = pt_drop_continue(&pd->drop, &pd->x.d);
    spin_unlock(&pd->pt_lock);
    return done;
}

/*
 * The first frame of the list, if d only allocated it: that hold becomes the caller's reference.
 * Nothing else is taken, since its count may be full: a quarter of a GiB of tables map it. One that
 * d does not hold is set aside. NULL: neither, or a table, whose hold goes in another way.
 * [page_lock]
 */
static struct frame *take_first(struct domain *d, uint64_t *state)
{
    struct frame *f = &frame_table[d->page_list];

    *state = frame_state(f);
    if (!(*state & HELD_BY_ITSELF))
        frame_set_aside(d);
    else if (!(*state & (FRAME_PARTIAL | FRAME_PINNED)) && frame_take_hold(f))
        return f;
    return NULL;
}

/* The hold that a table is: it stays d's until pt_lock is given up. [pt_lock] */
static void give_up_table(struct pv_domain *pd, struct frame *f, uint64_t state)
{
    enum frame_type type = frame_type_of(state);

    if (state & FRAME_PARTIAL) { /* what nobody finished is undone from where it stands */
        frame_turn(f, true);
        pd->drop.f[type] = f;
        pd->drop.any = true;
    } else if (state & FRAME_PINNED) {
        frame_set_pinned(f, false);
        pt_put_table(&pd->drop, &pd->x.d, f, (int)type);
    }
}

/*
 * One hold of the first frame goes, and only that one is looked at: it is picked again while it has
 * others. What a table leaves to be undone hangs in pd->drop, which was empty. False: no frame.
 */
static bool give_up_first(struct pv_domain *pd)
{
    struct domain *d = &pd->x.d;
    struct frame *taken = NULL;
    uint64_t state = 0;
    uint32_t first;

    spin_lock(&pd->pt_lock);
    spin_lock(&d->page_lock);
    first = d->page_list;
    if (first)
        taken = take_first(d, &state);
    spin_unlock(&d->page_lock);
    if (!taken)
        give_up_table(pd, &frame_table[first], state);
    spin_unlock(&pd->pt_lock);
    if (taken)
        frame_put(taken);
    return first != 0;
}

int pv_relinquish(struct domain *d)
{
    struct pv_domain *pd = pv_domain(d);

    for (unsigned int i = 0; i < STEP; i++) {
        if (!drop_done(pd))
            return -XEN_EAGAIN;
        if (!give_up_first(pd))
            return 0;
        if (pcpu_gives_way(arch_this_cpu(), 1))
            break;
    }
    return -XEN_EAGAIN;
}
