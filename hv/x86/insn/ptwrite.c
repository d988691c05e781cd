/* SPDX-License-Identifier: MIT */
/*
 * Pure: bytes, registers and the old entry in, new entry and registers out. What is not decoded
 * here goes to the emulator (pv/ptwr.c).
 */
#include "x86/insn/ptwrite.h"

#define FLAG_PF 0x4ul
#define FLAG_AF 0x10ul
#define FLAG_SF 0x80ul
#define FLAG_OF 0x800ul
#define FLAGS_ARITH (X86_FLAGS_CF | FLAG_PF | FLAG_AF | X86_FLAGS_ZF | FLAG_SF | FLAG_OF)

/* A form: op in the low bits. */
enum {
    W_OP = 0x0f,
    W_BYTE = 0x10, /* one byte wide */
    W_IMM8 = 0x20,
    W_IMMZ = 0x40,
    W_KNOWN = 0x80
};

static const uint8_t form1[256] = {
    [0x08] = W_KNOWN | PTW_OR | W_BYTE,  [0x09] = W_KNOWN | PTW_OR,
    [0x20] = W_KNOWN | PTW_AND | W_BYTE, [0x21] = W_KNOWN | PTW_AND,
    [0x30] = W_KNOWN | PTW_XOR | W_BYTE, [0x31] = W_KNOWN | PTW_XOR,
    [0x80] = W_KNOWN | W_BYTE | W_IMM8,  [0x81] = W_KNOWN | W_IMMZ, /* group 1 */
    [0x83] = W_KNOWN | W_IMM8,           [0x86] = W_KNOWN | PTW_XCHG | W_BYTE,
    [0x87] = W_KNOWN | PTW_XCHG,         [0x88] = W_KNOWN | PTW_MOV | W_BYTE,
    [0x89] = W_KNOWN | PTW_MOV,          [0xc6] = W_KNOWN | PTW_MOV | W_BYTE | W_IMM8,
    [0xc7] = W_KNOWN | PTW_MOV | W_IMMZ,
};

/* Behind 0f; rare enough for a switch. 0: not ours. */
static uint8_t form2(uint8_t opcode)
{
    switch (opcode) {
    case 0xab:
        return W_KNOWN | PTW_BTS;
    case 0xb3:
        return W_KNOWN | PTW_BTR;
    case 0xbb:
        return W_KNOWN | PTW_BTC;
    case 0xba:
        return W_KNOWN | W_IMM8; /* group 8 */
    case 0xb0:
        return W_KNOWN | PTW_CMPXCHG | W_BYTE;
    case 0xb1:
        return W_KNOWN | PTW_CMPXCHG;
    default:
        return 0;
    }
}

/* The operation that a group's ModRM names, or -1. */
static int group_op(uint8_t opcode, unsigned int ext)
{
    if (opcode == 0xba)
        return ext >= 5 ? PTW_BTS + (int)ext - 5 : -1;
    if (opcode >= 0xc6)
        return ext == 0 ? PTW_MOV : -1;
    return ext == 4 ? PTW_AND : ext == 1 ? PTW_OR : ext == 6 ? PTW_XOR : -1;
}

static bool lock_allowed(uint8_t op)
{
    return op != PTW_MOV;
}

static uint64_t immediate(const uint8_t *p, unsigned int n)
{
    if (n == 1)
        return (uint64_t)(int64_t)(int8_t)p[0];
    if (n == 2)
        return (uint64_t)(int64_t)(int16_t)(p[0] | p[1] << 8);
    return (uint64_t)(int64_t)(int32_t)(p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                                        (uint32_t)p[3] << 24);
}

/*
 * Decodes at least 15 readable bytes; the caller compares the length with what it really had.
 * AH..BH are the only sources that need more than a register number.
 */
static bool decode15(const uint8_t *bytes, uint64_t addr, struct ptwrite *out)
{
    const uint8_t *p = bytes;
    bool lock = false, opsize = false;
    uint8_t rex = 0, form, opcode;
    unsigned int size, imm_len = 0;

    for (;; p++) {
        if (*p == 0xf0)
            lock = true;
        else if (*p == 0x66)
            opsize = true;
        else if (*p != 0x3e && *p != 0x65 && *p != 0x64)
            break;
        if (p - bytes > 3) /* compilers never write so many */
            return false;
    }
    if ((*p & 0xf0) == 0x40)
        rex = *p++;
    opcode = *p++;
    form = form1[opcode];
    if (opcode == 0x0f) {
        opcode = *p++;
        form = form2(opcode);
    }
    if (!form || *p >= 0xc0)
        return false;

    size = form & W_BYTE ? 1 : rex & 8 ? 8 : opsize ? 2 : 4;
    out->op = form & W_OP;
    out->reg = ((*p >> 3) & 7) | (rex & 4) << 1;
    out->imm_src = form & (W_IMM8 | W_IMMZ);
    out->high8 = false;
    if (out->imm_src) {
        int op = group_op(opcode, (*p >> 3) & 7);

        if (op < 0)
            return false;
        out->op = (uint8_t)op;
        imm_len = form & W_IMM8 ? 1 : MIN(size, 4);
    } else if (size == 1 && !rex && out->reg >= 4) {
        out->high8 = true;
        out->reg -= 4;
    }
    if (lock && !lock_allowed(out->op))
        return false;
    p += 1 + ptwrite_operand_len(p);
    if (p - bytes + imm_len > 15)
        return false;
    out->mask = x86_size_mask(size);
    if (out->imm_src)
        out->imm = immediate(p, imm_len) & out->mask;
    out->bits = (uint8_t)(size * 8);
    out->shift = (addr & 7) * 8;
    out->len = (uint8_t)(p - bytes + imm_len);
    return out->shift + out->bits <= 64;
}

bool ptwrite_decode_any(const uint8_t *bytes, size_t len, uint64_t addr, struct ptwrite *out)
{
    uint8_t padded[24] = { 0 };

    if (likely(len >= 15))
        return decode15(bytes, addr, out);
    for (size_t i = 0; i < len; i++)
        padded[i] = bytes[i];
    return decode15(padded, addr, out) && out->len <= len;
}

static inline uint64_t source(const struct ptwrite *w, const struct x86_regs *regs)
{
    if (w->imm_src)
        return w->imm;
    return (x86_gpr_value(regs, w->reg) >> (w->high8 ? 8 : 0)) & w->mask;
}

/* The operand's new value; `cur` is its old one. */
static inline uint64_t compute(const struct ptwrite *w, const struct x86_regs *regs, uint64_t cur)
{
    uint64_t src = source(w, regs);

    switch (w->op) {
    case PTW_AND:
        return cur & src;
    case PTW_OR:
        return cur | src;
    case PTW_XOR:
        return cur ^ src;
    case PTW_BTS:
        return cur | 1ull << (src & (w->bits - 1u));
    case PTW_BTR:
        return cur & ~(1ull << (src & (w->bits - 1u)));
    case PTW_BTC:
        return cur ^ 1ull << (src & (w->bits - 1u));
    case PTW_CMPXCHG:
        return (regs->rax & w->mask) == cur ? src : cur;
    default:
        return src;
    }
}

uint64_t ptwrite_new_value_any(const struct ptwrite *w, const struct x86_regs *regs, uint64_t old)
{
    uint64_t cur = (old >> w->shift) & w->mask;

    return (old & ~(w->mask << w->shift)) | compute(w, regs, cur) << w->shift;
}

static uint64_t parity_flag(uint64_t v)
{
    return __builtin_parity((unsigned int)(v & 0xff)) ? 0 : FLAG_PF;
}

/* SF, ZF and PF of a result. */
static uint64_t result_flags(const struct ptwrite *w, uint64_t v)
{
    return (v ? 0 : X86_FLAGS_ZF) | (v >> (w->bits - 1) & 1 ? FLAG_SF : 0) | parity_flag(v);
}

/* Flags of a - b at the operand's width. */
static uint64_t compare_flags(const struct ptwrite *w, uint64_t a, uint64_t b)
{
    uint64_t d = (a - b) & w->mask, overflow = (a ^ b) & (a ^ d);

    return result_flags(w, d) | (a < b ? X86_FLAGS_CF : 0) | ((a ^ b ^ d) & FLAG_AF) |
           (overflow >> (w->bits - 1) & 1 ? FLAG_OF : 0);
}

static void set_flags(struct x86_regs *regs, uint64_t which, uint64_t val)
{
    regs->rflags = (regs->rflags & ~which) | val;
}

static void finish_xchg(const struct ptwrite *w, struct x86_regs *regs, uint64_t cur)
{
    if (w->high8) {
        uint64_t *r = x86_gpr(regs, w->reg);

        *r = (*r & ~0xff00ull) | cur << 8;
        return;
    }
    x86_gpr_write(regs, w->reg, cur, w->bits / 8u);
}

static void finish_cmpxchg(const struct ptwrite *w, struct x86_regs *regs, uint64_t cur)
{
    uint64_t expected = regs->rax & w->mask;

    set_flags(regs, FLAGS_ARITH, compare_flags(w, expected, cur));
    if (expected != cur)
        x86_gpr_write(regs, 0, cur, w->bits / 8u);
}

void ptwrite_finish_any(const struct ptwrite *w, struct x86_regs *regs, uint64_t old)
{
    uint64_t cur = (old >> w->shift) & w->mask;

    switch (w->op) {
    case PTW_MOV:
        break;
    case PTW_XCHG:
        finish_xchg(w, regs, cur);
        break;
    case PTW_CMPXCHG:
        finish_cmpxchg(w, regs, cur);
        break;
    case PTW_BTS:
    case PTW_BTR:
    case PTW_BTC:
        set_flags(regs, X86_FLAGS_CF, cur >> (source(w, regs) & (w->bits - 1u)) & 1);
        break;
    default:
        set_flags(regs, FLAGS_ARITH, result_flags(w, compute(w, regs, cur)));
        break;
    }
}
