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

#include <xen/grant_table.h>

#define AVAIL_FLAGS (7ull << 9)

/* [pt_lock] The L1 entry that host_addr names: its machine address, or the linear one it maps. */
static pte_t *entry_at(struct vcpu *v, uint64_t host_addr, uint32_t flags)
{
    struct domain *d = v->domain;

    if (!(flags & GNTMAP_contains_pte)) {
        uint64_t at = pv_range_ok(host_addr, 1) ? pv_find_l1e(v, host_addr) : 0;
        return at ? direct(at) : NULL;
    }
    struct frame *f = frame_of(MFN(host_addr >> PAGE_SHIFT));
    uint64_t s = f ? frame_state(f) : 0;
    if ((host_addr & 7) || !f || f->owner != d->id || frame_type_of(s) != FT_L1 ||
        !(s & FRAME_VALIDATED) || !frame_typed(s))
        return NULL;
    return direct(host_addr);
}

int pv_grant_map(struct vcpu *v, struct domain *owner, uint64_t host_addr, mfn_t mfn,
                 uint32_t flags)
{
    struct domain *d = v->domain;
    pte_t new = mfn.v << PAGE_SHIFT | PTE_P | PTE_US | PTE_A | PTE_D;
    int rc = GNTST_general_error;

    if (!(flags & GNTMAP_readonly))
        new |= PTE_RW;
    new |= ((uint64_t)(flags >> _GNTMAP_guest_avail0) << 9) & AVAIL_FLAGS;
    spin_lock(&pv_domain(d)->pt_lock);
    pte_t *at = entry_at(v, host_addr, flags);
    if (!at)
        rc = GNTST_bad_virt_addr;
    else if (!pt_set_l1(d, owner, at, new, false))
        rc = GNTST_okay;
    spin_unlock(&pv_domain(d)->pt_lock);
    return rc;
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
    return true;
}

/*
 * Is e what mapping mfn by a grant of these flags made? A writable grant is not given back by
 * taking away the read-only mapping that another one made: its own would stay. (What a domain
 * granted to itself it may have remapped as it likes.)
 */
static bool is_mapping(const struct domain *d, pte_t e, mfn_t mfn, uint32_t flags)
{
    bool writable = !(flags & GNTMAP_readonly);

    return (e & PTE_P) && mfn_eq(pte_mfn(e), mfn) &&
           (writable == ((e & PTE_RW) != 0) || frame_of(mfn)->owner == d->id);
}

int pv_grant_unmap(struct vcpu *v, uint64_t host_addr, mfn_t mfn, uint32_t flags, uint64_t new_addr)
{
    struct domain *d = v->domain;
    pte_t replacement = 0;
    int rc = GNTST_general_error;

    spin_lock(&pv_domain(d)->pt_lock);
    pte_t *at = entry_at(v, host_addr, flags);
    if (!at) {
        rc = GNTST_bad_virt_addr;
    } else if (!is_mapping(d, *at, mfn, flags)) {
        log_refusal(d, "grant unmap at %#lx: entry %#lx is no mapping of frame %#lx by it",
                    host_addr, *at, mfn.v);
    } else if (new_addr && !take_entry(v, new_addr, at, &replacement)) {
        rc = GNTST_bad_virt_addr;
    } else {
        pte_t old = __atomic_exchange_n(at, replacement, __ATOMIC_ACQ_REL);
        if (old & PTE_P)
            pt_put_l1e(d, old);
        rc = GNTST_okay;
    }
    spin_unlock(&pv_domain(d)->pt_lock);
    /* The caller flushes before the granter gets its frame back, once for a batch. */
    return rc;
}
