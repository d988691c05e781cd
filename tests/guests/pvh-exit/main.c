/* SPDX-License-Identifier: MIT */
/*
 * What exits from a PVH guest and what comes back: CPUID, MSRs, control and debug registers, XCR0,
 * instructions that its processor has not got, and the lengths of instructions that are found in
 * memory.
 */
#include "pvh.h"

#define MSR_EFER 0xc0000080u
#define MSR_PAT 0x277u

static void check_cpuid(void)
{
    struct cpuid r = cpuid(0x40000000, 0);

    CHECK_EQ(r.b, 0x566e6558, "signature");
    CHECK_EQ(cpuid(0x40000004, 0).c, 0, "domain id");
    r = cpuid(1, 0);
    CHECK(r.c >> 31, "the hypervisor bit");
    CHECK(!(r.c & 1u << 5), "VMX is shown");
    CHECK(!(cpuid(0x80000001, 0).c & 4), "SVM is shown");
    CHECK_EQ(cpuid(0x8000000a, 0).a, 0, "the SVM leaf");
}

static void check_forbidden(void)
{
    CHECK_EQ(TRY("vmrun %%rax", "a"(0)), VEC_UD, "VMRUN");
    CHECK_EQ(TRY("vmload %%rax", "a"(0)), VEC_UD, "VMLOAD");
    CHECK_EQ(TRY("vmsave %%rax", "a"(0)), VEC_UD, "VMSAVE");
    CHECK_EQ(TRY("stgi", "i"(0)), VEC_UD, "STGI");
    CHECK_EQ(TRY("clgi", "i"(0)), VEC_UD, "CLGI");
    CHECK_EQ(TRY("invlpga %%rax, %%ecx", "a"(0), "c"(0)), VEC_UD, "INVLPGA");
    CHECK_EQ(TRY("monitor", "a"(0), "c"(0), "d"(0)), VEC_UD, "MONITOR");
    if (hypercalls_by_vmcall())
        CHECK_EQ(TRY("vmmcall", "a"(0)), VEC_UD, "VMMCALL on Intel");
    else
        CHECK_EQ(TRY("vmcall", "a"(0)), VEC_UD, "VMCALL on AMD");
}

/* Instructions that only a hypervisor has, as bytes with their names. */
static const struct {
    const char *name;
    uint8_t bytes[8];
    bool svm; /* to a program the processor may say #GP: it looks at the privilege first */
} forbidden[] = {
    { "VMXON", { 0xf3, 0x0f, 0xc7, 0x30 }, false },
    { "VMCLEAR", { 0x66, 0x0f, 0xc7, 0x30 }, false },
    { "VMPTRLD", { 0x0f, 0xc7, 0x30 }, false },
    { "VMPTRST", { 0x0f, 0xc7, 0x38 }, false },
    { "VMREAD", { 0x0f, 0x78, 0xc3 }, false },
    { "VMWRITE", { 0x0f, 0x79, 0xc3 }, false },
    { "VMLAUNCH", { 0x0f, 0x01, 0xc2 }, false },
    { "VMRESUME", { 0x0f, 0x01, 0xc3 }, false },
    { "VMXOFF", { 0x0f, 0x01, 0xc4 }, false },
    { "VMFUNC", { 0x0f, 0x01, 0xd4 }, false },
    { "INVEPT", { 0x66, 0x0f, 0x38, 0x80, 0x00 }, false },
    { "INVVPID", { 0x66, 0x0f, 0x38, 0x81, 0x00 }, false },
    { "VMRUN", { 0x0f, 0x01, 0xd8 }, true },
    { "VMLOAD", { 0x0f, 0x01, 0xda }, true },
    { "VMSAVE", { 0x0f, 0x01, 0xdb }, true },
    { "STGI", { 0x0f, 0x01, 0xdc }, true },
    { "CLGI", { 0x0f, 0x01, 0xdd }, true },
    { "SKINIT", { 0x0f, 0x01, 0xde }, true },
    { "INVLPGA", { 0x0f, 0x01, 0xdf }, true },
};

static uint8_t any_code[16], any_stack[256] __attribute__((aligned(16)));

/* The code, in ring 0 or 3, with rax pointing to memory that is there. */
static void run_kernel(void *code)
{
    __asm__ volatile("call *%0" : : "r"(code), "a"(any_stack) : "memory", "rbx");
}

static void run_user(void *code)
{
    __asm__ volatile("pushq $0x2b; pushq %0; pushq $2; pushq $0x23; pushq %1; iretq"
                     :
                     : "r"(any_stack + sizeof(any_stack)), "r"(code), "a"(any_stack)
                     : "memory", "rbx");
}

static void check_both_rings(void)
{
    static const uint8_t vmcall[2][4] = { { 0x0f, 0x01, 0xd9, 0xf4 }, { 0x0f, 0x01, 0xc1, 0xf4 } };
    int got;

    for (unsigned int i = 0; i < ARRAY_SIZE(forbidden); i++) {
        memset(any_code, 0xcc, sizeof(any_code)); /* INT3: it went on */
        memcpy(any_code, forbidden[i].bytes, sizeof(forbidden[i].bytes));
        for (unsigned int n = sizeof(forbidden[i].bytes); n-- > 1 && !any_code[n];)
            any_code[n] = 0xcc;
        CHECK_EQ(try_call(run_kernel, any_code), VEC_UD, "%s", forbidden[i].name);
        got = try_call(run_user, any_code);
        CHECK(got == VEC_UD || (forbidden[i].svm && got == VEC_GP), "%s of a program: %d",
              forbidden[i].name, got);
        CHECK_EQ(this_cpu()->regs.rip, (uint64_t)any_code, "%s: where", forbidden[i].name);
    }
    /* A hypercall of a program does nothing; the HLT behind it may not be executed there. */
    memcpy(any_code, vmcall[hypercalls_by_vmcall()], sizeof(vmcall[0]));
    CHECK_EQ(try_call(run_user, any_code), VEC_GP, "a program's hypercall");
    CHECK_EQ(this_cpu()->regs.rax, (uint64_t)-EPERM, "a program's hypercall");
    CHECK_EQ(this_cpu()->regs.rip, (uint64_t)any_code + 3, "a program's hypercall");
}

static bool on_qemu(void)
{
    return cpuid(0x80000002, 0).a == 0x554d4551; /* the processor's name begins with it */
}

/* Memory types that there are not. */
static void check_types(void)
{
    static const uint8_t none[] = { 2, 3, 8, 0x86 };
    uint64_t pat = rdmsr(MSR_PAT);

    /* SVM guests write PAT without an exit, and the processor checks; QEMU's does not. */
    for (unsigned int i = 0; !on_qemu() && i < ARRAY_SIZE(none); i++)
        for (unsigned int at = 0; at < 64; at += 8) {
            uint64_t bad = (pat & ~(0xfful << at)) | (uint64_t)none[i] << at;

            CHECK_EQ(try_wrmsr(MSR_PAT, bad), VEC_GP, "PAT of %#x at bit %u", none[i], at);
        }
    CHECK_EQ(try_wrmsr(MSR_PAT, 0x0001040506070406), NO_FAULT, "PAT");
    CHECK_EQ(rdmsr(MSR_PAT), 0x0001040506070406, "PAT");
    wrmsr(MSR_PAT, pat);
    CHECK_EQ(try_wrmsr(0x250, 0x0606060606060206ul), VEC_GP, "a fixed MTRR of type 2");
    CHECK_EQ(try_wrmsr(0x26f, 0x0706060606060606ul), VEC_GP, "a fixed MTRR of type 7");
    CHECK_EQ(try_wrmsr(0x200, 0x106), VEC_GP, "an MTRR's base with a reserved bit");
    CHECK_EQ(try_wrmsr(0x200, 1ul << 60 | 6), VEC_GP, "an MTRR's base beyond all memory");
    CHECK_EQ(try_wrmsr(0x201, 1ul << 60 | 0x800), VEC_GP, "an MTRR's mask beyond all memory");
    CHECK_EQ(try_wrmsr(0x201, 0x400), VEC_GP, "an MTRR's mask with a reserved bit");
    CHECK_EQ(try_wrmsr(0x2ff, 0xc02), VEC_GP, "MTRR default of type 2");
}

static void check_msrs(void)
{
    static const uint32_t denied[] = { 0xc0010114, 0xc0010117, 0x48,  0x345,
                                       0x480,      0xc0010015, 0x300, 0x12345678 };
    uint64_t v, efer = rdmsr(MSR_EFER);

    CHECK(efer & 0x500, "EFER %#lx", efer);
    CHECK(!(efer & 0x1000), "EFER.SVME is shown");
    CHECK_EQ(try_wrmsr(MSR_EFER, efer | 0x1000), VEC_GP, "EFER.SVME set");
    CHECK_EQ(try_wrmsr(MSR_EFER, efer & ~0x100ul), VEC_GP, "EFER.LME cleared while paging");
    for (unsigned int i = 0; i < ARRAY_SIZE(denied); i++)
        CHECK_EQ(try_wrmsr(denied[i], 0x5a5a), VEC_GP, "MSR %#x written", denied[i]);
    CHECK_EQ(try_rdmsr(0x345, &v), VEC_GP, "MSR 0x345 read");
    if (cpuid(0, 0).c == 0x444d4163) { /* AMD's: Linux reads whether C1E is on */
        CHECK_EQ(try_rdmsr(0xc0010055, &v), NO_FAULT, "INT_PENDING read");
        CHECK_EQ(v, 0, "INT_PENDING");
        CHECK_EQ(try_wrmsr(0xc0010055, 1), VEC_GP, "INT_PENDING written");
    }
    wrmsr(0xc0000102, 0xffff888012345678ul);
    CHECK_EQ(rdmsr(0xc0000102), 0xffff888012345678ul, "kernel GS base");
    wrmsr(0x200, 0x6);
    CHECK_EQ(rdmsr(0x200), 6, "MTRR");
    CHECK_EQ(try_wrmsr(0x200, 0x2), VEC_GP, "MTRR of type 2");
    CHECK_EQ(try_wrmsr(0x2ff, 0x1000), VEC_GP, "MTRR default with a reserved bit");
    CHECK_EQ(try_wrmsr(0x40000000, 1), VEC_GP, "hypercall page 1");
    CHECK_EQ(try_wrmsr(0x40000000, (uint64_t)PVH_HOLE_PFN << 12), VEC_GP,
             "hypercall page in a hole");
}

static void check_control(void)
{
    uint64_t cr4, cr0;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    CHECK_EQ(TRY("mov %0, %%cr4", "r"(cr4 | 1ul << 13)), VEC_GP, "CR4.VMXE");
    CHECK_EQ(TRY("mov %0, %%cr4", "r"(cr4 | 1ul << 40)), VEC_GP, "CR4 bit 40");
    CHECK_EQ(TRY("mov %0, %%cr4", "r"(cr4 & ~0x20ul)), VEC_GP, "CR4.PAE cleared");
    CHECK_EQ(TRY("mov %0, %%cr4", "r"(cr4 | 0x80)), NO_FAULT, "CR4.PGE");
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr0));
    CHECK_EQ(cr0, cr4 | 0x80, "CR4");
    CHECK_EQ(TRY("mov %0, %%cr8", "r"(5ul)), NO_FAULT, "CR8");
    __asm__ volatile("mov %%cr8, %0" : "=r"(cr0));
    CHECK_EQ(cr0, 5, "CR8");
    CHECK_EQ(TRY("mov %0, %%cr8", "r"(16ul)), VEC_GP, "CR8 of 16");
    CHECK_EQ(TRY("mov %0, %%cr8", "r"(0ul)), NO_FAULT, "CR8");
}

static void check_xcr0(void)
{
    if (!(cpuid(1, 0).c & 1u << 26))
        return;
    __asm__ volatile("mov %%cr4, %%rax; or $0x40000, %%eax; mov %%rax, %%cr4" ::: "rax");
    CHECK_EQ(TRY("xsetbv", "a"(3), "d"(0), "c"(0)), NO_FAULT, "XCR0 3");
    CHECK_EQ(TRY("xsetbv", "a"(2), "d"(0), "c"(0)), VEC_GP, "XCR0 without x87");
    CHECK_EQ(TRY("xsetbv", "a"(5), "d"(0), "c"(0)), VEC_GP, "XCR0 AVX without SSE");
    CHECK_EQ(TRY("xsetbv", "a"(3), "d"(0x100), "c"(0)), VEC_GP, "XCR0 bit 40");
    CHECK_EQ(TRY("xsetbv", "a"(3), "d"(0), "c"(1)), VEC_GP, "XCR1");
    CHECK_EQ(cpuid(0xd, 0).b, 576, "bytes of x87 and SSE");
    if (cpuid(0xd, 0).a & 4) {
        CHECK_EQ(TRY("xsetbv", "a"(7), "d"(0), "c"(0)), NO_FAULT, "XCR0 7");
        CHECK_EQ(cpuid(0xd, 0).b, 832, "bytes with AVX");
    }
}

static void check_debug(void)
{
    uint64_t v;

    __asm__ volatile("mov %0, %%dr0" : : "r"(0x1234ul));
    __asm__ volatile("mov %0, %%dr3" : : "r"(0x5678ul));
    hc_xen_version(XENVER_version, NULL);
    __asm__ volatile("mov %%dr0, %0" : "=r"(v));
    CHECK_EQ(v, 0x1234, "DR0");
    __asm__ volatile("mov %%dr3, %0" : "=r"(v));
    CHECK_EQ(v, 0x5678, "DR3");
}

/* --- lengths --- */

/* CPUID 0x40000000 by the `len` bytes of code, which is put so that a page that is not there
   follows the RET behind it (gap 0), or some bytes later. The signature's first word. */
static uint32_t run_before_hole(const uint8_t *code, unsigned int len, unsigned int gap)
{
    uint8_t *volatile hidden = (uint8_t *)0x1400000; /* from the compiler's bounds checks */
    uint8_t *end = hidden, *at = end - len - 1 - gap;
    uint64_t *entry = &pvh_l2[(uint64_t)end >> 21], was = *entry;
    uint32_t a = 0x40000000, b, c = 0, d;

    memcpy(at, code, len);
    at[len] = 0xc3;
    *entry = 0;
    __asm__ volatile("invlpg (%0)" : : "r"(end) : "memory");
    __asm__ volatile("call *%4" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : "D"(at) : "memory");
    *entry = was;
    return b;
}

static void check_lengths(void)
{
    static const uint8_t plain[] = { 0x0f, 0xa2 };
    static const uint8_t prefixed[] = { 0x66, 0x2e, 0x67, 0xf2, 0x48, 0x0f, 0xa2 };
    uint8_t longest[15];

    memset(longest, 0x66, sizeof(longest));
    longest[13] = 0x0f;
    longest[14] = 0xa2;
    for (unsigned int gap = 0; gap < 16; gap++) {
        CHECK_EQ(run_before_hole(plain, sizeof(plain), gap), 0x566e6558, "CPUID, gap %u", gap);
        CHECK_EQ(run_before_hole(prefixed, sizeof(prefixed), gap), 0x566e6558,
                 "CPUID with prefixes, gap %u", gap);
        CHECK_EQ(run_before_hole(longest, sizeof(longest), gap), 0x566e6558,
                 "CPUID of 15 bytes, gap %u", gap);
    }
}

void guest_main(void)
{
    check_cpuid();
    check_forbidden();
    check_both_rings();
    check_msrs();
    check_types();
    check_control();
    check_xcr0();
    check_debug();
    check_lengths();
    CHECK_EQ(TRY("wbinvd", "i"(0)), NO_FAULT, "WBINVD");
    CHECK_EQ(TRY("inb $0x61", "a"(0)), NO_FAULT, "a port");
}
