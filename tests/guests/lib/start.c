/* SPDX-License-Identifier: MIT */
/* From the entry point to guest_main(). */
#include "guest.h"

#include <xen/io/console.h>

uint8_t boot_cpu_area[CPU_AREA_SIZE] __attribute__((aligned(CPU_AREA_SIZE)));
struct cpu *cpus[XEN_LEGACY_MAX_VCPUS];

void guest_start(struct start_info *start);

/* A guest's own console: the ring that the console daemon empties. */
static void write_ring(const char *text, size_t n)
{
    volatile struct xencons_interface *c = pfn_virt(M2P[si->console.domU.mfn]);
    struct evtchn_send op = { .port = si->console.domU.evtchn };

    while (n--) {
        while (c->out_prod - c->out_cons >= sizeof(c->out))
            hc_sched_op(SCHEDOP_yield, NULL);
        c->out[MASK_XENCONS_IDX(c->out_prod, c->out)] = *text++;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        c->out_prod++;
    }
    hc_event_channel_op(EVTCHNOP_send, &op);
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
