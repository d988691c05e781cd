/* SPDX-License-Identifier: MIT */
/* What x86/emul does in 16 and 32-bit code, with segments, faults, answers that come later, ports.
 */
#include "unit.h"

#include "lib/macros.h"
#include "x86/emul/emul.h"
#include "x86/insn/gpr.h"

#define MEMORY 0x20000

static uint8_t memory[MEMORY];
static struct x86_regs regs;
static struct emul e;
static uint64_t base[6], limit[6];
static unsigned int reads, writes, fault_at; /* the n-th access stops, with `fault` */
static enum emul_result fault;
static struct {
    unsigned int calls;
    uint16_t port;
    uint64_t addr, asked;
    bool in, down;
    uint64_t takes; /* at most so many at once */
} ports;

static enum emul_result op_linear(struct emul *em, enum insn_seg seg, uint64_t offset,
                                  unsigned int n, bool write, uint64_t *addr)
{
    (void)write;
    if (em->mode != INSN_MODE_64 && (offset > limit[seg] || limit[seg] - offset < n - 1))
        return EMUL_EXCEPTION;
    *addr = base[seg] + offset;
    return EMUL_OK;
}

static enum emul_result stop_here(void)
{
    return fault_at && reads + writes == fault_at ? fault : EMUL_OK;
}

static enum emul_result op_read(struct emul *em, uint64_t addr, void *buf, unsigned int n, bool w)
{
    (void)em, (void)w;
    reads++;
    if (stop_here() != EMUL_OK)
        return fault;
    if (addr > MEMORY - n)
        return EMUL_EXCEPTION;
    memcpy(buf, memory + addr, n);
    return EMUL_OK;
}

static enum emul_result op_write(struct emul *em, uint64_t addr, const void *buf, unsigned int n)
{
    (void)em;
    writes++;
    if (stop_here() != EMUL_OK)
        return fault;
    if (addr > MEMORY - n)
        return EMUL_EXCEPTION;
    memcpy(memory + addr, buf, n);
    return EMUL_OK;
}

static enum emul_result op_update(struct emul *em, uint64_t addr, const void *old, const void *new,
                                  unsigned int n)
{
    if (addr <= MEMORY - n && memcmp(memory + addr, old, n) != 0)
        return EMUL_AGAIN;
    return op_write(em, addr, new, n);
}

static enum emul_result op_ports(struct emul *em, uint16_t port, unsigned int size, bool in,
                                 uint64_t addr, bool down, uint64_t *count)
{
    (void)em, (void)size;
    ports.calls++;
    ports.port = port;
    ports.addr = addr;
    ports.in = in;
    ports.down = down;
    ports.asked = *count;
    *count = MIN(*count, ports.takes);
    return EMUL_OK;
}

static const struct emul_ops ops = { op_linear, op_read, op_write, op_update, op_ports };

static void fresh(enum insn_mode mode)
{
    memset(memory, 0, sizeof(memory));
    memset(&regs, 0, sizeof(regs));
    memset(base, 0, sizeof(base));
    memset(&ports, 0, sizeof(ports));
    for (int i = 0; i < 6; i++)
        limit[i] = mode == INSN_MODE_16 ? 0xffff : 0xffffffff;
    regs.rflags = 2;
    regs.rip = 0x100;
    reads = writes = fault_at = 0;
    ports.takes = ~0ull;
    e = (struct emul){
        .ops = &ops, .regs = &regs, .mode = mode, .stack_size = (uint8_t)mode, .budget = 1000
    };
}

#define RUN(...) \
    emul_execute(&e, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

TEST(code_of_16_bits)
{
    fresh(INSN_MODE_16);
    base[SEG_DS] = 0x10000;
    base[SEG_SS] = 0x8000;
    regs.rax = 0x1234;
    regs.rbx = 0xfff8;
    regs.rsi = 0x10;
    CHECK_EQ(RUN(0x89, 0x00), EMUL_OK); /* mov %ax,(%bx,%si): the offset wraps */
    CHECK(memory[0x10008] == 0x34 && memory[0x10009] == 0x12 && memory[0x1000a] == 0);
    CHECK_EQ(regs.rip, 0x102);
    regs.rbp = 0x20;
    CHECK_EQ(RUN(0x66, 0x89, 0x46, 0x00), EMUL_OK); /* mov %eax,0(%bp): the stack's segment */
    CHECK_EQ(memory[0x8020], 0x34);
    CHECK_EQ(RUN(0xa1, 0x08, 0x00), EMUL_OK); /* mov 8,%ax */
    CHECK_EQ(regs.rax, 0x1234);
    CHECK_EQ(RUN(0x67, 0x66, 0xa1, 0x08, 0x00, 0x00, 0x00), EMUL_OK); /* mov 8,%eax */
    regs.rip = 0xffff;
    CHECK_EQ(RUN(0x88, 0x00), EMUL_OK);
    CHECK_EQ(regs.rip, 1); /* IP wraps */
    regs.rsp = 0x10002;
    CHECK_EQ(RUN(0xff, 0x36, 0x08, 0x00), EMUL_OK); /* push 8 */
    CHECK_EQ(regs.rsp, 0x10000);                    /* SP alone moves */
    CHECK_EQ(memory[0x8000], memory[0x10008]);
    CHECK_EQ(RUN(0x50), EMUL_OK);
    CHECK_EQ(regs.rsp, 0x1fffe);
    CHECK_EQ(RUN(0x8f, 0x06, 0x40, 0x00), EMUL_OK); /* pop 0x40 */
    CHECK_EQ(memory[0x10040], 0x34);
    CHECK_EQ(regs.rsp, 0x10000);
}

/* An address by the stack pointer counts from what it is behind the pop. */
TEST(pop_by_the_stack_pointer)
{
    fresh(INSN_MODE_64);
    regs.rsp = 0x1000;
    memory[0x1000] = 0x77;
    CHECK_EQ(RUN(0x8f, 0x04, 0x24), EMUL_OK); /* pop (%rsp) */
    CHECK(memory[0x1008] == 0x77 && regs.rsp == 0x1008);
    CHECK_EQ(RUN(0x5c), EMUL_OK); /* pop %rsp */
    CHECK_EQ(regs.rsp, 0x77);
}

TEST(code_of_32_bits)
{
    fresh(INSN_MODE_32);
    regs.rax = 0xffffffff00000000;
    regs.rdi = 0xdeadbeef00001000;
    memory[0x1003] = 0x80;
    CHECK_EQ(RUN(0x8b, 0x07), EMUL_OK); /* mov (%edi),%eax */
    CHECK_EQ(regs.rax, 0x80000000);
    CHECK_EQ(RUN(0x0f, 0xbe, 0x47, 0x03), EMUL_OK); /* movsbl 3(%edi),%eax */
    CHECK_EQ(regs.rax, 0xffffff80);
    CHECK_EQ(RUN(0x63, 0x07), EMUL_UNKNOWN); /* arpl */
    CHECK_EQ(RUN(0x40), EMUL_UNKNOWN);       /* inc %eax touches no memory */
    regs.rcx = 0x500000003;                  /* ECX counts */
    regs.rsi = 0x1000;
    regs.rdi = 0x2000;
    memcpy(memory + 0x1000, "abcdefgh", 8);
    CHECK_EQ(RUN(0xf3, 0x66, 0xa5), EMUL_OK); /* rep movsw */
    CHECK(memcmp(memory + 0x2000, "abcdef", 7) == 0);
    CHECK(regs.rcx == 0 && regs.rsi == 0x1006 && regs.rdi == 0x2006);
    limit[SEG_DS] = 0x1fff;
    regs.rbx = 0x1ffd;
    uint64_t rip = regs.rip;
    CHECK_EQ(RUN(0x89, 0x03), EMUL_EXCEPTION); /* over the end by one */
    CHECK_EQ(regs.rip, rip);
    regs.rbx = 0x1ffc;
    CHECK_EQ(RUN(0x89, 0x03), EMUL_OK);
}

/* Whatever stops an access, all is as before; what was done of a string counts. */
TEST(stops_leave_registers_alone)
{
    static const uint8_t code[][4] = {
        { 0x48, 0x01, 0x03 }, /* add %rax,(%rbx) */
        { 0x48, 0x87, 0x03 }, /* xchg */
        { 0x0f, 0xb1, 0x0b }, /* cmpxchg %ecx,(%rbx) */
        { 0x0f, 0xc7, 0x0b }, /* cmpxchg8b */
        { 0x0f, 0xc1, 0x03 }, /* xadd */
        { 0xff, 0x33 },       /* push (%rbx) */
        { 0x8f, 0x03 },       /* pop (%rbx) */
        { 0xa5 },
        { 0xa7 }, /* movsl, cmpsl */
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(code); i++) {
        for (unsigned int n = 1; n <= 2; n++) {
            struct x86_regs before;

            fresh(INSN_MODE_64);
            regs.rax = regs.rcx = 77;
            regs.rbx = 0x3000;
            regs.rsi = regs.rsp = 0x4000;
            regs.rdi = 0x5000;
            before = regs;
            fault_at = n;
            fault = n == 1 ? EMUL_WAIT : EMUL_EXCEPTION;
            CHECK_EQ(emul_execute(&e, code[i], 4), fault);
            CHECK(memcmp(&before, &regs, sizeof(regs)) == 0);
            fault_at = 0;
            CHECK_EQ(emul_execute(&e, code[i], 4), EMUL_OK);
        }
    }
    fresh(INSN_MODE_64);
    regs.rcx = 10;
    regs.rsi = 0x1000;
    regs.rdi = 0x2000;
    fault_at = 7; /* the fourth read */
    fault = EMUL_EXCEPTION;
    CHECK_EQ(RUN(0xf3, 0xa4), EMUL_EXCEPTION);
    CHECK(regs.rcx == 7 && regs.rsi == 0x1003 && regs.rdi == 0x2003 && regs.rip == 0x100);
    fault_at = 0;
    e.budget = 3;
    CHECK_EQ(RUN(0xf3, 0xa4), EMUL_AGAIN);
    CHECK(regs.rcx == 4 && regs.rip == 0x100);
    CHECK_EQ(RUN(0xf3, 0xa4), EMUL_AGAIN);
    CHECK_EQ(RUN(0xf3, 0xa4), EMUL_OK);
    CHECK(regs.rcx == 0 && regs.rdi == 0x200a && regs.rip == 0x102);
    reads = 0;
    CHECK_EQ(RUN(0xf3, 0xa4), EMUL_OK); /* none are left */
    CHECK_EQ(reads, 0);
}

/* Another CPU changed the operand between the read and the write. */
static enum emul_result racing_read(struct emul *em, uint64_t addr, void *buf, unsigned int n,
                                    bool w)
{
    enum emul_result r = op_read(em, addr, buf, n, w);

    memory[addr]++;
    return r;
}

TEST(a_race_is_seen)
{
    static const struct emul_ops racing = { op_linear, racing_read, op_write, op_update, op_ports };

    fresh(INSN_MODE_64);
    e.ops = &racing;
    regs.rbx = 0x3000;
    regs.rax = 5;
    CHECK_EQ(RUN(0xf0, 0x48, 0x01, 0x03), EMUL_AGAIN);
    CHECK(regs.rip == 0x100 && memory[0x3000] == 1);
}

TEST(strings_to_ports)
{
    fresh(INSN_MODE_64);
    regs.rdx = 0x1f0;
    regs.rcx = 256;
    regs.rdi = 0x2000;
    CHECK_EQ(RUN(0xf3, 0x66, 0x6d), EMUL_OK); /* rep insw: one call */
    CHECK(ports.calls == 1 && ports.asked == 256 && ports.in && ports.addr == 0x2000);
    CHECK(regs.rcx == 0 && regs.rdi == 0x2200 && regs.rip == 0x103);
    regs.rcx = 3000;
    regs.rsi = 0x2ffd; /* a byte is missing to the page's end: word by word over it */
    regs.rip = 0x100;
    CHECK_EQ(RUN(0xf3, 0x66, 0x6f), EMUL_AGAIN);
    CHECK(ports.asked == 1 && regs.rcx == 2999 && regs.rsi == 0x2fff && regs.rip == 0x100);
    CHECK_EQ(RUN(0xf3, 0x66, 0x6f), EMUL_AGAIN);
    CHECK(ports.asked == 1 && regs.rsi == 0x3001);
    CHECK_EQ(RUN(0xf3, 0x66, 0x6f), EMUL_AGAIN);
    CHECK(ports.asked == 2047 && regs.rcx == 2998 - 2047);
    regs.rflags |= X86_FLAGS_DF;
    regs.rcx = 100;
    regs.rsi = 0x3006;
    CHECK_EQ(RUN(0xf3, 0x6f), EMUL_AGAIN); /* dwords downwards: 0x3006, 0x3002 */
    CHECK(ports.asked == 2 && ports.down && regs.rsi == 0x2ffe && regs.rcx == 98);
    regs.rsi = 0x3ffe; /* the first one crosses into the next page */
    CHECK_EQ(RUN(0xf3, 0x6f), EMUL_AGAIN);
    CHECK(ports.asked == 1 && regs.rsi == 0x3ffa);
    regs.rcx++;
    ports.takes = 10; /* the device model gives way */
    regs.rsi = 0x2f00;
    CHECK_EQ(RUN(0xf3, 0x6f), EMUL_AGAIN);
    CHECK(regs.rcx == 88 && regs.rsi == 0x2f00 - 40);
    CHECK_EQ(RUN(0x6f), EMUL_OK);
    CHECK(regs.rcx == 88);

    fresh(INSN_MODE_16);
    base[SEG_ES] = 0x10;
    limit[SEG_ES] = 0x102f;
    regs.rcx = 100;
    regs.rdi = 0x1000;
    CHECK_EQ(RUN(0xf3, 0x6c), EMUL_AGAIN); /* the segment ends before the count: one by one */
    CHECK_EQ(ports.asked, 1);
    regs.rcx = 0x30 - 1;
    CHECK_EQ(RUN(0xf3, 0x6c), EMUL_OK);
    CHECK_EQ(ports.asked, 0x2f);
    CHECK_EQ(regs.rdi, 0x1030);
    regs.rcx = 1;
    CHECK_EQ(RUN(0xf3, 0x6c), EMUL_EXCEPTION);
    CHECK_EQ(regs.rcx, 1);
    limit[SEG_ES] = 0xffff;
    base[SEG_ES] = 0x20;
    regs.rcx = 0x40; /* the offset wraps in the middle of a page */
    regs.rdi = 0xfff0;
    CHECK_EQ(RUN(0xf3, 0x6c), EMUL_AGAIN);
    CHECK_EQ(ports.asked, 1);
}

TEST(refusals)
{
    fresh(INSN_MODE_64);
    CHECK_EQ(RUN(0x48, 0x89, 0xc3), EMUL_UNKNOWN); /* mov %rax,%rbx */
    CHECK_EQ(RUN(0x0f, 0x22, 0xd8), EMUL_UNKNOWN); /* mov %rax,%cr3 */
    CHECK_EQ(RUN(0xf4), EMUL_UNKNOWN);
    CHECK_EQ(RUN(0xf0, 0x89, 0x03), EMUL_UNKNOWN);       /* lock mov */
    CHECK_EQ(RUN(0xf0, 0x39, 0x03), EMUL_UNKNOWN);       /* lock cmp */
    CHECK_EQ(RUN(0xf0, 0x03, 0x03), EMUL_UNKNOWN);       /* lock add to a register */
    CHECK_EQ(RUN(0xf0, 0x83, 0x3b, 0x01), EMUL_UNKNOWN); /* lock cmp $1 */
    CHECK_EQ(RUN(0xf0, 0xf6, 0x03, 0x01), EMUL_UNKNOWN); /* lock test */
    CHECK_EQ(RUN(0xf0, 0xff, 0x33), EMUL_UNKNOWN);       /* lock push */
    CHECK_EQ(RUN(0xff, 0x13), EMUL_UNKNOWN);             /* call */
    CHECK_EQ(RUN(0xf7, 0x23), EMUL_UNKNOWN);             /* mul */
    CHECK_EQ(regs.rip, 0x100);
    CHECK_EQ(reads + writes, 0);
}
