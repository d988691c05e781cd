/* SPDX-License-Identifier: MIT */
/*
 * The CPU's registers are the resident vCPU's (x86/switch.h), and these functions run on that
 * CPU with interrupts off: no locks. A selector that cannot be loaded any more is null, and the
 * guest hears of it by its failsafe callback.
 */
#include "x86/pv/context.h"

#include "x86/cpu/cpu.h"
#include "x86/cpu/fpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/cpu/segs.h"
#include "x86/mm/isolation.h"
#include "x86/mm/paging.h"
#include "x86/policy/cpu_policy.h"
#include "x86/pv/desc.h"
#include "x86/pv/privop.h"

void pv_note_selectors(struct vcpu *v)
{
    struct pv_vcpu *pv = pv_vcpu(v);

    pv->ds = read_ds();
    pv->es = read_es();
    pv->fs = read_fs();
    pv->gs = read_gs();
}

static void save_segments(struct pv_vcpu *v, bool fsgs)
{
    uint64_t active = read_gs_base(fsgs), hidden = read_hidden_gs_base(fsgs);

    pv_note_selectors(&v->x.v);
    v->fs_base = read_fs_base(fsgs);
    v->gs_base_kernel = v->kernel_mode ? active : hidden;
    v->gs_base_user = v->kernel_mode ? hidden : active;
}

/* A selector that cannot be loaded (its descriptor changed) is null, and the guest is told. */
static void load_segments(struct pv_vcpu *v, bool fsgs)
{
    unsigned int failed = 0;

    if (read_ds() | v->ds)
        failed |= load_ds(v->ds);
    if (read_es() | v->es)
        failed |= load_es(v->es);
    if (read_fs() | v->fs)
        failed |= load_fs(v->fs);
    if (read_gs() | v->gs)
        failed |= load_gs(v->gs);
    write_fs_base(fsgs, v->fs_base);
    write_gs_base(fsgs, v->kernel_mode ? v->gs_base_kernel : v->gs_base_user);
    write_hidden_gs_base(fsgs, v->kernel_mode ? v->gs_base_user : v->gs_base_kernel);
    if (failed)
        __atomic_fetch_or(&v->exit_work, PVX_FAILSAFE, __ATOMIC_RELAXED);
}

static void load_debug(struct x86_pcpu *xp, const struct pv_vcpu *v)
{
    uint64_t live = pv_hardware_dr7(v->dr[7]);
    bool on = live & DR7_ENABLED;

    if (on)
        for (unsigned int i = 0; i < 4; i++)
            write_dr(i, v->dr[i]);
    if (on || (xp->dr7 & DR7_ENABLED)) {
        write_dr(7, live);
        xp->dr7 = live;
    }
}

static void load_control(struct x86_pcpu *xp, const struct pv_vcpu *v)
{
    uint64_t cr4 = xp->cr4 & ~PV_CR4_LIVE;

    cr4 |= cpu_feat.fsgsbase ? pv_cr4_live(v) : pv_cr4_live(v) & ~CR4_FSGSBASE;
    if (cr4 != xp->cr4) {
        write_cr4(cr4);
        xp->cr4 = cr4;
    }
    if (xp->tsc_aux != (v->priv.tsc_aux | TSC_AUX_KNOWN) && policy_has_tsc_aux())
        wrmsr(MSR_TSC_AUX, v->priv.tsc_aux);
}

void pv_save(struct vcpu *v, bool leaving)
{
    struct x86_pcpu *xp = this_x86();
    struct pv_vcpu *pv = pv_vcpu(v);

    pv->x.regs = cpu_info()->regs;
    save_segments(pv, xp->cr4 & CR4_FSGSBASE);
    if (!leaving)
        return;
    xp->tsc_aux = pv->priv.tsc_aux | TSC_AUX_KNOWN;
    if (pv->ts)
        clts();
    fpu_save(&pv->x);
}

void pv_load_tables(struct vcpu *v)
{
    const struct pv_vcpu *pv = pv_vcpu(v);

    desc_load(pv, false);
    isolation_forget(this_x86()->isolation);
    tlb_load(pv->load_cr3[pv->kernel_mode]);
}

void pv_load(struct vcpu *v)
{
    struct x86_pcpu *xp = this_x86();
    struct pv_vcpu *pv = pv_vcpu(v);

    load_control(xp, pv);
    load_segments(pv, xp->cr4 & CR4_FSGSBASE);
    load_debug(xp, pv);
    fpu_load(&pv->x);
    if (pv->ts)
        stts();
    cpu_info()->regs = pv->x.regs;
}
