/* SPDX-License-Identifier: MIT */
/*
 * The door from a guest's frame number to a frame: the identity for PV, the kind's map for others.
 * What it hands out is the domain's and stays so until gfn_put(). No lock is held by callers; a map
 * takes its own (RANK_P2M).
 */
#include "core/gfn.h"

#include <xen/errno.h>

#include "core/arch.h"
#include "core/log.h"

/* Of a domain with a map of its own: that gives a plain reference. */
static int get_mapped(struct domain *d, gfn_t gfn, unsigned int access, struct frame **f)
{
    int rc = d->ops->gfn_get(d, gfn, access, f);

    if (rc == 0 && (access & GFN_WRITE)) {
        rc = frame_get_typed(*f, d, FT_WRITABLE);
        frame_put(*f);
    }
    return rc;
}

static int get_direct(struct domain *d, gfn_t gfn, unsigned int access, struct frame **f)
{
    *f = frame_of(MFN(gfn.v));
    if (!*f)
        return -XEN_EINVAL;
    if (access & GFN_WRITE)
        return frame_get_typed(*f, d, FT_WRITABLE);
    return frame_get(*f, d) ? 0 : -XEN_EINVAL;
}

int gfn_get_slowly(struct domain *d, gfn_t gfn, unsigned int access, struct frame **f)
{
    int rc = gfn_is_mfn(d) ? get_direct(d, gfn, access, f) : get_mapped(d, gfn, access, f);

    if (rc == 0 && (access & GFN_FOREIGN) && (frame_state(*f) & FRAME_HV)) {
        gfn_put(*f, access);
        rc = -XEN_EINVAL;
    }
    if (rc == 0 && (access & GFN_WRITE) && (access & GFN_MAP))
        frame_note_held(*f);
    return rc;
}

int gfn_place(struct domain *d, gfn_t gfn, struct frame *f, unsigned int order)
{
    return gfn_is_mfn(d) ? 0 : d->ops->gfn_place(d, gfn, frame_mfn(f), order);
}

/* --- giving back --- */

static int refuse(struct domain *d, uint64_t gfn, int rc)
{
    log_refusal(d, "frame %#llx is not d%u's to give back (%d)", (unsigned long long)gfn, d->id,
                rc);
    return rc;
}

static int remove_direct(struct domain *d, gfn_t gfn, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct frame *f = frame_of(MFN(gfn.v + i));

        if (!f || (frame_state(f) & FRAME_HV) || !frame_release(f, d))
            return refuse(d, gfn.v + i, -XEN_EINVAL);
    }
    return 0;
}

#define PIECES 32 /* taken away for one flush */

struct piece {
    mfn_t mfn;
    unsigned int order;
};

static void release_pieces(struct domain *d, const struct piece *p, unsigned int nr)
{
    if (nr)
        d->ops->gfn_flush(d);
    for (unsigned int i = 0; i < nr; i++)
        for (uint64_t j = 0; j < 1ull << p[i].order; j++)
            (void)frame_release(frame_of(mfn_add(p[i].mfn, j)), d);
}

/* The largest power of two that fits into n, as its exponent. */
static unsigned int order_within(uint64_t n)
{
    return 63 - (unsigned int)__builtin_clzll(n);
}

static int remove_mapped(struct domain *d, gfn_t gfn, uint64_t n)
{
    struct piece p[PIECES];
    unsigned int nr = 0;
    int rc = 0;

    for (uint64_t i = 0; i < n && rc == 0;) {
        p[nr].order = order_within(n - i);
        rc = d->ops->gfn_remove(d, GFN(gfn.v + i), &p[nr].order, &p[nr].mfn);
        if (rc) {
            refuse(d, gfn.v + i, rc);
            break;
        }
        i += 1ull << p[nr++].order;
        if (nr == PIECES) {
            release_pieces(d, p, nr);
            nr = 0;
        }
    }
    release_pieces(d, p, nr);
    return rc;
}

int gfn_remove(struct domain *d, gfn_t gfn, unsigned int order)
{
    uint64_t n = 1ull << order;

    return gfn_is_mfn(d) ? remove_direct(d, gfn, n) : remove_mapped(d, gfn, n);
}

struct frame *gfn_take(struct domain *d, gfn_t gfn)
{
    struct frame *f = gfn_is_mfn(d) && gfn.v < max_mfn ? frame_of(MFN(gfn.v)) : NULL;

    return f && frame_take(f, d) ? f : NULL;
}

uint64_t gfn_of(const struct domain *d, mfn_t mfn)
{
    return gfn_is_mfn(d) ? mfn.v : arch_gfn(mfn);
}
