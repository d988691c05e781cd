/* SPDX-License-Identifier: MIT */
#include "core/ptype.h"

#include <xen/errno.h>

#include "core/arch.h"
#include "core/bug.h"
#include "core/domain.h"

void frame_flush_type(struct frame *f, struct domain *d, uint64_t state, enum frame_type to)
{
    enum frame_type from = frame_type_of(state);

    /* Data that nobody wrote through a stale entry, and repeated use, need no flush. */
    if (from != FT_NONE && from != to && from != FT_DESC)
        arch_tlb_flush_stamped(d->dirty_cpus, f->stamp);
}

int frame_get_typed(struct frame *f, struct domain *d, enum frame_type t)
{
    uint64_t s = __atomic_load_n(&f->state, __ATOMIC_ACQUIRE), n;

    do {
        if (f->owner != d->id || frame_refs(s) == 0)
            return -XEN_EINVAL;
        if (frame_refs(s) == FRAME_REF_MASK || (s & FRAME_TYPED_MASK) == FRAME_TYPED_MASK)
            return -XEN_ENOSPC;
        n = s + FRAME_REF_ONE + FRAME_TYPED_ONE;
        if (__builtin_expect(frame_type_of(s) != t, 0)) {
            if (frame_typed(s) || (s & FRAME_PARTIAL))
                return -XEN_EBUSY;
            if (t != FT_WRITABLE)
                return -XEN_EAGAIN;
            frame_flush_type(f, d, s, t);
            n = (n & ~(FRAME_TYPE_MASK | FRAME_VALIDATED)) | (uint64_t)t << FRAME_TYPE_SHIFT;
        } else if (t != FT_WRITABLE && !(s & FRAME_VALIDATED)) {
            return -XEN_EAGAIN;
        }
    } while (
        !__atomic_compare_exchange_n(&f->state, &s, n, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    if (__builtin_expect(f->owner == d->id, 1))
        return 0;
    frame_put_typed(f); /* it changed hands meanwhile */
    return -XEN_EINVAL;
}

void frame_put_typed(struct frame *f)
{
    uint64_t s = __atomic_load_n(&f->state, __ATOMIC_RELAXED), n;

    do {
        ASSERT(frame_typed(s) != 0 && frame_refs(s) != 0);
        if (frame_typed(s) == 1)
            f->stamp = __atomic_load_n(&tlb_clock, __ATOMIC_RELAXED);
        n = s - FRAME_TYPED_ONE - (frame_refs(s) > 1 ? FRAME_REF_ONE : 0);
    } while (
        !__atomic_compare_exchange_n(&f->state, &s, n, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    if (__builtin_expect(frame_refs(s) == 1, 0))
        frame_put(f); /* the last one frees */
}
