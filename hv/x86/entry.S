/* SPDX-License-Identifier: MIT */
/*
 * Every way into the hypervisor from a guest or from itself, and the ways back.
 *
 * The hypervisor runs with interrupts off. Entries through the IDT from a guest land on the CPU's
 * main stack, whose top is struct cpu_info; the registers end up in its `regs`. SYSCALL does not
 * change the stack, so each CPU has a stub of its own that knows its stack's address.
 *
 * Two paths are worth their assembly, since every system call of a guest's program takes them:
 * SYSCALL from user mode straight into the guest's kernel, and the kernel's iret hypercall. Both
 * touch nothing before all checks passed; anything unusual goes the long way through C.
 */
#include "x86/asm.h"

#define HYPERCALL_IRET 23
/* rflags a guest may set by itself: all but IOPL, NT, VM, VIF, VIP; IF is always on. */
#define FLAGS_GUEST 0x00250dd5
#define FLAGS_FORCED 0x202
/* rflags that an entry to the guest's kernel clears: TF, DF, NT, RF, VM, AC. */
#define FLAGS_ENTRY_CLEAR 0x74500

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
        .section .text.entry, "ax"

/* --- SYSCALL --- */
        .balign 64
        .globl entry_stubs
entry_stubs:
        .set cpu, 0
        .rept 256
        .balign 32
        movq    %rsp, stacks_base + cpu * STACK_SLOT + STACK_SLOT - CPUINFO_SIZE + CI_REGS + REGS_rsp(%rip)
        leaq    stacks_base + cpu * STACK_SLOT + STACK_SLOT - CPUINFO_SIZE + CI_REGS + REGS_rsp(%rip), %rsp
        jmp     syscall_entry
        .balign 32
        movq    %rsp, stacks_base + cpu * STACK_SLOT + STACK_SLOT - CPUINFO_SIZE + CI_REGS + REGS_rsp(%rip)
        leaq    stacks_base + cpu * STACK_SLOT + STACK_SLOT - CPUINFO_SIZE + CI_REGS + REGS_rsp(%rip), %rsp
        jmp     syscall32_entry
        .set cpu, cpu + 1
        .endr

#define FROM_RIP(field) (CI_##field - CI_REGS - REGS_rip)

ENTRY(syscall_entry)
        movq    $SEL_RING3_DS, REGS_ss - REGS_rsp(%rsp)
        pushq   %r11
        pushq   $SEL_RING3_CS64
        pushq   %rcx
        movq    FROM_RIP(CURRENT)(%rsp), %rcx
        cmpb    $0, PV_KERNEL_MODE(%rcx)
        je      syscall_from_user
        cmpl    $HYPERCALL_IRET, %eax
        je      iret_hypercall
syscall_slow:
        subq    $8, %rsp
        movl    $0x100, 4(%rsp)         /* REGS_SYSCALL */
        movl    $0, (%rsp)
        movq    8(%rsp), %rcx           /* as SYSCALL left it */
        PUSH_REGS
        movq    %rsp, %rdi
        CALL_C  pv_syscall
exit_to_guest:
        movq    CI_CURRENT - CI_REGS(%rsp), %rbx
        movq    CI_PCPU - CI_REGS(%rsp), %rax
        cmpl    $0, PCPU_PENDING(%rax)
        jne     exit_slow
        cmpb    $0, PV_EXIT_WORK(%rbx)
        jne     exit_slow
        movq    V_INFO(%rbx), %rax
        cmpb    $0, VI_PENDING(%rax)
        jne     exit_upcall
restore_guest:
        POP_REGS
        cmpl    $0x100, 4(%rsp)
        jne     1f
        movq    8(%rsp), %rcx           /* SYSRET to a non-canonical address faults on Intel */
        shlq    $16, %rcx
        sarq    $16, %rcx
        cmpq    %rcx, 8(%rsp)
        jne     1f
        movq    24(%rsp), %r11
        movq    32(%rsp), %rsp
        LEAVE_SYSRET
1:      addq    $8, %rsp
iret_to_guest:
        LEAVE_IRET verw_iretq
        EX(iret_to_guest, iret_fault)
exit_upcall:
        cmpb    $0, VI_MASK(%rax)
        jne     restore_guest
ENTRY(exit_slow)
        movq    %rsp, %rdi
        call    x86_exit_work
        movq    CI_CURRENT - CI_REGS(%rsp), %rbx
        movq    XV_ENTER(%rbx), %rax
        testq   %rax, %rax
        jz      restore_guest
        jmp     __x86_indirect_thunk_rax /* not PV */

/* The first entry of a CPU to its guests: nothing to save. */
ENTRY(start_guests)
        movq    %rsp, %rax
        orq     $STACK_SLOT - 1, %rax
        leaq    1 - CPUINFO_SIZE + CI_REGS(%rax), %rsp
        xorl    %ebp, %ebp
        jmp     exit_slow

/*
 * A program's system call: rsp = &regs.rip, rcx = vCPU, everything else live but r11.
 * Frame on the guest kernel's stack: rcx, r11, rip, cs (+ mask), rflags, rsp, ss.
 */
syscall_from_user:
        movq    PV_SHORT_SYSCALL(%rcx), %r11 /* once: another vCPU's vm_assist may clear it */
        testq   %r11, %r11
        jz      sfu_slow
        movq    %r11, FROM_RIP(SCRATCH) + 8(%rsp)
        movq    %rax, FROM_RIP(SCRATCH)(%rsp)
        movq    PV_CR3_KERNEL(%rcx), %rax
        movq    PV_KERNEL_SP(%rcx), %r11
        movq    %rax, %cr3
        swapgs
        STAC
sfu1:   movq    $SEL_RING3_DS, -8(%r11)
        movq    REGS_rsp - REGS_rip(%rsp), %rax
sfu2:   movq    %rax, -16(%r11)
        movq    REGS_rflags - REGS_rip(%rsp), %rax
sfu3:   movq    %rax, -24(%r11)
sfu4:   movq    %rax, -48(%r11)
        movq    V_INFO(%rcx), %rax
        movzbl  VI_MASK(%rax), %eax
        shlq    $32, %rax
        orq     $SEL_RING3_CS64, %rax
sfu5:   movq    %rax, -32(%r11)
        movq    (%rsp), %rax
sfu6:   movq    %rax, -40(%r11)
sfu7:   movq    %rax, -56(%r11)
        CLAC
        movb    $1, PV_KERNEL_MODE(%rcx)
        movq    V_INFO(%rcx), %rax
        cmpb    $0, PV_SYSCALL_MASK(%rcx)
        je      1f
        movb    $1, VI_MASK(%rax)
1:      movq    FROM_RIP(SCRATCH)(%rsp), %rax
        movq    FROM_RIP(SCRATCH) + 8(%rsp), %rcx
        leaq    -56(%r11), %r11
        movq    %r11, FROM_RIP(SCRATCH)(%rsp)
        movq    REGS_rflags - REGS_rip(%rsp), %r11
        andl    $~FLAGS_ENTRY_CLEAR, %r11d
        movq    FROM_RIP(SCRATCH)(%rsp), %rsp
        LEAVE_SYSRET
        /* The guest's stack is not there: back to user mode's view, and the long way. */
sfu_fault:
        CLAC
        swapgs
        movq    PV_CR3_USER(%rcx), %rax
        movq    %rax, %cr3
        movq    FROM_RIP(SCRATCH)(%rsp), %rax
sfu_slow:
        movq    REGS_rflags - REGS_rip(%rsp), %r11 /* as SYSCALL left it */
        jmp     syscall_slow
        EX(sfu1, sfu_fault)
        EX(sfu2, sfu_fault)
        EX(sfu3, sfu_fault)
        EX(sfu4, sfu_fault)
        EX(sfu5, sfu_fault)
        EX(sfu6, sfu_fault)
        EX(sfu7, sfu_fault)

/*
 * The iret hypercall: rsp = &regs.rip, rcx = vCPU, rax free. Frame on the guest's stack
 * (struct iret_context): rax, r11, rcx, flags, rip, cs, rflags, rsp, ss.
 */
iret_hypercall:
        movq    REGS_rsp - REGS_rip(%rsp), %rax
        cmpq    PV_SHORT_IRET(%rcx), %rax
        jb      iret_slow
        movq    %rdx, FROM_RIP(SCRATCH)(%rsp)
        movq    %rdi, FROM_RIP(SCRATCH) + 8(%rsp)
        movq    V_INFO(%rcx), %rdi
        cmpb    $0, VI_PENDING(%rdi)
        jne     iret_unusual
        STAC
ih1:    movzwl  40(%rax), %r11d
ih2:    movq    32(%rax), %rdx
        movq    %rdx, (%rsp)
ih3:    movq    56(%rax), %rdx
        movq    %rdx, REGS_rsp - REGS_rip(%rsp)
ih4:    movzwl  64(%rax), %edx
        orl     $3, %edx
        movq    %rdx, REGS_ss - REGS_rip(%rsp)
ih5:    movl    48(%rax), %edx
        testb   $3, %r11b
        jz      iret_to_kernel
        movq    %r11, REGS_cs - REGS_rip(%rsp)
        movl    %edx, %r11d
        andl    $FLAGS_GUEST, %edx
        orl     $FLAGS_FORCED, %edx
        movq    %rdx, REGS_rflags - REGS_rip(%rsp)
        btl     $9, %r11d
        setnc   %dl                     /* the new mask, stored once nothing can fail */
        movq    PV_CR3_USER(%rcx), %r11
        testq   %r11, %r11
        jz      ih_fault
        movb    %dl, VI_MASK(%rdi)
        movb    $0, PV_KERNEL_MODE(%rcx)
        movq    %r11, %rdi
ih6:    movq    16(%rax), %rcx
ih7:    movq    8(%rax), %r11
ih8:    movq    (%rax), %rax
        CLAC
        swapgs
        movq    %rdi, %cr3
        movq    FROM_RIP(SCRATCH)(%rsp), %rdx
        movq    FROM_RIP(SCRATCH) + 8(%rsp), %rdi
iret_direct:
        LEAVE_IRET verw_iretq
        EX(iret_direct, iret_fault)
iret_to_kernel:
        orl     $3, %r11d
        movq    %r11, REGS_cs - REGS_rip(%rsp)
        movl    %edx, %r11d
        andl    $FLAGS_GUEST, %edx
        orl     $FLAGS_FORCED, %edx
        movq    %rdx, REGS_rflags - REGS_rip(%rsp)
        btl     $9, %r11d
        setnc   VI_MASK(%rdi)
ih9:    movq    16(%rax), %rcx
ih10:   movq    8(%rax), %r11
ih11:   movq    (%rax), %rax
        CLAC
        movq    FROM_RIP(SCRATCH)(%rsp), %rdx
        movq    FROM_RIP(SCRATCH) + 8(%rsp), %rdi
        jmp     iret_direct

        /*
         * A frame that cannot be read: nothing of the vCPU has changed but what regs hold, and the
         * stack pointer is still in rax.
         */
ih_fault:
        CLAC
        movq    %rax, REGS_rsp - REGS_rip(%rsp)
iret_unusual:
        movq    FROM_RIP(SCRATCH)(%rsp), %rdx
        movq    FROM_RIP(SCRATCH) + 8(%rsp), %rdi
iret_slow:
        movl    $HYPERCALL_IRET, %eax
        jmp     syscall_slow
        /* The frame vanished after its flags were taken: the domain loses. */
ih_late_fault:
        CLAC
        movq    FROM_RIP(CURRENT)(%rsp), %rcx
        movb    $1, PV_KERNEL_MODE(%rcx)
        movq    %rax, REGS_rsp - REGS_rip(%rsp)
        jmp     iret_unusual
        EX(ih1, ih_fault)
        EX(ih2, ih_fault)
        EX(ih3, ih_fault)
        EX(ih4, ih_fault)
        EX(ih5, ih_fault)
        EX(ih6, ih_late_fault)
        EX(ih7, ih_late_fault)
        EX(ih8, ih_late_fault)
        EX(ih9, ih_late_fault)
        EX(ih10, ih_late_fault)
        EX(ih11, ih_late_fault)

/* A selector or address in the frame made IRET fault: rsp = &regs.rip, guest registers live. */
iret_fault:
        subq    $8, %rsp
        movl    $0, (%rsp)
        movl    $13, 4(%rsp)
        PUSH_REGS
        movq    %rsp, %rdi
        CALL_C  pv_iret_fault
        jmp     exit_to_guest

/* 32-bit programs: SYSCALL in compatibility mode (AMD), SYSENTER. */
ENTRY(syscall32_entry)
        movq    $SEL_RING3_DS, REGS_ss - REGS_rsp(%rsp)
        pushq   %r11
        pushq   $SEL_RING3_CS32
        pushq   %rcx
        pushq   $0
        PUSH_REGS
        movl    $0, REGS_vector(%rsp)
        movq    %rsp, %rdi
        CALL_C  pv_syscall32
        jmp     exit_to_guest

ENTRY(sysenter_entry)
        pushq   $SEL_RING3_DS           /* SYSENTER_ESP points past regs */
        pushq   $0
        pushfq
        pushq   $SEL_RING3_CS32
        pushq   $0
        pushq   $0
        PUSH_REGS
        pushq   $2
        popfq                           /* SYSENTER keeps NT, TF and AC */
        orq     $0x200, REGS_rflags(%rsp)
        movq    %rsp, %rdi
        CALL_C  pv_sysenter
        jmp     exit_to_guest

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
        movq    %rsp, %rdi
        testb   $3, REGS_cs(%rsp)
        jz      1f
        CALL_C  x86_trap_guest
        jmp     exit_to_guest
1:      CALL_C  x86_trap_hv
restore_hv:
        POP_REGS
        addq    $8, %rsp
        LEAVE_IRET verw_iretq_hv

        .balign 16
page_fault:
        PUSH_REGS
        cld
        CLAC
        movq    %rsp, %rdi
        testb   $3, REGS_cs(%rsp)
        jz      1f
        CALL_C  pv_page_fault
        jmp     exit_to_guest
1:      CALL_C  x86_trap_hv
        jmp     restore_hv

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
        CALL_C  x86_ist_trap
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
copy_fault:
        CLAC
        movl    $1, %eax
        ret
        EX(cu1, copy_fault)
        EX(cu2, copy_fault)
        EX(cu3, copy_fault)
        EX(cu4, copy_fault)

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

/* Ways back to a guest that empty the buffers first (MDS and its kin). */
verw_sysretq:
        verw    verw_selector(%rip)
        sysretq
verw_iretq:
        verw    verw_selector(%rip)
verw_iretq_fault:
        iretq
        EX(verw_iretq_fault, iret_fault)
verw_iretq_hv:
        verw    verw_selector(%rip)
        iretq
verw_selector:
        .word   HV_SS

/* Ways into C behind a full stack of predicted returns that go nowhere. */
        .irp fn, pv_syscall, pv_iret_fault, pv_syscall32, pv_sysenter, x86_trap_guest, pv_page_fault, x86_ist_trap, x86_trap_hv
        RSB_FILL \fn
        .endr

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
