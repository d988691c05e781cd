/* SPDX-License-Identifier: MIT */
/*
 * Privileged instructions of the kernel: the list that is carried out, MSRs one by one, what is
 * refused; and that no write reaches the machine's own registers.
 */
#include "guest.h"

#define EFER 0xc0000080u

static void forced_cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    __asm__ volatile(XEN_CPUID
                     : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "a"(leaf), "c"(sub));
}

USER_CODE_BYTES(u_cpuid, "mov $0x40000000, %eax; xor %ecx, %ecx; "
                         ".byte 0x0f,0x0b,0x78,0x65,0x6e,0x0f,0xa2; ud2");

static void check_cpuid(void)
{
    struct regs user;
    uint32_t r[4];

    forced_cpuid(0x40000000, 0, r);
    CHECK(r[1] == 0x566e6558 && r[2] == 0x65584d4d && r[3] == 0x4d4d566e, "signature %x %x %x",
          r[1], r[2], r[3]);
    CHECK(r[0] >= 0x40000002, "leaves %#x", r[0]);
    forced_cpuid(0x40000001, 0, r);
    CHECK_EQ(r[0], hc_xen_version(XENVER_version, NULL), "version leaf");
    forced_cpuid(0, 0, r);
    CHECK(r[0] >= 1, "basic leaves %u", r[0]);
    forced_cpuid(1, 0, r);
    CHECK_EQ(r[2] & (1u << 5), 0, "VMX offered");
    CHECK(r[2] & (1u << 31), "the hypervisor bit");
    CHECK_EQ(r[3] & 0x121, 0x121, "FPU, MSR, CX8");
    CHECK(r[3] & (1u << 6), "PAE");
    forced_cpuid(0x80000001, 0, r);
    CHECK_EQ(r[2] & (1u << 2), 0, "SVM offered");
    CHECK(r[3] & (1u << 29), "long mode");
    CHECK_EQ(r[3] & (1u << 26), 0, "1 GiB pages offered");
    user_init();
    CHECK_EQ(USER_RUN(u_cpuid, &user), VEC_UD, "forced cpuid in user mode");
    CHECK_EQ(user.rbx & 0xffffffff, 0x566e6558, "its signature");
    CHECK_EQ(user.rip, USER_CODE + (u_cpuid_end - u_cpuid) - 2, "its rip");
}

static void check_still_alive(const char *what, uint32_t msr)
{
    struct regs r;

    CHECK_EQ(hc_xen_version(XENVER_version, NULL) >> 16, 4, "%s %#x: hypercall", what, msr);
    CHECK_EQ(TRY("ud2", "i"(0)), VEC_UD, "%s %#x: trap", what, msr);
    CHECK_EQ(USER_RUN(u_cpuid, &r), VEC_UD, "%s %#x: user mode", what, msr);
}

/* The registers through which the hypervisor is entered: written, nothing may change. */
static void check_msr_writes(void)
{
    static const uint32_t msrs[] = {
        0x10,       0x1b,       0x3a,       0x48,       0x49,       0x79,       0x8b,
        0x174,      0x175,      0x176,      0x179,      0x17a,      0x17b,      0x186,
        0x1a0,      0x1d9,      0x200,      0x201,      0x250,      0x277,      0x2ff,
        0x38f,      0x400,      0x480,      0x600,      0x6e0,      0x802,      0x830,
        0x833,      0xda0,      0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
        0xc0000103, 0xc0010010, 0xc0010015, 0xc0010114, 0xc0010117, 0xc0011020, 0x12345678,
    };
    static const uint64_t values[] = { 0, 1, ~0ul, 0xfee00000, 0x1122334455667788 };

    for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++) {
        for (unsigned int n = 0; n < ARRAY_SIZE(values); n++) {
            int v = try_wrmsr(msrs[i], values[n]);

            CHECK(v == NO_FAULT || v == VEC_GP, "wrmsr %#x: %d", msrs[i], v);
        }
        check_still_alive("after wrmsr", msrs[i]);
    }
}

static void check_msr_reads(void)
{
    uint64_t value;

    CHECK_EQ(try_rdmsr(EFER, &value), NO_FAULT, "EFER");
    CHECK_EQ(value & 0xd00, 0xd00, "EFER: LME, LMA, NX");
    CHECK_EQ(try_rdmsr(0x12345678, &value), VEC_GP, "an MSR that is not there");
    CHECK_EQ(this_cpu()->error, 0, "its error code");
    CHECK_EQ(try_rdmsr(0x480, &value), VEC_GP, "VMX basic");
    /* Guests of Debian's Xen have found two banks, and ask for them wherever they go on. */
    CHECK_EQ(try_rdmsr(0x405, &value), NO_FAULT, "bank 1's status");
    CHECK_EQ(value, 0, "bank 1's status");
    CHECK_EQ(try_wrmsr(0x405, 0), NO_FAULT, "bank 1's status is cleared");
    /* The hypervisor's entry point is not shown. */
    if (try_rdmsr(0xc0000082, &value) == NO_FAULT)
        CHECK(value < HYPERVISOR_VIRT_START || value >= HYPERVISOR_VIRT_END, "LSTAR is shown");
    if (try_rdmsr(0x176, &value) == NO_FAULT)
        CHECK(value < HYPERVISOR_VIRT_START || value >= HYPERVISOR_VIRT_END,
              "SYSENTER_EIP is shown");
    for (uint32_t msr = 0; msr < 0x900; msr++) {
        int v = try_rdmsr(msr, &value);

        CHECK(v == NO_FAULT || v == VEC_GP, "rdmsr %#x: %d", msr, v);
    }
}

static void check_bases(void)
{
    static const struct {
        uint32_t msr;
        int segment;
    } base[] = {
        { 0xc0000100, SEGBASE_FS },
        { 0xc0000101, SEGBASE_GS_KERNEL },
        { 0xc0000102, SEGBASE_GS_USER },
    };
    uint64_t value;

    for (unsigned int i = 0; i < ARRAY_SIZE(base); i++) {
        CHECK_EQ(hc_set_segment_base(base[i].segment, 0x123456789000), 0, "base %u", i);
        CHECK_EQ(try_rdmsr(base[i].msr, &value), NO_FAULT, "rdmsr %#x", base[i].msr);
        CHECK_EQ(value, 0x123456789000, "base %u", i);
        CHECK_EQ(try_wrmsr(base[i].msr, 0xffff888000001000), NO_FAULT, "wrmsr %#x", base[i].msr);
        CHECK_EQ(try_rdmsr(base[i].msr, &value), NO_FAULT, "rdmsr %#x", base[i].msr);
        CHECK_EQ(value, 0xffff888000001000, "base %u after wrmsr", i);
        CHECK_EQ(try_wrmsr(base[i].msr, 0x0000800000000000), VEC_GP, "wrmsr %#x not canonical",
                 base[i].msr);
        CHECK(hc_set_segment_base(base[i].segment, 0x0000800000000000) < 0, "base %u not canonical",
              i);
        CHECK_EQ(try_rdmsr(base[i].msr, &value), NO_FAULT, "rdmsr %#x", base[i].msr);
        CHECK_EQ(value, 0xffff888000001000, "base %u after the refusals", i);
    }
    CHECK(hc_set_segment_base(77, 0) < 0, "base 77");
    CHECK(hc_set_segment_base(-1, 0) < 0, "base -1");
    CHECK_EQ(hc_set_segment_base(SEGBASE_GS_USER_SEL, 0), 0, "user gs selector 0");
    CHECK(hc_set_segment_base(SEGBASE_GS_USER_SEL, 0xe008) != 1,
          "user gs selector of the hypervisor");
}

#define READ_CR(n)                                             \
    ({                                                         \
        uint64_t v_ = 0;                                       \
        fault_clear();                                         \
        __asm__ volatile(EX("mov %%cr" #n ", %0") : "+r"(v_)); \
        CHECK_EQ(faulted(), NO_FAULT, "read cr" #n);           \
        v_;                                                    \
    })

static void check_control_registers(void)
{
    uint64_t cr0 = READ_CR(0), cr3 = READ_CR(3), cr4 = READ_CR(4);

    CHECK_EQ(cr0 & 0x80000001, 0x80000001, "PG and PE");
    CHECK_EQ(cr0 & 8, 0, "TS at start");
    CHECK_EQ(cr3 >> 12, p2m[kernel_l4_pfn], "cr3");
    CHECK(cr4 & 0x20, "PAE in cr4 %#lx", cr4);
    CHECK_EQ(TRY("mov %0, %%cr0", "r"(cr0 | 8)), NO_FAULT, "set TS");
    CHECK_EQ(READ_CR(0) & 8, 8, "TS");
    CHECK_EQ(TRY("fnop", "i"(0)), VEC_NM, "fnop");
    CHECK_EQ(TRY("clts", "i"(0)), NO_FAULT, "clts");
    CHECK_EQ(READ_CR(0) & 8, 0, "TS after clts");
    CHECK_EQ(TRY("fnop", "i"(0)), NO_FAULT, "fnop");
    TRY("mov %0, %%cr0", "r"(cr0 & ~0x80000000ul));
    TRY("mov %0, %%cr0", "r"(0ul));
    CHECK_EQ(READ_CR(0) & 0x80010001, cr0 & 0x80010001, "cr0 after the attempts");
    TRY("mov %0, %%cr4", "r"(0ul));
    TRY("mov %0, %%cr4", "r"(~0ul));
    TRY("mov %0, %%cr4", "r"(cr4 | 0x2000));
    CHECK_EQ(READ_CR(4) & 0x2020, 0x20, "cr4 after the attempts");
    CHECK_EQ(TRY("mov %0, %%cr3", "r"(cr3)), NO_FAULT, "write cr3");
    CHECK_EQ(TRY("mov %0, %%cr2", "r"(0x1234ul)), NO_FAULT, "write cr2");
    CHECK_EQ(READ_CR(2), 0x1234, "cr2");
    CHECK(TRY("mov %0, %%cr3", "r"(0x40000000000ul)) != NO_FAULT || READ_CR(3) == cr3, "a bad cr3");
    CHECK_EQ(READ_CR(3), cr3, "cr3 after the attempt");
    TRY("mov %0, %%cr8", "r"(15ul));
    check_still_alive("after mov to control registers", 0);
}

static void check_carried_out(void)
{
    int v = TRY("invlpg (%0)", "r"(TEST_VA));

    CHECK(v == NO_FAULT || v == VEC_GP, "invlpg: %d", v); /* Xen refuses it */
    v = TRY("invlpg (%0)", "r"(HYPERVISOR_VIRT_START + (5ul << 39)));
    CHECK(v == NO_FAULT || v == VEC_GP, "invlpg there: %d", v);
    CHECK_EQ(TRY("wbinvd", "i"(0)), NO_FAULT, "wbinvd");
    CHECK_EQ(TRY("rdtsc", "i"(0) : "rax", "rdx"), NO_FAULT, "rdtsc");
    CHECK_EQ(TRY("xgetbv", "c"(0) : "rax", "rdx"), NO_FAULT, "xgetbv");
}

static void check_xsetbv(void)
{
    uint32_t lo, hi, now, r[4];

    forced_cpuid(1, 0, r);
    if (!(r[2] & (1u << 26)))
        return;
    CHECK(r[2] & (1u << 27), "OSXSAVE is shown before it is on, else Linux does without AVX");
    CHECK_EQ(TRY("mov %0, %%cr4", "r"(READ_CR(4) | 0x40000)), NO_FAULT, "OSXSAVE");
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    CHECK_EQ(lo & 3, 3, "programs that XSAVE keep their XMM registers from the start");
    CHECK_EQ(TRY("xsetbv", "a"(lo), "d"(hi), "c"(0)), NO_FAULT, "xsetbv of what is");
    CHECK_EQ(TRY("xsetbv", "a"(0), "d"(0), "c"(0)), VEC_GP, "xsetbv 0");
    CHECK_EQ(TRY("xsetbv", "a"(lo & ~1), "d"(hi), "c"(0)), VEC_GP, "xsetbv without x87");
    CHECK_EQ(TRY("xsetbv", "a"(~0), "d"(~0), "c"(0)), VEC_GP, "xsetbv of all");
    CHECK_EQ(TRY("xsetbv", "a"(lo), "d"(hi), "c"(1)), VEC_GP, "xcr1");
    CHECK_EQ(TRY("xsetbv", "a"(5), "d"(0), "c"(0)), VEC_GP, "AVX without SSE");
    __asm__ volatile("xgetbv" : "=a"(now), "=d"(hi) : "c"(0));
    CHECK_EQ(now, lo, "xcr0 after the attempts");
}

/* Each is refused, with #GP or #UD, and rip at the instruction. */
static void check_refused(void)
{
    static uint8_t mem[64] __attribute__((aligned(64)));
    int v;

#define REFUSED(insn)                                       \
    do {                                                    \
        v = TRY(insn, "a"(mem), "c"(0), "d"(0) : "memory"); \
        CHECK(v == VEC_GP || v == VEC_UD, insn ": %d", v);  \
    } while (0)
    REFUSED("lgdt (%%rax)");
    REFUSED("lidt (%%rax)");
    REFUSED("ltr %%ax");
    REFUSED("lldt %%ax");
    REFUSED("rdpmc");
    REFUSED("swapgs");
    REFUSED("sysretq");
    REFUSED("sysexitq");
    REFUSED("vmcall");
    REFUSED("vmxoff");
    REFUSED("vmptrld (%%rax)");
    REFUSED("vmrun");
    REFUSED("vmsave");
    REFUSED("stgi");
    REFUSED("clgi");
    REFUSED("skinit");
    REFUSED("rsm");
    REFUSED("monitor");
    REFUSED("mwait");
#undef REFUSED
    v = TRY("invd", "i"(0));
    CHECK(v == VEC_GP || v == NO_FAULT, "invd: %d", v); /* as wbinvd, or refused */
    v = TRY("lmsw %%ax", "a"(0));
    CHECK(v == VEC_GP || v == NO_FAULT, "lmsw: %d", v);
    CHECK(READ_CR(0) & 1, "PE after lmsw");
    v = TRY("vmmcall", "a"(17), "b"(0), "D"(0), "S"(0));
    CHECK(v == VEC_GP || v == VEC_UD, "vmmcall: %d", v);
}

/* sgdt and its kin give something, and no address inside the hypervisor when UMIP is there. */
static void check_stores(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) table;
    uint64_t v = 0;

    CHECK_EQ(TRY("sgdt (%0)", "r"(&table) : "memory"), NO_FAULT, "sgdt");
    CHECK_EQ(TRY("sidt (%0)", "r"(&table) : "memory"), NO_FAULT, "sidt");
    CHECK_EQ(TRY("smsw %0", "r"(v)), NO_FAULT, "smsw");
    CHECK_EQ(TRY("sldt %0", "r"(v)), NO_FAULT, "sldt");
    CHECK_EQ(TRY("str %0", "r"(v)), NO_FAULT, "str");
}

static void run_at(void *rip)
{
    __asm__ volatile("call *%0" : : "r"(rip) : "rax", "rcx", "rdx", "memory");
}

/* Instructions at the very end of a page, and across it into nothing. */
static void check_page_end(void)
{
    unsigned long pfn = alloc_pfn();
    uint8_t *p = pfn_virt(pfn);

    map_page(TEST_VA, pfn_pte(pfn, KERN_RW));
    memcpy(p + PAGE_SIZE - 3, "\x0f\x06\xc3", 3); /* clts; ret */
    CHECK_EQ(try_call(run_at, (void *)(TEST_VA + PAGE_SIZE - 3)), NO_FAULT, "clts at a page's end");
    memcpy(p + PAGE_SIZE - 2, "\x0f\x06", 2);
    CHECK_EQ(try_call(run_at, (void *)(TEST_VA + PAGE_SIZE - 2)), VEC_PF, "after the page's end");
    CHECK_EQ(this_cpu()->regs.rip, TEST_VA + PAGE_SIZE, "rip");
    p[PAGE_SIZE - 1] = 0x0f;
    CHECK_EQ(try_call(run_at, (void *)(TEST_VA + PAGE_SIZE - 1)), VEC_PF, "half an instruction");
    CHECK_EQ(this_cpu()->regs.rip, TEST_VA + PAGE_SIZE - 1, "rip");
    CHECK_EQ(this_cpu()->cr2, TEST_VA + PAGE_SIZE, "cr2");
    /* The forced-emulation prefix cut off by the page's end. */
    memcpy(p + PAGE_SIZE - 4, "\x0f\x0b\x78\x65", 4);
    int v = try_call(run_at, (void *)(TEST_VA + PAGE_SIZE - 4));
    CHECK(v == VEC_UD || v == VEC_PF, "half a prefix: %d", v);
    memcpy(p + PAGE_SIZE - 5, "\x0f\x0b\x78\x65\x6e", 5);
    v = try_call(run_at, (void *)(TEST_VA + PAGE_SIZE - 5));
    CHECK(v == VEC_UD || v == VEC_PF, "a prefix without its cpuid: %d", v);
    map_page(TEST_VA, 0);
    free_pfn(pfn);
}

void guest_main(void)
{
    struct account before;

    account_take(&before);
    check_cpuid();
    account_take(&before);
    check_msr_reads();
    check_msr_writes();
    check_bases();
    check_control_registers();
    check_carried_out();
    check_xsetbv();
    check_refused();
    check_stores();
    map_page(TEST_VA, 0);
    check_page_end();
    account_check(&before, "privileged");
}
