/* SPDX-License-Identifier: MIT */
/* What must not change while a test runs. */
#include "guest.h"

#include <xen/sysctl.h>

void account_take(struct account *a)
{
    struct xen_sysctl ctl = {
        .cmd = XEN_SYSCTL_physinfo,
        .interface_version = XEN_SYSCTL_INTERFACE_VERSION,
    };
    domid_t self = DOMID_SELF;

    a->free_pages = 0;
    if (!own_console) { /* only Domain 0 is told */
        CHECK_EQ(hc_sysctl(&ctl), 0, "sysctl physinfo");
        a->free_pages = ctl.u.physinfo.free_pages;
    }
    a->reservation = hc_memory_op(XENMEM_current_reservation, &self);
}

void account_check(const struct account *before, const char *what)
{
    struct account now;

    account_take(&now);
    CHECK_EQ(now.free_pages, before->free_pages, "%s: free pages of the host", what);
    CHECK_EQ(now.reservation, before->reservation, "%s: pages of the domain", what);
}
