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
    check_msrs();
    check_control();
    check_xcr0();
    check_debug();
    check_lengths();
    CHECK_EQ(TRY("wbinvd", "i"(0)), NO_FAULT, "WBINVD");
    CHECK_EQ(TRY("inb $0x61", "a"(0)), NO_FAULT, "a port");
}
