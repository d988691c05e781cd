/* SPDX-License-Identifier: MIT */
/* Guest user mode: its tables, traps out of it, what it may not do. */
#include "guest.h"

USER_CODE_BYTES(u_regs, "lea 0x1000(%rbx), %rax; mov %rsp, %rcx; mov $77, %edx; ud2");
USER_CODE_BYTES(u_int3, "int3; ud2");
USER_CODE_BYTES(u_read, "mov (%rdi), %rax; ud2");
USER_CODE_BYTES(u_write, "movb $1, (%rdi); ud2");
USER_CODE_BYTES(u_jump, "jmp *%rdi");
USER_CODE_BYTES(u_syscall, "mov $29, %eax; xor %edi, %edi; syscall; ud2");
USER_CODE_BYTES(u_hlt, "hlt; ud2");
USER_CODE_BYTES(u_cli, "cli; ud2");
USER_CODE_BYTES(u_sti, "sti; ud2");
USER_CODE_BYTES(u_cr0, "mov %cr0, %rax; ud2");
USER_CODE_BYTES(u_cr3, "mov %rax, %cr3; ud2");
USER_CODE_BYTES(u_in, "in $0x64, %al; ud2");
USER_CODE_BYTES(u_out, "mov $0x80, %dx; out %al, %dx; ud2");
USER_CODE_BYTES(u_rdmsr, "mov $0x10, %ecx; rdmsr; ud2");
USER_CODE_BYTES(u_wrmsr, "mov $0xc0000101, %ecx; wrmsr; ud2");
USER_CODE_BYTES(u_invlpg, "invlpg (%rdi); ud2");
USER_CODE_BYTES(u_lidt, "lidt (%rdi); ud2");
USER_CODE_BYTES(u_ltr, "ltr %ax; ud2");
USER_CODE_BYTES(u_clts, "clts; ud2");
USER_CODE_BYTES(u_dr, "mov %dr7, %rax; ud2");
USER_CODE_BYTES(u_swapgs, "swapgs; ud2");
USER_CODE_BYTES(u_sysret, "sysretq; ud2");
USER_CODE_BYTES(u_popf, "pushf; orq $0x3000, (%rsp); popf; pushf; pop %rax; ud2");
USER_CODE_BYTES(u_fs, "mov %fs:0, %rax; ud2");
USER_CODE_BYTES(u_gs, "mov %gs:0, %rax; ud2");

static void check_entry(void)
{
    struct regs r;
    int v;

    memset(user_code(), 0xcc, PAGE_SIZE);
    memcpy(user_code(), u_regs, (size_t)(u_regs_end - u_regs));
    user_regs_init(&r);
    r.rbx = 0x123456789000;
    v = user_run(&r);
    CHECK_EQ(v, VEC_UD, "user code");
    CHECK_EQ(r.rip, USER_CODE + (u_regs_end - u_regs) - 2, "rip");
    CHECK_EQ(r.rax, 0x12345678a000, "rax");
    CHECK_EQ(r.rcx, USER_STACK - 64, "rsp in user mode");
    CHECK_EQ(r.rsp, USER_STACK - 64, "rsp in the frame");
    CHECK_EQ(r.rdx, 77, "rdx");
    CHECK_EQ(r.cs, FLAT_USER_CS, "cs");
    CHECK_EQ((uint16_t)r.ss, FLAT_USER_SS, "ss");
    CHECK(r.rflags & 0x200, "IF in user mode %#lx", r.rflags);
    CHECK_EQ(USER_RUN(u_int3, &r), VEC_BP, "int3");
    CHECK_EQ(r.rip, USER_CODE + 1, "rip after int3");
}

static int run_at(const char *code, const char *end, uint64_t rdi, struct regs *r)
{
    memcpy(user_code(), code, (size_t)(end - code));
    user_regs_init(r);
    r->rdi = rdi;
    return user_run(r);
}

/* The kernel's, the hypervisor's and non-canonical addresses, read, written and executed. */
static void check_addresses(void)
{
    static const struct {
        uint64_t va;
        int vector;
        uint64_t error;
    } place[] = {
        { 0x1000, VEC_PF, 4 },
        { 0xffffffff80100000, VEC_PF, 4 },
        { DIRECT_BASE, VEC_PF, 4 },
        { MACH2PHYS_VIRT_START, VEC_PF, 4 },
        { HYPERVISOR_VIRT_START + (5ul << 39), VEC_PF, 4 },
        { HYPERVISOR_VIRT_END - 8, VEC_PF, 4 },
        { 0x0000800000000000, VEC_GP, 0 },
        { 0xffff7ffffffffff8, VEC_GP, 0 },
    };
    struct regs r;

    for (unsigned int i = 0; i < ARRAY_SIZE(place); i++) {
        int v = run_at(u_read, u_read_end, place[i].va, &r);

        CHECK_EQ(v, place[i].vector, "user read of %#lx", place[i].va);
        if (v == VEC_PF) {
            CHECK_EQ(r.error & ~1ul, place[i].error, "error of %#lx", place[i].va);
            CHECK_EQ(this_cpu()->cr2, place[i].va, "cr2");
        }
        v = run_at(u_write, u_write_end, place[i].va, &r);
        CHECK_EQ(v, place[i].vector, "user write of %#lx", place[i].va);
        if (v == VEC_PF)
            CHECK_EQ(r.error & ~1ul, place[i].error | 2, "error of a write, %#lx", place[i].va);
        v = run_at(u_jump, u_jump_end, place[i].va, &r);
        CHECK_EQ(v, place[i].vector, "user jump to %#lx", place[i].va);
    }
    CHECK_EQ(run_at(u_write, u_write_end, USER_CODE, &r), VEC_PF, "write of a read-only page");
    CHECK_EQ(r.error, 7, "its error code");
}

static void check_privileged(void)
{
    static const struct {
        const char *name, *code, *end;
        int vector;
    } list[] = {
#define P(n) { #n, n, n##_end, VEC_GP }
        P(u_hlt),   P(u_cli),    P(u_sti),  P(u_cr0), P(u_cr3),  P(u_in), P(u_out),    P(u_rdmsr),
        P(u_wrmsr), P(u_invlpg), P(u_lidt), P(u_ltr), P(u_clts), P(u_dr), P(u_swapgs), P(u_sysret),
#undef P
    };
    struct regs r;

    for (unsigned int i = 0; i < ARRAY_SIZE(list); i++) {
        int v = run_at(list[i].code, list[i].end, USER_DATA, &r);

        CHECK_EQ(v, list[i].vector, "%s in user mode", list[i].name);
        CHECK_EQ(r.rip & 0xff0, 0, "%s rip", list[i].name);
    }
    CHECK_EQ(USER_RUN(u_popf, &r), VEC_UD, "popf");
    CHECK_EQ(r.rax & 0x3000, 0, "IOPL after popf in user mode");
}

/* A system call goes to the guest's kernel, never to the hypervisor. */
static void check_syscall(void)
{
    struct regs r;

    CHECK_EQ(USER_RUN(u_syscall, &r), VEC_SYSCALL, "syscall");
    CHECK_EQ(r.rip, USER_CODE + 9, "rip after syscall");
    CHECK_EQ(r.rax, 29, "rax");
    CHECK_EQ(r.rsp, USER_STACK - 64, "rsp");
    CHECK_EQ(r.cs & 3, 3, "cs");
}

static void check_bases(void)
{
    struct regs r;

    *(uint64_t *)user_data() = 0xfeedface;
    CHECK_EQ(hc_set_segment_base(SEGBASE_FS, USER_DATA), 0, "fs base");
    CHECK_EQ(hc_set_segment_base(SEGBASE_GS_USER, USER_DATA), 0, "user gs base");
    CHECK_EQ(hc_set_segment_base(SEGBASE_GS_KERNEL, (uint64_t)user_data()), 0, "kernel gs base");
    CHECK_EQ(USER_RUN(u_fs, &r), VEC_UD, "fs:0");
    CHECK_EQ(r.rax, 0xfeedface, "fs:0");
    CHECK_EQ(USER_RUN(u_gs, &r), VEC_UD, "gs:0");
    CHECK_EQ(r.rax, 0xfeedface, "gs:0");
    *(uint64_t *)user_data() = 0;
}

void guest_main(void)
{
    struct account before;

    user_init();
    account_take(&before);
    check_entry();
    check_addresses();
    check_privileged();
    check_syscall();
    check_bases();
    account_check(&before, "user mode");
}
