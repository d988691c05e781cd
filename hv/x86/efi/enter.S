/* SPDX-License-Identifier: MIT */
/* The firmware's calling convention: arguments in rcx, rdx, r8, r9 and on an aligned stack. */
#include "x86/asm.h"

        .text
/* uint64_t efi_call_raw(uint64_t function, const uint64_t args[5]) */
ENTRY(efi_call_raw)
        pushq   %rbp
        movq    %rsp, %rbp
        andq    $-16, %rsp
        subq    $48, %rsp               /* 32 bytes are the callee's, then the fifth argument */
        movq    %rdi, %rax
        movq    32(%rsi), %rcx
        movq    %rcx, 32(%rsp)
        movq    (%rsi), %rcx
        movq    8(%rsi), %rdx
        movq    16(%rsi), %r8
        movq    24(%rsi), %r9
        cld
        call    __x86_indirect_thunk_rax
        leave
        ret
        .section .note.GNU-stack, "", @progbits
