/* SPDX-License-Identifier: MIT */
/* domctl's operations on PV domains. */
#include "core/hypercall.h"

#include <xen/domctl.h>

#include "core/gfn.h"
#include "core/log.h"
#include "x86/pv/domain.h"
#include "x86/pv/hc_vcpu_state.h"
#include "x86/pv/hypercall_page.h"
#include "x86/pv/log_dirty.h"
#include "x86/pv/ptable.h"

/* The stubs that an older kernel calls, in a page of its own. */
static long op_hypercall_init(struct domain *d, uint64_t gfn)
{
    struct frame *f;

    if (gfn_get(d, GFN(gfn), GFN_WRITE, &f)) {
        log_refusal(d, "hypercall_init: frame %#lx is not its own, or a page table", gfn);
        return E(EACCES);
    }
    hypercall_page_fill(arch_map(frame_mfn(f)));
    gfn_put(f, GFN_WRITE);
    return 0;
}

static long op_set_address_size(struct domain *d, uint32_t size)
{
    if (size == 64)
        return 0;
    log_refusal(d, "its kernel is a %u-bit one: only 64-bit PV guests run here", size);
    return E(EINVAL);
}

/* What XEN_DOMCTL_getpageframeinfo3 says of one frame. */
static xen_pfn_t page_info(const struct domain *d, xen_pfn_t mfn)
{
    static const xen_pfn_t names[FT_MAX] = {
        [FT_L1] = XEN_DOMCTL_PFINFO_L1TAB,
        [FT_L2] = XEN_DOMCTL_PFINFO_L2TAB,
        [FT_L3] = XEN_DOMCTL_PFINFO_L3TAB,
        [FT_L4] = XEN_DOMCTL_PFINFO_L4TAB,
    };
    struct frame *f = frame_of(MFN(mfn));
    xen_pfn_t info;
    uint64_t s;

    if (!f || !frame_get(f, d))
        return XEN_DOMCTL_PFINFO_XTAB;
    s = frame_state(f);
    info = frame_typed(s) ? names[frame_type_of(s)] : 0;
    if (info && (s & FRAME_PINNED))
        info |= XEN_DOMCTL_PFINFO_LPINTAB;
    frame_put(f);
    return info;
}

#define MAX_PAGE_INFO 1024 /* frames of one call: a step of bounded length */

static long op_page_info(struct vcpu *v, struct domain *d,
                         const struct xen_domctl_getpageframeinfo3 *op)
{
    if (op->num > MAX_PAGE_INFO)
        return E(E2BIG);
    for (uint64_t i = 0; i < op->num; i++) {
        xen_pfn_t mfn;
        gptr_t at;

        if (!gptr_index(HANDLE_PTR(op->array), i, sizeof(mfn), &at) || guest_get(v, &mfn, at))
            return E(EFAULT);
        mfn = page_info(d, mfn);
        if (guest_put(v, at, &mfn))
            return E(EFAULT);
    }
    hc_charge((int32_t)(op->num / 8));
    return 0;
}

/* Devices, ports and interrupts stay Domain 0's; taking away what nobody has succeeds. */
static long op_permission(struct domain *d, const char *what, uint8_t allow)
{
    if (!allow)
        return 0;
    log_refusal(d, "%s for a guest: device passthrough is not there", what);
    return E(EOPNOTSUPP);
}

long pv_domctl(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back)
{
    (void)copy_back;
    if (domain_dying(d))
        return E(ESRCH);
    switch (op->cmd) {
    case XEN_DOMCTL_hypercall_init:
        return op_hypercall_init(d, op->u.hypercall_init.gmfn);
    case XEN_DOMCTL_set_address_size:
        return op_set_address_size(d, op->u.address_size.size);
    case XEN_DOMCTL_getpageframeinfo3:
        return op_page_info(v, d, &op->u.getpageframeinfo3);
    case XEN_DOMCTL_get_ext_vcpucontext:
    case XEN_DOMCTL_set_ext_vcpucontext:
    case XEN_DOMCTL_getvcpuextstate:
    case XEN_DOMCTL_setvcpuextstate:
    case XEN_DOMCTL_get_vcpu_msrs:
    case XEN_DOMCTL_set_vcpu_msrs:
        return pv_domctl_vcpu_state(v, d, op, copy_back);
    case XEN_DOMCTL_shadow_op:
        return pv_shadow_op(v, d, &op->u.shadow_op, copy_back);
    case XEN_DOMCTL_iomem_permission:
        return op_permission(d, "device memory", op->u.iomem_permission.allow_access);
    case XEN_DOMCTL_ioport_permission:
        return op_permission(d, "I/O ports", op->u.ioport_permission.allow_access);
    case XEN_DOMCTL_irq_permission:
        return op_permission(d, "an interrupt", op->u.irq_permission.allow_access);
    default:
        return E(ENOSYS);
    }
}
