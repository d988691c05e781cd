/* SPDX-License-Identifier: MIT */
/*
 * MSRs that exit, as a list: the local APIC's, EFER, the hypercall page, the guest's own that have
 * no effect beyond being kept (MTRRs), and constants that a processor with this CPUID has.
 * Everything else is #GP. Numbers: Intel SDM volume 4, AMD APM volume 2 appendix A.
 */
#include <xen/arch-x86/cpufeatureset.h>

#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/hvm/copy.h"
#include "x86/hvm/exits.h"
#include "x86/hvm/hypercall_page.h"
#include "x86/hvm/state.h"
#include "x86/hvm/viridian.h"
#include "x86/policy/cpu_policy.h"
#include "x86/time/vtsc.h"

enum {
    MSR_MTRR_LAST_VARIABLE = 0x20f,
};

#define MTRR_DEF_VALID 0xcffull
#define HWCR_TSC_FREQ_P0 0x1000000ull
#define DE_CFG_LFENCE 0x2ull

static bool known(uint64_t val, uint64_t *out)
{
    *out = val;
    return true;
}

static bool is_apic_msr(uint32_t msr)
{
    return msr == MSR_APIC_BASE || msr == MSR_TSC_DEADLINE ||
           (msr >= MSR_X2APIC && msr <= MSR_X2APIC_LAST);
}

/* Memory types that may be written to a range register: UC, WC, WT, WP, WB. */
static bool type_ok(uint64_t type)
{
    return type == 0 || type == 1 || (type >= 4 && type <= 6);
}

static bool types_ok(uint64_t val)
{
    for (unsigned int i = 0; i < 8; i++)
        if (!type_ok(val >> 8 * i & 0xff))
            return false;
    return true;
}

/* The fixed-range register of this number, or NULL. */
static uint64_t *fixed_range(struct hvm_vcpu *v, uint32_t msr)
{
    if (msr == MSR_MTRR_FIX_64K)
        return &v->mtrr_fixed[0];
    if (msr >= MSR_MTRR_FIX_16K && msr <= MSR_MTRR_FIX_16K_LAST)
        return &v->mtrr_fixed[1 + msr - MSR_MTRR_FIX_16K];
    if (msr >= MSR_MTRR_FIX_4K && msr <= MSR_MTRR_FIX_4K_LAST)
        return &v->mtrr_fixed[3 + msr - MSR_MTRR_FIX_4K];
    return NULL;
}

static bool read_mtrr(struct hvm_vcpu *v, uint32_t msr, uint64_t *val)
{
    const uint64_t *fixed = fixed_range(v, msr);

    if (fixed)
        return known(*fixed, val);
    if (msr >= MSR_MTRR_FIRST && msr <= MSR_MTRR_LAST_VARIABLE)
        return known(v->mtrr_var[msr - MSR_MTRR_FIRST], val);
    if (msr == MSR_MTRR_DEF_TYPE)
        return known(v->mtrr_def, val);
    return msr == MSR_MTRR_CAP && known(HVM_MTRR_CAP, val);
}

/* PhysBase has a type and an address, PhysMask a valid bit and an address. */
static bool variable_ok(uint32_t msr, uint64_t val)
{
    uint64_t address = ((1ull << cpu_feat.phys_bits) - 1) & PAGE_MASK;

    if (msr & 1)
        return !(val & ~(address | 0x800));
    return !(val & ~(address | 0xff)) && type_ok(val & 0xff);
}

bool hvm_mtrr_ok(uint32_t msr, uint64_t val)
{
    if (msr >= MSR_MTRR_FIRST && msr <= MSR_MTRR_LAST_VARIABLE)
        return variable_ok(msr, val);
    if (msr == MSR_MTRR_DEF_TYPE)
        return !(val & ~MTRR_DEF_VALID) && type_ok(val & 0xff);
    return types_ok(val);
}

static bool write_mtrr(struct hvm_vcpu *v, uint32_t msr, uint64_t val)
{
    uint64_t *reg = fixed_range(v, msr);

    if (msr >= MSR_MTRR_FIRST && msr <= MSR_MTRR_LAST_VARIABLE)
        reg = &v->mtrr_var[msr - MSR_MTRR_FIRST];
    else if (msr == MSR_MTRR_DEF_TYPE)
        reg = &v->mtrr_def;
    if (!reg || !hvm_mtrr_ok(msr, val))
        return false;
    *reg = val;
    return true;
}

static bool read_constant(struct hvm_vcpu *v, uint32_t msr, uint64_t *val)
{
    (void)v;
    switch (msr) {
    case MSR_UCODE_REV:
    case MSR_MCG_CAP:
    case MSR_MCG_STATUS:
    case MSR_DEBUGCTL:
        return known(0, val);
    case MSR_MISC_ENABLE:
        return cpu_feat.intel && known(0x1801, val); /* fast strings; no BTS, no PEBS */
    case MSR_AMD_SYSCFG:
    case MSR_AMD_INT_PENDING: /* Linux looks whether C1E is on */
        return cpu_feat.amd && known(0, val);
    case MSR_AMD_HWCR:
        return cpu_feat.amd && known(HWCR_TSC_FREQ_P0, val);
    case MSR_AMD_DE_CFG:
        if (!cpu_feat.amd || !rdmsr_safe(msr, val))
            return false;
        *val &= DE_CFG_LFENCE;
        return true;
    default:
        return false;
    }
}

bool hvm_rdmsr(struct hvm_vcpu *v, uint32_t msr, uint64_t *val)
{
    if (is_apic_msr(msr))
        return vlapic_rdmsr(&v->lapic, msr, val);
    switch (msr) {
    case MSR_TSC:
        return known(vtsc_now(x86_domain(v->x.v.domain)) + v->x.tsc_offset, val);
    case MSR_EFER:
        return known(hvm_vendor->get(v, HVM_EFER), val);
    case MSR_PAT:
        return known(hvm_vendor->get(v, HVM_PAT), val);
    case MSR_TSC_AUX:
        return policy_has_tsc_aux() && known(v->tsc_aux, val);
    }
    return read_mtrr(v, msr, val) || read_constant(v, msr, val) || viridian_rdmsr(v, msr, val);
}

static bool write_tsc_aux(struct hvm_vcpu *v, uint64_t val)
{
    if (!policy_has_tsc_aux() || val >> 32)
        return false;
    v->tsc_aux = val;
    wrmsr(MSR_TSC_AUX, val);
    return true;
}

/* Written by kernels that write what they have read, or as firmware asks. */
static bool write_constant(struct hvm_vcpu *v, uint32_t msr, uint64_t val)
{
    uint64_t was;

    switch (msr) {
    case MSR_UCODE_REV:
    case MSR_MCG_STATUS:
        return val == 0;
    default:
        return read_constant(v, msr, &was) && was == val;
    }
}

bool hvm_wrmsr(struct hvm_vcpu *v, uint32_t msr, uint64_t val)
{
    if (is_apic_msr(msr))
        return vlapic_wrmsr(&v->lapic, msr, val);
    switch (msr) {
    case MSR_TSC:
        v->x.tsc_offset = val - vtsc_now(x86_domain(v->x.v.domain));
        hvm_set_tsc(v);
        return true;
    case MSR_EFER:
        return hvm_set_efer(v, val);
    case MSR_TSC_AUX:
        return write_tsc_aux(v, val);
    case XEN_HYPERCALL_MSR:
        if (!hvm_domain_of(v)->x.viridian)
            return hvm_write_hypercall_page(v, val);
        break;
    }
    return write_mtrr(v, msr, val) || write_constant(v, msr, val) || viridian_wrmsr(v, msr, val);
}
