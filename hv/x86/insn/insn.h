/* SPDX-License-Identifier: MIT */
/*
 * Decoder for the instructions that the hypervisor completes on a guest's behalf: privileged ones,
 * port I/O, and those that read or write memory as kernels and drivers use them on page tables and
 * device registers. Pure: bytes in, structure out.
 * Encodings: Intel SDM volume 2, AMD APM volume 3.
 */
#ifndef X86_INSN_INSN_H
#define X86_INSN_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "x86/regs.h"

#define INSN_MAX_LEN 15

enum insn_mode { INSN_MODE_16 = 2, INSN_MODE_32 = 4, INSN_MODE_64 = 8 };

enum insn_op {
    INSN_NONE,
    /* r/m = r/m op (reg or imm); with to_reg, reg = reg op r/m */
    INSN_MOV,
    INSN_MOVNTI,
    INSN_XCHG,
    INSN_CMPXCHG,
    INSN_CMPXCHG8B,
    INSN_AND,
    INSN_OR,
    INSN_XOR,
    INSN_BTS,
    INSN_BTR,
    INSN_BTC,
    INSN_ADD,
    INSN_ADC,
    INSN_SBB,
    INSN_SUB,
    INSN_CMP,
    INSN_TEST,
    INSN_BT,
    INSN_INC,
    INSN_DEC,
    INSN_NOT,
    INSN_NEG,
    INSN_XADD,
    INSN_ROL, /* by imm, or by the register CL */
    INSN_ROR,
    INSN_RCL,
    INSN_RCR,
    INSN_SHL,
    INSN_SHR,
    INSN_SAR,
    INSN_MOVZX, /* reg = r/m of mem_size, extended to size; MOVSXD is MOVSX */
    INSN_MOVSX,
    INSN_LAST_RM = INSN_MOVSX, /* from INSN_MOV to here there is one operand in memory at most */
    INSN_PUSH,                 /* of imm, of r/m if mem, else of reg */
    INSN_POP,
    INSN_MOVS,
    INSN_LODS,
    INSN_STOS,
    INSN_SCAS,
    INSN_CMPS,
    /* port I/O: `imm` is the port if has_imm, else DX; ins and outs obey `rep` */
    INSN_IN,
    INSN_OUT,
    INSN_INS,
    INSN_OUTS,
    /* control and debug registers: `reg` numbers the special one, `rm` the general one */
    INSN_MOV_FROM_CR,
    INSN_MOV_TO_CR,
    INSN_MOV_FROM_DR,
    INSN_MOV_TO_DR,
    INSN_CLTS,
    INSN_LMSW,
    INSN_SMSW,
    INSN_INVLPG,
    INSN_INVPCID,
    INSN_INVD,
    INSN_WBINVD,
    INSN_RDMSR,
    INSN_WRMSR,
    INSN_RDTSC,
    INSN_RDTSCP,
    INSN_RDPMC,
    INSN_CPUID,
    INSN_XGETBV,
    INSN_XSETBV,
    INSN_HLT,
    INSN_CLI,
    INSN_STI,
    INSN_IRET,
    INSN_SGDT,
    INSN_SIDT,
    INSN_SLDT,
    INSN_STR,
    INSN_SWAPGS,
    INSN_RDFSBASE,
    INSN_RDGSBASE,
    INSN_WRFSBASE,
    INSN_WRGSBASE,
    INSN_OP_COUNT
};

enum insn_seg { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

#define INSN_NO_REG 16 /* base or index that is not there */

struct insn {
    uint8_t op;        /* enum insn_op */
    uint8_t len;       /* bytes, prefixes included */
    uint8_t size;      /* operand size in bytes: 1, 2, 4, 8; CMPXCHG8B: 8 or 16 */
    uint8_t mem_size;  /* bytes of the memory operand: size, but for MOVZX and MOVSX */
    uint8_t addr_size; /* 2, 4, 8 */
    uint8_t rep;       /* 0, 0xf2 or 0xf3 */
    uint8_t seg;       /* enum insn_seg: segment of the memory operand (source, for outs) */
    bool lock;
    bool forced;  /* behind the ABI's prefix that asks for emulation (ud2; "xen") */
    bool rex;     /* byte registers 4-7 are SPL..DIL, not AH..BH */
    bool has_imm; /* source is `imm` */
    bool to_reg;  /* the register is the destination, r/m the source */
    bool has_modrm;
    bool mem; /* r/m is memory: base, index, scale, disp are valid */
    bool rip_rel;
    uint8_t reg, rm;            /* register numbers, REX included */
    uint8_t base, index, scale; /* scale is the shift, 0 to 3 */
    int64_t disp;
    uint64_t imm; /* sign-extended to 64 bits */
};

enum insn_error { INSN_OK = 0, INSN_TRUNCATED = -1, INSN_UNKNOWN = -2 };

/*
 * Decode the instruction at bytes[0 .. len-1] as code of `mode`. INSN_OK with *out filled;
 * INSN_TRUNCATED when it may be one of ours but more bytes are needed; INSN_UNKNOWN for anything
 * that is not listed above or that the CPU would refuse (wrong LOCK, over 15 bytes). Reads at most
 * 15 bytes.
 */
int insn_decode(const uint8_t *bytes, size_t len, enum insn_mode mode, struct insn *out);

/*
 * Offset of the memory operand within its segment, truncated to the address size. regs->rip is the
 * instruction's own address. The caller adds the segment's base. Needs insn->mem.
 */
uint64_t insn_offset(const struct insn *insn, const struct x86_regs *regs);

/* Value of the register operand number n of an instruction's operand size (AH..BH understood). */
uint64_t insn_reg_read(const struct insn *insn, const struct x86_regs *regs, unsigned int n);
/* Write the register operand n as the CPU does at the instruction's operand size. */
void insn_reg_write(const struct insn *insn, struct x86_regs *regs, unsigned int n, uint64_t val);

#endif
