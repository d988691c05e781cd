/* SPDX-License-Identifier: MIT */
/* Compiled to assembly only: the Makefile turns its markers into build/asm-offsets.h. */
#include <stddef.h>

#include "x86/cpu/cpu.h"
#include "x86/hvm/hvm.h"
#include "x86/pv/pv.h"

#define DEFINE(sym, val) __asm__ volatile("\n.ascii \"->" #sym " %0\"" ::"i"(val))
#define REG(r) DEFINE(REGS_##r, offsetof(struct x86_regs, r))

void asm_offsets(void);
void asm_offsets(void)
{
    DEFINE(CPUINFO_SIZE, sizeof(struct cpu_info));
    REG(r15);
    REG(rax);
    REG(rcx);
    REG(rbx);
    REG(r11);
    REG(error_code);
    REG(vector);
    REG(rip);
    REG(cs);
    REG(rflags);
    REG(rsp);
    REG(ss);
    DEFINE(REGS_SIZE, sizeof(struct x86_regs));
    DEFINE(REGS_SYSCALL, REGS_SYSCALL);
    DEFINE(CI_REGS, offsetof(struct cpu_info, regs));
    DEFINE(CI_CURRENT, offsetof(struct cpu_info, current));
    DEFINE(CI_PCPU, offsetof(struct cpu_info, pcpu));
    DEFINE(CI_SCRATCH, offsetof(struct cpu_info, scratch));
    DEFINE(CI_GUEST_CR3, offsetof(struct cpu_info, guest_cr3));
    DEFINE(CI_ISOLATED_CR3, offsetof(struct cpu_info, isolated_cr3));
    DEFINE(PCPU_PENDING, offsetof(struct pcpu, pending));
    DEFINE(PCPU_CALLS, offsetof(struct pcpu, counts.calls));
    DEFINE(V_INFO, offsetof(struct vcpu, info));
    DEFINE(VI_PENDING, offsetof(struct vcpu_info, evtchn_upcall_pending));
    DEFINE(VI_MASK, offsetof(struct vcpu_info, evtchn_upcall_mask));
    DEFINE(HVM_EXIT_WORK, offsetof(struct hvm_vcpu, exit_work));
    DEFINE(HVM_CONTROL, offsetof(struct hvm_vcpu, control));
    DEFINE(HVM_CONTROL_PA, offsetof(struct hvm_vcpu, control_pa));
    DEFINE(XV_ENTER, offsetof(struct x86_vcpu, enter));
    DEFINE(PV_KERNEL_MODE, offsetof(struct pv_vcpu, kernel_mode));
    DEFINE(PV_CALLS, offsetof(struct pv_vcpu, calls));
    DEFINE(PV_NR_CALLS, NR_HYPERCALLS);
    DEFINE(PV_SYSCALL_MASK, offsetof(struct pv_vcpu, syscall_mask));
    DEFINE(PV_EXIT_WORK, offsetof(struct pv_vcpu, exit_work));
    DEFINE(PV_KERNEL_SP, offsetof(struct pv_vcpu, kernel_sp));
    DEFINE(PV_KERNEL_SS, offsetof(struct pv_vcpu, kernel_ss));
    DEFINE(PV_CR3_KERNEL, offsetof(struct pv_vcpu, load_cr3[1]));
    DEFINE(PV_CR3_USER, offsetof(struct pv_vcpu, load_cr3[0]));
    DEFINE(PV_SHORT_SYSCALL, offsetof(struct pv_vcpu, short_syscall));
    DEFINE(PV_SHORT_IRET, offsetof(struct pv_vcpu, short_iret));
}
