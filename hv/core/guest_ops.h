/* SPDX-License-Identifier: MIT */
/*
 * What a guest kind owes the core: one table for each kind (PV; HVM, which PVH is part of), found
 * through domain.ops. An architecture's records nest it: struct x86_guest_ops begins with it and
 * adds what only x86 calls.
 *
 * NULL where a call's comment says what stands for it. Errors are the ABI's (-XEN_*). Unless a
 * comment says otherwise a call runs on any CPU and takes no lock that its caller could hold.
 */
#ifndef CORE_GUEST_OPS_H
#define CORE_GUEST_OPS_H

#include "core/types.h"

struct grant_at;
struct grant_use;
struct vcpu;
struct domain;
struct frame;
struct vcpu_guest_context;
struct xen_domctl;
struct xen_domctl_createdomain;
struct xen_domctl_getdomaininfo;

/* As the hypercall table counts them. PVH is HVM without a device model. */
enum guest_kind { GUEST_PV, GUEST_PV32, GUEST_HVM, NR_GUEST_KINDS };

struct guest_ops {
    enum guest_kind kind; /* of a new domain; tools may make a PV domain one of PV32 */
    const char *name;     /* "PV", ... for the log */
    uint64_t vm_assist;   /* VMASST_TYPE_* bits that its domains may switch on */

    /* --- life --- */
    /*
     * createdomain: a domain without memory and vCPUs, not published, or -errno with the reason in
     * the log. The flags were checked but for what only the kind knows (`arch`). [domctl lock]
     */
    int (*domain_create)(domid_t id, const struct xen_domctl_createdomain *config,
                         struct domain **d);
    /* vCPU `id` of d, down and without a context. 0 or -errno. [domctl lock] */
    int (*vcpu_create)(struct domain *d, unsigned int id);
    /*
     * One step of giving up everything that dying d holds and the kind knows of, its memory last.
     * None of its vCPUs runs. -EAGAIN: call again, 0: nothing is left.
     */
    int (*relinquish)(struct domain *d);
    /* Memory of a destroyed domain's records. */
    void (*vcpu_free)(struct vcpu *v);
    void (*domain_free)(struct domain *d);

    /* --- registers; v does not run and nobody lets it, or it is current --- */
    /*
     * Take over a context from the guest (VCPUOP_initialise) or the tools. 0 or -errno; -EAGAIN:
     * gave way to pending work, call again.
     */
    int (*set_context)(struct vcpu *v, const struct vcpu_guest_context *c);
    void (*get_context)(struct vcpu *v, struct vcpu_guest_context *c);
    /* Registers of v to the log, for domain_crash and debug keys. */
    void (*dump)(const struct vcpu *v);

    /* --- memory by address: what the guest's kernel would reach, v is current --- */
    /* 0, or -EFAULT with nothing said about how much moved. Never touches the hypervisor's. */
    int (*copy_from)(struct vcpu *v, void *dst, gptr_t src, size_t n);
    int (*copy_to)(struct vcpu *v, gptr_t dst, const void *src, size_t n);
    /*
     * v may be in its program, whose tables do not map its kernel: between on and off, copies reach
     * the kernel's memory. NULL: they always do.
     */
    void (*kernel_view)(struct vcpu *v, bool on);

    /*
     * --- memory by frame number, for core/gfn.c alone. All NULL: the guest's numbers are the
     * machine's. Else the kind has a map of its own, under a lock of RANK_P2M ---
     */
    /*
     * The frame of d's that gfn stands for, with a reference. `access`: enum gfn_access. 0;
     * -EINVAL: nothing is there, another domain's, or the access is not allowed; -ENOSPC: the count
     * is full.
     */
    int (*gfn_get)(struct domain *d, gfn_t gfn, unsigned int access, struct frame **f);
    /*
     * gfn .. gfn + 2^order - 1, where nothing is, stand for d's own frames mfn .. from now on.
     * 0; -EBUSY: something is there; -EINVAL; -ENOMEM; on failure nothing has changed.
     */
    int (*gfn_place)(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned int order);
    /*
     * The piece that begins at gfn, of at most 2^*order frames of d's own memory, stands for
     * nothing any more; *mfn is what it stood for, *order how much it was. It is not released, and
     * CPUs may still use it until gfn_flush(). 0; -EINVAL: nothing of its own is there; -ENOMEM.
     */
    int (*gfn_remove)(struct domain *d, gfn_t gfn, unsigned int *order, mfn_t *mfn);
    /* No CPU uses what was taken away before. May call other CPUs; no lock of RANK_P2M or above. */
    void (*gfn_flush)(struct domain *d);

    /* --- mappings of other domains' frames; the caller holds references on them --- */
    /*
     * Of n elements those that have GRANT_USE_HOST, with status GNTST_okay: makes their entries in
     * the tables of v, which is current, or says in `status` why not. The frames are owner's.
     */
    void (*grant_map)(struct vcpu *v, struct domain *owner, struct grant_use *u,
                      const struct grant_at *at, unsigned int n);
    /* Takes them away; the entry at new_addr, unless that is 0, comes in the place of one. */
    void (*grant_unmap)(struct vcpu *v, struct grant_use *u, const struct grant_at *at,
                        unsigned int n);

    /* --- interrupts --- */
    /*
     * v's evtchn_upcall_pending was just set. vcpu_notify() follows, which wakes or kicks v, so
     * that its exit work delivers the upcall. NULL: nothing else is to be done.
     */
    void (*upcall)(struct vcpu *v);
    /*
     * v, current, wants to wait: may it, or would something interrupt it at once? It is marked as
     * blocked already, so whoever sends it something from now on wakes it. NULL: an upcall that is
     * pending and not masked is all that can.
     */
    bool (*can_block)(const struct vcpu *v);
    /* NMI for v, as VCPUOP_send_nmi. 0 or -errno. */
    int (*send_nmi)(struct vcpu *v);

    /* --- what guests and tools ask --- */
    /* XENVER_get_features' bits of one 32-bit submap for d. */
    uint32_t (*features)(const struct domain *d, unsigned int submap);
    /* What getdomaininfo says beyond the core's part. NULL: nothing. */
    void (*report)(const struct domain *d, struct xen_domctl_getdomaininfo *info);
    /*
     * What the kind counts for a vCPU, as perfc_op tells it: up to COUNT_KIND low halves. Returns
     * how many. Any CPU, no lock: each is a moment's. NULL: nothing.
     */
    unsigned int (*counts)(const struct vcpu *v, uint32_t vals[]);
    /* d->vm_assist changed, perhaps while other vCPUs of d run. NULL: nobody minds. */
    void (*vm_assist_changed)(struct domain *d);
    /* The highest guest frame number in use. NULL: the guest says it itself, in its shared page. */
    uint64_t (*max_gfn)(struct domain *d);
    /*
     * memory_op and domctl sub-operations that core and architecture leave to the kind of the
     * caller and the subject; -ENOSYS for what it does not know. The ABI's arguments; for domctl
     * the privilege was checked, and the domctl lock is held.
     */
    long (*memory_op)(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long start_extent);
    /*
     * XENMEM_acquire_resource beyond grant tables: page i of d's resource, a page of the
     * hypervisor's that is shared with d; MFN_NONE: there is none. NULL: the kind has no such
     * thing.
     */
    mfn_t (*resource)(struct domain *d, unsigned int type, unsigned int id, unsigned int i);
    long (*domctl)(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back);
    /*
     * Recount of what the kind adds (page tables, the map) for all its domains: contradictions,
     * each logged. Everything is at rest.
     */
    unsigned int (*audit)(void);
};

/* The kinds that run here, by their number; NULL: not this one. glue/ has the table. */
extern const struct guest_ops *const guest_kinds[NR_GUEST_KINDS];

#endif
