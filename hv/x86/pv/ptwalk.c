/* SPDX-License-Identifier: MIT */
/* Looking things up in a guest's tables, and which device frames a domain may map. */
#include "core/access.h"
#include "core/bug.h"
#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/machine.h"
#include "x86/pv/ptable.h"

/*
 * The entry that the processor takes for va's L1 entry, through entries with the bits `need`:
 * by linear tables (see ptable.h) it may be one of an upper table. There the entries of an L4 are
 * walked at other levels too, and what keeps the walk out of the hypervisor's is PTE_US: see
 * paging_seal(). [pt_lock]
 */
static inline uint64_t find_leaf(struct vcpu *v, uint64_t va, pte_t need)
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

/* The same where the domain has linear entries: what is found may be no L1's entry. */
static uint64_t find_among_linear(struct vcpu *v, uint64_t va)
{
    uint64_t at = find_leaf(v, va, PTE_P | PTE_US);
    const struct frame *f = at ? frame_of(MFN(at >> PAGE_SHIFT)) : NULL;
    uint64_t s = f ? frame_state(f) : 0;

    if (frame_type_of(s) != FT_L1)
        return 0;
    ASSERT(f->owner == v->domain->id && (s & FRAME_VALIDATED));
    return at;
}

uint64_t pv_find_l1e(struct vcpu *v, uint64_t va)
{
    if (__builtin_expect(pv_domain(v->domain)->linear, 0))
        return find_among_linear(v, va);
    return find_leaf(v, va, PTE_P);
}

bool pv_read_guest_pte(struct vcpu *v, uint64_t va, uint64_t *l1e)
{
    uint64_t at;

    if (!pv_range_ok(va, 1))
        return false;
    spin_lock(&pv_domain(v->domain)->pt_lock);
    at = find_leaf(v, va, PTE_P | PTE_US);
    *l1e = at ? *(pte_t *)direct(at) : 0;
    spin_unlock(&pv_domain(v->domain)->pt_lock);
    return *l1e & PTE_P;
}

bool pv_iomem_ok(struct domain *d, mfn_t mfn)
{
    return access_host(d) && !(mfn.v >> (cpu_feat.phys_bits - PAGE_SHIFT)) &&
           !machine_owns_frame(mfn);
}
