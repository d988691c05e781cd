/* SPDX-License-Identifier: MIT */
/*
 * Fills the memory of a domain that is restored. Pages are written as they come, page tables too:
 * these still have the guest's own numbers then, as mere data. When all is there, the machine's
 * numbers are put in: a page may come several times (a guest that ran while it was sent), and what
 * it is then is what counts.
 */
#include "lib/macros.h"
#include "tools/cli/image_load.h"
#include "tools/cli/page_table.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define P2M_FOREIGN 62 /* the two top bits: not a frame of memory */

/* Pages of the guest's, by their machine frames; stay mapped until the process ends. */
static void *map(struct loading *l, const xen_pfn_t *mfn, unsigned int n, const char *what)
{
    xenforeignmemory_handle *fmem = xen_fmem(l->x, l->e);
    void *p = fmem ? xenforeignmemory_map(fmem, l->req->domid, PROT_READ | PROT_WRITE, n, mfn, NULL)
                   : NULL;

    if (fmem && !p)
        error_sys(l->e, errno, "Domain 0 may be short of memory: give it more.", "mapping %s",
                  what);
    return p;
}

/* --- pages as they come --- */

/* Gives the domain the pages of `pfn`, which it has not got yet. */
static int populate(struct loading *l, const xen_pfn_t *pfn, unsigned int n)
{
    struct xen_memory_reservation r = { .nr_extents = n, .domid = l->req->domid };
    xen_pfn_t *list;
    long done;

    if (!n)
        return 0;
    list = xen_buf(l->x, n * sizeof(*list));
    memcpy(list, pfn, n * sizeof(*list));
    set_xen_guest_handle(r.extent_start, list);
    done = xen_memory_op(l->x, XENMEM_populate_physmap, &r, sizeof(r));
    for (long i = 0; i < done; i++)
        l->mfn_of[pfn[i]] = list[i] + 1;
    l->populated += done > 0 ? (uint64_t)done : 0;
    xen_buf_free(l->x, list);
    if (done == (long)n)
        return 0;
    return error_set(l->e, ENOMEM,
                     "It has more memory than its configuration says, or the machine too little: "
                     "`orlop info` and `orlop dmesg` tell.",
                     "the hypervisor gave %llu MiB, and the guest needs more",
                     (unsigned long long)(l->populated >> 8));
}

static uint64_t entry_of(const struct stream_record *r, unsigned int i)
{
    return ((const uint64_t *)r->body)[1 + i];
}

/* What there is no page for yet. A page that is named twice is made once. */
static int make_pages(struct loading *l, const struct stream_record *r, unsigned int n)
{
    xen_pfn_t *missing = mem_alloc(n * sizeof(*missing));
    unsigned int count = 0;
    int rc;

    for (unsigned int i = 0; i < n; i++) {
        uint64_t pfn = STREAM_PFN(entry_of(r, i));
        unsigned int type = STREAM_PAGE_TYPE(entry_of(r, i));

        if (type != TYPE_XTAB && !l->mfn_of[pfn]) {
            l->mfn_of[pfn] = IMAGE_NONE; /* in this list */
            missing[count++] = pfn;
        }
        l->type_of[pfn] = (uint8_t)type;
    }
    rc = populate(l, missing, count);
    free(missing);
    return rc;
}

/* Some pages went bad in the saver's machine: there is nothing to restore them from. */
static int refuse_broken(struct loading *l, const struct stream_record *r, unsigned int n)
{
    for (unsigned int i = 0; i < n; i++) {
        if (STREAM_PAGE_TYPE(entry_of(r, i)) == TYPE_BROKEN)
            return error_set(l->e, EIO, NULL, "the guest's page %#llx was lost where it was saved",
                             (unsigned long long)STREAM_PFN(entry_of(r, i)));
    }
    return 0;
}

static int compare_pages(struct loading *l, const uint8_t *with, const uint64_t *pfn,
                         unsigned int n)
{
    uint8_t page[STREAM_PAGE];

    for (unsigned int i = 0; i < n; i++) {
        if (!stream_pages(l->s, page, sizeof(page)))
            return loading_refused(l);
        if (memcmp(with + (size_t)i * STREAM_PAGE, page, STREAM_PAGE) != 0)
            fprintf(stderr, "orlop: page %#llx differs from what was sent before\n",
                    (unsigned long long)pfn[i]);
    }
    return 0;
}

static int store_pages(struct loading *l, const struct stream_record *r, unsigned int n)
{
    xen_pfn_t *mfn = mem_alloc(n * sizeof(*mfn));
    uint64_t *pfn = mem_alloc(n * sizeof(*pfn));
    unsigned int count = 0;
    uint8_t *to = NULL;
    int rc = 0;

    for (unsigned int i = 0; i < n; i++) {
        if (STREAM_PAGE_TYPE(entry_of(r, i)) >= TYPE_BROKEN)
            continue;
        pfn[count] = STREAM_PFN(entry_of(r, i));
        mfn[count] = l->mfn_of[pfn[count]] - 1;
        count++;
    }
    if (count) {
        to = map(l, mfn, count, "the guest's pages");
        rc = to ? 0 : -1;
    }
    if (to && l->verify)
        rc = compare_pages(l, to, pfn, count);
    else if (to && !stream_pages(l->s, to, (size_t)count * STREAM_PAGE))
        rc = loading_refused(l);
    free(mfn);
    free(pfn);
    return rc;
}

int fill_pages(struct loading *l, const struct stream_record *r)
{
    unsigned int n = *(const uint32_t *)r->body;

    if (refuse_broken(l, r, n) != 0 || make_pages(l, r, n) != 0 || store_pages(l, r, n) != 0)
        return -1;
    progress("reading its memory", MIN(l->populated, l->nr_pfns - 1), l->nr_pfns);
    return 0;
}

/* --- the machine's numbers --- */

/* False: no page with the guest's number came. */
static bool to_machines_number(const void *loading, uint64_t *frame)
{
    const struct loading *l = loading;

    if (*frame >= l->nr_pfns || !l->mfn_of[*frame])
        return false;
    *frame = l->mfn_of[*frame] - 1;
    return true;
}

static int rewrite_table(struct loading *l, uint64_t pfn, uint64_t *table)
{
    unsigned int end = table_translate(table, table, l->type_of[pfn] & 7, to_machines_number, l);

    if (end == PTES)
        return 0;
    return error_set(l->e, EPROTO, NULL,
                     "page table %#llx names page %#llx, which is not in the stream",
                     (unsigned long long)pfn, (unsigned long long)pte_frame(table[end]));
}

static int rewrite_batch(struct loading *l, const uint64_t *pfn, unsigned int n)
{
    xen_pfn_t mfn[STREAM_BATCH] = { 0 };
    uint64_t *table;
    int rc = 0;

    if (!n)
        return 0;
    for (unsigned int i = 0; i < n; i++)
        mfn[i] = l->mfn_of[pfn[i]] - 1;
    table = map(l, mfn, n, "the guest's page tables");
    for (unsigned int i = 0; table && rc == 0 && i < n; i++)
        rc = rewrite_table(l, pfn[i], table + (size_t)i * PTES);
    return table ? rc : -1;
}

static int rewrite_tables(struct loading *l)
{
    uint64_t list[STREAM_BATCH];
    unsigned int n = 0;
    int rc = 0;

    for (uint64_t pfn = 0; rc == 0 && pfn < l->nr_pfns; pfn++) {
        if (!l->mfn_of[pfn] || l->type_of[pfn] >= TYPE_BROKEN || !(l->type_of[pfn] & 7))
            continue;
        list[n++] = pfn;
        if (n < STREAM_BATCH)
            continue;
        rc = rewrite_batch(l, list, n);
        n = 0;
    }
    return rc ? rc : rewrite_batch(l, list, n);
}

/* What the guest had there that is no frame of memory stays. */
static void rewrite_p2m_page(const struct loading *l, uint64_t first, uint64_t *page)
{
    for (unsigned int i = 0; i < PTES && first + i < l->nr_pfns; i++) {
        if (l->mfn_of[first + i])
            page[i] = l->mfn_of[first + i] - 1;
        else if (!(page[i] >> P2M_FOREIGN))
            page[i] = ~0ull;
    }
}

static int rewrite_p2m(struct loading *l)
{
    for (uint64_t at = 0; at < l->nr_p2m; at += STREAM_BATCH) {
        unsigned int n = MIN(l->nr_p2m - at, STREAM_BATCH);
        xen_pfn_t mfn[STREAM_BATCH];
        uint64_t *page;

        for (unsigned int i = 0; i < n; i++) {
            mfn[i] = loading_data_mfn(l, l->p2m_pfn[at + i]);
            if (mfn[i] == IMAGE_NONE)
                return error_set(l->e, EPROTO, NULL,
                                 "page %#llx of the guest's table of frames is no page of data",
                                 (unsigned long long)l->p2m_pfn[at + i]);
        }
        page = map(l, mfn, n, "the guest's table of frames");
        for (unsigned int i = 0; page && i < n; i++)
            rewrite_p2m_page(l, (at + i) * PTES, page + (size_t)i * PTES);
        if (!page)
            return -1;
    }
    return 0;
}

/* Tells the guest what is new; it has put its own numbers of the two rings there. */
static int rewrite_start_info(struct loading *l, struct image_result *result)
{
    xen_pfn_t mfn = loading_data_mfn(l, l->start_info);
    struct xen_domctl_getdomaininfo info;
    struct start_info *si;
    int rc = xen_dominfo(l->x, l->req->domid, &info);

    if (rc < 0)
        return xen_error(l->e, rc, "domain %u", l->req->domid);
    if (mfn == IMAGE_NONE)
        return error_set(l->e, EPROTO, NULL, "vCPU 0 names no page with start information");
    si = map(l, &mfn, 1, "the guest's start information");
    if (!si)
        return -1;
    result->store_mfn = loading_data_mfn(l, si->store_mfn);
    result->console_mfn = loading_data_mfn(l, si->console.domU.mfn);
    if (result->store_mfn == IMAGE_NONE || result->console_mfn == IMAGE_NONE)
        return error_set(l->e, EPROTO, NULL,
                         "the start information names no pages for xenstore and console");
    si->nr_pages = l->populated;
    si->shared_info = info.shared_info_frame << 12;
    si->flags = 0;
    si->store_mfn = result->store_mfn;
    si->store_evtchn = l->req->store_port;
    si->console.domU.mfn = result->console_mfn;
    si->console.domU.evtchn = l->req->console_port;
    return 0;
}

/* Pages that the guest gave away after they were sent. */
static int drop_pages(struct loading *l)
{
    xen_pfn_t *frame = xen_buf(l->x, sizeof(*frame));
    int rc = 0;

    for (uint64_t pfn = 0; rc == 0 && pfn < l->nr_pfns; pfn++) {
        struct xen_memory_reservation r = { .nr_extents = 1, .domid = l->req->domid };

        if (l->type_of[pfn] != TYPE_XTAB || !l->mfn_of[pfn])
            continue;
        *frame = l->mfn_of[pfn] - 1;
        set_xen_guest_handle(r.extent_start, frame);
        if (xen_memory_op(l->x, XENMEM_decrease_reservation, &r, sizeof(r)) != 1)
            rc = error_set(l->e, EIO, NULL, "page %#llx cannot be given back",
                           (unsigned long long)pfn);
        l->mfn_of[pfn] = 0;
        l->populated--;
    }
    xen_buf_free(l->x, frame);
    return rc;
}

int fill_finish(struct loading *l, struct image_result *result)
{
    for (uint64_t pfn = 0; pfn < l->nr_pfns; pfn++)
        if (l->type_of[pfn] == TYPE_XALLOC)
            l->type_of[pfn] = 0;
    progress("reading its memory", l->nr_pfns, l->nr_pfns);
    if (drop_pages(l) != 0 || rewrite_tables(l) != 0 || rewrite_p2m(l) != 0)
        return -1;
    return rewrite_start_info(l, result);
}
