/* SPDX-License-Identifier: MIT */
/*
 * Trap entries, the way out by the iret hypercall, guarded calls, and the way to user mode.
 * The hypervisor enters with rcx, r11, [error code], rip, cs, rflags, rsp, ss on the stack.
 */
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

/* rsp points at a struct regs: load it all and leave by HYPERVISOR_iret. */
    .globl  regs_return
regs_return:
    RESTORE_REGS
    lea     16(%rsp), %rsp              /* vector and error code */
    push    $0                          /* flags: rcx and r11 are restored */
    push    %rcx
    push    %r11
    push    %rax
    mov     $__HYPERVISOR_iret, %eax
    syscall
    ud2

/* 256 stubs of 16 bytes; those of exceptions with an error code do not push one. */
    .balign 16
    .globl  trap_stubs
trap_stubs:
    .set    vec, 0
    .rept   256
    .balign 16
    pop     %rcx
    pop     %r11
    .if     (vec != 8) && ((vec < 10) || (vec > 14)) && (vec != 17) && (vec != 21)
    push    $0
    .endif
    pushq   $vec
    jmp     trap_common
    .set    vec, vec + 1
    .endr

    .balign 16
.macro CALLBACK name, vector
    .globl  \name
\name:
    pop     %rcx
    pop     %r11
    push    $0
    pushq   $\vector
    jmp     trap_common
.endm
    CALLBACK event_entry, 0x100
    CALLBACK syscall_entry, 0x101
    CALLBACK syscall32_entry, 0x102
    CALLBACK sysenter_entry, 0x103
    CALLBACK nmi_entry, 0x105

/* The failsafe frame has ds, es, fs, gs between r11 and rip. */
    .globl  failsafe_entry
failsafe_entry:
    pop     %rcx
    pop     %r11
    lea     32(%rsp), %rsp
    push    $0
    pushq   $0x104
    jmp     trap_common

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
    xor     %r9d, %r9d
    shl     $5, %rax
    mov     $hypercall_page, %r11
    add     %r11, %rax
    jmp     *%rax

/* long hypercall_raw(nr, a1..a5): the syscall instruction itself. */
    .globl  hypercall_raw
hypercall_raw:
    mov     %rdi, %rax
    mov     %rsi, %rdi
    mov     %rdx, %rsi
    mov     %rcx, %rdx
    mov     %r8, %r10
    mov     %r9, %r8
    xor     %r9d, %r9d
    syscall
    ret

/* A secondary CPU begins here with rdi = its struct cpu. */
    .globl  ap_entry
ap_entry:
    cld
    xor     %ebp, %ebp
    call    ap_start
    ud2

    .section .note.GNU-stack, "", @progbits
