/* SPDX-License-Identifier: MIT */
/* CPU pools: see hc_cpupool.c. */
#ifndef CORE_HC_CPUPOOL_H
#define CORE_HC_CPUPOOL_H

#include <stdbool.h>
#include <stdint.h>

struct hc_args;
struct vcpu;
struct xen_sysctl_cpupool_op;

bool cpupool_exists(uint32_t pool);
/* Whether a domain may be in it: it exists, and has a CPU. [domctl lock] */
bool cpupool_usable(uint32_t pool);
/* sysctl cpupool_op; takes the domctl lock. */
long sysctl_cpupool(struct vcpu *v, const struct hc_args *args, struct xen_sysctl_cpupool_op *op);

/* sysctl cpu_hotplug; takes the domctl lock. */
struct xen_sysctl_cpu_hotplug;
long sysctl_cpu_hotplug(struct vcpu *v, const struct hc_args *args,
                        const struct xen_sysctl_cpu_hotplug *op);

#endif
