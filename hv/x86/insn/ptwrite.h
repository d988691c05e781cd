/* SPDX-License-Identifier: MIT */
/*
 * The fast path of emulated page-table writes: the instructions with which 64-bit kernels change a
 * page-table entry, and nothing else. Runs once for each page that a guest unmaps, so it does no
 * more than it must: the page fault's address is the operand's address, and need not be computed.
 *
 *   ptwrite_decode()      what is written, from the bytes at the faulting instruction
 *   ptwrite_new_value()   the entry's new value, from the old one; may be called again when the
 *                         entry changed meanwhile (compare-and-exchange)
 *   ptwrite_finish()      registers, flags and RIP, once the entry was changed from `old`
 */
#ifndef X86_INSN_PTWRITE_H
#define X86_INSN_PTWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/macros.h"
#include "x86/insn/gpr.h"

/* MOV and XCHG come first. */
enum ptwrite_op {
    PTW_MOV,
    PTW_XCHG,
    PTW_CMPXCHG,
    PTW_AND,
    PTW_OR,
    PTW_XOR,
    PTW_BTS,
    PTW_BTR,
    PTW_BTC
};

struct ptwrite {
    uint8_t op;    /* enum ptwrite_op */
    uint8_t len;   /* instruction bytes */
    uint8_t shift; /* operand's first bit within the 8-byte entry */
    uint8_t bits;  /* operand's width: 8, 16, 32, 64 */
    uint8_t reg;   /* source register if !imm_src; old value's destination of XCHG */
    bool imm_src;
    bool high8;    /* source is the second byte of `reg` (AH..BH) */
    uint64_t mask; /* ones over the operand, at bit 0 */
    uint64_t imm;  /* source if imm_src; cut to the operand */
};

/* The general cases of the three functions below; not for callers. */
bool ptwrite_decode_any(const uint8_t *bytes, size_t len, uint64_t addr, struct ptwrite *out);
uint64_t ptwrite_new_value_any(const struct ptwrite *w, const struct x86_regs *regs, uint64_t old);
void ptwrite_finish_any(const struct ptwrite *w, struct x86_regs *regs, uint64_t old);

/* Bytes of SIB and displacement behind a memory ModRM at p. */
static inline unsigned int ptwrite_operand_len(const uint8_t *p)
{
    unsigned int mod = p[0] >> 6, rm = p[0] & 7, n = 0;

    if (rm == 4) {
        n = 1;
        rm = p[1] & 7;
    }
    if (mod == 1)
        return n + 1;
    return n + (mod == 2 || rm == 5 ? 4 : 0);
}

/*
 * Decode MOV and XCHG of a whole entry with a register, which is nearly all that a kernel does,
 * from bytes[0 .. 7], the longest of them. False: ptwrite_decode() decides.
 */
static inline bool ptwrite_decode_simple(const uint8_t *bytes, uint64_t addr, struct ptwrite *out)
{
    if ((bytes[0] & 0xf8) != 0x48 || (bytes[1] != 0x87 && bytes[1] != 0x89) || bytes[2] >= 0xc0 ||
        (addr & 7) != 0)
        return false;
    *out = (struct ptwrite){
        .op = bytes[1] == 0x87 ? PTW_XCHG : PTW_MOV,
        .len = (uint8_t)(3 + ptwrite_operand_len(bytes + 2)),
        .bits = 64,
        .reg = ((bytes[2] >> 3) & 7) | (bytes[0] & 4) << 1,
        .mask = ~0ull,
    };
    return true;
}

/*
 * Decode 64-bit code at bytes[0 .. len-1] whose write faulted at `addr` (CR2). False for any other
 * instruction, a truncated one, or an operand that leaves its aligned 8 bytes: the caller passes
 * the fault on, or tries the general decoder.
 */
static inline bool ptwrite_decode(const uint8_t *bytes, size_t len, uint64_t addr,
                                  struct ptwrite *out)
{
    return (likely(len >= 8) && ptwrite_decode_simple(bytes, addr, out)) ||
           ptwrite_decode_any(bytes, len, addr, out);
}

static inline bool ptwrite_is_simple(const struct ptwrite *w)
{
    return w->op <= PTW_XCHG && w->bits == 64 && !w->imm_src;
}

/* The value that the aligned 8 bytes at the operand get if they hold `old` now. */
static inline uint64_t ptwrite_new_value(const struct ptwrite *w, const struct x86_regs *regs,
                                         uint64_t old)
{
    return likely(ptwrite_is_simple(w)) ? x86_gpr_value(regs, w->reg)
                                        : ptwrite_new_value_any(w, regs, old);
}

/* Complete the instruction that found `old`: registers, flags; RIP moves behind it. */
static inline void ptwrite_finish(const struct ptwrite *w, struct x86_regs *regs, uint64_t old)
{
    if (unlikely(!ptwrite_is_simple(w)))
        ptwrite_finish_any(w, regs, old);
    else if (w->op == PTW_XCHG)
        *x86_gpr(regs, w->reg) = old;
    regs->rip += w->len;
    regs->rflags &= ~X86_FLAGS_RF;
}

#endif
