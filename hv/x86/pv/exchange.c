/* SPDX-License-Identifier: MIT */
/*
 * XENMEM_exchange: frames for others that are contiguous, or below so many address bits. The larger
 * of both extents is a chunk, which is exchanged whole or not at all. The chunk's old frames are
 * claimed: the allocation's reference of each is ours. Then the new ones are allocated and cleared,
 * and when nothing can fail any more the old go and the new come. nr_exchanged in the guest's
 * record says how many chunks are done; who changes it exchanges others.
 *
 * A chunk larger than one go is parked (core/parked.h): its frames are in two lists of the
 * hypervisor's. No lock is held anywhere here.
 */
#include "core/hypercall.h"

#include <xen/memory.h>

#include "core/log.h"
#include "core/parked.h"
#include "x86/pv/mm.h"

#define OP_BITS 6 /* of cmd; the rest is the token */
/* Of one go: half of what is cleared elsewhere, since as much is freed, and numbers are copied. */
#define GO_ORDER (step_order - 1)
#define GO_PAGES (1ul << GO_ORDER)

struct exchange {
    struct parked parked;         /* first */
    struct xen_memory_exchange x; /* of the guest, checked */
    unsigned int chunk_order;     /* frames of one chunk: the larger of both extents */
    unsigned int list_order;      /* pages of each list */
    unsigned long chunk;          /* in work, */
    unsigned long nr_chunks;      /* of so many */
    /* How far it came: frames given claimed, frames taken cleared, frames exchanged. */
    unsigned long claimed, cleared, done;
    uint32_t *in;  /* frames given */
    uint32_t *out; /* first frames of the extents taken; room for 2^chunk_order as well */
    bool as_is;    /* the extent in work need not be cleared */
    bool lists;    /* these two are blocks of their own, and the chunk can be parked */
    bool undoing;
    long fault;   /* what to say of a chunk that is exchanged all the same */
    long failure; /* what to say once all is undone */
};
#define EXCHANGE_ORDER 0
_Static_assert(sizeof(struct exchange) + 2 * 256 * sizeof(uint32_t) <= PAGE_SIZE << EXCHANGE_ORDER,
               "a chunk of one go has room for its lists");

static unsigned long frames(const struct exchange *e)
{
    return 1ul << e->chunk_order;
}

/* The frames of one go that begins at frame `at` of the chunk. */
static unsigned long go(const struct exchange *e, unsigned long at)
{
    return MIN(frames(e) - at, GO_PAGES);
}

static long check_exchange(struct vcpu *v, struct exchange *e)
{
    const struct xen_memory_reservation *in = &e->x.in, *out = &e->x.out;
    unsigned int max = max_extent_order(v->domain);
    unsigned long pages, done;

    if (in->domid != out->domid)
        return E(EINVAL);
    if (in->domid != DOMID_SELF && in->domid != v->domain->id) {
        struct domain *d = domain_get(in->domid);

        if (d)
            domain_put(d);
        return d ? E(EPERM) : E(ESRCH);
    }
    if (in->extent_order > max || out->extent_order > max)
        return E(EPERM);
    if (in->nr_extents > 1ul << 40 || out->nr_extents > 1ul << 40 ||
        e->x.nr_exchanged > in->nr_extents)
        return E(EINVAL);
    pages = in->nr_extents << in->extent_order;
    done = e->x.nr_exchanged << in->extent_order;
    e->chunk_order = MAX(in->extent_order, out->extent_order);
    e->nr_chunks = pages >> e->chunk_order;
    e->chunk = done >> e->chunk_order;
    /* With as many pages on both sides they are whole chunks. */
    if (pages != out->nr_extents << out->extent_order || done != e->chunk << e->chunk_order)
        return E(EINVAL);
    return 0;
}

/* The guest's number of extent i of this chunk; at: where it stands. */
static bool read_extent(struct vcpu *v, const struct exchange *e,
                        const struct xen_memory_reservation *r, unsigned long i, xen_pfn_t *gfn,
                        gptr_t *at)
{
    i += e->chunk << (e->chunk_order - r->extent_order);
    return gptr_index(HANDLE_PTR(r->extent_start), i, sizeof(*gfn), at) && !guest_get(v, gfn, *at);
}

/* --- the chunk, one go at a time: 0, or why it cannot be --- */

static long claim_some(struct vcpu *v, struct exchange *e)
{
    unsigned int order = e->x.in.extent_order;
    unsigned long end = e->claimed + go(e, e->claimed);
    xen_pfn_t mfn;
    gptr_t at;

    hc_charge((int32_t)(go(e, e->claimed) / 16));
    for (bool first = true; e->claimed < end; first = false) {
        unsigned long within = e->claimed & ((1ul << order) - 1);
        struct frame *f;

        if ((first || !within) && !read_extent(v, e, &e->x.in, e->claimed >> order, &mfn, &at))
            return E(EFAULT);
        f = mfn < max_mfn ? frame_of(MFN(mfn + within)) : NULL;
        if (!f || !frame_take_only_hold(f, v->domain)) {
            log_refusal(v->domain, "exchange: frame %#lx is not its own, or in use", mfn + within);
            return E(EINVAL);
        }
        e->in[e->claimed++] = (uint32_t)frame_mfn(f).v;
    }
    return 0;
}

/* Does so if the extent's number can be read, where its own is to go. */
static long allocate_extent(struct vcpu *v, struct exchange *e, unsigned long i)
{
    unsigned int order = e->x.out.extent_order;
    unsigned int bits = XENMEMF_get_address_bits(e->x.out.mem_flags);
    xen_pfn_t gfn;
    struct frame *f;
    gptr_t at;

    if (!read_extent(v, e, &e->x.out, i, &gfn, &at))
        return E(EFAULT);
    f = frame_alloc_for(v->domain, order, bits);
    if (!f) { /* debug: Linux looks for the smallest number of bits by trying them all */
        log_debug("d%u: exchange: no free memory of order %u below %u bits", v->domain->id, order,
                  bits);
        return E(ENOMEM);
    }
    e->out[i] = (uint32_t)frame_mfn(f).v;
    e->as_is = access_host(v->domain) && frame_is_unused(f); /* as its first memory: 0008 */
    return 0;
}

static long allocate_some(struct vcpu *v, struct exchange *e)
{
    unsigned int order = e->x.out.extent_order;
    unsigned long end = e->cleared + go(e, e->cleared);
    long rc = 0;

    hc_charge((int32_t)go(e, e->cleared));
    for (; rc == 0 && e->cleared < end; e->cleared += rc == 0) {
        unsigned long within = e->cleared & ((1ul << order) - 1);

        if (!within)
            rc = allocate_extent(v, e, e->cleared >> order);
        if (rc == 0 && !e->as_is)
            arch_clear_page(arch_map(MFN(e->out[e->cleared >> order] + within)));
    }
    return rc;
}

/*
 * New frames that begin at frame `at` of the chunk, of one extent, become the domain's. What can
 * fail is a list that was readable before, and a domain that is dying.
 */
static void take(struct vcpu *v, struct exchange *e, unsigned long at, unsigned int order)
{
    unsigned long i = at >> e->x.out.extent_order;
    unsigned long within = at & ((1ul << e->x.out.extent_order) - 1);
    xen_pfn_t gfn, mfn = e->out[i];
    gptr_t where;
    bool known = read_extent(v, e, &e->x.out, i, &gfn, &where);
    struct frame *f = &frame_table[mfn + within];

    if (frame_replace(f, order, v->domain, known ? gfn + within : GFN_INVALID)) {
        frame_free(f, order);
        e->fault = E(ENOMEM);
    } else if (within + (1ul << order) < 1ul << e->x.out.extent_order) {
        return; /* the guest's number stays until the extent is whole */
    } else if (!known || guest_put(v, where, &mfn)) {
        e->fault = E(EFAULT);
    }
}

static void commit_some(struct vcpu *v, struct exchange *e)
{
    unsigned long n = go(e, e->done), first = e->done;
    unsigned int order = MIN(e->x.out.extent_order, GO_ORDER);

    hc_charge((int32_t)(n / 4));
    frame_replace_begin(v->domain, n); /* its maximum may be below what it has: it balloons */
    for (unsigned long i = first; i < first + n; i++)
        frame_put(&frame_table[e->in[i]]);
    e->done += n; /* before: what is undone from here on is not given yet */
    for (unsigned long i = first; i < first + n; i += 1ul << order)
        take(v, e, i, order);
}

/* --- back --- */

/* One go of it; true: nothing of the chunk is left, and what is exchanged stays exchanged. */
static bool undo_chunk(struct exchange *e)
{
    unsigned int order = e->x.out.extent_order, piece = MIN(order, GO_ORDER);

    if (!e->undoing && e->cleared & ((1ul << order) - 1)) /* within an extent: all of it is ours */
        e->cleared = (e->cleared | ((1ul << order) - 1)) + 1;
    e->undoing = true;
    hc_charge((int32_t)(GO_PAGES / 4));
    for (unsigned long n = 0; n < GO_PAGES && e->cleared > e->done; n += 1ul << piece) {
        unsigned long at = e->cleared -= 1ul << piece;

        frame_free(&frame_table[e->out[at >> order] + (at & ((1ul << order) - 1))], piece);
    }
    for (unsigned long n = 0; n < GO_PAGES && e->claimed > e->done; n++)
        frame_return_hold(&frame_table[e->in[--e->claimed]]);
    /* untested: of cleared, which is never more than claimed and comes down as fast */
    return e->cleared <= e->done && e->claimed <= e->done;
}

static void free_exchange(struct exchange *e)
{
    if (e->lists) {
        frame_free_hv_order(e->in, e->list_order);
        frame_free_hv_order(e->out, e->list_order);
    }
    frame_free_hv_order(e, EXCHANGE_ORDER);
}

static bool undo_parked(struct domain *d, struct parked *p)
{
    struct exchange *e = (struct exchange *)p;

    (void)d;
    if (!undo_chunk(e))
        return false;
    free_exchange(e);
    return true;
}

void pv_exchange_walk(const struct domain *d, void (*fn)(void *arg, mfn_t mfn), void *arg)
{
    const struct exchange *e = (const struct exchange *)d->parked;

    if (!e || e->parked.undo != undo_parked)
        return;
    for (unsigned long i = e->done; i < e->claimed; i++)
        fn(arg, MFN(e->in[i]));
}

/* --- the call --- */

/* Reads and checks what the guest wants; NULL with *rc. The slot is held if it takes lists. */
static struct exchange *new_exchange(struct vcpu *v, gptr_t arg, long *rc)
{
    struct exchange *e = frame_alloc_hv_order(EXCHANGE_ORDER);
    struct parked *p;

    *rc = e ? guest_get(v, &e->x, arg) ? E(EFAULT) : check_exchange(v, e) : E(ENOMEM);
    if (*rc)
        goto bad;
    e->parked.undo = undo_parked;
    e->in = (uint32_t *)(e + 1);
    e->out = e->in + frames(e);
    if (e->chunk_order <= GO_ORDER)
        return e;
    *rc = parked_open(v->domain, undo_parked, 0, &p);
    if (*rc)
        goto bad;
    e->list_order = e->chunk_order > 10 ? e->chunk_order - 10 : 0; /* 1,024 numbers a page */
    hc_charge(2 << e->list_order);
    e->in = frame_alloc_hv_order(e->list_order);
    e->out = frame_alloc_hv_order(e->list_order);
    e->lists = e->in && e->out;
    if (e->lists)
        return e;
    if (e->in)
        frame_free_hv_order(e->in, e->list_order);
    if (e->out)
        frame_free_hv_order(e->out, e->list_order);
    parked_close(v->domain, NULL);
    *rc = E(ENOMEM);
bad:
    if (e)
        frame_free_hv_order(e, EXCHANGE_ORDER);
    return NULL;
}

/* One go of the chunk in work. 0: it is exchanged; MORE; or why it is not. */
#define MORE 1
static long chunk_go(struct vcpu *v, struct exchange *e)
{
    long rc = 0;

    if (e->claimed < frames(e))
        rc = claim_some(v, e);
    else if (e->cleared < frames(e))
        rc = allocate_some(v, e);
    else
        commit_some(v, e);
    if (rc || e->done < frames(e))
        return rc ? rc : MORE;
    return e->fault;
}

/* As far as it may go now. MORE: gave way; else the call's result, and nothing is left to undo. */
static long exchange_all(struct vcpu *v, struct exchange *e)
{
    long rc = e->failure;

    while (rc >= 0 && e->chunk < e->nr_chunks) {
        rc = chunk_go(v, e);
        if (rc == 0) {
            e->chunk++;
            e->claimed = e->cleared = e->done = 0;
        }
        if (rc >= 0 && (rc == 0 || e->lists) && e->chunk < e->nr_chunks && hc_preempt(0))
            return MORE;
    }
    e->failure = rc;
    while (rc && !undo_chunk(e))
        if (e->lists && hc_preempt(0))
            return MORE;
    return rc;
}

long pv_exchange(struct vcpu *v, gptr_t arg, unsigned long token)
{
    struct domain *d = v->domain;
    struct exchange *e = NULL;
    struct parked *p = NULL;
    unsigned long nr;
    bool lists;
    long rc = 0;

    hc_charge(1); /* of the record */
    if (token) {
        rc = parked_open(d, undo_parked, (uint32_t)token, &p);
        e = (struct exchange *)p;
        if (!rc && !e) /* it was undone meanwhile */
            parked_close(d, NULL);
    }
    if (!rc && !e) {
        token = 0;
        e = new_exchange(v, arg, &rc);
    }
    if (!e)
        return rc == E(EAGAIN) ? hc_restart(v, HC_ARGS(XENMEM_exchange | token << OP_BITS, arg.v))
                               : rc;
    rc = exchange_all(v, e);
    nr = e->chunk << (e->chunk_order - e->x.in.extent_order);
    lists = e->lists;
    if (rc != MORE || !lists) {
        free_exchange(e);
        e = NULL;
    }
    if (lists)
        parked_close(d, e ? &e->parked : NULL);
    if (guest_write(v, gptr_add(arg, offsetof(struct xen_memory_exchange, nr_exchanged)), &nr,
                    sizeof(nr)))
        return E(EFAULT);
    if (rc != MORE)
        return rc;
    token = e ? e->parked.token : 0;
    return hc_restart(v, HC_ARGS(XENMEM_exchange | token << OP_BITS, arg.v));
}
