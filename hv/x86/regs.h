/* SPDX-License-Identifier: MIT */
/*
 * A guest's (or the interrupted hypervisor's) registers as the entry code pushes them. Those that
 * carry a hypercall's arguments are in a row, so that nothing has to be moved.
 */
#ifndef X86_REGS_H
#define X86_REGS_H

#include "core/types.h"

struct x86_regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r9, rax, rcx;
    union {
        struct {
            uint64_t rdi, rsi, rdx, r10, r8;
        };
        struct hc_args args;
    };
    uint32_t error_code;
    uint32_t vector; /* exception or interrupt, or REGS_SYSCALL */
    uint64_t rip, cs, rflags, rsp, ss;
};

#define REGS_SYSCALL 0x100 /* regs.vector of an entry by SYSCALL: may leave by SYSRET */

#define X86_FLAGS_CF 0x1ul
#define X86_FLAGS_FIXED 0x2ul
#define X86_FLAGS_ZF 0x40ul
#define X86_FLAGS_TF 0x100ul
#define X86_FLAGS_IF 0x200ul
#define X86_FLAGS_DF 0x400ul
#define X86_FLAGS_IOPL 0x3000ul
#define X86_FLAGS_NT 0x4000ul
#define X86_FLAGS_RF 0x10000ul
#define X86_FLAGS_VM 0x20000ul
#define X86_FLAGS_AC 0x40000ul

#endif
