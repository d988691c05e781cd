/* SPDX-License-Identifier: MIT */
/*
 * Model-specific registers. Three kinds are answered:
 *
 *   the vCPU's own      segment bases, TSC_AUX: kept with the vCPU
 *   constants           what the guest would find on a processor that has just what CPUID shows
 *   the machine's       facts that change nothing when read; some of them for Dom0 only
 *
 * Writes are accepted to the vCPU's own registers, and where a kernel writes what it has read.
 * Numbers: Intel SDM volume 4, AMD APM volume 2 appendix A and the family manuals.
 */
#include "x86/pv/msr.h"

#include <xen/arch-x86/cpufeatureset.h>

#include "core/access.h"
#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/policy/cpu_policy.h"
#include "x86/time/vtsc.h"
#include "x86/policy/cpu_policy.h"
#include "x86/pv/cpuid.h"
#include "x86/pv/privop.h"

enum {
    MSR_MTRR_LAST_VARIABLE = 0x21f,
};

#define APIC_BASE_BSP 0x100ull
#define APIC_BASE_ENABLED 0x800ull
#define APIC_BASE_ADDRESS 0xfee00000ull

#define FEATURE_CONTROL_LOCKED 0x1ull /* and no VMX */
#define MISC_ENABLE_HIDDEN 0x50088ull /* thermal control, perf. monitor, EIST, MONITOR */
#define MISC_ENABLE_NO_BTS_PEBS 0x1800ull
#define HWCR_TSC_FREQ_P0 0x1000000ull
#define NB_CFG_CF8_EXT (1ull << 46)
#define DE_CFG_LFENCE 0x2ull
#define PRED_CMD_IBPB 0x1ull

static bool is_dom0(const struct pv_vcpu *v)
{
    return access_host(v->x.v.domain);
}

static bool known(uint64_t val, uint64_t *out)
{
    *out = val;
    return true;
}

/* The hardware's value cut to `mask`; a processor without the register refuses. */
static bool hardware(uint32_t msr, uint64_t mask, uint64_t *out)
{
    if (!rdmsr_safe(msr, out))
        return false;
    *out &= mask;
    return true;
}

static uint64_t efer(void)
{
    return EFER_SCE | EFER_LME | EFER_LMA | (cpu_feat.nx ? EFER_NX : 0);
}

/* By the policy, and only where CPUID says that the register is there. */
static bool arch_caps(const struct pv_vcpu *v, uint64_t *val)
{
    const struct cpu_policy *p = policy_of(v->x.v.domain);

    if (!(cpu_policy_ask(p, 7, 0).d & (1u << (XEN_X86_FEATURE_ARCH_CAPS % 32))))
        return false;
    return known((uint64_t)p->msr[1].hi << 32 | p->msr[1].lo, val);
}

static bool read_intel(struct pv_vcpu *v, uint32_t msr, uint64_t *val)
{
    switch (msr) {
    case MSR_PLATFORM_ID:
        return is_dom0(v) && hardware(msr, ~0ull, val);
    case MSR_FEATURE_CONTROL:
        return known(FEATURE_CONTROL_LOCKED, val);
    case MSR_PLATFORM_INFO:
        return known(0, val); /* no CPUID faulting for guests */
    case MSR_ARCH_CAPABILITIES:
        return arch_caps(v, val);
    case MSR_MISC_ENABLE:
        if (!hardware(msr, ~MISC_ENABLE_HIDDEN, val))
            return false;
        *val |= MISC_ENABLE_NO_BTS_PEBS;
        return true;
    default:
        return false;
    }
}

static bool read_amd(struct pv_vcpu *v, uint32_t msr, uint64_t *val)
{
    switch (msr) {
    case MSR_AMD_SYSCFG:
        return known(0, val); /* no memory encryption */
    case MSR_AMD_HWCR:
        return known(HWCR_TSC_FREQ_P0, val);
    case MSR_AMD_DE_CFG:
        return hardware(msr, DE_CFG_LFENCE, val);
    case MSR_AMD_NB_CFG:
    case MSR_AMD_MMIO_CONF:
        return is_dom0(v) && hardware(msr, ~0ull, val);
    default:
        if (msr == MSR_AMD_PSTATE_LIMIT || msr == MSR_AMD_PSTATE_STATUS ||
            (msr >= MSR_AMD_PSTATE_FIRST && msr <= MSR_AMD_PSTATE_LAST))
            return is_dom0(v) && hardware(msr, ~0ull, val);
        return false;
    }
}

/* Memory types, for Dom0 to report; CPUID hides them, and they are never written. */
static bool is_mtrr(uint32_t msr)
{
    return msr == MSR_MTRR_CAP || msr == MSR_MTRR_DEF_TYPE ||
           (msr >= MSR_MTRR_FIRST && msr <= MSR_MTRR_LAST_VARIABLE) || msr == MSR_MTRR_FIX_64K ||
           (msr >= MSR_MTRR_FIX_64K + 8 && msr <= MSR_MTRR_FIX_16K_LAST) ||
           (msr >= MSR_MTRR_FIX_4K && msr <= MSR_MTRR_FIX_4K_LAST);
}

/*
 * A guest that was saved on Debian's Xen has found two empty banks there (struct vmce of the ABI
 * has as many), and its kernel reads them when it goes on, for better or worse.
 */
#define BANKS_FOUND 2u

static bool is_bank(uint32_t msr)
{
    return (msr >= MSR_MC_CTL(0) && msr < MSR_MC_CTL(BANKS_FOUND)) ||
           (msr >= MSR_MC_CTL2(0) && msr < MSR_MC_CTL2(BANKS_FOUND));
}

/* Intel shows the revision only after it was asked for by CPUID. */
static bool microcode_revision(uint64_t *val)
{
    uint32_t a, b, c, d;

    if (cpu_feat.intel) {
        /* untested: a register that is not there cannot be read below either */
        if (!wrmsr_safe(MSR_UCODE_REV, 0))
            return false;
        cpuid(1, 0, &a, &b, &c, &d);
    }
    return hardware(MSR_UCODE_REV, ~0ull, val);
}

static bool read_common(struct pv_vcpu *v, uint32_t msr, uint64_t *val)
{
    switch (msr) {
    case MSR_FS_BASE:
        return known(pv_get_segment_base(v, SEGBASE_FS), val);
    case MSR_GS_BASE:
        return known(pv_get_segment_base(v, SEGBASE_GS_KERNEL), val);
    case MSR_TSC:
        return known(vtsc_now(x86_domain(v->x.v.domain)), val);
    case MSR_TSC_AUX:
        if (!policy_has_tsc_aux())
            return false;
        return known(v->priv.tsc_aux, val);
    case MSR_EFER:
        return known(efer(), val);
    case MSR_APIC_BASE:
        return known(APIC_BASE_ADDRESS | APIC_BASE_ENABLED | (v->x.v.id ? 0 : APIC_BASE_BSP), val);
    case MSR_PAT:
        return hardware(msr, ~0ull, val);
    case MSR_UCODE_REV:
        return microcode_revision(val);
    case MSR_MCG_CAP: /* no banks: the hypervisor handles machine checks */
    case MSR_MCG_STATUS:
    case MSR_DEBUGCTL:
        return known(0, val);
    default:
        if (is_bank(msr))
            return known(0, val);
        return is_mtrr(msr) && is_dom0(v) && hardware(msr, ~0ull, val);
    }
}

static bool read_any(struct pv_vcpu *v, uint32_t msr, uint64_t *val)
{
    if (read_common(v, msr, val))
        return true;
    return cpu_feat.intel ? read_intel(v, msr, val) : cpu_feat.amd && read_amd(v, msr, val);
}

bool pv_rdmsr(struct pv_vcpu *v, uint32_t msr, uint64_t *val)
{
    /* Linux reads this one at each context switch where it has the FSGSBASE instructions. */
    if (likely(msr == MSR_KERNEL_GS_BASE)) {
        *val = pv_get_segment_base(v, SEGBASE_GS_USER);
        return true;
    }
    if (read_any(v, msr, val))
        return true;
    log_refusal(v->x.v.domain, "RDMSR %#x: not for PV guests", msr);
    *val = 0;
    return pv_domain(v->x.v.domain)->relaxed_msrs;
}

static bool write_tsc_aux(struct pv_vcpu *v, uint64_t val)
{
    if (!policy_has_tsc_aux() || val >> 32)
        return false;
    v->priv.tsc_aux = (uint32_t)val;
    wrmsr(MSR_TSC_AUX, val);
    return true;
}

/* A barrier against predictions of code that ran before: harms nobody, keeps nothing. */
static bool write_pred_cmd(const struct pv_vcpu *v, uint64_t val)
{
    struct cpuid_regs r;

    pv_cpuid(v, 0x80000008, 0, &r);
    if (!(r.b >> 12 & 1) || val & ~PRED_CMD_IBPB)
        return false;
    return !val || wrmsr_safe(MSR_PRED_CMD, val);
}

/* AMD: configuration accesses by ports to the registers beyond 256, the only bit Dom0 may move. */
static bool write_nb_cfg(const struct pv_vcpu *v, uint64_t val)
{
    uint64_t now;

    if (!is_dom0(v) || !cpu_feat.amd || !rdmsr_safe(MSR_AMD_NB_CFG, &now))
        return false;
    if ((val ^ now) & ~NB_CFG_CF8_EXT)
        return false;
    return val == now || wrmsr_safe(MSR_AMD_NB_CFG, val);
}

/* Registers that may be written with what a read of them shows; nothing happens. */
static bool write_unchanged(struct pv_vcpu *v, uint32_t msr, uint64_t val)
{
    uint64_t now;

    switch (msr) {
    case MSR_EFER:
    case MSR_APIC_BASE:
    case MSR_PAT:
    case MSR_MISC_ENABLE:
    case MSR_MCG_STATUS:
    case MSR_DEBUGCTL:
    case MSR_AMD_HWCR:
    case MSR_AMD_DE_CFG:
        return read_any(v, msr, &now) && val == now;
    case MSR_UCODE_REV: /* Intel: writing 0 before reading the revision */
        return val == 0;
    default:
        return is_bank(msr); /* which stay empty */
    }
}

static bool write_one(struct pv_vcpu *v, uint32_t msr, uint64_t val)
{
    switch (msr) {
    case MSR_FS_BASE:
        return pv_set_segment_base(v, SEGBASE_FS, val) == 0;
    case MSR_GS_BASE:
        return pv_set_segment_base(v, SEGBASE_GS_KERNEL, val) == 0;
    case MSR_KERNEL_GS_BASE:
        return pv_set_segment_base(v, SEGBASE_GS_USER, val) == 0;
    case MSR_TSC_AUX:
        return write_tsc_aux(v, val);
    case MSR_PRED_CMD:
        return write_pred_cmd(v, val);
    case MSR_AMD_NB_CFG:
        return write_nb_cfg(v, val);
    case XEN_HYPERCALL_MSR:
        return pv_write_hypercall_page(v, GFN(val >> PAGE_SHIFT)) == 0;
    default:
        return write_unchanged(v, msr, val);
    }
}

bool pv_wrmsr(struct pv_vcpu *v, uint32_t msr, uint64_t val)
{
    if (write_one(v, msr, val))
        return true;
    log_refusal(v->x.v.domain, "WRMSR %#x <- %#llx: not for PV guests", msr,
                (unsigned long long)val);
    return pv_domain(v->x.v.domain)->relaxed_msrs;
}
