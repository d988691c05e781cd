/* SPDX-License-Identifier: MIT */
/* For assembly files. */
#ifndef X86_ASM_H
#define X86_ASM_H

#include "asm-offsets.h" /* generated from x86/asm_offsets.c */
#include "x86/layout.h"

/* Assembly, which clang-format would break. */
/* clang-format off */
#define ENTRY(name)                                                                                \
    .balign 16;                                                                                    \
    .globl name;                                                                                   \
    name:

/* If the instruction at `from` faults, go on at `to`. */
#define EX(from, to)                                                                               \
    .pushsection .ex_table, "a";                                                                   \
    .long (from) - .;                                                                              \
    .long (to) - .;                                                                                \
    .popsection
/* clang-format on */

#endif
