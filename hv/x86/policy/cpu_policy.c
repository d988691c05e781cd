/* SPDX-License-Identifier: MIT */
/*
 * Each feature word has a mask of what PV guests may see. A bit is in it when the instructions work
 * in ring 3 without more help, or when privop.c and msr.c do the rest. Left out are: what belongs
 * to the hypervisor (paging modes, SMEP, PCID, VMX, MTRRs, MWAIT, performance counters), and
 * features with per-task state that nobody switches yet (PKU, CET, MPX, SPEC_CTRL, debug address
 * masks).
 */
#include "x86/policy/cpu_policy.h"

#include <xen/arch-x86/cpufeatureset.h>

#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"

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
#define MASK_E21_ECX (FB(TSA_SQ_NO) | FB(TSA_L1_NO))
/* "Not affected" bits of MSR_ARCH_CAPABILITIES, which a guest may know; the rest names controls. */
#define MASK_ARCH_CAPS                                                                          \
    (1ull << 0 | 1ull << 2 | 1ull << 4 | 1ull << 5 | 1ull << 6 | 1ull << 8 | 1ull << 13 |       \
     1ull << 14 | 1ull << 15 | 1ull << 17 | 1ull << 19 | 1ull << 20 | 1ull << 24 | 1ull << 26 | \
     1ull << 27 | 1ull << 28 | 1ull << 62)

/* clang-format off */
static const uint32_t pv_features[CPU_POLICY_WORDS] = {
    MASK_1_EDX, MASK_1_ECX, MASK_E1_EDX, MASK_E1_ECX, MASK_D_1_EAX, MASK_7_EBX, MASK_7_ECX,
    FB(ITSC), MASK_E8_EBX, MASK_7_EDX, MASK_7_1_EAX, MASK_E21_EAX, 0, MASK_7_2_EDX, 0, 0,
    (uint32_t)MASK_ARCH_CAPS, (uint32_t)(MASK_ARCH_CAPS >> 32), MASK_E21_ECX,
};

/*
 * What hardware-assisted guests see beyond that: what their processor does by itself in guest mode
 * (paging modes, MTRRs without effect), and less where a control would be theirs to write.
 */
static const uint32_t hvm_more[CPU_POLICY_WORDS] = {
    FB(VME) | FB(PSE) | FB(MTRR) | FB(PGE) | FB(PSE36), FB(PCID), FB(PAGE1GB), FB(CR8_LEGACY), 0,
    FB(SMEP) | FB(INVPCID) | FB(SMAP), FB(UMIP),
};
static const uint32_t hvm_less[CPU_POLICY_WORDS] = {
    FB(ACPI) | FB(SS), 0, 0, 0, 0, 0, 0, 0, FB(IBPB), FB(ARCH_CAPS), 0, 0, 0, 0, 0, 0, ~0u, ~0u,
};
/* Emulated, whatever the processor has. */
static const uint32_t hvm_emulated[CPU_POLICY_WORDS] = { 0, FB(X2APIC) | FB(TSC_DEADLINE) };
/* clang-format on */

/* Leaves of which a guest may know everything: vendor, caches, name, TLBs. */
static const struct {
    uint32_t leaf, last; /* and up to this one */
} open_leaves[] = {
    { 0, 2 },
    { 0x80000000, 0x80000006 },
    { 0x80000019, 0x8000001a },
};

#define VIRT_BITS 48u

struct cpu_policy policy_max[POLICY_KINDS], policy_default[POLICY_KINDS];

static void ask(uint32_t leaf, uint32_t sub, struct cpuid_regs *r)
{
    cpuid(leaf, sub, &r->a, &r->b, &r->c, &r->d);
}

void policy_raw(struct cpu_policy *p)
{
    uint64_t caps = 0;

    cpu_policy_fill(p, ask);
    if ((*cpu_policy_word(p, 9) & FB(ARCH_CAPS)) && !rdmsr_safe(MSR_ARCH_CAPABILITIES, &caps))
        caps = 0;
    p->msr[0].lo = p->msr[0].hi = 0; /* PLATFORM_INFO: no CPUID faulting */
    p->msr[1].lo = (uint32_t)caps;
    p->msr[1].hi = (uint32_t)(caps >> 32);
}

/* Caches keep size and kind; states and sizes are told, but none that is a supervisor's. */
static void take_subleaves(struct cpu_policy *p, struct cpu_policy *raw)
{
    for (uint32_t i = 0; i < 6; i++) {
        *cpu_policy_at(p, 4, i) = *cpu_policy_at(raw, 4, i);
        cpu_policy_at(p, 4, i)->a &= 0x3fff; /* shared with no other vCPU */
    }
    for (uint32_t i = 2; i < 63; i++) {
        const struct cpuid_regs *r = cpu_policy_at(raw, 0xd, i);
        *cpu_policy_at(p, 0xd, i) = (struct cpuid_regs){ r->a, r->b, r->c & 2, 0 };
    }
    cpu_policy_at(p, 0xd, 0)->a = (uint32_t)cpu_feat.xcr0_mask;
}

static uint32_t features(enum policy_kind k, unsigned int word, uint32_t there)
{
    if (k == POLICY_PV)
        return there & pv_features[word];
    return (there & (pv_features[word] | hvm_more[word]) & ~hvm_less[word]) | hvm_emulated[word];
}

/* The most that guests of a kind can have here. */
static void derive(struct cpu_policy *p, struct cpu_policy *raw, enum policy_kind k)
{
    memset(p, 0, sizeof(*p));
    for (unsigned int i = 0; i < ARRAY_SIZE(open_leaves); i++)
        for (uint32_t leaf = open_leaves[i].leaf; leaf <= open_leaves[i].last; leaf++)
            *cpu_policy_at(p, leaf, 0) = cpu_policy_ask(raw, leaf, 0);
    take_subleaves(p, raw);
    for (unsigned int i = 0; i < CPU_POLICY_WORDS; i++)
        *cpu_policy_word(p, i) = features(k, i, *cpu_policy_word(raw, i));
    if (!cpu_feat.xsave)
        *cpu_policy_word(p, XEN_X86_FEATURE_XSAVE / 32) &= ~FB(XSAVE);
    if (!cpu_feat.nx)
        *cpu_policy_word(p, XEN_X86_FEATURE_NX / 32) &= ~FB(NX);
    cpu_policy_at(p, 0, 0)->a = MIN(cpu_policy_at(p, 0, 0)->a, CPU_POLICY_MAX_BASIC);
    cpu_policy_at(p, 0x80000000, 0)->a = MIN(cpu_policy_at(p, 0x80000000, 0)->a,
                                             CPU_POLICY_MAX_EXT);
    cpu_policy_at(p, 1, 0)->b = (cpu_policy_at(p, 1, 0)->b & 0xffff) | 1u << 16;
    cpu_policy_at(p, 0x80000008, 0)->a = (cpu_policy_ask(raw, 0x80000008, 0).a & 0xff) | VIRT_BITS
                                                                                             << 8;
    cpu_policy_settle(p);
}

void policy_init(void)
{
    struct cpu_policy *raw = &policy_default[POLICY_PV]; /* until it is derived itself */

    policy_raw(raw);
    for (int k = POLICY_KINDS - 1; k >= 0; k--) {
        derive(&policy_max[k], raw, (enum policy_kind)k);
        if (k != POLICY_PV)
            policy_default[k] = policy_max[k];
    }
    policy_default[POLICY_PV] = policy_max[POLICY_PV];
    /* The TSC's rate is a promise for domains that stay on this machine. */
    for (int k = 0; k < POLICY_KINDS; k++)
        *cpu_policy_word(&policy_default[k], XEN_X86_FEATURE_ITSC / 32) &= ~FB(ITSC);
}

bool policy_has_tsc_aux(void)
{
    return (*cpu_policy_word(&policy_max[POLICY_PV], XEN_X86_FEATURE_RDTSCP / 32) & FB(RDTSCP)) ||
           (*cpu_policy_word(&policy_max[POLICY_PV], XEN_X86_FEATURE_RDPID / 32) & FB(RDPID));
}
