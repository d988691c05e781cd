/* SPDX-License-Identifier: MIT */
/*
 * A suspended PV guest's memory and vCPUs into a stream.
 *
 * Frames of the machine are turned into the guest's by the guest's own table of frames, read once
 * and turned around: so a frame that the table names twice is saved once, and what it says of
 * frames that are not the guest's is found when they are looked at. The guest stands still, so all
 * that it says must fit together; where it does not, the save is refused.
 */
#define _GNU_SOURCE
#include "lib/macros.h"
#include "tools/cli/host.h"
#include "tools/cli/image.h"
#include "tools/cli/p2m.h"
#include "tools/cli/page_table.h"
#include "tools/cli/undo.h"
#include "tools/lib/error.h"
#include "tools/lib/stream.h"
#include "tools/lib/stream_out.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TYPE_SHIFT 28
#define MAX_CPUID_LEAVES 256u
#define MAX_MSR_ENTRIES 64u

struct saving {
    struct host *h;
    unsigned int domid;
    struct stream_out *o;
    struct error *e;
    struct xen_domctl_getdomaininfo info;
    struct p2m p2m;
    uint64_t max_mfn;  /* of the machine */
    uint64_t *mfn_of;  /* by pfn, plus 1; 0: none */
    uint32_t *pfn_of;  /* by mfn, plus 1; 0: not the guest's */
    uint64_t nr_pages; /* that it has by its table */
    xen_pfn_t *info3;  /* for the hypervisor: a batch's frames, then their types */
    uint64_t *tables;  /* a batch's page tables, rewritten */
};

static int write_failed(struct saving *s)
{
    return error_sys(s->e, s->o->err, s->o->err == ENOSPC ? "Give it another place." : NULL,
                     "writing the guest");
}

static int put_record(struct saving *s, uint32_t type, const void *body, uint32_t n)
{
    return stream_out_record(s->o, type, body, n) ? 0 : write_failed(s);
}

/* --- the guest's frames --- */

/* Big and mostly empty: pages that are never touched cost nothing. */
static void *sparse(uint64_t n, size_t size)
{
    void *p = mmap(NULL, n * size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

static int read_frames(struct saving *s)
{
    uint64_t entry[P2M_PER_PAGE];
    long max = xen_memory_op(s->h->xen, XENMEM_maximum_ram_page, NULL, 0);

    if (max < 0)
        return xen_error(s->e, (int)max, "asking for the machine's last frame");
    s->max_mfn = (uint64_t)max;
    s->mfn_of = sparse(s->p2m.max_pfn, sizeof(*s->mfn_of));
    s->pfn_of = sparse(s->max_mfn + 1, sizeof(*s->pfn_of));
    if (!s->mfn_of || !s->pfn_of)
        return error_set(s->e, ENOMEM, "Give Domain 0 more memory.",
                         "no memory for the guest's table of frames");
    for (uint64_t pfn = 0; pfn < s->p2m.max_pfn; pfn++) {
        uint64_t mfn;

        if (pfn % P2M_PER_PAGE == 0)
            p2m_read(&s->p2m, pfn / P2M_PER_PAGE, entry);
        mfn = entry[pfn % P2M_PER_PAGE];
        if (mfn > s->max_mfn || s->pfn_of[mfn])
            continue;
        s->pfn_of[mfn] = (uint32_t)pfn + 1;
        s->mfn_of[pfn] = mfn + 1;
        s->nr_pages++;
    }
    return 0;
}

/* The guest's number of a machine's frame; P2M_NONE: it is none of its frames. */
static uint64_t pfn_of(const struct saving *s, uint64_t mfn)
{
    return mfn <= s->max_mfn && s->pfn_of[mfn] ? s->pfn_of[mfn] - 1 : P2M_NONE;
}

static int not_its_frame(struct saving *s, const char *what, uint64_t mfn)
{
    return error_set(s->e, EINVAL, NULL,
                     "%s names the machine's frame %#llx, which is not the guest's", what,
                     (unsigned long long)mfn);
}

/* --- what does not change while it runs --- */

static int put_policies(struct saving *s)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_get_cpu_policy, .domain = s->domid };
    xen_cpuid_leaf_t *leaves = xen_buf(s->h->xen, MAX_CPUID_LEAVES * sizeof(*leaves));
    xen_msr_entry_t *msrs = xen_buf(s->h->xen, MAX_MSR_ENTRIES * sizeof(*msrs));
    int rc;

    op.u.cpu_policy.nr_leaves = MAX_CPUID_LEAVES;
    op.u.cpu_policy.nr_msrs = MAX_MSR_ENTRIES;
    set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
    set_xen_guest_handle(op.u.cpu_policy.msrs, msrs);
    rc = xen_domctl(s->h->xen, &op);
    if (rc < 0)
        rc = xen_error(s->e, rc, "asking for the guest's CPU policy");
    if (rc == 0 && op.u.cpu_policy.nr_leaves)
        rc = put_record(s, STREAM_CPUID_POLICY, leaves,
                        op.u.cpu_policy.nr_leaves * (uint32_t)sizeof(*leaves));
    if (rc == 0 && op.u.cpu_policy.nr_msrs)
        rc = put_record(s, STREAM_MSR_POLICY, msrs,
                        op.u.cpu_policy.nr_msrs * (uint32_t)sizeof(*msrs));
    xen_buf_free(s->h->xen, leaves);
    xen_buf_free(s->h->xen, msrs);
    return rc;
}

/* Where the guest's table of frames lies. */
static int put_p2m(struct saving *s)
{
    uint64_t n = (s->p2m.max_pfn + P2M_PER_PAGE - 1) / P2M_PER_PAGE;
    uint64_t *frame = mem_alloc(n * sizeof(*frame));
    uint32_t range[2] = { 0, (uint32_t)s->p2m.max_pfn - 1 };
    struct iovec v[3] = { { 0 }, { range, sizeof(range) }, { frame, n * sizeof(*frame) } };
    int rc = 0;

    for (uint64_t i = 0; rc == 0 && i < n; i++) {
        uint64_t mfn = p2m_table(&s->p2m, i);

        frame[i] = pfn_of(s, mfn);
        if (frame[i] == P2M_NONE)
            rc = not_its_frame(s, "the guest's table of frames", mfn);
    }
    if (rc == 0 && !stream_out_pieces(s->o, STREAM_PV_P2M_FRAMES, v, 3))
        rc = write_failed(s);
    free(frame);
    return rc;
}

static int put_static(struct saving *s)
{
    static const uint8_t pv_info[8] = { 8, 4 }; /* bytes of a word, levels of page tables */

    if (put_record(s, STREAM_PV_INFO, pv_info, sizeof(pv_info)) != 0 || put_policies(s) != 0)
        return -1;
    return put_record(s, STREAM_STATIC_END, NULL, 0);
}

/* --- pages --- */

static bool to_guests_number(const void *saving, uint64_t *frame)
{
    *frame = pfn_of(saving, *frame);
    return *frame != P2M_NONE;
}

/* A table with the guest's own numbers. */
static int rewrite_table(struct saving *s, unsigned int level, const uint64_t *from, uint64_t *to)
{
    unsigned int end = table_translate(from, to, level, to_guests_number, s);

    return end == PTES ? 0 : not_its_frame(s, "a page table of the guest's", pte_frame(from[end]));
}

struct batch {
    unsigned int n;
    xen_pfn_t mfn[STREAM_BATCH];
    uint64_t entry[STREAM_BATCH]; /* pfn and type, as the record has them */
    uint8_t *pages;               /* mapped */
};

/* A page that would be left out might be named by a table: nobody could restore that. */
static int ask_types(struct saving *s, struct batch *b)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getpageframeinfo3, .domain = s->domid };
    unsigned int kept = 0;
    int rc;

    memcpy(s->info3, b->mfn, b->n * sizeof(*s->info3));
    op.u.getpageframeinfo3.num = b->n;
    set_xen_guest_handle(op.u.getpageframeinfo3.array, s->info3);
    rc = xen_domctl(s->h->xen, &op);
    if (rc < 0)
        return xen_error(s->e, rc, "asking for the types of the guest's pages");
    for (unsigned int i = 0; i < b->n; i++) {
        unsigned int type = s->info3[i] >> TYPE_SHIFT & 15;

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

static int map_pages(struct saving *s, struct batch *b)
{
    int *bad = mem_alloc(b->n * sizeof(*bad)), rc = 0;

    b->pages = xenforeignmemory_map(xen_fmem(s->h->xen, NULL), s->domid, PROT_READ, b->n, b->mfn,
                                    bad);
    if (!b->pages)
        rc = error_sys(s->e, errno, "Domain 0 may be short of memory: give it more.",
                       "mapping %u of the guest's pages", b->n);
    for (unsigned int i = 0; rc == 0 && i < b->n; i++) {
        if (bad[i])
            rc = error_sys(s->e, -bad[i], NULL, "mapping the guest's page %#llx",
                           (unsigned long long)STREAM_PFN(b->entry[i]));
    }
    free(bad);
    return rc;
}

/* The record: pages as they lie there, but tables as they were rewritten. */
static int write_batch(struct saving *s, struct batch *b)
{
    struct iovec v[3 + STREAM_BATCH];
    uint32_t head[2] = { b->n, 0 };
    unsigned int n = 3, tables = 0;

    v[1] = (struct iovec){ head, sizeof(head) };
    v[2] = (struct iovec){ b->entry, b->n * sizeof(b->entry[0]) };
    for (unsigned int i = 0; i < b->n; i++) {
        unsigned int level = STREAM_PAGE_TYPE(b->entry[i]) & 7;
        uint8_t *page = b->pages + (size_t)i * STREAM_PAGE;

        if (level) {
            uint64_t *to = s->tables + PTES * tables++;

            if (rewrite_table(s, level, (const uint64_t *)page, to) != 0)
                return -1;
            page = (uint8_t *)to;
        }
        if (n > 3 && (uint8_t *)v[n - 1].iov_base + v[n - 1].iov_len == page)
            v[n - 1].iov_len += STREAM_PAGE;
        else
            v[n++] = (struct iovec){ page, STREAM_PAGE };
    }
    return stream_out_pieces(s->o, STREAM_PAGE_DATA, v, n) ? 0 : write_failed(s);
}

static int put_batch(struct saving *s, struct batch *b)
{
    int rc = ask_types(s, b);

    if (rc == 0 && b->n) {
        rc = map_pages(s, b);
        rc = rc ? rc : write_batch(s, b);
        if (b->pages)
            xenforeignmemory_unmap(xen_fmem(s->h->xen, NULL), b->pages, b->n);
    }
    b->n = 0;
    b->pages = NULL;
    return rc;
}

static int put_pages(struct saving *s)
{
    struct batch *b = mem_alloc(sizeof(*b));
    uint64_t done = 0;
    int rc = 0;

    s->info3 = xen_buf(s->h->xen, STREAM_BATCH * sizeof(*s->info3));
    s->tables = mem_alloc((size_t)STREAM_BATCH * STREAM_PAGE);
    for (uint64_t pfn = 0; rc == 0 && pfn < s->p2m.max_pfn; pfn++) {
        if (s->mfn_of[pfn]) {
            b->mfn[b->n] = s->mfn_of[pfn] - 1;
            b->entry[b->n++] = pfn;
            done++;
        }
        if (b->n < STREAM_BATCH)
            continue;
        rc = put_batch(s, b);
        progress("saving its memory", MIN(done, s->nr_pages - 1), s->nr_pages);
        rc = rc ? rc : interrupt_check(s->e);
    }
    if (rc == 0 && b->n)
        rc = put_batch(s, b);
    if (rc == 0)
        progress("saving its memory", s->nr_pages, s->nr_pages);
    xen_buf_free(s->h->xen, s->info3);
    free(s->tables);
    free(b);
    return rc;
}

/* --- time and vCPUs --- */

static int put_tsc(struct saving *s)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_gettscinfo, .domain = s->domid };
    int rc = xen_domctl(s->h->xen, &op);
    struct {
        uint32_t mode, khz;
        uint64_t nsec;
        uint32_t incarnation, reserved;
    } r = { op.u.tsc_info.tsc_mode, op.u.tsc_info.gtsc_khz, op.u.tsc_info.elapsed_nsec,
            op.u.tsc_info.incarnation, 0 };

    if (rc < 0)
        return xen_error(s->e, rc, "asking for the guest's time");
    return put_record(s, STREAM_TSC_INFO, &r, sizeof(r));
}

static int own_cr3(struct saving *s, unsigned long *cr3, unsigned long flags)
{
    uint64_t pfn = pfn_of(s, xen_cr3_to_pfn(*cr3));

    if (pfn == P2M_NONE)
        return not_its_frame(s, "a vCPU", xen_cr3_to_pfn(*cr3));
    *cr3 = xen_pfn_to_cr3(pfn) | flags;
    return 0;
}

/* The frames that registers name, as the guest numbers them. */
static int rewrite_context(struct saving *s, unsigned int vcpu, struct vcpu_guest_context *c)
{
    unsigned long frames = MIN((c->gdt_ents + 511) / 512, ARRAY_SIZE(c->gdt_frames));

    if (vcpu == 0) { /* start_info, which the guest's suspend call named */
        uint64_t pfn = pfn_of(s, c->user_regs.rdx);

        if (pfn == P2M_NONE)
            return not_its_frame(s, "the guest's suspend call", c->user_regs.rdx);
        c->user_regs.rdx = pfn;
    }
    for (unsigned long i = 0; i < frames; i++) {
        uint64_t pfn = pfn_of(s, c->gdt_frames[i]);

        if (pfn == P2M_NONE)
            return not_its_frame(s, "a vCPU's GDT", c->gdt_frames[i]);
        c->gdt_frames[i] = pfn;
    }
    if (own_cr3(s, &c->ctrlreg[3], 0) != 0)
        return -1;
    return c->ctrlreg[1] ? own_cr3(s, &c->ctrlreg[1], 1) : 0;
}

static int put_vcpu_record(struct saving *s, unsigned int vcpu, uint32_t type, void *body, size_t n)
{
    uint32_t head[2] = { vcpu, 0 };
    struct iovec v[3] = { { 0 }, { head, sizeof(head) }, { body, n } };

    return stream_out_pieces(s->o, type, v, 3) ? 0 : write_failed(s);
}

static int put_context(struct saving *s, unsigned int vcpu)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpucontext, .domain = s->domid };
    struct vcpu_guest_context *c = xen_buf(s->h->xen, sizeof(*c));
    int rc;

    op.u.vcpucontext.vcpu = vcpu;
    set_xen_guest_handle(op.u.vcpucontext.ctxt, c);
    rc = xen_domctl(s->h->xen, &op);
    rc = rc < 0 ? xen_error(s->e, rc, "vCPU %u's registers", vcpu) : rewrite_context(s, vcpu, c);
    rc = rc ? rc : put_vcpu_record(s, vcpu, STREAM_PV_VCPU_BASIC, c, sizeof(*c));
    xen_buf_free(s->h->xen, c);
    return rc;
}

static int put_extended(struct saving *s, unsigned int vcpu)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_get_ext_vcpucontext, .domain = s->domid };
    int rc;

    op.u.ext_vcpucontext.vcpu = vcpu;
    rc = xen_domctl(s->h->xen, &op);
    if (rc < 0)
        return xen_error(s->e, rc, "vCPU %u's entry points", vcpu);
    return put_vcpu_record(s, vcpu, STREAM_PV_VCPU_EXTENDED, &op.u.ext_vcpucontext,
                           sizeof(op.u.ext_vcpucontext));
}

static int put_xsave(struct saving *s, unsigned int vcpu)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuextstate, .domain = s->domid };
    uint64_t size;
    void *buf;
    int rc;

    op.u.vcpuextstate.vcpu = vcpu;
    rc = xen_domctl(s->h->xen, &op);
    if (rc < 0)
        return xen_error(s->e, rc, "the size of vCPU %u's extended state", vcpu);
    size = op.u.vcpuextstate.size;
    if (!size) /* the processor has none */
        return 0;
    buf = xen_buf(s->h->xen, size);
    set_xen_guest_handle(op.u.vcpuextstate.buffer, buf);
    rc = xen_domctl(s->h->xen, &op);
    rc = rc < 0 ? xen_error(s->e, rc, "vCPU %u's extended state", vcpu)
                : put_vcpu_record(s, vcpu, STREAM_PV_VCPU_XSAVE, buf, size);
    xen_buf_free(s->h->xen, buf);
    return rc;
}

static int put_msrs(struct saving *s, unsigned int vcpu)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_get_vcpu_msrs, .domain = s->domid };
    xen_domctl_vcpu_msr_t *buf;
    int rc;

    op.u.vcpu_msrs.vcpu = vcpu;
    rc = xen_domctl(s->h->xen, &op);
    if (rc < 0)
        return xen_error(s->e, rc, "the number of vCPU %u's MSRs", vcpu);
    if (!op.u.vcpu_msrs.msr_count)
        return 0;
    buf = xen_buf(s->h->xen, op.u.vcpu_msrs.msr_count * sizeof(*buf));
    set_xen_guest_handle(op.u.vcpu_msrs.msrs, buf);
    rc = xen_domctl(s->h->xen, &op);
    if (rc < 0)
        rc = xen_error(s->e, rc, "vCPU %u's MSRs", vcpu);
    else if (op.u.vcpu_msrs.msr_count)
        rc = put_vcpu_record(s, vcpu, STREAM_PV_VCPU_MSRS, buf,
                             op.u.vcpu_msrs.msr_count * sizeof(*buf));
    xen_buf_free(s->h->xen, buf);
    return rc;
}

static int put_vcpus(struct saving *s)
{
    for (unsigned int i = 0; i <= s->info.max_vcpu_id; i++) {
        struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = s->domid };
        int rc;

        op.u.getvcpuinfo.vcpu = i;
        rc = xen_domctl(s->h->xen, &op);
        if (rc < 0)
            return xen_error(s->e, rc, "asking for vCPU %u", i);
        if (!op.u.getvcpuinfo.online)
            continue;
        if (put_context(s, i) != 0 || put_extended(s, i) != 0 || put_xsave(s, i) != 0 ||
            put_msrs(s, i) != 0)
            return -1;
    }
    return 0;
}

/* --- together --- */

int image_can_save(struct host *h, unsigned int domid, struct error *e)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_get_address_size, .domain = domid };
    struct xen_domctl_getdomaininfo info;
    int rc = xen_dominfo(h->xen, domid, &info);

    if (rc < 0)
        return xen_error(e, rc, "domain %u", domid);
    if (info.flags & XEN_DOMINF_hvm_guest)
        return error_set(e, EOPNOTSUPP, "Shut it down instead: orlop shutdown.",
                         "it is a PVH or HVM guest: only PV guests are saved here");
    rc = xen_domctl(h->xen, &op);
    if (rc < 0)
        return xen_error(e, rc, "asking for the width of its words");
    if (op.u.address_size.size != 64)
        return error_set(e, EOPNOTSUPP, NULL, "it is a %u-bit guest: only 64-bit ones are saved",
                         op.u.address_size.size);
    return 0;
}

static int save_all(struct saving *s)
{
    int rc = read_frames(s);

    rc = rc ? rc : put_p2m(s);
    rc = rc ? rc : put_pages(s);
    rc = rc ? rc : put_tsc(s);
    rc = rc ? rc : put_record(s, STREAM_SHARED_INFO, s->p2m.shared, STREAM_PAGE);
    return rc ? rc : put_vcpus(s);
}

int image_save_static(struct host *h, unsigned int domid, struct stream_out *o, struct error *e)
{
    struct saving s = { .h = h, .domid = domid, .o = o, .e = e };

    return put_static(&s);
}

int image_save(struct host *h, unsigned int domid, struct stream_out *o, struct error *e)
{
    struct saving s = { .h = h, .domid = domid, .o = o, .e = e };
    int rc = xen_dominfo(h->xen, domid, &s.info);

    if (rc < 0)
        return xen_error(e, rc, "domain %u", domid);
    if (p2m_open(&s.p2m, h, domid, s.info.shared_info_frame, e) != 0)
        return -1;
    rc = save_all(&s);
    if (s.mfn_of)
        munmap(s.mfn_of, s.p2m.max_pfn * sizeof(*s.mfn_of));
    if (s.pfn_of)
        munmap(s.pfn_of, (s.max_mfn + 1) * sizeof(*s.pfn_of));
    p2m_close(&s.p2m);
    return rc;
}
