/* SPDX-License-Identifier: MIT */
#include "layout.h"

    .text
/* A further CPU begins here in real mode (SIPI): its page is below 1 MiB, copied there. */
    .code16
    .globl pvh_trampoline, pvh_trampoline_end
pvh_trampoline:
    cli
    xor     %ax, %ax
    mov     %cs, %bx
    mov     %bx, %ds
    lgdtl   pvh_tramp_gdtr - pvh_trampoline
    mov     $0x11, %eax
    mov     %eax, %cr0
    ljmpl   $PVH_CS32, $pvh_ap32
    .balign 8
pvh_tramp_gdtr:
    .word   8 * 8 - 1
    .long   pvh_gdt
pvh_trampoline_end:
    .code32
pvh_ap32:
    mov     $PVH_DS, %eax
    mov     %eax, %ds
    mov     %eax, %es
    mov     %eax, %ss
    mov     pvh_ap_area, %edi
    lea     CPU_AREA_SIZE(%edi), %esp
    call    to_long_mode32
    .code64
    xor     %ebp, %ebp
    call    pvh_ap_start
    ud2

    .section .note.GNU-stack, "", @progbits
