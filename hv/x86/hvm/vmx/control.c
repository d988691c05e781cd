/* SPDX-License-Identifier: MIT */
/*
 * What a new control structure says: which instructions exit, what the processor loads at an exit.
 * Intercepts are SVM's (svm/svm.c), but: INVLPG and CR3 never exit, CR4 exits where a bit changes,
 * CR0 where one changes that the guest does not have for itself (NE, CD, NW).
 *
 * The host's part names this CPU's stack, TSS and GDT: it is written again when a vCPU comes to
 * another CPU (vmx_set_host).
 */
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/cpu/segs.h"
#include "x86/hvm/vmx/vmx.h"
#include "x86/layout.h"
#include "x86/mm/paging.h"
#include "x86/trap.h"

#define EXCEPTIONS (1u << TRAP_DB | 1u << TRAP_AC | 1u << TRAP_MC)
#define CR0_OWNED 0x60000020ull /* CD, NW, NE */
#define PAT_RESET 0x0007040600070406ull

void vmx_fill(void)
{
    static const uint16_t nothing[] = {
        F_PF_MASK,        F_PF_MATCH,     F_CR3_TARGETS,      F_EXIT_MSR_STORE, F_EXIT_MSR_LOAD,
        F_ENTRY_MSR_LOAD, F_ENTRY_EVENT,  F_INTERRUPTIBILITY, F_ACTIVITY,       F_PENDING_DEBUG,
        F_GUEST_DEBUGCTL, F_HOST_ES_SEL,  F_HOST_SS_SEL,      F_HOST_DS_SEL,    F_HOST_FS_SEL,
        F_HOST_GS_SEL,    F_HOST_FS_BASE, F_HOST_GS_BASE,     F_GUEST_EFER,     F_TSC_OFFSET,
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(nothing); i++)
        vmwrite(nothing[i], 0);
    vmwrite(F_PIN, vmx_controls.pin);
    vmwrite(F_PROC, vmx_controls.proc);
    vmwrite(F_PROC2, vmx_controls.proc2);
    vmwrite(F_EXIT, vmx_controls.exit);
    vmwrite(F_ENTRY, vmx_controls.entry);
    vmwrite(F_EXCEPTIONS, EXCEPTIONS);
    vmwrite(F_MSR_BITMAP, vmx_msr_map_pa);
    vmwrite(F_IO_BITMAP_A, vmx_io_map_pa);
    vmwrite(F_IO_BITMAP_B, vmx_io_map_pa + PAGE_SIZE);
    vmwrite(F_CR0_MASK, CR0_OWNED);
    vmwrite(F_CR4_MASK, ~0ull);
    vmwrite(F_LINK, ~0ull);
    vmwrite(F_GUEST_PAT, PAT_RESET);
    vmwrite(F_HOST_CS_SEL, HV_CS);
    vmwrite(F_HOST_TR_SEL, SEL_TSS);
    vmwrite(F_HOST_RIP, (uint64_t)vmx_exit);
}

void vmx_set_host(struct hvm_vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);
    struct x86_pcpu *xp = this_x86();

    vmwrite(F_HOST_CR4, read_cr4()); /* other guests change it */
    if (x->host_cpu == xp->p.id + 1)
        return;
    x->host_cpu = xp->p.id + 1;
    vmwrite(F_HOST_CR0, read_cr0());
    vmwrite(F_HOST_CR3, read_cr3()); /* the hypervisor's own tables: hvm/domain.c loaded them */
    vmwrite(F_HOST_PAT, rdmsr(MSR_PAT));
    vmwrite(F_HOST_EFER, rdmsr(MSR_EFER));
    vmwrite(F_HOST_SYSENTER_CS, rdmsr(MSR_SYSENTER_CS));
    vmwrite(F_HOST_SYSENTER_ESP, rdmsr(MSR_SYSENTER_CS + 1));
    vmwrite(F_HOST_SYSENTER_EIP, rdmsr(MSR_SYSENTER_CS + 2));
    vmwrite(F_HOST_TR_BASE, (uint64_t)&xp->tss);
    vmwrite(F_HOST_GDTR_BASE, GDTS_BASE + xp->p.id * (uint64_t)GDT_WINDOW);
    vmwrite(F_HOST_IDTR_BASE, cpu_idt_base());
    /* vmx_exit pushes the general registers below. */
    vmwrite(F_HOST_RSP, (uint64_t)&cpu_info()->regs.error_code);
}
