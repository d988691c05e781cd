/* SPDX-License-Identifier: MIT */
/*
 * What is delivered to a hardware-assisted vCPU before it runs on, in the order of the processor:
 * the event whose delivery was cut short, an exception of its own, NMI, event-channel upcall,
 * interrupts of its local APIC. One event an entry; while another waits for it, or the guest takes
 * none, the vendor exits as soon as it does (the window). Where the processor delivers the local
 * APIC's itself, these are only told to it.
 */
#include "core/domain.h"
#include "core/pcpu.h"
#include "x86/cpu/cpu.h"
#include "x86/hvm/devices.h"
#include "x86/hvm/exits.h"

/* Does an upcall by vector wait that its domain, not one vCPU, has chosen? */
static bool upcall_waits(const struct hvm_vcpu *v)
{
    const struct hvm_domain *hd = (const struct hvm_domain *)v->x.v.domain;

    return __atomic_load_n(&v->x.v.info->evtchn_upcall_pending, __ATOMIC_RELAXED) &&
           __atomic_load_n(&hd->callback_vector, __ATOMIC_RELAXED) && !v->upcall_vector;
}

enum source { FROM_UPCALL, FROM_PIC, FROM_APIC };

/* The vector to deliver next, or -1, and whose it is. The PICs' is not known before it is taken. */
static int next_vector(struct hvm_vcpu *v, enum source *from)
{
    *from = FROM_UPCALL;
    if (upcall_waits(v))
        return __atomic_load_n(&hvm_domain_of(v)->callback_vector, __ATOMIC_RELAXED);
    *from = FROM_PIC;
    if (hvm_extint_waits(v))
        return 0;
    *from = FROM_APIC;
    return vlapic_pending(&v->lapic);
}

bool hvm_has_work(struct hvm_vcpu *v)
{
    enum source from;

    uint32_t work = __atomic_load_n(&v->exit_work, __ATOMIC_SEQ_CST);

    if ((work & (HVMX_NMI | HVMX_TIMER | HVMX_EVENT)) ||
        ((work & HVMX_CALLBACK) && hvm_callback_differs(hvm_domain_of(v)->dev)))
        return true;
    return (cpu_info()->regs.rflags & X86_FLAGS_IF) && next_vector(v, &from) >= 0;
}

static void want_window(struct hvm_vcpu *v)
{
    if (v->window)
        return;
    v->window = true;
    hvm_vendor->window(v, false, true);
}

/* What the processor delivers by itself is given to it. */
static bool delivers_by_itself(struct hvm_vcpu *v)
{
    return hvm_vendor->deliver && hvm_vendor->deliver(v);
}

/*
 * Deliver an interrupt, or see to it that the guest exits when it takes one. asked: by
 * HVMX_INTERRUPT.
 */
static void deliver_interrupt(struct hvm_vcpu *v, const struct x86_regs *regs, bool asked)
{
    struct hvm_event e = { .kind = HVM_EV_INTERRUPT };
    enum source from;
    bool by_itself = v->lapic.assisted;
    int vector;

    if (asked) {
        hvm_done(v, HVMX_INTERRUPT); /* first: who posts from here on asks again */
        by_itself = delivers_by_itself(v);
    }
    vector = next_vector(v, &from);
    if (vector < 0 || (by_itself && from == FROM_APIC))
        return;
    if (!(regs->rflags & X86_FLAGS_IF) || hvm_vendor->get(v, HVM_SHADOW) ||
        !hvm_vendor->can_inject(v)) {
        want_window(v);
        return;
    }
    e.vector = (uint8_t)vector;
    if (from == FROM_PIC)
        e.vector = hvm_extint_take(v);
    hvm_vendor->inject(v, &e);
    if (from == FROM_APIC) /* the end of this one, or of what holds others back, asks again */
        vlapic_accept(&v->lapic, e.vector);
    else if (asked) /* another source may have one, for the next entry */
        hvm_ask(v, HVMX_INTERRUPT);
}

static void deliver_nmi(struct hvm_vcpu *v)
{
    struct hvm_event e = { .kind = HVM_EV_NMI, .vector = 2 };

    if (v->nmi_masked || hvm_vendor->get(v, HVM_SHADOW) || !hvm_vendor->inject(v, &e))
        return; /* looked at again at the next entry */
    hvm_done(v, HVMX_NMI);
    v->nmi_masked = true;
    hvm_vendor->window(v, true, true);
}

bool hvm_exit_work(struct vcpu *c, struct x86_regs *regs)
{
    struct hvm_vcpu *v = hvm_vcpu(c);
    uint32_t work = __atomic_load_n(&v->exit_work, __ATOMIC_SEQ_CST);

    if (work & HVMX_IO) { /* in the middle of an instruction */
        if (!hvm_io_goes_on(v, regs))
            return true;
        work = __atomic_load_n(&v->exit_work, __ATOMIC_SEQ_CST);
        if (work & HVMX_IO) /* and again */
            return true;
    }
    if (work & HVMX_FLUSH) {
        hvm_done(v, HVMX_FLUSH);
        hvm_vendor->flush(v);
    }
    if (work & HVMX_EVENT) {
        hvm_done(v, HVMX_EVENT);
        hvm_vendor->inject(v, &v->event);
        v->event.kind = HVM_EV_NONE;
    }
    if (work & HVMX_TIMER) {
        hvm_done(v, HVMX_TIMER);
        vlapic_timer_fired(&v->lapic);
        work |= HVMX_INTERRUPT;
    }
    if (work & HVMX_CALLBACK) {
        hvm_done(v, HVMX_CALLBACK);
        hvm_callback_look(hvm_domain_of(v)->dev);
        work |= HVMX_INTERRUPT;
    }
    if (work & HVMX_NMI)
        deliver_nmi(v);
    if ((work & HVMX_INTERRUPT) || upcall_waits(v))
        deliver_interrupt(v, regs, (work & HVMX_INTERRUPT) != 0);
    return false;
}
