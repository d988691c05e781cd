/* SPDX-License-Identifier: MIT */
/*
 * One pass down the tables collects the entries and what they allow; then the access is judged;
 * then accessed and dirty bits are set in entries that are still the same, else the pass begins
 * anew. Each entry is read once in a pass: the guest's other CPUs may change it at any time.
 *
 * Hardware may set accessed bits of upper levels also when the access is refused further down;
 * here a refused access leaves no trace.
 */
#include "x86/mm/guest_walk.h"

#include "lib/macros.h"
#include "x86/cpu/registers.h"

#define FLAGS_AC BIT(18)

#define E_P 0x01ull
#define E_W 0x02ull
#define E_U 0x04ull
#define E_A 0x20ull
#define E_D 0x40ull
#define E_PS 0x80ull
#define E_NX BIT(63)
#define E_ADDR 0x000ffffffffff000ull

#define MAX_PASSES 16

/* An entry on the way, where it is and what was read. */
struct step {
    void *page;
    uint64_t gfn, value;
    unsigned int slot;
    bool keeps_a; /* has no accessed bit */
};

struct pass {
    const struct guest_paging *g;
    const struct guest_walk_ops *ops;
    void *ctx;
    bool wide, lma; /* entries of 8 bytes; long mode */
    struct step step[4];
    unsigned int steps;
    uint64_t rights; /* E_W and E_U that all levels give, E_NX if one denies fetches */
    bool reserved;
};

static uint64_t read_entry(const struct pass *w, const void *page, unsigned int slot)
{
    return w->wide ? __atomic_load_n((const uint64_t *)page + slot, __ATOMIC_RELAXED)
                   : __atomic_load_n((const uint32_t *)page + slot, __ATOMIC_RELAXED);
}

static bool change_entry(const struct pass *w, void *page, const struct step *s, uint64_t bits)
{
    uint64_t old = s->value;
    uint32_t old32 = (uint32_t)s->value;

    return w->wide ? __atomic_compare_exchange_n((uint64_t *)page + s->slot, &old, old | bits,
                                                 false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
                   : __atomic_compare_exchange_n((uint32_t *)page + s->slot, &old32,
                                                 old32 | (uint32_t)bits, false, __ATOMIC_RELAXED,
                                                 __ATOMIC_RELAXED);
}

static void put_pages(struct pass *w)
{
    while (w->steps > 0) {
        struct step *s = &w->step[--w->steps];

        if (w->ops->put)
            w->ops->put(w->ctx, s->gfn, s->page);
    }
}

/* --- what an entry must not have --- */

/* Address bits from `low` up to the page's size, in a leaf of that size. */
static uint64_t reserved_wide(const struct pass *w, uint64_t e, int level, bool leaf)
{
    uint64_t bad = E_ADDR & ~(BIT(w->g->phys_bits) - 1);

    /* Of PAE's first table bit 5 is reserved by the manuals, but QEMU sets it like E_A. */
    if (!w->lma)
        bad |= level == 3 ? 0x7ff0000000000000ull | E_NX | 0x1c6 : 0x7ff0000000000000ull;
    if (!(w->g->efer & EFER_NX))
        bad |= E_NX;
    if (level == 4)
        bad |= E_PS;
    if (level == 3 && w->lma && !w->g->page1gb)
        bad |= E_PS;
    if (leaf && level > 1)
        bad |= (BIT(12 + 9 * (level - 1)) - 1) & ~0x1fffull;
    return e & bad;
}

/* A leaf of 4 MiB has address bits 32 to 39 in 13 to 20; 21 is reserved. */
static uint64_t reserved_narrow(const struct pass *w, uint64_t e, bool leaf, int level)
{
    unsigned int high = w->g->phys_bits > 32 ? MIN(w->g->phys_bits - 32u, 8u) : 0;

    return leaf && level == 2 ? e & 0x3fe000 & ~(((1ull << high) - 1) << 13) : 0;
}

/* --- the pass --- */

static uint64_t leaf_address(const struct pass *w, uint64_t e, int level)
{
    if (w->wide || level == 1)
        return e & E_ADDR & ~(BIT(12 + 9 * (level - 1)) - 1);
    return (e & 0xffc00000) | (e & 0x1fe000) << 19;
}

static bool is_leaf(const struct pass *w, uint64_t e, int level)
{
    if (level == 1)
        return true;
    if (!(e & E_PS))
        return false;
    if (!w->wide)
        return (w->g->cr4 & CR4_PSE) != 0;
    return level == 2 || (level == 3 && w->lma && w->g->page1gb);
}

/*
 * Down to the leaf. WALK_OK, with *gpa, *order, rights; WALK_FAULT: an entry is not present, or
 * w->reserved; WALK_NO_TABLE with *gpa.
 */
static enum guest_walk_result descend(struct pass *w, uint64_t va, uint64_t *gpa, uint8_t *order)
{
    int level = w->lma ? 4 : w->wide ? 3 : 2;
    unsigned int bits = w->wide ? 9 : 10;
    uint64_t table = w->lma ? w->g->cr3 & E_ADDR : w->g->cr3 & (w->wide ? 0xffffffe0 : 0xfffff000);
    uint64_t low = table & 0xfff; /* PAE's first table has 32 bytes anywhere in a page */

    w->rights = E_W | E_U;
    for (;; level--) {
        unsigned int shift = 12 + bits * (unsigned int)(level - 1);
        struct step *s = &w->step[w->steps];
        bool top_of_pae = w->wide && !w->lma && level == 3, leaf;
        uint64_t e;

        s->gfn = table >> 12;
        s->slot = (unsigned int)(va >> shift) & (top_of_pae ? 3 : (1u << bits) - 1);
        s->slot += (unsigned int)(low / 8);
        s->keeps_a = top_of_pae;
        s->page = w->ops->get(w->ctx, s->gfn, false);
        if (!s->page) {
            *gpa = table & ~0xfffull;
            return WALK_NO_TABLE;
        }
        w->steps++;
        s->value = e = read_entry(w, s->page, s->slot);
        if (!(e & E_P))
            return WALK_FAULT;
        leaf = is_leaf(w, e, level);
        w->reserved = w->wide ? reserved_wide(w, e, level, leaf) != 0
                              : reserved_narrow(w, e, leaf, level) != 0;
        if (w->reserved)
            return WALK_FAULT;
        if (!top_of_pae)
            w->rights = (w->rights & (e | E_NX)) | (w->wide ? e & E_NX : 0);
        if (leaf) {
            *order = (uint8_t)(shift - 12);
            *gpa = leaf_address(w, e, level) | (va & (BIT(shift) - 1));
            return WALK_OK;
        }
        table = e & (w->wide ? E_ADDR : 0xfffff000);
        low = 0;
    }
}

/* Do the rights of the page allow the access? */
static bool allowed(const struct guest_paging *g, uint64_t rights, uint32_t access)
{
    bool user_page = (rights & E_U) != 0;

    if (access & PFEC_I && (rights & E_NX)) /* with NXE off the bit is reserved: it is not here */
        return false;
    if (access & PFEC_U)
        return user_page && (!(access & PFEC_W) || (rights & E_W));
    if (access & PFEC_W && !(rights & E_W) && (g->cr0 & CR0_WP))
        return false;
    if (!user_page)
        return true;
    if (access & PFEC_I)
        return !(g->cr4 & CR4_SMEP);
    return !(g->cr4 & CR4_SMAP) || (!(access & WALK_IMPLICIT) && (g->rflags & FLAGS_AC));
}

/* Sets accessed and dirty where they are missing. WALK_AGAIN: an entry is not what was read. */
static enum guest_walk_result mark(struct pass *w, bool write, uint64_t *gpa)
{
    for (unsigned int i = 0; i < w->steps; i++) {
        struct step *s = &w->step[i];
        uint64_t want = s->keeps_a ? 0 : E_A;
        void *page;
        bool ok;

        if (write && i + 1 == w->steps)
            want |= E_D;
        if ((s->value & want) == want)
            continue;
        page = w->ops->get(w->ctx, s->gfn, true);
        if (!page) {
            *gpa = s->gfn << 12;
            return WALK_NO_TABLE;
        }
        ok = change_entry(w, page, s, want);
        if (w->ops->put)
            w->ops->put(w->ctx, s->gfn, page);
        if (!ok)
            return WALK_AGAIN;
        for (struct step *t = s + 1; t < &w->step[w->steps]; t++) /* tables that name themselves */
            if (t->gfn == s->gfn && t->slot == s->slot)
                t->value |= want;
    }
    return WALK_OK;
}

static uint32_t error_code(const struct guest_paging *g, bool wide, bool present, bool reserved,
                           uint32_t access)
{
    uint32_t pfec = access & (PFEC_W | PFEC_U);

    if (access & PFEC_I && ((wide && (g->efer & EFER_NX)) || (g->cr4 & CR4_SMEP)))
        pfec |= PFEC_I;
    return pfec | (present ? PFEC_P : 0) | (reserved ? PFEC_P | PFEC_RSVD : 0);
}

static enum guest_walk_result one_pass(struct pass *w, uint64_t va, uint32_t access,
                                       struct guest_walk *out)
{
    enum guest_walk_result r = descend(w, va, &out->gpa, &out->order);
    bool present = r == WALK_OK;

    if (r == WALK_OK && !allowed(w->g, w->rights, access))
        r = WALK_FAULT;
    if (r == WALK_FAULT)
        out->pfec = error_code(w->g, w->wide, present, w->reserved, access);
    if (r == WALK_OK && !(access & WALK_LOOK))
        r = mark(w, (access & PFEC_W) != 0, &out->gpa);
    out->writable = (w->rights & E_W) != 0;
    out->user = (w->rights & E_U) != 0;
    put_pages(w);
    return r;
}

/*
 * The way nearly all walks go: long mode, pages of 4 KiB or 2 MiB, nothing to set, nothing to
 * refuse. false: nothing was decided.
 */
static bool plain_walk(const struct guest_paging *g, const struct guest_walk_ops *ops, void *ctx,
                       uint64_t va, uint32_t access, struct guest_walk *out)
{
    uint64_t reserved = (E_ADDR & ~(BIT(g->phys_bits) - 1)) | (g->efer & EFER_NX ? 0 : E_NX);
    uint64_t all = ~0ull, any = 0, table = g->cr3 & E_ADDR, e;
    unsigned int shift = 39;

    if (!(g->cr0 & CR0_PG) || !(g->efer & EFER_LMA) || ops->put)
        return false;
    for (;; shift -= 9) {
        const uint64_t *page = ops->get(ctx, table >> 12, false);

        if (!page)
            return false;
        e = __atomic_load_n(page + (va >> shift & 511), __ATOMIC_RELAXED);
        all &= e;
        any |= e;
        if (shift == 12 || e & E_PS)
            break;
        table = e & E_ADDR;
    }
    if (shift > 21 || (shift == 21 && e & 0x1fe000) || any & reserved ||
        (all & (E_P | E_A)) != (E_P | E_A) || (access & PFEC_W && !(e & E_D)) ||
        !allowed(g, (all & (E_W | E_U)) | (any & E_NX), access))
        return false;
    *out = (struct guest_walk){ .gpa = (e & E_ADDR & ~(BIT(shift) - 1)) | (va & (BIT(shift) - 1)),
                                .order = (uint8_t)(shift - 12),
                                .writable = (all & E_W) != 0,
                                .user = (all & E_U) != 0 };
    return true;
}

enum guest_walk_result guest_walk(const struct guest_paging *g, const struct guest_walk_ops *ops,
                                  void *ctx, uint64_t va, uint32_t access, struct guest_walk *out)
{
    struct pass w = { .g = g, .ops = ops, .ctx = ctx };
    enum guest_walk_result r = WALK_AGAIN;

    if (plain_walk(g, ops, ctx, va, access, out))
        return WALK_OK;
    *out = (struct guest_walk){ 0 };
    if (!(g->cr0 & CR0_PG)) {
        *out = (struct guest_walk){ .gpa = va & 0xffffffff, .writable = true, .user = true };
        return WALK_OK;
    }
    w.lma = (g->efer & EFER_LMA) != 0;
    w.wide = w.lma || (g->cr4 & CR4_PAE);
    for (unsigned int i = 0; i < MAX_PASSES && r == WALK_AGAIN; i++)
        r = one_pass(&w, va, access, out);
    return r;
}
