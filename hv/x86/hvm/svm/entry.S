/* SPDX-License-Identifier: MIT */
/*
 * Into an SVM guest and out of it: one round trip. Around VMRUN the global interrupt flag is clear,
 * so nothing interrupts while the stack pointer stands within cpu_info. Interrupts are enabled by
 * the hypervisor's own flags at VMRUN (15.21.1: with V_INTR_MASKING these decide whether physical
 * interrupts exit), and off again before the global flag is set; one that has come is taken when
 * the hypervisor lets interrupts in.
 */
#include "x86/asm.h"
#include "x86/hvm/exit_path.h"

#define VMCB_TLB_CONTROL 0x5c
#define VMCB_CLEAN 0xc0
#define VMCB_RFLAGS 0x570
#define VMCB_RIP 0x578
#define VMCB_RSP 0x5d8
#define VMCB_RAX 0x5f8
#define CLEAN_ALL 0x7ff

        .section .text.entry, "ax"

/* rbx: the vCPU, current; rsp: its regs in cpu_info; interrupts off. */
ENTRY(svm_enter)
        movq    HVM_CONTROL(%rbx), %rcx
        movq    HVM_CONTROL_PA(%rbx), %rax
        movq    REGS_rax(%rsp), %rdx
        movq    %rdx, VMCB_RAX(%rcx)
        movq    REGS_rip(%rsp), %rdx
        movq    %rdx, VMCB_RIP(%rcx)
        movq    REGS_rsp(%rsp), %rdx
        movq    %rdx, VMCB_RSP(%rcx)
        movq    REGS_rflags(%rsp), %rdx
        movq    %rdx, VMCB_RFLAGS(%rcx)
        movq    %rax, REGS_error_code(%rsp)
        clgi
        sti
        POP_REGS
        movq    (%rsp), %rax
        vmrun   %rax
        PUSH_REGS                       /* rax is again the control block's address */
        cli
        movq    CI_CURRENT - CI_REGS(%rsp), %rbx
        movq    HVM_CONTROL(%rbx), %rcx
        movq    VMCB_RAX(%rcx), %rdx
        movq    %rdx, REGS_rax(%rsp)
        movq    VMCB_RIP(%rcx), %rdx
        movq    %rdx, REGS_rip(%rsp)
        movq    VMCB_RSP(%rcx), %rdx
        movq    %rdx, REGS_rsp(%rsp)
        movq    VMCB_RFLAGS(%rcx), %rdx
        movq    %rdx, REGS_rflags(%rsp)
        movl    $CLEAN_ALL, VMCB_CLEAN(%rcx)
        movl    $0, VMCB_TLB_CONTROL(%rcx)
        stgi
        DISPATCH_EXIT svm_enter

        RSB_FILL hvm_vmexit
        .section .note.GNU-stack, "", @progbits
