/* SPDX-License-Identifier: MIT */
/*
 * A policy has a fixed place for each leaf that it can have; `runs` says which. The dependencies
 * among features are the manuals': Intel SDM volume 1 chapter 13, AMD APM volume 3 appendix E.
 */
#include "lib/cpu_policy.h"

#include <xen/errno.h>

#include <xen/arch-x86/cpufeatureset.h>

#include "lib/macros.h"

#define FB(name) (1u << (XEN_X86_FEATURE_##name % 32))
#define W(name) (XEN_X86_FEATURE_##name / 32)

#define NO_SUB CPU_POLICY_NOWHERE
#define MSR_PLATFORM_INFO 0xceu
#define MSR_ARCH_CAPABILITIES 0x10au

static const struct run {
    uint32_t leaf;
    uint8_t count;
    bool subs; /* one leaf with so many sub-leaves; else so many leaves */
} runs[] = {
    { 0, 4, false },           { 4, 6, true },
    { 5, 2, false },           { 7, 3, true },
    { 8, 3, false },           { 0xb, 2, true },
    { 0xc, 1, false },         { 0xd, 63, true },
    { 0x40000000, 1, false },  { 0x40000100, 1, false },
    { 0x80000000, 34, false },
};

/* Places that have a name below. */
enum { L_0 = 0, L_1 = 1, L_4 = 4, L_7 = 12, L_B = 18, L_D = 21, L_E0 = 86 };

static const uint32_t msr_index[CPU_POLICY_MSRS] = { MSR_PLATFORM_INFO, MSR_ARCH_CAPABILITIES };

/* Where a place is, as leaf and sub-leaf. */
static void name_of(unsigned int slot, uint32_t *leaf, uint32_t *sub)
{
    const struct run *r = runs;

    for (; slot >= r->count; r++)
        slot -= r->count;
    *leaf = r->leaf + (r->subs ? 0 : slot);
    *sub = r->subs ? slot : NO_SUB;
}

/* The place of a leaf, or -1. `strict`: the sub-leaf of a leaf without any has to say so. */
static int slot_of(uint32_t leaf, uint32_t sub, bool strict)
{
    int base = 0;

    for (unsigned int i = 0; i < ARRAY_SIZE(runs); base += runs[i].count, i++) {
        const struct run *r = &runs[i];

        if (r->subs && leaf == r->leaf)
            return sub < r->count ? base + (int)sub : -1;
        if (!r->subs && leaf - r->leaf < r->count)
            return strict && sub != NO_SUB ? -1 : base + (int)(leaf - r->leaf);
    }
    return -1;
}

struct cpuid_regs *cpu_policy_at(struct cpu_policy *p, uint32_t leaf, uint32_t sub)
{
    int slot = slot_of(leaf, sub, false);

    return slot < 0 ? NULL : &p->leaf[slot];
}

/* The last leaf that p has in the range of `leaf`. */
static uint32_t last_leaf(const struct cpu_policy *p, uint32_t leaf)
{
    if (leaf & 0x80000000u)
        return MIN(p->leaf[L_E0].a, CPU_POLICY_MAX_EXT);
    return leaf < 0x40000000u ? MIN(p->leaf[L_0].a, CPU_POLICY_MAX_BASIC) : leaf;
}

struct cpuid_regs cpu_policy_ask(const struct cpu_policy *p, uint32_t leaf, uint32_t sub)
{
    int slot = slot_of(leaf, sub, false);

    if (slot < 0 || leaf > last_leaf(p, leaf))
        return (struct cpuid_regs){ 0 };
    return p->leaf[slot];
}

uint32_t *cpu_policy_word(struct cpu_policy *p, unsigned int i)
{
    static const struct {
        uint8_t slot, reg; /* reg: 0 to 3 for a to d */
    } words[] = {
        { L_1, 3 },     { L_1, 2 },         { L_E0 + 1, 3 }, { L_E0 + 1, 2 },    { L_D + 1, 0 },
        { L_7, 1 },     { L_7, 2 },         { L_E0 + 7, 3 }, { L_E0 + 8, 1 },    { L_7, 3 },
        { L_7 + 1, 0 }, { L_E0 + 0x21, 0 }, { L_7 + 1, 1 },  { L_7 + 2, 3 },     { L_7 + 1, 2 },
        { L_7 + 1, 3 }, { 0, 0 },           { 0, 0 },        { L_E0 + 0x21, 2 },
    };
    struct cpuid_regs *r = &p->leaf[words[i].slot];

    if (i == 16 || i == 17)
        return i == 16 ? &p->msr[1].lo : &p->msr[1].hi;
    switch (words[i].reg) {
    case 0:
        return &r->a;
    case 1:
        return &r->b;
    case 2:
        return &r->c;
    default:
        return &r->d;
    }
}

void cpu_policy_fill(struct cpu_policy *p,
                     void (*ask)(uint32_t leaf, uint32_t sub, struct cpuid_regs *out))
{
    for (unsigned int i = 0; i < CPU_POLICY_LEAVES; i++) {
        uint32_t leaf, sub;

        name_of(i, &leaf, &sub);
        p->leaf[i] = (struct cpuid_regs){ 0 };
        /* Hypervisors' leaves are not the processor's; the first of each range says how far it
         * goes. */
        if (leaf >> 30 == 1 || ((leaf & ~0x80000000u) && leaf > last_leaf(p, leaf)))
            continue;
        ask(leaf, sub == NO_SUB ? 0 : sub, &p->leaf[i]);
    }
}

static bool is_zero(const struct cpuid_regs *r)
{
    return !(r->a | r->b | r->c | r->d);
}

uint64_t cpu_policy_states(const struct cpu_policy *p)
{
    return (uint64_t)p->leaf[L_D].d << 32 | p->leaf[L_D].a;
}

static bool shown(const struct cpu_policy *p, unsigned int slot, uint32_t leaf, uint32_t sub)
{
    uint64_t states = cpu_policy_states(p) | p->leaf[L_D + 1].c |
                      (uint64_t)p->leaf[L_D + 1].d << 32;

    if (leaf > last_leaf(p, leaf))
        return false;
    if (sub == NO_SUB || sub == 0)
        return true;
    if (leaf == 7)
        return sub <= p->leaf[L_7].a;
    if (leaf == 0xd)
        return sub == 1 || states >> sub;
    return !is_zero(&p->leaf[slot]); /* caches, topology */
}

bool cpu_policy_next_leaf(const struct cpu_policy *p, unsigned int *at, struct cpu_policy_leaf *out)
{
    for (; *at < CPU_POLICY_LEAVES; ++*at) {
        name_of(*at, &out->leaf, &out->subleaf);
        if (!shown(p, *at, out->leaf, out->subleaf))
            continue;
        out->r = p->leaf[(*at)++];
        return true;
    }
    return false;
}

bool cpu_policy_next_msr(const struct cpu_policy *p, unsigned int *at, struct cpu_policy_msr *out)
{
    if (*at >= CPU_POLICY_MSRS)
        return false;
    *out = (struct cpu_policy_msr){ .idx = msr_index[*at],
                                    .val = (uint64_t)p->msr[*at].hi << 32 | p->msr[*at].lo };
    ++*at;
    return true;
}

int cpu_policy_put_leaf(struct cpu_policy *p, const struct cpu_policy_leaf *in,
                        struct cpu_policy_where *where)
{
    int slot = slot_of(in->leaf, in->subleaf, true);

    if (slot < 0) {
        *where = (struct cpu_policy_where){ in->leaf, in->subleaf, CPU_POLICY_NOWHERE };
        return XEN_ERANGE;
    }
    p->leaf[slot] = in->r;
    return 0;
}

static const struct cpu_policy_where nowhere = { CPU_POLICY_NOWHERE, CPU_POLICY_NOWHERE,
                                                 CPU_POLICY_NOWHERE };

int cpu_policy_put_msr(struct cpu_policy *p, const struct cpu_policy_msr *in,
                       struct cpu_policy_where *where)
{
    *where = nowhere;
    where->msr = in->idx;
    if (in->flags)
        return XEN_EINVAL;
    for (unsigned int i = 0; i < CPU_POLICY_MSRS; i++) {
        if (in->idx != msr_index[i])
            continue;
        p->msr[i].lo = (uint32_t)in->val;
        p->msr[i].hi = (uint32_t)(in->val >> 32);
        return 0;
    }
    return XEN_ERANGE;
}

/*
 * Do p's extended leaves beyond max's last one say something? The last of all is features, which
 * are looked at as such: a hypervisor that knows it tells of it on processors without, too.
 */
static bool more_extended(const struct cpu_policy *p, const struct cpu_policy *max)
{
    const uint32_t last = p->leaf[L_E0].a;

    if (last <= max->leaf[L_E0].a)
        return false;
    if (last > CPU_POLICY_MAX_EXT)
        return true;
    for (uint32_t leaf = max->leaf[L_E0].a + 1; leaf <= last; leaf++) {
        const struct cpuid_regs *r;

        if (leaf < 0x80000000u)
            return true;
        r = &p->leaf[L_E0 + leaf - 0x80000000u];
        if (leaf != CPU_POLICY_MAX_EXT && (r->a | r->b | r->c | r->d))
            return true;
    }
    return false;
}

bool cpu_policy_limits_fit(const struct cpu_policy *p, const struct cpu_policy *max,
                           struct cpu_policy_where *where)
{
    *where = nowhere;
    if (p->leaf[L_0].a > max->leaf[L_0].a)
        where->leaf = 0;
    else if (more_extended(p, max))
        where->leaf = 0x80000000u;
    else if ((p->msr[0].lo & ~max->msr[0].lo) || (p->msr[0].hi & ~max->msr[0].hi))
        where->msr = MSR_PLATFORM_INFO;
    else
        return true;
    return false;
}

/* Where word i of a featureset stands, for a message. */
static void name_word(struct cpu_policy *p, unsigned int i, struct cpu_policy_where *where)
{
    const char *word = (const char *)cpu_policy_word(p, i);

    *where = nowhere;
    if (word >= (const char *)p->msr)
        where->msr = MSR_ARCH_CAPABILITIES;
    else
        name_of((unsigned int)((word - (const char *)p->leaf) / sizeof(p->leaf[0])), &where->leaf,
                &where->subleaf);
}

bool cpu_policy_fits(const struct cpu_policy *p, const struct cpu_policy *max,
                     struct cpu_policy_where *where)
{
    /* Only read: one function then finds words for readers and writers. */
    struct cpu_policy *a = (struct cpu_policy *)p, *b = (struct cpu_policy *)max;

    if (!cpu_policy_limits_fit(p, max, where))
        return false;
    if (cpu_policy_states(p) & ~cpu_policy_states(max)) {
        where->leaf = 0xd;
        where->subleaf = 0;
        return false;
    }
    for (unsigned int i = 0; i < CPU_POLICY_WORDS; i++) {
        if (!(*cpu_policy_word(a, i) & ~*cpu_policy_word(b, i)))
            continue;
        name_word(a, i, where);
        return false;
    }
    return true;
}

static void set_states(struct cpu_policy *p, uint64_t states)
{
    p->leaf[L_D] = (struct cpuid_regs){ (uint32_t)states, 0,
                                        states ? cpu_policy_xsave_size(p, states, false) : 0,
                                        (uint32_t)(states >> 32) };
}

void cpu_policy_level(struct cpu_policy *p, const struct cpu_policy *max)
{
    uint32_t word[CPU_POLICY_WORDS], basic = p->leaf[L_0].a, ext = p->leaf[L_E0].a;
    uint32_t signature = p->leaf[L_1].a, bits = p->leaf[L_E0 + 8].a & 0xff;
    uint64_t states = cpu_policy_states(p) & cpu_policy_states(max);

    for (unsigned int i = 0; i < CPU_POLICY_WORDS; i++)
        word[i] = *cpu_policy_word(p, i);
    *p = *max;
    for (unsigned int i = 0; i < CPU_POLICY_WORDS; i++)
        *cpu_policy_word(p, i) &= word[i];
    p->leaf[L_0].a = MIN(basic, max->leaf[L_0].a);
    p->leaf[L_E0].a = MIN(ext, max->leaf[L_E0].a);
    p->leaf[L_1].a = signature;
    if (bits >= 32 && bits < (max->leaf[L_E0 + 8].a & 0xff))
        p->leaf[L_E0 + 8].a = (max->leaf[L_E0 + 8].a & ~0xffu) | bits;
    set_states(p, states);
    cpu_policy_settle(p);
}

/* --- what belongs together --- */

#define STATE_SSE 0x3ull
#define STATE_AVX 0x4ull
#define STATE_ZMM 0xe0ull

#define ZMM_5                                                                                    \
    (FB(AVX512F) | FB(AVX512DQ) | FB(AVX512_IFMA) | FB(AVX512PF) | FB(AVX512ER) | FB(AVX512CD) | \
     FB(AVX512BW) | FB(AVX512VL))
#define ZMM_6                                                                   \
    (FB(AVX512_VBMI) | FB(AVX512_VBMI2) | FB(AVX512_VNNI) | FB(AVX512_BITALG) | \
     FB(AVX512_VPOPCNTDQ))
#define ZMM_9 (FB(AVX512_4VNNIW) | FB(AVX512_4FMAPS) | FB(AVX512_VP2INTERSECT) | FB(AVX512_FP16))

/* Features that go with AVX state, and with AVX-512 state. */
static const struct {
    uint8_t word;
    uint32_t avx, zmm;
} with_state[] = {
    { 1, FB(AVX) | FB(FMA) | FB(F16C), 0 },
    { 3, FB(XOP) | FB(FMA4), 0 },
    { 5, FB(AVX2), ZMM_5 },
    { 6, FB(VAES) | FB(VPCLMULQDQ), ZMM_6 },
    { 9, 0, ZMM_9 },
    { 10, FB(AVX_VNNI), FB(AVX512_BF16) },
};

/* AMD repeats these bits of leaf 1 EDX in leaf 0x80000001 EDX. */
#define COMMON_1_EDX 0x0183f3ffu
#define VENDOR_AMD_EBX 0x68747541u
#define VENDOR_HYGON_EBX 0x6f677948u

/* The states of p that its features have a use for. */
static uint64_t useful_states(struct cpu_policy *p)
{
    uint64_t states = cpu_policy_states(p);

    if (!(*cpu_policy_word(p, W(XSAVE)) & FB(XSAVE)) || (states & STATE_SSE) != STATE_SSE)
        return 0;
    if (!(*cpu_policy_word(p, W(AVX)) & FB(AVX)) || !(states & STATE_AVX))
        return states & STATE_SSE;
    if (!(*cpu_policy_word(p, W(AVX512F)) & FB(AVX512F)) || (states & STATE_ZMM) != STATE_ZMM)
        states &= ~STATE_ZMM;
    return states;
}

void cpu_policy_settle(struct cpu_policy *p)
{
    uint64_t states = useful_states(p);
    uint32_t vendor = p->leaf[L_0].b;

    if (!states) {
        *cpu_policy_word(p, W(XSAVE)) &= ~FB(XSAVE);
        *cpu_policy_word(p, W(XSAVEC)) = 0;
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(with_state); i++) {
        uint32_t *word = cpu_policy_word(p, with_state[i].word);

        *word &= ~(states & STATE_AVX ? 0 : with_state[i].avx);
        *word &= ~(states & STATE_ZMM ? 0 : with_state[i].zmm);
    }
    for (unsigned int i = 2; i < 63; i++)
        if (!(states >> i & 1))
            p->leaf[L_D + i] = (struct cpuid_regs){ 0 };
    set_states(p, states);
    p->leaf[L_7].a = is_zero(&p->leaf[L_7 + 2]) ? !is_zero(&p->leaf[L_7 + 1]) : 2;
    *cpu_policy_word(p, 2) &= ~COMMON_1_EDX;
    if (vendor == VENDOR_AMD_EBX || vendor == VENDOR_HYGON_EBX)
        *cpu_policy_word(p, 2) |= *cpu_policy_word(p, 0) & COMMON_1_EDX;
}

#define XSAVE_HEADER_END 576u /* legacy area and header */

uint32_t cpu_policy_xsave_size(const struct cpu_policy *p, uint64_t mask, bool compact)
{
    uint32_t size = XSAVE_HEADER_END;

    for (unsigned int i = 2; i < 63; i++) {
        const struct cpuid_regs *r = &p->leaf[L_D + i];

        if (!(mask >> i & 1))
            continue;
        if (!compact)
            size = MAX(size, r->b + r->a);
        else
            size = (r->c & 2 ? ALIGN_UP(size, 64u) : size) + r->a;
    }
    return size;
}
