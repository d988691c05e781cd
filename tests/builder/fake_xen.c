/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fake_xen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/save.h>

#include "lib/macros.h"
#include "tools/lib/error.h"
#include "tools/lib/xen.h"

struct fake_xen *fake;
static int memory = -1;
static uint8_t *frames;

void fake_reset(void)
{
    if (!fake) {
        memory = memfd_create("fake-memory", 0);
        fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    }
    if (frames)
        munmap(frames, FAKE_FRAMES * 4096);
    if (ftruncate(memory, 0) || ftruncate(memory, FAKE_FRAMES * 4096))
        abort();
    frames = mmap(NULL, FAKE_FRAMES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    memset(fake, 0, sizeof(*fake));
    memset(fake->pfn_of, 0xff, sizeof(fake->pfn_of));
    memset(fake->mfn_of, 0xff, sizeof(fake->mfn_of));
    fake->limit = FAKE_FRAMES;
    fake->next_chunk = FAKE_FRAMES / 512 - 1; /* from the top, so that mfns run against pfns */
}

void *fake_frame(xen_pfn_t mfn)
{
    return frames + mfn * 4096;
}

/* True if this call is to fail. */
static bool failing(void)
{
    if (fake->shrink && truncate(fake->shrink, 0))
        abort();
    return ++fake->calls == fake->fail_at;
}

static void give(xen_pfn_t mfn, uint64_t pfn)
{
    fake->pfn_of[mfn] = (uint32_t)pfn;
    if (fake->hvm) {
        if (pfn >= FAKE_GFNS || fake->mfn_of[pfn] != FAKE_FREE)
            abort();
        fake->mfn_of[pfn] = (uint32_t)mfn;
    }
    fake->pages++;
    if (fake->dirty)
        memset(fake_frame(mfn), 0xc2, 4096);
}

static bool give_chunk(xen_pfn_t *at)
{
    uint32_t chunk = fake->next_chunk;
    uint64_t pfn = *at;

    if (fake->no_chunks || fake->pages + 512 > fake->limit || chunk <= 1 ||
        (fake->odd_chunks_fail && (pfn >> 9) % 2))
        return false;
    fake->next_chunk--;
    chunk--; /* the topmost has the shared info */
    for (unsigned int i = 0; i < 512; i++)
        give(chunk * 512ul + i, pfn + i);
    if (!fake->hvm)
        *at = chunk * 512ul;
    return true;
}

/* Single pages from the bottom half, in no order. */
static bool give_single(xen_pfn_t *at)
{
    while (fake->pages < fake->limit && fake->next_single < FAKE_FRAMES / 2) {
        xen_pfn_t mfn = (uint64_t)fake->next_single++ * 7919 % (FAKE_FRAMES / 2);

        if (fake->pfn_of[mfn] != FAKE_FREE)
            continue;
        give(mfn, *at);
        if (!fake->hvm)
            *at = mfn;
        return true;
    }
    return false;
}

static long populate(struct xen_memory_reservation *r)
{
    xen_pfn_t *list = r->extent_start.p;
    unsigned long n;

    if (r->domid != FAKE_DOMID || r->mem_flags || (r->extent_order != 0 && r->extent_order != 9) ||
        (fake->hvm && !fake->pool))
        return -EINVAL;
    for (n = 0; n < r->nr_extents; n++)
        if (!(r->extent_order ? give_chunk(&list[n]) : give_single(&list[n])))
            break;
    return (long)n;
}

static long decrease(const struct xen_memory_reservation *r)
{
    const xen_pfn_t *list = r->extent_start.p;

    if (r->domid != FAKE_DOMID || r->mem_flags || r->extent_order || !fake->hvm)
        return -EINVAL;
    for (unsigned long n = 0; n < r->nr_extents; n++) {
        if (list[n] >= FAKE_GFNS || fake->mfn_of[list[n]] == FAKE_FREE)
            return (long)n;
        fake->pfn_of[fake->mfn_of[list[n]]] = FAKE_FREE;
        fake->mfn_of[list[n]] = FAKE_FREE;
        fake->pages--;
    }
    return (long)r->nr_extents;
}

static long set_map(const struct xen_foreign_memory_map *m)
{
    if (m->domid != FAKE_DOMID || m->map.nr_entries > FAKE_RANGES)
        return -EINVAL;
    fake->map_entries = m->map.nr_entries;
    memcpy(fake->map, m->map.buffer.p, m->map.nr_entries * 20);
    return 0;
}

long xen_memory_op(struct xen *x, unsigned int cmd, void *arg, size_t size)
{
    if (failing())
        return -ENOMEM;
    switch (cmd) {
    case XENMEM_populate_physmap:
        return populate(arg);
    case XENMEM_decrease_reservation:
        return decrease(arg);
    case XENMEM_set_memory_map:
        return set_map(arg);
    default:
        return -ENOSYS;
    }
}

/* Records of a new guest, as far as the builder looks: header and MTRRs. */
static int get_context(struct xen_domctl_hvmcontext *c)
{
    const struct hvm_save_descriptor head = { HVM_SAVE_CODE(HEADER), 0,
                                              sizeof(struct hvm_save_header) };
    struct hvm_save_header header = { .magic = HVM_FILE_MAGIC, .version = HVM_FILE_VERSION };
    struct hvm_hw_mtrr mtrr = { .msr_mtrr_cap = 0x508, .msr_pat_cr = 0x7040600070406 };
    uint32_t size = sizeof(head) + sizeof(header) + FAKE_VCPUS * (sizeof(head) + sizeof(mtrr));
    uint8_t *to = c->buffer.p;

    if (to && c->size < size)
        return -ENOSPC;
    c->size = size;
    if (!to)
        return 0;
    memcpy(to, &head, sizeof(head));
    memcpy(to + sizeof(head), &header, sizeof(header));
    to += sizeof(head) + sizeof(header);
    for (uint16_t i = 0; i < FAKE_VCPUS; i++) {
        const struct hvm_save_descriptor d = { HVM_SAVE_CODE(MTRR), i, sizeof(mtrr) };

        memcpy(to, &d, sizeof(d));
        memcpy(to + sizeof(d), &mtrr, sizeof(mtrr));
        to += sizeof(d) + sizeof(mtrr);
    }
    return 0;
}

int xen_domctl(struct xen *x, struct xen_domctl *op)
{
    if (failing())
        return -EPERM;
    if (op->domain != FAKE_DOMID)
        return -ESRCH;
    switch (op->cmd) {
    case XEN_DOMCTL_hypercall_init:
        fake->hypercall_page = op->u.hypercall_init.gmfn;
        return fake->pfn_of[fake->hypercall_page] == FAKE_FREE ? -EINVAL : 0;
    case XEN_DOMCTL_setvcpucontext:
        fake->vcpu = *(struct vcpu_guest_context *)op->u.vcpucontext.ctxt.p;
        fake->started = true;
        return 0;
    case XEN_DOMCTL_set_paging_mempool_size:
        fake->pool = op->u.paging_mempool.size;
        return fake->hvm ? 0 : -EOPNOTSUPP;
    case XEN_DOMCTL_gethvmcontext:
        return get_context(&op->u.hvmcontext);
    case XEN_DOMCTL_sethvmcontext:
        if (op->u.hvmcontext.size > sizeof(fake->context))
            return -EINVAL;
        fake->context_len = op->u.hvmcontext.size;
        memcpy(fake->context, op->u.hvmcontext.buffer.p, fake->context_len);
        fake->started = true;
        return 0;
    default:
        return -ENOSYS;
    }
}

int xen_dominfo(struct xen *x, uint32_t domid, struct xen_domctl_getdomaininfo *out)
{
    if (failing())
        return -ESRCH;
    memset(out, 0, sizeof(*out));
    out->shared_info_frame = FAKE_SHARED_INFO;
    return 0;
}

/* What `pin` cares for: no table is mapped writable, by whomever. The tests walk them further. */
static long pin(xen_pfn_t l4)
{
    const uint64_t *l4e = fake_frame(l4);

    if (fake->writable[l4])
        return -EINVAL;
    for (unsigned int i = 0; i < 512; i++)
        if ((l4e[i] & 1) && fake->writable[l4e[i] >> 12 & (FAKE_FRAMES - 1)])
            return -EINVAL;
    fake->pinned = l4;
    return 0;
}

static long set_param(const struct xen_hvm_param *p)
{
    if (!fake->hvm || p->domid != FAKE_DOMID || p->index >= FAKE_PARAMS)
        return -EINVAL;
    fake->params[p->index] = p->value;
    return 0;
}

long xen_call(struct xen *x, unsigned int nr, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
    const struct mmuext_op *op = (const void *)a1;

    if (failing())
        return -EBUSY;
    if (nr == __HYPERVISOR_hvm_op && a1 == HVMOP_set_param)
        return set_param((const void *)a2);
    if (nr != __HYPERVISOR_mmuext_op || a4 != FAKE_DOMID)
        return -EINVAL;
    for (uint64_t i = 0; i < a2; i++) {
        if (op[i].arg1.mfn >= FAKE_FRAMES || fake->pfn_of[op[i].arg1.mfn] == FAKE_FREE)
            return -EINVAL;
        if (op[i].cmd == MMUEXT_PIN_L4_TABLE)
            return pin(op[i].arg1.mfn);
        memset(fake_frame(op[i].arg1.mfn), 0, 4096);
        fake->cleared++;
    }
    return 0;
}

/* --- the rest of tools/lib/xen.h and libxenforeignmemory that the builder uses --- */

struct xen *xen_open(struct error *e)
{
    return failing() ? (error_set(e, EPERM, NULL, "no hypervisor"), NULL) : (struct xen *)fake;
}

void xen_close(struct xen *x)
{
}

xenforeignmemory_handle *xen_fmem(struct xen *x, struct error *e)
{
    return (xenforeignmemory_handle *)fake;
}

void *xen_buf(struct xen *x, size_t size)
{
    return malloc(size);
}

void xen_buf_free(struct xen *x, void *p)
{
    free(p);
}

int xen_error(struct error *e, int err, const char *fmt, ...)
{
    return error_sys(e, err, "remedy", "%s", fmt);
}

struct fake_mapping {
    void *at;
    size_t pages;
    xen_pfn_t *frame;
};
static struct fake_mapping mappings[16];

static void *map_frames(size_t pages, const xen_pfn_t *list)
{
    uint8_t *at = mmap(NULL, pages * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct fake_mapping *m = mappings;

    while (m->at)
        m++;
    *m = (struct fake_mapping){ at, pages, malloc(pages * sizeof(*list)) };
    memcpy(m->frame, list, pages * sizeof(*list));
    for (size_t i = 0; i < pages; i++) {
        size_t n = 1;

        while (i + n < pages && list[i + n] == list[i] + n)
            n++;
        if (mmap(at + i * 4096, n * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory,
                 (off_t)list[i] * 4096) == MAP_FAILED)
            abort();
        for (size_t j = 0; j < n; j++)
            fake->writable[list[i + j]]++;
        i += n - 1;
    }
    return at;
}

void *xenforeignmemory_map(xenforeignmemory_handle *f, uint32_t dom, int prot, size_t pages,
                           const xen_pfn_t *list, int *err)
{
    bool ok = dom == FAKE_DOMID && !err && !failing();
    xen_pfn_t *mfn = malloc(pages * sizeof(*mfn));
    void *at = NULL;

    for (size_t i = 0; ok && i < pages; i++) {
        mfn[i] = list[i];
        if (fake->hvm)
            mfn[i] = list[i] < FAKE_GFNS ? fake->mfn_of[list[i]] : FAKE_FREE;
        ok = mfn[i] < FAKE_FRAMES &&
             (fake->pfn_of[mfn[i]] != FAKE_FREE || mfn[i] == FAKE_SHARED_INFO);
    }
    if (ok)
        at = map_frames(pages, mfn);
    else
        errno = EINVAL;
    free(mfn);
    return at;
}

int xenforeignmemory_unmap(xenforeignmemory_handle *f, void *at, size_t pages)
{
    struct fake_mapping *m = mappings;

    if (failing()) {
        errno = EINVAL;
        return -1;
    }
    while (m->at != at)
        m++;
    if (m->pages != pages)
        abort();
    for (size_t i = 0; i < pages; i++)
        fake->writable[m->frame[i]]--;
    munmap(at, pages * 4096);
    free(m->frame);
    m->at = NULL;
    return 0;
}

xenforeignmemory_resource_handle *
xenforeignmemory_map_resource(xenforeignmemory_handle *f, domid_t domid, unsigned int type,
                              unsigned int id, unsigned long frame, unsigned long nr, void **addr,
                              int prot, int flags)
{
    if (failing() || domid != FAKE_DOMID || type != XENMEM_resource_grant_table || id || frame ||
        nr != 1) {
        errno = EINVAL;
        return NULL;
    }
    *addr = fake_frame(FAKE_GRANTS);
    return (xenforeignmemory_resource_handle *)fake;
}

int xenforeignmemory_unmap_resource(xenforeignmemory_handle *f,
                                    xenforeignmemory_resource_handle *res)
{
    return 0;
}
