/* SPDX-License-Identifier: MIT */
/*
 * The iret hypercall with forged frames. Each ends in user code's own trap, a trap or the failsafe
 * callback in the kernel; privileges and flags never come from the frame.
 */
#include "guest.h"

USER_CODE_BYTES(u_flags, "pushf; pop %rax; mov %rsp, %rbx; ud2");
USER_CODE_BYTES(u_seg, "mov %ss, %eax; mov %cs, %ebx; ud2");

void iret_with(struct iret_context *c);

/* Leaves through a struct iret_context of the test's making. */
__asm__(".text\n"
        "iret_with:\n"
        "mov %rdi, %rsp\n"
        "mov $23, %eax\n"
        "syscall\n"
        "ud2\n");

static void enter(void *arg)
{
    struct iret_context *copy = (struct iret_context *)((uint64_t)user_data() + 0xc00);

    *copy = *(struct iret_context *)arg;
    iret_with(copy);
}

static struct iret_context frame(void)
{
    struct iret_context c = {
        .rip = USER_CODE,
        .cs = FLAT_USER_CS,
        .rflags = 0x202,
        .rsp = USER_STACK - 64,
        .ss = FLAT_USER_SS,
    };

    return c;
}

static int go(struct iret_context *c)
{
    return try_call(enter, c);
}

/* Flags a frame asks for, and which of them user mode gets. */
static void check_flags(void)
{
    static const uint64_t ask[] = {
        0,       0x200,   0x3200,   0x4200,   0x20200,  0x10200,
        0x40200, 0x80200, 0x100200, 0x200200, ~0x100ul, 0xffffffff00000202ul,
        0x8d5,
    };

    memcpy(user_code(), u_flags, (size_t)(u_flags_end - u_flags));
    for (int way = 0; way < 2; way++) {
        for (unsigned int i = 0; i < ARRAY_SIZE(ask); i++) {
            struct iret_context c = frame();
            uint64_t got;

            c.rflags = ask[i];
            c.flags = way ? VGCF_in_syscall : 0;
            CHECK_EQ(go(&c), VEC_UD, "flags %#lx way %d", ask[i], way);
            got = this_cpu()->regs.rax;
            CHECK_EQ(got & 0x3000, 0, "IOPL, flags %#lx", ask[i]);
            CHECK_EQ(got & 0x1a0000, 0, "VM, VIF, VIP, flags %#lx", ask[i]);
            CHECK(got & 0x200, "IF, flags %#lx", ask[i]);
            CHECK_EQ(got >> 32, 0, "upper half, flags %#lx", ask[i]);
            CHECK_EQ(got & 0xd5, ask[i] & 0xd5, "status bits, flags %#lx", ask[i]);
            CHECK_EQ(shared->vcpu_info[0].evtchn_upcall_mask, !(ask[i] & 0x200),
                     "upcall mask, flags %#lx", ask[i]);
            shared->vcpu_info[0].evtchn_upcall_mask = 1;
        }
    }
}

/* Addresses: not canonical, the hypervisor's, the kernel's. */
static void check_addresses(void)
{
    static const uint64_t bad[] = {
        0x0000800000000000, 0x8000000000000000, 0xffff7fffffffffff,
        0xffff800000000000, 0xffff82d080000000, 0xffff87ffffffffff,
        0xffffffff80100000, 0x00007fffffffffff, 0,
    };

    memcpy(user_code(), u_flags, (size_t)(u_flags_end - u_flags));
    for (int way = 0; way < 2; way++) {
        for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
            struct iret_context c = frame();
            int v;

            c.rip = bad[i];
            c.flags = way ? VGCF_in_syscall : 0;
            v = go(&c);
            CHECK(v == VEC_GP || v == VEC_PF || v == VEC_FAILSAFE, "rip %#lx way %d: %d", bad[i],
                  way, v);
            c = frame();
            c.rsp = bad[i];
            c.flags = way ? VGCF_in_syscall : 0;
            v = go(&c);
            /* pushf faults on the bad stack, in user mode */
            CHECK(v == VEC_PF || v == VEC_SS || v == VEC_GP || v == VEC_FAILSAFE,
                  "rsp %#lx way %d: %d", bad[i], way, v);
            if (v == VEC_PF || v == VEC_SS)
                CHECK_EQ(this_cpu()->regs.cs & 3, 3, "rsp %#lx: cs", bad[i]);
        }
    }
}

#define LOWER_END 0x0000800000000000ul

static void call_at_the_end(void *arg)
{
    __asm__ volatile("jmp *%0" ::"r"(arg), "a"(__HYPERVISOR_xen_version), "D"(0ul), "S"(0ul)
                     : "memory");
}

/* A hypercall by the lower half's last instruction would go on at an address that is none. */
static void check_end_of_lower_half(void)
{
    unsigned long pfn = alloc_pfn();
    const struct regs *r = &this_cpu()->regs;
    int v;

    ((uint8_t *)pfn_virt(pfn))[PAGE_SIZE - 2] = 0x0f; /* syscall */
    ((uint8_t *)pfn_virt(pfn))[PAGE_SIZE - 1] = 0x05;
    map_page(LOWER_END - PAGE_SIZE, pfn_pte(pfn, KERN_RO));
    v = try_call(call_at_the_end, (void *)(LOWER_END - 2));
    CHECK(v == VEC_GP || v == VEC_PF || v == VEC_FAILSAFE, "rip %#lx: %d", r->rip, v);
    CHECK(r->r11 >> 22 == 0, "r11 %#lx is no flags", r->r11);
    CHECK_EQ(hc_update_va_mapping(LOWER_END - PAGE_SIZE, 0, UVMF_INVLPG), 0, "unmap");
    free_pfn(pfn);
}

/* Selectors: null, the hypervisor's, with every RPL, swapped; all upper bits set. */
static void check_selectors(void)
{
    static const uint16_t sel[] = {
        0,      3,      0xe008, 0xe00b, 0xe010, 0xe013, 0xe018, 0xe020, 0xe028,
        0xe038, 0xe03b, 0xe040, 0xe050, 0xfff8, 0xffff, 0x0007, 0xe02b,
    };

    memcpy(user_code(), u_seg, (size_t)(u_seg_end - u_seg));
    for (int way = 0; way < 2; way++) {
        for (unsigned int i = 0; i < ARRAY_SIZE(sel); i++) {
            struct iret_context c = frame();
            int v;

            c.cs = sel[i] | 3;
            c.flags = way ? VGCF_in_syscall : 0;
            v = go(&c);
            CHECK(v == VEC_GP || v == VEC_NP || v == VEC_FAILSAFE ||
                      ((way || sel[i] == 0xe020) && v == VEC_UD),
                  "cs %#x way %d: %d", sel[i], way, v);
            if (v == VEC_UD)
                CHECK_EQ(this_cpu()->regs.rbx & 3, 3, "cs %#x gave", sel[i]);
            c = frame();
            c.ss = sel[i];
            c.flags = way ? VGCF_in_syscall : 0;
            v = go(&c);
            CHECK(v == VEC_GP || v == VEC_SS || v == VEC_NP || v == VEC_FAILSAFE || v == VEC_UD,
                  "ss %#x way %d: %d", sel[i], way, v);
            if (v == VEC_UD)
                CHECK_EQ(this_cpu()->regs.rax & 3, 3, "ss %#x gave", sel[i]);
        }
    }
}

/* RPL 1 and 2 in the frame, with and without a stack segment: nothing below ring 3 comes of it. */
static void check_rings(void)
{
    static const uint16_t sel[] = { 0xe008, 0xe018, 0xe020, 0xe030 };

    memcpy(user_code(), u_seg, (size_t)(u_seg_end - u_seg));
    for (unsigned int i = 0; i < 4 * ARRAY_SIZE(sel); i++) {
        struct iret_context c = frame();
        int v;

        c.cs = (uint16_t)(sel[i / 4] | (i % 2 + 1));
        if (i / 2 % 2)
            c.ss = 0;
        v = go(&c);
        CHECK(v == VEC_GP || v == VEC_NP || v == VEC_FAILSAFE, "cs %#lx ss %#lx: %d", c.cs, c.ss,
              v);
        if (v == VEC_PF || v == VEC_UD)
            CHECK_EQ(this_cpu()->regs.cs & 3, 3, "cs %#lx: ring", c.cs);
    }
}

static uint64_t kernel_rsp;

static bool in_kernel(struct regs *r)
{
    if (r->vector == VEC_UD)
        kernel_rsp = r->rsp;
    return false;
}

__asm__(".text\n.globl kernel_target\nkernel_target: pushf; pop %rax; ud2");
extern char kernel_target[];

/* To the kernel itself (RPL 0 in the frame): flags as before, still ring 3. */
static void check_to_kernel(void)
{
    struct iret_context c = frame();

    c.rip = (uint64_t)kernel_target;
    c.cs = FLAT_KERNEL_CS & ~3;
    c.ss = FLAT_KERNEL_SS;
    c.rsp = (uint64_t)user_data() + 0xa00;
    c.rflags = 0x3202;
    trap_hook = in_kernel;
    /* The trap's frame goes to this rsp, whose area names no CPU: use one within this CPU's. */
    c.rsp = (uint64_t)this_cpu() + CPU_TRAP_STACK;
    CHECK_EQ(go(&c), VEC_UD, "iret to the kernel");
    trap_hook = NULL;
    CHECK_EQ(kernel_rsp, c.rsp, "rsp");
    CHECK_EQ(this_cpu()->regs.cs, FLAT_KERNEL_CS & ~3, "cs");
    CHECK_EQ(this_cpu()->regs.rax & 0x20000, 0, "VM");
    shared->vcpu_info[0].evtchn_upcall_mask = 1;
}

void guest_main(void)
{
    struct account before;

    user_init();
    account_take(&before);
    check_flags();
    check_addresses();
    check_end_of_lower_half();
    check_selectors();
    check_rings();
    check_to_kernel();
    account_check(&before, "iret");
}
