/* SPDX-License-Identifier: MIT */
/* Calls that a trap may end. */
    .text

/* int guarded_call(fn, arg, struct recover *): calls fn(arg); 0, or 1 after guarded_resume(). */
    .globl  guarded_call
guarded_call:
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    push    %rdx
    mov     %rsp, (%rdx)
    mov     %rdi, %rax
    mov     %rsi, %rdi
    call    *%rax
    xor     %eax, %eax
guarded_out:
    cld
    pop     %rdx
    movq    $0, (%rdx)
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    ret

/* void guarded_resume(struct recover *): leave the guarded call on this CPU, from any depth. */
    .globl  guarded_resume
guarded_resume:
    mov     (%rdi), %rsp
    mov     $1, %eax
    jmp     guarded_out

    .section .note.GNU-stack, "", @progbits
