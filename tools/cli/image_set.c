/* SPDX-License-Identifier: MIT */
/*
 * What a restored domain gets after its memory: pins of its page tables, time, shared info, vCPUs,
 * the grants of its rings. Registers and tables are judged by the hypervisor, which says in its log
 * what it refuses.
 */
#include "lib/macros.h"
#include "tools/builder/domain.h"
#include "tools/cli/cpu_features.h"
#include "tools/cli/host.h"
#include "tools/cli/image_load.h"
#include "tools/lib/error.h"
#include "tools/lib/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define TYPE_PIN 8u
#define TYPE_L4_PIN 12u
#define PINS 128u /* in one hypercall */

static const char see_log[] = "`orlop dmesg` says what was wrong.";

/* --- CPU policy --- */

/* The guest has found its processor's features: none may be missing here. */
static int compare(struct loading *l, const xen_cpuid_leaf_t *had, unsigned int nr_had,
                   const xen_cpuid_leaf_t *has, unsigned int nr_has)
{
    struct cpu_features need, have;
    char *missing;
    int rc = 0;

    cpu_features_read(&need, had, nr_had);
    cpu_features_read(&have, has, nr_has);
    missing = cpu_features_missing(&need, &have);
    if (*missing)
        rc = error_set(l->e, EOPNOTSUPP,
                       "Take a host that has them; or start the guest without them: `orlop "
                       "cpu-policy --common` makes a line for its configuration.",
                       "the guest uses features of a processor that this host does not have: %s",
                       missing);
    free(missing);
    return rc;
}

static int get_policy(struct loading *l, xen_cpuid_leaf_t *leaves, xen_msr_entry_t *msrs,
                      uint32_t *nr_leaves)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_get_cpu_policy, .domain = l->req->domid };
    int rc;

    op.u.cpu_policy.nr_leaves = CPU_LEAVES;
    op.u.cpu_policy.nr_msrs = CPU_MSRS;
    set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
    set_xen_guest_handle(op.u.cpu_policy.msrs, msrs);
    rc = xen_domctl(l->x, &op);
    *nr_leaves = op.u.cpu_policy.nr_leaves;
    return rc < 0 ? xen_error(l->e, rc, "asking for the new domain's CPU policy") : 0;
}

int set_policy(struct loading *l, const struct stream_record *cpuid,
               const struct stream_record *msr)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_set_cpu_policy, .domain = l->req->domid };
    uint32_t n = cpuid ? cpuid->length / sizeof(xen_cpuid_leaf_t) : 0, now = 0;
    uint32_t m = msr ? msr->length / sizeof(xen_msr_entry_t) : 0;
    xen_cpuid_leaf_t *leaves;
    xen_msr_entry_t *msrs;
    int rc;

    if (n > CPU_LEAVES || m > CPU_MSRS)
        return error_set(l->e, EPROTO, NULL, "a CPU policy of %u leaves and %u MSRs", n, m);
    leaves = xen_buf(l->x, CPU_LEAVES * sizeof(*leaves));
    msrs = xen_buf(l->x, CPU_MSRS * sizeof(*msrs));
    if (n)
        memcpy(leaves, cpuid->body, cpuid->length);
    if (m)
        memcpy(msrs, msr->body, msr->length);
    op.u.cpu_policy.nr_leaves = n;
    op.u.cpu_policy.nr_msrs = m;
    set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
    set_xen_guest_handle(op.u.cpu_policy.msrs, msrs);
    rc = xen_domctl(l->x, &op);
    if (rc < 0) {
        xen_error(l->e, rc, "the guest's CPU policy does not fit this host");
        rc = error_remedy(l->e, "%s", see_log);
    }
    rc = rc ? rc : get_policy(l, leaves, msrs, &now);
    if (rc == 0 && n)
        rc = compare(l, (const xen_cpuid_leaf_t *)cpuid->body, n, leaves, now);
    xen_buf_free(l->x, leaves);
    xen_buf_free(l->x, msrs);
    return rc;
}

/* --- page tables --- */

static int pin(struct loading *l, struct mmuext_op *op, unsigned int n)
{
    long rc = n ? xen_call(l->x, __HYPERVISOR_mmuext_op, (uintptr_t)op, n, 0, l->req->domid) : 0;

    if (rc >= 0)
        return 0;
    xen_error(l->e, (int)rc, "the hypervisor refused the guest's page tables");
    return error_remedy(l->e, "%s", see_log);
}

static int pin_tables(struct loading *l)
{
    struct mmuext_op *op = xen_buf(l->x, PINS * sizeof(*op));
    unsigned int n = 0;
    int rc = 0;

    memset(op, 0, PINS * sizeof(*op));
    for (uint64_t pfn = 0; rc == 0 && pfn < l->nr_pfns; pfn++) {
        unsigned int type = l->type_of[pfn];

        if (!l->mfn_of[pfn] || type <= TYPE_PIN || type > TYPE_L4_PIN)
            continue;
        op[n].cmd = MMUEXT_PIN_L1_TABLE + (type - TYPE_PIN - 1);
        op[n++].arg1.mfn = l->mfn_of[pfn] - 1;
        if (n < PINS)
            continue;
        rc = pin(l, op, n);
        n = 0;
    }
    rc = rc ? rc : pin(l, op, n);
    xen_buf_free(l->x, op);
    return rc;
}

/* --- late records --- */

static int set_tsc(struct loading *l, const uint8_t *body)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_settscinfo, .domain = l->req->domid };
    const uint32_t *w = (const uint32_t *)body;
    int rc;

    op.u.tsc_info.tsc_mode = w[0];
    op.u.tsc_info.gtsc_khz = w[1];
    memcpy(&op.u.tsc_info.elapsed_nsec, w + 2, 8);
    op.u.tsc_info.incarnation = w[4];
    rc = xen_domctl(l->x, &op);
    return rc < 0 ? xen_error(l->e, rc, "setting the guest's time") : 0;
}

/*
 * Of the old page, what vCPUs had masked. No event is pending, all are masked until the guest binds
 * them again; it says anew where its table of frames lies; the rest is the hypervisor's to tell.
 */
static int set_shared_info(struct loading *l, const uint8_t *body)
{
    const struct shared_info *old = (const struct shared_info *)body;
    xenforeignmemory_handle *fmem = xen_fmem(l->x, l->e);
    struct xen_domctl_getdomaininfo info;
    int rc = fmem ? xen_dominfo(l->x, l->req->domid, &info) : 0;
    struct shared_info *now;
    xen_pfn_t mfn;

    if (!fmem)
        return -1;
    if (rc < 0)
        return xen_error(l->e, rc, "domain %u", l->req->domid);
    mfn = info.shared_info_frame;
    now = xenforeignmemory_map(fmem, l->req->domid, PROT_READ | PROT_WRITE, 1, &mfn, NULL);
    if (!now)
        return error_sys(l->e, errno, NULL, "mapping the guest's shared page");
    for (unsigned int i = 0; i < XEN_LEGACY_MAX_VCPUS; i++) {
        now->vcpu_info[i].evtchn_upcall_mask = old->vcpu_info[i].evtchn_upcall_mask;
        now->vcpu_info[i].evtchn_upcall_pending = 0;
        now->vcpu_info[i].evtchn_pending_sel = 0;
    }
    memset(now->evtchn_pending, 0, sizeof(now->evtchn_pending));
    memset(now->evtchn_mask, 0xff, sizeof(now->evtchn_mask));
    now->arch.max_pfn = old->arch.max_pfn;
    xenforeignmemory_unmap(fmem, now, 1);
    return 0;
}

/* A frame that a register names: any page of the guest's. */
static bool own_frame(const struct loading *l, unsigned long *frame)
{
    if (*frame >= l->nr_pfns || !l->mfn_of[*frame])
        return false;
    *frame = l->mfn_of[*frame] - 1;
    return true;
}

static bool own_cr3(const struct loading *l, unsigned long *cr3)
{
    unsigned long frame = xen_cr3_to_pfn(*cr3);

    if (!own_frame(l, &frame))
        return false;
    *cr3 = xen_pfn_to_cr3(frame);
    return true;
}

/* What names frames, but start_info of vCPU 0, which fill_finish() has found. */
static const char *rewrite_context(const struct loading *l, unsigned int vcpu,
                                   struct vcpu_guest_context *c)
{
    if (vcpu == 0 && !own_frame(l, &c->user_regs.rdx))
        return "start information";
    if (c->gdt_ents > 512 * ARRAY_SIZE(c->gdt_frames))
        return "a GDT";
    for (unsigned long i = 0; i < (c->gdt_ents + 511) / 512; i++)
        if (!own_frame(l, &c->gdt_frames[i]))
            return "a GDT";
    if (!own_cr3(l, &c->ctrlreg[3]) || (c->ctrlreg[1] && !own_cr3(l, &c->ctrlreg[1])))
        return "page tables";
    return NULL;
}

static int set_vcpu(struct loading *l, uint32_t type, uint32_t vcpu, const void *body, uint32_t n)
{
    struct xen_domctl op = { .domain = l->req->domid };
    const char *why = NULL;
    void *buf;
    int rc;

    if (vcpu >= l->req->vcpus)
        return error_set(l->e, EPROTO, NULL, "the state of vCPU %u of a guest that has %u", vcpu,
                         l->req->vcpus);
    buf = xen_buf(l->x, n);
    memcpy(buf, body, n);
    switch (type) {
    case STREAM_PV_VCPU_BASIC:
        why = rewrite_context(l, vcpu, buf);
        op.cmd = XEN_DOMCTL_setvcpucontext;
        op.u.vcpucontext.vcpu = vcpu;
        set_xen_guest_handle(op.u.vcpucontext.ctxt, buf);
        break;
    case STREAM_PV_VCPU_EXTENDED:
        op.cmd = XEN_DOMCTL_set_ext_vcpucontext;
        memcpy(&op.u, body, MIN(n, sizeof(op.u)));
        op.u.ext_vcpucontext.vcpu = vcpu;
        break;
    case STREAM_PV_VCPU_XSAVE:
        op.cmd = XEN_DOMCTL_setvcpuextstate;
        op.u.vcpuextstate.vcpu = vcpu;
        op.u.vcpuextstate.size = n;
        set_xen_guest_handle(op.u.vcpuextstate.buffer, buf);
        break;
    default:
        op.cmd = XEN_DOMCTL_set_vcpu_msrs;
        op.u.vcpu_msrs.vcpu = vcpu;
        op.u.vcpu_msrs.msr_count = n / sizeof(xen_domctl_vcpu_msr_t);
        set_xen_guest_handle(op.u.vcpu_msrs.msrs, buf);
    }
    rc = why ? error_set(l->e, EPROTO, NULL, "vCPU %u has %s in a page that is not in the stream",
                         vcpu, why)
             : xen_domctl(l->x, &op);
    xen_buf_free(l->x, buf);
    if (rc == 0 || why)
        return rc;
    xen_error(l->e, rc, "the hypervisor refused the state of vCPU %u (%s)", vcpu,
              stream_type_name(type));
    return error_remedy(l->e, "%s", see_log);
}

static int set_late(struct loading *l, const struct late_record *r)
{
    const uint8_t *body = (const uint8_t *)(r + 1);

    switch (r->type) {
    case STREAM_TSC_INFO:
        return set_tsc(l, body);
    case STREAM_SHARED_INFO:
        return set_shared_info(l, body);
    default: /* a vCPU's, which the reader has checked */
        return set_vcpu(l, r->type, *(const uint32_t *)body, body + 8, r->length - 8);
    }
}

static int set_all_late(struct loading *l)
{
    struct stat st;
    uint8_t *all;
    int rc = 0;

    if (fstat(l->late, &st) != 0)
        return error_sys(l->e, errno, NULL, "reading the state of vCPUs");
    all = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, l->late, 0);
    if (all == MAP_FAILED)
        return error_sys(l->e, errno, NULL, "reading the state of vCPUs");
    for (off_t at = 0; rc == 0 && at < st.st_size;) {
        const struct late_record *r = (const struct late_record *)(all + at);

        rc = set_late(l, r);
        at += sizeof(*r) + ((r->length + 7) & ~7u);
    }
    munmap(all, (size_t)st.st_size);
    return rc;
}

int set_rest(struct loading *l, const struct image_result *result, struct host *h)
{
    const struct e820_entry ram = { .size = l->req->max_kib << 10, .type = E820_RAM };
    const struct builder_request rings = { .domid = l->req->domid };
    struct target t = { .x = h->xen, .domid = l->req->domid, .e = l->e };

    if (pin_tables(l) != 0 || set_all_late(l) != 0)
        return -1;
    if (domain_memory_map(&t, &ram, 1) != 0)
        return -1;
    return domain_grants(&t, &rings, result->console_mfn, result->store_mfn);
}
