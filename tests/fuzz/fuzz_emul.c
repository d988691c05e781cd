/* SPDX-License-Identifier: MIT */
/*
 * The emulator on arbitrary bytes, registers and answers of its callbacks: it ends; an instruction
 * that is unknown changes nothing; one that waits is the same when it is tried again; an access
 * never has another size than an instruction can have.
 */
#include <stdlib.h>
#include <string.h>

#include "x86/emul/emul.h"

struct input {
    struct x86_regs regs;
    uint8_t mode, stack, stop_at, stop_with;
    uint8_t code[15];
};

static unsigned int accesses;
static const struct input *in;

static enum emul_result answer(void)
{
    static const enum emul_result stops[] = { EMUL_AGAIN, EMUL_WAIT, EMUL_EXCEPTION };

    return ++accesses == in->stop_at ? stops[in->stop_with % 3] : EMUL_OK;
}

static void check_size(unsigned int n)
{
    if (n != 1 && n != 2 && n != 4 && n != 8 && n != 16)
        abort();
}

static enum emul_result op_linear(struct emul *e, enum insn_seg seg, uint64_t offset,
                                  unsigned int n, bool write, uint64_t *addr)
{
    (void)write;
    check_size(n);
    if (seg > SEG_GS || (e->insn.addr_size == 4 && e->insn.op != INSN_PUSH &&
                         e->insn.op != INSN_POP && offset >> 32))
        abort();
    *addr = offset;
    return answer();
}

static enum emul_result op_read(struct emul *e, uint64_t addr, void *buf, unsigned int n, bool w)
{
    (void)e, (void)w;
    check_size(n);
    memset(buf, (int)addr, n);
    return answer();
}

static enum emul_result op_write(struct emul *e, uint64_t addr, const void *buf, unsigned int n)
{
    volatile uint8_t sum = 0;

    (void)e, (void)addr;
    check_size(n);
    for (unsigned int i = 0; i < n; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)buf)[i]);
    return answer();
}

static enum emul_result op_update(struct emul *e, uint64_t addr, const void *old, const void *new,
                                  unsigned int n)
{
    op_write(e, addr, old, n);
    return op_write(e, addr, new, n);
}

static enum emul_result op_ports(struct emul *e, uint16_t port, unsigned int size, bool input,
                                 uint64_t addr, bool down, uint64_t *count)
{
    (void)e, (void)port, (void)input;
    check_size(size);
    if (!*count)
        abort();
    if (*count > 1) { /* several: all in one page */
        uint64_t last = down ? addr - (*count - 1) * size : addr + (*count - 1) * size;
        uint64_t low = down ? last : addr, high = (down ? addr : last) + size - 1;

        if (low >> 12 != high >> 12)
            abort();
    }
    *count = (addr % *count) + 1;
    return answer();
}

static const struct emul_ops ops = { op_linear, op_read, op_write, op_update, op_ports };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum insn_mode modes[] = { INSN_MODE_16, INSN_MODE_32, INSN_MODE_64 };
    struct input input;
    struct x86_regs regs;
    struct emul e = { .ops = &ops, .regs = &regs, .budget = 5 };
    enum emul_result r;

    if (size < sizeof(input))
        return 0;
    memcpy(&input, data, sizeof(input));
    in = &input;
    regs = input.regs;
    e.mode = modes[input.mode % 3];
    e.stack_size = (uint8_t)(e.mode == INSN_MODE_64 ? 8 : input.stack & 1 ? 4 : 2);
    accesses = 0;
    r = emul_execute(&e, input.code, sizeof(input.code));
    if (r == EMUL_UNKNOWN && (accesses || memcmp(&regs, &input.regs, sizeof(regs)) != 0))
        abort();
    if (r == EMUL_OK && regs.rip == input.regs.rip)
        abort(); /* each instruction has a length */
    if (r != EMUL_OK && regs.rip != input.regs.rip)
        abort();
    return 0;
}
