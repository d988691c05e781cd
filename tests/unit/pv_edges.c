/* SPDX-License-Identifier: MIT */
/*
 * More of what x86/pv refuses and no other test meets (tests/model/refusals): lists that end with
 * the address space, memory that is short, frames that are none, tables that are wrong.
 */
#include "pv_unit.h"

#include <xen/domctl.h>
#include <xen/grant_table.h>
#include <xen/memory.h>

#include "core/access.h"
#include "core/audit.h"
#include "core/grant.h"
#include "core/parked.h"
#include "core/ptype.h"
#include "x86/boot/boot.h"
#include "x86/cpu/segs.h"
#include "x86/insn/ptwrite.h"
#include "x86/policy/told.h"
#include "x86/pv/desc.h"
#include "x86/pv/traps.h"

#define NO_RAM (PV_RAM + 5u)

/* --- memory_op --- */

TEST(lists_at_the_end_of_all_addresses)
{
    struct xen_memory_map map = { .nr_entries = 4 };
    struct xen_machphys_mfn_list list = { .max_extents = 2 };
    struct vcpu *v = as(0);
    uint64_t max = max_mfn;

    make_endless(v->domain, true);
    boot_info.nr_mem = 2;
    boot_info.mem[0] = boot_info.mem[1] = (struct boot_memory){ 0, PAGE_SIZE, 1 };
    map.buffer.p = (void *)-20ull; /* one entry */
    CHECK(put_args(v, 0, &map, sizeof(map)));
    CHECK_EQ(memory_op(v, XENMEM_machine_memory_map), E(EFAULT));
    boot_info.nr_mem = 1;
    CHECK_EQ(memory_op(v, XENMEM_machine_memory_map), 0);
    boot_info.nr_mem = 0;

    list.extent_start.p = (void *)TOP;
    CHECK(put_args(v, 0, &list, sizeof(list)));
    CHECK_EQ(memory_op(v, XENMEM_machphys_mfn_list), 0);
    max_mfn = 2ull << 18; /* as of a machine whose M2P has two extents */
    CHECK_EQ(memory_op(v, XENMEM_machphys_mfn_list), E(EFAULT));
    max_mfn = max;
    make_endless(v->domain, false);
    CHECK_EQ(audit(), 0);
}

/* Where the answer could be written nevertheless. */
TEST(arguments_that_cannot_be_read)
{
    static const unsigned int ops[] = { XENMEM_machine_memory_map,
                                        XENMEM_get_pod_target,
                                        XENMEM_set_pod_target,
                                        XENMEM_maximum_gpfn,
                                        XENMEM_reserved_device_memory_map,
                                        XENMEM_machphys_mfn_list };
    struct xen_reserved_device_memory_map rdm = { .flags = 2 };
    struct xen_memory_map map = { .nr_entries = 1 };
    struct vcpu *v = as(0);

    CHECK(put_args(v, 0, &rdm, sizeof(rdm)));
    CHECK_EQ(memory_op(v, XENMEM_reserved_device_memory_map), E(EINVAL));
    boot_info.nr_mem = 1;
    boot_info.mem[0] = (struct boot_memory){ 0, PAGE_SIZE, 1 };
    map.buffer.p = (void *)NOWHERE;
    CHECK(put_args(v, 0, &map, sizeof(map)));
    CHECK_EQ(memory_op(v, XENMEM_machine_memory_map), E(EFAULT));
    make_endless(v->domain, true);
    endless.g.copy_to = write_anywhere;
    for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++)
        CHECK_EQ(call(v, __HYPERVISOR_memory_op, ops[i], NOWHERE, 0, 0), E(EFAULT));
    make_endless(v->domain, false);
    boot_info.nr_mem = 0;
}

static struct xen_memory_exchange x;

/* v's pages, the first of which is `mfn`, for others: the lists are at 256 and 320. */
static void begin_exchange(struct vcpu *v, uint64_t mfn)
{
    xen_pfn_t in[8] = { mfn }, out[8] = { 0x1234 };

    x = (struct xen_memory_exchange){ .in = { .nr_extents = 1, .domid = DOMID_SELF },
                                      .out = { .nr_extents = 1, .domid = DOMID_SELF } };
    x.in.extent_start.p = (void *)(args_va(v) + 256);
    x.out.extent_start.p = (void *)(args_va(v) + 320);
    CHECK(put_args(v, 256, in, sizeof(in)) && put_args(v, 320, out, sizeof(out)));
}

static long exchange(struct vcpu *v)
{
    CHECK(put_args(v, 0, &x, sizeof(x)));
    return memory_op(v, XENMEM_exchange);
}

static bool is_own_still(const struct frame *f)
{
    return (f->state & FRAME_ALLOCATED) && f->owner == 1 && frame_refs(f->state) == 1;
}

TEST(exchanges_that_do_not_begin)
{
    struct frame *f = idle_page(1, SLOT);
    struct vcpu *v = as(1);
    uint64_t free = frame_free_count();
    unsigned int short_of = 0;

    begin_exchange(v, frame_mfn(f).v);
    x.out.extent_start.p = (void *)NOWHERE;
    CHECK_EQ(exchange(v), E(EFAULT));
    CHECK(is_own_still(f));                /* whose place nobody can say */
    for (unsigned int i = 0; i < 2; i++) { /* as many, were 64 bits all there is */
        struct xen_memory_reservation *side[] = { &x.in, &x.out };

        begin_exchange(v, frame_mfn(f).v);
        x.in.extent_start.p = (void *)NOWHERE;
        side[i]->nr_extents = 2;
        side[!i]->nr_extents = (1ul << 63) + 1;
        side[!i]->extent_order = 1;
        CHECK_EQ(exchange(v), E(EINVAL));
    }
    begin_exchange(v, frame_mfn(f).v);
    x.in.extent_start.p = (void *)NOWHERE;
    x.in.extent_order = 10; /* more than it may */
    x.out.nr_extents = 1024;
    CHECK_EQ(exchange(v), E(EPERM));
    begin_exchange(v, frame_mfn(f).v);
    x.out.domid = 2;
    CHECK_EQ(exchange(v), E(EINVAL));
    CHECK(is_own_still(f));
    begin_exchange(v, frame_mfn(f).v);
    x.out.nr_extents = 2; /* more than it gives */
    CHECK_EQ(exchange(v), E(EINVAL));
    CHECK(is_own_still(f));
    begin_exchange(v, frame_mfn(f).v);
    x.in.extent_start.p = (void *)NOWHERE;
    x.in.nr_extents = 2;
    x.out.extent_order = 1;
    x.nr_exchanged = 1; /* half of the larger one */
    CHECK_EQ(exchange(v), E(EINVAL));
    for (unsigned int n = 1; n < 8; n++) {
        long rc;

        begin_exchange(v, frame_mfn(f).v);
        host_fail_every = n;
        rc = exchange(v);
        host_fail_every = 0;
        if (rc == E(ENOMEM)) {
            CHECK(is_own_still(f));
            short_of++;
        } else {
            xen_pfn_t now = 0;

            CHECK_EQ(rc, 0);
            CHECK(get_args(v, 320, &now, sizeof(now)));
            f = frame_of(MFN(now));
            CHECK(f && is_own_still(f));
        }
    }
    CHECK(short_of > 1);
    CHECK_EQ(frame_free_count(), free);
    CHECK_EQ(audit(), 0);
}

/* Three of four pages are claimed, and all come back when another exchange wants the place. */
TEST(an_exchange_that_waits_is_undone_whole)
{
    xen_pfn_t list[4];
    struct frame *f[4];
    unsigned long cmd = XENMEM_exchange;
    struct vcpu *v;

    for (unsigned int i = 0; i < 4; i++) {
        f[i] = idle_page(1, SLOT + 20 + i);
        list[i] = frame_mfn(f[i]).v;
    }
    v = as(1);
    step_order = 1; /* a page a go */
    begin_exchange(v, list[0]);
    x.in.nr_extents = 4;
    x.out.extent_order = 2;
    CHECK(put_args(v, 0, &x, sizeof(x)) && put_args(v, 256, list, sizeof(list)));
    for (unsigned int i = 0; i < 3; i++) {
        arch_this_cpu()->pending |= WORK_CLOCK;
        CHECK_EQ(hypercall_dispatch(v, __HYPERVISOR_memory_op, &HC_ARGS(cmd, args_va(v))),
                 HC_RESTART);
        cmd = v->restart_args.a[0];
        pv_machine_exit(v);
    }
    CHECK(!(f[0]->state & FRAME_ALLOCATED) && !(f[1]->state & FRAME_ALLOCATED));
    CHECK_EQ(audit(), 0);
    x.in.extent_start.p = (void *)NOWHERE;
    CHECK_EQ(exchange(v), E(EFAULT));
    step_order = 9;
    for (unsigned int i = 0; i < 4; i++)
        CHECK(is_own_still(f[i]));
    CHECK(!v->domain->parked);
    CHECK_EQ(audit(), 0);
}

/* How many were exchanged is told in the call's own record. */
TEST(an_exchange_that_cannot_be_told)
{
    struct frame *f = idle_page(1, SLOT + 1);
    struct vcpu *v = as(1);
    uint64_t pages = v->domain->tot_pages;

    begin_exchange(v, frame_mfn(f).v);
    CHECK(put_args(v, 0, &x, sizeof(x)));
    CHECK_EQ(set_va(v, PV_VA(SLOT + 1), slot_frame(v, ARGS_SLOT) << PAGE_SHIFT | RO), 0);
    CHECK_EQ(call(v, __HYPERVISOR_memory_op, XENMEM_exchange, PV_VA(SLOT + 1), 0, 0), E(EFAULT));
    CHECK_EQ(set_va(v, PV_VA(SLOT + 1), 0), 0);
    CHECK_EQ(v->domain->tot_pages, pages);
    CHECK_EQ(audit(), 0);
}

static long set_map_of_2(struct vcpu *v, uint64_t list)
{
    struct xen_foreign_memory_map map = { .domid = 2, .map.nr_entries = 1 };

    map.map.buffer.p = (void *)list;
    CHECK(put_args(v, 0, &map, sizeof(map)));
    return told_set_memory_map(v, GPTR(args_va(v)));
}

TEST(maps_that_are_not_told)
{
    struct xen_memory_map map = { .nr_entries = 1 };
    struct vcpu *v;

    CHECK(!x86_domain(pv_dom[2])->told);
    v = as(0);
    host_fail_every = 1;
    CHECK_EQ(set_map_of_2(v, args_va(v) + 256), E(ENOMEM));
    host_fail_every = 0;
    CHECK_EQ(set_map_of_2(v, NOWHERE), E(EFAULT));
    v = as(2);
    map.buffer.p = (void *)(args_va(v) + 256);
    CHECK(put_args(v, 0, &map, sizeof(map)));
    CHECK_EQ(told_memory_map(v, GPTR(args_va(v))), E(ENOSYS));
    v = as(0);
    CHECK_EQ(set_map_of_2(v, args_va(v) + 256), 0);
    v = as(2);
    CHECK_EQ(told_memory_map(v, GPTR(args_va(v))), 0);
}

/* --- domains and vCPUs --- */

TEST(vcpus_without_memory)
{
    struct xen_domctl_createdomain config = { .max_vcpus = 1, .arch.emulation_flags = 1 };
    struct pv_domain *pd;
    struct domain *d;
    unsigned int failed = 0;
    uint64_t free;

    host_be(0);
    CHECK_EQ(pv_guest_ops.g.domain_create(9, &config, &d), -XEN_EINVAL);
    pd = pv_domain_create(7, 8);
    CHECK(pd != NULL);
    d = &pd->x.d;
    free = frame_free_count();
    for (unsigned int n = 2, id = 0; n < 6; n++) {
        struct pv_vcpu *pv;

        host_fail_every = n;
        pv = pv_vcpu_create(d, id);
        host_fail_every = 0;
        failed += !pv;
        if (pv) {
            CHECK(pv->x.xsave && d->vcpu[id] == &pv->x.v);
            free = frame_free_count();
            id++;
        }
        CHECK_EQ(frame_free_count(), free);
    }
    CHECK(failed > 0);
    CHECK(!pv_vcpu_create(d, 0)); /* there is one */
    CHECK(!pv_vcpu_create(d, 8));
    CHECK_EQ(frame_free_count(), free);
    domain_publish(d);
    while (domain_kill(d) == E(EAGAIN))
        ;
    domain_reap();
    CHECK_EQ(audit(), 0);
}

/* --- calls about tables --- */

static int no_frame(struct domain *d, gfn_t gfn, unsigned int access, struct frame **f)
{
    (void)d, (void)gfn, (void)access, (void)f;
    return -XEN_EINVAL;
}

TEST(m2p_entries_of_other_kinds)
{
    uint64_t mfn = frame_mfn(idle_page(2, SLOT)).v, before = m2p_rw[mfn];
    struct mmu_update u = { mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 0x777 };
    struct vcpu *v = as(0);

    CHECK(put_args(v, 0, &u, sizeof(u)));
    endless = pv_guest_ops;
    endless.g.gfn_get = no_frame;
    pv_dom[2]->ops = &endless.g;
    CHECK_EQ(call(v, __HYPERVISOR_mmu_update, args_va(v), 1, 0, 2), E(EINVAL));
    CHECK_EQ(m2p_rw[mfn], before);
    pv_dom[2]->ops = &pv_guest_ops.g;
    CHECK_EQ(call(v, __HYPERVISOR_mmu_update, args_va(v), 1, 0, 2), 0);
    CHECK_EQ(m2p_rw[mfn], 0x777);
    m2p_rw[mfn] = before;
}

TEST(updates_for_others)
{
    uint64_t entry = slot_entry(as(2), SLOT + 1);
    struct mmu_update u = { entry, 0 };
    struct vcpu *v = as(0);

    CHECK_EQ(call(v, __HYPERVISOR_mmu_update, args_va(v), 0, 0, 1 | 3u << 16), E(EPERM));
    CHECK(put_args(v, 0, &u, sizeof(u)));
    pv_dom[2]->state = DOM_DYING; /* as soon as it is: its tables are being taken down */
    CHECK_EQ(call(v, __HYPERVISOR_mmu_update, args_va(v), 1, 0, DOMID_SELF | 3u << 16), E(EINVAL));
    pv_dom[2]->state = DOM_ALIVE;
    CHECK(*(pte_t *)direct(entry) != 0);
    CHECK_EQ(audit(), 0);
}

TEST(flushes_for_vcpus_that_nobody_can_read)
{
    struct vcpu *v = as(1);
    pte_t e = slot_frame(v, SLOT + 2) << PAGE_SHIFT | FLAGS;

    CHECK_EQ(
        call(v, __HYPERVISOR_update_va_mapping, PV_VA(SLOT + 2), e, UVMF_TLB_FLUSH | NOWHERE, 0),
        E(EFAULT));
    CHECK_EQ(
        call(v, __HYPERVISOR_update_va_mapping, PV_VA(SLOT + 2), e, UVMF_TLB_FLUSH | args_va(v), 0),
        0);
    CHECK_EQ(audit(), 0);
}

TEST(what_is_no_ram)
{
    struct mmuext_op copy = { .cmd = MMUEXT_COPY_PAGE, .arg1.mfn = NO_RAM };
    struct vcpu *v = as(1);
    struct pv_domain *pd = pv_domain(v->domain);

    copy.arg2.src_mfn = slot_frame(v, SLOT + 30);
    CHECK_EQ(frame_of(MFN(copy.arg2.src_mfn))->owner, 1);
    CHECK(put_args(v, 0, &copy, sizeof(copy)));
    CHECK_EQ(call(v, __HYPERVISOR_mmuext_op, args_va(v), 1, 0, DOMID_SELF), E(EINVAL));
    spin_lock(&pd->pt_lock);
    CHECK_EQ(pt_get_table(&pv_vcpu(v)->drop, v->domain, MFN(NO_RAM), 1), -XEN_EINVAL);
    spin_unlock(&pd->pt_lock);
    v = as(0); /* beyond the processor's addresses, then a device's frame */
    CHECK(set_va(v, PV_VA(SLOT + 3), 1ull << 41 | RO) < 0);
    CHECK(!pv_iomem_ok(v->domain, MFN(1ull << (cpu_feat.phys_bits - PAGE_SHIFT))));
    CHECK(pv_iomem_ok(v->domain, MFN((1ull << (cpu_feat.phys_bits - PAGE_SHIFT)) - 1)));
    CHECK_EQ(audit(), 0);
}

/* Entries without their present bit that name RAM, where a processor may read it through them. */
TEST(leaks_in_upper_tables)
{
    struct frame *f = idle_page(1, SLOT + 4);
    uint64_t l3 = pte_mfn(page(first_l4[1])[272]).v, l2 = pte_mfn(page(l3)[0]).v;
    struct vcpu *v = as(1);

    memset(arch_map(frame_mfn(f)), 0, PAGE_SIZE);
    ((pte_t *)arch_map(frame_mfn(f)))[7] = 100 << PAGE_SHIFT;
    pt_l1tf = true;
    CHECK_EQ(ext_op(v, MMUEXT_PIN_L2_TABLE, frame_mfn(f).v, DOMID_SELF), E(EINVAL));
    CHECK_EQ(set_entry(v, (l2 << PAGE_SHIFT) + 511 * 8, 100 << PAGE_SHIFT), E(EINVAL));
    CHECK_EQ(page(l2)[511], 0);
    pt_l1tf = false;
    CHECK_EQ(audit(), 0);
}

/* --- emulated writes --- */

TEST(emulated_writes_to_what_is_no_table)
{
    static const uint8_t store[16] = { 0x48, 0x89, 0x07, 0x90 }; /* mov %rax, (%rdi) */
    uint64_t l1 = l1_of(0), at = PV_VA(SLOT + 5) + (SLOT + 6) * 8;
    struct vcpu *v = as(0);
    struct x86_regs regs = { .rip = args_va(v) };
    pte_t before = page(l1)[SLOT + 6];

    CHECK(put_args(v, 0, store, sizeof(store)));
    idle_page(0, SLOT + 5);
    CHECK_EQ(
        set_va(v, PV_VA(SLOT + 5), (uint64_t)(PV_RAM + PV_MACHINE_FRAMES + 1) << PAGE_SHIFT | RO),
        0);
    CHECK(!pv_ptwrite(v, &regs, at)); /* a device's page */
    CHECK_EQ(set_va(v, PV_VA(SLOT + 5), l1 << PAGE_SHIFT | (RO & ~PTE_P)), 0);
    CHECK(!pv_ptwrite(v, &regs, at)); /* a table that is not mapped any more */
    CHECK_EQ(page(l1)[SLOT + 6], before);
    CHECK_EQ(set_va(v, PV_VA(SLOT + 5), 0), 0);
    CHECK_EQ(audit(), 0);
}

/* Instructions that are not decoded at once are 64-bit code's only. */
TEST(emulated_writes_by_other_code)
{
    static const uint8_t stos[16] = { 0x48, 0xab, 0x90 };
    uint64_t l1 = l1_of(1), at = PV_VA(SLOT + 7) + (SLOT + 8) * 8;
    struct vcpu *v = as(1);
    struct x86_regs regs = { .rip = args_va(v), .rdi = at, .cs = 0 };
    pte_t before = page(l1)[SLOT + 8];

    idle_page(1, SLOT + 7);
    CHECK(put_args(v, 0, stos, sizeof(stos)));
    CHECK_EQ(set_va(v, PV_VA(SLOT + 7), l1 << PAGE_SHIFT | RO), 0);
    CHECK(!pv_ptwrite(v, &regs, at));
    CHECK_EQ(page(l1)[SLOT + 8], before);
    regs.cs = SEL_RING3_CS64;
    CHECK(pv_ptwrite(v, &regs, at));
    CHECK_EQ(page(l1)[SLOT + 8], 0);
    CHECK_EQ(regs.rdi, at + 8);
    CHECK_EQ(audit(), 0);
}

/* The last bytes of a page that is not there, after the same instruction elsewhere. */
TEST(emulated_writes_by_code_that_is_not_there)
{
    static const uint8_t store[8] = { 0x90, 0x90, 0x90, 0x90, 0x90, 0x48, 0x89, 0x07 };
    uint64_t l1 = l1_of(1), at = PV_VA(SLOT + 9) + (SLOT + 10) * 8, e;
    struct vcpu *v = as(1);
    struct x86_regs regs = { .rax = 0 };
    bool there, nowhere;

    idle_page(1, SLOT + 9);
    e = page(l1)[SLOT + 10];
    CHECK(put_args(v, PAGE_SIZE - sizeof(store), store, sizeof(store)));
    CHECK_EQ(set_va(v, PV_VA(SLOT + 9), l1 << PAGE_SHIFT | RO), 0);
    regs.rip = args_va(v) + PAGE_SIZE - 3;
    there = pv_ptwrite(v, &regs, at);
    regs.rip = NOWHERE + PAGE_SIZE - 3;
    nowhere = pv_ptwrite(v, &regs, at);
    CHECK(there && !nowhere);
    CHECK_EQ(set_va(v, PV_VA(SLOT + 10), e), 0);
    CHECK_EQ(set_va(v, PV_VA(SLOT + 9), 0), 0);
    CHECK_EQ(audit(), 0);
}

/* --- grants --- */

TEST(grants_go_to_entries_only)
{
    struct grant_entry_v1 *table = arch_map(grant_frame_mfn(pv_dom[1], 0));
    uint64_t entry = slot_entry(as(2), SLOT + 11);
    struct frame *f = idle_page(2, SLOT + 12);
    uint64_t state = f->state;
    uint32_t handle;

    idle_page(2, SLOT + 11);
    table[8] = (struct grant_entry_v1){ .flags = GTF_permit_access, .domid = 2 };
    table[8].frame = (uint32_t)slot_frame(as(1), SLOT + 13);
    CHECK_EQ(map_grant(8, entry + 1, GNTMAP_host_map | GNTMAP_contains_pte, &handle),
             GNTST_bad_virt_addr);
    CHECK_EQ(map_grant(8, DIRECT_BASE, GNTMAP_host_map, &handle), GNTST_bad_virt_addr);
    /* A table whose entries have not been looked at, as while another vCPU does. */
    memset(arch_map(frame_mfn(f)), 0, PAGE_SIZE);
    f->state = (state & ~(FRAME_TYPE_MASK | FRAME_VALIDATED)) | (uint64_t)FT_L1 << FRAME_TYPE_SHIFT;
    f->state += FRAME_TYPED_ONE + FRAME_REF_ONE;
    CHECK_EQ(
        map_grant(8, frame_mfn(f).v << PAGE_SHIFT, GNTMAP_host_map | GNTMAP_contains_pte, &handle),
        GNTST_bad_virt_addr);
    CHECK_EQ(*(pte_t *)arch_map(frame_mfn(f)), 0);
    f->state = state;
    CHECK_EQ(map_grant(8, PV_VA(SLOT + 11), GNTMAP_host_map, &handle), GNTST_okay);
    CHECK_EQ(unmap_grant(handle, DIRECT_BASE), GNTST_bad_virt_addr);
    CHECK_EQ(unmap_grant(handle, PV_VA(SLOT + 13)), GNTST_general_error); /* another page */
    CHECK_EQ(
        set_va(as(2), PV_VA(SLOT + 12), (uint64_t)table[8].frame << PAGE_SHIFT | (FLAGS & ~PTE_P)),
        0);
    CHECK_EQ(unmap_grant(handle, PV_VA(SLOT + 12)), GNTST_general_error); /* no mapping */
    CHECK_EQ(audit(), 0);
    CHECK_EQ(set_va(as(2), PV_VA(SLOT + 12), 0), 0);
    CHECK_EQ(replace_grant(handle, PV_VA(SLOT + 11), DIRECT_BASE), GNTST_bad_virt_addr);
    CHECK_EQ(unmap_grant(handle, PV_VA(SLOT + 11)), GNTST_okay);
    CHECK_EQ(audit(), 0);
}

/* --- the window on descriptors --- */

TEST(more_descriptors_than_there_may_be)
{
    struct frame *f = idle_page(1, SLOT + 16);
    struct vcpu *v = as(1);
    mfn_t mfns[GDT_GUEST_PAGES + 1];

    memset(arch_map(frame_mfn(f)), 0, PAGE_SIZE);
    for (unsigned int i = 0; i < ARRAY_SIZE(mfns); i++)
        mfns[i] = frame_mfn(f);
    CHECK_EQ(pv_set_gdt(v, mfns, GDT_GUEST_ENTRIES + 1), -XEN_EINVAL);
    CHECK_EQ(frame_typed(f->state), 0);
    CHECK_EQ(pv_vcpu(v)->gdt_ents, 0);
}

TEST(faults_in_the_window)
{
    static struct pv_vcpu nobody;
    struct frame *first = idle_page(1, SLOT + 14), *second = idle_page(1, SLOT + 15);
    struct vcpu *v = as(1);
    uint64_t at = desc_window(1) + LDT_OFFSET;

    memset(arch_map(frame_mfn(first)), 0, PAGE_SIZE);
    memset(arch_map(frame_mfn(second)), 0, PAGE_SIZE);
    CHECK_EQ(set_va(v, PV_VA(SLOT + 14), frame_mfn(first).v << PAGE_SHIFT | RO), 0);
    CHECK_EQ(set_va(v, PV_VA(SLOT + 15), frame_mfn(second).v << PAGE_SHIFT | RO), 0);
    CHECK_EQ(pv_set_ldt(v, PV_VA(SLOT + 14), 8), 0);
    nobody.ldt_ents = 8; /* as of a CPU that idles */
    CHECK(!pv_map_ldt_fault(&nobody.x.v, at));
    CHECK(!pv_map_ldt_fault(v, at + (1ull << 44))); /* page 0, were it cut to 32 bits */
    CHECK(!pv_map_ldt_fault(v, at - 8));
    CHECK(!pv_map_ldt_fault(v, at + PAGE_SIZE)); /* beyond the LDT's end */
    CHECK_EQ(set_va(v, PV_VA(SLOT + 14), frame_mfn(first).v << PAGE_SHIFT | (RO & ~PTE_P)), 0);
    CHECK(!pv_map_ldt_fault(v, at)); /* not there, though the entry names a page */
    CHECK_EQ(set_va(v, PV_VA(SLOT + 14), frame_mfn(first).v << PAGE_SHIFT | RO), 0);
    CHECK(pv_map_ldt_fault(v, at));
    CHECK(!pv_map_ldt_fault(v, at)); /* it is there: another fault has another cause */
    CHECK_EQ(audit(), 0);
    CHECK_EQ(pv_set_ldt(v, 0, 0), 0);
    CHECK_EQ(audit(), 0);
}

/* --- the recount --- */

TEST(audit_sees_wrong_tables)
{
    uint64_t l3 = pte_mfn(page(first_l4[1])[272]).v, l2 = pte_mfn(page(l3)[0]).v;
    pte_t *l4 = page(first_l4[1]), own = l4[HV_FIRST_SLOT + 1], m2p = l4[HV_FIRST_SLOT];

    host_be(0);
    l4[HV_FIRST_SLOT + 1] ^= PTE_RW; /* the hypervisor's */
    CHECK(audit() != 0);
    l4[HV_FIRST_SLOT + 1] = 0;
    CHECK(audit() != 0);
    l4[HV_FIRST_SLOT + 1] = own;
    l4[HV_FIRST_SLOT] = 0; /* the M2P's may be hidden */
    CHECK_EQ(audit(), 0);
    l4[HV_FIRST_SLOT] = m2p;
    CHECK_EQ(page(l2)[511], 0);
    page(l2)[511] = (uint64_t)NO_RAM << PAGE_SHIFT | 7;
    CHECK(audit() != 0);
    page(l2)[511] = 0;
    CHECK_EQ(audit(), 0);
}

/* The entry code's arrays of hypercalls say what hypercall_dispatch() says. */
TEST(calls_by_privilege)
{
    struct hc_args none = { { 0 } };
    struct vcpu *v[2] = { as(1), as(0) };

    CHECK(access_host(v[1]->domain) && !access_host(v[0]->domain));
    for (unsigned int p = 0; p < 2; p++) {
        hc_fn *const *calls = pv_calls_of(v[p]->domain);

        CHECK(calls == pv_vcpu(v[p])->calls);
        for (unsigned int i = 0; i < NR_HYPERCALLS; i++) {
            const struct hypercall *h = &hypercall_table[i];

            if (h->kinds[p] & BIT(GUEST_PV))
                CHECK(calls[i] == h->fn);
            else
                CHECK_EQ(calls[i](v[p], &none), hypercall_dispatch(v[p], i, &none));
        }
    }
}

/* With so little memory that the recount looks at some frames at a time. */
TEST(audit_in_several_passes)
{
    static struct {
        struct frame *f;
        unsigned int order;
    } kept[PV_RAM];
    unsigned int n = 0;

    host_be(0);
    for (unsigned int order = 11; order-- > 0;)
        while ((kept[n].f = frame_alloc(order, 0)) != NULL)
            kept[n++].order = order;
    CHECK(n > 0 && kept[n - 1].order <= 3);
    n--;
    frame_free(kept[n].f, kept[n].order);
    CHECK_EQ(audit(), 0);
    while (n-- > 0)
        frame_free(kept[n].f, kept[n].order);
    CHECK_EQ(audit(), 0);
}
