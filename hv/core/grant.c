/* SPDX-License-Identifier: MIT */
/* The owner's side of grants: the table and its pins. */
#include "core/grant_private.h"

#include <xen/errno.h>

#include "core/bug.h"
#include "core/log.h"

#define ENTRY_TRIES 4 /* a guest that keeps changing its entry gets an error */

int grant_init(struct domain *d)
{
    struct grant_state *g = frame_alloc_hv();

    if (!g)
        return -XEN_ENOMEM;
    spin_init(&g->lock, RANK_GRANT);
    g->free_track = NO_TRACK;
    d->grants = g;
    return grant_set_limits(d, 0, 0);
}

/* `asked` of createdomain, or the default; 0: too large. */
static uint32_t limit(uint32_t asked, uint32_t dflt, uint32_t max)
{
    if (asked == 0 || (int32_t)asked < 0)
        return dflt;
    return asked <= max ? asked : 0;
}

int grant_set_limits(struct domain *d, uint32_t max_grant_frames, uint32_t max_maptrack_frames)
{
    uint32_t frames = limit(max_grant_frames, DEFAULT_GRANT_FRAMES, MAX_GRANT_FRAMES);
    uint32_t tracks = limit(max_maptrack_frames, DEFAULT_MAPTRACK_FRAMES, MAX_MAPTRACK_FRAMES);

    if (!frames || !tracks) {
        log_warn("Domain %u: %u grant frames and %u maptrack frames asked for, at most %u and %u "
                 "are possible",
                 d->id, max_grant_frames, max_maptrack_frames, MAX_GRANT_FRAMES,
                 MAX_MAPTRACK_FRAMES);
        return -XEN_EINVAL;
    }
    d->grants->max_frames = frames;
    d->grants->max_tracks = tracks * TRACKS_PER_PAGE;
    return 0;
}

void grant_free(struct domain *d)
{
    struct grant_state *g = d->grants;

    if (!g)
        return;
    BUG_ON(g->used_tracks);
    for (unsigned int i = 0; i < g->nr_frames; i++) {
        frame_free_hv(g->active[i]);
        frame_unshare(g->shared[i]); /* a tool may still map it */
    }
    grant_free_tracks(g);
    frame_free_hv(g);
    d->grants = NULL;
}

static int add_frame(struct domain *d, struct grant_state *g)
{
    struct grant_active *active = frame_alloc_hv();
    struct grant_entry_v1 *shared = frame_alloc_hv();

    if (!active || !shared) {
        if (active)
            frame_free_hv(active);
        if (shared)
            frame_free_hv(shared);
        return -XEN_ENOMEM;
    }
    frame_share(frame_of(arch_unmap(shared)), d, true);
    g->active[g->nr_frames] = active;
    g->shared[g->nr_frames] = shared;
    __atomic_store_n(&g->nr_frames, g->nr_frames + 1, __ATOMIC_RELEASE);
    g->nr_refs = g->nr_frames * REFS_PER_FRAME;
    return 0;
}

int grant_grow(struct domain *d, uint32_t nr)
{
    struct grant_state *g = d->grants;
    int rc = 0;

    if (nr > g->max_frames)
        return -XEN_EINVAL;
    if (nr <= __atomic_load_n(&g->nr_frames, __ATOMIC_ACQUIRE))
        return 0;
    spin_lock(&g->lock);
    if (g->closed)
        rc = -XEN_EINVAL;
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

unsigned int grant_max_frames(const struct domain *d)
{
    return d->grants->max_frames;
}

/* --- an entry of the table, which the guest may change at any time --- */

/* Flags and domain are one word, so that neither changes between look and mark. */
static uint32_t *word_of(struct grant_entry_v1 *e)
{
    return (uint32_t *)(void *)e;
}

/* Sets the in-use flags in the guest's entry, provided that it grants what is asked. */
static int mark_entry(struct grant_entry_v1 *e, domid_t user, bool readonly)
{
    const uint32_t marks = GTF_reading | (readonly ? 0 : GTF_writing);
    const uint32_t relevant = 0xffff0000u | GTF_type_mask | (readonly ? 0 : GTF_readonly);
    uint32_t old = __atomic_load_n(word_of(e), __ATOMIC_ACQUIRE);

    for (int i = 0; i < ENTRY_TRIES; i++) {
        if ((old & relevant) != ((uint32_t)user << 16 | GTF_permit_access))
            return GNTST_general_error;
        if ((old & marks) == marks ||
            __atomic_compare_exchange_n(word_of(e), &old, old | marks, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return GNTST_okay;
    }
    return GNTST_general_error;
}

/* Clears the flags that no pin stands for any more: from now on the guest may end the access. */
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

/* --- pins --- */

int grant_hold_slowly(struct domain *owner, uint64_t gfn, bool readonly, uint32_t *mfn)
{
    struct frame *f;
    int rc = gfn_get_slowly(owner, GFN(gfn), grant_access(readonly), &f);

    if (rc)
        return rc == -XEN_ENOSPC ? GNTST_no_space : GNTST_bad_page;
    *mfn = (uint32_t)frame_mfn(f).v;
    return GNTST_okay;
}

static bool is_idle(const struct grant_active *a)
{
    return a->readers == 0 && a->writers == 0;
}

/* [lock] How many pins of a kind there are. */
static inline uint8_t *pins(struct grant_active *a, bool readonly)
{
    return readonly ? &a->readers : &a->writers;
}

static inline __attribute__((always_inline)) int
pin_locked(struct domain *owner, domid_t user, grant_ref_t ref, bool readonly, uint32_t *mfn)
{
    struct grant_active *a = grant_active_of(owner->grants, ref);
    struct grant_entry_v1 *e = grant_shared_of(owner->grants, ref);
    bool first = is_idle(a);
    uint32_t held;
    int rc;

    if (!first && a->domid != user)
        return GNTST_general_error;
    if (*pins(a, readonly) == PIN_MAX)
        return GNTST_no_space;
    rc = mark_entry(e, user, readonly);
    if (rc != GNTST_okay)
        return rc;
    rc = grant_hold_frame(owner, __atomic_load_n(&e->frame, __ATOMIC_RELAXED), readonly, &held);
    if (rc == GNTST_okay && !first && held != a->mfn) {
        /* Reused while others count on it: not before they are gone. */
        grant_release_frame(held, readonly);
        rc = GNTST_general_error;
    }
    if (rc != GNTST_okay) {
        unmark_entry(a, e);
        return rc;
    }
    if (first) { /* else they are the same, and holders read them without the lock */
        a->mfn = held;
        a->domid = user;
    }
    ++*pins(a, readonly);
    *mfn = held;
    return GNTST_okay;
}

void grant_pin(struct domain *owner, domid_t user, struct grant_use *u, unsigned int n)
{
    struct grant_state *g = owner->grants;

    spin_lock(&g->lock);
    for (; n; n--, u++) {
        int rc = GNTST_bad_gntref;

        if (u->status != GNTST_okay)
            continue;
        if (__builtin_expect(grant_ref_ok(g, &u->ref), 1))
            rc = pin_locked(owner, user, u->ref, u->flags & GNTMAP_readonly, &u->mfn);
        if (__builtin_expect(rc != GNTST_okay, 0))
            u->status = (int16_t)rc;
    }
    spin_unlock(&g->lock);
}

void grant_unpin(struct domain *owner, const struct grant_use *u, unsigned int n)
{
    struct grant_state *g = owner->grants;

    spin_lock(&g->lock);
    for (; n; n--, u++) {
        bool readonly = u->flags & GNTMAP_readonly;
        struct grant_active *a;

        if (u->mfn == GRANT_NO_MFN)
            continue;
        a = grant_active_of(g, u->ref);
        --*pins(a, readonly);
        /* The frame first: a guest that sees the flags gone may make a page table of it at once. */
        grant_release_frame(u->mfn, readonly);
        unmark_entry(a, grant_shared_of(g, u->ref));
    }
    spin_unlock(&g->lock);
}

int grant_swap(struct domain *d, grant_ref_t a, grant_ref_t b)
{
    struct grant_state *g = d->grants;
    int rc = GNTST_okay;

    spin_lock(&g->lock);
    if (!grant_ref_ok(g, &a) || !grant_ref_ok(g, &b)) {
        rc = GNTST_bad_gntref;
    } else if (!is_idle(grant_active_of(g, a)) || !is_idle(grant_active_of(g, b))) {
        rc = GNTST_eagain;
    } else {
        uint64_t *at = (uint64_t *)(void *)grant_shared_of(g, a);
        uint64_t *bt = (uint64_t *)(void *)grant_shared_of(g, b);
        uint64_t e = __atomic_load_n(at, __ATOMIC_RELAXED);

        __atomic_store_n(at, __atomic_load_n(bt, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
        __atomic_store_n(bt, e, __ATOMIC_RELAXED);
    }
    spin_unlock(&g->lock);
    return rc;
}

/* --- for people and tests --- */

static void dump_domain(struct domain *d)
{
    struct grant_state *g = d->grants;
    unsigned int shown = 0;

    spin_lock(&g->lock);
    log_info("Grants of domain %u: %u frames of at most %u, version 1; it holds %u mappings of at "
             "most %u",
             d->id, g->nr_frames, g->max_frames, g->used_tracks, g->max_tracks);
    for (grant_ref_t ref = 0; ref < g->nr_frames * REFS_PER_FRAME && shown < 64; ref++) {
        const struct grant_active *a = grant_active_of(g, ref);

        if (is_idle(a))
            continue;
        log_info("  ref %u: d%u reads %u, writes %u, mfn %#x, flags %#x", ref, a->domid, a->readers,
                 a->writers, a->mfn, grant_shared_of(g, ref)->flags);
        shown++;
    }
    spin_unlock(&g->lock);
}

void grant_dump(void)
{
    for_each_domain (d)
        dump_domain(d);
}

/* Mappings that the tracks of all domains hold of d's frames. */
static void count_tracks(const struct domain *d, uint64_t *readers, uint64_t *writers)
{
    for_each_domain (h) {
        for (uint32_t i = 0; i < h->grants->nr_tracks; i++) {
            const struct grant_track *t = grant_track_of(h->grants, i);

            if (!t || t->owner != d)
                continue;
            *readers += (t->flags & GNTMAP_readonly) != 0;
            *writers += (t->flags & GNTMAP_readonly) == 0;
        }
    }
}

/* The table's pages are still the hypervisor's, those that the guest writes shared with it. */
static unsigned int audit_table(const struct domain *d)
{
    const struct grant_state *g = d->grants;
    unsigned int bad = 0;

    for (unsigned int i = 0; i < g->nr_frames; i++) {
        const struct frame *active = frame_of(arch_unmap(g->active[i]));

        if (frame_is_shared(g->shared[i], d) && active->owner == DOMID_INVALID &&
            active->state == (FRAME_RAM | FRAME_HV | FRAME_REF_ONE))
            continue;
        log_err("audit: page %u of d%u's grant table is not its own any more", i, d->id);
        bad++;
    }
    return bad;
}

unsigned int grant_audit(struct domain *d)
{
    struct grant_state *g = d->grants;
    uint64_t readers = 0, writers = 0, pinned_r = 0, pinned_w = 0;
    unsigned int bad = audit_table(d);

    for (grant_ref_t ref = 0; ref < g->nr_frames * REFS_PER_FRAME; ref++) {
        const struct grant_active *a = grant_active_of(g, ref);
        const struct frame *f = &frame_table[a->mfn];

        pinned_r += a->readers;
        pinned_w += a->writers;
        if (is_idle(a))
            continue;
        if (f->owner != d->id || (f->state & FRAME_HV) ||
            frame_refs(f->state) < a->readers + a->writers || frame_typed(f->state) < a->writers ||
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
    if (g->closed && g->used_tracks && d->state == DOM_DEAD) {
        log_err("audit: dead d%u still maps %u grants", d->id, g->used_tracks);
        bad++;
    }
    return bad;
}

void grant_writers(struct domain *d, void (*fn)(void *arg, mfn_t mfn), void *arg)
{
    const struct grant_state *g = d->grants;

    spin_lock(&d->grants->lock);
    for (grant_ref_t ref = 0; ref < g->nr_frames * REFS_PER_FRAME; ref++)
        if (grant_active_of(g, ref)->writers)
            fn(arg, frame_held(grant_active_of(g, ref)->mfn));
    spin_unlock(&d->grants->lock);
}

void grant_walk(struct domain *holder, grant_walk_fn *fn, void *arg)
{
    struct grant_state *g = holder->grants;

    for (uint32_t i = 0; i < g->nr_tracks; i++) {
        const struct grant_track *t = grant_track_of(g, i);

        if (t)
            fn(arg, t->owner->id, frame_held(grant_active_of(t->owner->grants, t->ref)->mfn),
               !(t->flags & GNTMAP_readonly));
    }
}
