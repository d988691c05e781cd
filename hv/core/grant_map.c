/* SPDX-License-Identifier: MIT */
/* The holder's side of grants: mappings and their handles. */
#include "core/grant_private.h"

#include <xen/errno.h>

#include "core/access.h"
#include "core/bug.h"
#include "core/log.h"

#define KEPT_FLAGS (GNTMAP_device_map | GNTMAP_host_map | GNTMAP_readonly | GNTMAP_contains_pte)

/* --- tracks --- */

/* Any track that has memory, free or not. Lock held. */
static struct grant_track *slot(struct grant_state *g, grant_handle_t h)
{
    if (h >= g->nr_tracks)
        return NULL;
    h = (grant_handle_t)index_nospec(h, MAX_TRACKS);
    unsigned int page = h / TRACKS_PER_PAGE;
    return &g->tracks[page / PAGES_PER_DIR][page % PAGES_PER_DIR][h % TRACKS_PER_PAGE];
}

static uint32_t flags_of(const struct grant_track *t)
{
    return __atomic_load_n(&t->flags, __ATOMIC_ACQUIRE);
}

struct grant_track *grant_track_of(struct grant_state *g, grant_handle_t handle)
{
    struct grant_track *t = slot(g, handle);

    return t && flags_of(t) != TRACK_FREE ? t : NULL;
}

void grant_free_tracks(struct grant_state *g)
{
    for (uint32_t page = 0; page < g->nr_tracks / TRACKS_PER_PAGE; page++)
        frame_free_hv(g->tracks[page / PAGES_PER_DIR][page % PAGES_PER_DIR]);
    for (unsigned int i = 0; i < TRACK_DIRS; i++)
        if (g->tracks[i])
            frame_free_hv(g->tracks[i]);
}

/* Adds a page of free tracks. Lock held. */
static bool add_tracks(struct grant_state *g, uint32_t max)
{
    uint32_t first = g->nr_tracks, page = first / TRACKS_PER_PAGE;
    struct grant_track ***dir = &g->tracks[page / PAGES_PER_DIR], *t;

    if (first >= max)
        return false;
    if (!*dir && !(*dir = frame_alloc_hv()))
        return false;
    t = frame_alloc_hv();
    if (!t)
        return false;
    for (uint32_t i = 0; i < TRACKS_PER_PAGE; i++)
        t[i].ref = i + 1 < TRACKS_PER_PAGE ? first + i + 1 : g->free_track;
    (*dir)[page % PAGES_PER_DIR] = t;
    g->nr_tracks += TRACKS_PER_PAGE;
    g->free_track = first;
    return true;
}

/* The busy track is one that maps as these flags say. */
static void track_ready(struct grant_track *t, uint32_t flags)
{
    __atomic_store_n(&t->flags, flags, __ATOMIC_RELEASE);
}

/*
 * New tracks of `holder`, busy, for those of n elements whose status is GNTST_okay. Else it is
 * GNTST_no_space from now on: no room, or the holder is dying.
 */
static void take_new(struct domain *holder, struct domain *owner, struct grant_use *u,
                     struct grant_at *at, unsigned int n)
{
    struct grant_state *g = holder->grants;
    uint32_t max = access_host(holder) ? MAX_TRACKS : g->max_tracks;

    spin_lock(&g->lock);
    for (; n; n--, u++, at++) {
        struct grant_track *t;

        if (u->status != GNTST_okay)
            continue;
        if (g->closed || (g->free_track == NO_TRACK && !add_tracks(g, max))) {
            u->status = GNTST_no_space;
            continue;
        }
        at->handle = g->free_track;
        at->track = t = slot(g, at->handle);
        g->free_track = t->ref;
        g->used_tracks++;
        t->owner = owner;
        t->ref = u->ref;
        __atomic_store_n(&t->flags, TRACK_BUSY, __ATOMIC_RELAXED);
    }
    spin_unlock(&g->lock);
}

/* Tracks that are busy are free again; their references on the owner are the caller's now. */
static void free_tracks(struct grant_state *g, const struct grant_at *at, unsigned int n)
{
    spin_lock(&g->lock);
    for (; n; n--, at++) {
        struct grant_track *t = at->track;

        if (!t)
            continue;
        t->owner = NULL;
        t->ref = g->free_track;
        __atomic_store_n(&t->flags, TRACK_FREE, __ATOMIC_RELAXED);
        g->free_track = at->handle;
        g->used_tracks--;
    }
    spin_unlock(&g->lock);
}

/*
 * Marks the tracks of handles busy; of one that maps nothing, or that somebody else changes, the
 * status is GNTST_bad_handle. How many elements were looked at: a track that is busy after one was
 * taken may be that one, so it is the next batch's first.
 */
static unsigned int take_tracks(struct grant_state *g, struct grant_use *u, struct grant_at *at,
                                unsigned int n)
{
    bool any = false;
    unsigned int i;

    spin_lock(&g->lock);
    for (i = 0; i < n; i++) {
        struct grant_track *t = slot(g, at[i].handle);
        uint32_t flags = t ? flags_of(t) : TRACK_FREE;

        if ((flags & TRACK_BUSY) && any)
            break;
        at[i].track = NULL;
        u[i].status = GNTST_bad_handle;
        if (flags == TRACK_FREE || (flags & TRACK_BUSY))
            continue;
        __atomic_store_n(&t->flags, flags | TRACK_BUSY, __ATOMIC_RELAXED);
        at[i].track = t;
        u[i].ref = t->ref;
        u[i].flags = (uint16_t)flags;
        u[i].status = GNTST_okay;
        any = true;
    }
    spin_unlock(&g->lock);
    return i;
}

/* --- mapping --- */

/* Those that went well are shown under their handles; how many did not. */
static unsigned int show_maps(struct gnttab_map_grant_ref *op, struct grant_use *u,
                              struct grant_at *at, unsigned int n)
{
    unsigned int failed = 0;

    for (; n; n--, op++, u++, at++) {
        op->status = u->status;
        if (u->status != GNTST_okay) {
            failed++;
            continue;
        }
        op->handle = at->handle;
        op->dev_bus_addr = mfn_maddr(frame_held(u->mfn)).v; /* Linux takes the frame from here */
        u->mfn = GRANT_NO_MFN;
        track_ready(at->track, u->flags & KEPT_FLAGS);
        at->track = NULL;
    }
    return failed;
}

/* What the others hold goes back, but their references on the owner. */
static void undo_maps(struct vcpu *v, struct domain *owner, const struct gnttab_map_grant_ref *op,
                      const struct grant_use *u, const struct grant_at *at, unsigned int n)
{
    if (owner) {
        free_tracks(v->domain->grants, at, n);
        grant_unpin(owner, u, n);
    }
    for (unsigned int i = 0; i < n; i++)
        if (op[i].status != GNTST_okay)
            log_refusal(v->domain, "map of grant %u of d%u: status %d", op[i].ref, op[i].dom,
                        op[i].status);
}

/* The first of n elements, as far as they name one owner; how many these were. */
static unsigned int map_run(struct vcpu *v, struct gnttab_map_grant_ref *op, unsigned int n)
{
    struct domain *owner = domain_get_self(v, op->dom);
    struct grant_use u[GRANT_STEP];
    struct grant_at at[GRANT_STEP];
    unsigned int k, failed;

    for (k = 0; k < n && op[k].dom == op->dom; k++) {
        uint32_t flags = op[k].flags & KEPT_FLAGS;

        u[k].mfn = GRANT_NO_MFN;
        u[k].ref = op[k].ref;
        u[k].flags = (uint16_t)(flags & GNTMAP_host_map ? flags | GRANT_USE_HOST : flags);
        u[k].status = owner ? GNTST_okay : GNTST_bad_domain;
        if (!(flags & (GNTMAP_device_map | GNTMAP_host_map)))
            u[k].status = GNTST_bad_gntref;
        at[k].addr = op[k].host_addr;
        at[k].avail = op[k].flags >> _GNTMAP_guest_avail0;
        at[k].track = NULL;
    }
    if (owner) {
        grant_pin(owner, v->domain->id, u, k);
        take_new(v->domain, owner, u, at, k);
        v->domain->ops->grant_map(v, owner, u, at, k);
        domain_get_more(owner, k);
    }
    failed = show_maps(op, u, at, k);
    v->cpu->counts.n[COUNT_MAPS] += k - failed;
    if (failed)
        undo_maps(v, owner, op, u, at, k);
    if (owner)
        domain_put_many(owner, 1 + failed);
    return k;
}

void grant_map(struct vcpu *v, struct gnttab_map_grant_ref *op, unsigned int n)
{
    for (unsigned int i = 0; i < n;)
        i += map_run(v, &op[i], n - i);
}

/* --- unmapping --- */

/* Which parts of a busy track an element names, and its frame; false: none are to go. */
static void choose_parts(const struct gnttab_unmap_grant_ref *op, bool replace, struct grant_use *u,
                         struct grant_at *at)
{
    /* pinned, so it does not change */
    u->mfn = grant_active_of(at->track->owner->grants, u->ref)->mfn;
    at->new_addr = replace ? op->dev_bus_addr : 0;
    if (!replace && op->dev_bus_addr && (u->flags & GNTMAP_device_map)) {
        u->flags |= GRANT_USE_DEVICE;
        if (op->dev_bus_addr != mfn_maddr(frame_held(u->mfn)).v)
            u->status = GNTST_bad_dev_addr;
    }
    if ((op->host_addr || replace) && (u->flags & GNTMAP_host_map))
        u->flags |= GRANT_USE_HOST;
}

/* What is left of a mapping after its parts went; false: nothing. */
static bool settle_parts(struct grant_use *u, struct grant_at *at)
{
    uint32_t left = u->flags & KEPT_FLAGS;

    if (u->status == GNTST_okay) {
        left &= u->flags & GRANT_USE_DEVICE ? ~(uint32_t)GNTMAP_device_map : ~0u;
        left &= u->flags & GRANT_USE_HOST ? ~(uint32_t)GNTMAP_host_map : ~0u;
    }
    if (!(left & (GNTMAP_device_map | GNTMAP_host_map)))
        return false;
    u->mfn = GRANT_NO_MFN;
    track_ready(at->track, left);
    at->track = NULL;
    return true;
}

/* What the kind's grant_unmap took out of its tables is in no TLB any more. */
static void grant_flush(struct domain *d)
{
    if (gfn_is_mfn(d))
        arch_tlb_flush_stamped(&d->dirty_cpus, tlb_stamp());
    else
        d->ops->gfn_flush(d);
}

/* The busy tracks among n, of which nothing is mapped any more, go with their pins. */
static void drop_tracks(struct grant_state *g, const struct grant_use *u, const struct grant_at *at,
                        unsigned int n)
{
    unsigned int k, dropped;

    for (; n; n -= k, u += k, at += k) {
        struct domain *owner = at->track ? at->track->owner : NULL;

        dropped = owner != NULL;
        for (k = 1; k < n && owner && (!at[k].track || at[k].track->owner == owner); k++)
            dropped += at[k].track != NULL;
        if (!owner)
            continue;
        grant_unpin(owner, u, k);
        free_tracks(g, at, k);
        domain_put_many(owner, dropped);
    }
}

/* The first of n elements, as far as take_tracks() goes; how many these were. */
static unsigned int unmap_run(struct vcpu *v, struct gnttab_unmap_grant_ref *op, unsigned int n,
                              bool replace)
{
    struct grant_state *g = v->domain->grants;
    struct grant_use u[GRANT_STEP];
    struct grant_at at[GRANT_STEP];
    bool any = false;
    unsigned int i, taken = 0;

    for (i = 0; i < n; i++) {
        u[i].mfn = GRANT_NO_MFN;
        at[i].addr = op[i].host_addr;
        at[i].handle = op[i].handle;
    }
    n = take_tracks(g, u, at, n);
    for (i = 0; i < n; i++)
        if (at[i].track)
            choose_parts(&op[i], replace, &u[i], &at[i]);
    v->domain->ops->grant_unmap(v, u, at, n);
    for (i = 0; i < n; i++) {
        op[i].status = u[i].status;
        if (at[i].track) {
            taken++;
            any |= !settle_parts(&u[i], &at[i]);
        }
    }
    v->cpu->counts.n[COUNT_UNMAPS] += taken;
    if (any) {
        grant_flush(v->domain);
        drop_tracks(g, u, at, n);
    }
    return n;
}

void grant_unmap(struct vcpu *v, struct gnttab_unmap_grant_ref *op, unsigned int n, bool replace)
{
    for (unsigned int i = 0; i < n;)
        i += unmap_run(v, &op[i], n - i, replace);
}

/* --- the end of the holder --- */

#define TEARDOWN_COST 8 /* of a step, in hc_preempt()'s units */

/* One step; at least one track is looked at. */
static void drop_some(struct grant_state *g)
{
    unsigned int n = MIN(g->nr_tracks - g->drop_next, (uint32_t)GRANT_STEP);
    struct grant_use u[GRANT_STEP];
    struct grant_at at[GRANT_STEP];

    for (unsigned int i = 0; i < n; i++)
        at[i].handle = g->drop_next + i;
    n = take_tracks(g, u, at, n);
    for (unsigned int i = 0; i < n; i++)
        u[i].mfn = at[i].track ? grant_active_of(at[i].track->owner->grants, u[i].ref)->mfn
                               : GRANT_NO_MFN;
    drop_tracks(g, u, at, n);
    g->drop_next += n;
}

void grant_close(struct domain *d)
{
    struct grant_state *g = d->grants;

    spin_lock(&g->lock); /* who took a track or a pin before is done, or holds it */
    g->closed = true;
    g->nr_refs = 0;
    spin_unlock(&g->lock);
}

int grant_teardown(struct domain *d)
{
    struct grant_state *g = d->grants;

    while (g->used_tracks != 0) {
        if (g->drop_next < g->nr_tracks)
            drop_some(g);
        if (g->drop_next >= g->nr_tracks && g->used_tracks != 0) {
            g->drop_next = 0; /* one was busy: again from the start, later */
            return -XEN_EAGAIN;
        }
        if (hc_preempt(TEARDOWN_COST) && g->used_tracks != 0)
            return -XEN_EAGAIN;
    }
    return 0;
}
