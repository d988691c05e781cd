/* SPDX-License-Identifier: MIT */
/*
 * Answers of the calls about events, memory and interrupts: see tests/guests/answers. The guest is
 * Domain 0, so these are what its kernel meets.
 */
#include "guest.h"

#include <xen/physdev.h>

#define UNMAPPED ((void *)0x1000)
#define HYPERVISOR ((void *)(HYPERVISOR_VIRT_START + (5ul << 39)))
#define NO_FRAME 0x40000000ul
#define NO_DOMAIN 0x1234

/* --- event channels --- */

static long unbound(domid_t dom, domid_t remote)
{
    struct evtchn_alloc_unbound op = { .dom = dom, .remote_dom = remote };
    long rc = hc_event_channel_op(EVTCHNOP_alloc_unbound, &op);

    if (rc == 0)
        CHECK_EQ(event_close(op.port), 0, "close");
    return rc;
}

static long interdomain(domid_t dom, evtchn_port_t port)
{
    struct evtchn_bind_interdomain op = { .remote_dom = dom, .remote_port = port };

    return hc_event_channel_op(EVTCHNOP_bind_interdomain, &op);
}

static long virq(uint32_t n, uint32_t vcpu)
{
    struct evtchn_bind_virq op = { .virq = n, .vcpu = vcpu };
    long rc = hc_event_channel_op(EVTCHNOP_bind_virq, &op);

    if (rc == 0)
        CHECK_EQ(event_close(op.port), 0, "close");
    return rc;
}

static long ipi(uint32_t vcpu)
{
    struct evtchn_bind_ipi op = { .vcpu = vcpu };
    long rc = hc_event_channel_op(EVTCHNOP_bind_ipi, &op);

    if (rc == 0)
        CHECK_EQ(event_close(op.port), 0, "close");
    return rc;
}

static long pirq(uint32_t n, uint32_t flags, evtchn_port_t *port)
{
    struct evtchn_bind_pirq op = { .pirq = n, .flags = flags };
    long rc = hc_event_channel_op(EVTCHNOP_bind_pirq, &op);

    *port = op.port;
    return rc;
}

static long vcpu_of(evtchn_port_t port, uint32_t vcpu)
{
    struct evtchn_bind_vcpu op = { .port = port, .vcpu = vcpu };

    return hc_event_channel_op(EVTCHNOP_bind_vcpu, &op);
}

static long port_op(int cmd, evtchn_port_t port)
{
    return hc_event_channel_op(cmd, &port);
}

static long status_of(domid_t dom, evtchn_port_t port)
{
    struct evtchn_status op = { .dom = dom, .port = port };

    return hc_event_channel_op(EVTCHNOP_status, &op);
}

static long priority(evtchn_port_t port, uint32_t p)
{
    struct evtchn_set_priority op = { .port = port, .priority = p };

    return hc_event_channel_op(EVTCHNOP_set_priority, &op);
}

static long expand(uint64_t gfn)
{
    struct evtchn_expand_array op = { .array_gfn = gfn };

    return hc_event_channel_op(EVTCHNOP_expand_array, &op);
}

static long control(uint64_t gfn, uint32_t offset, uint32_t vcpu)
{
    struct evtchn_init_control op = { .control_gfn = gfn, .offset = offset, .vcpu = vcpu };

    return hc_event_channel_op(EVTCHNOP_init_control, &op);
}

static void events(void)
{
    struct evtchn_alloc_unbound mine = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
    evtchn_port_t port;

    ANSWER(unbound(NO_DOMAIN, DOMID_SELF), -ESRCH);
    ANSWER(unbound(DOMID_SELF, NO_DOMAIN), 0);
    ANSWER(unbound(DOMID_IO, DOMID_SELF), -ESRCH);
    ANSWER(interdomain(NO_DOMAIN, 1), -ESRCH);
    ANSWER(interdomain(DOMID_SELF, 0), -EINVAL);
    ANSWER(interdomain(DOMID_SELF, 4000), -EINVAL);
    ANSWER(interdomain(DOMID_SELF, ~0u), -EINVAL);
    ANSWER(virq(24, 0), -EINVAL);
    ANSWER(virq(~0u, 0), -EINVAL);
    ANSWER(virq(VIRQ_TIMER, 77), -ENOENT);
    ANSWER(virq(VIRQ_DOM_EXC, 1), -EINVAL);
    ANSWER(virq(VIRQ_DOM_EXC, 77), -EINVAL);
    ANSWER(ipi(77), -ENOENT);
    ANSWER(pirq(100000, 0, &port), -EINVAL);
    ANSWER(pirq(~0u, 0, &port), -EINVAL);
    ANSWER(pirq(9, 0, &port), -EPERM); /* not mapped */
    ANSWER(pirq(200, 0, &port), -EPERM);
    ANSWER(hc_event_channel_op(EVTCHNOP_alloc_unbound, &mine), 0);
    port = mine.port;
    ANSWER(vcpu_of(port, 77), -ENOENT);
    ANSWER(vcpu_of(port, 0), 0);
    ANSWER(vcpu_of(4000, 0), -EINVAL);
    ANSWER(vcpu_of(0, 0), -EINVAL);
    ANSWER(port_op(EVTCHNOP_send, 0), -EINVAL);
    ANSWER(port_op(EVTCHNOP_send, port), 0);
    ANSWER(port_op(EVTCHNOP_send, 4000), -EINVAL);
    ANSWER(port_op(EVTCHNOP_send, ~0u), -EINVAL);
    ANSWER(port_op(EVTCHNOP_unmask, 0), 0);
    ANSWER(port_op(EVTCHNOP_unmask, 4000), -EINVAL);
    ANSWER(port_op(EVTCHNOP_close, 0), -EINVAL);
    ANSWER(port_op(EVTCHNOP_close, 4000), -EINVAL);
    ANSWER(status_of(NO_DOMAIN, 1), -ESRCH);
    ANSWER(status_of(DOMID_SELF, ~0u), -EINVAL);
    ANSWER(status_of(DOMID_SELF, port), 0);
    ANSWER(priority(port, 3), -ENOSYS);
    ANSWER(priority(port, 99), -ENOSYS);
    ANSWER(priority(0, 3), -ENOSYS);
    ANSWER(priority(~0u, 3), -EINVAL);
    ANSWER(expand(p2m[1]), -EOPNOTSUPP);
    ANSWER(expand(NO_FRAME), -EOPNOTSUPP);
    ANSWER(control(NO_FRAME, 0, 0), -EINVAL);
    ANSWER(control(p2m[kernel_l4_pfn], 0, 0), -EINVAL);
    ANSWER(control(p2m[1], 0, 77), -ENOENT);
    ANSWER(control(p2m[1], 4092, 0), -EINVAL);
    ANSWER(control(p2m[1], 4, 0), -EINVAL);
    ANSWER(port_op(EVTCHNOP_close, port), 0);
    ANSWER(port_op(EVTCHNOP_close, port), -EINVAL);
    ANSWER(port_op(EVTCHNOP_send, port), -EINVAL);
    for (int cmd = 0; cmd <= EVTCHNOP_set_priority; cmd++)
        if (cmd != EVTCHNOP_reset)
            ANSWER(hc_event_channel_op(cmd, UNMAPPED), -EFAULT);
    ANSWER(hc_event_channel_op(99, UNMAPPED), -ENOSYS);
}

/* --- with control blocks --- */

static void fifo(void)
{
    unsigned long block = alloc_pfn(), words = alloc_pfn();
    struct evtchn_reset off = { .dom = DOMID_SELF };
    struct evtchn_alloc_unbound mine = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };

    ANSWER(control(p2m[block], 0, 0), 0);
    ANSWER(control(p2m[block], 64, 0), -EINVAL);
    ANSWER(priority(0, 3), -EACCES); /* closed */
    ANSWER(priority(0, 99), -EACCES);
    ANSWER(hc_event_channel_op(EVTCHNOP_alloc_unbound, &mine), 0);
    ANSWER(priority(mine.port, 99), -EINVAL);
    ANSWER(priority(mine.port, 15), 0);
    ANSWER(port_op(EVTCHNOP_close, mine.port), 0);
    ANSWER(priority(~0u, 3), -EINVAL);
    ANSWER(priority(4000, 3), -EINVAL);
    ANSWER(expand(NO_FRAME), -EINVAL);
    ANSWER(expand(p2m[kernel_l4_pfn]), -EINVAL);
    ANSWER(expand(p2m[words]), 0);
    ANSWER(hc_event_channel_op(EVTCHNOP_reset, &off), 0);
    free_pfn(block);
    free_pfn(words);
}

/* --- memory_op --- */

static long change(unsigned int cmd, domid_t dom, unsigned int order, unsigned long n, void *list)
{
    struct xen_memory_reservation r = { .nr_extents = n, .extent_order = order, .domid = dom };

    r.extent_start.p = list;
    return hc_memory_op(cmd, &r);
}

static long exchange(unsigned long nin, unsigned int oin, unsigned long nout, unsigned int oout,
                     unsigned long done, domid_t in, domid_t out)
{
    struct xen_memory_exchange x = { .nr_exchanged = done };
    static xen_pfn_t list[2];

    list[0] = list[1] = NO_FRAME;
    x.in.nr_extents = nin;
    x.in.extent_order = oin;
    x.in.domid = in;
    x.out.nr_extents = nout;
    x.out.extent_order = oout;
    x.out.domid = out;
    x.in.extent_start.p = list;
    x.out.extent_start.p = list;
    return hc_memory_op(XENMEM_exchange, &x);
}

static void memory(void)
{
    static const unsigned int ops[] = { XENMEM_increase_reservation, XENMEM_decrease_reservation,
                                        XENMEM_populate_physmap };
    domid_t nobody = NO_DOMAIN, self = DOMID_SELF;
    xen_pfn_t none = NO_FRAME;

    for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
        ANSWER(change(ops[i], NO_DOMAIN, 0, 1, &none), 0);
        ANSWER(change(ops[i], DOMID_IO, 0, 1, &none), 0);
        ANSWER(change(ops[i], DOMID_SELF, 19, 1, &none), 0);
        ANSWER(change(ops[i], DOMID_SELF, 64, 1, &none), 0);
        ANSWER(change(ops[i], DOMID_SELF, 0, ~0ul, &none), 0);
        ANSWER(change(ops[i], DOMID_SELF, 0, 0, &none), 0);
        ANSWER(hc_memory_op(ops[i], UNMAPPED), 0);
        ANSWER(hc_memory_op(ops[i], HYPERVISOR), 0);
        ANSWER(hc_memory_op(ops[i] | 5 << 6, UNMAPPED), 5);
    }
    ANSWER(change(XENMEM_decrease_reservation, DOMID_SELF, 0, 1, &none), 0);
    ANSWER(change(XENMEM_populate_physmap, DOMID_SELF, 0, 1, UNMAPPED), 0);
    ANSWER(exchange(1, 0, 1, 0, 0, DOMID_SELF, DOMID_SELF), -EINVAL);
    ANSWER(exchange(1, 0, 1, 0, 1, DOMID_SELF, DOMID_SELF), 0);
    ANSWER(exchange(1, 0, 1, 0, 2, DOMID_SELF, DOMID_SELF), -EINVAL);
    ANSWER(exchange(2, 0, 1, 1, 1, DOMID_SELF, DOMID_SELF), -EINVAL);
    ANSWER(exchange(0, 0, 0, 0, 0, DOMID_SELF, DOMID_SELF), 0);
    ANSWER(exchange(1, 19, 1, 19, 0, DOMID_SELF, DOMID_SELF), -EPERM);
    ANSWER(exchange(1, 0, 2, 0, 0, DOMID_SELF, DOMID_SELF), -EINVAL);
    ANSWER(exchange(1, 0, 1, 0, 0, NO_DOMAIN, NO_DOMAIN), -ESRCH);
    ANSWER(exchange(1, 0, 1, 0, 0, DOMID_SELF, NO_DOMAIN), -EINVAL);
    ANSWER(exchange(1, 0, 1, 0, 0, 0, 0), -EINVAL);
    ANSWER(hc_memory_op(XENMEM_exchange, UNMAPPED), -EFAULT);
    ANSWER(hc_memory_op(XENMEM_current_reservation, &nobody), -ESRCH);
    ANSWER(hc_memory_op(XENMEM_current_reservation, UNMAPPED), -EFAULT);
    ANSWER(hc_memory_op(XENMEM_maximum_reservation, &nobody), -ESRCH);
    ANSWER(hc_memory_op(XENMEM_maximum_gpfn, &nobody), -ESRCH);
    CHECK(hc_memory_op(XENMEM_maximum_gpfn, &self) >= 0, "maximum_gpfn");
    ANSWER(hc_memory_op(XENMEM_machphys_mapping, UNMAPPED), -EFAULT);
    ANSWER(hc_memory_op(XENMEM_machphys_mfn_list, UNMAPPED), -EFAULT);
    ANSWER(hc_memory_op(XENMEM_memory_map, UNMAPPED), -EFAULT);
    ANSWER(hc_memory_op(XENMEM_machine_memory_map, UNMAPPED), -EFAULT);
    ANSWER(hc_memory_op(XENMEM_set_memory_map, UNMAPPED), -EFAULT);
    ANSWER(hc_memory_op(XENMEM_claim_pages, UNMAPPED), -EFAULT);
    ANSWER(change(XENMEM_claim_pages, NO_DOMAIN, 0, 1, NULL), -EINVAL);
    ANSWER(change(XENMEM_claim_pages, DOMID_SELF, 0, 0, NULL), -EINVAL);
    ANSWER(change(XENMEM_claim_pages, DOMID_SELF, 1, 1, NULL), -EINVAL);
    ANSWER(change(XENMEM_claim_pages, DOMID_SELF, 0, 1, &none), -EINVAL);
    ANSWER(hc_memory_op(XENMEM_acquire_resource, UNMAPPED), -EFAULT);
    ANSWER(hc_memory_op(60, UNMAPPED), -ENOSYS);
}

/* --- physdev_op --- */

static long iobitmap(void *at, uint32_t ports)
{
    struct physdev_set_iobitmap op = { .nr_ports = ports };

    op.bitmap.p = at;
    return hc_physdev_op(PHYSDEVOP_set_iobitmap, &op);
}

static long iopl(uint32_t n)
{
    struct physdev_set_iopl op = { .iopl = n };

    return hc_physdev_op(PHYSDEVOP_set_iopl, &op);
}

static long by_irq(int cmd, uint32_t irq)
{
    union {
        struct physdev_eoi eoi;
        struct physdev_irq_status_query status;
        struct physdev_irq irq;
        struct physdev_unmap_pirq unmap;
    } op = { .eoi.irq = irq };

    if (cmd == PHYSDEVOP_unmap_pirq)
        op.unmap = (struct physdev_unmap_pirq){ .domid = DOMID_SELF, .pirq = (int)irq };
    return hc_physdev_op(cmd, &op);
}

static void interrupts(void)
{
    static const int cmds[] = { PHYSDEVOP_eoi,
                                PHYSDEVOP_irq_status_query,
                                PHYSDEVOP_set_iopl,
                                PHYSDEVOP_set_iobitmap,
                                PHYSDEVOP_apic_read,
                                PHYSDEVOP_apic_write,
                                PHYSDEVOP_map_pirq,
                                PHYSDEVOP_unmap_pirq,
                                PHYSDEVOP_setup_gsi,
                                PHYSDEVOP_get_free_pirq,
                                PHYSDEVOP_pci_mmcfg_reserved,
                                PHYSDEVOP_pirq_eoi_gmfn_v1,
                                PHYSDEVOP_pirq_eoi_gmfn_v2 };
    struct physdev_pirq_eoi_gmfn gmfn = { .gmfn = NO_FRAME };

    for (unsigned int i = 0; i < ARRAY_SIZE(cmds); i++)
        ANSWER(hc_physdev_op(cmds[i], UNMAPPED), -EFAULT);
    ANSWER(iobitmap(NULL, 0), 0);
    ANSWER(iobitmap(UNMAPPED, 65536), 0); /* read when it is used */
    ANSWER(iobitmap(UNMAPPED, 65537), -EINVAL);
    ANSWER(iobitmap(HYPERVISOR, 65536), -EINVAL);
    ANSWER(iobitmap((void *)0x8000000000000000, 8), -EINVAL);
    ANSWER(iobitmap(HYPERVISOR, 0), -EINVAL);
    ANSWER(iobitmap(NULL, 0), 0);
    ANSWER(iopl(4), -EINVAL);
    ANSWER(iopl(1), 0);
    ANSWER(by_irq(PHYSDEVOP_eoi, 100000), -EINVAL);
    ANSWER(by_irq(PHYSDEVOP_eoi, 9), -EINVAL); /* not mapped */
    ANSWER(by_irq(PHYSDEVOP_irq_status_query, 100000), -EINVAL);
    ANSWER(by_irq(PHYSDEVOP_irq_status_query, 9), 0);
    ANSWER(by_irq(PHYSDEVOP_unmap_pirq, 100000), -EINVAL);
    ANSWER(hc_physdev_op(PHYSDEVOP_pirq_eoi_gmfn_v2, &gmfn), -EINVAL);
    ANSWER(hc_physdev_op(99, UNMAPPED), -ENOSYS);
}

void guest_main(void)
{
    struct account before;

    events();
    fifo();
    account_take(&before); /* what these two have once is kept */
    events();
    fifo();
    memory();
    interrupts();
    account_check(&before, "answers");
}
