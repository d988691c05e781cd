/* SPDX-License-Identifier: MIT */
/*
 * One instruction, in the order in which the CPU does it: addresses, reads, result, write, then
 * registers. A step that stops leaves all registers as they were, so that the instruction can be
 * executed from its start again; string instructions stop between elements, with registers that say
 * how far they are.
 */
#include "x86/emul/emul.h"

#include "lib/macros.h"
#include "lib/string.h"
#include "x86/emul/alu.h"
#include "x86/insn/gpr.h"

#define TRY(call)                       \
    do {                                \
        enum emul_result try_ = (call); \
        if (try_ != EMUL_OK)            \
            return try_;                \
    } while (0)

/* --- operands --- */

static enum emul_result operand_address(struct emul *e, uint64_t offset, bool write, uint64_t *addr)
{
    return e->ops->linear(e, (enum insn_seg)e->insn.seg, offset, e->insn.mem_size, write, addr);
}

static enum emul_result read_value(struct emul *e, uint64_t addr, unsigned int n, bool for_write,
                                   uint64_t *val)
{
    *val = 0;
    return e->ops->read(e, addr, val, n, for_write);
}

/* --- one memory operand --- */

static uint64_t source(const struct emul *e)
{
    return e->insn.has_imm ? e->insn.imm & x86_size_mask(e->insn.size)
                           : insn_reg_read(&e->insn, e->regs, e->insn.reg);
}

/*
 * A bit's number in a register reaches beyond the operand: the address moves by whole operands.
 */
static uint64_t bit_offset(const struct emul *e, uint64_t offset)
{
    const struct insn *i = &e->insn;
    unsigned int bits = 8u * i->size;
    uint64_t n = x86_gpr_value(e->regs, i->reg);
    int64_t number = i->size == 2 ? (int16_t)n : i->size == 4 ? (int32_t)n : (int64_t)n;

    if (i->has_imm)
        return offset;
    return (offset + (uint64_t)((number >> __builtin_ctz(bits)) * i->size)) &
           x86_size_mask(i->addr_size);
}

static bool is_bit_op(unsigned int op)
{
    return op == INSN_BT || op == INSN_BTS || op == INSN_BTR || op == INSN_BTC;
}

static enum emul_result do_store(struct emul *e, uint64_t addr)
{
    uint64_t val = source(e);

    return e->ops->write(e, addr, &val, e->insn.size);
}

static enum emul_result do_load(struct emul *e, uint64_t addr)
{
    const struct insn *i = &e->insn;
    unsigned int unused = 64 - 8u * i->mem_size;
    uint64_t val;

    TRY(read_value(e, addr, i->mem_size, false, &val));
    if (i->op == INSN_MOVSX)
        val = (uint64_t)((int64_t)(val << unused) >> unused);
    insn_reg_write(i, e->regs, i->reg, val);
    return EMUL_OK;
}

static enum emul_result do_xchg(struct emul *e, uint64_t addr)
{
    const struct insn *i = &e->insn;
    uint64_t old, new = source(e), sum = 0, flags = e->regs->rflags;

    TRY(read_value(e, addr, i->size, true, &old));
    if (i->op == INSN_XADD)
        sum = alu(INSN_XADD, i->size, old, new, &flags);
    TRY(e->ops->update(e, addr, &old, i->op == INSN_XADD ? &sum : &new, i->size));
    e->regs->rflags = flags;
    insn_reg_write(i, e->regs, i->reg, old);
    return EMUL_OK;
}

static enum emul_result do_cmpxchg(struct emul *e, uint64_t addr)
{
    const struct insn *i = &e->insn;
    uint64_t old, new, flags = e->regs->rflags, mask = x86_size_mask(i->size);

    TRY(read_value(e, addr, i->size, true, &old));
    alu(INSN_CMP, i->size, e->regs->rax, old, &flags);
    new = flags &X86_FLAGS_ZF ? source(e) : old; /* it writes in any case */
    TRY(e->ops->update(e, addr, &old, &new, i->size));
    e->regs->rflags = flags;
    if (!(flags & X86_FLAGS_ZF))
        x86_gpr_write(e->regs, 0, old & mask, i->size);
    return EMUL_OK;
}

static enum emul_result do_cmpxchg8b(struct emul *e, uint64_t addr)
{
    struct x86_regs *r = e->regs;
    unsigned int half = e->insn.size / 2;
    uint64_t mask = x86_size_mask(half), low, high;
    uint8_t old[16] = { 0 }, new[16];

    TRY(e->ops->read(e, addr, old, e->insn.size, true));
    low = high = 0;
    memcpy(&low, old, half);
    memcpy(&high, old + half, half);
    memcpy(new, old, sizeof(new));
    if (low == (r->rax & mask) && high == (r->rdx & mask)) {
        memcpy(new, &r->rbx, half);
        memcpy(new + half, &r->rcx, half);
        TRY(e->ops->update(e, addr, old, new, e->insn.size));
        r->rflags |= X86_FLAGS_ZF;
        return EMUL_OK;
    }
    TRY(e->ops->update(e, addr, old, new, e->insn.size));
    x86_gpr_write(r, 0, low, half);
    x86_gpr_write(r, 2, high, half);
    r->rflags &= ~X86_FLAGS_ZF;
    return EMUL_OK;
}

/* AND, OR, ... in both directions, and those that only look. */
static enum emul_result do_alu(struct emul *e, uint64_t addr)
{
    const struct insn *i = &e->insn;
    bool looks = i->op == INSN_CMP || i->op == INSN_TEST || i->op == INSN_BT;
    uint64_t mem, val, flags = e->regs->rflags;

    TRY(read_value(e, addr, i->size, !looks && !i->to_reg, &mem));
    if (i->to_reg)
        val = alu(i->op, i->size, source(e), mem, &flags);
    else
        val = alu(i->op, i->size, mem, source(e), &flags);
    if (!looks && !i->to_reg)
        TRY(e->ops->update(e, addr, &mem, &val, i->size));
    e->regs->rflags = flags;
    if (i->to_reg && !looks)
        insn_reg_write(i, e->regs, i->reg, val);
    return EMUL_OK;
}

/* --- the stack --- */

static uint64_t stack_pointer(const struct emul *e, int64_t add)
{
    return (e->regs->rsp + (uint64_t)add) & x86_size_mask(e->stack_size);
}

static enum emul_result do_push(struct emul *e)
{
    const struct insn *i = &e->insn;
    uint64_t addr, val = i->has_imm ? i->imm : x86_gpr_value(e->regs, i->reg);
    uint64_t sp = stack_pointer(e, -(int64_t)i->size);

    if (i->mem) {
        TRY(operand_address(e, insn_offset(i, e->regs), false, &addr));
        TRY(read_value(e, addr, i->size, false, &val));
    }
    TRY(e->ops->linear(e, SEG_SS, sp, i->size, true, &addr));
    TRY(e->ops->write(e, addr, &val, i->size));
    x86_gpr_write(e->regs, 4, sp, e->stack_size);
    return EMUL_OK;
}

static enum emul_result do_pop(struct emul *e)
{
    const struct insn *i = &e->insn;
    struct x86_regs after = *e->regs;
    uint64_t addr, val;

    TRY(e->ops->linear(e, SEG_SS, stack_pointer(e, 0), i->size, false, &addr));
    TRY(read_value(e, addr, i->size, false, &val));
    x86_gpr_write(&after, 4, stack_pointer(e, i->size), e->stack_size);
    if (i->mem) { /* an address by RSP counts from what it is afterwards */
        TRY(operand_address(e, insn_offset(i, &after), true, &addr));
        TRY(e->ops->write(e, addr, &val, i->size));
    } else {
        x86_gpr_write(&after, i->reg, val, i->size);
    }
    *e->regs = after;
    return EMUL_OK;
}

/* --- string instructions --- */

/* Moves an index register, or the counter, by `add` in the address size. */
static void move_index(struct emul *e, unsigned int reg, int64_t add)
{
    unsigned int n = e->insn.addr_size;

    x86_gpr_write(e->regs, reg, (x86_gpr_value(e->regs, reg) + (uint64_t)add) & x86_size_mask(n),
                  n);
}

static uint64_t index_offset(const struct emul *e, unsigned int reg)
{
    return x86_gpr_value(e->regs, reg) & x86_size_mask(e->insn.addr_size);
}

enum { RCX = 1, RSI = 6, RDI = 7 };

/* One element, with both operands' addresses; the registers that move are moved at its end. */
static enum emul_result string_element(struct emul *e, int64_t step)
{
    const struct insn *i = &e->insn;
    bool from = i->op != INSN_STOS && i->op != INSN_SCAS, to = i->op != INSN_LODS;
    bool writes = i->op == INSN_MOVS || i->op == INSN_STOS;
    uint64_t src = 0, dst = 0, a = 0, b = 0;

    if (from) {
        TRY(operand_address(e, index_offset(e, RSI), false, &src));
        TRY(read_value(e, src, i->size, false, &a));
    } else {
        a = e->regs->rax & x86_size_mask(i->size);
    }
    if (to)
        TRY(e->ops->linear(e, SEG_ES, index_offset(e, RDI), i->size, writes, &dst));
    if (writes)
        TRY(e->ops->write(e, dst, &a, i->size));
    else if (to) {
        TRY(read_value(e, dst, i->size, false, &b));
        alu(INSN_CMP, i->size, a, b, &e->regs->rflags);
    } else {
        x86_gpr_write(e->regs, 0, a, i->size);
    }
    if (from)
        move_index(e, RSI, step);
    if (to)
        move_index(e, RDI, step);
    return EMUL_OK;
}

/* Does REPE or REPNE end behind this element? */
static bool ends_early(const struct emul *e)
{
    const struct insn *i = &e->insn;
    bool zero = (e->regs->rflags & X86_FLAGS_ZF) != 0;

    return (i->op == INSN_CMPS || i->op == INSN_SCAS) && zero == (i->rep == 0xf2);
}

static enum emul_result do_string(struct emul *e)
{
    const struct insn *i = &e->insn;
    int64_t step = e->regs->rflags & X86_FLAGS_DF ? -(int64_t)i->size : i->size;

    if (!i->rep)
        return string_element(e, step);
    for (uint32_t done = 0; index_offset(e, RCX); done++) {
        if (done == e->budget)
            return EMUL_AGAIN;
        TRY(string_element(e, step));
        move_index(e, RCX, -1);
        if (ends_early(e))
            break;
    }
    return EMUL_OK;
}

/* Offsets may wrap, and segments end: does the last of these elements lie where the first does? */
static bool last_fits(struct emul *e, unsigned int index, bool in, bool down, uint64_t count)
{
    const struct insn *i = &e->insn;
    uint64_t first = index_offset(e, index), way = (count - 1) * i->size, addr;
    uint64_t last = down ? first - way : first + way;

    return last <= x86_size_mask(i->addr_size) &&
           e->ops->linear(e, in ? SEG_ES : (enum insn_seg)i->seg, last, i->size, in, &addr) ==
               EMUL_OK;
}

/* INS and OUTS: as many elements at once as stay in one page, in the direction that they go. */
static enum emul_result do_port_string(struct emul *e)
{
    const struct insn *i = &e->insn;
    bool in = i->op == INSN_INS, down = (e->regs->rflags & X86_FLAGS_DF) != 0;
    unsigned int index = in ? RDI : RSI;
    uint64_t left = i->rep ? index_offset(e, RCX) : 1, addr, count, room;

    if (!e->ops->port_string)
        return EMUL_UNKNOWN;
    if (!left)
        return EMUL_OK;
    TRY(e->ops->linear(e, in ? SEG_ES : (enum insn_seg)i->seg, index_offset(e, index), i->size, in,
                       &addr));
    room = down ? (addr & 4095) / i->size + 1 : (4096 - (addr & 4095)) / i->size;
    if (down && (addr & 4095) + i->size > 4096) /* the first one crosses */
        room = 1;
    count = MIN(left, MAX(room, 1ull));
    if (count > 1 && i->addr_size < 8 && !last_fits(e, index, in, down, count))
        count = 1;
    TRY(e->ops->port_string(e, (uint16_t)e->regs->rdx, i->size, in, addr, down, &count));
    move_index(e, index, down ? -(int64_t)(count * i->size) : (int64_t)(count * i->size));
    if (!i->rep)
        return EMUL_OK;
    move_index(e, RCX, -(int64_t)count);
    return count == left ? EMUL_OK : EMUL_AGAIN;
}

/* --- dispatch --- */

static enum emul_result one_operand(struct emul *e)
{
    const struct insn *i = &e->insn;
    uint64_t offset, addr;
    bool write = !i->to_reg && i->op != INSN_CMP && i->op != INSN_TEST && i->op != INSN_BT;

    if (!i->mem)
        return EMUL_UNKNOWN;
    offset = insn_offset(i, e->regs);
    if (is_bit_op(i->op))
        offset = bit_offset(e, offset);
    TRY(operand_address(e, offset, write, &addr));
    switch (i->op) {
    case INSN_MOV:
    case INSN_MOVNTI:
        return i->to_reg ? do_load(e, addr) : do_store(e, addr);
    case INSN_MOVZX:
    case INSN_MOVSX:
        return do_load(e, addr);
    case INSN_XCHG:
    case INSN_XADD:
        return do_xchg(e, addr);
    case INSN_CMPXCHG:
        return do_cmpxchg(e, addr);
    case INSN_CMPXCHG8B:
        return do_cmpxchg8b(e, addr);
    default:
        return do_alu(e, addr);
    }
}

static enum emul_result dispatch(struct emul *e)
{
    switch (e->insn.op) {
    case INSN_MOV ... INSN_LAST_RM:
        return one_operand(e);
    case INSN_PUSH:
        return do_push(e);
    case INSN_POP:
        return do_pop(e);
    case INSN_MOVS:
    case INSN_LODS:
    case INSN_STOS:
    case INSN_SCAS:
    case INSN_CMPS:
        return do_string(e);
    case INSN_INS:
    case INSN_OUTS:
        return do_port_string(e);
    default:
        return EMUL_UNKNOWN;
    }
}

enum emul_result emul_decoded(struct emul *e)
{
    enum emul_result r = dispatch(e);
    uint64_t mask = e->mode == INSN_MODE_64 ? ~0ull : e->mode == INSN_MODE_32 ? 0xffffffff : 0xffff;

    if (r == EMUL_OK)
        e->regs->rip = (e->regs->rip + e->insn.len) & mask;
    return r;
}

enum emul_result emul_execute(struct emul *e, const uint8_t *bytes, size_t len)
{
    if (insn_decode(bytes, len, e->mode, &e->insn) != INSN_OK)
        return EMUL_UNKNOWN;
    return emul_decoded(e);
}
