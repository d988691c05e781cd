/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic of emulated instructions: results and flags as the processor has them. Pure functions
 * without state or locks; tests compare them with the processor itself.
 */
#include "x86/emul/alu.h"

#include "x86/insn/gpr.h"

#define CF 0x1ul
#define PF 0x4ul
#define AF 0x10ul
#define ZF 0x40ul
#define SF 0x80ul
#define OF 0x800ul

static uint64_t parity(uint64_t val)
{
    return __builtin_parity((unsigned int)val & 0xff) ? 0 : PF;
}

static uint64_t result_flags(uint64_t val, uint64_t sign)
{
    return parity(val) | (val ? 0 : ZF) | (val & sign ? SF : 0);
}

/* dst + src + carry, or dst - src - carry. */
static uint64_t add_or_sub(bool sub, uint64_t dst, uint64_t src, uint64_t carry, uint64_t mask,
                           uint64_t *flags)
{
    uint64_t sign = mask ^ mask >> 1, val, over;

    if (sub) {
        val = (dst - src - carry) & mask;
        *flags = dst < src || (dst == src && carry) ? CF : 0;
        over = (dst ^ src) & (dst ^ val);
    } else {
        val = (dst + src + carry) & mask;
        *flags = val < dst || (val == dst && carry) ? CF : 0;
        over = ~(dst ^ src) & (dst ^ val);
    }
    *flags |= result_flags(val, sign) | ((dst ^ src ^ val) & AF) | (over & sign ? OF : 0);
    return val;
}

static uint64_t bit_op(unsigned int op, unsigned int size, uint64_t dst, uint64_t src,
                       uint64_t *rflags)
{
    uint64_t bit = 1ull << (src & (8 * size - 1));

    *rflags = (*rflags & ~CF) | (dst & bit ? CF : 0);
    switch (op) {
    case INSN_BTS:
        return dst | bit;
    case INSN_BTR:
        return dst & ~bit;
    case INSN_BTC:
        return dst ^ bit;
    default:
        return dst;
    }
}

/* By n places, 1 to 63, bit by bit; *cf: the bit that went out last. */
static uint64_t shift(unsigned int op, unsigned int n, uint64_t val, uint64_t mask, uint64_t *cf)
{
    uint64_t sign = mask ^ mask >> 1, in;

    while (n--) {
        bool left = op == INSN_ROL || op == INSN_RCL || op == INSN_SHL;
        uint64_t out = (left ? val & sign : val & 1) ? 1 : 0;

        in = op == INSN_ROL || op == INSN_ROR   ? out
             : op == INSN_RCL || op == INSN_RCR ? *cf
             : op == INSN_SAR && (val & sign)   ? 1
                                                : 0;
        val = left ? (val << 1 | in) & mask : val >> 1 | (in ? sign : 0);
        *cf = out;
    }
    return val;
}

/* OF is defined for one place only: the sign has changed, or what a rotation makes of that. */
static uint64_t shift_op(unsigned int op, unsigned int size, uint64_t dst, uint64_t src,
                         uint64_t *rflags)
{
    uint64_t mask = x86_size_mask(size), sign = mask ^ mask >> 1, cf = *rflags & CF, val, flags;
    unsigned int n = src & (size == 8 ? 63 : 31);
    bool rotates = op < INSN_SHL;

    if (!n)
        return dst;
    val = shift(op, n, dst, mask, &cf);
    flags = cf | ((dst ^ val) & sign ? OF : 0);
    if (!rotates)
        flags |= result_flags(val, sign);
    *rflags = (*rflags & ~(rotates ? CF | OF : ALU_FLAGS)) | flags;
    return val;
}

uint64_t alu(unsigned int op, unsigned int size, uint64_t dst, uint64_t src, uint64_t *rflags)
{
    uint64_t mask = x86_size_mask(size), flags = 0, val, keep = 0;

    dst &= mask;
    switch (op) {
    case INSN_BT:
    case INSN_BTS:
    case INSN_BTR:
    case INSN_BTC:
        return bit_op(op, size, dst, src, rflags);
    case INSN_ROL:
    case INSN_ROR:
    case INSN_RCL:
    case INSN_RCR:
    case INSN_SHL:
    case INSN_SHR:
    case INSN_SAR:
        return shift_op(op, size, dst, src, rflags);
    case INSN_NOT:
        return ~dst & mask;
    default:
        break;
    }
    src &= mask;
    switch (op) {
    case INSN_ADD:
    case INSN_XADD:
        val = add_or_sub(false, dst, src, 0, mask, &flags);
        break;
    case INSN_ADC:
        val = add_or_sub(false, dst, src, *rflags & CF, mask, &flags);
        break;
    case INSN_SBB:
        val = add_or_sub(true, dst, src, *rflags & CF, mask, &flags);
        break;
    case INSN_SUB:
    case INSN_CMP:
        val = add_or_sub(true, dst, src, 0, mask, &flags);
        break;
    case INSN_NEG:
        val = add_or_sub(true, 0, dst, 0, mask, &flags);
        break;
    case INSN_INC:
    case INSN_DEC:
        val = add_or_sub(op == INSN_DEC, dst, 1, 0, mask, &flags);
        keep = CF;
        break;
    default: /* AND, TEST, OR, XOR */
        val = op == INSN_OR ? dst | src : op == INSN_XOR ? dst ^ src : dst & src;
        flags = result_flags(val, mask ^ mask >> 1);
        break;
    }
    *rflags = (*rflags & ~(ALU_FLAGS & ~keep)) | (flags & ~keep);
    return val;
}
