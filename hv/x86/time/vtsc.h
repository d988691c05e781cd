/* SPDX-License-Identifier: MIT */
/*
 * The TSC that a domain's vCPUs see (vtsc.c): the machine's, or one that counts system time at a
 * frequency of the domain's own (xen-tscmode(7)). A vCPU's own offset comes on top of both.
 *
 * Emulated it is in mode 1, and in mode 0 where the domain brings a frequency that is not this
 * machine's: it was started on another. What decides it is set before the domain runs, and constant
 * from then on; no lock.
 */
#ifndef X86_TIME_VTSC_H
#define X86_TIME_VTSC_H

#include <stdint.h>

#include <xen/domctl.h>

#include "x86/time/scale.h"
#include "x86/vcpu.h"

#define TSC_MODE_DEFAULT 0
#define TSC_MODE_EMULATE 1
#define TSC_MODE_NATIVE 2

/* The domain's TSC now, before a vCPU's offset. */
uint64_t vtsc_now(const struct x86_domain *xd);
/* Nanoseconds of `ticks` of it, by the scale of the domain's time records. */
struct clock_scale vtsc_scale(const struct x86_domain *xd);
/* Its frequency in kHz, for CPUID and the tools. */
uint32_t vtsc_khz(const struct x86_domain *xd);

/* For v's time record, if its TSC is emulated: the pair of now. False: it is the machine's. */
bool vtsc_fill_time(const struct x86_vcpu *v, struct vcpu_time_info *t);

/*
 * XEN_DOMCTL_gettscinfo: with the nanoseconds since its TSC was 0, which continue elsewhere.
 * XEN_DOMCTL_settscinfo: 0; -EINVAL: no such mode, or a frequency below 1 MHz or beyond 64 GHz;
 * -EEXIST: d has run. The domctl lock is held.
 */
void vtsc_get(const struct x86_domain *xd, struct xen_domctl_tsc_info *info);
long vtsc_set(struct x86_domain *xd, const struct xen_domctl_tsc_info *info);

#endif
