/* SPDX-License-Identifier: MIT */
/*
 * Runs one instruction on the real CPU with given registers: tests compare what emulation says with
 * what the processor does. The instruction must not touch memory through RSP, jump, or fault.
 */
#ifndef TESTS_UNIT_NATIVE_H
#define TESTS_UNIT_NATIVE_H

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "x86/insn/gpr.h"

#define NATIVE_FLAGS 0x8d5ul /* CF PF AF ZF SF OF */

/* Executable page: code first, saved values from NATIVE_DATA on. */
#define NATIVE_DATA 2048

static uint8_t *native_page, *native_p;

static void native_bytes(const void *b, size_t n)
{
    memcpy(native_p, b, n);
    native_p += n;
}

/* mov reg <-> [rip + slot]; `store` from the register. */
static void native_mov(unsigned int reg, unsigned int slot, bool store)
{
    uint8_t op[3] = { 0x48 | (reg >= 8 ? 4 : 0), store ? 0x89 : 0x8b, 0x05 | (reg & 7) << 3 };
    int32_t rel = (int32_t)(native_page + NATIVE_DATA + 8 * slot - (native_p + 7));

    native_bytes(op, 3);
    native_bytes(&rel, 4);
}

/* Slots: 0-15 registers in and out, 16 flags, 17 the host's stack pointer. */
static void native_run(const uint8_t *code, size_t len, struct x86_regs *regs)
{
    static const uint8_t save[] = { 0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57 };
    static const uint8_t restore[] = { 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d,
                                       0x41, 0x5c, 0x5d, 0x5b, 0xfc, 0xc3 };
    uint64_t *slot;

    if (!native_page)
        native_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    slot = (uint64_t *)(void *)(native_page + NATIVE_DATA);
    for (unsigned int i = 0; i < 16; i++)
        slot[i] = x86_gpr_value(regs, i);
    slot[16] = (regs->rflags & NATIVE_FLAGS) | 2;

    native_p = native_page;
    native_bytes(save, sizeof(save));
    native_mov(0, 16, false);
    native_bytes("\x50\x9d", 2); /* push rax; popf */
    native_mov(4, 17, true);
    for (unsigned int i = 0; i < 16; i++)
        native_mov(i, i, false);
    native_bytes(code, len);
    for (unsigned int i = 0; i < 16; i++)
        native_mov(i, i, true);
    native_mov(4, 17, false);
    native_bytes("\x9c\x58", 2); /* pushf; pop rax */
    native_mov(0, 16, true);
    native_bytes(restore, sizeof(restore));

    ((void (*)(void))(void *)native_page)();
    for (unsigned int i = 0; i < 16; i++)
        *x86_gpr(regs, i) = slot[i];
    regs->rflags = (regs->rflags & ~NATIVE_FLAGS) | (slot[16] & NATIVE_FLAGS);
}

#endif
