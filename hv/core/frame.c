/* SPDX-License-Identifier: MIT */
/*
 * The frame table's references and ownership. Where others may hold a reference or look for one,
 * the state word changes by atomic operations only; publish() stores it whole, of a frame that is
 * nobody's. Owner and links change while nobody else can hold a reference, or under the page-list
 * lock.
 */
#include "core/frame.h"

#include <xen/errno.h>

#include "core/arch.h"
#include "core/bug.h"
#include "core/dirty.h"
#include "core/domain.h"
#include "core/pcpu.h"
#include "core/ptype.h"
#include "lib/string.h"

bool frame_get_more(struct frame *f)
{
    uint64_t s = frame_state(f);

    do {
        if (frame_refs(s) == 0 || frame_refs(s) == FRAME_REF_MASK)
            return false;
    } while (!frame_swap_state(f, &s, s + FRAME_REF_ONE));
    return true;
}

bool frame_get(struct frame *f, const struct domain *d)
{
    uint64_t s = frame_state(f);

    /* The owner after the state: a frame that is the hypervisor's by now is never counted up. */
    do {
        if (frame_owner(f) != d->id || frame_refs(s) == 0 || frame_refs(s) == FRAME_REF_MASK)
            return false;
    } while (!frame_swap_state(f, &s, s + FRAME_REF_ONE));
    if (__builtin_expect(frame_owner(f) == d->id, 1))
        return true;
    frame_put(f); /* it changed hands meanwhile */
    return false;
}

static void unlink_page(struct domain *d, struct frame *f)
{
    bool last;

    spin_lock(&d->page_lock);
    if (f->prev)
        frame_table[f->prev].next = f->next;
    else if (d->page_list == frame_mfn(f).v)
        d->page_list = f->next;
    else
        d->left_list = f->next;
    if (f->next)
        frame_table[f->next].prev = f->prev;
    __atomic_store_n(&d->tot_pages, d->tot_pages - 1, __ATOMIC_RELAXED);
    last = d->tot_pages == 0 && d->relinquished;
    spin_unlock(&d->page_lock);
    if (last)
        domain_reap_later(d);
}

void frame_set_aside(struct domain *d)
{
    struct frame *f = &frame_table[d->page_list];
    uint32_t m = d->page_list;

    d->page_list = f->next;
    if (f->next)
        frame_table[f->next].prev = 0;
    f->next = d->left_list;
    if (f->next)
        frame_table[f->next].prev = m;
    d->left_list = m;
}

/* The last reference is gone: nobody can find the frame any more. */
static void release_last(struct frame *f)
{
    if (!(f->state & FRAME_HV)) { /* else it was shared, and is nobody's since frame_unshare() */
        struct domain *d = domain_get(frame_owner(f));

        BUG_ON(!d); /* a domain's record stays while it owns a page */
        dirty_note(d, f);
        unlink_page(d, f);
        domain_put(d);
    }
    __atomic_store_n(&f->owner, DOMID_INVALID, __ATOMIC_RELAXED);
    f->stamp = tlb_stamp();
    arch_this_cpu()->work_left--; /* who frees many gives way earlier */
    arch_set_gfn(frame_mfn(f), GFN_INVALID);
    frame_free(f, 0);
}

void frame_put(struct frame *f)
{
    uint64_t s = frame_state(f);

    do {
        BUG_ON(frame_refs(s) == 0);
    } while (!frame_swap_state(f, &s, s - FRAME_REF_ONE));
    if (__builtin_expect(frame_refs(s) == 1, 0))
        release_last(f);
}

/*
 * The one place where a frame gets an owner, from which moment d's vCPUs find it and count in its
 * state: so its record is final before, M2P entry included, and the owner comes last. (Who still
 * takes it for what it was finds no references in the old state, or looks at the owner again.)
 */
static void publish(struct frame *f, domid_t id, uint64_t state)
{
    ASSERT(f->owner == DOMID_INVALID);
    __atomic_store_n(&f->state, state, __ATOMIC_RELEASE);
    __atomic_store_n(&f->owner, id, __ATOMIC_RELEASE);
}

/* Puts a chain of 2^order frames at the head of d's list, each with the allocation's reference. */
static void link_pages(struct frame *f, unsigned long n, struct domain *d)
{
    uint32_t first = (uint32_t)frame_mfn(f).v;

    for (unsigned long i = 0; i < n; i++) {
        f[i].progress = 0;
        f[i].prev = i ? first + (uint32_t)i - 1 : 0;
        f[i].next = i + 1 < n ? first + (uint32_t)i + 1 : d->page_list;
        publish(&f[i], d->id, FRAME_RAM | FRAME_ALLOCATED | FRAME_REF_ONE);
    }
    if (d->page_list)
        frame_table[d->page_list].prev = first + (uint32_t)n - 1;
    d->page_list = first;
    __atomic_store_n(&d->tot_pages, d->tot_pages + n, __ATOMIC_RELAXED);
}

int frame_assign(struct frame *f, unsigned int order, struct domain *d)
{
    unsigned long n = 1ul << order;
    int rc = 0;

    spin_lock(&d->page_lock);
    if (domain_dying(d))
        rc = -XEN_EINVAL;
    else if (d->tot_pages + d->replacing + n > d->max_pages)
        rc = -XEN_E2BIG;
    else
        link_pages(f, n, d);
    spin_unlock(&d->page_lock);
    return rc;
}

static void set_gfns(struct frame *f, unsigned int order, uint64_t gfn)
{
    mfn_t first = frame_mfn(f);

    for (unsigned long i = 0; i < 1ul << order; i++)
        arch_set_gfn(mfn_add(first, i), gfn == GFN_INVALID ? gfn : gfn + i);
}

/* They are d's now, as it is told. */
static void note_new(const struct frame *f, unsigned int order, struct domain *d)
{
    for (unsigned long i = 0; d->dirty && i < 1ul << order; i++)
        dirty_note(d, &f[i]);
}

int frame_give(struct frame *f, unsigned int order, struct domain *d, uint64_t gfn)
{
    int rc;

    set_gfns(f, order, gfn);
    rc = frame_assign(f, order, d);
    if (rc)
        set_gfns(f, order, GFN_INVALID);
    else
        note_new(f, order, d);
    return rc;
}

void frame_replace_begin(struct domain *d, unsigned long n)
{
    spin_lock(&d->page_lock);
    d->replacing += n;
    spin_unlock(&d->page_lock);
}

int frame_replace(struct frame *f, unsigned int order, struct domain *d, uint64_t gfn)
{
    unsigned long n = 1ul << order;
    bool dying;

    set_gfns(f, order, gfn);
    spin_lock(&d->page_lock);
    ASSERT(d->replacing >= n);
    d->replacing -= n;
    dying = domain_dying(d);
    if (!dying)
        link_pages(f, n, d);
    spin_unlock(&d->page_lock);
    if (dying)
        set_gfns(f, order, GFN_INVALID);
    else
        note_new(f, order, d);
    return dying ? -XEN_EINVAL : 0;
}

bool frame_release(struct frame *f, struct domain *d)
{
    uint64_t s;

    if (!frame_get(f, d)) /* it stays d's while we look */
        return false;
    s = frame_state(f);
    do {
        if (!(s & FRAME_ALLOCATED)) {
            frame_put(f);
            return false;
        }
    } while (!frame_swap_state(f, &s, (s & ~FRAME_ALLOCATED) - FRAME_REF_ONE));
    frame_put(f);
    return true;
}

bool frame_take_hold(struct frame *f)
{
    return __atomic_fetch_and(&f->state, ~FRAME_ALLOCATED, __ATOMIC_ACQ_REL) & FRAME_ALLOCATED;
}

/* What says nothing about who uses a frame now. */
#define IGNORED (FRAME_TYPE_MASK | FRAME_VALIDATED | FRAME_FOREIGN)

bool frame_take_only_hold(struct frame *f, const struct domain *d)
{
    uint64_t s = frame_state(f);

    if (frame_owner(f) != d->id || (s & ~IGNORED) != (FRAME_RAM | FRAME_ALLOCATED | FRAME_REF_ONE))
        return false;
    if (!frame_swap_state(f, &s, s & ~FRAME_ALLOCATED))
        return false;
    if (__builtin_expect(frame_owner(f) == d->id, 1))
        return true;
    frame_return_hold(f); /* it changed hands meanwhile */
    return false;
}

void frame_return_hold(struct frame *f)
{
    __atomic_fetch_or(&f->state, FRAME_ALLOCATED, __ATOMIC_RELEASE);
}

bool frame_take(struct frame *f, struct domain *d)
{
    uint64_t s;

    if (!frame_get(f, d)) /* it stays d's while we look */
        return false;
    s = frame_state(f);
    if ((s & ~IGNORED) != (FRAME_RAM | FRAME_ALLOCATED | 2 * FRAME_REF_ONE) ||
        !frame_swap_state(f, &s, FRAME_RAM)) { /* the allocation's reference and ours */
        frame_put(f);
        return false;
    }
    dirty_note(d, f);
    unlink_page(d, f);
    f->owner = DOMID_INVALID;
    f->stamp = tlb_stamp();
    arch_set_gfn(frame_mfn(f), GFN_INVALID);
    return true;
}

static void share(struct frame *f, domid_t id, bool writable)
{
    /* Not to be written: a typed use without a type keeps every type out. */
    uint64_t type = writable ? FT_WRITABLE : FT_NONE;

    publish(f, id,
            FRAME_RAM | FRAME_HV | FRAME_REF_ONE | FRAME_TYPED_ONE | type << FRAME_TYPE_SHIFT);
}

void frame_share(struct frame *f, struct domain *d, bool writable)
{
    share(f, d->id, writable);
}

void frame_show(struct frame *f, bool writable)
{
    share(f, DOMID_XEN, writable);
}

bool frame_is_shared(const void *page, const struct domain *d)
{
    const struct frame *f = frame_of(arch_unmap(page));

    return f && f->owner == d->id && (f->state & FRAME_HV) &&
           !(f->state & (FRAME_FREE | FRAME_ALLOCATED)) && frame_refs(f->state) > 0 &&
           frame_typed(f->state) > 0 && frame_type_of(f->state) == FT_WRITABLE;
}

void frame_unshare(void *page)
{
    struct frame *f = frame_of(arch_unmap(page));

    /* Who finds it d's after this drops it again: frame_get() looks twice. */
    __atomic_store_n(&f->owner, DOMID_INVALID, __ATOMIC_SEQ_CST);
    frame_put_typed(f);
}
