/* SPDX-License-Identifier: MIT */
/*
 * What a frame is used as. The type changes only while nobody relies on it (typed is zero), and
 * after a use that CPUs may still have in their TLBs they are flushed first. Without locks, by
 * compare-and-exchange of the state word; page tables, whose entries have to be checked, are the
 * guest kind's (x86/pv/ptable.c, under the domain's pt_lock).
 */
#include "core/ptype.h"

#include <xen/errno.h>

#include "core/arch.h"
#include "core/bug.h"
#include "core/domain.h"
#include "lib/string.h"

void frame_flush_type(struct frame *f, struct domain *d, uint64_t state, enum frame_type to)
{
    enum frame_type from = frame_type_of(state);

    /* Data that nobody wrote through a stale entry, and repeated use, need no flush. */
    if (from == FT_NONE || from == to || from == FT_DESC)
        return;
    if (__builtin_expect(state & FRAME_FOREIGN, 0)) {
        unsigned long all[MAX_CPUS / 64];

        memset(all, 0xff, sizeof(all));
        arch_tlb_flush_stamped(all, f->stamp);
    } else {
        arch_tlb_flush_stamped(d->dirty_cpus, f->stamp);
    }
}

static inline bool swap(struct frame *f, uint64_t *old, uint64_t new)
{
    return __atomic_compare_exchange_n(&f->state, old, new, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

void frame_restore_type(struct frame *f, uint64_t was)
{
    const uint64_t changed = FRAME_TYPE_MASK | FRAME_TYPED_MASK | FRAME_VALIDATED | FRAME_PARTIAL;
    uint64_t s = __atomic_load_n(&f->state, __ATOMIC_ACQUIRE);

    while (!swap(f, &s, (s & ~changed) | (was & (FRAME_TYPE_MASK | FRAME_VALIDATED))))
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

    if (!swap(f, &s, (s + FRAME_REF_ONE) | FRAME_CHANGING))
        return -XEN_EAGAIN;
    if (f->owner != d->id) { /* it changed hands meanwhile */
        __atomic_fetch_and(&f->state, ~FRAME_CHANGING, __ATOMIC_RELEASE);
        frame_put(f);
        return -XEN_EINVAL;
    }
    frame_flush_type(f, d, s, FT_WRITABLE);
    s = __atomic_load_n(&f->state, __ATOMIC_ACQUIRE);
    do {
        n = s & ~(FRAME_TYPE_MASK | FRAME_VALIDATED | FRAME_CHANGING);
        n |= (uint64_t)FT_WRITABLE << FRAME_TYPE_SHIFT;
    } while (!swap(f, &s, n + FRAME_TYPED_ONE));
    return 0;
}

static inline bool was_table(uint64_t s)
{
    return frame_type_of(s) >= FT_L1 && frame_type_of(s) <= FT_L4;
}

int frame_get_typed(struct frame *f, struct domain *d, enum frame_type t)
{
    uint64_t s, n;

    for (;;) {
        s = __atomic_load_n(&f->state, __ATOMIC_ACQUIRE);
        if (__atomic_load_n(&f->owner, __ATOMIC_RELAXED) != d->id || frame_refs(s) == 0)
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
        if (__builtin_expect(swap(f, &s, n), 1))
            break;
    }
    if (__builtin_expect(__atomic_load_n(&f->owner, __ATOMIC_RELAXED) == d->id, 1))
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
            f->stamp = tlb_stamp();
        n = s - FRAME_TYPED_ONE - (frame_refs(s) > 1 ? FRAME_REF_ONE : 0);
    } while (
        !__atomic_compare_exchange_n(&f->state, &s, n, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    if (__builtin_expect(frame_refs(s) == 1, 0))
        frame_put(f); /* the last one frees */
}
