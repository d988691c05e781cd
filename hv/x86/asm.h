/* SPDX-License-Identifier: MIT */
/* For assembly files. */
#ifndef X86_ASM_H
#define X86_ASM_H

#include "asm-offsets.h" /* generated from x86/asm_offsets.c */
#include "x86/layout.h"

/* Assembly, which clang-format would break. */
/* clang-format off */
#define ENTRY(name)                                                                                \
    .balign 16;                                                                                    \
    .globl name;                                                                                   \
    name:

/* If the instruction at `from` faults, go on at `to`. */
#define EX(from, to)                                                                               \
    .pushsection .ex_table, "a";                                                                   \
    .long (from) - .;                                                                              \
    .long (to) - .;                                                                                \
    .popsection

#ifdef __ASSEMBLER__
        /*
         * vcpu: a register with the vCPU that is to go on. To exit_slow if the CPU or it has
         * something to do first (`compare`: of its field's width); then rax: its vcpu_info; not
         * equal: an event waits.
         */
        .macro LOOK_FOR_WORK compare, field, vcpu=%rbx
        movq    CI_PCPU - CI_REGS(%rsp), %rax
        cmpl    $0, PCPU_PENDING(%rax)
        jne     exit_slow
        \compare $0, \field(\vcpu)
        jne     exit_slow
        movq    V_INFO(\vcpu), %rax
        cmpb    $0, VI_PENDING(%rax)
        .endm

        /* Access to guest memory, on and off: at boot STAC and CLAC, where there is SMAP. */
        .macro STAC
771:    .byte 0x0f, 0x1f, 0x00
        .pushsection .alt_table, "a"
        .long 771b - ., 1
        .popsection
        .endm
        .macro CLAC
771:    .byte 0x0f, 0x1f, 0x00
        .pushsection .alt_table, "a"
        .long 771b - ., 2
        .popsection
        .endm

        .macro PUSH_REGS rcx=%rcx
        pushq   %r8
        pushq   %r10
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   \rcx
        pushq   %rax
        pushq   %r9
        pushq   %r11
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        .endm
        /* The last of POP_REGS: what C functions do not preserve, but for r11. */
        .macro POP_VOLATILE_REGS
        popq    %r9
        popq    %rax
        popq    %rcx
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %r10
        popq    %r8
        .endm
        .macro POP_REGS
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        popq    %r11
        POP_VOLATILE_REGS
        .endm

/*
 * At boot the five bytes at `site` become a jump to `target`, or stay a call and get it as target,
 * where the processor needs it (kinds: cpu/cpu.c). Elsewhere the defence costs nothing.
 */
#define JUMP_VERW 1
#define JUMP_RSB 2
#define JUMP_ISOLATE 3 /* PV guests run on tables without the hypervisor: mm/isolation.h */
        .macro PATCHED site, target, kind
        .pushsection .alt_jumps, "a"
        .long (\site) - .
        .long (\target) - .
        .long \kind
        .popsection
        .endm
        /* The first C function after a guest: its returns must not be predicted from the guest's. */
        .macro CALL_C fn
774:    call    \fn
        PATCHED 774b, rsb_\fn, JUMP_RSB
        .endm

        /* The same, where the tables may still be a guest's own (pv/entry.S). */
        .macro CALL_ISOLATED_C fn
775:    call    \fn
        PATCHED 775b, rsb_\fn, JUMP_RSB
        PATCHED 775b, isolated_\fn, JUMP_ISOLATE
        .endm

        /* Ways out of the hypervisor; where the processor needs it, VERW comes before them. */
        .macro LEAVE_SYSRET
772:    sysretq
        .byte 0xcc, 0xcc
        PATCHED 772b, verw_sysretq, JUMP_VERW
        .endm
        .macro LEAVE_IRET verw
773:    iretq
        .byte 0xcc, 0xcc, 0xcc
        PATCHED 773b, \verw, JUMP_VERW
        .endm

/* CALL_C's other way: a full stack of predicted returns that go nowhere, then fn. */
        .macro RSB_FILL fn
rsb_\fn:
        .rept 32
        call    1f
2:      pause
        lfence
        jmp     2b
1:
        .endr
        addq    $32 * 8, %rsp
        jmp     \fn
        .endm
/* CALL_ISOLATED_C's other way: from a guest's root to the L4 that it stands for, then fn. */
        .macro IS_ISOLATED              /* equal: CR3 is a guest's root; rax: cpu_info's last byte */
        movq    %rsp, %rax
        orq     $STACK_SLOT - 1, %rax
        movq    %cr3, %rcx
        cmpq    %rcx, 1 - CPUINFO_SIZE + CI_ISOLATED_CR3(%rax)
        .endm
        .macro LOAD_GUEST_L4
        movq    1 - CPUINFO_SIZE + CI_GUEST_CR3(%rax), %rax
        movq    %rax, %cr3
        .endm
        .macro ISOLATED_IN name, fn
\name:
        IS_ISOLATED
        jne     2f
        LOAD_GUEST_L4
2:      jmp     \fn
        PATCHED 2b, rsb_\fn, JUMP_RSB
        .endm

/*
 * The same for what may also come in the hypervisor, perhaps just before an IRET to the guest: the
 * root is brought up to date and loaded again.
 */
        .macro ISOLATED_AROUND fn
isolated_\fn:
        IS_ISOLATED
        jne     2f
        LOAD_GUEST_L4
        subq    $8, %rsp
1:      call    \fn
        PATCHED 1b, rsb_\fn, JUMP_RSB
        call    pv_isolated_root        /* fn may have served a flush: not as it was */
        addq    $8, %rsp
        movq    %rax, %cr3
        ret
2:      jmp     \fn
        PATCHED 2b, rsb_\fn, JUMP_RSB
        .endm
#endif
/* clang-format on */

#endif
