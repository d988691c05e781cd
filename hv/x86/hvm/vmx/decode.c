/* SPDX-License-Identifier: MIT */
/* What an exit was about, in the vendor-neutral form: Intel SDM volume 3, chapter 28 and appendix
 * C. */
#include "core/log.h"
#include "x86/hvm/vmx/vmx.h"
#include "x86/trap.h"

#define DR6_FROM_EXIT 0xe00full /* B0 to B3, BD, BS, BT */
#define DR7_GD 0x2000ull

/* Qualifications: of a port instruction, of a nested fault, of a control or debug register. */
#define IO_SIZE(q) (((q)&7u) + 1u)
#define IO_IN 8u
#define IO_STRING 0x10u
#define IO_REP 0x20u
#define EPT_WRITE 2u
#define EPT_FETCH 4u
#define EPT_LINEAR 0x80u
#define EPT_FINAL 0x100u /* the page itself, not the guest's tables */
#define CR_FROM 0x10u
#define DR_FROM 0x10u

/*
 * An event whose delivery was cut short. INT n, INT3 and INTO are left out: rip still points at the
 * instruction, which the guest executes again.
 */
static void take_vectoring(uint32_t info, struct hvm_event *e)
{
    e->vector = (uint8_t)info;
    switch (info & EV_TYPE) {
    case EV_INTERRUPT:
        e->kind = HVM_EV_INTERRUPT;
        break;
    case EV_NMI:
        e->kind = HVM_EV_NMI;
        break;
    case EV_EXCEPTION:
        e->kind = HVM_EV_EXCEPTION;
        e->has_code = info & EV_HAS_CODE;
        e->code = (uint32_t)vmread(F_VECTORING_CODE);
        break;
    }
}

static void decode_io(uint64_t q, struct hvm_exit *x)
{
    x->reason = HVM_EXIT_IO;
    x->port = (uint16_t)(q >> 16);
    x->in = q & IO_IN;
    x->string = q & IO_STRING;
    x->rep = q & IO_REP;
    x->size = (uint8_t)IO_SIZE(q);
}

static void decode_nested(uint64_t q, struct hvm_exit *x)
{
    x->reason = HVM_EXIT_NESTED;
    x->gpa = vmread(F_GUEST_PHYSICAL);
    x->write = q & EPT_WRITE;
    x->fetch = q & EPT_FETCH;
    x->in_tables = (q & EPT_LINEAR) && !(q & EPT_FINAL);
}

/* #DB has not touched DR6 and DR7 yet. */
static void note_debug(struct hvm_vcpu *v, uint64_t q)
{
    vmx_set(v, HVM_DR6, (vmx_get(v, HVM_DR6) & ~0xfull) | (q & DR6_FROM_EXIT));
    vmwrite(F_GUEST_DR7, vmread(F_GUEST_DR7) & ~DR7_GD);
}

static void decode_exception(struct hvm_vcpu *v, uint32_t info, uint64_t q, struct hvm_exit *x)
{
    uint8_t vector = (uint8_t)info;

    if ((info & EV_TYPE) == EV_NMI) { /* the machine's: taken here, which lets further ones in */
        x->reason = HVM_EXIT_NOTHING;
        __asm__ volatile("int $2");
        return;
    }
    if (vector == TRAP_DB)
        note_debug(v, q);
    x->reason = vector == TRAP_MC ? HVM_EXIT_MACHINE_CHECK : HVM_EXIT_EXCEPTION;
    x->event = (struct hvm_event){ .kind = HVM_EV_EXCEPTION, .vector = vector };
    if (info & EV_HAS_CODE) {
        x->event.has_code = true;
        x->event.code = (uint32_t)vmread(F_EXIT_CODE);
    }
    if ((info & EV_TYPE) == EV_ICEBP) {
        x->event.kind = HVM_EV_SOFT;
        x->event.len = (uint8_t)vmread(F_LENGTH);
    }
}

static uint8_t plain_reason(uint32_t reason)
{
    switch (reason) {
    case VMX_VMCALL:
        return HVM_EXIT_HYPERCALL;
    case VMX_CPUID:
        return HVM_EXIT_CPUID;
    case VMX_HLT:
        return HVM_EXIT_HLT;
    case VMX_INTERRUPT:
    case VMX_INIT: /* the machine's own */
    case VMX_SIPI:
        return HVM_EXIT_NOTHING;
    case VMX_WINDOW:
        return HVM_EXIT_WINDOW;
    case VMX_NMI_WINDOW:
        return HVM_EXIT_NMI_WINDOW;
    case VMX_RDTSC:
        return HVM_EXIT_RDTSC;
    case VMX_RDTSCP:
        return HVM_EXIT_RDTSCP;
    case VMX_RDMSR:
        return HVM_EXIT_RDMSR;
    case VMX_WRMSR:
        return HVM_EXIT_WRMSR;
    case VMX_XSETBV:
        return HVM_EXIT_XSETBV;
    case VMX_WBINVD:
    case VMX_INVD:
        return HVM_EXIT_CACHE;
    case VMX_TASK_SWITCH:
        return HVM_EXIT_TASK_SWITCH;
    case VMX_TRIPLE_FAULT:
        return HVM_EXIT_SHUTDOWN;
    case VMX_EPT_MISCONFIG:
        return HVM_EXIT_FAILED;
    default:
        return HVM_EXIT_FORBIDDEN;
    }
}

/* The entry was refused: the guest has not run, and the control structure is as it was. */
static void decode_failure(struct hvm_vcpu *v, uint32_t reason, struct hvm_exit *x)
{
    vmx_of(v)->launched = 0;
    x->reason = HVM_EXIT_FAILED;
    log_err("Domain %u (vcpu#%u): VMX refused the guest's state: %s", v->x.v.domain->id, v->x.v.id,
            (reason & 0xffff) == VMX_BAD_STATE  ? vmx_explain_current()
            : (reason & 0xffff) == VMX_ENTRY_MC ? "a machine check at the entry"
                                                : "an MSR could not be loaded");
}

/* The processor notes where IRET let NMIs in, though it did not get to its end. */
static void block_nmi_again(void)
{
    vmwrite(F_INTERRUPTIBILITY, vmread(F_INTERRUPTIBILITY) | BLOCK_NMI);
}

static void decode_reason(struct hvm_vcpu *v, uint32_t reason, struct hvm_exit *x)
{
    uint64_t q = vmread(F_QUALIFICATION);
    uint32_t info;

    switch (reason) {
    case VMX_EXCEPTION:
        info = (uint32_t)vmread(F_EXIT_EVENT);
        if ((info & EV_NMI_UNBLOCKED) && x->vectoring.kind == HVM_EV_NONE &&
            (uint8_t)info != TRAP_DF)
            block_nmi_again();
        decode_exception(v, info, q, x);
        return;
    case VMX_EPT_VIOLATION:
        if ((q & EV_NMI_UNBLOCKED) && x->vectoring.kind == HVM_EV_NONE)
            block_nmi_again();
        decode_nested(q, x);
        return;
    case VMX_IO:
        decode_io(q, x);
        break;
    case VMX_CR:
        x->reason = HVM_EXIT_CR;
        x->write = !(q & CR_FROM);
        x->reg = q & 15;
        break;
    case VMX_DR:
        x->reason = HVM_EXIT_DR;
        x->write = !(q & DR_FROM);
        x->reg = q & 7;
        break;
    case VMX_APIC_END: /* this one and the next are behind their instruction */
        x->reason = HVM_EXIT_APIC_END;
        x->apic = q & 0xff;
        return;
    case VMX_APIC_WRITE:
        x->reason = HVM_EXIT_APIC_WRITE;
        x->apic = q & 0xfff;
        return;
    default:
        x->reason = plain_reason(reason);
    }
    x->len = (uint8_t)vmread(F_LENGTH); /* of exits that an instruction caused; else unused */
}

void vmx_decode(struct hvm_vcpu *v, struct hvm_exit *x)
{
    uint32_t reason = (uint32_t)vmread(F_REASON), vectoring = (uint32_t)vmread(F_VECTORING);

    *x = (struct hvm_exit){ .code = reason };
    vmx_of(v)->event = false;
    if (reason & REASON_ENTRY_FAILED) {
        decode_failure(v, reason, x);
        return;
    }
    if (vectoring & EV_VALID)
        take_vectoring(vectoring, &x->vectoring);
    decode_reason(v, reason & 0xffff, x);
}
