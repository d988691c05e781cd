/* SPDX-License-Identifier: MIT */
/*
 * A PV guest's processor state that needs ring 0 to change: kernel stack, FPU trap, segment bases,
 * debug registers, control registers. The vCPU is current; the hardware follows at once.
 */
#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/registers.h"
#include "x86/cpu/segs.h"
#include "x86/pv/callback.h"
#include "x86/pv/desc.h"
#include "x86/pv/privop.h"

long hc_stack_switch(struct vcpu *v, const struct hc_args *args)
{
    unsigned long ss = args->a[0];
    unsigned long sp = args->a[1];
    struct pv_vcpu *pv = pv_vcpu(v);

    pv->kernel_sp = sp & ~15ull; /* looked at when a frame goes there */
    pv->kernel_ss = (uint16_t)ss | 3;
    pv_set_short_paths(pv);
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

static long set_dr7(struct pv_vcpu *v, uint64_t val)
{
    struct x86_pcpu *xp = this_x86();
    bool was_on = pv_hardware_dr7(v->dr[7]) & DR7_ENABLED;
    uint64_t live;

    if (val >> 32)
        return E(EINVAL);
    if (!pv_dr7_ok(val, v->priv.cr4))
        return E(EPERM);
    v->dr[7] = (val & DR7_SETTABLE) | DR7_FIXED;
    live = pv_hardware_dr7(v->dr[7]);
    if (!was_on && (live & DR7_ENABLED)) /* until now they were only remembered */
        for (unsigned int i = 0; i < 4; i++)
            write_dr(i, v->dr[i]);
    if (xp->dr7 != live) {
        write_dr(7, live);
        xp->dr7 = live;
    }
    return 0;
}

/* DR4 and DR5 are other names of DR6 and DR7, unless CR4.DE hides them; -1: there is none. */
static int debug_reg(const struct pv_vcpu *v, unsigned int reg)
{
    if (reg == 4 || reg == 5)
        return v->priv.cr4 & CR4_DE ? -1 : (int)reg + 2;
    return reg < 8 ? (int)reg : -1;
}

long pv_set_debugreg(struct pv_vcpu *v, unsigned int reg, uint64_t val)
{
    switch (debug_reg(v, reg)) {
    case 0 ... 3:
        if (!pv_range_ok(val, 1))
            return E(EPERM);
        v->dr[reg] = val;
        if (pv_hardware_dr7(v->dr[7]) & DR7_ENABLED)
            write_dr(reg, val);
        return 0;
    case 6: /* the hardware's was cleared when its #DB came */
        if (val >> 32)
            return E(EINVAL);
        v->dr[6] = (val & DR6_SETTABLE) | DR6_FIXED;
        return 0;
    case 7:
        return set_dr7(v, val);
    default:
        return E(ENODEV);
    }
}

long pv_get_debugreg(const struct pv_vcpu *v, unsigned int reg, uint64_t *val)
{
    int n = debug_reg(v, reg);

    if (n < 0)
        return E(ENODEV);
    *val = v->dr[n];
    return 0;
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
    uint64_t val;
    long rc = pv_get_debugreg(pv_vcpu(v), (unsigned int)args->a[0], &val);

    return rc ? rc : (long)val;
}
