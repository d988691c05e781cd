/* SPDX-License-Identifier: MIT */
/*
 * A PV guest's memory, sent while it runs. The hypervisor logs which pages are written; a round
 * sends what the last one found written, until what is left takes little enough time, and the guest
 * is suspended for the rest. The log is asked first and the guest's table of frames read then: so a
 * frame that comes or goes in between is found by the one or the other.
 */
#include "lib/macros.h"
#include "tools/cli/image_saver.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <string.h>

#define MAX_ROUNDS 30u
#define MAX_STALLS 2u /* rounds in a row that left most of what they sent to be sent again */

static int shadow_op(struct image_saver *s, uint32_t what, uint32_t mode, uint8_t *bitmap,
                     uint64_t *pages)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_shadow_op, .domain = s->domid };
    int rc;

    op.u.shadow_op.op = what;
    op.u.shadow_op.mode = mode;
    op.u.shadow_op.pages = pages ? *pages : 0;
    set_xen_guest_handle(op.u.shadow_op.dirty_bitmap, bitmap);
    rc = xen_domctl(s->h->xen, &op);
    if (pages)
        *pages = op.u.shadow_op.pages;
    return rc;
}

/* A log that is on was left by a killed program, or is that of an xl, whose migration fails. */
static int begin_log(struct image_saver *s)
{
    int rc = shadow_op(s, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, NULL, NULL);

    if (rc == -EINVAL && shadow_op(s, XEN_DOMCTL_SHADOW_OP_OFF, 0, NULL, NULL) >= 0)
        rc = shadow_op(s, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, NULL, NULL);
    s->logging = rc >= 0;
    return rc < 0 ? xen_error(s->e, rc, "logging what the guest writes") : 0;
}

void saver_end_log(struct image_saver *s)
{
    if (s->logging)
        shadow_op(s, XEN_DOMCTL_SHADOW_OP_OFF, 0, NULL, NULL);
    s->logging = false;
}

void image_log_off(struct host *h, unsigned int domid)
{
    struct image_saver s = { .h = h, .domid = domid, .logging = true };

    saver_end_log(&s);
}

int saver_read_log(struct image_saver *s, bool final)
{
    uint64_t pages = s->nr_pfns, bytes = (pages + 63) / 64 * 8;
    uint8_t *bitmap = xen_buf(s->h->xen, bytes);
    int rc = shadow_op(s, XEN_DOMCTL_SHADOW_OP_CLEAN, final ? XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL : 0,
                       bitmap, &pages);

    for (uint64_t pfn = 0; rc >= 0 && pfn < s->nr_pfns; pfn++) {
        /* A page without a frame: if it gets one, the table of frames tells. Beyond what the
         * hypervisor looked at it says nothing. */
        if (s->mfn_of[pfn] && (pfn >= pages || saver_has((const uint64_t *)bitmap, pfn)))
            saver_add(s->todo, pfn);
    }
    xen_buf_free(s->h->xen, bitmap);
    return rc < 0 ? xen_error(s->e, rc, "asking what the guest wrote") : 0;
}

static uint64_t count(const struct image_saver *s, const uint64_t *set)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < (s->nr_pfns + 63) / 64; i++)
        n += (uint64_t)__builtin_popcountll(set[i]);
    return n;
}

/* What is to be sent again, and what waits, is what is left. */
static int end_round(struct image_saver *s, struct image_round *r, uint64_t bytes, int64_t ms)
{
    if (saver_read_log(s, false) != 0 || saver_read_frames(s) != 0)
        return -1;
    r->dirty = count(s, s->todo);
    r->left = r->dirty + count(s, s->later);
    r->bytes_per_s = bytes * 1000 / (uint64_t)MAX(ms, 1);
    r->rest_ms = (int64_t)(r->left * STREAM_PAGE * 1000 / MAX(r->bytes_per_s, 1));
    return 0;
}

static int too_late(struct image_saver *s, const struct image_goal *g, const struct image_round *r)
{
    return error_set(s->e, ETIMEDOUT,
                     "Give it a longer --downtime, or no --time-limit: then it is suspended "
                     "nonetheless.",
                     "%u rounds did not bring it so far that the rest takes %lld ms: it would "
                     "still be %lld ms",
                     r->nr, (long long)g->rest_ms, (long long)r->rest_ms);
}

static int rounds(struct image_saver *s, const struct image_goal *g)
{
    struct image_round r = { 0 };
    unsigned int stalls = 0;
    uint64_t first = s->o->bytes;
    int64_t start = now_ms();
    int rc;

    do {
        r.nr++;
        r.sent = count(s, s->todo);
        memset(s->later, 0, (s->nr_pfns + 63) / 64 * 8);
        rc = saver_put_pages(s);
        rc = rc ? rc : end_round(s, &r, s->o->bytes - first, now_ms() - start);
        if (rc)
            return rc;
        if (g->tell)
            g->tell(g->arg, &r);
        if (r.rest_ms <= g->rest_ms)
            return 0;
        stalls = r.dirty * 4 > r.sent * 3 ? stalls + 1 : 0;
        if (g->limit_ms && now_ms() - start >= g->limit_ms)
            return too_late(s, g, &r);
    } while (g->limit_ms || (r.nr < MAX_ROUNDS && stalls < MAX_STALLS));
    return 0;
}

int image_save_rounds(struct image_saver *s, const struct image_goal *g)
{
    int rc;

    if (begin_log(s) != 0)
        return 1;
    s->running = true;
    rc = saver_read_frames(s);
    rc = rc ? rc : saver_put_table(s);
    rc = rc ? rc : rounds(s, g);
    s->running = false;
    return rc;
}
