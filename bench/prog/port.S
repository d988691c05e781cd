/* SPDX-License-Identifier: MIT */
/*
 * A boot sector that reads the status of the serial line 200 times, which is QEMU's, between two markers (bench/count.c), so
 * the row is of round trips to the device model; then it reads sectors of its IDE disk, and each one's data, by one
 * instruction, is a run of the next row. It says so on the serial line, and halts for good, which ends the guest. In 32-bit
 * code, where the markers are the bytes that they are everywhere.
 */
        .set    TIMES, 200
        .set    ROW, 26
        .set    LSR, 0x3fd
        .set    IDE, 0x1f0
        .code16
        .globl  _start
_start:
        cli
        xor     %ax, %ax
        mov     %ax, %ds
        lgdt    gdt_pointer
        mov     %cr0, %eax
        or      $1, %eax
        mov     %eax, %cr0
        ljmp    $8, $protected
        .code32
protected:
        mov     $16, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     $LSR, %edx
        in      %dx, %al                /* what happens only once */
        mov     $TIMES, %ecx
        nopl    0x4f520100+ROW(%eax,%eax,1)
1:      in      %dx, %al
        dec     %ecx
        jnz     1b
        nopl    0x4f520200+ROW(%eax,%eax,1)

        mov     $5, %ebp
5:      mov     $IDE + 2, %edx
        mov     $1, %al                 /* one sector, number 1 */
        out     %al, %dx
        inc     %edx
        out     %al, %dx
        inc     %edx
        xor     %al, %al
        out     %al, %dx
        inc     %edx
        out     %al, %dx
        inc     %edx
        mov     $0xe0, %al
        out     %al, %dx
        inc     %edx
        mov     $0x20, %al
        out     %al, %dx
6:      in      %dx, %al
        and     $0x88, %al
        cmp     $8, %al                 /* has data, and is not busy */
        jne     6b
        mov     $IDE, %edx
        mov     $0x8000, %edi
        mov     $256, %ecx
        nopl    0x4f520101+ROW(%eax,%eax,1)
        rep insw
        nopl    0x4f520201+ROW(%eax,%eax,1)
        dec     %ebp
        jnz     5b
        mov     $LSR, %edx
        mov     $text, %esi
2:      mov     (%esi), %bl
        inc     %esi
        test    %bl, %bl
        jz      4f
3:      in      %dx, %al
        test    $0x20, %al
        jz      3b
        mov     %bl, %al
        mov     $LSR - 5, %dx
        out     %al, %dx
        mov     $LSR, %dx
        jmp     2b
4:      hlt
        jmp     4b

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9a000000ffff
        .quad   0x00cf92000000ffff
gdt_pointer: .word . - gdt - 1
        .long   gdt
text:   .asciz  "port: read\r\n"
        .org    510
        .word   0xaa55
        .org    0x10000
