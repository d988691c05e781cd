/* SPDX-License-Identifier: MIT */
/* What a PV guest finds in CPUID: nothing that it could not use, nothing of the hypervisor's. */
#include "unit.h"

#include "lib/xenabi.h"
#include "privop_guest.h"
#include "x86/policy/cpu_policy.h"

#define ONES ~0u, ~0u, ~0u, ~0u

/* A processor that claims everything. */
static const struct host_cpuid all[] = {
    { 0, 0, 0x20, 0x756e6547, 0x6c65746e, 0x49656e69 },
    { 0x80000000, 0, 0x80000030, 0, 0, 0 },
    { 0x80000008, 0, 0x003934, ~0u, ~0u, ~0u }, /* 52 physical, 57 linear bits */
    { 0xd, 0, 0x2e7, 0, 0, 0 },
    { 0xd, 1, 0xf, 0, 0x100, 0 },
    { 0xd, 2, 256, 576, 0, 0 },
    { 0xd, 3, 64, 960, 0, 0 },
    { 0xd, 5, 64, 1088, 0, 0 },
    { 0xd, 6, 512, 1152, 2, 0 },
    { 0xd, 7, 1024, 1664, 0, 0 },
    { 0xd, 9, 8, 2688, 0, 0 },
    { 0xd, 8, 128, 0, 1, 0 },
    { 7, 0, ONES },
    { 1, 0, ONES },
    { 2, 0, ONES },
    { 3, 0, ONES },
    { 4, 0, ONES },
    { 5, 0, ONES },
    { 6, 0, ONES },
    { 7, 1, ONES },
    { 7, 2, ONES },
    { 7, 3, ONES },
    { 8, 0, ONES },
    { 9, 0, ONES },
    { 0xa, 0, ONES },
    { 0xb, ~0u, ONES },
    { 0xc, ~0u, ONES },
    { 0xe, ~0u, ONES },
    { 0xf, ~0u, ONES },
    { 0x10, ~0u, ONES },
    { 0x12, ~0u, ONES },
    { 0x14, ~0u, ONES },
    { 0x80000001, 0, ONES },
    { 0x80000002, 0, ONES },
    { 0x80000005, 0, ONES },
    { 0x80000006, 0, ONES },
    { 0x80000007, 0, ONES },
    { 0x8000000a, 0, ONES },
    { 0x8000001d, 0, ONES },
    { 0x8000001e, 0, ONES },
    { 0x8000001f, 0, ONES },
    { 0x80000021, 0, ONES },
    { 0x80000022, 0, ONES },
    { 0x40000100, 0, ONES },
    { ~0u, ~0u, 0, 0, 0, 0 },
};

/* qemu64 and its like: neither XSAVE nor leaf 7. */
static const struct host_cpuid small[] = {
    { 0, 0, 6, 0x68747541, 0x444d4163, 0x69746e65 },
    { 1, 0, 0x60fb1, 0x00010800, 0x80002001, 0x078bfbfd },
    { 0x80000000, 0, 0x80000008, 0, 0, 0 },
    { 0x80000001, 0, 0x60fb1, 0, 0x5, 0x2191abfd },
    { 0x80000008, 0, 0x3028, 0, 0, 0 },
    { ~0u, ~0u, 0, 0, 0, 0 },
};

static struct cpuid_regs ask(uint32_t leaf, uint32_t sub)
{
    struct cpuid_regs r;

    memset(&r, 0xee, sizeof(r));
    pv_cpuid(&guest_vcpu, leaf, sub, &r);
    return r;
}

static bool zero(struct cpuid_regs r)
{
    return !(r.a | r.b | r.c | r.d);
}

static void setup(const struct host_cpuid *table)
{
    guest_reset();
    host_machine.cpuid = table;
    if (table == all) {
        cpu_feat.xcr0_mask = 0xe7;
        cpu_feat.phys_bits = 52;
    } else {
        cpu_feat = (struct cpu_features){
            .amd = true, .nx = true, .phys_bits = 40, .virt_bits = 48
        };
        pv_priv_init(&guest_vcpu);
    }
    policy_init();
}

TEST(hidden_from_guests)
{
    struct cpuid_regs r;

    setup(all);
    guest_vcpu.priv.cr4 |= 0x40000;
    r = ask(1, 0);
    CHECK_EQ(r.c, 0xfed83203 & ~(1u << 21 | 1u << 24)); /* also no x2APIC, TSC deadline */
    CHECK_EQ(r.d, 0x0fc9cbf5);
    CHECK_EQ(r.d & (1u << 3 | 1u << 12 | 1u << 13 | 1u << 17 | 1u << 28 | 1u << 21), 0);
    CHECK_EQ(r.c & (1u << 3 | 1u << 5 | 1u << 17), 0); /* MONITOR, VMX, PCID */
    CHECK(r.c >> 31);
    r = ask(7, 0);
    CHECK_EQ(r.a, 2);
    CHECK_EQ(r.b & (1u << 7 | 1u << 20 | 1u << 10 | 1u << 14 | 1u << 2 | 1u << 11 | 1u << 4), 0);
    CHECK(r.b & 1);
    CHECK_EQ(r.c & (1u << 2 | 1u << 3 | 1u << 4 | 1u << 7 | 1u << 16), 0);
    CHECK_EQ(r.d & (1u << 20 | 1u << 26 | 1u << 27 | 1u << 31), 0);
    CHECK(zero(ask(7, 3)) && zero(ask(7, 0xffff)));
    r = ask(0x80000001, 0);
    CHECK_EQ(r.c & (1u << 2 | 1u << 22 | 1u << 10 | 1u << 26), 0); /* SVM, TOPOEXT, IBS, masks */
    CHECK_EQ(r.d & 1u << 26, 0);                                   /* 1 GiB pages */
    CHECK(r.d & 1u << 29 && r.d & 1u << 11 && r.d & 1u << 20);
    r = ask(0x80000008, 0);
    CHECK_EQ(r.a, 0x3034);
    CHECK_EQ(r.c | r.d, 0);
}

TEST(leaves_without_an_answer)
{
    static const uint32_t none[] = { 3,          5,          6,          8,          9,
                                     0xa,        0xc,        0xe,        0xf,        0x10,
                                     0x12,       0x14,       0x20,       0x21,       0x3fffffff,
                                     0x40000004, 0x40000006, 0x40000100, 0x7fffffff, 0x8000000a,
                                     0x8000001d, 0x8000001e, 0x8000001f, 0x80000022, 0x80000031,
                                     0xc0000000, 0xffffffff };

    setup(all);
    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        if (!zero(ask(none[i], 0)))
            printf("leaf %#x\n", none[i]);
        CHECK(zero(ask(none[i], 0)));
    }
    CHECK_EQ(ask(0, 0).a, 0xd);
    CHECK_EQ(ask(0x80000000, 0).a, 0x80000021);
}

/* Linux looks for it before it would switch it on. */
TEST(osxsave_is_there_from_the_start)
{
    setup(all);
    guest_vcpu.priv.cr4 = 0x660;
    CHECK_EQ(ask(1, 0).c >> 26 & 3, 3);
}

TEST(extended_state)
{
    struct cpuid_regs r;

    setup(all);
    guest_vcpu.x.xcr0 = 3;
    r = ask(0xd, 0);
    CHECK_EQ(r.a, 0xe7);
    CHECK_EQ(r.d, 0);
    CHECK_EQ(r.b, 576);
    CHECK_EQ(r.c, 2688);
    guest_vcpu.x.xcr0 = 7;
    CHECK_EQ(ask(0xd, 0).b, 832);
    r = ask(0xd, 1);
    CHECK_EQ(r.a, 7); /* no XSAVES */
    CHECK_EQ(r.b, 832);
    CHECK_EQ(r.c | r.d, 0);
    guest_vcpu.x.xcr0 = 0xe7;
    CHECK_EQ(ask(0xd, 0).b, 2688);
    CHECK_EQ(ask(0xd, 1).b, 832 + 64 + 512 + 1024); /* ZMM_Hi256 aligned, already */
    CHECK_EQ(ask(0xd, 2).b, 576);
    CHECK(zero(ask(0xd, 3)) && zero(ask(0xd, 8)) && zero(ask(0xd, 9)) && zero(ask(0xd, 63)));
    CHECK(zero(ask(0xd, 64)) && zero(ask(0xd, 0x80000002)));
}

TEST(without_avx_512)
{
    struct cpuid_regs r;

    setup(all);
    cpu_feat.xcr0_mask = 7;
    policy_init();
    r = ask(7, 0);
    CHECK_EQ(r.b >> 16 & 1, 0);
    CHECK(r.b >> 5 & 1);
    CHECK_EQ(r.c >> 11 & 1, 0);
    cpu_feat.xcr0_mask = 3;
    policy_init();
    CHECK_EQ(ask(7, 0).b >> 5 & 1, 0);
    CHECK_EQ(ask(1, 0).c >> 28 & 1, 0);
    CHECK_EQ(ask(0x80000001, 0).c & (1u << 11 | 1u << 16), 0);
}

TEST(topology_by_vcpu)
{
    struct cpuid_regs r;

    setup(all);
    guest_vcpu.x.v.id = 5;
    r = ask(1, 0);
    CHECK_EQ(r.b >> 24, 10);
    CHECK_EQ(r.b >> 16 & 0xff, 1);
    CHECK_EQ(ask(4, 0).a, 0x3fff);
    r = ask(0xb, 0);
    CHECK(r.a == 0 && r.b == 1 && r.c == 0x100 && r.d == 10);
    r = ask(0xb, 1);
    CHECK(r.a == 0 && r.b == 1 && r.c == 0x201 && r.d == 10);
    r = ask(0xb, 2);
    CHECK(r.a == 0 && r.b == 0 && r.c == 2 && r.d == 10);
    guest_vcpu.x.v.id = 127;
    CHECK_EQ(ask(1, 0).b >> 24, 254);
}

TEST(xen_leaves)
{
    struct cpuid_regs r;

    setup(all);
    r = ask(0x40000000, 0);
    CHECK_EQ(r.a, 0x40000005);
    CHECK(memcmp(&r.b, "XenVMMXenVMM", 12) == 0);
    CHECK_EQ(ask(0x40000001, 0).a, XEN_ABI_VERSION);
    r = ask(0x40000002, 0);
    CHECK(r.a == 1 && r.b == 0x40000000 && r.c == 1 && r.d == 0);
    policy_time = (struct policy_time){ 2400000, 0xd5555555, -1, true };
    r = ask(0x40000003, 0);
    CHECK(r.a == 6 && r.b == 0 && r.c == 2400000 && r.d == 0);
    r = ask(0x40000003, 1);
    CHECK(r.c == 0xd5555555 && r.d == 0xffffffff);
    CHECK_EQ(ask(0x40000003, 2).a, 2400000);
    CHECK(zero(ask(0x40000003, 3)));
    CHECK_EQ(ask(0x40000005, 0).b, 52);
    CHECK(zero(ask(0x40000005, 1)));
    policy_time = (struct policy_time){ 0 };
}

TEST(a_small_processor)
{
    struct cpuid_regs r;

    setup(small);
    CHECK_EQ(ask(0, 0).a, 6);
    r = ask(1, 0);
    CHECK_EQ(r.c & (1u << 26 | 1u << 27), 0);
    CHECK(zero(ask(7, 0)) && zero(ask(0xb, 0)) && zero(ask(0xd, 0)));
    r = ask(0x80000001, 0);
    CHECK_EQ(r.d,
             0x20100800 | (0x078bfbfd & 0x0183c3f5 & ~(1u << 12 | 1u << 13 | 1u << 3 | 1u << 17)));
    CHECK_EQ(r.c, 1);
    CHECK(!policy_has_tsc_aux());
    CHECK_EQ(ask(0x40000003, 0).a, 0);
}

TEST(invariant_tsc_for_dom0)
{
    setup(all);
    CHECK_EQ(ask(0x80000007, 0).d, 0x100);
    guest_domain.x.d.privileged = false;
    CHECK(zero(ask(0x80000007, 0)));
}

TEST(by_the_domains_policy)
{
    static struct x86_told told;
    struct cpuid_regs r;

    setup(all);
    guest_domain.x.d.privileged = false;
    guest_vcpu.priv.cr4 |= 0x40000;
    guest_domain.x.told = &told; /* a memory map, but no policy */
    CHECK_EQ(ask(7, 0).b, policy_default[POLICY_PV].leaf[12].b);
    told.cpu = policy_default[POLICY_PV];
    told.has_cpu = true;
    *cpu_policy_word(&told.cpu, 1) &= ~(1u << 28 | 1u << 30); /* no AVX, no RDRAND */
    cpu_policy_level(&told.cpu, &policy_max[POLICY_PV]);
    r = ask(1, 0);
    CHECK_EQ(r.c & (1u << 28 | 1u << 30 | 1u << 12), 0);
    CHECK_EQ(r.c >> 26 & 3, 3); /* XSAVE, OSXSAVE */
    CHECK_EQ(ask(7, 0).b >> 5 & 1, 0);
    CHECK_EQ(ask(0xd, 0).a, 3);
    CHECK_EQ(ask(0xd, 0).c, 576);
    CHECK(zero(ask(0xd, 2)));
    *cpu_policy_word(&told.cpu, 1) &= ~(1u << 26);
    cpu_policy_settle(&told.cpu);
    CHECK_EQ(ask(1, 0).c >> 26 & 3, 0);
    CHECK(zero(ask(0xd, 0)) && zero(ask(0xd, 1)));
    cpu_policy_at(&told.cpu, 0, 0)->a = 5;
    CHECK(zero(ask(7, 0)) && zero(ask(0xb, 0)));
    CHECK(!zero(ask(1, 0)));
}

TEST(the_tsc_when_emulated)
{
    setup(all);
    CHECK_EQ(ask(0x40000003, 0).a & 1, 0);
    CHECK_EQ(pv_cr4_live(&guest_vcpu) & PV_CR4_TSD, 0);
    guest_domain.x.tsc = (struct x86_tsc){ .mode = 1, .emulated = true, .khz = 7 };
    CHECK_EQ(ask(0x40000003, 0).a & 1, 1);
    CHECK_EQ(ask(0x40000003, 0).b, 1);
    CHECK_EQ(ask(0x40000003, 0).c, 7);
    CHECK(pv_cr4_live(&guest_vcpu) & PV_CR4_TSD);
    guest_domain.x.tsc = (struct x86_tsc){ .mode = 2 };
    CHECK_EQ(pv_cr4_live(&guest_vcpu) & PV_CR4_TSD, 0);
}
