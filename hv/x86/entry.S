/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and interrupts, wherever they come from, the exit to a guest that has something to do
 * first, and instructions that may fault. What SYSCALL, SYSENTER and page faults of PV guests do is
 * in pv/entry.S, the round trip of a hardware-assisted guest in hvm/.
 *
 * The hypervisor runs with interrupts off. Entries through the IDT from a guest land on the CPU's
 * main stack, whose top is struct cpu_info; the registers end up in its `regs`. No locks.
 */
#include "x86/asm.h"

        .section .text.entry, "ax"

/* The first entry of a CPU to its guests: nothing to save. */
ENTRY(start_guests)
        movq    %rsp, %rax
        orq     $STACK_SLOT - 1, %rax
        leaq    1 - CPUINFO_SIZE + CI_REGS(%rax), %rsp
        xorl    %ebp, %ebp
        jmp     exit_slow

/* To the guest, after what is pending was done; rsp: regs in cpu_info. */
ENTRY(exit_slow)
        movq    %rsp, %rdi
        call    x86_exit_work
        movq    CI_CURRENT - CI_REGS(%rsp), %rbx
        movq    XV_ENTER(%rbx), %rax
        testq   %rax, %rax
        jz      restore_guest
        jmp     __x86_indirect_thunk_rax

/* --- exceptions and interrupts --- */
        .macro VECTOR n
        .balign 16
        .if (\n == 8) || (\n == 10) || (\n == 11) || (\n == 12) || (\n == 13) || (\n == 14) || (\n == 17) || (\n == 21) || (\n == 29) || (\n == 30)
        .else
        pushq   $0
        .endif
        movl    $(\n), 4(%rsp)
        .if (\n == 14)
        jmp     page_fault
        .elseif (\n == 1)
        jmp     ist_debug
        .elseif (\n == 2) || (\n == 8) || (\n == 18)
        jmp     ist_entry
        .else
        jmp     trap_entry
        .endif
        .endm

        .balign 16
        .globl vector_stubs
vector_stubs:
        .set vec, 0
        .rept 256
        VECTOR vec
        .set vec, vec + 1
        .endr

        .balign 16
trap_entry:
        PUSH_REGS
        cld
        CLAC
        testb   $3, REGS_cs(%rsp)
        jz      trap_hv
        movq    %rsp, %rdi
        CALL_ISOLATED_C x86_trap_guest
        jmp     exit_to_guest
/* In the hypervisor: all registers are on the stack. */
ENTRY(trap_hv)
        movq    %rsp, %rdi
        CALL_ISOLATED_C x86_trap_hv
restore_hv:
        POP_REGS
        addq    $8, %rsp
        LEAVE_IRET verw_iretq_hv

/* #DB: on its own stack, since MOV SS can carry it to the first instruction of SYSCALL's entry. */
ist_debug:
        testb   $3, REGS_cs - REGS_error_code(%rsp)
        jz      ist_entry
        /* From a guest: move the frame to the main stack and go on as any exception. */
        pushq   %rax
        pushq   %rcx
        movq    %rsp, %rax
        orq     $STACK_SLOT - 1, %rax
        leaq    1 - CPUINFO_SIZE + CI_REGS + REGS_error_code(%rax), %rax
        .set off, 0
        .rept 6
        movq    16 + off(%rsp), %rcx
        movq    %rcx, off(%rax)
        .set off, off + 8
        .endr
        popq    %rcx
        xchgq   %rax, (%rsp)
        popq    %rsp
        jmp     trap_entry

/* NMI, #DF, #MC, #DB in the hypervisor: handled where they are, no exit work. */
ist_entry:
        PUSH_REGS
        cld
        CLAC
        movq    %rsp, %rdi
        CALL_ISOLATED_C x86_ist_trap
        jmp     restore_hv

/* --- guest memory: copy rdx bytes from rsi to rdi; returns in rax the bytes not copied --- */
ENTRY(copy_user)
        STAC
        movq    %rdx, %rcx
        shrq    $3, %rcx
        jz      4f
        cmpq    $64, %rdx
        ja      2f
        leaq    (%rsi,%rcx,8), %rsi
        leaq    (%rdi,%rcx,8), %rdi
        negq    %rcx
cu1:    movq    (%rsi,%rcx,8), %rax
cu2:    movq    %rax, (%rdi,%rcx,8)
        incq    %rcx
        jnz     cu1
        jmp     4f
2:
cu4:    rep movsq
4:      andl    $7, %edx
        movl    %edx, %ecx
        jz      3f
cu3:    rep movsb
3:      CLAC
        xorl    %eax, %eax
        ret
/* The same for 16 bytes of the guest's; nothing is written when one of them cannot be read. */
ENTRY(copy_user16)
        STAC
cs1:    movq    (%rsi), %rax
cs2:    movq    8(%rsi), %rdx
        CLAC
        movq    %rax, (%rdi)
        movq    %rdx, 8(%rdi)
        xorl    %eax, %eax
        ret
copy_fault:
        CLAC
        movl    $1, %eax
        ret
        EX(cu1, copy_fault)
        EX(cu2, copy_fault)
        EX(cu3, copy_fault)
        EX(cu4, copy_fault)
        EX(cs1, copy_fault)
        EX(cs2, copy_fault)

/* bool msr_read_safe(uint32_t msr, uint64_t *val), bool msr_write_safe(uint32_t msr, uint64_t val) */
ENTRY(rdmsr_safe)
        movl    %edi, %ecx
rm1:    rdmsr
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, (%rsi)
        movl    $1, %eax
        ret
msr_fault:
        xorl    %eax, %eax
        ret
        EX(rm1, msr_fault)
ENTRY(wrmsr_safe)
        movl    %edi, %ecx
        movl    %esi, %eax
        movq    %rsi, %rdx
        shrq    $32, %rdx
wm1:    wrmsr
        movl    $1, %eax
        ret
        EX(wm1, msr_fault)

/* Load a guest's selectors; a fault leaves the null selector. rdi: value */
        .macro LOADSEG name, reg
ENTRY(\name)
        movl    %edi, %ecx
ls_\reg: movl   %ecx, %\reg
        xorl    %eax, %eax
        ret
lsf_\reg:
        xorl    %ecx, %ecx
        movl    %ecx, %\reg
        movl    $1, %eax
        ret
        EX(ls_\reg, lsf_\reg)
        .endm
        LOADSEG load_ds, ds
        LOADSEG load_es, es
        LOADSEG load_fs, fs
        LOADSEG load_gs, gs

/* LEAVE_IRET back into the hypervisor, with the buffers emptied (MDS and its kin). */
verw_iretq_hv:
        verw    verw_selector(%rip)
        iretq
        .globl verw_selector
verw_selector:
        .word   HV_SS

/* Ways into C behind a full stack of predicted returns that go nowhere. */
        .irp fn, x86_trap_guest, x86_ist_trap, x86_trap_hv
        RSB_FILL \fn
        .endr

        ISOLATED_IN isolated_x86_trap_guest, x86_trap_guest
        ISOLATED_AROUND x86_ist_trap
        ISOLATED_AROUND x86_trap_hv

/* Retpolines (-mindirect-branch=thunk-extern). */
        .macro THUNK reg
ENTRY(__x86_indirect_thunk_\reg)
        call    1f
2:      pause
        lfence
        jmp     2b
1:      movq    %\reg, (%rsp)
        ret
        .endm
        .irp reg, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
        THUNK \reg
        .endr
        .section .note.GNU-stack, "", @progbits
