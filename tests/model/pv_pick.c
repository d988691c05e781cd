/* SPDX-License-Identifier: MIT */
#include "model/pv_pick.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/vcpu.h>

#include "core/audit.h"
#include "core/grant.h"
#include "core/hypercall.h"
#include "x86/pv/desc.h"
#include "x86/pv/domain.h"
#include "x86/pv/mm.h"
#include "x86/pv/traps.h"

__thread struct rng rng;
__thread unsigned int depth; /* steps within steps: other CPUs while a call waits to go on */
uint64_t first_l4[PV_DOMAINS];

void note(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(pv_last, sizeof(pv_last), fmt, ap);
    va_end(ap);
}

__thread const uint8_t *choices; /* a fuzzer's input, or NULL */
__thread size_t choices_left;

uint64_t choose(void)
{
    uint64_t c;

    if (choices_left < 2)
        return rng_next(&rng);
    c = choices[0] | (uint64_t)choices[1] << 8;
    choices += 2;
    choices_left -= 2;
    return c;
}

uint64_t below(uint64_t n)
{
    return choose() % n;
}

bool one_in(uint64_t n)
{
    return choose() % n == 0;
}

/* --- what a guest knows and picks --- */

/* Frames that the last steps were about: the next ones like them too. */
uint64_t hot_frame[6];

bool is_own(const struct domain *d, uint64_t m)
{
    const struct frame *f = &frame_table[m];

    return f->owner == d->id && frame_refs(f->state) && !(f->state & FRAME_HV);
}

/* A frame of d, of that type if there is one (FT_MAX: of any). */
uint64_t own_frame(const struct domain *d, unsigned int type)
{
    uint64_t m = 1 + below(PV_RAM - 1), any = m, hot = hot_frame[below(ARRAY_SIZE(hot_frame))];

    if (is_own(d, hot) && (type == FT_MAX || type == FT_WRITABLE) && one_in(3))
        return hot;
    for (unsigned int i = 0; i < PV_RAM; i++, m = m % (PV_RAM - 1) + 1) {
        if (!is_own(d, m))
            continue;
        any = m;
        if (type == FT_MAX || frame_type_of(frame_table[m].state) == type)
            break;
    }
    if (one_in(4) && is_own(d, any))
        hot_frame[below(ARRAY_SIZE(hot_frame))] = any;
    return any;
}

uint64_t strange_frame(const struct domain *d)
{
    switch (below(10)) {
    case 0:
        return d->shared_mfn.v;
    case 1:
        return own_frame(pv_dom[below(PV_DOMAINS)], FT_MAX);
    case 2:
        return own_frame(pv_dom[below(PV_DOMAINS)], 1 + (unsigned int)below(6));
    case 3:
        return PV_RAM + below(PV_MACHINE_FRAMES + 8);
    case 4:
        return idle_cr3 >> PAGE_SHIFT;
    case 5:
        return rng_next(&rng) & 0xffffffffffull;
    case 6:
        return grant_frame_mfn((struct domain *)d, 0).v;
    case 7:
        return first_l4[below(PV_DOMAINS)];
    case 8: /* what was a guest's a moment ago */
        return hot_frame[below(ARRAY_SIZE(hot_frame))];
    default:
        return below(PV_RAM + 4);
    }
}

uint64_t pick_frame(const struct domain *d)
{
    if (one_in(8))
        return strange_frame(d);
    return own_frame(d, one_in(4) ? 1 + (unsigned int)below(6) : FT_MAX);
}

pte_t pick_flags(void)
{
    pte_t e = PTE_P | PTE_US | PTE_A;

    if (!one_in(3))
        e |= PTE_RW;
    if (one_in(2))
        e |= PTE_D;
    if (one_in(2))
        e |= PTE_NX;
    if (one_in(8))
        e |= 7ull << 9 & rng_next(&rng);
    if (one_in(16))
        e ^= rng_next(&rng) & 0x1ff;
    if (one_in(40))
        e ^= 1ull << below(64);
    return e;
}

pte_t pick_l1e(const struct domain *d)
{
    if (one_in(8))
        return one_in(2) ? 0 : rng_next(&rng) & ~PTE_P;
    return pick_frame(d) << PAGE_SHIFT | pick_flags();
}

/* An entry of a table of `level`. */
pte_t pick_entry(const struct domain *d, int level)
{
    if (level == 1 || one_in(16))
        return pick_l1e(d);
    if (one_in(5))
        return 0;
    if (one_in(6)) /* linear, if it is read-only */
        return own_frame(d, (unsigned int)level) << PAGE_SHIFT |
               (pick_flags() & ~(PTE_D | PTE_NX | (one_in(8) ? 0 : PTE_RW)));
    uint64_t child = one_in(3) ? pick_frame(d) : own_frame(d, (unsigned int)level - 1);
    return child << PAGE_SHIFT | (pick_flags() & ~(PTE_D | PTE_NX)) | PTE_RW;
}

unsigned int pick_index(int level)
{
    if (level == 4)
        return one_in(4) ? 256 + (unsigned int)below(20) : one_in(3) ? 272 : (unsigned int)below(3);
    return one_in(3) ? (unsigned int)below(512) : (unsigned int)below(4);
}

unsigned int pick_slot(void)
{
    unsigned int slot = (unsigned int)(one_in(6) ? below(PV_SLOTS)
                                                 : below(one_in(2) ? PAGES : WINDOW));

    if (one_in(4))
        return pv_hot_slot[below(PV_HOT)];
    return pv_hot_slot[below(PV_HOT)] = slot;
}

/* An address for what takes one: a slot's as a rule, the hypervisor's, a wrong or a low one. */
uint64_t pick_va(void)
{
    static const uint64_t strange[] = { HV_START, HV_END - 1, M2P_RO_BASE + 64, 1ull << 47,
                                        ~0ull,    0,          0x7ffffffff000,   DIRECT_BASE };

    if (one_in(6))
        return pv_linear_va(&rng);
    if (one_in(24))
        return one_in(4) ? rng_next(&rng) : strange[below(ARRAY_SIZE(strange))];
    return PV_VA(pick_slot());
}

/* The guest's entry that maps a slot, by its own tables; 0: no table there. */
uint64_t slot_entry(struct vcpu *v, unsigned int slot)
{
    struct pv_domain *pd = pv_domain(v->domain);
    uint64_t at;

    spin_lock(&pd->pt_lock);
    at = pv_find_l1e(v, PV_VA(slot));
    spin_unlock(&pd->pt_lock);
    return at;
}

uint64_t slot_frame(struct vcpu *v, unsigned int slot)
{
    uint64_t at = slot_entry(v, slot);

    return at ? (*(pte_t *)direct(at) & PTE_ADDR) >> PAGE_SHIFT : 0;
}

/* --- calls --- */

long call(struct vcpu *v, unsigned long nr, unsigned long a0, unsigned long a1, unsigned long a2,
          unsigned long a3)
{
    unsigned int cpu = arch_this_cpu()->id, turns = 0;
    long rc = hypercall_dispatch(v, nr, &HC_ARGS(a0, a1, a2, a3));

    while (rc == HC_RESTART) {
        struct hc_args again = v->restart_args;

        pv_restarts++;
        pv_machine_exit(v);
        if (depth == 0 && !pv_threaded && one_in(4)) {
            struct rng saved = rng;
            depth++;
            pv_model_step(rng_next(&rng));
            depth--;
            rng = saved;
            rng_next(&rng);
            host_be(cpu);
        }
        if (arch_this_cpu()->current != v || one_in(16) || ++turns > 5000)
            break; /* it never comes back to this call */
        while (pv_vcpu(v)->drop.any)
            pv_machine_exit(v);
        rc = hypercall_dispatch(v, nr, &again);
    }
    while (arch_this_cpu()->current == v && (pv_vcpu(v)->drop.any || arch_this_cpu()->pending))
        pv_machine_exit(v);
    return rc;
}

/* Address of the arguments of v's call. */
uint64_t args_va(const struct vcpu *v)
{
    return PV_VA(ARGS_SLOT + v->id * ARGS_PAGES);
}

/* The guest has lost its arguments' pages: map its own, or go back to its first tables. */
void recover(struct vcpu *v)
{
    for (unsigned int i = 0; i < ARGS_PAGES; i++) {
        uint64_t m = own_frame(v->domain, one_in(3) ? FT_MAX : FT_WRITABLE);
        call(v, __HYPERVISOR_update_va_mapping, args_va(v) + i * PAGE_SIZE, m << PAGE_SHIFT | FLAGS,
             UVMF_INVLPG, 0);
    }
    if (!pv_access(args_va(v), true)) {
        pv_new_kernel_base(v,
                           MFN(one_in(2) ? first_l4[v->domain->id] : own_frame(v->domain, FT_L4)));
        pv_mm_done(v);
    }
}

/* Stores n bytes of arguments at `offset`; true if that went well, as it should. */
bool put_args(struct vcpu *v, unsigned int offset, const void *src, size_t n)
{
    uint64_t va = args_va(v) + offset;
    const uint8_t *from = src;

    for (size_t i = 0; i < n; i += 8) {
        size_t part = MIN(n - i, (size_t)8);
        void *p = pv_access(va + i, true);
        if (!p) {
            recover(v);
            return false;
        }
        memcpy(p, from + i, part);
    }
    return true;
}

bool get_args(struct vcpu *v, unsigned int offset, void *dst, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        void *p = pv_access(args_va(v) + offset + i, false);
        if (!p)
            return false;
        memcpy((uint8_t *)dst + i, p, MIN(n - i, (size_t)8));
    }
    return true;
}
