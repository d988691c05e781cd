/* SPDX-License-Identifier: MIT */
/* Guest user mode: an L4 of its own with one page of code and two of data; runs until a trap. */
#include "guest.h"

unsigned long user_l4_pfn;

static unsigned long code_pfn, data_pfn[2];

void user_init(void)
{
    if (user_l4_pfn)
        return;
    user_l4_pfn = alloc_table();
    code_pfn = alloc_pfn();
    data_pfn[0] = alloc_pfn();
    data_pfn[1] = alloc_pfn();
    CHECK_EQ(mmuext1(MMUEXT_PIN_L4_TABLE, p2m[user_l4_pfn], 0), 0, "pin the user L4");
    map_page_in(user_l4_pfn, USER_CODE, pfn_pte(code_pfn, KERN_RO));
    map_page_in(user_l4_pfn, USER_DATA, pfn_pte(data_pfn[0], KERN_RW));
    map_page_in(user_l4_pfn, USER_DATA + PAGE_SIZE, pfn_pte(data_pfn[1], KERN_RW));
    CHECK_EQ(mmuext1(MMUEXT_NEW_USER_BASEPTR, p2m[user_l4_pfn], 0), 0, "new user baseptr");
}

void *user_code(void)
{
    return pfn_virt(code_pfn);
}

void *user_data(void)
{
    /* The two pages need not be adjacent; tests use the first. */
    return pfn_virt(data_pfn[0]);
}

void user_regs_init(struct regs *r)
{
    memset(r, 0, sizeof(*r));
    r->rip = USER_CODE;
    r->cs = FLAT_USER_CS;
    r->ss = FLAT_USER_SS;
    r->rsp = USER_STACK - 64;
    r->rflags = 0x202;
}

static void enter(void *arg)
{
    struct regs *r = arg;
    struct regs frame[1] __attribute__((aligned(16)));

    frame[0] = *r;
    this_cpu()->user_running = true;
    regs_enter(frame);
}

int user_run(struct regs *r)
{
    int vector = try_call(enter, r);
    struct cpu *cpu = this_cpu();

    cpu->user_running = false;
    *r = cpu->regs;
    return vector;
}

int user_run_code(const void *start, const void *end, struct regs *r)
{
    memset(user_code(), 0xcc, PAGE_SIZE);
    memcpy(user_code(), start, (size_t)((const char *)end - (const char *)start));
    user_regs_init(r);
    return user_run(r);
}
