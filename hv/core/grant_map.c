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

/*
 * A new track of `holder`, busy, which takes over the caller's reference on owner. NULL: no room,
 * or the holder is dying.
 */
static struct grant_track *track_new(struct domain *holder, struct domain *owner, uint32_t ref,
                                     grant_handle_t *handle)
{
    struct grant_state *g = holder->grants;
    uint32_t max = access_host(holder) ? MAX_TRACKS : g->max_tracks;
    struct grant_track *t = NULL;

    spin_lock(&g->lock);
    if (!g->closed && (g->free_track != NO_TRACK || add_tracks(g, max))) {
        *handle = g->free_track;
        t = slot(g, *handle);
        g->free_track = t->ref;
        g->used_tracks++;
        t->owner = owner;
        t->ref = ref;
        __atomic_store_n(&t->flags, TRACK_BUSY, __ATOMIC_RELAXED);
    }
    spin_unlock(&g->lock);
    return t;
}

/* The busy track is one that maps as these flags say. */
static void track_ready(struct grant_track *t, uint32_t flags)
{
    __atomic_store_n(&t->flags, flags, __ATOMIC_RELEASE);
}

/* The busy track is free again; its reference on the owner is the caller's now. */
static void track_free(struct grant_state *g, struct grant_track *t, grant_handle_t handle)
{
    spin_lock(&g->lock);
    t->owner = NULL;
    t->ref = g->free_track;
    __atomic_store_n(&t->flags, TRACK_FREE, __ATOMIC_RELAXED);
    g->free_track = handle;
    g->used_tracks--;
    spin_unlock(&g->lock);
}

/* Marks the track of a handle busy; NULL: no such mapping, or somebody else changes it. */
static struct grant_track *track_take(struct grant_state *g, grant_handle_t handle, uint32_t *flags)
{
    struct grant_track *t;

    spin_lock(&g->lock);
    t = slot(g, handle);
    if (t) {
        *flags = flags_of(t);
        if (*flags == TRACK_FREE || (*flags & TRACK_BUSY))
            t = NULL;
        else
            __atomic_store_n(&t->flags, *flags | TRACK_BUSY, __ATOMIC_RELAXED);
    }
    spin_unlock(&g->lock);
    return t;
}

/* The frame of a track that is not free: pinned, so it does not change. */
static mfn_t track_mfn(const struct grant_track *t)
{
    return frame_mfn(grant_frame(grant_active_of(t->owner->grants, t->ref)));
}

/* --- mapping --- */

/* The reference on owner goes into the track if all goes well. */
static int map_from(struct vcpu *v, struct domain *owner, struct gnttab_map_grant_ref *op)
{
    bool readonly = op->flags & GNTMAP_readonly;
    struct grant_track *t;
    grant_handle_t handle;
    struct frame *f;
    mfn_t mfn;
    int rc = grant_pin(owner, op->ref, v->domain->id, readonly, &f);

    if (rc != GNTST_okay)
        return rc;
    mfn = frame_mfn(f);
    t = track_new(v->domain, owner, op->ref, &handle);
    if (!t) {
        rc = GNTST_no_space;
    } else if (op->flags & GNTMAP_host_map) {
        rc = v->domain->ops->grant_map(v, owner, op->host_addr, mfn, op->flags);
        if (rc != GNTST_okay)
            track_free(v->domain->grants, t, handle);
    }
    if (rc != GNTST_okay) {
        grant_unpin(owner, op->ref, readonly);
        return rc;
    }
    track_ready(t, op->flags & KEPT_FLAGS);
    op->handle = handle;
    op->dev_bus_addr = mfn_maddr(mfn).v; /* Linux takes the frame from here */
    return GNTST_okay;
}

int grant_map_one(struct vcpu *v, struct gnttab_map_grant_ref *op)
{
    struct domain *owner;
    int rc;

    if (!(op->flags & (GNTMAP_device_map | GNTMAP_host_map)))
        return GNTST_bad_gntref;
    owner = domain_get_self(v, op->dom);
    rc = owner ? map_from(v, owner, op) : GNTST_bad_domain;
    if (rc == GNTST_okay) {
        COUNT(v->cpu, MAPS);
        return rc;
    }
    if (owner)
        domain_put(owner);
    log_refusal(v->domain, "map of grant %u of d%u: status %d", op->ref, op->dom, rc);
    return rc;
}

/* What the flags of a busy track become when these addresses are unmapped; GNTST_*. */
static int unmap_parts(struct vcpu *v, mfn_t mfn, uint32_t *flags, uint64_t host_addr,
                       uint64_t dev_addr, uint64_t new_addr, bool replace)
{
    uint32_t left = *flags;
    int rc;

    if (dev_addr && (left & GNTMAP_device_map)) {
        if (dev_addr != mfn_maddr(mfn).v)
            return GNTST_bad_dev_addr;
        left &= ~GNTMAP_device_map;
    }
    if ((host_addr || replace) && (left & GNTMAP_host_map)) {
        rc = v->domain->ops->grant_unmap(v, host_addr, mfn, left, replace ? new_addr : 0);
        if (rc != GNTST_okay)
            return rc;
        left &= ~GNTMAP_host_map;
    }
    *flags = left;
    return GNTST_okay;
}

int grant_unmap_one(struct vcpu *v, grant_handle_t handle, uint64_t host_addr, uint64_t dev_addr,
                    uint64_t new_addr, bool replace, struct grant_dropped *put)
{
    struct grant_state *g = v->domain->grants;
    uint32_t flags;
    struct grant_track *t = track_take(g, handle, &flags);
    int rc;

    put->owner = NULL;
    if (!t)
        return GNTST_bad_handle;
    COUNT(v->cpu, UNMAPS);
    rc = unmap_parts(v, track_mfn(t), &flags, host_addr, dev_addr, new_addr, replace);
    if (flags & (GNTMAP_device_map | GNTMAP_host_map)) {
        track_ready(t, flags);
        return rc;
    }
    put->owner = t->owner;
    put->ref = t->ref;
    put->readonly = flags & GNTMAP_readonly;
    track_free(g, t, handle);
    return rc;
}

static void drop(const struct grant_dropped *put)
{
    grant_unpin(put->owner, put->ref, put->readonly);
    domain_put(put->owner);
}

/* What the kind's grant_unmap took out of its tables is in no TLB any more. */
static void grant_flush(struct domain *d)
{
    if (gfn_is_mfn(d))
        arch_tlb_flush_stamped(&d->dirty_cpus, tlb_stamp());
    else
        d->ops->gfn_flush(d);
}

void grant_finish_unmap(struct vcpu *v, struct grant_dropped *put, unsigned int n)
{
    bool flushed = false;

    for (unsigned int i = 0; i < n; i++) {
        if (!put[i].owner)
            continue;
        if (!flushed)
            grant_flush(v->domain);
        flushed = true;
        drop(&put[i]);
    }
}

/* --- the end of the holder --- */

#define TEARDOWN_STEP 64 /* tracks between two looks at pending work */
#define TEARDOWN_COST 16 /* of these, in hc_preempt()'s units */

static void drop_track(struct grant_state *g, grant_handle_t handle)
{
    struct grant_dropped put;
    uint32_t flags;
    struct grant_track *t = track_take(g, handle, &flags);

    if (!t)
        return;
    put = (struct grant_dropped){ t->owner, t->ref, flags & GNTMAP_readonly };
    track_free(g, t, handle);
    drop(&put);
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
        for (unsigned int i = 0; i < TEARDOWN_STEP && g->drop_next < g->nr_tracks; i++)
            drop_track(g, g->drop_next++);
        if (g->drop_next >= g->nr_tracks && g->used_tracks != 0) {
            g->drop_next = 0; /* one was busy: again from the start, later */
            return -XEN_EAGAIN;
        }
        if (hc_preempt(TEARDOWN_COST) && g->used_tracks != 0)
            return -XEN_EAGAIN;
    }
    return 0;
}
