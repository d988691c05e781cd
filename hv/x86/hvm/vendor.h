/* SPDX-License-Identifier: MIT */
/*
 * What AMD's SVM (hvm/svm/) and Intel's VMX (hvm/vmx/) provide to the rest of hvm/, which knows
 * neither. Drawn against both manuals: AMD APM volume 2 chapter 15, Intel SDM volume 3 chapters 23
 * to 33.
 *
 * General registers, rip, rsp and rflags of the vCPU that runs are in cpu_info()->regs, of one that
 * does not in x86_vcpu.regs: the entry code of the vendor moves them between there and the control
 * block. Everything else of the guest's processor state is in the control block, or on the CPU,
 * and is reached by the calls below. They are for the vCPU that is resident on the CPU that calls,
 * or for one that is resident nowhere (hvm_sync).
 */
#ifndef X86_HVM_VENDOR_H
#define X86_HVM_VENDOR_H

#include <stdbool.h>
#include <stdint.h>

struct hvm_vcpu;
struct x86_pcpu;
struct x86_regs;

/* How the guest's code runs: address and operand sizes by code segment. */
enum hvm_mode { HVM_MODE_REAL, HVM_MODE_16, HVM_MODE_32, HVM_MODE_64 };

enum hvm_event_kind {
    HVM_EV_NONE,
    HVM_EV_INTERRUPT,
    HVM_EV_NMI,
    HVM_EV_EXCEPTION,
    HVM_EV_SOFT, /* INT n, INT3, INTO: `len` is its length */
};

/* An interrupt or exception that enters the guest by its IDT. */
struct hvm_event {
    uint8_t kind; /* enum hvm_event_kind */
    uint8_t vector;
    bool has_code;
    uint8_t len;
    uint32_t code;
};

enum hvm_exit_reason {
    HVM_EXIT_NOTHING, /* an interrupt of the machine's: it is taken at the next chance */
    HVM_EXIT_HYPERCALL,
    HVM_EXIT_CPUID,
    HVM_EXIT_IO,
    HVM_EXIT_RDMSR,
    HVM_EXIT_WRMSR,
    HVM_EXIT_NESTED, /* the nested tables do not allow an access */
    HVM_EXIT_HLT,
    HVM_EXIT_WINDOW,     /* the guest takes interrupts now */
    HVM_EXIT_NMI_WINDOW, /* the guest is about to take NMIs again */
    HVM_EXIT_EXCEPTION,
    HVM_EXIT_MACHINE_CHECK,
    HVM_EXIT_RDTSC,
    HVM_EXIT_RDTSCP,
    HVM_EXIT_CR,
    HVM_EXIT_DR,
    HVM_EXIT_XSETBV,
    HVM_EXIT_CACHE, /* WBINVD, INVD */
    HVM_EXIT_TASK_SWITCH,
    HVM_EXIT_SHUTDOWN, /* triple fault */
    HVM_EXIT_INIT,
    HVM_EXIT_APIC_END,   /* the processor ended an interrupt that has to be told */
    HVM_EXIT_APIC_WRITE, /* it wrote a register of the local APIC that has to be told */
    HVM_EXIT_FORBIDDEN,  /* an instruction that this guest's processor has not got */
    HVM_EXIT_FAILED,     /* the processor refused the control block */
};

struct hvm_exit {
    uint8_t reason; /* enum hvm_exit_reason */
    uint8_t len;    /* of the instruction; 0: to be found in memory (hvm_insn_length) */
    bool write;     /* CR, DR: to the register. NESTED: a write */
    bool fetch;     /* NESTED */
    bool in_tables; /* NESTED: while the CPU walked the guest's own tables */
    bool in;        /* IO */
    bool string, rep;
    uint8_t size;           /* IO: bytes */
    uint8_t reg;            /* CR, DR: which */
    uint16_t port;          /* IO */
    uint16_t apic;          /* APIC_END: the vector. APIC_WRITE: the register's offset */
    uint64_t gpa;           /* NESTED */
    uint64_t code;          /* FAILED, FORBIDDEN: the vendor's number for the log */
    struct hvm_event event; /* EXCEPTION: which */
    struct hvm_event
        vectoring; /* the event that was on its way into the guest, to be given again */
};

enum hvm_seg {
    HVM_ES,
    HVM_CS,
    HVM_SS,
    HVM_DS,
    HVM_FS,
    HVM_GS,
    HVM_LDTR,
    HVM_TR,
    HVM_GDTR,
    HVM_IDTR,
    HVM_NR_SEGS
};

struct hvm_segment {
    uint16_t sel;
    uint16_t attr; /* bits 55:52 and 47:40 of a descriptor, one behind the other */
    uint32_t limit;
    uint64_t base;
};
#define HVM_SEG_P 0x80u
#define HVM_SEG_LONG 0x200u
#define HVM_SEG_DB 0x400u
#define HVM_SEG_DPL(attr) ((attr) >> 5 & 3u)

enum hvm_reg {
    HVM_CR0,
    HVM_CR2,
    HVM_CR3,
    HVM_CR4,
    HVM_EFER, /* the guest's view: without what switches the vendor's machinery on */
    HVM_DR6,
    HVM_DR7,
    HVM_PAT,
    HVM_STAR,
    HVM_LSTAR,
    HVM_CSTAR,
    HVM_SFMASK,
    HVM_KERNEL_GS_BASE,
    HVM_SYSENTER_CS,
    HVM_SYSENTER_ESP,
    HVM_SYSENTER_EIP,
    HVM_DEBUGCTL,
    HVM_SHADOW, /* 1: interrupts are held off for one instruction */
    HVM_NR_REGS
};

struct guest_paging;
struct p2m_format;

struct hvm_vendor {
    const char *name;                /* "SVM" */
    const struct p2m_format *format; /* of its nested tables */
    bool vmcall;                     /* its guests call by VMCALL, not VMMCALL */
    /* The largest leaf of its nested tables: P2M_ORDER_*. After enable_cpu(). */
    unsigned int (*max_order)(void);
    /* This CPU, once, at boot, and after it slept. NULL, or why hardware-assisted guests cannot
     * run. */
    const char *(*enable_cpu)(struct x86_pcpu *xp);
    /* Control block of a new vCPU with registers as after RESET; false: no memory. */
    bool (*create)(struct hvm_vcpu *v);
    void (*destroy)(struct hvm_vcpu *v);
    /* v, resident nowhere, becomes the one whose state this CPU has; FPU and CR3 are the caller's.
     */
    void (*load)(struct hvm_vcpu *v);
    /* The reverse; afterwards this CPU is as other guest kinds expect it. */
    void (*save)(struct hvm_vcpu *v);
    /* v exited: what happened. Once an exit, before anything else. */
    void (*decode)(struct hvm_vcpu *v, struct hvm_exit *x);
    void (*get_seg)(struct hvm_vcpu *v, enum hvm_seg n, struct hvm_segment *s);
    void (*set_seg)(struct hvm_vcpu *v, enum hvm_seg n, const struct hvm_segment *s);
    uint64_t (*get)(struct hvm_vcpu *v, enum hvm_reg r);
    /* The value was checked; CR0, CR4 and EFER agree with each other at the next entry. */
    void (*set)(struct hvm_vcpu *v, enum hvm_reg r, uint64_t val);
    /* How v's code runs, and at what privilege level. */
    enum hvm_mode (*mode)(struct hvm_vcpu *v, unsigned int *cpl);
    /* CR0, CR3, CR4, EFER at once, for walks of the guest's tables; and its privilege level. */
    void (*get_paging)(struct hvm_vcpu *v, struct guest_paging *g, unsigned int *cpl);
    /* Enter with this event; one an entry. False: there is one already. */
    bool (*inject)(struct hvm_vcpu *v, const struct hvm_event *e);
    /* Would inject() do so? */
    bool (*can_inject)(struct hvm_vcpu *v);
    /* Exit as soon as the guest takes interrupts, or (nmi) returns from its NMI handler. */
    void (*window)(struct hvm_vcpu *v, bool nmi, bool on);
    /*
     * v's local APIC may have something to deliver, or its mode changed: its page is given to the
     * processor, which delivers by itself. False: it cannot now, inject() has to. NULL: never.
     */
    bool (*deliver)(struct hvm_vcpu *v);
    /* TSC of the guest = the machine's + offset; trap: RDTSC exits. */
    void (*set_tsc)(struct hvm_vcpu *v, uint64_t offset, bool trap);
    /* Do accesses to debug registers exit? */
    void (*trap_dr)(struct hvm_vcpu *v, bool on);
    /* Nested translations and those by the guest's tables are forgotten before v runs again. */
    void (*flush)(struct hvm_vcpu *v);
    /* Where nested tables are, and a line for the log. */
    void (*set_nested)(struct hvm_vcpu *v, uint64_t root);
    void (*dump)(const struct hvm_vcpu *v);
    /* Assembly: cpu_info()->regs to the guest. Jumped to, with rbx = vCPU, rsp = its regs. */
    void (*enter)(void);
};

/* The one that this machine has; NULL: none, and no hardware-assisted guest is created. */
extern const struct hvm_vendor *hvm_vendor;

#endif
