/* SPDX-License-Identifier: MIT */
/*
 * What Domain 0's own calls refuse: physdev_op, platform_op, mca, sysctl, domctl, each with records
 * that cannot be read or written back and with values out of range. Together with
 * tests/model/refusals it shows that none of these checks can go unnoticed.
 */
#include "guest.h"

#include <xen/arch-x86/xen-mca.h>
#include <xen/domctl.h>
#include <xen/platform.h>
#include <xen/sysctl.h>

#define UNMAPPED ((void *)0x1000)
#define WRAPS ((void *)~0xffful) /* the last page of addresses: the hypervisor's, or nobody's */

static bool xen;         /* Xen, not Orlop */
static unsigned long ro; /* a page that the kernel may only read */

/* The record in a read-only page: it can be read, but not written back. */
static void *in_ro(const void *rec, size_t n)
{
    CHECK_EQ(direct_set(ro, KERN_RW), 0, "writable");
    memcpy(pfn_virt(ro), rec, n);
    CHECK_EQ(direct_set(ro, KERN_RO), 0, "read-only");
    return pfn_virt(ro);
}
#define RO(rec) in_ro(&(rec), sizeof(rec))

/* --- physdev_op --- */

static void physdev_pointers(void)
{
    static const int reads[] = { PHYSDEVOP_eoi,
                                 PHYSDEVOP_irq_status_query,
                                 PHYSDEVOP_apic_read,
                                 PHYSDEVOP_apic_write,
                                 PHYSDEVOP_alloc_irq_vector,
                                 PHYSDEVOP_map_pirq,
                                 PHYSDEVOP_unmap_pirq,
                                 PHYSDEVOP_pirq_eoi_gmfn_v1,
                                 PHYSDEVOP_pirq_eoi_gmfn_v2,
                                 PHYSDEVOP_setup_gsi,
                                 PHYSDEVOP_get_free_pirq,
                                 PHYSDEVOP_pci_mmcfg_reserved,
                                 PHYSDEVOP_manage_pci_add,
                                 PHYSDEVOP_manage_pci_remove,
                                 PHYSDEVOP_pci_device_add,
                                 PHYSDEVOP_pci_device_remove,
                                 PHYSDEVOP_restore_msi,
                                 PHYSDEVOP_restore_msi_ext,
                                 PHYSDEVOP_dbgp_op,
                                 PHYSDEVOP_set_iopl,
                                 PHYSDEVOP_set_iobitmap };
    struct physdev_irq_status_query status = { .irq = 4 };
    struct physdev_apic apic = { .apic_physbase = 0xfec00000 };
    struct physdev_irq irq = { .irq = 4 };
    struct physdev_get_free_pirq any = { .type = MAP_PIRQ_TYPE_GSI };
    struct physdev_map_pirq map = {
        .domid = DOMID_SELF, .type = MAP_PIRQ_TYPE_GSI, .index = 5, .pirq = 5
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(reads); i++)
        CHECK_EQ(hc_physdev_op(reads[i], UNMAPPED), -EFAULT, "operation %d", reads[i]);
    ANSWER(HC1(__HYPERVISOR_physdev_op_compat, UNMAPPED), -EFAULT);
    ANSWER(hc_physdev_op(PHYSDEVOP_map_pirq, RO(map)), -EFAULT);
    ANSWER(hc_physdev_op(PHYSDEVOP_irq_status_query, RO(status)), -EFAULT);
    ANSWER(hc_physdev_op(PHYSDEVOP_apic_read, RO(apic)), -EFAULT);
    ANSWER(hc_physdev_op(PHYSDEVOP_alloc_irq_vector, RO(irq)), -EFAULT);
    ANSWER(hc_physdev_op(PHYSDEVOP_get_free_pirq, RO(any)), -EFAULT);
}

static long setup_gsi(int gsi, uint8_t triggering, uint8_t polarity)
{
    struct physdev_setup_gsi op = { .gsi = gsi, .triggering = triggering, .polarity = polarity };

    return hc_physdev_op(PHYSDEVOP_setup_gsi, &op);
}

static long map_pirq(domid_t dom, int type, int index, int bus, int entry, uint64_t table)
{
    struct physdev_map_pirq op = { .domid = dom,
                                   .type = type,
                                   .index = index,
                                   .pirq = -1,
                                   .bus = bus,
                                   .entry_nr = entry,
                                   .table_base = table };

    return hc_physdev_op(PHYSDEVOP_map_pirq, &op);
}

static void physdev_values(void)
{
    struct physdev_apic apic = { .apic_physbase = 0xfec01000 };
    struct physdev_irq irq = { .irq = 200 };
    struct physdev_unmap_pirq unmap = { .domid = DOMID_SELF, .pirq = -1 };
    struct physdev_pci_device dev = { .bus = 9, .devfn = 8 };
    struct physdev_manage_pci pci = { .bus = 9, .devfn = 8 };
    struct physdev_pci_mmcfg_reserved window = { .start_bus = 3, .end_bus = 2 };
    struct physdev_dbgp_op dbgp = { .op = 77 };

    ANSWER(hc_physdev_op(PHYSDEVOP_apic_read, &apic), -EINVAL);
    ANSWER(hc_physdev_op(PHYSDEVOP_apic_write, &apic), -EINVAL);
    EITHER(hc_physdev_op(PHYSDEVOP_alloc_irq_vector, &irq), 0, -EINVAL);
    ANSWER(setup_gsi(-1, 0, 0), -EINVAL);
    EITHER(setup_gsi(9, 2, 0), 0, -EINVAL);
    EITHER(setup_gsi(9, 0, 2), -EEXIST, -EINVAL);
    ANSWER(map_pirq(77, MAP_PIRQ_TYPE_GSI, 4, 0, 0, 0), -ESRCH);
    ANSWER(map_pirq(DOMID_SELF, MAP_PIRQ_TYPE_GSI, -1, 0, 0, 0), -EINVAL);
    ANSWER(map_pirq(DOMID_SELF, 99, 4, 0, 0, 0), -EINVAL);
    ANSWER(map_pirq(DOMID_SELF, MAP_PIRQ_TYPE_MULTI_MSI, 0, 0, 2, 0), -EOPNOTSUPP);
    ANSWER(map_pirq(DOMID_SELF, MAP_PIRQ_TYPE_MULTI_MSI, 0, 0, 1, 0x1000), -EINVAL);
    ANSWER(map_pirq(DOMID_SELF, MAP_PIRQ_TYPE_MSI, 0, 0, -1, 0x1000), -EINVAL);
    ANSWER(map_pirq(DOMID_SELF, MAP_PIRQ_TYPE_MSI, 0, 0, 2048, 0x1000), -EINVAL);
    ANSWER(hc_physdev_op(PHYSDEVOP_unmap_pirq, &unmap), -EINVAL);
    unmap = (struct physdev_unmap_pirq){ .domid = 77, .pirq = 4 };
    ANSWER(hc_physdev_op(PHYSDEVOP_unmap_pirq, &unmap), -ESRCH);
    EITHER(hc_physdev_op(PHYSDEVOP_pci_device_add, &dev), 0, -ENODEV);
    ANSWER(hc_physdev_op(PHYSDEVOP_pci_device_remove, &dev), 0);
    EITHER(hc_physdev_op(PHYSDEVOP_manage_pci_add, &pci), 0, -ENODEV);
    ANSWER(hc_physdev_op(PHYSDEVOP_manage_pci_remove, &pci), 0);
    EITHER(hc_physdev_op(PHYSDEVOP_pci_mmcfg_reserved, &window), -ENODEV, -EINVAL);
    EITHER(hc_physdev_op(PHYSDEVOP_dbgp_op, &dbgp), 0, -EINVAL);
    dbgp.op = PHYSDEVOP_DBGP_RESET_PREPARE;
    ANSWER(hc_physdev_op(PHYSDEVOP_dbgp_op, &dbgp), 0);
    dbgp.op = PHYSDEVOP_DBGP_RESET_DONE;
    ANSWER(hc_physdev_op(PHYSDEVOP_dbgp_op, &dbgp), 0);
    ANSWER(hc_physdev_op(99, UNMAPPED), -ENOSYS);
}

/* --- platform_op and mca --- */

static struct xen_platform_op po;

static long platform(uint32_t cmd)
{
    po.cmd = cmd;
    po.interface_version = XENPF_INTERFACE_VERSION;
    return HC1(__HYPERVISOR_platform_op, &po);
}

static void platform_time(void)
{
    ANSWER(HC1(__HYPERVISOR_platform_op, UNMAPPED), -EFAULT);
    po.interface_version = 1;
    ANSWER(HC1(__HYPERVISOR_platform_op, &po), -EACCES);
    memset(&po, 0, sizeof(po));
    po.u.settime64.nsecs = 1000000000;
    EITHER(platform(XENPF_settime64), 0, -EINVAL);
    po.u.settime64.nsecs = 0;
    po.u.settime64.mbz = 1;
    ANSWER(platform(XENPF_settime64), -EINVAL);
    po.u.settime64.mbz = 0;
    po.u.settime64.secs = ~0ull / 1000000000 / 2 + 1;
    EITHER(platform(XENPF_settime64), 0, -EINVAL);
    po.u.settime32.nsecs = 1000000000;
    EITHER(platform(XENPF_settime32), 0, -EINVAL);
}

static long idle(uint32_t cpus, void *bitmap, void *times)
{
    po.u.getidletime.cpumap_nr_cpus = cpus;
    po.u.getidletime.cpumap_bitmap.p = bitmap;
    po.u.getidletime.idletime.p = times;
    return platform(XENPF_getidletime);
}

static void platform_idle(void)
{
    uint64_t times[8] = { 0 };
    uint8_t map[2] = { 0xff, 0xff }, *ro_map = RO(map);

    if (idle(8, map, times) == -ENOSYS)
        return; /* Xen without frequencies to govern */
    map[0] = 0xff;
    ANSWER(idle(8, UNMAPPED, times), -EFAULT);
    ANSWER(idle(8, map, UNMAPPED), -EFAULT);
    ANSWER(idle(8, map, WRAPS), -EFAULT);
    ANSWER(idle(8, ro_map, times), -EFAULT); /* CPUs that are not there cannot be taken out */
    ANSWER(idle(8, map, times), 0);
    CHECK(map[0] != 0xff && (map[0] & 1), "CPUs %#x", map[0]);
    ANSWER(map[1], 0xff);
    ANSWER(times[7], 0);
}

static void platform_values(void)
{
    uint32_t pdc[3] = { 1, 1, 7 };

    po.u.cpu_ol.cpuid = 5000;
    ANSWER(platform(XENPF_cpu_online), -EINVAL);
    ANSWER(platform(XENPF_cpu_offline), -EINVAL);
    po.u.cpu_ol.cpuid = 0;
    ANSWER(platform(XENPF_cpu_offline), -EOPNOTSUPP);
    memset(&po.u, 0, sizeof(po.u));
    po.u.set_pminfo.type = XEN_PM_PDC;
    po.u.set_pminfo.u.pdc.p = UNMAPPED;
    ANSWER(platform(XENPF_set_processor_pminfo), -EFAULT);
    po.u.set_pminfo.u.pdc.p = RO(pdc);
    ANSWER(platform(XENPF_set_processor_pminfo), -EFAULT);
    po.u.set_pminfo.u.pdc.p = pdc;
    ANSWER(platform(XENPF_set_processor_pminfo), 0);
    pdc[0] = 2;
    EITHER(platform(XENPF_set_processor_pminfo), 0, -EINVAL);
    pdc[0] = 1;
    pdc[1] = 2;
    EITHER(platform(XENPF_set_processor_pminfo), 0, -EINVAL);
    po.u.set_pminfo.type = 99;
    ANSWER(platform(XENPF_set_processor_pminfo), -EINVAL);
    po.u.core_parking.type = 99;
    ANSWER(platform(XENPF_core_parking), -EINVAL);
    po.u.firmware_info.type = 99;
    ANSWER(platform(XENPF_firmware_info), -EINVAL);
    po.u.firmware_info.type = XEN_FW_KBD_SHIFT_FLAGS;
    po.u.firmware_info.index = 1;
    ANSWER(platform(XENPF_firmware_info), -ESRCH);
    po.cmd = XENPF_get_cpuinfo;
    ANSWER(HC1(__HYPERVISOR_platform_op, RO(po)), -EFAULT);
}

static void mca(void)
{
    static struct xen_mc mc;

    ANSWER(HC1(__HYPERVISOR_mca, UNMAPPED), -EFAULT);
    ANSWER(HC1(__HYPERVISOR_mca, &mc), -EACCES);
    mc.interface_version = XEN_MCA_INTERFACE_VERSION;
    mc.cmd = XEN_MC_physcpuinfo;
    mc.u.mc_physcpuinfo.info.p = UNMAPPED;
    ANSWER(HC1(__HYPERVISOR_mca, &mc), -EINVAL); /* room for none */
    mc.u.mc_physcpuinfo.ncpus = 1;
    ANSWER(HC1(__HYPERVISOR_mca, &mc), -EFAULT);
    mc.u.mc_physcpuinfo.info.p = NULL;
    ANSWER(HC1(__HYPERVISOR_mca, RO(mc)), -EFAULT);
    mc.cmd = XEN_MC_fetch;
    mc.u.mc_fetch.flags = XEN_MC_NONURGENT | XEN_MC_URGENT;
    ANSWER(HC1(__HYPERVISOR_mca, &mc), -EINVAL);
}

/* --- sysctl --- */

static struct xen_sysctl sc;

static long sysctl(uint32_t cmd)
{
    sc.cmd = cmd;
    sc.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return HC1(__HYPERVISOR_sysctl, &sc);
}

static void sysctl_pointers(void)
{
    char keys[40];

    memset(keys, 'h', sizeof(keys));
    ANSWER(HC1(__HYPERVISOR_sysctl, UNMAPPED), -EFAULT);
    sc.interface_version = 1;
    ANSWER(HC1(__HYPERVISOR_sysctl, &sc), -EACCES);
    ANSWER(sysctl(XEN_SYSCTL_sched_id), 0);
    ANSWER(HC1(__HYPERVISOR_sysctl, RO(sc)), -EFAULT);
    sc.u.readconsole.buffer.p = UNMAPPED;
    sc.u.readconsole.count = 10;
    ANSWER(sysctl(XEN_SYSCTL_readconsole), -EFAULT);
    sc.u.debug_keys.keys.p = UNMAPPED;
    sc.u.debug_keys.nr_keys = 1;
    ANSWER(sysctl(XEN_SYSCTL_debug_keys), -EFAULT);
    sc.u.debug_keys.keys.p = keys;
    sc.u.debug_keys.nr_keys = 33;
    EITHER(sysctl(XEN_SYSCTL_debug_keys), 0, -E2BIG);
    sc.u.getdomaininfolist.first_domain = 0;
    sc.u.getdomaininfolist.max_domains = 2;
    sc.u.getdomaininfolist.buffer.p = UNMAPPED;
    ANSWER(sysctl(XEN_SYSCTL_getdomaininfolist), -EFAULT);
    sc.u.getcpuinfo.max_cpus = 1;
    sc.u.getcpuinfo.info.p = UNMAPPED;
    ANSWER(sysctl(XEN_SYSCTL_getcpuinfo), -EFAULT);
    sc.u.cputopoinfo.num_cpus = 1;
    sc.u.cputopoinfo.cputopo.p = UNMAPPED;
    ANSWER(sysctl(XEN_SYSCTL_cputopoinfo), -EFAULT);
    memset(&sc.u, 0, sizeof(sc.u));
    sc.u.numainfo.num_nodes = 1;
    sc.u.numainfo.meminfo.p = UNMAPPED;
    ANSWER(sysctl(XEN_SYSCTL_numainfo), -EFAULT);
    sc.u.numainfo.meminfo.p = NULL;
    sc.u.numainfo.distance.p = UNMAPPED;
    ANSWER(sysctl(XEN_SYSCTL_numainfo), -EFAULT);
}

static void sysctl_power(void)
{
    uint64_t n[2];

    memset(&sc.u, 0, sizeof(sc.u));
    sc.u.get_pmstat.cpuid = 5000;
    ANSWER(sysctl(XEN_SYSCTL_get_pmstat), -EINVAL);
    sc.u.get_pmstat.cpuid = 0;
    sc.u.get_pmstat.type = PMSTAT_get_cxstat;
    sc.u.get_pmstat.u.getcx.nr = 2;
    sc.u.get_pmstat.u.getcx.residencies.p = UNMAPPED;
    sc.u.get_pmstat.u.getcx.triggers.p = n;
    ANSWER(sysctl(XEN_SYSCTL_get_pmstat), -EFAULT);
    sc.u.get_pmstat.u.getcx.residencies.p = n;
    sc.u.get_pmstat.u.getcx.triggers.p = UNMAPPED;
    ANSWER(sysctl(XEN_SYSCTL_get_pmstat), -EFAULT);
    sc.u.get_pmstat.u.getcx.triggers.p = n;
    ANSWER(sysctl(XEN_SYSCTL_get_pmstat), 0);
}

static long schedule(uint32_t slice, uint32_t limit, uint32_t delay)
{
    memset(&sc.u, 0, sizeof(sc.u));
    sc.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT;
    sc.u.scheduler_op.cmd = XEN_SYSCTL_SCHEDOP_putinfo;
    sc.u.scheduler_op.u.sched_credit.tslice_ms = slice;
    sc.u.scheduler_op.u.sched_credit.ratelimit_us = limit;
    sc.u.scheduler_op.u.sched_credit.vcpu_migr_delay_us = delay;
    return sysctl(XEN_SYSCTL_scheduler_op);
}

static void sysctl_scheduler(void)
{
    memset(&sc.u, 0, sizeof(sc.u));
    ANSWER(sysctl(XEN_SYSCTL_sched_id), 0);
    if (sc.u.sched_id.sched_id != XEN_SCHEDULER_CREDIT)
        return; /* Xen's own default */
    sc.u.scheduler_op.sched_id = XEN_SCHEDULER_RTDS;
    ANSWER(sysctl(XEN_SYSCTL_scheduler_op), -EINVAL);
    sc.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT;
    sc.u.scheduler_op.cmd = 77;
    ANSWER(sysctl(XEN_SYSCTL_scheduler_op), -EINVAL);
    ANSWER(schedule(XEN_SYSCTL_CSCHED_TSLICE_MIN - 1, 0, 0), -EINVAL);
    ANSWER(schedule(XEN_SYSCTL_CSCHED_TSLICE_MAX + 1, 0, 0), -EINVAL);
    ANSWER(schedule(30, XEN_SYSCTL_SCHED_RATELIMIT_MIN - 1, 0), -EINVAL);
    ANSWER(schedule(1000, XEN_SYSCTL_SCHED_RATELIMIT_MAX + 1, 0), -EINVAL);
    ANSWER(schedule(5, 6000, 0), -EINVAL);
    ANSWER(schedule(30, 1000, 1), -EINVAL);
    ANSWER(schedule(30, 1000, 0), 0);
}

static long featureset(uint32_t index, uint32_t room, void *to)
{
    memset(&sc.u, 0, sizeof(sc.u));
    sc.u.cpu_featureset.index = index;
    sc.u.cpu_featureset.nr_features = room;
    sc.u.cpu_featureset.features.p = to;
    return sysctl(XEN_SYSCTL_get_cpu_featureset);
}

static void sysctl_policy(void)
{
    static uint32_t words[64];

    EITHER(featureset(77, 0, NULL), 0, -EINVAL);
    ANSWER(featureset(0, 64, UNMAPPED), -EFAULT);
    ANSWER(featureset(0, 1, words), -ENOBUFS);
    ANSWER(featureset(0, 64, words), 0);
    memset(&sc.u, 0, sizeof(sc.u));
    sc.u.cpu_policy.index = 77;
    ANSWER(sysctl(XEN_SYSCTL_get_cpu_policy), -EINVAL);
    sc.u.cpu_policy.index = 0;
    sc.u.cpu_policy._rsvd = 1;
    ANSWER(sysctl(XEN_SYSCTL_get_cpu_policy), -EINVAL);
    sc.u.cpu_policy._rsvd = 0;
    sc.u.cpu_policy.nr_leaves = 1;
    sc.u.cpu_policy.leaves.p = pfn_virt(ro);
    ANSWER(sysctl(XEN_SYSCTL_get_cpu_policy), -EFAULT);
}

/* --- domctl --- */

static struct xen_domctl dc;
static domid_t dom;

static long domctl_on(domid_t id, uint32_t cmd)
{
    dc.cmd = cmd;
    dc.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    dc.domain = id;
    return HC1(__HYPERVISOR_domctl, &dc);
}

static long domctl(uint32_t cmd)
{
    return domctl_on(dom, cmd);
}

static long make(uint32_t max_vcpus, uint32_t misc_flags)
{
    long rc;

    memset(&dc.u, 0, sizeof(dc.u));
    dc.u.createdomain.max_vcpus = max_vcpus;
    dc.u.createdomain.max_evtchn_port = 1023;
    dc.u.createdomain.max_grant_frames = 4;
    dc.u.createdomain.max_maptrack_frames = 4;
    dc.u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(1);
    dc.u.createdomain.arch.misc_flags = misc_flags;
    dom = 0;
    rc = domctl(XEN_DOMCTL_createdomain);
    dom = (domid_t)dc.domain;
    return rc;
}

static void domctl_vcpus(void)
{
    static struct vcpu_guest_context ctx;

    memset(&dc.u, 0, sizeof(dc.u));
    ANSWER(domctl(XEN_DOMCTL_max_vcpus), -EINVAL);
    dc.u.max_vcpus.max = 3;
    ANSWER(domctl(XEN_DOMCTL_max_vcpus), -EINVAL);
    dc.u.getvcpuinfo.vcpu = 2;
    ANSWER(domctl(XEN_DOMCTL_getvcpuinfo), -EINVAL);
    dc.u.getvcpuinfo.vcpu = 1;
    ANSWER(domctl(XEN_DOMCTL_getvcpuinfo), -ESRCH); /* it may have one, but has none yet */
    dc.u.vcpucontext.vcpu = 0;
    dc.u.vcpucontext.ctxt.p = &ctx;
    ANSWER(domctl(XEN_DOMCTL_getvcpucontext), -EINVAL);
    dc.u.max_vcpus.max = 2;
    ANSWER(domctl(XEN_DOMCTL_max_vcpus), 0);
    dc.u.vcpucontext.vcpu = 0;
    dc.u.vcpucontext.ctxt.p = &ctx;
    ANSWER(domctl(XEN_DOMCTL_getvcpucontext), -ENODATA);
    ANSWER(domctl_on(0, XEN_DOMCTL_getvcpucontext), -EINVAL);
    dc.u.vcpucontext.ctxt.p = NULL;
    EITHER(domctl(XEN_DOMCTL_setvcpucontext), 0, -EINVAL);
    dc.u.vcpucontext.ctxt.p = UNMAPPED;
    ANSWER(domctl(XEN_DOMCTL_setvcpucontext), -EFAULT);
    memset(&dc.u, 0, sizeof(dc.u));
    dc.u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_POWER;
    ANSWER(domctl(XEN_DOMCTL_sendtrigger), -EINVAL);
}

static long share(uint32_t id, uint32_t cmd, uint16_t weight, uint16_t cap)
{
    memset(&dc.u, 0, sizeof(dc.u));
    dc.u.scheduler_op.sched_id = id;
    dc.u.scheduler_op.cmd = cmd;
    dc.u.scheduler_op.u.credit.weight = weight;
    dc.u.scheduler_op.u.credit.cap = cap;
    return domctl(XEN_DOMCTL_scheduler_op);
}

static void domctl_shares(void)
{
    ANSWER(share(XEN_SCHEDULER_RTDS, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), -EINVAL);
    ANSWER(share(XEN_SCHEDULER_CREDIT, 77, 0, 0), -EINVAL);
    ANSWER(share(XEN_SCHEDULER_CREDIT, XEN_DOMCTL_SCHEDOP_putinfo, 256, 201), -EINVAL);
    ANSWER(share(XEN_SCHEDULER_CREDIT, XEN_DOMCTL_SCHEDOP_putinfo, 0, 0xffff), 0);
    ANSWER(share(XEN_SCHEDULER_CREDIT, XEN_DOMCTL_SCHEDOP_getinfo, 0, 0), 0);
    ANSWER(dc.u.scheduler_op.u.credit.weight, 256);
}

static void domctl_values(void)
{
    ANSWER(domctl_on(0, XEN_DOMCTL_pausedomain), -EINVAL);
    ANSWER(domctl_on(0, XEN_DOMCTL_unpausedomain), -EINVAL);
    ANSWER(domctl_on(0, XEN_DOMCTL_getdomaininfo), 0);
    ANSWER(HC1(__HYPERVISOR_domctl, RO(dc)), -EFAULT);
    memset(&dc.u, 0, sizeof(dc.u));
    ANSWER(domctl_on(0, XEN_DOMCTL_set_cpu_policy), -EINVAL);
    ANSWER(domctl_on(0, XEN_DOMCTL_settscinfo), -EINVAL);
    dc.u.tsc_info.tsc_mode = 3;
    ANSWER(domctl(XEN_DOMCTL_settscinfo), -EINVAL);
    dc.u.tsc_info.tsc_mode = 1;
    dc.u.tsc_info.gtsc_khz = 999;
    EITHER(domctl(XEN_DOMCTL_settscinfo), 0, -EINVAL);
}

static void memory_maps(void)
{
    static struct e820 {
        uint64_t addr, size;
        uint32_t type;
    } __attribute__((packed)) e820[200];
    struct xen_foreign_memory_map map = { .domid = dom };

    ANSWER(hc_memory_op(XENMEM_set_memory_map, UNMAPPED), -EFAULT);
    map.map.nr_entries = 101;
    map.map.buffer.p = e820;
    EITHER(hc_memory_op(XENMEM_set_memory_map, &map), 0, -EINVAL);
    map.map.nr_entries = 1;
    map.map.buffer.p = UNMAPPED;
    ANSWER(hc_memory_op(XENMEM_set_memory_map, &map), -EFAULT);
    map.map.buffer.p = e820;
    ANSWER(hc_memory_op(XENMEM_set_memory_map, &map), 0);
    map.domid = 77;
    ANSWER(hc_memory_op(XENMEM_set_memory_map, &map), -ESRCH);
}

static void memory_map_of_its_own(void)
{
    static uint8_t e820[2 * 20];
    struct xen_foreign_memory_map map = { .domid = DOMID_SELF };
    struct xen_memory_map own = { .nr_entries = 1 };

    own.buffer.p = e820;
    ANSWER(hc_memory_op(XENMEM_memory_map, &own), -ENOSYS); /* nobody told it one */
    map.map.buffer.p = e820;
    map.map.nr_entries = 1;
    ANSWER(hc_memory_op(XENMEM_set_memory_map, &map), 0);
    ANSWER(hc_memory_op(XENMEM_memory_map, UNMAPPED), -EFAULT);
    own.buffer.p = UNMAPPED;
    ANSWER(hc_memory_op(XENMEM_memory_map, &own), -EFAULT);
    own.buffer.p = e820;
    ANSWER(hc_memory_op(XENMEM_memory_map, RO(own)), -EFAULT);
    ANSWER(hc_memory_op(XENMEM_memory_map, &own), 0);
}

static void domctls(void)
{
    long rc;

    if (!xen)
        ANSWER(make(2, XEN_X86_MSR_RELAXED << 1), -EINVAL);
    ANSWER(make(2, XEN_X86_MSR_RELAXED), 0);
    domctl_vcpus();
    if (!xen) /* whose default is another scheduler */
        domctl_shares();
    domctl_values();
    memory_maps();
    ANSWER(domctl(XEN_DOMCTL_unpausedomain), 0);
    memset(&dc.u, 0, sizeof(dc.u));
    EITHER(domctl(XEN_DOMCTL_settscinfo), 0, -EEXIST);
    ANSWER(domctl(XEN_DOMCTL_set_cpu_policy), -EEXIST);
    do
        rc = domctl(XEN_DOMCTL_destroydomain);
    while (rc == -EAGAIN);
    CHECK_EQ(rc, 0, "destroydomain");
}

void guest_main(void)
{
    struct account before;

    xen = !option("audit"); /* which the runner passes to ours alone */
    ro = alloc_pfn();
    CHECK_EQ(direct_set(ro, KERN_RO), 0, "read-only");
    physdev_pointers(); /* its table of PIRQs stays with Domain 0 */
    physdev_values();
    account_take(&before);
    platform_time();
    platform_idle();
    platform_values();
    mca();
    sysctl_pointers();
    sysctl_power();
    sysctl_scheduler();
    sysctl_policy();
    domctls();
    if (!xen) /* which gives a dead domain's pages back later */
        account_check(&before, "refuse");
    memory_map_of_its_own();
}
