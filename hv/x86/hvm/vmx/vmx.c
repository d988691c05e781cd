/* SPDX-License-Identifier: MIT */
/*
 * VMX behind hvm/vendor.h: control structures come and go, become resident on a CPU, and get
 * events.
 *
 * What the processor does not switch: CR2 (vmx/entry.S does), DR6 (the guest's while its debug
 * registers are live, else in vmx_vcpu), and the SYSCALL registers with the kernel's GS base, which
 * are the guest's from load() to save(). TR, GDT and IDT are the hypervisor's after each exit, so
 * NMI, #MC and #DF have their stacks.
 */
#include "x86/hvm/vmx/vmx.h"

#include <xen/sched.h>

#include "core/domain.h"
#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/cpu/segs.h"
#include "x86/mm/paging.h"
#include "x86/trap.h"

#define DR6_RESET 0xffff0ff0ull

_Static_assert(offsetof(struct vmx_vcpu, cr2) == 0, "entry.S");
_Static_assert(offsetof(struct vmx_vcpu, launched) == 8, "entry.S");

static bool create(struct hvm_vcpu *v)
{
    struct vmx_vcpu *x = frame_alloc_hv();
    void *vmcs = x ? frame_alloc_hv() : NULL;
    struct hvm_vcpu *was;

    if (!vmcs) {
        if (x)
            frame_free_hv(x);
        return false;
    }
    *(uint32_t *)vmcs = vmx_controls.revision;
    x->vmcs = vmcs;
    x->dr6 = DR6_RESET;
    v->control = x;
    v->control_pa = direct_pa(vmcs);
    vmclear(v->control_pa);
    was = vmx_reach(v);
    vmx_fill();
    vmx_leave(v, was);
    return true;
}

static void destroy(struct hvm_vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);

    if (!x)
        return;
    frame_free_hv(x->vmcs);
    frame_free_hv(x);
    v->control = NULL;
}

static void load(struct hvm_vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);

    vmptrld(v->control_pa);
    this_vmx()->current = v;
    vmx_set_host(v);
    vmx_check_tag(v);
    for (unsigned int i = 0; i < 5; i++)
        wrmsr_safe(vmx_syscall_msrs[i], x->syscall[i]);
}

static void live_debug(struct hvm_vcpu *v, bool live)
{
    uint64_t proc = vmread(F_PROC);

    vmwrite(F_PROC, live ? proc & ~(uint64_t)PROC_MOV_DR : proc | PROC_MOV_DR);
    if (live)
        write_dr(6, vmx_of(v)->dr6);
}

static void save(struct hvm_vcpu *v)
{
    struct vmx_cpu *c = this_vmx();
    struct vmx_vcpu *x = vmx_of(v);

    for (unsigned int i = 0; i < 5; i++) {
        x->syscall[i] = rdmsr(vmx_syscall_msrs[i]);
        wrmsr(vmx_syscall_msrs[i], c->syscall[i]);
    }
    if (v->dr_live) {
        x->dr6 = read_dr(6);
        for (unsigned int i = 0; i < 4; i++)
            v->dr[i] = read_dr(i);
        v->dr_live = false;
        live_debug(v, false);
    }
    vmclear(v->control_pa);
    x->launched = 0;
    c->current = NULL;
}

static void trap_dr(struct hvm_vcpu *v, bool on)
{
    live_debug(v, !on);
}

static void set_nested(struct hvm_vcpu *v, uint64_t root)
{
    struct hvm_vcpu *was = vmx_reach(v);

    vmx_of(v)->eptp = root | vmx_controls.eptp;
    vmwrite(F_EPT_POINTER, vmx_of(v)->eptp);
    vmx_leave(v, was);
}

static void set_tsc(struct hvm_vcpu *v, uint64_t offset, bool trap)
{
    struct hvm_vcpu *was = vmx_reach(v);
    uint64_t proc = vmread(F_PROC);

    vmwrite(F_TSC_OFFSET, offset);
    vmwrite(F_PROC, trap ? proc | PROC_RDTSC : proc & ~(uint64_t)PROC_RDTSC);
    vmx_leave(v, was);
}

/* --- events; v is resident --- */

static uint32_t soft_type(uint8_t vector)
{
    return vector == TRAP_DB                        ? EV_ICEBP
           : vector == TRAP_BP || vector == TRAP_OF ? EV_SOFT_EXCEPTION
                                                    : EV_SOFT_INT;
}

static bool inject(struct hvm_vcpu *v, const struct hvm_event *e)
{
    uint32_t info = EV_VALID | e->vector;

    if (vmx_of(v)->event)
        return false;
    switch (e->kind) {
    case HVM_EV_INTERRUPT:
        info |= EV_INTERRUPT;
        break;
    case HVM_EV_NMI: /* the entry itself holds off further ones */
        info |= EV_NMI;
        vmwrite(F_INTERRUPTIBILITY, vmread(F_INTERRUPTIBILITY) & ~(uint64_t)BLOCK_NMI);
        break;
    case HVM_EV_SOFT:
        info |= soft_type(e->vector);
        vmwrite(F_ENTRY_LENGTH, e->len);
        break;
    default:
        info |= EV_EXCEPTION;
    }
    if (e->has_code) {
        info |= EV_HAS_CODE;
        vmwrite(F_ENTRY_CODE, e->code & 0xffffu); /* above is nothing, and the entry would fail */
    }
    vmwrite(F_ENTRY_EVENT, info);
    vmx_of(v)->event = true;
    return true;
}

static bool can_inject(struct hvm_vcpu *v)
{
    return !vmx_of(v)->event;
}

static void window(struct hvm_vcpu *v, bool nmi, bool on)
{
    uint64_t bit = nmi ? PROC_NMI_WINDOW : PROC_WINDOW;
    struct hvm_vcpu *was = vmx_reach(v);
    uint64_t proc = vmread(F_PROC);

    vmwrite(F_PROC, on ? proc | bit : proc & ~bit);
    vmx_leave(v, was);
}

static void dump(const struct hvm_vcpu *c)
{
    struct hvm_vcpu *v = (struct hvm_vcpu *)c, *was;
    struct hvm_segment cs, ss;

    if (v->x.resident && this_vmx()->current != v) {
        log_err("  its control structure is on another CPU");
        return;
    }
    was = vmx_reach(v);
    vmx_get_seg(v, HVM_CS, &cs);
    vmx_get_seg(v, HVM_SS, &ss);
    log_err("  cr0 %lx cr2 %lx cr3 %lx cr4 %lx efer %lx", vmx_get(v, HVM_CR0), vmx_of(v)->cr2,
            vmread(F_GUEST_CR3), vmx_get(v, HVM_CR4), vmread(F_GUEST_EFER));
    log_err("  cs %04x base %lx limit %x attr %x; ss %04x base %lx attr %x; exit %lx info %lx",
            cs.sel, cs.base, cs.limit, cs.attr, ss.sel, ss.base, ss.attr, vmread(F_REASON),
            vmread(F_QUALIFICATION));
    vmx_leave(v, was);
}

/* With VMX's numbers of why: Intel SDM volume 3, 31.4. */
void vmx_entry_refused(void)
{
    struct hvm_vcpu *v = hvm_vcpu(cpu_info()->current);
    uint64_t error = vmread(F_ERROR);

    domain_crash(v->x.v.domain, &v->x.v, "VMX refused its control structure: %s (error %lu)",
                 error == 7   ? "a control field is invalid"
                 : error == 8 ? "a field of the host's state is invalid"
                              : "the instruction came at the wrong time",
                 error);
}

static unsigned int max_order(void)
{
    return vmx_controls.max_order;
}

const struct hvm_vendor vmx_vendor = {
    .name = "VMX",
    .format = &p2m_ept,
    .vmcall = true,
    .max_order = max_order,
    .enable_cpu = vmx_enable_cpu,
    .create = create,
    .destroy = destroy,
    .load = load,
    .save = save,
    .decode = vmx_decode,
    .get_seg = vmx_get_seg,
    .set_seg = vmx_set_seg,
    .get = vmx_get,
    .set = vmx_set,
    .mode = vmx_mode,
    .get_paging = vmx_get_paging,
    .inject = inject,
    .can_inject = can_inject,
    .window = window,
    .deliver = vmx_deliver,
    .set_tsc = set_tsc,
    .trap_dr = trap_dr,
    .flush = vmx_flush,
    .set_nested = set_nested,
    .dump = dump,
    .enter = vmx_enter,
};
