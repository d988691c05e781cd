/* SPDX-License-Identifier: MIT */
/* GNTTABOP_copy: between frames of the caller and frames that others granted to it. */
#include "core/grant_private.h"

#include "core/arch.h"
#include "core/log.h"
#include "lib/string.h"

static void drop_frame(struct grant_copy_side *s)
{
    if (!s->frame)
        return;
    if (s->is_ref)
        grant_unpin(s->owner, (grant_ref_t)s->id, !s->writable);
    else
        grant_release_frame(s->frame, !s->writable);
    s->frame = NULL;
}

void grant_copy_release(struct grant_copy_side *s)
{
    drop_frame(s);
    if (s->owner)
        domain_put(s->owner);
    s->owner = NULL;
}

static bool is_same(const struct grant_copy_side *s, uint64_t id, bool is_ref)
{
    return s->frame && s->id == id && s->is_ref == is_ref;
}

/* Another frame than the one held; the owner stays when it is the same. */
static int take_other(struct vcpu *v, domid_t domid, uint64_t id, bool is_ref,
                      struct grant_copy_side *s)
{
    uint32_t mfn = (uint32_t)id;
    int rc;

    drop_frame(s);
    if (s->owner && s->domid != domid)
        grant_copy_release(s);
    if (!s->owner)
        s->owner = domain_get_self(v, domid);
    if (!s->owner)
        return GNTST_bad_domain;
    s->domid = domid;
    s->id = id;
    s->is_ref = is_ref;
    if (is_ref)
        rc = grant_pin(s->owner, (grant_ref_t)id, v->domain->id, !s->writable, &mfn);
    else
        rc = id <= UINT32_MAX ? grant_hold_frame(s->owner, id, !s->writable) : GNTST_bad_page;
    if (rc == GNTST_okay)
        s->frame = frame_of(MFN(mfn));
    return rc;
}

static int take_side(struct vcpu *v, const struct gnttab_copy_ptr *p, bool is_ref,
                     struct grant_copy_side *s)
{
    uint64_t id = is_ref ? p->u.ref : p->u.gmfn;

    if (is_same(s, id, is_ref) && s->domid == p->domid)
        return GNTST_okay;
    if (!is_ref && p->domid != DOMID_SELF && p->domid != v->domain->id)
        return GNTST_permission_denied;
    return take_other(v, p->domid, id, is_ref, s);
}

int grant_copy_one(struct vcpu *v, const struct gnttab_copy *op, struct grant_copy_side *src,
                   struct grant_copy_side *dst)
{
    uint8_t *to;
    const uint8_t *from;
    int rc;

    if ((uint32_t)op->source.offset + op->len > PAGE_SIZE ||
        (uint32_t)op->dest.offset + op->len > PAGE_SIZE)
        return GNTST_bad_copy_arg;
    dst->writable = true;
    rc = take_side(v, &op->source, op->flags & GNTCOPY_source_gref, src);
    if (rc == GNTST_okay)
        rc = take_side(v, &op->dest, op->flags & GNTCOPY_dest_gref, dst);
    if (rc != GNTST_okay) {
        log_refusal(v->domain, "grant copy from d%u to d%u: status %d", op->source.domid,
                    op->dest.domid, rc);
        return rc;
    }
    to = (uint8_t *)arch_map(frame_mfn(dst->frame)) + op->dest.offset;
    from = (const uint8_t *)arch_map(frame_mfn(src->frame)) + op->source.offset;
    if (__builtin_expect(src->frame == dst->frame, 0))
        memmove(to, from, op->len);
    else
        memcpy(to, from, op->len);
    return GNTST_okay;
}
