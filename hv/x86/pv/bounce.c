/* SPDX-License-Identifier: MIT */
/*
 * Entering a guest's handlers: mode change, frame on its kernel stack, registers.
 *
 * The frame, from the top down: ss, rsp, rflags, cs with the saved event mask in its upper half,
 * rip, the error code if there is one, (for failsafe: gs fs es ds,) r11, rcx. The handler pops rcx
 * and r11, so it is entered by SYSRET.
 */
#include "core/domain.h"
#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/mm/paging.h"
#include "x86/pv/traps.h"

#define ENTRY_FLAGS_CLEAR \
    (X86_FLAGS_TF | X86_FLAGS_DF | X86_FLAGS_NT | X86_FLAGS_RF | X86_FLAGS_VM | X86_FLAGS_AC)

void pv_toggle_mode(struct pv_vcpu *pv)
{
    pv->kernel_mode = !pv->kernel_mode;
    swapgs();
    write_cr3(pv->kernel_mode ? pv->cr3_kernel : pv->cr3_user);
}

static inline void enter(struct vcpu *v, struct x86_regs *regs, const uint64_t *extra,
                         unsigned int nr_extra, uint64_t rip, bool mask)
{
    struct pv_vcpu *pv = pv_vcpu(v);
    struct vcpu_info *info = v->info;
    uint64_t w[12], sp, cs = regs->cs;
    unsigned int n = 7 + nr_extra;

    sp = pv->kernel_mode ? regs->rsp & ~15ull : pv->kernel_sp;
    if (__builtin_expect(!pv_range_ok(sp - sizeof(w), sizeof(w)), 0)) {
        domain_crash(v->domain, v, "exception with stack pointer %#lx", sp);
        return;
    }
    if (__builtin_expect(!pv_range_ok(rip, 1), 0)) {
        domain_crash(v->domain, v, "the handler is at %#lx, which is no address of a guest", rip);
        return;
    }
    if (pv->kernel_mode)
        cs &= ~3ull;
    else
        pv_toggle_mode(pv);
    w[0] = regs->rcx;
    w[1] = regs->r11;
    for (unsigned int i = 0; i < nr_extra; i++)
        w[2 + i] = extra[i];
    uint64_t *iret = &w[2 + nr_extra];
    iret[0] = regs->rip;
    iret[1] = (cs & 0xffff) | (uint64_t)info->evtchn_upcall_mask << 32;
    iret[2] = regs->rflags & ~(X86_FLAGS_IF | X86_FLAGS_IOPL);
    if (!info->evtchn_upcall_mask)
        iret[2] |= X86_FLAGS_IF;
    if (__builtin_expect(pv_iopl_in_frames(v->domain), 0))
        iret[2] |= (uint64_t)pv->priv.iopl << 12;
    iret[3] = regs->rsp;
    iret[4] = regs->ss & 0xffff;
    sp -= n * sizeof(uint64_t);
    if (__builtin_expect(copy_user((void *)sp, w, n * sizeof(uint64_t)) != 0, 0)) {
        domain_crash(v->domain, v, "exception frame cannot be written at %#lx", sp);
        return;
    }
    if (mask)
        info->evtchn_upcall_mask = 1;
    regs->rip = rip;
    regs->cs = SEL_RING3_CS64;
    regs->rflags = (regs->rflags & ~ENTRY_FLAGS_CLEAR) | X86_FLAGS_IF;
    regs->rsp = sp;
    regs->ss = SEL_RING3_DS;
    regs->vector = REGS_SYSCALL;
}

static bool has_error_code(unsigned int vector)
{
    return (0x00227d00u >> vector) & 1; /* 8, 10-14, 17, 21 */
}

void pv_inject(struct vcpu *v, struct x86_regs *regs, unsigned int vector, uint32_t error_code)
{
    const struct pv_trap *t = &pv_vcpu(v)->traps[vector];
    uint64_t ec = error_code;

    if (__builtin_expect(!t->address, 0)) {
        domain_crash(v->domain, v, "no handler for exception %u (error code %#x, cr2 %#lx)", vector,
                     error_code, v->info->arch.cr2);
        return;
    }
    enter(v, regs, &ec, vector < 32 && has_error_code(vector), t->address, t->mask);
}

void pv_inject_pf(struct vcpu *v, struct x86_regs *regs, uint64_t cr2, uint32_t error_code)
{
    v->info->arch.cr2 = cr2;
    error_code &= ~4u;
    if (!pv_vcpu(v)->kernel_mode)
        error_code |= 4;
    pv_inject(v, regs, TRAP_PF, error_code);
}

void pv_enter_callback(struct vcpu *v, struct x86_regs *regs, const struct pv_callback *cb,
                       bool segments)
{
    const struct pv_vcpu *pv = pv_vcpu(v);
    uint64_t sel[4] = { pv->ds, pv->es, pv->fs, pv->gs };

    if (!cb->address) {
        domain_crash(v->domain, v, "event or failsafe callback needed, but none is registered");
        return;
    }
    enter(v, regs, sel, segments ? 4 : 0, cb->address, cb->mask);
}
