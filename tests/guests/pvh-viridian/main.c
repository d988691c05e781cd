/* SPDX-License-Identifier: MIT */
/*
 * The interface of Microsoft's hypervisor beside Xen's: switched on by its parameter, leaves below
 * Xen's, which move, its MSRs, its hypercall page.
 */
#include "pvh.h"

#define HV 0x40000000u
#define XEN 0x40000100u
#define GUEST_OS_ID 0x40000000u
#define HYPERCALL 0x40000001u
#define VP_INDEX 0x40000002u
#define TIME_REF_COUNT 0x40000020u
#define TSC_FREQUENCY 0x40000022u
#define APIC_FREQUENCY 0x40000023u
#define EOI 0x40000070u

#define READ(msr) TRY("rdmsr", "c"(msr))
#define WRITE(msr, low) TRY("wrmsr", "c"(msr), "a"(low), "d"(0))

static uint8_t page[2][4096] __attribute__((aligned(4096)));

static long set_param(uint64_t value)
{
    struct xen_hvm_param p = { .domid = DOMID_SELF, .index = HVM_PARAM_VIRIDIAN, .value = value };

    return hc_hvm_op(HVMOP_set_param, &p);
}

static void check_without(void)
{
    CHECK_EQ(cpuid(HV, 0).b, 0x566e6558, "Xen's signature");
    CHECK_EQ(cpuid(XEN, 0).b, 0, "no other leaves");
    CHECK_EQ(READ(VP_INDEX), VEC_GP, "no such MSRs");
    CHECK_EQ(READ(HYPERCALL), VEC_GP, "no hypercall MSR");
    CHECK_EQ(set_param(0), 0, "off stays off");
    CHECK_EQ(set_param(HVMPV_time_ref_count), -22, "without the base");
    CHECK_EQ(set_param(1ull << 40 | HVMPV_base_freq), -22, "features of the future");
    CHECK_EQ(cpuid(HV, 0).b, 0x566e6558, "Xen's signature after refusals");
}

static void check_leaves(void)
{
    struct cpuid r = cpuid(HV, 0);

    CHECK(r.a >= HV + 5 && r.a < XEN, "the last leaf is %x", r.a);
    CHECK(r.b == 0x7263694d && r.c == 0x666f736f && r.d == 0x76482074, "Microsoft Hv");
    CHECK_EQ(cpuid(HV + 1, 0).a, 0x31237648, "Hv#1");
    r = cpuid(HV + 3, 0);
    CHECK_EQ(r.a, 1u << 1 | 1u << 5 | 1u << 6 | 1u << 11, "what may be used");
    CHECK_EQ(r.d, 1u << 8, "frequencies");
    CHECK_EQ(cpuid(HV + 4, 0).a, 1u << 5, "relaxed timing");
    CHECK_EQ(cpuid(HV + 4, 0).b, 0xffffffff, "spin locks need not tell");
    CHECK_EQ(cpuid(HV + 0xff, 0).a, 0, "the last place");
    r = cpuid(XEN, 0);
    CHECK_EQ(r.b, 0x566e6558, "Xen's signature, moved");
    CHECK(r.a >= XEN + 4 && r.a < XEN + 0x100, "Xen's last leaf is %x", r.a);
    CHECK_EQ(cpuid(XEN + 2, 0).b, 0x40000200, "Xen's hypercall MSR, moved");
    CHECK(cpuid(1, 0).c >> 31, "the hypervisor bit");
}

static void check_msrs(void)
{
    uint64_t a, b;

    CHECK_EQ(rdmsr(VP_INDEX), 0, "VP_INDEX");
    CHECK_EQ(WRITE(VP_INDEX, 0), VEC_GP, "VP_INDEX is written");
    CHECK_EQ(rdmsr(APIC_FREQUENCY), 100000000, "APIC_FREQUENCY");
    a = rdmsr(TSC_FREQUENCY);
    CHECK(a > 100000000 && a < 100000000000, "TSC_FREQUENCY is %lu", a);
    a = rdmsr(TIME_REF_COUNT);
    do
        b = rdmsr(TIME_REF_COUNT);
    while (b == a);
    CHECK(b > a, "the time goes on");
    CHECK(b < 3000000000, "the time began with the interface, %lu ago", b);
    CHECK_EQ(WRITE(TIME_REF_COUNT, 0), VEC_GP, "the time is written");
    CHECK_EQ(WRITE(EOI, 0), VEC_GP, "EOI, which is not told of");
    CHECK_EQ(READ(0x40000021), VEC_GP, "the TSC page, which is not told of");
}

/* A call by the page, as 64-bit code makes it. */
static uint64_t call_page(void *at, uint64_t code)
{
    uint64_t rc;

    __asm__ volatile("call *%1" : "=a"(rc) : "r"(at), "c"(code), "d"(0), "r"(0ul) : "memory");
    return rc;
}

static void check_hypercalls(void)
{
    uint64_t at = (uint64_t)page[0];

    wrmsr(HYPERCALL, at | 1);
    CHECK_EQ(rdmsr(HYPERCALL), at, "on without an identity");
    CHECK_EQ(page[0][0], 0, "a page without an identity");
    wrmsr(GUEST_OS_ID, 0x8100000000000001);
    CHECK_EQ(rdmsr(GUEST_OS_ID), 0x8100000000000001, "GUEST_OS_ID");
    wrmsr(HYPERCALL, at | 1);
    CHECK_EQ(rdmsr(HYPERCALL), at | 1, "on");
    CHECK_EQ(call_page(page[0], 0x5c), 2, "a call that is not there");
    CHECK_EQ(WRITE(HYPERCALL, 0xfffff001), VEC_GP, "a page that is not there");
    wrmsr(GUEST_OS_ID, 0);
    CHECK_EQ(rdmsr(HYPERCALL), at, "off with the identity");
    wrmsr(GUEST_OS_ID, 1);
    wrmsr(HYPERCALL, at | 3);
    wrmsr(HYPERCALL, 0);
    CHECK_EQ(rdmsr(HYPERCALL), at | 3, "locked");
    wrmsr(GUEST_OS_ID, 0);
    CHECK_EQ(rdmsr(HYPERCALL), at | 3, "locked, whoever the guest is");
}

/* Xen's own page comes by its new MSR. */
static void check_xen(void)
{
    wrmsr(0x40000200, (uint64_t)page[1]);
    CHECK(memcmp(page[1], hypercall_page, 9) == 0, "Xen's hypercall page");
    CHECK_EQ(set_param(HVMPV_base_freq), -17, "changed afterwards");
    CHECK_EQ(set_param(0), -17, "switched off afterwards");
    CHECK_EQ(set_param(HVMPV_base_freq | HVMPV_time_ref_count), 0, "said again");
}

void guest_main(void)
{
    check_without();
    CHECK_EQ(set_param(HVMPV_base_freq | HVMPV_time_ref_count), 0, "switched on");
    check_leaves();
    check_msrs();
    check_hypercalls();
    check_xen();
}
