/* SPDX-License-Identifier: MIT */
/* The ELF32 that boot loaders take: the flat image at its physical address, then the symbols. */
        .section .image, "awx", @progbits
        .incbin "orlop.bin"
        .balign 4096
        .incbin "orlop.symtab"
        .section .note.GNU-stack, "", @progbits
