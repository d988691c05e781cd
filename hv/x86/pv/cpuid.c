/* SPDX-License-Identifier: MIT */
/*
 * Each feature word has a mask of what PV guests may see. A bit is in it when the instructions work
 * in ring 3 without more help, or when privop.c and msr.c do the rest. Left out are: what belongs
 * to the hypervisor (paging modes, SMEP, PCID, VMX, MTRRs, MWAIT, performance counters), and
 * features with per-task state that nobody switches yet (PKU, CET, MPX, SPEC_CTRL, debug address
 * masks).
 */
#include "x86/pv/cpuid.h"

#include <xen/arch-x86/cpufeatureset.h>
#include <xen/arch-x86/cpuid.h>

#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"

#define FB(name) (1u << (XEN_X86_FEATURE_##name % 32))

#define MASK_1_EDX                                                                             \
    (FB(FPU) | FB(DE) | FB(TSC) | FB(MSR) | FB(PAE) | FB(MCE) | FB(CX8) | FB(APIC) | FB(SEP) | \
     FB(MCA) | FB(CMOV) | FB(PAT) | FB(CLFLUSH) | FB(ACPI) | FB(MMX) | FB(FXSR) | FB(SSE) |    \
     FB(SSE2) | FB(SS))
#define MASK_1_ECX                                                                         \
    (FB(SSE3) | FB(PCLMULQDQ) | FB(SSSE3) | FB(FMA) | FB(CX16) | FB(SSE4_1) | FB(SSE4_2) | \
     FB(MOVBE) | FB(POPCNT) | FB(AESNI) | FB(XSAVE) | FB(AVX) | FB(F16C) | FB(RDRAND))
#define MASK_7_EBX                                                                          \
    (FB(FSGSBASE) | FB(BMI1) | FB(AVX2) | FB(FDP_EXCP_ONLY) | FB(BMI2) | FB(ERMS) |         \
     FB(NO_FPU_SEL) | FB(AVX512F) | FB(AVX512DQ) | FB(RDSEED) | FB(ADX) | FB(AVX512_IFMA) | \
     FB(CLFLUSHOPT) | FB(CLWB) | FB(AVX512PF) | FB(AVX512ER) | FB(AVX512CD) | FB(SHA) |     \
     FB(AVX512BW) | FB(AVX512VL))
#define MASK_7_ECX                                                                                 \
    (FB(PREFETCHWT1) | FB(AVX512_VBMI) | FB(AVX512_VBMI2) | FB(GFNI) | FB(VAES) | FB(VPCLMULQDQ) | \
     FB(AVX512_VNNI) | FB(AVX512_BITALG) | FB(AVX512_VPOPCNTDQ) | FB(RDPID) | FB(CLDEMOTE))
#define MASK_7_EDX                                                                     \
    (FB(AVX512_4VNNIW) | FB(AVX512_4FMAPS) | FB(FSRM) | FB(MD_CLEAR) | FB(SERIALIZE) | \
     FB(ARCH_CAPS))
#define MASK_7_1_EAX (FB(AVX_VNNI) | FB(AVX512_BF16) | FB(FZRM) | FB(FSRS) | FB(FSRCS))
#define MASK_7_2_EDX FB(MCDT_NO)
#define MASK_D_1_EAX (FB(XSAVEOPT) | FB(XSAVEC) | FB(XGETBV1))
#define MASK_E1_EDX \
    (FB(SYSCALL) | FB(NX) | FB(MMXEXT) | FB(FFXSR) | FB(RDTSCP) | FB(LM) | FB(3DNOWEXT) | FB(3DNOW))
#define MASK_E1_ECX                                                                      \
    (FB(LAHF_LM) | FB(ABM) | FB(SSE4A) | FB(MISALIGNSSE) | FB(3DNOWPREFETCH) | FB(XOP) | \
     FB(FMA4) | FB(TBM))
#define MASK_E8_EBX \
    (FB(CLZERO) | FB(RSTR_FP_ERR_PTRS) | FB(IBPB) | FB(SSB_NO) | FB(BTC_NO) | FB(IBPB_RET))
#define MASK_E21_EAX \
    (FB(LFENCE_DISPATCH) | FB(VERW_CLEAR) | FB(NSCB) | FB(SRSO_NO) | FB(SRSO_US_NO))

/* AMD repeats these bits of leaf 1 EDX in leaf 0x80000001 EDX. */
#define COMMON_1_EDX 0x0183f3ffu

/* What needs AVX state, and what AVX-512 state. */
#define AVX_1_ECX (FB(FMA) | FB(AVX) | FB(F16C))
#define AVX_7_EBX FB(AVX2)
#define AVX_7_ECX (FB(VAES) | FB(VPCLMULQDQ))
#define AVX_7_1_EAX FB(AVX_VNNI)
#define AVX_E1_ECX (FB(XOP) | FB(FMA4))
#define ZMM_7_EBX                                                                                \
    (FB(AVX512F) | FB(AVX512DQ) | FB(AVX512_IFMA) | FB(AVX512PF) | FB(AVX512ER) | FB(AVX512CD) | \
     FB(AVX512BW) | FB(AVX512VL))
#define ZMM_7_ECX                                                               \
    (FB(AVX512_VBMI) | FB(AVX512_VBMI2) | FB(AVX512_VNNI) | FB(AVX512_BITALG) | \
     FB(AVX512_VPOPCNTDQ))
#define ZMM_7_EDX (FB(AVX512_4VNNIW) | FB(AVX512_4FMAPS))
#define ZMM_7_1_EAX FB(AVX512_BF16)

#define XSTATE_AVX 0x4ull
#define XSTATE_ZMM 0xe0ull
#define XSAVE_HEADER_END 576u /* legacy area and header */

#define CR4_OSXSAVE 0x40000ull

#define MAX_BASIC_LEAF 0xdu
#define MAX_EXT_LEAF 0x80000021u
#define VIRT_BITS 48u

struct pv_cpuid_time pv_cpuid_time;

static void raw(uint32_t leaf, uint32_t sub, struct cpuid_regs *r)
{
    cpuid(leaf, sub, &r->a, &r->b, &r->c, &r->d);
}

static bool have_avx(void)
{
    return cpu_feat.xcr0_mask & XSTATE_AVX;
}

static bool have_zmm(void)
{
    return (cpu_feat.xcr0_mask & XSTATE_ZMM) == XSTATE_ZMM;
}

static void mask_1(const struct pv_vcpu *v, struct cpuid_regs *r)
{
    r->b = (r->b & 0xffff) | 1u << 16 | pv_apic_id(v) << 24; /* one logical CPU a package */
    r->c &= MASK_1_ECX;
    r->d &= MASK_1_EDX;
    if (!have_avx())
        r->c &= ~AVX_1_ECX;
    if (!cpu_feat.xsave)
        r->c &= ~FB(XSAVE);
    else if (v->priv.cr4 & CR4_OSXSAVE)
        r->c |= FB(OSXSAVE);
    r->c |= FB(HYPERVISOR);
}

/* Caches: keep size and kind, share nothing between vCPUs. */
static void mask_4(struct cpuid_regs *r)
{
    r->a &= 0x3fff;
}

static void mask_7(uint32_t sub, struct cpuid_regs *r)
{
    uint32_t no_b = have_avx() ? 0 : AVX_7_EBX, no_c = have_avx() ? 0 : AVX_7_ECX, no_d = 0;
    uint32_t no_1a = have_avx() ? 0 : AVX_7_1_EAX;

    if (!have_zmm()) {
        no_b |= ZMM_7_EBX;
        no_c |= ZMM_7_ECX;
        no_d |= ZMM_7_EDX;
        no_1a |= ZMM_7_1_EAX;
    }
    switch (sub) {
    case 0:
        *r = (struct cpuid_regs){ r->a < 2 ? r->a : 2, r->b & MASK_7_EBX & ~no_b,
                                  r->c & MASK_7_ECX & ~no_c, r->d & MASK_7_EDX & ~no_d };
        break;
    case 1:
        *r = (struct cpuid_regs){ r->a & MASK_7_1_EAX & ~no_1a, 0, 0, 0 };
        break;
    case 2:
        *r = (struct cpuid_regs){ 0, 0, 0, r->d & MASK_7_2_EDX };
        break;
    default:
        *r = (struct cpuid_regs){ 0 };
    }
}

/* Topology: two levels, each with one logical CPU. */
static void leaf_b(const struct pv_vcpu *v, uint32_t sub, struct cpuid_regs *r)
{
    *r = (struct cpuid_regs){ 0, 0, sub & 0xff, pv_apic_id(v) };
    if (sub < 2) {
        r->b = 1;
        r->c |= (sub + 1) << 8;
    }
}

/* Bytes of an XSAVE area for the states in `mask`, in standard or compacted form. */
static uint32_t xsave_size(uint64_t mask, bool compact)
{
    uint32_t size = XSAVE_HEADER_END;
    struct cpuid_regs r;

    for (unsigned int i = 2; i < 63; i++) {
        if (!(mask >> i & 1))
            continue;
        raw(0xd, i, &r);
        if (!compact)
            size = MAX(size, r.b + r.a);
        else
            size = (r.c & 2 ? ALIGN_UP(size, 64u) : size) + r.a;
    }
    return size;
}

static void leaf_d(const struct pv_vcpu *v, uint32_t sub, struct cpuid_regs *r)
{
    uint64_t mask = cpu_feat.xcr0_mask;

    if (!cpu_feat.xsave) {
        *r = (struct cpuid_regs){ 0 };
    } else if (sub == 0) {
        *r = (struct cpuid_regs){ (uint32_t)mask, xsave_size(v->x.xcr0, false),
                                  xsave_size(mask, false), (uint32_t)(mask >> 32) };
    } else if (sub == 1) {
        r->a &= MASK_D_1_EAX;
        r->b = r->a & FB(XSAVEC) ? xsave_size(v->x.xcr0, true) : 0;
        r->c = r->d = 0;
    } else if (sub < 63 && (mask >> sub & 1)) {
        r->c &= 2; /* aligned in compacted form; never a supervisor state */
        r->d = 0;
    } else {
        *r = (struct cpuid_regs){ 0 };
    }
}

static void basic(const struct pv_vcpu *v, uint32_t leaf, uint32_t sub, struct cpuid_regs *r)
{
    switch (leaf) {
    case 0:
        r->a = MIN(r->a, MAX_BASIC_LEAF);
        break;
    case 1:
        mask_1(v, r);
        break;
    case 2:
        break;
    case 4:
        mask_4(r);
        break;
    case 7:
        mask_7(sub, r);
        break;
    case 0xb:
        leaf_b(v, sub, r);
        break;
    case 0xd:
        leaf_d(v, sub, r);
        break;
    default:
        *r = (struct cpuid_regs){ 0 }; /* serial number, power, counters, ... */
    }
}

static void mask_e1(struct cpuid_regs *r)
{
    r->c &= MASK_E1_ECX;
    if (!have_avx())
        r->c &= ~AVX_E1_ECX;
    r->d &= MASK_E1_EDX | (cpu_feat.amd ? COMMON_1_EDX & MASK_1_EDX : 0);
    if (!cpu_feat.nx)
        r->d &= ~FB(NX);
}

static void extended(const struct pv_vcpu *v, uint32_t leaf, struct cpuid_regs *r)
{
    switch (leaf) {
    case 0x80000000:
        r->a = MIN(r->a, MAX_EXT_LEAF);
        break;
    case 0x80000001:
        mask_e1(r);
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        break; /* the processor's name */
    case 0x80000005:
    case 0x80000006:
        break; /* caches */
    case 0x80000007:
        /* The TSC's rate is a promise for domains that stay on this machine. */
        *r = (struct cpuid_regs){ 0, 0, 0, v->x.v.domain->privileged ? r->d & FB(ITSC) : 0 };
        break;
    case 0x80000008:
        *r = (struct cpuid_regs){ (r->a & 0xff) | VIRT_BITS << 8, r->b & MASK_E8_EBX, 0, 0 };
        break;
    case 0x80000019:
    case 0x8000001a:
        break; /* TLBs, hints */
    case 0x80000021:
        *r = (struct cpuid_regs){ r->a & MASK_E21_EAX, 0, 0, 0 };
        break;
    default:
        *r = (struct cpuid_regs){ 0 };
    }
}

static void xen_time(uint32_t sub, struct cpuid_regs *r)
{
    const struct pv_cpuid_time *t = &pv_cpuid_time;

    switch (sub) {
    case 0:
        r->a = (t->stable ? 2u : 0) | (pv_cpuid_has_tsc_aux() ? 4u : 0);
        r->c = t->tsc_khz;
        break;
    case 1:
        r->c = t->mul;
        r->d = (uint32_t)(int32_t)t->shift;
        break;
    case 2:
        r->a = t->tsc_khz;
        break;
    }
}

static void xen_leaf(uint32_t leaf, uint32_t sub, struct cpuid_regs *r)
{
    *r = (struct cpuid_regs){ 0 };
    switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
        *r = (struct cpuid_regs){ XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES), XEN_CPUID_SIGNATURE_EBX,
                                  XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX };
        break;
    case 1:
        r->a = 4u << 16 | 17; /* the ABI's version: 4.17 */
        break;
    case 2:
        *r = (struct cpuid_regs){ 1, XEN_HYPERCALL_MSR, XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD,
                                  0 };
        break;
    case 3:
        xen_time(sub, r);
        break;
    case 5:
        if (sub == 0)
            r->b = cpu_feat.phys_bits & XEN_CPUID_MACHINE_ADDRESS_WIDTH_MASK;
        break;
    }
}

/* Intel answers leaves beyond the last with the last one's data; AMD, and we, with zero. */
static bool beyond(uint32_t leaf)
{
    struct cpuid_regs r;
    uint32_t first = leaf & 0x80000000u;

    raw(first, 0, &r);
    return leaf > MIN(r.a, first ? MAX_EXT_LEAF : MAX_BASIC_LEAF);
}

void pv_cpuid(const struct pv_vcpu *v, uint32_t leaf, uint32_t sub, struct cpuid_regs *out)
{
    *out = (struct cpuid_regs){ 0 };
    if (leaf >= XEN_CPUID_FIRST_LEAF && leaf <= XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES)) {
        xen_leaf(leaf, sub, out);
        return;
    }
    if (beyond(leaf))
        return;
    raw(leaf, sub, out);
    if (leaf & 0x80000000u)
        extended(v, leaf, out);
    else
        basic(v, leaf, sub, out);
}

bool pv_cpuid_has_tsc_aux(void)
{
    struct cpuid_regs r;

    if (!beyond(0x80000001)) {
        raw(0x80000001, 0, &r);
        if (r.d & FB(RDTSCP))
            return true;
    }
    if (beyond(7))
        return false;
    raw(7, 0, &r);
    return r.c & FB(RDPID);
}
