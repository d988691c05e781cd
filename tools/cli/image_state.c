/* SPDX-License-Identifier: MIT */
/* A suspended PV guest's time and vCPUs into a stream; see image_saver.h. */
#include "lib/macros.h"
#include "tools/cli/image_saver.h"

static int put_tsc(struct image_saver *s)
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
    return saver_put(s, STREAM_TSC_INFO, &r, sizeof(r));
}

static int own_cr3(struct image_saver *s, unsigned long *cr3, unsigned long flags)
{
    uint64_t pfn = saver_pfn_of(s, xen_cr3_to_pfn(*cr3));

    if (pfn == P2M_NONE)
        return saver_not_its_frame(s, "a vCPU", xen_cr3_to_pfn(*cr3));
    *cr3 = xen_pfn_to_cr3(pfn) | flags;
    return 0;
}

/* The frames that registers name, as the guest numbers them. */
static int rewrite_context(struct image_saver *s, unsigned int vcpu, struct vcpu_guest_context *c)
{
    unsigned long frames = MIN((c->gdt_ents + 511) / 512, ARRAY_SIZE(c->gdt_frames));

    if (vcpu == 0) { /* start_info, which the guest's suspend call named */
        uint64_t pfn = saver_pfn_of(s, c->user_regs.rdx);

        if (pfn == P2M_NONE)
            return saver_not_its_frame(s, "the guest's suspend call", c->user_regs.rdx);
        c->user_regs.rdx = pfn;
    }
    for (unsigned long i = 0; i < frames; i++) {
        uint64_t pfn = saver_pfn_of(s, c->gdt_frames[i]);

        if (pfn == P2M_NONE)
            return saver_not_its_frame(s, "a vCPU's GDT", c->gdt_frames[i]);
        c->gdt_frames[i] = pfn;
    }
    if (own_cr3(s, &c->ctrlreg[3], 0) != 0)
        return -1;
    return c->ctrlreg[1] ? own_cr3(s, &c->ctrlreg[1], 1) : 0;
}

static int put_vcpu_record(struct image_saver *s, unsigned int vcpu, uint32_t type, void *body,
                           size_t n)
{
    uint32_t head[2] = { vcpu, 0 };
    struct iovec v[3] = { { 0 }, { head, sizeof(head) }, { body, n } };

    return stream_out_pieces(s->o, type, v, 3) ? 0 : saver_write_failed(s);
}

static int put_context(struct image_saver *s, unsigned int vcpu)
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

static int put_extended(struct image_saver *s, unsigned int vcpu)
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

static int put_xsave(struct image_saver *s, unsigned int vcpu)
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

static int put_msrs(struct image_saver *s, unsigned int vcpu)
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

static int put_vcpu(struct image_saver *s, unsigned int vcpu)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = s->domid };
    int rc;

    op.u.getvcpuinfo.vcpu = vcpu;
    rc = xen_domctl(s->h->xen, &op);
    if (rc < 0)
        return xen_error(s->e, rc, "asking for vCPU %u", vcpu);
    if (!op.u.getvcpuinfo.online)
        return 0;
    rc = put_context(s, vcpu);
    rc = rc ? rc : put_extended(s, vcpu);
    rc = rc ? rc : put_xsave(s, vcpu);
    return rc ? rc : put_msrs(s, vcpu);
}

int saver_put_state(struct image_saver *s)
{
    struct xen_domctl_getdomaininfo info;
    int rc = xen_dominfo(s->h->xen, s->domid, &info);

    if (rc < 0)
        return xen_error(s->e, rc, "domain %u", s->domid);
    rc = put_tsc(s);
    rc = rc ? rc : saver_put(s, STREAM_SHARED_INFO, s->p2m.shared, STREAM_PAGE);
    for (unsigned int i = 0; rc == 0 && i <= info.max_vcpu_id; i++)
        rc = put_vcpu(s, i);
    return rc;
}
