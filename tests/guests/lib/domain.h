/* SPDX-License-Identifier: MIT */
/* A domain that a micro-guest makes by hand, as Domain 0. One at a time; not for several CPUs. */
#ifndef GUEST_DOMAIN_H
#define GUEST_DOMAIN_H

#include "guest.h"

#include <xen/domctl.h>

extern domid_t dom; /* made last */
extern struct xen_domctl domctl;

/* The operation in domctl.u, of dom, repeated as long as the hypervisor asks for that. */
long do_domctl(uint32_t cmd);

/*
 * A domain with this many vCPUs, frames of its grant table and KiB at most, and with n pages, whose
 * frames are put in `pages`. It has no context and is paused.
 */
void domain_make(unsigned int vcpus, unsigned int grant_frames, uint64_t kib, xen_pfn_t *pages,
                 unsigned int n);

/* Until nothing is left of it; destroyed before. */
void domain_await_gone(void);

#endif
