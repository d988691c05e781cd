/* SPDX-License-Identifier: MIT */
/*
 * A kernel as the first Linux on Xen was: a process's tables are built as data, made read-only in
 * one multicall and pinned, the kernel's L4 and the program's as a pair; then L1 entries are
 * written as if they were memory, upper ones by mmu_update; a context switch is one multicall;
 * timers, blocking and events go by the calls of their time.
 */
#include "guest.h"

#define PAGES 64u

struct mm {
    unsigned long l4, user_l4, l3, l2, l1; /* pfns; the pair shares what is below */
    unsigned long page;
};

static volatile pte_t *entry(const struct mm *m, unsigned int i)
{
    return (volatile pte_t *)pfn_virt(m->l1) + i;
}

/* --- a process's memory --- */

static void set_all(const struct mm *m, uint64_t flags)
{
    unsigned long pfn[] = { m->l1, m->l2, m->l3, m->user_l4, m->l4 };
    struct multicall_entry call[ARRAY_SIZE(pfn)];

    for (unsigned int i = 0; i < ARRAY_SIZE(pfn); i++)
        call[i] = (struct multicall_entry){ .op = __HYPERVISOR_update_va_mapping,
                                            .args = { (uint64_t)pfn_virt(pfn[i]),
                                                      pfn_pte(pfn[i], flags), 0 } };
    call[ARRAY_SIZE(pfn) - 1].args[2] = UVMF_TLB_FLUSH | UVMF_ALL;
    ANSWER(hc_multicall(call, ARRAY_SIZE(call)), 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(pfn); i++)
        CHECK_EQ(call[i].result, 0, "call %u", i);
}

static void pin_pair(const struct mm *m, bool pin)
{
    unsigned int cmd = pin ? MMUEXT_PIN_L4_TABLE : MMUEXT_UNPIN_TABLE, done = 0;
    struct mmuext_op op[2] = { { .cmd = cmd }, { .cmd = cmd } };

    op[0].arg1.mfn = p2m[m->l4];
    op[1].arg1.mfn = p2m[m->user_l4];
    ANSWER(hc_mmuext_op(op, 2, &done, DOMID_SELF), 0);
    CHECK_EQ(done, 2, "pins");
}

static void mm_create(struct mm *m)
{
    pte_t *l4;

    *m = (struct mm){
        alloc_pfn(), alloc_pfn(), alloc_pfn(), alloc_pfn(), alloc_pfn(), alloc_pfn()
    };
    l4 = pfn_virt(m->l4);
    for (unsigned int i = 272; i < 512; i++)
        l4[i] = ((volatile pte_t *)pfn_virt(kernel_l4_pfn))[i];
    for (unsigned int i = 0; i < PAGES; i++)
        ((pte_t *)pfn_virt(m->l1))[i] = pfn_pte(m->page, KERN_RW);
    ((pte_t *)pfn_virt(m->l2))[USER_CODE >> 21] = pfn_pte(m->l1, PT_FLAGS);
    ((pte_t *)pfn_virt(m->l3))[0] = pfn_pte(m->l2, PT_FLAGS);
    l4[0] = ((pte_t *)pfn_virt(m->user_l4))[0] = pfn_pte(m->l3, PT_FLAGS);
    set_all(m, KERN_RO);
    pin_pair(m, true);
}

static void mm_destroy(struct mm *m)
{
    unsigned long pfn[] = { m->l4, m->user_l4, m->l3, m->l2, m->l1, m->page };

    pin_pair(m, false);
    set_all(m, KERN_RW);
    for (unsigned int i = 0; i < ARRAY_SIZE(pfn); i++)
        free_pfn(pfn[i]);
}

/* Both bases, the kernel's stack, FPU and three thread descriptors, in one call each way. */
static void switch_to(unsigned long l4, unsigned long user_l4, uint64_t gdt)
{
    struct mmuext_op op[2] = { { .cmd = MMUEXT_NEW_BASEPTR }, { .cmd = MMUEXT_NEW_USER_BASEPTR } };
    uint64_t stack = (uint64_t)this_cpu() + CPU_TRAP_STACK;
    struct multicall_entry call[] = {
        { .op = __HYPERVISOR_fpu_taskswitch, .args = { 1 } },
        { .op = __HYPERVISOR_stack_switch, .args = { FLAT_KERNEL_SS, stack } },
        { .op = __HYPERVISOR_update_descriptor, .args = { gdt + 12 * 8, 0x00cff2000000fffful } },
        { .op = __HYPERVISOR_update_descriptor, .args = { gdt + 13 * 8, 0 } },
        { .op = __HYPERVISOR_update_descriptor, .args = { gdt + 14 * 8, 0 } },
        { .op = __HYPERVISOR_mmuext_op, .args = { (uint64_t)op, 2, 0, DOMID_SELF } },
        { .op = __HYPERVISOR_fpu_taskswitch, .args = { 0 } },
    };

    op[0].arg1.mfn = p2m[l4];
    op[1].arg1.mfn = user_l4 ? p2m[user_l4] : 0;
    ANSWER(hc_multicall(call, ARRAY_SIZE(call)), 0);
    for (unsigned int i = 0; i < ARRAY_SIZE(call); i++)
        CHECK_EQ(call[i].result, 0, "call %u of the switch", i);
}

/* What set_pte(), ptep_get_and_clear(), ptep_set_wrprotect() and cmpxchg were then. */
static void check_ptes(struct mm *m)
{
    pte_t full = pfn_pte(m->page, KERN_RW), old;

    for (unsigned int round = 0; round < 4; round++) {
        for (unsigned int i = 0; i < PAGES; i++) {
            volatile pte_t *p = entry(m, i);

            __asm__ volatile("lock btrq $1, %0" : "+m"(*p) : : "cc");
            CHECK(!(*p & PTE_RW), "write-protected");
            __asm__ volatile("lock orq $2, %0" : "+m"(*p) : : "cc");
            CHECK(*p & PTE_RW, "writable again");
            old = __atomic_exchange_n(p, 0, __ATOMIC_SEQ_CST);
            CHECK((old & PTE_MFN) == (full & PTE_MFN) && *p == 0, "taken out");
            *p = full;
            old = *p;
            CHECK(__atomic_compare_exchange_n(p, &old, full | 1 << 9, false, __ATOMIC_SEQ_CST,
                                              __ATOMIC_SEQ_CST),
                  "cmpxchg");
            ((volatile uint32_t *)p)[0] = (uint32_t)full; /* in halves, as 32-bit kernels */
            ((volatile uint32_t *)p)[1] = (uint32_t)(full >> 32);
        }
    }
    CHECK_EQ(*entry(m, 5) & PTE_MFN, full & PTE_MFN, "an entry after all that");
}

/* A queue of mixed updates: entries of two levels, and the M2P. */
static void check_queue(struct mm *m)
{
    struct mmu_update u[128];
    unsigned int done = 0;

    for (unsigned int i = 0; i < ARRAY_SIZE(u); i += 4) {
        u[i] = (struct mmu_update){ (p2m[m->l1] << 12) + (200 + i) * 8, pfn_pte(m->page, KERN_RO) };
        u[i + 1] = (struct mmu_update){ (p2m[m->l2] << 12) + 8 * 100, 0 };
        u[i + 2] = (struct mmu_update){ (p2m[m->page] << 12) | MMU_MACHPHYS_UPDATE, m->page };
        u[i + 3] = (struct mmu_update){ (p2m[m->l1] << 12) + (200 + i) * 8, 0 };
    }
    ANSWER(hc_mmu_update(u, ARRAY_SIZE(u), &done, DOMID_SELF), 0);
    CHECK_EQ(done, ARRAY_SIZE(u), "done");
}

USER_CODE_BYTES(u_code, "mov $0x400800, %rax; movq $5, (%rax); mov $7, %eax; syscall; ud2");

static void check_program(struct mm *m)
{
    struct regs r;

    memcpy(pfn_virt(m->page), u_code, (size_t)(u_code_end - u_code));
    user_regs_init(&r);
    CHECK_EQ(user_run(&r), VEC_SYSCALL, "the program's system call");
    CHECK_EQ(r.rax, 7, "rax");
    CHECK_EQ(*(uint64_t *)((uint8_t *)pfn_virt(m->page) + 0x800), 5, "what it wrote");
}

static void check_processes(void)
{
    unsigned long gdt = alloc_pfn();
    unsigned long frame = p2m[gdt];
    struct mm a, b;

    ANSWER(direct_set(gdt, KERN_RO), 0);
    ANSWER(hc_set_gdt(&frame, 512), 0);
    for (unsigned int i = 0; i < 3; i++) {
        mm_create(&a);
        mm_create(&b);
        switch_to(a.l4, a.user_l4, frame << 12);
        check_program(&a);
        check_ptes(&a);
        check_ptes(&b);
        switch_to(b.l4, b.user_l4, frame << 12);
        check_program(&b);
        check_queue(&a);
        switch_to(kernel_l4_pfn, 0, frame << 12);
        mm_destroy(&a);
        mm_destroy(&b);
    }
    ANSWER(hc_set_gdt(NULL, 0), 0);
    ANSWER(direct_set(gdt, KERN_RW), 0);
    free_pfn(gdt);
}

/* --- the calls of its time --- */

static long event_op(unsigned int cmd, struct evtchn_op *op)
{
    op->cmd = cmd;
    return HC1(__HYPERVISOR_event_channel_op_compat, op);
}

static void check_old_calls(void)
{
    struct physdev_op iopl = { .cmd = PHYSDEVOP_set_iopl, .u.set_iopl.iopl = 1 };
    struct evtchn_op e = { .u.bind_virq = { .virq = VIRQ_TIMER } };
    unsigned int port;

    ANSWER(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_4gb_segments), 0);
    ANSWER(HC1(__HYPERVISOR_physdev_op_compat, &iopl), 0);
    events_off(); /* the program ran with events on */
    ANSWER(event_op(EVTCHNOP_bind_virq, &e), 0);
    port = e.u.bind_virq.port;
    ANSWER(HC2(__HYPERVISOR_sched_op_compat, SCHEDOP_yield, 0), 0);
    event_port_unmask(port);
    events_on();
    events_off();
    ANSWER(hc_vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
    for (unsigned int i = 0; i < 5; i++) {
        unsigned int before = port_hits[port];
        uint64_t end = system_time() + 2000000000ul;

        ANSWER(hc_set_timer_op(system_time() + 2000000), 0);
        for (;;) {
            events_off(); /* no wake-up is lost: blocking lets events in */
            if (port_hits[port] != before || system_time() > end)
                break;
            HC2(__HYPERVISOR_sched_op_compat, SCHEDOP_block, 0);
        }
        CHECK(port_hits[port] > before, "timer %u", i);
    }
    e.u.close.port = port;
    ANSWER(event_op(EVTCHNOP_close, &e), 0);
}

static void check_balloon(void)
{
    unsigned long pfn = alloc_pfn();
    xen_pfn_t frame = p2m[pfn];
    struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };

    set_xen_guest_handle(r.extent_start, &frame);
    ANSWER(direct_set(pfn, 0), 0);
    ANSWER(hc_memory_op(XENMEM_decrease_reservation, &r), 1);
    ANSWER(hc_memory_op(XENMEM_increase_reservation, &r), 1); /* and tells the M2P itself */
    ANSWER(mmu_set_cmd(frame << 12, pfn, MMU_MACHPHYS_UPDATE), 0);
    p2m[pfn] = frame;
    ANSWER(direct_set(pfn, KERN_RW), 0);
    free_pfn(pfn);
}

void guest_main(void)
{
    struct evtchn_alloc_unbound any = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
    struct account before;

    ANSWER(hc_vm_assist(VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
    hc_event_channel_op(EVTCHNOP_alloc_unbound, &any); /* the first makes the table */
    event_close(any.port);
    account_take(&before);
    check_processes();
    check_balloon();
    check_old_calls();
    account_check(&before, "an early Linux's life");
}
