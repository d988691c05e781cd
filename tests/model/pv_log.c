/* SPDX-License-Identifier: MIT */
/*
 * A migration of the model's guests while they go on: Dom0 switches their logs on, keeps a copy of
 * each frame by the guest's number, and takes again what CLEAN names. What CLEAN does not name has
 * to be as in the copy, but for what others hold; what a FINAL one does not name, without but.
 */
#include <stdio.h>
#include <string.h>

#include "core/dirty.h"
#include "core/hypercall.h"

#include <xen/domctl.h>

#include "core/grant_private.h"
#include "model/pv_pick.h"
#include "x86/pv/twin.h"

#define NONE (~0ull)
#define BITMAP_AT (2 * PAGE_SIZE) /* behind the arguments */

static uint8_t copies[PV_RAM][PAGE_SIZE];
static uint64_t copied_as[PV_DOMAINS][PV_RAM]; /* the guest's number by which it was, or NONE */
static unsigned int copied_type[PV_RAM];       /* the table that it was */
static uint8_t bitmap[PV_RAM / 8];

static bool named(uint64_t gfn)
{
    return bitmap[gfn / 8] >> gfn % 8 & 1;
}

/* What tools are told that it is, of tables. */
static unsigned int table_type(uint64_t m)
{
    uint64_t s = frame_table[m].state;
    unsigned int t = frame_type_of(s);

    if (!(s & FRAME_VALIDATED) || t < FT_L1 || t > FT_L4)
        return 0;
    return t | (s & FRAME_PINNED ? 8 : 0);
}

static void take_copy(const struct domain *d, uint64_t m)
{
    copied_type[m] = table_type(m);
    memcpy(copies[m], host_ram + m * PAGE_SIZE, PAGE_SIZE);
    copied_as[d->id][m] = host_m2p[m];
}

/* The hypervisor's slots of an L4 are none of the guest's. */
static bool as_copied(const struct domain *d, uint64_t m)
{
    const uint8_t *now = host_ram + m * PAGE_SIZE;
    bool l4 = frame_type_of(frame_table[m].state) == FT_L4;
    size_t from = l4 ? HV_FIRST_SLOT * 8 : PAGE_SIZE, to = l4 ? (HV_LAST_SLOT + 1) * 8 : PAGE_SIZE;

    return copied_as[d->id][m] == host_m2p[m] && !memcmp(now, copies[m], from) &&
           !memcmp(now + to, copies[m] + to, PAGE_SIZE - to);
}

/* Others may write it now. */
static bool is_held(const struct domain *d, uint64_t m)
{
    const struct grant_state *g = d->grants;

    for (grant_ref_t ref = 0; ref < g->nr_frames * REFS_PER_FRAME; ref++)
        if (grant_active_of(g, ref)->writers && grant_active_of(g, ref)->mfn == m)
            return true;
    return frame_table[m].state & FRAME_HELD;
}

/* What CLEAN has not named, and nobody marked since. */
static void check_rest(const struct domain *d, bool final)
{
    for (uint64_t m = 1; m < PV_RAM; m++) {
        uint64_t gfn = host_m2p[m];

        if (!is_own(d, m) || gfn >= PV_RAM || named(gfn) || dirty_is_marked(d, gfn))
            continue;
        if (is_held(d, m)) {
            if (final)
                pv_fail("the last CLEAN of d%u says nothing of frame %#lx, which others hold",
                        d->id, m);
        } else if (!as_copied(d, m)) {
            size_t at = 0;
            while (at < PAGE_SIZE - 1 && host_ram[m * PAGE_SIZE + at] == copies[m][at])
                at++;
            pv_fail("lost: frame %#lx of d%u, number %#lx (copied as %#lx), state %#lx, differs at "
                    "%#lx from what was copied, and CLEAN did not say so",
                    m, d->id, gfn, copied_as[d->id][m], frame_table[m].state, at);
        } else if (table_type(m) && table_type(m) != copied_type[m]) {
            pv_fail("lost: frame %#lx of d%u is another table now, state %#lx, and CLEAN did not "
                    "say so",
                    m, d->id, frame_table[m].state);
        }
    }
}

static void copy_named(const struct domain *d)
{
    for (uint64_t m = 1; m < PV_RAM; m++)
        if (is_own(d, m) && host_m2p[m] < PV_RAM && named(host_m2p[m]))
            take_copy(d, m);
}

/* As what the guest's builder told it of its memory. */
static void number_frames(const struct domain *d)
{
    for (uint64_t m = 1; m < PV_RAM; m++)
        if (is_own(d, m) && host_m2p[m] >= PV_RAM)
            host_m2p[m] = m;
    d->shared->arch.max_pfn = PV_RAM - 1;
}

/* The CPUs whose vCPUs are d's stand still; which they were. */
static void stop(const struct domain *d, struct vcpu **was)
{
    unsigned int me = arch_this_cpu()->id;

    for (unsigned int i = 0; i < PV_CPUS; i++) {
        host_be(i);
        was[i] = arch_this_cpu()->current->domain == d ? arch_this_cpu()->current : NULL;
        if (was[i])
            pv_machine_run(NULL);
    }
    host_be(me);
}

static void go_on(struct vcpu **was)
{
    unsigned int me = arch_this_cpu()->id;

    for (unsigned int i = 0; i < PV_CPUS; i++) {
        host_be(i);
        if (was[i])
            pv_machine_run(was[i]);
    }
    host_be(me);
}

static long shadow_op(struct vcpu *v, struct domain *d, uint32_t what, uint32_t mode)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_shadow_op,
                             .domain = d->id,
                             .interface_version = XEN_DOMCTL_INTERFACE_VERSION };
    long rc;

    op.u.shadow_op.op = what;
    op.u.shadow_op.mode = mode;
    op.u.shadow_op.pages = PV_RAM;
    op.u.shadow_op.dirty_bitmap.p = (void *)(args_va(v) + BITMAP_AT);
    memset(bitmap, 0, sizeof(bitmap));
    if (!put_args(v, 0, &op, sizeof(op)) || !put_args(v, BITMAP_AT, bitmap, sizeof(bitmap)))
        return 1;
    depth++; /* no other calls in between: those would have to respect the pause */
    rc = call(v, __HYPERVISOR_domctl, args_va(v), 0, 0, 0);
    depth--;
    if (arch_this_cpu()->current != v)
        return 1;
    return rc || get_args(v, BITMAP_AT, bitmap, sizeof(bitmap)) ? rc : 1;
}

static void change(struct vcpu *v, struct domain *d, bool on)
{
    struct vcpu *was[PV_CPUS];
    long rc;

    stop(d, was);
    if (on)
        number_frames(d);
    rc = shadow_op(v, d, on ? XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY : XEN_DOMCTL_SHADOW_OP_OFF, 0);
    for (uint64_t m = 1; on && rc == 0 && m < PV_RAM; m++)
        copied_as[d->id][m] = NONE;
    for (uint64_t m = 1; on && rc == 0 && m < PV_RAM; m++)
        if (is_own(d, m) && host_m2p[m] < PV_RAM)
            take_copy(d, m);
    go_on(was);
    note("the log of d%u goes %s: %ld", d->id, on ? "on" : "off", rc);
}

static void clean(struct vcpu *v, struct domain *d)
{
    bool final = one_in(3);
    long rc;

    rc = shadow_op(v, d, XEN_DOMCTL_SHADOW_OP_CLEAN, final ? XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL : 0);
    if (rc == 0) {
        check_rest(d, final);
        copy_named(d);
    }
    note("CLEAN of d%u%s: %ld", d->id, final ? ", the last one" : "", rc);
}

/* One of d's vCPUs, on whose CPU we are then; NULL: none runs, and we are anywhere. */
static struct vcpu *go_to(const struct domain *d)
{
    for (unsigned int i = 0; i < PV_CPUS; i++) {
        host_be(i);
        if (arch_this_cpu()->current->domain == d)
            return arch_this_cpu()->current;
    }
    return NULL;
}

/*
 * What a CPU does by itself: it sets the bits of an entry that the guest has taken away. Nothing
 * else happens between two CLEANs, for each call that changes an entry of that table would mark it,
 * too.
 */
static void clean_around_bits(struct vcpu *v, struct domain *d)
{
    unsigned int me = arch_this_cpu()->id, slot = pick_slot();
    struct vcpu *g = go_to(d);
    pte_t bits = one_in(2) ? PTE_A | PTE_D : PTE_D;
    bool write = one_in(2);

    depth++;
    if (g)
        call(g, __HYPERVISOR_update_va_mapping, PV_VA(slot),
             slot_frame(g, slot) << PAGE_SHIFT | (FLAGS & ~bits), UVMF_INVLPG, 0);
    depth--;
    host_be(me);
    clean(v, d);
    if (g && go_to(d) == g)
        pv_access(PV_VA(slot), write);
    host_be(me);
    clean(v, d);
}

/* The guest has the hypervisor write a page. */
static void clean_around_page(struct vcpu *v, struct domain *d)
{
    unsigned int me = arch_this_cpu()->id;
    struct mmuext_op op = { .cmd = one_in(3) ? MMUEXT_CLEAR_PAGE : MMUEXT_COPY_PAGE,
                            .arg1.mfn = own_frame(d, FT_WRITABLE),
                            .arg2.src_mfn = own_frame(d, FT_WRITABLE) };
    struct vcpu *g = go_to(d);
    bool ok;

    depth++;
    ok = g && put_args(g, 0, &op, sizeof(op));
    depth--;
    host_be(me);
    clean(v, d);
    depth++;
    if (ok && go_to(d) == g)
        call(g, __HYPERVISOR_mmuext_op, args_va(g), 1, 0, DOMID_SELF);
    depth--;
    host_be(me);
    clean(v, d);
}

/*
 * A page that d does not use itself just now is v's for a while, which writes it after a CLEAN, and
 * flushes as it should: who does not may write on until the frame changes its type.
 */
static void clean_around_holder(struct vcpu *v, struct domain *d)
{
    unsigned int slot = pick_slot();
    uint64_t m, *p;

    for (unsigned int i = 0; i < 64; i++) {
        m = own_frame(d, FT_WRITABLE);
        if (!frame_typed(frame_table[m].state))
            break;
    }
    depth++;
    call(v, __HYPERVISOR_update_va_mapping_otherdomain, PV_VA(slot), m << PAGE_SHIFT | FLAGS,
         UVMF_INVLPG, d->id);
    depth--;
    clean(v, d);
    p = slot_frame(v, slot) == m ? pv_access(PV_VA(slot), true) : NULL;
    if (p)
        (*p)++;
    depth++;
    call(v, __HYPERVISOR_update_va_mapping, PV_VA(slot), 0, UVMF_INVLPG | UVMF_ALL, 0);
    depth--;
    clean(v, d);
}

void pv_model_log(struct vcpu *v)
{
    struct domain *d = v->domain->privileged && !pv_threaded
                           ? domain_get((domid_t)(1 + below(PV_DOMAINS - 1)))
                           : NULL;

    if (!d)
        return;
    if (domain_dying(d) || d == v->domain)
        note("no log for d%u", d->id);
    else if (!d->dirty || one_in(12))
        change(v, d, !d->dirty);
    else if (one_in(8))
        note("PEEK at d%u: %ld", d->id, shadow_op(v, d, XEN_DOMCTL_SHADOW_OP_PEEK, 0));
    else if (one_in(3))
        clean_around_bits(v, d);
    else if (one_in(3))
        clean_around_holder(v, d);
    else if (one_in(3))
        clean_around_page(v, d);
    else
        clean(v, d);
    domain_put(d);
}
