/* SPDX-License-Identifier: MIT */
/* The lives of the model's domains: built at the start, some destroyed and built anew on the way.
 */
#include <stdlib.h>

#include "core/audit.h"
#include "core/evtchn.h"
#include "core/grant.h"
#include "core/hypercall.h"
#include "core/parked.h"

#include <xen/domctl.h>
#include <xen/memory.h>

#include "model/pv_pick.h"
#include "x86/pv/domain.h"

static struct domain *pv_kept[PV_DOMAINS]; /* a destroyed one: a reference for the model */

/* --- building a domain --- */

static struct frame *new_page(struct domain *d)
{
    struct frame *f = frame_alloc(0, 0);

    if (!f || frame_assign(f, 0, d))
        abort();
    arch_clear_page(arch_map(frame_mfn(f)));
    return f;
}

static void start_vcpu(struct domain *d, unsigned int id, uint64_t l4)
{
    static struct vcpu_guest_context c;
    struct pv_vcpu *pv = pv_vcpu_create(d, id);
    int rc;

    if (!pv)
        abort();
    if (id == PV_VCPUS - 1)
        return;
    c.flags = VGCF_in_kernel;
    c.ctrlreg[3] = l4 << PAGE_SHIFT;
    c.kernel_sp = PV_VA(ARGS_SLOT);
    do {
        arch_this_cpu()->pending = 0;
        rc = pv_guest_ops.g.set_context(&pv->x.v, &c);
    } while (rc == -XEN_EAGAIN);
    if (rc)
        pv_fail("context of a new vCPU: %d", rc);
    pv->x.v.initialised = true;
}

/* Frames 0 to 5: L4, L3, L2, three L1s (the last without an entry that leads to it); 6, 7: L4s. */
static void build(unsigned int id)
{
    struct pv_domain *pd = pv_domain_create((domid_t)id, PV_VCPUS);
    uint64_t mfn[PAGES];

    if (!pd)
        abort();
    struct domain *d = pv_dom[id] = &pd->x.d;
    d->privileged = id == 0;
    d->max_pages = PAGES + 60;
    for (unsigned int i = 0; i < PAGES; i++)
        mfn[i] = frame_mfn(new_page(d)).v;
    for (unsigned int i = 0; i < PAGES; i++)
        page(mfn[3])[i] = mfn[i] << PAGE_SHIFT | (i < TABLES ? FLAGS & ~PTE_RW : FLAGS);
    page(mfn[0])[272] = mfn[1] << PAGE_SHIFT | (FLAGS & ~PTE_NX);
    page(mfn[6])[272] = page(mfn[0])[272];
    page(mfn[7])[0] = page(mfn[0])[272];
    page(mfn[1])[0] = mfn[2] << PAGE_SHIFT | (FLAGS & ~PTE_NX);
    page(mfn[2])[0] = mfn[3] << PAGE_SHIFT | (FLAGS & ~PTE_NX);
    page(mfn[2])[1] = mfn[4] << PAGE_SHIFT | (FLAGS & ~PTE_NX);
    if (id == 1) /* as BSD kernels have it */
        page(mfn[0])[1] = mfn[0] << PAGE_SHIFT | (FLAGS & ~(PTE_NX | PTE_RW));
    first_l4[id] = mfn[0];
    for (unsigned int i = 0; i < PV_VCPUS; i++)
        start_vcpu(d, i, mfn[0]);
    domain_publish(d);
    if (id == 0)
        dom0 = d;
}

void pv_model_setup(void)
{
    for (unsigned int i = 0; i < PV_DOMAINS; i++)
        build(i);
    for (unsigned int i = 0; i < PV_CPUS; i++) {
        host_be(i);
        pv_taken[i][0] = 1;
        pv_machine_run(pv_dom[i]->vcpu[0]);
    }
}

/* --- the end of one on the way --- */

/* No CPU runs a vCPU of d any more; all that their exit paths had to do is left undone. */
static void leave_cpus(const struct domain *d)
{
    unsigned int me = arch_this_cpu()->id;

    for (unsigned int i = 0; i < PV_CPUS; i++) {
        host_be(i);
        if (arch_this_cpu()->current->domain == d)
            pv_machine_run(NULL);
    }
    for (unsigned int i = 0; i < PV_VCPUS; i++)
        pv_taken[d->id][i] = 0;
    host_be(me);
}

/*
 * d, not dom0, is destroyed in steps with others' hostile calls in between, as far as it goes: what
 * others still map keeps its record. The next time it is found gone, and built again.
 */
void pv_model_end_one(unsigned int id)
{
    struct domain *d = domain_get((domid_t)id);

    if (!d) {
        build(id);
        note("d%u is built anew", id);
        return;
    }
    if (d->relinquished) {
        note("d%u waits for others", id);
        domain_put(d);
        return;
    }
    leave_cpus(d);
    pv_model_forget_grants((domid_t)id);
    while (domain_kill(d) == -XEN_EAGAIN) {
        unsigned int me = arch_this_cpu()->id;

        arch_this_cpu()->pending = 0;
        pcpu_gave_way(arch_this_cpu());
        if (!pv_threaded && one_in(2)) {
            depth++;
            pv_model_step(rng_next(&rng));
            depth--;
            host_be(me);
        }
    }
    /* The model goes on naming it until it is built anew: its record stays that long. */
    if (pv_kept[id])
        domain_put(pv_kept[id]);
    pv_kept[id] = d;
    domain_reap();
    note("d%u is destroyed; others hold %lu of its pages", id, d->tot_pages);
}

/* --- what the tools do --- */

#define TOOL_DOMAINS 3 /* ids from PV_DOMAINS on: made and destroyed by Dom0's calls alone */

static void fill_domctl(struct xen_domctl *op)
{
    static const uint32_t cmds[] = { XEN_DOMCTL_createdomain,   XEN_DOMCTL_createdomain,
                                     XEN_DOMCTL_max_vcpus,      XEN_DOMCTL_max_mem,
                                     XEN_DOMCTL_unpausedomain,  XEN_DOMCTL_pausedomain,
                                     XEN_DOMCTL_destroydomain,  XEN_DOMCTL_getdomaininfo,
                                     XEN_DOMCTL_hypercall_init, XEN_DOMCTL_resumedomain };

    op->cmd = cmds[below(ARRAY_SIZE(cmds))];
    op->domain = (domid_t)(PV_DOMAINS + below(TOOL_DOMAINS));
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    switch (op->cmd) {
    case XEN_DOMCTL_createdomain:
        op->u.createdomain.max_vcpus = 1 + (uint32_t)below(2);
        op->u.createdomain.max_evtchn_port = one_in(4) ? 0 : 127;
        op->u.createdomain.max_grant_frames = 2;
        op->u.createdomain.max_maptrack_frames = 2;
        op->u.createdomain.grant_opts = 1;
        break;
    case XEN_DOMCTL_max_vcpus:
        op->u.max_vcpus.max = (uint32_t)below(4);
        break;
    case XEN_DOMCTL_max_mem:
        op->u.max_mem.max_memkb = 4 * below(40);
        break;
    default:
        op->u.hypercall_init.gmfn = pick_frame(pv_dom[0]);
        break;
    }
}

void pv_model_tools(struct vcpu *v)
{
    struct xen_memory_reservation r = { .nr_extents = 1 + below(6),
                                        .domid = (domid_t)(PV_DOMAINS + below(TOOL_DOMAINS)) };
    struct xen_domctl op = { .cmd = 0 };
    long rc;

    if (one_in(3)) {
        set_xen_guest_handle_raw(r.extent_start, (xen_pfn_t *)(args_va(v) + 0x800));
        if (!put_args(v, 0, &r, sizeof(r)))
            return;
        rc = call(v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, args_va(v), 0, 0);
        note("d%uv%u populates d%u: %ld", v->domain->id, v->id, r.domid, rc);
        return;
    }
    fill_domctl(&op);
    if (!put_args(v, 0, &op, sizeof(op)))
        return;
    rc = call(v, __HYPERVISOR_domctl, args_va(v), 0, 0, 0);
    note("d%uv%u domctl %u of d%u: %ld", v->domain->id, v->id, op.cmd, op.domain, rc);
    if (depth == 0)
        domain_reap();
}

/* --- the end --- */

/* Dom0 has no destroydomain: step by step. */
static void end_dom0(void)
{
    struct domain *d = pv_dom[0];

    d->state = DOM_DYING;
    while (parked_drop(d) != 0)
        ;
    grant_close(d);
    domain_drop_infos(d);
    while (d->ops->relinquish(d) != 0)
        ;
    while (grant_teardown(d) != 0)
        ;
}

void pv_model_teardown(void)
{
    uint64_t left = 0;

    for (unsigned int i = 0; i < PV_CPUS; i++) {
        host_be(i);
        pv_machine_run(NULL);
    }
    for (unsigned int i = PV_DOMAINS + TOOL_DOMAINS;
         i-- > 0;) { /* Dom0 last: it still maps the others' frames */
        struct domain *d = i ? domain_get((domid_t)i) : NULL;
        while (d && domain_kill(d) == -XEN_EAGAIN)
            ;
        if (d)
            domain_put(d);
        else if (i == 0)
            end_dom0();
        if (audit())
            pv_fail("audit after the end of d%u", i);
        pv_check_tlbs();
    }
    note("all domains down");
    domain_reap();
    for (unsigned int i = 1; i < PV_DOMAINS + TOOL_DOMAINS; i++) {
        struct domain *d = domain_get((domid_t)i);
        if (d)
            pv_fail("d%u keeps %lu pages after its end; frame %#x has state %#lx", i, d->tot_pages,
                    d->left_list, frame_table[d->left_list].state);
    }
    left = pv_dom[0]->tot_pages;
    if (left)
        pv_fail("d0 keeps %lu pages after its end; frame %#x has state %#lx", left,
                pv_dom[0]->page_list, frame_table[pv_dom[0]->page_list].state);
    pv_check_tlbs();
}
