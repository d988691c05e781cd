/* SPDX-License-Identifier: MIT */
/* Exceptions and interrupts in C, and the loop at the exit to a guest. */
#include "x86/trap.h"

#include "core/bug.h"
#include "core/log.h"
#include "core/vcpu.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/mc.h"
#include "x86/cpu/nmi.h"
#include "x86/cpu/ops.h"
#include "x86/guest.h"
#include "x86/irq/irq.h"
#include "x86/irq/lapic.h"
#include "x86/mm/paging.h"
#include "x86/panic.h"

struct ex_entry {
    int32_t from, to; /* each relative to its own address */
};
extern const struct ex_entry __ex_table_start[], __ex_table_end[];

bool trap_fixup(struct x86_regs *regs)
{
    for (const struct ex_entry *e = __ex_table_start; e < __ex_table_end; e++) {
        if ((uint64_t)&e->from + (uint64_t)(int64_t)e->from == regs->rip) {
            regs->rip = (uint64_t)&e->to + (uint64_t)(int64_t)e->to;
            return true;
        }
    }
    return false;
}

static void own_interrupt(uint32_t vector)
{
    switch (vector) {
    case VEC_SPURIOUS:
        return;
    case VEC_ERROR:
        lapic_handle_error();
        lapic_eoi();
        return;
    case VEC_TIMER:
        lapic_eoi();
        __atomic_fetch_or(&cpu_info()->pcpu->pending, WORK_TIMER, __ATOMIC_RELAXED);
        return;
    case VEC_KICK: /* the exit path does what is pending */
    case VEC_THERMAL:
        lapic_eoi();
        return;
    case VEC_CALL:
        lapic_eoi();
        arch_poll();
        return;
    default:
        lapic_eoi();
        log_warn("Unexpected interrupt vector %#x", vector);
    }
}

static void interrupt(uint32_t vector)
{
    if (vector >= VEC_OWN_FIRST)
        own_interrupt(vector);
    else
        irq_handle((uint8_t)vector);
}

void x86_trap_guest(struct x86_regs *regs)
{
    struct vcpu *v = cpu_info()->current;

    if (regs->vector >= 32 && regs->vector != VEC_INT80)
        interrupt(regs->vector);
    else
        x86_ops(v)->exception(v, regs);
}

/* What the hypervisor did not find on behalf of its current vCPU may be there now. */
static bool kind_resolves(struct x86_regs *regs)
{
    struct vcpu *v = regs->vector == TRAP_PF ? cpu_info()->current : NULL;

    return v && v->domain && x86_ops(v)->hv_fault &&
           x86_ops(v)->hv_fault(v, read_cr2(), regs->error_code);
}

/* The first instruction of an entry can carry a guest's pending #DB or single step with it. */
static bool benign_debug(struct x86_regs *regs)
{
    if (regs->vector != TRAP_DB)
        return false;
    regs->rflags &= ~X86_FLAGS_TF;
    __asm__ volatile("mov %0, %%dr6" ::"r"(0xffff0ff0ul));
    return true;
}

void x86_trap_hv(struct x86_regs *regs)
{
    if (regs->vector >= 32) {
        interrupt(regs->vector);
        return;
    }
    if (kind_resolves(regs) || trap_fixup(regs) || benign_debug(regs))
        return;
    panic_regs(regs, "Exception %u in the hypervisor (error code %#x, cr2 %#lx)", regs->vector,
               regs->error_code, read_cr2());
}

void x86_ist_trap(struct x86_regs *regs)
{
    switch (regs->vector) {
    case TRAP_DB:
        if (benign_debug(regs))
            return;
        break;
    case TRAP_NMI:
        if (panic_in_progress())
            panic_stop_this_cpu(regs);
        nmi_exception();
        return;
    case TRAP_MC:
        mc_exception(regs);
        return;
    }
    panic_regs(regs, regs->vector == TRAP_DF ? "Double fault (a stack overflow, most likely)"
                                             : "Debug exception in the hypervisor");
}

void x86_exit_work(struct x86_regs *regs)
{
    struct cpu_info *ci = cpu_info();

    for (;;) {
        nmi_pass_on();
        pcpu_do_pending(ci->pcpu);
        struct vcpu *v = ci->current;
        if (v == ci->pcpu->idle) {
            if (!__atomic_load_n(&ci->pcpu->pending, __ATOMIC_RELAXED))
                arch_idle_wait();
            continue;
        }
        if (x86_ops(v)->exit_work(v, regs)) { /* long, and gave way: so do we */
            pcpu_gave_way(ci->pcpu);
            sti_cli();
        } else if (!__atomic_load_n(&ci->pcpu->pending, __ATOMIC_RELAXED)) {
            return;
        }
    }
}
