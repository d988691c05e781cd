/* SPDX-License-Identifier: MIT */
/*
 * Shared by grant*.c only. Two sides of a grant:
 *
 *   the owner's table   `shared` entries, written by the guest, and beside each an `active` record
 *                       of what is in use: how often, for reading or writing, which frame
 *   the holder's track  one `grant_track` for each mapping, found by its handle
 *
 * A pin (one use) holds a reference on the frame, with the writable type if it is for writing; who
 * pins holds a reference on the owner meanwhile, so that the record outlives its last pin. The
 * locks of two domains are never held together: pins are taken and dropped under the owner's,
 * tracks under the holder's, and a track that is being changed is marked busy meanwhile.
 */
#ifndef CORE_GRANT_PRIVATE_H
#define CORE_GRANT_PRIVATE_H

#include "core/domain.h"

#include <xen/grant_table.h>

#include "core/gfn.h"
#include "core/grant.h"
#include "core/hypercall.h"
#include "core/param.h"
#include "core/ptype.h"

struct grant_active {
    uint32_t mfn;    /* [owner's lock] the frame, while there are pins */
    domid_t domid;   /* [owner's lock] who pins it, while there are pins */
    uint8_t readers; /* [owner's lock] pins for reading only */
    uint8_t writers; /* [owner's lock] pins for writing */
};
#define PIN_MAX 255u /* of each kind; more are refused */

#define TRACK_FREE 0
#define TRACK_BUSY 0x8000u

struct grant_track {
    struct domain *owner; /* [holder's lock] with a reference */
    uint32_t ref;         /* [holder's lock] granted; while free the index of the next free one */
    uint32_t flags; /* [holder's lock] GNTMAP_* low bits, or TRACK_FREE; TRACK_BUSY: its setter's */
};
_Static_assert(sizeof(struct grant_active) == 8 && sizeof(struct grant_track) == 16, "packed");

#define REFS_PER_FRAME (PAGE_SIZE / sizeof(struct grant_entry_v1))
_Static_assert(REFS_PER_FRAME * sizeof(struct grant_active) == PAGE_SIZE, "a page for a page");
#define MAX_REFS (MAX_GRANT_FRAMES * REFS_PER_FRAME)
#define TRACKS_PER_PAGE (PAGE_SIZE / sizeof(struct grant_track))
#define PAGES_PER_DIR (PAGE_SIZE / sizeof(struct grant_track *))
#define TRACK_DIRS (MAX_MAPTRACK_FRAMES / PAGES_PER_DIR)
#define MAX_TRACKS (MAX_MAPTRACK_FRAMES * TRACKS_PER_PAGE)
#define NO_TRACK (~0u)

struct grant_state {
    spinlock_t lock;      /* RANK_GRANT */
    bool closed;          /* [lock] its domain is dying */
    uint32_t nr_frames;   /* [lock] */
    uint32_t nr_refs;     /* [lock] of these, that may be used: none of a dying domain */
    uint32_t max_frames;  /* constant after creation */
    uint32_t max_tracks;  /* constant after creation */
    uint32_t nr_tracks;   /* [lock] tracks that have memory */
    uint32_t free_track;  /* [lock] head of the free list, or NO_TRACK */
    uint32_t used_tracks; /* [lock] */
    uint32_t drop_next;   /* [teardown] its progress */
    struct grant_entry_v1 *shared[MAX_GRANT_FRAMES]; /* [lock] grows */
    struct grant_active *active[MAX_GRANT_FRAMES];   /* [lock] grows */
    struct grant_track **tracks[TRACK_DIRS];         /* [lock] grows: pages of pointers to pages */
};
_Static_assert(sizeof(struct grant_state) <= PAGE_SIZE, "one page");

static inline struct grant_active *grant_active_of(const struct grant_state *g, grant_ref_t ref)
{
    return &g->active[ref / REFS_PER_FRAME][ref % REFS_PER_FRAME];
}

static inline struct grant_entry_v1 *grant_shared_of(const struct grant_state *g, grant_ref_t ref)
{
    return &g->shared[ref / REFS_PER_FRAME][ref % REFS_PER_FRAME];
}

/* May `ref` of g's table be used? Then *ref is safe against speculation. Lock held. */
static inline bool grant_ref_ok(const struct grant_state *g, grant_ref_t *ref)
{
    if (__builtin_expect(*ref >= g->nr_refs, 0))
        return false;
    *ref = (grant_ref_t)index_nospec(*ref, MAX_REFS);
    return true;
}

static inline unsigned int grant_access(bool readonly)
{
    return GFN_FOREIGN | (readonly ? GFN_READ : GFN_WRITE);
}

static inline void grant_release_frame(uint32_t mfn, bool readonly)
{
    gfn_put(&frame_table[mfn], grant_access(readonly));
}

/* grant_hold_frame() of what its shorter way does not do. */
int grant_hold_slowly(struct domain *owner, uint64_t gfn, bool readonly, uint32_t *mfn);

/*
 * A use of owner's frame gfn, typed as writable unless readonly: GNTST_okay with its number, or the
 * error. Not of the hypervisor's frames that are shared with owner: these may outlive it.
 */
static inline __attribute__((always_inline)) int
grant_hold_frame(struct domain *owner, uint64_t gfn, bool readonly, uint32_t *mfn)
{
    if (!gfn_get_fast(owner, GFN(gfn), grant_access(readonly)))
        return grant_hold_slowly(owner, gfn, readonly, mfn);
    *mfn = (uint32_t)gfn;
    return GNTST_okay;
}

#define GRANT_STEP 24 /* elements that are worked on together */

/*
 * Pins those of n references of `owner` whose status is GNTST_okay for domain `user`: then `mfn`
 * is set, else status. Until grant_unpin() the caller holds a reference on owner. Takes the lock.
 */
void grant_pin(struct domain *owner, domid_t user, struct grant_use *u, unsigned int n);
/* Unpins those that have an mfn. Takes the lock. */
void grant_unpin(struct domain *owner, const struct grant_use *u, unsigned int n);
/* Table frames up to nr; 0, -EINVAL above the maximum or when d is dying, -ENOMEM. Takes the lock.
 */
int grant_grow(struct domain *d, uint32_t nr);

/* The track of a handle, or NULL when there is none. Lock held. */
struct grant_track *grant_track_of(struct grant_state *g, grant_handle_t handle);
/* The memory of all tracks. */
void grant_free_tracks(struct grant_state *g);

/* The batches, at most GRANT_STEP elements each. */
void grant_map(struct vcpu *v, struct gnttab_map_grant_ref *op, unsigned int n);
/* `replace`: unmap_and_replace, whose elements have new_addr in the place of dev_bus_addr. */
void grant_unmap(struct vcpu *v, struct gnttab_unmap_grant_ref *op, unsigned int n, bool replace);
void grant_copy(struct vcpu *v, struct gnttab_copy *op, unsigned int n);

/*
 * A transfer in two steps, with a flush of all CPUs by grant_transfer_flush() in between: the frame
 * leaves the caller, who must be its only user; then it goes to who accepts it, or is freed. The
 * first returns NULL with *status set: it is the caller's still.
 */
struct frame *grant_transfer_take(struct vcpu *v, const struct gnttab_transfer *op,
                                  int16_t *status);
void grant_transfer_flush(void);
int grant_transfer_give(struct vcpu *v, const struct gnttab_transfer *op, struct frame *f);

#endif
