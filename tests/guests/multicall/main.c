/* SPDX-License-Identifier: MIT */
/* Multicalls: results, order, nesting, very long ones, lists that the calls themselves change. */
#include "guest.h"

#define LONG_LIST 20000

static struct multicall_entry list[LONG_LIST];

static void version_call(struct multicall_entry *c)
{
    memset(c, 0, sizeof(*c));
    c->op = __HYPERVISOR_xen_version;
    c->result = 0x5555;
}

static void check_results(void)
{
    for (int i = 0; i < 5; i++)
        version_call(&list[i]);
    list[1].op = 63;
    list[2].op = ~0ul;
    list[3].args[0] = 999;
    CHECK_EQ(hc_multicall(list, 5), 0, "multicall");
    CHECK_EQ(list[0].result >> 16, 4, "first");
    CHECK_EQ(list[1].result, -ENOSYS, "unknown hypercall");
    CHECK_EQ(list[2].result, -ENOSYS, "hypercall -1");
    CHECK_EQ(list[3].result, -ENOSYS, "unknown sub-operation");
    CHECK_EQ(list[4].result >> 16, 4, "last");
    CHECK_EQ(list[5].result, 0, "one beyond");
    CHECK_EQ(hc_multicall(list, 0), 0, "no calls");
    CHECK_EQ(hc_multicall(list, 1), 0, "one call");
}

static void check_long(void)
{
    unsigned int wrong = 0;

    for (unsigned int i = 0; i < LONG_LIST; i++)
        version_call(&list[i]);
    CHECK_EQ(hc_multicall(list, LONG_LIST), 0, "a long list");
    for (unsigned int i = 0; i < LONG_LIST; i++)
        wrong += list[i].result >> 16 != 4;
    CHECK_EQ(wrong, 0, "results of the long list");
}

/* A list that runs off the mapped memory ends with -EFAULT after what could be done. */
static void check_runs_off(void)
{
    struct multicall_entry *c = (struct multicall_entry *)TEST_VA;

    for (unsigned int i = 0; i < PAGE_SIZE / sizeof(*c); i++)
        version_call(&c[i]);
    CHECK_EQ(hc_multicall(c, 0xffffffff), -EFAULT, "endless list");
    CHECK_EQ(c[PAGE_SIZE / sizeof(*c) - 1].result >> 16, 4, "the last that is mapped");
    CHECK_EQ(hc_multicall(c, 0x80000000), -EFAULT, "endless list");
}

static void check_nested(void)
{
    version_call(&list[10]);
    version_call(&list[0]);
    version_call(&list[2]);
    list[1].op = __HYPERVISOR_multicall;
    list[1].args[0] = (uint64_t)&list[10];
    list[1].args[1] = 1;
    list[1].result = 0;
    CHECK_EQ(hc_multicall(list, 3), 0, "a multicall in a multicall");
    CHECK((long)list[1].result < 0, "nested result %ld", (long)list[1].result);
    CHECK_EQ(list[2].result >> 16, 4, "after the nested one");
    /* A list that names itself. */
    list[0] = list[1];
    list[0].args[0] = (uint64_t)list;
    CHECK_EQ(hc_multicall(list, 1), 0, "a multicall of itself");
    CHECK((long)list[0].result < 0, "its result %ld", (long)list[0].result);
}

/* The calls unmap the list they stand in; the rest is not executed. */
static void check_unmaps_itself(void)
{
    struct multicall_entry *c = (struct multicall_entry *)TEST_VA;
    pte_t pte = va_pte(TEST_VA, 1);
    long rc;

    for (unsigned int i = 0; i < 4; i++)
        version_call(&c[i]);
    c[1] = (struct multicall_entry){
        .op = __HYPERVISOR_update_va_mapping,
        .args = { TEST_VA, 0, UVMF_INVLPG | UVMF_ALL },
    };
    rc = hc_multicall(c, 4);
    CHECK_EQ(rc, -EFAULT, "a list that unmaps itself");
    CHECK_EQ(hc_update_va_mapping(TEST_VA, pte, UVMF_INVLPG), 0, "mapped again");
    CHECK_EQ(c[0].result >> 16, 4, "before");
    CHECK_EQ(c[3].result, 0x5555, "after");
    /* Read-only: nothing can be reported. */
    CHECK_EQ(hc_update_va_mapping(TEST_VA, pte & ~PTE_RW, UVMF_INVLPG), 0, "read-only");
    CHECK_EQ(hc_multicall(c, 1), -EFAULT, "a read-only list");
    CHECK_EQ(hc_update_va_mapping(TEST_VA, pte, UVMF_INVLPG), 0, "writable");
}

/* mmu_update in a multicall, long enough to be cut into pieces. */
static void check_batches(void)
{
    static struct mmu_update u[512];
    uint64_t entry = va_pte_maddr(TEST_VA, 1) & ~0xffful;
    unsigned long pfn = alloc_pfn();
    unsigned int wrong = 0;

    for (unsigned int round = 0; round < 2; round++) {
        for (unsigned int i = 1; i < 512; i++)
            u[i] = (struct mmu_update){ entry + 8 * i, round ? 0 : pfn_pte(pfn, KERN_RW) };
        for (unsigned int i = 0; i < 64; i++)
            list[i] = (struct multicall_entry){
                .op = __HYPERVISOR_mmu_update,
                .result = 1,
                .args = { (uint64_t)&u[1], 511, 0, DOMID_SELF },
            };
        CHECK_EQ(hc_multicall(list, 64), 0, "a batch of mmu_update");
        for (unsigned int i = 0; i < 64; i++)
            wrong += list[i].result != 0;
        for (unsigned int i = 1; i < 512; i++)
            wrong += (pte_read(entry + 8 * i) & PTE_P) != !round;
    }
    CHECK_EQ(wrong, 0, "results");
    CHECK_EQ(direct_set(pfn, KERN_RO), 0, "read-only");
    CHECK_EQ(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[pfn], 0), 0, "no reference was left");
    CHECK_EQ(mmuext1(MMUEXT_UNPIN_TABLE, p2m[pfn], 0), 0, "unpin");
    CHECK_EQ(direct_set(pfn, KERN_RW), 0, "writable");
}

/* Calls that leave for elsewhere: a block with an event pending, stack_switch, yield. */
static void check_scheduling(void)
{
    for (int i = 0; i < 3; i++)
        version_call(&list[i]);
    list[1] = (struct multicall_entry){ .op = __HYPERVISOR_sched_op, .args = { SCHEDOP_yield } };
    CHECK_EQ(hc_multicall(list, 3), 0, "yield in a multicall");
    CHECK_EQ(list[1].result, 0, "yield");
    CHECK_EQ(list[2].result >> 16, 4, "after yield");
}

/*
 * iret in a multicall ends it: what is behind it does not run, and nobody is told a result. The
 * frame is where the stack was at the multicall.
 */
USER_CODE_BYTES(u_stop, "nop; ud2");

static void leave(void *arg)
{
    (void)arg;
    /* rax, r11, rcx, flags of the call, then where to: rip, cs, rflags, rsp, ss. */
    static struct {
        uint64_t rax, r11, rcx, flags, rip, cs, rflags, rsp, ss;
    } frame;
    struct regs r;

    user_regs_init(&r);
    frame.rip = r.rip;
    frame.cs = r.cs;
    frame.rflags = r.rflags;
    frame.rsp = r.rsp;
    frame.ss = r.ss;
    frame.rax = 0x77;
    this_cpu()->user_running = true;
    register uint64_t a1 __asm__("rdi") = (uint64_t)list;
    register uint64_t a2 __asm__("rsi") = 4;
    __asm__ volatile("mov %0, %%rsp; mov %1, %%eax; syscall; ud2"
                     :
                     : "r"(&frame), "i"(__HYPERVISOR_multicall), "r"(a1), "r"(a2)
                     : "memory");
}

static void check_iret(void)
{
    int vector;

    user_init();
    memset(user_code(), 0xcc, PAGE_SIZE);
    memcpy(user_code(), u_stop, (size_t)(u_stop_end - u_stop));
    for (int i = 0; i < 4; i++)
        version_call(&list[i]);
    list[1].op = __HYPERVISOR_iret;
    vector = try_call(leave, NULL);
    this_cpu()->user_running = false;
    CHECK_EQ(vector, VEC_UD, "a program runs");
    CHECK_EQ(this_cpu()->regs.rip, USER_CODE + 1, "where");
    CHECK_EQ(this_cpu()->regs.rax, 0x77, "rax of the frame");
    CHECK_EQ(list[0].result >> 16, 4, "before iret");
    CHECK_EQ(list[1].result, 0x5555, "of iret");
    CHECK_EQ(list[2].result, 0x5555, "after iret");
    CHECK_EQ(list[3].result, 0x5555, "after iret");
    /* The next multicall is one of its own. */
    for (int i = 0; i < 3; i++)
        version_call(&list[i]);
    CHECK_EQ(hc_multicall(list, 3), 0, "another one");
    CHECK_EQ(list[2].result >> 16, 4, "its last");
}

void guest_main(void)
{
    struct account before;
    unsigned long pfn = alloc_pfn();

    map_page(TEST_VA, pfn_pte(pfn, KERN_RW));
    user_init();
    account_take(&before);
    check_results();
    check_long();
    check_runs_off();
    check_nested();
    check_unmaps_itself();
    check_batches();
    check_scheduling();
    check_iret();
    account_check(&before, "multicall");
}
