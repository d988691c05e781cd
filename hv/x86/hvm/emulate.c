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
#include "x86/mm/guest_walk.h"
#include "x86/mm/paging.h"
#include "x86/trap.h"

#define STRING_BUDGET 64 /* elements between two looks at pending work */
#define FETCH 15

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

/* One access within a device's page. What nobody claims reads as ones, and takes no writes. */
static void device(struct emulation *m, uint64_t gpa, uint8_t *buf, unsigned int n, bool write)
{
    struct vlapic *apic = &m->v->lapic;
    uint64_t val = 0;

    if (!vlapic_hit(apic, gpa)) {
        if (!write)
            memset(buf, 0xff, n);
        return;
    }
    if (write) {
        memcpy(&val, buf, MIN(n, 8u));
        vlapic_mmio_write(apic, gpa & ~PAGE_MASK, n, val);
    } else {
        val = n <= 4 ? vlapic_mmio_read(apic, gpa & ~PAGE_MASK, n) : 0;
        memset(buf, 0, n);
        memcpy(buf, &val, MIN(n, 8u));
    }
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
static void move(struct emulation *m, uint64_t gpa, uint8_t *buf, unsigned int n, bool write)
{
    uint8_t *page;
    mfn_t mfn;

    if (!p2m_peek(&hvm_domain_of(m->v)->p2m, GFN(gpa >> PAGE_SHIFT), write, &mfn)) {
        device(m, gpa, buf, n, write);
        return;
    }
    page = (uint8_t *)direct(mfn_maddr(mfn).v) + (gpa & ~PAGE_MASK);
    if (write) {
        p2m_mark_dirty(&hvm_domain_of(m->v)->p2m, GFN(gpa >> PAGE_SHIFT));
        memcpy(page, buf, n);
    } else {
        memcpy(buf, page, n);
    }
}

static enum emul_result access(struct emulation *m, uint64_t addr, uint8_t *buf, unsigned int n,
                               bool write, bool check_write)
{
    uint64_t gpa[2];
    unsigned int first;
    enum emul_result r = both(m, addr, n, check_write, gpa, &first);

    if (r != EMUL_OK)
        return r;
    move(m, gpa[0], buf, first, write);
    if (first < n)
        move(m, gpa[1], buf + first, n - first, write);
    return EMUL_OK;
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

static const struct emul_ops ops = {
    .linear = op_linear,
    .read = op_read,
    .write = op_write,
    .update = op_update,
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

enum hvm_emulated hvm_emulate(struct hvm_vcpu *v, struct x86_regs *regs)
{
    struct emulation m;
    uint8_t bytes[FETCH];
    uint64_t at = prepare(&m, v, regs), rip = regs->rip;
    size_t n = hvm_fetch(v, at, bytes, sizeof(bytes));

    if (insn_decode(bytes, n, m.e.mode, &m.e.insn) != INSN_OK)
        return HVM_NOT_KNOWN;
    switch (emul_decoded(&m.e)) {
    case EMUL_OK:
        regs->rip = rip;
        hvm_skip(v, regs, m.e.insn.len);
        return HVM_EMULATED;
    case EMUL_EXCEPTION:
        if (m.real || (m.vector != TRAP_PF && m.vector != TRAP_GP && m.vector != TRAP_SS))
            hvm_raise(v, m.vector);
        else
            hvm_raise_code(v, m.vector, m.code);
        return HVM_EMULATED;
    case EMUL_UNKNOWN:
        return HVM_NOT_KNOWN;
    default:
        return HVM_EMULATED;
    }
}
