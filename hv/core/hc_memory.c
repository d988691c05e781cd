/* SPDX-License-Identifier: MIT */
/*
 * memory_op: a domain's reservation. Each extent is one step: it is done or it is not, and the
 * result says how many were. A call that gives way carries the number done in the upper bits of
 * cmd.
 */
#include "core/hypercall.h"

#include <xen/memory.h>

#include "core/access.h"
#include "core/gfn.h"
#include "core/grant.h"
#include "core/log.h"

#define OP_BITS 6 /* of cmd; the rest is the first extent to do */
#define MAX_ORDER_GUEST 9

struct reservation {
    struct xen_memory_reservation r;
    struct domain *d; /* referenced */
    struct vcpu *v;
};

static void free_extent(struct frame *f, unsigned int order, struct domain *d)
{
    for (unsigned long i = 0; i < 1ul << order; i++)
        frame_release(f + i, d);
}

/* Allocates one zeroed extent for the domain, at guest frame gfn or nowhere (GFN_INVALID). */
static struct frame *new_extent(const struct reservation *res, uint64_t gfn)
{
    unsigned int order = res->r.extent_order;
    struct frame *f = frame_alloc_for(res->d, order, XENMEMF_get_address_bits(res->r.mem_flags));

    if (!f)
        return NULL;
    for (unsigned long i = 0; i < 1ul << order; i++)
        arch_clear_page(arch_map(mfn_add(frame_mfn(f), i)));
    if (frame_give(f, order, res->d, gfn) == 0)
        return f;
    frame_free(f, order);
    return NULL;
}

/* One extent for a domain that learns the machine's numbers; false: stop here. */
static bool add_direct(const struct reservation *res, gptr_t at, bool place, xen_pfn_t gfn)
{
    struct frame *f = new_extent(res, place ? gfn : GFN_INVALID);
    xen_pfn_t mfn;

    if (!f)
        return false;
    mfn = frame_mfn(f).v;
    if (!(place || res->r.extent_start.p) || !guest_put(res->v, at, &mfn))
        return true;
    free_extent(f, res->r.extent_order, res->d);
    return false;
}

/* One extent for a domain that says where in its own map it goes. */
static bool add_mapped(const struct reservation *res, bool place, xen_pfn_t gfn)
{
    struct frame *f;

    if (!place) {
        log_refusal(res->v->domain, "increase_reservation: d%u's frames need a place", res->d->id);
        return false;
    }
    f = new_extent(res, GFN_INVALID);
    if (!f)
        return false;
    if (!gfn_place(res->d, GFN(gfn), f, res->r.extent_order))
        return true;
    log_refusal(res->v->domain, "populate_physmap: d%u's frame %#llx is in use, or none",
                res->d->id, (unsigned long long)gfn);
    free_extent(f, res->r.extent_order, res->d);
    return false;
}

/* One extent of populate_physmap or increase_reservation; false: stop here. */
static bool add_extent(const struct reservation *res, gptr_t at, bool place)
{
    xen_pfn_t gfn = 0;

    if (place && guest_get(res->v, &gfn, at))
        return false;
    return gfn_is_mfn(res->d) ? add_direct(res, at, place, gfn) : add_mapped(res, place, gfn);
}

/* One extent of decrease_reservation. */
static bool drop_extent(const struct reservation *res, gptr_t at)
{
    xen_pfn_t gfn;

    return !guest_get(res->v, &gfn, at) && !gfn_remove(res->d, GFN(gfn), res->r.extent_order);
}

/* Copies and checks the description; 0 with a reference on the domain. */
static long get_reservation(struct vcpu *v, gptr_t arg, struct reservation *res)
{
    unsigned int max_order = v->domain->privileged ? FRAME_MAX_ORDER : MAX_ORDER_GUEST;

    if (guest_get(v, &res->r, arg))
        return E(EFAULT);
    res->v = v;
    if (res->r.domid != DOMID_SELF && !v->domain->privileged)
        return E(EPERM);
    if (res->r.nr_extents > 1ul << 40 ||
        res->r.extent_start.p + res->r.nr_extents < res->r.extent_start.p)
        return E(EINVAL);
    /* An extent is one step between two preemption points: what clearing 2 MiB takes. */
    if (res->r.extent_order > MIN(max_order, MAX_ORDER_GUEST))
        return E(EPERM);
    res->d = domain_get_self(v, res->r.domid);
    return res->d ? 0 : E(ESRCH);
}

static long change_reservation(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long start)
{
    struct reservation res;
    unsigned long i;
    gptr_t at;
    long rc = get_reservation(v, arg, &res);

    if (rc) /* these three report a count, so an error is a count of what was done before */
        return rc == E(ESRCH) || rc == E(EPERM) ? rc : (long)start;
    for (i = start; i < res.r.nr_extents; i++) {
        if (!gptr_index(HANDLE_PTR(res.r.extent_start), i, sizeof(xen_pfn_t), &at))
            break;
        if (op == XENMEM_decrease_reservation
                ? !drop_extent(&res, at)
                : !add_extent(&res, at, op == XENMEM_populate_physmap))
            break;
        if (hc_preempt(1 << res.r.extent_order) && i + 1 < res.r.nr_extents) {
            domain_put(res.d);
            return hc_restart(v, HC_ARGS(op | (i + 1) << OP_BITS, arg.v));
        }
    }
    domain_put(res.d);
    return (long)i;
}

static long query_reservation(struct vcpu *v, unsigned int op, gptr_t arg)
{
    struct xen_memory_domain q;
    struct domain *d;
    long rc;

    if (guest_get(v, &q, arg))
        return E(EFAULT);
    d = domain_get_self(v, q.domid);
    if (!d)
        return E(ESRCH);
    if (d != v->domain && !v->domain->privileged)
        rc = E(EPERM);
    else
        rc = (long)(op == XENMEM_current_reservation ? domain_pages(d)
                                                     : MIN(d->max_pages, (uint64_t)INT64_MAX));
    domain_put(d);
    return rc;
}

/* What d is to have in all is set aside for it, once; 0 takes that back. */
static long set_claim(struct domain *d, uint64_t total)
{
    uint64_t have = domain_pages(d);
    int rc;

    if (total == 0)
        return frame_claim(d, 0);
    if (d->claimed || total < have || total > d->max_pages)
        return E(EINVAL);
    rc = frame_claim(d, total - have);
    if (domain_dying(d)) /* looked at after the claim, which its end takes back before */
        return frame_claim(d, 0);
    return rc;
}

static long claim_pages(struct vcpu *v, gptr_t arg)
{
    struct reservation res;
    long rc;

    if (!v->domain->privileged)
        return E(EPERM);
    rc = get_reservation(v, arg, &res);
    if (rc)
        return rc;
    if (res.r.extent_start.p || res.r.extent_order || res.r.mem_flags)
        rc = E(EINVAL);
    else
        rc = set_claim(res.d, res.r.nr_extents);
    domain_put(res.d);
    return rc;
}

/* Frames of a domain's grant table, for a domain builder to map. */
static long grant_resource(struct vcpu *v, struct domain *d,
                           const struct xen_mem_acquire_resource *r)
{
    if (r->nr_frames > MAX_GRANT_FRAMES)
        return E(E2BIG);
    for (uint32_t i = 0; i < r->nr_frames; i++) {
        mfn_t mfn = grant_frame_mfn(d, (unsigned int)(r->frame + i));
        xen_pfn_t out = mfn.v; /* the caller is one that maps by the machine's numbers */
        gptr_t at;

        hc_charge(2);
        if (mfn_eq(mfn, MFN_NONE))
            return E(EINVAL);
        if (!gptr_index(HANDLE_PTR(r->frame_list), i, sizeof(out), &at) || guest_put(v, at, &out))
            return E(EFAULT);
    }
    return 0;
}

static long acquire_resource(struct vcpu *v, gptr_t arg)
{
    struct xen_mem_acquire_resource r;
    struct domain *d;
    long rc;

    if (guest_get(v, &r, arg))
        return E(EFAULT);
    if (r.pad || (r.nr_frames && (!r.frame_list.p || r.frame > MAX_GRANT_FRAMES)))
        return E(EINVAL);
    d = domain_get(r.domid);
    if (!d)
        return E(ESRCH);
    if (!access_ok(v->domain, d, ACCESS_MEMORY)) {
        rc = E(EPERM);
    } else if (r.type != XENMEM_resource_grant_table ||
               r.id != XENMEM_resource_grant_table_id_shared || !gfn_is_mfn(v->domain)) {
        rc = E(EOPNOTSUPP);
    } else if (!r.nr_frames && !r.frame_list.p) { /* how large is it? */
        r.nr_frames = grant_max_frames(d);
        rc = guest_put(v, arg, &r) ? E(EFAULT) : 0;
    } else {
        rc = grant_resource(v, d, &r);
    }
    domain_put(d);
    return rc;
}

long hc_memory_op(struct vcpu *v, const struct hc_args *args)
{
    unsigned long cmd = args->a[0];
    unsigned int op = cmd & (BIT(OP_BITS) - 1);
    unsigned long start = cmd >> OP_BITS;
    gptr_t p = GPTR(args->a[1]);
    long rc;

    switch (op) {
    case XENMEM_increase_reservation:
    case XENMEM_decrease_reservation:
    case XENMEM_populate_physmap:
        return change_reservation(v, op, p, start);
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
        return query_reservation(v, op, p);
    case XENMEM_maximum_ram_page:
        return (long)max_mfn; /* one past the last, as Xen counts it */
    case XENMEM_claim_pages:
        return claim_pages(v, p);
    case XENMEM_acquire_resource:
        return acquire_resource(v, p);
    case XENMEM_get_sharing_freed_pages:
    case XENMEM_get_sharing_shared_pages:
        return 0;
    default:
        rc = arch_memory_op(v, op, p, start);
        return rc == E(ENOSYS) ? v->domain->ops->memory_op(v, op, p, start) : rc;
    }
}
