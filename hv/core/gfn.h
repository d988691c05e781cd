/* SPDX-License-Identifier: MIT */
/*
 * The one door from a guest's frame number to a frame of the machine.
 *
 * For a PV guest the two numbers are the same. Other kinds have a map of their own (guest_ops:
 * gfn_get, gfn_place, gfn_remove, gfn_flush), which may change at any time; what came through the
 * door does not: the frame is the domain's and referenced until gfn_put(). No other code of the
 * core makes an mfn_t or a frame of a guest's number (scripts/lint: gfn).
 */
#ifndef CORE_GFN_H
#define CORE_GFN_H

#include "core/dirty.h"
#include "core/domain.h"
#include "core/ptype.h"

/* What is to be done with the frame, as bits: for gfn_get(), and again for gfn_put(). */
enum gfn_access {
    GFN_READ = 0,  /* the hypervisor reads it */
    GFN_WRITE = 1, /* it is written: no page table, no read-only memory */
    GFN_MAP = 2,   /* the hypervisor keeps it for long: memory, nothing that is emulated or moves */
    GFN_FOREIGN =
        4, /* another domain gets at it: not one of the hypervisor's pages that d shares */
};

/* Are d's frame numbers the machine's? */
static inline bool gfn_is_mfn(const struct domain *d)
{
    return !d->ops->gfn_get;
}

static inline void gfn_put(struct frame *f, unsigned int access)
{
    if (access & GFN_WRITE) {
        dirty_note_frame(f);
        if (!frame_put_not_last(f))
            frame_put_typed(f);
    } else if (!frame_put_fast(f)) {
        frame_put(f);
    }
}

/* The whole of gfn_get(), for what its fast half does not decide. */
int gfn_get_slowly(struct domain *d, gfn_t gfn, unsigned int access, struct frame **f);

/* gfn_get() where gfn is the frame's number and no more than a count changes; else false. */
static inline bool gfn_get_fast(struct domain *d, gfn_t gfn, unsigned int access)
{
    struct frame *f = gfn_is_mfn(d) ? frame_record(MFN(gfn.v)) : NULL;
    const uint64_t hv = access & GFN_FOREIGN ? FRAME_HV : 0; /* none to be given */

    return __builtin_expect(f && (access & GFN_WRITE ? frame_get_writable_fast(f, d->id, hv)
                                                     : frame_get_fast(f, d->id, hv)),
                            1);
}

/*
 * The frame of d's that gfn stands for, with a reference, typed as writable if it is to be written.
 * 0; -EINVAL: nothing of d's is there, or this access is not allowed; -EBUSY: in use as another
 * type; -ENOSPC: its count is full. Takes RANK_P2M; may flush other CPUs.
 */
static inline int gfn_get(struct domain *d, gfn_t gfn, unsigned int access, struct frame **f)
{
    if (!gfn_get_fast(d, gfn, access))
        return gfn_get_slowly(d, gfn, access, f);
    *f = frame_record(MFN(gfn.v));
    if ((access & GFN_WRITE) && (access & GFN_MAP))
        frame_note_held(*f);
    return 0;
}

/*
 * d's new frames f .. are gfn .. from now on; 2^order of them, both aligned. Of a domain whose
 * numbers are the machine's only the M2P knows, and that was told before the frames were its own.
 * 0; -EBUSY: something is there; -EINVAL; -ENOMEM. Takes RANK_P2M.
 */
int gfn_place(struct domain *d, gfn_t gfn, struct frame *f, unsigned int order);
/*
 * d gives back 2^order frames from gfn on: no CPU uses them any more once they are anybody's. 0, or
 * -EINVAL, -ENOMEM with the reason in the log; then those before the one named there are gone.
 * Takes RANK_P2M and what frees frames; may flush other CPUs.
 */
int gfn_remove(struct domain *d, gfn_t gfn, unsigned int order);
/*
 * For GNTTABOP_transfer: gfn's frame, which nobody uses, is nobody's any more (frame_take()). NULL:
 * it is not d's, in use, or d has a map of its own.
 */
struct frame *gfn_take(struct domain *d, gfn_t gfn);
/* The number by which d knows its frame, or one that it shares; GFN_INVALID: none. */
uint64_t gfn_of(const struct domain *d, mfn_t mfn);

#endif
