/* SPDX-License-Identifier: MIT */
/* Looking things up in a guest's tables, and which device frames a domain may map. */
#include "core/access.h"
#include "core/bug.h"
#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/machine.h"
#include "x86/pv/ptable.h"

/* What is found may be no L1's entry. */
uint64_t pv_find_among_linear(struct vcpu *v, uint64_t va)
{
    uint64_t at = pv_walk(v, va, PTE_P | PTE_US);
    const struct frame *f = at ? frame_of(MFN(at >> PAGE_SHIFT)) : NULL;
    uint64_t s = f ? frame_state(f) : 0;

    if (frame_type_of(s) != FT_L1)
        return 0;
    ASSERT(f->owner == v->domain->id && (s & FRAME_VALIDATED));
    return at;
}

bool pv_read_guest_pte(struct vcpu *v, uint64_t va, uint64_t *l1e)
{
    uint64_t at;

    if (!pv_range_ok(va, 1))
        return false;
    spin_lock(&pv_domain(v->domain)->pt_lock);
    at = pv_walk(v, va, PTE_P | PTE_US);
    *l1e = at ? *(pte_t *)direct(at) : 0;
    spin_unlock(&pv_domain(v->domain)->pt_lock);
    return *l1e & PTE_P;
}

bool pv_iomem_ok(struct domain *d, mfn_t mfn)
{
    return access_host(d) && !(mfn.v >> (cpu_feat.phys_bits - PAGE_SHIFT)) &&
           !machine_owns_frame(mfn);
}
