/* SPDX-License-Identifier: MIT */
/* memory_op's operations of hardware-assisted guests: what lies at a guest frame. */
#include "core/hypercall.h"

#include <xen/memory.h>

#include "core/access.h"
#include "core/clock.h"
#include "core/grant.h"
#include "core/log.h"
#include "x86/hvm/memory.h"
#include "x86/mm/paging.h"

/* Takes away what is at gfn, and drops what the leaf stood for. 0 also if nothing was there. */
static long clear(struct domain *d, gfn_t gfn)
{
    struct p2m *p = &hvm_domain(d)->p2m;
    struct p2m_entry e = p2m_lookup(p, gfn);

    if (e.type == P2M_GRANT_RW || e.type == P2M_GRANT_RO)
        return E(EBUSY); /* the grant's unmapping takes it away */
    if (p2m_remove(p, gfn, MFN_NONE, 0, &e))
        return 0;
    p2m_sync(p);
    if (p2m_is_ram(e.type))
        frame_release(frame_of(e.mfn), d);
    if (e.type == P2M_SHARED && m2p_rw[e.mfn.v] == gfn.v)
        arch_set_gfn(e.mfn, GFN_INVALID);
    if (e.type == P2M_SHARED || e.type == P2M_FOREIGN || e.type == P2M_FOREIGN_RO)
        frame_put(frame_of(e.mfn));
    return 0;
}

/* A page of the hypervisor's that d shares is at one place: the old one becomes a hole. */
static void leave_old_place(struct domain *d, mfn_t mfn)
{
    struct p2m *p = &hvm_domain(d)->p2m;
    uint64_t gfn = m2p_rw[mfn.v];
    struct p2m_entry e;

    if (gfn == GFN_INVALID || p2m_remove(p, GFN(gfn), mfn, 0, &e))
        return;
    p2m_sync(p);
    arch_set_gfn(mfn, GFN_INVALID);
    frame_put(frame_of(mfn));
}

static long place_shared(struct domain *d, gfn_t gfn, mfn_t mfn)
{
    struct frame *f = frame_of(mfn);
    long rc;

    if (!f || !frame_get(f, d))
        return E(EINVAL);
    leave_old_place(d, mfn);
    rc = clear(d, gfn);
    if (rc == 0)
        rc = p2m_place(&hvm_domain(d)->p2m, gfn, mfn, 0, P2M_SHARED);
    if (rc)
        frame_put(f);
    else
        arch_set_gfn(mfn, gfn.v);
    return rc;
}

long hvm_move_page(struct domain *d, uint64_t from, uint64_t to)
{
    struct p2m *p = &hvm_domain(d)->p2m;
    struct p2m_entry e;
    long rc;

    if (from == to || !p2m_is_ram(p2m_lookup(p, GFN(from)).type))
        return from == to ? 0 : E(EINVAL);
    rc = clear(d, GFN(to));
    if (rc == 0)
        rc = p2m_remove(p, GFN(from), MFN_NONE, 0, &e);
    if (rc)
        return rc;
    p2m_sync(p);
    if (p2m_is_ram(e.type))
        rc = p2m_place(p, GFN(to), e.mfn, 0, e.type);
    else
        rc = E(EINVAL); /* it was replaced meanwhile */
    if (rc && p2m_place(p, GFN(from), e.mfn, 0, e.type) && p2m_is_ram(e.type))
        frame_release(frame_of(e.mfn), d); /* it has no place any more */
    return rc;
}

/* One page of add_to_physmap. */
static long add_page(struct vcpu *v, struct domain *d, unsigned int space, uint64_t idx, gfn_t gfn)
{
    mfn_t mfn;
    long rc;

    switch (space) {
    case XENMAPSPACE_shared_info:
        rc = idx ? E(EINVAL) : place_shared(d, gfn, d->shared_mfn);
        /* A new user, such as a kernel after its firmware: the last one may have cleared it. */
        if (rc == 0 && d == v->domain)
            clock_update_vcpu(v);
        return rc;
    case XENMAPSPACE_grant_table:
        if (idx & XENMAPIDX_grant_table_status)
            return E(EOPNOTSUPP); /* grants have version 1 */
        mfn = grant_frame_mfn(d, (unsigned int)idx);
        return mfn_eq(mfn, MFN_NONE) ? E(EINVAL) : place_shared(d, gfn, mfn);
    case XENMAPSPACE_gmfn:
        return hvm_move_page(d, idx, gfn.v);
    default:
        return E(EOPNOTSUPP);
    }
}

/* The domain of id, which is hardware-assisted and whose memory v may arrange. */
static long subject(struct vcpu *v, domid_t id, struct domain **d)
{
    long rc = 0;

    *d = domain_get_self(v, id);
    if (!*d)
        return E(ESRCH);
    if (!access_ok(v->domain, *d, ACCESS_MEMORY))
        rc = E(EPERM);
    else if ((*d)->kind != GUEST_HVM)
        rc = E(ENOSYS);
    if (rc)
        domain_put(*d);
    return rc;
}

static long add_to_physmap(struct vcpu *v, gptr_t arg)
{
    struct xen_add_to_physmap op;
    struct domain *d;
    long rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    rc = subject(v, op.domid, &d);
    if (rc)
        return rc;
    rc = add_page(v, d, op.space, op.idx, GFN(op.gpfn));
    domain_put(d);
    return rc;
}

/* The progress of a call that gave way is in start: how many pages are done. */
static long add_batch(struct vcpu *v, gptr_t arg, unsigned long start, unsigned long *done)
{
    struct xen_add_to_physmap_batch op;
    struct domain *d;
    long rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    if (start >= op.size)
        return 0;
    rc = subject(v, op.domid, &d);
    if (rc)
        return rc;
    for (; start < op.size && rc == 0; start++) {
        xen_ulong_t idx;
        xen_pfn_t gfn;
        int err;

        if (guest_get(v, &idx, HANDLE_AT(op.idxs, start)) ||
            guest_get(v, &gfn, HANDLE_AT(op.gpfns, start))) {
            rc = E(EFAULT);
            break;
        }
        err = (int)add_page(v, d, op.space, idx, GFN(gfn));
        if (guest_put(v, HANDLE_AT(op.errs, start), &err))
            rc = E(EFAULT);
        else if (hc_preempt(4) && start + 1 < op.size)
            rc = HC_RESTART;
    }
    domain_put(d);
    *done = start;
    return rc;
}

static long remove_from_physmap(struct vcpu *v, gptr_t arg)
{
    struct xen_remove_from_physmap op;
    struct domain *d;
    long rc;

    if (guest_get(v, &op, arg))
        return E(EFAULT);
    rc = subject(v, op.domid, &d);
    if (rc)
        return rc;
    rc = p2m_lookup(&hvm_domain(d)->p2m, GFN(op.gpfn)).type == P2M_HOLE ? E(ENOENT)
                                                                        : clear(d, GFN(op.gpfn));
    domain_put(d);
    return rc;
}

long hvm_memory_op(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long start_extent)
{
    unsigned long done = 0;
    long rc;

    switch (op) {
    case XENMEM_add_to_physmap:
        return add_to_physmap(v, arg);
    case XENMEM_add_to_physmap_batch:
        rc = add_batch(v, arg, start_extent, &done);
        if (rc == HC_RESTART)
            return hc_restart(v, HC_ARGS(op | done << 6, arg.v));
        return rc;
    case XENMEM_remove_from_physmap:
        return remove_from_physmap(v, arg);
    default:
        return E(ENOSYS);
    }
}
