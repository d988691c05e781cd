/* SPDX-License-Identifier: MIT */
/* Intel's VMX behind the vendor contract (hvm/vendor.h). */
#ifndef X86_HVM_VMX_VMX_H
#define X86_HVM_VMX_VMX_H

#include "x86/hvm/hvm.h"
#include "x86/hvm/vmx/caps.h"
#include "x86/hvm/vmx/vmcs.h"

extern const struct hvm_vendor vmx_vendor;

/* What all control structures of this machine get; constant after boot. */
extern struct vmx_controls vmx_controls;

/* hvm_vcpu.control. The first two are read by vmx/entry.S. */
struct vmx_vcpu {
    uint64_t cr2;     /* the guest's: the processor does not switch it */
    uint8_t launched; /* since its control structure was last cleared */
    bool event;       /* one is to be injected at the next entry */
    void *vmcs;       /* hvm_vcpu.control_pa is its address */
    uint64_t eptp, dr6;
    uint64_t apic_ends[4]; /* as the control structure has it, while the lapic is assisted */
    uint32_t host_cpu;     /* CPU + 1 whose stack, TSS and GDT the control structure names */
    uint64_t syscall[5];   /* STAR, LSTAR, CSTAR, SFMASK, kernel GS base, unless it is resident */
};

struct vmx_cpu {
    void *region;             /* VMXON's */
    struct hvm_vcpu *current; /* whose control structure the processor has; NULL: nobody's */
    uint64_t syscall[5];      /* the hypervisor's values of vmx_vcpu.syscall */
    uint32_t next_tag;
    uint64_t generation; /* of tags; starts at 1 */
};

static inline struct vmx_vcpu *vmx_of(const struct hvm_vcpu *v)
{
    return v->control;
}

/* This CPU's (vmx/cpu.c). */
struct vmx_cpu *this_vmx(void);
const char *vmx_enable_cpu(struct x86_pcpu *xp);
/* MSRs of vmx_vcpu.syscall. */
extern const uint32_t vmx_syscall_msrs[5];
/*
 * v's control structure becomes the processor's, if it is not: what was there comes back with
 * vmx_leave(). Interrupts are off.
 */
struct hvm_vcpu *vmx_reach(struct hvm_vcpu *v);
void vmx_leave(struct hvm_vcpu *v, struct hvm_vcpu *was);

/* Tags: as those of SVM (svm/asid.c). v is resident here. */
void vmx_check_tag(struct hvm_vcpu *v);
void vmx_flush(struct hvm_vcpu *v);

/* Maps of MSRs and ports that a guest reaches without an exit (vmx/maps.c). */
bool vmx_maps_init(void);
/* The second: MSRs, of a vCPU whose local APIC the processor works on. Ports have two pages, one
 * behind the other. */
extern uint64_t vmx_msr_map_pa, vmx_x2apic_map_pa, vmx_io_map_pa;

/* vmx/control.c: a new control structure, current; what depends on the CPU, before v runs here. */
void vmx_fill(void);
void vmx_set_host(struct hvm_vcpu *v);

/* vmx/regs.c: the register part of hvm_vendor. */
void vmx_get_seg(struct hvm_vcpu *v, enum hvm_seg n, struct hvm_segment *s);
void vmx_set_seg(struct hvm_vcpu *v, enum hvm_seg n, const struct hvm_segment *s);
uint64_t vmx_get(struct hvm_vcpu *v, enum hvm_reg r);
void vmx_set(struct hvm_vcpu *v, enum hvm_reg r, uint64_t val);
enum hvm_mode vmx_mode(struct hvm_vcpu *v, unsigned int *cpl);
void vmx_get_paging(struct hvm_vcpu *v, struct guest_paging *g, unsigned int *cpl);

/* What is wrong with the current control structure's guest state, in words (vmx/failure.c). */
const char *vmx_explain_current(void);

/* hvm_vendor.decode (vmx/decode.c) */
void vmx_decode(struct hvm_vcpu *v, struct hvm_exit *x);

/* hvm_vendor.deliver (vmx/apic.c). v is resident. */
bool vmx_deliver(struct hvm_vcpu *v);

/* vmx/entry.S */
void vmx_enter(void);
void vmx_exit(void);
extern uint8_t vmx_flush_l1d;
/* VMLAUNCH or VMRESUME refused the control structure before anything of the guest was loaded. */
void vmx_entry_refused(void);

#endif
