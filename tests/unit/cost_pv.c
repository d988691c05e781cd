/* SPDX-License-Identifier: MIT */
/* The same for PV guests' memory: see cost_core.c. */
#include "model/pv_pick.h"

#include <xen/domctl.h>
#include <xen/memory.h>
#include <xen/vcpu.h>

#include "host/cost.h"
#include "unit.h"

static struct vcpu *v;

__attribute__((constructor)) static void boot(void)
{
    pv_machine_boot(getenv("HOST_LOG") != NULL);
    pv_model_setup();
    pv_model_seed(1);
    host_be(1);
    v = pv_dom[1]->vcpu[0];
}

/* The call, and what it leaves to the exit path: each go of it. */
static long check(const char *what, unsigned long nr, unsigned long a0, unsigned long a1,
                  unsigned long a2, unsigned long a3)
{
    long rc;
    uint64_t cost = cost_of(v, nr, a0, a1, a2, a3, &rc), begin;

    while (pv_vcpu(v)->drop.any) {
        begin = host_cost;
        pv_machine_exit(v);
        cost = MAX(cost, host_cost - begin);
    }
    if (getenv("COST_SHOW"))
        printf("  %s: %lu\n", what, (unsigned long)cost);
    if (cost > COST_MAX) {
        printf("%s: about %lu instructions between two looks\n", what, (unsigned long)cost);
        unit_failures++;
    }
    return rc;
}

/* A page of the guest's becomes a table with each entry the same; its frame. */
static uint64_t fill(unsigned int slot, pte_t e)
{
    uint64_t m = slot_frame(v, slot);
    pte_t *t = page(m);

    for (unsigned int i = 0; i < 512; i++)
        t[i] = e;
    CHECK_EQ(call(v, __HYPERVISOR_update_va_mapping, PV_VA(slot),
                  m << PAGE_SHIFT | (FLAGS & ~PTE_RW), UVMF_INVLPG, 0),
             0);
    return m;
}

static long ext(const char *what, unsigned int cmd, uint64_t mfn)
{
    struct mmuext_op op = { .cmd = cmd, .arg1.mfn = mfn };

    CHECK(put_args(v, 0, &op, sizeof(op)));
    return check(what, __HYPERVISOR_mmuext_op, args_va(v), 1, 0, DOMID_SELF);
}

TEST(pins_of_many_tables)
{
    uint64_t l1[20], l2, l3;
    pte_t *t;

    for (unsigned int i = 0; i < 20; i++)
        l1[i] = fill(60 + i, slot_frame(v, 100) << PAGE_SHIFT | FLAGS);
    l2 = fill(90, 0);
    t = page(l2);
    for (unsigned int i = 0; i < 512; i++)
        t[i] = l1[i % 20] << PAGE_SHIFT | (FLAGS & ~PTE_NX);
    l3 = fill(91, l2 << PAGE_SHIFT | (FLAGS & ~PTE_NX));
    CHECK_EQ(ext("pin", MMUEXT_PIN_L3_TABLE, l3), 0);
    CHECK_EQ(ext("unpin", MMUEXT_UNPIN_TABLE, l3), 0);
    for (unsigned int i = 60; i < 92; i++)
        call(v, __HYPERVISOR_update_va_mapping, PV_VA(i), slot_frame(v, i) << PAGE_SHIFT | FLAGS,
             UVMF_INVLPG, 0);
}

TEST(updates)
{
    struct mmu_update u[500];

    for (unsigned int i = 0; i < 500; i++)
        u[i] = (struct mmu_update){ .ptr = slot_entry(v, 100 + i % 40),
                                    .val = slot_frame(v, 100 + (i + i / 40) % 40) << PAGE_SHIFT |
                                           FLAGS };
    CHECK(put_args(v, 0, u, sizeof(u)));
    CHECK_EQ(check("mmu_update", __HYPERVISOR_mmu_update, args_va(v), 500, 0, DOMID_SELF), 0);
}

TEST(extended_operations)
{
    struct mmuext_op op[300];

    for (unsigned int i = 0; i < 300; i++)
        op[i] = (struct mmuext_op){ .cmd = i % 2 ? MMUEXT_CLEAR_PAGE : MMUEXT_TLB_FLUSH_ALL,
                                    .arg1.mfn = slot_frame(v, 101) };
    CHECK(put_args(v, 0, op, sizeof(op)));
    CHECK_EQ(check("mmuext_op", __HYPERVISOR_mmuext_op, args_va(v), 300, 0, DOMID_SELF), 0);
}

TEST(descriptor_tables)
{
    uint64_t list[16];

    for (unsigned int i = 0; i < 14; i++)
        list[i] = fill(60 + i, 0x00cff2000000ffffull);
    CHECK(put_args(v, 0, list, sizeof(list)));
    CHECK_EQ(check("set_gdt", __HYPERVISOR_set_gdt, args_va(v), 14 * 512, 0, 0), 0);
    CHECK_EQ(check("set_gdt", __HYPERVISOR_set_gdt, args_va(v), 0, 0, 0), 0);
    for (unsigned int i = 60; i < 74; i++)
        CHECK_EQ(call(v, __HYPERVISOR_update_va_mapping, PV_VA(i),
                      slot_frame(v, i) << PAGE_SHIFT | FLAGS, UVMF_INVLPG, 0),
                 0);
}

/* A context with as many descriptors as there may be, for a vCPU that has none yet. */
TEST(contexts)
{
    static struct vcpu_guest_context c;
    struct vcpu *own = v;

    c.flags = VGCF_in_kernel;
    c.ctrlreg[3] = pv_vcpu(own)->cr3_kernel;
    c.kernel_sp = PV_VA(ARGS_SLOT);
    c.gdt_ents = 14 * 512;
    for (unsigned int i = 0; i < 14; i++)
        c.gdt_frames[i] = fill(110 + i, 0x00cff2000000ffffull);
    CHECK(put_args(v, 0, &c, sizeof(c)));
    CHECK_EQ(check("vcpu_op initialise", __HYPERVISOR_vcpu_op, VCPUOP_initialise, PV_VCPUS - 1,
                   args_va(v), 0),
             0);
}

TEST(exchanges)
{
    struct xen_memory_exchange x = { .in = { .nr_extents = 40, .domid = DOMID_SELF },
                                     .out = { .nr_extents = 40, .domid = DOMID_SELF } };
    xen_pfn_t list[80];

    for (unsigned int i = 0; i < 40; i++) {
        list[i] = slot_frame(v, 60 + i);
        list[40 + i] = i;
        CHECK_EQ(call(v, __HYPERVISOR_update_va_mapping, PV_VA(60 + i), 0, UVMF_INVLPG, 0), 0);
    }
    x.in.extent_start.p = (void *)(args_va(v) + 256);
    x.out.extent_start.p = (void *)(args_va(v) + 256 + 320);
    CHECK(put_args(v, 0, &x, sizeof(x)) && put_args(v, 256, list, sizeof(list)));
    CHECK_EQ(check("exchange", __HYPERVISOR_memory_op, XENMEM_exchange, args_va(v), 0, 0), 0);
}

/* 512 frames for one extent of 2 MiB, and back: the largest chunk of one go. */
TEST(exchange_of_a_large_chunk)
{
    struct xen_memory_exchange x = { .in = { .nr_extents = 512, .domid = DOMID_SELF },
                                     .out = { .nr_extents = 1, .domid = DOMID_SELF } };
    xen_pfn_t list[512], one = 0;

    v->domain->max_pages += 512;
    for (unsigned int i = 0; i < 512; i++) {
        struct frame *f = frame_alloc(0, 0);

        CHECK(f && frame_give(f, 0, v->domain, i) == 0);
        list[i] = frame_mfn(f).v;
    }
    x.out.extent_order = 9;
    x.in.extent_start.p = (void *)(args_va(v) + 256);
    x.out.extent_start.p = (void *)(args_va(v) + 128);
    CHECK(put_args(v, 256, list, sizeof(list)) && put_args(v, 128, &one, sizeof(one)));
    CHECK(put_args(v, 0, &x, sizeof(x)));
    CHECK_EQ(check("exchange, 2 MiB", __HYPERVISOR_memory_op, XENMEM_exchange, args_va(v), 0, 0),
             0);
    x.in.nr_extents = 1;
    x.in.extent_order = 9;
    x.out.nr_extents = 512;
    x.out.extent_order = 0;
    x.in.extent_start.p = (void *)(args_va(v) + 128);
    x.out.extent_start.p = (void *)(args_va(v) + 256);
    CHECK(put_args(v, 0, &x, sizeof(x)));
    CHECK_EQ(
        check("exchange, 512 pages", __HYPERVISOR_memory_op, XENMEM_exchange, args_va(v), 0, 0), 0);
}

static long log_op(uint32_t what)
{
    struct vcpu *by = pv_dom[0]->vcpu[0];
    struct xen_domctl op = { .cmd = XEN_DOMCTL_shadow_op,
                             .domain = 1,
                             .interface_version = XEN_DOMCTL_INTERFACE_VERSION };
    long rc;

    host_be(0);
    op.u.shadow_op.op = what;
    op.u.shadow_op.pages = 32768; /* a guest of 128 MiB */
    op.u.shadow_op.dirty_bitmap.p = (void *)(args_va(by) + 0x800);
    CHECK(put_args(by, 0, &op, sizeof(op)));
    uint64_t most = cost_of(by, __HYPERVISOR_domctl, args_va(by), 0, 0, 0, &rc);
    if (getenv("COST_SHOW"))
        printf("  shadow_op %u: %lu at most between two looks\n", what, (unsigned long)most);
    CHECK(most < COST_MAX);
    return rc;
}

#define PROTECTED 24u

/* Pages made read-only and writable again, as Linux's mprotect() does; the instructions. */
static uint64_t protect_pages(void)
{
    struct mmu_update u[PROTECTED];
    uint64_t begin = host_cost;

    for (unsigned int go = 0; go < 2; go++) {
        for (unsigned int i = 0; i < PROTECTED; i++)
            u[i] = (struct mmu_update){ .ptr = slot_entry(v, 125 + i) | MMU_PT_UPDATE_PRESERVE_AD,
                                        .val = slot_frame(v, 125 + i) << PAGE_SHIFT |
                                               (go ? FLAGS : FLAGS & ~PTE_RW) };
        CHECK(put_args(v, 0, u, sizeof(u)));
        if (!go)
            begin = host_cost;
        CHECK_EQ(call(v, __HYPERVISOR_mmu_update, args_va(v), PROTECTED, 0, DOMID_SELF), 0);
    }
    return host_cost - begin;
}

/*
 * What the goals say of the log: instructions of a CLEAN, of the first write to a page, and of
 * mprotect(), which may take twice what it takes without.
 */
TEST(the_log_of_writes)
{
    uint64_t begin, most = 0, plain, logged;

    host_be(1);
    plain = protect_pages();
    pv_dom[1]->shared->arch.max_pfn = 32767;
    host_be(1);
    pv_machine_run(NULL);
    CHECK_EQ(log_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY), 0);
    host_be(1);
    pv_machine_run(v);
    for (unsigned int i = 0; i < 30; i++) {
        begin = host_cost;
        CHECK(pv_access(PV_VA(30 + i), true) != NULL);
        most = i ? MAX(most, host_cost - begin) : 0; /* the first one clears tables, too */
    }
    for (unsigned int i = 0; i < PROTECTED; i++)
        pv_access(PV_VA(125 + i), true);
    logged = protect_pages();
    if (getenv("COST_SHOW"))
        printf("  mprotect of a page, and back: %lu, with the log: %lu\n",
               (unsigned long)plain / PROTECTED, (unsigned long)logged / PROTECTED);
    CHECK(logged < 2 * plain);
    begin = host_cost;
    CHECK_EQ(log_op(XEN_DOMCTL_SHADOW_OP_CLEAN), 0);
    if (getenv("COST_SHOW"))
        printf("  a first write: %lu, CLEAN: %lu\n", (unsigned long)most,
               (unsigned long)(host_cost - begin));
    CHECK(host_cost - begin < 150000 && most < 1500);
    host_be(1);
    pv_machine_run(NULL);
    CHECK_EQ(log_op(XEN_DOMCTL_SHADOW_OP_OFF), 0);
    host_be(1);
    pv_machine_run(v);
}

/*
 * ENABLE of a guest as large as twins are made for (two million pages; its tables do not matter,
 * ten thousand or none: twins come with faults), and OFF: no go takes longer than it may. What
 * grows is the record of twins, and what each vCPU adds.
 */
TEST(the_log_of_a_large_guest)
{
    uint64_t had = v->domain->tot_pages, begin, on, off;

    host_be(1);
    pv_machine_run(NULL);
    v->domain->tot_pages = 2u << 20;
    begin = host_cost;
    CHECK_EQ(log_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY), 0);
    on = host_cost - begin;
    begin = host_cost;
    CHECK_EQ(log_op(XEN_DOMCTL_SHADOW_OP_OFF), 0);
    off = host_cost - begin;
    v->domain->tot_pages = had;
    if (getenv("COST_SHOW"))
        printf("  ENABLE of a large guest: %lu, OFF: %lu in all\n", (unsigned long)on,
               (unsigned long)off);
    host_be(1);
    pv_machine_run(v);
}
