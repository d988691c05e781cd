/* SPDX-License-Identifier: MIT */
/*
 * mca: Dom0's machine-check log. Corrected errors are not collected (an uncorrected one is a panic
 * that names it), so the queue is empty; the CPUs' identities are what Linux asks for at boot.
 */
#include "core/hypercall.h"

#include <xen/arch-x86/xen-mca.h>

#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/signature.h"

/* All CPUs are of one kind but for their numbers. */
static void describe_cpu(unsigned int cpu, xen_mc_logical_cpu_t *out)
{
    const struct x86_pcpu *xp = (const struct x86_pcpu *)pcpus[cpu];
    struct cpu_signature sig;
    uint32_t a, b, c, d, max;

    memset(out, 0, sizeof(*out));
    out->mc_cpunr = cpu;
    out->mc_chipid = cpu; /* as cputopoinfo says: each a package of its own */
    out->mc_apicid = xp->apic_id;
    out->mc_ncores = out->mc_ncores_active = out->mc_nthreads = 1;
    cpuid(0, 0, &max, &b, &c, &d);
    out->mc_cpuid_level = (int32_t)max;
    memcpy(out->mc_vendorid, &b, 4);
    memcpy(out->mc_vendorid + 4, &d, 4);
    memcpy(out->mc_vendorid + 8, &c, 4);
    cpuid(1, 0, &a, &b, &c, &d);
    sig = cpu_signature(a);
    out->mc_family = sig.family;
    out->mc_model = sig.model;
    out->mc_step = sig.stepping;
    out->mc_cpu_caps[0] = d;
    out->mc_cpu_caps[4] = c;
    out->mc_cache_alignment = (b >> 8 & 255) * 8;
    out->mc_cache_size = out->mc_cache_alignment;
}

/* Their number, and when there is a buffer, as many of them as it takes. */
static long physcpuinfo(struct vcpu *v, struct xen_mc_physcpuinfo *op)
{
    xen_mc_logical_cpu_t info;
    uint32_t room = op->ncpus;
    gptr_t at;

    op->ncpus = nr_pcpus;
    if (!op->info.p)
        return 0;
    if (room == 0)
        return E(EINVAL);
    op->ncpus = MIN(room, nr_pcpus);
    for (uint32_t i = 0; i < op->ncpus; i++) {
        describe_cpu(i, &info);
        if (!gptr_index(HANDLE_PTR(op->info), i, sizeof(info), &at) || guest_put(v, at, &info))
            return E(EFAULT);
    }
    return 0;
}

static long fetch(struct xen_mc_fetch *op)
{
    uint32_t queue = op->flags & (XEN_MC_NONURGENT | XEN_MC_URGENT);

    if (queue != XEN_MC_NONURGENT && queue != XEN_MC_URGENT)
        return E(EINVAL);
    op->flags = op->flags & XEN_MC_ACK ? XEN_MC_OK : XEN_MC_NODATA;
    op->fetch_id = 0;
    return 0;
}

long hc_mca(struct vcpu *v, const struct hc_args *args)
{
    unsigned long arg = args->a[0];
    struct xen_mc op;
    long rc;

    if (guest_get(v, &op, GPTR(arg)))
        return E(EFAULT);
    if (op.interface_version != XEN_MCA_INTERFACE_VERSION)
        return E(EACCES);
    if (op.cmd == XEN_MC_physcpuinfo)
        rc = physcpuinfo(v, &op.u.mc_physcpuinfo);
    else if (op.cmd == XEN_MC_fetch)
        rc = fetch(&op.u.mc_fetch);
    else
        rc = E(EOPNOTSUPP); /* injection, and telling guests */
    if (rc == 0 && guest_put(v, GPTR(arg), &op))
        rc = E(EFAULT);
    return rc;
}
