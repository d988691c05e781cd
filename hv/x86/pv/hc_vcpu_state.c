/* SPDX-License-Identifier: MIT */
/*
 * domctl's calls that carry a PV vCPU's state from one host to another, beyond what
 * getvcpucontext says: its 32-bit entry points, its extended (XSAVE) state, its MSRs.
 *
 * What is set comes from a file or from the network, so it is checked as if the guest had set it
 * itself. Called under the domctl lock; the vCPU is paused while its state is looked at or changed,
 * and nothing changes unless all is good.
 */
#include "x86/pv/hc_vcpu_state.h"

#include <xen/arch-x86/cpufeatureset.h>

#include "core/hc_domctl.h"
#include "core/log.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/registers.h"
#include "x86/pv/ptable.h"
#include "x86/policy/cpu_policy.h"
#include "x86/switch.h"

/* --- entry points of 32-bit code --- */

/* The ABI gives room for a selector too; a 64-bit kernel's is always this one. */
#define KERNEL_CS 0xe033

static void get_ext(const struct pv_vcpu *pv, struct xen_domctl_ext_vcpucontext *c)
{
    uint32_t vcpu = c->vcpu;

    memset(c, 0, sizeof(*c));
    c->vcpu = vcpu;
    c->size = sizeof(*c);
    c->syscall32_callback_eip = pv->syscall32_rip;
    c->syscall32_callback_cs = KERNEL_CS;
    c->syscall32_disables_events = pv->syscall32_mask;
    c->sysenter_callback_eip = pv->sysenter_rip;
    c->sysenter_callback_cs = KERNEL_CS;
    c->sysenter_disables_events = pv->sysenter_mask;
}

/* The selectors mean nothing here, nor do machine-check banks, of which a PV guest has none. */
static long set_ext(struct pv_vcpu *pv, const struct xen_domctl_ext_vcpucontext *c)
{
    if (c->size < offsetof(struct xen_domctl_ext_vcpucontext, vmce) || c->size > sizeof(*c)) {
        log_refusal(pv->x.v.domain, "set_ext_vcpucontext: %u bytes, not %zu to %zu", c->size,
                    offsetof(struct xen_domctl_ext_vcpucontext, vmce), sizeof(*c));
        return E(EINVAL);
    }
    if (!pv_canonical(c->syscall32_callback_eip) || !pv_canonical(c->sysenter_callback_eip)) {
        log_refusal(pv->x.v.domain, "set_ext_vcpucontext: entry points %#llx, %#llx: no addresses",
                    (unsigned long long)c->syscall32_callback_eip,
                    (unsigned long long)c->sysenter_callback_eip);
        return E(EINVAL);
    }
    pv->syscall32_rip = c->syscall32_callback_eip;
    pv->syscall32_mask = c->syscall32_disables_events != 0;
    pv->sysenter_rip = c->sysenter_callback_eip;
    pv->sysenter_mask = c->sysenter_disables_events != 0;
    return 0;
}

/* --- extended state --- */

/*
 * The ABI's buffer: the guest's XCR0, all states that it ever switched on (here: those that are on
 * or in use), then an XSAVE area in the standard form, as long as these states need.
 */
struct xsave_buffer {
    uint64_t xcr0, accum;
    uint8_t legacy[512];
    uint64_t bv, comp_bv, reserved[6];
};
#define XSAVE_HEAD offsetof(struct xsave_buffer, legacy)
#define MXCSR_AT 24
#define MXCSR_MASK 0xffffu

/* Bytes of the buffer for these states. */
static uint64_t buffer_size(const struct domain *d, uint64_t states)
{
    return XSAVE_HEAD + cpu_policy_xsave_size(policy_of(d), states, false);
}

static uint64_t state_in_use(const struct pv_vcpu *pv)
{
    uint64_t bv;

    memcpy(&bv, (const uint8_t *)pv->x.xsave + 512, sizeof(bv));
    return (bv | pv->x.xcr0 | 3) & cpu_feat.xcr0_mask;
}

static long get_xsave(struct vcpu *v, struct pv_vcpu *pv, struct xen_domctl_vcpuextstate *op)
{
    uint64_t head[2] = { pv->x.xcr0, 0 }, size;
    gptr_t to = HANDLE_PTR(op->buffer);

    if (!cpu_feat.xsave || !cpu_policy_states(policy_of(pv->x.v.domain))) {
        op->size = op->xfeature_mask = 0;
        return 0;
    }
    head[1] = state_in_use(pv);
    size = buffer_size(pv->x.v.domain, head[1]);
    if (op->size == 0 && op->xfeature_mask == 0) { /* how much is it? */
        op->size = size;
        op->xfeature_mask = cpu_feat.xcr0_mask;
        return 0;
    }
    if (op->size != size || op->xfeature_mask != cpu_feat.xcr0_mask) {
        log_refusal(pv->x.v.domain, "getvcpuextstate: %llu bytes of states %#llx: it has %llu",
                    (unsigned long long)op->size, (unsigned long long)op->xfeature_mask,
                    (unsigned long long)size);
        return E(EINVAL);
    }
    if (guest_write(v, to, head, sizeof(head)) ||
        guest_write(v, gptr_add(to, XSAVE_HEAD), pv->x.xsave, size - XSAVE_HEAD))
        return E(EFAULT);
    return 0;
}

/* What is wrong with a saved state of `size` bytes for d, in words; NULL: nothing. */
static const char *bad_xsave(const struct domain *d, const struct xsave_buffer *b, uint64_t size)
{
    uint64_t zero = b->comp_bv;

    for (unsigned int i = 0; i < ARRAY_SIZE(b->reserved); i++)
        zero |= b->reserved[i];
    if (!policy_xcr0_ok(d, b->xcr0) || !policy_xcr0_ok(d, b->accum))
        return "states that are not here";
    if ((b->xcr0 | b->bv) & ~b->accum)
        return "states beyond those that it says";
    if (zero)
        return "not the standard form";
    if (size != buffer_size(d, b->accum))
        return "a length that is not these states'";
    return NULL;
}

static void take_xsave(struct pv_vcpu *pv, const struct xsave_buffer *b, uint64_t size)
{
    uint8_t *area = pv->x.xsave;
    uint32_t mxcsr;

    memset(area, 0, cpu_feat.xsave_size);
    memcpy(area, b->legacy, size - XSAVE_HEAD);
    memcpy(&mxcsr, area + MXCSR_AT, sizeof(mxcsr));
    mxcsr &= MXCSR_MASK;
    memcpy(area + MXCSR_AT, &mxcsr, sizeof(mxcsr));
    pv->x.xcr0 = b->xcr0;
}

static long set_xsave(struct vcpu *v, struct pv_vcpu *pv, const struct xen_domctl_vcpuextstate *op)
{
    struct domain *d = pv->x.v.domain;
    struct xsave_buffer *b;
    unsigned int order;
    const char *why;
    long rc = 0;

    /* untested: less than a buffer's head, which bad_xsave() refuses for its length as well */
    if (!cpu_feat.xsave || op->size < sizeof(*b) ||
        op->size > XSAVE_HEAD + (uint64_t)cpu_feat.xsave_size) {
        log_refusal(d, "setvcpuextstate: %llu bytes of state: not for this processor",
                    (unsigned long long)op->size);
        return E(EINVAL);
    }
    order = frame_order(op->size);
    b = frame_alloc_hv_order(order);
    if (!b)
        return E(ENOMEM);
    if (guest_read(v, b, HANDLE_PTR(op->buffer), op->size)) {
        rc = E(EFAULT);
    } else if ((why = bad_xsave(d, b, op->size)) != NULL) {
        log_refusal(d, "setvcpuextstate: %s (XCR0 %#llx, all %#llx, in use %#llx, %llu bytes)", why,
                    (unsigned long long)b->xcr0, (unsigned long long)b->accum,
                    (unsigned long long)b->bv, (unsigned long long)op->size);
        rc = E(EINVAL);
    } else {
        take_xsave(pv, b, op->size);
    }
    frame_free_hv_order(b, order);
    return rc;
}

/* --- MSRs --- */

/* Those that another host's guest may have, and a guest here only as 0: CPUID faulting off, no
 * masks of breakpoints. */
#define MAX_MSRS 8u /* a call names */

static long get_msrs(struct vcpu *v, struct pv_vcpu *pv, struct xen_domctl_vcpu_msrs *op)
{
    struct xen_domctl_vcpu_msr m = { .index = MSR_TSC_AUX, .value = pv->priv.tsc_aux };
    bool there = policy_has_tsc_aux() && m.value;
    gptr_t to = HANDLE_PTR(op->msrs);

    if (!to.v) { /* how many may there be? */
        op->msr_count = 1;
        return 0;
    }
    if (op->msr_count < there) /* no refusal: the tool asks again with more room */
        return E(ENOBUFS);
    op->msr_count = there;
    return there && guest_put(v, to, &m) ? E(EFAULT) : 0;
}

static bool msr_ok(const struct xen_domctl_vcpu_msr *m)
{
    if (m->reserved)
        return false;
    switch (m->index) {
    case MSR_TSC_AUX:
        return policy_has_tsc_aux() && !(m->value >> 32);
    case MSR_MISC_FEATURES:
    case MSR_AMD_DR0_MASK:
    case MSR_AMD_DR1_MASK ... MSR_AMD_DR3_MASK:
        return m->value == 0;
    default:
        return false;
    }
}

static long set_msrs(struct vcpu *v, struct pv_vcpu *pv, const struct xen_domctl_vcpu_msrs *op)
{
    struct xen_domctl_vcpu_msr m[MAX_MSRS];

    if (op->msr_count > MAX_MSRS) {
        log_refusal(pv->x.v.domain, "set_vcpu_msrs: %u MSRs in one call", op->msr_count);
        return E(EINVAL);
    }
    if (guest_read(v, m, HANDLE_PTR(op->msrs), op->msr_count * sizeof(m[0])))
        return E(EFAULT);
    for (uint32_t i = 0; i < op->msr_count; i++) {
        if (msr_ok(&m[i]))
            continue;
        log_refusal(pv->x.v.domain, "set_vcpu_msrs: MSR %#x = %#llx: not for PV guests here",
                    m[i].index, (unsigned long long)m[i].value);
        return E(EINVAL);
    }
    for (uint32_t i = 0; i < op->msr_count; i++)
        if (m[i].index == MSR_TSC_AUX)
            pv->priv.tsc_aux = (uint32_t)m[i].value;
    return 0;
}

/* --- the calls --- */

static uint32_t vcpu_of(const struct xen_domctl *op)
{
    switch (op->cmd) {
    case XEN_DOMCTL_get_ext_vcpucontext:
    case XEN_DOMCTL_set_ext_vcpucontext:
        return op->u.ext_vcpucontext.vcpu;
    case XEN_DOMCTL_getvcpuextstate:
    case XEN_DOMCTL_setvcpuextstate:
        return op->u.vcpuextstate.vcpu;
    default:
        return op->u.vcpu_msrs.vcpu;
    }
}

/* pv does not run, and its state is in memory. */
static long one_call(struct vcpu *v, struct pv_vcpu *pv, struct xen_domctl *op, bool *copy_back)
{
    switch (op->cmd) {
    case XEN_DOMCTL_get_ext_vcpucontext:
        get_ext(pv, &op->u.ext_vcpucontext);
        *copy_back = true;
        return 0;
    case XEN_DOMCTL_set_ext_vcpucontext:
        return set_ext(pv, &op->u.ext_vcpucontext);
    case XEN_DOMCTL_getvcpuextstate:
        *copy_back = true;
        return get_xsave(v, pv, &op->u.vcpuextstate);
    case XEN_DOMCTL_setvcpuextstate:
        return set_xsave(v, pv, &op->u.vcpuextstate);
    case XEN_DOMCTL_get_vcpu_msrs:
        *copy_back = true;
        return get_msrs(v, pv, &op->u.vcpu_msrs);
    case XEN_DOMCTL_set_vcpu_msrs:
        return set_msrs(v, pv, &op->u.vcpu_msrs);
    default:
        return E(ENOSYS);
    }
}

long pv_domctl_vcpu_state(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back)
{
    struct vcpu *t = domctl_vcpu(d, vcpu_of(op));
    long rc;

    if (d == v->domain)
        return E(EINVAL);
    if (!t)
        return vcpu_of(op) >= d->max_vcpus ? E(EINVAL) : E(ESRCH);
    hc_charge(8);
    domain_pause(d, true);
    switch_sync(t);
    rc = one_call(v, pv_vcpu(t), op, copy_back);
    domain_unpause(d);
    return rc;
}
