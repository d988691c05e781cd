/* SPDX-License-Identifier: MIT */
/*
 * Exits of hardware-assisted guests. Each handler decides first whether it can do what the
 * instruction asks, then does it, then steps over it; a fault leaves rip where it is.
 */
#include "x86/hvm/exits.h"

#include <xen/sched.h>

#include "core/domain.h"
#include "core/log.h"
#include "core/pcpu.h"
#include "core/trace.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/cpu/segs.h"
#include "x86/hvm/emulate.h"
#include "x86/hvm/state.h"
#include "x86/insn/gpr.h"
#include "x86/mm/guest_walk.h"
#include "x86/policy/cpu_policy.h"
#include "x86/time/tsc.h"
#include "x86/time/vtsc.h"
#include "x86/trap.h"

/* The ABI's record of an exit with a 64-bit rip; newer headers call it by another name. */
#define VMEXIT_RECORD (TRC_HVM_ENTRYEXIT + TRC_64_FLAG + 2)

#define CPUID_XSTATE 0xdu /* its sizes go by XCR0 */

enum hvm_mode hvm_mode(struct hvm_vcpu *v)
{
    unsigned int cpl;

    return hvm_vendor->mode(v, &cpl);
}

void hvm_skip(struct hvm_vcpu *v, struct x86_regs *regs, unsigned int len)
{
    uint64_t rip = regs->rip + len;

    if ((regs->rip ^ rip) & ~0xffffull) { /* rare: the instruction pointer may wrap */
        enum hvm_mode mode = hvm_mode(v);

        rip = mode == HVM_MODE_64 ? rip : mode == HVM_MODE_32 ? (uint32_t)rip : (uint16_t)rip;
    }
    regs->rip = rip;
    if (hvm_vendor->get(v, HVM_SHADOW))
        hvm_vendor->set(v, HVM_SHADOW, 0);
    if (regs->rflags & (X86_FLAGS_TF | X86_FLAGS_RF)) {
        regs->rflags &= ~X86_FLAGS_RF;
        if (regs->rflags & X86_FLAGS_TF) {
            hvm_vendor->set(v, HVM_DR6, hvm_vendor->get(v, HVM_DR6) | 0x4000);
            hvm_raise(v, TRAP_DB);
        }
    }
}

/* --- exceptions --- */

static bool contributory(uint8_t vector)
{
    return vector == TRAP_DE || (vector >= TRAP_TS && vector <= TRAP_GP);
}

static void triple_fault(struct hvm_vcpu *v)
{
    log_info("Domain %u (vcpu#%u): triple fault at %lx", v->x.v.domain->id, v->x.v.id,
             cpu_info()->regs.rip);
    domain_shutdown(v->x.v.domain, SHUTDOWN_reboot);
}

/* A second exception while the first was on its way: AMD APM volume 2, 8.2.9. */
static void combine(struct hvm_vcpu *v, struct hvm_event *e)
{
    const struct hvm_event *first = &v->event;

    if (first->kind != HVM_EV_EXCEPTION)
        return;
    if (first->vector == TRAP_DF) {
        triple_fault(v);
    } else if ((contributory(first->vector) && contributory(e->vector)) ||
               (first->vector == TRAP_PF && (contributory(e->vector) || e->vector == TRAP_PF))) {
        *e = (struct hvm_event){ .kind = HVM_EV_EXCEPTION, .vector = TRAP_DF, .has_code = true };
    }
}

static void raise(struct hvm_vcpu *v, struct hvm_event e)
{
    if (v->exit_work & HVMX_EVENT)
        combine(v, &e);
    v->event = e;
    hvm_ask(v, HVMX_EVENT);
}

void hvm_raise(struct hvm_vcpu *v, uint8_t vector)
{
    raise(v, (struct hvm_event){ .kind = HVM_EV_EXCEPTION, .vector = vector });
}

void hvm_raise_code(struct hvm_vcpu *v, uint8_t vector, uint32_t code)
{
    raise(v, (struct hvm_event){
                 .kind = HVM_EV_EXCEPTION, .vector = vector, .has_code = true, .code = code });
}

/* What was on its way into the guest when it exited is delivered again, or meets what came now. */
static void redeliver(struct hvm_vcpu *v, const struct hvm_event *e)
{
    v->event = *e;
    hvm_ask(v, HVMX_EVENT);
    if (e->kind == HVM_EV_NMI)
        v->nmi_masked = false; /* until it is in */
}

static void exit_exception(struct hvm_vcpu *v, const struct hvm_exit *x)
{
    raise(v, x->event); /* #DB, #AC: they exit only so that a loop of them can be interrupted */
}

/* --- instructions --- */

static void exit_cpuid(struct hvm_vcpu *v, struct x86_regs *regs, const struct hvm_exit *x)
{
    unsigned int len = hvm_insn_length(v, regs, x);
    struct cpuid_regs r;

    if (!len)
        return;
    if ((uint32_t)regs->rax == CPUID_XSTATE)
        hvm_sync_xcr0(v);
    policy_cpuid(&v->x, hvm_vendor->get(v, HVM_CR4), (uint32_t)regs->rax, (uint32_t)regs->rcx, &r);
    regs->rax = r.a;
    regs->rbx = r.b;
    regs->rcx = r.c;
    regs->rdx = r.d;
    hvm_skip(v, regs, len);
}

static void exit_rdmsr(struct hvm_vcpu *v, struct x86_regs *regs, const struct hvm_exit *x)
{
    unsigned int len = hvm_insn_length(v, regs, x);
    uint64_t val;

    if (!len)
        return;
    if (!hvm_rdmsr(v, (uint32_t)regs->rcx, &val)) {
        hvm_raise_code(v, TRAP_GP, 0);
        return;
    }
    regs->rax = (uint32_t)val;
    regs->rdx = val >> 32;
    hvm_skip(v, regs, len);
}

static void exit_wrmsr(struct hvm_vcpu *v, struct x86_regs *regs, const struct hvm_exit *x)
{
    unsigned int len = hvm_insn_length(v, regs, x);
    uint64_t val = (uint32_t)regs->rax | regs->rdx << 32;

    if (!len)
        return;
    if (!hvm_wrmsr(v, (uint32_t)regs->rcx, val)) {
        hvm_raise_code(v, TRAP_GP, 0);
        return;
    }
    hvm_skip(v, regs, len);
}

static void exit_rdtsc(struct hvm_vcpu *v, struct x86_regs *regs, const struct hvm_exit *x)
{
    unsigned int len = hvm_insn_length(v, regs, x);
    uint64_t tsc = vtsc_now(x86_domain(v->x.v.domain)) + v->x.tsc_offset;

    if (!len)
        return;
    regs->rax = (uint32_t)tsc;
    regs->rdx = tsc >> 32;
    if (len >= 3) /* RDTSCP */
        regs->rcx = (uint32_t)v->tsc_aux;
    hvm_skip(v, regs, len);
}

static bool others_up(const struct domain *d)
{
    for_each_vcpu (d, v)
        if (!(vcpu_flags(v) & VP_DOWN))
            return true;
    return false;
}

/* HLT with interrupts off: nothing but an NMI or INIT ends it. */
static void halt_for_ever(struct hvm_vcpu *v)
{
    struct domain *d = v->x.v.domain;

    __atomic_fetch_or(&v->x.v.pause_flags, VP_DOWN, __ATOMIC_SEQ_CST);
    pcpu_raise(v->x.v.cpu, WORK_SCHED);
    if (!others_up(d))
        domain_shutdown(d, SHUTDOWN_poweroff);
}

static void exit_hlt(struct hvm_vcpu *v, struct x86_regs *regs, const struct hvm_exit *x)
{
    unsigned int len = hvm_insn_length(v, regs, x);
    struct vcpu *c = &v->x.v;

    if (!len)
        return;
    hvm_skip(v, regs, len);
    if (!(regs->rflags & X86_FLAGS_IF) && !(v->exit_work & HVMX_NMI)) {
        halt_for_ever(v);
        return;
    }
    /* Marked first, then looked; who raises something does it the other way round. */
    __atomic_fetch_or(&c->pause_flags, VP_BLOCKED, __ATOMIC_SEQ_CST);
    if (hvm_has_work(v)) {
        __atomic_fetch_and(&c->pause_flags, ~(uint32_t)VP_BLOCKED, __ATOMIC_SEQ_CST);
        hvm_ask(v, HVMX_INTERRUPT); /* perhaps it waits for a window: it can go in now */
    } else {
        pcpu_raise(c->cpu, WORK_SCHED);
    }
}

/* Memory is write-back whatever the guest asks, and no device reads it behind the caches. */
static void exit_cache(struct hvm_vcpu *v, struct x86_regs *regs, const struct hvm_exit *x)
{
    unsigned int len = hvm_insn_length(v, regs, x);

    if (len)
        hvm_skip(v, regs, len);
}

static void exit_nested(struct hvm_vcpu *v, struct x86_regs *regs, const struct hvm_exit *x)
{
    gfn_t gfn = GFN(x->gpa >> PAGE_SHIFT);

    if (p2m_allows(&hvm_domain_of(v)->p2m, gfn, x->write, x->fetch))
        return;
    if (!x->fetch && !x->in_tables && hvm_emulate(v, regs) == HVM_EMULATED)
        return;
    if (x->fetch)
        domain_crash(v->x.v.domain, &v->x.v, "it executes at physical address %lx, where %s",
                     x->gpa,
                     p2m_allows(&hvm_domain_of(v)->p2m, gfn, false, false) ? "no code may be"
                                                                           : "nothing is");
    else
        domain_crash(v->x.v.domain, &v->x.v, "it %s physical address %lx, where nothing is%s",
                     x->write ? "writes to" : "reads from", x->gpa,
                     x->in_tables ? ", in a walk of its tables" : "");
}

static void exit_bad(struct hvm_vcpu *v, const struct hvm_exit *x)
{
    switch (x->reason) {
    case HVM_EXIT_TASK_SWITCH:
        domain_crash(v->x.v.domain, &v->x.v,
                     "it switches tasks by hardware, which is not supported");
        break;
    case HVM_EXIT_SHUTDOWN:
        triple_fault(v);
        break;
    case HVM_EXIT_FAILED:
        domain_crash(v->x.v.domain, &v->x.v, "the processor refused its state (%s exit %lx)",
                     hvm_vendor->name, x->code);
        break;
    default:
        hvm_raise(v, TRAP_UD);
    }
}

static void dispatch(struct hvm_vcpu *v, struct x86_regs *regs, struct hvm_exit *x)
{
    switch (x->reason) {
    case HVM_EXIT_NOTHING:
        sti_cli();
        break;
    case HVM_EXIT_HYPERCALL:
        hvm_hypercall(v, regs, x);
        break;
    case HVM_EXIT_CPUID:
        exit_cpuid(v, regs, x);
        break;
    case HVM_EXIT_IO:
        hvm_exit_io(v, regs, x);
        break;
    case HVM_EXIT_RDMSR:
        exit_rdmsr(v, regs, x);
        break;
    case HVM_EXIT_WRMSR:
        exit_wrmsr(v, regs, x);
        break;
    case HVM_EXIT_NESTED:
        exit_nested(v, regs, x);
        break;
    case HVM_EXIT_HLT:
        exit_hlt(v, regs, x);
        break;
    case HVM_EXIT_WINDOW:
        hvm_vendor->window(v, false, false);
        v->window = false;
        hvm_ask(v, HVMX_INTERRUPT);
        break;
    case HVM_EXIT_NMI_WINDOW:
        hvm_vendor->window(v, true, false);
        v->nmi_masked = false;
        break;
    case HVM_EXIT_EXCEPTION:
        exit_exception(v, x);
        break;
    case HVM_EXIT_APIC_END:
        vlapic_ended(&v->lapic, (uint8_t)x->apic);
        break;
    case HVM_EXIT_APIC_WRITE:
        vlapic_written(&v->lapic, x->apic);
        break;
    case HVM_EXIT_MACHINE_CHECK:
        __asm__ volatile("int $18");
        break;
    case HVM_EXIT_RDTSC:
    case HVM_EXIT_RDTSCP:
        exit_rdtsc(v, regs, x);
        break;
    case HVM_EXIT_CR:
        hvm_exit_cr(v, regs, x);
        break;
    case HVM_EXIT_DR:
        hvm_exit_dr(v, regs, x);
        break;
    case HVM_EXIT_XSETBV:
        hvm_exit_xsetbv(v, regs, x);
        break;
    case HVM_EXIT_CACHE:
        exit_cache(v, regs, x);
        break;
    default:
        exit_bad(v, x);
    }
}

void hvm_vmexit(struct x86_regs *regs)
{
    struct hvm_vcpu *v = hvm_vcpu(cpu_info()->current);
    struct hvm_exit x;

    v->stats.exits++;
    hvm_vendor->decode(v, &x);
    TRACE(VMEXIT_RECORD, (uint32_t)x.code, (uint32_t)regs->rip, (uint32_t)(regs->rip >> 32));
    if (__builtin_expect(x.vectoring.kind != HVM_EV_NONE, 0))
        redeliver(v, &x.vectoring);
    dispatch(v, regs, &x);
}
