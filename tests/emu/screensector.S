/* SPDX-License-Identifier: MIT */
/*
 * A disk whose system shows things on the screen, each after a key was pressed: letters by the
 * firmware's text screen; a picture of 640 x 480 with 256 colours, written into the card's memory:
 * all of it in colour 1 (blue), then a square of 100 in its middle in colour 4 (red). What it has
 * done it says on the serial line.
 */
        .code16
        .globl  _start
_start:
        cli
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $0x7c00, %sp
        cld
        sti
        mov     $3, %ax                 /* the text screen, emptied */
        int     $0x10
        mov     $letters, %si
1:      lodsb
        test    %al, %al
        jz      2f
        mov     $0x0e, %ah
        mov     $7, %bx
        int     $0x10
        jmp     1b
2:      mov     $did_letters, %si
        call    say

        xor     %ah, %ah
        int     $0x16
        cmp     $'g', %al
        mov     $bad_key, %si
        jne     stop
        mov     $0x4f01, %ax            /* where mode 0x101 has its picture */
        mov     $0x101, %cx
        mov     $0x8000, %di
        int     $0x10
        cmp     $0x4f, %ax
        mov     $bad_mode, %si
        jne     stop
        mov     $0x4f02, %ax
        mov     $0x4101, %bx
        int     $0x10
        cmp     $0x4f, %ax
        mov     $bad_mode, %si
        jne     stop
        call    big_es
        mov     0x8000 + 40, %edi
        mov     $640 * 480 / 4, %ecx
        mov     $0x01010101, %eax
        addr32 rep stosl %eax, %es:(%edi)
        mov     $did_picture, %si
        call    say

        xor     %ah, %ah
        int     $0x16
        call    big_es                  /* the firmware may have loaded it */
        mov     0x8000 + 40, %edi
        add     $190 * 640 + 270, %edi
        mov     $100, %dx
        mov     $0x04040404, %eax
3:      mov     $25, %ecx
        addr32 rep stosl %eax, %es:(%edi)
        add     $640 - 100, %edi
        dec     %dx
        jnz     3b
        mov     $did_square, %si
stop:   call    say
4:      hlt
        jmp     4b

/* ES with base 0 and no limit, in real mode. */
big_es: cli
        lgdt    gdt_at
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        mov     $8, %bx
        mov     %bx, %es
        and     $0xfe, %al
        mov     %eax, %cr0
        xor     %bx, %bx
        mov     %bx, %es
        sti
        ret

say:    lodsb
        test    %al, %al
        jz      6f
        mov     %al, %cl
        mov     $0x3fd, %dx
5:      in      %dx, %al
        test    $0x20, %al
        jz      5b
        mov     %cl, %al
        mov     $0x3f8, %dx
        out     %al, %dx
        jmp     say
6:      ret

        .balign 8
gdt:    .quad   0, 0x00cf92000000ffff
gdt_at: .word   15
        .long   gdt
letters: .asciz "Orlop shows an HVM guest's screen.\r\nPress g.\r\n"
did_letters: .asciz "screen: letters\r\n"
did_picture: .asciz "screen: picture\r\n"
did_square: .asciz "screen: square\r\n"
bad_key: .asciz "screen: another key\r\n"
bad_mode: .asciz "screen: no such mode\r\n"

        .org    510
        .word   0xaa55
        .org    0x100000
