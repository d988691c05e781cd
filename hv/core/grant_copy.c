/* SPDX-License-Identifier: MIT */
/* GNTTABOP_copy: between frames of the caller and frames that others granted to it. */
#include "core/grant_private.h"

#include "core/arch.h"
#include "core/log.h"
#include "lib/string.h"

#define OWN_FRAME (1ull << 63) /* of a key: the caller's own frame of this number */

static void drop_frame(struct grant_copy_side *s, bool readonly)
{
    if (!s->frame)
        return;
    if (s->key & OWN_FRAME)
        grant_release_frame(s->frame, readonly);
    else
        grant_unpin(s->owner, (grant_ref_t)s->key, readonly);
    s->frame = NULL;
}

static void release(struct grant_copy_side *s, bool readonly)
{
    drop_frame(s, readonly);
    if (s->owner)
        domain_put(s->owner);
    s->owner = NULL;
}

void grant_copy_release(struct grant_copy_side *src, struct grant_copy_side *dst)
{
    release(src, true);
    release(dst, false);
}

/* A frame that somebody granted; who that is stays from one reference to the next. */
static int take_ref(struct vcpu *v, struct grant_copy_side *s, uint64_t key, bool readonly)
{
    if (s->owner && (s->key & OWN_FRAME || s->key >> 32 != key >> 32)) {
        domain_put(s->owner);
        s->owner = NULL;
    }
    s->key = key;
    if (!s->owner)
        s->owner = domain_get_self(v, (domid_t)(key >> 32));
    if (!s->owner)
        return GNTST_bad_domain;
    return grant_pin(s->owner, (grant_ref_t)key, v->domain->id, readonly, &s->frame);
}

/* Another frame than the one held. */
static int take_other(struct vcpu *v, const struct gnttab_copy_ptr *p, struct grant_copy_side *s,
                      uint64_t key, bool readonly)
{
    int rc;

    drop_frame(s, readonly);
    if (!(key & OWN_FRAME)) {
        rc = take_ref(v, s, key, readonly);
    } else if (p->domid != DOMID_SELF && p->domid != v->domain->id) {
        rc = GNTST_permission_denied;
    } else {
        s->key = key;
        rc = grant_hold_frame(v->domain, p->u.gmfn, readonly, &s->frame);
    }
    if (rc != GNTST_okay)
        s->frame = NULL;
    return rc;
}

static inline int take_side(struct vcpu *v, const struct gnttab_copy_ptr *p, bool is_ref,
                            struct grant_copy_side *s, bool readonly)
{
    uint64_t key = is_ref ? (uint64_t)p->domid << 32 | p->u.ref
                          : (p->u.gmfn ^ (uint64_t)(p->domid ^ DOMID_SELF) << 44) | OWN_FRAME;

    if (s->frame && s->key == key)
        return GNTST_okay;
    return take_other(v, p, s, key, readonly);
}

int grant_copy_one(struct vcpu *v, const struct gnttab_copy *op, struct grant_copy_side *src,
                   struct grant_copy_side *dst)
{
    uint8_t *to;
    const uint8_t *from;
    int rc;

    COUNT(v->cpu, COPIES);
    if ((uint32_t)op->source.offset + op->len > PAGE_SIZE ||
        (uint32_t)op->dest.offset + op->len > PAGE_SIZE)
        return GNTST_bad_copy_arg;
    rc = take_side(v, &op->source, op->flags & GNTCOPY_source_gref, src, true);
    if (rc == GNTST_okay)
        rc = take_side(v, &op->dest, op->flags & GNTCOPY_dest_gref, dst, false);
    if (__builtin_expect(rc != GNTST_okay, 0)) {
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
