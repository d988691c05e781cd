/* SPDX-License-Identifier: MIT */
/* What a PV guest's exceptions, system calls and hypercalls lead to. */
#include "x86/pv/traps.h"

#include "core/hypercall.h"
#include "core/log.h"
#include "lib/macros.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/irq/vectors.h"
#include "x86/mm/isolation.h"
#include "x86/mm/paging.h"
#include "x86/pv/context.h"
#include "x86/pv/desc.h"
#include "x86/pv/mm.h"
#include "x86/pv/privop.h"
#include "x86/pv/twin.h"

/* rflags a guest may set through iret: all but IOPL, NT, VM, VIF, VIP. */
#define FLAGS_GUEST 0x00250dd5ull

/* --- exceptions --- */

/* `int n` whose gate the hypervisor keeps to itself: the guest's own gate decides. */
static bool software_interrupt(struct vcpu *v, struct x86_regs *regs)
{
    const struct pv_vcpu *pv = pv_vcpu(v);
    uint8_t op[2];

    /* untested: code of ring 3 that was fetched and faulted by a gate; else op[0] is no INT */
    if (!(regs->error_code & 2) || (regs->error_code & 1) || !pv_range_ok(regs->rip, 2) ||
        copy_user(op, (void *)regs->rip, 2) || op[0] != 0xcd)
        return false;
    /* The ABI counts the kernel as ring 1. */
    if (pv->traps[op[1]].dpl < (pv->kernel_mode ? 1 : 3)) {
        pv_inject(v, regs, TRAP_GP, op[1] * 8u + 2);
        return true;
    }
    if (!pv->traps[op[1]].address)
        return false;
    regs->rip += 2;
    pv_inject(v, regs, op[1], 0);
    return true;
}

static void debug_exception(struct vcpu *v, struct x86_regs *regs)
{
    struct pv_vcpu *pv = pv_vcpu(v);
    uint64_t dr6, own = pv->dr[7] & 0xff ? 0xe00f : 0xe000;

    __asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
    __asm__ volatile("mov %0, %%dr6" ::"r"(0xffff0ff0ul));
    /* Without breakpoints of its own, those in the registers are somebody else's. */
    pv->dr[6] = (pv->dr[6] & ~0xful) | (dr6 & own) | 0xffff0ff0;
    pv_inject(v, regs, TRAP_DB, 0);
}

static void int80(struct vcpu *v, struct x86_regs *regs)
{
    const struct pv_vcpu *pv = pv_vcpu(v);

    if (pv->traps[VEC_INT80].address && (pv->kernel_mode || pv->traps[VEC_INT80].dpl == 3)) {
        pv_inject(v, regs, VEC_INT80, 0);
        return;
    }
    regs->rip -= 2;
    pv_inject(v, regs, TRAP_GP, VEC_INT80 * 8 + 2);
}

/* #GP without an error code. Whether it was an instruction that was completed. */
static bool privileged_instruction(struct pv_vcpu *pv, struct x86_regs *regs)
{
    unsigned int two = 0;

    if (unlikely(regs->cs != SEL_RING3_CS64) || !pv_range_ok(regs->rip, 2))
        return pv_emulate_privop(pv, regs);
    user_begin();
    user_load2(two, regs->rip, fault);
    user_end();
    return pv_is_quick_privop(two) ? pv_quick_privop(pv, regs, two) : pv_emulate_privop(pv, regs);
fault: /* of one byte at the end of what is there, perhaps */
    user_end();
    return pv_emulate_privop(pv, regs);
}

void pv_exception(struct vcpu *v, struct x86_regs *regs)
{
    struct pv_vcpu *pv = pv_vcpu(v);

    if (likely(regs->vector == TRAP_GP && !regs->error_code)) {
        if (likely(privileged_instruction(pv, regs)))
            return;
        pv_inject(v, regs, TRAP_GP, 0);
        return;
    }
    switch (regs->vector) {
    case TRAP_GP:
        if (software_interrupt(v, regs))
            return;
        break;
    case TRAP_UD:
        if (pv_emulate_privop(pv, regs))
            return;
        break;
    case TRAP_NM:
        clts();
        if (!pv->ts)
            return;
        pv->ts = false;
        break;
    case TRAP_DB:
        debug_exception(v, regs);
        return;
    case VEC_INT80:
        int80(v, regs);
        return;
    }
    pv_inject(v, regs, regs->vector, regs->error_code);
}

/* The CPU itself read a descriptor in our range, of this CPU's GDT or LDT window, and failed. */
static bool window_fault(struct vcpu *v, struct x86_regs *regs, uint64_t cr2)
{
    /* untested: of all that is the guest's the CPU reads only descriptors with its own rights */
    if ((regs->error_code & 4) || !desc_in_window(this_cpu_id(), cr2))
        return false;
    if (!pv_map_ldt_fault(v, cr2))
        pv_inject(v, regs, TRAP_GP, desc_fault_error(this_cpu_id(), cr2));
    return true;
}

bool pv_hv_fault(struct vcpu *v, uint64_t cr2, uint32_t error_code)
{
    bool kernel = !((read_cr3() ^ pv_vcpu(v)->load_cr3[1]) & PTE_ADDR);

    if (unlikely(pv_domain(v->domain)->twins != NULL) && pv_range_ok(cr2, 1))
        return twin_fault(v, kernel, cr2, &error_code);
    return pv_map_ldt_fault(v, cr2);
}

/* Of a guest kernel's write where it may only read. */
static __attribute__((noinline)) void write_fault(struct vcpu *v, struct x86_regs *regs,
                                                  uint64_t cr2)
{
    if (pv_ptwrite(v, regs, cr2))
        return;
    if (cr2 >= HV_START && cr2 < HV_END && window_fault(v, regs, cr2))
        return;
    pv_inject_pf(v, regs, cr2, regs->error_code);
}

void pv_page_fault(struct x86_regs *regs)
{
    struct vcpu *v = cpu_info()->current;
    uint64_t cr2 = read_cr2();
    uint32_t ec;

    if (unlikely(pv_domain(v->domain)->twins != NULL) && pv_range_ok(cr2, 1) &&
        twin_fault(v, pv_vcpu(v)->kernel_mode, cr2, &regs->error_code))
        return;
    ec = regs->error_code;
    if ((ec & 3) == 3 && pv_vcpu(v)->kernel_mode) {
        write_fault(v, regs, cr2);
        return;
    }
    if (__builtin_expect(cr2 >= HV_START && cr2 < HV_END, 0) && window_fault(v, regs, cr2))
        return;
    pv_inject_pf(v, regs, cr2, ec);
}

/* --- isolated roots (x86/mm/isolation.h) --- */

uint64_t pv_isolated_root(void)
{
    struct cpu_info *ci = cpu_info();
    const struct pv_vcpu *v = pv_vcpu(ci->current);
    const struct pv_domain *d = pv_domain(v->x.v.domain);
    uint64_t load;

    if (!d->isolated)
        return 0;
    load = isolation_load(&this_x86()->isolation->root[v->kernel_mode],
                          v->load_cr3[v->kernel_mode] & PTE_ADDR, &d->l4_changes);
    ci->guest_cr3 = v->load_cr3[v->kernel_mode];
    ci->isolated_cr3 = load & ~CR3_KEEP; /* as CR3 reads */
    return load;
}

void pv_isolated_page_fault(struct x86_regs *regs)
{
    const struct pv_vcpu *v = pv_vcpu(cpu_info()->current);
    const struct pv_domain *d = pv_domain(v->x.v.domain);

    /* Perhaps an entry that the L4 has got meanwhile: the way out copies it. */
    if (d->isolated && !(regs->error_code & 1) &&
        this_x86()->isolation->root[v->kernel_mode].seen !=
            __atomic_load_n(&d->l4_changes, __ATOMIC_ACQUIRE))
        return;
    pv_page_fault(regs);
}

/* --- the iret hypercall, the long way --- */

/* No further NMI until the handler's iret, which therefore has to come the long way. */
static void set_in_nmi(struct pv_vcpu *pv, bool in_nmi)
{
    pv->in_nmi = in_nmi;
    pv_set_short_paths(pv);
}

static void iret(struct vcpu *v, struct x86_regs *regs)
{
    struct pv_vcpu *pv = pv_vcpu(v);
    struct iret_context c;

    if (!pv_range_ok(regs->rsp, sizeof(c)) || copy_user(&c, (void *)regs->rsp, sizeof(c))) {
        domain_crash(v->domain, v, "iret frame at %#lx cannot be read", regs->rsp);
        return;
    }
    if (c.cs & 3) { /* RPL 1 and 2, which IRET will refuse, too: as the short way has it */
        if (!pv->cr3_user) {
            domain_crash(v->domain, v, "iret to user mode without user page tables");
            return;
        }
        pv_toggle_mode(pv);
    }
    regs->rip = c.rip;
    regs->cs = (c.cs & 0xffff) | (c.cs & 3 ? 0 : 3);
    regs->rflags = (c.rflags & FLAGS_GUEST) | X86_FLAGS_IF | X86_FLAGS_FIXED;
    regs->rsp = c.rsp;
    regs->ss = (c.ss & 0xffff) | 3;
    regs->rax = c.rax;
    regs->r11 = c.r11;
    regs->rcx = c.rcx;
    if (pv_iopl_in_frames(v->domain))
        pv->priv.iopl = (c.rflags & X86_FLAGS_IOPL) >> 12;
    regs->vector = 0; /* leave by IRET: rcx and r11 are the guest's */
    v->info->evtchn_upcall_mask = !(c.rflags & X86_FLAGS_IF);
    if (__builtin_expect(pv->in_nmi, 0))
        set_in_nmi(pv, false);
}

void pv_vm_assist_changed(struct domain *d)
{
    for_each_vcpu (d, v)
        pv_set_short_paths(pv_vcpu(v));
}

/* Reached through multicall only, which it ends: the frame is where that found the stack. */
long hc_iret(struct vcpu *v, const struct hc_args *args)
{
    iret(v, &cpu_info()->regs);
    return HC_LEFT;
}

/* A selector or address of an iret frame was bad: the guest's failsafe handler sorts it out. */
void pv_iret_fault(struct x86_regs *regs)
{
    struct vcpu *v = cpu_info()->current;

    pv_note_selectors(v);
    pv_enter_callback(v, regs, &pv_vcpu(v)->failsafe, true);
}

/* --- system calls and hypercalls --- */

void pv_hypercall_unfinished(struct x86_regs *regs, long rc)
{
    if (rc == HC_LEFT)
        return;
    regs->rip -= 2; /* the SYSCALL instruction again, after what is pending */
    regs->args = cpu_info()->current->restart_args;
}

void pv_hypercall(struct x86_regs *regs, struct vcpu *v)
{
    long rc = hypercall_dispatch(v, regs->rax, &regs->args);

    if (likely(rc > HC_LEFT))
        regs->rax = (uint64_t)rc;
    else
        pv_hypercall_unfinished(regs, rc);
}

void pv_syscall(struct x86_regs *regs)
{
    struct vcpu *v = cpu_info()->current;
    struct pv_vcpu *pv = pv_vcpu(v);

    if (pv->kernel_mode) {
        if ((uint32_t)regs->rax == __HYPERVISOR_iret)
            iret(v, regs);
        else
            pv_hypercall(regs, v);
        return;
    }
    struct pv_callback cb = { pv->syscall_rip, pv->syscall_mask };
    if (cb.address) {
        pv_enter_callback(v, regs, &cb, false);
        return;
    }
    regs->rip -= 2;
    pv_inject(v, regs, TRAP_UD, 0);
}

/* A 32-bit program calls its kernel: the callback for it, or the exception of a CPU without. */
static void enter_from_32bit(struct x86_regs *regs, bool sysenter)
{
    struct vcpu *v = cpu_info()->current;
    struct pv_vcpu *pv = pv_vcpu(v);
    struct pv_callback cb = { sysenter ? pv->sysenter_rip : pv->syscall32_rip,
                              sysenter ? pv->sysenter_mask : pv->syscall32_mask };

    if (!pv->kernel_mode && cb.address) {
        pv_enter_callback(v, regs, &cb, false);
    } else if (sysenter) {
        pv_inject(v, regs, TRAP_GP, 0);
    } else {
        regs->rip -= 2; /* back to the instruction */
        pv_inject(v, regs, TRAP_UD, 0);
    }
}

void pv_syscall32(struct x86_regs *regs)
{
    enter_from_32bit(regs, false);
}

void pv_sysenter(struct x86_regs *regs)
{
    enter_from_32bit(regs, true);
}

/* --- before the guest runs --- */

/* To the NMI callback, or to the trap table's vector 2, whichever is there. */
static void deliver_nmi(struct vcpu *v, struct x86_regs *regs)
{
    struct pv_vcpu *pv = pv_vcpu(v);

    set_in_nmi(pv, pv->nmi.address || pv->traps[TRAP_NMI].address);
    if (pv->nmi.address)
        pv_enter_callback(v, regs, &pv->nmi, false);
    else if (pv->in_nmi)
        pv_inject(v, regs, TRAP_NMI, 0);
}

static void work_done(struct pv_vcpu *pv, enum pv_exit_work what)
{
    __atomic_fetch_and(&pv->exit_work, (uint8_t)~what, __ATOMIC_RELAXED);
}

bool pv_exit_work(struct vcpu *v, struct x86_regs *regs)
{
    struct pv_vcpu *pv = pv_vcpu(v);

    if (pv->exit_work & PVX_DROP) {
        if (!pv_mm_ready(v))
            return true;
        work_done(pv, PVX_DROP);
    }
    if (pv->exit_work & PVX_FAILSAFE) {
        work_done(pv, PVX_FAILSAFE);
        pv_enter_callback(v, regs, &pv->failsafe, true);
    }
    if ((pv->exit_work & PVX_NMI) && !pv->in_nmi) {
        work_done(pv, PVX_NMI);
        deliver_nmi(v, regs);
    }
    if (v->info->evtchn_upcall_pending && !v->info->evtchn_upcall_mask) {
        struct pv_callback cb = { pv->event.address, true };
        pv_enter_callback(v, regs, &cb, false);
    }
    return pv->exit_work & PVX_DROP;
}

bool pv_can_block(const struct vcpu *v)
{
    const struct pv_vcpu *pv = (const struct pv_vcpu *)v;

    return !vcpu_has_upcall(v) &&
           (pv->in_nmi || !(__atomic_load_n(&pv->exit_work, __ATOMIC_RELAXED) & PVX_NMI));
}

int pv_send_nmi(struct vcpu *v)
{
    __atomic_fetch_or(&pv_vcpu(v)->exit_work, PVX_NMI, __ATOMIC_RELAXED);
    vcpu_notify(v);
    return 0;
}
