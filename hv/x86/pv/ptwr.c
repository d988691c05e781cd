/* SPDX-License-Identifier: MIT */
/*
 * Writable page tables: a guest kernel writes to an L1 that it sees read-only, the write faults,
 * and is carried out here if it is allowed. Linux does this for each page that it unmaps, so the
 * way is short: find the entry that maps the table, decode, replace.
 */
#include "x86/insn/ptwrite.h"

#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/pv/ptable.h"
#include "x86/pv/traps.h"

/* The table's entry that cr2 names, if cr2 is mapped read-only onto an L1 of d. [pt_lock] */
static pte_t *find_target(struct vcpu *v, uint64_t cr2)
{
    uint64_t at = pv_find_l1e(v, cr2);

    if (!at)
        return NULL;
    pte_t map = *(pte_t *)direct(at);
    if ((map & (PTE_P | PTE_RW)) != PTE_P)
        return NULL;
    struct frame *f = frame_of(pte_mfn(map));
    if (!f || f->owner != v->domain->id)
        return NULL;
    uint64_t s = __atomic_load_n(&f->state, __ATOMIC_RELAXED);
    if (frame_type_of(s) != FT_L1 || !(s & FRAME_VALIDATED))
        return NULL;
    return direct((map & PTE_ADDR) | (cr2 & 0xff8));
}

static bool same_rights(pte_t a, pte_t b)
{
    return (a & b & PTE_P) && !((a ^ b) & (PTE_ADDR | PTE_RW)) &&
           !(b & ~(L1_GUEST_FLAGS | PTE_ADDR | PTE_NX));
}

/* Replace *at by what the instruction makes of it; *was is the value it saw. [pt_lock] */
static bool write_entry(struct domain *d, pte_t *at, const struct ptwrite *w,
                        const struct x86_regs *regs, pte_t *was)
{
    pte_t old = __atomic_load_n(at, __ATOMIC_RELAXED);

    for (;;) {
        pte_t new = ptwrite_new_value(w, regs, old), seen = old;
        bool same = same_rights(old, new), taken = (new &PTE_P) && !same;

        if (pt_leaks(new) || (taken && pt_get_l1e(d, NULL, &new)))
            return false;
        if (same)
            new = frame_of(pte_mfn(new)) ? (new | PTE_US) & ~(PTE_G | PTE_PAT | PTE_PCD | PTE_PWT)
                                         : (new | PTE_US) & ~PTE_G;
        if (__atomic_compare_exchange_n(at, &old, new, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            if ((old & PTE_P) && !same)
                pt_put_l1e(d, old);
            *was = seen;
            return true;
        }
        if (taken)
            pt_put_l1e(d, new);
    }
}

bool pv_ptwrite(struct vcpu *v, struct x86_regs *regs, uint64_t cr2)
{
    struct domain *d = v->domain;
    uint8_t code[16];
    unsigned int len = 16;
    struct ptwrite w;
    pte_t was;
    bool ok = false;

    if (!pv_range_ok(regs->rip, 16) || !pv_range_ok(cr2, 8))
        return false;
    if (__builtin_expect(copy_user(code, (void *)regs->rip, len) != 0, 0)) {
        len = (unsigned int)(PAGE_SIZE - (regs->rip & (PAGE_SIZE - 1))); /* up to the page's end */
        if (len >= 16 || copy_user(code, (void *)regs->rip, len))
            return false;
    }
    spin_lock(&pv_domain(d)->pt_lock);
    pte_t *at = find_target(v, cr2);
    if (at && ptwrite_decode(code, len, cr2, &w))
        ok = write_entry(d, at, &w, regs, &was);
    spin_unlock(&pv_domain(d)->pt_lock);
    if (ok)
        ptwrite_finish(&w, regs, was);
    return ok;
}
