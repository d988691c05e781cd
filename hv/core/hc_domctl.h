/* SPDX-License-Identifier: MIT */
/* Shared by hc_domctl*.c only. All functions run under the domctl lock. */
#ifndef CORE_HC_DOMCTL_H
#define CORE_HC_DOMCTL_H

#include "core/hypercall.h"

#include <xen/domctl.h>

/* vCPU `id` of d as a tool names it, or NULL. */
static inline struct vcpu *domctl_vcpu(const struct domain *d, uint32_t id)
{
    return id < d->max_vcpus ? d->vcpu[index_nospec(id, MAX_VCPUS)] : NULL;
}

/* createdomain: 0 with the new domain's id in op->domain, or -errno. */
long domctl_create(struct vcpu *v, struct xen_domctl *op);
/* The operations that build, start and end d; -ENOSYS: not one of them. -EAGAIN: call again. */
long domctl_life(struct vcpu *v, struct domain *d, struct xen_domctl *op);

#endif
