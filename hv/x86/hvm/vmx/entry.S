/* SPDX-License-Identifier: MIT */
/*
 * Into a VMX guest and out of it: one round trip. Interrupts are off throughout: the guest exits
 * for one, which is taken when the hypervisor lets interrupts in. An exit lands at vmx_exit with
 * the stack pointer where the general registers are pushed (vmx_set_host).
 */
#include "x86/asm.h"
#include "x86/hvm/exit_path.h"

#define VMX_CR2 0
#define VMX_LAUNCHED 8
#define F_GUEST_RSP 0x681c
#define F_GUEST_RIP 0x681e
#define F_GUEST_RFLAGS 0x6820
#define MSR_FLUSH_CMD 0x10b

        .macro PUT field, reg
        movl    $\field, %eax
        movq    \reg(%rsp), %rdx
        vmwrite %rdx, %rax
        .endm
        .macro FETCH field, reg
        movl    $\field, %eax
        vmread  %rax, \reg(%rsp)
        .endm

        .section .text.entry, "ax"

/* rbx: the vCPU, current; rsp: its regs in cpu_info; interrupts off. */
ENTRY(vmx_enter)
        PUT     F_GUEST_RIP, REGS_rip
        PUT     F_GUEST_RSP, REGS_rsp
        PUT     F_GUEST_RFLAGS, REGS_rflags
        cmpb    $0, vmx_flush_l1d(%rip)
        je      1f
        movl    $MSR_FLUSH_CMD, %ecx
        movl    $1, %eax
        xorl    %edx, %edx
        wrmsr
1:      movq    HVM_CONTROL(%rbx), %rcx
        movq    %cr2, %rax
        movq    VMX_CR2(%rcx), %rdx
        cmpq    %rax, %rdx
        je      2f
        movq    %rdx, %cr2
2:      cmpb    $1, VMX_LAUNCHED(%rcx)  /* carry: not launched; popping keeps it, and so does VERW */
        POP_REGS
vmx_verw:
        .byte   0x0f, 0x1f, 0x44, 0x00, 0x00
        PATCHED vmx_verw, vmx_enter_verw, JUMP_VERW
vmx_go: jc      3f
        vmresume
        jmp     vmx_refused
3:      vmlaunch
vmx_refused:
        PUSH_REGS
        CALL_C  vmx_entry_refused
        movq    CI_CURRENT - CI_REGS(%rsp), %rbx
        jmp     exit_slow

vmx_enter_verw:
        verw    verw_selector(%rip)
        jmp     vmx_go

ENTRY(vmx_exit)
        PUSH_REGS
        movq    CI_CURRENT - CI_REGS(%rsp), %rbx
        movq    HVM_CONTROL(%rbx), %rcx
        movb    $1, VMX_LAUNCHED(%rcx)
        movq    %cr2, %rax
        movq    %rax, VMX_CR2(%rcx)
        FETCH   F_GUEST_RIP, REGS_rip
        FETCH   F_GUEST_RSP, REGS_rsp
        FETCH   F_GUEST_RFLAGS, REGS_rflags
        DISPATCH_EXIT vmx_enter

        RSB_FILL hvm_vmexit
        RSB_FILL vmx_entry_refused

        .bss
        .globl  vmx_flush_l1d           /* at boot: this processor has L1TF, and the means */
vmx_flush_l1d:
        .skip   1
        .section .note.GNU-stack, "", @progbits
