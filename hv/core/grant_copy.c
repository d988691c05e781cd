/* SPDX-License-Identifier: MIT */
/*
 * GNTTABOP_copy: between frames of the caller and frames that others granted to it. It goes by
 * runs, elements that name the same domains in the same way: all frames of a run are taken, then
 * everything is copied, then they are let go, so the owner's lock is taken twice for a run.
 */
#include "core/grant_private.h"

#include "core/arch.h"
#include "core/log.h"
#include "lib/string.h"

#define BY_REF (GNTCOPY_source_gref | GNTCOPY_dest_gref)

/* What is read, or written, in a run. */
struct side {
    struct domain *owner; /* whose frames these are; of others with a reference; NULL: nobody's */
    bool by_ref;          /* they are granted; else the caller's own */
    bool readonly;
    unsigned int n; /* uses, one for neighbours that name the same frame */
    struct grant_use use[GRANT_STEP];
    uint8_t of[GRANT_STEP]; /* the use of each element */
};

/* The uses of the run's k elements; `first` is the first one's half. Nothing is pinned yet. */
static inline __attribute__((always_inline)) void gather(struct side *s,
                                                         const struct gnttab_copy_ptr *first,
                                                         bool by_ref, int16_t status,
                                                         unsigned int k)
{
    const struct gnttab_copy *op = (const void *)first;
    unsigned int n = 0;
    uint64_t last = 0;

    for (unsigned int i = 0; i < k; i++, op++) {
        uint64_t name = by_ref ? op->source.u.ref : op->source.u.gmfn;
        struct grant_use *u = &s->use[n];

        if (n == 0 || name != last) {
            u->mfn = GRANT_NO_MFN;
            u->ref = (uint32_t)name;
            u->flags = s->readonly ? GNTMAP_readonly : 0;
            u->status = status;
            if (!by_ref && status == GNTST_okay)
                u->status = (int16_t)grant_hold_frame(s->owner, name, s->readonly, &u->mfn);
            last = name;
            n++;
        }
        s->of[i] = (uint8_t)(n - 1);
    }
    s->n = n;
}

/* Takes the frames of the run's k elements. */
static void begin(struct vcpu *v, struct side *s, const struct gnttab_copy_ptr *first, bool by_ref,
                  bool readonly, unsigned int k)
{
    s->by_ref = by_ref;
    s->readonly = readonly;
    if (by_ref) {
        s->owner = domain_get_self(v, first->domid);
        gather(s, first, true, s->owner ? GNTST_okay : GNTST_bad_domain, k);
        if (s->owner)
            grant_pin(s->owner, v->domain->id, s->use, s->n);
    } else {
        bool own = first->domid == DOMID_SELF || first->domid == v->domain->id;

        s->owner = v->domain;
        gather(s, first, false, own ? GNTST_okay : GNTST_permission_denied, k);
    }
}

static void end(struct side *s)
{
    if (s->by_ref && s->owner) {
        grant_unpin(s->owner, s->use, s->n);
        domain_put(s->owner);
    }
    for (unsigned int i = 0; i < s->n && !s->by_ref; i++)
        if (s->use[i].mfn != GRANT_NO_MFN)
            grant_release_frame(s->use[i].mfn, s->readonly);
}

static inline uint8_t *address(const struct grant_use *u, uint16_t offset)
{
    return (uint8_t *)arch_map(frame_held(u->mfn)) + offset;
}

static int16_t refuse(struct vcpu *v, const struct gnttab_copy *op, int16_t status)
{
    log_refusal(v->domain, "grant copy from d%u to d%u: status %d", op->source.domid,
                op->dest.domid, status);
    return status;
}

static inline int16_t copy(struct vcpu *v, const struct gnttab_copy *op,
                           const struct grant_use *src, const struct grant_use *dst)
{
    if ((uint32_t)op->source.offset + op->len > PAGE_SIZE ||
        (uint32_t)op->dest.offset + op->len > PAGE_SIZE)
        return GNTST_bad_copy_arg;
    if (__builtin_expect(src->status | dst->status, 0))
        return refuse(v, op, src->status ? src->status : dst->status);
    if (__builtin_expect(src->mfn == dst->mfn, 0))
        memmove(address(dst, op->dest.offset), address(src, op->source.offset), op->len);
    else
        memcpy(address(dst, op->dest.offset), address(src, op->source.offset), op->len);
    return GNTST_okay;
}

static inline bool same_run(const struct gnttab_copy *a, const struct gnttab_copy *b)
{
    return a->source.domid == b->source.domid && a->dest.domid == b->dest.domid &&
           !((a->flags ^ b->flags) & BY_REF);
}

/* The first run of n elements; how many these were. */
static unsigned int copy_run(struct vcpu *v, struct gnttab_copy *op, unsigned int n)
{
    struct side src, dst;
    unsigned int k = 1;

    while (k < n && same_run(op, &op[k]))
        k++;
    begin(v, &src, &op->source, op->flags & GNTCOPY_source_gref, true, k);
    begin(v, &dst, &op->dest, op->flags & GNTCOPY_dest_gref, false, k);
    for (unsigned int i = 0; i < k; i++)
        op[i].status = copy(v, &op[i], &src.use[src.of[i]], &dst.use[dst.of[i]]);
    end(&src);
    end(&dst);
    return k;
}

void grant_copy(struct vcpu *v, struct gnttab_copy *op, unsigned int n)
{
    v->cpu->counts.n[COUNT_COPIES] += n;
    for (unsigned int i = 0; i < n;)
        i += copy_run(v, &op[i], n - i);
}
