/* SPDX-License-Identifier: MIT */
/* Port I/O: IOPL, the bitmap and its edges, string instructions, ports that are the hypervisor's.
 */
#include "guest.h"

static int try_in(unsigned int port, unsigned int width, uint32_t *value)
{
    uint32_t v = 0x55555555;

    fault_clear();
    if (width == 1)
        __asm__ volatile(EX("inb %w1, %b0") : "+a"(v) : "d"(port));
    else if (width == 2)
        __asm__ volatile(EX("inw %w1, %w0") : "+a"(v) : "d"(port));
    else
        __asm__ volatile(EX("inl %w1, %0") : "+a"(v) : "d"(port));
    *value = v;
    return faulted();
}

static int try_out(unsigned int port, unsigned int width, uint32_t v)
{
    fault_clear();
    if (width == 1)
        __asm__ volatile(EX("outb %b0, %w1") : : "a"(v), "d"(port));
    else if (width == 2)
        __asm__ volatile(EX("outw %w0, %w1") : : "a"(v), "d"(port));
    else
        __asm__ volatile(EX("outl %0, %w1") : : "a"(v), "d"(port));
    return faulted();
}

static long set_iopl(unsigned int iopl)
{
    struct physdev_set_iopl op = { .iopl = iopl };

    return hc_physdev_op(PHYSDEVOP_set_iopl, &op);
}

static long set_bitmap(uint8_t *bitmap, uint32_t ports)
{
    struct physdev_set_iobitmap op = { .nr_ports = ports };

    op.bitmap.p = bitmap;
    return hc_physdev_op(PHYSDEVOP_set_iobitmap, &op);
}

static void check_kernel(void)
{
    uint32_t v;

    CHECK(set_iopl(4) < 0, "IOPL 4");
    CHECK(set_iopl(~0u) < 0, "IOPL -1");
    CHECK_EQ(set_iopl(1), 0, "IOPL 1");
    CHECK_EQ(try_out(0x80, 1, 0x12), NO_FAULT, "out to 0x80");
    CHECK_EQ(try_out(0x70, 1, 0x3f), NO_FAULT, "CMOS index");
    CHECK_EQ(try_out(0x71, 1, 0xa5), NO_FAULT, "CMOS write");
    CHECK_EQ(try_out(0x70, 1, 0x3f), NO_FAULT, "CMOS index");
    CHECK_EQ(try_in(0x71, 1, &v), NO_FAULT, "CMOS read");
    CHECK_EQ(v, 0x555555a5, "CMOS byte, upper bits kept");
    CHECK_EQ(try_in(0x64, 1, &v), NO_FAULT, "keyboard status");
    CHECK_EQ(try_in(0x3d5, 2, &v), NO_FAULT, "a word");
    CHECK_EQ(v >> 16, 0x5555, "upper half after a word");
    CHECK_EQ(try_in(0x80, 4, &v), NO_FAULT, "a long");
    fault_clear();
    __asm__ volatile(EX("outb %%al, $0x80") : : "a"(1));
    CHECK_EQ(faulted(), NO_FAULT, "out to an immediate port");
}

/* What belongs to the hypervisor: the serial console, the interrupt controllers, the timer. */
static void check_hidden(void)
{
    static const uint16_t hidden[] = { 0x20, 0x21, 0xa0, 0xa1, 0x40, 0x3f8, 0x3fd };
    uint32_t v;

    for (unsigned int i = 0; i < ARRAY_SIZE(hidden); i++) {
        int got = try_in(hidden[i], 1, &v);

        CHECK(got == VEC_GP || (got == NO_FAULT && (v & 0xff) == 0xff), "in %#x: %d %#x", hidden[i],
              got, v);
    }
    /* A wider access that only touches such a port with its last byte. */
    v = 0;
    int got = try_in(0x3f7, 2, &v);
    CHECK(got == VEC_GP || (v >> 8 & 0xff) == 0xff, "in of a word at 0x3f7: %d %#x", got, v);
    try_out(0x3fb, 1, 0x80); /* would change the line's divisor */
    try_out(0x3f8, 1, 0x7f);
    try_out(0x20, 1, 0xff);
    try_out(0x21, 1, 0xff);
    try_out(0x43, 1, 0x30);
    printk("the serial line still works\n");
}

static const uint8_t bytes[8] = "pattern";

static void check_strings(void)
{
    static uint8_t buf[64];
    uint64_t rcx = 8, rsi = (uint64_t)bytes, rdi = (uint64_t)buf;

    fault_clear();
    __asm__ volatile(EX("rep outsb") : "+c"(rcx), "+S"(rsi) : "d"(0x80) : "memory");
    CHECK_EQ(faulted(), NO_FAULT, "rep outsb");
    CHECK_EQ(rcx, 0, "rcx");
    CHECK_EQ(rsi, (uint64_t)bytes + 8, "rsi");
    try_out(0x70, 1, 0x3f);
    rcx = 5;
    fault_clear();
    __asm__ volatile(EX("rep insb") : "+c"(rcx), "+D"(rdi) : "d"(0x71) : "memory");
    CHECK_EQ(faulted(), NO_FAULT, "rep insb");
    CHECK_EQ(rcx, 0, "rcx");
    CHECK_EQ(rdi, (uint64_t)buf + 5, "rdi");
    CHECK(buf[0] == 0xa5 && buf[5] == 0, "bytes %#x %#x", buf[0], buf[5]);
    rdi = (uint64_t)buf + 40;
    rcx = 3;
    fault_clear();
    __asm__ volatile("std\n" EX("rep insw") "cld" : "+c"(rcx), "+D"(rdi) : "d"(0x80) : "memory");
    CHECK_EQ(faulted(), NO_FAULT, "rep insw downwards");
    CHECK_EQ(rdi, (uint64_t)buf + 34, "rdi");
    CHECK_EQ(TRY("rep outsb", "c"(0), "S"(0ul), "d"(0x80)), NO_FAULT, "rep of nothing");
}

/* Memory operands of string I/O: the hypervisor's, read-only, missing. */
static void check_string_memory(void)
{
    static const struct {
        uint64_t va;
        const char *name;
    } bad[] = {
        { TEST_VA + (1ul << 30), "missing" },
        { HYPERVISOR_VIRT_START + (5ul << 39), "hypervisor" },
        { MACH2PHYS_VIRT_START, "M2P" },
        { 0x0000800000000000, "not canonical" },
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
        int v = TRY("insb", "D"(bad[i].va), "d"(0x80) : "memory");

        CHECK(v == VEC_PF || v == VEC_GP, "insb to %s: %d", bad[i].name, v);
        if (v == VEC_PF)
            CHECK_EQ(this_cpu()->cr2, bad[i].va, "cr2");
        v = TRY("insl", "D"(bad[i].va - 2), "d"(0x80) : "memory");
        CHECK(v == VEC_PF || v == VEC_GP, "insl across into %s: %d", bad[i].name, v);
        if (i == 2)
            continue; /* the M2P may be read */
        v = TRY("outsb", "S"(bad[i].va), "d"(0x80) : "memory");
        CHECK(v == VEC_PF || v == VEC_GP, "outsb from %s: %d", bad[i].name, v);
    }
    CHECK_EQ(TRY("insb", "D"(pfn_virt(kernel_l4_pfn)), "d"(0x80)
                 : "memory"),
             VEC_PF, "insb into a page table");
}

USER_CODE_BYTES(u_inb, "mov $0x55555555, %eax; in %dx, %al; ud2");
USER_CODE_BYTES(u_inw, "mov $0x55555555, %eax; in %dx, %ax; ud2");
USER_CODE_BYTES(u_inl, "mov $0x55555555, %eax; in %dx, %eax; ud2");
USER_CODE_BYTES(u_cli, "cli; sti; ud2");

static int user_in(const char *code, const char *end, unsigned int port)
{
    struct regs r;

    memcpy(user_code(), code, (size_t)(end - code));
    user_regs_init(&r);
    r.rdx = port;
    return user_run(&r);
}

#define U1(port) user_in(u_inb, u_inb_end, port)
#define U2(port) user_in(u_inw, u_inw_end, port)
#define U4(port) user_in(u_inl, u_inl_end, port)

static void check_bitmap(void)
{
    static uint8_t bitmap[8192];

    memset(bitmap, 0xff, sizeof(bitmap));
    CHECK_EQ(set_bitmap(bitmap, 65536), 0, "bitmap");
    CHECK(set_bitmap(bitmap, 65537) < 0, "65537 ports");
    CHECK(set_bitmap(bitmap, ~0u) < 0, "4294967295 ports");
    CHECK_EQ(U1(0x80), VEC_GP, "a port that is closed");
    bitmap[0x80 / 8] = 0xfc; /* 0x80 and 0x81 open */
    CHECK_EQ(U1(0x80), VEC_UD, "a port that is open");
    CHECK_EQ(U1(0x82), VEC_GP, "the port beside it");
    CHECK_EQ(U2(0x80), VEC_UD, "a word of two open ports");
    CHECK_EQ(U2(0x81), VEC_GP, "a word of one open port");
    CHECK_EQ(U4(0x80), VEC_GP, "a long of two open ports");
    bitmap[0x80 / 8] = 0x7f;
    bitmap[0x88 / 8] = 0xfe;
    CHECK_EQ(U2(0x87), VEC_UD, "a word across two bytes of the map");
    CHECK_EQ(U4(0x86), VEC_GP, "a long across two bytes of the map");
    bitmap[0xffff / 8] = 0x7f;
    CHECK_EQ(U1(0xffff), VEC_UD, "the last port");
    CHECK_EQ(U2(0xffff), VEC_GP, "a word at the last port");
    CHECK_EQ(set_bitmap(bitmap, 0x80), 0, "a short bitmap");
    CHECK_EQ(U1(0x80), VEC_GP, "a port beyond the map");
    bitmap[0x3f8 / 8] = 0;
    CHECK_EQ(set_bitmap(bitmap, 65536), 0, "bitmap");
    /* The bitmap opens nothing that the domain does not have. */
    (void)U1(0x3f8);
    CHECK(this_cpu()->vector == VEC_GP || (uint8_t)this_cpu()->regs.rax == 0xff, "COM1 by bitmap");
}

/* The bitmap's own memory goes away, or is the hypervisor's. */
static void check_bitmap_memory(void)
{
    unsigned long pfn = alloc_pfn();
    int v;

    map_page(TEST_VA, pfn_pte(pfn, KERN_RW));
    CHECK_EQ(set_bitmap((uint8_t *)TEST_VA, 65536), 0, "bitmap");
    CHECK_EQ(U1(0x80), VEC_UD, "an open port");
    map_page(TEST_VA, 0);
    v = U1(0x80);
    CHECK(v == VEC_GP || v == VEC_PF, "bitmap unmapped: %d", v);
    set_bitmap((uint8_t *)HYPERVISOR_VIRT_START + (5ul << 39), 65536);
    v = U1(0x80);
    CHECK(v == VEC_GP || v == VEC_PF, "bitmap in the hypervisor: %d", v);
    CHECK_EQ(set_bitmap(NULL, 0), 0, "no bitmap");
    CHECK_EQ(U1(0x80), VEC_GP, "no bitmap");
    free_pfn(pfn);
}

static void check_user_iopl(void)
{
    struct regs r;
    int v;

    CHECK_EQ(set_iopl(3), 0, "IOPL 3");
    CHECK_EQ(U1(0x80), VEC_UD, "user in with IOPL 3");
    v = USER_RUN(u_cli, &r);
    CHECK(v == VEC_UD || v == VEC_GP, "cli with IOPL 3: %d", v);
    CHECK(r.rflags & 0x200, "IF after cli with IOPL 3");
    CHECK_EQ(set_iopl(1), 0, "IOPL 1");
    CHECK_EQ(U1(0x80), VEC_GP, "user in with IOPL 1");
}

void guest_main(void)
{
    struct account before;

    user_init();
    map_page(TEST_VA, 0);
    account_take(&before);
    check_kernel();
    check_hidden();
    check_strings();
    check_string_memory();
    check_bitmap();
    check_bitmap_memory();
    check_user_iopl();
    account_check(&before, "ports");
}
