/* SPDX-License-Identifier: MIT */
/* What an exit was about, in the vendor-neutral form: AMD APM volume 2, appendix C. */
#include "x86/hvm/svm/svm.h"
#include "x86/trap.h"

/* exit_info1 of a port instruction (15.10.2), and of a nested fault (15.25.6). */
#define IOIO_IN 1u
#define IOIO_STRING 4u
#define IOIO_REP 8u
#define IOIO_SIZE(info) ((info) >> 4 & 7u)
#define NPF_WRITE 2u
#define NPF_FETCH 0x10u
#define NPF_TABLES (1ull << 33)

/*
 * An event whose delivery was cut short. INT n, INT3 and INTO are left out: rip still points at the
 * instruction, which the guest executes again.
 */
static void take_vectoring(uint64_t info, struct hvm_event *e)
{
    e->vector = (uint8_t)(info & EVENT_VECTOR);
    switch (info & EVENT_TYPE) {
    case EVENT_INTR:
        e->kind = HVM_EV_INTERRUPT;
        break;
    case EVENT_NMI:
        e->kind = HVM_EV_NMI;
        break;
    case EVENT_EXCEPTION:
        e->kind = e->vector == TRAP_BP || e->vector == TRAP_OF ? HVM_EV_NONE : HVM_EV_EXCEPTION;
        e->has_code = info & EVENT_HAS_CODE;
        e->code = (uint32_t)(info >> 32);
        break;
    }
}

static void decode_io(const struct vmcb *b, uint64_t rip, struct hvm_exit *x)
{
    uint32_t info = (uint32_t)b->exit_info1;

    x->reason = HVM_EXIT_IO;
    x->port = (uint16_t)(info >> 16);
    x->in = info & IOIO_IN;
    x->string = info & IOIO_STRING;
    x->rep = info & IOIO_REP;
    x->size = (uint8_t)IOIO_SIZE(info);
    x->len = (uint8_t)(b->exit_info2 - rip); /* the address behind it, on every processor */
}

static void decode_nested(const struct vmcb *b, struct hvm_exit *x)
{
    x->reason = HVM_EXIT_NESTED;
    x->gpa = b->exit_info2;
    x->write = b->exit_info1 & NPF_WRITE;
    x->fetch = b->exit_info1 & NPF_FETCH;
    x->in_tables = b->exit_info1 & NPF_TABLES;
}

static void decode_exception(const struct vmcb *b, uint8_t vector, struct hvm_exit *x)
{
    x->reason = vector == TRAP_MC ? HVM_EXIT_MACHINE_CHECK : HVM_EXIT_EXCEPTION;
    x->event = (struct hvm_event){ .kind = HVM_EV_EXCEPTION,
                                   .vector = vector,
                                   .has_code = vector == TRAP_AC,
                                   .code = (uint32_t)b->exit_info1 };
}

static uint8_t plain_reason(uint64_t code)
{
    switch (code) {
    case SVM_EXIT_VMMCALL:
        return HVM_EXIT_HYPERCALL;
    case SVM_EXIT_CPUID:
        return HVM_EXIT_CPUID;
    case SVM_EXIT_HLT:
        return HVM_EXIT_HLT;
    case SVM_EXIT_INTR:
    case SVM_EXIT_NMI:
    case SVM_EXIT_SMI:
    case SVM_EXIT_INIT: /* the machine's own: it takes effect when interrupts are let in */
        return HVM_EXIT_NOTHING;
    case SVM_EXIT_VINTR:
        return HVM_EXIT_WINDOW;
    case SVM_EXIT_IRET:
        return HVM_EXIT_NMI_WINDOW;
    case SVM_EXIT_RDTSC:
        return HVM_EXIT_RDTSC;
    case SVM_EXIT_RDTSCP:
        return HVM_EXIT_RDTSCP;
    case SVM_EXIT_XSETBV:
        return HVM_EXIT_XSETBV;
    case SVM_EXIT_WBINVD:
    case SVM_EXIT_INVD:
        return HVM_EXIT_CACHE;
    case SVM_EXIT_TASK_SWITCH:
        return HVM_EXIT_TASK_SWITCH;
    case SVM_EXIT_SHUTDOWN:
        return HVM_EXIT_SHUTDOWN;
    case SVM_EXIT_INVALID:
        return HVM_EXIT_FAILED;
    default:
        return HVM_EXIT_FORBIDDEN;
    }
}

static void decode_range(const struct vmcb *b, uint64_t code, struct hvm_exit *x)
{
    if (code >= SVM_EXIT_EXCEPTION && code < SVM_EXIT_EXCEPTION + 32) {
        decode_exception(b, (uint8_t)(code - SVM_EXIT_EXCEPTION), x);
    } else if (code < SVM_EXIT_DR_READ) {
        x->reason = HVM_EXIT_CR;
        x->write = code >= SVM_EXIT_CR_WRITE;
        x->reg = code & 15;
    } else if (code < SVM_EXIT_EXCEPTION) {
        x->reason = HVM_EXIT_DR;
        x->write = code >= SVM_EXIT_DR_WRITE;
        x->reg = code & 15;
    } else {
        x->reason = plain_reason(code);
    }
}

void svm_decode(struct hvm_vcpu *v, struct hvm_exit *x)
{
    const struct vmcb *b = vmcb_of(v);
    uint64_t code = b->exit_code;

    *x = (struct hvm_exit){ .code = code };
    if (b->exit_int & EVENT_VALID)
        take_vectoring(b->exit_int, &x->vectoring);
    if (code == SVM_EXIT_NPF)
        decode_nested(b, x);
    else if (code == SVM_EXIT_MSR)
        x->reason = b->exit_info1 & 1 ? HVM_EXIT_WRMSR : HVM_EXIT_RDMSR;
    else if (code == SVM_EXIT_IOIO)
        decode_io(b, b->rip, x);
    else
        decode_range(b, code, x);
    if ((svm_features & SVM_FEATURE_NRIPS) && !x->len && b->next_rip)
        x->len = (uint8_t)(b->next_rip - b->rip);
}
