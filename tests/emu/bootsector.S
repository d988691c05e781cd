/* SPDX-License-Identifier: MIT */
/*
 * A disk whose boot sector is all its system: it asks the firmware for eight sectors behind itself
 * (each word of them is its number), for its memory, and for the time, which only goes on if the
 * timer's interrupt comes; says so on the serial line and at port 0xe9; and halts for good, which
 * ends the guest. Where the byte `forever` is not 0 it goes on instead: a sector with a number that
 * grows is written and read back, and each time that it is right, it says so.
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
        mov     %dl, drive
        mov     $hello, %si
        call    say

        mov     $bad_read, %si
        mov     $0x42, %ah
        mov     drive, %dl
        push    %si
        mov     $packet, %si
        int     $0x13
        pop     %si
        jc      fail
        mov     $0x8000, %si
        xor     %bx, %bx
1:      lodsw
        cmp     %bx, %ax
        mov     $bad_data, %di
        jne     fail_di
        inc     %bx
        cmp     $2048, %bx
        jne     1b

        mov     $bad_memory, %si
        int     $0x12                   /* KiB below 640 */
        cmp     $500, %ax
        jb      fail

        xor     %ah, %ah                /* ticks since midnight: cx:dx */
        int     $0x1a
        mov     %dx, %bx
        add     $5, %bx
2:      hlt
        xor     %ah, %ah
        int     $0x1a
        cmp     %bx, %dx
        js      2b
        mov     $good, %si
        call    say
        cmpb    $0, forever
        jne     turn
stop:   cli
        hlt
        jmp     stop

fail_di: mov    %di, %si
fail:   call    say
        jmp     stop

turn:   incw    0x8000
        mov     $0x43, %ah              /* the buffer is written as sectors 65 and on */
        call    disk
        mov     0x8000, %bx
        movw    $0, 0x8000
        mov     $0x42, %ah
        call    disk
        mov     $bad_data, %si
        cmp     0x8000, %bx
        jne     fail
        mov     $again, %si
        call    say
        jmp     turn
disk:   xor     %al, %al
        movb    $65, packet + 8
        mov     drive, %dl
        mov     $packet, %si
        int     $0x13
        mov     $bad_read, %si
        jc      fail
        ret

say:    lodsb
        test    %al, %al
        jz      4f
        out     %al, $0xe9
        mov     %al, %cl
        mov     $0x3fd, %dx
3:      in      %dx, %al
        test    $0x20, %al
        jz      3b
        mov     %cl, %al
        mov     $0x3f8, %dx
        out     %al, %dx
        jmp     say
4:      ret

drive:  .byte   0
        .balign 4
packet: .byte   16, 0, 8, 0             /* eight sectors to 0:8000 from sector 1 on */
        .word   0x8000, 0
        .quad   1
hello:  .asciz  "boot-sector: begins\r\n"
again:  .asciz  "boot-sector: turn\r\n"
good:   .asciz  "boot-sector: ok\r\n"
bad_read: .asciz "boot-sector: cannot read\r\n"
bad_data: .asciz "boot-sector: wrong data\r\n"
bad_memory: .asciz "boot-sector: wrong memory\r\n"

        .org    509
forever: .byte  0
        .word   0xaa55
        .set    i, 0
        .rept   2048
        .word   i
        .set    i, i + 1
        .endr
        .org    0x100000
