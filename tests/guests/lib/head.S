/* SPDX-License-Identifier: MIT */
/* Entry point, Xen notes, hypercall page. NOTE_* choose the variants of the notes (guests.mk). */
#include <xen/elfnote.h>
#include "layout.h"

    .section .text.head, "ax"
    .globl _start
_start:
    cld
    lea     boot_cpu_area + CPU_AREA_SIZE(%rip), %rsp
    mov     %rsi, %rdi
    xor     %ebp, %ebp
    push    $0
    pushq   $0
    call    guest_start
    ud2

#ifndef NOTE_NO_HYPERCALL_PAGE
    .balign 4096
    .globl hypercall_page
hypercall_page:
    .skip   4096
#else
    .globl hypercall_page
    .set    hypercall_page, 0
#endif

#define NOTE(type, data...)             \
    .balign 4;                          \
    .long   2f - 1f, 4f - 3f, type;     \
1:  .asciz  "Xen";                      \
2:  .balign 4;                          \
3:  data;                               \
4:  .balign 4

    .section .note.Xen, "a", @note
    NOTE(XEN_ELFNOTE_GUEST_OS, .asciz "micro-guest")
    NOTE(XEN_ELFNOTE_GUEST_VERSION, .asciz "1")
    NOTE(XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0")
    NOTE(XEN_ELFNOTE_LOADER, .asciz "generic")
    NOTE(XEN_ELFNOTE_ENTRY, .quad _start)
    NOTE(XEN_ELFNOTE_VIRT_BASE, .quad VIRT_BASE)
    NOTE(XEN_ELFNOTE_PADDR_OFFSET, .quad 0)
    NOTE(XEN_ELFNOTE_FEATURES, .asciz NOTE_FEATURES)
    NOTE(XEN_ELFNOTE_PAE_MODE, .asciz "yes")
    NOTE(XEN_ELFNOTE_L1_MFN_VALID, .quad 1; .quad 1)
    NOTE(XEN_ELFNOTE_SUSPEND_CANCEL, .long 1)
#ifndef NOTE_NO_HYPERCALL_PAGE
    NOTE(XEN_ELFNOTE_HYPERCALL_PAGE, .quad hypercall_page)
#endif
#ifdef NOTE_INIT_P2M
    NOTE(XEN_ELFNOTE_INIT_P2M, .quad NOTE_INIT_P2M)
#endif
#ifdef NOTE_MOD_START_PFN
    NOTE(XEN_ELFNOTE_MOD_START_PFN, .long 1)
#endif

    .section .note.GNU-stack, "", @progbits
