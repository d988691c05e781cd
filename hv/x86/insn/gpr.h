/* SPDX-License-Identifier: MIT */
/* General registers by the number that instructions encode: rax 0 .. rdi 7, r8 .. r15. */
#ifndef X86_INSN_GPR_H
#define X86_INSN_GPR_H

#include <stddef.h>

#include "x86/regs.h"

static inline uint64_t *x86_gpr(struct x86_regs *regs, unsigned int n)
{
    static const uint8_t offset[16] = {
        offsetof(struct x86_regs, rax), offsetof(struct x86_regs, rcx),
        offsetof(struct x86_regs, rdx), offsetof(struct x86_regs, rbx),
        offsetof(struct x86_regs, rsp), offsetof(struct x86_regs, rbp),
        offsetof(struct x86_regs, rsi), offsetof(struct x86_regs, rdi),
        offsetof(struct x86_regs, r8),  offsetof(struct x86_regs, r9),
        offsetof(struct x86_regs, r10), offsetof(struct x86_regs, r11),
        offsetof(struct x86_regs, r12), offsetof(struct x86_regs, r13),
        offsetof(struct x86_regs, r14), offsetof(struct x86_regs, r15),
    };

    return (uint64_t *)(void *)((char *)regs + offset[n & 15]);
}

static inline uint64_t x86_gpr_value(const struct x86_regs *regs, unsigned int n)
{
    return *x86_gpr((struct x86_regs *)regs, n);
}

/* The value of a `size`-byte operand, zero-extended; all ones above for size 8. */
static inline uint64_t x86_size_mask(unsigned int size)
{
    return ~0ull >> (64 - 8 * size);
}

/* Write a `size`-byte result as the CPU does: 32-bit writes clear the upper half, smaller ones keep
 * it. */
static inline void x86_gpr_write(struct x86_regs *regs, unsigned int n, uint64_t val,
                                 unsigned int size)
{
    uint64_t *r = x86_gpr(regs, n), mask = x86_size_mask(size);

    *r = size == 4 ? (uint32_t)val : (*r & ~mask) | (val & mask);
}

#endif
