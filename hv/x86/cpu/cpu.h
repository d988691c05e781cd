/* SPDX-License-Identifier: MIT */
/* A physical CPU: descriptor tables, the top of its stack, what it can do. */
#ifndef X86_CPU_CPU_H
#define X86_CPU_CPU_H

#include "core/pcpu.h"
#include "x86/layout.h"
#include "x86/regs.h"

/* At the top of each CPU's main stack; the entry code pushes into regs. */
struct cpu_info {
    uint64_t pad;         /* keeps the end of regs 16-byte aligned, where the CPU pushes */
    struct x86_regs regs; /* registers of the guest that was interrupted last */
    struct vcpu *current;
    struct pcpu *pcpu;
    uint64_t scratch[2]; /* for the SYSCALL path */
    /* mm/isolation.h: the root that this CPU's guest was last left with, and the L4 it stands for.
     */
    uint64_t isolated_cr3, guest_cr3;
};

struct x86_tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t iomap;
} __attribute__((packed));

struct x86_pcpu {
    struct pcpu p; /* first */
    uint32_t apic_id;
    uint32_t acpi_id;
    struct x86_tss tss __attribute__((aligned(16)));
    uint64_t *gdt_ptes;     /* L1 entries of this CPU's GDT window (32 of them: GDT, LDT) */
    uint64_t *gdt_page;     /* the reserved page, by direct map */
    uint64_t gdt_none;      /* entry of the window for a page that the guest's GDT has not */
    unsigned int gdt_shown; /* pages from the first on that may show one of a guest */
    struct vcpu *resident;  /* whose state is in the registers (x86/switch.h); NULL: nobody's */
    uint64_t dr7;           /* hardware DR7 as loaded */
    uint64_t cr4;           /* CR4 as loaded */
    uint64_t tsc_aux;       /* MSR_TSC_AUX as loaded, with TSC_AUX_KNOWN; 0: unknown */
    struct {
        struct timer timer;
        uint64_t seen;           /* the neighbour's heartbeat when it last changed */
        uint32_t missed;         /* own beats since then */
    } watch;                     /* watchdog.c's */
    struct isolation *isolation; /* NULL: no guest runs isolated (mm/isolation.h) */
};

#define TSC_AUX_KNOWN (1ull << 32)

static inline struct cpu_info *cpu_info(void)
{
    uint64_t sp;
    __asm__("mov %%rsp, %0" : "=r"(sp));
    return (struct cpu_info *)((sp | (STACK_SLOT - 1)) + 1 - sizeof(struct cpu_info));
}

static inline struct x86_pcpu *this_x86(void)
{
    return (struct x86_pcpu *)cpu_info()->pcpu;
}

static inline unsigned int this_cpu_id(void)
{
    return cpu_info()->pcpu->id;
}

/* What the boot CPU offers and we use; others must offer no less. */
struct cpu_features {
    bool nx, smep, smap, fsgsbase, page1gb, xsave, xsaveopt, osxsave_ok, fxsr_opt, x2apic;
    bool invariant_tsc, tsc_deadline, intel, amd, umip, cet;
    bool fpu_pointers_stay; /* AMD: restoring x87 state may leave the last instruction's address */
    uint64_t xcr0_mask;     /* states we let guests use */
    uint32_t xsave_size;    /* bytes for xcr0_mask */
    uint64_t pte_reserved;  /* address bits of an entry beyond phys_bits */
    uint8_t phys_bits, virt_bits;
};
extern struct cpu_features cpu_feat;

/* Read CPUID into cpu_feat; BSP only, first thing. `smap` false: command line said smap=0. */
void cpu_detect(bool want_smap, bool want_smep);
/*
 * First CPU, at once: descriptor tables by which a fault before cpu_init_this() ends in a panic
 * that can be read. All exceptions on the boot stack.
 */
void cpu_early_traps(void);
/* After spec_init(). Load GDT, IDT, TSS, control registers and SYSCALL MSRs on this CPU. */
void cpu_init_this(struct x86_pcpu *xp);
/*
 * While false, NMI, #MC, #DF and #DB on this CPU use the stack they find, and no TSS: for when TR
 * is a guest's. Nothing may run in ring 3 then.
 */
void cpu_use_ist(bool on);
/* The IDT that all CPUs have after cpu_init_this(). */
uint64_t cpu_idt_base(void);
/* Build the stack, the descriptor window and the record of CPU `id`; NULL: no memory. */
struct x86_pcpu *cpu_create(unsigned int id, uint32_t apic_id);
/* Start the CPUs of these APIC ids, one after the other; nr_pcpus counts those that came. */
void smp_boot(const uint32_t *apic_ids, unsigned int n);

#endif
