/* SPDX-License-Identifier: MIT */
/*
 * memory_op: a domain's reservation. Each extent is one step: it is done or it is not, and the
 * result says how many were. A call that gives way carries in the upper bits of cmd the number done
 * and, of an extent too large for one go, how far it came: a token of parked.h where memory is
 * added, pieces where it is given back. A guest may change these: it goes on somewhere else then.
 */
#include "core/hypercall.h"

#include <xen/memory.h>

#include "core/access.h"
#include "core/gfn.h"
#include "core/grant.h"
#include "core/log.h"
#include "core/parked.h"

#define OP_BITS 6     /* of cmd */
#define START_BITS 41 /* the first extent to do; what is above belongs to that extent */

struct reservation {
    struct xen_memory_reservation r;
    struct domain *d; /* referenced */
    struct vcpu *v;
    bool place;      /* populate_physmap: the guest says where */
    uint32_t within; /* how far the extent in work came, see above */
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

/* --- extents that take more than one go --- */

enum outcome { STOP, DONE, GAVE_WAY };

struct growth {
    struct parked parked; /* first */
    struct frame *first;
    uint64_t gfn;    /* where it goes, or GFN_INVALID */
    uint64_t total;  /* frames; once it has failed: those not yet given back to the allocator */
    uint64_t given;  /* of these: the domain's */
    uint64_t placed; /* of these: in its map, if it has one */
    bool failed;
};

static bool undo_growth(struct domain *d, struct parked *p)
{
    struct growth *g = (struct growth *)p;

    g->failed = true;
    hc_charge(1 << step_order);
    if (g->total > g->given) {
        g->total -= STEP_PAGES;
        frame_free(g->first + g->total, step_order);
    } else if (g->total) {
        bool in_map = g->placed == g->total && !gfn_is_mfn(d);

        g->total = g->given -= STEP_PAGES;
        g->placed = MIN(g->placed, g->given);
        if (in_map)
            (void)gfn_remove(d, GFN(g->gfn + g->given), step_order);
        else
            free_extent(g->first + g->given, step_order, d);
    }
    if (g->total)
        return false;
    frame_free_hv(g);
    return true;
}

/* The next piece is cleared and becomes the domain's; false: it cannot be. */
static bool grow(struct domain *d, struct growth *g)
{
    struct frame *f = g->first + g->given;
    bool place = g->gfn != GFN_INVALID;

    hc_charge(1 << step_order);
    for (unsigned long i = 0; i < STEP_PAGES; i++)
        arch_clear_page(arch_map(mfn_add(frame_mfn(f), i)));
    if (frame_give(f, step_order, d, place && gfn_is_mfn(d) ? g->gfn + g->given : GFN_INVALID))
        return false;
    g->given += STEP_PAGES;
    if (gfn_place(d, GFN(g->gfn + g->placed), f, step_order)) {
        log_refusal(d, "populate_physmap: frame %#llx is in use, or none",
                    (unsigned long long)(g->gfn + g->placed));
        return false;
    }
    g->placed = g->given;
    return true;
}

static struct growth *new_growth(const struct reservation *res, gptr_t at)
{
    unsigned int order = res->r.extent_order;
    xen_pfn_t gfn = GFN_INVALID;
    struct growth *g;

    if (res->place ? guest_get(res->v, &gfn, at) != 0 : !gfn_is_mfn(res->d))
        return NULL;
    if (domain_pages(res->d) + (1ull << order) > res->d->max_pages)
        return NULL;
    g = frame_alloc_hv();
    if (!g)
        return NULL;
    g->parked.undo = undo_growth;
    g->gfn = gfn;
    g->total = 1ull << order;
    g->first = frame_alloc_for(res->d, order, XENMEMF_get_address_bits(res->r.mem_flags));
    if (g->first)
        return g;
    frame_free_hv(g);
    return NULL;
}

/* Works on g until it is done or has failed and is undone, or it is time to give way. */
static enum outcome work_on(struct reservation *res, struct growth *g, gptr_t at)
{
    xen_pfn_t mfn = frame_mfn(g->first).v;
    bool tell = gfn_is_mfn(res->d) && (res->place || res->r.extent_start.p);

    for (;;) {
        if (g->failed) {
            if (undo_growth(res->d, &g->parked))
                return STOP;
        } else if (g->given < g->total) {
            g->failed = !grow(res->d, g);
        } else if (tell && guest_put(res->v, at, &mfn)) {
            g->failed = true;
        } else {
            frame_free_hv(g);
            return DONE;
        }
        if (hc_preempt(0))
            return GAVE_WAY;
    }
}

static enum outcome add_long(struct reservation *res, gptr_t at)
{
    struct parked *p;
    enum outcome o;
    int rc = parked_open(res->d, undo_growth, res->within, &p);

    if (rc)
        return rc == -XEN_EAGAIN ? GAVE_WAY : STOP;
    if (!p) {
        struct growth *g = new_growth(res, at);

        p = g ? &g->parked : NULL;
    }
    o = p ? work_on(res, (struct growth *)p, at) : STOP;
    parked_close(res->d, o == GAVE_WAY ? p : NULL);
    res->within = o == GAVE_WAY ? p->token : 0;
    return o;
}

static enum outcome drop_long(struct reservation *res, gptr_t at)
{
    uint64_t pieces = 1ull << (res->r.extent_order - step_order);
    xen_pfn_t gfn;

    if (guest_get(res->v, &gfn, at))
        return STOP;
    while (res->within < pieces) {
        if (gfn_remove(res->d, GFN(gfn + res->within * STEP_PAGES), step_order))
            return STOP;
        res->within++;
        if (hc_preempt(1 << step_order) && res->within < pieces)
            return GAVE_WAY;
    }
    res->within = 0;
    return DONE;
}

/* One extent of populate_physmap or increase_reservation. */
static enum outcome add_extent(struct reservation *res, gptr_t at)
{
    xen_pfn_t gfn = 0;

    if (res->r.extent_order > step_order)
        return add_long(res, at);
    if (res->place && guest_get(res->v, &gfn, at))
        return STOP;
    hc_charge(1 << res->r.extent_order);
    return (gfn_is_mfn(res->d) ? add_direct(res, at, res->place, gfn)
                               : add_mapped(res, res->place, gfn))
               ? DONE
               : STOP;
}

/* One extent of decrease_reservation. */
static enum outcome drop_extent(struct reservation *res, gptr_t at)
{
    xen_pfn_t gfn;

    if (res->r.extent_order > step_order)
        return drop_long(res, at);
    hc_charge(1 << res->r.extent_order);
    return !guest_get(res->v, &gfn, at) && !gfn_remove(res->d, GFN(gfn), res->r.extent_order)
               ? DONE
               : STOP;
}

/* Copies and checks the description; 0 with a reference on the domain. */
static long get_reservation(struct vcpu *v, gptr_t arg, struct reservation *res)
{
    gptr_t end;

    if (guest_get(v, &res->r, arg))
        return E(EFAULT);
    res->v = v;
    if (res->r.nr_extents > 1ul << 40 ||
        !gptr_index(HANDLE_PTR(res->r.extent_start), res->r.nr_extents, sizeof(xen_pfn_t), &end))
        return E(EINVAL);
    if (res->r.extent_order > max_extent_order(v->domain)) {
        log_refusal(v->domain, "memory_op: an extent of order %u, at most %u", res->r.extent_order,
                    max_extent_order(v->domain));
        return E(EPERM);
    }
    return access_domain_get(v, res->r.domid, ACCESS_MEMORY, &res->d);
}

static long change_reservation(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long from)
{
    unsigned long i, start = from & (BIT(START_BITS) - 1);
    enum outcome o;
    struct reservation res;
    gptr_t at;
    long rc = get_reservation(v, arg, &res);

    if (rc) /* these three report a count, so a refusal is a count of what was done before */
        return (long)start;
    res.place = op == XENMEM_populate_physmap;
    if (res.place && (res.r.mem_flags & XENMEMF_populate_on_demand)) {
        log_refusal(v->domain,
                    "populate_physmap: d%u's memory is not populated on demand: give it "
                    "maxmem = memory",
                    res.d->id);
        domain_put(res.d);
        return (long)start;
    }
    res.within = (uint32_t)(from >> START_BITS);
    for (i = start; i < res.r.nr_extents; i++) {
        if (!gptr_index(HANDLE_PTR(res.r.extent_start), i, sizeof(xen_pfn_t), &at))
            break;
        o = op == XENMEM_decrease_reservation ? drop_extent(&res, at) : add_extent(&res, at);
        if (o == STOP)
            break;
        if (o == GAVE_WAY || (hc_preempt(0) && i + 1 < res.r.nr_extents)) {
            domain_put(res.d);
            i += o == DONE;
            from = i | (unsigned long)res.within << START_BITS;
            return hc_restart(v, HC_ARGS(op | from << OP_BITS, arg.v));
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
    if (!access_ok(v->domain, d, ACCESS_INSPECT))
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

    if (!access_host(v->domain))
        return E(EPERM);
    rc = get_reservation(v, arg, &res);
    if (rc)
        return rc == E(EFAULT) ? rc : E(EINVAL); /* as all that is wrong with a claim */
    if (res.r.domid == DOMID_SELF || res.r.extent_start.p || res.r.extent_order || res.r.mem_flags)
        rc = E(EINVAL);
    else
        rc = set_claim(res.d, res.r.nr_extents);
    domain_put(res.d);
    return rc;
}

/* One page of a resource; MFN_NONE: there is none. */
static mfn_t resource_frame(struct domain *d, const struct xen_mem_acquire_resource *r,
                            unsigned int i)
{
    if (r->type == XENMEM_resource_grant_table)
        return grant_frame_mfn(d, i);
    return d->ops->resource(d, r->type, r->id, i);
}

/* How many pages it has; 0: there is no such resource. */
static unsigned int resource_size(const struct domain *d, const struct xen_mem_acquire_resource *r)
{
    if (r->type == XENMEM_resource_grant_table)
        return r->id == XENMEM_resource_grant_table_id_shared ? grant_max_frames(d) : 0;
    return r->type == XENMEM_resource_ioreq_server && d->ops->resource ? 2 : 0;
}

/* Pages of the hypervisor's that d shares, for a domain builder or a device model to map. */
static long list_resource(struct vcpu *v, struct domain *d,
                          const struct xen_mem_acquire_resource *r)
{
    if (r->nr_frames > MAX_GRANT_FRAMES)
        return E(E2BIG);
    for (uint32_t i = 0; i < r->nr_frames; i++) {
        mfn_t mfn = resource_frame(d, r, (unsigned int)(r->frame + i));
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
    } else if (!resource_size(d, &r) || !gfn_is_mfn(v->domain)) {
        rc = E(EOPNOTSUPP);
    } else if (!r.nr_frames && !r.frame_list.p) { /* how large is it? */
        r.nr_frames = resource_size(d, &r);
        rc = guest_put(v, arg, &r) ? E(EFAULT) : 0;
    } else {
        rc = list_resource(v, d, &r);
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
