/* SPDX-License-Identifier: MIT */
/*
 * No hypercall of the core does more than 1,000,000 instructions between two looks at pending work,
 * whatever its arguments: each at what costs most, by itself and in a multicall.
 */
#include "core/types.h"

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>

#include "core/evtchn.h"
#include "core/grant.h"
#include "host/cost.h"
#include "host/host.h"
#include "unit.h"

static struct domain *tools, *g; /* g: as many vCPUs, ports and grants as a domain may have */
static struct vcpu *t0, *v;

#define ARG HOST_PAGE(0)
#define LIST HOST_PAGE(8) /* 8 pages in a row */
#define CONTROL 4
#define WORDS 5
#define PORTS 4095u

__attribute__((constructor)) static void boot(void)
{
    host_boot(60000, 8);
    tools = host_domain(0, 1, 40, true);
    g = host_domain(1, MAX_VCPUS, 40, false);
    CHECK_EQ(evtchn_set_limit(g, EVTCHN_FIFO_NR_CHANNELS - 1), 0);
    CHECK_EQ(grant_set_limits(g, MAX_GRANT_FRAMES, 0), 0);
    t0 = host_up(tools, 0);
    host_be(1);
    v = g->vcpu[0];
    __atomic_fetch_and(&v->pause_flags, ~(uint32_t)VP_DOWN, __ATOMIC_SEQ_CST);
    arch_this_cpu()->current = v;
}

static void check(const char *what, uint64_t cost)
{
    if (getenv("COST_SHOW"))
        printf("  %s: %lu\n", what, (unsigned long)cost);
    if (cost > COST_MAX) {
        printf("%s: about %lu instructions between two looks\n", what, (unsigned long)cost);
        unit_failures++;
    }
}

static void should_be(const char *what, long rc, long want)
{
    if (rc == want)
        return;
    printf("%s: %ld, not %ld\n", what, rc, want);
    unit_failures++;
}

/* One call, by v, whose argument is at ARG. */
static long by_v(const char *what, unsigned long nr, unsigned long a0, unsigned long a1,
                 unsigned long a2)
{
    long rc;

    check(what, cost_of(v, nr, a0, a1, a2, 0, &rc));
    return rc;
}

/* The same calls, in turn, as many as fit: `n` kinds of them. */
static void in_multicall(const char *what, const struct multicall_entry *calls, unsigned int n)
{
    struct multicall_entry *list = host_guest(g, LIST);
    unsigned int total = 8 * PAGE_SIZE / sizeof(*list);

    for (unsigned int page = 0; page < 8; page++) /* entries cross pages: byte by byte */
        CHECK(host_guest(g, LIST + page * PAGE_SIZE));
    for (unsigned int i = 0; i < total; i++)
        for (size_t b = 0; b < sizeof(*list); b++)
            *(uint8_t *)host_guest(g, LIST + i * sizeof(*list) +
                                          b) = ((const uint8_t *)&calls[i % n])[b];
    should_be(what, by_v(what, __HYPERVISOR_multicall, LIST, total, 0), 0);
}

static void open_ports(void)
{
    evtchn_port p;

    for (unsigned int i = 0; i < PORTS; i++)
        CHECK_EQ(evtchn_bind_ipi(g, 0, &p), 0);
}

static void reset(void)
{
    while (evtchn_reset(g, true) == E(EAGAIN))
        pcpu_gave_way(arch_this_cpu());
}

TEST(switches_of_form)
{
    struct evtchn_init_control *init = host_guest(g, ARG);
    struct evtchn_reset *off = host_guest(g, ARG + 256);
    struct multicall_entry calls[] = {
        { .op = __HYPERVISOR_event_channel_op, .args = { EVTCHNOP_init_control, ARG } },
        { .op = __HYPERVISOR_event_channel_op, .args = { EVTCHNOP_reset, ARG + 256 } },
    };

    open_ports();
    *init = (struct evtchn_init_control){ .control_gfn = host_guest_mfn(g, CONTROL).v };
    off->dom = DOMID_SELF;
    should_be("reset", by_v("reset", __HYPERVISOR_event_channel_op, EVTCHNOP_reset, ARG + 256, 0),
              0);
    in_multicall("init_control and reset", calls, 2);
    in_multicall("reset", calls + 1, 1);
    reset();
}

TEST(words_for_many_ports)
{
    struct evtchn_expand_array *op = host_guest(g, ARG);

    open_ports();
    for (unsigned int i = 0; i < MAX_VCPUS; i++) /* one page has room for four; it is rubbish */
        CHECK_EQ(evtchn_init_control(g, i, host_guest_mfn(g, CONTROL).v, 0), 0);
    for (unsigned int i = 1; i <= PORTS; i++)
        evtchn_send(v, i);
    for (unsigned int i = 0; i < MAX_VCPUS; i++)
        g->vcpu[i]->poll_port = POLL_SEVERAL;
    g->pollers = MAX_VCPUS;
    op->array_gfn = host_guest_mfn(g, WORDS).v;
    should_be("expand_array",
              by_v("expand_array", __HYPERVISOR_event_channel_op, EVTCHNOP_expand_array, ARG, 0),
              0);
    g->pollers = 0;
    for (unsigned int i = 0; i < MAX_VCPUS; i++)
        g->vcpu[i]->poll_port = POLL_OFF;
    reset();
}

TEST(events_with_many_pollers)
{
    evtchn_port *p = host_guest(g, ARG);
    struct multicall_entry call = { .op = __HYPERVISOR_event_channel_op,
                                    .args = { EVTCHNOP_send, ARG } };

    CHECK_EQ(evtchn_bind_ipi(g, 0, p), 0);
    for (unsigned int i = 0; i < MAX_VCPUS; i++)
        g->vcpu[i]->poll_port = POLL_SEVERAL;
    g->pollers = MAX_VCPUS;
    in_multicall("send", &call, 1);
    g->pollers = 0;
    for (unsigned int i = 0; i < MAX_VCPUS; i++)
        g->vcpu[i]->poll_port = POLL_OFF;
    reset();
}

TEST(ports_opened_and_closed)
{
    struct multicall_entry call = { .op = __HYPERVISOR_event_channel_op,
                                    .args = { EVTCHNOP_bind_ipi, ARG } };

    memset(host_guest(g, ARG), 0, 64);
    in_multicall("bind_ipi", &call, 1);
    reset();
}

TEST(grants)
{
    struct gnttab_setup_table *setup = host_guest(g, ARG);
    struct grant_entry_v1 *table;
    struct gnttab_copy *copy;
    struct gnttab_map_grant_ref *map;
    struct gnttab_transfer *give;

    *setup = (struct gnttab_setup_table){ .dom = DOMID_SELF, .nr_frames = MAX_GRANT_FRAMES };
    set_xen_guest_handle_raw(setup->frame_list, (void *)HOST_PAGE(1));
    should_be("setup_table",
              by_v("setup_table", __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, ARG, 1), 0);
    table = arch_map(grant_frame_mfn(g, 0));
    table[9] = (struct grant_entry_v1){ .flags = GTF_permit_access,
                                        .domid = 1,
                                        .frame = (uint32_t)host_guest_mfn(g, 6).v };
    for (unsigned int i = 0; i < 60; i++) {
        copy = host_guest(g, ARG + 64 * i);
        *copy = (struct gnttab_copy){ .len = PAGE_SIZE, .flags = GNTCOPY_source_gref };
        copy->source.u.ref = 9;
        copy->source.domid = DOMID_SELF;
        copy->dest.u.gmfn = host_guest_mfn(g, 7).v;
        copy->dest.domid = DOMID_SELF;
    }
    struct multicall_entry calls[] = {
        { .op = __HYPERVISOR_grant_table_op, .args = { GNTTABOP_copy, ARG, 60 } },
        { .op = __HYPERVISOR_grant_table_op, .args = { GNTTABOP_setup_table, ARG, 1 } },
        { .op = __HYPERVISOR_grant_table_op, .args = { GNTTABOP_map_grant_ref, ARG, 64 } },
        { .op = __HYPERVISOR_grant_table_op, .args = { GNTTABOP_transfer, ARG, 1 } },
    };
    in_multicall("copy", calls, 1);
    *setup = (struct gnttab_setup_table){ .dom = DOMID_SELF, .nr_frames = MAX_GRANT_FRAMES };
    set_xen_guest_handle_raw(setup->frame_list, (void *)HOST_PAGE(1));
    in_multicall("setup_table", calls + 1, 1);
    for (unsigned int i = 0; i < 64; i++) {
        map = host_guest(g, ARG + sizeof(*map) * i);
        *map = (struct gnttab_map_grant_ref){
            .host_addr = 0x40000000, .flags = GNTMAP_host_map, .ref = 9, .dom = 1
        };
    }
    in_multicall("map_grant_ref", calls + 2, 1);
    give = host_guest(g, ARG);
    *give = (struct gnttab_transfer){ .mfn = 1, .domid = 0, .ref = 8 };
    in_multicall("transfer, refused", calls + 3, 1);
}

TEST(reservations)
{
    struct xen_memory_reservation *r = host_guest(g, ARG);
    long rc;

    for (unsigned int order = 0; order <= 9; order += 9) {
        *r = (struct xen_memory_reservation){ .nr_extents = order ? 40 : 512,
                                              .extent_order = order,
                                              .domid = DOMID_SELF };
        set_xen_guest_handle_raw(r->extent_start, (void *)HOST_PAGE(1));
        for (unsigned int i = 0; i < 512; i++)
            ((xen_pfn_t *)host_guest(g, HOST_PAGE(1)))[i] = i << order;
        rc = by_v("populate_physmap", __HYPERVISOR_memory_op, XENMEM_populate_physmap, ARG, 0);
        CHECK(rc > 0);
        r->nr_extents = (uint64_t)rc;
        CHECK_EQ(by_v("decrease_reservation", __HYPERVISOR_memory_op, XENMEM_decrease_reservation,
                      ARG, 0),
                 rc);
    }
}

/* Domain 0's may be larger than a go. */
TEST(large_extents)
{
    struct xen_memory_reservation *r = host_guest(tools, ARG);
    xen_pfn_t *list = host_guest(tools, HOST_PAGE(1));
    long rc;

    host_be(0);
    *r = (struct xen_memory_reservation){ .nr_extents = 1, .extent_order = 13, .domid = 1 };
    set_xen_guest_handle_raw(r->extent_start, (void *)HOST_PAGE(1));
    *list = 0;
    check("populate_physmap, 32 MiB",
          cost_of(t0, __HYPERVISOR_memory_op, XENMEM_populate_physmap, ARG, 0, 0, &rc));
    should_be("populate_physmap, 32 MiB", rc, 1);
    check("decrease_reservation, 32 MiB",
          cost_of(t0, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, ARG, 0, 0, &rc));
    should_be("decrease_reservation, 32 MiB", rc, 1);
    /* What fails at its end is undone. */
    g->max_pages = g->tot_pages + 8192;
    *list = 0;
    set_xen_guest_handle_raw(r->extent_start, (void *)HOST_PAGE(1));
    rc = hypercall_dispatch(t0, __HYPERVISOR_memory_op, &HC_ARGS(XENMEM_populate_physmap, ARG));
    should_be("populate_physmap, a go", rc, HC_RESTART);
    g->max_pages = g->tot_pages + 4000;
    check("populate_physmap, undone",
          cost_of(t0, __HYPERVISOR_memory_op, t0->restart_args.a[0], ARG, 0, 0, &rc));
    should_be("populate_physmap, undone", rc, 0);
    g->max_pages = 1u << 20;
    host_be(1);
}

TEST(polls)
{
    struct sched_poll *poll = host_guest(g, ARG);
    struct multicall_entry call = { .op = __HYPERVISOR_sched_op, .args = { SCHEDOP_poll, ARG } };

    *poll = (struct sched_poll){ .nr_ports = 128, .timeout = 1 };
    set_xen_guest_handle_raw(poll->ports, (void *)HOST_PAGE(1));
    for (unsigned int i = 0; i < 128; i++)
        ((evtchn_port_t *)host_guest(g, HOST_PAGE(1)))[i] = 1 + i;
    by_v("poll", __HYPERVISOR_sched_op, SCHEDOP_poll, ARG, 0);
    (void)call;
    v->poll_port = POLL_OFF;
    g->pollers = 0;
    __atomic_fetch_and(&v->pause_flags, ~(uint32_t)VP_BLOCKED, __ATOMIC_SEQ_CST);
}

TEST(list_of_domains)
{
    struct xen_sysctl *op = host_guest(tools, ARG);
    long rc;

    for (unsigned int i = 2; i < 300; i++)
        host_domain((domid_t)i, MAX_VCPUS, 0, false);
    host_be(0);
    *op = (struct xen_sysctl){ .cmd = XEN_SYSCTL_getdomaininfolist,
                               .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
    op->u.getdomaininfolist.max_domains = 1000;
    set_xen_guest_handle_raw(op->u.getdomaininfolist.buffer, (void *)HOST_PAGE(1));
    check("getdomaininfolist", cost_of(t0, __HYPERVISOR_sysctl, ARG, 0, 0, 0, &rc));
    should_be("getdomaininfolist", rc, 0);
    CHECK_EQ(op->u.getdomaininfolist.num_domains, 300);
}
