/* SPDX-License-Identifier: MIT */
/*
 * Writable page tables: a guest kernel writes to an L1 that it sees read-only, the write faults,
 * and is carried out here if it is allowed. Linux does this for each page that it unmaps, so the
 * way is short: find the entry that maps the table, decode, replace. What the short decoder does
 * not know goes through x86/emul, with the lock taken for each write only.
 */
#include "x86/insn/ptwrite.h"

#include <xen/errno.h>

#include "core/log.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/emul/emul.h"
#include "x86/pv/privop.h"
#include "x86/pv/ptable.h"
#include "x86/pv/traps.h"

#define STRING_BUDGET 64 /* elements of a string instruction between two looks at pending work */

/* The table's entry that cr2 names, if cr2 is mapped read-only onto an L1 of d. [pt_lock] */
static inline pte_t *find_target(struct vcpu *v, uint64_t cr2)
{
    uint64_t at = pv_find_l1e(v, cr2);

    if (!at)
        return NULL;
    pte_t map = *(pte_t *)direct(at);
    if ((map & (PTE_P | PTE_RW)) != PTE_P)
        return NULL;
    const struct frame *f = frame_record(pte_mfn(map));
    if (!f || f->owner != v->domain->id)
        return NULL;
    if ((frame_state(f) & (FRAME_TYPE_MASK | FRAME_VALIDATED)) !=
        ((uint64_t)FT_L1 << FRAME_TYPE_SHIFT | FRAME_VALIDATED))
        return NULL;
    return direct((map & PTE_ADDR) | (cr2 & 0xff8));
}

/* Replace *at by what the instruction makes of it; *was is the value it saw. [pt_lock] */
static inline bool write_entry(struct domain *d, pte_t *at, const struct ptwrite *w,
                               const struct x86_regs *regs, pte_t *was)
{
    int rc;

    *was = __atomic_load_n(at, __ATOMIC_RELAXED);
    do {
        rc = pt_exchange_l1(d, at, was, ptwrite_new_value(w, regs, *was));
    } while (__builtin_expect(rc == -XEN_EAGAIN, 0));
    return rc == 0;
}

/* --- instructions that kernels rarely use for it --- */

struct table_write {
    struct emul e; /* first */
    struct vcpu *v;
    uint64_t page; /* address of the table's page */
    bool wrote;
};

static enum emul_result op_linear(struct emul *e, enum insn_seg seg, uint64_t offset,
                                  unsigned int n, bool write, uint64_t *addr)
{
    const struct table_write *w = container_of(e, struct table_write, e);
    uint64_t base = 0;

    (void)write;
    if (seg >= SEG_FS && !pv_segment_base(pv_vcpu(w->v), e->regs, seg, &base))
        return EMUL_UNKNOWN;
    *addr = base + offset;
    return pv_range_ok(*addr, n) ? EMUL_OK : EMUL_UNKNOWN;
}

static enum emul_result op_read(struct emul *e, uint64_t addr, void *buf, unsigned int n,
                                bool for_write)
{
    (void)e, (void)for_write;
    return copy_user(buf, (void *)addr, n) ? EMUL_AGAIN : EMUL_OK; /* the CPU will fault there */
}

/*
 * n bytes at addr, which must lie within one entry, become *new if they are *old (NULL: whatever
 * they are). [pt_lock]
 */
static enum emul_result write_bytes(struct table_write *w, uint64_t addr, const void *old,
                                    const void *new, unsigned int n)
{
    pte_t *at = find_target(w->v, addr), was, is;
    int rc;

    if (!at || (addr & 7) + n > 8)
        return EMUL_EXCEPTION;
    was = __atomic_load_n(at, __ATOMIC_RELAXED);
    do {
        uint8_t *bytes = (uint8_t *)&is + (addr & 7);
        is = was;
        if (old && memcmp(bytes, old, n) != 0)
            return EMUL_AGAIN; /* the whole instruction, on what is there now */
        memcpy(bytes, new, n);
        rc = pt_exchange_l1(w->v->domain, at, &was, is);
    } while (rc == -XEN_EAGAIN);
    w->wrote |= rc == 0;
    return rc ? EMUL_EXCEPTION : EMUL_OK;
}

/* Only on the page that the fault was about. */
static enum emul_result op_update(struct emul *e, uint64_t addr, const void *old, const void *new,
                                  unsigned int n)
{
    struct table_write *w = container_of(e, struct table_write, e);
    enum emul_result r;

    if ((addr & PAGE_MASK) != w->page)
        return EMUL_EXCEPTION;
    spin_lock(&pv_domain(w->v->domain)->pt_lock);
    r = write_bytes(w, addr, old, new, n);
    spin_unlock(&pv_domain(w->v->domain)->pt_lock);
    return r;
}

static enum emul_result op_write(struct emul *e, uint64_t addr, const void *buf, unsigned int n)
{
    return op_update(e, addr, NULL, buf, n);
}

static const struct emul_ops ops = {
    .linear = op_linear,
    .read = op_read,
    .write = op_write,
    .update = op_update,
};

/*
 * As pv_ptwrite(), for any instruction that x86/emul knows, in 64-bit code. No lock is held. True
 * also where it is to be executed again: a string instruction that came as far as its registers say
 * faults once more, at the element that stopped it.
 */
static bool write_by_any(struct vcpu *v, struct x86_regs *regs, uint64_t cr2, const uint8_t *code,
                         unsigned int len)
{
    struct table_write w = { .v = v, .page = cr2 & PAGE_MASK };
    enum insn_mode mode;
    uint64_t base;

    if ((regs->cs | 3) != SEL_RING3_CS64 &&
        (!pv_code_segment(pv_vcpu(v), (uint16_t)regs->cs, &mode, &base) || mode != INSN_MODE_64))
        return false;
    w.e = (struct emul){
        .ops = &ops, .regs = regs, .mode = INSN_MODE_64, .stack_size = 8, .budget = STRING_BUDGET
    };
    switch (emul_execute(&w.e, code, len)) {
    case EMUL_OK:
        regs->rflags &= ~X86_FLAGS_RF;
        return true;
    case EMUL_AGAIN:
        return true;
    case EMUL_EXCEPTION:
        return w.wrote;
    default:
        return false;
    }
}

/* pv_ptwrite() of any instruction; `len` bytes of it are there. */
static __attribute__((noinline)) bool ptwrite_any(struct vcpu *v, struct x86_regs *regs,
                                                  uint64_t cr2, const uint8_t *code,
                                                  unsigned int len)
{
    struct domain *d = v->domain;
    struct ptwrite w;
    pte_t was;
    bool ok = false, known = true;

    spin_lock(&pv_domain(d)->pt_lock);
    pte_t *at = find_target(v, cr2);
    if (at) {
        known = ptwrite_decode(code, len, cr2, &w);
        ok = likely(known) && write_entry(d, at, &w, regs, &was);
    }
    spin_unlock(&pv_domain(d)->pt_lock);
    if (unlikely(!known))
        return write_by_any(v, regs, cr2, code, len);
    if (ok)
        ptwrite_finish(&w, regs, was);
    return ok;
}

bool pv_ptwrite(struct vcpu *v, struct x86_regs *regs, uint64_t cr2)
{
    struct domain *d = v->domain;
    uint8_t code[16];
    struct ptwrite w;
    pte_t was;
    bool ok = false;

    /* untested: of rip, since code of ring 3 does not run at the hypervisor's addresses */
    if (!pv_range_ok(regs->rip, 16) || !pv_range_ok(cr2, 8))
        return false;
    if (unlikely(copy_user16(code, (void *)regs->rip) != 0)) {
        uint64_t len = PAGE_SIZE - (regs->rip & (PAGE_SIZE - 1)); /* up to the page's end */
        /* untested: of 16 bytes and more, unless another CPU maps the page between both copies */
        if (len >= 16 || copy_user(code, (void *)regs->rip, len))
            return false;
        return ptwrite_any(v, regs, cr2, code, (unsigned int)len);
    }
    if (unlikely(!ptwrite_decode_simple(code, cr2, &w)))
        return ptwrite_any(v, regs, cr2, code, 16);
    spin_lock(&pv_domain(d)->pt_lock);
    pte_t *at = find_target(v, cr2);
    if (at)
        ok = write_entry(d, at, &w, regs, &was);
    spin_unlock(&pv_domain(d)->pt_lock);
    if (ok)
        ptwrite_finish(&w, regs, was);
    return ok;
}
