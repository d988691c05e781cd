/* SPDX-License-Identifier: MIT */
/*
 * How a PV guest comes into the hypervisor by its own doing, and how it goes on: SYSCALL, SYSENTER,
 * page faults, and the end of each entry from rings 1 to 3. x86/trap.h names what of this the rest
 * of x86 refers to; what comes through other vectors begins in x86/entry.S.
 *
 * SYSCALL does not change the stack, so each CPU has a stub of its own that knows its stack's
 * address. Interrupts are off throughout; there are no locks here.
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

        /* rsp: regs.error_code, all other registers are the guest's: SYSRET, or on at 1. */
        .macro TRY_SYSRET
        movq    8(%rsp), %rcx           /* SYSRET to a non-canonical address faults on Intel */
        shlq    $16, %rcx
        sarq    $16, %rcx
        cmpq    %rcx, 8(%rsp)
        jne     1f
        GO_BY_SYSRET
        .endm
        .macro GO_BY_SYSRET             /* to rcx */
        movq    24(%rsp), %r11
        movq    32(%rsp), %rsp
        LEAVE_SYSRET
        .endm
        /* Registers from the stack, and to the guest the way it came. */
        .macro RESTORE_GUEST
        POP_REGS
        cmpl    $REGS_SYSCALL, 4(%rsp)
        jne     1f
        TRY_SYSRET
1:      addq    $8, %rsp
2:      LEAVE_IRET verw_iretq
        EX(2b, iret_fault)
        .endm

        .set RCX_TO_RIP, REGS_rip - REGS_rcx - 8
        /* rsp: &regs.rip, rcx is ours, all others are the guest's: the rest of regs. */
        .macro PUSH_SYSCALL_REGS
        pushq   $0
        movl    $REGS_SYSCALL, 4(%rsp)
        PUSH_REGS RCX_TO_RIP(%rsp)      /* rcx as SYSCALL left it */
        .endm

        .balign 16
syscall_entry:
        movq    $SEL_RING3_DS, REGS_ss - REGS_rsp(%rsp)
        pushq   %r11
        pushq   $SEL_RING3_CS64
        pushq   %rcx
778:    movq    FROM_RIP(CURRENT)(%rsp), %rcx
        PATCHED 778b, syscall_slow, JUMP_ISOLATE
        cmpb    $0, PV_KERNEL_MODE(%rcx)
        je      syscall_from_user
        cmpl    $HYPERCALL_IRET, %eax
        je      iret_hypercall
        PUSH_SYSCALL_REGS
        /* hypercall_dispatch(), by the vCPU's table; what is unusual goes through C. */
779:    cmpl    $0, watched(%rip)
        PATCHED 779b, hypercall_in_c, JUMP_RSB
        jne     hypercall_in_c
        cmpq    $PV_NR_CALLS, %rax
        jae     hypercall_in_c
        andl    $PV_NR_CALLS - 1, %eax  /* no speculation past the table */
        movq    CI_PCPU - CI_REGS(%rsp), %rdx
        incq    PCPU_CALLS(%rdx,%rax,8)
        movq    PV_CALLS(%rcx), %rdx
        movq    (%rdx,%rax,8), %rax
        movq    %rcx, %rdi
        leaq    REGS_rcx + 8(%rsp), %rsi
        call    __x86_indirect_thunk_rax
        cmpq    $2, %rax                /* HC_RESTART and HC_LEFT alone overflow */
        jo      hypercall_unfinished
        movq    %rax, REGS_rax(%rsp)
hypercall_done:
        movq    CI_CURRENT - CI_REGS(%rsp), %rcx
        LOOK_FOR_WORK cmpb, PV_EXIT_WORK, %rcx
        jne     exit_upcall
        cmpl    $REGS_SYSCALL, REGS_vector(%rsp)
        jne     restore_guest
        /* What C functions preserve is as it came, and rcx and r11 go by SYSRET. */
        addq    $REGS_r11 + 8, %rsp
        POP_VOLATILE_REGS
        /* RIP follows a SYSCALL or is a handler's: canonical, or 2^47 */
        cmpw    $0x80, 8 + 5(%rsp)
        movq    8(%rsp), %rcx
        je      1f
        GO_BY_SYSRET
1:      movq    24(%rsp), %r11          /* IRET will fault: not with what is the hypervisor's */
        addq    $8, %rsp
        jmp     iret_direct

hypercall_unfinished:
        movq    %rsp, %rdi
        movq    %rax, %rsi
        call    pv_hypercall_unfinished
        jmp     hypercall_done
hypercall_in_c:
        movq    %rsp, %rdi
        movq    %rcx, %rsi
        CALL_C  pv_hypercall
        jmp     hypercall_done

syscall_slow:
        PUSH_SYSCALL_REGS
        movq    %rsp, %rdi
        CALL_ISOLATED_C pv_syscall
        .globl exit_to_guest
exit_to_guest:
        movq    CI_CURRENT - CI_REGS(%rsp), %rbx
        LOOK_FOR_WORK cmpb, PV_EXIT_WORK
        jne     exit_upcall
        .globl restore_guest
restore_guest:
        PATCHED restore_guest, restore_isolated, JUMP_ISOLATE
        RESTORE_GUEST
exit_upcall:
        cmpb    $0, VI_MASK(%rax)
        jne     restore_guest
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
        CALL_ISOLATED_C pv_iret_fault
        jmp     exit_to_guest

/* 32-bit programs: SYSCALL in compatibility mode (AMD), SYSENTER. */
        .balign 16
syscall32_entry:
        movq    $SEL_RING3_DS, REGS_ss - REGS_rsp(%rsp)
        pushq   %r11
        pushq   $SEL_RING3_CS32
        pushq   %rcx
        pushq   $0
        PUSH_REGS
        movl    $0, REGS_vector(%rsp)
        movq    %rsp, %rdi
        CALL_ISOLATED_C pv_syscall32
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
        CALL_ISOLATED_C pv_sysenter
        jmp     exit_to_guest

/* #PF, whoever took it: the vector's stub comes here first, since most are a PV guest's. */
ENTRY(page_fault)
        PUSH_REGS
        cld
        CLAC
        testb   $3, REGS_cs(%rsp)
        jz      trap_hv
        movq    %rsp, %rdi
        CALL_ISOLATED_C pv_page_fault
        jmp     exit_to_guest

/* Ways back to a guest that empty the buffers first (MDS and its kin). */
verw_sysretq:
        verw    verw_selector(%rip)
        sysretq
verw_iretq:
        verw    verw_selector(%rip)
verw_iretq_fault:
        iretq
        EX(verw_iretq_fault, iret_fault)

/*
 * Where guests run on tables without the hypervisor (mm/isolation.h): nothing but this section, the
 * stack's top and the descriptor tables are mapped until the guest's own L4 is loaded, and again
 * from its exchange on the way out. The short paths above are not taken then.
 */
restore_isolated:
        call    pv_isolated_root
        testq   %rax, %rax
        jz      1f
        movq    %rax, %cr3
1:      RESTORE_GUEST

        /* Ways into C from a guest: onto its L4. A page fault may be of the root's making only. */
        .irp fn, pv_syscall, pv_iret_fault, pv_syscall32, pv_sysenter
        ISOLATED_IN isolated_\fn, \fn
        .endr
        ISOLATED_IN isolated_pv_page_fault, pv_isolated_page_fault

/* Ways into C behind a full stack of predicted returns that go nowhere. */
        .irp fn, pv_hypercall, pv_syscall, pv_iret_fault, pv_syscall32, pv_sysenter, pv_page_fault, pv_isolated_page_fault
        RSB_FILL \fn
        .endr
        .section .note.GNU-stack, "", @progbits
