/* SPDX-License-Identifier: MIT */
/*
 * Two tables say what each opcode is; one pass over the bytes reads prefixes, opcode, operand and
 * immediate. Nothing is read twice and nothing behind the given length.
 */
#include "lib/string.h"
#include "x86/insn/gpr.h"
#include "x86/insn/insn.h"

#include "lib/macros.h"

enum {
    F_MODRM = 1 << 0,
    F_BYTE = 1 << 1, /* operand size 1 */
    F_IMM8 = 1 << 2,
    F_IMMZ = 1 << 3, /* 2 bytes at operand size 2, else 4 */
    F_LOCK = 1 << 4, /* LOCK allowed with a memory operand */
    F_REGS = 1 << 5, /* moves with special registers: r/m is a register whatever mod says */
    F_PORT = 1 << 6, /* operand size at most 4 */
    F_TO_REG = 1 << 7,
    F_MOFFS = 1 << 8,  /* the operand's address stands behind the opcode */
    F_STACK = 1 << 9,  /* operand size 8 or 2 in 64-bit code */
    F_OPREG = 1 << 10, /* the opcode's low bits name the register */
    F_SRC8 = 1 << 11,  /* the source has 1, 2, 4 bytes whatever the operand size */
    F_SRC16 = 1 << 12,
    F_SRC32 = 1 << 13, /* and exists in 64-bit code only */
    F_ONE = 1 << 14,   /* the source is the number 1 */
    F_CL = 1 << 15,    /* the source is CL */
};

enum group { G_NONE, G_1, G_2, G_MOV, G_3, G_FE, G_FF, G_8F, G_6, G_7, G_8, G_9, G_AE, G_COUNT };

struct form {
    uint8_t op; /* enum insn_op; with a group, the ModRM byte says more */
    uint16_t flags;
    uint8_t group;
};

/* The four forms of an arithmetic instruction with ModRM. */
#define ALU_FORMS(first, op, lock)                                                                 \
    [(first)] = { op, F_MODRM | F_BYTE | (lock), 0 }, [(first) + 1] = { op, F_MODRM | (lock), 0 }, \
    [(first) + 2] = { op, F_MODRM | F_BYTE | F_TO_REG, 0 },                                        \
    [(first) + 3] = { op, F_MODRM | F_TO_REG, 0 }
#define EIGHT(first, ...)                                                                  \
    [(first)] = __VA_ARGS__, [(first) + 1] = __VA_ARGS__, [(first) + 2] = __VA_ARGS__,     \
    [(first) + 3] = __VA_ARGS__, [(first) + 4] = __VA_ARGS__, [(first) + 5] = __VA_ARGS__, \
    [(first) + 6] = __VA_ARGS__, [(first) + 7] = __VA_ARGS__

static const struct form one_byte[256] = {
    ALU_FORMS(0x00, INSN_ADD, F_LOCK),
    ALU_FORMS(0x08, INSN_OR, F_LOCK),
    ALU_FORMS(0x10, INSN_ADC, F_LOCK),
    ALU_FORMS(0x18, INSN_SBB, F_LOCK),
    ALU_FORMS(0x20, INSN_AND, F_LOCK),
    ALU_FORMS(0x28, INSN_SUB, F_LOCK),
    ALU_FORMS(0x30, INSN_XOR, F_LOCK),
    ALU_FORMS(0x38, INSN_CMP, 0),
    EIGHT(0x50, { INSN_PUSH, F_OPREG | F_STACK, 0 }),
    EIGHT(0x58, { INSN_POP, F_OPREG | F_STACK, 0 }),
    [0x63] = { INSN_MOVSX, F_MODRM | F_TO_REG | F_SRC32, 0 },
    [0x68] = { INSN_PUSH, F_IMMZ | F_STACK, 0 },
    [0x6a] = { INSN_PUSH, F_IMM8 | F_STACK, 0 },
    [0x6c] = { INSN_INS, F_BYTE | F_PORT, 0 },
    [0x6d] = { INSN_INS, F_PORT, 0 },
    [0x6e] = { INSN_OUTS, F_BYTE | F_PORT, 0 },
    [0x6f] = { INSN_OUTS, F_PORT, 0 },
    [0x80] = { 0, F_MODRM | F_BYTE | F_IMM8 | F_LOCK, G_1 },
    [0x81] = { 0, F_MODRM | F_IMMZ | F_LOCK, G_1 },
    [0x83] = { 0, F_MODRM | F_IMM8 | F_LOCK, G_1 },
    [0x84] = { INSN_TEST, F_MODRM | F_BYTE, 0 },
    [0x85] = { INSN_TEST, F_MODRM, 0 },
    [0x86] = { INSN_XCHG, F_MODRM | F_BYTE | F_LOCK, 0 },
    [0x87] = { INSN_XCHG, F_MODRM | F_LOCK, 0 },
    [0x88] = { INSN_MOV, F_MODRM | F_BYTE, 0 },
    [0x89] = { INSN_MOV, F_MODRM, 0 },
    [0x8a] = { INSN_MOV, F_MODRM | F_BYTE | F_TO_REG, 0 },
    [0x8b] = { INSN_MOV, F_MODRM | F_TO_REG, 0 },
    [0x8f] = { 0, F_MODRM | F_STACK, G_8F },
    [0xa0] = { INSN_MOV, F_MOFFS | F_BYTE | F_TO_REG, 0 },
    [0xa1] = { INSN_MOV, F_MOFFS | F_TO_REG, 0 },
    [0xa2] = { INSN_MOV, F_MOFFS | F_BYTE, 0 },
    [0xa3] = { INSN_MOV, F_MOFFS, 0 },
    [0xa4] = { INSN_MOVS, F_BYTE, 0 },
    [0xa5] = { INSN_MOVS, 0, 0 },
    [0xa6] = { INSN_CMPS, F_BYTE, 0 },
    [0xa7] = { INSN_CMPS, 0, 0 },
    [0xaa] = { INSN_STOS, F_BYTE, 0 },
    [0xab] = { INSN_STOS, 0, 0 },
    [0xac] = { INSN_LODS, F_BYTE, 0 },
    [0xad] = { INSN_LODS, 0, 0 },
    [0xae] = { INSN_SCAS, F_BYTE, 0 },
    [0xaf] = { INSN_SCAS, 0, 0 },
    [0xc0] = { 0, F_MODRM | F_BYTE | F_IMM8, G_2 },
    [0xc1] = { 0, F_MODRM | F_IMM8, G_2 },
    [0xc6] = { 0, F_MODRM | F_BYTE | F_IMM8, G_MOV },
    [0xc7] = { 0, F_MODRM | F_IMMZ, G_MOV },
    [0xcf] = { INSN_IRET, 0, 0 },
    [0xd0] = { 0, F_MODRM | F_BYTE | F_ONE, G_2 },
    [0xd1] = { 0, F_MODRM | F_ONE, G_2 },
    [0xd2] = { 0, F_MODRM | F_BYTE | F_CL, G_2 },
    [0xd3] = { 0, F_MODRM | F_CL, G_2 },
    [0xe4] = { INSN_IN, F_BYTE | F_IMM8 | F_PORT, 0 },
    [0xe5] = { INSN_IN, F_IMM8 | F_PORT, 0 },
    [0xe6] = { INSN_OUT, F_BYTE | F_IMM8 | F_PORT, 0 },
    [0xe7] = { INSN_OUT, F_IMM8 | F_PORT, 0 },
    [0xec] = { INSN_IN, F_BYTE | F_PORT, 0 },
    [0xed] = { INSN_IN, F_PORT, 0 },
    [0xee] = { INSN_OUT, F_BYTE | F_PORT, 0 },
    [0xef] = { INSN_OUT, F_PORT, 0 },
    [0xf4] = { INSN_HLT, 0, 0 },
    [0xf6] = { 0, F_MODRM | F_BYTE | F_LOCK, G_3 },
    [0xf7] = { 0, F_MODRM | F_LOCK, G_3 },
    [0xfa] = { INSN_CLI, 0, 0 },
    [0xfb] = { INSN_STI, 0, 0 },
    [0xfe] = { 0, F_MODRM | F_BYTE | F_LOCK, G_FE },
    [0xff] = { 0, F_MODRM | F_LOCK, G_FF },
};

/* Behind 0f. */
static const struct form two_byte[256] = {
    [0x00] = { 0, F_MODRM, G_6 },
    [0x01] = { 0, F_MODRM, G_7 },
    [0x06] = { INSN_CLTS, 0, 0 },
    [0x08] = { INSN_INVD, 0, 0 },
    [0x09] = { INSN_WBINVD, 0, 0 },
    [0x20] = { INSN_MOV_FROM_CR, F_MODRM | F_REGS, 0 },
    [0x21] = { INSN_MOV_FROM_DR, F_MODRM | F_REGS, 0 },
    [0x22] = { INSN_MOV_TO_CR, F_MODRM | F_REGS, 0 },
    [0x23] = { INSN_MOV_TO_DR, F_MODRM | F_REGS, 0 },
    [0x30] = { INSN_WRMSR, 0, 0 },
    [0x31] = { INSN_RDTSC, 0, 0 },
    [0x32] = { INSN_RDMSR, 0, 0 },
    [0x33] = { INSN_RDPMC, 0, 0 },
    [0xa2] = { INSN_CPUID, 0, 0 },
    [0xa3] = { INSN_BT, F_MODRM, 0 },
    [0xab] = { INSN_BTS, F_MODRM | F_LOCK, 0 },
    [0xae] = { 0, F_MODRM, G_AE },
    [0xb0] = { INSN_CMPXCHG, F_MODRM | F_BYTE | F_LOCK, 0 },
    [0xb1] = { INSN_CMPXCHG, F_MODRM | F_LOCK, 0 },
    [0xb3] = { INSN_BTR, F_MODRM | F_LOCK, 0 },
    [0xb6] = { INSN_MOVZX, F_MODRM | F_TO_REG | F_SRC8, 0 },
    [0xb7] = { INSN_MOVZX, F_MODRM | F_TO_REG | F_SRC16, 0 },
    [0xba] = { 0, F_MODRM | F_IMM8 | F_LOCK, G_8 },
    [0xbb] = { INSN_BTC, F_MODRM | F_LOCK, 0 },
    [0xbe] = { INSN_MOVSX, F_MODRM | F_TO_REG | F_SRC8, 0 },
    [0xbf] = { INSN_MOVSX, F_MODRM | F_TO_REG | F_SRC16, 0 },
    [0xc0] = { INSN_XADD, F_MODRM | F_BYTE | F_LOCK, 0 },
    [0xc1] = { INSN_XADD, F_MODRM | F_LOCK, 0 },
    [0xc3] = { INSN_MOVNTI, F_MODRM, 0 },
    [0xc7] = { 0, F_MODRM | F_LOCK, G_9 },
};

/* By ModRM's reg field, for memory operands and for registers. */
static const uint8_t group_mem[G_COUNT][8] = {
    [G_1] = { INSN_ADD, INSN_OR, INSN_ADC, INSN_SBB, INSN_AND, INSN_SUB, INSN_XOR, INSN_CMP },
    [G_2] = { INSN_ROL, INSN_ROR, INSN_RCL, INSN_RCR, INSN_SHL, INSN_SHR, INSN_SHL, INSN_SAR },
    [G_MOV] = { [0] = INSN_MOV },
    [G_3] = { INSN_TEST, INSN_TEST, INSN_NOT, INSN_NEG },
    [G_FE] = { INSN_INC, INSN_DEC },
    [G_FF] = { INSN_INC, INSN_DEC, [6] = INSN_PUSH },
    [G_8F] = { [0] = INSN_POP },
    [G_6] = { [0] = INSN_SLDT, [1] = INSN_STR },
    [G_7] = { [0] = INSN_SGDT,
              [1] = INSN_SIDT,
              [4] = INSN_SMSW,
              [6] = INSN_LMSW,
              [7] = INSN_INVLPG },
    [G_8] = { [4] = INSN_BT, [5] = INSN_BTS, [6] = INSN_BTR, [7] = INSN_BTC },
    [G_9] = { [1] = INSN_CMPXCHG8B },
};

static const uint8_t group_reg[G_COUNT][8] = {
    [G_1] = { [1] = INSN_OR, [4] = INSN_AND, [6] = INSN_XOR },
    [G_MOV] = { [0] = INSN_MOV },
    [G_6] = { [0] = INSN_SLDT, [1] = INSN_STR },
    [G_7] = { [4] = INSN_SMSW, [6] = INSN_LMSW },
    [G_8] = { [5] = INSN_BTS, [6] = INSN_BTR, [7] = INSN_BTC },
};

/* The bytes left, and whether more were asked for than there are. */
struct cursor {
    const uint8_t *p, *end;
    bool empty;
};

static uint8_t next_byte(struct cursor *c)
{
    if (c->p == c->end) {
        c->empty = true;
        return 0;
    }
    return *c->p++;
}

/* A little-endian number of n bytes, sign-extended. */
static int64_t next_signed(struct cursor *c, unsigned int n)
{
    uint64_t v = 0;

    for (unsigned int i = 0; i < n; i++)
        v |= (uint64_t)next_byte(c) << (8 * i);
    return (int64_t)(v << (64 - 8 * n)) >> (64 - 8 * n);
}

struct prefixes {
    bool opsize, addrsize;
    uint8_t rex;
    int seg; /* -1: none */
};

/* Reads all prefixes; returns the first byte that is none. */
static uint8_t read_prefixes(struct cursor *c, enum insn_mode mode, struct prefixes *pf,
                             struct insn *out)
{
    pf->seg = -1;
    for (;;) {
        uint8_t b = next_byte(c);

        if (mode == INSN_MODE_64 && (b & 0xf0) == 0x40) {
            pf->rex = b;
            continue;
        }
        switch (b) {
        case 0x66:
            pf->opsize = true;
            break;
        case 0x67:
            pf->addrsize = true;
            break;
        case 0xf0:
            out->lock = true;
            break;
        case 0xf2:
        case 0xf3:
            out->rep = b;
            break;
        case 0x64:
            pf->seg = SEG_FS;
            break;
        case 0x65:
            pf->seg = SEG_GS;
            break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
            if (mode != INSN_MODE_64) /* ignored in 64-bit code */
                pf->seg = (b >> 3) & 3;
            break;
        default:
            return b;
        }
        pf->rex = 0; /* REX counts only right before the opcode */
    }
}

static void read_sib(struct cursor *c, uint8_t rex, unsigned int mod, struct insn *out)
{
    uint8_t sib = next_byte(c);
    unsigned int index = ((sib >> 3) & 7) | (rex & 2) << 2;

    out->scale = sib >> 6;
    if (index != 4)
        out->index = (uint8_t)index;
    if ((sib & 7) == 5 && mod == 0) {
        out->disp = next_signed(c, 4);
        return;
    }
    out->base = (sib & 7) | (rex & 1) << 3;
}

/* 16-bit addressing: the eight base and index pairs of ModRM. */
static void read_mem16(struct cursor *c, unsigned int mod, unsigned int rm, struct insn *out)
{
    static const uint8_t base[8] = { 3, 3, 5, 5, 6, 7, 5, 3 }; /* bx bx bp bp si di bp bx */
    static const uint8_t index[8] = {
        6, 7, 6, 7, INSN_NO_REG, INSN_NO_REG, INSN_NO_REG, INSN_NO_REG
    };

    if (mod == 0 && rm == 6) {
        out->disp = next_signed(c, 2);
        return;
    }
    out->base = base[rm];
    out->index = index[rm];
    if (mod)
        out->disp = next_signed(c, mod);
}

static void read_mem(struct cursor *c, enum insn_mode mode, uint8_t rex, unsigned int mod,
                     unsigned int rm, struct insn *out)
{
    if (out->addr_size == 2) {
        read_mem16(c, mod, rm, out);
        return;
    }
    if (rm == 4) {
        read_sib(c, rex, mod, out);
    } else if (rm == 5 && mod == 0) {
        out->rip_rel = mode == INSN_MODE_64;
        out->disp = next_signed(c, 4);
    } else {
        out->base = (uint8_t)(rm | (rex & 1) << 3);
    }
    if (mod == 1)
        out->disp = next_signed(c, 1);
    else if (mod == 2)
        out->disp = next_signed(c, 4);
}

/* Reads ModRM and what hangs on it; returns the ModRM byte. */
static uint8_t read_modrm(struct cursor *c, enum insn_mode mode, const struct prefixes *pf,
                          bool regs_only, struct insn *out)
{
    uint8_t modrm = next_byte(c);
    unsigned int mod = modrm >> 6, rm = modrm & 7;

    out->has_modrm = true;
    out->reg = ((modrm >> 3) & 7) | (pf->rex & 4) << 1;
    out->base = out->index = INSN_NO_REG;
    if (mod == 3 || regs_only) {
        out->rm = (uint8_t)(rm | (pf->rex & 1) << 3);
        return modrm;
    }
    out->mem = true;
    read_mem(c, mode, pf->rex, mod, rm, out);
    if (pf->seg < 0 && (out->base == 4 || out->base == 5))
        out->seg = SEG_SS;
    return modrm;
}

/* 0f 01 with a register form of its own for each ModRM value. */
static uint8_t group7_fixed(uint8_t modrm)
{
    switch (modrm) {
    case 0xd0:
        return INSN_XGETBV;
    case 0xd1:
        return INSN_XSETBV;
    case 0xf8:
        return INSN_SWAPGS;
    case 0xf9:
        return INSN_RDTSCP;
    default:
        return INSN_NONE;
    }
}

static uint8_t group_op(enum group group, uint8_t modrm, const struct insn *out, bool code64)
{
    unsigned int ext = (modrm >> 3) & 7;

    if (out->mem)
        return group_mem[group][ext];
    if (group == G_AE)
        return code64 && out->rep == 0xf3 && ext < 4 ? (uint8_t)(INSN_RDFSBASE + ext) : INSN_NONE;
    if (group == G_7 && group7_fixed(modrm))
        return group7_fixed(modrm);
    return group_reg[group][ext];
}

static uint8_t operand_size(const struct form *f, uint8_t op, enum insn_mode mode,
                            const struct prefixes *pf)
{
    bool wide = pf->rex & 8;

    if (f->flags & F_BYTE)
        return 1;
    if (f->flags & F_REGS)
        return mode == INSN_MODE_64 ? 8 : 4;
    if ((f->flags & F_STACK || op == INSN_PUSH) && mode == INSN_MODE_64)
        return pf->opsize && !wide ? 2 : 8;
    if (op == INSN_CMPXCHG8B)
        return wide ? 16 : 8;
    if (wide)
        return f->flags & F_PORT ? 4 : 8;
    return (mode == INSN_MODE_16) != pf->opsize ? 2 : 4;
}

static const struct form *find_form(struct cursor *c, uint8_t b, const struct prefixes *pf)
{
    static const struct form invpcid = { INSN_INVPCID, F_MODRM, 0 };

    if (b != 0x0f)
        return &one_byte[b];
    b = next_byte(c);
    if (b == 0x38)
        return next_byte(c) == 0x82 && pf->opsize ? &invpcid : &one_byte[0x0f];
    return &two_byte[b];
}

/* Members of groups with LOCK forms that have none. */
static bool never_locked(uint8_t op)
{
    return op == INSN_CMP || op == INSN_TEST || op == INSN_BT || op == INSN_PUSH;
}

/* Rules that a table entry cannot say. */
static bool form_ok(const struct form *f, bool opsize, const struct insn *out)
{
    if (out->lock && (!(f->flags & F_LOCK) || !out->mem || never_locked(out->op)))
        return false;
    if (out->op == INSN_MOVNTI && (!out->mem || out->rep || opsize))
        return false;
    if (out->op == INSN_INVPCID && !out->mem)
        return false;
    return out->op != INSN_NONE;
}

static int decode_body(struct cursor *c, enum insn_mode mode, struct insn *out)
{
    struct prefixes pf = { 0 };
    const struct form *f = find_form(c, read_prefixes(c, mode, &pf, out), &pf);

    if (c->empty)
        return INSN_TRUNCATED;
    if ((!f->op && !f->group) || (f->flags & F_SRC32 && mode != INSN_MODE_64))
        return INSN_UNKNOWN;
    out->op = f->op;
    out->rex = pf.rex != 0;
    out->seg = pf.seg < 0 ? SEG_DS : (uint8_t)pf.seg;
    out->addr_size = mode == INSN_MODE_64 ? (pf.addrsize ? 4 : 8)
                                          : ((mode == INSN_MODE_16) != pf.addrsize ? 2 : 4);
    if (f->flags & F_MODRM) {
        uint8_t modrm = read_modrm(c, mode, &pf, f->flags & F_REGS, out);

        if (f->group)
            out->op = group_op((enum group)f->group, modrm, out, mode == INSN_MODE_64);
    }
    out->size = operand_size(f, out->op, mode, &pf);
    out->mem_size = f->flags & F_SRC8    ? 1
                    : f->flags & F_SRC16 ? 2
                    : f->flags & F_SRC32 ? MIN(out->size, 4)
                                         : out->size;
    out->to_reg = (f->flags & F_TO_REG) != 0;
    if (f->flags & F_OPREG)
        out->reg = (uint8_t)((c->p[-1] & 7) | (pf.rex & 1) << 3);
    if (f->flags & F_MOFFS) {
        out->mem = true;
        out->base = out->index = INSN_NO_REG;
        out->disp = next_signed(c, out->addr_size);
    }
    if (f->flags & (F_IMM8 | F_IMMZ) || (f->group == G_3 && out->op == INSN_TEST)) {
        unsigned int n = f->flags & F_IMM8 ? 1 : MIN(out->size, 4);

        out->has_imm = true;
        out->imm = (uint64_t)next_signed(c, n);
    }
    if (f->flags & F_ONE) {
        out->has_imm = true;
        out->imm = 1;
    }
    if (f->flags & F_CL)
        out->reg = 1;
    if (c->empty)
        return INSN_TRUNCATED;
    return form_ok(f, pf.opsize, out) ? INSN_OK : INSN_UNKNOWN;
}

int insn_decode(const uint8_t *bytes, size_t len, enum insn_mode mode, struct insn *out)
{
    static const uint8_t force[5] = { 0x0f, 0x0b, 'x', 'e', 'n' };
    size_t skip = len > sizeof(force) && memcmp(bytes, force, sizeof(force)) == 0 ? sizeof(force)
                                                                                  : 0;
    size_t room = MIN(len, INSN_MAX_LEN);
    struct cursor c = { bytes + skip, bytes + room, false };
    int rc;

    *out = (struct insn){ 0 };
    rc = decode_body(&c, mode, out);
    if (rc == INSN_TRUNCATED && len >= INSN_MAX_LEN)
        return INSN_UNKNOWN;
    if (rc != INSN_OK)
        return rc;
    out->forced = skip != 0;
    if (out->forced && out->op != INSN_CPUID)
        return INSN_UNKNOWN;
    out->len = (uint8_t)(c.p - bytes);
    return INSN_OK;
}

uint64_t insn_offset(const struct insn *insn, const struct x86_regs *regs)
{
    uint64_t off = (uint64_t)insn->disp;

    if (insn->rip_rel)
        off += regs->rip + insn->len;
    if (insn->base != INSN_NO_REG)
        off += x86_gpr_value(regs, insn->base);
    if (insn->index != INSN_NO_REG)
        off += x86_gpr_value(regs, insn->index) << insn->scale;
    return off & x86_size_mask(insn->addr_size);
}

/* AH, CH, DH, BH are the second bytes of registers 0 to 3. */
static bool is_high_byte(const struct insn *insn, unsigned int n)
{
    return insn->size == 1 && !insn->rex && n >= 4 && n < 8;
}

uint64_t insn_reg_read(const struct insn *insn, const struct x86_regs *regs, unsigned int n)
{
    if (is_high_byte(insn, n))
        return (x86_gpr_value(regs, n - 4) >> 8) & 0xff;
    return x86_gpr_value(regs, n) & x86_size_mask(insn->size);
}

void insn_reg_write(const struct insn *insn, struct x86_regs *regs, unsigned int n, uint64_t val)
{
    if (is_high_byte(insn, n)) {
        uint64_t *r = x86_gpr(regs, n - 4);

        *r = (*r & ~0xff00ull) | (val & 0xff) << 8;
        return;
    }
    x86_gpr_write(regs, n, val, insn->size);
}
