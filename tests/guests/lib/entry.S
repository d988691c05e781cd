/* SPDX-License-Identifier: MIT */
/*
 * Trap entries, the way out by the iret hypercall, guarded calls, and the way to user mode.
 * The hypervisor enters with rcx, r11, [error code], rip, cs, rflags, rsp, ss on the stack.
 */
#include <xen/xen.h>
#include "entry.inc"
#include "layout.h"

    .text

/* The hypervisor's frame has them before the error code. */
.macro POP_SAVED
    pop     %rcx
    pop     %r11
.endm

    TRAP_COMMON

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

    TRAP_STUBS POP_SAVED

    .balign 16
.macro CALLBACK name, vector
    .globl  \name
\name:
    POP_SAVED
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
    HYPERCALL_REGS
    xor     %r9d, %r9d
    shl     $5, %rax
    mov     $hypercall_page, %r11
    add     %r11, %rax
    jmp     *%rax

/* long hypercall_raw(nr, a1..a5): the syscall instruction itself. */
    .globl  hypercall_raw
hypercall_raw:
    HYPERCALL_REGS
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
