/* SPDX-License-Identifier: MIT */
/*
 * x86/emul against the real CPU: random instructions of each form that it knows, on the same
 * registers and memory, in 64-bit code. What other code sizes have of their own is in emul_cases.c.
 */
#include "unit.h"

#include "lib/macros.h"
#include "native.h"
#include "x86/emul/alu.h"
#include "x86/emul/emul.h"

#define SIZE 4096

static _Alignas(16) uint8_t real[SIZE], copy[SIZE];
static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint8_t *at(uint64_t addr, unsigned int n)
{
    uint64_t offset = addr - (uint64_t)real;

    if (offset > SIZE || offset + n > SIZE) {
        printf("access outside: %lx + %u\n", offset, n);
        abort();
    }
    return copy + offset;
}

static enum emul_result op_linear(struct emul *e, enum insn_seg seg, uint64_t offset,
                                  unsigned int n, bool write, uint64_t *addr)
{
    (void)e, (void)seg, (void)n, (void)write;
    *addr = offset;
    return EMUL_OK;
}

static enum emul_result op_read(struct emul *e, uint64_t addr, void *buf, unsigned int n,
                                bool for_write)
{
    (void)e, (void)for_write;
    memcpy(buf, at(addr, n), n);
    return EMUL_OK;
}

static enum emul_result op_write(struct emul *e, uint64_t addr, const void *buf, unsigned int n)
{
    (void)e;
    memcpy(at(addr, n), buf, n);
    return EMUL_OK;
}

static enum emul_result op_update(struct emul *e, uint64_t addr, const void *old, const void *new,
                                  unsigned int n)
{
    CHECK(memcmp(at(addr, n), old, n) == 0);
    return op_write(e, addr, new, n);
}

static const struct emul_ops ops = { op_linear, op_read, op_write, op_update, NULL };

/* --- random instructions --- */

struct form {
    uint8_t opcode[2]; /* 0f first, or the opcode alone */
    int ext;           /* ModRM's reg field, -1: any */
    uint8_t imm;       /* bytes: 1; 4: by operand size; 0 */
    bool lock, byte;
    enum { USUAL, BITS, STRING, STACK, MOFFS, CX, SHIFT } kind;
};

#define ALU4(b, l)                                                               \
    { { (b) }, -1, 0, l, true, USUAL }, { { (b) + 1 }, -1, 0, l, false, USUAL }, \
        { { (b) + 2 }, -1, 0, false, true, USUAL },                              \
    {                                                                            \
        { (b) + 3 }, -1, 0, false, false, USUAL                                  \
    }
#define GROUP1(e, l)                                                         \
    { { 0x80 }, e, 1, l, true, USUAL }, { { 0x81 }, e, 4, l, false, USUAL }, \
    {                                                                        \
        { 0x83 }, e, 1, l, false, USUAL                                      \
    }

#define SHIFTS(e)                                                                        \
    { { 0xc0 }, e, 1, false, true, SHIFT }, { { 0xc1 }, e, 1, false, false, SHIFT },     \
        { { 0xd0 }, e, 0, false, true, SHIFT }, { { 0xd1 }, e, 0, false, false, SHIFT }, \
        { { 0xd2 }, e, 0, false, true, SHIFT },                                          \
    {                                                                                    \
        { 0xd3 }, e, 0, false, false, SHIFT                                              \
    }

static const struct form forms[] = {
    SHIFTS(0),
    SHIFTS(1),
    SHIFTS(2),
    SHIFTS(3),
    SHIFTS(4),
    SHIFTS(5),
    SHIFTS(6),
    SHIFTS(7),
    ALU4(0x00, true),
    ALU4(0x08, true),
    ALU4(0x10, true),
    ALU4(0x18, true),
    ALU4(0x20, true),
    ALU4(0x28, true),
    ALU4(0x30, true),
    ALU4(0x38, false),
    GROUP1(0, true),
    GROUP1(1, true),
    GROUP1(2, true),
    GROUP1(3, true),
    GROUP1(4, true),
    GROUP1(5, true),
    GROUP1(6, true),
    GROUP1(7, false),
    { { 0x63 }, -1, 0, false, false, USUAL },
    { { 0x84 }, -1, 0, false, true, USUAL },
    { { 0x85 }, -1, 0, false, false, USUAL },
    { { 0x86 }, -1, 0, true, true, USUAL },
    { { 0x87 }, -1, 0, true, false, USUAL },
    { { 0x88 }, -1, 0, false, true, USUAL },
    { { 0x89 }, -1, 0, false, false, USUAL },
    { { 0x8a }, -1, 0, false, true, USUAL },
    { { 0x8b }, -1, 0, false, false, USUAL },
    { { 0xc6 }, 0, 1, false, true, USUAL },
    { { 0xc7 }, 0, 4, false, false, USUAL },
    { { 0xf6 }, 0, 1, false, true, USUAL },
    { { 0xf7 }, 0, 4, false, false, USUAL },
    { { 0xf6 }, 1, 1, false, true, USUAL },
    { { 0xf7 }, 1, 4, false, false, USUAL },
    { { 0xf6 }, 2, 0, true, true, USUAL },
    { { 0xf7 }, 2, 0, true, false, USUAL },
    { { 0xf6 }, 3, 0, true, true, USUAL },
    { { 0xf7 }, 3, 0, true, false, USUAL },
    { { 0xfe }, 0, 0, true, true, USUAL },
    { { 0xff }, 0, 0, true, false, USUAL },
    { { 0xfe }, 1, 0, true, true, USUAL },
    { { 0xff }, 1, 0, true, false, USUAL },
    { { 0x0f, 0xa3 }, -1, 0, false, false, BITS },
    { { 0x0f, 0xab }, -1, 0, true, false, BITS },
    { { 0x0f, 0xb3 }, -1, 0, true, false, BITS },
    { { 0x0f, 0xbb }, -1, 0, true, false, BITS },
    { { 0x0f, 0xba }, 4, 1, false, false, USUAL },
    { { 0x0f, 0xba }, 5, 1, true, false, USUAL },
    { { 0x0f, 0xba }, 6, 1, true, false, USUAL },
    { { 0x0f, 0xba }, 7, 1, true, false, USUAL },
    { { 0x0f, 0xb0 }, -1, 0, true, true, CX },
    { { 0x0f, 0xb1 }, -1, 0, true, false, CX },
    { { 0x0f, 0xb6 }, -1, 0, false, false, USUAL },
    { { 0x0f, 0xb7 }, -1, 0, false, false, USUAL },
    { { 0x0f, 0xbe }, -1, 0, false, false, USUAL },
    { { 0x0f, 0xbf }, -1, 0, false, false, USUAL },
    { { 0x0f, 0xc0 }, -1, 0, true, true, USUAL },
    { { 0x0f, 0xc1 }, -1, 0, true, false, USUAL },
    { { 0x0f, 0xc7 }, 1, 0, true, false, CX },
    { { 0xa0 }, -1, 0, false, true, MOFFS },
    { { 0xa1 }, -1, 0, false, false, MOFFS },
    { { 0xa2 }, -1, 0, false, true, MOFFS },
    { { 0xa3 }, -1, 0, false, false, MOFFS },
    { { 0xa4 }, -1, 0, false, true, STRING },
    { { 0xa5 }, -1, 0, false, false, STRING },
    { { 0xa6 }, -1, 0, false, true, STRING },
    { { 0xa7 }, -1, 0, false, false, STRING },
    { { 0xaa }, -1, 0, false, true, STRING },
    { { 0xab }, -1, 0, false, false, STRING },
    { { 0xac }, -1, 0, false, true, STRING },
    { { 0xad }, -1, 0, false, false, STRING },
    { { 0xae }, -1, 0, false, true, STRING },
    { { 0xaf }, -1, 0, false, false, STRING },
    { { 0x50 }, -1, 0, false, false, STACK },
    { { 0x53 }, -1, 0, false, false, STACK },
    { { 0x54 }, -1, 0, false, false, STACK },
    { { 0x5c }, -1, 0, false, false, STACK },
    { { 0x58 }, -1, 0, false, false, STACK },
    { { 0x5f }, -1, 0, false, false, STACK },
    { { 0x68 }, -1, 4, false, false, STACK },
    { { 0x6a }, -1, 1, false, false, STACK },
    { { 0xff }, 6, 0, false, false, STACK },
    { { 0x8f }, 0, 0, false, false, STACK },
};

static bool has_modrm(const struct form *f)
{
    return f->kind != STRING && f->kind != MOFFS &&
           (f->kind != STACK || f->opcode[0] == 0xff || f->opcode[0] == 0x8f);
}

struct sample {
    uint8_t code[15];
    size_t len;
    struct x86_regs regs;
};

static uint64_t some_address(void)
{
    return (uint64_t)real + SIZE / 4 + rnd() % (SIZE / 2);
}

static void put(struct sample *s, uint64_t val, unsigned int n)
{
    memcpy(s->code + s->len, &val, n);
    s->len += n;
}

/* ModRM with a base register, and perhaps an index, that point into the memory. */
static void put_modrm(struct sample *s, const struct form *f, unsigned int rex)
{
    static const uint8_t bases[] = { 3, 5, 6, 7, 4 }; /* rbx rbp rsi rdi, with REX.B r11 ..; SIB */
    unsigned int base = bases[rnd() % 5], reg = f->ext >= 0 ? (unsigned int)f->ext : rnd() & 7;
    int8_t disp = (int8_t)rnd();
    uint64_t where = some_address() - (uint64_t)(int64_t)disp;

    if (f->opcode[1] == 0xc7) /* cmpxchg16b wants it aligned */
        where = ALIGN_DOWN(some_address(), 16ul) - (uint64_t)(int64_t)disp;
    put(s, 0x40 | reg << 3 | base, 1);
    if (base != 4) {
        *x86_gpr(&s->regs, base | (rex & 1) << 3) = where;
    } else {
        unsigned int scale = rnd() & 3;

        put(s, scale << 6 | 1 << 3 | 3, 1); /* (rbx, rcx, scale) */
        *x86_gpr(&s->regs, 1 | (rex & 2) << 2) = rnd() % 64;
        *x86_gpr(&s->regs, 3 | (rex & 1) << 3) = where -
                                                 (x86_gpr_value(&s->regs, 1 | (rex & 2) << 2)
                                                  << scale);
    }
    put(s, (uint8_t)disp, 1);
}

static void make(struct sample *s, const struct form *f)
{
    bool wide = rnd() & 1, op16 = !(rnd() & 3);
    unsigned int rex = 0, size = f->byte ? 1 : wide ? 8 : op16 ? 2 : 4;

    s->len = 0;
    s->regs = (struct x86_regs){ .rflags = 2 | (rnd() & NATIVE_FLAGS), .rip = 0x1000 };
    for (unsigned int i = 0; i < 16; i++)
        *x86_gpr(&s->regs, i) = rnd() & 1 ? rnd() : rnd() & 0xff;
    s->regs.rsp = ALIGN_DOWN(some_address(), 8ul);
    if (f->kind == STRING) {
        s->regs.rsi = some_address();
        s->regs.rdi = some_address();
        s->regs.rcx = rnd() % 40;
        if (rnd() & 1)
            put(s, rnd() & 1 ? 0xf2 : 0xf3, 1);
    }
    if (op16)
        put(s, 0x66, 1);
    if (f->lock && rnd() & 1)
        put(s, 0xf0, 1);
    if (wide || rnd() & 1)
        put(s, rex = 0x40 | (wide ? 8 : 0) | (rnd() & 7), 1);
    put(s, f->opcode[0], 1);
    if (f->opcode[0] == 0x0f)
        put(s, f->opcode[1], 1);
    if (has_modrm(f))
        put_modrm(s, f, rex);
    if (f->kind == MOFFS)
        put(s, some_address(), 8);
    if (f->imm)
        put(s, rnd(), f->imm == 1 ? 1 : f->kind == STACK ? (op16 && !wide ? 2 : 4) : MIN(size, 4));
}

/*
 * A register that says which bit stays near; it may be the base, then the sample is no good. What
 * CMPXCHG compares is equal half of the time.
 */
static bool tame_bits(struct sample *s, const struct form *f)
{
    struct insn in;
    uint64_t n = (uint64_t)((int64_t)(rnd() % 4096) - 2048);

    if (insn_decode(s->code, s->len, INSN_MODE_64, &in) != INSN_OK)
        return true;
    if (f->kind == CX && rnd() & 1) {
        uint64_t offset = insn_offset(&in, &s->regs) - (uint64_t)real;
        unsigned int half = f->opcode[1] == 0xc7 ? in.size / 2 : in.size;

        if (in.base != 0 && in.index != 0 && in.base != 2 && in.index != 2) {
            memcpy(&s->regs.rax, real + offset, half);
            if (f->opcode[1] == 0xc7)
                memcpy(&s->regs.rdx, real + offset + half, half);
        }
    }
    if (f->kind != BITS)
        return true;
    if (in.reg == in.base || in.reg == in.index)
        return false;
    *x86_gpr(&s->regs, in.reg) = n;
    return true;
}

/* The flags that the manual leaves open after it. */
static uint64_t undefined(const struct sample *s, const struct form *f)
{
    struct insn in;
    unsigned int n;

    if (f->kind != SHIFT || insn_decode(s->code, s->len, INSN_MODE_64, &in) != INSN_OK)
        return 0;
    n = (in.has_imm ? in.imm : s->regs.rcx) & (in.size == 8 ? 63 : 31);
    if (n == 0)
        return 0;
    return (f->ext >= 4 ? 0x10 : 0) | (n > 1 ? 0x800 : 0) | (f->ext >= 4 && n >= 8u * in.size);
}

static bool same(const struct x86_regs *a, const struct x86_regs *b, uint64_t but)
{
    for (unsigned int i = 0; i < 16; i++)
        if (x86_gpr_value(a, i) != x86_gpr_value(b, i))
            return false;
    return ((a->rflags ^ b->rflags) & NATIVE_FLAGS & ~but) == 0;
}

static void show(const struct sample *s, const struct x86_regs *got, const struct x86_regs *want)
{
    printf("code");
    for (size_t i = 0; i < s->len; i++)
        printf(" %02x", s->code[i]);
    printf(", memory %s\n", memcmp(real, copy, SIZE) ? "differs" : "is the same");
    for (unsigned int i = 0; i < 16; i++)
        printf("  %2u %16lx: %16lx, not %16lx\n", i, x86_gpr_value(&s->regs, i),
               x86_gpr_value(got, i), x86_gpr_value(want, i));
    printf("  flags %lx: %lx, not %lx\n", s->regs.rflags, got->rflags, want->rflags);
}

static void compare(struct sample *s, const struct form *f)
{
    struct x86_regs got = s->regs, want = s->regs;
    struct emul e = {
        .ops = &ops, .regs = &got, .mode = INSN_MODE_64, .stack_size = 8, .budget = 7
    };
    enum emul_result r;

    memcpy(copy, real, SIZE);
    do
        r = emul_execute(&e, s->code, s->len);
    while (r == EMUL_AGAIN);
    CHECK_EQ(r, EMUL_OK);
    CHECK_EQ(got.rip, 0x1000 + s->len);
    native_run(s->code, s->len, &want);
    if (r == EMUL_OK && same(&got, &want, undefined(s, f)) && memcmp(real, copy, SIZE) == 0)
        return;
    show(s, &got, &want);
    CHECK(!"as the CPU does");
}

TEST(as_the_cpu_does)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(forms); i++) {
        for (unsigned int n = 0; n < 400; n++) {
            struct sample s;

            for (unsigned int k = 0; k < SIZE; k += 8)
                if (rnd() % 8 == 0)
                    *(uint64_t *)(void *)(real + k) = rnd() & 1
                                                          ? rnd()
                                                          : 0x0101010101010101 * (rnd() & 0xff);
            make(&s, &forms[i]);
            if (!tame_bits(&s, &forms[i]))
                continue;
            compare(&s, &forms[i]);
            if (unit_failures > 4)
                return;
        }
    }
}
