/* SPDX-License-Identifier: MIT */
/*
 * What only a hardware-assisted guest has and the hypervisor is asked for: parameters, pages beside
 * its RAM, and its vCPUs' registers as records (<xen/hvm/save.h>).
 */
#include "tools/builder/domain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/hvm/save.h>

#include "lib/macros.h"
#include "tools/lib/error.h"

#define CR0_PE 0x1u
#define CR0_ET 0x10u
#define RFLAGS_FIXED 0x2u
#define DR6_RESET 0xffff0ff0u
#define DR7_RESET 0x400u
#define FLAT_CODE 0xc9bu /* attributes: 32 bits, limit in pages, present */
#define FLAT_DATA 0xc93u
#define BUSY_TSS 0x8bu
#define MTRR_ENABLED_WRITE_BACK 0x806u

/* --- pages --- */

void *domain_add_pages(const struct target *t, xen_pfn_t first, uint64_t nr)
{
    xenforeignmemory_handle *fmem = xen_fmem(t->x, t->e);
    xen_pfn_t *list = xen_buf(t->x, nr * sizeof(*list));
    struct xen_memory_reservation res = { .nr_extents = nr, .domid = t->domid };
    void *p = NULL;
    long done;

    for (uint64_t i = 0; i < nr; i++)
        list[i] = first + i;
    set_xen_guest_handle(res.extent_start, list);
    done = xen_memory_op(t->x, XENMEM_populate_physmap, &res, sizeof(res));
    if (done < (long)nr)
        xen_error(t->e, done < 0 ? (int)-done : ENOMEM,
                  "the guest's tables and rings get no pages");
    else if (fmem)
        p = xenforeignmemory_map(fmem, t->domid, PROT_READ | PROT_WRITE, nr, list, NULL);
    if (fmem && done == (long)nr && !p)
        error_sys(t->e, errno, NULL, "the guest's tables and rings cannot be mapped");
    xen_buf_free(t->x, list);
    if (p)
        memset(p, 0, nr << PAGE_SHIFT);
    return p; /* unmapped by the end of the process */
}

int domain_drop_pages(const struct target *t, xen_pfn_t first, uint64_t nr)
{
    xen_pfn_t *list = xen_buf(t->x, nr * sizeof(*list));
    struct xen_memory_reservation res = { .nr_extents = nr, .domid = t->domid };
    long done;

    for (uint64_t i = 0; i < nr; i++)
        list[i] = first + i;
    set_xen_guest_handle(res.extent_start, list);
    done = xen_memory_op(t->x, XENMEM_decrease_reservation, &res, sizeof(res));
    xen_buf_free(t->x, list);
    return done == (long)nr ? 0
                            : xen_error(t->e, done < 0 ? (int)-done : EBUSY,
                                        "the pages at %#lx cannot be taken back", first << 12);
}

int domain_paging_pool(const struct target *t, uint64_t kib)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_set_paging_mempool_size, .domain = t->domid };
    int rc;

    op.u.paging_mempool.size = kib << 10;
    while ((rc = xen_domctl(t->x, &op)) == -EINTR || rc == -EAGAIN)
        ;
    return rc ? xen_error(t->e, -rc, "%lu KiB for the guest's nested page tables", kib) : 0;
}

/* --- parameters --- */

int domain_set_param(const struct target *t, uint32_t index, uint64_t value)
{
    struct xen_hvm_param *p = xen_buf(t->x, sizeof(*p));
    long rc;

    *p = (struct xen_hvm_param){ .domid = t->domid, .index = index, .value = value };
    rc = xen_call(t->x, __HYPERVISOR_hvm_op, HVMOP_set_param, (uintptr_t)p, 0, 0);
    xen_buf_free(t->x, p);
    return rc ? xen_error(t->e, (int)-rc, "the guest's parameter %u cannot be set", index) : 0;
}

/* --- records --- */

/* A buffer of records, read or written. */
struct records {
    uint8_t *buf;
    uint32_t size, len;
};

static int context(const struct target *t, uint32_t cmd, struct records *r)
{
    struct xen_domctl op = { .cmd = cmd, .domain = t->domid };
    int rc;

    op.u.hvmcontext.size = cmd == XEN_DOMCTL_sethvmcontext ? r->len : r->size;
    set_xen_guest_handle(op.u.hvmcontext.buffer, r->buf);
    rc = xen_domctl(t->x, &op);
    if (cmd == XEN_DOMCTL_gethvmcontext)
        r->len = rc ? 0 : op.u.hvmcontext.size;
    return rc;
}

static void put(struct records *r, uint16_t type, uint16_t instance, const void *data, uint32_t len)
{
    struct hvm_save_descriptor d = { type, instance, len };

    memcpy(r->buf + r->len, &d, sizeof(d));
    if (len)
        memcpy(r->buf + r->len + sizeof(d), data, len);
    r->len += sizeof(d) + len;
}

/* The record of this type and vCPU; NULL: it is not there, or shorter than `len`. */
static const void *find(const struct records *r, uint16_t type, uint16_t instance, uint32_t len)
{
    struct hvm_save_descriptor d;

    for (uint32_t at = 0; at + sizeof(d) <= r->len; at += sizeof(d) + d.length) {
        memcpy(&d, r->buf + at, sizeof(d));
        if (d.length > r->len - at - sizeof(d))
            break;
        if (d.typecode == type && d.instance == instance && d.length >= len)
            return r->buf + at + sizeof(d);
    }
    return NULL;
}

/* Protected mode without paging, flat segments: start_info.h. Its TSC begins at 0. */
static void fill_cpu(struct hvm_hw_cpu *c, uint32_t entry, uint32_t start_info)
{
    memset(c, 0, sizeof(*c));
    c->rip = entry;
    c->rbx = start_info;
    c->rflags = RFLAGS_FIXED;
    c->cr0 = CR0_PE | CR0_ET;
    c->cs_limit = c->ds_limit = c->es_limit = c->ss_limit = ~0u;
    c->cs_arbytes = FLAT_CODE;
    c->ds_arbytes = c->es_arbytes = c->ss_arbytes = FLAT_DATA;
    c->tr_limit = 0x67;
    c->tr_arbytes = BUSY_TSS;
    c->dr6 = DR6_RESET;
    c->dr7 = DR7_RESET;
}

static int fill_records(const struct target *t, const struct records *got, struct records *out,
                        unsigned int vcpus, uint32_t entry, uint32_t start_info)
{
    const void *header = find(got, HVM_SAVE_CODE(HEADER), 0, sizeof(struct hvm_save_header));
    struct hvm_hw_cpu cpu;

    if (!header)
        return error_set(t->e, EIO, NULL, "the hypervisor's record of the new guest has no header");
    put(out, HVM_SAVE_CODE(HEADER), 0, header, sizeof(struct hvm_save_header));
    fill_cpu(&cpu, entry, start_info);
    put(out, HVM_SAVE_CODE(CPU), 0, &cpu, sizeof(cpu));
    for (unsigned int i = 0; i < vcpus; i++) {
        const void *had = find(got, HVM_SAVE_CODE(MTRR), (uint16_t)i, sizeof(struct hvm_hw_mtrr));
        struct hvm_hw_mtrr mtrr;

        if (!had)
            continue;
        memcpy(&mtrr, had, sizeof(mtrr));
        mtrr.msr_mtrr_def_type = MTRR_ENABLED_WRITE_BACK;
        put(out, HVM_SAVE_CODE(MTRR), (uint16_t)i, &mtrr, sizeof(mtrr));
    }
    put(out, HVM_SAVE_CODE(END), 0, NULL, 0);
    return 0;
}

int domain_start_hvm(const struct target *t, unsigned int vcpus, uint32_t entry,
                     uint32_t start_info)
{
    struct xen_domctl size = { .cmd = XEN_DOMCTL_gethvmcontext, .domain = t->domid };
    struct records got = { 0 }, out = { 0 };
    int rc = xen_domctl(t->x, &size);

    if (rc)
        return xen_error(t->e, -rc, "the guest's registers cannot be read");
    got.size = size.u.hvmcontext.size;
    got.buf = xen_buf(t->x, got.size);
    out.size = 4 * sizeof(struct hvm_save_descriptor) + sizeof(struct hvm_save_header) +
               sizeof(struct hvm_hw_cpu) +
               vcpus * (sizeof(struct hvm_save_descriptor) + sizeof(struct hvm_hw_mtrr));
    out.buf = xen_buf(t->x, out.size);
    rc = context(t, XEN_DOMCTL_gethvmcontext, &got);
    if (rc)
        rc = xen_error(t->e, -rc, "the guest's registers cannot be read");
    rc = rc ? rc : fill_records(t, &got, &out, vcpus, entry, start_info);
    if (rc == 0 && (rc = context(t, XEN_DOMCTL_sethvmcontext, &out)) != 0)
        rc = xen_error(t->e, -rc, "the guest's first vCPU cannot be set up");
    xen_buf_free(t->x, got.buf);
    xen_buf_free(t->x, out.buf);
    return rc ? -1 : 0;
}
