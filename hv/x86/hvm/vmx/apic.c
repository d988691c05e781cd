/* SPDX-License-Identifier: MIT */
/*
 * A local APIC that the processor works on: in x2APIC mode its page of registers (vlapic.regs) is
 * the control structure's virtual-APIC page. The processor reads most registers from it, carries
 * out writes of TPR (CR8 too), EOI and self-IPI, and delivers what IRR holds when the guest takes
 * it (Intel SDM volume 3, chapter 30); nobody else writes to IRR and ISR while the guest runs. What
 * other CPUs post waits in vlapic.posted until the guest has exited, and is told here by the
 * highest vector requested. Ends of level-triggered interrupts exit, for the I/O APIC's sake.
 *
 * In xAPIC mode, and while software has the APIC switched off, accesses exit and the hypervisor
 * delivers, as on SVM: the processor's delivery knows nothing of that switch. No locks: the vCPU is
 * resident on this CPU.
 */
#include "x86/hvm/vmx/vmx.h"
#include "x86/mm/paging.h"

static void set_end(struct vmx_vcpu *x, unsigned int i, uint64_t vectors)
{
    x->apic_ends[i] = vectors;
    vmwrite(F_APIC_END + 2 * i, vectors);
}

static void begin(struct hvm_vcpu *v)
{
    vmwrite(F_VIRTUAL_APIC, direct_pa(v->lapic.regs));
    vmwrite(F_TPR_THRESHOLD, 0);
    for (unsigned int i = 0; i < 4; i++)
        set_end(vmx_of(v), i, 0);
    vmwrite(F_MSR_BITMAP, vmx_x2apic_map_pa);
    vmwrite(F_PROC,
            (vmread(F_PROC) | PROC_TPR_SHADOW) & ~(uint64_t)(PROC_CR8_LOAD | PROC_CR8_STORE));
    vmwrite(F_PROC2, vmread(F_PROC2) | PROC2_APIC);
}

static void end(void)
{
    vmwrite(F_MSR_BITMAP, vmx_msr_map_pa);
    vmwrite(F_PROC, (vmread(F_PROC) & ~(uint64_t)PROC_TPR_SHADOW) | PROC_CR8_LOAD | PROC_CR8_STORE);
    vmwrite(F_PROC2, vmread(F_PROC2) & ~(uint64_t)PROC2_APIC);
}

bool vmx_deliver(struct hvm_vcpu *v)
{
    struct vlapic *l = &v->lapic;
    bool on = vmx_controls.apic && vlapic_assistable(l), was = l->assisted;
    int requested, in_service;

    if (!on && !was)
        return false;
    vlapic_assist(l, on);
    if (!on) {
        end();
        return false;
    }
    if (!was)
        begin(v);
    vlapic_pull(l);
    for (unsigned int i = 0; i < 4; i++)
        if (vmx_of(v)->apic_ends[i] != vlapic_level_triggered(l, i))
            set_end(vmx_of(v), i, vlapic_level_triggered(l, i));
    requested = vlapic_highest_request(l);
    in_service = vlapic_in_service(l);
    vmwrite(F_INTERRUPT_STATUS, (uint64_t)(requested < 0 ? 0 : requested) |
                                    (uint64_t)(in_service < 0 ? 0 : in_service) << 8);
    return true;
}
