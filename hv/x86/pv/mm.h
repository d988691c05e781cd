/* SPDX-License-Identifier: MIT */
/* Shared by the memory hypercalls of PV guests. */
#ifndef X86_PV_MM_H
#define X86_PV_MM_H

#include "core/hypercall.h"
#include "x86/pv/ptable.h"

/* Where v, current, keeps what it undoes of d's tables. [pt_lock of d] */
static inline struct pt_drop *pv_drop_of(struct vcpu *v, struct domain *d)
{
    return __builtin_expect(d == v->domain, 1) ? &pv_vcpu(v)->drop : &pv_domain(d)->drop;
}

/*
 * Before a memory operation of v on d's tables begins, and after the last one: whatever an earlier
 * one left half undone is finished. False: gave way to pending work; the call restarts with its
 * arguments.
 */
static inline bool pv_mm_ready_for(struct vcpu *v, struct domain *d)
{
    struct pt_drop *drop = pv_drop_of(v, d);

    if (__builtin_expect(!__atomic_load_n(&drop->any, __ATOMIC_RELAXED), 1))
        return true;
    spin_lock(&pv_domain(d)->pt_lock);
    bool done = pt_drop_continue(drop, d);
    spin_unlock(&pv_domain(d)->pt_lock);
    return done;
}

static inline bool pv_mm_ready(struct vcpu *v)
{
    return pv_mm_ready_for(v, v->domain);
}

/* Something is left to undo: the exit path sees to it. */
static inline void pv_mm_done(struct vcpu *v)
{
    if (__builtin_expect(pv_vcpu(v)->drop.any, 0))
        __atomic_fetch_or(&pv_vcpu(v)->exit_work, PVX_DROP, __ATOMIC_RELAXED);
}

/*
 * The domains of a foreigndom argument: whose frames may be mapped (NULL: the caller's own, and
 * devices), with a reference to be dropped by pv_foreign_put(). 0, -ESRCH or -EPERM.
 */
int pv_foreign_get(struct vcpu *v, unsigned int id, struct domain **pg_owner);
void pv_foreign_put(struct domain *pg_owner);

/* Granted frames in page tables (grant_pte.c), for glue/ to hand to the core. */
/* As struct guest_ops says of these. */
void pv_grant_map(struct vcpu *v, struct domain *owner, struct grant_use *u,
                  const struct grant_at *at, unsigned int n);
void pv_grant_unmap(struct vcpu *v, struct grant_use *u, const struct grant_at *at, unsigned int n);
long pv_physdev_own(struct vcpu *v, unsigned int cmd, gptr_t arg);
long pv_memory_op(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long start_extent);
/* XENMEM_exchange; token: of a chunk that gave way, or 0. */
long pv_exchange(struct vcpu *v, gptr_t arg, unsigned long token);
/* For audits, d runs no more: each frame that a chunk which waits has claimed. */
void pv_exchange_walk(const struct domain *d, void (*fn)(void *arg, mfn_t mfn), void *arg);
struct xen_domctl;
long pv_domctl(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back);

/* Flush all guest translations, or those of va, on the CPUs in `cpus`. */
void pv_flush_all(const struct cpumask *cpus);
void pv_flush_va(const struct cpumask *cpus, uint64_t va);
/* Adds the CPUs that may hold translations of the vCPUs in the guest's bitmap at `mask`. 0 or
 * -EFAULT. */
int pv_vcpumask_cpus(struct vcpu *v, gptr_t mask, struct cpumask *cpus);

/*
 * v's user L4 has been installed. With m2p_strict it does not show the M2P, even if it is the
 * kernel's as well; without, a table that is a kernel's goes on showing it.
 */
static inline void pv_hide_m2p(struct pv_vcpu *pv)
{
    if (pv->x.v.domain->vm_assist & BIT64(VMASST_TYPE_m2p_strict))
        paging_show_m2p(direct(pv->cr3_user), false);
}

/* A new kernel or user base (mfn 0: none, user only). 0 or -errno. */
int pv_new_kernel_base(struct vcpu *v, mfn_t mfn);
int pv_new_user_base(struct vcpu *v, mfn_t mfn);

#endif
