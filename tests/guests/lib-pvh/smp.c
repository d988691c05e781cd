/* SPDX-License-Identifier: MIT */
/* Further CPUs by INIT and SIPI through the x2APIC: each runs one function, then halts. */
#include "pvh.h"

#define TRAMPOLINE 0x8000u
#define MAX_CPUS 8
#define MSR_APIC_BASE 0x1bu
#define MSR_ICR 0x830u
#define ICR_INIT 0x4500u
#define ICR_SIPI 0x4600u

static uint8_t areas[MAX_CPUS - 1][CPU_AREA_SIZE] __attribute__((aligned(CPU_AREA_SIZE)));
extern const char pvh_trampoline[], pvh_trampoline_end[];
uint32_t pvh_ap_area;
void pvh_ap_start(struct cpu *cpu);

void pvh_x2apic_on(void)
{
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 0xc00);
    wrmsr(0x80f, 0x1ff); /* spurious vector, APIC on */
}

void pvh_ap_start(struct cpu *cpu)
{
    trap_init_ap();
    pvh_x2apic_on();
    cpu->ap_begun = true;
    cpu->ap_fn(cpu->ap_arg);
    cpu->ap_done = true;
    for (;;)
        __asm__ volatile("cli; hlt");
}

bool cpu_start(unsigned int id, void (*fn)(void *), void *arg)
{
    struct cpu *cpu = (struct cpu *)areas[id - 1];
    uint64_t dest = (uint64_t)(2 * id) << 32;

    cpus[id] = cpu;
    cpu->id = id;
    cpu->vector = NO_FAULT;
    cpu->ap_fn = fn;
    cpu->ap_arg = arg;
    cpu->ap_begun = cpu->ap_done = false;
    pvh_ap_area = (uint32_t)(uint64_t)cpu;
    memcpy((void *)(uint64_t)TRAMPOLINE, pvh_trampoline,
           (size_t)(pvh_trampoline_end - pvh_trampoline));
    wrmsr(MSR_ICR, dest | ICR_INIT);
    wrmsr(MSR_ICR, dest | ICR_SIPI | TRAMPOLINE >> 12);
    for (unsigned long i = 0; !cpu->ap_begun && i < 1000000000; i++)
        cpu_relax();
    return CHECK(cpu->ap_begun, "CPU %u does not start", id);
}

void cpu_wait(unsigned int id)
{
    while (!cpus[id]->ap_done)
        cpu_relax();
}

void cpu_nothing(void *arg)
{
    (void)arg;
}
