/* SPDX-License-Identifier: MIT */
/*
 * A CPU under VMX: VMXON, which control structure it has, and its tags.
 *
 * A control structure is current on the CPU on which its vCPU is resident, and nowhere else: load()
 * makes it so, save() clears it. One of a vCPU that is resident nowhere is reached for a moment
 * (vmx_reach), between which and vmx_leave() nothing is entered. Interrupts are off; no locks.
 *
 * Tags (VPID) are handed out by each CPU in rising order, as SVM's are; translations of guest
 * frames carry the EPT pointer instead, so a vCPU that comes to a CPU, or has to forget, executes
 * INVEPT there too.
 */
#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/cpu/spec.h"
#include "x86/hvm/vmx/vmx.h"
#include "x86/mm/paging.h"

#define CPUID1_ECX_VMX 0x20u
#define FIRST_TAG 1u /* 0 is the hypervisor's */
#define NR_TAGS 0x10000u

const uint32_t vmx_syscall_msrs[5] = { 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102 };

struct vmx_controls vmx_controls;

static struct vmx_cpu *vmx_cpus[MAX_CPUS];

struct vmx_cpu *this_vmx(void)
{
    return vmx_cpus[this_cpu_id()];
}

/* A capability MSR and its TRUE form. */
static uint64_t control_msr(uint64_t basic, uint32_t plain, uint32_t exact)
{
    return rdmsr(basic & BASIC_TRUE ? exact : plain);
}

static void read_caps(struct vmx_caps *c)
{
    uint64_t basic = rdmsr(MSR_VMX_BASIC);

    *c = (struct vmx_caps){ .basic = basic,
                            .pin = control_msr(basic, MSR_VMX_PIN, MSR_VMX_TRUE_PIN),
                            .proc = control_msr(basic, MSR_VMX_PROC, MSR_VMX_TRUE_PROC),
                            .exit = control_msr(basic, MSR_VMX_EXIT, MSR_VMX_TRUE_EXIT),
                            .entry = control_msr(basic, MSR_VMX_ENTRY, MSR_VMX_TRUE_ENTRY) };
    if (c->proc >> 63) /* secondary controls may be on */
        c->proc2 = rdmsr(MSR_VMX_PROC2);
    if (c->proc2 >> 32 & (PROC2_EPT | PROC2_VPID))
        c->ept_vpid = rdmsr(MSR_VMX_EPT_VPID);
}

static const char *missing(struct vmx_controls *out)
{
    uint32_t a, b, c, d;
    uint64_t lock;
    struct vmx_caps caps;

    cpuid(1, 0, &a, &b, &c, &d);
    if (!(c & CPUID1_ECX_VMX))
        return "the processor has no VMX";
    if (rdmsr_safe(MSR_FEATURE_CONTROL, &lock)) {
        if (!(lock & FEATURE_CONTROL_LOCK))
            wrmsr_safe(MSR_FEATURE_CONTROL, lock | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMXON);
        else if (!(lock & FEATURE_CONTROL_VMXON))
            return "the firmware has switched VMX off";
    }
    read_caps(&caps);
    return vmx_choose(&caps, out);
}

static const char *first_cpu(const struct vmx_controls *c)
{
    vmx_controls = *c;
    if (!vmx_maps_init())
        return "out of memory";
    if (c->apic)
        log_info("VMX: the processor delivers interrupts of local APICs in x2APIC mode");
    vmx_flush_l1d = spec_choice.flush_l1d;
    return NULL;
}

const char *vmx_enable_cpu(struct x86_pcpu *xp)
{
    struct vmx_cpu *c = vmx_cpus[xp->p.id];
    struct vmx_controls controls;
    const char *why = missing(&controls);

    if (!why && !vmx_controls.revision)
        why = first_cpu(&controls);
    if (why)
        return why;
    if (controls.revision != vmx_controls.revision || controls.proc != vmx_controls.proc ||
        controls.proc2 != vmx_controls.proc2 || controls.apic != vmx_controls.apic)
        return "its processors' VMX differ";
    if (!c) {
        c = frame_alloc_hv();
        if (!c || !(c->region = frame_alloc_hv()))
            return "out of memory";
        vmx_cpus[xp->p.id] = c;
    }
    *(uint32_t *)c->region = vmx_controls.revision;
    c->next_tag = NR_TAGS; /* the first one begins a generation */
    c->generation++;
    for (unsigned int i = 0; i < 5; i++)
        c->syscall[i] = rdmsr(vmx_syscall_msrs[i]);
    xp->cr4 |= CR4_VMXE; /* other guest kinds keep it from here on */
    write_cr4(read_cr4() | CR4_VMXE | rdmsr(MSR_VMX_CR4_FIXED0));
    write_cr0(read_cr0() | rdmsr(MSR_VMX_CR0_FIXED0));
    return vmxon(direct_pa(c->region)) ? NULL : "VMXON was refused";
}

/* --- control structures --- */

struct hvm_vcpu *vmx_reach(struct hvm_vcpu *v)
{
    struct hvm_vcpu *was = this_vmx()->current;

    if (was != v)
        vmptrld(v->control_pa);
    return was;
}

void vmx_leave(struct hvm_vcpu *v, struct hvm_vcpu *was)
{
    if (was == v)
        return;
    vmclear(v->control_pa);
    if (was)
        vmptrld(was->control_pa);
}

/* --- tags --- */

static void new_tag(struct vmx_cpu *c, struct hvm_vcpu *v)
{
    if (c->next_tag >= NR_TAGS) {
        c->next_tag = FIRST_TAG;
        c->generation++;
        v->stats.generations++;
        invvpid_all();
    }
    v->tag = c->next_tag++;
    v->tag_cpu = this_cpu_id() + 1;
    v->tag_generation = c->generation;
    vmwrite(F_VPID, v->tag);
}

void vmx_flush(struct hvm_vcpu *v)
{
    v->stats.flushes++;
    if (this_vmx()->current != v) { /* resident nowhere: when it comes to a CPU */
        v->tag_cpu = 0;
        return;
    }
    new_tag(this_vmx(), v);
    invept(vmx_controls.invept, vmx_of(v)->eptp);
}

void vmx_check_tag(struct hvm_vcpu *v)
{
    if (v->tag_cpu != this_cpu_id() + 1 || v->tag_generation != this_vmx()->generation)
        vmx_flush(v);
}
