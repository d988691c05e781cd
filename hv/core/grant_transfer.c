/* SPDX-License-Identifier: MIT */
/* GNTTABOP_transfer: a frame changes hands, with what is in it. */
#include "core/grant_private.h"

#include "core/arch.h"
#include "core/log.h"

struct frame *grant_transfer_take(struct vcpu *v, const struct gnttab_transfer *op, int16_t *status)
{
    struct frame *f = gfn_take(v->domain, GFN(op->mfn));

    *status = GNTST_bad_page;
    if (f)
        return f;
    log_refusal(v->domain, "transfer: frame %#llx is not its own, or in use",
                (unsigned long long)op->mfn);
    return NULL;
}

#define FLUSH_COST 2 /* of each CPU that is made to flush, in hc_preempt()'s units */

void grant_transfer_flush(void)
{
    hc_charge((int32_t)nr_pcpus * FLUSH_COST); /* a step may be a single frame, again and again */
    arch_tlb_flush_stamped(&cpumask_all, tlb_stamp());
}

/*
 * Gives f to `to`, which then owns it, and tells it in its entry. The guest may take its offer back
 * until the entry is marked as committed, and finds a frame number in it afterwards: so the frame
 * is its own before. [to's lock]. The frame is still nobody's unless GNTST_okay or -eagain.
 */
static int give_locked(struct domain *to, grant_ref_t ref, domid_t from, struct frame *f)
{
    struct grant_entry_v1 *e = grant_shared_of(to->grants, ref);
    const struct grant_active *a = grant_active_of(to->grants, ref);
    uint32_t *word = (uint32_t *)(void *)e, offer = GTF_accept_transfer | (uint32_t)from << 16;

    if (!gfn_is_mfn(to)) /* nothing says where it is to go */
        return GNTST_bad_gntref;
    if (a->readers || a->writers || __atomic_load_n(word, __ATOMIC_ACQUIRE) != offer)
        return GNTST_bad_gntref;
    if (frame_assign(f, 0, to))
        return GNTST_no_space;
    if (!__atomic_compare_exchange_n(word, &offer, offer | GTF_transfer_committed, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        frame_release(f, to);
        return GNTST_eagain;
    }
    __atomic_store_n(&e->frame, (uint32_t)frame_mfn(f).v, __ATOMIC_RELAXED);
    __atomic_fetch_or(&e->flags, GTF_transfer_completed, __ATOMIC_RELEASE);
    return GNTST_okay;
}

static int give(struct domain *to, grant_ref_t ref, domid_t from, struct frame *f)
{
    struct grant_state *g = to->grants;
    int rc = GNTST_bad_gntref;

    spin_lock(&g->lock);
    if (grant_ref_ok(g, &ref))
        rc = give_locked(to, ref, from, f);
    spin_unlock(&g->lock);
    return rc;
}

int grant_transfer_give(struct vcpu *v, const struct gnttab_transfer *op, struct frame *f)
{
    struct domain *to = domain_get_self(v, op->domid);
    int rc = to ? give(to, op->ref, v->domain->id, f) : GNTST_bad_domain;

    if (to)
        domain_put(to);
    if (rc == GNTST_okay)
        return rc;
    if (rc != GNTST_eagain) /* as the ABI says, it is not the caller's any more */
        frame_free(f, 0);
    log_refusal(v->domain, "transfer to d%u by reference %u: status %d", op->domid, op->ref, rc);
    return rc == GNTST_eagain ? GNTST_general_error : rc;
}
