/* SPDX-License-Identifier: MIT */
/* Two CPUs on one grant and on one port. */
#include "guest.h"

#define REF 20
#define ROUNDS 2000

static volatile bool stop;
static volatile grant_entry_v1_t *table;
static unsigned long page;
static unsigned int maps[2], pinned, breaches, odd_status;
static volatile unsigned int shared_port[2];

static void set_up(void)
{
    xen_pfn_t frame = 0;
    struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1 };

    setup.frame_list.p = &frame;
    CHECK_EQ(hc_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0, "setup_table");
    table = (grant_entry_v1_t *)(TEST_VA + (1ul << 21));
    map_page((uint64_t)table, mk_pte(frame, KERN_RW));
    page = alloc_table();
    table[REF].domid = 0;
    table[REF].frame = (uint32_t)p2m[page];
    table[REF].flags = GTF_permit_access;
}

/* Maps the grant writable at this CPU's own address, scribbles, cleans, unmaps. */
static bool map_once(unsigned int cpu)
{
    uint64_t va = TEST_VA + (cpu + 1) * PAGE_SIZE;
    struct gnttab_map_grant_ref op = { .host_addr = va, .flags = GNTMAP_host_map, .ref = REF };
    struct gnttab_unmap_grant_ref undo = { .host_addr = va };

    if (hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 1) || op.status)
        return false;
    for (int i = 0; i < 20; i++)
        *(volatile pte_t *)(va + 8 * cpu) = pfn_pte(kernel_l4_pfn, KERN_RW);
    *(volatile pte_t *)(va + 8 * cpu) = 0;
    undo.handle = op.handle;
    if (hc_grant_table_op(GNTTABOP_unmap_grant_ref, &undo, 1) || undo.status)
        __atomic_fetch_add(&odd_status, 1, __ATOMIC_SEQ_CST);
    maps[cpu]++;
    return true;
}

static void mapper(void *arg)
{
    while (!stop)
        map_once(1);
}

static void check_grant(void)
{
    volatile pte_t *p = pfn_virt(page);

    stop = false;
    CHECK(cpu_start(1, mapper, NULL));
    for (int i = 0; i < ROUNDS; i++) {
        if (i & 1) {
            map_once(0);
            continue;
        }
        if (mmuext1(MMUEXT_PIN_L1_TABLE, p2m[page], 0))
            continue;
        pinned++;
        for (int n = 0; n < 100; n++)
            breaches += p[0] != 0 || p[1] != 0;
        CHECK_EQ(mmuext1(MMUEXT_UNPIN_TABLE, p2m[page], 0), 0, "unpin");
    }
    stop = true;
    cpu_wait(1);
    CHECK_EQ(breaches, 0, "a table was written through a grant");
    CHECK_EQ(odd_status, 0, "unmaps that failed");
    CHECK(maps[0] && maps[1], "maps %u and %u", maps[0], maps[1]);
    CHECK_EQ(table[REF].flags, GTF_permit_access, "flags at the end");
    printk("note: maps %u and %u, pinned %u\n", maps[0], maps[1], pinned);
    table[REF].flags = 0;
    free_table(page);
}

/* Opens, connects, sends through and closes whatever port the other CPU is at. */
static void play_ports(unsigned int cpu)
{
    struct evtchn_alloc_unbound alloc = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
    struct evtchn_bind_interdomain bind = { .remote_dom = DOMID_SELF };
    struct evtchn_send send;

    if (hc_event_channel_op(EVTCHNOP_alloc_unbound, &alloc) == 0)
        shared_port[cpu] = alloc.port;
    bind.remote_port = shared_port[!cpu];
    if (hc_event_channel_op(EVTCHNOP_bind_interdomain, &bind) == 0) {
        send.port = bind.local_port;
        hc_event_channel_op(EVTCHNOP_send, &send);
        event_close(shared_port[!cpu]);
        send.port = shared_port[cpu];
        hc_event_channel_op(EVTCHNOP_send, &send);
        event_close(bind.local_port);
    }
    event_close(shared_port[cpu]);
}

static void port_player(void *arg)
{
    while (!stop)
        play_ports(1);
}

static void check_ports(void)
{
    struct evtchn_reset reset = { .dom = DOMID_SELF };
    struct evtchn_status st = { .dom = DOMID_SELF };
    unsigned int open = 0;

    stop = false;
    CHECK(cpu_start(1, port_player, NULL));
    for (int i = 0; i < ROUNDS; i++)
        play_ports(0);
    stop = true;
    cpu_wait(1);
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_reset, &reset), 0, "reset");
    for (unsigned int i = 1; i < 4096; i++) {
        st.port = i;
        if (hc_event_channel_op(EVTCHNOP_status, &st) == 0)
            open += st.status != EVTCHNSTAT_closed;
    }
    CHECK_EQ(open, 0, "ports left open");
}

void guest_main(void)
{
    struct account before, after;

    map_page(TEST_VA, 0);
    account_take(&before);
    set_up();
    check_grant();
    check_ports();
    account_take(&after);
    CHECK(after.free_pages + 64 >= before.free_pages, "%lu pages were lost",
          before.free_pages - after.free_pages);
}
