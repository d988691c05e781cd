/* SPDX-License-Identifier: MIT */
/*
 * Completes instructions that a guest's CPU could not: their operand is a device's register, or a
 * page that the guest may not write. The instruction's bytes were fetched once, by the caller;
 * memory is reached through callbacks, by linear address.
 */
#ifndef X86_EMUL_EMUL_H
#define X86_EMUL_EMUL_H

#include "x86/insn/insn.h"

enum emul_result {
    EMUL_OK,        /* done: registers, flags and RIP are the next instruction's */
    EMUL_AGAIN,     /* gave way, after whole elements of a string instruction: execute it again */
    EMUL_WAIT,      /* a callback waits for its answer: call again with the same bytes then */
    EMUL_EXCEPTION, /* a callback noted an exception for the guest; registers are as they must be */
    EMUL_UNKNOWN    /* not an instruction that is completed here; nothing has changed */
};

struct emul;

/*
 * All return EMUL_OK, or what stops the instruction. An exception that one has noted counts only if
 * the instruction ends with EMUL_EXCEPTION.
 */
struct emul_ops {
    /*
     * Linear address of n bytes at `offset` in segment seg, checked as the CPU checks: limit, type,
     * canonical form. Notes #GP or #SS.
     */
    enum emul_result (*linear)(struct emul *e, enum insn_seg seg, uint64_t offset, unsigned int n,
                               bool write, uint64_t *addr);
    /* n bytes, which may cross a page. for_write: they are about to be written, so faults say so.
     */
    enum emul_result (*read)(struct emul *e, uint64_t addr, void *buf, unsigned int n,
                             bool for_write);
    enum emul_result (*write)(struct emul *e, uint64_t addr, const void *buf, unsigned int n);
    /*
     * Writes `new` where read() found `old`, n bytes: in memory only if that is still there, else
     * EMUL_AGAIN. For all instructions that read and write their operand, locked or not.
     */
    enum emul_result (*update)(struct emul *e, uint64_t addr, const void *old, const void *new,
                               unsigned int n);
    /*
     * Up to *count elements of `size` bytes between a port and memory at linear address addr and
     * up, or down; *count: how many were moved, at least one with EMUL_OK. NULL: INS and OUTS are
     * unknown.
     */
    enum emul_result (*port_string)(struct emul *e, uint16_t port, unsigned int size, bool in,
                                    uint64_t addr, bool down, uint64_t *count);
};

struct emul {
    const struct emul_ops *ops;
    void *ctx;
    struct x86_regs *regs;
    enum insn_mode mode; /* of the code segment */
    uint8_t stack_size;  /* bytes of the stack pointer: 2, 4, 8 by SS */
    uint32_t budget;     /* elements of a string instruction until it gives way, at least 1 */
    struct insn insn;
};

/*
 * Decodes and executes the instruction at bytes[0 .. len-1]. A trap flag, and RF, are the caller's
 * business.
 */
enum emul_result emul_execute(struct emul *e, const uint8_t *bytes, size_t len);
/* The same for e->insn, decoded before. */
enum emul_result emul_decoded(struct emul *e);

#endif
