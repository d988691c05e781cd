/* SPDX-License-Identifier: MIT */
/* Reads a stream into a new PV domain; see image_load.h. */
#define _GNU_SOURCE
#include "tools/builder/child.h"
#include "tools/cli/host.h"
#include "tools/cli/image_load.h"
#include "tools/cli/undo.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct outcome {
    int rc;
    struct error error;
    struct image_result result;
};

uint64_t loading_data_mfn(const struct loading *l, uint64_t pfn)
{
    if (pfn >= l->nr_pfns || !l->mfn_of[pfn] || l->type_of[pfn])
        return IMAGE_NONE;
    return l->mfn_of[pfn] - 1;
}

int loading_refused(struct loading *l)
{
    return error_set(l->e, EPROTO, NULL, "%s", l->s->why);
}

static int keep_late(struct loading *l, const struct stream_record *r)
{
    struct late_record head = { r->type, r->length };
    int rc = write_all(l->late, &head, sizeof(head));

    rc = rc ? rc : write_all(l->late, r->body, (r->length + 7) & ~7u);
    if (r->type == STREAM_PV_VCPU_BASIC && *(const uint32_t *)r->body == 0)
        l->start_info = ((const struct vcpu_guest_context *)(r->body + 8))->user_regs.rdx;
    return rc ? error_sys(l->e, -rc, NULL, "keeping the state of vCPUs") : 0;
}

/* --- the static part --- */

static int keep_p2m(struct loading *l, const struct stream_record *r)
{
    l->nr_pfns = (uint64_t)((const uint32_t *)r->body)[1] + 1;
    if (l->nr_pfns > STREAM_MAX_PFNS(l->req->max_kib >> 2)) /* each costs memory here */
        return error_set(l->e, EPROTO, NULL, "a table of %llu pages for a guest of %llu MiB",
                         (unsigned long long)l->nr_pfns,
                         (unsigned long long)(l->req->max_kib >> 10));
    l->nr_p2m = (r->length - 8) / 8;
    l->p2m_pfn = mem_alloc(l->nr_p2m * sizeof(*l->p2m_pfn));
    memcpy(l->p2m_pfn, r->body + 8, l->nr_p2m * sizeof(*l->p2m_pfn));
    return 0;
}

static void keep(struct stream_record *to, const struct stream_record *r)
{
    uint8_t *body = mem_alloc(r->length);

    memcpy(body, r->body, r->length);
    *to = *r;
    to->body = body;
}

/* Up to the guest's table of frames, before which no page comes. */
static int read_static(struct loading *l)
{
    struct stream_record r = { 0 }, cpuid = { 0 }, msr = { 0 };
    int rc = 0;

    while (rc == 0 && !l->nr_pfns) {
        if (!stream_next(l->s, &r)) {
            rc = loading_refused(l);
            break;
        }
        switch (r.type) {
        case STREAM_CPUID_POLICY:
            keep(&cpuid, &r);
            break;
        case STREAM_MSR_POLICY:
            keep(&msr, &r);
            break;
        case STREAM_STATIC_END:
            rc = set_policy(l, cpuid.body ? &cpuid : NULL, msr.body ? &msr : NULL);
            if (rc == 0 && l->req->before_pages && l->req->before_pages(l->req->arg) != 0)
                rc = error_set(l->e, EPIPE, NULL, "the sender does not hear that it may send");
            break;
        case STREAM_PV_P2M_FRAMES:
            rc = keep_p2m(l, &r);
            break;
        case STREAM_TSC_INFO:
        case STREAM_SHARED_INFO:
            rc = keep_late(l, &r);
            break;
        default: /* PV_INFO says what the reader has checked */
            break;
        }
    }
    free((void *)cpuid.body);
    free((void *)msr.body);
    return rc;
}

/* --- the child's part --- */

static int read_pages(struct loading *l)
{
    struct stream_record r;

    for (;;) {
        int rc = 0;

        if (!stream_next(l->s, &r))
            return loading_refused(l);
        if (r.type == STREAM_END)
            return 0;
        if (r.type == STREAM_PAGE_DATA)
            rc = fill_pages(l, &r);
        else if (r.type == STREAM_VERIFY)
            l->verify = true;
        else
            rc = keep_late(l, &r);
        if (rc)
            return rc;
    }
}

static void load_in_child(void *arg)
{
    struct loading *l = arg;

    l->e = &l->outcome->error;
    l->x = xen_open(l->e);
    l->outcome->rc = !l->x || read_pages(l) != 0 || fill_finish(l, &l->outcome->result) != 0;
}

static int run_child(struct loading *l, struct error *e)
{
    int rc;

    l->mfn_of = child_share(l->nr_pfns * sizeof(*l->mfn_of));
    l->type_of = child_share(l->nr_pfns);
    if (!l->mfn_of || !l->type_of)
        return error_set(e, ENOMEM, "Give Domain 0 more memory.",
                         "no memory for the guest's table of frames");
    rc = child_run_until(load_in_child, l, interrupted, "read the guest's memory", e);
    l->e = e;
    if (rc)
        return interrupt_check(e) ? -1 : rc;
    if (l->outcome->rc)
        *e = l->outcome->error;
    return l->outcome->rc ? -1 : 0;
}

int image_load(struct host *h, const struct image_request *req, struct stream *s,
               struct image_result *result, struct error *e)
{
    struct loading l = { .x = h->xen, .req = req, .s = s, .e = e, .start_info = IMAGE_NONE };
    int rc;

    l.outcome = child_share(sizeof(*l.outcome));
    l.late = memfd_create("orlop-restore", MFD_CLOEXEC);
    if (!l.outcome || l.late < 0)
        rc = error_sys(e, errno, NULL, "preparing to read the guest");
    else
        rc = read_static(&l);
    rc = rc ? rc : run_child(&l, e);
    l.x = h->xen;
    if (rc == 0)
        *result = l.outcome->result;
    rc = rc ? rc : set_rest(&l, result, h);
    if (l.mfn_of)
        munmap(l.mfn_of, l.nr_pfns * sizeof(*l.mfn_of));
    if (l.type_of)
        munmap(l.type_of, l.nr_pfns);
    if (l.outcome)
        munmap(l.outcome, sizeof(*l.outcome));
    if (l.late >= 0)
        close(l.late);
    free(l.p2m_pfn);
    return rc;
}
