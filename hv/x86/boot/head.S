/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader (multiboot 1 or 2: 32-bit protected mode, paging off) to boot_main() in
 * long mode at the linked address. Also the way of later CPUs from real mode.
 *
 * The loader may have put the image elsewhere than it is linked for: the 32-bit code addresses all by
 * %ebx, the distance, and so does the mapping of the linked addresses.
 */
#include "x86/asm.h"

#define PHYS(sym) ((sym) - IMAGE_BASE) /* as linked: to be used with %ebx */
#define MB2_MAGIC 0x36D76289
#define LARGE_PAGE 0x200000

        .section .text.boot, "ax"
        .code32
        .globl _start
_start:
        jmp start32

        /* Multiboot 1: modules on page boundaries, memory map wanted. */
        .balign 4
mb1_header:
        .long 0x1BADB002, 0x00000003, -(0x1BADB002 + 0x00000003)

        /* Multiboot 2: entry address by ELF; text screen wanted; modules on page boundaries. */
        .balign 8
mb2_header:
        .long 0xE85250D6, 0, mb2_end - mb2_header, -(0xE85250D6 + (mb2_end - mb2_header))
        .word 1, 1                      /* information request, optional */
        .long 8 + 4 * 8
        .long 1, 3, 6, 8, 14, 15        /* command line, modules, memory map, framebuffer, RSDPs */
        .long 12, 17                    /* UEFI's system table and memory map */
        .balign 8
        .word 4, 1                      /* console flags, optional: EGA text supported */
        .long 12, 2
        .balign 8
        .word 6, 1                      /* modules page aligned */
        .long 8
        .balign 8
        .word 10, 1                     /* relocatable, optional: a loader that cannot takes the linked place */
        .long 24
        .long LARGE_PAGE, 0xffffffff    /* from, to; */
        .long LARGE_PAGE, 1             /* alignment; the lowest place that is free */
        .balign 8
        .word 0, 0
        .long 8
mb2_end:

start32:
        cli
        cld
        movl    %eax, %ebp              /* the loader's magic */
        movl    %ebx, %edi              /* its information */
        xorl    %ebx, %ebx              /* multiboot 1 knows the linked place only */
        cmpl    $MB2_MAGIC, %ebp
        jne     2f
        movl    4(%edi), %edx           /* a reserved word there is the only stack that we know of */
        leal    8(%edi), %esp
        call    1f
1:      popl    %ebx
        subl    $PHYS(1b), %ebx
        movl    %edx, 4(%edi)
2:      leal    PHYS(boot_stack_top)(%ebx), %esp
        movl    %ebx, PHYS(image_moved)(%ebx)
        addl    %ebx, PHYS(boot_gdt_ptr) + 2(%ebx)
        addl    %ebx, PHYS(tramp_gdt_ptr) + 2(%ebx)
        addl    %ebx, PHYS(tramp_far)(%ebx)
        movl    %ebx, PHYS(tramp_moved)(%ebx)

        pushl   %ebx
        movl    $0x80000000, %eax       /* does the CPU have long mode at all? */
        cpuid
        xorl    %edx, %edx
        cmpl    $0x80000001, %eax
        jb      1f
        movl    $0x80000001, %eax
        cpuid
1:      popl    %ebx
        btl     $29, %edx
        jnc     no_long_mode
        movl    %edx, %esi              /* bit 20: NX */

        /* Four L2 tables of 2 MiB pages: the first 4 GiB, identity and direct map. */
        leal    PHYS(boot_l2)(%ebx), %ecx
        movl    $0x83, %eax
        xorl    %edx, %edx
1:      movl    %eax, (%ecx)
        movl    %edx, 4(%ecx)
        addl    $8, %ecx
        addl    $LARGE_PAGE, %eax
        jnc     1b
        leal    PHYS(boot_l3)(%ebx), %ecx
        leal    PHYS(boot_l2) + 0x03(%ebx), %eax
        movl    $4, %edx
2:      movl    %eax, (%ecx)
        addl    $8, %ecx
        addl    $4096, %eax
        decl    %edx
        jnz     2b

        /* The image where it is linked, by 2 MiB pages. */
        leal    PHYS(image_l2) + 8(%ebx), %ecx
        leal    LARGE_PAGE + 0x83(%ebx), %eax
        leal    PHYS(__image_end)(%ebx), %edx
1:      movl    %eax, (%ecx)
        addl    $8, %ecx
        addl    $LARGE_PAGE, %eax
        jc      2f
        cmpl    %edx, %eax
        jb      1b
2:
        leal    PHYS(boot_l3) + 0x03(%ebx), %eax
        movl    %eax, PHYS(boot_l4)(%ebx)
        movl    %eax, PHYS(boot_l4) + 8 * ((DIRECT_BASE >> 39) & 511)(%ebx)
        leal    PHYS(image_l3) + 0x03(%ebx), %eax
        movl    %eax, PHYS(boot_l4) + 8 * ((IMAGE_BASE >> 39) & 511)(%ebx)
        leal    PHYS(image_l2) + 0x03(%ebx), %eax
        movl    %eax, PHYS(image_l3)(%ebx)
        leal    PHYS(area_l2) + 0x03(%ebx), %eax
        movl    %eax, PHYS(image_l3) + 8(%ebx)
        leal    PHYS(stack0_l1) + 0x03(%ebx), %eax
        movl    %eax, PHYS(area_l2)(%ebx)
        leal    PHYS(boot_stack) + 0x03(%ebx), %eax
        leal    PHYS(stack0_l1) + 8 * STACK_MAIN_PAGE(%ebx), %ecx
        movl    $4, %edx
3:      movl    %eax, (%ecx)
        addl    $8, %ecx
        addl    $4096, %eax
        decl    %edx
        jnz     3b

        leal    PHYS(start64)(%ebx), %eax

/* Turn on long mode with boot_l4 and go on at eax. esi: CPUID 0x80000001 edx. Clobbers ecx, edx. */
enter_long:
        pushl   $BOOT_CS64
        pushl   %eax
        movl    %cr4, %eax
        orl     $0x20, %eax             /* PAE */
        movl    %eax, %cr4
        leal    PHYS(boot_l4)(%ebx), %eax
        movl    %eax, %cr3
        movl    $0xC0000080, %ecx       /* EFER: LME, and NXE where there is NX */
        rdmsr
        orl     $0x100, %eax
        btl     $20, %esi
        jnc     1f
        orl     $0x800, %eax
1:      wrmsr
        movl    %cr0, %eax
        orl     $0x80010001, %eax       /* PG, WP, PE */
        movl    %eax, %cr0
        lgdt    PHYS(boot_gdt_ptr)(%ebx)
        lret                            /* out of compatibility mode */

/* No long mode: say so on the serial line and the screen, then stop. */
no_long_mode:
        movw    $0x3FB, %dx             /* COM1: 115200 baud, 8n1 */
        movb    $0x83, %al
        outb    %al, %dx
        movw    $0x3F8, %dx
        movb    $1, %al
        outb    %al, %dx
        incw    %dx
        xorb    %al, %al
        outb    %al, %dx
        movw    $0x3FB, %dx
        movb    $0x03, %al
        outb    %al, %dx
        leal    PHYS(no_long_msg)(%ebx), %esi
        movl    $0xB8000, %edi
1:      lodsb
        testb   %al, %al
        jz      3f
        movb    $0x4F, %ah
        stosw
        movb    %al, %bl
        movw    $0x3FD, %dx
        movl    $100000, %ecx
2:      inb     %dx, %al
        testb   $0x20, %al
        loopz   2b
        movw    $0x3F8, %dx
        movb    %bl, %al
        outb    %al, %dx
        jmp     1b
3:      hlt
        jmp     3b
no_long_msg:
        .asciz  "(orlop) This processor has no 64-bit mode; Orlop needs it.\r\n"

        .code64
start64:
        movabsq $1f, %rax
        jmp     *%rax
1:      movabsq $STACKS_BASE + STACK_SLOT - CPUINFO_SIZE, %rsp
        xorl    %eax, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %eax, %fs
        movl    %eax, %gs
        movl    %ebp, %ebp
        movl    %edi, %esi
        movq    %rbp, %rdi
        xorl    %ebp, %ebp
        call    boot_main
        ud2

        .balign 16
        .globl boot_gdt
boot_gdt:
        .quad   0
        .quad   0x00cf9b000000ffff      /* 0x08: 32-bit code */
        .quad   0x00cf93000000ffff      /* 0x10: data */
        .quad   0x00af9b000000ffff      /* 0x18: 64-bit code */
boot_gdt_end:
boot_gdt_ptr:
        .word   boot_gdt_end - boot_gdt - 1
        .long   PHYS(boot_gdt)          /* moved by start32 */

/*
 * Later CPUs start here, copied to a page below 1 MiB; start32 moved the addresses in it.
 */
        .section .rodata.tramp, "a"
        .globl ap_tramp_start, ap_tramp_end
        .code16
ap_tramp_start:
        cli
        cld
        movw    %cs, %ax
        movw    %ax, %ds
        movl    tramp_moved - ap_tramp_start, %ebx
        lgdtl   tramp_gdt_ptr - ap_tramp_start
        movl    %cr0, %eax
        orl     $1, %eax
        movl    %eax, %cr0
        ljmpl   *(tramp_far - ap_tramp_start)
        .balign 4
tramp_far:
        .long   PHYS(ap_start32)
        .word   0x08
tramp_moved:
        .long   0
        .balign 4
tramp_gdt_ptr:
        .word   boot_gdt_end - boot_gdt - 1
        .long   PHYS(boot_gdt)
ap_tramp_end:

        .section .text.boot, "ax"
        .code32
ap_start32:
        movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        leal    PHYS(ap_boot_stack_top)(%ebx), %esp
        pushl   %ebx
        movl    $0x80000001, %eax
        cpuid
        popl    %ebx
        movl    %edx, %esi
        leal    PHYS(ap_start64)(%ebx), %eax
        jmp     enter_long
        .code64
ap_start64:
        movabsq $1f, %rax
        jmp     *%rax
1:      movq    ap_stack(%rip), %rsp    /* one CPU starts at a time */
        xorl    %eax, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %eax, %fs
        movl    %eax, %gs
        xorl    %ebp, %ebp
        call    ap_main
        ud2

        .section .data
        .globl ap_stack
        .balign 8
ap_stack: .quad 0
        .globl image_moved
image_moved: .quad 0

        .section .bss.page, "aw", @nobits
        .balign 4096
        .globl boot_l4, area_l2
boot_l4: .skip 4096
boot_l3: .skip 4096
boot_l2: .skip 4 * 4096
image_l3: .skip 4096
image_l2: .skip 4096
area_l2: .skip 4096
stack0_l1: .skip 4096
boot_stack: .skip 4 * 4096
boot_stack_top:
ap_boot_stack: .skip 512
ap_boot_stack_top:
        .section .note.GNU-stack, "", @progbits
