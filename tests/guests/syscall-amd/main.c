/* SPDX-License-Identifier: MIT */
/*
 * Each way into the kernel from user, compatibility and kernel code: SYSCALL, SYSCALL in 32-bit
 * code, SYSENTER, int n. syscall-intel is the same on QEMU's model of the other vendor, whose
 * answers differ; Bochs' models choose the vendor themselves.
 */
#include "guest.h"

static bool intel;

USER_CODE_BYTES(u_syscall, "mov $1, %eax; syscall; ud2");
USER_CODE_BYTES(u_sysenter, "mov $2, %eax; mov %rsp, %rcx; lea 1f(%rip), %rdx; sysenter; 1: ud2");
USER_CODE_BYTES(u_int80, "mov $3, %eax; int $0x80; ud2");
USER_CODE_BYTES(u_int82, "mov $17, %eax; int $0x82; ud2");
USER_CODE_BYTES(u_int3, ".byte 0xcd, 3; ud2");
USER_CODE_BYTES(u_int4, ".byte 0xcd, 4; ud2");
USER_CODE_BYTES(u_int14, "push $0; .byte 0xcd, 14; ud2");
USER_CODE_BYTES(u_int2, ".byte 0xcd, 2; ud2");
USER_CODE_BYTES(u_int8, ".byte 0xcd, 8; ud2");
USER_CODE_BYTES(u_intf0, ".byte 0xcd, 0xf0; ud2");
USER_CODE_BYTES(u_int20, ".byte 0xcd, 0x20; ud2");
USER_CODE_BYTES(c_syscall, ".code32; mov $4, %eax; syscall; ud2; .code64");
USER_CODE_BYTES(c_sysenter, ".code32; mov $5, %eax; mov %esp, %ebp; sysenter; ud2; .code64");
USER_CODE_BYTES(c_int80, ".code32; mov $6, %eax; int $0x80; ud2; .code64");
USER_CODE_BYTES(c_into, ".code32; mov $0x7fffffff, %eax; add $1, %eax; into; ud2; .code64");
USER_CODE_BYTES(c_null, ".code32; mov $8, %eax; xor %ecx, %ecx; mov %ecx, %ds;"
                        "mov 0x401000, %ecx; ud2; .code64");
USER_CODE_BYTES(c_bound, ".code32; mov $0xe02b, %ecx; mov %ecx, %ds; mov $0x401000, %ebx; movl $1, "
                         "(%ebx); movl $2, 4(%ebx);"
                         "mov $9, %eax; bound %eax, (%ebx); ud2; .code64");
USER_CODE_BYTES(c_far, ".code32; ljmp $0xe033, $0x400010; .byte 0x90,0x90,0x90,0x90,0x90,0x90,0x90,"
                       "0x90,0x90; .code64; mov $7, %rax; ud2");

static int run32(const char *code, const char *end, struct regs *r)
{
    memset(user_code(), 0xcc, PAGE_SIZE);
    memcpy(user_code(), code, (size_t)(end - code));
    user_regs_init(r);
    r->cs = FLAT_USER_CS32;
    r->ss = FLAT_USER_SS32;
    return user_run(r);
}

static void check_user64(void)
{
    struct regs r;
    int v;

    CHECK_EQ(USER_RUN(u_syscall, &r), VEC_SYSCALL, "syscall");
    CHECK_EQ(r.rax, 1, "rax");
    CHECK_EQ(r.rip, USER_CODE + 7, "rip");
    v = USER_RUN(u_sysenter, &r);
    CHECK(v == (intel ? VEC_SYSENTER : VEC_UD) || v == VEC_GP, "sysenter: %d", v);
    CHECK_EQ(r.rax, 2, "rax");
    CHECK_EQ(USER_RUN(u_int80, &r), 0x80, "int 0x80");
    CHECK_EQ(r.rax, 3, "rax");
    CHECK_EQ(r.rip, USER_CODE + 7, "rip");
    CHECK_EQ(r.cs & 3, 3, "cs");
}

/*
 * SYSCALL in the last two bytes below the hole in the address space: RCX is no address any more,
 * to which SYSRET must not be tried (on Intel it faults with the kernel's rights). The kernel's
 * return to it faults in its own name, in either way of returning.
 */
#define LAST_PAGE ((1ul << 47) - PAGE_SIZE)
static void check_last_syscall(void)
{
    unsigned long pfn = alloc_pfn();
    uint8_t *code = pfn_virt(pfn);
    struct regs r;
    int v;

    code[PAGE_SIZE - 2] = 0x0f;
    code[PAGE_SIZE - 1] = 0x05;
    map_page_in(user_l4_pfn, LAST_PAGE, pfn_pte(pfn, KERN_RO));
    user_regs_init(&r);
    r.rip = LAST_PAGE + PAGE_SIZE - 2;
    CHECK_EQ(user_run(&r), VEC_SYSCALL, "syscall in the last bytes");
    CHECK_EQ(r.rip, 1ul << 47, "rip");
    user_regs_init(&r);
    r.rip = 1ul << 47;
    v = user_run(&r);
    CHECK(v == VEC_GP || v == VEC_FAILSAFE, "return beyond the last bytes: %d", v);
    map_page_in(user_l4_pfn, LAST_PAGE, 0);
}

/* QEMU 7.2 pushes vector * 16 + 2 when a gate's DPL refuses int n; hardware pushes * 8 + 2. */
static void check_refused_int(const char *code, const char *end, unsigned int n)
{
    struct regs r;
    int v;

    memset(user_code(), 0xcc, PAGE_SIZE);
    memcpy(user_code(), code, (size_t)(end - code));
    user_regs_init(&r);
    v = user_run(&r);
    if (v == VEC_OF && (n * 16 + 2) / 8 % 256 == VEC_OF)
        return; /* QEMU's code named vector 4, which user mode may use */
    CHECK_EQ(v, VEC_GP, "int %#x in user mode", n);
    CHECK(r.error == n * 8 + 2 || r.error == n * 16 + 2, "int %#x error code %#lx", n, r.error);
    CHECK(r.rip < USER_CODE + 12, "int %#x rip %#lx", n, r.rip);
}

static void check_int(void)
{
    struct regs r;

    CHECK_EQ(USER_RUN(u_int3, &r), VEC_BP, "int 3");
    CHECK_EQ(USER_RUN(u_int4, &r), VEC_OF, "int 4");
    check_refused_int(u_int82, u_int82_end, 0x82);
    check_refused_int(u_int14, u_int14_end, 14);
    check_refused_int(u_int2, u_int2_end, 2);
    check_refused_int(u_int8, u_int8_end, 8);
    check_refused_int(u_intf0, u_intf0_end, 0xf0);
    check_refused_int(u_int20, u_int20_end, 0x20);
}

/* A gate that lets user mode in is used; int n is the guest's affair alone. */
static void check_opened_gate(void)
{
    struct trap_info t[2] = { trap_table[0x20] };
    struct regs r;
    int v;

    t[0].flags = 3;
    CHECK_EQ(hc_set_trap_table(t), 0, "gate 0x20");
    v = USER_RUN(u_int20, &r);
    /* QEMU 7.2's error code names another vector. */
    CHECK(v == 0x20 || (v == VEC_GP && r.error == 0x20 * 16 + 2), "int 0x20: %d", v);
    if (v == 0x20)
        CHECK_EQ(r.rip, USER_CODE + 2, "rip after int 0x20");
    t[0].flags = 0;
    CHECK_EQ(hc_set_trap_table(t), 0, "gate 0x20");
}

static void check_user32(void)
{
    struct regs r;
    int v;

    v = run32(c_syscall, c_syscall_end, &r);
    /* Intel has none; QEMU carries it out all the same. */
    CHECK((intel && v == VEC_UD) || v == VEC_SYSCALL32, "32-bit syscall: %d", v);
    CHECK_EQ(r.rax, 4, "rax");
    CHECK_EQ(r.cs, FLAT_USER_CS32, "cs");
    v = run32(c_sysenter, c_sysenter_end, &r);
    CHECK(intel ? v == VEC_SYSENTER : v == VEC_UD || v == VEC_GP, "32-bit sysenter: %d", v);
    CHECK_EQ(r.rax, 5, "rax");
    CHECK_EQ(r.cs & 3, 3, "cs of sysenter");
    CHECK_EQ(run32(c_int80, c_int80_end, &r), 0x80, "32-bit int 0x80");
    CHECK_EQ(r.rax, 6, "rax");
    CHECK_EQ(r.cs, FLAT_USER_CS32, "cs");
    CHECK_EQ(run32(c_into, c_into_end, &r), VEC_OF, "into");
    v = run32(c_null, c_null_end, &r); /* QEMU looks at no segment */
    CHECK((v == VEC_GP && r.error == 0 && r.rip == USER_CODE + 9) || v == VEC_UD,
          "through a null segment: %d at %#lx", v, r.rip);
    CHECK_EQ(r.rax, 8, "rax");
    CHECK_EQ(run32(c_bound, c_bound_end, &r), VEC_BR, "bound");
    CHECK_EQ(run32(c_far, c_far_end, &r), VEC_UD, "far jump to 64-bit code");
    CHECK_EQ(r.rax, 7, "rax");
    CHECK_EQ(r.cs, FLAT_USER_CS, "cs");
}

static long unregister(unsigned int type)
{
    struct callback_unregister cb = { .type = type };

    return hc_callback_op(CALLBACKOP_unregister, &cb);
}

/* Without their callbacks SYSENTER and 32-bit SYSCALL fault in the program. */
static void check_unregistered(void)
{
    struct regs r;
    int v;

    CHECK(unregister(CALLBACKTYPE_event) < 0, "event callback unregistered");
    CHECK(unregister(99) < 0, "unknown callback unregistered");
    if (unregister(CALLBACKTYPE_syscall32) == 0) {
        v = run32(c_syscall, c_syscall_end, &r);
        CHECK(v == VEC_UD || v == VEC_GP, "32-bit syscall without a callback: %d", v);
    }
    if (unregister(CALLBACKTYPE_sysenter) == 0) {
        v = run32(c_sysenter, c_sysenter_end, &r);
        CHECK(v == VEC_UD || v == VEC_GP, "32-bit sysenter without a callback: %d", v);
    }
    CHECK_EQ(USER_RUN(u_syscall, &r), VEC_SYSCALL, "syscall still works");
}

static void k_sysenter(void *arg)
{
    __asm__ volatile("mov %%rsp, %%rcx; lea 1f(%%rip), %%rdx; sysenter; 1:" ::
                         : "rcx", "rdx", "memory");
}

static void k_int82(void *arg)
{
    __asm__ volatile("int $0x82" : : "a"(17), "b"(0), "D"(0), "S"(0) : "memory");
}

static void k_int80(void *arg)
{
    __asm__ volatile("int $0x80" : : "a"(17) : "memory");
}

static void check_kernel(void)
{
    int v;

    /* int 0x82 is the 32-bit kernels' way; here it is at most an ordinary vector. */
    v = try_call(k_int82, NULL);
    CHECK(v == VEC_GP || v == 0x82 || v == VEC_OF, "int 0x82 in the kernel: %d", v);
    CHECK_EQ(try_call(k_int80, NULL), 0x80, "int 0x80 in the kernel");
}

void guest_main(void)
{
    struct account before;
    uint32_t b;

    __asm__ volatile("xor %%eax, %%eax; cpuid" : "=b"(b)::"eax", "ecx", "edx");
    intel = b == 0x756e6547; /* Genu */
    user_init();
    if (option_value("case")[0] == 'k') {
        /* SYSENTER saves neither rip nor rsp: the domain may be crashed. */
        int v = try_call(k_sysenter, NULL);

        CHECK(v == VEC_UD || v == VEC_GP || v == VEC_SYSENTER, "sysenter in the kernel: %d", v);
        return;
    }
    account_take(&before);
    check_user64();
    check_last_syscall();
    check_int();
    check_opened_gate();
    check_user32();
    check_kernel();
    check_unregistered();
    account_check(&before, "entries");
}
