/* SPDX-License-Identifier: MIT */
/*
 * Instructions that wait for a device model: hvm/io.c and hvm/emulate.c with the emulator, over a
 * vCPU in real mode, a flat memory, and a device model that answers, lies or goes. Vendor, nested
 * tables and devices of the hypervisor are stand-ins.
 */
#include "unit.h"

#include "core/evtchn.h"
#include "core/pcpu.h"
#include "x86/cpu/cpu.h"
#include "x86/hvm/copy.h"
#include "x86/hvm/devices.h"
#include "x86/hvm/emulate.h"
#include "x86/hvm/exits.h"
#include "x86/mm/guest_walk.h"
#include "x86/mm/paging.h"

#define RAM_PAGES 16u
#define MMIO 0x80000u /* and up: the device model's; nobody's above 0x90000 */
#define PORT 0x1f0u

static uint8_t ram[RAM_PAGES * PAGE_SIZE];
static struct hvm_devices dev;
static struct hvm_domain hd;
static struct hvm_vcpu v;
static struct x86_regs regs;
static shared_iopage_t *slots;
static buffered_iopage_t *ring;
static uint8_t slots_page[PAGE_SIZE] __attribute__((aligned(8)));
static uint8_t ring_page[PAGE_SIZE] __attribute__((aligned(8)));
static unsigned int crashes, sends, raised, internal;
static uint8_t code[16];
static struct pcpu pcpu;

/* --- stand-ins --- */

struct cpu_features cpu_feat;

int evtchn_send(struct vcpu *c, evtchn_port port)
{
    (void)c;
    sends += port == 7 || port == 9;
    return 0;
}

void domain_crash(struct domain *d, struct vcpu *c, const char *fmt, ...)
{
    (void)d, (void)c, (void)fmt;
    crashes++;
}

void pcpu_raise(struct pcpu *p, enum pending_work work)
{
    (void)p, (void)work;
}

void spin_wait(spinlock_t *l, uint16_t ticket)
{
    (void)l, (void)ticket;
    abort();
}

void hvm_skip(struct hvm_vcpu *c, struct x86_regs *r, unsigned int len)
{
    (void)c;
    r->rip += len;
}

void hvm_raise(struct hvm_vcpu *c, uint8_t vector)
{
    (void)c, (void)vector;
    raised++;
}

void hvm_raise_code(struct hvm_vcpu *c, uint8_t vector, uint32_t err)
{
    (void)c, (void)vector, (void)err;
    raised++;
}

enum hvm_mode hvm_mode(struct hvm_vcpu *c)
{
    (void)c;
    return HVM_MODE_REAL;
}

size_t hvm_fetch(struct hvm_vcpu *c, uint64_t at, void *dst, size_t n)
{
    (void)c, (void)at;
    memcpy(dst, code, n);
    return n;
}

void *direct(uint64_t pa)
{
    return ram + pa;
}

bool p2m_peek(const struct p2m *p, gfn_t gfn, bool write, mfn_t *mfn)
{
    (void)p, (void)write;
    *mfn = MFN(gfn.v);
    return gfn.v < RAM_PAGES;
}

struct p2m_entry p2m_lookup(struct p2m *p, gfn_t gfn)
{
    (void)p;
    return (struct p2m_entry){ .type = gfn.v < RAM_PAGES ? P2M_RAM : P2M_HOLE };
}

void p2m_mark_dirty(struct p2m *p, gfn_t gfn)
{
    (void)p, (void)gfn;
}

/* Port 0x40 is the hypervisor's. */
bool hvm_device_has_port(uint16_t port, unsigned int size)
{
    return port <= 0x40 && port + size > 0x40;
}

bool hvm_device_port(struct hvm_vcpu *c, uint16_t port, unsigned int size, bool in, uint32_t *val)
{
    (void)c;
    if (!hvm_device_has_port(port, size))
        return false;
    internal++;
    if (in)
        *val = 0x5a;
    return true;
}

bool hvm_device_memory(struct hvm_vcpu *c, uint64_t gpa, unsigned int size, bool write,
                       uint64_t *val)
{
    (void)c, (void)gpa, (void)size, (void)write, (void)val;
    return false;
}

uint64_t vlapic_mmio_read(struct vlapic *l, unsigned int offset, unsigned int size)
{
    (void)l, (void)offset, (void)size;
    abort();
}

void vlapic_mmio_write(struct vlapic *l, unsigned int offset, unsigned int size, uint64_t val)
{
    (void)l, (void)offset, (void)size, (void)val;
    abort();
}

static void get_seg(struct hvm_vcpu *c, enum hvm_seg n, struct hvm_segment *s)
{
    (void)c, (void)n;
    *s = (struct hvm_segment){ .attr = 0x93, .limit = 0xfffff };
}

static uint64_t cr0; /* with paging: on tables in page 0, where nothing is present */

static void get_paging(struct hvm_vcpu *c, struct guest_paging *g, unsigned int *cpl)
{
    (void)c;
    *g = (struct guest_paging){ .cr0 = cr0, .phys_bits = 40 };
    *cpl = 0;
}

static void set_reg(struct hvm_vcpu *c, enum hvm_reg r, uint64_t val)
{
    (void)c, (void)r, (void)val;
}

static const struct hvm_vendor vendor = { .get_seg = get_seg,
                                          .get_paging = get_paging,
                                          .set = set_reg };
const struct hvm_vendor *hvm_vendor = &vendor;

/* --- the machine --- */

static void fresh(const char *bytes, size_t n)
{
    static struct ioreq_range ranges[IOREQ_RANGE_KINDS][IOREQ_RANGES_MAX];
    struct ioreq_server *s = &dev.servers[2];

    memset(&dev, 0, sizeof(dev));
    memset(&hd, 0, sizeof(hd));
    memset(&v, 0, sizeof(v));
    memset(slots_page, 0, sizeof(slots_page));
    memset(ring_page, 0, sizeof(ring_page));
    memset(ram, 0, sizeof(ram));
    slots = (void *)slots_page;
    ring = (void *)ring_page;
    spin_init(&dev.lock, RANK_DEVICE);
    hd.dev = &dev;
    v.x.v.domain = &hd.x.d;
    v.x.v.cpu = &pcpu;
    s->used = s->enabled = true;
    s->serial = 5;
    s->slots = slots;
    s->ring = ring;
    s->port[0] = 7;
    s->ring_port = 9;
    for (unsigned int k = 0; k < IOREQ_RANGE_KINDS; k++)
        s->ranges[k] = ranges[k];
    (void)ioreq_add_range(s, IOREQ_PORTS, PORT, PORT + 7);
    (void)ioreq_add_range(s, IOREQ_MEMORY, MMIO, MMIO + 0xffff);
    (void)ioreq_add_range(s, IOREQ_MEMORY, 0xa0000, 0xbffff);
    regs = (struct x86_regs){ .rflags = 2 };
    crashes = sends = raised = internal = 0;
    memset(code, 0x90, sizeof(code));
    memcpy(code, bytes, n);
}
#define CODE(...) fresh((const char[]){ __VA_ARGS__ }, sizeof((const char[]){ __VA_ARGS__ }))

static ioreq_t *slot(void)
{
    return &slots->vcpu_ioreq[0];
}

static bool waits(void)
{
    return v.exit_work & HVMX_IO;
}

static void answer(uint64_t data)
{
    slot()->data = data;
    slot()->state = STATE_IORESP_READY;
}

static void go_on(void)
{
    CHECK(hvm_io_goes_on(&v, &regs));
    CHECK(!(v.x.v.pause_flags & VP_BLOCKED));
}

static void in_out(bool in, uint16_t port, uint8_t size)
{
    struct hvm_exit x = { .in = in, .port = port, .size = size, .len = 2 };

    hvm_exit_io(&v, &regs, &x);
}

TEST(plain_in_waits_and_ends)
{
    CODE(0xed);
    regs.rax = 0x1122334455667788;
    in_out(true, PORT, 2);
    CHECK(waits() && sends == 1 && regs.rip == 0);
    CHECK_EQ(slot()->addr, PORT);
    CHECK(slot()->size == 2 && slot()->count == 1 && slot()->dir == IOREQ_READ);
    CHECK_EQ(slot()->vp_eport, 7);
    CHECK(!hvm_io_goes_on(&v, &regs));
    CHECK(v.x.v.pause_flags & VP_BLOCKED);
    slot()->state = STATE_IOREQ_INPROCESS;
    CHECK(!hvm_io_goes_on(&v, &regs));
    answer(0xaaaabbbb); /* more than was asked for */
    go_on();
    CHECK(!waits());
    CHECK_EQ(regs.rax, 0x112233445566bbbb);
    CHECK_EQ(regs.rip, 2);
    CHECK_EQ(slot()->state, STATE_IOREQ_NONE);
    in_out(true, PORT, 4);
    answer(0xffffffff12345678);
    go_on();
    CHECK_EQ(regs.rax, 0x12345678);
}

TEST(nobody_and_the_hypervisor_answer_at_once)
{
    CODE(0xec);
    in_out(true, 0x300, 1);
    CHECK(!waits() && regs.rip == 2);
    CHECK_EQ(regs.rax, 0xff);
    in_out(true, 0x40, 1);
    CHECK(internal == 1 && regs.rip == 4);
    CHECK_EQ(regs.rax, 0x5a);
    in_out(true, PORT + 7, 2); /* half of it is the model's: nobody's */
    CHECK(!waits());
    CHECK_EQ(regs.rax, 0xffff);
    CHECK_EQ(sends, 0);
}

TEST(a_server_that_goes_answers_as_nobody)
{
    CODE(0xec);
    in_out(true, PORT, 1);
    dev.servers[2].enabled = false;
    go_on();
    CHECK_EQ(regs.rax, 0xff);
    CODE(0xec);
    in_out(true, PORT, 1);
    dev.servers[2].serial++; /* another one at its place */
    go_on();
    CHECK_EQ(regs.rax, 0xff);
    CODE(0xec);
    in_out(true, PORT, 1);
    dev.servers[2].used = false;
    go_on();
    CHECK_EQ(regs.rax, 0xff);
    CHECK_EQ(crashes, 0);
}

TEST(the_answer_to_a_vcpu_that_was_reset_is_dropped)
{
    CODE(0xec);
    in_out(true, PORT, 1);
    v.io.dropped = true;
    regs.rip = 0x1000;
    regs.rax = 1;
    CHECK(!hvm_io_goes_on(&v, &regs));
    answer(0x77);
    go_on();
    CHECK(regs.rip == 0x1000 && regs.rax == 1 && !waits());
    in_out(true, PORT, 1);
    answer(0x78);
    go_on();
    CHECK_EQ(regs.rax, 0x78);
}

TEST(a_model_that_breaks_the_protocol_ends_the_guest)
{
    for (uint8_t state = 4; state < 16; state++) {
        CODE(0xec);
        in_out(true, PORT, 1);
        slot()->state = state;
        CHECK(hvm_io_goes_on(&v, &regs));
        CHECK_EQ(crashes, 1);
        CHECK_EQ(regs.rip, 0);
    }
    CODE(0xec);
    slot()->state = STATE_IORESP_READY; /* an answer before the question */
    in_out(true, PORT, 1);
    CHECK(crashes == 1 && !waits());
    CODE(0xec);
    in_out(true, PORT, 1);
    slot()->state = STATE_IOREQ_NONE;
    CHECK(hvm_io_goes_on(&v, &regs));
    CHECK_EQ(crashes, 1);
}

static void string_io(bool in)
{
    struct hvm_exit x = {
        .in = in, .string = true, .rep = true, .port = PORT, .size = 2, .len = 2
    };

    regs.rdx = PORT;
    hvm_exit_io(&v, &regs, &x);
}

/* A sector is one round trip. */
TEST(rep_insw_is_one_request)
{
    CODE((char)0xf3, 0x6d);
    regs.rcx = 256;
    regs.rdi = 0x1200;
    string_io(true);
    CHECK(waits() && slot()->data_is_ptr && !slot()->df);
    CHECK_EQ(slot()->data, 0x1200);
    CHECK(slot()->count == 256 && slot()->size == 2);
    answer(0);
    go_on();
    CHECK(regs.rcx == 0 && regs.rdi == 0x1400 && regs.rip == 2);
    /* Across a page: what fits first. An odd address leaves one element that crosses. */
    CODE((char)0xf3, 0x6d);
    regs.rcx = 10;
    regs.rdi = 0x1ffb;
    string_io(true);
    CHECK(slot()->count == 2 && slot()->data_is_ptr);
    answer(0);
    go_on();
    CHECK(regs.rcx == 8 && regs.rdi == 0x1fff && regs.rip == 0);
    string_io(true);
    CHECK(slot()->count == 1 && !slot()->data_is_ptr);
    answer(0xbbaa);
    go_on();
    CHECK(ram[0x1fff] == 0xaa && ram[0x2000] == 0xbb && regs.rcx == 7 && regs.rip == 0);
}

/* A device that was read cannot give its byte again after the fault. */
TEST(insb_to_a_page_that_is_not_there_asks_nobody)
{
    for (unsigned int i = 0; i < 2; i++) {
        CODE((char)0xf3, 0x6c);
        regs.rcx = i ? 3 : 1;
        regs.rdi = 0x1200;
        cr0 = 0x80000001;
        string_io(true);
        cr0 = 0;
        CHECK(!waits() && sends == 0);
        CHECK(raised == 1 && regs.rip == 0 && regs.rdi == 0x1200);
    }
    CODE(0x6c); /* the hypervisor's own port */
    regs.rdi = 0x1200;
    regs.rdx = 0x40;
    cr0 = 0x80000001;
    {
        struct hvm_exit x = { .in = true, .string = true, .port = 0x40, .size = 1, .len = 1 };

        hvm_exit_io(&v, &regs, &x);
    }
    cr0 = 0;
    CHECK(internal == 0 && raised == 1 && regs.rip == 0);
}

TEST(a_count_beyond_what_was_asked_is_cut)
{
    CODE((char)0xf3, 0x6d);
    regs.rcx = 100;
    regs.rdi = 0x1000;
    string_io(true);
    slot()->count = 5000;
    answer(0);
    go_on();
    CHECK(regs.rcx == 0 && regs.rdi == 0x10c8);
    CODE((char)0xf3, 0x6d);
    regs.rcx = 100;
    regs.rdi = 0x1000;
    string_io(true);
    slot()->count = 0; /* nothing at all would never end */
    answer(0);
    go_on();
    CHECK(regs.rcx == 99 && regs.rip == 0);
}

/* The slot is the device model's: what it makes of the request meanwhile nobody looks at. */
static void scribble(void)
{
    ioreq_t *s = slot();

    s->addr = 0x2000;
    s->size = 8;
    s->dir = !s->dir;
    s->type = IOREQ_TYPE_COPY;
    s->df = !s->df;
    s->data_is_ptr = !s->data_is_ptr;
    s->vp_eport = 99;
}

TEST(what_a_model_changes_in_its_slot_changes_nothing)
{
    uint8_t before[sizeof(ram)];

    CODE((char)0xed);
    regs.rax = 0x1122334455667788;
    in_out(true, PORT, 1);
    scribble();
    memcpy(before, ram, sizeof(ram));
    answer(0xdddddddddddddd55);
    go_on();
    CHECK(regs.rax == 0x1122334455667755 && regs.rip == 2 && !waits());
    in_out(false, PORT, 2);
    scribble(); /* a write that became a read */
    answer(0x6666);
    go_on();
    CHECK(regs.rax == 0x1122334455667755 && regs.rip == 4 && !waits());
    CODE((char)0xf3, 0x6d);
    memcpy(before, ram, sizeof(ram));
    regs.rcx = 8;
    regs.rdi = 0x1000;
    string_io(true);
    scribble();
    slot()->count = 3;
    answer(0x3000); /* a pointer no longer, or another */
    go_on();
    CHECK(regs.rcx == 5 && regs.rdi == 0x1006 && regs.rip == 0);
    CHECK(memcmp(before, ram, sizeof(ram)) == 0); /* the model moves the bytes itself */
    CHECK_EQ(crashes, 0);
}

TEST(rep_outsw_from_memory_and_from_the_model)
{
    CODE((char)0xf3, 0x6f);
    regs.rcx = 4;
    regs.rsi = 0x3008;
    regs.rflags |= 0x400; /* downwards */
    string_io(false);
    CHECK(slot()->data_is_ptr && slot()->df && slot()->dir == IOREQ_WRITE);
    CHECK(slot()->data == 0x3008 && slot()->count == 4);
    answer(0);
    go_on();
    CHECK(regs.rsi == 0x3000 && regs.rcx == 0 && regs.rip == 2);
}

static void emulate(void)
{
    CHECK_EQ(hvm_emulate(&v, &regs), HVM_EMULATED);
}

TEST(memory_of_the_model)
{
    CODE((char)0x8b, 0x07); /* mov (bx), ax */
    regs.rbx = 0;
    code[1] = 0x06, code[2] = 0x34, code[3] = 0x12; /* mov (0x1234), ax: RAM */
    ram[0x1234] = 0x77;
    emulate();
    CHECK(regs.rax == 0x77 && !waits());
    CODE(0x67, (char)0x8b, 0x05, 0x10, 0x00, 0x08, 0x00); /* mov 0x80010, ax */
    emulate();
    CHECK(waits() && regs.rip == 0);
    CHECK(slot()->addr == MMIO + 0x10 && slot()->type == IOREQ_TYPE_COPY && slot()->size == 2);
    answer(0xcccc1234);
    go_on();
    CHECK(regs.rax == 0x1234 && regs.rip == 7);
}

/* Both operands are the model's: each is asked for once, in order, and no more. */
TEST(movs_from_the_model_to_the_model)
{
    CODE(0x67, (char)0xf3, (char)0xa5); /* rep movsw */
    regs.rsi = MMIO;
    regs.rdi = MMIO + 0x100;
    regs.rcx = 3;
    emulate();
    for (unsigned int i = 0; i < 3; i++) {
        CHECK(waits() && slot()->dir == IOREQ_READ && slot()->addr == MMIO + 2 * i);
        answer(0x100 + i);
        go_on();
        CHECK(waits() && slot()->dir == IOREQ_WRITE && slot()->addr == MMIO + 0x100 + 2 * i);
        CHECK_EQ(slot()->data, 0x100 + i);
        answer(0);
        go_on();
        CHECK_EQ(regs.rcx, 2 - i);
    }
    CHECK(!waits() && regs.rip == 3 && sends == 6);
}

TEST(an_access_across_the_end_of_ram)
{
    CODE(0x66, 0x67, (char)0x8b, 0x05, 0x0e, 0x00, 0x08, 0x00); /* mov 0x8000e, eax */
    code[4] = 0xfe, code[5] = 0xff, code[6] = 0x08; /* 0x8fffe: half of it is nobody's */
    emulate();
    CHECK(waits() && slot()->size == 2 && slot()->addr == 0x8fffe);
    answer(0x1111);
    go_on();
    CHECK(!waits());
    CHECK_EQ(regs.rax, 0xffff1111);
}

/* Read, then write; the answer to the read is not asked for again. */
TEST(or_of_the_models_memory)
{
    CODE(0x67, (char)0x80, 0x0d, 0x20, 0x00, 0x08, 0x00, 0x42); /* orb $0x42, 0x80020 */
    emulate();
    CHECK(waits() && slot()->dir == IOREQ_READ);
    answer(0x81);
    go_on();
    CHECK(waits() && slot()->dir == IOREQ_WRITE);
    CHECK_EQ(slot()->data, 0xc3);
    answer(0);
    go_on();
    CHECK(!waits() && regs.rip == 8 && (regs.rflags & 0x80));
}

TEST(writes_to_the_picture_are_buffered)
{
    CODE(0x67, (char)0x88, 0x05, 0x30, 0x00, 0x0b, 0x00); /* mov al, 0xb0030 */
    regs.rax = 0x41;
    emulate();
    CHECK(!waits() && regs.rip == 7 && sends == 1);
    CHECK(ring->write_pointer == 1 && ring->buf_ioreq[0].data == 0x41);
    ring->read_pointer = 1u - IOREQ_BUFFER_SLOT_NUM; /* full: the usual way */
    regs.rip = 0;
    emulate();
    CHECK(waits() && slot()->addr == 0xb0030);
    answer(0);
    go_on();
    CHECK_EQ(regs.rip, 7);
}
