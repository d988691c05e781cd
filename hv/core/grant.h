/* SPDX-License-Identifier: MIT */
/*
 * Grant tables (version 1): a domain's permission for others to map or copy its frames, or to give
 * it one. docs/grants.md tells how a grant is made, pinned, mapped, revoked and torn down.
 */
#ifndef CORE_GRANT_H
#define CORE_GRANT_H

#include "core/types.h"

struct domain;
struct vcpu;
struct frame;

/* One element of a batch of grant operations: what is held for it, and how it went. */
struct grant_use {
    uint32_t mfn; /* pinned or held; GRANT_NO_MFN: none */
    uint32_t ref;
    uint16_t flags; /* GNTMAP_*, and GRANT_USE_* */
    int16_t status; /* GNTST_* */
};
#define GRANT_NO_MFN (~0u)
/* The entry in the guest's tables is to be made, or to be taken away; likewise for devices. */
#define GRANT_USE_HOST 0x100u
#define GRANT_USE_DEVICE 0x200u

/* Where one is mapped. */
struct grant_at {
    uint64_t addr, new_addr;   /* host_addr and new_addr (0: none), as the ABI has them */
    struct grant_track *track; /* busy for who maps or unmaps it; NULL: none */
    uint32_t handle;
    uint32_t avail; /* bits that the guest wants in its entry, from bit 0 on */
};

/* 0 or -ENOMEM. */
int grant_init(struct domain *d);
/*
 * Limits of a domain that is being created: frames of its table, and frames of records for what it
 * maps of others (256 mappings each). 0 and negative numbers as in createdomain: the default.
 * -EINVAL above MAX_GRANT_FRAMES or MAX_MAPTRACK_FRAMES.
 */
int grant_set_limits(struct domain *d, uint32_t max_grant_frames, uint32_t max_maptrack_frames);
/*
 * d is dying: from now on nobody maps, copies or transfers by its grants any more, its table does
 * not grow, and it gets no new mapping. What others map of its frames stays, and keeps its record.
 */
void grant_close(struct domain *d);
/*
 * One step of giving back every mapping that a closed d has of others' frames. None of its vCPUs
 * runs, and its page tables are gone: a granter that sees the end of an access may use its frame as
 * it likes. 0: done; -EAGAIN: gave way, call again.
 */
int grant_teardown(struct domain *d);
/* The last reference of d is gone, so nobody maps its frames. */
void grant_free(struct domain *d);

/* XENMAPSPACE_grant_table, acquire_resource: machine frame of table frame idx (growing it), or
 * none: above d's limit, no memory, or d is dying. */
mfn_t grant_frame_mfn(struct domain *d, unsigned int idx);
/* How many frames d's table may have. */
unsigned int grant_max_frames(const struct domain *d);
/* GNTTABOP_swap_grant_ref; GNTST_*. */
int grant_swap(struct domain *d, uint32_t a, uint32_t b);
/* Calls fn for each mapping that `holder` has: one reference on the frame, typed if writable. */
typedef void grant_walk_fn(void *arg, domid_t owner, mfn_t mfn, bool writable);
void grant_walk(struct domain *holder, grant_walk_fn *fn, void *arg);
/* Calls fn for each frame of d's that others have pinned for writing, under d's lock. */
void grant_writers(struct domain *d, void (*fn)(void *arg, mfn_t mfn), void *arg);
unsigned int grant_audit(struct domain *d);
void grant_dump(void);

#endif
