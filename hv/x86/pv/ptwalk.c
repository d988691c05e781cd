/* SPDX-License-Identifier: MIT */
/* Looking things up in a guest's tables, and which device frames a domain may map. */
#include "core/bug.h"
#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/machine.h"
#include "x86/pv/ptable.h"

uint64_t pv_find_l1e(struct vcpu *v, uint64_t va)
{
    const struct pv_vcpu *pv = pv_vcpu(v);
    uint64_t table = pv->kernel_mode ? pv->cr3_kernel : pv->cr3_user;

    for (int shift = 39; shift > 12; shift -= 9) {
        pte_t e = ((pte_t *)direct(table))[va >> shift & 511];
        if (!(e & PTE_P))
            return 0;
        table = e & PTE_ADDR;
    }
    return table + (va >> 12 & 511) * sizeof(pte_t);
}

bool pv_read_guest_pte(struct vcpu *v, uint64_t va, uint64_t *l1e)
{
    uint64_t at;

    if (!pv_range_ok(va, 1))
        return false;
    spin_lock(&pv_domain(v->domain)->pt_lock);
    at = pv_find_l1e(v, va);
    *l1e = at ? *(pte_t *)direct(at) : 0;
    spin_unlock(&pv_domain(v->domain)->pt_lock);
    return *l1e & PTE_P;
}

bool pv_iomem_ok(struct domain *d, mfn_t mfn)
{
    return d->privileged && !(mfn.v >> (cpu_feat.phys_bits - PAGE_SHIFT)) &&
           !machine_owns_frame(mfn);
}
