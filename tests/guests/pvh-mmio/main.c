/* SPDX-License-Identifier: MIT */
/*
 * Instructions whose operand is no memory: a hole, which reads as ones and takes no writes, and the
 * task priority register of the local APIC, which keeps eight bits. Each form that drivers use, the
 * flags that it leaves, string instructions, and the page faults of accesses that cross into a
 * page that is not there.
 */
#include "pvh.h"

#define HOLE 0xe8100000ul
#define TPR 0xfee00080ul
#define END 0xe8200000ul /* of the 2 MiB page that the hole is in */
#define CF 1u
#define ZF 0x40u
#define SF 0x80u

static volatile uint8_t *const hole = (volatile uint8_t *)HOLE;
static volatile uint32_t *const tpr = (volatile uint32_t *)TPR;

/* Executes an instruction with a register in and out, and another address; gives the flags. */
#define WITH_FLAGS(insn, reg, address)                                \
    ({                                                                \
        uint64_t flags_;                                              \
        __asm__ volatile("cmp %%rdi, %%rdi\n" insn "\npushfq\npop %0" \
                         : "=&r"(flags_), "+a"(reg)                   \
                         : "D"(address), "c"(0x5566778899aabbccul)    \
                         : "memory", "cc");                           \
        (unsigned int)flags_;                                         \
    })

#define FORM(text, insn, in, address, out, flags, mask)                 \
    do {                                                                \
        uint64_t a_ = (in);                                             \
        unsigned int f_ = WITH_FLAGS(insn, a_, address);                \
        CHECK_EQ(a_, (uint64_t)(out), "%s: rax", text);                 \
        CHECK_EQ(f_ &(mask), (unsigned int)(flags), "%s: flags", text); \
    } while (0)

static void loads(void)
{
    const uint64_t in = 0x1122334455667788;

    FORM("movb", "movb (%%rdi), %%al", in, HOLE, 0x11223344556677ff, ZF, CF | ZF | SF);
    FORM("movb to ah", "movb 3(%%rdi), %%ah", in, HOLE, 0x112233445566ff88, ZF, CF | ZF | SF);
    FORM("movw", "movw (%%rdi), %%ax", in, HOLE, 0x112233445566ffff, ZF, CF | ZF | SF);
    FORM("movl", "movl (%%rdi), %%eax", in, HOLE, 0xffffffff, ZF, CF | ZF | SF);
    FORM("movq", "movq (%%rdi), %%rax", in, HOLE, ~0ul, ZF, CF | ZF | SF);
    FORM("movzbl", "movzbl (%%rdi), %%eax", in, HOLE, 0xff, ZF, CF | ZF | SF);
    FORM("movzwq", "movzwq (%%rdi), %%rax", in, HOLE, 0xffff, ZF, CF | ZF | SF);
    FORM("movsbw", "movsbw (%%rdi), %%ax", in, HOLE, 0x112233445566ffff, ZF, CF | ZF | SF);
    FORM("movslq", "movslq (%%rdi), %%rax", in, HOLE, ~0ul, ZF, CF | ZF | SF);
    FORM("movabs", "movabs 0xe8100000, %%eax", in, HOLE, 0xffffffff, ZF, CF | ZF | SF);
    FORM("disp and index", "movl 0x40(%%rdi,%%rdi), %%eax", in, HOLE / 2, 0xffffffff, 0, 0);
    FORM("a page's last bytes", "movq (%%rdi), %%rax", in, HOLE + 0xffc, ~0ul, 0, 0);
}

static void arithmetic(void)
{
    FORM("addl", "addl (%%rdi), %%eax", 5, HOLE, 4, CF, CF | ZF | SF);
    FORM("adcb", "stc; adcb (%%rdi), %%al", 0, HOLE, 0, CF | ZF, CF | ZF | SF);
    FORM("subq", "subq (%%rdi), %%rax", ~0ul, HOLE, 0, ZF, CF | ZF | SF);
    FORM("andw", "andw (%%rdi), %%ax", 0x18001, HOLE, 0x18001, SF, CF | ZF | SF);
    FORM("xorl", "xorl (%%rdi), %%eax", 0xffffffff, HOLE, 0, ZF, CF | ZF | SF);
    FORM("cmpl", "cmpl $-1, (%%rdi)", 7, HOLE, 7, ZF, CF | ZF | SF);
    FORM("testb", "testb $0x80, (%%rdi)", 7, HOLE, 7, SF, CF | ZF | SF);
    FORM("btl", "btl $31, (%%rdi)", 7, HOLE, 7, CF | ZF, CF | ZF);
}

/* Read and write at once: what is written can be read back. */
static void updates(void)
{
    *tpr = 0x21;
    FORM("orl", "orl $0x42, (%%rdi)", 7, TPR, 7, 0, CF | ZF | SF);
    CHECK_EQ(*tpr, 0x63, "orl");
    FORM("andl", "andl %%eax, (%%rdi)", 0x0f, TPR, 0x0f, 0, CF | ZF | SF);
    CHECK_EQ(*tpr, 3, "andl");
    FORM("lock incl", "lock incl (%%rdi)", 7, TPR, 7, 0, ZF | SF);
    CHECK_EQ(*tpr, 4, "incl");
    FORM("xchgl", "xchgl %%eax, (%%rdi)", 0x17, TPR, 4, ZF, CF | ZF | SF);
    CHECK_EQ(*tpr, 0x17, "xchgl");
    FORM("lock xaddl", "lock xaddl %%eax, (%%rdi)", 1, TPR, 0x17, 0, CF | ZF | SF);
    CHECK_EQ(*tpr, 0x18, "xaddl");
    FORM("cmpxchgl that fits", "lock cmpxchgl %%ecx, (%%rdi)", 0x18, TPR, 0x18, ZF, ZF);
    CHECK_EQ(*tpr, 0xcc, "cmpxchgl");
    FORM("cmpxchgl that does not", "cmpxchgl %%ecx, (%%rdi)", 0x18, TPR, 0xcc, 0, ZF);
    FORM("btrl", "lock btrl $3, (%%rdi)", 7, TPR, 7, CF, CF);
    CHECK_EQ(*tpr, 0xc4, "btrl");
    FORM("negl", "negl (%%rdi)", 7, TPR, 7, CF | SF, CF | ZF | SF);
    CHECK_EQ(*tpr, 0x3c, "negl keeps eight bits");
    FORM("movl $", "movl $0x10, (%%rdi)", 7, TPR, 7, ZF, ZF);
    CHECK_EQ(*tpr, 0x10, "movl $");
    *tpr = 0;
    hole[0] = 5;
    CHECK_EQ(hole[0], 0xff, "the hole took a write");
}

static void stack(void)
{
    static uint64_t here;
    uint64_t val = 0;

    __asm__ volatile("pushq (%1); popq %0" : "=r"(val) : "r"(HOLE) : "memory");
    CHECK_EQ(val, ~0ul, "push of the hole");
    here = 0x1234;
    __asm__ volatile("pushq %0; popq (%1)" : : "m"(here), "r"(TPR) : "memory");
    CHECK_EQ(*tpr, 0x34, "pop to the TPR");
    *tpr = 0;
}

static void strings(void)
{
    static uint8_t buf[300];
    uint64_t n = 200, s = HOLE, d = (uint64_t)buf;

    memset(buf, 1, sizeof(buf));
    __asm__ volatile("rep movsb" : "+c"(n), "+S"(s), "+D"(d) : : "memory");
    CHECK(n == 0 && s == HOLE + 200 && d == (uint64_t)buf + 200, "rep movsb: %lu left", n);
    CHECK(buf[0] == 0xff && buf[199] == 0xff && buf[200] == 1, "rep movsb");
    n = 1000;
    d = HOLE;
    __asm__ volatile("rep stosl" : "+c"(n), "+D"(d) : "a"(7) : "memory");
    CHECK(n == 0 && d == HOLE + 4000, "rep stosl: %lu left", n);
    n = 100;
    d = HOLE;
    __asm__ volatile("repe scasb" : "+c"(n), "+D"(d) : "a"(0xff) : "memory", "cc");
    CHECK_EQ(n, 0, "repe scasb over ones");
    n = 100;
    s = (uint64_t)buf + 150;
    d = HOLE;
    __asm__ volatile("repe cmpsb" : "+c"(n), "+S"(s), "+D"(d) : : "memory", "cc");
    CHECK_EQ(n, 100 - 51, "repe cmpsb that finds a difference");
    n = 3;
    s = (uint64_t)buf + 8;
    d = HOLE + 8;
    __asm__ volatile("std; rep movsl; cld" : "+c"(n), "+S"(s), "+D"(d) : : "memory");
    CHECK(n == 0 && d == HOLE + 8 - 12, "downwards: %#lx", d);
}

static uint64_t fault_at(int vector)
{
    CHECK_EQ(vector, VEC_PF, "an access into a page that is not there");
    return this_cpu()->cr2;
}

/* The instruction begins in the hole and ends in a page that the guest's tables have not. */
static void faults(void)
{
    uint64_t *entry = &pvh_l2[END >> 21], was = *entry, n = 40, s = END - 20, d, before;
    static uint8_t buf[64];

    *entry = 0;
    __asm__ volatile("invlpg (%0)" : : "r"(END) : "memory");
    CHECK_EQ(fault_at(TRY("movq (%0), %%rax", "r"(END - 4) : "rax")), END, "address of the fault");
    CHECK_EQ(this_cpu()->error, 0, "its error code");
    CHECK_EQ(fault_at(TRY("movl %%eax, (%0)", "r"(END - 2))), END, "address of a write's fault");
    CHECK_EQ(this_cpu()->error, 2, "its error code");
    CHECK_EQ(fault_at(TRY("lock orl $1, (%0)", "r"(END - 1))), END, "address of an update's fault");
    CHECK_EQ(this_cpu()->error, 2, "its error code");
    /* A string gets as far as it can. */
    d = before = (uint64_t)buf;
    fault_clear();
    __asm__ volatile(EX("rep movsb") : "+c"(n), "+S"(s), "+D"(d) : : "memory");
    CHECK_EQ(faulted(), VEC_PF, "rep movsb");
    CHECK(n == 20 && s == END && d == before + 20, "rep movsb: %lu left, %#lx", n, s);
    *entry = was;
    __asm__ volatile("invlpg (%0)" : : "r"(END) : "memory");
    CHECK_EQ(TRY("movq (%0), %%rax", "r"(END - 4) : "rax"), NO_FAULT, "with the page back");
}

void guest_main(void)
{
    loads();
    arithmetic();
    updates();
    stack();
    strings();
    faults();
}
