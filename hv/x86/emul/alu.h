/* SPDX-License-Identifier: MIT */
/* Results and flags of arithmetic instructions. Pure. */
#ifndef X86_EMUL_ALU_H
#define X86_EMUL_ALU_H

#include "x86/insn/insn.h"

#define ALU_FLAGS 0x8d5ul /* CF PF AF ZF SF OF */

/*
 * `op` (an enum insn_op of two operands: ADD to CMP, AND, OR, XOR, TEST; BT, BTS, BTR, BTC with the
 * bit's number in src; ROL to SAR with the count; or of one: INC, DEC, NOT, NEG) on operands of
 * `size` bytes: the destination's new value, and the flags. What the manual calls undefined stays
 * as it was, or as the CPUs have it.
 */
uint64_t alu(unsigned int op, unsigned int size, uint64_t dst, uint64_t src, uint64_t *rflags);

#endif
