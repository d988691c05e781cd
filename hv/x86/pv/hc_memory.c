/* SPDX-License-Identifier: MIT */
/* memory_op's operations of PV guests: the M2P, exchange for contiguous frames. */
#include "core/hypercall.h"

#include <xen/memory.h>

#include "core/log.h"
#include "x86/pv/mm.h"
#include "x86/mm/paging.h"

#define OP_BITS 6            /* of cmd; the rest says how far an interrupted call came */
#define MAX_EXCHANGE_ORDER 9 /* a chunk of an exchange is one step: 2 MiB cleared */
#define CHUNK_MAX (1u << MAX_EXCHANGE_ORDER)

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

/* --- exchange --- */

struct exchange {
    struct xen_memory_exchange x;
    unsigned int chunk_order; /* frames of one step: the larger of both extents */
    unsigned long nr_chunks;
    struct frame *in[CHUNK_MAX];  /* this chunk's frames, given */
    struct frame *out[CHUNK_MAX]; /* first frame of each extent, taken */
    xen_pfn_t gfn[CHUNK_MAX];     /* where those go */
};
#define EXCHANGE_ORDER 2
_Static_assert(sizeof(struct exchange) <= PAGE_SIZE << EXCHANGE_ORDER, "fits");

static long check_exchange(struct vcpu *v, struct exchange *e)
{
    const struct xen_memory_reservation *in = &e->x.in, *out = &e->x.out;
    unsigned long pages;

    if (in->domid != out->domid || (in->domid != DOMID_SELF && in->domid != v->domain->id))
        return E(EPERM);
    if (in->extent_order > MAX_EXCHANGE_ORDER || out->extent_order > MAX_EXCHANGE_ORDER)
        return E(EPERM);
    if (in->nr_extents > 1ul << 40 || out->nr_extents > 1ul << 40 || e->x.nr_exchanged)
        return E(EINVAL);
    pages = in->nr_extents << in->extent_order;
    e->chunk_order = MAX(in->extent_order, out->extent_order);
    e->nr_chunks = pages >> e->chunk_order;
    if (pages != out->nr_extents << out->extent_order || pages != e->nr_chunks << e->chunk_order)
        return E(EINVAL);
    return 0;
}

/* Take the allocation's reference of one frame of d that nothing else refers to. */
static bool claim(struct frame *f, const struct domain *d)
{
    const uint64_t ignored = FRAME_TYPE_MASK | FRAME_VALIDATED | FRAME_FOREIGN;
    uint64_t s = __atomic_load_n(&f->state, __ATOMIC_RELAXED);

    if (f->owner != d->id || (s & ~ignored) != (FRAME_RAM | FRAME_ALLOCATED | FRAME_REF_ONE))
        return false;
    if (!__atomic_compare_exchange_n(&f->state, &s, s & ~FRAME_ALLOCATED, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return false;
    if (__builtin_expect(f->owner == d->id, 1))
        return true;
    __atomic_fetch_or(&f->state, FRAME_ALLOCATED, __ATOMIC_RELEASE); /* it changed hands */
    return false;
}

static void unclaim(struct exchange *e, unsigned int n)
{
    while (n-- > 0)
        __atomic_fetch_or(&e->in[n]->state, FRAME_ALLOCATED, __ATOMIC_RELEASE);
}

/* Find and claim the frames of chunk c. */
static long claim_chunk(struct vcpu *v, struct exchange *e, unsigned long c)
{
    unsigned int order = e->x.in.extent_order, per_chunk = 1u << (e->chunk_order - order);
    unsigned int n = 0;
    long rc = 0;

    for (unsigned int i = 0; !rc && i < per_chunk; i++) {
        xen_pfn_t mfn;
        gptr_t at;

        if (!gptr_index(HANDLE_PTR(e->x.in.extent_start), c * per_chunk + i, sizeof(mfn), &at) ||
            guest_get(v, &mfn, at))
            rc = E(EFAULT);
        for (unsigned int j = 0; !rc && j < 1u << order; j++) {
            struct frame *f = mfn < max_mfn ? frame_of(MFN(mfn + j)) : NULL;

            if (f && claim(f, v->domain)) {
                e->in[n++] = f;
                continue;
            }
            log_refusal(v->domain, "exchange: frame %#lx is not its own, or in use", mfn + j);
            rc = E(EINVAL);
        }
    }
    if (rc)
        unclaim(e, n);
    return rc;
}

static void free_out(struct exchange *e, unsigned int n)
{
    while (n-- > 0)
        frame_free(e->out[n], e->x.out.extent_order);
}

/* Read where the new extents go and allocate them, cleared. */
static long allocate_chunk(struct vcpu *v, struct exchange *e, unsigned long c)
{
    unsigned int order = e->x.out.extent_order, per_chunk = 1u << (e->chunk_order - order);
    unsigned int bits = XENMEMF_get_address_bits(e->x.out.mem_flags);

    for (unsigned int i = 0; i < per_chunk; i++) {
        gptr_t at;
        bool ok = gptr_index(HANDLE_PTR(e->x.out.extent_start), c * per_chunk + i,
                             sizeof(xen_pfn_t), &at) &&
                  !guest_get(v, &e->gfn[i], at);

        e->out[i] = ok ? frame_alloc_for(v->domain, order, bits) : NULL;
        if (!e->out[i]) {
            free_out(e, i);
            if (ok) /* debug: Linux looks for the smallest number of bits by trying them all */
                log_debug("d%u: exchange: no free memory of order %u below %u bits", v->domain->id,
                          order, bits);
            return ok ? E(ENOMEM) : E(EFAULT);
        }
        for (unsigned long j = 0; j < 1ul << order; j++)
            arch_clear_page(arch_map(mfn_add(frame_mfn(e->out[i]), j)));
    }
    return 0;
}

/* Old frames go, new ones come. The caller checked all that can fail but a dying domain. */
static long commit_chunk(struct vcpu *v, struct exchange *e, unsigned long c)
{
    unsigned int order = e->x.out.extent_order, per_chunk = 1u << (e->chunk_order - order);
    long rc = 0;

    for (unsigned int i = 0; i < 1u << e->chunk_order; i++)
        frame_put(e->in[i]);
    for (unsigned int i = 0; i < per_chunk; i++) {
        xen_pfn_t mfn = frame_mfn(e->out[i]).v;
        gptr_t at;

        if (frame_give(e->out[i], order, v->domain, e->gfn[i])) {
            frame_free(e->out[i], order);
            rc = E(ENOMEM);
            continue;
        }
        if (!gptr_index(HANDLE_PTR(e->x.out.extent_start), c * per_chunk + i, sizeof(mfn), &at) ||
            guest_put(v, at, &mfn))
            rc = E(EFAULT);
    }
    return rc;
}

static long exchange_chunk(struct vcpu *v, struct exchange *e, unsigned long c)
{
    long rc = claim_chunk(v, e, c);

    if (rc)
        return rc;
    rc = allocate_chunk(v, e, c);
    if (rc) {
        unclaim(e, 1u << e->chunk_order);
        return rc;
    }
    return commit_chunk(v, e, c);
}

static long exchange_all(struct vcpu *v, gptr_t arg, struct exchange *e, unsigned long start)
{
    unsigned int in_per_chunk;
    unsigned long c;
    long rc;

    if (guest_get(v, &e->x, arg))
        return E(EFAULT);
    if (start) /* what we wrote when we gave way */
        e->x.nr_exchanged = 0;
    rc = check_exchange(v, e);
    if (rc || start > e->nr_chunks)
        return rc ? rc : E(EINVAL);
    in_per_chunk = 1u << (e->chunk_order - e->x.in.extent_order);
    for (c = start; c < e->nr_chunks; c++) {
        rc = exchange_chunk(v, e, c);
        if (rc)
            break;
        if (hc_preempt(1 << e->chunk_order) && c + 1 < e->nr_chunks) {
            c++;
            rc = hc_restart(v, HC_ARGS(XENMEM_exchange | c << OP_BITS, arg.v));
            break;
        }
    }
    e->x.nr_exchanged = c * in_per_chunk;
    if (guest_write(v, gptr_add(arg, offsetof(struct xen_memory_exchange, nr_exchanged)),
                    &e->x.nr_exchanged, sizeof(e->x.nr_exchanged)))
        return E(EFAULT);
    return rc;
}

static long exchange(struct vcpu *v, gptr_t arg, unsigned long start)
{
    struct exchange *e = frame_alloc_hv_order(EXCHANGE_ORDER);
    long rc = e ? exchange_all(v, arg, e, start) : E(ENOMEM);

    if (e)
        frame_free_hv_order(e, EXCHANGE_ORDER);
    return rc;
}

long pv_memory_op(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long start_extent)
{
    switch (op) {
    case XENMEM_machphys_mapping:
        return machphys_mapping(v, arg);
    case XENMEM_machphys_mfn_list:
        return machphys_mfn_list(v, arg);
    case XENMEM_exchange:
        return exchange(v, arg, start_extent);
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
