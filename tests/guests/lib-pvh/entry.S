/* SPDX-License-Identifier: MIT */
/* Exceptions and interrupts through the IDT, the way back by IRETQ, hypercalls by VMMCALL. */
#include <xen/xen.h>
#include "entry.inc"
#include "layout.h"

    .text

    TRAP_COMMON

/* rsp points at a struct regs: load it all. */
    .globl  regs_return
regs_return:
    RESTORE_REGS
    lea     16(%rsp), %rsp              /* vector and error code */
    iretq

    TRAP_STUBS 

/* void regs_enter(struct regs *): never returns. */
    .globl  regs_enter
regs_enter:
    mov     %rdi, %rsp
    jmp     regs_return

/* long hypercall_page_call(nr, a1..a5): through the hypercall page. */
    .globl  hypercall_page_call
hypercall_page_call:
    HYPERCALL_REGS
    shl     $5, %rax
    add     $hypercall_page, %rax
    jmp     *%rax

/* long hypercall_raw(nr, a1..a5): the instruction itself. */
    .globl  hypercall_raw
hypercall_raw:
    HYPERCALL_REGS
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
