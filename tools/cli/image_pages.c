/* SPDX-License-Identifier: MIT */
/* A PV guest's pages into a stream, as its set says; see image_saver.h. */
#include "lib/macros.h"
#include "tools/builder/child.h"
#include "tools/cli/image_saver.h"
#include "tools/cli/page_table.h"
#include "tools/cli/undo.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TYPE_SHIFT 28
#define FEW 4096u          /* pages: a child for them would cost more than it saves */
#define PORTION (1u << 18) /* pages that a child maps: their tables take Domain 0's memory */

#define HOLE_MIN (4 * STREAM_PAGE) /* a shorter one would cost more calls than it saves pages */

/* What a child does of a set, shared with it. */
struct portion {
    struct image_saver *s;
    bool child;           /* what it maps goes with its process */
    uint64_t total, done; /* pages of the whole set */
    uint64_t bytes;       /* that the stream has afterwards */
    int rc, err;
    struct error error;
};

struct batch {
    unsigned int n;
    xen_pfn_t mfn[STREAM_BATCH];
    uint64_t entry[STREAM_BATCH]; /* pfn and type, as the record has them */
    uint8_t *pages;               /* mapped */
    bool keep;                    /* mapped as long as the process lives */
    unsigned int nr_gone;
    uint64_t gone[STREAM_BATCH]; /* entries of pages that the guest has given away */
    xen_pfn_t *types;            /* for the hypervisor: frames, then their types */
    uint64_t *tables;            /* page tables, rewritten */
    int *bad;                    /* pages that could not be mapped */
};

/* A page that does not fit just now: of a guest that runs it comes later. */
static bool put_off(struct image_saver *s, uint64_t pfn)
{
    if (s->running)
        saver_add(s->later, pfn);
    return s->running;
}

/* A page that would be left out might be named by a table: nobody could restore that. */
static int ask_types(struct image_saver *s, struct batch *b)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getpageframeinfo3, .domain = s->domid };
    unsigned int kept = 0;
    int rc;

    memcpy(b->types, b->mfn, b->n * sizeof(*b->types));
    op.u.getpageframeinfo3.num = b->n;
    set_xen_guest_handle(op.u.getpageframeinfo3.array, b->types);
    rc = xen_domctl(s->h->xen, &op);
    if (rc < 0)
        return xen_error(s->e, rc, "asking for the types of the guest's pages");
    for (unsigned int i = 0; i < b->n; i++) {
        unsigned int type = b->types[i] >> TYPE_SHIFT & 15;

        if (type >= TYPE_BROKEN && put_off(s, b->entry[i]))
            continue;
        if (type >= TYPE_BROKEN)
            return error_set(s->e, EINVAL, NULL,
                             "its table of frames names the machine's frame %#llx, which is not "
                             "the guest's, or lost",
                             (unsigned long long)b->mfn[i]);
        b->mfn[kept] = b->mfn[i];
        b->entry[kept++] = b->entry[i] | (uint64_t)type << 60;
    }
    b->n = kept;
    return 0;
}

static int map_pages(struct image_saver *s, struct batch *b)
{
    b->pages = xenforeignmemory_map(xen_fmem(s->h->xen, NULL), s->domid, PROT_READ, b->n, b->mfn,
                                    b->bad);
    if (!b->pages)
        return error_sys(s->e, errno, "Domain 0 may be short of memory: give it more.",
                         "mapping %u of the guest's pages", b->n);
    for (unsigned int i = 0; !s->running && i < b->n; i++) {
        if (b->bad[i])
            return error_sys(s->e, -b->bad[i], NULL, "mapping the guest's page %#llx",
                             (unsigned long long)STREAM_PFN(b->entry[i]));
    }
    return 0;
}

static bool to_guests_number(const void *saver, uint64_t *frame)
{
    *frame = saver_pfn_of(saver, *frame);
    return *frame != P2M_NONE;
}

/* Where what is sent of a mapped page lies: a table with the guest's own numbers. NULL: put off. */
static uint8_t *content(struct image_saver *s, struct batch *b, unsigned int i, int *rc)
{
    unsigned int level = STREAM_PAGE_TYPE(b->entry[i]) & 7, end;
    const uint64_t *page = (const uint64_t *)(b->pages + (size_t)i * STREAM_PAGE);
    uint64_t *to = b->tables + (size_t)PTES * i;

    if (b->bad[i]) {
        put_off(s, STREAM_PFN(b->entry[i]));
        return NULL;
    }
    if (!level)
        return (uint8_t *)page;
    end = table_translate(page, to, level, to_guests_number, s);
    if (end == PTES)
        return (uint8_t *)to;
    if (!put_off(s, STREAM_PFN(b->entry[i])))
        *rc = saver_not_its_frame(s, "a page table of the guest's", pte_frame(page[end]));
    return NULL;
}

/* By registers of 16 bytes: most pages of an idle guest are looked at to their end. */
static bool is_zero(const uint8_t *page)
{
    typedef uint64_t pair __attribute__((vector_size(16), may_alias));
    const pair *p = (const pair *)page;

    for (unsigned int i = 0; i < STREAM_PAGE / sizeof(pair); i += 16) {
        pair any = { 0 };

#pragma GCC unroll 16
        for (unsigned int j = 0; j < 16; j++)
            any |= p[i + j];
        if (any[0] | any[1])
            return false;
    }
    return true;
}

/* Another page of the record; without a base it is zeros. */
static unsigned int add_piece(struct iovec *v, unsigned int n, uint8_t *page)
{
    struct iovec *last = &v[n - 1];
    uint8_t *next = last->iov_base ? (uint8_t *)last->iov_base + last->iov_len : NULL;

    if (n > 3 && next == page)
        last->iov_len += STREAM_PAGE;
    else
        v[n++] = (struct iovec){ page, STREAM_PAGE };
    return n;
}

/* The record: pages as they lie there, but tables as they were rewritten. */
static int write_batch(struct image_saver *s, struct batch *b)
{
    static uint8_t zeros[HOLE_MIN];
    struct iovec v[3 + STREAM_BATCH];
    uint32_t head[2] = { 0 };
    unsigned int n = 3;
    int rc = 0;

    for (unsigned int i = 0; i < b->n; i++) {
        uint8_t *page = content(s, b, i, &rc);

        if (rc)
            return rc;
        if (!page)
            continue;
        b->entry[head[0]++] = b->entry[i];
        s->type_of[STREAM_PFN(b->entry[i])] = (uint8_t)STREAM_PAGE_TYPE(b->entry[i]);
        n = add_piece(v, n, s->o->holes && is_zero(page) ? NULL : page);
    }
    if (!head[0])
        return 0;
    for (unsigned int i = 3; i < n; i++)
        if (!v[i].iov_base && v[i].iov_len < HOLE_MIN)
            v[i].iov_base = zeros;
    v[1] = (struct iovec){ head, sizeof(head) };
    v[2] = (struct iovec){ b->entry, head[0] * sizeof(b->entry[0]) };
    return stream_out_pieces(s->o, STREAM_PAGE_DATA, v, n) ? 0 : saver_write_failed(s);
}

static int put_batch(struct image_saver *s, struct batch *b)
{
    int rc = ask_types(s, b);

    if (rc == 0 && b->n) {
        rc = map_pages(s, b);
        rc = rc ? rc : write_batch(s, b);
        if (b->pages && !b->keep)
            xenforeignmemory_unmap(xen_fmem(s->h->xen, NULL), b->pages, b->n);
    }
    b->n = 0;
    b->pages = NULL;
    return rc;
}

/* Who has got these pages takes them away again. */
static int put_gone(struct image_saver *s, struct batch *b)
{
    uint32_t head[2] = { b->nr_gone, 0 };
    struct iovec v[3] = { { 0 },
                          { head, sizeof(head) },
                          { b->gone, b->nr_gone * sizeof(b->gone[0]) } };

    b->nr_gone = 0;
    return stream_out_pieces(s->o, STREAM_PAGE_DATA, v, 3) ? 0 : saver_write_failed(s);
}

static int put_page(struct image_saver *s, struct batch *b, uint64_t pfn)
{
    if (s->mfn_of[pfn]) {
        b->mfn[b->n] = s->mfn_of[pfn] - 1;
        b->entry[b->n++] = pfn;
        return b->n == STREAM_BATCH ? put_batch(s, b) : 0;
    }
    s->type_of[pfn] = 0;
    b->gone[b->nr_gone++] = pfn | (uint64_t)TYPE_XTAB << 60;
    return b->nr_gone == STREAM_BATCH ? put_gone(s, b) : 0;
}

/* Of the set's pages at most PORTION. */
static int put_portion(struct image_saver *s, struct batch *b, struct portion *p)
{
    const char *what = s->running ? "sending its memory" : "saving its memory";
    uint64_t end = p->done + PORTION;
    int rc = 0;

    for (uint64_t pfn = 0; rc == 0 && pfn < s->nr_pfns && p->done < end; pfn++) {
        if (!s->todo[pfn / 64]) {
            pfn |= 63;
            continue;
        }
        if (!saver_has(s->todo, pfn))
            continue;
        saver_remove(s->todo, pfn);
        rc = put_page(s, b, pfn);
        if (++p->done % STREAM_BATCH)
            continue;
        progress(what, p->done - 1, p->total);
        rc = rc ? rc : interrupt_check(s->e);
    }
    if (rc == 0 && b->n)
        rc = put_batch(s, b);
    if (rc == 0 && b->nr_gone)
        rc = put_gone(s, b);
    if (rc == 0 && p->done == p->total)
        progress(what, p->total, p->total);
    return rc;
}

static int put_here(struct image_saver *s, struct portion *p)
{
    struct batch *b = mem_alloc(sizeof(*b));
    int rc;

    b->keep = p->child;
    b->types = xen_buf(s->h->xen, STREAM_BATCH * sizeof(*b->types));
    b->tables = mem_alloc((size_t)STREAM_BATCH * STREAM_PAGE);
    b->bad = mem_alloc(STREAM_BATCH * sizeof(*b->bad));
    rc = put_portion(s, b, p);
    xen_buf_free(s->h->xen, b->types);
    free(b->tables);
    free(b->bad);
    free(b);
    return rc;
}

static void put_in_child(void *arg)
{
    struct portion *p = arg;

    signal(SIGPIPE, SIG_IGN); /* the write says it */
    p->s->e = &p->error;
    p->rc = put_here(p->s, p);
    p->bytes = p->s->o->bytes;
    p->err = p->s->o->err;
}

static int run_child(struct image_saver *s, struct portion *p)
{
    int rc = child_run_until(put_in_child, p, interrupted, "send the guest's memory", s->e);

    if (rc)
        return interrupt_check(s->e) ? -1 : rc;
    s->o->bytes = p->bytes;
    s->o->err = p->err;
    if (p->rc)
        *s->e = p->error;
    return p->rc;
}

int saver_put_pages(struct image_saver *s)
{
    struct portion *p = child_share(sizeof(*p));
    int rc = 0;

    if (!p)
        return error_sys(s->e, errno, "Give Domain 0 more memory.", "sending the guest's memory");
    p->s = s;
    for (uint64_t i = 0; i < s->nr_pfns; i += 64)
        p->total += (uint64_t)__builtin_popcountll(s->todo[i / 64]);
    while (rc == 0 && p->done < p->total) {
        p->child = p->total - p->done >= FEW;
        rc = p->child ? run_child(s, p) : put_here(s, p);
    }
    child_unshare(p, sizeof(*p));
    return rc;
}
