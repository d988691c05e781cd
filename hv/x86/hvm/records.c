/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's registers as records of Xen's HVM context, both ways. A record comes from the tools and
 * is checked before it is taken. The vCPU does not run, and nobody lets it.
 */
#include "x86/hvm/records.h"

#include <xen/errno.h>

#include "core/log.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/hvm/state.h"
#include "x86/time/vtsc.h"

#define FPU_BYTES 512
#define XSAVE_HEADER 512 /* offset of XSTATE_BV */

/* clang-format off */
/* General registers have the same names on both sides. */
#define EACH_GPR(X)                                                                              \
    X(rax) X(rbx) X(rcx) X(rdx) X(rbp) X(rsi) X(rdi) X(rsp) X(r8) X(r9) X(r10) X(r11) X(r12)     \
    X(r13) X(r14) X(r15) X(rip) X(rflags)

/* Segments: the record's prefix, our number. */
#define EACH_SEG(X)                                                                              \
    X(cs, HVM_CS) X(ds, HVM_DS) X(es, HVM_ES) X(fs, HVM_FS) X(gs, HVM_GS) X(ss, HVM_SS)          \
    X(tr, HVM_TR) X(ldtr, HVM_LDTR)

#define EACH_REG(X)                                                                              \
    X(cr0, HVM_CR0) X(cr2, HVM_CR2) X(cr3, HVM_CR3) X(cr4, HVM_CR4) X(dr6, HVM_DR6)              \
    X(dr7, HVM_DR7) X(sysenter_cs, HVM_SYSENTER_CS) X(sysenter_esp, HVM_SYSENTER_ESP)            \
    X(sysenter_eip, HVM_SYSENTER_EIP) X(shadow_gs, HVM_KERNEL_GS_BASE) X(msr_lstar, HVM_LSTAR)   \
    X(msr_star, HVM_STAR) X(msr_cstar, HVM_CSTAR) X(msr_syscall_mask, HVM_SFMASK)                \
    X(msr_efer, HVM_EFER)
/* clang-format on */

void hvm_cpu_to_record(struct hvm_vcpu *v, struct hvm_hw_cpu *r)
{
    struct hvm_segment s;

    memset(r, 0, sizeof(*r));
    memcpy(r->fpu_regs, v->x.xsave, FPU_BYTES);
    r->flags = XEN_X86_FPU_INITIALISED;
#define GPR(name) r->name = v->x.regs.name;
    EACH_GPR(GPR)
#undef GPR
#define SEG(name, n)               \
    hvm_vendor->get_seg(v, n, &s); \
    r->name##_sel = s.sel;         \
    r->name##_limit = s.limit;     \
    r->name##_base = s.base;       \
    r->name##_arbytes = s.attr;
    EACH_SEG(SEG)
#undef SEG
    hvm_vendor->get_seg(v, HVM_GDTR, &s);
    r->gdtr_base = s.base;
    r->gdtr_limit = s.limit;
    hvm_vendor->get_seg(v, HVM_IDTR, &s);
    r->idtr_base = s.base;
    r->idtr_limit = s.limit;
#define REG(name, n) r->name = hvm_vendor->get(v, n);
    EACH_REG(REG)
#undef REG
    r->dr0 = v->dr[0];
    r->dr1 = v->dr[1];
    r->dr2 = v->dr[2];
    r->dr3 = v->dr[3];
    r->msr_tsc_aux = v->tsc_aux;
    r->tsc = vtsc_now(x86_domain(v->x.v.domain)) + v->x.tsc_offset;
}

static bool canonical(uint64_t a)
{
    return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

static bool control_ok(const struct hvm_vcpu *v, const struct hvm_hw_cpu *r)
{
    bool paging = r->cr0 & X86_CR0_PG, lme = r->msr_efer & X86_EFER_LME;

    if (r->cr0 >> 32 || (paging && !(r->cr0 & X86_CR0_PE)) || (r->cr4 & ~hvm_cr4_valid(v)) ||
        (r->msr_efer & ~hvm_efer_valid(v)))
        return false;
    if (paging && lme && !(r->cr4 & X86_CR4_PAE))
        return false;
    return ((r->msr_efer & X86_EFER_LMA) != 0) == (paging && lme);
}

bool hvm_cpu_record_ok(const struct hvm_vcpu *v, const struct hvm_hw_cpu *r)
{
    return control_ok(v, r) && !(r->dr6 >> 32) && !(r->dr7 >> 32) && !(r->rflags >> 32) &&
           canonical(r->msr_lstar) && canonical(r->msr_cstar) && canonical(r->shadow_gs) &&
           canonical(r->fs_base) && canonical(r->gs_base) && canonical(r->sysenter_esp) &&
           canonical(r->sysenter_eip) && !(r->msr_tsc_aux >> 32) && !(r->pending_event >> 31);
}

static void take_fpu(struct hvm_vcpu *v, const struct hvm_hw_cpu *r)
{
    uint8_t *area = v->x.xsave;
    uint64_t bv = 3;
    uint32_t mxcsr;

    if (!(r->flags & XEN_X86_FPU_INITIALISED))
        return;
    memcpy(&mxcsr, r->fpu_regs + 24, sizeof(mxcsr));
    mxcsr &= 0xffff;
    memcpy(area, r->fpu_regs, 464);
    memcpy(area + 24, &mxcsr, sizeof(mxcsr));
    if (cpu_feat.xsave)
        memcpy(area + XSAVE_HEADER, &bv, sizeof(bv));
}

void hvm_cpu_from_record(struct hvm_vcpu *v, const struct hvm_hw_cpu *r)
{
    struct hvm_segment s;

    take_fpu(v, r);
#define GPR(name) v->x.regs.name = r->name;
    EACH_GPR(GPR)
#undef GPR
    v->x.regs.rflags |= X86_FLAGS_FIXED;
#define SEG(name, n)                                                                          \
    s = (struct hvm_segment){ (uint16_t)r->name##_sel, (uint16_t)(r->name##_arbytes & 0xfff), \
                              r->name##_limit, r->name##_base };                              \
    hvm_vendor->set_seg(v, n, &s);
    EACH_SEG(SEG)
#undef SEG
    s = (struct hvm_segment){ 0, 0, r->gdtr_limit, r->gdtr_base };
    hvm_vendor->set_seg(v, HVM_GDTR, &s);
    s = (struct hvm_segment){ 0, 0, r->idtr_limit, r->idtr_base };
    hvm_vendor->set_seg(v, HVM_IDTR, &s);
#define REG(name, n) hvm_vendor->set(v, n, r->name);
    EACH_REG(REG)
#undef REG
    v->dr[0] = r->dr0;
    v->dr[1] = r->dr1;
    v->dr[2] = r->dr2;
    v->dr[3] = r->dr3;
    v->tsc_aux = r->msr_tsc_aux;
    v->x.tsc_offset = r->tsc - vtsc_now(x86_domain(v->x.v.domain));
    hvm_set_tsc(v);
}

void hvm_mtrr_to_record(struct hvm_vcpu *v, struct hvm_hw_mtrr *r)
{
    memset(r, 0, sizeof(*r));
    r->msr_pat_cr = hvm_vendor->get(v, HVM_PAT);
    memcpy(r->msr_mtrr_var, v->mtrr_var, sizeof(r->msr_mtrr_var));
    memcpy(r->msr_mtrr_fixed, v->mtrr_fixed, sizeof(r->msr_mtrr_fixed));
    r->msr_mtrr_cap = HVM_MTRR_CAP;
    r->msr_mtrr_def_type = v->mtrr_def;
}

static bool pat_ok(uint64_t pat)
{
    for (unsigned int i = 0; i < 8; i++) {
        uint64_t t = pat >> 8 * i & 0xff;

        if (t > 7 || t == 2 || t == 3)
            return false;
    }
    return true;
}

bool hvm_mtrr_record_ok(const struct hvm_hw_mtrr *r)
{
    bool ok = pat_ok(r->msr_pat_cr) && (r->msr_mtrr_cap & 0xff) <= MTRR_VCNT &&
              hvm_mtrr_ok(MSR_MTRR_DEF_TYPE, r->msr_mtrr_def_type);

    for (unsigned int i = 0; ok && i < 2 * MTRR_VCNT; i++)
        ok = hvm_mtrr_ok(MSR_MTRR_FIRST + i, r->msr_mtrr_var[i]);
    for (unsigned int i = 0; ok && i < ARRAY_SIZE(r->msr_mtrr_fixed); i++)
        ok = hvm_mtrr_ok(MSR_MTRR_FIX_64K, r->msr_mtrr_fixed[i]);
    return ok;
}

void hvm_mtrr_from_record(struct hvm_vcpu *v, const struct hvm_hw_mtrr *r)
{
    memcpy(v->mtrr_var, r->msr_mtrr_var, sizeof(v->mtrr_var));
    memcpy(v->mtrr_fixed, r->msr_mtrr_fixed, sizeof(v->mtrr_fixed));
    v->mtrr_def = r->msr_mtrr_def_type;
    hvm_vendor->set(v, HVM_PAT, r->msr_pat_cr);
}
