/* SPDX-License-Identifier: MIT */
/* From the entry point to guest_main(). */
#include "guest.h"

uint8_t boot_cpu_area[CPU_AREA_SIZE] __attribute__((aligned(CPU_AREA_SIZE)));
struct cpu *cpus[XEN_LEGACY_MAX_VCPUS];

void guest_start(struct start_info *start);

static void write_ring(const char *text, size_t n)
{
    console_ring_write(pfn_virt(M2P[si->console.domU.mfn]), si->console.domU.evtchn, text, n);
}

/*
 * A guest has a console and a store, whose daemons send events from the beginning; as Domain 0 it
 * has none, and tests count on silence.
 */
static void begin_as_guest(void)
{
    event_port_mask(si->console.domU.evtchn);
    event_port_mask(si->store_evtchn);
    shared->vcpu_info[0].evtchn_upcall_pending = 0;
    shared->vcpu_info[0].evtchn_pending_sel = 0;
    own_console = write_ring;
}

void guest_start(struct start_info *start)
{
    si = start;
    guest_cmdline = (const char *)si->cmd_line;
    cpus[0] = (struct cpu *)boot_cpu_area;
    cpus[0]->vector = NO_FAULT;
    trap_init();
    mm_init();
    if (!(si->flags & SIF_INITDOMAIN))
        begin_as_guest();
    guest_main();
    finish();
}
