/* SPDX-License-Identifier: MIT */
/* What guests and tools are told of this machine: the answers that only x86 knows. */
#include <cpuid.h>

#include "core/hypercall.h"

#include <xen/domctl.h>
#include <xen/sysctl.h>
#include <xen/version.h>

#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/hvm/hvm.h"
#include "x86/policy/cpu_policy.h"
#include "x86/pv/pv.h"
#include "x86/time/tsc.h"

const struct guest_ops *const guest_kinds[NR_GUEST_KINDS] = {
    [GUEST_PV] = &pv_guest_ops.g,
    [GUEST_HVM] = &hvm_guest_ops.g,
};

const char *arch_capabilities(void)
{
    return hvm_vendor ? "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 "
                      : "xen-3.0-x86_64 ";
}

uint64_t arch_virt_start(void)
{
    return HV_START;
}

uint64_t arch_physid(unsigned int cpu)
{
    const struct x86_pcpu *xp = (const struct x86_pcpu *)pcpus[cpu];

    return (uint64_t)xp->acpi_id << 32 | xp->apic_id;
}

#define CPUID_HTT (1u << 28) /* leaf 1 EDX: leaf 1 EBX counts the CPUs of a package */

/* How many low bits of an APIC id tell threads of a core, and CPUs of a package, apart. */
struct topology {
    unsigned int thread_bits, package_bits;
};

static unsigned int bits_for(unsigned int n)
{
    unsigned int bits = 0;

    while (bits < 31 && 1u << bits < n)
        bits++;
    return bits;
}

static struct topology topology(void)
{
    struct topology t = { 0, 0 };
    uint32_t a, b, c, d;

    if (__get_cpuid_count(0xb, 0, &a, &b, &c, &d) && b != 0) {
        t.thread_bits = a & 31;
        __get_cpuid_count(0xb, 1, &a, &b, &c, &d);
        t.package_bits = a & 31;
    } else if (__get_cpuid(1, &a, &b, &c, &d) && (d & CPUID_HTT)) {
        t.package_bits = bits_for(b >> 16 & 0xff);
    }
    return t;
}

uint64_t arch_core(unsigned int cpu)
{
    return ((const struct x86_pcpu *)pcpus[cpu])->apic_id >> topology().thread_bits;
}

/* CPUs that share `bits` upper APIC id bits with CPU 0. */
static uint32_t siblings(unsigned int bits)
{
    uint32_t first = ((const struct x86_pcpu *)pcpus[0])->apic_id >> bits, n = 0;

    for (unsigned int i = 0; i < nr_pcpus; i++)
        n += ((const struct x86_pcpu *)pcpus[i])->apic_id >> bits == first;
    return n ? n : 1;
}

/* In the order in which tools print them. */
static void hw_caps(uint32_t *cap)
{
    uint32_t a, b, c, d;

    __cpuid(1, a, b, c, d);
    cap[0] = d;
    cap[1] = c;
    if (__get_cpuid(0x80000001, &a, &b, &c, &d)) {
        cap[2] = d;
        cap[3] = c;
    }
    if (__get_cpuid_count(0xd, 1, &a, &b, &c, &d))
        cap[4] = a;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        cap[5] = b;
        cap[6] = c;
    }
    if (__get_cpuid(0x80000007, &a, &b, &c, &d))
        cap[7] = d;
}

void arch_physinfo(struct xen_sysctl_physinfo *info)
{
    struct topology t = topology();

    info->threads_per_core = siblings(t.thread_bits);
    info->cores_per_socket = siblings(t.package_bits) / info->threads_per_core;
    info->cpu_khz = (uint32_t)(tsc_hz() / 1000);
    info->capabilities |= XEN_SYSCTL_PHYSCAP_pv;
    if (hvm_vendor)
        info->capabilities |= XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_hap;
    hw_caps(info->hw_cap);
}

void arch_cputopo(unsigned int cpu, struct xen_sysctl_cputopo *topo)
{
    struct topology t = topology();
    uint32_t id = ((const struct x86_pcpu *)pcpus[cpu])->apic_id;

    topo->socket = id >> t.package_bits;
    topo->core = (id & ((1u << t.package_bits) - 1)) >> t.thread_bits;
    topo->node = 0;
}

long arch_sysctl(struct vcpu *v, struct xen_sysctl *op, bool *copy_back)
{
    switch (op->cmd) {
    case XEN_SYSCTL_get_cpu_levelling_caps:
        op->u.cpu_levelling_caps.caps = 0;
        *copy_back = true;
        return 0;
    case XEN_SYSCTL_get_cpu_featureset:
    case XEN_SYSCTL_get_cpu_policy:
        return policy_sysctl(v, op, copy_back);
    case XEN_SYSCTL_page_offline_op:
    case XEN_SYSCTL_psr_cmt_op:
    case XEN_SYSCTL_psr_alloc:
    case XEN_SYSCTL_coverage_op:
        return E(EOPNOTSUPP);
    default: /* what a Xen without the feature answers */
        return E(ENOSYS);
    }
}

long arch_domctl(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back)
{
    switch (op->cmd) {
    case XEN_DOMCTL_get_address_size:
        op->u.address_size.size = d->is_64bit ? 64 : 32;
        *copy_back = true;
        return 0;
    case XEN_DOMCTL_gettscinfo:
    case XEN_DOMCTL_settscinfo:
        return policy_domctl_tsc(v, d, op, copy_back);
    case XEN_DOMCTL_get_cpu_policy:
    case XEN_DOMCTL_set_cpu_policy:
        return policy_domctl(v, d, op, copy_back);
    default:
        return E(ENOSYS);
    }
}
