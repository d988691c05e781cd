/* SPDX-License-Identifier: MIT */
/* Privileged instructions of a PV guest: who may, what happens, what is refused. */
#include "unit.h"

#include "lib/xenabi.h"
#include "privop_guest.h"

#define RUN(...) run((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static size_t last_len;

static bool run(const uint8_t *code, size_t n)
{
    last_len = n;
    memcpy(&guest_mem[guest_regs.rip - MEM_BASE], code, n);
    return guest_privop();
}

/* The instruction was completed and RIP is behind it; back to its start for the next one. */
static bool advanced(void)
{
    bool ok = guest_regs.rip == CODE + last_len;

    guest_regs.rip = CODE;
    return ok;
}

static void as_user(unsigned int iopl)
{
    guest_vcpu.kernel_mode = false;
    guest_vcpu.priv.iopl = (uint8_t)iopl;
}

static void add_msr(uint32_t msr, uint64_t val)
{
    host_machine.msr[host_machine.nr_msr++] = (struct host_msr){ msr, val, false };
}

static bool rd(uint32_t msr, uint64_t *val)
{
    bool ok;

    guest_regs.rcx = msr;
    guest_regs.rax = guest_regs.rdx = ~0ull;
    ok = RUN(0x0f, 0x32);
    *val = guest_regs.rdx << 32 | guest_regs.rax;
    guest_regs.rip = CODE;
    return ok;
}

static bool wr(uint32_t msr, uint64_t val)
{
    bool ok;

    guest_regs.rcx = msr;
    guest_regs.rax = (uint32_t)val | 0xabcdull << 32;
    guest_regs.rdx = val >> 32 | 0xabcdull << 32;
    ok = RUN(0x0f, 0x30);
    guest_regs.rip = CODE;
    return ok;
}

TEST(control_registers)
{
    guest_reset();
    guest_vcpu.cr3_kernel = 0x123000;
    guest_info.arch.cr2 = 0x777;
    CHECK(RUN(0x0f, 0x20, 0xc0) && advanced()); /* mov %cr0,%rax */
    CHECK_EQ(guest_regs.rax, 0x80050033);
    CHECK(RUN(0x0f, 0x20, 0xd3) && advanced()); /* mov %cr2,%rbx */
    CHECK_EQ(guest_regs.rbx, 0x777);
    CHECK(RUN(0x41, 0x0f, 0x20, 0xd8) && advanced()); /* mov %cr3,%r8 */
    CHECK_EQ(guest_regs.r8, 0x123000);
    CHECK(RUN(0x0f, 0x20, 0xe1) && advanced()); /* mov %cr4,%rcx */
    CHECK_EQ(guest_regs.rcx, 0x660);
    CHECK(!RUN(0x44, 0x0f, 0x20, 0xc0)); /* cr8 */
    CHECK(!RUN(0x0f, 0x20, 0xc8));       /* cr1 */

    guest_regs.rax = 0x8005003b; /* TS */
    CHECK(RUN(0x0f, 0x22, 0xc0) && advanced());
    CHECK(guest_vcpu.ts);
    CHECK(RUN(0x0f, 0x06) && advanced()); /* clts */
    CHECK(!guest_vcpu.ts);
    guest_regs.rax = 0x80040033; /* WP off */
    CHECK(!RUN(0x0f, 0x22, 0xc0));

    guest_regs.rax = 0x456000;
    CHECK(RUN(0x0f, 0x22, 0xd8) && advanced());
    CHECK_EQ(seen.baseptr, 0x456);
    seen.fail = -22;
    CHECK(!RUN(0x0f, 0x22, 0xd8));
    CHECK_EQ(guest_regs.rip, CODE);
}

TEST(cr4_takes_only_what_a_guest_may_choose)
{
    guest_reset();
    guest_regs.rax = 0x660 | 4 | 0x10000 | 0x40000;
    CHECK(RUN(0x0f, 0x22, 0xe0) && advanced());
    CHECK_EQ(guest_vcpu.priv.cr4, 0x50664);
    CHECK_EQ(pv_cr4_live(&guest_vcpu), 0x10004);
    CHECK_EQ(seen.refusals, 0);
    guest_regs.rax = ~0ull;
    CHECK(RUN(0x0f, 0x22, 0xe0) && advanced());
    CHECK_EQ(guest_vcpu.priv.cr4, 0x5066c);
    CHECK(seen.refusals > 0);
    guest_regs.rax = 0;
    CHECK(RUN(0x0f, 0x22, 0xe0) && advanced());
    CHECK_EQ(guest_vcpu.priv.cr4, 0x660);
    CHECK_EQ(seen.cr4_changes, 3);
    CHECK(RUN(0x0f, 0x22, 0xe0));
    CHECK_EQ(seen.cr4_changes, 3);
    cpu_feat.xsave = cpu_feat.fsgsbase = false;
    CHECK_EQ(pv_cr4_fixup(~0ull), 0x66c);
}

TEST(debug_registers)
{
    guest_reset();
    guest_regs.rax = 0x1000;
    CHECK(RUN(0x0f, 0x23, 0xc0) && advanced());
    CHECK_EQ(seen.dr[0], 0x1000);
    seen.dr[4] = 0xffff0ff0;
    CHECK(RUN(0x0f, 0x21, 0xe3) && advanced()); /* dr4 is there */
    CHECK_EQ(guest_regs.rbx, 0xffff0ff0);
    guest_regs.vector = VECTOR_UD; /* as the processor says with CR4.DE of its own */
    CHECK(RUN(0x0f, 0x21, 0xe3) && advanced());
    guest_regs.vector = VECTOR_GP;
    guest_vcpu.priv.cr4 |= 8;
    CHECK(RUN(0x0f, 0x21, 0xe3)); /* and gone with the guest's CR4.DE */
    CHECK(RUN(0x0f, 0x23, 0xeb));
    CHECK_EQ(seen.uds, 2);
    CHECK_EQ(guest_regs.rip, CODE);
    CHECK(!RUN(0x44, 0x0f, 0x21, 0xc3)); /* dr8 */
    seen.fail = -1;
    CHECK(!RUN(0x0f, 0x23, 0xc0));
}

TEST(io_breakpoints)
{
    guest_reset();
    CHECK(!pv_dr7_ok(0x20402, 0)); /* breakpoint 0 on ports needs CR4.DE */
    CHECK(pv_dr7_ok(0x20402, 8));
    CHECK(pv_dr7_ok(0x20400, 0)); /* it is off */
    CHECK(!pv_dr7_ok(0x2400, 8)); /* general detect */
    CHECK_EQ(pv_hardware_dr7(0x20402), 0x20400);
    CHECK_EQ(pv_hardware_dr7(0x20040a), 0x200402);
    guest_vcpu.dr[0] = 0x81; /* two ports from 0x80 on */
    guest_vcpu.dr[7] = 0x60402;
    guest_regs.rdx = 0x81;
    CHECK(RUN(0xec) && advanced());
    CHECK_EQ(seen.dr6, 1);
    CHECK(RUN(0xe6, 0x80) && advanced());
    CHECK_EQ(seen.debugs, 2);
    CHECK(RUN(0xe6, 0x82) && advanced());
    CHECK(RUN(0xe4, 0x7f) && advanced());
    CHECK_EQ(seen.debugs, 2);
    CHECK(RUN(0x66, 0xe5, 0x7f) && advanced()); /* 16 bits reach it */
    CHECK_EQ(seen.debugs, 3);
    /* A repeated instruction stops behind the element that met it. */
    guest_regs.rcx = 3;
    guest_regs.rdi = DATA;
    CHECK(RUN(0xf3, 0x6c));
    CHECK_EQ(guest_regs.rip, CODE);
    CHECK_EQ(guest_regs.rcx, 2);
    CHECK_EQ(seen.debugs, 4);
    guest_vcpu.dr[7] = 0x60400;
    CHECK(RUN(0xec) && advanced());
    CHECK_EQ(seen.debugs, 4);
}

TEST(programs_get_nothing)
{
    static const uint8_t kernel_only[][4] = {
        { 0x0f, 0x20, 0xc0 }, { 0x0f, 0x22, 0xd8 }, { 0x0f, 0x21, 0xc0 },
        { 0x0f, 0x23, 0xc0 }, { 0x0f, 0x06 },       { 0x0f, 0x09 },
        { 0x0f, 0x32 },       { 0x0f, 0x30 },       { 0x0f, 0x01, 0xd1 },
    };
    struct x86_regs before;

    guest_reset();
    as_user(3);
    guest_vcpu.priv.cr4 |= 0x40000;
    guest_regs.rcx = 0xc0000102;
    for (size_t i = 0; i < ARRAY_SIZE(kernel_only); i++) {
        before = guest_regs;
        CHECK(!run(kernel_only[i], 4));
        CHECK(memcmp(&before, &guest_regs, sizeof(before)) == 0);
    }
    CHECK_EQ(seen.baseptrs + host_machine.wbinvds, 0);
}

TEST(nobody_gets_these)
{
    static const uint8_t never[][4] = {
        { 0xf4 },
        { 0xcf },
        { 0x0f, 0x01, 0xf8 },
        { 0x0f, 0x01, 0xf0 }, /* lmsw */
        { 0x0f, 0x01, 0x38 }, /* invlpg */
        { 0x0f, 0x08 },       /* invd */
        { 0x0f, 0x33 },
        { 0x0f, 0x01, 0xd0 },
        { 0x48, 0x89, 0x07 },
        { 0x90 },
        { 0xcd, 0x80 },
    };

    guest_reset();
    for (size_t i = 0; i < ARRAY_SIZE(never); i++)
        CHECK(!run(never[i], 4));
    /* A #GP that names a selector is never about the instruction. */
    guest_regs.error_code = 0x23;
    CHECK(!RUN(0x0f, 0x06));
}

TEST(interrupt_flag_by_io_privilege)
{
    guest_reset();
    CHECK(RUN(0xfa) && advanced());
    CHECK(RUN(0xfb) && advanced());
    CHECK_EQ(guest_regs.rflags, 0x202); /* it is not the guest's to change */
    guest_vcpu.priv.iopl = 0;
    CHECK(!RUN(0xfa) && !RUN(0xfb));
    guest_domain.x.d.vm_assist = BIT64(VMASST_TYPE_architectural_iopl);
    CHECK(RUN(0xfa) && advanced()); /* as ring 0 */
    CHECK(RUN(0xe4, 0x80) && advanced());
    as_user(1);
    CHECK(!RUN(0xfa) && !RUN(0xfb) && !RUN(0xe4, 0x80));
    as_user(3);
    CHECK(RUN(0xfa) && advanced());
}

TEST(rdtsc_when_tsd_is_on)
{
    guest_reset();
    host_machine.tsc = 0x123456789abcdef0;
    guest_vcpu.priv.tsc_aux = 5;
    CHECK(RUN(0x0f, 0x31) && advanced());
    CHECK_EQ(guest_regs.rax, 0x9abcdef0);
    CHECK_EQ(guest_regs.rdx, 0x12345678);
    CHECK(RUN(0x0f, 0x01, 0xf9) && advanced());
    CHECK_EQ(guest_regs.rcx, 5);
    guest_domain.x.tsc.emulated = true; /* its own, not the machine's */
    CHECK(RUN(0x0f, 0x31) && advanced());
    CHECK_EQ(guest_regs.rax, 0x9abcdef1);
    guest_domain.x.tsc.emulated = false;
    as_user(0);
    CHECK(RUN(0x0f, 0x31) && advanced());
    guest_vcpu.priv.cr4 |= 4;
    CHECK(!RUN(0x0f, 0x31));
}

TEST(cpuid_by_prefix_and_by_fault)
{
    guest_reset();
    guest_regs.rax = 0xffffffff40000000;
    guest_regs.rcx = 0;
    guest_regs.vector = VECTOR_UD;
    CHECK(RUN(0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2) && advanced());
    CHECK_EQ(guest_regs.rax, 0x40000005);
    CHECK_EQ(guest_regs.rbx, 0x566e6558);
    CHECK(!RUN(0x0f, 0x0b, 0x90, 0x90)); /* BUG() */
    CHECK(!RUN(0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0x31));
    CHECK(!RUN(0x0f, 0xa2)); /* #UD by a plain CPUID: some other reason */
    as_user(0);
    guest_regs.rax = 0x40000001;
    CHECK(RUN(0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2) && advanced());
    CHECK_EQ(guest_regs.rax, XEN_ABI_VERSION);
    guest_regs.vector = VECTOR_GP;
    guest_regs.rax = 0x40000001;
    CHECK(RUN(0x0f, 0xa2) && advanced());
    CHECK_EQ(guest_regs.rax, XEN_ABI_VERSION);
}

TEST(fetch_over_page_ends)
{
    guest_reset();
    guest_regs.rip = CODE + 0xffe;
    CHECK(RUN(0x0f, 0x06)); /* ends with the page */
    CHECK_EQ(guest_regs.rip, CODE + 0x1000);
    guest_regs.rip = CODE + 0xfff;
    CHECK(RUN(0x0f, 0x06)); /* straddles two mapped pages */
    CHECK_EQ(guest_regs.rip, CODE + 0x1001);
    guest_regs.rip = READ_ONLY + 0xffe; /* a hole behind it */
    CHECK(RUN(0x0f, 0x06));
    guest_regs.rip = READ_ONLY + 0xfff;
    CHECK(!RUN(0x0f));
    guest_regs.rip = HOLE;
    CHECK(!guest_privop());
    guest_regs.rip = ~0ull;
    CHECK(!guest_privop());
}

TEST(retires_as_the_cpu_does)
{
    guest_reset();
    guest_regs.rflags |= X86_FLAGS_RF | X86_FLAGS_TF;
    CHECK(RUN(0x0f, 0x06));
    CHECK_EQ(guest_regs.rflags, 0x302);
    CHECK_EQ(seen.dr6, 0x4000);
}

TEST(caches)
{
    guest_reset();
    CHECK(RUN(0x0f, 0x09) && advanced());
    CHECK_EQ(host_machine.wbinvds, 1);
    guest_domain.x.ioports = NULL;
    CHECK(RUN(0x0f, 0x09) && advanced());
    CHECK_EQ(host_machine.wbinvds, 1);
}

TEST(xsetbv)
{
    guest_reset();
    guest_regs.rcx = 0;
    guest_regs.rdx = 0;
    guest_regs.rax = 7;
    CHECK(RUN(0x0f, 0x01, 0xd1)); /* until OSXSAVE is on the instruction is not there */
    CHECK_EQ(seen.uds, 1);
    CHECK_EQ(guest_vcpu.x.xcr0, 1);
    guest_vcpu.priv.cr4 |= 0x40000;
    CHECK(RUN(0x0f, 0x01, 0xd1) && advanced());
    CHECK_EQ(guest_vcpu.x.xcr0, 7);
    for (unsigned int v = 0; v < 256; v++) {
        guest_regs.rax = v;
        CHECK_EQ(RUN(0x0f, 0x01, 0xd1), v == 1 || v == 3 || v == 7);
        guest_regs.rip = CODE;
    }
    cpu_policy_at(&policy_max[POLICY_PV], 0xd, 0)->a = 0xe7;
    for (unsigned int v = 0; v < 256; v++) {
        guest_regs.rax = v;
        CHECK_EQ(RUN(0x0f, 0x01, 0xd1), v == 1 || v == 3 || v == 7 || v == 0xe7);
        guest_regs.rip = CODE;
    }
    guest_regs.rax = 1;
    guest_regs.rdx = 1;
    CHECK(!RUN(0x0f, 0x01, 0xd1));
    guest_regs.rdx = 0;
    guest_regs.rcx = 1;
    CHECK(!RUN(0x0f, 0x01, 0xd1));
}

TEST(msr_segment_bases)
{
    uint64_t val;

    guest_reset();
    CHECK(wr(0xc0000100, 0x111000) && wr(0xc0000101, 0xffff888000000000) && wr(0xc0000102, 0x222));
    CHECK_EQ(seen.base[SEGBASE_FS], 0x111000);
    CHECK_EQ(seen.base[SEGBASE_GS_KERNEL], 0xffff888000000000);
    CHECK_EQ(seen.base[SEGBASE_GS_USER], 0x222);
    CHECK(rd(0xc0000101, &val));
    CHECK_EQ(val, 0xffff888000000000);
    CHECK(rd(0xc0000102, &val));
    CHECK_EQ(val, 0x222);
    CHECK(!wr(0xc0000100, 0x8000000000000000)); /* not canonical */
    CHECK_EQ(seen.base[SEGBASE_FS], 0x111000);
}

TEST(msr_list)
{
    uint64_t val;

    guest_reset();
    add_msr(0x277, 0x050100070406);
    add_msr(0x8b, 0x123400000000);
    add_msr(0x1a0, 0x850089);
    add_msr(0xc0000080, 0xd01);
    add_msr(0x48, 7);
    CHECK(rd(0xc0000080, &val));
    CHECK_EQ(val, 0xd01);
    CHECK(wr(0xc0000080, 0xd01) && !wr(0xc0000080, 0x1d01));
    CHECK(rd(0x277, &val) && val == 0x050100070406 && wr(0x277, val) && !wr(0x277, 0));
    CHECK(rd(0x1b, &val));
    CHECK_EQ(val, 0xfee00900);
    guest_vcpu.x.v.id = 1;
    CHECK(rd(0x1b, &val));
    CHECK_EQ(val, 0xfee00800);
    CHECK(rd(0x1a0, &val));
    CHECK_EQ(val, 0x801801);
    CHECK(rd(0x179, &val) && val == 0);
    CHECK(wr(0x8b, 0) && !wr(0x8b, 1));
    CHECK(!rd(0x48, &val)); /* SPEC_CTRL */
    CHECK(!wr(0x48, 0));
    CHECK(!rd(0xc0000082, &val)); /* LSTAR */
    CHECK(!wr(0xc0000082, 0x1000));
    CHECK(!wr(0x1b, 0));
    CHECK(!wr(0x10, 0));
    CHECK(!wr(0x200, 6));
    CHECK(wr(0x40000000, 0x5000));
    CHECK_EQ(seen.hypercall_gfn, 5);

    /* Before a handler is there, a kernel reads zero rather than dies. */
    guest_vcpu.traps[VECTOR_GP].address = 0;
    CHECK(rd(0x48, &val) && val == 0);
    CHECK(!wr(0x48, 0));
}

TEST(msr_of_dom0_only)
{
    uint64_t val;

    guest_reset();
    cpu_feat.intel = false;
    cpu_feat.amd = true;
    add_msr(0xfe, 0x508);
    add_msr(0x200, 6);
    add_msr(0xc001001f, 0x10);
    CHECK(rd(0xfe, &val) && val == 0x508);
    CHECK(rd(0xc001001f, &val) && val == 0x10);
    CHECK(!wr(0xc001001f, 0x11));
    CHECK(wr(0xc001001f, 0x400000000010));
    CHECK_EQ(host_machine.msr[2].val, 0x400000000010);
    guest_domain.x.d.privileged = false;
    CHECK(!rd(0xfe, &val));
    CHECK(!rd(0xc001001f, &val));
    CHECK(!wr(0xc001001f, 0x10));
    CHECK(rd(0xc0010015, &val) && val == 0x1000000);
}

TEST(umip_five)
{
    guest_reset();
    as_user(0);
    guest_regs.rax = DATA;
    CHECK(RUN(0x0f, 0x01, 0x00) && advanced()); /* sgdt (%rax) */
    CHECK(memcmp(&guest_mem[0x1000], "\0\0\0\0\xfe\xff\xff\xff\xff\xff", 10) == 0);
    CHECK(RUN(0x0f, 0x01, 0x08) && advanced()); /* sidt */
    CHECK(memcmp(&guest_mem[0x1000], "\0\0\0\0\xff\xff\xff\xff\xff\xff", 10) == 0);
    guest_regs.rbx = ~0ull;
    CHECK(RUN(0x0f, 0x00, 0xc3) && advanced()); /* sldt %ebx */
    CHECK_EQ(guest_regs.rbx, 0);
    guest_regs.rbx = ~0ull;
    CHECK(RUN(0x66, 0x0f, 0x01, 0xe3) && advanced()); /* smsw %bx */
    CHECK_EQ(guest_regs.rbx, 0xffffffffffff0033);
    CHECK(RUN(0x0f, 0x01, 0xe3) && advanced()); /* smsw %ebx */
    CHECK_EQ(guest_regs.rbx, 0x80050033);
    memset(&guest_mem[0x1000], 0xee, 4);
    CHECK(RUN(0x0f, 0x00, 0x08) && advanced()); /* str (%rax) */
    CHECK(memcmp(&guest_mem[0x1000], "\0\0\xee\xee", 4) == 0);

    guest_regs.rax = READ_ONLY;
    CHECK(RUN(0x0f, 0x01, 0x00)); /* handled: a page fault instead */
    CHECK_EQ(guest_regs.rip, CODE);
    CHECK_EQ(seen.page_faults, 1);
    CHECK_EQ(seen.pf_addr, READ_ONLY);
    CHECK(seen.pf_write);

    guest_regs.cs = SEL_RING3_CS32;
    guest_regs.rax = DATA;
    CHECK(RUN(0x0f, 0x01, 0x00) && advanced());
    CHECK(memcmp(&guest_mem[0x1000], "\0\0\0\0\xfe\xff\xee", 6) == 0);
}
