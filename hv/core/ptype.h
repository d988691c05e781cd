/* SPDX-License-Identifier: MIT */
/* Types of frames: writable data and descriptor pages here; page tables are the guest kind's. */
#ifndef CORE_PTYPE_H
#define CORE_PTYPE_H

#include "core/frame.h"

/*
 * A reference on d's frame that relies on its type: FT_WRITABLE always can be had while no typed
 * use of another kind exists; FT_DESC and tables only when the frame was validated as such. 0,
 * -EINVAL: not d's; -EBUSY: in use as another type; -ENOSPC: count full; -EAGAIN: must be validated
 * first. No locks; flushes CPUs that may hold translations of the old use.
 */
int frame_get_typed(struct frame *f, struct domain *d, enum frame_type t);
/* Drop it. Not for the last use of a page table: that goes through the guest kind. */
void frame_put_typed(struct frame *f);
/*
 * The same for the commonest use, FT_WRITABLE, where nothing has to be flushed: the frame is data
 * already, or has no type yet. False: frame_get_typed() decides.
 */
static inline bool frame_get_writable_fast(struct frame *f, domid_t owner)
{
    uint64_t s = __atomic_load_n(&f->state, __ATOMIC_ACQUIRE), n;

    do {
        n = s + FRAME_REF_ONE + FRAME_TYPED_ONE;
        /* None, or the count would overflow. */
        if ((n & FRAME_REF_MASK) <= 1 || __atomic_load_n(&f->owner, __ATOMIC_RELAXED) != owner)
            return false;
        if ((s & FRAME_TYPE_MASK) != (uint64_t)FT_WRITABLE << FRAME_TYPE_SHIFT) {
            if (s & (FRAME_TYPE_MASK | FRAME_TYPED_MASK | FRAME_PARTIAL))
                return false;
            n |= (uint64_t)FT_WRITABLE << FRAME_TYPE_SHIFT;
        }
    } while (__builtin_expect(
        !__atomic_compare_exchange_n(&f->state, &s, n, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE),
        0));
    if (__builtin_expect(__atomic_load_n(&f->owner, __ATOMIC_RELAXED) == owner, 1))
        return true;
    frame_put_typed(f); /* it changed hands meanwhile, and its state is as it was */
    return false;
}

/*
 * Make the flush that a change of type needs before the frame of d is used in a new way: after its
 * type was changed (else it could be used in the old way and let go again behind the flush) and
 * while nobody else can use it.
 */
void frame_flush_type(struct frame *f, struct domain *d, uint64_t state, enum frame_type to);
/*
 * Takes back a change of type that nobody else can have noticed, and its reference: the frame
 * turned out to be another domain's. `was`: its state before.
 */
void frame_restore_type(struct frame *f, uint64_t was);

#endif
