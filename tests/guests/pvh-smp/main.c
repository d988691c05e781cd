/* SPDX-License-Identifier: MIT */
/* Four CPUs started by INIT and SIPI, IPIs between them, and two that change memory's map at once.
 */
#include "pvh.h"

#define IPI_VECTOR 0x50
#define ROUNDS 200

static volatile unsigned int sum, stop;

static void add(void *arg)
{
    for (int i = 0; i < 10000; i++)
        __atomic_fetch_add(&sum, 1, __ATOMIC_SEQ_CST);
}

static void wait_ipi(void *arg)
{
    irq_on();
    while (!stop)
        __asm__ volatile("sti; hlt" ::: "memory");
    irq_off();
}

static void send_ipi(unsigned int cpu)
{
    wrmsr(0x830, (uint64_t)(2 * cpu) << 32 | 0x4000 | IPI_VECTOR);
}

static void ipis(void)
{
    unsigned int got = irq_hits[IPI_VECTOR];

    stop = 0;
    if (!cpu_start(2, wait_ipi, NULL))
        return;
    for (int i = 0; i < ROUNDS; i++) {
        send_ipi(2);
        while (irq_hits[IPI_VECTOR] == got)
            cpu_relax();
        got = irq_hits[IPI_VECTOR];
    }
    stop = 1;
    send_ipi(2);
    cpu_wait(2);
}

/*
 * Moves shared_info to and fro between two frames; the other CPU reads both all the time, with its
 * interrupts on or off: the machine's get it out of its guest either way. `shadow` is off, too.
 */
static void reader(void *arg)
{
    if (option("case=on"))
        irq_on();
    while (!stop) {
        if (option("case=shadow")) /* nothing comes in between the two */
            __asm__ volatile("sti; cli" ::: "memory");
        for (unsigned long i = 0; i < 2; i++)
            (void)*(volatile uint32_t *)pvh_virt(PVH_HOLE_PFN + 16 + i);
    }
}

static void race_on_map(void)
{
    struct xen_add_to_physmap op = { .domid = DOMID_SELF, .space = XENMAPSPACE_shared_info };

    stop = 0;
    if (!cpu_start(3, reader, NULL))
        return;
    for (unsigned long i = 0; i < ROUNDS; i++) {
        op.gpfn = PVH_HOLE_PFN + 16 + i % 2;
        if (!CHECK_EQ(hc_memory_op(XENMEM_add_to_physmap, &op), 0, "move shared_info"))
            break;
    }
    stop = 1;
    cpu_wait(3);
}

void guest_main(void)
{
    pvh_x2apic_on();
    for (unsigned int i = 1; i < 4; i++)
        cpu_start(i, add, NULL);
    for (unsigned int i = 1; i < 4; i++)
        cpu_wait(i);
    CHECK_EQ(sum, 30000, "additions of three CPUs");
    ipis();
    race_on_map();
}
