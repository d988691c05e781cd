/* SPDX-License-Identifier: MIT */
/* PV domains and vCPUs as the core sees them: memory access, contexts, the end. */
#include "x86/pv/domain.h"

#include <xen/domctl.h>
#include <xen/errno.h>
#include <xen/features.h>

#include "core/access.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/vcpu.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/fpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/spec.h"
#include "x86/irq/pirq.h"
#include "x86/pv/context.h"
#include "x86/pv/desc.h"
#include "x86/pv/log_dirty.h"
#include "x86/pv/mm.h"
#include "x86/pv/privop.h"
#include "x86/pv/ptable.h"
#include "x86/pv/traps.h"
#include "x86/policy/told.h"
#include "x86/switch.h"
#include "x86/trap.h"

/* entry.S: 0, or 1 when an address could not be accessed. */
unsigned long copy_user(void *dst, const void *src, size_t n);

/* A PV vCPU ticks from its start until it says otherwise. */
#define TICK_NS 10000000ull

struct pv_domain *pv_domain_create(domid_t id, unsigned int max_vcpus)
{
    struct pv_domain *pd = frame_alloc_hv_order(frame_order(sizeof(*pd)));

    if (!pd)
        return NULL;
    spin_init(&pd->pt_lock, RANK_PTABLE);
    pd->isolated = id == 0 ? spec_choice.isolate_dom0 : spec_choice.isolate_domu;
    if (domain_init(&pd->x.d, id, &pv_guest_ops.g, max_vcpus)) {
        frame_free_hv_order(pd, frame_order(sizeof(*pd)));
        return NULL;
    }
    return pd;
}

static int create(domid_t id, const struct xen_domctl_createdomain *config, struct domain **d)
{
    struct pv_domain *pd;

    if (config->arch.emulation_flags || (config->arch.misc_flags & ~XEN_X86_MSR_RELAXED)) {
        log_refusal(NULL, "createdomain: emulation flags %#x, misc flags %#x: not for PV guests",
                    config->arch.emulation_flags, config->arch.misc_flags);
        return -XEN_EINVAL;
    }
    pd = pv_domain_create(id, config->max_vcpus);
    if (!pd)
        return -XEN_ENOMEM;
    /* xl asks for it when it does not know how old the Xen is that a guest comes from. */
    pd->relaxed_msrs = config->arch.misc_flags & XEN_X86_MSR_RELAXED;
    *d = &pd->x.d;
    return 0;
}

static void free_vcpu(struct vcpu *v)
{
    fpu_free(x86_vcpu(v));
    frame_free_hv_order(pv_vcpu(v), frame_order(sizeof(struct pv_vcpu)));
}

static void free_domain(struct domain *d)
{
    told_free(d);
    switch_forget(d->id);
    frame_free_hv_order(pv_domain(d), frame_order(sizeof(struct pv_domain)));
}

struct pv_vcpu *pv_vcpu_create(struct domain *d, unsigned int id)
{
    struct pv_vcpu *pv = frame_alloc_hv_order(frame_order(sizeof(*pv)));

    if (!pv)
        return NULL;
    pv_priv_init(pv);
    pv->kernel_mode = true;
    pv->dr[6] = 0xffff0ff0;
    pv->dr[7] = 0x400;
    ((uint8_t *)&pv->x.v.own_info)[VCPU_INFO_MASK] = 1;
    if (!fpu_alloc(&pv->x) || vcpu_init(&pv->x.v, d, id)) {
        free_vcpu(&pv->x.v);
        return NULL;
    }
    /* A program's CPUID shows the processor's OSXSAVE even where its kernel does without: glibc
     * then saves by XSAVE what XCR0 says, so XMM registers must be in it from the start. */
    pv->x.xcr0 = cpu_feat.xcr0_mask & 3;
    pv_set_short_paths(pv);
    pv->calls = pv_calls_of(d);
    pv->x.v.period_ns = TICK_NS;
    return pv;
}

static int vcpu_create(struct domain *d, unsigned int id)
{
    return pv_vcpu_create(d, id) ? 0 : -XEN_ENOMEM;
}

/* --- guest memory --- */

static int copy_from(struct vcpu *v, void *dst, gptr_t src, size_t n)
{
    (void)v;
    if (!pv_range_ok(src.v, n) || copy_user(dst, (const void *)src.v, n))
        return -XEN_EFAULT;
    return 0;
}

static int copy_to(struct vcpu *v, gptr_t dst, const void *src, size_t n)
{
    (void)v;
    if (!pv_range_ok(dst.v, n) || copy_user((void *)dst.v, src, n))
        return -XEN_EFAULT;
    return 0;
}

static void kernel_view(struct vcpu *v, bool on)
{
    const struct pv_vcpu *pv = pv_vcpu(v);

    if (!pv->kernel_mode)
        write_cr3(pv->load_cr3[on]);
}

static const struct x86_regs *regs_of(const struct vcpu *v)
{
    return v == cpu_info()->current ? &cpu_info()->regs : &((const struct x86_vcpu *)v)->regs;
}

static void dump(const struct vcpu *v)
{
    const struct pv_vcpu *pv = (const struct pv_vcpu *)v;

    log_err("  in its %s mode; kernel cr3 %lx, user cr3 %lx, kernel stack %lx",
            pv->kernel_mode ? "kernel" : "user", pv->cr3_kernel, pv->cr3_user, pv->kernel_sp);
    dump_regs(regs_of(v));
}

/* --- contexts --- */

/* A debug register's address may be anything that is not the hypervisor's. */
static bool debugregs_ok(const unsigned long *dr)
{
    for (int i = 0; i < 4; i++)
        if (!pv_range_ok(dr[i], 1))
            return false;
    return (dr[7] >> 32) == 0 && (dr[6] >> 32) == 0;
}

static bool context_ok(const struct vcpu_guest_context *c)
{
    if (!pv_canonical(c->user_regs.rip) || !pv_canonical(c->event_callback_eip) ||
        !pv_canonical(c->failsafe_callback_eip) || !pv_canonical(c->syscall_callback_eip) ||
        !pv_canonical(c->fs_base) || !pv_canonical(c->gs_base_kernel) ||
        !pv_canonical(c->gs_base_user))
        return false;
    for (unsigned int i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++)
        if (!pv_canonical(c->trap_ctxt[i].address))
            return false;
    return c->gdt_ents <= 8192 && c->ldt_ents <= 8192 && debugregs_ok(c->debugreg);
}

static uint16_t ring3(uint64_t selector)
{
    return (uint16_t)(selector & 0xfffc ? selector | 3 : 0);
}

static void take_user_regs(struct pv_vcpu *pv, const struct cpu_user_regs *u)
{
    pv->x.regs = (struct x86_regs){
        /* clang-format off */
        .r15 = u->r15, .r14 = u->r14, .r13 = u->r13, .r12 = u->r12, .rbp = u->rbp, .rbx = u->rbx,
        .r11 = u->r11, .r10 = u->r10, .r9 = u->r9,   .r8 = u->r8,   .rax = u->rax, .rcx = u->rcx,
        .rdx = u->rdx, .rsi = u->rsi, .rdi = u->rdi, .rip = u->rip, .rsp = u->rsp,
        .cs = (uint16_t)u->cs | 3u,   .ss = ring3(u->ss), .rflags = pv_rflags(u->rflags),
        /* clang-format on */
    };
    pv->ds = ring3(u->ds);
    pv->es = ring3(u->es);
    pv->fs = ring3(u->fs);
    pv->gs = ring3(u->gs);
    pv->priv.iopl = (uint8_t)((u->rflags & X86_FLAGS_IOPL) >> 12);
}

static void take_callbacks(struct pv_vcpu *pv, const struct vcpu_guest_context *c)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++) {
        const struct trap_info *t = &c->trap_ctxt[i];
        pv->traps[i] = (struct pv_trap){
            .address = t->address,
            .cs = ring3(t->cs),
            .dpl = (uint8_t)TI_GET_DPL(t),
            .mask = TI_GET_IF(t) != 0,
        };
    }
    pv->event = (struct pv_callback){ c->event_callback_eip, true };
    pv->failsafe = (struct pv_callback){ c->failsafe_callback_eip,
                                         (c->flags & VGCF_failsafe_disables_events) != 0 };
    pv->syscall_rip = c->syscall_callback_eip;
    pv_set_short_paths(pv);
    pv->syscall_mask = (c->flags & VGCF_syscall_disables_events) != 0;
}

static void take_fpu(struct pv_vcpu *pv, const struct vcpu_guest_context *c)
{
    static const uint32_t mxcsr_mask = 0xffff;
    uint8_t *area = pv->x.xsave;
    uint64_t bv;
    uint32_t mxcsr;

    memcpy(&mxcsr, c->fpu_ctxt.x + 24, sizeof(mxcsr));
    mxcsr &= mxcsr_mask;
    memcpy(area, c->fpu_ctxt.x, 464); /* the rest is the software's, or reserved */
    memcpy(area + 24, &mxcsr, sizeof(mxcsr));
    if (!cpu_feat.xsave)
        return;
    memcpy(&bv, area + 512, sizeof(bv));
    bv |= 3; /* x87 and SSE are there; other states stay as they are, as reset at first */
    memcpy(area + 512, &bv, sizeof(bv));
}

static void take_debugregs(struct pv_vcpu *pv, const unsigned long *dr)
{
    for (int i = 0; i < 4; i++)
        pv->dr[i] = dr[i];
    pv->dr[6] = (dr[6] & 0xe00f) | 0xffff0ff0;
    pv->dr[7] = (dr[7] & 0xffff03ff) | 0x400; /* no GD, no reserved bits */
    if (!pv_dr7_ok(pv->dr[7], pv->priv.cr4))
        pv->dr[7] = pv_hardware_dr7(pv->dr[7]);
}

/* The two L4s by the context, referenced. */
static int get_l4s(struct domain *d, const struct vcpu_guest_context *c)
{
    mfn_t kernel = MFN(c->ctrlreg[3] >> PAGE_SHIFT), user = MFN(c->ctrlreg[1] >> PAGE_SHIFT);
    int rc = pv_get_l4(d, kernel);

    if (rc == 0 && user.v) {
        rc = pv_get_l4(d, user);
        if (rc)
            pv_put_table(d, kernel);
    }
    return rc;
}

static void put_l4s(struct domain *d, uint64_t cr3_kernel, uint64_t cr3_user)
{
    if (cr3_kernel)
        pv_put_table(d, MFN(cr3_kernel >> PAGE_SHIFT));
    if (cr3_user)
        pv_put_table(d, MFN(cr3_user >> PAGE_SHIFT));
}

/* v does not run; the caller is a vCPU of the same domain or a control operation. */
static int set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct pv_vcpu *pv = pv_vcpu(v);
    uint64_t old_kernel = pv->cr3_kernel, old_user = pv->cr3_user;
    mfn_t frames[16];
    int rc;

    if (!context_ok(c))
        return -XEN_EINVAL;
    switch_sync(v);
    rc = get_l4s(v->domain, c);
    if (rc)
        return rc == -PT_ERESTART ? -XEN_EAGAIN : rc;
    for (unsigned int i = 0; i < ARRAY_SIZE(frames); i++)
        frames[i] = MFN(c->gdt_frames[i]);
    rc = pv_set_gdt(v, frames, (unsigned int)c->gdt_ents);
    if (rc == 0)
        rc = pv_set_ldt(v, c->ldt_base, (unsigned int)c->ldt_ents);
    if (rc) {
        put_l4s(v->domain, c->ctrlreg[3] & PAGE_MASK, c->ctrlreg[1] & PAGE_MASK);
        return rc;
    }
    pv_set_base(pv, true, c->ctrlreg[3] & PAGE_MASK);
    paging_show_m2p(direct(pv->cr3_kernel), true);
    pv_set_base(pv, false, c->ctrlreg[1] & PAGE_MASK);
    if (pv->cr3_user)
        pv_hide_m2p(pv);
    put_l4s(v->domain, old_kernel, old_user);
    pv->kernel_mode = (c->flags & VGCF_in_kernel) != 0 || !pv->cr3_user;
    pv->kernel_ss = ring3(c->kernel_ss);
    pv->kernel_sp = c->kernel_sp;
    pv->fs_base = c->fs_base;
    pv->gs_base_kernel = c->gs_base_kernel;
    pv->gs_base_user = c->gs_base_user;
    pv->ts = c->ctrlreg[0] & 8;
    pv->priv.cr4 = pv_cr4_fixup(c->ctrlreg[4]);
    take_user_regs(pv, &c->user_regs);
    take_callbacks(pv, c);
    take_debugregs(pv, c->debugreg);
    if (c->flags & VGCF_i387_valid)
        take_fpu(pv, c);
    if (v->id == 0 && !v->initialised) { /* the first context is the domain's beginning, too */
        v->domain->vm_assist = c->vm_assist & PV_VM_ASSIST;
        pv_vm_assist_changed(v->domain);
        clock_publish_wallclock(v->domain); /* libxl cleared the shared page since it was made */
    }
    return 0;
}

static void give_user_regs(const struct pv_vcpu *pv, const struct x86_regs *r,
                           struct cpu_user_regs *u)
{
    uint8_t mask = vcpu_upcall_mask(&pv->x.v);

    *u = (struct cpu_user_regs){
        /* clang-format off */
        .r15 = r->r15, .r14 = r->r14, .r13 = r->r13, .r12 = r->r12, .rbp = r->rbp, .rbx = r->rbx,
        .r11 = r->r11, .r10 = r->r10, .r9 = r->r9,   .r8 = r->r8,   .rax = r->rax, .rcx = r->rcx,
        .rdx = r->rdx, .rsi = r->rsi, .rdi = r->rdi, .rip = r->rip, .rsp = r->rsp,
        .cs = (uint16_t)r->cs, .ss = (uint16_t)r->ss, .ds = pv->ds, .es = pv->es, .fs = pv->fs,
        .gs = pv->gs, .saved_upcall_mask = mask,
        /* clang-format on */
    };
    u->rflags = (r->rflags & ~(X86_FLAGS_IF | X86_FLAGS_IOPL)) | (mask ? 0 : X86_FLAGS_IF) |
                (uint64_t)pv->priv.iopl << 12;
}

static void give_callbacks(const struct pv_vcpu *pv, struct vcpu_guest_context *c)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(c->trap_ctxt); i++) {
        const struct pv_trap *t = &pv->traps[i];
        struct trap_info *out = &c->trap_ctxt[i];
        *out = (struct trap_info){ .vector = (uint8_t)i, .cs = t->cs, .address = t->address };
        TI_SET_DPL(out, t->dpl);
        TI_SET_IF(out, t->mask);
    }
    c->event_callback_eip = pv->event.address;
    c->failsafe_callback_eip = pv->failsafe.address;
    c->syscall_callback_eip = pv->syscall_rip;
    c->flags |= (pv->failsafe.mask ? VGCF_failsafe_disables_events : 0) |
                (pv->syscall_mask ? VGCF_syscall_disables_events : 0);
}

/* v is paused, and stays so (or is current: then without its FPU state). */
static void get_context(struct vcpu *v, struct vcpu_guest_context *c)
{
    const struct pv_vcpu *pv = pv_vcpu(v);

    switch_sync(v);
    memset(c, 0, sizeof(*c));
    memcpy(c->fpu_ctxt.x, pv->x.xsave, sizeof(c->fpu_ctxt.x));
    c->flags = VGCF_i387_valid | (pv->kernel_mode ? VGCF_in_kernel : 0) |
               (v->pause_flags & VP_DOWN ? 0 : VGCF_online);
    give_user_regs(pv, regs_of(v), &c->user_regs);
    give_callbacks(pv, c);
    c->ldt_base = pv->ldt_ents ? pv->ldt_base : 0;
    c->ldt_ents = pv->ldt_ents;
    for (unsigned int i = 0; i * 512 < pv->gdt_ents; i++)
        c->gdt_frames[i] = pv->gdt_mfn[i].v;
    c->gdt_ents = pv->gdt_ents;
    c->kernel_ss = pv->kernel_ss;
    c->kernel_sp = pv->kernel_sp;
    c->ctrlreg[0] = pv->priv.cr0 | (pv->ts ? 8 : 0);
    c->ctrlreg[1] = pv->cr3_user;
    c->ctrlreg[3] = pv->cr3_kernel;
    c->ctrlreg[4] = pv->priv.cr4;
    for (unsigned int i = 0; i < ARRAY_SIZE(c->debugreg); i++)
        c->debugreg[i] = i == 4 || i == 5 ? 0 : pv->dr[i];
    c->vm_assist = v->domain->vm_assist;
    c->fs_base = pv->fs_base;
    c->gs_base_kernel = pv->gs_base_kernel;
    c->gs_base_user = pv->gs_base_user;
}

/* --- the end --- */

/* Drops one L4 of a vCPU that will never run again. */
static void drop_l4(struct pv_domain *pd, struct pv_vcpu *pv, bool kernel)
{
    uint64_t l4 = kernel ? pv->cr3_kernel : pv->cr3_user;
    struct frame *f = l4 ? frame_of(MFN(l4 >> PAGE_SHIFT)) : NULL;

    pv_set_base(pv, kernel, 0);
    if (f)
        pt_put_table(&pd->drop, &pd->x.d, f, 4);
}

/* Gives up the CR3s of all vCPUs; false while a table is half undone. */
static bool drop_cr3s(struct pv_domain *pd)
{
    struct domain *d = &pd->x.d;
    bool done;

    spin_lock(&pd->pt_lock);
    done = pt_drop_continue(&pd->drop, d);
    for_each_vcpu (d, v) {
        struct pv_vcpu *pv = pv_vcpu(v);

        if (done && pv->cr3_kernel) {
            drop_l4(pd, pv, true);
            done = pt_drop_continue(&pd->drop, d);
        }
        if (done && pv->cr3_user) {
            drop_l4(pd, pv, false);
            done = pt_drop_continue(&pd->drop, d);
        }
    }
    spin_unlock(&pd->pt_lock);
    return done;
}

static int relinquish(struct domain *d)
{
    if (!pv_log_end(pv_domain(d)))
        return -XEN_EAGAIN;
    pirq_end(d);
    for_each_vcpu (d, v) {
        switch_sync(v); /* an idle CPU may still stand on its tables */
        pv_set_gdt(v, NULL, 0);
        pv_set_ldt(v, 0, 0);
        /* What it was undoing is marked in the frames, and found there. */
        pv_vcpu(v)->drop = (struct pt_drop){ 0 };
    }
    return drop_cr3s(pv_domain(d)) ? pv_relinquish(d) : -XEN_EAGAIN;
}

/* --- what it is told --- */

static uint32_t features(const struct domain *d, unsigned int submap)
{
    uint32_t f = 1u << XENFEAT_mmu_pt_update_preserve_ad | 1u << XENFEAT_highmem_assist |
                 1u << XENFEAT_gnttab_map_avail_bits | 1u << XENFEAT_memory_op_vnode_supported |
                 1u << XENFEAT_direct_mapped;

    if (submap != 0)
        return 0;
    if (d->vm_assist & BIT64(VMASST_TYPE_pae_extended_cr3))
        f |= 1u << XENFEAT_pae_pgdir_above_4gb;
    if (access_host(d))
        f |= 1u << XENFEAT_dom0;
    return f;
}

const struct x86_guest_ops pv_guest_ops = {
    .g = { .kind = GUEST_PV,
           .name = "PV",
           .vm_assist = PV_VM_ASSIST,
           .domain_create = create,
           .vcpu_create = vcpu_create,
           .relinquish = relinquish,
           .vcpu_free = free_vcpu,
           .domain_free = free_domain,
           .set_context = set_context,
           .get_context = get_context,
           .dump = dump,
           .copy_from = copy_from,
           .copy_to = copy_to,
           .kernel_view = kernel_view,
           .grant_map = pv_grant_map,
           .grant_unmap = pv_grant_unmap,
           .can_block = pv_can_block,
           .send_nmi = pv_send_nmi,
           .features = features,
           .vm_assist_changed = pv_vm_assist_changed,
           .memory_op = pv_memory_op,
           .domctl = pv_domctl,
           .audit = pv_audit },
    .physdev_own = pv_physdev_own,
    .save = pv_save,
    .load_tables = pv_load_tables,
    .load = pv_load,
    .exception = pv_exception,
    .exit_work = pv_exit_work,
    .hv_fault = pv_hv_fault,
};
