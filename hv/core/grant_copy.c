/* SPDX-License-Identifier: MIT */
/* GNTTABOP_copy: between frames of the caller and frames that others granted to it. */
#include "core/grant_private.h"

#include "core/arch.h"
#include "core/log.h"
#include "core/ptype.h"
#include "lib/string.h"

void grant_copy_release(struct grant_copy_side *s)
{
    if (!s->valid)
        return;
    if (s->is_ref)
        grant_unpin(s->owner, (grant_ref_t)s->id, !s->writable);
    else if (s->writable)
        frame_put_typed(s->frame);
    else
        frame_put(s->frame);
    domain_put(s->owner);
    s->valid = false;
}

/* The caller's own frame. */
static int take_own(struct grant_copy_side *s)
{
    struct frame *f = frame_of(MFN(s->id));

    if (!f)
        return GNTST_bad_page;
    if (s->writable ? frame_get_typed(f, s->owner, FT_WRITABLE) != 0 : !frame_get(f, s->owner))
        return GNTST_bad_page;
    s->frame = f;
    return GNTST_okay;
}

static int take_side(struct vcpu *v, const struct gnttab_copy_ptr *p, bool is_ref, bool writable,
                     struct grant_copy_side *s)
{
    uint64_t id = is_ref ? p->u.ref : p->u.gmfn;
    uint32_t mfn;
    int rc;

    if (s->valid && s->is_ref == is_ref && s->writable == writable && s->domid == p->domid &&
        s->id == id)
        return GNTST_okay;
    grant_copy_release(s);
    if (!is_ref && p->domid != DOMID_SELF)
        return GNTST_permission_denied;
    s->owner = domain_get_self(v, p->domid);
    if (!s->owner)
        return GNTST_bad_domain;
    s->is_ref = is_ref;
    s->writable = writable;
    s->domid = p->domid;
    s->id = id;
    if (is_ref) {
        rc = grant_pin(s->owner, p->u.ref, v->domain->id, !writable, &mfn);
        if (rc == GNTST_okay)
            s->frame = frame_of(MFN(mfn));
    } else {
        rc = take_own(s);
    }
    s->valid = rc == GNTST_okay;
    if (!s->valid)
        domain_put(s->owner);
    return rc;
}

int grant_copy_one(struct vcpu *v, const struct gnttab_copy *op, struct grant_copy_side *src,
                   struct grant_copy_side *dst)
{
    int rc;

    if ((uint32_t)op->source.offset + op->len > PAGE_SIZE ||
        (uint32_t)op->dest.offset + op->len > PAGE_SIZE)
        return GNTST_bad_copy_arg;
    rc = take_side(v, &op->source, op->flags & GNTCOPY_source_gref, false, src);
    if (rc == GNTST_okay)
        rc = take_side(v, &op->dest, op->flags & GNTCOPY_dest_gref, true, dst);
    if (rc != GNTST_okay) {
        log_refusal(v->domain, "grant copy from d%u to d%u: status %d", op->source.domid,
                    op->dest.domid, rc);
        return rc;
    }
    memmove((uint8_t *)arch_map(frame_mfn(dst->frame)) + op->dest.offset,
            (const uint8_t *)arch_map(frame_mfn(src->frame)) + op->source.offset, op->len);
    return GNTST_okay;
}
