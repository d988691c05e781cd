/* SPDX-License-Identifier: MIT */
#include "x86/pv/context.h"

#include "core/arch.h"
#include "lib/bitmap.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/fpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/segs.h"
#include "x86/cpu/spec.h"
#include "x86/mm/paging.h"
#include "x86/pv/cpuid.h"
#include "x86/pv/desc.h"
#include "x86/pv/privop.h"

#define CR4_FSGSBASE 0x10000ull
#define DR7_ENABLED 0xffull

/* MSR_TSC_AUX of each CPU when its last vCPU left, with bit 32; 0: unknown. */
static uint64_t tsc_aux_left[MAX_CPUS];
#define TSC_AUX_KNOWN (1ull << 32)
/* The domain that each CPU ran last, + 1; SOMEBODY: one that is gone. */
static uint16_t last_domain[MAX_CPUS];
#define SOMEBODY 0xffffu

void context_note_selectors(struct vcpu *v)
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

    context_note_selectors(&v->x.v);
    v->fs_base = read_fs_base(fsgs);
    v->gs_base_kernel = v->kernel_mode ? active : hidden;
    v->gs_base_user = v->kernel_mode ? hidden : active;
}

/* Registers and segments of this CPU's resident vCPU to memory. */
static void save_integer(struct pv_vcpu *v)
{
    v->x.regs = cpu_info()->regs;
    save_segments(v, this_x86()->cr4 & CR4_FSGSBASE);
}

/* v, resident here and not running, leaves: all its state goes to memory. */
static void save_all(struct x86_pcpu *xp, struct pv_vcpu *v)
{
    tsc_aux_left[xp->p.id] = v->priv.tsc_aux | TSC_AUX_KNOWN;
    save_integer(v);
    if (v->ts)
        clts();
    fpu_save(&v->x);
}

/*
 * v's state is in memory and this CPU's CR3 is no longer its own: from now on it may enter another
 * CPU, or its page tables may go. `next`: the domain whose tables are loaded now, or NULL.
 */
static void release(struct x86_pcpu *xp, struct vcpu *v, const struct domain *next)
{
    if (v->domain != next)
        bit_clear(v->domain->dirty_cpus, xp->p.id);
    __atomic_store_n(&pv_vcpu(v)->resident, 0, __ATOMIC_RELEASE);
}

/* Cross-call, or local: move v's state from this CPU to memory, and leave its tables. */
static void evict(void *arg)
{
    struct x86_pcpu *xp = this_x86();
    struct vcpu *v = arg;

    if (xp->fpu_owner != v || cpu_info()->current == v)
        return;
    save_all(xp, pv_vcpu(v));
    tlb_note_flush();
    write_cr3(idle_cr3);
    release(xp, v, NULL);
}

static void evict_anywhere(struct vcpu *v)
{
    unsigned long mask[MAX_CPUS / 64] = { 0 };
    uint32_t where = __atomic_load_n(&pv_vcpu(v)->resident, __ATOMIC_ACQUIRE);

    if (!where)
        return;
    if (where - 1 == this_cpu_id()) {
        evict(v);
        return;
    }
    bitmap_set(mask, where - 1);
    arch_call_others(mask, evict, v);
}

void context_sync(struct vcpu *v)
{
    if (cpu_info()->current == v)
        save_integer(pv_vcpu(v));
    else
        evict_anywhere(v);
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
    bool on = v->dr[7] & DR7_ENABLED;

    if (on)
        for (unsigned int i = 0; i < 4; i++)
            write_dr(i, v->dr[i]);
    if (on || (xp->dr7 & DR7_ENABLED)) {
        write_dr(7, v->dr[7]);
        xp->dr7 = v->dr[7];
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
    if (tsc_aux_left[xp->p.id] != (v->priv.tsc_aux | TSC_AUX_KNOWN) && pv_cpuid_has_tsc_aux())
        wrmsr(MSR_TSC_AUX, v->priv.tsc_aux);
}

/*
 * v's tables and CR3. It is resident and its domain dirty here before the CPU can load a
 * translation: who changes a table later finds both.
 */
static void load_tables(struct x86_pcpu *xp, struct pv_vcpu *v)
{
    __atomic_store_n(&v->resident, xp->p.id + 1, __ATOMIC_SEQ_CST);
    bit_set(v->x.v.domain->dirty_cpus, xp->p.id);
    desc_load(v, false);
    tlb_note_flush();
    write_cr3(v->kernel_mode ? v->cr3_kernel : v->cr3_user);
}

/* What the last domain taught the branch predictors is forgotten before another one runs. */
static void note_domain(unsigned int cpu, const struct domain *d)
{
    uint16_t was = __atomic_load_n(&last_domain[cpu], __ATOMIC_RELAXED);

    if (was == d->id + 1)
        return;
    __atomic_store_n(&last_domain[cpu], (uint16_t)(d->id + 1), __ATOMIC_RELAXED);
    if (was)
        spec_switch_domain();
}

void context_forget(domid_t id)
{
    for (unsigned int i = 0; i < nr_pcpus; i++) {
        uint16_t was = (uint16_t)(id + 1);

        __atomic_compare_exchange_n(&last_domain[i], &was, SOMEBODY, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
    }
}

static void load_rest(struct x86_pcpu *xp, struct pv_vcpu *v)
{
    load_control(xp, v);
    load_segments(v, xp->cr4 & CR4_FSGSBASE);
    load_debug(xp, v);
    fpu_load(&v->x);
    if (v->ts)
        stts();
    cpu_info()->regs = v->x.regs;
}

void arch_switch(struct vcpu *prev, struct vcpu *next)
{
    struct x86_pcpu *xp = this_x86();
    struct vcpu *old = xp->fpu_owner;

    (void)prev;
    cpu_info()->current = next;
    if (next->domain == NULL || old == next)
        return;           /* idle changes nothing, and who comes back finds everything as it was */
    evict_anywhere(next); /* serves other CPUs while it waits: `old` may go */
    old = xp->fpu_owner;
    if (old)
        save_all(xp, pv_vcpu(old));
    load_tables(xp, pv_vcpu(next));
    if (old)
        release(xp, old, next->domain);
    note_domain(xp->p.id, next->domain);
    load_rest(xp, pv_vcpu(next));
}
