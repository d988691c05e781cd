/* SPDX-License-Identifier: MIT */
/* Port I/O of a PV guest: permissions, string instructions, the ports with rules of their own. */
#include "unit.h"

#include "privop_guest.h"

#define RUN(...) run((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static bool run(const uint8_t *code, size_t n)
{
    bool ok;

    memcpy(&guest_mem[0], code, n);
    ok = guest_privop();
    if (ok && guest_regs.rip == CODE + n)
        guest_regs.rip = CODE;
    return ok;
}

static bool in8(uint16_t port)
{
    guest_regs.rdx = port;
    return RUN(0xec);
}

static bool in16(uint16_t port)
{
    guest_regs.rdx = port;
    return RUN(0x66, 0xed);
}

static bool in32(uint16_t port)
{
    guest_regs.rdx = port;
    return RUN(0xed);
}

static bool out8(uint16_t port, uint8_t val)
{
    guest_regs.rdx = port;
    guest_regs.rax = val;
    return RUN(0xee);
}

static bool out16(uint16_t port, uint16_t val)
{
    guest_regs.rdx = port;
    guest_regs.rax = val;
    return RUN(0x66, 0xef);
}

static bool out32(uint16_t port, uint32_t val)
{
    guest_regs.rdx = port;
    guest_regs.rax = val;
    return RUN(0xef);
}

static void program_with_bitmap(uint32_t nr_ports)
{
    guest_vcpu.kernel_mode = false;
    guest_vcpu.priv.iopl = 1;
    guest_vcpu.priv.iobitmap = GPTR(BITMAP);
    guest_vcpu.priv.iobitmap_ports = nr_ports;
    memset(&guest_mem[BITMAP - MEM_BASE], 0xff, 8192);
}

static void permit(unsigned int port)
{
    guest_mem[BITMAP - MEM_BASE + port / 8] &= (uint8_t) ~(1u << (port & 7));
}

TEST(widths_and_registers)
{
    guest_reset();
    ports.answer = 0x87654321;
    guest_regs.rax = ~0ull;
    CHECK(in8(0x300));
    CHECK_EQ(guest_regs.rax, 0xffffffffffffff21);
    CHECK(in16(0x300));
    CHECK_EQ(guest_regs.rax, 0xffffffffffff4321);
    CHECK(in32(0x300));
    CHECK_EQ(guest_regs.rax, 0x87654321);
    CHECK(RUN(0xe4, 0xf0)); /* in $0xf0,%al */
    CHECK_EQ(ports.port, 0xf0);
    guest_regs.rax = 0x1122334455;
    CHECK(RUN(0xe7, 0x80)); /* out %eax,$0x80 */
    CHECK_EQ(ports.val, 0x22334455);
    CHECK_EQ(ports.size, 4);
    CHECK(out8(0x300, 0x77) && ports.val == 0x77 && ports.size == 1);
}

TEST(privilege_levels)
{
    guest_reset();
    guest_vcpu.priv.iopl = 0;
    CHECK(!in8(0x300));
    guest_vcpu.priv.iopl = 1;
    CHECK(in8(0x300));
    guest_vcpu.kernel_mode = false;
    CHECK(!in8(0x300));
    guest_vcpu.priv.iopl = 2;
    CHECK(!in8(0x300));
    guest_vcpu.priv.iopl = 3;
    CHECK(in8(0x300));
    /* The guest's permission is not the domain's. */
    guest_domain.x.ioports = NULL;
    ports.ins = ports.outs = 0;
    guest_regs.rax = 0;
    CHECK(in16(0x300));
    CHECK_EQ(guest_regs.rax, 0xffff);
    CHECK(out8(0x300, 1));
    CHECK_EQ(ports.ins + ports.outs, 0);
}

TEST(bitmap)
{
    guest_reset();
    program_with_bitmap(65536);
    CHECK(!in8(0x300));
    permit(0x300);
    CHECK(in8(0x300));
    CHECK(!in16(0x300));
    permit(0x301);
    CHECK(in16(0x300));
    CHECK(!in32(0x300));
    permit(0x302);
    permit(0x303);
    CHECK(in32(0x300));
    /* Over a byte of the map. */
    permit(0x307);
    CHECK(!in16(0x307));
    permit(0x308);
    CHECK(in16(0x307));
    /* The last ports. */
    permit(0xffff);
    CHECK(in8(0xffff));
    CHECK(!in16(0xffff));
    CHECK(!in32(0xfffd));
    /* Ports beyond the map's end are refused, at its edge too. */
    guest_vcpu.priv.iobitmap_ports = 0x301;
    CHECK(in8(0x300));
    CHECK(!in16(0x300));
    guest_vcpu.priv.iobitmap_ports = 0x300;
    CHECK(!in8(0x300));
    guest_vcpu.priv.iobitmap_ports = 0;
    CHECK(!in8(0));
}

TEST(bitmap_in_bad_memory)
{
    guest_reset();
    program_with_bitmap(65536);
    guest_vcpu.priv.iobitmap = GPTR(HOLE);
    CHECK(!in8(0x300));
    guest_vcpu.priv.iobitmap = GPTR(~0ull - 4);
    CHECK(!in8(0x300));
    /* The map's last byte is the last of its memory: a byte access does not need the next one. */
    guest_vcpu.priv.iobitmap = GPTR(BITMAP_END + 1);
    guest_mem[BITMAP_END + 1 - MEM_BASE] = 0;
    CHECK(in8(7));
    CHECK(!in16(7));
    CHECK(in16(6));
}

TEST(hidden_ports)
{
    static const uint16_t hidden[] = { 0x20, 0x21, 0xa0, 0xa1, 0x22, 0x40, 0x41, 0x3f8, 0x3ff };

    guest_reset();
    for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
        guest_regs.rax = 0;
        CHECK(in8(hidden[i]));
        CHECK_EQ(guest_regs.rax, 0xff);
        CHECK(out8(hidden[i], 0));
    }
    CHECK_EQ(ports.ins + ports.outs, 0);
    /* An access that only reaches into a hidden port. */
    CHECK(in32(0x3f5) && guest_regs.rax == 0xffffffff && ports.ins == 0);
    CHECK(in8(0x3f7) && ports.ins == 1);
    CHECK(in8(0x400) && ports.ins == 2);
    CHECK(in16(0xffff) == false); /* wraps */
}

TEST(string_io)
{
    guest_reset();
    ports.answer = 0xa1b2c3d4;
    guest_regs.rdx = 0x300;
    guest_regs.rdi = DATA;
    guest_regs.rcx = 3;
    CHECK(RUN(0xf3, 0x66, 0x6d)); /* rep insw */
    CHECK_EQ(guest_regs.rip, CODE);
    CHECK_EQ(guest_regs.rdi, DATA + 6);
    CHECK_EQ(guest_regs.rcx, 0);
    CHECK_EQ(ports.ins, 3);
    CHECK(memcmp(&guest_mem[0x1000], "\xd4\xc3\xd4\xc3\xd4\xc3\0", 7) == 0);

    guest_regs.rsi = DATA + 4;
    guest_regs.rcx = 2;
    guest_regs.rflags |= X86_FLAGS_DF;
    CHECK(RUN(0xf3, 0x6f)); /* rep outsl, backwards */
    CHECK_EQ(guest_regs.rsi, DATA - 4);
    CHECK_EQ(ports.val, 0xc3d4c3d4);
    CHECK_EQ(ports.outs, 2);
    guest_regs.rflags &= ~X86_FLAGS_DF;

    guest_regs.rcx = 7;
    guest_regs.rsi = DATA;
    CHECK(RUN(0x6e)); /* outsb without repeat */
    CHECK_EQ(guest_regs.rcx, 7);
    CHECK_EQ(guest_regs.rsi, DATA + 1);
    CHECK_EQ(ports.val, 0xd4);

    seen.base[SEGBASE_GS_KERNEL] = 0x1000;
    guest_regs.rsi = DATA - 0x1000 + 1;
    CHECK(RUN(0x65, 0x6e)); /* outsb %gs: */
    CHECK_EQ(ports.val, 0xc3);

    /* 32-bit addresses: only the low half moves. */
    guest_regs.rdi = DATA | 0xffff00000000;
    CHECK(RUN(0x67, 0x6c));
    CHECK_EQ(guest_regs.rdi, DATA + 1);
}

TEST(string_io_is_resumed_and_may_fault)
{
    guest_reset();
    guest_regs.rdx = 0x300;
    guest_regs.rdi = DATA;
    guest_regs.rcx = 1000;
    CHECK(RUN(0xf3, 0x6c));
    CHECK_EQ(guest_regs.rip, CODE);
    CHECK(guest_regs.rcx > 0 && guest_regs.rcx < 1000);
    CHECK_EQ(guest_regs.rdi, DATA + 1000 - guest_regs.rcx);
    for (int i = 0; i < 100 && guest_regs.rcx; i++)
        CHECK(RUN(0xf3, 0x6c));
    CHECK_EQ(ports.ins, 1000);
    CHECK_EQ(guest_regs.rdi, DATA + 1000);
    guest_regs.rcx = 0;
    CHECK(RUN(0xf3, 0x6c));
    CHECK_EQ(ports.ins, 1000);

    guest_regs.rcx = 8; /* two elements fit before the read-only page */
    guest_regs.rdi = READ_ONLY - 2;
    memcpy(guest_mem, "\xf3\x6c", 2);
    CHECK(guest_privop());
    CHECK_EQ(guest_regs.rip, CODE);
    CHECK_EQ(guest_regs.rcx, 6);
    CHECK_EQ(guest_regs.rdi, READ_ONLY);
    CHECK_EQ(seen.page_faults, 1);
    CHECK(seen.pf_write && seen.pf_addr == READ_ONLY);
    guest_regs.rsi = HOLE;
    CHECK(RUN(0xf3, 0x6e));
    CHECK_EQ(seen.page_faults, 2);
    CHECK(!seen.pf_write);
    CHECK_EQ(guest_regs.rcx, 6);
}

TEST(pci_configuration)
{
    guest_reset();
    ports.answer = 0x12378086;
    CHECK(out32(0xcf8, 0x80000800));
    CHECK_EQ(ports.outs, 0); /* kept until the data access */
    CHECK(in32(0xcf8) && guest_regs.rax == 0x80000800 && ports.ins == 0);
    CHECK(in32(0xcfc));
    CHECK_EQ(guest_regs.rax, 0x12378086);
    CHECK_EQ(ports.address, 0x80000800);
    CHECK(out16(0xcfe, 0x55aa));
    CHECK(ports.port == 0xcfe && ports.size == 2 && ports.val == 0x55aa);
    /* Reset control hides among the address bytes. */
    ports.outs = ports.ins = 0;
    CHECK(out8(0xcf9, 6) && out16(0xcf8, 0x606) && out32(0xcf9, 6) && out32(0xcfa, 6));
    CHECK(in8(0xcf9) && in32(0xcfe));
    CHECK_EQ(ports.outs + ports.ins, 0);
    CHECK(in32(0xcf8) && guest_regs.rax == 0x80000800);
}

TEST(clock_speaker_and_timer)
{
    guest_reset();
    ports.answer = 0x34;
    CHECK(out8(0x70, 0x8a));
    CHECK_EQ(ports.outs, 0);
    CHECK(in8(0x71));
    CHECK_EQ(guest_regs.rax & 0xff, 0x34);
    CHECK_EQ(ports.val, 0x0a);  /* index went out with the NMI bit clear */
    CHECK(out16(0x70, 0x990f)); /* index and data at once */
    CHECK(ports.port == 0x71 && ports.val == 0x99);

    ports.outs = 0;
    CHECK(out8(0x43, 0x36)); /* channel 0 is not Dom0's */
    CHECK_EQ(ports.outs, 0);
    CHECK(out8(0x43, 0xb6) && out8(0x42, 1) && ports.outs == 2);
    ports.answer = 0x3c;
    CHECK(out8(0x61, 0xff));
    CHECK_EQ(ports.val, 0x0f); /* NMI masks as they were, status bits zero */
    CHECK(out8(0x61, 0x0c));
    CHECK_EQ(ports.val, 0x0c);
    ports.outs = 0;
    CHECK(out8(0x92, 1) && out8(0x4d0, 1) && out16(0x4d0, 1) && ports.outs == 0);
    CHECK(in8(0x4d0) && in8(0x92));
}

TEST(sleep_only_by_hypercall)
{
    guest_reset();
    CHECK(out16(0x604, 0x2401));
    CHECK_EQ(ports.val, 0x0401);
    CHECK_EQ(seen.refusals, 1);
    CHECK(out8(0x605, 0x24));
    CHECK_EQ(ports.val, 0x04);
    CHECK(out8(0x604, 0x20)); /* the low byte has no such bit */
    CHECK_EQ(ports.val, 0x20);
    CHECK(out32(0x602, 0x20002000));
    CHECK_EQ(ports.val, 0x00002000);
    CHECK(out32(0x603, 0x00202020));
    CHECK_EQ(ports.val, 0x00002020);
    CHECK_EQ(seen.refusals, 4);
}
