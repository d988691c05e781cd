/* SPDX-License-Identifier: MIT */
/* What the emulation of instructions refuses and no other test meets: see tests/model/refusals. */
#include "unit.h"

#include "lib/xenabi.h"
#include "privop_guest.h"

/* One without. */
static const struct host_cpuid none[] = {
    { 0, 0, 7, 0x756e6547, 0x6c65746e, 0x49656e69 },
    { 0x80000000, 0, 0x80000008, 0, 0, 0 },
    { 0x80000008, 0, 0x3028, 0, 0, 0 },
    { ~0u, ~0u, 0, 0, 0, 0 },
};

/* A processor with RDTSCP and IBPB, without ARCH_CAPABILITIES. */
static const struct host_cpuid some[] = {
    { 0, 0, 7, 0x756e6547, 0x6c65746e, 0x49656e69 },
    { 0x80000000, 0, 0x80000008, 0, 0, 0 },
    { 0x80000001, 0, 0, 0, 0, 1u << 27 },
    { 0x80000008, 0, 0x3028, 1u << 12, 0, 0 },
    { ~0u, ~0u, 0, 0, 0, 0 },
};

static bool run(const uint8_t *code, size_t n, uint32_t msr, uint64_t val)
{
    bool ok;

    memcpy(guest_mem, code, n);
    guest_regs.rip = CODE;
    guest_regs.rcx = msr;
    guest_regs.rax = (uint32_t)val;
    guest_regs.rdx = val >> 32;
    ok = guest_privop();
    return ok;
}

static bool rd(uint32_t msr)
{
    return run((const uint8_t[]){ 0x0f, 0x32 }, 2, msr, 0);
}

static bool wr(uint32_t msr, uint64_t val)
{
    return run((const uint8_t[]){ 0x0f, 0x30 }, 2, msr, val);
}

static struct host_msr *add(uint32_t msr, uint64_t val)
{
    host_machine.msr[host_machine.nr_msr] = (struct host_msr){ msr, val, false };
    return &host_machine.msr[host_machine.nr_msr++];
}

static void set_up(bool intel)
{
    guest_reset();
    host_machine.cpuid = some;
    cpu_feat.intel = intel;
    cpu_feat.amd = !intel;
    policy_init();
}

TEST(registers_that_the_processor_lacks)
{
    static const uint32_t intel[] = { 0x17, 0x1a0, 0x277, 0x8b, 0xfe, 0x200, 0x250, 0x26f },
                          amd[] = { 0xc001001f, 0xc0010058, 0xc0010061, 0xc0010064, 0xc0011029 };

    set_up(true);
    for (size_t i = 0; i < sizeof(intel) / sizeof(intel[0]); i++) {
        CHECK(!rd(intel[i]));
        add(intel[i], 0x1234);
        CHECK(rd(intel[i]));
    }
    set_up(false);
    for (size_t i = 0; i < sizeof(amd) / sizeof(amd[0]); i++) {
        CHECK(!rd(amd[i]));
        CHECK(!wr(amd[i], 0));
        add(amd[i], 0x1234);
        CHECK(rd(amd[i]));
    }
}

TEST(registers_of_dom0)
{
    static const uint32_t intel[] = { 0x17, 0xfe, 0x200, 0x250, 0x26f, 0x2ff },
                          amd[] = { 0xc001001f, 0xc0010058, 0xc0010061, 0xc0010064, 0xc001006b };

    for (size_t i = 0; i < sizeof(intel) / sizeof(intel[0]); i++) {
        set_up(true);
        add(intel[i], 0x1234);
        CHECK(rd(intel[i]));
        guest_domain.x.d.privileged = false;
        CHECK(!rd(intel[i]));
    }
    for (size_t i = 0; i < sizeof(amd) / sizeof(amd[0]); i++) {
        set_up(false);
        add(amd[i], 0x1234);
        CHECK(rd(amd[i]));
        guest_domain.x.d.privileged = false;
        CHECK(!rd(amd[i]));
        CHECK(!wr(amd[i], 0x1234));
    }
}

TEST(registers_that_are_nobodys)
{
    static const uint32_t nobodys[] = {
        0x1ff, 0x220, 0x251, 0x25a, 0x267, 0x270, 0x10a, 0xc0010070
    };

    for (size_t i = 0; i < sizeof(nobodys) / sizeof(nobodys[0]); i++) {
        set_up(i % 2);
        add(nobodys[i], 0x1234);
        CHECK(!rd(nobodys[i]));
        set_up(!(i % 2));
        add(nobodys[i], 0x1234);
        CHECK(!rd(nobodys[i]));
    }
}

/* The revision is what CPUID put there after a write of zero; an AMD's needs none. */
TEST(the_microcode_revision)
{
    struct host_msr *rev;

    set_up(true);
    rev = add(0x8b, 0x1234);
    CHECK(rd(0x8b));
    CHECK_EQ(rev->val, 0);
    set_up(false);
    rev = add(0x8b, 0x1234);
    CHECK(rd(0x8b));
    CHECK_EQ(rev->val, 0x1234);
    CHECK_EQ(guest_regs.rax, 0x1234);
}

TEST(values_that_do_not_fit)
{
    struct host_msr *aux, *pred, *nb;

    set_up(true);
    aux = add(0xc0000103, 0);
    pred = add(0x49, 0);
    CHECK(wr(0xc0000103, 5));
    CHECK(!wr(0xc0000103, 1ull << 32));
    CHECK_EQ(aux->val, 5);
    CHECK(wr(0x49, 1));
    CHECK(!wr(0x49, 3));
    CHECK_EQ(pred->val, 1);
    set_up(false);
    CHECK(!wr(0xc001001f, 0)); /* the register is not there */
    nb = add(0xc001001f, 0x10);
    CHECK(!wr(0xc001001f, 0x11));
    CHECK(wr(0xc001001f, 0x10 | 1ull << 46));
    CHECK_EQ(nb->val, 0x10 | 1ull << 46);
}

TEST(registers_of_other_processors)
{
    struct host_msr *aux, *nb;

    set_up(true);
    nb = add(0xc001001f, 0x10);
    CHECK(!wr(0xc001001f, 0x10));
    CHECK(!wr(0xc001001f, 0x10 | 1ull << 46));
    CHECK_EQ(nb->val, 0x10);
    set_up(true);
    host_machine.cpuid = none;
    policy_init();
    aux = add(0xc0000103, 3);
    CHECK(!rd(0xc0000103));
    CHECK(!wr(0xc0000103, 5));
    CHECK_EQ(aux->val, 3);
    add(0x49, 0);
    CHECK(!wr(0x49, 0) && !wr(0x49, 1));
}

/* Code whose segment is none, and data's. */
TEST(segments_that_are_not_there)
{
    set_up(true);
    guest_regs.cs = 0x33;
    CHECK(!run((const uint8_t[]){ 0xec }, 1, 0, 0x300ull << 32));
    guest_regs.cs = SEL_RING3_CS32;
    CHECK(run((const uint8_t[]){ 0xec }, 1, 0, 0x300ull << 32));
    seen.no_segment = true;
    guest_regs.rsi = DATA;
    CHECK(!run((const uint8_t[]){ 0x6e }, 1, 0, 0x300ull << 32)); /* outsb */
    seen.no_segment = false;
    guest_regs.rsi = DATA;
    CHECK(run((const uint8_t[]){ 0x6e }, 1, 0, 0x300ull << 32));
    seen.es_base = 0x1000;
    guest_regs.rdi = DATA - 0x1000;
    ports.answer = 0x5c;
    CHECK(run((const uint8_t[]){ 0x6c }, 1, 0, 0x300ull << 32)); /* insb */
    CHECK_EQ(guest_mem[DATA - MEM_BASE], 0x5c);
}

TEST(leaves_behind_the_hypervisors)
{
    struct cpuid_regs r = { 1, 2, 3, 4 };

    set_up(true);
    CHECK(policy_xen_leaf(&guest_vcpu.x.v, 0x40000005, 0, &r));
    CHECK(!policy_xen_leaf(&guest_vcpu.x.v, 0x40000006, 0, &r));
    CHECK(!policy_xen_leaf(&guest_vcpu.x.v, 0x3fffffff, 0, &r));
}

/* 16-bit code: where others have one byte more the operand has half the size. */
TEST(ports_of_16_bit_code)
{
    set_up(true);
    guest_regs.cs = 0x33;
    seen.mode = INSN_MODE_16;
    ports.answer = 0xa1b2c3d4;
    CHECK(run((const uint8_t[]){ 0xed }, 1, 0, 0x300ull << 32 | 0x77770000)); /* in %dx, %ax */
    CHECK_EQ(guest_regs.rax, 0x7777c3d4);
    CHECK_EQ(ports.size, 2);
    CHECK(run((const uint8_t[]){ 0x66, 0xed }, 2, 0, 0x300ull << 32));
    CHECK_EQ(ports.size, 4);
}

/* What the processor does not know is none of ours, were it a port's; nor is what ends too early.
 */
TEST(no_port_instruction)
{
    set_up(true);
    guest_regs.vector = VECTOR_UD;
    CHECK(!run((const uint8_t[]){ 0xec }, 1, 0, 0x300ull << 32));
    guest_regs.vector = VECTOR_GP;
    CHECK(run((const uint8_t[]){ 0x66, 0xed }, 2, 0, 0x300ull << 32));
    guest_mem[HOLE - 1 - MEM_BASE] = 0x66; /* and no page behind it */
    guest_regs.rip = HOLE - 1;
    CHECK(!guest_privop());
    CHECK_EQ(guest_regs.rip, HOLE - 1);
}

/* Beyond the last port, for a kernel that may use all of them. */
TEST(ports_behind_the_last)
{
    set_up(true);
    CHECK(run((const uint8_t[]){ 0xec }, 1, 0, 0xffffull << 32)); /* in %dx, %al */
    CHECK(!run((const uint8_t[]){ 0xed }, 1, 0, 0xffffull << 32));
    CHECK(!run((const uint8_t[]){ 0xed }, 1, 0, 0xfffdull << 32));
    CHECK(run((const uint8_t[]){ 0xed }, 1, 0, 0xfffcull << 32));
}
