/* SPDX-License-Identifier: MIT */
/*
 * How a PVH micro-guest begins (note PHYS32_ENTRY): 32-bit flat, paging off, ebx = hvm_start_info.
 * Goes to long mode with the first 4 GiB mapped one to one, in 2 MiB pages, and calls pvh_start().
 */
#include <xen/elfnote.h>
#include "layout.h"

    .section .text.head, "ax"
    .code32
    .globl _start
_start:
    cld
    mov     %ebx, %edi                  /* pvh_start's argument */
    mov     $boot_cpu_area + CPU_AREA_SIZE, %esp
    call    to_long_mode32
    .code64
    xor     %ebp, %ebp
    pushq   $0
    pushq   $0
    call    pvh_start
    ud2

/* From 32-bit code without paging to 64-bit code: called there, returns here. Keeps edi, esp. */
    .code32
    .globl to_long_mode32
to_long_mode32:
    pop     %esi
    mov     $pvh_l4, %eax
    mov     %eax, %cr3
    mov     %cr4, %eax
    or      $0x620, %eax                /* PAE, OSFXSR, OSXMMEXCPT */
    mov     %eax, %cr4
    mov     $0xc0000080, %ecx
    rdmsr
    or      $0x901, %eax                /* NX, LME, SCE */
    wrmsr
    mov     %cr0, %eax
    or      $0x80010020, %eax           /* PG, WP, NE */
    mov     %eax, %cr0
    lgdt    pvh_gdtr
    ljmp    $PVH_CS64, $1f
    .code64
1:  mov     $PVH_DS, %eax
    mov     %eax, %ds
    mov     %eax, %es
    mov     %eax, %ss
    xor     %eax, %eax
    mov     %eax, %fs
    mov     %eax, %gs
    mov     %esi, %esi
    jmp     *%rsi

    .data
    .balign 16
    .globl pvh_gdt, pvh_gdtr
pvh_gdt:
    .quad   0
    .quad   0x00af9b000000ffff          /* 0x08: 64-bit code */
    .quad   0x00cf9b000000ffff          /* 0x10: 32-bit code */
    .quad   0x00cf93000000ffff          /* 0x18: data */
    .quad   0x00affb000000ffff          /* 0x20: 64-bit code of user mode */
    .quad   0x00cff3000000ffff          /* 0x28: data of user mode */
    .quad   0, 0                        /* 0x30: TSS, by pvh_start() */
pvh_gdtr:
    .word   8 * 8 - 1
    .quad   pvh_gdt

    .balign 4096
    .globl pvh_l4
pvh_l4:
    .quad   pvh_l3 + 7
    .fill   511, 8, 0
    .globl pvh_l3
pvh_l3:
    .quad   pvh_l2 + 7, pvh_l2 + 4096 + 7, pvh_l2 + 8192 + 7, pvh_l2 + 12288 + 7
    .fill   508, 8, 0
    .globl pvh_l2
pvh_l2:
    .set    page, 0
    .rept   2048
    .quad   page + 0x87
    .set    page, page + 0x200000
    .endr

#define NOTE(type, data...)             \
    .balign 4;                          \
    .long   2f - 1f, 4f - 3f, type;     \
1:  .asciz  "Xen";                      \
2:  .balign 4;                          \
3:  data;                               \
4:  .balign 4

    .section .note.Xen, "a", @note
    NOTE(XEN_ELFNOTE_GUEST_OS, .asciz PVH_GUEST_OS)
    NOTE(XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0")
    NOTE(XEN_ELFNOTE_PHYS32_ENTRY, .long _start)

    .section .note.GNU-stack, "", @progbits
