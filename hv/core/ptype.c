/* SPDX-License-Identifier: MIT */
/*
 * What a frame is used as. The type changes only while nobody relies on it (typed is zero), and
 * after a use that CPUs may still have in their TLBs they are flushed first: type_changed(). The
 * state word changes by atomic operations, without a lock but where ptype.h says so; checking the
 * entries of tables and descriptor pages is the guest kind's (x86/pv/ptable.c, desc.c).
 */
#include "core/ptype.h"

#include <xen/errno.h>

#include "core/arch.h"
#include "core/bug.h"
#include "core/dirty.h"
#include "core/domain.h"

/*
 * The one place that each change of a type passes, after the word says it (else the frame could be
 * used in the old way and let go again behind the flush). So it is here that a frame of d becomes
 * writable (`to` is FT_WRITABLE) or stops being so (the type in `was` is): whoever keeps books on
 * that, as an IOMMU's tables or a log of writes would, is told here. As table or descriptor page
 * nobody uses the frame before this returns; as data others may already.
 */
static void type_changed(struct frame *f, struct domain *d, uint64_t was, enum frame_type to)
{
    enum frame_type from = frame_type_of(was);

    /* Data that nobody wrote through a stale entry, and repeated use, need no flush. */
    if (from == FT_NONE || from == to || from == FT_DESC)
        return;
    if (__builtin_expect(was & FRAME_FOREIGN, 0))
        arch_tlb_flush_stamped(&cpumask_all, f->stamp);
    else
        arch_tlb_flush_stamped(&d->dirty_cpus, f->stamp);
}

/*
 * Takes back a change of type that nobody else can have noticed, and its reference: the frame
 * turned out to be another domain's. `was`: its state before.
 */
static void restore_type(struct frame *f, uint64_t was)
{
    const uint64_t changed = FRAME_TYPE_MASK | FRAME_TYPED_MASK | FRAME_VALIDATED | FRAME_PARTIAL;
    uint64_t s = frame_state(f);

    while (!frame_swap_state(f, &s, (s & ~changed) | (was & (FRAME_TYPE_MASK | FRAME_VALIDATED))))
        ;
    frame_put(f);
}

/*
 * f, a table until now, becomes data with one writable use. CPUs may still walk it, so nobody may
 * write to it before they have flushed; and it may not be a table again in between, since the flush
 * would have come too early for that one. -EAGAIN: its state is not s any more, look again.
 */
static int table_to_data(struct frame *f, struct domain *d, uint64_t s)
{
    uint64_t n;

    if (!frame_swap_state(f, &s, (s + FRAME_REF_ONE) | FRAME_CHANGING))
        return -XEN_EAGAIN;
    if (frame_owner(f) != d->id) { /* it changed hands meanwhile */
        __atomic_fetch_and(&f->state, ~FRAME_CHANGING, __ATOMIC_RELEASE);
        frame_put(f);
        return -XEN_EINVAL;
    }
    type_changed(f, d, s, FT_WRITABLE);
    s = frame_state(f);
    do {
        n = s & ~(FRAME_TYPE_MASK | FRAME_VALIDATED | FRAME_CHANGING);
        n |= (uint64_t)FT_WRITABLE << FRAME_TYPE_SHIFT;
    } while (!frame_swap_state(f, &s, n + FRAME_TYPED_ONE));
    return 0;
}

static inline bool was_table(uint64_t s)
{
    /* untested: what was none takes table_to_data()'s way to the same end, only slower */
    return frame_type_of(s) >= FT_L1 && frame_type_of(s) <= FT_L4;
}

int frame_get_typed(struct frame *f, struct domain *d, enum frame_type t)
{
    uint64_t s, n;

    for (;;) {
        s = frame_state(f);
        if (frame_owner(f) != d->id || frame_refs(s) == 0)
            return -XEN_EINVAL;
        if (frame_refs(s) == FRAME_REF_MASK || (s & FRAME_TYPED_MASK) == FRAME_TYPED_MASK)
            return -XEN_ENOSPC;
        n = s + FRAME_REF_ONE + FRAME_TYPED_ONE;
        if (__builtin_expect(frame_type_of(s) != t, 0)) {
            if (frame_typed(s) || (s & FRAME_PARTIAL))
                return -XEN_EBUSY;
            if (t != FT_WRITABLE)
                return -XEN_EAGAIN;
            if (s & FRAME_CHANGING) { /* another CPU is about to make it data */
                arch_poll();
                continue;
            }
            if (was_table(s)) {
                int rc = table_to_data(f, d, s);
                if (rc != -XEN_EAGAIN)
                    return rc;
                continue;
            }
            n = (n & ~(FRAME_TYPE_MASK | FRAME_VALIDATED)) | (uint64_t)t << FRAME_TYPE_SHIFT;
        } else if (t != FT_WRITABLE && !(s & FRAME_VALIDATED)) {
            return -XEN_EAGAIN;
        }
        if (__builtin_expect(frame_swap_state(f, &s, n), 1))
            break;
    }
    if (__builtin_expect(frame_owner(f) == d->id, 1)) {
        if (frame_type_of(s) != t)
            type_changed(f, d, s, t);
        return 0;
    }
    frame_put_typed(f); /* it changed hands meanwhile */
    return -XEN_EINVAL;
}

int frame_get_writable(struct frame *f, struct domain *d)
{
    uint64_t s = frame_state(f), n = s + FRAME_REF_ONE + FRAME_TYPED_ONE;
    const uint64_t used = FRAME_TYPE_MASK | FRAME_TYPED_MASK | FRAME_VALIDATED | FRAME_PARTIAL |
                          FRAME_CHANGING;

    if ((s & used) || (n & FRAME_REF_MASK) <= 1 || frame_owner(f) != d->id ||
        !frame_swap_state(f, &s, n | (uint64_t)FT_WRITABLE << FRAME_TYPE_SHIFT))
        return frame_get_typed(f, d, FT_WRITABLE);
    if (__builtin_expect(frame_owner(f) == d->id, 1)) {
        type_changed(f, d, s, FT_WRITABLE);
        return 0;
    }
    frame_put_typed(f); /* it changed hands meanwhile */
    return -XEN_EINVAL;
}

void frame_put_typed(struct frame *f)
{
    uint64_t s = frame_state(f), n;

    do {
        ASSERT(frame_typed(s) != 0 && frame_refs(s) != 0);
        if (frame_typed(s) == 1)
            f->stamp = tlb_stamp();
        n = s - FRAME_TYPED_ONE - (frame_refs(s) > 1 ? FRAME_REF_ONE : 0);
        if (__builtin_expect(s & FRAME_HELD, 0) && frame_typed(s) == 1) {
            dirty_note_frame(f);
            n &= ~FRAME_HELD;
        }
    } while (!frame_swap_state(f, &s, n));
    if (__builtin_expect(frame_refs(s) == 1, 0))
        frame_put(f); /* the last one frees */
}

int frame_get_validated(struct frame *f, const struct domain *d, enum frame_type t)
{
    uint64_t s = frame_state(f);

    do {
        if (frame_owner(f) != d->id || !frame_refs(s))
            return -XEN_EINVAL;
        if (frame_type_of(s) != t || !(s & (FRAME_VALIDATED | FRAME_PARTIAL)))
            return frame_typed(s) ? -XEN_EINVAL : -XEN_EAGAIN;
        if (s & FRAME_PARTIAL)
            return s & FRAME_UNDOING ? -XEN_EINVAL : -FRAME_EPARTIAL;
        if (!frame_typed(s))
            return -XEN_EAGAIN;
        if (frame_refs(s) == FRAME_REF_MASK || (s & FRAME_TYPED_MASK) == FRAME_TYPED_MASK)
            return -XEN_ENOSPC;
    } while (!frame_swap_state(f, &s, s + FRAME_REF_ONE + FRAME_TYPED_ONE));
    return 0;
}

int frame_begin_type(struct frame *f, struct domain *d, enum frame_type t, uint64_t as)
{
    uint64_t s = frame_state(f), n;

    do {
        if (frame_owner(f) != d->id || !frame_refs(s) || (s & FRAME_HV))
            return -XEN_EINVAL;
        if (frame_typed(s) || (s & (FRAME_PARTIAL | FRAME_CHANGING)))
            return -XEN_EBUSY; /* it is something else */
        if (frame_refs(s) == FRAME_REF_MASK)
            return -XEN_ENOSPC;
        n = (s & ~(FRAME_TYPE_MASK | FRAME_VALIDATED)) + FRAME_REF_ONE + as;
        n |= (uint64_t)t << FRAME_TYPE_SHIFT;
    } while (!frame_swap_state(f, &s, n));
    if (__builtin_expect(frame_owner(f) != d->id, 0)) { /* it changed hands meanwhile */
        restore_type(f, s);
        return -XEN_EINVAL;
    }
    type_changed(f, d, s, t);
    return 0;
}

void frame_finish_type(struct frame *f)
{
    uint64_t s = frame_state(f);

    while (!frame_swap_state(f, &s, ((s & ~FRAME_PARTIAL) | FRAME_VALIDATED) + FRAME_TYPED_ONE))
        ;
}

void frame_finish_undo(struct frame *f)
{
    uint64_t s = frame_state(f);

    f->stamp = tlb_stamp();
    while (!frame_swap_state(f, &s, s & ~(FRAME_PARTIAL | FRAME_UNDOING | FRAME_VALIDATED)))
        ;
    frame_put(f);
}
