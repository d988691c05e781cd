/* SPDX-License-Identifier: MIT */
/* From the entry point to guest_main(). */
#include "guest.h"

uint8_t boot_cpu_area[CPU_AREA_SIZE] __attribute__((aligned(CPU_AREA_SIZE)));
struct cpu *cpus[XEN_LEGACY_MAX_VCPUS];

void guest_start(struct start_info *start);

void guest_start(struct start_info *start)
{
    si = start;
    guest_cmdline = (const char *)si->cmd_line;
    cpus[0] = (struct cpu *)boot_cpu_area;
    cpus[0]->vector = NO_FAULT;
    trap_init();
    mm_init();
    guest_main();
    finish();
}
