/* SPDX-License-Identifier: MIT */
#include "domain.h"

domid_t dom;
struct xen_domctl domctl = { .interface_version = XEN_DOMCTL_INTERFACE_VERSION };

long do_domctl(uint32_t cmd)
{
    long rc;

    domctl.cmd = cmd;
    domctl.domain = dom;
    do
        rc = HC1(__HYPERVISOR_domctl, &domctl);
    while (rc == -EAGAIN);
    return rc;
}

void domain_make(unsigned int vcpus, unsigned int grant_frames, uint64_t kib, xen_pfn_t *pages,
                 unsigned int n)
{
    struct xen_memory_reservation r = { .nr_extents = n };

    memset(&domctl.u, 0, sizeof(domctl.u));
    domctl.u.createdomain.max_vcpus = vcpus;
    domctl.u.createdomain.max_evtchn_port = 1023;
    domctl.u.createdomain.max_grant_frames = (int32_t)grant_frames;
    domctl.u.createdomain.max_maptrack_frames = 4;
    domctl.u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(1);
    dom = 0;
    CHECK_EQ(do_domctl(XEN_DOMCTL_createdomain), 0, "createdomain");
    dom = (domid_t)domctl.domain;
    CHECK(dom != 0, "its id");
    domctl.u.max_mem.max_memkb = kib;
    CHECK_EQ(do_domctl(XEN_DOMCTL_max_mem), 0, "max_mem");
    domctl.u.max_vcpus.max = vcpus;
    CHECK_EQ(do_domctl(XEN_DOMCTL_max_vcpus), 0, "max_vcpus");
    for (unsigned int i = 0; i < n; i++)
        pages[i] = i;
    r.extent_start.p = pages;
    r.domid = dom;
    CHECK_EQ(hc_memory_op(XENMEM_populate_physmap, &r), n, "populate_physmap");
}

void domain_await_gone(void)
{
    for (int i = 0; i < 100000 && do_domctl(XEN_DOMCTL_getdomaininfo) == 0 &&
                    domctl.u.getdomaininfo.domain == dom;
         i++)
        hc_sched_op(SCHEDOP_yield, NULL);
}
