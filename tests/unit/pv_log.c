/* SPDX-License-Identifier: MIT */
/*
 * The log of a PV guest's writes, call by call: what CLEAN, PEEK and FINAL name, what happens where
 * they give way, fail, are left alone; and guests with more tables than twins. On the model's
 * machine; what hostile guests do meanwhile is the model's business.
 */
#include "pv_unit.h"

#include <xen/domctl.h>

#include "core/audit.h"
#include "core/dirty.h"
#include "x86/pv/log_dirty.h"
#include "x86/pv/twin.h"

#define PAGES_TOLD 30000u /* as many numbers as the guest says it has */
#define FIRST 5000u       /* that of its first frame */

static bool back, busy; /* op was copied back; other work waits on Domain 0's CPU */
static struct xen_domctl op;

static uint64_t args(void)
{
    host_be(0);
    return args_va(pv_dom[0]->vcpu[0]);
}

/* A call by Domain 0 about domain 1. */
static long shadow(uint32_t what, uint32_t mode, uint64_t pages, uint64_t bitmap)
{
    host_be(0);
    back = false;
    op.cmd = XEN_DOMCTL_shadow_op;
    op.u.shadow_op = (struct xen_domctl_shadow_op){ .op = what, .mode = mode, .pages = pages };
    op.u.shadow_op.dirty_bitmap.p = (void *)bitmap;
    pcpu_gave_way(arch_this_cpu());
    arch_this_cpu()->pending = busy;
    return pv_domctl(pv_dom[0]->vcpu[0], pv_dom[1], &op, &back);
}

static uint8_t bytes[8192];

/* The whole of it, however often it gives way, into `bytes`. */
static long read_log(uint32_t what, uint32_t mode, uint64_t pages)
{
    long rc;

    memset(bytes, 0, sizeof(bytes));
    args();
    put_args(pv_dom[0]->vcpu[0], 0, bytes, sizeof(bytes));
    while ((rc = shadow(what, mode, pages, args())) == E(EAGAIN))
        ;
    args();
    CHECK(get_args(pv_dom[0]->vcpu[0], 0, bytes, sizeof(bytes)));
    return rc;
}

#define CLEAN(mode) read_log(XEN_DOMCTL_SHADOW_OP_CLEAN, mode, PAGES_TOLD)
#define PEEK() read_log(XEN_DOMCTL_SHADOW_OP_PEEK, 0, PAGES_TOLD)

static unsigned int bits(void)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < sizeof(bytes); i++)
        n += (unsigned int)__builtin_popcount(bytes[i]);
    return n;
}

static bool named(uint64_t gfn)
{
    return bytes[gfn / 8] >> gfn % 8 & 1;
}

static uint64_t gfn_at(unsigned int slot)
{
    uint64_t m = slot_frame(as(1), slot);

    host_be(0);
    return host_m2p[m];
}

/* The guest's frames have numbers from FIRST on; none of its vCPUs is on a CPU. */
static void prepare(void)
{
    unsigned int n = 0;

    for (uint64_t m = 1; m < PV_RAM; m++)
        if (is_own(pv_dom[1], m))
            host_m2p[m] = FIRST + n++;
    pv_dom[1]->shared->arch.max_pfn = PAGES_TOLD - 1;
    host_be(1);
    pv_machine_run(NULL);
}

static long change(uint32_t what)
{
    long rc;

    host_be(1);
    pv_machine_run(NULL);
    while ((rc = shadow(what, 0, 0, 0)) == E(EAGAIN))
        ;
    host_be(1);
    pv_machine_run(pv_dom[1]->vcpu[0]);
    host_be(0);
    return rc;
}

static void write_to(unsigned int slot)
{
    host_be(1);
    uint64_t *p = pv_access(PV_VA(slot), true);
    CHECK(p != NULL);
    if (p)
        (*p)++;
    host_be(0);
}

TEST(it_goes_on_and_off)
{
    const uint32_t logdirty = XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY;

    prepare();
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_OFF, 0, 0, 0), 0);
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, 8, args()), E(EINVAL));
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_PEEK, 0, 8, args()), E(EINVAL));
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_ENABLE_TEST, 0, 0, 0), E(EOPNOTSUPP));
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_ENABLE, 0, 0, 0), E(EOPNOTSUPP));
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_ENABLE, logdirty | 2, 0, 0), E(EOPNOTSUPP));
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION, 0, 0, 0), E(EOPNOTSUPP));
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_ENABLE, logdirty, 0, 0), 0);
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_ENABLE, logdirty, 0, 0), E(EINVAL));
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, 0), E(EINVAL));
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_CLEAN, 2, 8, args()), E(EINVAL));
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_OFF, 0, 0, 0), 0);
    CHECK(!pv_dom[1]->dirty && !dirty_logs);
    op.cmd = XEN_DOMCTL_shadow_op;
    CHECK_EQ(pv_domctl(pv_dom[0]->vcpu[0], pv_dom[0], &op, &back), E(EINVAL));
}

/* Piece by piece, and without memory for a part of it: nothing is left behind. */
TEST(it_takes_memory_or_none)
{
    uint64_t before = frame_free_count();
    unsigned int goes = 0;

    busy = true;
    while (shadow(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, 0) == E(EAGAIN))
        goes++;
    CHECK(goes > 50 && pv_dom[1]->dirty);
    for (goes = 0; shadow(XEN_DOMCTL_SHADOW_OP_OFF, 0, 0, 0) == E(EAGAIN);)
        goes++;
    CHECK(goes > 1 && !pv_dom[1]->dirty);
    CHECK_EQ(frame_free_count(), before);
    shadow(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, 0);
    while (shadow(XEN_DOMCTL_SHADOW_OP_OFF, 0, 0, 0) == E(EAGAIN)) /* one that never came to be */
        ;
    CHECK_EQ(frame_free_count(), before);
    busy = false;
    for (host_fail_every = 1; host_fail_every < 60; host_fail_every += 3) {
        CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, 0), E(ENOMEM));
        CHECK_EQ(frame_free_count(), before);
    }
    host_fail_every = 0;
}

TEST(each_write_is_named_once)
{
    uint64_t gfn;

    CHECK_EQ(change(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY), 0);
    gfn = gfn_at(SLOT);
    write_to(SLOT);
    CHECK_EQ(PEEK(), 0);
    CHECK(named(gfn) && back);
    CHECK_EQ(CLEAN(0), 0);
    CHECK(named(gfn) && op.u.shadow_op.pages == PAGES_TOLD);
    CHECK(op.u.shadow_op.stats.dirty_count == bits() && op.u.shadow_op.stats.fault_count >= 1);
    CHECK_EQ(CLEAN(0), 0);
    CHECK_EQ(bits(), 0);
    CHECK_EQ(op.u.shadow_op.stats.fault_count, 0);
    write_to(SLOT);
    write_to(SLOT + 1);
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, PAGES_TOLD, 0), 0); /* how much is it? */
    CHECK_EQ(op.u.shadow_op.stats.dirty_count, 2);
    CHECK_EQ(op.u.shadow_op.stats.fault_count, 2);
    CHECK_EQ(read_log(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, gfn - 1), 0); /* of those before both */
    CHECK(!bits() && op.u.shadow_op.pages == gfn - 1);
    write_to(SLOT);
    CHECK_EQ(CLEAN(0), 0);
    CHECK(named(gfn) && named(gfn_at(SLOT + 1)) && bits() == 2);
    CHECK_EQ(audit(), 0);
}

static void set_base(uint64_t mfn)
{
    struct vcpu *v = as(1);

    CHECK_EQ(pv_new_kernel_base(v, MFN(mfn)), 0);
    pv_mm_done(v);
    host_be(0);
}

/* CLEAN comes while the tables by which a page was written are not in use. */
TEST(a_base_that_comes_back)
{
    uint64_t first = pv_vcpu(as(1))->cr3_kernel >> PAGE_SHIFT, other = slot_frame(as(1), 6);
    struct mmuext_op pin = { .cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = other };
    struct vcpu *v = as(1);

    CHECK(put_args(v, 0, &pin, sizeof(pin)));
    CHECK_EQ(call(v, __HYPERVISOR_mmuext_op, args_va(v), 1, 0, DOMID_SELF), 0);
    set_base(other);
    write_to(SLOT);
    set_base(first);
    CHECK_EQ(CLEAN(0), 0);
    CHECK(named(gfn_at(SLOT)));
    set_base(other);
    CHECK_EQ(audit(), 0);
    write_to(SLOT);
    CHECK_EQ(CLEAN(0), 0);
    CHECK(named(gfn_at(SLOT)));
    set_base(first);
    CHECK_EQ(CLEAN(0), 0);
}

/* What a reading has taken, and nobody has got, counts as written. */
TEST(nothing_is_lost)
{
    CHECK_EQ(CLEAN(0), 0);
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, PAGES_TOLD, PV_VA(PV_SLOTS)), E(EFAULT));
    CHECK_EQ(read_log(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, 8), 0); /* a part of them */
    CHECK_EQ(bits(), 8);
    CHECK_EQ(CLEAN(0), 0);
    CHECK_EQ(bits(), PAGES_TOLD);
    CHECK_EQ(CLEAN(0), 0);
    CHECK_EQ(bits(), 0);
    busy = true;
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, PAGES_TOLD, args()), E(EAGAIN));
    busy = false;
    CHECK_EQ(PEEK(), 0); /* another call: the first one never comes back */
    CHECK_EQ(bits(), PAGES_TOLD);
    CHECK_EQ(CLEAN(0), 0);
    CHECK_EQ(bits(), PAGES_TOLD);
    busy = true; /* one that gives way gets all, whatever the guest says it has meanwhile */
    write_to(SLOT);
    CHECK_EQ(shadow(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, PAGES_TOLD, args()), E(EAGAIN));
    pv_dom[1]->shared->arch.max_pfn = PAGES_TOLD + 7;
    CHECK_EQ(CLEAN(0), 0);
    pv_dom[1]->shared->arch.max_pfn = PAGES_TOLD - 1;
    CHECK(op.u.shadow_op.pages == PAGES_TOLD && bits() == 1);
    busy = false;
    CHECK_EQ(CLEAN(0), 0);
    CHECK_EQ(bits(), 0);
}

/* Numbers for which the log has no bits. */
TEST(beyond_its_end_all_is_written)
{
    uint64_t limit = pv_dom[1]->dirty->limit;

    CHECK_EQ(limit, PAGES_TOLD);
    pv_dom[1]->shared->arch.max_pfn = (uint32_t)limit + 99;
    CHECK_EQ(read_log(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, limit + 100), 0);
    CHECK_EQ(op.u.shadow_op.pages, limit + 100);
    CHECK_EQ(bits(), 100);
    pv_dom[1]->shared->arch.max_pfn = PAGES_TOLD - 1;
    CHECK_EQ(CLEAN(0), 0);
}

/* What Domain 0 maps writable is named at the end, and when the guest stands still. */
TEST(what_others_hold)
{
    uint64_t m = slot_frame(as(1), SLOT + 2), gfn = host_m2p[m];
    struct vcpu *v = as(0);
    uint64_t *p;

    CHECK_EQ(call(v, __HYPERVISOR_update_va_mapping_otherdomain, PV_VA(SLOT),
                  m << PAGE_SHIFT | FLAGS, UVMF_INVLPG, 1),
             0);
    CHECK_EQ(CLEAN(0), 0);
    p = pv_access(PV_VA(SLOT), true);
    CHECK(p && ++*p);
    CHECK_EQ(CLEAN(0), 0);
    CHECK(!named(gfn));
    CHECK_EQ(CLEAN(XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL), 0);
    CHECK(named(gfn));
    pv_dom[1]->state = DOM_SHUTDOWN;
    busy = true;
    CHECK_EQ(PEEK(), 0);
    busy = false;
    CHECK(named(gfn));
    CHECK_EQ(CLEAN(0), 0);
    CHECK(named(gfn));
    pv_dom[1]->state = DOM_ALIVE;
    CHECK_EQ(CLEAN(0), 0);
    CHECK(!named(gfn));
    CHECK_EQ(set_va(as(0), PV_VA(SLOT), 0), 0);
    /* When the guest's own mapping goes, too, nobody holds it any more, and that is told. */
    CHECK_EQ(set_va(as(1), PV_VA(SLOT + 2), 0), 0);
    CHECK_EQ(CLEAN(0), 0);
    CHECK(named(gfn));
    CHECK_EQ(set_va(as(1), PV_VA(SLOT + 2), m << PAGE_SHIFT | FLAGS), 0);
    CHECK_EQ(CLEAN(XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL), 0);
    CHECK_EQ(CLEAN(XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL), 0);
    CHECK(!named(gfn));
}

/* Entry `i` of the L2 that maps the slots. */
static void set_l2(unsigned int i, pte_t e)
{
    struct vcpu *v = as(1);
    uint64_t l3 = page(first_l4[1])[272] & PTE_ADDR, l2 = *(pte_t *)direct(l3) & PTE_ADDR;
    struct mmu_update u = { .ptr = l2 | i * 8, .val = e };

    CHECK(put_args(v, 0, &u, sizeof(u)));
    CHECK_EQ(call(v, __HYPERVISOR_mmu_update, args_va(v), 1, 0, DOMID_SELF), 0);
}

/* CPUs may still walk the page that was a table's twin when it becomes another one's. */
TEST(a_page_is_used_again_behind_a_flush)
{
    uint64_t l1 = slot_frame(as(1), 5), data = slot_frame(as(1), SLOT);
    pte_t e = l1 << PAGE_SHIFT | (FLAGS & ~PTE_NX);
    uint64_t flushed;

    page(l1)[0] = data << PAGE_SHIFT | RO;
    host_fail_every = 1; /* what is given back first is taken first */
    set_l2(7, e);
    CHECK(pv_access(PV_VA(7 * 512), false) != NULL);
    set_l2(7, 0);
    set_l2(8, e);
    flushed = host_cpus[1].p.tlb_flushed;
    CHECK(pv_access(PV_VA(8 * 512), false) != NULL);
    CHECK(host_cpus[1].p.tlb_flushed > flushed);
    set_l2(8, 0);
    host_fail_every = 0;
}

/*
 * One page by more tables than there are twins, without any memory left: each access is resolved.
 */
TEST(more_tables_than_twins)
{
    uint64_t l1[20], l2[4], data = slot_frame(as(1), SLOT + 3), l3 = slot_frame(as(1), SLOT + 30);
    struct vcpu *v = as(1);
    unsigned int n = 0;
    pte_t *t;

    for (unsigned int i = 0; i < 25; i++) {
        uint64_t m = slot_frame(v, SLOT + 6 + i);

        t = page(m);
        for (unsigned int j = 0; j < 512; j++)
            t[j] = i < 20   ? data << PAGE_SHIFT | FLAGS
                   : i < 24 ? l1[j % 20] << PAGE_SHIFT | (FLAGS & ~PTE_NX)
                            : l2[j % 4] << PAGE_SHIFT | (FLAGS & ~PTE_NX);
        if (i < 20)
            l1[i] = m;
        else if (i < 24)
            l2[i - 20] = m;
        CHECK_EQ(set_va(v, PV_VA(SLOT + 6 + i), m << PAGE_SHIFT | RO), 0);
        CHECK_EQ(call(v, __HYPERVISOR_mmuext_op, args_va(v), 0, 0, DOMID_SELF), 0);
        l3 = m;
    }
    {
        struct mmu_update u = { .ptr = first_l4[1] << PAGE_SHIFT | 300 * 8,
                                .val = l3 << PAGE_SHIFT | (FLAGS & ~PTE_NX) };

        CHECK(put_args(v, 0, &u, sizeof(u)));
        CHECK_EQ(call(v, __HYPERVISOR_mmu_update, args_va(v), 1, 0, DOMID_SELF), 0);
    }
    host_fail_every = 1;
    for (uint64_t i = 0; i < 2000; i++) {
        uint64_t va = 0xffff000000000000ull | 300ull << 39 | i % 4 << 30 | i % 20 << 21 |
                      i % 7 << 12;

        host_be(1);
        n += pv_access(va, true) != NULL;
    }
    host_fail_every = 0;
    CHECK_EQ(n, 2000);
    CHECK_EQ(audit(), 0);
    pv_check_tlbs();
    CHECK_EQ(change(XEN_DOMCTL_SHADOW_OP_OFF), 0);
    CHECK_EQ(audit(), 0);
}
