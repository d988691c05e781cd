/* SPDX-License-Identifier: MIT */
/*
 * Bits and models: Intel's "Affected processors" guidance and SDM volume 4; AMD's "Software
 * techniques for managing speculation" and APM volume 2.
 */
#include "x86/cpu/spec.h"

#include "core/log.h"
#include "lib/format.h"
#include "lib/macros.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/signature.h"
#include "x86/cpu/registers.h"

/* CPUID 7.0 EDX */
#define HAS_MD_CLEAR (1u << 10)
#define HAS_IBRS_IBPB (1u << 26)
#define HAS_STIBP (1u << 27)
#define HAS_L1D_FLUSH (1u << 28)
#define HAS_ARCH_CAPS (1u << 29)
/* CPUID 7.2 EDX */
#define HAS_BHI_CTRL (1u << 4)
/* CPUID 80000008 EBX */
#define AMD_IBPB (1u << 12)
#define AMD_STIBP (1u << 15)
#define AMD_BTC_NO (1u << 29)
/* CPUID 80000021 EAX */
#define AMD_AUTO_IBRS (1u << 8)
#define AMD_SRSO_NO (1u << 29)

/* MSR_ARCH_CAPABILITIES */
#define RDCL_NO BIT64(0)
#define EIBRS BIT64(1)
#define RSBA BIT64(2)
#define SKIP_L1D_FLUSH BIT64(3) /* who runs below us does it */
#define MDS_NO BIT64(5)
#define TSX_CTRL BIT64(7)
#define TAA_NO BIT64(8)
#define FB_CLEAR BIT64(17)
#define BHI_NO BIT64(20)
#define RFDS_CLEAR BIT64(28)
#define MMIO_NO (BIT64(13) | BIT64(14) | BIT64(15))

struct spec_choice spec_choice;

static bool listed(const struct spec_input *in, const uint8_t *models, size_t n)
{
    if (in->vendor != SPEC_INTEL || in->family != 6)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (in->model == models[i])
            return true;
    }
    return false;
}

/* Bonnell and Saltwell execute in order, as do the processors before family 6. */
static bool in_order(const struct spec_input *in)
{
    static const uint8_t models[] = { 0x1c, 0x26, 0x27, 0x35, 0x36 };

    return in->emulated || in->family < 6 || listed(in, models, sizeof(models));
}

/* Silvermont, Airmont, Goldmont, Knights: the L1 is not read through non-present entries. */
static bool no_l1tf(const struct spec_input *in)
{
    static const uint8_t models[] = { 0x37, 0x4a, 0x4c, 0x4d, 0x5a, 0x75,
                                      0x5c, 0x5f, 0x7a, 0x57, 0x85 };

    return in->vendor == SPEC_AMD || (in->arch_caps & RDCL_NO) ||
           listed(in, models, sizeof(models));
}

static bool no_mds(const struct spec_input *in)
{
    static const uint8_t goldmont[] = { 0x5c, 0x5f, 0x7a };

    return in->vendor == SPEC_AMD || (in->arch_caps & MDS_NO) ||
           listed(in, goldmont, sizeof(goldmont));
}

/* Any of the ways to sample buffers (MDS, TAA, MMIO stale data, RFDS) that VERW closes. */
static bool samples_buffers(const struct spec_input *in)
{
    bool tsx = in->rtm || (in->arch_caps & TSX_CTRL);

    if (in->vendor != SPEC_INTEL)
        return false;
    if (!no_mds(in) || (tsx && !(in->arch_caps & TAA_NO)) || (in->arch_caps & RFDS_CLEAR))
        return true;
    return (in->arch_caps & FB_CLEAR) && (in->arch_caps & MMIO_NO) != MMIO_NO;
}

static void decide_buffers(const struct spec_input *in, struct spec_choice *c)
{
    bool works = (in->leaf7_edx & HAS_MD_CLEAR) || (in->arch_caps & (FB_CLEAR | RFDS_CLEAR));

    c->meltdown = in->vendor != SPEC_AMD && !(in->arch_caps & RDCL_NO);
    c->isolate_dom0 = c->isolate_domu = c->meltdown;
    c->l1tf = !no_l1tf(in);
    if (c->l1tf && !(in->arch_caps & SKIP_L1D_FLUSH)) {
        c->flush_l1d = in->leaf7_edx & HAS_L1D_FLUSH;
        c->open_l1d = !c->flush_l1d;
    }
    if (!samples_buffers(in))
        return;
    c->verw = works;
    c->open_buffers = !works;
    c->open_sibling = in->smt;
}

/* Skylake and its sisters predict returns from the branch buffer when their stack runs out. */
static bool returns_by_btb(const struct spec_input *in)
{
    static const uint8_t models[] = { 0x4e, 0x55, 0x5e, 0x66, 0x8e, 0x9e, 0xa5, 0xa6 };

    return listed(in, models, sizeof(models));
}

static void decide_intel(const struct spec_input *in, struct spec_choice *c)
{
    bool eibrs = in->arch_caps & EIBRS;

    c->ibpb = in->leaf7_edx & HAS_IBRS_IBPB;
    if (eibrs && c->ibpb)
        c->spec_ctrl |= SPEC_CTRL_IBRS;
    if (in->smt && (in->leaf7_edx & HAS_STIBP))
        c->spec_ctrl |= SPEC_CTRL_STIBP;
    if (eibrs && !(in->arch_caps & BHI_NO)) {
        if (in->leaf7_2_edx & HAS_BHI_CTRL)
            c->spec_ctrl |= SPEC_CTRL_BHI_DIS_S;
        else
            c->open_history = true;
    }
    c->open_returns = (in->arch_caps & RSBA) || (!eibrs && returns_by_btb(in));
}

static void decide_amd(const struct spec_input *in, struct spec_choice *c)
{
    bool zen = in->family >= 0x17 && in->family <= 0x19;
    bool btc = in->family >= 0x15 && in->family <= 0x18 && !(in->ext8_ebx & AMD_BTC_NO);

    c->ibpb = in->ext8_ebx & AMD_IBPB;
    c->auto_ibrs = in->ext21_eax & AMD_AUTO_IBRS;
    if (in->smt && (in->ext8_ebx & AMD_STIBP))
        c->spec_ctrl |= SPEC_CTRL_STIBP;
    c->open_returns = btc || (zen && !(in->ext21_eax & AMD_SRSO_NO));
}

void spec_decide(const struct spec_input *in, struct spec_choice *out)
{
    *out = (struct spec_choice){ .tags = in->pcid && in->invpcid };
    if (in_order(in))
        return;
    out->rsb_fill = true;
    decide_buffers(in, out);
    if (in->vendor == SPEC_INTEL)
        decide_intel(in, out);
    else if (in->vendor == SPEC_AMD)
        decide_amd(in, out);
    out->open_sibling |= in->smt && out->l1tf;
    out->open_branches = !out->ibpb;
}

/* Word by word: `cond` false leaves it out. */
static void add(char *out, size_t size, bool cond, const char *word)
{
    if (cond)
        fmt_append(out, size, "%s", word);
}

const char *spec_describe(const struct spec_choice *c, char *out, size_t size)
{
    bool melts = c->meltdown && !(c->isolate_dom0 && c->isolate_domu);
    bool open = c->open_buffers || c->open_returns || c->open_history || c->open_sibling ||
                c->open_branches || c->open_l1d || melts;

    fmt_snprintf(out, size, "retpolines, index clamping");
    add(out, size, c->ibpb, ", IBPB between domains");
    add(out, size, c->rsb_fill, ", RSB filling");
    add(out, size, c->verw, ", VERW");
    add(out, size, c->l1tf, ", L1TF-safe page tables");
    add(out, size, c->flush_l1d, ", L1 flush for HVM guests");
    add(out, size, c->auto_ibrs, ", automatic IBRS");
    add(out, size, c->spec_ctrl & SPEC_CTRL_IBRS, ", enhanced IBRS");
    add(out, size, c->spec_ctrl & SPEC_CTRL_STIBP, ", STIBP");
    add(out, size, c->spec_ctrl & SPEC_CTRL_BHI_DIS_S, ", BHI_DIS_S");
    add(out, size, c->isolate_dom0 && c->isolate_domu, ", isolated page tables for PV guests");
    add(out, size, c->isolate_domu && !c->isolate_dom0,
        ", isolated page tables for PV guests but Domain 0");
    add(out, size, c->isolate_dom0 && !c->isolate_domu, ", isolated page tables for Domain 0");
    add(out, size, c->tags, ", address-space tags");
    add(out, size, open, "; open:");
    add(out, size, melts,
        c->isolate_domu   ? " Meltdown (Domain 0)"
        : c->isolate_dom0 ? " Meltdown (other guests)"
                          : " Meltdown");
    add(out, size, c->open_buffers, " buffer sampling (no microcode)");
    add(out, size, c->open_l1d, " L1 to HVM guests (no microcode)");
    add(out, size, c->open_sibling, " sibling threads (SMT is on)");
    add(out, size, c->open_returns, " return prediction");
    add(out, size, c->open_history, " branch history");
    add(out, size, c->open_branches, " branch targets (no IBPB)");
    return out;
}

static uint32_t leaf(uint32_t n, uint32_t sub, char reg)
{
    uint32_t max, a, b, c, d;

    cpuid(n & 0x80000000u, 0, &max, &b, &c, &d);
    if (n > max)
        return 0;
    cpuid(n, sub, &a, &b, &c, &d);
    return reg == 'a' ? a : reg == 'b' ? b : reg == 'c' ? c : d;
}

static enum spec_vendor vendor(void)
{
    switch (leaf(0, 0, 'b')) {
    case 0x756e6547:
        return SPEC_INTEL; /* Genu */
    case 0x68747541:       /* Auth */
    case 0x6f677948:
        return SPEC_AMD; /* Hygo */
    default:
        return SPEC_OTHER;
    }
}

/* QEMU without an accelerator: "TCGTCGTCGTCG" in the hypervisor's leaf. */
static bool is_tcg(void)
{
    uint32_t a, b, c, d;

    if (!(leaf(1, 0, 'c') >> 31))
        return false;
    cpuid(0x40000000, 0, &a, &b, &c, &d);
    return b == 0x54474354 && c == 0x43544743 && d == 0x47435447;
}

static void read_input(struct spec_input *in)
{
    struct cpu_signature sig = cpu_signature(leaf(1, 0, 'a'));

    *in = (struct spec_input){ .vendor = vendor(), .emulated = is_tcg() };
    in->stepping = sig.stepping;
    in->family = sig.family;
    in->model = sig.model;
    in->smt = (leaf(1, 0, 'd') >> 28 & 1) && (leaf(0xb, 0, 'b') & 0xffff) > 1;
    in->leaf7_edx = leaf(7, 0, 'd');
    in->rtm = leaf(7, 0, 'b') >> 11 & 1;
    in->pcid = leaf(1, 0, 'c') >> 17 & 1;
    in->invpcid = leaf(7, 0, 'b') >> 10 & 1;
    if (leaf(7, 0, 'a') >= 2)
        in->leaf7_2_edx = leaf(7, 2, 'd');
    in->ext8_ebx = leaf(0x80000008, 0, 'b');
    in->ext21_eax = leaf(0x80000021, 0, 'a');
    if (in->leaf7_edx & HAS_ARCH_CAPS)
        rdmsr_safe(MSR_ARCH_CAPABILITIES, &in->arch_caps);
}

void spec_init(const struct spec_wish *wish)
{
    struct spec_input in;
    char text[416];

    read_input(&in);
    spec_decide(&in, &spec_choice);
    if (wish->xpti_dom0 >= 0)
        spec_choice.isolate_dom0 = wish->xpti_dom0;
    if (wish->xpti_domu >= 0)
        spec_choice.isolate_domu = wish->xpti_domu;
    if (wish->all)
        spec_choice.verw = spec_choice.rsb_fill = spec_choice.l1tf = true;
    log_info("speculation (family %#x model %#x%s): %s", in.family, in.model,
             in.emulated ? ", emulated" : "", spec_describe(&spec_choice, text, sizeof(text)));
}

void spec_init_cpu(void)
{
    if (spec_choice.spec_ctrl)
        wrmsr_safe(MSR_SPEC_CTRL, spec_choice.spec_ctrl);
    if (spec_choice.auto_ibrs)
        wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_AUTOIBRS);
}

void spec_switch_domain(void)
{
    if (spec_choice.ibpb)
        wrmsr(MSR_PRED_CMD, 1);
}
