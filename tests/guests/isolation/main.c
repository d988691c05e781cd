/* SPDX-License-Identifier: MIT */
/*
 * What of the hypervisor a guest's tables map, as the processor says in the error code of a fault:
 * its present bit is set where an entry is there but closed. On isolated roots (xpti=yes) that is
 * the entry code, this CPU's stacks and descriptor tables and nothing else; without, all of it, or
 * the probe proves nothing. Then entries of an L4 that come and go beside both roots.
 */
#include "guest.h"

#define IMAGE 0xffff818000200000ul
#define STACKS 0xffff818040000000ul
#define WINDOWS 0xffff818080000000ul
#define VMAP 0xffff818048000000ul
#define M2P_RW 0xffff808000000000ul
#define FRAMES 0xffff810000000000ul
#define DIRECT 0xffff830000000000ul
#define RAM (512ul << 20)

USER_CODE_BYTES(u_read, "mov (%rdi), %rax; ud2");

static bool isolated;
static bool from_user;

static bool user_sees(uint64_t va)
{
    struct regs r;

    user_regs_init(&r);
    r.rdi = va;
    CHECK_EQ(user_run(&r), VEC_PF, "user read of %#lx", va);
    return r.error & 1;
}

static bool kernel_sees(uint64_t va)
{
    uint8_t byte;

    CHECK_EQ(try_read8((const volatile void *)va, &byte), VEC_PF, "kernel read of %#lx", va);
    return this_cpu()->error & 1;
}

/* How many of n places, `step` apart, are mapped. */
static unsigned long mapped(uint64_t va, unsigned long n, uint64_t step)
{
    unsigned long found = 0;

    for (; n--; va += step)
        found += from_user ? user_sees(va) : kernel_sees(va);
    return found;
}

static void check_view(void)
{
    const char *who = from_user ? "program" : "kernel";
    unsigned long image = mapped(IMAGE, 320, PAGE_SIZE);
    unsigned long stacks = mapped(STACKS, 2 * 16, PAGE_SIZE);
    unsigned long windows = mapped(WINDOWS, 2 * 512, PAGE_SIZE);
    unsigned long direct = mapped(DIRECT + (1 << 20), 2048, PAGE_SIZE) +
                           mapped(DIRECT, RAM >> 21, 2 << 20);
    unsigned long tables = mapped(M2P_RW, 64, PAGE_SIZE) + mapped(FRAMES, 64, PAGE_SIZE) +
                           mapped(VMAP, 64, PAGE_SIZE);

    if (isolated) {
        CHECK(image >= 2 && image <= 12, "%s: %lu pages of the image", who, image);
        CHECK_EQ(stacks, 5, "%s: pages of two CPUs' stacks", who);
        CHECK(windows >= 15 && windows <= 32, "%s: %lu pages of two windows", who, windows);
        CHECK(direct <= 1, "%s: %lu pages of the direct map", who, direct);
        CHECK_EQ(tables, 0, "%s: pages of tables", who);
    } else {
        CHECK(image > 100, "%s: %lu pages of the image: the probe sees nothing", who, image);
        CHECK(stacks >= 12, "%s: %lu pages of two CPUs' stacks", who, stacks);
        CHECK(windows >= 30, "%s: %lu pages of two windows", who, windows);
        CHECK(direct > 1000, "%s: %lu pages of the direct map", who, direct);
        CHECK(tables >= 64, "%s: %lu pages of tables", who, tables);
    }
}

/* An entry of the user L4 that comes, is read by, and goes. */
static void check_user_entry(void)
{
    unsigned long data = alloc_pfn();
    struct regs r;

    *(uint64_t *)pfn_virt(data) = 0x1234abcd;
    map_page_in(user_l4_pfn, TEST_VA, pfn_pte(data, KERN_RO));
    user_regs_init(&r);
    r.rdi = TEST_VA;
    CHECK_EQ(user_run(&r), VEC_UD, "user read by a new entry");
    CHECK_EQ(r.rax, 0x1234abcd, "what it read");
    CHECK_EQ(mmu_set(pte_maddr(user_l4_pfn, TEST_VA, 4), 0), 0, "taking the entry away");
    user_regs_init(&r);
    r.rdi = TEST_VA;
    CHECK_EQ(user_run(&r), VEC_PF, "user read after that");
}

/* Through an L4 as a page of another walk the hypervisor's tables would be there to read. */
static void check_linear(void)
{
    uint64_t at = pte_maddr(user_l4_pfn, TEST_VA, 4);

    CHECK_EQ(mmu_set(at, pfn_pte(user_l4_pfn, KERN_RO)), isolated ? -22 : 0, "an L4 in itself");
    CHECK_EQ(mmu_set(at, 0), 0, "nothing there");
}

static volatile unsigned int step;
static volatile int seen[3];

static void say_and_wait(unsigned int n)
{
    step = n;
    while (step == n)
        cpu_relax();
}

/* The other vCPU: looks without any call in between. */
static void look(void *arg)
{
    uint8_t byte;

    (void)arg;
    for (unsigned int i = 0; i < ARRAY_SIZE(seen); i++) {
        while (step != 2 * i + 1)
            cpu_relax();
        seen[i] = try_read8((const volatile void *)TEST_VA, &byte);
        step = 2 * i + 2;
    }
}

/* One vCPU changes the L4 that another runs on. */
static void check_other_vcpu(void)
{
    unsigned long data = alloc_pfn();
    uint64_t at = va_pte_maddr(TEST_VA, 4);
    pte_t e;

    map_page(TEST_VA, pfn_pte(data, KERN_RO));
    e = pte_read(at);
    CHECK_EQ(mmu_set(at, 0), 0, "taking the entry away");
    CHECK(cpu_start(1, look, NULL), "the other vCPU");
    CHECK_EQ(mmu_set(at, e), 0, "giving it back");
    say_and_wait(1);
    CHECK_EQ(seen[0], NO_FAULT, "an entry that came meanwhile");
    CHECK_EQ(mmu_set(at, 0), 0, "taking it away");
    CHECK_EQ(mmuext1(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0, "flush");
    say_and_wait(3);
    CHECK_EQ(seen[1], VEC_PF, "an entry that went meanwhile");
    CHECK_EQ(mmu_set(at, e), 0, "giving it back again");
    say_and_wait(5);
    CHECK_EQ(seen[2], NO_FAULT, "and came again");
    cpu_wait(1);
}

void guest_main(void)
{
    struct account before;

    isolated = option_value("case")[1] != 'f'; /* on, off, dom0 */
    user_init();
    memset(user_code(), 0xcc, PAGE_SIZE);
    memcpy(user_code(), u_read, (size_t)(u_read_end - u_read));
    account_take(&before);
    check_view();
    from_user = true;
    check_view();
    account_check(&before, "looking");
    check_user_entry();
    check_linear();
    check_other_vcpu();
}
