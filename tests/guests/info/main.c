/* SPDX-License-Identifier: MIT */
/* What the hypervisor says of itself: xen_version, the console ring, sysctl and domctl of Dom0. */
#include "guest.h"

#include <xen/domctl.h>
#include <xen/sysctl.h>

#include "lib/xenabi.h"

static void check_version(void)
{
    struct xen_feature_info f = { .submap_idx = 0 };
    struct xen_platform_parameters params = { 0 };
    xen_extraversion_t extra;
    xen_capabilities_info_t caps;
    xen_commandline_t line;
    long v = hc_xen_version(XENVER_version, NULL);

    CHECK_EQ(v, XEN_ABI_VERSION, "version");
    memset(extra, 0x55, sizeof(extra));
    CHECK(hc_xen_version(XENVER_extraversion, extra) >= 0, "extraversion");
    CHECK(strlen(extra) < sizeof(extra), "extraversion ends");
    memset(caps, 0x55, sizeof(caps));
    CHECK(hc_xen_version(XENVER_capabilities, caps) >= 0, "capabilities");
    CHECK(!strncmp(caps, "xen-3.0-x86_64", 14), "capabilities '%s'", caps);
    CHECK_EQ(hc_xen_version(XENVER_platform_parameters, &params), 0, "platform parameters");
    CHECK_EQ(params.virt_start, HYPERVISOR_VIRT_START, "virt_start");
    CHECK_EQ(hc_xen_version(XENVER_get_features, &f), 0, "features");
    CHECK(f.submap & (1u << 5), "mmu_pt_update_preserve_ad in %#x", f.submap);
    f.submap_idx = 99;
    CHECK_EQ(hc_xen_version(XENVER_get_features, &f), -EINVAL, "feature map 99");
    CHECK_EQ(hc_xen_version(XENVER_pagesize, NULL), 4096, "page size");
    CHECK(hc_xen_version(XENVER_guest_handle, caps) == 0, "handle");
    CHECK(hc_xen_version(XENVER_commandline, line) >= 0, "command line");
    CHECK_EQ(hc_xen_version(99, NULL), -ENOSYS, "unknown operation");
#ifdef XENVER_capabilities2
    struct {
        uint32_t len;
        char text[100];
    } whole = { .len = sizeof(whole.text) };

    CHECK_EQ(hc_xen_version(XENVER_capabilities2, &whole),
             hc_xen_version(XENVER_capabilities2, NULL), "whole capabilities");
    CHECK(!strncmp(whole.text, "xen-3.0-x86_64", 14), "whole capabilities '%s'", whole.text);
#endif
}

static long sysctl(struct xen_sysctl *op, unsigned int cmd)
{
    op->cmd = cmd;
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return hc_sysctl(op);
}

static void check_sysctl(void)
{
    static char ring[4096];
    struct xen_sysctl op = { 0 };

    CHECK_EQ(sysctl(&op, XEN_SYSCTL_physinfo), 0, "physinfo");
    CHECK(op.u.physinfo.nr_cpus >= 1 && op.u.physinfo.nr_cpus <= 256, "CPUs %u",
          op.u.physinfo.nr_cpus);
    CHECK(op.u.physinfo.total_pages > 100000 && op.u.physinfo.total_pages <= 131072, "pages %lu",
          op.u.physinfo.total_pages);
    CHECK(op.u.physinfo.free_pages < op.u.physinfo.total_pages, "free %lu",
          op.u.physinfo.free_pages);
    memset(&op, 0, sizeof(op));
    op.u.readconsole.buffer.p = ring;
    op.u.readconsole.count = sizeof(ring);
    CHECK_EQ(sysctl(&op, XEN_SYSCTL_readconsole), 0, "readconsole");
    CHECK(op.u.readconsole.count > 0 && op.u.readconsole.count <= sizeof(ring), "read %u",
          op.u.readconsole.count);
    op.interface_version = XEN_SYSCTL_INTERFACE_VERSION + 1;
    CHECK(hc_sysctl(&op) < 0, "another interface version");
    CHECK(sysctl(&op, 0xffff) < 0, "unknown sysctl");
}

static long domctl(struct xen_domctl *op, unsigned int cmd, unsigned int dom)
{
    op->cmd = cmd;
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    op->domain = (domid_t)dom;
    return HC1(__HYPERVISOR_domctl, op);
}

static void check_domctl(void)
{
    struct xen_domctl op;

    memset(&op, 0, sizeof(op));
    CHECK_EQ(domctl(&op, XEN_DOMCTL_getdomaininfo, 0), 0, "getdomaininfo");
    CHECK_EQ(op.u.getdomaininfo.domain, 0, "domain");
    CHECK_EQ(op.u.getdomaininfo.tot_pages, si->nr_pages, "pages");
    CHECK_EQ(op.u.getdomaininfo.max_vcpu_id, 0, "last vCPU");
    CHECK(op.u.getdomaininfo.flags & XEN_DOMINF_running, "flags %#x", op.u.getdomaininfo.flags);
    CHECK_EQ(op.u.getdomaininfo.shared_info_frame != 0, 1, "shared info");
    memset(&op, 0, sizeof(op));
    CHECK(domctl(&op, XEN_DOMCTL_getdomaininfo, 0x1234) < 0, "no such domain");
    memset(&op, 0, sizeof(op));
    CHECK(domctl(&op, XEN_DOMCTL_destroydomain, 0) < 0, "destroys itself");
    CHECK(domctl(&op, XEN_DOMCTL_pausedomain, 0) < 0, "pauses itself");
    CHECK(domctl(&op, 0xffff, 0) < 0, "unknown domctl");
    op.interface_version = 1;
    CHECK(HC1(__HYPERVISOR_domctl, &op) < 0, "another interface version");
}

/* Nothing of the hypervisor's stack in what it fills in. */
static void check_padding(void)
{
    struct xen_domctl op;
    struct evtchn_status st;
    struct vcpu_runstate_info run;
    const uint8_t *p;

    memset(&run, 0, sizeof(run));
    CHECK_EQ(hc_vcpu_op(VCPUOP_get_runstate_info, 0, &run), 0, "runstate");
    p = (const uint8_t *)&run.state + 4;
    CHECK(!p[0] && !p[1] && !p[2] && !p[3], "padding of runstate");
    memset(&st, 0, sizeof(st));
    st.dom = DOMID_SELF;
    CHECK_EQ(hc_event_channel_op(EVTCHNOP_status, &st), 0, "status of port 0");
    memset(&op, 0, sizeof(op));
    CHECK_EQ(domctl(&op, XEN_DOMCTL_getdomaininfo, 0), 0, "getdomaininfo");
    p = (const uint8_t *)&op + sizeof(op) - 8;
    for (int i = 0; i < 8; i++)
        CHECK_EQ(p[i], 0, "tail of the structure");
}

void guest_main(void)
{
    struct account before;

    account_take(&before);
    check_version();
    check_sysctl();
    check_domctl();
    check_padding();
    account_check(&before, "information");
}
