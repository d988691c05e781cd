/* SPDX-License-Identifier: MIT */
/* A device's interrupt as Dom0 gets it: the RTC's periodic interrupt (GSI 8, edge) as a PIRQ. */
#include "guest.h"

#define MS 1000000ul

static void out(unsigned int port, unsigned int v)
{
    __asm__ volatile(EX("outb %b0, %w1") : : "a"(v), "d"(port));
}

static unsigned int in(unsigned int port)
{
    unsigned int v = 0;

    __asm__ volatile(EX("inb %w1, %b0") : "+a"(v) : "d"(port));
    return v & 0xff;
}

static void rtc_write(unsigned int reg, unsigned int v)
{
    out(0x70, reg);
    out(0x71, v);
}

static unsigned int rtc_read(unsigned int reg)
{
    out(0x70, reg);
    return in(0x71);
}

static long bind(unsigned int pirq)
{
    struct evtchn_bind_pirq op = { .pirq = pirq };
    long rc = hc_event_channel_op(EVTCHNOP_bind_pirq, &op);

    return rc ? rc : (long)op.port;
}

static long eoi(unsigned int pirq)
{
    struct physdev_eoi op = { .irq = pirq };

    return hc_physdev_op(PHYSDEVOP_eoi, &op);
}

static void check_bad(void)
{
    struct physdev_map_pirq map = { .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .pirq = -1 };
    struct physdev_unmap_pirq unmap = { .domid = DOMID_SELF, .pirq = 5000 };
    struct physdev_setup_gsi gsi = { .gsi = 5000 };
    struct physdev_irq_status_query query = { .irq = 100000 };

    map.index = 100000;
    CHECK(hc_physdev_op(PHYSDEVOP_map_pirq, &map) < 0, "GSI 100000");
    map.index = -5;
    CHECK(hc_physdev_op(PHYSDEVOP_map_pirq, &map) < 0, "GSI -5");
    map.index = 8;
    map.type = 99;
    CHECK(hc_physdev_op(PHYSDEVOP_map_pirq, &map) < 0, "type 99");
    map.type = MAP_PIRQ_TYPE_GSI;
    map.domid = 0x1234;
    CHECK(hc_physdev_op(PHYSDEVOP_map_pirq, &map) < 0, "for no domain");
    CHECK(hc_physdev_op(PHYSDEVOP_unmap_pirq, &unmap) < 0, "unmap of PIRQ 5000");
    CHECK(hc_physdev_op(PHYSDEVOP_setup_gsi, &gsi) < 0, "set up GSI 5000");
    CHECK(hc_physdev_op(PHYSDEVOP_irq_status_query, &query) < 0, "status of PIRQ 100000");
    CHECK(eoi(100000) < 0, "end of interrupt 100000");
    CHECK(eoi(~0u) < 0, "end of interrupt -1");
    CHECK(bind(77) < 0, "PIRQ 77, not mapped");
    CHECK(hc_physdev_op(999, &query) < 0, "unknown operation");
}

static void check_rtc(void)
{
    struct physdev_setup_gsi gsi = { .gsi = 8, .triggering = 0, .polarity = 0 };
    struct physdev_map_pirq map = {
        .domid = DOMID_SELF,
        .type = MAP_PIRQ_TYPE_GSI,
        .index = 8,
        .pirq = 8,
    };
    long rc = hc_physdev_op(PHYSDEVOP_setup_gsi, &gsi), port;
    uint64_t until;
    unsigned int hits = 0;

    CHECK(rc == 0 || rc == -EEXIST, "setup_gsi: %ld", rc);
    rc = hc_physdev_op(PHYSDEVOP_map_pirq, &map);
    CHECK_EQ(rc, 0, "map_pirq");
    port = bind((unsigned int)map.pirq);
    CHECK(port > 0, "bind_pirq: %ld", port);
    if (port <= 0)
        return;
    CHECK(bind((unsigned int)map.pirq) < 0, "bound twice");
    port_hits[port] = 0;
    event_port_unmask((unsigned int)port);
    events_on();
    rtc_write(0x0a, 0x26); /* 1024 a second */
    rtc_write(0x0b, (rtc_read(0x0b) & 0x07) | 0x40);
    rtc_read(0x0c);
    until = system_time() + 200 * MS;
    while (system_time() < until && hits < 10) {
        if (port_hits[port] != hits) {
            hits = port_hits[port];
            rtc_read(0x0c);
            eoi((unsigned int)map.pirq);
        }
    }
    CHECK(hits >= 10, "only %u interrupts in 200 ms", hits);
    rtc_write(0x0b, rtc_read(0x0b) & ~0x40u);
    rtc_read(0x0c);
    events_off();
    CHECK_EQ(event_close((unsigned int)port), 0, "close");
    port = bind((unsigned int)map.pirq);
    CHECK(port > 0, "bound again: %ld", port);
    event_close((unsigned int)port);
}

void guest_main(void)
{
    struct physdev_set_iopl iopl = { .iopl = 1 };
    struct account before, after;

    account_take(&before);
    CHECK_EQ(hc_physdev_op(PHYSDEVOP_set_iopl, &iopl), 0, "IOPL");
    check_bad();
    check_rtc();
    account_take(&after);
    CHECK(after.free_pages + 64 >= before.free_pages, "%lu pages were lost",
          before.free_pages - after.free_pages);
}
