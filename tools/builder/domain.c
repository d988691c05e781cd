/* SPDX-License-Identifier: MIT */
#include "tools/builder/domain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xen/grant_table.h>

#include "lib/macros.h"
#include "tools/lib/error.h"

#define BATCH CHUNK_PAGES /* extents or operations in one hypercall */
#define RFLAGS_IF 0x200ul

/* --- memory --- */

/* `nr` extents of 2^order pages; pfns in, mfns out (a PVH guest's stay what they were). How many
 * there were, or -errno. */
static long populate(const struct target *t, unsigned int order, xen_pfn_t *list, size_t nr)
{
    struct xen_memory_reservation res = {
        .nr_extents = nr,
        .extent_order = order,
        .domid = t->domid,
    };

    set_xen_guest_handle(res.extent_start, list);
    return xen_memory_op(t->x, XENMEM_populate_physmap, &res, sizeof(res));
}

static int too_little(const struct target *t, const struct memory *m, uint64_t got, long err)
{
    return error_set(t->e, err < 0 ? (int)-err : ENOMEM,
                     "Give the guest less memory=, or free some: shut a guest down, or shrink one "
                     "or Domain 0 with `orlop mem-set`; `orlop info` shows what is free.",
                     "the hypervisor gave %lu of %lu MiB of memory%s%s", got >> 8, m->nr_pages >> 8,
                     err < 0 ? ": " : "", err < 0 ? strerror((int)-err) : "");
}

/* One chunk, or the part of one, page by page. */
static int populate_single(const struct target *t, struct memory *m, xen_pfn_t *list, uint64_t at)
{
    struct memory_chunk *c = &m->chunk[at >> CHUNK_ORDER];
    size_t nr = MIN(m->nr_pages - at, CHUNK_PAGES);
    long done;

    c->single = malloc(nr * sizeof(*c->single));
    if (!c->single)
        return error_set(t->e, ENOMEM, NULL, "not enough memory to build the guest");
    for (size_t i = 0; i < nr; i++)
        list[i] = memory_gfn(m, at + i);
    done = populate(t, 0, list, nr);
    if (done < (long)nr)
        return too_little(t, m, at + (done > 0 ? done : 0), done);
    memcpy(c->single, list, nr * sizeof(*list));
    return 0;
}

/* As many chunks from `at` on as there are in one piece; their number. */
static size_t populate_chunks(const struct target *t, struct memory *m, xen_pfn_t *list,
                              uint64_t at)
{
    struct memory_chunk *c = &m->chunk[at >> CHUNK_ORDER];
    size_t nr = MIN((m->nr_pages - at) >> CHUNK_ORDER, BATCH);
    long done;

    for (size_t i = 0; i < nr; i++)
        list[i] = memory_gfn(m, at + (i << CHUNK_ORDER));
    done = nr ? populate(t, CHUNK_ORDER, list, nr) : 0;
    for (long i = 0; i < done; i++)
        c[i].base = list[i];
    return done > 0 ? (size_t)done : 0;
}

int domain_populate(const struct target *t, struct memory *m)
{
    xen_pfn_t *list = xen_buf(t->x, BATCH * sizeof(*list));
    uint64_t at = 0;
    int rc = 0;

    while (rc == 0 && at < m->nr_pages) {
        size_t chunks = populate_chunks(t, m, list, at);

        if (!chunks)
            rc = populate_single(t, m, list, at);
        at += MAX(chunks, 1) << CHUNK_ORDER;
    }
    xen_buf_free(t->x, list);
    return rc;
}

int domain_map(const struct target *t, const struct memory *m, struct window *w)
{
    xenforeignmemory_handle *fmem = xen_fmem(t->x, t->e);
    xen_pfn_t *frames = malloc(w->pages * sizeof(*frames));

    if (!fmem || !frames) {
        free(frames);
        return fmem ? error_set(t->e, ENOMEM, NULL, "not enough memory to build the guest") : -1;
    }
    window_frames(w, m, frames);
    w->base = xenforeignmemory_map(fmem, t->domid, PROT_READ | PROT_WRITE, w->pages, frames, NULL);
    free(frames);
    if (w->base)
        return 0;
    return error_sys(t->e, errno, "Domain 0 may be short of memory: give it more.",
                     "%lu KiB of the guest's memory cannot be mapped", w->pages * 4);
}

int domain_unmap(const struct target *t, struct window *w)
{
    if (xenforeignmemory_unmap(xen_fmem(t->x, t->e), w->base, w->pages))
        return error_sys(t->e, errno, NULL, "the guest's memory cannot be unmapped");
    w->base = NULL;
    return 0;
}

/* --- operations on its page frames --- */

static int mmuext(const struct target *t, struct mmuext_op *op, size_t nr, const char *what)
{
    long rc = xen_call(t->x, __HYPERVISOR_mmuext_op, (uintptr_t)op, nr, 0, t->domid);

    return rc < 0 ? xen_error(t->e, (int)-rc, "%s", what) : 0;
}

int domain_clear(const struct target *t, const struct memory *m, uint64_t nr)
{
    struct mmuext_op *op = xen_buf(t->x, BATCH * sizeof(*op));
    size_t n = 0;
    int rc = 0;

    memset(op, 0, BATCH * sizeof(*op));
    for (uint64_t pfn = 0; rc == 0 && pfn < nr; pfn++) {
        op[n].cmd = MMUEXT_CLEAR_PAGE;
        op[n++].arg1.mfn = memory_mfn(m, pfn);
        if (n < BATCH && pfn + 1 < nr)
            continue;
        rc = mmuext(t, op, n, "the guest's memory cannot be cleared");
        n = 0;
    }
    xen_buf_free(t->x, op);
    return rc;
}

int domain_pin_l4(const struct target *t, xen_pfn_t l4)
{
    struct mmuext_op *op = xen_buf(t->x, sizeof(*op));
    int rc;

    memset(op, 0, sizeof(*op));
    op->cmd = MMUEXT_PIN_L4_TABLE;
    op->arg1.mfn = l4;
    rc = mmuext(t, op, 1, "the hypervisor refused the guest's first page tables");
    xen_buf_free(t->x, op);
    return rc;
}

int domain_hypercall_page(const struct target *t, xen_pfn_t mfn)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_hypercall_init, .domain = t->domid };
    int rc;

    op.u.hypercall_init.gmfn = mfn;
    rc = xen_domctl(t->x, &op);
    return rc ? xen_error(t->e, -rc, "the guest's hypercall page cannot be made") : 0;
}

/* --- what it is told --- */

int domain_shared_info(const struct target *t, xen_pfn_t *mfn)
{
    xenforeignmemory_handle *fmem = xen_fmem(t->x, t->e);
    struct xen_domctl_getdomaininfo info;
    int rc = fmem ? xen_dominfo(t->x, t->domid, &info) : 0;
    struct shared_info *s;

    if (!fmem)
        return -1;
    if (rc)
        return xen_error(t->e, -rc, "domain %u cannot be looked at", t->domid);
    *mfn = info.shared_info_frame;
    s = xenforeignmemory_map(fmem, t->domid, PROT_READ | PROT_WRITE, 1, mfn, NULL);
    if (!s)
        return error_sys(t->e, errno, NULL, "the guest's shared info cannot be mapped");
    for (unsigned int i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
        s->vcpu_info[i].evtchn_upcall_mask = 1;
    return 0; /* unmapped by the end of the process */
}

int domain_memory_map(const struct target *t, const struct e820_entry *ranges, unsigned int nr)
{
    struct e820_entry *map = xen_buf(t->x, nr * sizeof(*map));
    struct xen_foreign_memory_map fmap = { .domid = t->domid, .map.nr_entries = nr };
    long rc;

    memcpy(map, ranges, nr * sizeof(*map));
    set_xen_guest_handle(fmap.map.buffer, (void *)map);
    rc = xen_memory_op(t->x, XENMEM_set_memory_map, &fmap, sizeof(fmap));
    xen_buf_free(t->x, map);
    return rc ? xen_error(t->e, (int)-rc, "the guest's memory map cannot be set") : 0;
}

static void grant(grant_entry_v1_t *entry, xen_pfn_t frame, domid_t to)
{
    entry->frame = (uint32_t)frame;
    entry->domid = to;
    __atomic_store_n(&entry->flags, GTF_permit_access, __ATOMIC_RELEASE);
}

int domain_grants(const struct target *t, const struct builder_request *req, xen_pfn_t console,
                  xen_pfn_t store)
{
    xenforeignmemory_handle *fmem = xen_fmem(t->x, t->e);
    xenforeignmemory_resource_handle *res;
    void *page = NULL;

    if (!fmem)
        return -1;
    if (MAX(console, store) > UINT32_MAX)
        return error_set(t->e, ERANGE, NULL, "the guest's rings lie above 16 TiB of memory");
    res = xenforeignmemory_map_resource(fmem, t->domid, XENMEM_resource_grant_table,
                                        XENMEM_resource_grant_table_id_shared, 0, 1, &page,
                                        PROT_READ | PROT_WRITE, 0);
    if (!res)
        return error_sys(t->e, errno, "Set max_grant_frames to 1 or more.",
                         "the guest's grant table cannot be mapped");
    grant((grant_entry_v1_t *)page + GNTTAB_RESERVED_CONSOLE, console, req->console_domid);
    grant((grant_entry_v1_t *)page + GNTTAB_RESERVED_XENSTORE, store, req->store_domid);
    xenforeignmemory_unmap_resource(fmem, res);
    return 0;
}

/* --- the first vCPU --- */

static void fill_context(struct vcpu_guest_context *c, const struct pv_layout *l, xen_pfn_t l4)
{
    const struct pv_range *stack = &l->part[PV_STACK];
    struct cpu_user_regs *r = &c->user_regs;

    memset(c, 0, sizeof(*c));
    c->flags = VGCF_in_kernel | VGCF_online;
    r->rip = l->entry;
    r->rsp = stack->va + (stack->pages << PAGE_SHIFT);
    r->rsi = l->part[PV_START_INFO].va;
    r->rflags = RFLAGS_IF;
    r->cs = FLAT_KERNEL_CS;
    r->ss = FLAT_KERNEL_SS;
    r->ds = r->es = r->fs = r->gs = FLAT_KERNEL_DS;
    c->kernel_ss = FLAT_KERNEL_SS;
    c->kernel_sp = r->rsp;
    c->ctrlreg[3] = xen_pfn_to_cr3(l4);
}

int domain_start_vcpu(const struct target *t, const struct pv_layout *l, xen_pfn_t l4)
{
    struct vcpu_guest_context *c = xen_buf(t->x, sizeof(*c));
    struct xen_domctl op = { .cmd = XEN_DOMCTL_setvcpucontext, .domain = t->domid };
    int rc;

    fill_context(c, l, l4);
    set_xen_guest_handle(op.u.vcpucontext.ctxt, c);
    rc = xen_domctl(t->x, &op);
    xen_buf_free(t->x, c);
    return rc ? xen_error(t->e, -rc, "the guest's first vCPU cannot be set up") : 0;
}
