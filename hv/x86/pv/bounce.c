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
#include "lib/macros.h"
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
    write_cr3(pv->load_cr3[pv->kernel_mode]);
}

#define EXTRA_MAX 4

/* The frame cannot be made, as `why` says of the address. */
static __attribute__((noinline, cold)) void lost(struct vcpu *v, const char *why, uint64_t at)
{
    domain_crash(v->domain, v, "%s %#lx", why, at);
}

/* To the handler at `rip`, with so many (a constant) words between rip and r11. */
static inline __attribute__((always_inline)) void enter(struct vcpu *v, struct x86_regs *regs,
                                                        const uint64_t *extra,
                                                        unsigned int nr_extra, uint64_t rip,
                                                        bool mask)
{
    struct pv_vcpu *pv = pv_vcpu(v);
    struct vcpu_info *info = v->info;
    const uint64_t room = (7 + EXTRA_MAX + 1) * sizeof(uint64_t);
    uint64_t sp, cs = regs->cs & 0xffff, flags = regs->rflags & ~(X86_FLAGS_IF | X86_FLAGS_IOPL);
    uint8_t masked = __atomic_load_n(&info->evtchn_upcall_mask, __ATOMIC_RELAXED);

    sp = pv->kernel_mode ? regs->rsp & ~15ull : pv->kernel_sp;
    if (unlikely(!pv_range_ok(sp - room, room))) {
        lost(v, "exception with stack pointer", sp);
        return;
    }
    if (unlikely(!pv_range_ok(rip, 1))) {
        lost(v, "the handler is at no address of a guest:", rip);
        return;
    }
    if (pv->kernel_mode) {
        cs &= ~3ull;
    } else {
        pv->kernel_mode = true;
        swapgs();
        write_cr3(pv->load_cr3[true]);
    }
    if (!masked)
        flags |= X86_FLAGS_IF;
    if (unlikely(pv_iopl_in_frames(v->domain)))
        flags |= (uint64_t)pv->priv.iopl << 12;
    sp -= (7 + nr_extra) * sizeof(uint64_t);
    uint64_t *w = (uint64_t *)sp, *iret = w + 2 + nr_extra;
    user_begin();
    user_store(&w[0], regs->rcx, fault);
    user_store(&w[1], regs->r11, fault);
    for (unsigned int i = 0; i < nr_extra; i++)
        user_store(&w[2 + i], extra[i], fault);
    user_store(&iret[0], regs->rip, fault);
    user_store(&iret[1], cs | (uint64_t)masked << 32, fault);
    user_store(&iret[2], flags, fault);
    user_store(&iret[3], regs->rsp, fault);
    user_store(&iret[4], regs->ss & 0xffff, fault);
    user_end();
    if (mask)
        info->evtchn_upcall_mask = 1;
    regs->rip = rip;
    regs->cs = SEL_RING3_CS64;
    regs->rflags = (regs->rflags & ~ENTRY_FLAGS_CLEAR) | X86_FLAGS_IF;
    regs->rsp = sp;
    regs->ss = SEL_RING3_DS;
    regs->vector = REGS_SYSCALL;
    return;
fault:
    user_end();
    lost(v, "exception frame cannot be written at", sp);
}

/* With an error code. */
static __attribute__((noinline)) void enter_with_code(struct vcpu *v, struct x86_regs *regs,
                                                      uint64_t error_code, uint64_t rip, bool mask)
{
    enter(v, regs, &error_code, 1, rip, mask);
}

static __attribute__((noinline)) void enter_plain(struct vcpu *v, struct x86_regs *regs,
                                                  uint64_t rip, bool mask)
{
    enter(v, regs, NULL, 0, rip, mask);
}

static bool has_error_code(unsigned int vector)
{
    return (0x00227d00u >> vector) & 1; /* 8, 10-14, 17, 21 */
}

void pv_inject(struct vcpu *v, struct x86_regs *regs, unsigned int vector, uint32_t error_code)
{
    const struct pv_trap *t = &pv_vcpu(v)->traps[vector];

    if (__builtin_expect(!t->address, 0)) {
        domain_crash(v->domain, v, "no handler for exception %u (error code %#x, cr2 %#lx)", vector,
                     error_code, v->info->arch.cr2);
        return;
    }
    if (vector < 32 && has_error_code(vector))
        enter_with_code(v, regs, error_code, t->address, t->mask);
    else
        enter_plain(v, regs, t->address, t->mask);
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

    if (!cb->address) {
        domain_crash(v->domain, v, "event or failsafe callback needed, but none is registered");
        return;
    }
    if (segments) {
        uint64_t sel[EXTRA_MAX] = { pv->ds, pv->es, pv->fs, pv->gs };
        enter(v, regs, sel, EXTRA_MAX, cb->address, cb->mask);
    } else {
        enter_plain(v, regs, cb->address, cb->mask);
    }
}
