/* SPDX-License-Identifier: MIT */
/* Exceptions and interrupts through the IDT, the way back by IRETQ, hypercalls by VMMCALL. */
#include <xen/xen.h>
#include "layout.h"

    .text

/* struct regs, from low to high: r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi */
.macro SAVE_REGS
    push    %rdi
    push    %rsi
    push    %rdx
    push    %rcx
    push    %rax
    push    %r8
    push    %r9
    push    %r10
    push    %r11
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
.endm

.macro RESTORE_REGS
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    pop     %r11
    pop     %r10
    pop     %r9
    pop     %r8
    pop     %rax
    pop     %rcx
    pop     %rdx
    pop     %rsi
    pop     %rdi
.endm

trap_common:
    SAVE_REGS
    cld
    mov     %rsp, %rdi
    mov     %rsp, %rbp
    and     $-16, %rsp
    call    trap_dispatch
    mov     %rbp, %rsp
    /* Fall through. */

/* rsp points at a struct regs: load it all. */
    .globl  regs_return
regs_return:
    RESTORE_REGS
    lea     16(%rsp), %rsp              /* vector and error code */
    iretq

/* 256 stubs of 16 bytes; those of exceptions with an error code do not push one. */
    .balign 16
    .globl  trap_stubs
trap_stubs:
    .set    vec, 0
    .rept   256
    .balign 16
    .if     (vec != 8) && ((vec < 10) || (vec > 14)) && (vec != 17) && (vec != 21)
    push    $0
    .endif
    pushq   $vec
    jmp     trap_common
    .set    vec, vec + 1
    .endr

/* void regs_enter(struct regs *): never returns. */
    .globl  regs_enter
regs_enter:
    mov     %rdi, %rsp
    jmp     regs_return

/* long hypercall_page_call(nr, a1..a5): through the hypercall page. */
    .globl  hypercall_page_call
hypercall_page_call:
    mov     %rdi, %rax
    mov     %rsi, %rdi
    mov     %rdx, %rsi
    mov     %rcx, %rdx
    mov     %r8, %r10
    mov     %r9, %r8
    shl     $5, %rax
    add     $hypercall_page, %rax
    jmp     *%rax

/* long hypercall_raw(nr, a1..a5): the instruction itself. */
    .globl  hypercall_raw
hypercall_raw:
    mov     %rdi, %rax
    mov     %rsi, %rdi
    mov     %rdx, %rsi
    mov     %rcx, %rdx
    mov     %r8, %r10
    mov     %r9, %r8
    cmpb    $0xc1, hypercall_page + 7   /* the hypervisor's choice */
    je      1f
    vmmcall
    ret
1:  vmcall
    ret

    .bss
    .balign 4096
    .globl  hypercall_page
hypercall_page:
    .skip   4096

    .section .note.GNU-stack, "", @progbits
