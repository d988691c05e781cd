/* SPDX-License-Identifier: MIT */
/* memory_op's operations of PV guests: the M2P; exchange is in exchange.c. */
#include "core/hypercall.h"

#include <xen/memory.h>

#include "x86/pv/mm.h"
#include "x86/mm/paging.h"

static long machphys_mapping(struct vcpu *v, gptr_t arg)
{
    struct xen_machphys_mapping map = { .v_start = M2P_RO_BASE,
                                        .v_end = M2P_RO_END,
                                        .max_mfn = max_mfn - 1 };

    return guest_put(v, arg, &map) ? E(EFAULT) : 0;
}

/* The 2 MiB pieces of the M2P, in order; for a hole the piece before it stands in. */
static long machphys_mfn_list(struct vcpu *v, gptr_t arg)
{
    struct xen_machphys_mfn_list list;
    uint64_t extents = DIV_ROUND_UP(max_mfn, M2P_EXTENT_FRAMES), last = 0;
    gptr_t at;

    if (guest_get(v, &list, arg))
        return E(EFAULT);
    for (list.nr_extents = 0; list.nr_extents < MIN(extents, (uint64_t)list.max_extents);
         list.nr_extents++) {
        xen_pfn_t mfn = paging_m2p_extent(list.nr_extents);
        mfn = mfn ? mfn : last; /* nothing that is RAM is looked up there */
        if (!gptr_index(HANDLE_PTR(list.extent_start), list.nr_extents, sizeof(mfn), &at) ||
            guest_put(v, at, &mfn))
            return E(EFAULT);
        last = mfn;
    }
    hc_charge(1 + (int32_t)(list.nr_extents / 8));
    return guest_put(v, arg, &list) ? E(EFAULT) : 0;
}

long pv_memory_op(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long start_extent)
{
    switch (op) {
    case XENMEM_machphys_mapping:
        return machphys_mapping(v, arg);
    case XENMEM_machphys_mfn_list:
        return machphys_mfn_list(v, arg);
    case XENMEM_exchange:
        return pv_exchange(v, arg, start_extent);
    case XENMEM_add_to_physmap:
    case XENMEM_remove_from_physmap:
    case XENMEM_add_to_physmap_batch:
        return E(EACCES);
    case XENMEM_machphys_compat_mfn_list:
        return E(EOPNOTSUPP);
    default:
        return E(ENOSYS);
    }
}
