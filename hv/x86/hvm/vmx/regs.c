/* SPDX-License-Identifier: MIT */
/*
 * Registers of a guest in its control structure, as SVM's half and the architecture have them.
 *
 * The processor's CR0 and CR4 differ from the guest's where VMX fixes a bit or the hypervisor keeps
 * one: the guest reads those from the shadows. The entry must be told by a control whether the
 * guest is in long mode, and with PAE paging gets its four directory entries from fields: both are
 * brought in line after each change (sync_mode).
 */
#include "x86/cpu/ops.h"
#include "x86/cpu/segs.h"
#include "x86/hvm/copy.h"
#include "x86/hvm/state.h"
#include "x86/hvm/vmx/vmx.h"
#include "x86/mm/guest_walk.h"

#define CR0_KEPT 0x60000000ull /* CD and NW stay off: memory is write-back */
#define CR0_FIXED 0x20ull      /* NE */
#define CR4_FIXED 0x2040ull    /* VMXE, MCE */
#define SEG_S 0x10u
#define TYPE_ACCESSED 1u
#define TYPE_BUSY 2u

/* --- segments: the order is the field numbers' --- */

static unsigned int place_of(enum hvm_seg n)
{
    static const uint8_t places[] = {
        [HVM_ES] = 0, [HVM_CS] = 1,   [HVM_SS] = 2, [HVM_DS] = 3,   [HVM_FS] = 4,
        [HVM_GS] = 5, [HVM_LDTR] = 6, [HVM_TR] = 7, [HVM_GDTR] = 8, [HVM_IDTR] = 9
    };

    return 2u * places[n < HVM_NR_SEGS ? n : HVM_DS];
}

void vmx_get_seg(struct hvm_vcpu *v, enum hvm_seg n, struct hvm_segment *s)
{
    struct hvm_vcpu *was = vmx_reach(v);
    unsigned int at = place_of(n);

    *s = (struct hvm_segment){ .limit = (uint32_t)vmread(F_GUEST_LIMIT + at),
                               .base = vmread(F_GUEST_BASE + at) };
    if (n < HVM_GDTR) {
        uint64_t rights = vmread(F_GUEST_RIGHTS + at);

        s->sel = (uint16_t)vmread(F_GUEST_SEL + at);
        s->attr = (uint16_t)((rights & 0xff) | (rights >> 4 & 0xf00));
        if (rights & RIGHTS_UNUSABLE) /* SS keeps the privilege level */
            s->attr &= 0x60u;
    }
    vmx_leave(v, was);
}

void vmx_set_seg(struct hvm_vcpu *v, enum hvm_seg n, const struct hvm_segment *s)
{
    struct hvm_vcpu *was = vmx_reach(v);
    unsigned int at = place_of(n);
    uint32_t rights = (s->attr & 0xffu) | (s->attr & 0xf00u) << 4;

    vmwrite(F_GUEST_LIMIT + at, s->limit);
    vmwrite(F_GUEST_BASE + at, s->base);
    if (n < HVM_GDTR) {
        if (!(s->attr & HVM_SEG_P))
            rights |= RIGHTS_UNUSABLE;
        else if (s->attr & SEG_S)
            rights |= TYPE_ACCESSED;
        else if (n == HVM_TR)
            rights |= TYPE_BUSY;
        vmwrite(F_GUEST_SEL + at, s->sel);
        vmwrite(F_GUEST_RIGHTS + at, rights);
    }
    vmx_leave(v, was);
}

/* --- others --- */

static uint32_t plain_field(enum hvm_reg r)
{
    switch (r) {
    case HVM_CR3:
        return F_GUEST_CR3;
    case HVM_EFER:
        return F_GUEST_EFER;
    case HVM_DR7:
        return F_GUEST_DR7;
    case HVM_PAT:
        return F_GUEST_PAT;
    case HVM_DEBUGCTL:
        return F_GUEST_DEBUGCTL;
    case HVM_SYSENTER_CS:
        return F_GUEST_SYSENTER_CS;
    case HVM_SYSENTER_ESP:
        return F_GUEST_SYSENTER_ESP;
    case HVM_SYSENTER_EIP:
        return F_GUEST_SYSENTER_EIP;
    default:
        return 0;
    }
}

static uint64_t guest_cr0(void)
{
    uint64_t mask = vmread(F_CR0_MASK);

    return (vmread(F_GUEST_CR0) & ~mask) | (vmread(F_CR0_SHADOW) & mask);
}

/* The MSR of STAR and its like: on the CPU while v is resident. */
static uint64_t get_syscall(struct hvm_vcpu *v, unsigned int n)
{
    return this_vmx()->current == v ? rdmsr(vmx_syscall_msrs[n]) : vmx_of(v)->syscall[n];
}

static void set_syscall(struct hvm_vcpu *v, unsigned int n, uint64_t val)
{
    vmx_of(v)->syscall[n] = val;
    if (this_vmx()->current == v)
        wrmsr_safe(vmx_syscall_msrs[n], val);
}

static uint64_t get(struct hvm_vcpu *v, enum hvm_reg r)
{
    switch (r) {
    case HVM_CR0:
        return guest_cr0();
    case HVM_CR4:
        return vmread(F_CR4_SHADOW);
    case HVM_CR2:
        return vmx_of(v)->cr2;
    case HVM_DR6:
        return v->dr_live ? read_dr(6) : vmx_of(v)->dr6;
    case HVM_SHADOW:
        return (vmread(F_INTERRUPTIBILITY) & (BLOCK_STI | BLOCK_MOV_SS)) != 0;
    case HVM_STAR:
    case HVM_LSTAR:
    case HVM_CSTAR:
    case HVM_SFMASK:
    case HVM_KERNEL_GS_BASE:
        return get_syscall(v, r - HVM_STAR);
    default:
        return vmread(plain_field(r));
    }
}

uint64_t vmx_get(struct hvm_vcpu *v, enum hvm_reg r)
{
    struct hvm_vcpu *was = vmx_reach(v);
    uint64_t val = get(v, r);

    vmx_leave(v, was);
    return val;
}

/* After CR0, CR3, CR4 or EFER changed. */
static void sync_mode(struct hvm_vcpu *v)
{
    uint64_t efer = vmread(F_GUEST_EFER), entry = vmread(F_ENTRY), pdptes[4] = { 0 };
    bool lma = efer & X86_EFER_LMA;

    vmwrite(F_ENTRY, lma ? entry | ENTRY_GUEST_64 : entry & ~(uint64_t)ENTRY_GUEST_64);
    if (lma || !(vmread(F_GUEST_CR0) & X86_CR0_PG) || !(vmread(F_CR4_SHADOW) & X86_CR4_PAE))
        return;
    hvm_copy_from_phys(v->x.v.domain, pdptes, vmread(F_GUEST_CR3) & 0xffffffe0u, sizeof(pdptes));
    for (unsigned int i = 0; i < 4; i++)
        vmwrite(F_GUEST_PDPTE + 2 * i, pdptes[i]);
}

static void set(struct hvm_vcpu *v, enum hvm_reg r, uint64_t val)
{
    switch (r) {
    case HVM_CR0:
        vmwrite(F_CR0_SHADOW, val);
        vmwrite(F_GUEST_CR0, (val & ~CR0_KEPT) | CR0_FIXED);
        break;
    case HVM_CR4:
        vmwrite(F_CR4_SHADOW, val);
        vmwrite(F_GUEST_CR4, val | CR4_FIXED);
        break;
    case HVM_CR2:
        vmx_of(v)->cr2 = val;
        return;
    case HVM_DR6:
        vmx_of(v)->dr6 = val;
        if (v->dr_live)
            write_dr(6, val);
        return;
    case HVM_SHADOW:
        vmwrite(F_INTERRUPTIBILITY,
                (vmread(F_INTERRUPTIBILITY) & ~(uint64_t)(BLOCK_STI | BLOCK_MOV_SS)) |
                    (val ? BLOCK_MOV_SS : 0));
        return;
    case HVM_STAR:
    case HVM_LSTAR:
    case HVM_CSTAR:
    case HVM_SFMASK:
    case HVM_KERNEL_GS_BASE:
        set_syscall(v, r - HVM_STAR, val);
        return;
    default:
        vmwrite(plain_field(r), val);
    }
    if (r == HVM_CR0 || r == HVM_CR3 || r == HVM_CR4 || r == HVM_EFER)
        sync_mode(v);
}

void vmx_set(struct hvm_vcpu *v, enum hvm_reg r, uint64_t val)
{
    struct hvm_vcpu *was = vmx_reach(v);

    set(v, r, val);
    vmx_leave(v, was);
}

enum hvm_mode vmx_mode(struct hvm_vcpu *v, unsigned int *cpl)
{
    struct hvm_vcpu *was = vmx_reach(v);
    uint64_t rights = vmread(F_GUEST_RIGHTS + place_of(HVM_CS)) >> 4; /* as attributes */
    enum hvm_mode mode = HVM_MODE_64;

    *cpl = HVM_SEG_DPL(vmread(F_GUEST_RIGHTS + place_of(HVM_SS)));
    if (!(vmread(F_GUEST_EFER) & EFER_LMA) || !(rights & HVM_SEG_LONG))
        mode = !(guest_cr0() & CR0_PE) ? HVM_MODE_REAL
               : rights & HVM_SEG_DB   ? HVM_MODE_32
                                       : HVM_MODE_16;
    vmx_leave(v, was);
    return mode;
}

void vmx_get_paging(struct hvm_vcpu *v, struct guest_paging *g, unsigned int *cpl)
{
    struct hvm_vcpu *was = vmx_reach(v);

    g->cr0 = guest_cr0();
    g->cr3 = vmread(F_GUEST_CR3);
    g->cr4 = vmread(F_CR4_SHADOW);
    g->efer = vmread(F_GUEST_EFER);
    *cpl = HVM_SEG_DPL(vmread(F_GUEST_RIGHTS + place_of(HVM_SS)));
    vmx_leave(v, was);
}
