/* SPDX-License-Identifier: MIT */
/* Control registers, debug registers and XCR0 of hardware-assisted guests. */
#include <xen/arch-x86/cpufeatureset.h>

#include "core/clock.h"
#include "core/domain.h"
#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/registers.h"
#include "x86/cpu/segs.h"
#include "x86/hvm/copy.h"
#include "x86/hvm/exits.h"
#include "x86/hvm/state.h"
#include "x86/insn/gpr.h"
#include "x86/insn/insn.h"
#include "x86/mm/guest_walk.h"
#include "x86/policy/cpu_policy.h"
#include "x86/trap.h"

/* PSE, PAE, PGE, PCIDE, SMEP: changing one ends all translations. */
#define CR4_PAGING 0x1200b0ull

#define CR0_VALID 0xe005003full

/* Bits that a control register has where CPUID has a feature: {word and bit of it, register's}. */
struct feature_bit {
    uint16_t feature;
    uint64_t bit;
};

static bool has(const struct hvm_vcpu *v, unsigned int feature)
{
    struct cpu_policy *p = (struct cpu_policy *)policy_of(v->x.v.domain);

    return *cpu_policy_word(p, feature / 32) >> feature % 32 & 1;
}

static uint64_t bits_by_policy(const struct hvm_vcpu *v, const struct feature_bit *f, size_t n)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < n; i++)
        if (has(v, f[i].feature))
            bits |= f[i].bit;
    return bits;
}

uint64_t hvm_cr4_valid(const struct hvm_vcpu *v)
{
    static const struct feature_bit bits[] = {
        { XEN_X86_FEATURE_VME, 0x3 },
        { XEN_X86_FEATURE_TSC, 0x4 },
        { XEN_X86_FEATURE_DE, 0x8 },
        { XEN_X86_FEATURE_PSE, 0x10 },
        { XEN_X86_FEATURE_PAE, 0x20 },
        { XEN_X86_FEATURE_MCE, 0x40 },
        { XEN_X86_FEATURE_PGE, 0x80 },
        { XEN_X86_FEATURE_FXSR, 0x200 },
        { XEN_X86_FEATURE_SSE, 0x400 },
        { XEN_X86_FEATURE_UMIP, 0x800 },
        { XEN_X86_FEATURE_FSGSBASE, 0x10000 },
        { XEN_X86_FEATURE_PCID, 0x20000 },
        { XEN_X86_FEATURE_XSAVE, X86_CR4_OSXSAVE },
        { XEN_X86_FEATURE_SMEP, 0x100000 },
        { XEN_X86_FEATURE_SMAP, 0x200000 },
    };

    return bits_by_policy(v, bits, ARRAY_SIZE(bits)) |
           0x100; /* PCE: the counters themselves exit */
}

uint64_t hvm_efer_valid(const struct hvm_vcpu *v)
{
    static const struct feature_bit bits[] = {
        { XEN_X86_FEATURE_SYSCALL, EFER_SCE },
        { XEN_X86_FEATURE_LM, X86_EFER_LME | X86_EFER_LMA },
        { XEN_X86_FEATURE_NX, EFER_NX },
        { XEN_X86_FEATURE_FFXSR, EFER_FFXSR },
    };

    return bits_by_policy(v, bits, ARRAY_SIZE(bits));
}

bool hvm_set_efer(struct hvm_vcpu *v, uint64_t val)
{
    uint64_t old = hvm_vendor->get(v, HVM_EFER), cr0 = hvm_vendor->get(v, HVM_CR0);

    if (val & ~hvm_efer_valid(v))
        return false;
    if (((old ^ val) & X86_EFER_LME) && (cr0 & X86_CR0_PG))
        return false;
    val = (val & ~X86_EFER_LMA) | (old & X86_EFER_LMA); /* the processor's alone */
    hvm_vendor->set(v, HVM_EFER, val);
    if ((old ^ val) & EFER_NX)
        hvm_vendor->flush(v);
    return true;
}

/* The MOV that exited, fetched and decoded once; false: something else is in memory now. */
static bool fetch_move(struct hvm_vcpu *v, const struct x86_regs *regs, struct insn *insn)
{
    uint8_t bytes[INSN_MAX_LEN];
    enum hvm_mode mode = hvm_mode(v);
    struct hvm_segment cs = { 0 };
    size_t n;

    if (mode != HVM_MODE_64)
        hvm_vendor->get_seg(v, HVM_CS, &cs);
    n = hvm_fetch(v, cs.base + regs->rip, bytes, sizeof(bytes));
    return insn_decode(bytes, n,
                       mode == HVM_MODE_64   ? INSN_MODE_64
                       : mode == HVM_MODE_32 ? INSN_MODE_32
                                             : INSN_MODE_16,
                       insn) == INSN_OK;
}

static bool set_cr4(struct hvm_vcpu *v, uint64_t val)
{
    uint64_t old = hvm_vendor->get(v, HVM_CR4);

    if (val & ~hvm_cr4_valid(v)) {
        log_refusal(v->x.v.domain, "CR4 <- %#lx: its CPU policy allows %#lx", val,
                    hvm_cr4_valid(v));
        return false;
    }
    if (!(val & X86_CR4_PAE) && (hvm_vendor->get(v, HVM_EFER) & X86_EFER_LMA))
        return false;
    if ((val & ~old & CR4_PCIDE) &&
        (!(hvm_vendor->get(v, HVM_EFER) & X86_EFER_LMA) || (hvm_vendor->get(v, HVM_CR3) & 0xfff)))
        return false;
    hvm_vendor->set(v, HVM_CR4, val);
    if ((old ^ val) & CR4_PAGING) /* these end all translations, global ones too */
        hvm_vendor->flush(v);
    return true;
}

/*
 * MOV to CR0, where the vendor lets it exit. Paging in long mode is entered and left here too:
 * Intel SDM volume 3, 5.1.
 */
static bool set_cr0(struct hvm_vcpu *v, uint64_t val)
{
    uint64_t old = hvm_vendor->get(v, HVM_CR0), efer = hvm_vendor->get(v, HVM_EFER);
    uint64_t cr4 = hvm_vendor->get(v, HVM_CR4), changed;

    if (val >> 32 || ((val & X86_CR0_PG) && !(val & X86_CR0_PE)) ||
        ((val & CR0_NW) && !(val & CR0_CD)))
        return false;
    val = (val & CR0_VALID) | X86_CR0_ET;
    changed = old ^ val;
    if ((changed & val & X86_CR0_PG) && (efer & X86_EFER_LME)) {
        if (!(cr4 & X86_CR4_PAE) || hvm_mode(v) == HVM_MODE_64)
            return false;
        efer |= X86_EFER_LMA;
    } else if ((changed & old & X86_CR0_PG) && (efer & X86_EFER_LMA)) {
        if (hvm_mode(v) == HVM_MODE_64 || (cr4 & CR4_PCIDE))
            return false;
        efer &= ~X86_EFER_LMA;
    }
    hvm_vendor->set(v, HVM_CR0, val);
    hvm_vendor->set(v, HVM_EFER, efer);
    if (changed & X86_CR0_PG)
        hvm_vendor->flush(v);
    return true;
}

static bool write_cr(struct hvm_vcpu *v, unsigned int n, uint64_t val)
{
    switch (n) {
    case 0:
        return set_cr0(v, val);
    case 4:
        return set_cr4(v, val);
    case 8:
        if (val > 15)
            return false;
        vlapic_set_cr8(&v->lapic, (uint8_t)val);
        hvm_ask(v, HVMX_INTERRUPT);
        return true;
    default:
        return false;
    }
}

void hvm_exit_cr(struct hvm_vcpu *v, struct x86_regs *regs, struct hvm_exit *x)
{
    unsigned int len = hvm_insn_length(v, regs, x);
    struct insn insn;
    bool code64 = hvm_mode(v) == HVM_MODE_64;

    if (!len || !fetch_move(v, regs, &insn))
        return;
    if (insn.op == INSN_MOV_TO_CR && x->write && insn.reg == x->reg) {
        uint64_t val = x86_gpr_value(regs, insn.rm);

        if (!write_cr(v, x->reg, code64 ? val : (uint32_t)val)) {
            hvm_raise_code(v, TRAP_GP, 0);
            return;
        }
    } else if (insn.op == INSN_MOV_FROM_CR && !x->write && insn.reg == x->reg && x->reg == 8) {
        *x86_gpr(regs, insn.rm) = vlapic_cr8(&v->lapic);
    } else {
        return; /* rewritten meanwhile: what is there now is executed */
    }
    hvm_skip(v, regs, insn.len);
}

/* The first access of a vCPU that becomes resident: from now on the registers are its own. */
void hvm_exit_dr(struct hvm_vcpu *v, struct x86_regs *regs, struct hvm_exit *x)
{
    (void)regs, (void)x;
    for (unsigned int i = 0; i < 4; i++)
        write_dr(i, v->dr[i]);
    v->dr_live = true;
    hvm_vendor->trap_dr(v, false);
}

void hvm_exit_xsetbv(struct hvm_vcpu *v, struct x86_regs *regs, struct hvm_exit *x)
{
    unsigned int len = hvm_insn_length(v, regs, x);
    uint64_t val = (uint32_t)regs->rax | regs->rdx << 32;
    struct guest_paging g;
    unsigned int cpl;

    if (!len)
        return;
    hvm_vendor->get_paging(v, &g, &cpl);
    if (cpl != 0 || (uint32_t)regs->rcx != 0 || !policy_xcr0_ok(v->x.v.domain, val)) {
        hvm_raise_code(v, TRAP_GP, 0);
        return;
    }
    v->x.xcr0 = val;
    xsetbv0(val);
    hvm_skip(v, regs, len);
}

void hvm_sync_xcr0(struct hvm_vcpu *v)
{
    if (cpu_feat.xsave)
        v->x.xcr0 = xgetbv0();
}

void hvm_set_tsc(struct hvm_vcpu *v)
{
    const struct x86_domain *xd = x86_domain(v->x.v.domain);

    hvm_vendor->set_tsc(v, v->x.tsc_offset, xd->tsc.emulated);
    if (cpu_info()->current == &v->x.v) /* its time record counts from a TSC value of its own */
        clock_update_vcpu(&v->x.v);
    else
        __atomic_store_n(&v->x.v.time_stamp, 0, __ATOMIC_RELAXED); /* at its next entry */
}
