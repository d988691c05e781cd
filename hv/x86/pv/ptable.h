/* SPDX-License-Identifier: MIT */
/*
 * Page tables of PV guests.
 *
 * The tables that a guest builds are the ones the CPU walks, so each entry is checked when it comes
 * into a table and holds references for as long as it stays:
 *
 *   an L1 entry      one reference on the frame it maps; a writable one also a typed use as
 *                    FT_WRITABLE. Frames without a record are devices: Dom0 only, no reference.
 *   an L2..L4 entry  one typed use of the next table down, as FT_L1..FT_L3.
 *   a CR3, a pin     one typed use as FT_L4 (a pin: as the level that was pinned).
 *
 * A frame becomes a table when the first typed use is taken: all its entries are validated. It
 * stops being one when the last is dropped: all its entries are let go. Both can be long, since a
 * table carries all tables below it, so both keep their place in the frame (FRAME_PARTIAL,
 * frame.progress) and give way to pending work. A PARTIAL frame has no typed use yet (or any more),
 * one reference that belongs to the PARTIAL bit, and cannot become anything else; whoever needs it
 * next carries on from where it stands. What is being undone hangs in the vCPU's pt_drop, one frame
 * of each level, and is finished before that vCPU runs again. What the tools undo in another
 * domain's tables hangs in that domain's pt_drop: it needs that domain's lock, and its destruction
 * has to find it.
 *
 * All of it happens under the domain's pt_lock; only writable uses come and go without. Superpages
 * are refused.
 *
 * Linear page tables: an entry of an L2..L4 may name a table of its own level instead of the next
 * one down, read-only, so that the processor reads tables as if they were pages (BSD kernels live
 * on that). An entry that names its own table holds nothing. One that names another table holds a
 * typed use of that one, and both keep count in frame.linear: positive, how many such entries a
 * table has; negative, how many name it. Never both: the uses form no cycle, and the undoing of a
 * table meets at most one more of its level, which comes first while the other waits
 * (pt_drop.behind). All below such an entry is read-only, since it is. Its walks take upper entries
 * for an L1's, and the hypervisor's slots of an L4 for entries of any level, so pv_find_l1e() looks
 * closer.
 */
#ifndef X86_PV_PTABLE_H
#define X86_PV_PTABLE_H

#include "core/bug.h"
#include "core/frame.h"
#include "core/lock.h"
#include "core/ptype.h"
#include "x86/cpu/cpu.h"
#include "x86/mm/paging.h"
#include "x86/pv/pv.h"

/* A result that stays inside, beside the ABI's error codes and FRAME_EPARTIAL: call again. */
#define PT_ERESTART 1025

/* Bits of an entry that a guest may choose at L1 and above; the address and NX come on top. */
#define L1_GUEST_FLAGS 0x7ff0000000000fffull
#define LN_GUEST_FLAGS 0x7ff0000000000e67ull

/*
 * On CPUs with L1TF a program reads, through an entry that is not present, what the first-level
 * cache holds of the frame that its address names. There such an entry may not point into RAM. Set
 * at boot.
 */
extern bool pt_l1tf;
/* Option pv-linear-pt. */
extern bool pt_linear;
static inline bool pt_leaks(pte_t e)
{
    uint64_t pfn;

    if (likely(!pt_l1tf))
        return false;
    pfn = (e & PTE_ADDR & ~cpu_feat.pte_reserved) >> PAGE_SHIFT;
    return !(e & PTE_P) && pfn && pfn < max_mfn;
}

static inline enum frame_type level_type(int level)
{
    return (enum frame_type)(FT_L1 + level - 1);
}

static inline mfn_t pte_mfn(pte_t e)
{
    return MFN((e & PTE_ADDR) >> PAGE_SHIFT);
}

static inline pte_t *table_of(struct frame *f)
{
    return direct(frame_mfn(f).v << PAGE_SHIFT);
}

/* For functions that say [pt_lock]: the caller holds d's (debug builds notice that nobody does). */
static inline void pt_assert_locked(struct domain *d)
{
    ASSERT(spin_is_locked(&pv_domain(d)->pt_lock));
    (void)d;
}

/* What isolated roots copied of an L4 of d is out of date: isolation.c. [pt_lock] */
static inline void pt_l4_changed(struct domain *d)
{
    __atomic_store_n(&pv_domain(d)->l4_changes, pv_domain(d)->l4_changes + 1, __ATOMIC_RELEASE);
}

/*
 * All functions below: the pt_lock of d is held, unless they say otherwise.
 * -PT_ERESTART: gave way to pending work; call again with the same arguments.
 */

/*
 * One typed use of frame `mfn` of d as a table of `level`, validating it if needed.
 * 0, -XEN_EINVAL (not d's, in use as something else, bad entries), what pt_set_l1() says of an
 * entry further down, -PT_ERESTART.
 */
int pt_get_table(struct pt_drop *drop, struct domain *d, mfn_t mfn, int level);
/*
 * Drop one; when it was the last, undoing starts and may be left in `drop` (drop->any). Where
 * `drop` is busy with another table of this level, this one stays PARTIAL, ready to be used again.
 */
void pt_put_table(struct pt_drop *drop, struct domain *d, struct frame *f, int level);
/* Go on undoing; true when nothing is left. */
bool pt_drop_continue(struct pt_drop *drop, struct domain *d);

/* pt_put_l1e() of a device, and of the last use of a frame. */
void pt_put_last_l1e(pte_t e);
/* Let go what a present L1 entry of d held. */
static inline void pt_put_l1e(pte_t e)
{
    struct frame *f = frame_record(pte_mfn(e));

    /* untested: all but the last line, a shorter way to what that does */
    if (likely(f != NULL) && (e & PTE_RW ? frame_put_not_last(f) : frame_put_fast(f)))
        return;
    pt_put_last_l1e(e);
}

/*
 * Replace one entry of a table of d. `keep_ad`: Accessed and Dirty of the old entry stay
 * (MMU_PT_UPDATE_PRESERVE_AD). The frame is a validated table of `level` and stays so. 0. At L1:
 * -XEN_EPERM: no RAM, and not a device that d may use; -XEN_EBUSY: RAM that is not pg_owner's
 * (NULL: d's, and devices'), or not to be mapped so. Above: as pt_get_table().
 */
int pt_set_l1(struct domain *d, struct domain *pg_owner, pte_t *at, pte_t new, bool keep_ad);
/* The same of a present entry that maps a frame of owner's. */
int pt_set_granted(struct domain *d, struct domain *owner, pte_t *at, pte_t new);
/*
 * The same for an entry of an L1 that was seen as *old: -XEN_EAGAIN if it is not that any more (the
 * processor sets Accessed and Dirty); then *old is what it is now.
 */
int pt_exchange_l1(struct domain *d, pte_t *at, pte_t *old, pte_t new);
int pt_set_upper(struct pt_drop *drop, struct domain *d, struct frame *f, int level, pte_t *at,
                 pte_t new, bool keep_ad);

/* --- without the lock --- */
/* As pt_get_table for an L4, taking the lock only when it must validate. */
int pv_get_l4(struct domain *d, mfn_t mfn);
/*
 * Drop a reference of d's table from outside, e.g. a CR3's. d the current domain: finishes on the
 * exit path; else what is left waits in d's own list of undoing, see pv_mm_ready().
 */
void pv_put_table(struct domain *d, mfn_t mfn);
/* The guest's L1 entry that maps va, by its current tables; false when there is none. */
bool pv_read_guest_pte(struct vcpu *v, uint64_t va, uint64_t *l1e);
/*
 * Machine address of the entry that the processor takes for va's L1 entry, through entries with the
 * bits `need`, or 0: by linear tables it may be one of an upper table. There the entries of an L4
 * are walked at other levels too, and what keeps the walk out of the hypervisor's is PTE_US: see
 * paging_seal(). [pt_lock]
 */
static inline uint64_t pv_walk(struct vcpu *v, uint64_t va, pte_t need)
{
    const struct pv_vcpu *pv = pv_vcpu(v);
    uint64_t table = pv->kernel_mode ? pv->cr3_kernel : pv->cr3_user;

    pt_assert_locked(v->domain);
    for (int shift = 39; shift > 12; shift -= 9) {
        pte_t e = ((pte_t *)direct(table))[va >> shift & 511];
        if ((e & need) != need)
            return 0;
        table = e & PTE_ADDR;
    }
    return table + (va >> 12 & 511) * sizeof(pte_t);
}

/* pv_find_l1e() where the domain has linear entries. */
uint64_t pv_find_among_linear(struct vcpu *v, uint64_t va);

/* Machine address of va's entry, in a table that is an L1 (not linear ones), or 0. [pt_lock] */
static inline uint64_t pv_find_l1e(struct vcpu *v, uint64_t va)
{
    if (unlikely(pv_domain(v->domain)->linear))
        return pv_find_among_linear(v, va);
    return pv_walk(v, va, PTE_P);
}

/* A typed use as FT_DESC, validating the frame if needed (desc.c). 0 or -errno. */
int pv_get_desc_page(struct domain *d, mfn_t mfn);
/* Everything that a dying domain's page tables hold: -EAGAIN until done. */
int pv_relinquish(struct domain *d);
/* May the device frame be mapped by d? Never the hypervisor's, APICs, IOMMUs. */
bool pv_iomem_ok(struct domain *d, mfn_t mfn);
/* Recount all references to domains' frames (audit); the contradictions found. */
unsigned int pv_audit(void);

#endif
