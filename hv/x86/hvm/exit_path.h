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
        LOOK_FOR_WORK cmpl, HVM_EXIT_WORK
        je      \enter
        jmp     exit_slow
        .endm
#endif
/* clang-format on */

#endif
