/* SPDX-License-Identifier: MIT */
/*
 * A kernel as BSDs are: each L4 names itself, so that all tables are found at fixed addresses and
 * the machine address of an entry is read there; a slot for the tables of another process; queues
 * of updates; one L4 for the kernel and its program; call gates in the LDT; and a clock that ticks
 * without having been asked to.
 */
#include "guest.h"

#define SELF 400u /* slots of an L4: itself, and another process's */
#define OTHER 401u
#define VA TEST_VA
#define PAGES 600u /* more than an L1 has */

static uint64_t window(unsigned int slot)
{
    return 0xffff000000000000ul | (uint64_t)slot << 39;
}

/* Where the entry of `level` for va is seen. */
static volatile pte_t *seen(uint64_t va, int level)
{
    uint64_t at = va;

    for (int i = 0; i < level; i++)
        at = window(SELF) | (at >> 9 & 0x7ffffffff8ul);
    return (volatile pte_t *)at;
}

/* Machine address of an entry that is seen at p: what maps the window's page is an entry, too. */
static uint64_t machine(volatile pte_t *p)
{
    return (*seen((uint64_t)p, 1) & PTE_MFN) | ((uint64_t)p & 0xff8);
}

/* --- the queue of updates --- */

static struct mmu_update queue[128];
static unsigned int queued;

static void flush_queue(void)
{
    unsigned int done = 0, n = queued;

    queued = 0;
    if (n) {
        CHECK_EQ(hc_mmu_update(queue, n, &done, DOMID_SELF), 0, "%u updates", n);
        CHECK_EQ(done, n, "updates done");
    }
}

static void set(volatile pte_t *p, pte_t val)
{
    queue[queued++] = (struct mmu_update){ .ptr = machine(p), .val = val };
    if (queued == ARRAY_SIZE(queue))
        flush_queue();
}

static unsigned long tables[8];
static unsigned int nr_tables;

/* Tables down to va's L1 entry. */
static void grow(uint64_t va)
{
    for (int level = 4; level > 1; level--) {
        if (*seen(va, level) & PTE_P)
            continue;
        tables[nr_tables] = alloc_table();
        set(seen(va, level), pfn_pte(tables[nr_tables++], PT_FLAGS));
        flush_queue();
    }
}

/* From the top down, as a process's end does. */
static void shrink(void)
{
    set(seen(VA, 4), 0);
    flush_queue();
    mmuext1(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
    while (nr_tables)
        free_table(tables[--nr_tables]);
}

static void check_pmap(void)
{
    unsigned long page = alloc_pfn();

    for (unsigned int i = 0; i < PAGES; i++) {
        grow(VA + i * PAGE_SIZE);
        set(seen(VA + i * PAGE_SIZE, 1), pfn_pte(page, KERN_RW));
    }
    flush_queue();
    *(volatile uint64_t *)VA = 77;
    for (unsigned int i = 0; i < PAGES; i++) {
        uint64_t va = VA + i * PAGE_SIZE;
        CHECK(*(volatile uint64_t *)va == 77, "page %u", i);
        CHECK((*seen(va, 1) & PTE_MFN) == pfn_pte(page, 0), "entry of page %u", i);
    }
    CHECK(nr_tables == 4, "tables: %u", nr_tables);
    for (unsigned int i = 0; i < PAGES; i++)
        set(seen(VA + i * PAGE_SIZE, 1), 0);
    flush_queue();
    for (int level = 1; level <= 4; level++)
        CHECK_EQ(try_write64(seen(VA, level), 0), VEC_PF, "plain write to an L%d", level);
    shrink();
    free_pfn(page);
}

/* An L4 with the kernel's part of the current one, and itself in its slot. */
static unsigned long new_process(void)
{
    unsigned long l4 = alloc_pfn();
    pte_t *t = pfn_virt(l4);

    for (unsigned int i = 272; i < 512; i++)
        t[i] = seen(0, 4)[i];
    t[SELF] = pfn_pte(l4, KERN_RO);
    t[OTHER] = 0;
    CHECK_EQ(direct_set(l4, KERN_RO), 0, "read-only");
    CHECK_EQ(mmuext1(MMUEXT_PIN_L4_TABLE, p2m[l4], 0), 0, "pin a process's L4");
    return l4;
}

static void check_processes(void)
{
    unsigned long first = kernel_l4_pfn, l4 = new_process(), third = new_process();
    volatile pte_t *other = (void *)(window(OTHER) | (seen(VA, 4) - seen(0, 4)) * 8 |
                                     (uint64_t)SELF << 30 | (uint64_t)SELF << 21 |
                                     (uint64_t)SELF << 12);

    /* The other's tables: its L4 is seen through two of its own entries. */
    set(&seen(0, 4)[OTHER], pfn_pte(l4, KERN_RO));
    flush_queue();
    CHECK_EQ(*other & PTE_P, 0, "the other's slot is empty");
    CHECK_EQ(((volatile pte_t *)((uint64_t)other & ~0xffful))[SELF] & PTE_MFN, pfn_pte(l4, 0),
             "the other's L4 names itself");
    /* Then the third's; a chain is refused. */
    set(&seen(0, 4)[OTHER], pfn_pte(third, KERN_RO));
    flush_queue();
    ANSWER(mmu_set((p2m[third] << 12) + OTHER * 8, pfn_pte(l4, KERN_RO)), -EINVAL);
    set(&seen(0, 4)[OTHER], 0);
    flush_queue();

    CHECK_EQ(mmuext1(MMUEXT_NEW_BASEPTR, p2m[l4], 0), 0, "switch");
    kernel_l4_pfn = l4;
    CHECK_EQ(seen(0, 4)[SELF] & PTE_MFN, pfn_pte(l4, 0), "the window shows the new one");
    check_pmap();
    CHECK_EQ(mmuext1(MMUEXT_NEW_BASEPTR, p2m[first], 0), 0, "switch back");
    kernel_l4_pfn = first;
    ANSWER(mmuext1(MMUEXT_UNPIN_TABLE, p2m[l4], 0), 0);
    ANSWER(mmuext1(MMUEXT_UNPIN_TABLE, p2m[third], 0), 0);
    free_table(l4);
    free_table(third);
}

USER_CODE_BYTES(u_syscall, "mov $1234, %eax; syscall; ud2");

/* The program runs on the kernel's own L4. */
static void check_one_l4(void)
{
    unsigned long code = alloc_pfn(), stack = alloc_pfn();
    struct regs r;

    memcpy(pfn_virt(code), u_syscall, (size_t)(u_syscall_end - u_syscall));
    map_page(USER_CODE, pfn_pte(code, KERN_RO));
    map_page(USER_STACK - PAGE_SIZE, pfn_pte(stack, KERN_RW));
    ANSWER(mmuext1(MMUEXT_NEW_USER_BASEPTR, p2m[kernel_l4_pfn], 0), 0);
    for (int i = 0; i < 20; i++) {
        user_regs_init(&r);
        CHECK_EQ(user_run(&r), VEC_SYSCALL, "a program's system call");
        CHECK_EQ(r.rax, 1234, "rax");
    }
    CHECK_EQ(M2P[p2m[code]], code, "the kernel sees the M2P");
    ANSWER(mmuext1(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
}

/* Gates are taken and lead nowhere; the descriptors behind them are what they were. */
static void check_ldt(void)
{
    unsigned long pfn = alloc_pfn();
    uint64_t *ldt = pfn_virt(pfn);
    struct {
        uint64_t rip;
        uint16_t sel;
    } __attribute__((packed)) far = { 0, 7 };

    ldt[0] = 0x0000ec00e0330000ul; /* call gate of 64 bits, its upper half behind it */
    ldt[2] = 0x00affa000000fffful; /* code and data of a program */
    ldt[3] = 0x00cff2000000fffful;
    ANSWER(direct_set(pfn, KERN_RO), 0);
    ANSWER(mmuext1(MMUEXT_SET_LDT, (uint64_t)pfn_virt(pfn), 512), 0);
    CHECK_EQ(TRY("mov %w0, %%es", "r"(3 * 8 + 7)), NO_FAULT, "data segment of the LDT");
    __asm__ volatile("mov %w0, %%es" : : "r"(0));
    CHECK_EQ(TRY(".byte 0x48; lcall *%0", "m"(far)), VEC_GP, "through the gate");
    ANSWER(mmuext1(MMUEXT_SET_LDT, 0, 0), 0);
    ANSWER(direct_set(pfn, KERN_RW), 0);
    free_pfn(pfn);
}

/* A hundred times a second, from the beginning, while the vCPU runs. */
static void check_ticker(void)
{
    long port = event_bind_virq(VIRQ_TIMER, 0);
    uint64_t end = system_time() + 3000000000ul;

    CHECK(port > 0, "VIRQ_TIMER: %ld", port);
    event_port_unmask((unsigned int)port);
    events_on();
    while (port_hits[port] < 10 && system_time() < end)
        cpu_relax();
    events_off();
    CHECK(port_hits[port] >= 10, "%u ticks", port_hits[port]);
    event_close((unsigned int)port);
}

void guest_main(void)
{
    struct evtchn_alloc_unbound any = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
    struct account before;
    uint64_t slot;

    check_one_l4();                                    /* first: it leaves tables behind */
    hc_event_channel_op(EVTCHNOP_alloc_unbound, &any); /* the first makes the table */
    event_close(any.port);
    account_take(&before);
    slot = (p2m[kernel_l4_pfn] << 12) + SELF * 8;
    ANSWER(mmu_set(slot, pfn_pte(kernel_l4_pfn, KERN_RO)), 0);
    check_pmap();
    check_processes();
    check_ldt();
    ANSWER(mmu_set(slot, 0), 0);
    check_ticker();
    account_check(&before, "a BSD's life");
}
