/* SPDX-License-Identifier: MIT */
/* Records of PV domains and vCPUs: created here, given back through pv_guest_ops. */
#ifndef X86_PV_DOMAIN_H
#define X86_PV_DOMAIN_H

#include "core/types.h"
#include "x86/pv/pv.h"

/*
 * A domain of up to max_vcpus vCPUs without memory and without vCPUs, not yet published.
 * NULL: no memory, or numbers out of range.
 */
struct pv_domain *pv_domain_create(domid_t id, unsigned int max_vcpus);
/* vCPU `id` of d, down and without a context. NULL: no memory, or d has it already. */
struct pv_vcpu *pv_vcpu_create(struct domain *d, unsigned int id);

/* rflags that a guest may have: nothing that gives it ports or hides interrupts. */
static inline uint64_t pv_rflags(uint64_t wanted)
{
    return (wanted & 0x00250dd5ul) | X86_FLAGS_IF | X86_FLAGS_FIXED;
}

#endif
