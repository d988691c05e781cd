/* SPDX-License-Identifier: MIT */
/*
 * The memory of a hardware-assisted guest: for each guest frame the frame behind it, a type and a
 * right. The nested page table that the CPU walks is the record; there is no second copy.
 *
 * What a leaf means for references:
 *
 *   RAM, RAM_RO, IOREQ   the domain's own frame. The leaf stands for the allocation's reference:
 *                        who takes the leaf away calls frame_release() after p2m_sync(). Such a
 *                        frame is at one guest frame only, and the M2P says at which
 *   SHARED               a hypervisor frame shared with the domain (shared_info, grant table): one
 *                        reference for each leaf, taken over from the caller
 *   FOREIGN, FOREIGN_RO  another domain's frame: one reference for each leaf, from the caller
 *   GRANT_RW, GRANT_RO   another domain's frame: the grant mapping holds the reference, and takes
 *                        the leaf away, with p2m_sync(), before it drops it
 *   MMIO_DIRECT          a device's frame: no reference
 *   MMIO_DM, BROKEN, POD no frame; the CPU finds nothing there
 */
#ifndef X86_MM_P2M_H
#define X86_MM_P2M_H

#include "core/lock.h"
#include "core/types.h"

struct domain;
struct frame;

enum p2m_type {
    P2M_HOLE, /* nothing; an entry of zeros */
    P2M_RAM,
    P2M_RAM_RO,
    P2M_IOREQ, /* reads as RAM, writes are a device model's: HVMMEM_ioreq_server */
    P2M_MMIO_DM,
    P2M_MMIO_DIRECT,
    P2M_SHARED,
    P2M_GRANT_RW,
    P2M_GRANT_RO,
    P2M_FOREIGN,
    P2M_FOREIGN_RO,
    P2M_BROKEN,
    P2M_POD, /* populated at the first touch */
    P2M_TYPES
};

/* Orders of leaves. */
#define P2M_ORDER_4K 0
#define P2M_ORDER_2M 9
#define P2M_ORDER_1G 18
#define P2M_GFN_BITS 36 /* four levels: 48 bits of address */

/* How a CPU wants entries. Address, large-page bit and our type's bits are the same in all. */
struct p2m_format {
    const char *name;
    uint64_t present; /* one of these bits is set in what the CPU uses */
    uint64_t table;   /* bits of an entry that points to a table */
    uint64_t write;
    uint64_t dirty;           /* set by the CPU in the leaf of a page that it writes */
    uint64_t leaf[P2M_TYPES]; /* rights and memory type of each type's leaf; 0: not present */
};

extern const struct p2m_format p2m_npt; /* AMD nested paging: APM volume 2, 15.25 */
extern const struct p2m_format p2m_ept; /* Intel extended page tables: SDM volume 3, 29.3 */

struct p2m_hooks {
    /*
     * On return no CPU uses a translation that d's tables held before the call, and each CPU whose
     * current vCPU is d's has left what it did in the hypervisor by then: it polled, or passed its
     * exit path. No locks of RANK_P2M or above are held.
     */
    void (*flush)(struct domain *d);
};

struct p2m {
    struct domain *d;              /* constant */
    const struct p2m_format *fmt;  /* constant */
    const struct p2m_hooks *hooks; /* constant */
    uint64_t *root;                /* constant: the table of level 4 */
    unsigned int max_order;        /* constant: the largest leaf that this CPU knows */
    spinlock_t lock;               /* RANK_P2M; to change anything below */
    uint32_t tables;               /* [lock] pages of tables, those that wait for a flush too */
    uint32_t tables_max;           /* [lock] how many there may be */
    uint32_t retired;              /* [lock] first table that waits for a flush, as mfn; 0 none */
    uint64_t removed, flushed;     /* [lock] rights taken away so far; of these: all flushed */
    uint64_t max_gfn;              /* [lock] the highest guest frame ever placed */
    uint64_t entries[P2M_TYPES];   /* [lock] 4 KiB pages by type */
};

/* What is at a guest frame. */
struct p2m_entry {
    mfn_t mfn; /* MFN_NONE where the type has no frame */
    enum p2m_type type;
    uint8_t order; /* of the leaf, or of the hole, in which the guest frame lies */
};

/* Accesses of p2m_get: the right that is needed, and whether another domain's frame will do. */
#define P2M_WRITE 1u
#define P2M_ANY_OWNER 2u

static inline bool p2m_is_ram(enum p2m_type t)
{
    return t == P2M_RAM || t == P2M_RAM_RO || t == P2M_IOREQ;
}

/*
 * An empty record for d with at most `tables_max` pages of tables. max_order: of the leaves that
 * this machine's CPUs know, P2M_ORDER_2M or P2M_ORDER_1G. 0 or -ENOMEM.
 */
int p2m_init(struct p2m *p, struct domain *d, const struct p2m_format *fmt,
             const struct p2m_hooks *hooks, unsigned int max_order, uint32_t tables_max);
/* Machine address of the top table, for nCR3 or the EPT pointer. */
maddr_t p2m_root(const struct p2m *p);

/*
 * What is at gfn now. A CPU whose current vCPU is d's may use the frame until it next polls (waits
 * for a lock, gives way), since p2m_sync() waits for that; everybody else has to use p2m_get().
 * Takes RANK_P2M for a moment where the current vCPU is another domain's.
 */
struct p2m_entry p2m_lookup(struct p2m *p, gfn_t gfn);
/*
 * The fast form, only for the CPU whose current vCPU is d's: the frame of memory at gfn, whosever,
 * if its type allows the access; good until this CPU next polls. No lock, no reference.
 */
bool p2m_peek(const struct p2m *p, gfn_t gfn, bool write, mfn_t *mfn);
/*
 * The frame at gfn with a reference of its own for frame_put(). *e is filled also on failure.
 * 0; -ENOENT: a hole; -EAGAIN: populated on demand, and not yet; -EACCES: the type forbids it;
 * -EINVAL: no RAM; -ENOSPC: the count is full. Takes RANK_P2M unless the current vCPU is d's and
 * the frame is its own RAM.
 */
int p2m_get(struct p2m *p, gfn_t gfn, unsigned int access, struct p2m_entry *e);

/*
 * 2^order frames from mfn on at gfn and up, both aligned to the order, which is at most 18; mfn is
 * MFN_NONE for types without a frame. Only holes, MMIO_DM and POD may be there. The M2P's entries
 * are the caller's, and were made before the frames became d's. 0; -EINVAL: out of range or
 * unaligned; -EBUSY: something is there; -ENOMEM: no page for a table. On failure nothing has
 * changed. Takes RANK_P2M.
 */
int p2m_place(struct p2m *p, gfn_t gfn, mfn_t mfn, unsigned int order, enum p2m_type type);
/*
 * Makes a hole of the leaf at gfn, or of the part of it that has `order` (0, 9 or 18) and begins at
 * gfn; *was says what was there, was->order how much. Its reference is the caller's to drop after
 * p2m_sync(). only: MFN_NONE, or the frame that must be there. 0; -ENOENT: a hole, or another
 * frame; -ENOMEM: no page for a table to split the leaf. Takes RANK_P2M.
 */
int p2m_remove(struct p2m *p, gfn_t gfn, mfn_t only, unsigned int order, struct p2m_entry *was);
/*
 * The same for a change of type, from `from` to `to`, of which both or neither have a frame. *order
 * in: the largest piece that may be changed, out: how much was. 0, -EBUSY: it is not `from`,
 * -ENOMEM. The change is seen by all CPUs after p2m_sync(). Takes RANK_P2M.
 */
int p2m_set_type(struct p2m *p, gfn_t gfn, unsigned int *order, enum p2m_type from,
                 enum p2m_type to);
/* Ends all use of what was taken away by this CPU before. Takes RANK_P2M for moments. */
void p2m_sync(struct p2m *p);
/*
 * After a nested page fault: do the tables allow the access by now? Then it is tried again. Only a
 * domain's own memory is executable.
 */
bool p2m_allows(struct p2m *p, gfn_t gfn, bool write, bool fetch);

/*
 * The dirty log: sets the bit of each page of [gfn, gfn + nr) that was written since the last call,
 * and clears it in the tables; all of them the first time. *done pages are finished, in and out. 0;
 * -EAGAIN: gave way; -ENOMEM. The caller calls p2m_sync() before it reads the pages.
 */
int p2m_dirty(struct p2m *p, gfn_t gfn, uint64_t nr, uint64_t *done, unsigned long *bitmap);
/* The hypervisor writes to d's page at gfn. Takes RANK_P2M unless the current vCPU is d's. */
void p2m_mark_dirty(struct p2m *p, gfn_t gfn);

/* XEN_DOMCTL_set_paging_mempool_size, in pages. 0; -EBUSY: more are in use. Takes RANK_P2M. */
int p2m_set_limit(struct p2m *p, uint32_t tables_max);
/*
 * One step of giving up everything: no vCPU of d runs any more. Drops the references of SHARED and
 * FOREIGN leaves. -EAGAIN: gave way, call again; 0: nothing is left, the root neither.
 */
int p2m_teardown(struct p2m *p);

/* Calls fn for each leaf, in order of guest frames, until it is false. Nothing else runs. */
typedef bool p2m_leaf_fn(void *arg, gfn_t gfn, struct p2m_entry e);
void p2m_for_each(const struct p2m *p, p2m_leaf_fn *fn, void *arg);
/* Contradictions between tables, counters and frames, logged; 0: none. Nothing else runs. */
unsigned int p2m_audit(const struct p2m *p);

#endif
