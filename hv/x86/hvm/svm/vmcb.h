/* SPDX-License-Identifier: MIT */
/* The virtual machine control block: AMD APM volume 2, appendix B; and chapter 15 for what it
 * means. */
#ifndef X86_HVM_SVM_VMCB_H
#define X86_HVM_SVM_VMCB_H

#include <stddef.h>
#include <stdint.h>

struct vmcb_seg {
    uint16_t sel, attr; /* attr: descriptor bits 55:52 and 47:40 */
    uint32_t limit;
    uint64_t base;
};

struct vmcb {
    /* control area */
    uint32_t cr, dr; /* intercepts: reads in bits 15:0, writes above */
    uint32_t exceptions;
    uint32_t general1, general2, general3;
    uint8_t reserved1[0x3c - 0x18];
    uint16_t pause_threshold, pause_count;
    uint64_t iopm, msrpm;
    uint64_t tsc_offset;
    uint32_t asid;
    uint32_t tlb_control;
    uint64_t vintr; /* V_TPR, V_IRQ ... */
    uint64_t shadow;
    uint64_t exit_code, exit_info1, exit_info2, exit_int;
    uint64_t np_enable;
    uint8_t reserved2[0xa8 - 0x98];
    uint64_t event;
    uint64_t ncr3;
    uint64_t lbr_enable;
    uint32_t clean, reserved3;
    uint64_t next_rip;
    uint8_t fetched;
    uint8_t bytes[15];
    uint8_t reserved4[0x400 - 0xe0];
    /* state save area */
    struct vmcb_seg es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    uint8_t reserved5[0x4cb - 0x4a0];
    uint8_t cpl;
    uint32_t reserved6;
    uint64_t efer;
    uint8_t reserved7[0x548 - 0x4d8];
    uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
    uint8_t reserved8[0x5d8 - 0x580];
    uint64_t rsp;
    uint8_t reserved9[0x5f8 - 0x5e0];
    uint64_t rax, star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip, cr2;
    uint8_t reserved10[0x668 - 0x648];
    uint64_t pat, debugctl, br_from, br_to, last_excp_from, last_excp_to;
    uint8_t reserved11[0x1000 - 0x698];
};

_Static_assert(sizeof(struct vmcb) == 4096, "one page");
_Static_assert(offsetof(struct vmcb, exit_code) == 0x70, "APM B-1");
_Static_assert(offsetof(struct vmcb, event) == 0xa8, "APM B-1");
_Static_assert(offsetof(struct vmcb, next_rip) == 0xc8, "APM B-1");
_Static_assert(offsetof(struct vmcb, es) == 0x400, "APM B-2");
_Static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "APM B-2");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "APM B-2");
_Static_assert(offsetof(struct vmcb, cr4) == 0x548, "APM B-2");
_Static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "APM B-2");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "APM B-2");
_Static_assert(offsetof(struct vmcb, pat) == 0x668, "APM B-2");

/* Intercepts, by word. */
enum vmcb_general1 {
    /* clang-format off */
    G1_INTR = 1u << 0, G1_NMI = 1u << 1, G1_SMI = 1u << 2, G1_INIT = 1u << 3, G1_VINTR = 1u << 4,
    G1_CR0_SEL = 1u << 5, G1_IDTR_READ = 1u << 6, G1_GDTR_READ = 1u << 7, G1_LDTR_READ = 1u << 8,
    G1_TR_READ = 1u << 9, G1_IDTR_WRITE = 1u << 10, G1_GDTR_WRITE = 1u << 11,
    G1_LDTR_WRITE = 1u << 12, G1_TR_WRITE = 1u << 13, G1_RDTSC = 1u << 14, G1_RDPMC = 1u << 15,
    G1_PUSHF = 1u << 16, G1_POPF = 1u << 17, G1_CPUID = 1u << 18, G1_RSM = 1u << 19,
    G1_IRET = 1u << 20, G1_SWINT = 1u << 21, G1_INVD = 1u << 22, G1_PAUSE = 1u << 23,
    G1_HLT = 1u << 24, G1_INVLPG = 1u << 25, G1_INVLPGA = 1u << 26, G1_IOIO = 1u << 27,
    G1_MSR = 1u << 28, G1_TASK_SWITCH = 1u << 29, G1_FERR = 1u << 30, G1_SHUTDOWN = 1u << 31,
    /* clang-format on */
};
enum vmcb_general2 {
    /* clang-format off */
    G2_VMRUN = 1u << 0, G2_VMMCALL = 1u << 1, G2_VMLOAD = 1u << 2, G2_VMSAVE = 1u << 3,
    G2_STGI = 1u << 4, G2_CLGI = 1u << 5, G2_SKINIT = 1u << 6, G2_RDTSCP = 1u << 7,
    G2_ICEBP = 1u << 8, G2_WBINVD = 1u << 9, G2_MONITOR = 1u << 10, G2_MWAIT = 1u << 11,
    G2_MWAIT_ARMED = 1u << 12, G2_XSETBV = 1u << 13, G2_RDPRU = 1u << 14,
    /* clang-format on */
};
enum vmcb_general3 {
    /* clang-format off */
    G3_INVLPGB = 1u << 0, G3_INVLPGB_ILLEGAL = 1u << 1, G3_INVPCID = 1u << 2, G3_MCOMMIT = 1u << 3,
    G3_TLBSYNC = 1u << 4, G3_BUSLOCK = 1u << 5,
    /* clang-format on */
};

/* vintr */
#define VINTR_TPR 0xfull
#define VINTR_IRQ (1ull << 8)
#define VINTR_PRIO(n) ((uint64_t)(n) << 16)
#define VINTR_IGN_TPR (1ull << 20)
#define VINTR_MASKING (1ull << 24)

#define SHADOW_INTERRUPT 1ull

/* event, exit_int */
#define EVENT_VECTOR 0xffull
#define EVENT_TYPE (7ull << 8)
#define EVENT_INTR (0ull << 8)
#define EVENT_NMI (2ull << 8)
#define EVENT_EXCEPTION (3ull << 8)
#define EVENT_SOFT (4ull << 8)
#define EVENT_HAS_CODE (1ull << 11)
#define EVENT_VALID (1ull << 31)

#define TLB_FLUSH_NOTHING 0u
#define TLB_FLUSH_ALL 1u  /* of all ASIDs, the host's too */
#define TLB_FLUSH_ASID 3u /* with flush-by-ASID */

/* Clean bits: what the processor may keep since it last loaded this block. */
enum vmcb_clean {
    CLEAN_INTERCEPTS = 1u << 0, /* with TSC offset, pause filter */
    CLEAN_IOPM = 1u << 1,
    CLEAN_ASID = 1u << 2,
    CLEAN_TPR = 1u << 3, /* vintr */
    CLEAN_NP = 1u << 4,  /* ncr3, pat */
    CLEAN_CRX = 1u << 5, /* cr0, cr3, cr4, efer */
    CLEAN_DRX = 1u << 6,
    CLEAN_DT = 1u << 7,  /* gdtr, idtr */
    CLEAN_SEG = 1u << 8, /* cs, ds, ss, es, cpl */
    CLEAN_CR2 = 1u << 9,
    CLEAN_LBR = 1u << 10,
};
#define CLEAN_ALL 0x7ffu

enum svm_exit_code {
    SVM_EXIT_CR_READ = 0x0,
    SVM_EXIT_CR_WRITE = 0x10,
    SVM_EXIT_DR_READ = 0x20,
    SVM_EXIT_DR_WRITE = 0x30,
    SVM_EXIT_EXCEPTION = 0x40,
    SVM_EXIT_INTR = 0x60,
    SVM_EXIT_NMI = 0x61,
    SVM_EXIT_SMI = 0x62,
    SVM_EXIT_INIT = 0x63,
    SVM_EXIT_VINTR = 0x64,
    SVM_EXIT_RDTSC = 0x6e,
    SVM_EXIT_RDPMC = 0x6f,
    SVM_EXIT_CPUID = 0x72,
    SVM_EXIT_IRET = 0x74,
    SVM_EXIT_INVD = 0x76,
    SVM_EXIT_HLT = 0x78,
    SVM_EXIT_INVLPGA = 0x7a,
    SVM_EXIT_IOIO = 0x7b,
    SVM_EXIT_MSR = 0x7c,
    SVM_EXIT_TASK_SWITCH = 0x7d,
    SVM_EXIT_SHUTDOWN = 0x7f,
    SVM_EXIT_VMRUN = 0x80,
    SVM_EXIT_VMMCALL = 0x81,
    SVM_EXIT_VMLOAD = 0x82,
    SVM_EXIT_VMSAVE = 0x83,
    SVM_EXIT_STGI = 0x84,
    SVM_EXIT_CLGI = 0x85,
    SVM_EXIT_SKINIT = 0x86,
    SVM_EXIT_RDTSCP = 0x87,
    SVM_EXIT_ICEBP = 0x88,
    SVM_EXIT_WBINVD = 0x89,
    SVM_EXIT_MONITOR = 0x8a,
    SVM_EXIT_MWAIT = 0x8b,
    SVM_EXIT_MWAIT_ARMED = 0x8c,
    SVM_EXIT_XSETBV = 0x8d,
    SVM_EXIT_RDPRU = 0x8e,
    SVM_EXIT_NPF = 0x400,
};
#define SVM_EXIT_INVALID (~0ull)

#define VM_CR_SVMDIS 0x10ull

/* CPUID 8000000A EDX */
#define SVM_FEATURE_NP (1u << 0)
#define SVM_FEATURE_NRIPS (1u << 3)
#define SVM_FEATURE_CLEAN (1u << 5)
#define SVM_FEATURE_FLUSH_ASID (1u << 6)
#define SVM_FEATURE_DECODE (1u << 7)

#endif
