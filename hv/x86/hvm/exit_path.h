/* SPDX-License-Identifier: MIT */
/*
 * What both vendors' round trips end with: the exit is dispatched, and the same
 * vCPU enters again unless something is left to do.
 */
#ifndef X86_HVM_EXIT_PATH_H
#define X86_HVM_EXIT_PATH_H

/* clang-format off */
#ifdef __ASSEMBLER__
        /* rbx: the vCPU; rsp: its registers in cpu_info, complete; interrupts off. */
        .macro DISPATCH_EXIT enter
        xorl    %ebp, %ebp
        movq    %rsp, %rdi
        CALL_C  hvm_vmexit
        movq    CI_PCPU - CI_REGS(%rsp), %rax
        cmpl    $0, PCPU_PENDING(%rax)
        jne     exit_slow
        cmpl    $0, HVM_EXIT_WORK(%rbx)
        jne     exit_slow
        movq    V_INFO(%rbx), %rax
        cmpb    $0, VI_PENDING(%rax)
        je      \enter
        jmp     exit_slow
        .endm
#endif
/* clang-format on */

#endif
