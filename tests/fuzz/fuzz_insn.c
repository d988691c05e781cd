/* SPDX-License-Identifier: MIT */
/*
 * Any bytes into both decoders. What the fast one takes, the general one takes too and reads the
 * same way; lengths stay within what was given; nothing depends on bytes behind the instruction.
 */
#include <stdlib.h>
#include <string.h>

#include "x86/insn/gpr.h"
#include "x86/insn/insn.h"
#include "x86/insn/ptwrite.h"

#define MUST(cond)            \
    do {                      \
        if (!(cond))          \
            __builtin_trap(); \
    } while (0)

static const uint8_t same_op[] = {
    [PTW_MOV] = INSN_MOV, [PTW_XCHG] = INSN_XCHG, [PTW_CMPXCHG] = INSN_CMPXCHG,
    [PTW_AND] = INSN_AND, [PTW_OR] = INSN_OR,     [PTW_XOR] = INSN_XOR,
    [PTW_BTS] = INSN_BTS, [PTW_BTR] = INSN_BTR,   [PTW_BTC] = INSN_BTC,
};

static void general(const uint8_t *bytes, size_t len, enum insn_mode mode)
{
    struct x86_regs regs = { .rip = 0x1000, .rbx = ~0ull, .rdi = 1ull << 63 };
    struct insn a, b;
    uint8_t other[INSN_MAX_LEN + 1];
    int rc = insn_decode(bytes, len, mode, &a);

    MUST(rc == INSN_OK || rc == INSN_TRUNCATED || rc == INSN_UNKNOWN);
    if (rc != INSN_OK)
        return;
    MUST(a.len && a.len <= len && a.len <= INSN_MAX_LEN && a.op && a.op < INSN_OP_COUNT);
    MUST(insn_decode(bytes, a.len, mode, &b) == INSN_OK && memcmp(&a, &b, sizeof(a)) == 0);
    MUST(insn_decode(bytes, a.len - 1u, mode, &b) != INSN_OK);
    memset(other, 0xff, sizeof(other));
    memcpy(other, bytes, a.len);
    MUST(insn_decode(other, sizeof(other), mode, &b) == INSN_OK && b.len == a.len && b.op == a.op);
    if (a.mem)
        (void)insn_offset(&a, &regs);
    if (a.size <= 8 && a.has_modrm)
        insn_reg_write(&a, &regs, a.reg, insn_reg_read(&a, &regs, a.reg));
}

static void fast(const uint8_t *bytes, size_t len, uint64_t addr)
{
    struct x86_regs regs = { .rax = 0x8067, .rcx = 5, .rflags = 2, .rip = 0x1000 };
    uint64_t old = 0x8067, new;
    struct ptwrite w;
    struct insn i;

    if (!ptwrite_decode(bytes, len, addr, &w))
        return;
    MUST(w.len && w.len <= len && w.len <= INSN_MAX_LEN);
    MUST(w.shift + w.bits <= 64 && w.shift == (addr & 7) * 8);
    MUST(insn_decode(bytes, len, INSN_MODE_64, &i) == INSN_OK);
    MUST(i.len == w.len && i.mem && i.size * 8 == w.bits && i.has_imm == w.imm_src);
    MUST(i.op == same_op[w.op]);
    if (!w.imm_src)
        MUST(i.reg == w.reg + (w.high8 ? 4 : 0));
    new = ptwrite_new_value(&w, &regs, old);
    MUST(!((new ^ old) & ~(w.mask << w.shift))); /* nothing beside the operand */
    ptwrite_finish(&w, &regs, old);
    MUST(regs.rip == 0x1000u + w.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum insn_mode modes[] = { INSN_MODE_64, INSN_MODE_64, INSN_MODE_32,
                                            INSN_MODE_16 };
    uint8_t *copy;
    size_t len;

    if (size < 2)
        return 0;
    len = size - 1;
    copy = malloc(len); /* exactly as long, so that reading behind it is seen */
    memcpy(copy, data + 1, len);
    general(copy, len, modes[data[0] & 3]);
    fast(copy, len, 0x7000u + (data[0] >> 4));
    free(copy);
    return 0;
}
