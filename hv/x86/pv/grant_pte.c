/* SPDX-License-Identifier: MIT */
/*
 * Granted frames in a PV guest's page tables. An entry that maps a grant is an ordinary entry with
 * the references of one: it may be overwritten by mmu_update as well, and then only the grant's
 * handle is left to be unmapped.
 */
#include "core/bug.h"
#include "core/grant.h"
#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/pv/mm.h"
#include "x86/pv/twin.h"

#include <xen/grant_table.h>

/* The L1 that the element before had its entry in; it stays one while pt_lock is held. */
struct near {
    uint64_t which; /* part of the address space, or the table's frame number with NEAR_FRAME */
    uint64_t table; /* its machine address */
};
#define NEAR_FRAME (1ull << 63)
#define NEAR_NONE \
    (struct near) \
    {             \
        ~0ull, 0  \
    }

/* The table that addr names as an entry's machine address, if it is an L1 of d. */
static bool find_table(const struct domain *d, uint64_t addr)
{
    const struct frame *f = frame_of(MFN(addr >> PAGE_SHIFT));
    uint64_t s = f ? frame_state(f) : 0;

    return f && f->owner == d->id && frame_type_of(s) == FT_L1 && (s & FRAME_VALIDATED) &&
           frame_typed(s);
}

/* [pt_lock] The L1 entry that addr names: its machine address, or the linear one it maps. */
static inline __attribute__((always_inline)) pte_t *entry_at(struct vcpu *v, uint64_t addr,
                                                             uint32_t flags, struct near *near)
{
    bool direct_pte = flags & GNTMAP_contains_pte;
    uint64_t which = direct_pte ? addr >> PAGE_SHIFT | NEAR_FRAME : addr >> (PAGE_SHIFT + 9);
    uint64_t offset = direct_pte ? addr & ~PAGE_MASK : (addr >> PAGE_SHIFT & 511) * sizeof(pte_t);

    if (direct_pte && addr % sizeof(pte_t))
        return NULL;
    if (near->which != which) {
        uint64_t at = 0;

        if (!direct_pte)
            at = pv_range_ok(addr, 1) ? pv_find_l1e(v, addr) : 0;
        else if (find_table(v->domain, addr))
            at = addr;
        if (!at)
            return NULL;
        *near = (struct near){ which, at & PAGE_MASK };
    }
    return direct(near->table + offset);
}

void pv_grant_map(struct vcpu *v, struct domain *owner, struct grant_use *u,
                  const struct grant_at *at, unsigned int n)
{
    struct domain *d = v->domain;
    struct near near = NEAR_NONE;

    spin_lock(&pv_domain(d)->pt_lock);
    for (; n; n--, u++, at++) {
        pte_t new, *entry;

        if (!(u->flags & GRANT_USE_HOST) || u->status != GNTST_okay)
            continue;
        new = (pte_t)u->mfn << PAGE_SHIFT | PTE_P | PTE_US | PTE_A | PTE_D;
        if (!(u->flags & GNTMAP_readonly))
            new |= PTE_RW;
        new |= (at->avail & 7ull) << 9;
        entry = entry_at(v, at->addr, u->flags, &near);
        if (!entry)
            u->status = GNTST_bad_virt_addr;
        else if (pt_set_granted(d, owner, entry, new))
            u->status = GNTST_general_error;
    }
    spin_unlock(&pv_domain(d)->pt_lock);
}

/*
 * [pt_lock] Take the entry at new_addr out of its place without dropping its references. Not the
 * one that it is to replace: the grant would go and its mapping stay.
 */
static bool take_entry(struct vcpu *v, uint64_t new_addr, const pte_t *instead_of, pte_t *taken)
{
    uint64_t at = pv_range_ok(new_addr, 1) ? pv_find_l1e(v, new_addr) : 0;

    if (!at || direct(at) == instead_of)
        return false;
    *taken = __atomic_exchange_n((pte_t *)direct(at), 0, __ATOMIC_ACQ_REL);
    twin_entry_changed(v->domain, direct(at), 1);
    return true;
}

/*
 * Is e what mapping mfn by a grant of these flags made? A writable grant is not given back by
 * taking away the read-only mapping that another one made: its own would stay. (What a domain
 * granted to itself it may have remapped as it likes.)
 */
static bool is_mapping(const struct domain *d, pte_t e, mfn_t mfn, uint32_t flags)
{
    pte_t is = (pte_t)mfn.v << PAGE_SHIFT | PTE_P | (flags & GNTMAP_readonly ? 0 : PTE_RW);
    pte_t differs = (e ^ is) & (PTE_ADDR | PTE_P | PTE_RW);

    return differs == 0 || (differs == PTE_RW && frame_of(mfn)->owner == d->id);
}

/* [pt_lock] */
static int unmap_one(struct vcpu *v, const struct grant_use *u, const struct grant_at *at,
                     struct near *near)
{
    struct domain *d = v->domain;
    pte_t *entry = entry_at(v, at->addr, u->flags, near), replacement = 0, old;

    if (!entry)
        return GNTST_bad_virt_addr;
    if (!is_mapping(d, *entry, MFN(u->mfn), u->flags)) {
        log_refusal(d, "grant unmap at %#lx: entry %#lx is no mapping of frame %#lx by it",
                    at->addr, *entry, (uint64_t)u->mfn);
        return GNTST_general_error;
    }
    if (at->new_addr && !take_entry(v, at->new_addr, entry, &replacement))
        return GNTST_bad_virt_addr;
    old = __atomic_exchange_n(entry, replacement, __ATOMIC_ACQ_REL);
    twin_entry_changed(d, entry, 1);
    if (old & PTE_P)
        pt_put_l1e(old);
    return GNTST_okay;
}

void pv_grant_unmap(struct vcpu *v, struct grant_use *u, const struct grant_at *at, unsigned int n)
{
    struct near near = NEAR_NONE;

    spin_lock(&pv_domain(v->domain)->pt_lock);
    for (; n; n--, u++, at++)
        if ((u->flags & GRANT_USE_HOST) && u->status == GNTST_okay)
            u->status = (int16_t)unmap_one(v, u, at, &near);
    spin_unlock(&pv_domain(v->domain)->pt_lock);
    /* The caller flushes before the granter gets its frame back, once for a batch. */
}
