/* SPDX-License-Identifier: MIT */
/* A PV guest's table of frames, as saving reads it; see image_saver.h. */
#define _GNU_SOURCE
#include "tools/builder/child.h"
#include "tools/cli/image_saver.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static uint64_t words(uint64_t bits)
{
    return (bits + 63) / 64;
}

uint64_t saver_pfn_of(const struct image_saver *s, uint64_t mfn)
{
    return mfn <= s->max_mfn && s->pfn_of[mfn] ? s->pfn_of[mfn] - 1 : P2M_NONE;
}

/* Big and mostly empty: pages that are never touched cost nothing. */
static void *sparse(uint64_t n, size_t size)
{
    void *p = mmap(NULL, n * size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static void sparse_free(void *p, uint64_t n, size_t size)
{
    if (p)
        munmap(p, n * size);
}

static int no_memory(struct image_saver *s)
{
    return error_set(s->e, ENOMEM, "Give Domain 0 more memory.",
                     "no memory for the guest's table of frames");
}

/* Once; the guest's size stays what it is then. Each number costs memory here and there. */
static int prepare(struct image_saver *s, uint64_t max_pages)
{
    long max;

    if (s->p2m.max_pfn > STREAM_MAX_PFNS(max_pages))
        return error_set(s->e, EINVAL, NULL, "a table of %llu pages for a guest of %llu MiB",
                         (unsigned long long)s->p2m.max_pfn, (unsigned long long)max_pages >> 8);
    if (s->nr_pfns && s->p2m.max_pfn != s->nr_pfns)
        return error_set(s->e, EAGAIN, "Try again.",
                         "the guest's table of frames grew while it was sent");
    if (s->nr_pfns)
        return 0;
    max = xen_memory_op(s->h->xen, XENMEM_maximum_ram_page, NULL, 0);
    if (max < 0)
        return xen_error(s->e, (int)max, "asking for the machine's last frame");
    s->max_mfn = (uint64_t)max;
    s->nr_pfns = s->p2m.max_pfn;
    s->type_of = child_share(s->nr_pfns * sizeof(*s->type_of));
    s->todo = child_share(words(s->nr_pfns) * sizeof(*s->todo));
    s->later = child_share(words(s->nr_pfns) * sizeof(*s->later));
    return s->type_of && s->todo && s->later ? 0 : no_memory(s);
}

static void all_tables_again(struct image_saver *s)
{
    for (uint64_t pfn = 0; pfn < s->nr_pfns; pfn++)
        if (s->type_of[pfn])
            saver_add(s->todo, pfn);
}

/* A page table that was sent may name a frame by the number that it had then. */
static void compare(struct image_saver *s, const uint64_t *was_mfn, const uint32_t *was_pfn)
{
    bool renamed = false;

    for (uint64_t pfn = 0; pfn < s->nr_pfns; pfn++) {
        uint64_t mfn = s->mfn_of[pfn];

        if (mfn == (was_mfn ? was_mfn[pfn] : 0))
            continue;
        saver_add(s->todo, pfn);
        renamed |= mfn && was_pfn && was_pfn[mfn - 1];
    }
    if (renamed)
        all_tables_again(s);
}

static int open_table(struct image_saver *s)
{
    struct xen_domctl_getdomaininfo info;
    int rc = xen_dominfo(s->h->xen, s->domid, &info);

    if (rc < 0)
        return xen_error(s->e, rc, "domain %u", s->domid);
    if (s->reading)
        p2m_close(&s->p2m);
    s->reading = p2m_open(&s->p2m, s->h, s->domid, info.shared_info_frame, s->e) == 0;
    return s->reading ? prepare(s, info.max_pages) : -1;
}

int saver_read_frames(struct image_saver *s)
{
    uint64_t *was_mfn = s->mfn_of, entry[P2M_PER_PAGE];
    uint32_t *was_pfn = s->pfn_of;

    if (open_table(s) != 0)
        return -1;
    s->mfn_of = sparse(s->nr_pfns, sizeof(*s->mfn_of));
    s->pfn_of = sparse(s->max_mfn + 1, sizeof(*s->pfn_of));
    for (uint64_t pfn = 0; s->mfn_of && s->pfn_of && pfn < s->nr_pfns; pfn++) {
        uint64_t mfn;

        if (pfn % P2M_PER_PAGE == 0)
            p2m_read(&s->p2m, pfn / P2M_PER_PAGE, entry);
        mfn = entry[pfn % P2M_PER_PAGE];
        if (mfn > s->max_mfn || s->pfn_of[mfn])
            continue;
        s->pfn_of[mfn] = (uint32_t)pfn + 1;
        s->mfn_of[pfn] = mfn + 1;
    }
    if (s->mfn_of && s->pfn_of)
        compare(s, was_mfn, was_pfn);
    sparse_free(was_mfn, s->nr_pfns, sizeof(*was_mfn));
    sparse_free(was_pfn, s->max_mfn + 1, sizeof(*was_pfn));
    return s->mfn_of && s->pfn_of ? 0 : no_memory(s);
}

static int read_table(struct image_saver *s, uint64_t *table, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t mfn = p2m_table(&s->p2m, i);

        table[i] = saver_pfn_of(s, mfn);
        if (table[i] == P2M_NONE)
            return saver_not_its_frame(s, "the guest's table of frames", mfn);
    }
    return 0;
}

int saver_put_table(struct image_saver *s)
{
    uint64_t n = (s->nr_pfns + P2M_PER_PAGE - 1) / P2M_PER_PAGE;
    uint64_t *table = mem_alloc(n * sizeof(*table));
    uint32_t range[2] = { 0, (uint32_t)s->nr_pfns - 1 };
    struct iovec v[3] = { { 0 }, { range, sizeof(range) }, { table, n * sizeof(*table) } };
    int rc = read_table(s, table, n);

    if (rc == 0 && s->table && memcmp(s->table, table, n * sizeof(*table)) != 0)
        rc = error_set(s->e, EAGAIN, "Try again.",
                       "the guest's table of frames moved while it was sent");
    if (rc == 0 && !s->table) {
        s->table = table;
        return stream_out_pieces(s->o, STREAM_PV_P2M_FRAMES, v, 3) ? 0 : saver_write_failed(s);
    }
    free(table);
    return rc;
}

void saver_free_frames(struct image_saver *s)
{
    sparse_free(s->mfn_of, s->nr_pfns, sizeof(*s->mfn_of));
    sparse_free(s->pfn_of, s->max_mfn + 1, sizeof(*s->pfn_of));
    child_unshare(s->type_of, s->nr_pfns * sizeof(*s->type_of));
    child_unshare(s->todo, words(s->nr_pfns) * sizeof(*s->todo));
    child_unshare(s->later, words(s->nr_pfns) * sizeof(*s->later));
    free(s->table);
    if (s->reading)
        p2m_close(&s->p2m);
}
