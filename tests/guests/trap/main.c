/* SPDX-License-Identifier: MIT */
/* Exceptions of the kernel: vector, error code, frame, the way back, the upcall mask. */
#include "guest.h"

#define NONCANON 0x8000000000000000ul

static volatile uint64_t fault_rip;

static void check_error(const char *what, int vector, int want, uint64_t error)
{
    CHECK_EQ(vector, want, "%s", what);
    CHECK_EQ(this_cpu()->error, error, "%s error code", what);
    CHECK(this_cpu()->regs.cs == (FLAT_KERNEL_CS & ~3), "%s cs %#x", what, this_cpu()->regs.cs);
    CHECK((uint16_t)this_cpu()->regs.ss == FLAT_KERNEL_SS, "%s ss %#lx", what, this_cpu()->regs.ss);
}

static void check_simple(void)
{
    uint8_t v;

    check_error("#DE", TRY("divl %0", "r"(0), "a"(1), "d"(0)), VEC_DE, 0);
    check_error("#UD", TRY("ud2", "i"(0)), VEC_UD, 0);
    check_error("#GP read", TRY("movb (%0), %%al", "r"(NONCANON) : "rax"), VEC_GP, 0);
    check_error("#GP ds", TRY("mov %w0, %%ds", "r"(0xbeec)), VEC_GP, 0xbeec);
    check_error("#GP ldt", TRY("mov %w0, %%es", "r"(0x17)), VEC_GP, 0x14);
    check_error("#PF read", try_read8((void *)TEST_VA, &v), VEC_PF, 0);
    CHECK_EQ(this_cpu()->cr2, TEST_VA, "cr2");
    check_error("#PF write", try_write8((void *)(TEST_VA + 5), 1), VEC_PF, 2);
    CHECK_EQ(this_cpu()->cr2, TEST_VA + 5, "cr2");
    check_error("#PF read-only", try_write8((void *)si->pt_base, 1), VEC_PF, 3);
    CHECK_EQ(this_cpu()->cr2, si->pt_base, "cr2");
}

static void check_stack_segment(void)
{
    fault_clear();
    __asm__ volatile("push %%rbp; mov %0, %%rbp\n" EX("movb 8(%%rbp), %%al") "pop %%rbp"
                     :
                     : "r"(NONCANON)
                     : "rax", "memory");
    /* QEMU 7.2 gives #GP. */
    check_error("#SS", faulted() == VEC_GP ? VEC_SS : faulted(), VEC_SS, 0);
}

static void jump_to(void *target)
{
    __asm__ volatile("jmp *%0" : : "r"(target));
}

static void check_execute(void)
{
    unsigned long pfn = alloc_pfn();

    map_page(TEST_VA, pfn_pte(pfn, KERN_RW | PTE_NX));
    *(uint8_t *)pfn_virt(pfn) = 0xc3;
    check_error("#PF execute", try_call(jump_to, (void *)TEST_VA), VEC_PF, 0x11);
    CHECK_EQ(this_cpu()->cr2, TEST_VA, "cr2 of execute");
    CHECK_EQ(this_cpu()->regs.rip, TEST_VA, "rip of execute");
    map_page(TEST_VA, pfn_pte(pfn, KERN_RW));
    CHECK_EQ(try_call(jump_to, (void *)TEST_VA), NO_FAULT, "execute");
    map_page(TEST_VA, 0);
    check_error("#PF execute", try_call(jump_to, (void *)TEST_VA), VEC_PF, 0x10);
}

static bool count_and_go(struct regs *r)
{
    fault_rip = r->rip;
    this_cpu()->vector = (int)r->vector;
    r->rflags &= ~0x100ul;
    return true;
}

static void check_resumed(void)
{
    uint64_t after;

    trap_hook = count_and_go;
    fault_clear();
    __asm__ volatile("int3\n lea (%%rip), %0" : "=r"(after));
    CHECK_EQ(faulted(), VEC_BP, "int3");
    CHECK(fault_rip < after && fault_rip + 8 > after, "rip after int3 %#lx", fault_rip);
    fault_clear();
    __asm__ volatile("pushf; orq $0x100, (%%rsp); popf; lea 1f(%%rip), %0\n nop\n 1: nop"
                     : "=r"(after)
                     :
                     : "cc", "memory");
    CHECK_EQ(faulted(), VEC_DB, "single step");
    fault_clear();
    __asm__ volatile(".byte 0xcd, 0x03" : : : "memory");
    CHECK_EQ(faulted(), VEC_BP, "int $3");
    trap_hook = NULL;
}

/* Every register survives a trap and the iret hypercall, both ways of its rcx and r11. */
static void check_registers(void)
{
    uint64_t in[15], out[15];

    for (int i = 0; i < 15; i++)
        in[i] = 0x1111111111111111ul * (i + 1);
    trap_hook = count_and_go;
    __asm__ volatile(
        "push %%rbp\n push %%rbx\n push %1\n mov %0, %%rbp\n"
        "mov (%%rbp), %%rax\n mov 8(%%rbp), %%rbx\n mov 16(%%rbp), %%rcx\n mov 24(%%rbp), %%rdx\n"
        "mov 32(%%rbp), %%rsi\n mov 40(%%rbp), %%rdi\n mov 56(%%rbp), %%r8\n mov 64(%%rbp), %%r9\n"
        "mov 72(%%rbp), %%r10\n mov 80(%%rbp), %%r11\n mov 88(%%rbp), %%r12\n"
        "mov 96(%%rbp), %%r13\n mov 104(%%rbp), %%r14\n mov 112(%%rbp), %%r15\n"
        "mov 48(%%rbp), %%rbp\n"
        "int3\n"
        "push %%rbp\n mov 8(%%rsp), %%rbp\n"
        "mov %%rax, (%%rbp)\n mov %%rbx, 8(%%rbp)\n mov %%rcx, 16(%%rbp)\n mov %%rdx, 24(%%rbp)\n"
        "mov %%rsi, 32(%%rbp)\n mov %%rdi, 40(%%rbp)\n mov %%r8, 56(%%rbp)\n mov %%r9, 64(%%rbp)\n"
        "mov %%r10, 72(%%rbp)\n mov %%r11, 80(%%rbp)\n mov %%r12, 88(%%rbp)\n"
        "mov %%r13, 96(%%rbp)\n mov %%r14, 104(%%rbp)\n mov %%r15, 112(%%rbp)\n"
        "pop 48(%%rbp)\n add $8, %%rsp\n pop %%rbx\n pop %%rbp"
        :
        : "D"(in), "S"(out)
        : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
    trap_hook = NULL;
    for (int i = 0; i < 15; i++)
        CHECK_EQ(out[i], 0x1111111111111111ul * (i + 1), "register %d", i);
}

static volatile uint8_t seen_mask, seen_saved;
static volatile uint64_t seen_flags;

static bool note_mask(struct regs *r)
{
    seen_mask = shared->vcpu_info[0].evtchn_upcall_mask;
    seen_saved = r->saved_mask;
    seen_flags = r->rflags;
    return true;
}

/* The gate's flag masks upcalls; the frame's IF says what was; iret puts it back. */
static void check_mask(void)
{
    trap_hook = note_mask;
    for (int gate = 0; gate < 2; gate++) {
        for (int before = 0; before < 2; before++) {
            struct trap_info t[2] = { trap_table[VEC_BP] };

            t[0].flags = 3 | (gate ? 4 : 0);
            CHECK_EQ(hc_set_trap_table(t), 0, "one gate");
            shared->vcpu_info[0].evtchn_upcall_mask = before;
            __asm__ volatile("int3" : : : "memory");
            CHECK_EQ(seen_mask, gate | before, "mask in the handler, gate %d before %d", gate,
                     before);
            CHECK_EQ(seen_saved, before, "saved mask, gate %d before %d", gate, before);
            CHECK_EQ(seen_flags >> 9 & 1, !before, "IF, gate %d before %d", gate, before);
            CHECK_EQ(shared->vcpu_info[0].evtchn_upcall_mask, before, "mask after iret");
        }
    }
    shared->vcpu_info[0].evtchn_upcall_mask = 1;
    trap_hook = NULL;
    CHECK_EQ(hc_set_trap_table(trap_table), 0, "the table again");
}

/* Arguments of set_trap_table: what is refused changes nothing; hypervisor selectors are bent. */
static void check_table_arguments(void)
{
    struct trap_info t[2] = { trap_table[VEC_UD] };
    long rc;

    t[0].address = NONCANON;
    rc = hc_set_trap_table(t);
    CHECK_EQ(rc, -EINVAL, "a handler that is not canonical");
    CHECK_EQ(TRY("ud2", "i"(0)), VEC_UD, "ud2 after the refusal");
    t[0] = trap_table[VEC_UD];
    t[0].cs = 0xe008;
    rc = hc_set_trap_table(t);
    if (!rc)
        CHECK_EQ(TRY("ud2", "i"(0)), VEC_UD, "handler with the hypervisor's cs");
    else
        CHECK_EQ(rc, -EINVAL, "the hypervisor's cs");
    if (!rc)
        CHECK(this_cpu()->regs.cs == (FLAT_KERNEL_CS & ~3), "cs %#x", this_cpu()->regs.cs);
    CHECK_EQ(hc_set_trap_table((void *)0x1000), -EFAULT, "a table that is not mapped");
    CHECK_EQ(hc_set_trap_table(trap_table), 0, "the table again");
}

static void check_fpu_trap(void)
{
    uint16_t word;

    CHECK_EQ(hc_fpu_taskswitch(1), 0, "fpu_taskswitch");
    check_error("#NM", TRY("fnstcw %0", "m"(word) : "memory"), VEC_NM, 0);
    CHECK_EQ(hc_fpu_taskswitch(0), 0, "fpu_taskswitch");
    CHECK_EQ(TRY("fnstcw %0", "m"(word) : "memory"), NO_FAULT, "fnstcw");
    word = 0x37a; /* zero divide unmasked */
    fault_clear();
    __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp\n" EX("fwait") "fninit" : : "m"(word));
    CHECK_EQ(faulted(), VEC_MF, "#MF");
}

void guest_main(void)
{
    check_simple();
    check_stack_segment();
    check_execute();
    check_resumed();
    check_registers();
    check_mask();
    check_table_arguments();
    check_fpu_trap();
}
