/* SPDX-License-Identifier: MIT */
/*
 * What x86/pv refuses and no other test meets, refusal by refusal (see tests/model/refusals), on
 * the model's machine: three domains with page tables, each running on the CPU of its number.
 */
#include "pv_unit.h"

#include <xen/domctl.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/physdev.h>

#include "core/audit.h"
#include "core/grant.h"
#include "core/ptype.h"
#include "host/step.h"
#include "x86/insn/ptwrite.h"
#include "x86/pv/desc.h"
#include "x86/pv/domain.h"
#include "x86/pv/privop.h"
#include "x86/pv/traps.h"

/* --- making domains and vCPUs --- */

TEST(no_memory_for_domains_and_vcpus)
{
    struct xen_domctl_createdomain config = { .max_vcpus = 1 };
    uint64_t free = frame_free_count();
    struct pv_domain *pd;
    struct domain *d;

    host_be(0);
    host_fail_every = 2;
    for (unsigned int i = 0; i < 2; i++) {
        CHECK(pv_domain_create(9, 1) == NULL); /* its record, or what the core keeps of it */
        CHECK_EQ(frame_free_count(), free);
    }
    host_fail_every = 1;
    CHECK(pv_domain_create(9, 1) == NULL);
    CHECK_EQ(pv_guest_ops.g.domain_create(9, &config, &d), -XEN_ENOMEM);
    CHECK(pv_vcpu_create(pv_dom[1], 1) == NULL);
    host_fail_every = 0;
    config.arch.misc_flags = XEN_X86_MSR_RELAXED << 1;
    CHECK_EQ(pv_guest_ops.g.domain_create(9, &config, &d), -XEN_EINVAL);
    CHECK_EQ(frame_free_count(), free);
    pd = pv_domain_create(7, 1); /* one that is gone, but for its record */
    CHECK(pd != NULL);
    domain_publish(&pd->x.d);
    d = domain_get(7);
    while (domain_kill(d) == E(EAGAIN))
        ;
    struct xen_domctl op = { .cmd = XEN_DOMCTL_set_address_size, .u.address_size.size = 64 };
    bool back = false;
    CHECK_EQ(pv_domctl(as(0), d, &op, &back), E(ESRCH));
    domain_put(d);
    domain_reap();
    CHECK_EQ(audit(), 0);
}

static struct vcpu_guest_context context;

static int set_context(struct vcpu *v)
{
    int rc;

    do {
        arch_this_cpu()->pending = 0;
        rc = pv_guest_ops.g.set_context(v, &context);
    } while (rc == -XEN_EAGAIN);
    return rc;
}

TEST(contexts)
{
    struct vcpu *v = pv_dom[1]->vcpu[1]; /* which does not run */
    unsigned long *addresses[] = {
        &context.event_callback_eip,           &context.failsafe_callback_eip,
        &context.syscall_callback_eip,         (unsigned long *)&context.user_regs.rip,
        &context.trap_ctxt[0].address,         &context.trap_ctxt[255].address,
        (unsigned long *)&context.fs_base,     (unsigned long *)&context.gs_base_kernel,
        (unsigned long *)&context.gs_base_user
    };

    host_be(1);
    memset(&context, 0, sizeof(context));
    context.flags = VGCF_in_kernel;
    context.ctrlreg[3] = first_l4[1] << PAGE_SHIFT;
    CHECK_EQ(set_context(v), 0);
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        *addresses[i] = 1ul << 47;
        CHECK_EQ(set_context(v), -XEN_EINVAL);
        *addresses[i] = 0;
    }
    for (unsigned int i = 0; i < 8; i++) {
        context.debugreg[i] = i < 4 ? DIRECT_BASE : 1ul << 32;
        CHECK_EQ(set_context(v), i == 4 || i == 5 ? 0 : -XEN_EINVAL);
        context.debugreg[i] = 0;
    }
    context.gdt_ents = 1ul << 32; /* none, were it cut to 32 bits */
    CHECK_EQ(set_context(v), -XEN_EINVAL);
    context.gdt_ents = 0;
    context.ldt_ents = 1ul << 32;
    CHECK_EQ(set_context(v), -XEN_EINVAL);
    context.ldt_ents = 0;
    CHECK_EQ(set_context(v), 0);
    CHECK_EQ(audit(), 0);
}

/* --- what the hypervisor shows, as DOMID_XEN's --- */

static long map_shown(struct vcpu *v, mfn_t mfn, pte_t flags, unsigned int as_whose)
{
    return call(v, __HYPERVISOR_update_va_mapping_otherdomain, PV_VA(SLOT + 30),
                mfn.v << PAGE_SHIFT | flags, UVMF_INVLPG, as_whose);
}

TEST(frames_that_are_shown)
{
    struct frame *ro = frame_alloc(0, 0), *rw = frame_alloc(0, 0), *hidden = frame_alloc(0, 0);
    struct vcpu *v = as(0);
    uint64_t before = slot_entry(v, SLOT + 30);
    struct mmu_update u = { .ptr = frame_mfn(ro).v << PAGE_SHIFT | MMU_MACHPHYS_UPDATE };
    struct mmuext_op pin = { .cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = frame_mfn(ro).v };

    frame_show(ro, false);
    frame_show(rw, true);
    CHECK_EQ(map_shown(v, frame_mfn(hidden), RO, DOMID_XEN), E(EBUSY));
    CHECK_EQ(map_shown(v, frame_mfn(ro), RO, DOMID_IO), E(EBUSY));
    CHECK_EQ(map_shown(v, frame_mfn(ro), RO, DOMID_SELF), E(EBUSY));
    CHECK_EQ(map_shown(v, frame_mfn(ro), FLAGS, DOMID_XEN), E(EBUSY));
    CHECK_EQ(map_shown(v, frame_mfn(ro), RO, DOMID_XEN), 0);
    CHECK_EQ(frame_refs(ro->state), 2);
    CHECK_EQ(map_shown(v, frame_mfn(ro), FLAGS, DOMID_XEN), E(EBUSY));
    CHECK_EQ(audit(), 0);
    CHECK_EQ(map_shown(v, frame_mfn(rw), FLAGS, DOMID_XEN), 0);
    CHECK_EQ(frame_refs(ro->state), 1);
    CHECK_EQ(audit(), 0);
    CHECK(put_args(v, 0, &u, sizeof(u)));
    CHECK_EQ(call(v, __HYPERVISOR_mmu_update, args_va(v), 1, 0, DOMID_XEN), E(EINVAL));
    CHECK(put_args(v, 0, &pin, sizeof(pin)));
    CHECK_EQ(call(v, __HYPERVISOR_mmuext_op, args_va(v), 1, 0, DOMID_XEN), E(EINVAL));
    CHECK_EQ(map_shown(v, MFN(before >> PAGE_SHIFT), before & (PAGE_SIZE - 1), DOMID_SELF), 0);
    CHECK_EQ(frame_refs(rw->state), 1);
    CHECK_EQ(map_shown(as(1), frame_mfn(ro), RO, DOMID_XEN), E(EPERM));
    host_be(0);
    frame_free(hidden, 0);
    CHECK_EQ(audit(), 0);
}

/* --- descriptors --- */

#define P (1ull << 47)
#define S (1ull << 44)
#define TYPE(t) ((uint64_t)(t) << 40)
#define CODE (P | S | TYPE(11) | 3ull << 45 | 1ull << 53)
#define DATA (P | S | TYPE(3) | 3ull << 45)
#define GATE (P | TYPE(12)) /* a call gate; its type has the bit that makes others code */

static uint64_t *gdt;

TEST(code_segments)
{
    struct vcpu *v = as(1);
    struct pv_vcpu *pv = pv_vcpu(v);
    struct frame *f = idle_page(1, SLOT), *ldt = idle_page(1, SLOT + 1);
    mfn_t mfn = frame_mfn(f);
    enum insn_mode mode;
    uint64_t base;

    gdt = arch_map(frame_mfn(f));
    memset(gdt, 0, PAGE_SIZE);
    gdt[0] = gdt[2] = gdt[9] = CODE;
    gdt[3] = DATA;
    gdt[4] = CODE & ~P;
    gdt[5] = GATE;
    CHECK_EQ(pv_set_gdt(v, &mfn, 8), 0);
    CHECK(pv_code_segment(pv, 2 * 8 + 3, &mode, &base) && mode == INSN_MODE_64);
    CHECK(!pv_code_segment(pv, 0, &mode, &base)); /* the null selector */
    CHECK(!pv_code_segment(pv, 3, &mode, &base));
    CHECK(!pv_code_segment(pv, 9 * 8 + 3, &mode, &base)); /* behind the table's end */
    CHECK(!pv_code_segment(pv, 3 * 8 + 3, &mode, &base));
    CHECK(!pv_code_segment(pv, 4 * 8 + 3, &mode, &base));
    CHECK(!pv_code_segment(pv, 5 * 8 + 3, &mode, &base));
    CHECK(pv_segment_base(pv, &(struct x86_regs){ .cs = 2 * 8 + 3 }, SEG_CS, &base));
    CHECK(!pv_segment_base(pv, &(struct x86_regs){ .cs = 4 * 8 + 3 }, SEG_CS, &base));

    /* An LDT whose page is not there, then writable, then right. */
    CHECK_EQ(pv_set_ldt(v, PV_VA(SLOT + 1), 8), 0);
    ((uint64_t *)host_ram)[2] = CODE; /* frame 0, were it taken for the page */
    CHECK(!pv_code_segment(pv, 2 * 8 + 7, &mode, &base));
    memset(arch_map(frame_mfn(ldt)), 0, PAGE_SIZE);
    ((uint64_t *)arch_map(frame_mfn(ldt)))[2] = CODE;
    CHECK_EQ(set_va(v, PV_VA(SLOT + 1), frame_mfn(ldt).v << PAGE_SHIFT | FLAGS), 0);
    CHECK(!pv_code_segment(pv, 2 * 8 + 7, &mode, &base));
    CHECK(!pv_map_ldt_fault(v, desc_window(1) + LDT_OFFSET));
    CHECK_EQ(set_va(v, PV_VA(SLOT + 1), frame_mfn(ldt).v << PAGE_SHIFT | RO), 0);
    CHECK(pv_code_segment(pv, 2 * 8 + 7, &mode, &base));
    CHECK(!pv_code_segment(pv, 9 * 8 + 7, &mode, &base));
    ((uint64_t *)host_ram)[2] = 0;
    CHECK_EQ(pv_set_ldt(v, PV_VA(SLOT + 1) + 8, 8), -XEN_EINVAL);
    CHECK_EQ(pv_set_ldt(v, DIRECT_BASE, 8), -XEN_EINVAL);
    CHECK_EQ(pv_set_ldt(v, PV_VA(SLOT + 1), LDT_MAX_ENTRIES + 1), -XEN_EINVAL);
    CHECK_EQ(pv_set_ldt(v, 0, 0), 0);
    CHECK_EQ(pv_set_gdt(v, NULL, 0), 0);
    CHECK_EQ(audit(), 0);
}

TEST(descriptor_pages)
{
    struct frame *f = idle_page(1, SLOT + 2);
    uint64_t table = l1_of(1) << PAGE_SHIFT;
    struct vcpu *v = as(1);

    memset(arch_map(frame_mfn(f)), 0, PAGE_SIZE);
    f->state |= FRAME_CHANGING; /* as while another CPU makes it data */
    CHECK_EQ(pv_get_desc_page(v->domain, frame_mfn(f)), -XEN_EINVAL);
    f->state &= ~FRAME_CHANGING;
    CHECK_EQ(pv_get_desc_page(v->domain, frame_mfn(f)), 0);
    frame_put_typed(f);
    CHECK_EQ(call(v, __HYPERVISOR_update_descriptor, table + 8, 0, 0, 0), E(EINVAL));
    CHECK_EQ(audit(), 0);
}

/* --- tables --- */

/* What would lead from the hypervisor's address to leaf `e`, were it walked. */
static pte_t *lead(uint64_t va, pte_t e, bool on)
{
    static pte_t *table[3];

    for (unsigned int i = 0; on && i < 3; i++)
        table[i] = frame_alloc_hv();
    ((pte_t *)direct(idle_l4[va >> 39 & 511] &
                     PTE_ADDR))[va >> 30 & 511] = on ? direct_pa(table[1]) | FLAGS : 0;
    table[1][va >> 21 & 511] = direct_pa(table[2]) | FLAGS;
    table[2][va >> 12 & 511] = e;
    idle_l4[va >> 39 & 511] |= on ? PTE_US : 0;
    for (unsigned int i = 0; i < 3; i++)
        if (!on)
            frame_free_hv(table[i]);
    return table[2];
}

/* (Domain 1 has linear tables, whose walk asks for more.) */
TEST(the_hypervisors_addresses_are_not_walked)
{
    static const uint8_t store[16] = { 0x48, 0x89, 0x07, 0x90 }; /* mov %rax, (%rdi) */
    uint64_t va = FRAME_TABLE_BASE, l1 = l1_of(2), l1e;
    struct vcpu *v = as(2);
    pte_t *l4 = page(first_l4[2]), own = l4[258], hv = idle_l4[258];
    pte_t before = page(l1)[SLOT + 3];
    struct x86_regs regs = { .rip = args_va(v), .rax = 0 };

    CHECK(put_args(v, 0, store, sizeof(store)));
    lead(va, l1 << PAGE_SHIFT | RO, true);
    l4[258] |= PTE_US;
    CHECK(!pv_read_guest_pte(v, va, &l1e));
    CHECK(!pv_ptwrite(v, &regs, va + (SLOT + 3) * 8));
    CHECK_EQ(page(l1)[SLOT + 3], before);
    l4[258] = own;
    lead(va, 0, false);
    idle_l4[258] = hv;
    CHECK_EQ(audit(), 0);
}

/* The code at the end of a page, nothing behind it. */
TEST(emulated_writes_by_code_at_a_pages_end)
{
    static const uint8_t store[8] = { 0x90, 0x90, 0x90, 0x90, 0x90, 0x48, 0x89, 0x07 };
    struct vcpu *v = as(1);
    uint64_t end = args_va(v) + PAGE_SIZE, l1 = l1_of(1), next = slot_frame(v, ARGS_SLOT + 1);
    struct x86_regs regs = { .rip = end - 3, .rax = 0 };

    idle_page(1, SLOT + 4);
    CHECK(put_args(v, PAGE_SIZE - sizeof(store), store, sizeof(store)));
    CHECK_EQ(set_va(v, end, 0), 0);
    CHECK_EQ(set_va(v, PV_VA(SLOT + 4), l1 << PAGE_SHIFT | RO), 0);
    CHECK(pv_ptwrite(v, &regs, PV_VA(SLOT + 4) + (SLOT + 3) * 8));
    CHECK_EQ(page(l1)[SLOT + 3], 0);
    CHECK_EQ(regs.rip, end);
    CHECK(!pv_ptwrite(v, &regs, PV_VA(SLOT + 4) + (SLOT + 3) * 8)); /* code that is not there */
    regs.rip = end - 3;
    ((pte_t *)host_ram)[0] = l1 << PAGE_SHIFT | RO; /* frame 0, were it taken for a table */
    CHECK(!pv_ptwrite(v, &regs, NOWHERE + (SLOT + 3) * 8));
    ((pte_t *)host_ram)[0] = 0;
    CHECK_EQ(set_va(v, end, next << PAGE_SHIFT | FLAGS), 0);
    CHECK_EQ(set_va(v, PV_VA(SLOT + 4), 0), 0);
    CHECK_EQ(audit(), 0);
}

/* Entries that become present, or are not any more, with the same address and rights. */
TEST(emulated_writes_count_references)
{
    static const uint8_t store[16] = { 0x48, 0x89, 0x07, 0x90 }; /* mov %rax, (%rdi) */
    struct vcpu *v = as(2);
    uint64_t l1 = l1_of(2), at = PV_VA(SLOT + 11) + (SLOT + 10) * 8;
    struct frame *f = idle_page(2, SLOT + 10);
    pte_t e = frame_mfn(f).v << PAGE_SHIFT | FLAGS;
    struct x86_regs regs = { .rip = args_va(v), .rax = e };

    idle_page(2, SLOT + 11);
    CHECK(put_args(v, 0, store, sizeof(store)));
    CHECK_EQ(set_va(v, PV_VA(SLOT + 11), l1 << PAGE_SHIFT | RO), 0);
    CHECK_EQ(set_va(v, PV_VA(SLOT + 10), e & ~PTE_P), 0);
    CHECK(pv_ptwrite(v, &regs, at));
    CHECK_EQ(page(l1)[SLOT + 10], e);
    CHECK_EQ(audit(), 0);
    regs.rip = args_va(v);
    regs.rax = e & ~PTE_P;
    CHECK(pv_ptwrite(v, &regs, at));
    CHECK_EQ(audit(), 0);
    pt_l1tf = true; /* a processor that would read the page through it */
    regs.rip = args_va(v);
    regs.rax = e & ~(PTE_P | PTE_D);
    CHECK(!pv_ptwrite(v, &regs, at));
    CHECK_EQ(page(l1)[SLOT + 10], e & ~PTE_P);
    pt_l1tf = false;
    CHECK_EQ(set_va(v, PV_VA(SLOT + 11), 0), 0);
    CHECK_EQ(set_va(v, PV_VA(SLOT + 10), 0), 0);
    CHECK_EQ(audit(), 0);
}

TEST(entries_that_are_refused)
{
    uint64_t other = l1_of(2) << PAGE_SHIFT, own = l1_of(1), l2, l3;
    struct vcpu *v = as(1);
    pte_t before = page(other >> PAGE_SHIFT)[SLOT];
    struct frame *f = idle_page(1, SLOT + 10);

    l3 = pte_mfn(page(first_l4[1])[272]).v;
    l2 = pte_mfn(page(l3)[0]).v;
    CHECK_EQ(set_entry(v, other + SLOT * 8, 0), E(EINVAL));
    CHECK_EQ(page(other >> PAGE_SHIFT)[SLOT], before);
    CHECK(set_va(v, PV_VA(SLOT + 10), own << PAGE_SHIFT | FLAGS) < 0);
    CHECK_EQ(page(own)[SLOT + 10], 0);
    CHECK_EQ(set_entry(v, (l2 << PAGE_SHIFT) + 511 * 8, (uint64_t)(PV_RAM + 99) << PAGE_SHIFT | 7),
             E(EINVAL));
    CHECK_EQ(page(l2)[511], 0);
    /* A table with an entry that is not present, and names RAM. */
    memset(arch_map(frame_mfn(f)), 0, PAGE_SIZE);
    ((pte_t *)arch_map(frame_mfn(f)))[7] = 100 << PAGE_SHIFT;
    pt_l1tf = true;
    CHECK_EQ(ext_op(v, MMUEXT_PIN_L1_TABLE, frame_mfn(f).v, DOMID_SELF), E(EINVAL));
    pt_l1tf = false;
    CHECK_EQ(ext_op(v, MMUEXT_PIN_L1_TABLE, frame_mfn(f).v, DOMID_SELF), 0);
    CHECK_EQ(audit(), 0);
    CHECK_EQ(ext_op(v, MMUEXT_UNPIN_TABLE, frame_mfn(f).v, DOMID_SELF), 0);
    /* An L2 with an entry that names no RAM. */
    ((pte_t *)arch_map(frame_mfn(f)))[7] = (uint64_t)(PV_RAM + 99) << PAGE_SHIFT | 7;
    CHECK_EQ(ext_op(v, MMUEXT_PIN_L2_TABLE, frame_mfn(f).v, DOMID_SELF), E(EINVAL));
    CHECK(!(f->state & (FRAME_PARTIAL | FRAME_VALIDATED)) && !frame_typed(f->state));
    CHECK_EQ(audit(), 0);
}

/* As soon as the frame begins to be a table it is another domain's. */
static struct frame *passed;
static bool did_pass;

static void pass(void *arg)
{
    (void)arg;
    if (!did_pass && (passed->state & FRAME_PARTIAL)) {
        did_pass = true;
        passed->owner = 2;
    }
}

static void pin_it(void *arg)
{
    (void)arg;
    did_pass = false;
    struct vcpu *v = as(1);
    spin_lock(&pv_domain(v->domain)->pt_lock);
    if (pt_get_table(&pv_vcpu(v)->drop, v->domain, frame_mfn(passed), 1) == -XEN_EINVAL)
        arg = NULL;
    CHECK(arg == NULL);
    spin_unlock(&pv_domain(v->domain)->pt_lock);
}

TEST(a_table_that_changes_hands)
{
    uint64_t state;

    passed = idle_page(1, SLOT + 12);
    memset(arch_map(frame_mfn(passed)), 0, PAGE_SIZE);
    state = passed->state;
    as(1);
    host_step(pin_it, pass, passed, 2);
    CHECK(did_pass);
    CHECK_EQ(passed->owner, 2);
    CHECK_EQ(passed->state & ~(FRAME_TYPE_MASK | FRAME_VALIDATED),
             state & ~(FRAME_TYPE_MASK | FRAME_VALIDATED));
    passed->owner = 1;
    as(1);
    CHECK_EQ(audit(), 0);
}

TEST(updates_by_lists_that_are_nowhere)
{
    struct vcpu *v = as(1);

    CHECK_EQ(call(v, __HYPERVISOR_mmu_update, NOWHERE, 1, 0, DOMID_SELF), E(EFAULT));
    CHECK_EQ(call(v, __HYPERVISOR_mmu_update, NOWHERE, 2, 0, DOMID_SELF), E(EFAULT));
    CHECK_EQ(call(v, __HYPERVISOR_mmuext_op, NOWHERE, 1, 0, DOMID_SELF), E(EFAULT));
    make_endless(v->domain, true);
    at_top = ~0ull;
    CHECK_EQ(call(v, __HYPERVISOR_mmu_update, TOP - 8, 2, 0, DOMID_SELF), E(EFAULT));
    CHECK_EQ(call(v, __HYPERVISOR_mmuext_op, TOP - 16, 2, 0, DOMID_SELF), E(EFAULT));
    make_endless(v->domain, false);
    CHECK_EQ(audit(), 0);
}

/* A domain of another kind has no tables that these calls could change. */
TEST(tables_of_other_kinds)
{
    struct vcpu *v = as(0);

    endless = pv_guest_ops;
    pv_dom[2]->ops = &endless.g;
    CHECK_EQ(call(v, __HYPERVISOR_mmu_update, args_va(v), 0, 0, DOMID_SELF | 3u << 16), E(EINVAL));
    CHECK_EQ(call(v, __HYPERVISOR_mmuext_op, args_va(v), 0, 0, 2), E(EINVAL));
    pv_dom[2]->ops = &pv_guest_ops.g;
    CHECK_EQ(call(v, __HYPERVISOR_mmu_update, args_va(v), 0, 0, DOMID_SELF | 3u << 16), 0);
    CHECK_EQ(call(v, __HYPERVISOR_mmuext_op, args_va(v), 0, 0, 2), 0);
}

TEST(clearing_no_ram)
{
    struct mmuext_op op = { .cmd = MMUEXT_CLEAR_PAGE, .arg1.mfn = PV_RAM + 5 };
    struct vcpu *v = as(1);

    CHECK(put_args(v, 0, &op, sizeof(op)));
    CHECK_EQ(call(v, __HYPERVISOR_mmuext_op, args_va(v), 1, 0, DOMID_SELF), E(EINVAL));
}

/* Dom0 unpins another's tables, and is to see it through: no vCPU of that one would. */
TEST(an_unpin_for_another_domain_is_seen_through)
{
    struct frame *upper = idle_page(1, SLOT + 5), *f[4];
    uint64_t data = slot_frame(as(1), SLOT + 6);
    struct vcpu *v;

    memset(arch_map(frame_mfn(upper)), 0, PAGE_SIZE);
    for (unsigned int n = 0; n < 4; n++) {
        f[n] = idle_page(1, SLOT + 13 + n);
        for (unsigned int i = 0; i < 512; i++)
            ((pte_t *)arch_map(frame_mfn(f[n])))[i] = data << PAGE_SHIFT | FLAGS;
        ((pte_t *)arch_map(frame_mfn(upper)))[n] = frame_mfn(f[n]).v << PAGE_SHIFT | 7;
    }
    v = as(0);
    CHECK_EQ(ext_op(v, MMUEXT_PIN_L2_TABLE, frame_mfn(upper).v, 1), 0);
    arch_this_cpu()->work_left = 1; /* gives way as soon as it can */
    CHECK_EQ(ext_op(v, MMUEXT_UNPIN_TABLE, frame_mfn(upper).v, 1), 0);
    arch_this_cpu()->work_left = PREEMPT_BUDGET;
    CHECK(!pv_domain(pv_dom[1])->drop.any);
    CHECK(!(upper->state & (FRAME_PARTIAL | FRAME_PINNED)) && !frame_typed(f[3]->state));
    CHECK_EQ(audit(), 0);
}

/* A table without a use, as while another vCPU takes it down. */
TEST(grants_do_not_go_into_tables_that_are_going)
{
    struct gnttab_map_grant_ref op = { .flags = GNTMAP_host_map | GNTMAP_contains_pte,
                                       .ref = 8,
                                       .dom = 1 };
    uint64_t l3 = pte_mfn(page(first_l4[2])[272]).v, l2 = pte_mfn(page(l3)[0]).v;
    struct grant_entry_v1 *table = arch_map(grant_frame_mfn(pv_dom[1], 0));
    struct frame *f = idle_page(2, SLOT);
    uint64_t state = f->state;
    struct vcpu *v;

    table[8] = (struct grant_entry_v1){ .flags = GTF_permit_access, .domid = 2 };
    table[8].frame = (uint32_t)slot_frame(as(1), SLOT + 6);
    v = as(2);
    memset(arch_map(frame_mfn(f)), 0, PAGE_SIZE);
    f->state = (state & ~FRAME_TYPE_MASK) | (uint64_t)FT_L1 << FRAME_TYPE_SHIFT | FRAME_VALIDATED;
    op.host_addr = frame_mfn(f).v << PAGE_SHIFT;
    CHECK(put_args(v, 0, &op, sizeof(op)));
    CHECK_EQ(call(v, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, args_va(v), 1, 0), 0);
    CHECK(get_args(v, 0, &op, sizeof(op)));
    CHECK_EQ(op.status, GNTST_bad_virt_addr);
    CHECK_EQ(*(pte_t *)arch_map(frame_mfn(f)), 0);
    f->state = state;
    op.host_addr = (l2 << PAGE_SHIFT) + 511 * 8; /* one of another level */
    CHECK(put_args(v, 0, &op, sizeof(op)));
    CHECK_EQ(call(v, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, args_va(v), 1, 0), 0);
    CHECK(get_args(v, 0, &op, sizeof(op)));
    CHECK_EQ(op.status, GNTST_bad_virt_addr);
    CHECK_EQ(page(l2)[511], 0);
    CHECK_EQ(audit(), 0);
}

/* --- exchange, and lists of frames --- */

static struct xen_memory_exchange exchange;

static long do_exchange(struct vcpu *v)
{
    CHECK(put_args(v, 0, &exchange, sizeof(exchange)));
    return memory_op(v, XENMEM_exchange);
}

/* One page of v's for another: its list at 256 of the arguments, the new one's at 264. */
static void one_for_one(struct vcpu *v, uint64_t mfn)
{
    xen_pfn_t list[2] = { mfn, 0x1234 };

    exchange = (struct xen_memory_exchange){ .in = { .nr_extents = 1, .domid = DOMID_SELF },
                                             .out = { .nr_extents = 1, .domid = DOMID_SELF } };
    exchange.in.extent_start.p = (void *)(args_va(v) + 256);
    exchange.out.extent_start.p = (void *)(args_va(v) + 264);
    CHECK(put_args(v, 256, list, sizeof(list)));
}

TEST(exchanges)
{
    struct frame *other = idle_page(2, SLOT + 7), *f = idle_page(1, SLOT + 7);
    struct vcpu *v = as(1);
    uint64_t mfn = frame_mfn(f).v, pages = v->domain->tot_pages;

    one_for_one(v, mfn);
    exchange.in.domid = exchange.out.domid = 2;
    CHECK_EQ(do_exchange(v), E(EPERM));
    one_for_one(v, mfn);
    exchange.in.nr_extents = 1024;
    exchange.out.extent_order = 10;
    CHECK_EQ(do_exchange(v), E(EPERM));
    one_for_one(v, mfn);
    exchange.in.extent_start.p = (void *)NOWHERE;
    CHECK_EQ(do_exchange(v), E(EFAULT));
    one_for_one(v, slot_frame(v, SLOT + 6)); /* in use */
    CHECK_EQ(do_exchange(v), E(EINVAL));
    one_for_one(v, frame_mfn(other).v); /* another domain's */
    CHECK_EQ(do_exchange(v), E(EINVAL));
    CHECK((other->state & FRAME_ALLOCATED) && other->owner == 2);
    one_for_one(v, mfn); /* two pages for one of the double size, the second's number nowhere */
    exchange.in.nr_extents = 2;
    exchange.out.extent_order = 1;
    exchange.in.extent_start.p = (void *)TOP;
    at_top = mfn;
    make_endless(v->domain, true);
    CHECK_EQ(do_exchange(v), E(EFAULT));
    make_endless(v->domain, false);
    CHECK((f->state & FRAME_ALLOCATED) && f->owner == 1);
    CHECK_EQ(v->domain->tot_pages, pages);
    CHECK_EQ(audit(), 0);
}

/* The new page's number cannot be told: the exchange took place all the same. */
TEST(exchange_into_a_list_that_cannot_be_written)
{
    struct frame *f = idle_page(1, SLOT + 8);
    struct vcpu *v = as(1);
    uint64_t pages = v->domain->tot_pages;

    one_for_one(v, frame_mfn(f).v);
    CHECK_EQ(set_va(v, PV_VA(SLOT + 8), slot_frame(v, ARGS_SLOT) << PAGE_SHIFT | RO), 0);
    exchange.out.extent_start.p = (void *)(PV_VA(SLOT + 8) + 264);
    CHECK_EQ(do_exchange(v), E(EFAULT));
    CHECK_EQ(v->domain->tot_pages, pages);
    CHECK_EQ(set_va(v, PV_VA(SLOT + 8), 0), 0);
    CHECK_EQ(audit(), 0);
}

/* A limit below what it has does not matter: it gets as much as it gives. */
TEST(exchange_above_the_limit)
{
    struct frame *f = idle_page(1, SLOT + 9);
    struct vcpu *v = as(1);
    uint64_t pages = v->domain->tot_pages, max = v->domain->max_pages;

    one_for_one(v, frame_mfn(f).v);
    v->domain->max_pages = 1;
    CHECK_EQ(do_exchange(v), 0); /* it balloons down, and loses nothing on the way */
    CHECK_EQ(v->domain->replacing, 0);
    v->domain->max_pages = max;
    CHECK_EQ(v->domain->tot_pages, pages);
    CHECK_EQ(audit(), 0);
}

/* What is given in an exchange leaves its place to what comes, and to nobody else. */
TEST(the_place_of_what_is_exchanged)
{
    struct domain *d = pv_dom[1];
    struct frame *f = frame_alloc(0, 0);
    uint64_t max = d->max_pages;

    CHECK(f);
    d->max_pages = d->tot_pages + 1;
    frame_replace_begin(d, 1);
    CHECK_EQ(frame_assign(f, 0, d), -XEN_E2BIG);
    CHECK_EQ(frame_replace(f, 0, d, GFN_INVALID), 0);
    d->max_pages = max;
    CHECK(frame_release(f, d));
    CHECK_EQ(audit(), 0);
}

TEST(the_m2ps_frames_told_nowhere)
{
    struct xen_machphys_mfn_list list = { .max_extents = 1 };
    struct vcpu *v = as(0);

    list.extent_start.p = (void *)NOWHERE;
    CHECK(put_args(v, 0, &list, sizeof(list)));
    CHECK_EQ(memory_op(v, XENMEM_machphys_mfn_list), E(EFAULT));
}

TEST(kinds_of_frames)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getpageframeinfo3 };
    struct xen_domctl_getpageframeinfo3 *info = &op.u.getpageframeinfo3;
    struct vcpu *v = as(0);
    bool back = false;

    info->num = 1025;
    info->array.p = (void *)args_va(v);
    CHECK_EQ(pv_domctl(v, pv_dom[1], &op, &back), E(E2BIG));
    info->num = 1;
    CHECK_EQ(pv_domctl(v, pv_dom[1], &op, &back), 0);
    info->array.p = (void *)NOWHERE;
    make_endless(v->domain, true);
    endless.g.copy_to = write_anywhere;
    CHECK_EQ(pv_domctl(v, pv_dom[1], &op, &back), E(EFAULT));
    make_endless(v->domain, false);
    idle_page(0, SLOT);
    CHECK_EQ(set_va(v, PV_VA(SLOT), slot_frame(v, ARGS_SLOT) << PAGE_SHIFT | RO), 0);
    info->array.p = (void *)PV_VA(SLOT);
    CHECK_EQ(pv_domctl(v, pv_dom[1], &op, &back), E(EFAULT));
    CHECK_EQ(set_va(v, PV_VA(SLOT), 0), 0);
    info->num = 2;
    info->array.p = (void *)TOP;
    make_endless(v->domain, true);
    CHECK_EQ(pv_domctl(v, pv_dom[1], &op, &back), E(EFAULT));
    make_endless(v->domain, false);
}

TEST(hypercall_pages)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_hypercall_init };
    uint64_t l1 = l1_of(1);
    struct vcpu *v = as(0);
    bool back = false;

    op.u.hypercall_init.gmfn = l1; /* a page table */
    CHECK_EQ(pv_domctl(v, pv_dom[1], &op, &back), E(EACCES));
    op.u.hypercall_init.gmfn = frame_mfn(idle_page(2, SLOT + 20)).v;
    CHECK_EQ(pv_domctl(as(0), pv_dom[1], &op, &back), E(EACCES));
    CHECK_EQ(audit(), 0);
}

/* --- ports --- */

TEST(the_vcpus_ports)
{
    struct physdev_set_iobitmap map = { .nr_ports = 65537 };
    struct vcpu *v = as(1);

    CHECK_EQ(pv_physdev_own(v, PHYSDEVOP_set_iopl, GPTR(NOWHERE)), E(EFAULT));
    CHECK_EQ(pv_physdev_own(v, PHYSDEVOP_set_iobitmap, GPTR(NOWHERE)), E(EFAULT));
    set_xen_guest_handle_raw(map.bitmap, (uint8_t *)args_va(v));
    CHECK(put_args(v, 0, &map, sizeof(map)));
    CHECK_EQ(pv_physdev_own(v, PHYSDEVOP_set_iobitmap, GPTR(args_va(v))), E(EINVAL));
    CHECK_EQ(pv_vcpu(v)->priv.iobitmap_ports, 0);
}

/* --- the recount --- */

/* A record that names an owner, without a reference: it is in nobody's hands, nor in his. */
TEST(frames_without_a_reference_are_not_recounted)
{
    struct frame *f = frame_alloc(0, 0);
    uint64_t state = f->state;

    host_be(0);
    f->owner = 1;
    f->state &= ~FRAME_REF_MASK;
    CHECK_EQ(audit(), 0);
    f->owner = DOMID_INVALID;
    f->state = state;
    frame_free(f, 0);
}

/* An entry in Dom0's tables for what was shared with a domain that is gone says nothing of it. */
TEST(frames_of_nobody_are_not_recounted)
{
    struct frame *f = frame_alloc(0, 0);
    pte_t *l1 = page(l1_of(0));

    idle_page(0, SLOT + 1);
    f->state = (f->state & ~FRAME_TYPE_MASK) | (uint64_t)FT_L1 << FRAME_TYPE_SHIFT;
    f->state += FRAME_REF_ONE;
    l1[SLOT + 1] = frame_mfn(f).v << PAGE_SHIFT | FLAGS;
    CHECK_EQ(audit(), 1); /* that it maps a frame that is nobody's, and no more */
    l1[SLOT + 1] = 0;
    f->state -= FRAME_REF_ONE;
    frame_free(f, 0);
    CHECK_EQ(audit(), 0);
}
