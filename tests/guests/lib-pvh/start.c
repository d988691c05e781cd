/* SPDX-License-Identifier: MIT */
/* From PVH's entry point to guest_main(): descriptor tables, the hypercall page. */
#include "pvh.h"

#define GDT_TSS 6 /* its index */
#define HYPERCALL_MSR 0x40000000u

const struct hvm_start_info *start_info;
struct shared_info *shared;
volatile unsigned int irq_hits[256];
uint8_t boot_cpu_area[CPU_AREA_SIZE] __attribute__((aligned(CPU_AREA_SIZE)));
struct cpu *cpus[XEN_LEGACY_MAX_VCPUS];

struct gate {
    uint16_t low, cs;
    uint8_t ist, attr;
    uint16_t mid;
    uint32_t high, reserved;
};
static struct gate idt[256];

static struct {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, iomap;
} __attribute__((packed)) tss;

extern uint64_t pvh_gdt[];
void pvh_start(const struct hvm_start_info *start);

uint64_t trap_cr2(const struct cpu *cpu)
{
    uint64_t v;

    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}

void trap_init_ap(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr = { sizeof(idt) - 1, (uint64_t)idt };

    __asm__ volatile("lidt %0" : : "m"(idtr));
}

void trap_init(void)
{
    uint64_t at = (uint64_t)&tss;

    for (unsigned int i = 0; i < 256; i++) {
        uint64_t stub = (uint64_t)trap_stubs + 16 * i;

        idt[i] = (struct gate){ (uint16_t)stub,
                                PVH_CS64,
                                0,
                                (uint8_t)(i == VEC_BP || i == VEC_OF || i == 0x80 ? 0xee : 0x8e),
                                (uint16_t)(stub >> 16),
                                (uint32_t)(stub >> 32),
                                0 };
    }
    tss.rsp[0] = (uint64_t)this_cpu() + CPU_TRAP_STACK;
    tss.iomap = sizeof(tss);
    pvh_gdt[GDT_TSS] = (sizeof(tss) - 1) | (at & 0xffffff) << 16 | 0x89ul << 40 |
                       (at >> 24 & 0xff) << 56;
    pvh_gdt[GDT_TSS + 1] = at >> 32;
    trap_init_ap();
    __asm__ volatile("ltr %w0" : : "r"(GDT_TSS * 8));
}

/* Interrupts count; a test that wants more sets event_hook or trap_hook. */
static bool count_interrupt(struct regs *r)
{
    if (r->vector < 32)
        return false;
    irq_hits[r->vector]++;
    if (r->vector == PVH_UPCALL_VECTOR) {
        this_cpu()->upcalls++;
        if (event_hook)
            event_hook(r);
    } else {
        wrmsr(0x80b, 0); /* end of interrupt, x2APIC */
    }
    return true;
}

unsigned long pvh_free_pfn(void)
{
    static unsigned long next;

    if (!next)
        next = 0x800; /* above the image and start_info */
    memset(pvh_virt(next), 0, PAGE_SIZE);
    return next++;
}

void pvh_map_shared(void)
{
    struct xen_add_to_physmap op = { .domid = DOMID_SELF,
                                     .space = XENMAPSPACE_shared_info,
                                     .gpfn = PVH_HOLE_PFN };
    struct xen_hvm_param param = { .domid = DOMID_SELF,
                                   .index = HVM_PARAM_CALLBACK_IRQ,
                                   .value = 2ul << 56 | PVH_UPCALL_VECTOR };

    CHECK_EQ(hc_memory_op(XENMEM_add_to_physmap, &op), 0, "shared_info");
    shared = pvh_virt(PVH_HOLE_PFN);
    CHECK_EQ(hc_hvm_op(HVMOP_set_param, &param), 0, "callback vector");
}

static uint64_t param(uint32_t index)
{
    struct xen_hvm_param p = { .domid = DOMID_SELF, .index = index };

    return hc_hvm_op(HVMOP_get_param, &p) ? 0 : p.value;
}

static void write_ring(const char *text, size_t n)
{
    console_ring_write(pvh_virt(param(HVM_PARAM_CONSOLE_PFN)),
                       (uint32_t)param(HVM_PARAM_CONSOLE_EVTCHN), text, n);
}

void pvh_start(const struct hvm_start_info *start)
{
    start_info = start;
    guest_cmdline = (const char *)start->cmdline_paddr;
    cpus[0] = (struct cpu *)boot_cpu_area;
    cpus[0]->vector = NO_FAULT;
    trap_init();
    trap_hook = count_interrupt;
    wrmsr(HYPERCALL_MSR, (uint64_t)hypercall_page);
    if (!(start->flags & SIF_INITDOMAIN))
        own_console = write_ring;
    guest_main();
    finish();
}
