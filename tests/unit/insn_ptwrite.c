/* SPDX-License-Identifier: MIT */
/* The fast path of page-table writes against the processor itself. */
#include "unit.h"

#include "lib/macros.h"
#include "native.h"
#include "x86/insn/ptwrite.h"

#define LOGIC_UNDEFINED 0x10ul                 /* AF after AND, OR, XOR */
#define BIT_UNDEFINED (NATIVE_FLAGS & ~0x41ul) /* all but CF and ZF after BTx */

static uint64_t seed = 88172645463325252ull;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* One instruction under construction. */
static uint8_t code[24];
static size_t code_len;

static void put(unsigned int b)
{
    code[code_len++] = (uint8_t)b;
}

static void put_n(uint64_t v, unsigned int n)
{
    for (unsigned int i = 0; i < n; i++)
        put((uint8_t)(v >> (8 * i)));
}

enum src { SRC_REG, SRC_IMM8, SRC_IMMZ };

struct shape {
    const char *name;
    uint8_t map, opcode, opcode_byte; /* opcode_byte 0: no one-byte form */
    uint8_t ext, src;
    bool lockable;
    unsigned long undefined;
};

static const struct shape shapes[] = {
    { "mov r", 0, 0x89, 0x88, 0, SRC_REG, false, 0 },
    { "mov i", 0, 0xc7, 0, 0, SRC_IMMZ, false, 0 },
    { "mov i8", 0, 0, 0xc6, 0, SRC_IMM8, false, 0 },
    { "xchg", 0, 0x87, 0x86, 0, SRC_REG, true, 0 },
    { "and r", 0, 0x21, 0x20, 0, SRC_REG, true, LOGIC_UNDEFINED },
    { "or r", 0, 0x09, 0x08, 0, SRC_REG, true, LOGIC_UNDEFINED },
    { "xor r", 0, 0x31, 0x30, 0, SRC_REG, true, LOGIC_UNDEFINED },
    { "and iz", 0, 0x81, 0, 4, SRC_IMMZ, true, LOGIC_UNDEFINED },
    { "or iz", 0, 0x81, 0, 1, SRC_IMMZ, true, LOGIC_UNDEFINED },
    { "xor iz", 0, 0x81, 0, 6, SRC_IMMZ, true, LOGIC_UNDEFINED },
    { "and i8", 0, 0x83, 0x80, 4, SRC_IMM8, true, LOGIC_UNDEFINED },
    { "or i8", 0, 0x83, 0x80, 1, SRC_IMM8, true, LOGIC_UNDEFINED },
    { "xor i8", 0, 0x83, 0x80, 6, SRC_IMM8, true, LOGIC_UNDEFINED },
    { "bts r", 1, 0xab, 0, 0, SRC_REG, true, BIT_UNDEFINED },
    { "btr r", 1, 0xb3, 0, 0, SRC_REG, true, BIT_UNDEFINED },
    { "btc r", 1, 0xbb, 0, 0, SRC_REG, true, BIT_UNDEFINED },
    { "bts i", 1, 0xba, 0, 5, SRC_IMM8, true, BIT_UNDEFINED },
    { "btr i", 1, 0xba, 0, 6, SRC_IMM8, true, BIT_UNDEFINED },
    { "btc i", 1, 0xba, 0, 7, SRC_IMM8, true, BIT_UNDEFINED },
    { "cmpxchg", 1, 0xb1, 0xb0, 0, SRC_REG, true, 0 },
};

static uint64_t memory[8], reference[8];

/* Puts the memory operand: base register (never rsp), with or without SIB and displacement. */
static void put_operand(unsigned int reg, unsigned int base, struct x86_regs *regs, uint64_t addr)
{
    unsigned int kind = rnd() % 5, mod = rnd() % 3;
    int64_t disp = mod == 0 ? 0 : mod == 1 ? (int8_t)rnd() : (int32_t)rnd();

    if (mod == 0 && (base & 7) == 5)
        mod = 1; /* that encoding means another thing */
    if ((base & 7) == 4 || kind == 0) {
        put(mod << 6 | (reg & 7) << 3 | 4);
        put(4 << 3 | (base & 7)); /* no index */
    } else {
        put(mod << 6 | (reg & 7) << 3 | (base & 7));
    }
    if (mod)
        put_n((uint64_t)disp, mod == 1 ? 1 : 4);
    *x86_gpr(regs, base) = addr - (uint64_t)disp;
}

/* Builds a random instance of shape s: bytes in code[], registers, and the operand's address. */
static unsigned int build(const struct shape *s, struct x86_regs *regs, uint64_t *addr)
{
    bool byte = s->opcode_byte && (!s->opcode || rnd() % 3 == 0);
    unsigned int size = byte ? 1 : 2u << rnd() % 3;
    unsigned int reg = s->src == SRC_REG ? rnd() % 16 : s->ext;
    unsigned int base = (unsigned int)(rnd() % 16);
    uint8_t rex = 0;
    uint64_t where = (uint64_t)(uintptr_t)&memory[4] + rnd() % (9 - size);

    for (unsigned int i = 0; i < 16; i++)
        *x86_gpr(regs, i) = rnd() % 4 ? rnd() : memory[4];
    regs->rflags = rnd() & NATIVE_FLAGS;
    regs->rip = 0x1000;
    while (base == 4 || (s->src == SRC_REG && base == reg))
        base = (unsigned int)(rnd() % 16);

    code_len = 0;
    if (size == 2)
        put(0x66);
    if (s->lockable && rnd() % 2)
        put(0xf0);
    rex |= size == 8 ? 8 : 0;
    rex |= s->src == SRC_REG && reg >= 8 ? 4 : 0;
    rex |= base >= 8 ? 1 : 0;
    if (rex || (rnd() % 4 == 0))
        put(0x40 | rex);
    if (s->map)
        put(0x0f);
    put(byte ? s->opcode_byte : s->opcode);

    put_operand(reg, base, regs, where);
    if (s->src != SRC_REG)
        put_n(rnd(), s->src == SRC_IMM8 ? 1 : size < 4 ? size : 4);
    if (s->map && s->src == SRC_REG && s->undefined == BIT_UNDEFINED) {
        /* The register counts bits from the base, either way: keep it in this 8-byte word. */
        unsigned int bit = (unsigned int)(rnd() % (8 * size));

        x86_gpr_write(regs, reg, bit, size < 4 ? 8 : size);
    }
    *addr = where;
    return size;
}

static void check_one(const struct shape *s)
{
    struct x86_regs regs = { 0 }, native;
    struct ptwrite w;
    uint64_t addr, old, *entry;

    for (unsigned int i = 0; i < 8; i++)
        memory[i] = rnd();
    build(s, &regs, &addr);
    memcpy(reference, memory, sizeof(memory));
    native = regs;
    entry = (uint64_t *)(uintptr_t)(addr & ~7ull);

    if (!ptwrite_decode(code, sizeof(code), addr, &w)) {
        CHECK((addr & 7) != 0); /* only an operand that crosses is refused */
        return;
    }
    CHECK_EQ(w.len, code_len);
    for (size_t n = 0; n < code_len; n++) {
        struct ptwrite t;
        CHECK(!ptwrite_decode(code, n, addr, &t));
    }
    old = *entry;
    *entry = ptwrite_new_value(&w, &regs, old);
    ptwrite_finish(&w, &regs, old);
    for (unsigned int i = 0; i < 8; i++) {
        uint64_t t = memory[i];
        memory[i] = reference[i];
        reference[i] = t;
    }
    native_run(code, code_len, &native);

    CHECK_EQ(regs.rip, 0x1000 + code_len);
    regs.rip = native.rip;
    regs.rflags &= ~s->undefined;
    native.rflags &= ~s->undefined;
    CHECK(memcmp(memory, reference, sizeof(memory)) == 0);
    CHECK(memcmp(&regs, &native, sizeof(regs)) == 0);
    if (unit_failures && unit_failures < 20) {
        printf("%s:", s->name);
        for (size_t i = 0; i < code_len; i++)
            printf(" %02x", code[i]);
        printf("  flags %lx, CPU %lx\n", (long)regs.rflags, (long)native.rflags);
    }
}

TEST(ptwrite_as_the_processor)
{
    for (unsigned int round = 0; round < 3000; round++) {
        for (unsigned int i = 0; i < ARRAY_SIZE(shapes); i++)
            check_one(&shapes[i]);
    }
}

TEST(ptwrite_forms_of_linux)
{
    static const uint8_t xchg[15] = { 0x48, 0x87, 0x02 };             /* xchg %rax,(%rdx) */
    static const uint8_t store[15] = { 0x48, 0x89, 0x37 };            /* mov %rsi,(%rdi) */
    static const uint8_t zero[15] = { 0x48, 0xc7, 0x07, 0, 0, 0, 0 }; /* movq $0,(%rdi) */
    static const uint8_t andb[15] = { 0xf0, 0x80, 0x23, 0xfd };       /* lock andb $~2,(%rbx) */
    static const uint8_t btr[15] = { 0xf0, 0x48, 0x0f, 0xba, 0x33, 0x05 }; /* lock btrq $5 */
    static const uint8_t cas[15] = { 0xf0, 0x48, 0x0f, 0xb1, 0x13 };       /* lock cmpxchg %rdx */
    struct x86_regs r = { .rax = 0x11, .rdx = 0x22, .rsi = 0x33, .rip = 100, .rflags = 0x10202 };
    struct ptwrite w;

    CHECK(ptwrite_decode(xchg, 15, 0x7000, &w));
    CHECK_EQ(ptwrite_new_value(&w, &r, 0x8067), 0x11);
    ptwrite_finish(&w, &r, 0x8067);
    CHECK_EQ(r.rax, 0x8067);
    CHECK_EQ(r.rip, 103);
    CHECK_EQ(r.rflags, 0x202);

    CHECK(ptwrite_decode(store, 15, 0x7008, &w));
    CHECK_EQ(ptwrite_new_value(&w, &r, 0x8067), 0x33);
    CHECK(ptwrite_decode(zero, 15, 0x7008, &w));
    CHECK_EQ(ptwrite_new_value(&w, &r, 0x8067), 0);
    CHECK(ptwrite_decode(andb, 15, 0x7008, &w));
    CHECK_EQ(ptwrite_new_value(&w, &r, 0x8000000000008067), 0x8000000000008065);
    CHECK(ptwrite_decode(btr, 15, 0x7008, &w));
    CHECK_EQ(ptwrite_new_value(&w, &r, 0x8067), 0x8047);
    ptwrite_finish(&w, &r, 0x8067);
    CHECK_EQ(r.rflags & 1, 1);

    CHECK(ptwrite_decode(cas, 15, 0x7008, &w));
    r.rax = 0x8067;
    CHECK_EQ(ptwrite_new_value(&w, &r, 0x8067), 0x22);
    CHECK_EQ(ptwrite_new_value(&w, &r, 0x8047), 0x8047);
    ptwrite_finish(&w, &r, 0x8047);
    CHECK_EQ(r.rax, 0x8047);
    CHECK_EQ(r.rflags & 0x40, 0);
}

TEST(ptwrite_refuses)
{
    static const struct {
        const char *why;
        uint8_t b[15];
        uint64_t addr;
    } bad[] = {
        { "register operand", { 0x48, 0x89, 0xc7 }, 0x7000 },
        { "register operand of xchg", { 0x48, 0x87, 0xc7 }, 0x7000 },
        { "unaligned", { 0x48, 0x89, 0x07 }, 0x7004 },
        { "dword over the end", { 0x89, 0x07 }, 0x7006 },
        { "lock mov", { 0xf0, 0x48, 0x89, 0x07 }, 0x7000 },
        { "movnti", { 0x48, 0x0f, 0xc3, 0x07 }, 0x7000 },
        { "a load", { 0x48, 0x8b, 0x07 }, 0x7000 },
        { "add", { 0x48, 0x01, 0x07 }, 0x7000 },
        { "group 1 /0", { 0x48, 0x83, 0x07, 1 }, 0x7000 },
        { "bt", { 0x48, 0x0f, 0xba, 0x27, 1 }, 0x7000 },
        { "prefixes without end", { 0x66, 0x66, 0x66, 0x66, 0x66, 0x48, 0x89, 0x07 }, 0x7000 },
        { "rex between", { 0x48, 0x66, 0x89, 0x07 }, 0x7000 },
        { "rep stos", { 0xf3, 0x48, 0xab }, 0x7000 },
    };
    struct ptwrite w;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        bool taken = ptwrite_decode(bad[i].b, 15, bad[i].addr, &w);
        if (taken)
            printf("%s\n", bad[i].why);
        CHECK(!taken);
    }
}
