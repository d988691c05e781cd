/* SPDX-License-Identifier: MIT */
/*
 * dm_op's dispatch (hvm/hc_dm_op.c) with the real table of ranges: who may call, that all bytes are
 * looked at, what an operation does or why not, and that long ones go on where they gave way.
 * Wires, nested tables and servers are stand-ins that remember what they were asked.
 */
#include "unit.h"

#include "core/hypercall.h"

#include <xen/errno.h>
#include <xen/sched.h>

#include "core/access.h"
#include "core/log.h"
#include "x86/hvm/devices.h"
#include "x86/hvm/memory.h"

#define GUEST 7
#define PAGES 4096u

static struct hvm_devices dev;
static struct hvm_domain hd;
static struct vcpu guest_vcpu;
static struct domain tools;
static struct vcpu caller;
static struct pcpu pcpu;
static struct ioreq_range ranges[IOREQ_SERVERS][IOREQ_RANGE_KINDS][IOREQ_RANGES_MAX];
static struct xen_dm_op op;
static struct xen_dm_op_buf bufs[3];
long hc_dm_op(struct vcpu *v, const struct hc_args *args);

static bool allowed;
static int answers, refs, nmis, notified, messages, down, syncs;
static int intx[3], isa[2], link_route[2];
static uint8_t page_type[PAGES];
static bool dirty[PAGES];

/* --- stand-ins --- */

static bool outside; /* of what the caller may write */

static int copy_from(struct vcpu *v, void *dst, gptr_t src, size_t n)
{
    (void)v;
    if (src.v < 4096)
        return -XEN_EFAULT;
    memcpy(dst, (const void *)src.v, n);
    return 0;
}

static int copy_to(struct vcpu *v, gptr_t dst, const void *src, size_t n)
{
    (void)v;
    if (outside)
        return -XEN_EFAULT;
    memcpy((void *)dst.v, src, n);
    answers++;
    return 0;
}

static int send_nmi(struct vcpu *v)
{
    nmis += v == &guest_vcpu;
    return 0;
}

static const struct guest_ops ops = { .copy_from = copy_from,
                                      .copy_to = copy_to,
                                      .send_nmi = send_nmi };

struct domain *domain_get(domid_t id)
{
    struct domain *d = id == 0 ? &tools : id == GUEST ? &hd.x.d : NULL;

    refs += d != NULL;
    return d;
}

void domain_put_many(struct domain *d, uint32_t n)
{
    (void)d;
    refs -= n;
}

bool access_ok(const struct domain *c, const struct domain *subject, enum access what)
{
    (void)c, (void)subject;
    return allowed && what == ACCESS_MEMORY;
}

void log_refusal(struct domain *d, const char *fmt, ...)
{
    (void)d, (void)fmt;
}

struct pcpu *arch_this_cpu(void)
{
    return &pcpu;
}

void spin_wait(spinlock_t *l, uint16_t ticket)
{
    (void)l, (void)ticket;
    abort();
}

void vcpu_notify(struct vcpu *v)
{
    notified += v == &guest_vcpu;
}

void domain_shutdown(struct domain *d, uint8_t reason)
{
    (void)d;
    down = reason + 1;
}

int hvm_server_create(struct hvm_domain *h, domid_t owner, uint8_t buffering)
{
    return h == &hd && owner == 0 && buffering == 2 ? 5 : -XEN_ENOSPC;
}

int hvm_server_destroy(struct hvm_domain *h, unsigned int id)
{
    return h == &hd && id == 1 ? 0 : -XEN_ENOENT;
}

void virq_pci(struct virq *q, unsigned int device, unsigned int n, bool up)
{
    (void)q;
    intx[0] = (int)device, intx[1] = (int)n, intx[2] = up;
}

void virq_isa(struct virq *q, unsigned int irq, bool up)
{
    (void)q;
    isa[0] = (int)irq, isa[1] = up;
}

int virq_set_link(struct virq *q, unsigned int l, unsigned int irq)
{
    (void)q;
    link_route[0] = (int)l, link_route[1] = (int)irq;
    return l < 4 ? 0 : -XEN_EINVAL;
}

bool vlapic_send_msi(struct vlapic_bus *b, uint64_t addr, uint32_t data)
{
    (void)b;
    messages += addr == 0xfee01000 && data == 0x31;
    return true;
}

struct p2m_entry p2m_lookup(struct p2m *p, gfn_t gfn)
{
    (void)p;
    return (struct p2m_entry){ .type = gfn.v < PAGES ? page_type[gfn.v] : P2M_HOLE };
}

int p2m_set_type(struct p2m *p, gfn_t gfn, unsigned int *order, enum p2m_type from,
                 enum p2m_type to)
{
    (void)p;
    if (gfn.v >= PAGES || page_type[gfn.v] != from)
        return -XEN_ENOENT;
    *order = 0;
    page_type[gfn.v] = (uint8_t)to;
    return 0;
}

void p2m_sync(struct p2m *p)
{
    (void)p;
    syncs++;
}

void p2m_mark_dirty(struct p2m *p, gfn_t gfn)
{
    (void)p;
    if (gfn.v < PAGES)
        dirty[gfn.v] = true;
}

/* Gives way after each page while something waits. */
int p2m_dirty(struct p2m *p, gfn_t gfn, uint64_t nr, uint64_t *done, unsigned long *bitmap)
{
    (void)p;
    while (*done < nr) {
        uint64_t at = gfn.v + *done;

        if (at >= PAGES)
            return -XEN_ENOMEM;
        if (dirty[at])
            bitmap_set(bitmap, *done);
        dirty[at] = false;
        ++*done;
        if (pcpu.pending && *done < nr)
            return -XEN_EAGAIN;
    }
    return 0;
}

long hvm_move_page(struct domain *d, uint64_t from, uint64_t to)
{
    (void)d;
    if (from >= PAGES || to >= PAGES || page_type[from] != P2M_RAM)
        return -XEN_EINVAL;
    page_type[to] = P2M_RAM;
    page_type[from] = P2M_HOLE;
    return 0;
}

/* --- the caller --- */

static void fresh(void)
{
    memset(&dev, 0, sizeof(dev));
    memset(&hd, 0, sizeof(hd));
    memset(&op, 0, sizeof(op));
    memset(page_type, P2M_RAM, sizeof(page_type));
    memset(dirty, 0, sizeof(dirty));
    memset(ranges, 0, sizeof(ranges));
    spin_init(&dev.lock, RANK_DEVICE);
    for (unsigned int i = 0; i < IOREQ_SERVERS; i++)
        for (unsigned int k = 0; k < IOREQ_RANGE_KINDS; k++)
            dev.servers[i].ranges[k] = ranges[i][k];
    dev.servers[1].used = true;
    dev.servers[1].ring_port = 23;
    hd.dev = &dev;
    hd.x.d.id = GUEST;
    hd.x.d.kind = GUEST_HVM;
    hd.x.d.ops = &ops;
    hd.x.d.max_vcpus = 2;

    hd.x.d.vcpu[0] = &guest_vcpu;
    tools.ops = &ops;
    caller.domain = &tools;
    pcpu.work_left = PREEMPT_BUDGET;
    pcpu.pending = 0;
    allowed = true;
    outside = false;
    answers = nmis = notified = messages = down = syncs = 0;
    bufs[0].h.p = &op;
    bufs[0].size = sizeof(op);
}

static long call(unsigned int id, unsigned int nr)
{
    struct hc_args args = { .a = { id, nr, (uint64_t)(uintptr_t)bufs } };
    long rc = hc_dm_op(&caller, &args);

    CHECK_EQ(refs, 0);
    return rc;
}

static long ask(uint32_t what)
{
    op.op = what;
    return call(GUEST, 1);
}

TEST(who_may_call)
{
    fresh();
    op.op = XEN_DMOP_nr_vcpus;
    CHECK_EQ(call(8, 1), -XEN_ESRCH);
    CHECK_EQ(call(0, 1), -XEN_EPERM); /* itself */
    allowed = false;
    CHECK_EQ(call(GUEST, 1), -XEN_EPERM);
    allowed = true;
    CHECK_EQ(call(GUEST, 0), -XEN_EINVAL);
    CHECK_EQ(call(GUEST, 4), -XEN_E2BIG);
    bufs[0].h.p = NULL;
    CHECK_EQ(call(GUEST, 1), -XEN_EFAULT);
    bufs[0].h.p = &op;
    hd.x.d.state = DOM_DYING;
    CHECK_EQ(call(GUEST, 1), -XEN_EINVAL);
    hd.x.d.state = 0;
    hd.dev = NULL; /* PVH */
    CHECK_EQ(call(GUEST, 1), -XEN_EINVAL);
    hd.dev = &dev;
    hd.x.d.kind = GUEST_PV;
    CHECK_EQ(call(GUEST, 1), -XEN_EINVAL);
    hd.x.d.kind = GUEST_HVM;
    op.pad = 1;
    CHECK_EQ(call(GUEST, 1), -XEN_EINVAL);
    op.pad = 0;
    CHECK_EQ(answers, 0);
    CHECK_EQ(call(GUEST, 1), 0);
    CHECK(answers == 1 && op.u.nr_vcpus.vcpus == 2);
    outside = true;
    CHECK_EQ(call(GUEST, 1), -XEN_EFAULT);
    outside = false;
    CHECK_EQ(ask(999), -XEN_EOPNOTSUPP);
    CHECK_EQ(ask(XEN_DMOP_map_mem_type_to_ioreq_server), -XEN_EOPNOTSUPP);
}

/* What a caller does not send is zero, and nothing behind its buffer is read or written. */
TEST(short_buffers)
{
    fresh();
    memset(&op, 0xff, sizeof(op));
    op.op = XEN_DMOP_nr_vcpus;
    op.pad = 0;
    bufs[0].size = 8;
    CHECK_EQ(call(GUEST, 1), 0);
    CHECK_EQ(op.u.nr_vcpus.vcpus, 0xffffffff);
    bufs[0].size = 0;
    CHECK_EQ(call(GUEST, 1), -XEN_EOPNOTSUPP); /* operation 0 */
}

TEST(servers)
{
    fresh();
    op.u.create_ioreq_server.handle_bufioreq = 2;
    op.u.create_ioreq_server.pad[2] = 1;
    CHECK_EQ(ask(XEN_DMOP_create_ioreq_server), -XEN_EINVAL);
    op.u.create_ioreq_server.pad[2] = 0;
    CHECK_EQ(ask(XEN_DMOP_create_ioreq_server), 0);
    CHECK_EQ(op.u.create_ioreq_server.id, 5);
    op.u.create_ioreq_server.handle_bufioreq = 3;
    CHECK_EQ(ask(XEN_DMOP_create_ioreq_server), -XEN_EINVAL);

    memset(&op, 0, sizeof(op));
    op.u.get_ioreq_server_info.id = 1;
    CHECK_EQ(ask(XEN_DMOP_get_ioreq_server_info), -XEN_EOPNOTSUPP);
    op.u.get_ioreq_server_info.flags = 2;
    CHECK_EQ(ask(XEN_DMOP_get_ioreq_server_info), -XEN_EINVAL);
    op.u.get_ioreq_server_info.flags = XEN_DMOP_no_gfns;
    CHECK_EQ(ask(XEN_DMOP_get_ioreq_server_info), 0);
    CHECK_EQ(op.u.get_ioreq_server_info.bufioreq_port, 23);
    op.u.get_ioreq_server_info.id = 2; /* not made */
    CHECK_EQ(ask(XEN_DMOP_get_ioreq_server_info), -XEN_ENOENT);
    op.u.get_ioreq_server_info.id = 0xffff;
    CHECK_EQ(ask(XEN_DMOP_get_ioreq_server_info), -XEN_ENOENT);

    memset(&op, 0, sizeof(op));
    op.u.set_ioreq_server_state.id = 1;
    op.u.set_ioreq_server_state.enabled = 1;
    CHECK_EQ(ask(XEN_DMOP_set_ioreq_server_state), 0);
    CHECK(dev.servers[1].enabled && notified == 0);
    op.u.set_ioreq_server_state.enabled = 0;
    CHECK_EQ(ask(XEN_DMOP_set_ioreq_server_state), 0);
    CHECK(!dev.servers[1].enabled && notified == 1); /* who waits looks; one vCPU is not there */
    memset(&op, 0, sizeof(op));
    op.u.destroy_ioreq_server.id = 1;
    CHECK_EQ(ask(XEN_DMOP_destroy_ioreq_server), 0);
    op.u.destroy_ioreq_server.pad = 1;
    CHECK_EQ(ask(XEN_DMOP_destroy_ioreq_server), -XEN_EINVAL);
}

TEST(ranges_of_a_server)
{
    struct xen_dm_op_ioreq_server_range *r = &op.u.map_io_range_to_ioreq_server;

    fresh();
    *r = (struct xen_dm_op_ioreq_server_range){ .id = 1, .type = 0, .start = 0x60, .end = 0x64 };
    CHECK_EQ(ask(XEN_DMOP_map_io_range_to_ioreq_server), 0);
    dev.servers[1].enabled = true;
    CHECK(ioreq_find(dev.servers, IOREQ_PORTS, 0x62, 0x62) == &dev.servers[1]);
    CHECK_EQ(ask(XEN_DMOP_unmap_io_range_from_ioreq_server), 0);
    CHECK(!ioreq_find(dev.servers, IOREQ_PORTS, 0x62, 0x62));
    r->pad = 1;
    CHECK_EQ(ask(XEN_DMOP_map_io_range_to_ioreq_server), -XEN_EINVAL);
    r->pad = 0;
    r->id = 0;
    CHECK_EQ(ask(XEN_DMOP_map_io_range_to_ioreq_server), -XEN_ENOENT);
}

TEST(interrupts)
{
    struct xen_dm_op_set_pci_intx_level *p = &op.u.set_pci_intx_level;

    fresh();
    *p = (struct xen_dm_op_set_pci_intx_level){ .device = 31, .intx = 3, .level = 1 };
    CHECK_EQ(ask(XEN_DMOP_set_pci_intx_level), 0);
    CHECK(intx[0] == 31 && intx[1] == 3 && intx[2] == 1);
    p->device = 32;
    CHECK_EQ(ask(XEN_DMOP_set_pci_intx_level), -XEN_EINVAL);
    *p = (struct xen_dm_op_set_pci_intx_level){ .intx = 4 };
    CHECK_EQ(ask(XEN_DMOP_set_pci_intx_level), -XEN_EINVAL);
    *p = (struct xen_dm_op_set_pci_intx_level){ .bus = 1 };
    CHECK_EQ(ask(XEN_DMOP_set_pci_intx_level), -XEN_EINVAL);
    *p = (struct xen_dm_op_set_pci_intx_level){ .level = 2 };
    CHECK_EQ(ask(XEN_DMOP_set_pci_intx_level), -XEN_EINVAL);
    op.u.set_isa_irq_level = (struct xen_dm_op_set_isa_irq_level){ .isa_irq = 15, .level = 1 };
    CHECK_EQ(ask(XEN_DMOP_set_isa_irq_level), 0);
    CHECK(isa[0] == 15 && isa[1] == 1);
    op.u.set_isa_irq_level.isa_irq = 16;
    CHECK_EQ(ask(XEN_DMOP_set_isa_irq_level), -XEN_EINVAL);
    op.u.set_pci_link_route = (struct xen_dm_op_set_pci_link_route){ .link = 3, .isa_irq = 11 };
    CHECK_EQ(ask(XEN_DMOP_set_pci_link_route), 0);
    CHECK(link_route[0] == 3 && link_route[1] == 11);
    op.u.inject_msi = (struct xen_dm_op_inject_msi){ .data = 0x31, .addr = 0xfee01000 };
    CHECK_EQ(ask(XEN_DMOP_inject_msi), 0);
    CHECK_EQ(messages, 1);
    op.u.inject_msi.data = 0x531; /* INIT */
    CHECK_EQ(ask(XEN_DMOP_inject_msi), -XEN_EINVAL);
    op.u.inject_event = (struct xen_dm_op_inject_event){ .type = XEN_DMOP_EVENT_nmi };
    CHECK_EQ(ask(XEN_DMOP_inject_event), 0);
    CHECK_EQ(nmis, 1);
    op.u.inject_event.vcpuid = 1; /* not made */
    CHECK_EQ(ask(XEN_DMOP_inject_event), -XEN_EINVAL);
    op.u.inject_event.vcpuid = 2;
    CHECK_EQ(ask(XEN_DMOP_inject_event), -XEN_EINVAL);
    op.u.inject_event = (struct xen_dm_op_inject_event){ .type = XEN_DMOP_EVENT_sw_int };
    CHECK_EQ(ask(XEN_DMOP_inject_event), -XEN_EOPNOTSUPP);
    CHECK_EQ(nmis, 1);
    op.u.remote_shutdown.reason = SHUTDOWN_reboot;
    CHECK_EQ(ask(XEN_DMOP_remote_shutdown), 0);
    CHECK_EQ(down, SHUTDOWN_reboot + 1);
    op.u.remote_shutdown.reason = SHUTDOWN_MAX + 1;
    CHECK_EQ(ask(XEN_DMOP_remote_shutdown), -XEN_EINVAL);
}

/* Until it is done, as the guest's kernel would; how often it gave way. */
static unsigned int to_the_end(uint32_t what, unsigned int nr, long *rc)
{
    unsigned int n = 0;

    op.op = what;
    while ((*rc = call(GUEST, nr)) == HC_RESTART && n < PAGES)
        n++;
    return n;
}

TEST(types_of_pages)
{
    struct xen_dm_op_set_mem_type *t = &op.u.set_mem_type;
    long rc;

    fresh();
    *t = (struct xen_dm_op_set_mem_type){ .mem_type = HVMMEM_ram_ro, .nr = 9, .first_pfn = 16 };
    pcpu.pending = 1; /* always something to do: a page at a time */
    CHECK_EQ(to_the_end(XEN_DMOP_set_mem_type, 1, &rc), 8);
    CHECK_EQ(rc, 0);
    CHECK_EQ(syncs, 9); /* before it gives way, too */
    for (unsigned int i = 0; i < 32; i++)
        CHECK_EQ(page_type[i], i >= 16 && i < 25 ? P2M_RAM_RO : P2M_RAM);
    pcpu.pending = 0;
    *t = (struct xen_dm_op_set_mem_type){ .mem_type = HVMMEM_mmio_dm, .nr = 1, .first_pfn = 3 };
    CHECK_EQ(ask(XEN_DMOP_set_mem_type), -XEN_EINVAL); /* memory does not become none */
    t->first_pfn = PAGES;
    CHECK_EQ(ask(XEN_DMOP_set_mem_type), 0); /* there it is that anyway */
    *t = (struct xen_dm_op_set_mem_type){ .mem_type = HVMMEM_ioreq_server, .nr = 1 };
    CHECK_EQ(ask(XEN_DMOP_set_mem_type), -XEN_EOPNOTSUPP);
    *t = (struct xen_dm_op_set_mem_type){ .nr = 1, .first_pfn = ~0ull };
    CHECK_EQ(ask(XEN_DMOP_set_mem_type), -XEN_EINVAL);
    *t = (struct xen_dm_op_set_mem_type){ .nr = 1, .pad = 1 };
    CHECK_EQ(ask(XEN_DMOP_set_mem_type), -XEN_EINVAL);
}

TEST(pages_that_move)
{
    struct xen_dm_op_relocate_memory *r = &op.u.relocate_memory;
    long rc;

    fresh();
    memset(page_type + 100, P2M_HOLE, 5);
    *r = (struct xen_dm_op_relocate_memory){ .size = 5, .src_gfn = 10, .dst_gfn = 100 };
    pcpu.pending = 1;
    CHECK_EQ(to_the_end(XEN_DMOP_relocate_memory, 1, &rc), 4);
    CHECK_EQ(rc, 0);
    CHECK(page_type[10] == P2M_HOLE && page_type[14] == P2M_HOLE && page_type[104] == P2M_RAM);
    *r = (struct xen_dm_op_relocate_memory){ .size = 1, .src_gfn = 10, .dst_gfn = 200 };
    CHECK_EQ(ask(XEN_DMOP_relocate_memory), -XEN_EINVAL);
    r->pad = 1;
    CHECK_EQ(ask(XEN_DMOP_relocate_memory), -XEN_EINVAL);
}

TEST(pages_that_a_device_wrote)
{
    struct xen_dm_op_modified_memory_extent e[2] = { { .nr = 1500, .first_pfn = 10 },
                                                     { .nr = 2, .first_pfn = 2000 } };
    struct xen_dm_op_modified_memory *m = &op.u.modified_memory;
    unsigned int n = 0;
    long rc;

    fresh();
    m->nr_extents = 2;
    CHECK_EQ(ask(XEN_DMOP_modified_memory), -XEN_EINVAL); /* no list */
    bufs[1].h.p = e;
    bufs[1].size = sizeof(e) - 1;
    op.op = XEN_DMOP_modified_memory;
    CHECK_EQ(call(GUEST, 2), -XEN_EINVAL);
    bufs[1].size = sizeof(e);
    pcpu.pending = 1;
    CHECK(to_the_end(XEN_DMOP_modified_memory, 2, &rc) >= 2);
    CHECK_EQ(rc, 0);
    for (unsigned int i = 0; i < PAGES; i++)
        n += dirty[i];
    CHECK_EQ(n, 1502);
    CHECK(dirty[10] && dirty[1509] && dirty[2001] && !dirty[9] && !dirty[1510]);
    memset(m, 0, sizeof(*m));
    m->nr_extents = 1;
    e[0] = (struct xen_dm_op_modified_memory_extent){ .nr = 1, .pad = 1 };
    CHECK_EQ(call(GUEST, 2), -XEN_EINVAL);
    bufs[1].h.p = NULL;
    CHECK_EQ(call(GUEST, 2), -XEN_EFAULT);
}

TEST(pictures)
{
    struct xen_dm_op_track_dirty_vram *t = &op.u.track_dirty_vram;
    uint8_t map[4] = { 0x5a, 0x5a, 0x5a, 0x5a };

    fresh();
    dirty[3] = dirty[11] = dirty[12] = true;
    *t = (struct xen_dm_op_track_dirty_vram){ .nr = 0, .first_pfn = 3 };
    CHECK_EQ(ask(XEN_DMOP_track_dirty_vram), 0); /* no picture any more */
    *t = (struct xen_dm_op_track_dirty_vram){ .nr = 9, .first_pfn = 3 };
    CHECK_EQ(ask(XEN_DMOP_track_dirty_vram), -XEN_EINVAL); /* no map */
    bufs[1].h.p = map;
    bufs[1].size = 1;
    CHECK_EQ(call(GUEST, 2), -XEN_EINVAL);
    CHECK(dirty[3]);
    bufs[1].size = sizeof(map);
    pcpu.pending = 1;
    CHECK_EQ(call(GUEST, 2), 0);
    CHECK(map[0] == 1 && map[1] == 1 && map[2] == 0x5a);
    CHECK(syncs == 1 && !dirty[3] && dirty[12]);
    t->first_pfn = PAGES - 1; /* it fails on its way: all counts */
    CHECK_EQ(call(GUEST, 2), 0);
    CHECK(map[0] == 0xff && map[1] == 0xff && map[2] == 0x5a);
    t->nr = 8193;
    CHECK_EQ(call(GUEST, 2), -XEN_EINVAL);
    *t = (struct xen_dm_op_track_dirty_vram){ .nr = 1, .first_pfn = 1ull << 40 };
    CHECK_EQ(call(GUEST, 2), -XEN_EINVAL);
    *t = (struct xen_dm_op_track_dirty_vram){ .nr = 1, .pad = 1 };
    CHECK_EQ(call(GUEST, 2), -XEN_EINVAL);
    *t = (struct xen_dm_op_track_dirty_vram){ .nr = 1 };
    bufs[1].h.p = map;
    outside = true;
    CHECK_EQ(call(GUEST, 2), -XEN_EFAULT);
}

/* A device model outlives its guest, and another has its number: it finds none of its servers. */
TEST(a_number_used_again)
{
    struct xen_dm_op_set_ioreq_server_state *state = &op.u.set_ioreq_server_state;

    fresh();
    *state = (struct xen_dm_op_set_ioreq_server_state){ .id = 1, .enabled = 1 };
    CHECK_EQ(ask(XEN_DMOP_set_ioreq_server_state), 0);
    hd.x.d.state = DOM_DYING;
    CHECK_EQ(ask(XEN_DMOP_set_ioreq_server_state), -XEN_EINVAL);
    CHECK_EQ(call(8, 1), -XEN_ESRCH); /* it is gone */
    fresh();
    memset(dev.servers, 0, sizeof(dev.servers)); /* the new one */
    *state = (struct xen_dm_op_set_ioreq_server_state){ .id = 1, .enabled = 1 };
    CHECK_EQ(ask(XEN_DMOP_set_ioreq_server_state), -XEN_ENOENT);
    CHECK(!dev.servers[1].enabled);
    allowed = false; /* and restricted to the old one it may nothing */
    CHECK_EQ(ask(XEN_DMOP_set_ioreq_server_state), -XEN_EPERM);
}
