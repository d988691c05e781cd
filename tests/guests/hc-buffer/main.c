/* SPDX-License-Identifier: MIT */
/*
 * Buffers of hypercalls: not mapped, half mapped, read-only, the hypervisor's, the M2P, not
 * canonical, wrapping, the page tables. All answer -EFAULT (or their code) and write nothing.
 */
#include "guest.h"

#include <xen/platform.h>
#include <xen/sysctl.h>
#include <xen/domctl.h>

struct call {
    const char *name;
    long nr, cmd;
    int position;      /* of the pointer: argument 0, 1 or 2 */
    unsigned int size; /* of what it points at */
    bool out;          /* writes there */
    void (*fill)(void *p);
};

static void fill_memory_map(void *p)
{
    static uint8_t entries[128 * 20];
    struct xen_memory_map *m = p;

    m->nr_entries = 128;
    m->buffer.p = entries;
}

static void fill_self(void *p)
{
    *(domid_t *)p = DOMID_SELF;
}

static void fill_physinfo(void *p)
{
    struct xen_sysctl *s = p;

    s->cmd = XEN_SYSCTL_physinfo;
    s->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
}

static void fill_setup(void *p)
{
    struct gnttab_query_size *q = p;

    q->dom = DOMID_SELF;
}

static void fill_unbound(void *p)
{
    struct evtchn_alloc_unbound *a = p;

    a->dom = a->remote_dom = DOMID_SELF;
}

static const struct call calls[] = {
    { "version extraversion", __HYPERVISOR_xen_version, XENVER_extraversion, 1,
      sizeof(xen_extraversion_t), true, NULL },
    { "version features", __HYPERVISOR_xen_version, XENVER_get_features, 1,
      sizeof(struct xen_feature_info), true, NULL },
    { "version commandline", __HYPERVISOR_xen_version, XENVER_commandline, 1,
      sizeof(xen_commandline_t), true, NULL },
    { "current_reservation", __HYPERVISOR_memory_op, XENMEM_current_reservation, 1, sizeof(domid_t),
      false, fill_self },
    { "memory_map", __HYPERVISOR_memory_op, XENMEM_machine_memory_map, 1,
      sizeof(struct xen_memory_map), true, fill_memory_map },
    { "event close", __HYPERVISOR_event_channel_op, EVTCHNOP_close, 1, sizeof(struct evtchn_close),
      false, NULL },
    { "poll", __HYPERVISOR_sched_op, SCHEDOP_poll, 1, sizeof(struct sched_poll), false, NULL },
    { "callback", __HYPERVISOR_callback_op, CALLBACKOP_register, 1,
      sizeof(struct callback_register), false, NULL },
    { "grant query", __HYPERVISOR_grant_table_op, GNTTABOP_query_size, 1,
      sizeof(struct gnttab_query_size), true, fill_setup },
    { "multicall", __HYPERVISOR_multicall, -1, 0, sizeof(struct multicall_entry), true, NULL },
    { "mmu_update", __HYPERVISOR_mmu_update, -1, 0, sizeof(struct mmu_update), false, NULL },
    { "mmuext_op", __HYPERVISOR_mmuext_op, -1, 0, sizeof(struct mmuext_op), false, NULL },
    { "set_gdt", __HYPERVISOR_set_gdt, -1, 0, 8, false, NULL },
    { "set_trap_table", __HYPERVISOR_set_trap_table, -1, 0, sizeof(struct trap_info), false, NULL },
    { "console write", __HYPERVISOR_console_io, CONSOLEIO_write, 2, 16, false, NULL },
    { "physinfo", __HYPERVISOR_sysctl, -1, 0, sizeof(struct xen_sysctl), true, fill_physinfo },
    { "domctl", __HYPERVISOR_domctl, -1, 0, sizeof(struct xen_domctl), false, NULL },
    { "platform", __HYPERVISOR_platform_op, -1, 0, sizeof(struct xen_platform_op), false, NULL },
    { "physdev", __HYPERVISOR_physdev_op, PHYSDEVOP_eoi, 1, sizeof(struct physdev_eoi), false,
      NULL },
    { "runstate", __HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, 2,
      sizeof(struct vcpu_runstate_info), true, NULL },
    { "alloc_unbound", __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, 1,
      sizeof(struct evtchn_alloc_unbound), true, fill_unbound },
};

/* The call with its pointer at p. */
static long issue(const struct call *c, uint64_t p)
{
    if (c->position == 0)
        return HC4(c->nr, p, 1, 0, DOMID_SELF);
    if (c->position == 1)
        return HC3(c->nr, c->cmd, p, 1);
    if (c->nr == __HYPERVISOR_console_io)
        return HC3(c->nr, c->cmd, c->size, p);
    return HC3(c->nr, c->cmd, 0, p);
}

static void expect_fault(const struct call *c, uint64_t p, const char *where)
{
    long rc = issue(c, p);

    CHECK_EQ(rc, -EFAULT, "%s, %s (%#lx)", c->name, where, p);
}

/* set_gdt without an address is a call of its own; 0 entries are no access. */
static void check_places(const struct call *c)
{
    static const struct {
        const char *name;
        uint64_t va;
    } places[] = {
        { "not mapped", TEST_VA + (1ul << 30) },
        { "the M2P", MACH2PHYS_VIRT_START + 0x8000 },
        { "the hypervisor", HYPERVISOR_VIRT_START + (5ul << 39) },
        { "the hypervisor's end", HYPERVISOR_VIRT_END - 64 },
        { "not canonical", 0x0000800000000000 },
        { "not canonical, high", 0xffff7fffffffffc0 },
        { "the last bytes", 0xfffffffffffffffc },
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(places); i++)
        expect_fault(c, places[i].va, places[i].name);
}

/* The last byte of the buffer is on a page that is not mapped, or in the hypervisor. */
static void check_straddle(const struct call *c)
{
    uint64_t p = TEST_VA + PAGE_SIZE - c->size + 1;

    memset((void *)TEST_VA, 0, PAGE_SIZE);
    if (c->fill && c->size > 64)
        c->fill((void *)p);
    expect_fault(c, p, "half mapped");
}

static void check_read_only(const struct call *c)
{
    if (!c->out)
        return;
    memset((void *)TEST_VA, 0, PAGE_SIZE);
    if (c->fill)
        c->fill((void *)TEST_VA);
    expect_fault(c, TEST_VA + 2 * PAGE_SIZE, "read-only");
}

/* The ordinary call works across two pages: the calls above failed for the pointer alone. */
static void check_good(void)
{
    uint64_t p = TEST_VA + 8 * PAGE_SIZE - 3;
    static const char extra[] = "across the boundary of two pages\n";

    memcpy((void *)(p - 8), extra, sizeof(extra));
    CHECK_EQ(HC3(__HYPERVISOR_console_io, CONSOLEIO_write, sizeof(extra) - 1, p - 8), 0, "console");
    CHECK_EQ(hc_xen_version(XENVER_get_features, memset((void *)p, 0, 8)), 0, "features");
}

static void check_console(void)
{
    char buf[4];

    CHECK(HC3(__HYPERVISOR_console_io, CONSOLEIO_write, -1, buf) != 0, "a negative length");
    CHECK_EQ(hc_console_io(CONSOLEIO_write, 0, buf), 0, "no bytes");
    CHECK_EQ(hc_console_io(CONSOLEIO_read, 4, buf), 0, "nothing to read");
    CHECK(hc_console_io(77, 1, buf) < 0, "unknown command");
}

void guest_main(void)
{
    struct account before;
    unsigned long a = alloc_pfn(), b = alloc_pfn();

    map_page(TEST_VA, pfn_pte(a, KERN_RW));
    map_page(TEST_VA + 2 * PAGE_SIZE, pfn_pte(a, KERN_RO));
    map_page(TEST_VA + 7 * PAGE_SIZE, pfn_pte(a, KERN_RW));
    map_page(TEST_VA + 8 * PAGE_SIZE, pfn_pte(b, KERN_RW));
    event_close((unsigned int)event_bind_virq(VIRQ_DEBUG, 0)); /* the first port needs a page */
    account_take(&before);
    for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
        check_places(&calls[i]);
        check_straddle(&calls[i]);
        check_read_only(&calls[i]);
    }
    check_good();
    check_console();
    account_check(&before, "buffers");
}
