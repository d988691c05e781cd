/* SPDX-License-Identifier: MIT */
/* The holder's side of grants: mappings and their handles. */
#include "core/grant_private.h"

#include <xen/errno.h>

#include "core/bug.h"
#include "core/hypercall.h"
#include "core/log.h"

#define KEPT_FLAGS (GNTMAP_device_map | GNTMAP_host_map | GNTMAP_readonly | GNTMAP_contains_pte)

/* Any track that has memory, free or not. Lock held. */
static struct grant_track *slot(struct grant_state *g, grant_handle_t h)
{
    if (h >= g->nr_tracks)
        return NULL;
    h = (grant_handle_t)index_nospec(h, MAX_MAPTRACK);
    return &g->tracks[h / TRACKS_PER_PAGE][h % TRACKS_PER_PAGE];
}

struct grant_track *grant_track_of(struct grant_state *g, grant_handle_t handle)
{
    struct grant_track *t = slot(g, handle);

    return t && t->flags != TRACK_FREE ? t : NULL;
}

/* Adds a page of free tracks. Lock held. */
static bool add_tracks(struct grant_state *g)
{
    struct grant_track *page;
    uint32_t first = g->nr_tracks;

    if (first >= MAX_MAPTRACK || !(page = frame_alloc_hv()))
        return false;
    for (uint32_t i = 0; i < TRACKS_PER_PAGE; i++)
        page[i].ref = i + 1 < TRACKS_PER_PAGE ? first + i + 1 : g->free_track;
    g->tracks[first / TRACKS_PER_PAGE] = page;
    g->nr_tracks += TRACKS_PER_PAGE;
    g->free_track = first;
    return true;
}

/* A new track, busy. False: no room. */
static bool track_new(struct grant_state *g, domid_t dom, uint32_t ref, uint32_t mfn,
                      uint16_t flags, grant_handle_t *handle)
{
    struct grant_track *t;
    bool ok;

    spin_lock(&g->lock);
    ok = g->free_track != NO_TRACK || add_tracks(g);
    if (ok) {
        *handle = g->free_track;
        t = slot(g, *handle);
        g->free_track = t->ref;
        g->used_tracks++;
        t->ref = ref;
        t->mfn = mfn;
        t->dom = dom;
        t->flags = flags | TRACK_BUSY;
    }
    spin_unlock(&g->lock);
    return ok;
}

/* The busy track gets new flags, or is freed when nothing is mapped any more. */
static void track_done(struct grant_state *g, grant_handle_t handle, uint16_t flags)
{
    struct grant_track *t;

    spin_lock(&g->lock);
    t = slot(g, handle);
    if (flags & (GNTMAP_device_map | GNTMAP_host_map)) {
        t->flags = flags;
    } else {
        t->flags = TRACK_FREE;
        t->ref = g->free_track;
        g->free_track = handle;
        g->used_tracks--;
    }
    spin_unlock(&g->lock);
}

/* Marks the track of a handle busy and copies it; false: no such mapping, or somebody changes it.
 */
static bool track_take(struct grant_state *g, grant_handle_t handle, struct grant_track *copy)
{
    struct grant_track *t;
    bool ok;

    spin_lock(&g->lock);
    t = grant_track_of(g, handle);
    ok = t && !(t->flags & TRACK_BUSY);
    if (ok) {
        *copy = *t;
        t->flags |= TRACK_BUSY;
    }
    spin_unlock(&g->lock);
    return ok;
}

static int map_from(struct vcpu *v, struct domain *owner, struct gnttab_map_grant_ref *op)
{
    struct grant_state *g = v->domain->grants;
    bool readonly = op->flags & GNTMAP_readonly;
    uint16_t kept = op->flags & KEPT_FLAGS;
    uint32_t mfn;
    int rc = grant_pin(owner, op->ref, v->domain->id, readonly, &mfn);

    if (rc != GNTST_okay)
        return rc;
    if (!track_new(g, owner->id, op->ref, mfn, kept, &op->handle)) {
        grant_unpin(owner, op->ref, readonly);
        return GNTST_no_space;
    }
    if (op->flags & GNTMAP_host_map) {
        rc = grant_map_ops->map(v, op->host_addr, MFN(mfn), op->flags);
        if (rc != GNTST_okay) {
            track_done(g, op->handle, 0);
            grant_unpin(owner, op->ref, readonly);
            return rc;
        }
    }
    track_done(g, op->handle, kept);
    if (op->flags & GNTMAP_device_map)
        op->dev_bus_addr = mfn_maddr(MFN(mfn)).v;
    return GNTST_okay;
}

int grant_map_one(struct vcpu *v, struct gnttab_map_grant_ref *op)
{
    struct domain *owner;
    int rc;

    if (!(op->flags & (GNTMAP_device_map | GNTMAP_host_map)) || !grant_map_ops)
        return GNTST_bad_gntref;
    owner = domain_get_self(v, op->dom);
    if (!owner)
        return GNTST_bad_domain;
    rc = map_from(v, owner, op);
    domain_put(owner);
    if (rc != GNTST_okay)
        log_refusal(v->domain, "map of grant %u of d%u: status %d", op->ref, op->dom, rc);
    return rc;
}

int grant_unmap_one(struct vcpu *v, grant_handle_t handle, uint64_t host_addr, uint64_t dev_addr,
                    uint64_t new_addr, bool replace, struct grant_dropped *put)
{
    struct grant_state *g = v->domain->grants;
    struct grant_track t;
    uint16_t left;
    int rc = GNTST_okay;

    put->owner = NULL;
    if (!track_take(g, handle, &t))
        return GNTST_bad_handle;
    left = t.flags;
    if (dev_addr && (left & GNTMAP_device_map)) {
        if (dev_addr != mfn_maddr(MFN(t.mfn)).v)
            rc = GNTST_bad_dev_addr;
        else
            left &= (uint16_t)~GNTMAP_device_map;
    }
    if (rc == GNTST_okay && (host_addr || replace) && (left & GNTMAP_host_map)) {
        rc = grant_map_ops->unmap(v, host_addr, MFN(t.mfn), t.flags, replace ? new_addr : 0);
        if (rc == GNTST_okay)
            left &= (uint16_t)~GNTMAP_host_map;
    }
    if (rc != GNTST_okay)
        left = t.flags;
    if (!(left & (GNTMAP_device_map | GNTMAP_host_map))) {
        put->owner = domain_get(t.dom); /* pinned, so its record is there */
        put->ref = t.ref;
        put->readonly = t.flags & GNTMAP_readonly;
        BUG_ON(!put->owner);
    }
    track_done(g, handle, left);
    return rc;
}

void grant_finish_unmap(struct vcpu *v, struct grant_dropped *put, unsigned int n)
{
    bool flushed = false;

    for (unsigned int i = 0; i < n; i++) {
        if (!put[i].owner)
            continue;
        if (!flushed)
            arch_tlb_flush_stamped(v->domain->dirty_cpus, tlb_stamp());
        flushed = true;
        grant_unpin(put[i].owner, put[i].ref, put[i].readonly);
        domain_put(put[i].owner);
    }
}

#define TEARDOWN_STEP 256

int grant_teardown(struct domain *d)
{
    struct grant_state *g = d->grants;
    unsigned int work = 0;

    for (; g->used_tracks != 0 && g->drop_next < g->nr_tracks; g->drop_next++) {
        struct grant_track t;
        struct domain *owner;

        if (++work > TEARDOWN_STEP)
            return -XEN_EAGAIN;
        if (!track_take(g, g->drop_next, &t))
            continue;
        owner = domain_get(t.dom);
        BUG_ON(!owner);
        track_done(g, g->drop_next, 0);
        grant_unpin(owner, t.ref, t.flags & GNTMAP_readonly);
        domain_put(owner);
    }
    g->drop_next = 0;
    return 0;
}
