/* SPDX-License-Identifier: MIT */
/*
 * What a frame is used as: its type, and the typed uses that rely on it.
 *
 * Data (FT_WRITABLE) needs no check, so a use of it can be had by anybody without a lock. The other
 * types, tables and descriptor pages, have to be validated: the guest kind does that under a lock
 * of its own, the "type lock" below (PV: the domain's pt_lock), between frame_begin_type() and
 * frame_finish_type() or frame_set_validated().
 *
 * This file, its .c, frame.c and heap.c are the only ones that write the state word
 * (`scripts/lint state`).
 */
#ifndef CORE_PTYPE_H
#define CORE_PTYPE_H

#include "core/bug.h"
#include "core/frame.h"

/* A result that stays inside, beside the ABI's error codes: PARTIAL, and on its way up. */
#define FRAME_EPARTIAL 1026

/* The word as it is now; what it says of references and uses may be over at once. */
static inline uint64_t frame_state(const struct frame *f)
{
    return __atomic_load_n(&f->state, __ATOMIC_ACQUIRE);
}

static inline bool frame_swap_state(struct frame *f, uint64_t *old, uint64_t new)
{
    return __atomic_compare_exchange_n(&f->state, old, new, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

/* --- uses --- */

/*
 * A reference on d's frame that relies on its type: FT_WRITABLE always can be had while no typed
 * use of another kind exists; FT_DESC and tables only when the frame was validated as such. 0,
 * -EINVAL: not d's; -EBUSY: in use as another type; -ENOSPC: count full; -EAGAIN: must be validated
 * first. No locks; flushes CPUs that may hold translations of the old use.
 */
int frame_get_typed(struct frame *f, struct domain *d, enum frame_type t);
/* The same for FT_WRITABLE, the shorter way where the frame had no type yet. */
int frame_get_writable(struct frame *f, struct domain *d);
/* Drop it. Not for the last use of a page table: that goes through the guest kind. */
void frame_put_typed(struct frame *f);

/*
 * The commonest cases of the above and of frame_get() and frame_put(), without a call. False:
 * nothing was done, and the function itself decides.
 */

/* frame_get() of a frame whose state has none of the bits `clear`. */
static inline bool frame_get_fast(struct frame *f, domid_t owner, uint64_t clear)
{
    uint64_t s = frame_state(f), n;

    do {
        n = s + FRAME_REF_ONE;
        /* None, or the count would overflow. */
        if ((n & FRAME_REF_MASK) <= 1 || frame_owner(f) != owner || (s & clear))
            return false;
    } while (__builtin_expect(!frame_swap_state(f, &s, n), 0));
    if (__builtin_expect(frame_owner(f) == owner, 1))
        return true;
    frame_put(f); /* it changed hands meanwhile */
    return false;
}

/* frame_put() of a reference that is not the last. */
static inline bool frame_put_fast(struct frame *f)
{
    uint64_t s = frame_state(f);

    while (__builtin_expect(frame_refs(s) > 1, 1))
        if (__builtin_expect(frame_swap_state(f, &s, s - FRAME_REF_ONE), 1))
            return true;
    return false;
}

/* One more use of a frame whose state is `is` in the bits of `mask`, type among them. */
static inline bool frame_get_typed_fast(struct frame *f, domid_t owner, uint64_t mask, uint64_t is)
{
    uint64_t s = frame_state(f), n;

    do {
        n = s + FRAME_REF_ONE + FRAME_TYPED_ONE;
        /* None, or the count would overflow. */
        if ((n & FRAME_REF_MASK) <= 1 || frame_owner(f) != owner)
            return false;
        if ((s & mask) != is)
            return false;
    } while (__builtin_expect(!frame_swap_state(f, &s, n), 0));
    if (__builtin_expect(frame_owner(f) == owner, 1))
        return true;
    frame_put_typed(f); /* it changed hands meanwhile, and its state is as it was */
    return false;
}

/* frame_get_typed() of a use as FT_WRITABLE of a frame that is data already, as above. */
static inline bool frame_get_writable_fast(struct frame *f, domid_t owner, uint64_t clear)
{
    return frame_get_typed_fast(f, owner, FRAME_TYPE_MASK | clear,
                                (uint64_t)FT_WRITABLE << FRAME_TYPE_SHIFT);
}

/* The same of a use as a page table of a frame that is a validated one of this level's type. */
static inline bool frame_get_table_fast(struct frame *f, domid_t owner, enum frame_type t)
{
    return frame_get_typed_fast(f, owner, FRAME_TYPE_MASK | FRAME_VALIDATED,
                                (uint64_t)t << FRAME_TYPE_SHIFT | FRAME_VALIDATED);
}

/*
 * Drop a use of any type, which the caller holds, unless it is the last: then false, and nothing is
 * done. No locks.
 */
static inline bool frame_put_not_last(struct frame *f)
{
    uint64_t s = frame_state(f);

    while (__builtin_expect(frame_typed(s) > 1, 1))
        if (__builtin_expect(frame_swap_state(f, &s, s - FRAME_TYPED_ONE - FRAME_REF_ONE), 1))
            return true;
    return false;
}

/*
 * One more use of d's frame as a validated t, in one step. [type lock] 0; -EINVAL: not d's, or in
 * use as something else; -EAGAIN: no t yet, and nobody works on it; -FRAME_EPARTIAL; -ENOSPC.
 */
int frame_get_validated(struct frame *f, const struct domain *d, enum frame_type t);

/*
 * Drop one, even the last: then true, and the frame is PARTIAL, on its way down, with its reference
 * as PARTIAL's. [type lock]
 */
static inline bool frame_undo_last(struct frame *f)
{
    uint64_t s = frame_state(f), n;

    do {
        ASSERT(frame_typed(s) != 0);
        if (frame_typed(s) == 1)
            n = ((s & ~FRAME_VALIDATED) | FRAME_PARTIAL | FRAME_UNDOING) - FRAME_TYPED_ONE;
        else
            n = s - FRAME_TYPED_ONE - FRAME_REF_ONE;
    } while (!frame_swap_state(f, &s, n));
    return frame_typed(s) == 1;
}

/* --- validation, all of it under the type lock --- */

/*
 * d's frame, which nobody uses with a type, becomes t with one more reference. `as`: FRAME_PARTIAL,
 * which keeps the reference and every other use away, or FRAME_TYPED_ONE, a use that is not
 * VALIDATED yet. CPUs that may hold translations of the old use have flushed when it returns, so
 * what is in the frame changes no more. 0; -EINVAL: not d's; -EBUSY: in use; -ENOSPC.
 */
int frame_begin_type(struct frame *f, struct domain *d, enum frame_type t, uint64_t as);
/* PARTIAL, all was found good: its reference becomes the first typed use. */
void frame_finish_type(struct frame *f);
/* PARTIAL, nothing is left to undo: its reference goes, and the frame may become anything. */
void frame_finish_undo(struct frame *f);

/* A use that frame_begin_type() gave as FRAME_TYPED_ONE was found good. */
static inline void frame_set_validated(struct frame *f)
{
    __atomic_fetch_or(&f->state, FRAME_VALIDATED, __ATOMIC_ACQ_REL);
}

/* A PARTIAL frame is on its way down from now on, or, `down` false, up again. */
static inline void frame_turn(struct frame *f, bool down)
{
    if (down)
        __atomic_fetch_or(&f->state, FRAME_UNDOING, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&f->state, ~FRAME_UNDOING, __ATOMIC_RELEASE);
}

/* Mark a typed use as the guest's own, or take the mark away; what it was before. [type lock] */
static inline bool frame_set_pinned(struct frame *f, bool pinned)
{
    uint64_t was = pinned ? __atomic_fetch_or(&f->state, FRAME_PINNED, __ATOMIC_ACQ_REL)
                          : __atomic_fetch_and(&f->state, ~FRAME_PINNED, __ATOMIC_ACQ_REL);

    return was & FRAME_PINNED;
}

/*
 * The caller, who has a reference, is about to map the frame writable in tables of another domain
 * than its owner: a translation may stay behind on CPUs that the owner knows nothing of.
 */
static inline void frame_note_foreign(struct frame *f)
{
    if (!(frame_state(f) & FRAME_FOREIGN))
        __atomic_fetch_or(&f->state, FRAME_FOREIGN, __ATOMIC_ACQ_REL);
}

/*
 * The caller has a use as FT_WRITABLE by which others than the owner write the frame, for as long
 * as they like: from now on, until all such uses are gone, the guest's too, it counts as held.
 */
static inline void frame_note_held(struct frame *f)
{
    __atomic_fetch_or(&f->state, FRAME_HELD, __ATOMIC_ACQ_REL);
}

#endif
