/* SPDX-License-Identifier: MIT */
/* The owner's side of grants: the table and its pins. */
#include "core/grant_private.h"

#include <xen/errno.h>

#include "core/hypercall.h"
#include "core/log.h"
#include "core/ptype.h"

#define PIN_MAX 0x7fffffffu
#define ENTRY_TRIES 4 /* a guest that keeps changing its entry gets an error */

const struct grant_map_ops *grant_map_ops;

int grant_init(struct domain *d)
{
    struct grant_state *g = frame_alloc_hv();

    if (!g)
        return -XEN_ENOMEM;
    spin_init(&g->lock, RANK_GRANT);
    g->max_frames = MAX_GRANT_FRAMES;
    g->free_track = NO_TRACK;
    d->grants = g;
    return 0;
}

void grant_free(struct domain *d)
{
    struct grant_state *g = d->grants;

    if (!g)
        return;
    for (unsigned int i = 0; i < MAX_GRANT_FRAMES; i++) {
        if (g->active[i])
            frame_free_hv_order(g->active[i], ACTIVE_ORDER);
        if (g->shared[i])
            frame_free_hv(g->shared[i]);
    }
    for (unsigned int i = 0; i < TRACK_PAGES; i++)
        if (g->tracks[i])
            frame_free_hv(g->tracks[i]);
    frame_free_hv(g);
    d->grants = NULL;
}

static int add_frame(struct domain *d, struct grant_state *g)
{
    struct grant_active *active = frame_alloc_hv_order(ACTIVE_ORDER);
    struct grant_entry_v1 *shared = frame_alloc_hv();

    if (!active || !shared) {
        if (active)
            frame_free_hv_order(active, ACTIVE_ORDER);
        if (shared)
            frame_free_hv(shared);
        return -XEN_ENOMEM;
    }
    frame_share(frame_of(arch_unmap(shared)), d, true);
    g->active[g->nr_frames] = active;
    g->shared[g->nr_frames] = shared;
    g->nr_frames++;
    return 0;
}

int grant_grow(struct domain *d, uint32_t nr)
{
    struct grant_state *g = d->grants;
    int rc = 0;

    if (nr > g->max_frames)
        return -XEN_EINVAL;
    spin_lock(&g->lock);
    while (rc == 0 && g->nr_frames < nr)
        rc = add_frame(d, g);
    spin_unlock(&g->lock);
    return rc;
}

mfn_t grant_frame_mfn(struct domain *d, unsigned int idx)
{
    if (idx >= d->grants->max_frames || grant_grow(d, idx + 1))
        return MFN_NONE;
    return arch_unmap(d->grants->shared[index_nospec(idx, MAX_GRANT_FRAMES)]);
}

static struct grant_active *active_of(const struct grant_state *g, grant_ref_t ref)
{
    return &g->active[ref / REFS_PER_FRAME][ref % REFS_PER_FRAME];
}

static struct grant_entry_v1 *shared_of(const struct grant_state *g, grant_ref_t ref)
{
    return &g->shared[ref / REFS_PER_FRAME][ref % REFS_PER_FRAME];
}

/*
 * Sets the in-use flags in the guest's entry, provided that it grants what is asked. Flags and
 * domain are one word, so that neither changes between look and mark.
 */
static int mark_entry(struct grant_entry_v1 *e, domid_t user, bool readonly)
{
    uint32_t *word = (uint32_t *)(void *)e;
    uint32_t old = __atomic_load_n(word, __ATOMIC_ACQUIRE), new;

    for (int i = 0; i < ENTRY_TRIES; i++) {
        uint16_t flags = (uint16_t)old;

        if ((flags & GTF_type_mask) != GTF_permit_access || (old >> 16) != user)
            return GNTST_general_error;
        if (!readonly && (flags & GTF_readonly))
            return GNTST_general_error;
        new = old | GTF_reading | (readonly ? 0 : GTF_writing);
        if (__atomic_compare_exchange_n(word, &old, new, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return GNTST_okay;
    }
    return GNTST_general_error;
}

static void unmark_entry(const struct grant_active *a, struct grant_entry_v1 *e)
{
    uint16_t gone = 0;

    if (a->writers == 0)
        gone |= GTF_writing;
    if (a->writers == 0 && a->readers == 0)
        gone |= GTF_reading;
    if (gone)
        __atomic_fetch_and(&e->flags, (uint16_t)~gone, __ATOMIC_RELEASE);
}

/* The reference on the frame that a pin holds. */
static int hold_frame(struct domain *owner, uint32_t mfn, bool readonly)
{
    struct frame *f = frame_of(MFN(mfn));
    int rc;

    if (!f)
        return GNTST_bad_page;
    if (readonly)
        return frame_get(f, owner) ? GNTST_okay : GNTST_bad_page;
    rc = frame_get_typed(f, owner, FT_WRITABLE);
    return rc == 0 ? GNTST_okay : rc == -XEN_ENOSPC ? GNTST_eagain : GNTST_bad_page;
}

static void release_frame(uint32_t mfn, bool readonly)
{
    struct frame *f = frame_of(MFN(mfn));

    if (readonly)
        frame_put(f);
    else
        frame_put_typed(f);
}

static int pin_locked(struct domain *owner, grant_ref_t ref, domid_t user, bool readonly,
                      uint32_t *mfn)
{
    struct grant_active *a = active_of(owner->grants, ref);
    struct grant_entry_v1 *e = shared_of(owner->grants, ref);
    bool first = a->readers == 0 && a->writers == 0;
    int rc;

    if (!first && a->domid != user)
        return GNTST_general_error;
    if (a->readers >= PIN_MAX || a->writers >= PIN_MAX)
        return GNTST_no_space;
    if (first || (!readonly && a->writers == 0)) {
        rc = mark_entry(e, user, readonly);
        if (rc != GNTST_okay)
            return rc;
    }
    if (first) {
        a->domid = user;
        a->mfn = __atomic_load_n(&e->frame, __ATOMIC_RELAXED);
    }
    rc = hold_frame(owner, a->mfn, readonly);
    if (rc == GNTST_okay) {
        a->readers += readonly;
        a->writers += !readonly;
        *mfn = a->mfn;
    } else {
        unmark_entry(a, e);
    }
    return rc;
}

int grant_pin(struct domain *owner, grant_ref_t ref, domid_t user, bool readonly, uint32_t *mfn)
{
    struct grant_state *g = owner->grants;
    int rc = GNTST_bad_gntref;

    spin_lock(&g->lock);
    if (ref < g->nr_frames * REFS_PER_FRAME) {
        ref = (grant_ref_t)index_nospec(ref, MAX_GRANT_FRAMES * REFS_PER_FRAME);
        rc = pin_locked(owner, ref, user, readonly, mfn);
    }
    spin_unlock(&g->lock);
    return rc;
}

void grant_unpin(struct domain *owner, grant_ref_t ref, bool readonly)
{
    struct grant_state *g = owner->grants;
    struct grant_active *a;
    uint32_t mfn;

    spin_lock(&g->lock);
    a = active_of(g, ref);
    mfn = a->mfn;
    a->readers -= readonly;
    a->writers -= !readonly;
    unmark_entry(a, shared_of(g, ref));
    spin_unlock(&g->lock);
    release_frame(mfn, readonly);
}

static bool is_idle_ref(const struct grant_state *g, grant_ref_t ref)
{
    const struct grant_active *a = active_of(g, ref);

    return a->readers == 0 && a->writers == 0;
}

int grant_swap(struct domain *d, grant_ref_t a, grant_ref_t b)
{
    struct grant_state *g = d->grants;
    struct grant_entry_v1 e;
    int rc = GNTST_okay;

    spin_lock(&g->lock);
    if (a >= g->nr_frames * REFS_PER_FRAME || b >= g->nr_frames * REFS_PER_FRAME) {
        rc = GNTST_bad_gntref;
    } else if (!is_idle_ref(g, a) || !is_idle_ref(g, b)) {
        rc = GNTST_eagain;
    } else {
        e = *shared_of(g, a);
        *shared_of(g, a) = *shared_of(g, b);
        *shared_of(g, b) = e;
    }
    spin_unlock(&g->lock);
    return rc;
}

static void dump_domain(struct domain *d)
{
    struct grant_state *g = d->grants;
    unsigned int shown = 0;

    spin_lock(&g->lock);
    log_info("Grants of domain %u: %u frames of at most %u, version 1; it holds %u mappings", d->id,
             g->nr_frames, g->max_frames, g->used_tracks);
    for (grant_ref_t ref = 0; ref < g->nr_frames * REFS_PER_FRAME && shown < 64; ref++) {
        const struct grant_active *a = active_of(g, ref);

        if (a->readers == 0 && a->writers == 0)
            continue;
        log_info("  ref %u: d%u reads %u, writes %u, mfn %#x, flags %#x", ref, a->domid, a->readers,
                 a->writers, a->mfn, shared_of(g, ref)->flags);
        shown++;
    }
    spin_unlock(&g->lock);
}

void grant_dump(void)
{
    struct domain *d;

    for (domid_t id = 0; (d = domain_next(id)) != NULL; id = (domid_t)(d->id + 1), domain_put(d))
        dump_domain(d);
}

/* Mappings that the tracks of all domains hold of d's reference `ref`. */
static void count_tracks(const struct domain *d, uint64_t *readers, uint64_t *writers)
{
    struct domain *h;

    for (domid_t id = 0; (h = domain_next(id)) != NULL; id = (domid_t)(h->id + 1), domain_put(h)) {
        for (uint32_t i = 0; i < h->grants->nr_tracks; i++) {
            const struct grant_track *t = grant_track_of(h->grants, i);

            if (!t || t->dom != d->id)
                continue;
            *readers += (t->flags & GNTMAP_readonly) != 0;
            *writers += (t->flags & GNTMAP_readonly) == 0;
        }
    }
}

unsigned int grant_audit(struct domain *d)
{
    struct grant_state *g = d->grants;
    uint64_t readers = 0, writers = 0, pinned_r = 0, pinned_w = 0;
    unsigned int bad = 0;

    for (grant_ref_t ref = 0; ref < g->nr_frames * REFS_PER_FRAME; ref++) {
        const struct grant_active *a = active_of(g, ref);
        const struct frame *f = frame_of(MFN(a->mfn));

        pinned_r += a->readers;
        pinned_w += a->writers;
        if (a->readers + a->writers == 0)
            continue;
        if (!f || f->owner != d->id || frame_refs(f->state) < a->readers + a->writers ||
            frame_typed(f->state) < a->writers ||
            (a->writers && frame_type_of(f->state) != FT_WRITABLE)) {
            log_err("audit: d%u's grant %u of frame %#x is not backed by references", d->id, ref,
                    a->mfn);
            bad++;
        }
    }
    count_tracks(d, &readers, &writers);
    if (readers != pinned_r || writers != pinned_w) {
        log_err("audit: d%u's grants are pinned %llu+%llu times, mapped %llu+%llu times", d->id,
                (unsigned long long)pinned_r, (unsigned long long)pinned_w,
                (unsigned long long)readers, (unsigned long long)writers);
        bad++;
    }
    return bad;
}

void grant_walk(struct domain *holder, grant_walk_fn *fn, void *arg)
{
    struct grant_state *g = holder->grants;

    for (uint32_t i = 0; i < g->nr_tracks; i++) {
        const struct grant_track *t = grant_track_of(g, i);

        if (t)
            fn(arg, t->dom, MFN(t->mfn), !(t->flags & GNTMAP_readonly));
    }
}
