/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions in host programs: calls on a simulated machine, in place of
 * hv/x86/cpu/ops.h. Compile with -Itests/host first, and link tests/host/x86/cpu/ops.c. A test
 * fills host_machine; what it leaves out reads as zero and ignores writes.
 */
#ifndef X86_CPU_OPS_H
#define X86_CPU_OPS_H

#include <stdbool.h>
#include <stdint.h>

/* One row of a CPUID table; sub 0xffffffff: any sub-leaf. */
struct host_cpuid {
    uint32_t leaf, sub, a, b, c, d;
};

struct host_msr {
    uint32_t msr;
    uint64_t val;
    bool read_only;
};

struct host_machine {
    const struct host_cpuid *cpuid; /* ends with a row of leaf and sub 0xffffffff */
    struct host_msr msr[64];        /* registers that exist; others: the safe forms return false */
    unsigned int nr_msr;
    void (*msr_written)(uint32_t msr);
    uint32_t (*in)(uint16_t port, unsigned int size);
    void (*out)(uint16_t port, unsigned int size, uint32_t val);
    uint64_t cr0, cr2, cr3, cr4, tsc;
    unsigned int wbinvds, invlpgs;
    uint64_t last_invlpg;
};
extern struct host_machine host_machine;

uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t val);
bool rdmsr_safe(uint32_t msr, uint64_t *val);
bool wrmsr_safe(uint32_t msr, uint64_t val);
void cpuid(uint32_t leaf, uint32_t sub, uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d);
uint8_t inb(uint16_t port);
uint16_t inw(uint16_t port);
uint32_t inl(uint16_t port);
void outb(uint16_t port, uint8_t v);
void outw(uint16_t port, uint16_t v);
void outl(uint16_t port, uint32_t v);
uint64_t rdtsc(void);
uint64_t read_cr0(void);
void write_cr0(uint64_t v);
uint64_t read_cr2(void);
uint64_t read_cr3(void);
void write_cr3(uint64_t v);
uint64_t read_cr4(void);
void write_cr4(uint64_t v);
void invlpg(uint64_t va);
#define INVPCID_ADDRESS 0ul
#define INVPCID_TAG 1ul
#define INVPCID_ALL 3ul
void invpcid(uint64_t kind, uint64_t tag, uint64_t va);
void wbinvd(void);
void cpu_pause(void);
void cli(void);
void sti_hlt_cli(void);
void clts(void);
void stts(void);

#endif
