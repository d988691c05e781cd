/* SPDX-License-Identifier: MIT */
/*
 * Shared by grant*.c only. Two sides of a grant:
 *
 *   the owner's table   `shared` entries, written by the guest, and beside each an `active` record
 * of what is in use: how often, for reading or writing, which frame the holder's track  one
 * `grant_track` for each mapping, found by its handle
 *
 * A pin (one use) holds a reference on the frame, with the writable type if it is for writing. The
 * locks of two domains are never held together: pins are taken and dropped under the owner's,
 * tracks under the holder's, and a track that is being changed is marked busy meanwhile.
 */
#ifndef CORE_GRANT_PRIVATE_H
#define CORE_GRANT_PRIVATE_H

#include "core/domain.h"

#include <xen/grant_table.h>

#include "core/grant.h"
#include "core/param.h"

struct grant_active {
    uint32_t readers; /* [owner's lock] pins for reading only */
    uint32_t writers; /* [owner's lock] pins for writing */
    uint32_t mfn;     /* [owner's lock] the frame, while there are pins */
    domid_t domid;    /* [owner's lock] who pins it, while there are pins */
};

#define TRACK_FREE 0
#define TRACK_BUSY 0x8000u

struct grant_track {
    uint32_t ref;   /* [holder's lock] granted reference; index of the next free track while free */
    uint32_t mfn;   /* [holder's lock] */
    domid_t dom;    /* [holder's lock] owner */
    uint16_t flags; /* [holder's lock] GNTMAP_* low bits, TRACK_BUSY; TRACK_FREE */
    uint32_t serial; /* pads the record to a power of two */
};
_Static_assert(sizeof(struct grant_active) == 16 && sizeof(struct grant_track) == 16, "packed");

#define REFS_PER_FRAME (PAGE_SIZE / sizeof(struct grant_entry_v1))
#define ACTIVE_ORDER 1 /* 512 records */
#define TRACKS_PER_PAGE (PAGE_SIZE / sizeof(struct grant_track))
#define TRACK_PAGES (MAX_MAPTRACK / TRACKS_PER_PAGE)
#define NO_TRACK (~0u)

struct grant_state {
    spinlock_t lock;                                 /* RANK_GRANT */
    uint32_t nr_frames;                              /* [lock] */
    uint32_t max_frames;                             /* constant */
    struct grant_entry_v1 *shared[MAX_GRANT_FRAMES]; /* [lock] grows */
    struct grant_active *active[MAX_GRANT_FRAMES];   /* [lock] grows */
    struct grant_track *tracks[TRACK_PAGES];         /* [lock] grows */
    uint32_t nr_tracks;                              /* [lock] tracks that have memory */
    uint32_t free_track;                             /* [lock] head of the free list, or NO_TRACK */
    uint32_t used_tracks;                            /* [lock] */
    uint32_t drop_next;                              /* [lock] teardown's progress */
};
_Static_assert(sizeof(struct grant_state) <= PAGE_SIZE, "one page");

/*
 * Pin reference `ref` of `owner` for domain `user`: GNTST_okay with the frame in *mfn, or the
 * error. Undone by grant_unpin with the same `readonly`.
 */
int grant_pin(struct domain *owner, grant_ref_t ref, domid_t user, bool readonly, uint32_t *mfn);
void grant_unpin(struct domain *owner, grant_ref_t ref, bool readonly);
/* Table frames up to nr; 0, -EINVAL above the maximum, -ENOMEM. Takes the lock. */
int grant_grow(struct domain *d, uint32_t nr);

/* The track of a handle, or NULL when there is none. Lock held. */
struct grant_track *grant_track_of(struct grant_state *g, grant_handle_t handle);

int grant_map_one(struct vcpu *v, struct gnttab_map_grant_ref *op);
/* As unmap_and_replace when new_addr is given. *put tells what grant_finish_unmap has to drop. */
struct grant_dropped {
    struct domain *owner; /* referenced; NULL: nothing to drop */
    uint32_t ref;
    bool readonly;
};
int grant_unmap_one(struct vcpu *v, grant_handle_t handle, uint64_t host_addr, uint64_t dev_addr,
                    uint64_t new_addr, bool replace, struct grant_dropped *put);
/* Flush what the unmapped entries may have left in TLBs, then drop their pins. */
void grant_finish_unmap(struct vcpu *v, struct grant_dropped *put, unsigned int n);

/* One side of a copy, kept from one element to the next while it names the same frame. */
struct grant_copy_side {
    bool valid, is_ref, writable;
    domid_t domid;
    uint64_t id;          /* reference or frame number */
    struct domain *owner; /* referenced while valid */
    struct frame *frame;
};
int grant_copy_one(struct vcpu *v, const struct gnttab_copy *op, struct grant_copy_side *src,
                   struct grant_copy_side *dst);
void grant_copy_release(struct grant_copy_side *side);

#endif
