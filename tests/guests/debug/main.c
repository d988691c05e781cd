/* SPDX-License-Identifier: MIT */
/*
 * Debug registers: breakpoints that hit, breakpoints on the hypervisor (refused), and breakpoints
 * on what the hypervisor itself touches or that arrive in its entry code.
 */
#include "guest.h"

#define DR7_EXEC0 0x001ul                        /* L0 */
#define DR7_WRITE0 (0x001ul | 0x10000 | 0xc0000) /* L0, write, four bytes */
#define DR7_RW0 (0x001ul | 0x30000 | 0xc0000)
#define DR7_IO0 (0x001ul | 0x20000)

static volatile uint32_t watched[4] __attribute__((aligned(16)));
static volatile unsigned int hits;
static volatile uint64_t hit_rip, hit_dr6;

static bool on_debug(struct regs *r)
{
    if (r->vector != VEC_DB)
        return false;
    hits++;
    hit_rip = r->rip;
    hit_dr6 = (uint64_t)hc_get_debugreg(6);
    r->rflags |= 0x10000; /* RF */
    r->rflags &= ~0x100ul;
    return true;
}

static void check_arguments(void)
{
    static const uint64_t hv[] = { HYPERVISOR_VIRT_START, HYPERVISOR_VIRT_START + (5ul << 39),
                                   HYPERVISOR_VIRT_END - 1 };

    for (int reg = 0; reg < 4; reg++) {
        for (unsigned int i = 0; i < ARRAY_SIZE(hv); i++)
            CHECK(hc_set_debugreg(reg, hv[i]) < 0, "dr%d = %#lx", reg, hv[i]);
        CHECK_EQ(hc_set_debugreg(reg, 0x1000 * (reg + 1)), 0, "dr%d", reg);
        CHECK_EQ(hc_get_debugreg(reg), 0x1000 * (reg + 1), "dr%d", reg);
    }
    /* Any kernel address is a result as good as another, also those that look like errors. */
    for (unsigned int bit = 12; bit < 46; bit++) {
        CHECK_EQ(hc_set_debugreg(0, -(1ul << bit)), 0, "dr0");
        CHECK_EQ(hc_get_debugreg(0), -(1ul << bit), "dr0");
    }
    CHECK(hc_set_debugreg(0, 0x8000000000000000) < 0, "dr0 not canonical");
    CHECK(hc_set_debugreg(8, 0) < 0, "dr8");
    CHECK(hc_set_debugreg(-1, 0) < 0, "dr-1");
    CHECK(hc_get_debugreg(8) < 0, "get dr8");
    CHECK(hc_get_debugreg(-1) < 0, "get dr-1");
    CHECK(hc_set_debugreg(7, 1ul << 32) < 0, "upper half of dr7");
    CHECK(hc_set_debugreg(6, 1ul << 32) < 0, "upper half of dr6");
    CHECK_EQ(hc_set_debugreg(7, 0), 0, "dr7");
    CHECK(hc_set_debugreg(7, DR7_IO0) < 0, "an I/O breakpoint without CR4.DE");
    /* GD would trap the hypervisor's own debug-register accesses. */
    if (hc_set_debugreg(7, 0x2000) == 0)
        CHECK_EQ(hc_get_debugreg(7) & 0x2000, 0, "GD was set");
    CHECK_EQ(hc_set_debugreg(7, 0), 0, "dr7");
}

__attribute__((noinline)) static void target(void)
{
    __asm__ volatile("nop" ::: "memory");
}

static void check_hits(void)
{
    hits = 0;
    CHECK_EQ(hc_set_debugreg(6, 0), 0, "dr6");
    CHECK_EQ(hc_set_debugreg(0, (uint64_t)target), 0, "dr0");
    CHECK_EQ(hc_set_debugreg(7, DR7_EXEC0), 0, "dr7");
    target();
    CHECK_EQ(hits, 1, "execute breakpoint");
    CHECK_EQ(hit_rip, (uint64_t)target, "its rip");
    CHECK_EQ(hit_dr6 & 0xf, 1, "dr6");
    CHECK_EQ(hc_set_debugreg(6, 0), 0, "dr6");
    CHECK_EQ(hc_set_debugreg(7, 0), 0, "dr7");
    target();
    CHECK_EQ(hits, 1, "no breakpoint");
    CHECK_EQ(hc_set_debugreg(0, (uint64_t)watched), 0, "dr0");
    CHECK_EQ(hc_set_debugreg(7, DR7_WRITE0), 0, "dr7");
    (void)watched[0];
    CHECK_EQ(hits, 1, "read of a write watch");
    watched[0] = 1;
    CHECK_EQ(hits, 2, "write watch");
    watched[1] = 1;
    CHECK_EQ(hits, 2, "write beside it");
    CHECK_EQ(hc_set_debugreg(7, 0), 0, "dr7");
}

/* The hypervisor reads and writes watched memory: no harm; a #DB afterwards is allowed. */
static void check_hypervisor_access(void)
{
    struct xen_feature_info *f = (struct xen_feature_info *)watched;

    watched[0] = 0;

    CHECK_EQ(hc_set_debugreg(7, DR7_RW0), 0, "dr7");
    for (int i = 0; i < 50; i++)
        CHECK_EQ(hc_xen_version(XENVER_get_features, f), 0, "a watched argument");
    CHECK_EQ(hc_set_debugreg(7, 0), 0, "dr7");
}

/* The frame of a trap is pushed onto a watched stack: #DB inside the hypervisor's entry. */
static void check_watched_stack(void)
{
    uint64_t top = (uint64_t)this_cpu() + CPU_TRAP_STACK;

    CHECK_EQ(hc_set_debugreg(0, (top - 16) & ~7ul), 0, "dr0");
    CHECK_EQ(hc_set_debugreg(7, DR7_RW0), 0, "dr7");
    for (int i = 0; i < 10; i++) {
        fault_clear();
        __asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp\n" EX("ud2") "mov %%rbx, %%rsp"
                         :
                         : "r"(top)
                         : "rbx", "memory");
    }
    CHECK_EQ(hc_set_debugreg(7, 0), 0, "dr7");
}

/* mov ss from watched memory, then the hypercall instruction, int3, int 0x80, ud2. */
static void check_mov_ss(void)
{
    static volatile uint16_t ss_image __attribute__((aligned(16)));
    long rax;

    ss_image = FLAT_KERNEL_SS;
    CHECK_EQ(hc_set_debugreg(0, (uint64_t)&ss_image), 0, "dr0");
    CHECK_EQ(hc_set_debugreg(7, 0x001ul | 0x30000 | 0x40000), 0, "dr7");
    hits = 0;
    __asm__ volatile("mov %2, %%ss; syscall"
                     : "=a"(rax)
                     : "a"(__HYPERVISOR_xen_version), "m"(ss_image), "D"(0), "S"(0)
                     : "rcx", "r11", "memory");
    CHECK_EQ(rax >> 16, 4, "hypercall after mov ss");
    /* A processor that keeps it pending, as Bochs does, raises it at the hypervisor's first
     * instruction: not the guest's. */
    CHECK(hits <= 1, "%u #DB of mov ss", hits);
    fault_clear();
    __asm__ volatile("mov %0, %%ss\n" EX("ud2") : : "m"(ss_image));
    CHECK_EQ(faulted(), VEC_UD, "ud2 after mov ss");
    __asm__ volatile("mov %0, %%ss; int3" : : "m"(ss_image));
    __asm__ volatile("mov %0, %%ss; int $0x80" : : "m"(ss_image));
    CHECK_EQ(hc_set_debugreg(7, 0), 0, "dr7");
}

static bool on_any(struct regs *r)
{
    if (r->vector == VEC_BP || r->vector == 0x80) {
        r->rflags &= ~0x100ul;
        return true;
    }
    return on_debug(r);
}

/* Single step across the hypercall instruction and out of it. */
static void check_step_syscall(void)
{
    long rax;

    hits = 0;
    __asm__ volatile("pushf; orq $0x100, (%%rsp); popf; syscall; nop; nop"
                     : "=a"(rax)
                     : "a"(__HYPERVISOR_xen_version), "D"(0), "S"(0)
                     : "rcx", "r11", "memory", "cc");
    CHECK_EQ(rax >> 16, 4, "stepped hypercall");
    CHECK(hits >= 1, "no #DB of the step");
}

/* The emulated mov to and from debug registers, and its privilege. */
static void check_instructions(void)
{
    uint64_t value = 0;

    CHECK_EQ(TRY("mov %0, %%dr1", "r"(0x123456ul)), NO_FAULT, "mov to dr1");
    fault_clear();
    __asm__ volatile(EX("mov %%dr1, %0") : "+r"(value));
    CHECK_EQ(faulted(), NO_FAULT, "mov from dr1");
    CHECK_EQ(value, 0x123456, "dr1");
    CHECK_EQ(hc_get_debugreg(1), 0x123456, "dr1");
    CHECK(TRY("mov %0, %%dr0", "r"(HYPERVISOR_VIRT_START + (5ul << 39))) != NO_FAULT,
          "mov of the hypervisor's address to dr0");
}

USER_CODE_BYTES(u_write, "movl $1, (%rdi); nop; ud2");

/* A breakpoint that the kernel sets for a program, as ptrace does. */
static void check_user(void)
{
    struct regs r;

    user_init();
    CHECK_EQ(hc_set_debugreg(0, USER_DATA + 64), 0, "dr0");
    CHECK_EQ(hc_set_debugreg(7, DR7_WRITE0), 0, "dr7");
    memcpy(user_code(), u_write, (size_t)(u_write_end - u_write));
    user_regs_init(&r);
    r.rdi = USER_DATA + 64;
    trap_hook = NULL;
    CHECK_EQ(user_run(&r), VEC_DB, "write watch in user mode");
    CHECK_EQ(r.cs & 3, 3, "cs");
    CHECK_EQ(hc_get_debugreg(6) & 0xf, 1, "dr6");
    CHECK_EQ(hc_set_debugreg(7, 0), 0, "dr7");
}

void guest_main(void)
{
    struct account before;

    account_take(&before);
    trap_hook = on_debug;
    check_arguments();
    check_hits();
    check_hypervisor_access();
    check_watched_stack();
    trap_hook = on_any;
    check_mov_ss();
    check_step_syscall();
    check_instructions();
    check_user();
    account_check(&before, "debug");
}
