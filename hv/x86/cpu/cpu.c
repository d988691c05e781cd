/* SPDX-License-Identifier: MIT */
/* Bringing one CPU into the state in which guests run: descriptor tables, MSRs, control registers.
 */
#include "x86/cpu/cpu.h"

#include "core/bug.h"
#include "core/frame.h"
#include "core/log.h"
#include "core/vcpu.h"
#include "lib/string.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/cpu/segs.h"
#include "x86/cpu/spec.h"
#include "x86/mm/isolation.h"
#include "x86/mm/paging.h"
#include "x86/trap.h"

/* The ABI's PAT: WB WT UC- UC WC WP UC UC (Linux's PV code relies on it). */
#define PAT_VALUE 0x050100070406ull

struct cpu_features cpu_feat;

struct idt_gate {
    uint16_t offset_low, selector;
    uint8_t ist, attr;
    uint16_t offset_mid;
    uint32_t offset_high, reserved;
};
static struct idt_gate idt[256]
    __attribute__((aligned(4096))); /* a page of its own: mm/isolation.h */
static struct idt_gate flat_idt[256] __attribute__((aligned(16))); /* without other stacks */

extern const uint64_t boot_gdt[]; /* boot/head.S */
extern const char __alt_start[], __alt_end[];

/* entry.S's PATCHED: addresses relative to their own place. */
struct patched_jump {
    int32_t site, target;
    uint32_t kind; /* JUMP_* */
};
extern const struct patched_jump __jump_start[], __jump_end[];
enum { JUMP_VERW = 1, JUMP_RSB = 2, JUMP_ISOLATE = 3 };

static bool bit_of(uint32_t reg, unsigned int bit)
{
    return reg >> bit & 1;
}

static void detect_xsave(void)
{
    uint32_t a, b, c, d;

    cpuid(0xd, 0, &a, &b, &c, &d);
    /* x87, SSE, AVX, and AVX-512's three: what PV guests may use. */
    cpu_feat.xcr0_mask = ((uint64_t)d << 32 | a) & 0xe7;
    cpuid(0xd, 1, &a, &b, &c, &d);
    cpu_feat.xsaveopt = a & 1;
}

void cpu_detect(bool want_smap, bool want_smep)
{
    uint32_t a, b, c, d, max, emax;

    cpuid(0, 0, &max, &b, &c, &d);
    cpu_feat.intel = b == 0x756e6547;
    cpu_feat.amd = b == 0x68747541 || b == 0x6f677948;
    cpuid(1, 0, &a, &b, &c, &d);
    cpu_feat.xsave = bit_of(c, 26);
    cpu_feat.x2apic = bit_of(c, 21);
    cpu_feat.tsc_deadline = bit_of(c, 24);
    if (max >= 7) {
        cpuid(7, 0, &a, &b, &c, &d);
        cpu_feat.fsgsbase = bit_of(b, 0);
        cpu_feat.smep = want_smep && bit_of(b, 7);
        cpu_feat.smap = want_smap && bit_of(b, 20);
        cpu_feat.umip = bit_of(c, 2);
        cpu_feat.cet = bit_of(c, 7);
    }
    cpuid(0x80000000, 0, &emax, &b, &c, &d);
    cpuid(0x80000001, 0, &a, &b, &c, &d);
    cpu_feat.nx = bit_of(d, 20);
    cpu_feat.page1gb = bit_of(d, 26);
    if (emax >= 0x80000007) {
        cpuid(0x80000007, 0, &a, &b, &c, &d);
        cpu_feat.invariant_tsc = bit_of(d, 8);
    }
    cpu_feat.fpu_pointers_stay = cpu_feat.amd;
    cpu_feat.phys_bits = 36;
    cpu_feat.virt_bits = 48;
    if (emax >= 0x80000008) {
        cpuid(0x80000008, 0, &a, &b, &c, &d);
        cpu_feat.phys_bits = (uint8_t)a;
        cpu_feat.virt_bits = (uint8_t)(a >> 8);
        cpu_feat.fpu_pointers_stay &= !bit_of(b, 2); /* RstrFpErrPtrs */
    }
    cpu_feat.pte_reserved = PTE_ADDR & ~((1ull << cpu_feat.phys_bits) - 1);
    cpu_feat.xsave_size = 512;
    if (cpu_feat.xsave && max >= 0xd)
        detect_xsave();
}

/* The ways in and out that the processor's weaknesses ask for. */
static void patch_jumps(void)
{
    const bool wanted[] = { [JUMP_VERW] = spec_choice.verw,
                            [JUMP_RSB] = spec_choice.rsb_fill,
                            [JUMP_ISOLATE] = spec_isolates() };

    for (const struct patched_jump *j = __jump_start; j < __jump_end; j++) {
        uint64_t site = (uint64_t)&j->site + (uint64_t)(int64_t)j->site;
        uint64_t target = (uint64_t)&j->target + (uint64_t)(int64_t)j->target;
        int32_t distance = (int32_t)(target - (site + 5));
        uint8_t *at = direct(image_pa((void *)site));

        if (!wanted[j->kind])
            continue;
        if (at[0] != 0xe8) /* a call stays one */
            at[0] = 0xe9;
        memcpy(at + 1, &distance, sizeof(distance));
    }
}

/* stac and clac over the no-ops of the entry code, through the direct map. */
static void patch_alternatives(void)
{
    static const uint8_t code[3][3] = { { 0 }, { 0x0f, 0x01, 0xcb }, { 0x0f, 0x01, 0xca } };

    if (!cpu_feat.smap)
        return;
    for (const int32_t *e = (const int32_t *)__alt_start; e < (const int32_t *)__alt_end; e += 2) {
        uint64_t va = (uint64_t)e + (uint64_t)(int64_t)e[0];
        memcpy(direct(image_pa((void *)va)), code[e[1]], 3);
    }
}

/* `stacks`: there is a TSS with stacks for NMI, #MC, #DF and #DB. */
static void idt_build(struct idt_gate *table, uint16_t selector, bool stacks)
{
    for (int i = 0; i < 256; i++) {
        uint64_t at = (uint64_t)vector_stubs + (uint64_t)i * 16;
        uint8_t dpl = (i == 3 || i == 4 || i == 0x80) ? 3 : 0;
        uint8_t ist = i == 2 ? 1 : i == 18 ? 2 : i == 8 ? 3 : i == 1 ? 4 : 0;
        table[i] = (struct idt_gate){ (uint16_t)at,
                                      selector,
                                      stacks ? ist : 0,
                                      (uint8_t)(0x8e | dpl << 5),
                                      (uint16_t)(at >> 16),
                                      (uint32_t)(at >> 32),
                                      0 };
    }
}

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

void cpu_early_traps(void)
{
    struct table_pointer gdtr = { 4 * 8 - 1, (uint64_t)boot_gdt };
    struct table_pointer idtr = { sizeof(idt) - 1, (uint64_t)idt };

    idt_build(idt, BOOT_CS64, false);
    __asm__ volatile("lgdt %0; lidt %1" ::"m"(gdtr), "m"(idtr));
}

void cpu_use_ist(bool on)
{
    struct table_pointer idtr = { sizeof(idt) - 1, (uint64_t)(on ? idt : flat_idt) };

    __asm__ volatile("lidt %0" ::"m"(idtr));
}

uint64_t cpu_idt_base(void)
{
    return (uint64_t)idt;
}

static uint64_t stack_slot(unsigned int id)
{
    return STACKS_BASE + (uint64_t)id * STACK_SLOT;
}

static void map_new_page(uint64_t va)
{
    void *p = frame_alloc_hv();

    if (!p)
        panic("Out of memory for CPU stacks");
    paging_map(va, direct_pa(p), PTE_P | PTE_RW | PTE_A | PTE_D | PTE_G | nx_bit);
}

static void fill_reserved_gdt(struct x86_pcpu *xp)
{
    uint64_t *g = xp->gdt_page;
    uint64_t tss = (uint64_t)&xp->tss;

    g[1] = 0x00af9b000000ffff; /* hypervisor code */
    g[2] = 0x00cf93000000ffff; /* hypervisor data */
    /* g[3], ring 1 code for 32-bit kernels, stays empty: no iret frame may lead below ring 3. */
    g[4] = 0x00cffb000000ffff; /* ring 3 code, 32-bit */
    g[5] = 0x00cff3000000ffff; /* ring 3 data */
    g[6] = 0x00affb000000ffff; /* ring 3 code, 64-bit */
    g[8] = (sizeof(struct x86_tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
           (tss >> 24 & 0xff) << 56;
    g[9] = tss >> 32;
}

/* Entries of the GDT's window, up to the LDT: a page of zeros, whose descriptors are all null. */
static void map_empty_gdt(struct x86_pcpu *xp)
{
    static void *zeros;

    if (!zeros)
        zeros = frame_alloc_hv();
    if (!zeros)
        panic("Out of memory for CPU stacks");
    xp->gdt_none = direct_pa(zeros) | PTE_P | PTE_A | nx_bit;
    for (unsigned int i = 0; i < LDT_OFFSET >> PAGE_SHIFT; i++)
        if (i != GDT_RESERVED_PAGE)
            xp->gdt_ptes[i] = xp->gdt_none;
}

struct x86_pcpu *cpu_create(unsigned int id, uint32_t apic_id)
{
    static const uint8_t pages[] = { STACK_NMI_PAGE, STACK_MC_PAGE, STACK_DF_PAGE, STACK_DB_PAGE };
    struct x86_pcpu *xp = frame_alloc_hv();
    struct vcpu *idle = frame_alloc_hv();
    uint64_t gdt = GDTS_BASE + (uint64_t)id * GDT_WINDOW;

    _Static_assert(sizeof(struct x86_pcpu) <= PAGE_SIZE, "one page a CPU");
    if (!xp || !idle)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
        map_new_page(stack_slot(id) + pages[i] * PAGE_SIZE);
    for (uint64_t i = STACK_MAIN_PAGE; id != 0 && i < 16; i++)
        map_new_page(stack_slot(id) + i * PAGE_SIZE);
    map_new_page(gdt + GDT_RESERVED_PAGE * PAGE_SIZE);
    xp->gdt_ptes = paging_pte(gdt);
    xp->gdt_page = direct(xp->gdt_ptes[GDT_RESERVED_PAGE] & PTE_ADDR);
    map_empty_gdt(xp);
    xp->apic_id = apic_id;
    xp->tss.rsp[0] = stack_slot(id) + STACK_SLOT - sizeof(struct cpu_info) +
                     offsetof(struct cpu_info, regs) + sizeof(struct x86_regs);
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
        xp->tss.ist[i] = stack_slot(id) + (uint64_t)(pages[i] + 1) * PAGE_SIZE;
    xp->tss.iomap = sizeof(struct x86_tss);
    fill_reserved_gdt(xp);
    pcpu_init(&xp->p, id, idle);
    struct cpu_info *ci = (struct cpu_info *)(stack_slot(id) + STACK_SLOT - sizeof(*ci));
    ci->pcpu = &xp->p;
    ci->current = idle;
    return isolation_create(xp) ? xp : NULL;
}

static void load_tables(struct x86_pcpu *xp)
{
    struct table_pointer gdtr = { 0xffff, GDTS_BASE + xp->p.id * (uint64_t)GDT_WINDOW };
    struct table_pointer idtr = { sizeof(idt) - 1, (uint64_t)idt };

    __asm__ volatile("lgdt %0; lidt %1" ::"m"(gdtr), "m"(idtr));
    __asm__ volatile("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq; 1:" ::"i"(HV_CS)
                     : "rax", "memory");
    __asm__ volatile("mov %0, %%ss" ::"r"(0));
    xp->gdt_page[8] &= ~(2ull << 40); /* not busy, so that ltr takes it */
    __asm__ volatile("ltr %w0" ::"r"(SEL_TSS));
    __asm__ volatile("lldt %w0" ::"r"(0));
}

static void load_msrs(struct x86_pcpu *xp)
{
    uint64_t stub = (uint64_t)entry_stubs + xp->p.id * 64ull;

    wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1 /* SCE */);
    wrmsr(MSR_STAR, (uint64_t)SEL_RING3_CS32 << 48 | (uint64_t)HV_CS << 32);
    wrmsr(MSR_LSTAR, stub);
    wrmsr(MSR_CSTAR, stub + 32);
    wrmsr(MSR_FMASK, X86_FLAGS_TF | X86_FLAGS_IF | X86_FLAGS_DF | X86_FLAGS_NT | X86_FLAGS_AC |
                         X86_FLAGS_RF | X86_FLAGS_VM | X86_FLAGS_IOPL);
    if (cpu_feat.intel) { /* AMD has no SYSENTER in long mode, but QEMU's models may */
        wrmsr(MSR_SYSENTER_CS, HV_CS);
        wrmsr(MSR_SYSENTER_ESP, xp->tss.rsp[0]);
        wrmsr(MSR_SYSENTER_EIP, (uint64_t)sysenter_entry);
    } else {
        wrmsr(MSR_SYSENTER_CS, 0);
    }
    wrmsr(MSR_PAT, PAT_VALUE);
}

void cpu_init_this(struct x86_pcpu *xp)
{
    static bool tables_built;
    uint64_t cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_MCE | CR4_DE;
    uint32_t a, b, c, d;

    if (!tables_built) {
        idt_build(idt, HV_CS, true);
        idt_build(flat_idt, HV_CS, false);
        patch_alternatives();
        patch_jumps();
        tables_built = true;
    }
    load_tables(xp);
    if (!spec_isolates()) /* global translations would outlive the switch to a guest's root */
        cr4 |= CR4_PGE;
    if (spec_choice.tags) /* CR3 has tag 0 now */
        cr4 |= CR4_PCIDE;
    if (cpu_feat.fsgsbase)
        cr4 |= CR4_FSGSBASE;
    if (cpu_feat.xsave)
        cr4 |= CR4_OSXSAVE;
    if (cpu_feat.umip)
        cr4 |= CR4_UMIP;
    if (cpu_feat.smep)
        cr4 |= CR4_SMEP;
    if (cpu_feat.smap)
        cr4 |= CR4_SMAP;
    write_cr4(cr4);
    xp->cr4 = cr4;
    write_cr0(0x80050033); /* PG AM WP NE ET MP PE: caches on, TS off */
    load_msrs(xp);
    if (cpu_feat.xsave) {
        xsetbv0(cpu_feat.xcr0_mask);
        cpuid(0xd, 0, &a, &b, &c, &d);
        cpu_feat.xsave_size = MAX(b, 576u);
    }
    __asm__ volatile("mov %0, %%dr7" ::"r"(0x400ul));
    xp->dr7 = 0x400;
}
