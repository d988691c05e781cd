/* SPDX-License-Identifier: MIT */
/*
 * Checks of PV memory that a random guest meets too rarely, one by one, on the model's machine:
 * three domains with page tables, each running on the CPU of its number.
 */
#include "pv_unit.h"

#include <xen/grant_table.h>
#include <xen/memory.h>

#include "core/audit.h"
#include "core/grant.h"
#include "core/parked.h"
#include "host/step.h"
#include "x86/insn/ptwrite.h"
#include "x86/pv/traps.h"

static pte_t *entry_of(unsigned int i, unsigned int slot)
{
    return direct(slot_entry(as(i), slot));
}

/* (Domain 1 has linear tables, whose walk asks for more.) */
TEST(own_addresses_only)
{
    struct vcpu *v = as(2);
    uint64_t va = FRAME_TABLE_BASE;
    pte_t *table[3], before;

    /* What leads to an entry there, were the address walked. */
    for (unsigned int i = 0; i < 3; i++)
        table[i] = frame_alloc_hv();
    ((pte_t *)direct(idle_l4[258] & PTE_ADDR))[0] = direct_pa(table[0]) | FLAGS;
    table[0][0] = direct_pa(table[1]) | FLAGS;
    table[1][0] = before = direct_pa(table[2]) | FLAGS;
    CHECK_EQ(set_va(v, va, 0), E(EINVAL));
    CHECK_EQ(set_va(v, va, slot_frame(v, SLOT) << PAGE_SHIFT | FLAGS), E(EINVAL));
    CHECK_EQ(table[1][0], before);
    ((pte_t *)direct(idle_l4[258] & PTE_ADDR))[0] = 0;
    for (unsigned int i = 0; i < 3; i++)
        frame_free_hv(table[i]);
    CHECK_EQ(audit(), 0);
}

TEST(emulated_writes_to_own_tables_only)
{
    static const uint8_t store[16] = { 0x48, 0x89, 0x07, 0x90 }; /* mov %rax, (%rdi) */
    struct x86_regs regs = { .rax = 0 };
    struct vcpu *v = as(0);
    uint64_t l1 = l1_of(1);
    pte_t before = *entry_of(1, SLOT);

    v = as(0); /* Dom0 may look at another's table, and no more */
    regs.rip = args_va(v);
    CHECK_EQ(call(v, __HYPERVISOR_update_va_mapping_otherdomain, PV_VA(SLOT), l1 << PAGE_SHIFT | RO,
                  UVMF_INVLPG, 1),
             0);
    CHECK(put_args(v, 0, store, sizeof(store)));
    CHECK(!pv_ptwrite(v, &regs, PV_VA(SLOT) + SLOT * 8));
    CHECK_EQ(*entry_of(1, SLOT), before);
    v = as(0);
    CHECK_EQ(set_va(v, PV_VA(SLOT), 0), 0);
    CHECK_EQ(set_va(v, PV_VA(SLOT), l1_of(0) << PAGE_SHIFT | RO), 0);
    CHECK(pv_ptwrite(as(0), &regs, PV_VA(SLOT) + (SLOT + 1) * 8)); /* its own it may write */
    CHECK_EQ(*entry_of(0, SLOT + 1), 0);
    CHECK_EQ(audit(), 0);
}

/* --- grants in page tables: domain 1 grants, domain 2 maps --- */

static struct grant_entry_v1 *table_of_1(void)
{
    return arch_map(grant_frame_mfn(pv_dom[1], 0));
}

static void offer(uint32_t ref, unsigned int slot)
{
    table_of_1()[ref] = (struct grant_entry_v1){ .flags = GTF_permit_access,
                                                 .domid = 2,
                                                 .frame = (uint32_t)slot_frame(as(1), slot) };
}

TEST(grants_go_into_own_tables_only)
{
    uint64_t at = slot_entry(as(1), SLOT); /* the granter's table, by its machine address */
    pte_t before = *entry_of(1, SLOT);
    uint32_t handle;

    offer(8, SLOT + 1);
    CHECK_EQ(map_grant(8, at, GNTMAP_host_map | GNTMAP_contains_pte, &handle), GNTST_bad_virt_addr);
    CHECK_EQ(*entry_of(1, SLOT), before);
    CHECK_EQ(map_grant(8, slot_entry(as(2), SLOT), GNTMAP_host_map | GNTMAP_contains_pte, &handle),
             GNTST_okay);
    CHECK_EQ(audit(), 0);
    CHECK_EQ(unmap_grant(handle, slot_entry(as(2), SLOT)), GNTST_okay);
    CHECK_EQ(audit(), 0);
}

TEST(a_mapping_does_not_replace_itself)
{
    uint32_t handle;
    pte_t mapped;

    offer(8, SLOT + 1);
    CHECK_EQ(map_grant(8, PV_VA(SLOT + 2), GNTMAP_host_map, &handle), GNTST_okay);
    mapped = *entry_of(2, SLOT + 2);
    CHECK_EQ(replace_grant(handle, PV_VA(SLOT + 2), PV_VA(SLOT + 2)), GNTST_bad_virt_addr);
    CHECK_EQ(*entry_of(2, SLOT + 2), mapped);
    CHECK_EQ(audit(), 0);
    CHECK_EQ(unmap_grant(handle, PV_VA(SLOT + 2)), GNTST_okay);
    CHECK_EQ(audit(), 0);
}

TEST(a_writable_grant_has_a_writable_mapping)
{
    uint32_t reads, writes;

    offer(8, SLOT + 1);
    CHECK_EQ(map_grant(8, PV_VA(SLOT + 3), GNTMAP_host_map | GNTMAP_readonly, &reads), GNTST_okay);
    CHECK_EQ(map_grant(8, PV_VA(SLOT + 4), GNTMAP_host_map, &writes), GNTST_okay);
    CHECK_EQ(unmap_grant(writes, PV_VA(SLOT + 3)), GNTST_general_error);
    CHECK_EQ(unmap_grant(reads, PV_VA(SLOT + 4)), GNTST_general_error);
    CHECK_EQ(audit(), 0);
    CHECK_EQ(unmap_grant(writes, PV_VA(SLOT + 4)), GNTST_okay);
    CHECK_EQ(unmap_grant(reads, PV_VA(SLOT + 3)), GNTST_okay);
    CHECK_EQ(audit(), 0);
}

/* --- the M2P in roots --- */

/* A context whose programs run on the kernel's root: only the strict form hides the table there. */
TEST(contexts_with_one_root)
{
    struct vcpu *v = as(1), *other = pv_dom[1]->vcpu[1];
    struct vcpu_guest_context c;
    uint64_t assists = v->domain->vm_assist, was;
    pte_t *l4;

    memset(&c, 0, sizeof(c));
    v->domain->ops->get_context(other, &c);
    was = c.ctrlreg[1];
    c.ctrlreg[1] = c.ctrlreg[3];
    c.gdt_ents = c.ldt_ents = 0;
    l4 = direct(c.ctrlreg[3] & PAGE_MASK);
    v->domain->vm_assist = 0;
    CHECK_EQ(v->domain->ops->set_context(other, &c), 0);
    CHECK(l4[HV_FIRST_SLOT] & PTE_P);
    v->domain->vm_assist = BIT64(VMASST_TYPE_m2p_strict);
    CHECK_EQ(v->domain->ops->set_context(other, &c), 0);
    CHECK(!(l4[HV_FIRST_SLOT] & PTE_P));
    c.ctrlreg[1] = was;
    CHECK_EQ(v->domain->ops->set_context(other, &c), 0);
    CHECK(l4[HV_FIRST_SLOT] & PTE_P); /* the kernel's alone again */
    v->domain->vm_assist = assists;
    CHECK_EQ(audit(), 0);
}

/* --- steps that wait --- */

/* A guest names the step that Domain 0 has begun on its memory, as if it were an exchange. */
TEST(a_token_is_of_one_kind)
{
    struct xen_memory_reservation r = { .nr_extents = 1, .extent_order = 3, .domid = 1 };
    struct xen_memory_exchange x = { .in = { .nr_extents = 1, .domid = DOMID_SELF },
                                     .out = { .nr_extents = 1, .domid = DOMID_SELF } };
    struct vcpu *v = as(0);
    uint64_t free = frame_free_count(), token;
    xen_pfn_t list[2] = { 4096, 5 };

    step_order = 1;
    r.extent_start.p = (void *)(args_va(v) + 64);
    CHECK(put_args(v, 0, &r, sizeof(r)) && put_args(v, 64, list, sizeof(list)));
    arch_this_cpu()->pending |= WORK_CLOCK;
    CHECK_EQ(hypercall_dispatch(v, __HYPERVISOR_memory_op,
                                &HC_ARGS(XENMEM_populate_physmap, args_va(v))),
             HC_RESTART);
    pv_machine_exit(v);
    CHECK(pv_dom[1]->parked != NULL);
    token = pv_dom[1]->parked->token;
    v = as(1);
    list[0] = slot_frame(v, 61);
    CHECK_EQ(set_va(v, PV_VA(61), 0), 0);
    x.in.extent_start.p = (void *)(args_va(v) + 256);
    x.out.extent_start.p = (void *)(args_va(v) + 264);
    CHECK(put_args(v, 0, &x, sizeof(x)) && put_args(v, 256, list, sizeof(list)));
    CHECK_EQ(call(v, __HYPERVISOR_memory_op, XENMEM_exchange | token << 6, args_va(v), 0, 0), 0);
    CHECK(pv_dom[1]->parked == NULL); /* it was in the way */
    CHECK_EQ(frame_free_count(), free);
    step_order = 9;
    CHECK(get_args(v, 264, list, 8));
    CHECK_EQ(set_va(v, PV_VA(61), list[0] << PAGE_SHIFT | FLAGS), 0);
    CHECK_EQ(audit(), 0);
}

/* --- exchange --- */

static uint32_t head_before, passed_on;

/* As soon as the new frame is domain 1's, its other vCPU gives it back, and domain 2 gets it. */
static void pass_it_on(void *arg)
{
    struct domain *d = pv_dom[1];
    struct frame *f, *other[64];
    unsigned int n = 0;

    (void)arg;
    if (passed_on || d->page_list == head_before || spin_is_locked(&d->page_lock))
        return;
    f = &frame_table[passed_on = d->page_list];
    CHECK(frame_release(f, d));
    while (n < 64 && (other[n] = frame_alloc(0, 0)) != f)
        n++;
    CHECK(n < 64);
    CHECK_EQ(frame_give(f, 0, pv_dom[2], 777), 0);
    while (n-- > 0)
        frame_free(other[n], 0);
}

static void exchange_one(void *arg)
{
    struct vcpu *v = arg;

    call(v, __HYPERVISOR_memory_op, XENMEM_exchange, args_va(v), 0, 0);
}

TEST(exchange_writes_no_m2p_entry_of_others)
{
    struct xen_memory_exchange x = { .in = { .nr_extents = 1, .domid = DOMID_SELF },
                                     .out = { .nr_extents = 1, .domid = DOMID_SELF } };
    struct vcpu *v = as(1);
    xen_pfn_t list[2] = { slot_frame(v, SLOT + 5), 0x1234 };

    CHECK_EQ(set_va(v, PV_VA(SLOT + 5), 0), 0);
    x.in.extent_start.p = (void *)(args_va(v) + 256);
    x.out.extent_start.p = (void *)(args_va(v) + 264);
    CHECK(put_args(v, 0, &x, sizeof(x)) && put_args(v, 256, list, sizeof(list)));
    head_before = pv_dom[1]->page_list;
    host_step(exchange_one, pass_it_on, v, 2);
    CHECK(passed_on != 0);
    CHECK_EQ(m2p_rw[passed_on], 777);
    CHECK_EQ(audit(), 0);
}

/* --- a domain's end --- */

static uint64_t instructions;

static void count_one(void *arg)
{
    (void)arg;
    instructions++;
}

static void one_step(void *arg)
{
    arch_this_cpu()->work_left = 1; /* gives way as soon as it can */
    pv_relinquish(arg);
    arch_this_cpu()->work_left = PREEMPT_BUDGET;
}

/* Instructions of a step while `n` frames that others hold hang behind one whose count is full. */
static uint64_t step_behind(struct domain *d, unsigned int n)
{
    struct frame *f[201], *full;

    for (unsigned int i = 0; i <= n; i++) {
        f[i] = frame_alloc(0, 0);
        CHECK(f[i] && frame_assign(f[i], 0, d) == 0);
        if (i < n)
            CHECK(frame_get(f[i], d) && frame_release(f[i], d));
    }
    full = f[n];
    full->state += FRAME_REF_MASK - frame_refs(full->state);
    instructions = 0;
    host_step(one_step, count_one, d, 2);
    CHECK_EQ(full->state & FRAME_ALLOCATED, 0); /* its own hold is gone, first of all */
    full->state -= frame_refs(full->state) - 1;
    frame_put(full);
    for (unsigned int i = 0; i < n; i++)
        frame_put(f[i]);
    return instructions;
}

TEST(the_end_of_a_domain_is_short_steps)
{
    struct pv_domain *pd = pv_domain_create(7, 1);
    uint64_t few, many;

    host_be(0);
    pd->x.d.max_pages = 1000;
    domain_publish(&pd->x.d);
    few = step_behind(&pd->x.d, 5);
    many = step_behind(&pd->x.d, 200);
    CHECK(many < few + 200);
    while (domain_kill(&pd->x.d) == E(EAGAIN))
        ;
    domain_reap();
    CHECK_EQ(audit(), 0);
}
