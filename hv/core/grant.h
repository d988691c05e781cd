/* SPDX-License-Identifier: MIT */
/* Grant tables (version 1): a domain's permission for others to map or copy its frames. */
#ifndef CORE_GRANT_H
#define CORE_GRANT_H

#include "core/types.h"

struct domain;
struct vcpu;
struct frame;

int grant_init(struct domain *d);
/* Drop every mapping that d holds of others' frames; resumable: -EAGAIN until done. */
int grant_teardown(struct domain *d);
void grant_free(struct domain *d);

/*
 * The kind's part of mapping a granted frame (PV: into a page-table entry). host_addr and flags
 * are the ABI's (GNTMAP_*). Both return GNTST_*; the caller holds references on the frame.
 */
struct grant_map_ops {
    int (*map)(struct vcpu *v, uint64_t host_addr, mfn_t mfn, uint32_t flags);
    /* new_addr: 0, or for unmap_and_replace the address whose entry takes its place. */
    int (*unmap)(struct vcpu *v, uint64_t host_addr, mfn_t mfn, uint32_t flags, uint64_t new_addr);
};
extern const struct grant_map_ops *grant_map_ops;

/* XENMAPSPACE_grant_table, acquire_resource: machine frame of table frame idx (growing it), or
 * none. */
mfn_t grant_frame_mfn(struct domain *d, unsigned int idx);
/* GNTTABOP_swap_grant_ref; GNTST_*. */
int grant_swap(struct domain *d, uint32_t a, uint32_t b);
/* Calls fn for each mapping that `holder` has: one reference on the frame, typed if writable. */
typedef void grant_walk_fn(void *arg, domid_t owner, mfn_t mfn, bool writable);
void grant_walk(struct domain *holder, grant_walk_fn *fn, void *arg);
unsigned int grant_audit(struct domain *d);
void grant_dump(void);

#endif
