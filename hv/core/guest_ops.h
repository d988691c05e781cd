/* SPDX-License-Identifier: MIT */
/* What a guest kind (PV, later HVM and PVH) provides to the core. */
#ifndef CORE_GUEST_OPS_H
#define CORE_GUEST_OPS_H

#include "core/types.h"

struct vcpu;
struct domain;
struct vcpu_guest_context;

/* As the hypercall table counts them. PVH is HVM without a device model. */
enum guest_kind { GUEST_PV, GUEST_PV32, GUEST_HVM };

struct guest_ops {
    enum guest_kind kind; /* of a new domain; tools may make a PV domain one of PV32 */
    const char *name;     /* "PV", ... for the log */
    /* Guest kernel memory; v is current. 0, or -EFAULT with nothing said about how much moved. */
    int (*copy_from)(struct vcpu *v, void *dst, gptr_t src, size_t n);
    int (*copy_to)(struct vcpu *v, gptr_t dst, const void *src, size_t n);
    /*
     * v, current, may be in its program, which does not map its kernel: between on and off, copies
     * reach the kernel's memory. NULL: they always do.
     */
    void (*kernel_view)(struct vcpu *v, bool on);
    /* Registers of v (not running, or current) to the log, for domain_crash and debug keys. */
    void (*dump)(const struct vcpu *v);
    /*
     * Take over a context from the guest (VCPUOP_initialise) or the tools. 0 or -errno; -EAGAIN:
     * gave way to pending work, call again.
     */
    int (*set_context)(struct vcpu *v, const struct vcpu_guest_context *c);
    void (*get_context)(struct vcpu *v, struct vcpu_guest_context *c);
    /*
     * One step of giving up everything the domain holds that the kind knows of (page tables);
     * -EAGAIN: call again, 0: nothing is left.
     */
    int (*relinquish)(struct domain *d);
    /* Memory of a destroyed domain's records. */
    void (*free_vcpu)(struct vcpu *v);
    void (*free_domain)(struct domain *d);
};

#endif
