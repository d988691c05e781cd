/* SPDX-License-Identifier: MIT */
/* The general decoder: one row an encoding, addresses against the processor's LEA, refusals. */
#include "unit.h"

#include "lib/macros.h"
#include "native.h"
#include "x86/insn/insn.h"

#define D(...) { __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static const struct row {
    const char *text;
    enum insn_mode mode;
    enum insn_op op;
    uint8_t size;
    uint8_t bytes[15];
    size_t len;
} rows[] = {
    { "mov %rax,(%rdi)", 8, INSN_MOV, 8, D(0x48, 0x89, 0x07) },
    { "mov %r9b,1(%r8,%r12,4)", 8, INSN_MOV, 1, D(0x47, 0x88, 0x4c, 0xa0, 0x01) },
    { "movq $-1,8(%rip)", 8, INSN_MOV, 8, D(0x48, 0xc7, 0x05, 8, 0, 0, 0, 255, 255, 255, 255) },
    { "movw $0x1234,(%rax)", 8, INSN_MOV, 2, D(0x66, 0xc7, 0x00, 0x34, 0x12) },
    { "movnti %rcx,(%rdx)", 8, INSN_MOVNTI, 8, D(0x48, 0x0f, 0xc3, 0x0a) },
    { "xchg %rax,(%rdx)", 8, INSN_XCHG, 8, D(0x48, 0x87, 0x02) },
    { "lock cmpxchg %edx,(%rcx)", 8, INSN_CMPXCHG, 4, D(0xf0, 0x0f, 0xb1, 0x11) },
    { "lock cmpxchg8b (%rsi)", 8, INSN_CMPXCHG8B, 8, D(0xf0, 0x0f, 0xc7, 0x0e) },
    { "lock cmpxchg16b (%rsi)", 8, INSN_CMPXCHG8B, 16, D(0xf0, 0x48, 0x0f, 0xc7, 0x0e) },
    { "lock andb $-3,(%rbx)", 8, INSN_AND, 1, D(0xf0, 0x80, 0x23, 0xfd) },
    { "or %rax,(%rbx)", 8, INSN_OR, 8, D(0x48, 0x09, 0x03) },
    { "xorl $5,(%rbx)", 8, INSN_XOR, 4, D(0x83, 0x33, 0x05) },
    { "lock btrq $5,(%rbx)", 8, INSN_BTR, 8, D(0xf0, 0x48, 0x0f, 0xba, 0x33, 0x05) },
    { "bts %rax,(%rbx)", 8, INSN_BTS, 8, D(0x48, 0x0f, 0xab, 0x03) },
    { "btc %rax,(%rbx)", 8, INSN_BTC, 8, D(0x48, 0x0f, 0xbb, 0x03) },
    { "stosq", 8, INSN_STOS, 8, D(0x48, 0xab) },
    { "add (%rbx),%rax", 8, INSN_ADD, 8, D(0x48, 0x03, 0x03) },
    { "lock adcb $1,(%rbx)", 8, INSN_ADC, 1, D(0xf0, 0x80, 0x13, 0x01) },
    { "sbb %ax,(%rbx)", 8, INSN_SBB, 2, D(0x66, 0x19, 0x03) },
    { "cmpl $-1,(%rbx)", 8, INSN_CMP, 4, D(0x83, 0x3b, 0xff) },
    { "testw $0x1234,(%rbx)", 8, INSN_TEST, 2, D(0x66, 0xf7, 0x03, 0x34, 0x12) },
    { "negq (%rbx)", 8, INSN_NEG, 8, D(0x48, 0xf7, 0x1b) },
    { "lock incb (%rbx)", 8, INSN_INC, 1, D(0xf0, 0xfe, 0x03) },
    { "movzbl (%rbx),%eax", 8, INSN_MOVZX, 4, D(0x0f, 0xb6, 0x03) },
    { "movswq (%rbx),%rax", 8, INSN_MOVSX, 8, D(0x48, 0x0f, 0xbf, 0x03) },
    { "movslq (%rbx),%rax", 8, INSN_MOVSX, 8, D(0x48, 0x63, 0x03) },
    { "movabs 0x1122334455667788,%al", 8, INSN_MOV, 1,
      D(0xa0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11) },
    { "mov %ax,0x1234, 16-bit code", 2, INSN_MOV, 2, D(0xa3, 0x34, 0x12) },
    { "push (%rbx)", 8, INSN_PUSH, 8, D(0xff, 0x33) },
    { "pushw $1", 8, INSN_PUSH, 2, D(0x66, 0x6a, 0x01) },
    { "pop %r12", 8, INSN_POP, 8, D(0x41, 0x5c) },
    { "pop %ecx", 4, INSN_POP, 4, D(0x59) },
    { "xadd %ecx,(%rbx)", 8, INSN_XADD, 4, D(0x0f, 0xc1, 0x0b) },
    { "repne cmpsw", 8, INSN_CMPS, 2, D(0xf2, 0x66, 0xa7) },
    { "in $0x71,%al", 8, INSN_IN, 1, D(0xe4, 0x71) },
    { "in (%dx),%ax", 8, INSN_IN, 2, D(0x66, 0xed) },
    { "out %eax,(%dx)", 8, INSN_OUT, 4, D(0xef) },
    { "rex.W out %eax,(%dx)", 8, INSN_OUT, 4, D(0x48, 0xef) },
    { "out %ax,(%dx), 16-bit code", 2, INSN_OUT, 2, D(0xef) },
    { "rep insw", 8, INSN_INS, 2, D(0xf3, 0x66, 0x6d) },
    { "rep outsl", 4, INSN_OUTS, 4, D(0xf3, 0x6f) },
    { "mov %cr0,%r9", 8, INSN_MOV_FROM_CR, 8, D(0x41, 0x0f, 0x20, 0xc1) },
    { "mov %rdi,%cr3", 8, INSN_MOV_TO_CR, 8, D(0x0f, 0x22, 0xdf) },
    { "mov %cr4,%rax with mod 0", 8, INSN_MOV_FROM_CR, 8, D(0x0f, 0x20, 0x20) },
    { "mov %dr7,%rax", 8, INSN_MOV_FROM_DR, 8, D(0x0f, 0x21, 0xf8) },
    { "mov %eax,%dr6", 4, INSN_MOV_TO_DR, 4, D(0x0f, 0x23, 0xf0) },
    { "clts", 8, INSN_CLTS, 4, D(0x0f, 0x06) },
    { "lmsw %ax", 8, INSN_LMSW, 4, D(0x0f, 0x01, 0xf0) },
    { "smsw %rax", 8, INSN_SMSW, 8, D(0x48, 0x0f, 0x01, 0xe0) },
    { "smsw (%rax)", 8, INSN_SMSW, 4, D(0x0f, 0x01, 0x20) },
    { "invlpg (%rdi)", 8, INSN_INVLPG, 4, D(0x0f, 0x01, 0x3f) },
    { "invpcid (%rax),%rcx", 8, INSN_INVPCID, 2, D(0x66, 0x0f, 0x38, 0x82, 0x08) },
    { "invd", 8, INSN_INVD, 4, D(0x0f, 0x08) },
    { "wbinvd", 8, INSN_WBINVD, 4, D(0x0f, 0x09) },
    { "rdmsr", 8, INSN_RDMSR, 4, D(0x0f, 0x32) },
    { "wrmsr", 8, INSN_WRMSR, 4, D(0x0f, 0x30) },
    { "rdtsc", 8, INSN_RDTSC, 4, D(0x0f, 0x31) },
    { "rdtscp", 8, INSN_RDTSCP, 4, D(0x0f, 0x01, 0xf9) },
    { "rdpmc", 8, INSN_RDPMC, 4, D(0x0f, 0x33) },
    { "cpuid", 8, INSN_CPUID, 4, D(0x0f, 0xa2) },
    { "cpuid, forced", 8, INSN_CPUID, 4, D(0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2) },
    { "xgetbv", 8, INSN_XGETBV, 4, D(0x0f, 0x01, 0xd0) },
    { "xsetbv", 8, INSN_XSETBV, 4, D(0x0f, 0x01, 0xd1) },
    { "hlt", 8, INSN_HLT, 4, D(0xf4) },
    { "cli", 8, INSN_CLI, 4, D(0xfa) },
    { "sti", 8, INSN_STI, 4, D(0xfb) },
    { "iretq", 8, INSN_IRET, 8, D(0x48, 0xcf) },
    { "sgdt (%rax)", 8, INSN_SGDT, 4, D(0x0f, 0x01, 0x00) },
    { "sidt (%bx,%si)", 2, INSN_SIDT, 2, D(0x0f, 0x01, 0x08) },
    { "sldt %eax", 8, INSN_SLDT, 4, D(0x0f, 0x00, 0xc0) },
    { "str (%rax)", 8, INSN_STR, 4, D(0x0f, 0x00, 0x08) },
    { "swapgs", 8, INSN_SWAPGS, 4, D(0x0f, 0x01, 0xf8) },
    { "rdfsbase %rax", 8, INSN_RDFSBASE, 8, D(0xf3, 0x48, 0x0f, 0xae, 0xc0) },
    { "rdgsbase %eax", 8, INSN_RDGSBASE, 4, D(0xf3, 0x0f, 0xae, 0xc8) },
    { "wrfsbase %r8", 8, INSN_WRFSBASE, 8, D(0xf3, 0x49, 0x0f, 0xae, 0xd0) },
    { "wrgsbase %rax", 8, INSN_WRGSBASE, 8, D(0xf3, 0x48, 0x0f, 0xae, 0xd8) },
};

TEST(forms)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *r = &rows[i];
        struct insn in;
        int rc = insn_decode(r->bytes, sizeof(r->bytes), r->mode, &in);

        if (rc || in.op != r->op || in.len != r->len || in.size != r->size)
            printf("%s: rc %d op %u len %u size %u\n", r->text, rc, in.op, in.len, in.size);
        CHECK(rc == INSN_OK && in.op == r->op && in.len == r->len && in.size == r->size);
        CHECK_EQ(in.forced, r->len == 7 && r->op == INSN_CPUID);
        /* Exactly as many bytes as it has will do; one less will not. */
        CHECK_EQ(insn_decode(r->bytes, r->len, r->mode, &in), INSN_OK);
        for (size_t n = 0; n < r->len; n++) {
            if (r->op == INSN_CPUID && r->len == 7)
                CHECK(insn_decode(r->bytes, n, r->mode, &in) != INSN_OK);
            else
                CHECK_EQ(insn_decode(r->bytes, n, r->mode, &in), INSN_TRUNCATED);
        }
    }
}

TEST(direction_and_width)
{
    struct insn in;

    CHECK_EQ(insn_decode((const uint8_t[]){ 0x48, 0x0f, 0xbf, 0x03 }, 4, INSN_MODE_64, &in),
             INSN_OK);
    CHECK(in.to_reg && in.mem_size == 2 && in.size == 8);
    CHECK_EQ(insn_decode((const uint8_t[]){ 0x48, 0x63, 0x03 }, 3, INSN_MODE_64, &in), INSN_OK);
    CHECK(in.to_reg && in.mem_size == 4);
    CHECK_EQ(insn_decode((const uint8_t[]){ 0x89, 0x03 }, 2, INSN_MODE_64, &in), INSN_OK);
    CHECK(!in.to_reg && in.mem_size == 4);
    CHECK_EQ(insn_decode((const uint8_t[]){ 0x67, 0xa1, 1, 0, 0, 0x80 }, 6, INSN_MODE_64, &in),
             INSN_OK);
    CHECK(in.to_reg && in.mem && in.len == 6);
    CHECK_EQ(insn_offset(&in, &(struct x86_regs){ .rbx = 5 }), 0x80000001);
    CHECK_EQ(insn_decode((const uint8_t[]){ 0x41, 0x55 }, 2, INSN_MODE_64, &in), INSN_OK);
    CHECK_EQ(in.reg, 13);
}

TEST(details)
{
    struct insn in;
    static const uint8_t mov[] = { 0x65, 0x49, 0xc7, 0x44, 0x8d, 0xf8, 0x00, 0x00, 0x00, 0x80 };
    static const uint8_t out[] = { 0xe6, 0xf4 };
    static const uint8_t cr[] = { 0x44, 0x0f, 0x22, 0xc7 };
    static const uint8_t seg[] = { 0x2e, 0x64, 0x2e, 0x6e };

    CHECK_EQ(insn_decode(mov, sizeof(mov), INSN_MODE_64, &in), INSN_OK);
    CHECK(in.mem && in.has_imm && in.seg == SEG_GS && in.addr_size == 8 && !in.lock);
    CHECK(in.base == 13 && in.index == 1 && in.scale == 2 && in.disp == -8);
    CHECK_EQ(in.imm, 0xffffffff80000000);
    CHECK_EQ(insn_decode(out, sizeof(out), INSN_MODE_64, &in), INSN_OK);
    CHECK_EQ(in.imm & 0xff, 0xf4);
    CHECK_EQ(insn_decode(cr, sizeof(cr), INSN_MODE_64, &in), INSN_OK);
    CHECK(in.reg == 8 && in.rm == 7);
    CHECK_EQ(insn_decode(seg, sizeof(seg), INSN_MODE_64, &in), INSN_OK);
    CHECK_EQ(in.seg, SEG_FS); /* CS means nothing in 64-bit code */
    CHECK_EQ(insn_decode(seg, sizeof(seg), INSN_MODE_32, &in), INSN_OK);
    CHECK_EQ(in.seg, SEG_CS);
}

TEST(refusals)
{
    static const struct {
        const char *why;
        uint8_t bytes[15];
    } bad[] = {
        { "lock mov", { 0xf0, 0x48, 0x89, 0x07 } },
        { "lock on a register", { 0xf0, 0x48, 0x87, 0xc7 } },
        { "lock cli", { 0xf0, 0xfa } },
        { "nop", { 0x90 } },
        { "int 0x80", { 0xcd, 0x80 } },
        { "ud2", { 0x0f, 0x0b, 0x90 } },
        { "forced rdtsc", { 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0x31 } },
        { "lgdt", { 0x0f, 0x01, 0x10 } },
        { "lldt", { 0x0f, 0x00, 0xd0 } },
        { "vmcall", { 0x0f, 0x01, 0xc1 } },
        { "call (%rbx)", { 0xff, 0x13 } },
        { "lock bt", { 0xf0, 0x0f, 0xba, 0x20, 0x01 } },
        { "rdrand", { 0x0f, 0xc7, 0xf0 } },
        { "fxsave", { 0x0f, 0xae, 0x00 } },
        { "lfence", { 0x0f, 0xae, 0xe8 } },
        { "movnti to a register", { 0x0f, 0xc3, 0xc0 } },
        { "invpcid without 66", { 0x0f, 0x38, 0x82, 0x08 } },
        { "too many prefixes",
          { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
            0x66 } },
        { "16 bytes",
          { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x48, 0xc7, 0x84, 0x00, 1, 1, 1, 1 } },
    };
    struct insn in;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int rc = insn_decode(bad[i].bytes, sizeof(bad[i].bytes), INSN_MODE_64, &in);

        if (rc != INSN_UNKNOWN)
            printf("%s: %d\n", bad[i].why, rc);
        CHECK_EQ(rc, INSN_UNKNOWN);
    }
    /* FS and GS base instructions exist in 64-bit code only. */
    CHECK_EQ(insn_decode((const uint8_t[]){ 0xf3, 0x0f, 0xae, 0xc0 }, 4, INSN_MODE_32, &in),
             INSN_UNKNOWN);
}

static uint64_t seed = 0x123456789;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

TEST(addresses_as_lea_says)
{
    for (unsigned int round = 0; round < 20000; round++) {
        uint8_t code[15] = { 0 };
        struct x86_regs regs = { .rflags = 2 }, native;
        unsigned int n = 0, opcode;
        struct insn in;

        if (rnd() % 4 == 0)
            code[n++] = 0x67;
        code[n++] = 0x48 | (rnd() & 7);
        opcode = n;
        code[n++] = 0x89;
        for (; n < sizeof(code); n++)
            code[n] = (uint8_t)rnd();
        if (code[opcode + 1] >= 0xc0 || (code[opcode + 1] & 0xc7) == 5)
            continue; /* a register, or RIP */
        for (unsigned int i = 0; i < 16; i++)
            *x86_gpr(&regs, i) = rnd();
        CHECK_EQ(insn_decode(code, sizeof(code), INSN_MODE_64, &in), INSN_OK);
        if (in.reg == 4)
            continue; /* LEA into the stack pointer */
        native = regs;
        code[opcode] = 0x8d;
        native_run(code, in.len, &native);
        CHECK_EQ(insn_offset(&in, &regs), x86_gpr_value(&native, in.reg));
    }
}

TEST(rip_relative_and_16_bit_addresses)
{
    static const uint8_t rip[] = { 0x48, 0xc7, 0x05, 0xf0, 0xff, 0xff, 0xff, 1, 0, 0, 0 };
    static const uint8_t wrap[] = { 0x0f, 0x01, 0x40, 0x10 }; /* sgdt 0x10(%bx,%si) */
    static const uint8_t disp[] = { 0x0f, 0x01, 0x06, 0x34, 0x12 };
    static const uint8_t abs32[] = { 0x0f, 0x01, 0x05, 0x78, 0x56, 0x34, 0x12 };
    struct x86_regs regs = { .rip = 0x1000, .rbx = 0xfff0, .rsi = 0x8 };
    struct insn in;

    CHECK_EQ(insn_decode(rip, sizeof(rip), INSN_MODE_64, &in), INSN_OK);
    CHECK_EQ(insn_offset(&in, &regs), 0x1000 + 11 - 16); /* behind the immediate */
    CHECK_EQ(insn_decode(wrap, sizeof(wrap), INSN_MODE_16, &in), INSN_OK);
    CHECK_EQ(insn_offset(&in, &regs), 0x8);
    CHECK_EQ(insn_decode(disp, sizeof(disp), INSN_MODE_16, &in), INSN_OK);
    CHECK_EQ(insn_offset(&in, &regs), 0x1234);
    CHECK_EQ(insn_decode(abs32, sizeof(abs32), INSN_MODE_32, &in), INSN_OK);
    CHECK_EQ(insn_offset(&in, &regs), 0x12345678);
}

TEST(register_operands)
{
    struct x86_regs regs = { .rax = 0x1122334455667788, .rsp = 0x99 };
    struct insn in = { .size = 1 };

    CHECK_EQ(insn_reg_read(&in, &regs, 4), 0x77); /* AH */
    insn_reg_write(&in, &regs, 4, 0xab);
    CHECK_EQ(regs.rax, 0x112233445566ab88);
    in.rex = true;
    CHECK_EQ(insn_reg_read(&in, &regs, 4), 0x99); /* SPL */
    in.size = 2;
    insn_reg_write(&in, &regs, 0, 0x12345);
    CHECK_EQ(regs.rax, 0x1122334455662345);
    in.size = 4;
    insn_reg_write(&in, &regs, 0, 0xffffffff00000001);
    CHECK_EQ(regs.rax, 1);
}
