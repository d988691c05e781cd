/* SPDX-License-Identifier: MIT */
/*
 * What a guest kind owes the x86 part beyond core/guest_ops.h. PV's half is x86/pv/, HVM's
 * x86/hvm/.
 *
 * A CPU that goes idle keeps the state of the vCPU that ran last, which is `resident` there
 * (x86/switch.h): `save`, `load_tables` and `load` are called only when another vCPU comes.
 */
#ifndef X86_GUEST_H
#define X86_GUEST_H

#include "core/guest_ops.h"
#include "x86/vcpu.h"

struct x86_guest_ops {
    struct guest_ops g; /* first: domain.ops points to it */

    /* --- the CPU's state; interrupts are off, on v's CPU --- */
    /*
     * v, resident here, to memory: all of it, FPU too, for it is leaving; or without `leaving`, v
     * being current, a copy of what tools and the log show.
     */
    void (*save)(struct vcpu *v, bool leaving);
    /*
     * v becomes resident here. First the page tables: after this the CPU is on none of the old
     * vCPU's (HVM: on the hypervisor's own). By tlb_load(), if CR3 changes.
     */
    void (*load_tables)(struct vcpu *v);
    /* Then everything else: registers into cpu_info()->regs, FPU, MSRs, debug registers. */
    void (*load)(struct vcpu *v);

    /*
     * PHYSDEVOP_set_iopl and set_iobitmap, which act on v, current, itself. NULL: its kind has no
     * such thing.
     */
    long (*physdev_own)(struct vcpu *v, unsigned int cmd, gptr_t arg);

    /* --- entries and exits; v is current --- */
    /* An exception that code of the guest took in rings 1 to 3. NULL: it runs behind VMRUN. */
    void (*exception)(struct vcpu *v, struct x86_regs *regs);
    /*
     * Work of the kind itself before v runs: upcalls, NMIs. True: pending work must be looked at
     * again.
     */
    bool (*exit_work)(struct vcpu *v, struct x86_regs *regs);
    /*
     * A page fault of the hypervisor at cr2 on v's behalf, within copies to and from the guest or
     * IRET: true when what was missing is there now. No locks are held there. NULL: never.
     */
    bool (*hv_fault)(struct vcpu *v, uint64_t cr2, uint32_t error_code);

    /*
     * For the recount, everything at rest: calls fn for each reference on a frame that d holds by
     * its map of memory, beside its own RAM. NULL: PV, whose tables the recount walks.
     */
    void (*each_reference)(struct domain *d, void (*fn)(void *arg, mfn_t mfn), void *arg);
};

static inline const struct x86_guest_ops *x86_ops(const struct vcpu *v)
{
    return (const struct x86_guest_ops *)v->domain->ops;
}

#endif
