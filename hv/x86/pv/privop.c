/* SPDX-License-Identifier: MIT */
/*
 * The instruction is fetched once, decoded, and handed to its handler. A handler refuses (the guest
 * takes its exception), completes the instruction (RIP moves on), or stays: it has made some
 * progress or injected another exception, and RIP is where it must be.
 */
#include "x86/pv/privop.h"

#include "core/guest.h"
#include <xen/errno.h>

#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/registers.h"
#include "x86/insn/gpr.h"
#include "x86/policy/cpu_policy.h"
#include "x86/pv/cpuid.h"
#include "x86/pv/ioport.h"
#include "x86/pv/msr.h"
#include "x86/time/vtsc.h"

#define DR6_BS 0x4000ull

#define STRING_BATCH 128 /* elements of a string I/O instruction before others get their turn */

enum outcome { REFUSE, COMPLETE, STAY };

struct privop {
    struct pv_vcpu *v;
    struct x86_regs *regs;
    enum insn_mode mode;
    struct insn insn;
    uint64_t io_hits; /* bits of DR6: I/O breakpoints that the access met */
};

static struct domain *domain_of(const struct privop *op)
{
    return op->v->x.v.domain;
}

static void set_pair(struct x86_regs *regs, uint64_t val)
{
    regs->rax = (uint32_t)val;
    regs->rdx = val >> 32;
}

/* Linear address of the memory operand, cut to 32 bits outside 64-bit code. */
static bool linear(const struct privop *op, enum insn_seg seg, uint64_t off, uint64_t *addr)
{
    uint64_t base = 0;

    if (op->mode != INSN_MODE_64 || seg >= SEG_FS) {
        if (!pv_segment_base(op->v, op->regs, seg, &base))
            return false;
    }
    *addr = base + off;
    if (op->mode != INSN_MODE_64)
        *addr = (uint32_t)*addr;
    return true;
}

static bool operand_addr(const struct privop *op, uint64_t *addr)
{
    return linear(op, (enum insn_seg)op->insn.seg, insn_offset(&op->insn, op->regs), addr);
}

/* Store n bytes in the interrupted code's memory, as that code would. */
static enum outcome store(const struct privop *op, uint64_t addr, const void *bytes, size_t n)
{
    if (guest_write(&op->v->x.v, GPTR(addr), bytes, n) == 0)
        return COMPLETE;
    pv_inject_page_fault(op->v, op->regs, addr, true);
    return STAY;
}

/* --- control registers --- */

void pv_priv_init(struct pv_vcpu *v)
{
    v->priv.cr0 = CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE;
    v->priv.cr4 = pv_cr4_fixup(0);
}

uint64_t pv_cr4_fixup(uint64_t wanted)
{
    /* On, whatever the guest asks: the hypervisor runs with these, and CPUID says so. */
    uint64_t fixed = CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    uint64_t allowed = CR4_TSD | CR4_DE | (cpu_feat.fsgsbase ? CR4_FSGSBASE : 0) |
                       (cpu_feat.xsave ? CR4_OSXSAVE : 0);

    return (wanted & allowed) | fixed;
}

static uint64_t read_guest_cr0(const struct pv_vcpu *v)
{
    return v->priv.cr0 | (v->ts ? CR0_TS : 0);
}

static enum outcome write_guest_cr0(struct privop *op, uint64_t val)
{
    if ((val ^ op->v->priv.cr0) & ~CR0_TS) {
        log_refusal(domain_of(op), "CR0 <- %#llx: only TS may change", (unsigned long long)val);
        return REFUSE;
    }
    pv_set_ts(op->v, val & CR0_TS);
    return COMPLETE;
}

static enum outcome write_guest_cr4(struct privop *op, uint64_t val)
{
    struct pv_privstate *p = &op->v->priv;
    uint64_t old = p->cr4;

    p->cr4 = pv_cr4_fixup(val);
    if (p->cr4 != val)
        log_refusal(domain_of(op), "CR4 <- %#llx: bits %#llx stay as they are",
                    (unsigned long long)val, (unsigned long long)(p->cr4 ^ val));
    if (p->cr4 != old)
        pv_cr4_changed(op->v, old);
    return COMPLETE;
}

static enum outcome do_mov_from_cr(struct privop *op)
{
    struct pv_vcpu *v = op->v;
    uint64_t val;

    switch (op->insn.reg) {
    case 0:
        val = read_guest_cr0(v);
        break;
    case 2:
        val = v->x.v.info->arch.cr2;
        break;
    case 3:
        val = v->cr3_kernel;
        break;
    case 4:
        val = v->priv.cr4;
        break;
    default:
        return REFUSE;
    }
    *x86_gpr(op->regs, op->insn.rm) = val;
    return COMPLETE;
}

/* Checking the tables may give way to other work: then the instruction runs again. */
static enum outcome set_base(const struct privop *op, gfn_t l4)
{
    int rc = pv_new_baseptr(op->v, l4);

    return rc == 0 ? COMPLETE : rc == -XEN_EAGAIN ? STAY : REFUSE;
}

static enum outcome do_mov_to_cr(struct privop *op)
{
    uint64_t val = x86_gpr_value(op->regs, op->insn.rm);

    switch (op->insn.reg) {
    case 0:
        return write_guest_cr0(op, val);
    case 2:
        op->v->x.v.info->arch.cr2 = val;
        return COMPLETE;
    case 3:
        return set_base(op, GFN(val >> PAGE_SHIFT));
    case 4:
        return write_guest_cr4(op, val);
    default:
        return REFUSE;
    }
}

static enum outcome do_clts(struct privop *op)
{
    pv_set_ts(op->v, false);
    return COMPLETE;
}

/* --- debug registers --- */

uint64_t pv_io_breakpoints(const uint64_t *dr, unsigned int port, unsigned int size)
{
    static const uint8_t len_of[] = { 1, 2, 8, 4 };
    uint64_t hits = 0;

    for (unsigned int i = 0; i < 4; i++) {
        unsigned int len = len_of[dr[7] >> (18 + 4 * i) & 3];
        uint64_t first = dr[i] & ~(uint64_t)(len - 1);

        if (dr7_enabled(dr[7], i) && dr7_type(dr[7], i) == DR7_TYPE_IO && port < first + len &&
            first < port + size)
            hits |= 1ull << i;
    }
    return hits;
}

static enum outcome raise_ud(struct privop *op)
{
    pv_inject_ud(op->v, op->regs);
    return STAY;
}

/* DR4 and DR5 are other names of DR6 and DR7; with CR4.DE they are not there. */
static bool debug_reg_hidden(const struct privop *op)
{
    return (op->insn.reg | 1) == 5 && (op->v->priv.cr4 & CR4_DE);
}

static enum outcome do_mov_from_dr(struct privop *op)
{
    uint64_t val;

    if (debug_reg_hidden(op))
        return raise_ud(op);
    if (pv_get_debugreg(op->v, op->insn.reg, &val))
        return REFUSE;
    *x86_gpr(op->regs, op->insn.rm) = val;
    return COMPLETE;
}

static enum outcome do_mov_to_dr(struct privop *op)
{
    if (debug_reg_hidden(op))
        return raise_ud(op);
    if (pv_set_debugreg(op->v, op->insn.reg, x86_gpr_value(op->regs, op->insn.rm)))
        return REFUSE;
    return COMPLETE;
}

/* --- caches and translations --- */

/* Only who drives devices has a reason; for others caches are coherent. */
static enum outcome do_wbinvd(struct privop *op)
{
    if (x86_domain(domain_of(op))->ioports)
        wbinvd();
    return COMPLETE;
}

/*
 * With I/O privilege these do nothing: the real flag is never the guest's, and a kernel that masks
 * events does it in its shared page. (Linux meets them before it has patched its own code.)
 */
static enum outcome do_cli_sti(struct privop *op)
{
    return pv_io_privileged(op->v) ? COMPLETE : REFUSE;
}

/* --- model-specific registers, CPUID, TSC, XCR0 --- */

/*
 * A #GP at RDMSR needs a handler; a kernel that has registered none yet, as Linux early on, must
 * not die of a register that it only looks at (the ABI's header on trap tables).
 */
static enum outcome rdmsr_for(struct pv_vcpu *v, struct x86_regs *regs)
{
    uint64_t val = 0;

    if (!pv_rdmsr(v, (uint32_t)regs->rcx, &val) && v->traps[VECTOR_GP].address)
        return REFUSE;
    set_pair(regs, val);
    return COMPLETE;
}

static enum outcome do_rdmsr(struct privop *op)
{
    return rdmsr_for(op->v, op->regs);
}

static enum outcome do_wrmsr(struct privop *op)
{
    struct x86_regs *r = op->regs;
    uint64_t val = (uint64_t)(uint32_t)r->rdx << 32 | (uint32_t)r->rax;

    return pv_wrmsr(op->v, (uint32_t)r->rcx, val) ? COMPLETE : REFUSE;
}

static enum outcome do_cpuid(struct privop *op)
{
    struct cpuid_regs out;

    pv_cpuid(op->v, (uint32_t)op->regs->rax, (uint32_t)op->regs->rcx, &out);
    op->regs->rax = out.a;
    op->regs->rbx = out.b;
    op->regs->rcx = out.c;
    op->regs->rdx = out.d;
    return COMPLETE;
}

/* Traps only while CR4.TSD is on, which is meant for programs. */
static enum outcome do_rdtsc(struct privop *op)
{
    if (!op->v->kernel_mode && (op->v->priv.cr4 & CR4_TSD))
        return REFUSE;
    set_pair(op->regs, vtsc_now(x86_domain(op->v->x.v.domain)));
    if (op->insn.op == INSN_RDTSCP)
        op->regs->rcx = op->v->priv.tsc_aux;
    return COMPLETE;
}

static enum outcome do_xsetbv(struct privop *op)
{
    struct x86_regs *r = op->regs;
    uint64_t val = (uint64_t)(uint32_t)r->rdx << 32 | (uint32_t)r->rax;

    if (!(op->v->priv.cr4 & CR4_OSXSAVE))
        return raise_ud(op);
    if (!op->v->kernel_mode)
        return REFUSE;
    if ((uint32_t)r->rcx != 0 || !policy_xcr0_ok(domain_of(op), val)) {
        log_refusal(domain_of(op), "XSETBV %u <- %#llx: not valid here", (uint32_t)r->rcx,
                    (unsigned long long)val);
        return REFUSE;
    }
    pv_set_xcr0(op->v, val);
    return COMPLETE;
}

/* --- port I/O --- */

static uint16_t port_of(const struct privop *op)
{
    return op->insn.has_imm ? (uint8_t)op->insn.imm : (uint16_t)op->regs->rdx;
}

/* Behind an access that was carried out. The hardware's registers never hold these breakpoints. */
static void note_io(struct privop *op, unsigned int port, unsigned int size)
{
    const struct pv_vcpu *v = op->v;

    if (unlikely(v->dr[7] & 0xff))
        op->io_hits |= pv_io_breakpoints(v->dr, port, size);
}

static enum outcome do_in(struct privop *op)
{
    unsigned int size = op->insn.size;
    uint16_t port = port_of(op);

    if (!pv_ioport_allowed(op->v, port, size))
        return REFUSE;
    x86_gpr_write(op->regs, 0, pv_ioport_in(op->v, port, size), size);
    note_io(op, port, size);
    return COMPLETE;
}

static enum outcome do_out(struct privop *op)
{
    unsigned int size = op->insn.size;
    uint16_t port = port_of(op);

    if (!pv_ioport_allowed(op->v, port, size))
        return REFUSE;
    pv_ioport_out(op->v, port, size, (uint32_t)(op->regs->rax & x86_size_mask(size)));
    note_io(op, port, size);
    return COMPLETE;
}

/* One element of INS (to ES:rDI) or OUTS (from DS:rSI or an override). */
static enum outcome string_element(struct privop *op, uint16_t port)
{
    const struct insn *i = &op->insn;
    bool in = i->op == INSN_INS;
    uint64_t *ptr = in ? &op->regs->rdi : &op->regs->rsi, mask = x86_size_mask(i->addr_size), addr;
    int64_t step = op->regs->rflags & X86_FLAGS_DF ? -(int64_t)i->size : i->size;
    uint32_t val = 0;

    if (!linear(op, in ? SEG_ES : (enum insn_seg)i->seg, *ptr & mask, &addr))
        return REFUSE;
    if (in) {
        val = pv_ioport_in(op->v, port, i->size);
        if (store(op, addr, &val, i->size) != COMPLETE)
            return STAY;
    } else {
        if (guest_read(&op->v->x.v, &val, GPTR(addr), i->size)) {
            pv_inject_page_fault(op->v, op->regs, addr, false);
            return STAY;
        }
        pv_ioport_out(op->v, port, i->size, val);
    }
    x86_gpr_write(op->regs, in ? 7 : 6, *ptr + (uint64_t)step, i->addr_size);
    note_io(op, port, i->size);
    return COMPLETE;
}

/*
 * With a repeat prefix, some elements and then back to the guest, which executes the instruction
 * again for the rest: the length is the guest's choice, the time is not.
 */
static enum outcome do_string_io(struct privop *op)
{
    const struct insn *i = &op->insn;
    uint16_t port = (uint16_t)op->regs->rdx;
    uint64_t mask = x86_size_mask(i->addr_size);

    if (!pv_ioport_allowed(op->v, port, i->size))
        return REFUSE;
    if (!i->rep)
        return string_element(op, port);
    for (unsigned int n = 0; n < STRING_BATCH && !op->io_hits; n++) {
        enum outcome one;

        if (!(op->regs->rcx & mask))
            return COMPLETE;
        one = string_element(op, port);
        if (one != COMPLETE)
            return one;
        x86_gpr_write(op->regs, 1, op->regs->rcx - 1, i->addr_size);
    }
    return op->regs->rcx & mask ? STAY : COMPLETE;
}

/* --- the five that UMIP takes from ring 3: they tell where the hypervisor's tables are --- */

/* What a guest is told: tables of no length, far from anything real. */
#define FAKE_GDT_BASE 0xfffffffffffe0000ull
#define FAKE_IDT_BASE 0xffffffffffff0000ull

static enum outcome do_store_table(struct privop *op)
{
    uint64_t base = op->insn.op == INSN_SGDT ? FAKE_GDT_BASE : FAKE_IDT_BASE, addr;
    unsigned int base_len = op->mode == INSN_MODE_64 ? 8 : 4;
    uint8_t image[10] = { 0 };

    if (!operand_addr(op, &addr))
        return REFUSE;
    for (unsigned int i = 0; i < base_len; i++)
        image[2 + i] = (uint8_t)(base >> (8 * i));
    return store(op, addr, image, 2 + base_len);
}

static enum outcome do_store_word(struct privop *op)
{
    uint64_t val = 0, addr; /* SLDT, STR: null selectors */
    uint16_t word;

    if (op->insn.op == INSN_SMSW)
        val = read_guest_cr0(op->v);
    if (!op->insn.mem) {
        x86_gpr_write(op->regs, op->insn.rm, val, op->insn.size);
        return COMPLETE;
    }
    if (!operand_addr(op, &addr))
        return REFUSE;
    word = (uint16_t)val;
    return store(op, addr, &word, sizeof(word));
}

/* --- dispatch --- */

static const struct handler {
    enum outcome (*fn)(struct privop *op);
    bool user; /* a program may, or the handler itself asks who it is */
} handlers[INSN_OP_COUNT] = {
    [INSN_IN] = { do_in, true },
    [INSN_OUT] = { do_out, true },
    [INSN_INS] = { do_string_io, true },
    [INSN_OUTS] = { do_string_io, true },
    [INSN_MOV_FROM_CR] = { do_mov_from_cr, false },
    [INSN_MOV_TO_CR] = { do_mov_to_cr, false },
    [INSN_MOV_FROM_DR] = { do_mov_from_dr, false },
    [INSN_MOV_TO_DR] = { do_mov_to_dr, false },
    [INSN_CLTS] = { do_clts, false },
    [INSN_CLI] = { do_cli_sti, true },
    [INSN_STI] = { do_cli_sti, true },
    [INSN_WBINVD] = { do_wbinvd, false },
    [INSN_RDMSR] = { do_rdmsr, false },
    [INSN_WRMSR] = { do_wrmsr, false },
    [INSN_RDTSC] = { do_rdtsc, true },
    [INSN_RDTSCP] = { do_rdtsc, true },
    [INSN_CPUID] = { do_cpuid, true },
    [INSN_XSETBV] = { do_xsetbv, true },
    [INSN_SGDT] = { do_store_table, true },
    [INSN_SIDT] = { do_store_table, true },
    [INSN_SLDT] = { do_store_word, true },
    [INSN_STR] = { do_store_word, true },
    [INSN_SMSW] = { do_store_word, true },
};

/* Up to 15 bytes of code at `addr`; how many could be read. */
static size_t fetch(struct pv_vcpu *v, uint64_t addr, uint8_t *bytes)
{
    size_t first = MIN(PAGE_SIZE - (addr & (PAGE_SIZE - 1)), (uint64_t)INSN_MAX_LEN);

    if (guest_read(&v->x.v, bytes, GPTR(addr), first))
        return 0;
    if (first < INSN_MAX_LEN &&
        guest_read(&v->x.v, bytes + first, GPTR(addr + first), INSN_MAX_LEN - first) == 0)
        return INSN_MAX_LEN;
    return first;
}

static bool code_segment(struct privop *op, uint64_t *base)
{
    uint16_t cs = (uint16_t)op->regs->cs;

    *base = 0;
    if (likely(cs == SEL_RING3_CS64)) {
        op->mode = INSN_MODE_64;
        return true;
    }
    if (cs == SEL_RING3_CS32) {
        op->mode = INSN_MODE_32;
        return true;
    }
    return pv_code_segment(op->v, cs, &op->mode, base);
}

/* RIP is behind an instruction: RF, and the trap that TF or I/O breakpoints (`dr6`) ask for. */
static void stepped(struct pv_vcpu *v, struct x86_regs *regs, uint64_t dr6)
{
    regs->rflags &= ~X86_FLAGS_RF;
    if (unlikely(regs->rflags & X86_FLAGS_TF))
        dr6 |= DR6_BS;
    if (unlikely(dr6))
        pv_inject_debug(v, regs, dr6);
}

/*
 * Behind the instruction: RIP at the code's width. The trap for I/O breakpoints also comes between
 * the elements of a repeated instruction.
 */
static bool retire(struct privop *op, enum outcome done)
{
    struct x86_regs *regs = op->regs;

    if (done == COMPLETE) {
        regs->rip += op->insn.len;
        if (op->mode != INSN_MODE_64)
            regs->rip &= op->mode == INSN_MODE_32 ? 0xffffffffu : 0xffffu;
        stepped(op->v, regs, op->io_hits);
    } else if (unlikely(op->io_hits)) {
        pv_inject_debug(op->v, regs, op->io_hits);
    }
    return done != REFUSE;
}

static enum outcome emulate(struct privop *op, const uint8_t *bytes, size_t len)
{
    const struct handler *h;

    if (insn_decode(bytes, len, op->mode, &op->insn) != INSN_OK)
        return REFUSE;
    /*
     * #UD is raised by instructions that the CPU lacks; only the forced form is meant for us, and
     * DR4 and DR5, where the hypervisor's own CR4.DE hides them.
     */
    if (op->regs->vector == VECTOR_UD && !op->insn.forced && op->insn.op != INSN_MOV_FROM_DR &&
        op->insn.op != INSN_MOV_TO_DR)
        return REFUSE;
    h = &handlers[op->insn.op];
    if (!h->fn || (!h->user && !op->v->kernel_mode))
        return REFUSE;
    return h->fn(op);
}

bool pv_quick_privop(struct pv_vcpu *v, struct x86_regs *regs, unsigned int two)
{
    unsigned int code = two & 0xff, len, size, port;
    uint64_t hits = 0;

    if (two == 0x320f) {
        if (!v->kernel_mode || rdmsr_for(v, regs) == REFUSE)
            return false;
        regs->rip += 2;
        stepped(v, regs, 0);
        return true;
    }
    if (code == 0x66) { /* of a word, by DX */
        code = two >> 8;
        len = size = 2;
    } else {
        len = code & 8 ? 1 : 2;
        size = code & 1 ? 4 : 1;
    }
    port = code & 8 ? (uint16_t)regs->rdx : two >> 8;
    if (!pv_ioport_allowed(v, (uint16_t)port, size))
        return false;
    if (code & 2)
        pv_ioport_out(v, (uint16_t)port, size, (uint32_t)(regs->rax & x86_size_mask(size)));
    else
        x86_gpr_write(regs, 0, pv_ioport_in(v, (uint16_t)port, size), size);
    if (unlikely(v->dr[7] & 0xff))
        hits = pv_io_breakpoints(v->dr, port, size);
    regs->rip += len;
    stepped(v, regs, hits);
    return true;
}

bool pv_emulate_privop(struct pv_vcpu *v, struct x86_regs *regs)
{
    struct privop op = { .v = v, .regs = regs };
    uint8_t bytes[INSN_MAX_LEN];
    uint64_t base;
    size_t len;

    if (regs->vector == VECTOR_GP && regs->error_code)
        return false; /* it names a selector */
    if (!code_segment(&op, &base))
        return false;
    base += regs->rip;
    len = fetch(v, op.mode == INSN_MODE_64 ? base : (uint32_t)base, bytes);
    /* untested: emulate() makes nothing of no bytes */
    if (len == 0)
        return false;
    return retire(&op, emulate(&op, bytes, len));
}
