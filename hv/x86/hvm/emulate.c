/* SPDX-License-Identifier: MIT */
/*
 * Where x86/emul meets a vCPU: its segments, its page tables, its memory and the devices that the
 * hypervisor itself is.
 *
 * Memory is reached as in copy.c: without references, on the CPU whose current vCPU it is, with no
 * lock taken between looking up and copying.
 */
#include "x86/hvm/emulate.h"

#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/emul/emul.h"
#include "x86/hvm/copy.h"
#include "x86/hvm/devices.h"
#include "x86/mm/guest_walk.h"
#include "x86/mm/paging.h"
#include "x86/trap.h"

#define STRING_BUDGET 64 /* elements between two looks at pending work */

/* Attributes of a segment: AMD APM volume 2, 4.7. */
#define ATTR_WRITABLE 0x02u /* data; in code: readable */
#define ATTR_DOWN 0x04u     /* data: expands downwards */
#define ATTR_CODE 0x08u

struct emulation {
    struct emul e; /* first */
    struct hvm_vcpu *v;
    struct guest_paging g;
    unsigned int cpl;
    bool real; /* real mode: exceptions have no error codes */
    uint8_t vector;
    uint32_t code;
};

static struct emulation *of(struct emul *e)
{
    return (struct emulation *)(void *)e;
}

static enum emul_result exception(struct emulation *m, uint8_t vector)
{
    m->vector = vector;
    m->code = 0;
    return EMUL_EXCEPTION;
}

/* --- segments --- */

static bool canonical(uint64_t addr)
{
    return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

/* Is offset .. offset + n - 1 within the segment's limit? */
static bool within(const struct hvm_segment *s, uint64_t offset, unsigned int n)
{
    uint64_t last = offset + n - 1, top = s->attr & HVM_SEG_DB ? 0xffffffff : 0xffff;

    if (last < offset)
        return false;
    if ((s->attr & (ATTR_CODE | ATTR_DOWN)) == ATTR_DOWN)
        return offset > s->limit && last <= top;
    return last <= s->limit;
}

/* May it be read, or written? What is loaded is present and of data or readable code. */
static bool permits(const struct hvm_segment *s, bool write)
{
    if (!(s->attr & HVM_SEG_P))
        return false;
    if (write)
        return (s->attr & (ATTR_CODE | ATTR_WRITABLE)) == ATTR_WRITABLE;
    return (s->attr & (ATTR_CODE | ATTR_WRITABLE)) != ATTR_CODE;
}

static enum emul_result op_linear(struct emul *e, enum insn_seg seg, uint64_t offset,
                                  unsigned int n, bool write, uint64_t *addr)
{
    struct emulation *m = of(e);
    uint8_t vector = seg == SEG_SS ? TRAP_SS : TRAP_GP;
    struct hvm_segment s;

    if (e->mode == INSN_MODE_64) {
        *addr = offset;
        if (seg == SEG_FS || seg == SEG_GS) {
            hvm_vendor->get_seg(m->v, (enum hvm_seg)seg, &s);
            *addr += s.base;
        }
        return canonical(*addr) && canonical(*addr + n - 1) ? EMUL_OK : exception(m, vector);
    }
    hvm_vendor->get_seg(m->v, (enum hvm_seg)seg, &s);
    if (!within(&s, offset, n) || (!m->real && !permits(&s, write)))
        return exception(m, vector);
    *addr = (uint32_t)(s.base + offset);
    return EMUL_OK;
}

/* --- devices --- */

/* Results of a request, from the log or from its device now. */
static enum emul_result logged(struct emulation *m, ioreq_t *r, uint64_t *data, uint32_t *count)
{
    struct hvm_io *io = &m->v->io;

    if (io->rcx != m->e.regs->rcx) { /* the next element */
        io->done = io->at = 0;
        io->rcx = m->e.regs->rcx;
    }
    if (io->at < io->done) {
        *data = io->log[io->at].data;
        *count = io->log[io->at].count;
        io->at++;
        return EMUL_OK;
    }
    if (io->done == IO_LOG)
        return EMUL_UNKNOWN;
    io->plain_len = 0;
    *count = r->count;
    switch (io_request(m->v, r, data)) {
    case IO_DONE:
        io->log[io->done].data = *data;
        io->log[io->done].count = *count;
        io->at = ++io->done;
        return EMUL_OK;
    case IO_WAITS:
        return EMUL_WAIT;
    default:
        return EMUL_AGAIN; /* and never again */
    }
}

/* Memory that only reads: what is written there is lost. */
static bool is_rom(struct emulation *m, uint64_t gpa)
{
    return p2m_lookup(&hvm_domain_of(m->v)->p2m, GFN(gpa >> PAGE_SHIFT)).type == P2M_RAM_RO;
}

/* At most eight bytes within a page that belong to a device, or to nobody: these read as ones. */
static enum emul_result device(struct emulation *m, uint64_t gpa, uint8_t *buf, unsigned int n,
                               bool write)
{
    struct vlapic *apic = &m->v->lapic;
    ioreq_t r = { .addr = gpa,
                  .size = n,
                  .count = 1,
                  .dir = write ? IOREQ_WRITE : IOREQ_READ,
                  .type = IOREQ_TYPE_COPY };
    enum emul_result result = EMUL_OK;
    uint64_t val = 0;
    uint32_t count;

    if (write)
        memcpy(&val, buf, n);
    if (vlapic_hit(apic, gpa)) {
        if (write)
            vlapic_mmio_write(apic, gpa & ~PAGE_MASK, n, val);
        else
            val = n <= 4 ? vlapic_mmio_read(apic, gpa & ~PAGE_MASK, n) : 0;
        hvm_ask(m->v, HVMX_INTERRUPT); /* what it lets through may have changed */
    } else if (!hvm_domain_of(m->v)->dev) {
        val = ~0ull;
    } else if (!hvm_device_memory(m->v, gpa, n, write, &val) && !(write && is_rom(m, gpa))) {
        r.data = val;
        result = logged(m, &r, &val, &count);
    }
    if (!write)
        memcpy(buf, &val, n);
    return result;
}

/* The same for any size. */
static enum emul_result device_bytes(struct emulation *m, uint64_t gpa, uint8_t *buf,
                                     unsigned int n, bool write)
{
    enum emul_result r = EMUL_OK;

    for (unsigned int done = 0, step; r == EMUL_OK && done < n; done += step) {
        step = MIN(n - done, 8u);
        r = device(m, gpa + done, buf + done, step, write);
    }
    return r;
}

/* --- memory --- */

static void *table(void *ctx, uint64_t gfn, bool write)
{
    mfn_t mfn;

    return p2m_peek(ctx, GFN(gfn), write, &mfn) ? direct(mfn_maddr(mfn).v) : NULL;
}

/* The guest-physical address of addr for an access, with the guest's page fault if there is none.
 */
static enum emul_result translate(struct emulation *m, uint64_t addr, bool write, uint64_t *gpa)
{
    static const struct guest_walk_ops ops = { .get = table };
    struct guest_walk w;
    uint32_t access = (write ? PFEC_W : 0) | (m->cpl == 3 ? PFEC_U : 0);

    switch (guest_walk(&m->g, &ops, &hvm_domain_of(m->v)->p2m, addr, access, &w)) {
    case WALK_OK:
        *gpa = w.gpa;
        return EMUL_OK;
    case WALK_FAULT:
        hvm_vendor->set(m->v, HVM_CR2, addr);
        m->vector = TRAP_PF;
        m->code = w.pfec;
        return EMUL_EXCEPTION;
    case WALK_AGAIN:
        return EMUL_AGAIN;
    default: /* its tables are where no memory is */
        return EMUL_UNKNOWN;
    }
}

/* Both pages of an access that crosses are translated before anything moves. */
static enum emul_result both(struct emulation *m, uint64_t addr, unsigned int n, bool write,
                             uint64_t gpa[2], unsigned int *first)
{
    enum emul_result r = translate(m, addr, write, &gpa[0]);
    uint64_t next = (addr | ~PAGE_MASK) + 1;

    *first = (unsigned int)MIN((uint64_t)n, next - addr);
    if (r != EMUL_OK || *first == n)
        return r;
    return translate(m, m->e.mode == INSN_MODE_64 ? next : (uint32_t)next, write, &gpa[1]);
}

/* Moves the bytes of one page. */
static enum emul_result move(struct emulation *m, uint64_t gpa, uint8_t *buf, unsigned int n,
                             bool write)
{
    uint8_t *page;
    mfn_t mfn;

    if (!p2m_peek(&hvm_domain_of(m->v)->p2m, GFN(gpa >> PAGE_SHIFT), write, &mfn))
        return device_bytes(m, gpa, buf, n, write);
    page = (uint8_t *)direct(mfn_maddr(mfn).v) + (gpa & ~PAGE_MASK);
    if (write) {
        p2m_mark_dirty(&hvm_domain_of(m->v)->p2m, GFN(gpa >> PAGE_SHIFT));
        memcpy(page, buf, n);
    } else {
        memcpy(buf, page, n);
    }
    return EMUL_OK;
}

static enum emul_result access(struct emulation *m, uint64_t addr, uint8_t *buf, unsigned int n,
                               bool write, bool check_write)
{
    uint64_t gpa[2];
    unsigned int first;
    enum emul_result r = both(m, addr, n, check_write, gpa, &first);

    if (r != EMUL_OK)
        return r;
    r = move(m, gpa[0], buf, first, write);
    if (r == EMUL_OK && first < n)
        r = move(m, gpa[1], buf + first, n - first, write);
    return r;
}

static enum emul_result op_read(struct emul *e, uint64_t addr, void *buf, unsigned int n,
                                bool for_write)
{
    return access(of(e), addr, buf, n, false, for_write);
}

static enum emul_result op_write(struct emul *e, uint64_t addr, const void *buf, unsigned int n)
{
    uint8_t copy[16];

    memcpy(copy, buf, n);
    return access(of(e), addr, copy, n, true, true);
}

/* What is memory by now the CPU changes by itself, and atomically. */
static enum emul_result op_update(struct emul *e, uint64_t addr, const void *old, const void *new,
                                  unsigned int n)
{
    struct emulation *m = of(e);
    enum emul_result r;
    uint64_t gpa;
    mfn_t mfn;

    (void)old;
    r = translate(m, addr, true, &gpa);
    if (r != EMUL_OK)
        return r;
    if (p2m_peek(&hvm_domain_of(m->v)->p2m, GFN(gpa >> PAGE_SHIFT), true, &mfn))
        return EMUL_AGAIN;
    return op_write(e, addr, new, n);
}

/* --- strings of ports --- */

/* One element by value: an answer is written where it belongs, what is sent was read before. */
static enum emul_result port_element(struct emulation *m, ioreq_t *r, uint64_t addr)
{
    bool in = r->dir == IOREQ_READ;
    enum emul_result result;
    uint64_t data = 0, gpa[2];
    uint32_t count, val = 0;
    unsigned int first;

    /* A page fault comes before the port is read: what a device gave once it does not give again.
     */
    result = in ? both(m, addr, r->size, true, gpa, &first)
                : access(m, addr, (uint8_t *)&val, r->size, false, false);
    if (result != EMUL_OK)
        return result;
    r->data = val;
    if (hvm_domain_of(m->v)->dev && hvm_device_port(m->v, (uint16_t)r->addr, r->size, in, &val)) {
        data = val;
    } else {
        result = logged(m, r, &data, &count);
        if (result != EMUL_OK)
            return result;
    }
    return in ? access(m, addr, (uint8_t *)&data, r->size, true, true) : EMUL_OK;
}

/* Several elements that lie in one page of memory: the device model moves them. */
static enum emul_result op_port_string(struct emul *e, uint16_t port, unsigned int size, bool in,
                                       uint64_t addr, bool down, uint64_t *count)
{
    struct emulation *m = of(e);
    ioreq_t r = { .addr = port,
                  .size = size,
                  .count = 1,
                  .dir = in ? IOREQ_READ : IOREQ_WRITE,
                  .df = down,
                  .type = IOREQ_TYPE_PIO };
    bool crosses = (addr & ~PAGE_MASK) + size > PAGE_SIZE;
    enum emul_result result;
    uint64_t gpa, data;
    uint32_t done;
    mfn_t mfn;

    if (!crosses && *count > 1 && !hvm_device_has_port(port, size)) {
        result = translate(m, addr, in, &gpa);
        if (result != EMUL_OK)
            return result;
        if (p2m_peek(&hvm_domain_of(m->v)->p2m, GFN(gpa >> PAGE_SHIFT), in, &mfn)) {
            r.data = gpa;
            r.data_is_ptr = 1;
            r.count = (uint32_t)*count;
            result = logged(m, &r, &data, &done);
            *count = done;
            return result;
        }
    }
    *count = 1;
    return port_element(m, &r, addr);
}

static const struct emul_ops ops = {
    .linear = op_linear,
    .read = op_read,
    .write = op_write,
    .update = op_update,
    .port_string = op_port_string,
};

/* --- the whole --- */

static uint64_t prepare(struct emulation *m, struct hvm_vcpu *v, struct x86_regs *regs)
{
    enum hvm_mode mode = hvm_mode(v);
    struct hvm_segment ss, cs;

    *m = (struct emulation){ .v = v, .real = mode == HVM_MODE_REAL };
    m->e = (struct emul){ .ops = &ops, .regs = regs, .budget = STRING_BUDGET };
    hvm_vendor->get_paging(v, &m->g, &m->cpl);
    m->g.rflags = regs->rflags;
    m->g.phys_bits = cpu_feat.phys_bits;
    m->g.page1gb = cpu_feat.page1gb;
    m->e.mode = mode == HVM_MODE_64   ? INSN_MODE_64
                : mode == HVM_MODE_32 ? INSN_MODE_32
                                      : INSN_MODE_16;
    m->e.stack_size = 8;
    if (mode == HVM_MODE_64)
        return regs->rip;
    hvm_vendor->get_seg(v, HVM_SS, &ss);
    hvm_vendor->get_seg(v, HVM_CS, &cs);
    m->e.stack_size = ss.attr & HVM_SEG_DB ? 4 : 2;
    return (uint32_t)(cs.base + regs->rip);
}

static enum hvm_emulated run(struct hvm_vcpu *v, struct emulation *m)
{
    struct x86_regs *regs = m->e.regs;
    uint64_t rip = regs->rip;

    v->io.at = 0;
    if (insn_decode(v->io.bytes, v->io.nbytes, m->e.mode, &m->e.insn) != INSN_OK)
        return HVM_NOT_KNOWN;
    switch (emul_decoded(&m->e)) {
    case EMUL_OK:
        regs->rip = rip;
        hvm_skip(v, regs, m->e.insn.len);
        return HVM_EMULATED;
    case EMUL_EXCEPTION:
        if (m->real || (m->vector != TRAP_PF && m->vector != TRAP_GP && m->vector != TRAP_SS))
            hvm_raise(v, m->vector);
        else
            hvm_raise_code(v, m->vector, m->code);
        return HVM_EMULATED;
    case EMUL_UNKNOWN:
        return HVM_NOT_KNOWN;
    default:
        return HVM_EMULATED;
    }
}

enum hvm_emulated hvm_emulate(struct hvm_vcpu *v, struct x86_regs *regs)
{
    struct emulation m;
    uint64_t at = prepare(&m, v, regs);

    v->io.done = 0;
    v->io.rcx = regs->rcx;
    v->io.nbytes = (uint8_t)hvm_fetch(v, at, v->io.bytes, sizeof(v->io.bytes));
    return run(v, &m);
}

enum hvm_emulated hvm_emulate_again(struct hvm_vcpu *v, struct x86_regs *regs)
{
    struct emulation m;

    (void)prepare(&m, v, regs);
    return run(v, &m);
}
