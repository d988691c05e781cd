/* SPDX-License-Identifier: MIT */
/* Hardware-assisted domains and vCPUs as the core sees them: creation, contexts, the end. */
#include "x86/hvm/domain.h"

#include <xen/domctl.h>
#include <xen/errno.h>
#include <xen/features.h>
#include <xen/sched.h>

#include "core/access.h"
#include "core/bug.h"
#include "core/keys.h"
#include "core/log.h"
#include "core/vcpu.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/fpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/cpu/segs.h"
#include "x86/guest.h"
#include "x86/hvm/copy.h"
#include "x86/hvm/devices.h"
#include "x86/hvm/exits.h"
#include "x86/hvm/memory.h"
#include "x86/hvm/state.h"
#include "x86/mm/paging.h"
#include "x86/mm/tlb.h"
#include "x86/policy/cpu_policy.h"
#include "x86/switch.h"
#include "x86/time/tsc.h"
#include "x86/time/vtsc.h"
#include "x86/trap.h"

const struct hvm_vendor *hvm_vendor;

#define TABLE_LIMIT 4096u /* pages of nested tables, unless the tools say more */

/* --- translations --- */

static void nothing(void *arg)
{
    (void)arg;
}

/* p2m_hooks.flush: each vCPU forgets before it enters again; those that run are got out first. */
static void flush_nested(struct domain *d)
{
    struct cpumask cpus;

    for_each_vcpu (d, v)
        hvm_ask(hvm_vcpu(v), HVMX_FLUSH);
    cpus = cpumask_read_atomic(&d->dirty_cpus);
    arch_call_others(&cpus, nothing, NULL);
}

static const struct p2m_hooks p2m_hooks = { .flush = flush_nested };

/* --- the local APIC's way to its vCPU --- */

static struct hvm_vcpu *owner_of(struct vlapic *l)
{
    return l->owner;
}

static uint64_t apic_now(const struct vlapic *l)
{
    (void)l;
    return arch_now();
}

static void apic_set_timer(struct vlapic *l, uint64_t deadline)
{
    struct hvm_vcpu *v = owner_of(l);

    if (deadline == VLAPIC_NONE)
        timer_stop(&v->apic_timer);
    else
        timer_set(&v->apic_timer, v->x.v.cpu, deadline);
}

/* The vCPU may run elsewhere by now: it looks itself. */
static void apic_timer_fired(void *arg)
{
    struct hvm_vcpu *v = arg;

    hvm_ask(v, HVMX_TIMER);
    vcpu_notify(&v->x.v);
}

static uint64_t apic_tsc_deadline(struct vlapic *l, uint64_t tsc)
{
    const struct x86_vcpu *v = &owner_of(l)->x;
    const struct x86_domain *xd = x86_domain(v->v.domain);
    uint64_t now = vtsc_now(xd) + v->tsc_offset;

    return tsc <= now ? 0 : arch_now() + clock_scale(tsc - now, vtsc_scale(xd));
}

static void apic_kick(struct vlapic *l)
{
    struct hvm_vcpu *v = owner_of(l);

    hvm_ask(v, HVMX_INTERRUPT);
    vcpu_notify(&v->x.v);
}

static void apic_nmi(struct vlapic *l)
{
    struct hvm_vcpu *v = owner_of(l);

    hvm_ask(v, HVMX_NMI);
    vcpu_notify(&v->x.v);
}

/* Looked at before the next entry. */
static void apic_mode(struct vlapic *l)
{
    hvm_ask(owner_of(l), HVMX_INTERRUPT);
}

static void apic_init(struct vlapic *l)
{
    hvm_send_init(owner_of(l));
}

static void apic_sipi(struct vlapic *l, uint8_t vector)
{
    hvm_send_sipi(owner_of(l), vector);
}

static void apic_eoi(struct vlapic *l, uint8_t vector)
{
    struct hvm_devices *dev = hvm_domain_of(owner_of(l))->dev;

    if (dev)
        hvm_device_eoi(dev, vector);
}

static const struct vlapic_ops apic_ops = {
    .eoi = apic_eoi,
    .mode = apic_mode,
    .now = apic_now,
    .set_timer = apic_set_timer,
    .tsc_deadline = apic_tsc_deadline,
    .kick = apic_kick,
    .nmi = apic_nmi,
    .init = apic_init,
    .sipi = apic_sipi,
};

/* --- creation --- */

struct hvm_domain *hvm_domain_create(domid_t id, unsigned int max_vcpus, uint32_t emulation)
{
    struct hvm_domain *hd;

    if (!hvm_vendor)
        return NULL;
    hd = frame_alloc_hv_order(frame_order(sizeof(*hd)));
    if (!hd)
        return NULL;
    hd->emulation = emulation;
    hd->apics = (struct vlapic_bus){ .ops = &apic_ops,
                                     .nr = max_vcpus,
                                     .lapic = hd->lapic,
                                     .phys_bits = cpu_feat.phys_bits,
                                     .has_x2apic = true,
                                     .has_deadline = true };
    hd->params[HVM_PARAM_TRIPLE_FAULT_REASON] = SHUTDOWN_reboot;
    if (emulation != XEN_X86_EMU_LAPIC && !(hd->dev = hvm_devices_create(hd)))
        goto no_devices;
    if (p2m_init(&hd->p2m, &hd->x.d, hvm_vendor->format, &p2m_hooks, hvm_vendor->max_order(),
                 TABLE_LIMIT))
        goto no_tables;
    if (domain_init(&hd->x.d, id, &hvm_guest_ops.g, max_vcpus))
        goto no_domain;
    return hd;

no_domain:
    while (p2m_teardown(&hd->p2m))
        ;
no_tables:
    if (hd->dev)
        hvm_devices_free(hd->dev);
no_devices:
    frame_free_hv_order(hd, frame_order(sizeof(*hd)));
    return NULL;
}

static void free_vcpu(struct vcpu *c)
{
    struct hvm_vcpu *v = hvm_vcpu(c);

    hvm_vendor->destroy(v);
    if (v->lapic.regs)
        frame_free_hv(v->lapic.regs);
    fpu_free(&v->x);
    frame_free_hv_order(v, frame_order(sizeof(*v)));
}

static void free_domain(struct domain *d)
{
    told_free(d);
    switch_forget(d->id);
    if (hvm_domain(d)->dev)
        hvm_devices_free(hvm_domain(d)->dev);
    frame_free_hv_order(hvm_domain(d), frame_order(sizeof(struct hvm_domain)));
}

struct hvm_vcpu *hvm_vcpu_create(struct domain *d, unsigned int id)
{
    struct hvm_domain *hd = hvm_domain(d);
    struct hvm_vcpu *v = frame_alloc_hv_order(frame_order(sizeof(*v)));

    if (!v)
        return NULL;
    v->lapic.regs = frame_alloc_hv();
    v->x.enter = hvm_vendor->enter;
    timer_init(&v->apic_timer, apic_timer_fired, v);
    if (!v->lapic.regs || !fpu_alloc(&v->x) || !hvm_vendor->create(v) ||
        vcpu_init(&v->x.v, d, id)) {
        free_vcpu(&v->x.v);
        return NULL;
    }
    vlapic_init(&v->lapic, v->lapic.regs, &hd->apics, v, policy_apic_id(&v->x.v));
    hd->lapic[id] = &v->lapic;
    hvm_vendor->set_nested(v, p2m_root(&hd->p2m).v);
    hvm_reset_registers(v);
    return v;
}

/* PVH has a local APIC and no more; HVM has all but vPCI. PIRQs it may have are not announced. */
#define EMU_HVM (XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI)
static bool emulation_ok(uint32_t flags)
{
    return flags == XEN_X86_EMU_LAPIC || (flags | XEN_X86_EMU_USE_PIRQ) == EMU_HVM;
}

static int createdomain(domid_t id, const struct xen_domctl_createdomain *config, struct domain **d)
{
    struct hvm_domain *hd;

    if (!hvm_vendor) {
        log_refusal(NULL, "createdomain: this machine has no hardware virtualisation");
        return -XEN_EOPNOTSUPP;
    }
    if (!emulation_ok(config->arch.emulation_flags) || config->arch.misc_flags) {
        log_refusal(NULL, "createdomain: emulation flags are 0x1 for PVH and %#x for HVM, not %#x",
                    EMU_HVM, config->arch.emulation_flags);
        return -XEN_EOPNOTSUPP;
    }
    if (!(config->flags & XEN_DOMCTL_CDF_hap)) {
        log_refusal(NULL, "createdomain: there are no shadow tables: hap = 1 is needed");
        return -XEN_EOPNOTSUPP;
    }
    hd = hvm_domain_create(id, config->max_vcpus, config->arch.emulation_flags);
    if (!hd)
        return -XEN_ENOMEM;
    *d = &hd->x.d;
    return 0;
}

static int create_vcpu(struct domain *d, unsigned int id)
{
    return hvm_vcpu_create(d, id) ? 0 : -XEN_ENOMEM;
}

/* --- on a CPU --- */

static void load_tables(struct vcpu *c)
{
    (void)c;
    if (read_cr3() == idle_cr3)
        return;
    tlb_load(idle_cr3);
}

static void load(struct vcpu *c)
{
    struct x86_pcpu *xp = this_x86();
    struct hvm_vcpu *v = hvm_vcpu(c);

    fpu_load(&v->x);
    if (xp->dr7 != DR7_RESET) /* a PV guest's: an exit clears it, but v may never enter */
        write_dr(7, DR7_RESET);
    xp->dr7 = DR7_RESET;
    if (policy_has_tsc_aux() && xp->tsc_aux != (v->tsc_aux | TSC_AUX_KNOWN))
        wrmsr(MSR_TSC_AUX, v->tsc_aux);
    hvm_vendor->load(v);
    cpu_info()->regs = v->x.regs;
}

static void save(struct vcpu *c, bool leaving)
{
    struct hvm_vcpu *v = hvm_vcpu(c);

    v->x.regs = cpu_info()->regs;
    if (!leaving)
        return;
    this_x86()->tsc_aux = v->tsc_aux | TSC_AUX_KNOWN;
    hvm_vendor->save(v);
    hvm_sync_xcr0(v);
    fpu_save(&v->x);
}

static int send_nmi(struct vcpu *c)
{
    hvm_ask(hvm_vcpu(c), HVMX_NMI);
    vcpu_notify(c);
    return 0;
}

/*
 * An upcall that v alone has chosen the vector of goes through its local APIC. One by a wire, v
 * raises itself on its way into the guest: locks may be held here that come after the devices'.
 */
static void upcall(struct vcpu *c)
{
    struct hvm_vcpu *v = hvm_vcpu(c);
    const struct hvm_domain *hd = hvm_domain_of(v);

    if (v->upcall_vector)
        vlapic_post_upcall(&v->lapic, v->upcall_vector);
    else if (c->id == 0 && hd->dev && !__atomic_load_n(&hd->callback_vector, __ATOMIC_RELAXED))
        hvm_ask(v, HVMX_CALLBACK);
}

static bool can_block(const struct vcpu *c)
{
    return !hvm_has_work((struct hvm_vcpu *)c);
}

/* --- for the core --- */

/* What it is about, in words. */
static void dump_state(const struct hvm_vcpu *v)
{
    const ioreq_t *r = &v->io.asked;

    log_info("  d%uv%u: work %#x%s, interrupt requested %d, in service %d, deliverable %d%s",
             v->x.v.domain->id, v->x.v.id, v->exit_work, v->wait_sipi ? ", waits for a SIPI" : "",
             vlapic_highest_request(&v->lapic), vlapic_in_service(&v->lapic),
             vlapic_pending(&v->lapic), hvm_extint_waits(v) ? ", and one of the PICs" : "");
    if (v->exit_work & HVMX_IO)
        log_info("  waits for its device model: %s %s %#lx, %u times %u bytes, at %s",
                 r->dir == IOREQ_READ ? "reads" : "writes",
                 r->type == IOREQ_TYPE_COPY  ? "memory"
                 : r->type == IOREQ_TYPE_PIO ? "port"
                                             : "configuration",
                 r->addr, r->count, r->size, v->io.plain_len ? "IN or OUT" : "an instruction");
}

static void dump(const struct vcpu *c)
{
    const struct hvm_vcpu *v = (const struct hvm_vcpu *)c;

    dump_state(v);
    hvm_vendor->dump(v);
    dump_regs(c == cpu_info()->current ? &cpu_info()->regs : &v->x.regs);
}

/* Key `v`. One that runs elsewhere shows what it had when it last left its CPU. */
static void dump_all(void)
{
    for_each_domain (d)
        for_each_vcpu (d, v)
            if (d->kind == GUEST_HVM)
                dump(v);
}

void hvm_keys_init(void)
{
    keys_register('v', "hardware-assisted vCPUs", dump_all);
}

static int relinquish(struct domain *d)
{
    for_each_vcpu (d, c) {
        switch_sync(c); /* an idle CPU may still have it */
        timer_stop_sync(&hvm_vcpu(c)->apic_timer);
    }
    if (hvm_domain(d)->dev)
        hvm_devices_stop(hvm_domain(d)->dev);
    return hvm_relinquish(hvm_domain(d));
}

static uint64_t max_gfn(struct domain *d)
{
    return __atomic_load_n(&hvm_domain(d)->p2m.max_gfn, __ATOMIC_RELAXED);
}

static uint32_t features(const struct domain *d, unsigned int submap)
{
    uint32_t f = 1u << XENFEAT_writable_page_tables | 1u << XENFEAT_auto_translated_physmap |
                 1u << XENFEAT_hvm_callback_vector | 1u << XENFEAT_hvm_safe_pvclock |
                 1u << XENFEAT_memory_op_vnode_supported | 1u << XENFEAT_not_direct_mapped;

    if (access_host(d))
        f |= 1u << XENFEAT_dom0;
    return submap == 0 ? f : 0;
}

static void report(const struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    info->arch_config.emulation_flags = ((const struct hvm_domain *)d)->emulation;
}

static unsigned int counts(const struct vcpu *v, uint32_t vals[])
{
    const struct hvm_vcpu *h = (const struct hvm_vcpu *)v;
    const uint64_t *const of[] = { &h->stats.exits, &h->stats.flushes, &h->stats.generations,
                                   &h->stats.cleared };

    _Static_assert(ARRAY_SIZE(of) <= COUNT_KIND, "they fit");
    for (unsigned int i = 0; i < ARRAY_SIZE(of); i++)
        vals[i] = (uint32_t)__atomic_load_n(of[i], __ATOMIC_RELAXED);
    return ARRAY_SIZE(of);
}

const struct x86_guest_ops hvm_guest_ops = {
    .g = {
        .kind = GUEST_HVM,
        .name = "HVM",
        .vm_assist = BIT64(VMASST_TYPE_runstate_update_flag),
        .domain_create = createdomain,
        .vcpu_create = create_vcpu,
        .relinquish = relinquish,
        .vcpu_free = free_vcpu,
        .domain_free = free_domain,
        .set_context = hvm_set_context,
        .get_context = hvm_get_context,
        .dump = dump,
        .copy_from = hvm_copy_from,
        .copy_to = hvm_copy_to,
        .gfn_get = hvm_gfn_get,
        .gfn_place = hvm_gfn_place,
        .gfn_remove = hvm_gfn_remove,
        .gfn_flush = hvm_gfn_flush,
        .grant_map = hvm_grant_map,
        .grant_unmap = hvm_grant_unmap,
        .upcall = upcall,
        .can_block = can_block,
        .send_nmi = send_nmi,
        .features = features,
        .report = report,
        .counts = counts,
        .max_gfn = max_gfn,
        .memory_op = hvm_memory_op,
        .resource = hvm_server_page,
        .domctl = hvm_domctl,
        .audit = hvm_audit,
    },
    .save = save,
    .load_tables = load_tables,
    .load = load,
    .exit_work = hvm_exit_work,
    .each_reference = hvm_each_reference,
};
