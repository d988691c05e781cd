/* SPDX-License-Identifier: MIT */
/*
 * A PV guest's processor state that needs ring 0 to change: kernel stack, FPU trap, segment bases,
 * debug registers, control registers. The vCPU is current; the hardware follows at once.
 */
#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/segs.h"
#include "x86/pv/callback.h"
#include "x86/pv/desc.h"
#include "x86/pv/privop.h"

#define CR4_FSGSBASE 0x10000ull

/* An entry pushes its frame there without further checks: room below, and some above. */
#define STACK_BELOW 128
#define STACK_ABOVE 64

long hc_stack_switch(struct vcpu *v, const struct hc_args *args)
{
    unsigned long ss = args->a[0];
    unsigned long sp = args->a[1];
    struct pv_vcpu *pv = pv_vcpu(v);
    uint64_t aligned = sp & ~15ull;

    if (!pv_selector_ok((uint16_t)ss) ||
        !pv_range_ok(aligned - STACK_BELOW, STACK_BELOW + STACK_ABOVE)) {
        log_refusal(v->domain, "kernel stack %#lx:%#lx", ss, sp);
        return E(EINVAL);
    }
    pv->kernel_sp = aligned;
    pv->kernel_ss = (uint16_t)ss | 3;
    return 0;
}

/* --- FPU --- */

void pv_set_ts(struct pv_vcpu *v, bool on)
{
    if (v->ts == on)
        return;
    v->ts = on;
    if (on)
        stts();
    else
        clts();
}

long hc_fpu_taskswitch(struct vcpu *v, const struct hc_args *args)
{
    pv_set_ts(pv_vcpu(v), (int)args->a[0] != 0);
    return 0;
}

void pv_set_xcr0(struct pv_vcpu *v, uint64_t val)
{
    v->x.xcr0 = val;
    if (cpu_feat.xsave)
        xsetbv0(val);
}

/* --- CR4 --- */

void pv_cr4_changed(struct pv_vcpu *v, uint64_t old)
{
    struct x86_pcpu *xp = this_x86();
    uint64_t live = pv_cr4_live(v), cr4;

    (void)old;
    if (!cpu_feat.fsgsbase)
        live &= ~CR4_FSGSBASE;
    cr4 = (xp->cr4 & ~PV_CR4_LIVE) | live;
    if (cr4 == xp->cr4)
        return;
    write_cr4(cr4);
    xp->cr4 = cr4;
}

/* --- segment bases --- */

static bool fsgs(void)
{
    return this_x86()->cr4 & CR4_FSGSBASE;
}

/* The active GS base is the kernel's in its kernel, and the program's in its program. */
static bool gs_active(const struct pv_vcpu *v, unsigned int which)
{
    return (which == SEGBASE_GS_KERNEL) == v->kernel_mode;
}

long pv_set_segment_base(struct pv_vcpu *v, unsigned int which, uint64_t base)
{
    if (!pv_canonical(base))
        return E(EINVAL);
    if (which == SEGBASE_FS)
        write_fs_base(fsgs(), base);
    else if (gs_active(v, which))
        write_gs_base(fsgs(), base);
    else
        write_hidden_gs_base(fsgs(), base);
    return 0;
}

uint64_t pv_get_segment_base(struct pv_vcpu *v, unsigned int which)
{
    if (which == SEGBASE_FS)
        return read_fs_base(fsgs());
    return gs_active(v, which) ? read_gs_base(fsgs()) : read_hidden_gs_base(fsgs());
}

/* The selector for the program's GS; its base comes from the descriptor. */
static long set_gs_selector(struct pv_vcpu *v, uint16_t sel)
{
    if (v->kernel_mode)
        swapgs();
    if (load_gs(sel & 0xfffc ? sel | 3 : 0))
        log_refusal(v->x.v.domain, "GS selector %#x cannot be loaded", sel);
    if (v->kernel_mode)
        swapgs();
    return 0;
}

long hc_set_segment_base(struct vcpu *v, const struct hc_args *args)
{
    unsigned long which = args->a[0];
    unsigned long base = args->a[1];

    switch ((unsigned int)which) {
    case SEGBASE_FS:
    case SEGBASE_GS_USER:
    case SEGBASE_GS_KERNEL:
        return pv_set_segment_base(pv_vcpu(v), (unsigned int)which, base);
    case SEGBASE_GS_USER_SEL:
        return set_gs_selector(pv_vcpu(v), (uint16_t)base);
    default:
        return E(EINVAL);
    }
}

/* --- debug registers --- */

#define DR6_FIXED 0xffff0ff0ull
#define DR6_SETTABLE 0xe00full
#define DR7_FIXED 0x400ull
#define DR7_SETTABLE 0xffff03ffull /* not GD, RTM, reserved bits */
#define DR7_ENABLED 0xffull

/* Breakpoints on ports are not for guests: they would watch the hypervisor's. */
static bool watches_port(uint64_t dr7)
{
    for (unsigned int i = 0; i < 4; i++)
        if ((dr7 >> (2 * i) & 3) && (dr7 >> (16 + 4 * i) & 3) == 2)
            return true;
    return false;
}

static long set_dr7(struct pv_vcpu *v, uint64_t val)
{
    struct x86_pcpu *xp = this_x86();
    bool was_on = v->dr[7] & DR7_ENABLED;

    if (val >> 32 || watches_port(val))
        return E(EPERM);
    v->dr[7] = (val & DR7_SETTABLE) | DR7_FIXED;
    if (!was_on && (v->dr[7] & DR7_ENABLED)) /* until now they were only remembered */
        for (unsigned int i = 0; i < 4; i++)
            write_dr(i, v->dr[i]);
    if (xp->dr7 != v->dr[7]) {
        write_dr(7, v->dr[7]);
        xp->dr7 = v->dr[7];
    }
    return 0;
}

long pv_set_debugreg(struct pv_vcpu *v, unsigned int reg, uint64_t val)
{
    switch (reg) {
    case 0 ... 3:
        if (!pv_range_ok(val, 8))
            return E(EPERM);
        v->dr[reg] = val;
        if (v->dr[7] & DR7_ENABLED)
            write_dr(reg, val);
        return 0;
    case 6: /* the hardware's was cleared when its #DB came */
        if (val >> 32)
            return E(EPERM);
        v->dr[6] = (val & DR6_SETTABLE) | DR6_FIXED;
        return 0;
    case 7:
        return set_dr7(v, val);
    default:
        return E(EINVAL);
    }
}

uint64_t pv_get_debugreg(struct pv_vcpu *v, unsigned int reg)
{
    return v->dr[reg & 7];
}

long hc_set_debugreg(struct vcpu *v, const struct hc_args *args)
{
    unsigned long reg = args->a[0];
    unsigned long val = args->a[1];
    long rc;

    rc = pv_set_debugreg(pv_vcpu(v), (unsigned int)reg, val);
    if (rc)
        log_refusal(v->domain, "debug register %u := %#lx", (unsigned int)reg, val);
    return rc;
}

long hc_get_debugreg(struct vcpu *v, const struct hc_args *args)
{
    unsigned int n = (unsigned int)args->a[0];

    if (n > 7 || n == 4 || n == 5)
        return E(EINVAL);
    return (long)pv_get_debugreg(pv_vcpu(v), n);
}
