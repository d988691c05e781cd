/* SPDX-License-Identifier: MIT */
/*
 * The recount of all PV domains' frames: who holds which reference, and whether the frame's word
 * says the same. What holds references:
 *
 *   the allocation, a pin, a table half validated or half undone     bits of the frame itself
 *   entries of page tables, of any domain                            found by walking all tables
 *   CR3s, descriptor tables, registered vcpu_info                    the domain's vCPUs
 *   control blocks and words of event channels                       their FIFO form
 *   the page that shows which interrupts want an end                 pirq.c
 *   frames claimed for an exchange that waits                        exchange.c
 *   mapped grants                                                    the holders' tracks
 *   sharing of a hypervisor frame                                    FRAME_HV with an owner
 *
 * Counters for the recount come from the allocator; with little memory or many frames it takes
 * several passes over the same tables. Nobody may run meanwhile.
 */
#include "core/access.h"
#include "core/evtchn.h"
#include "core/grant.h"
#include "core/keys.h"
#include "core/log.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/guest.h"
#include "x86/pv/desc.h"
#include "x86/irq/pirq.h"
#include "x86/pv/mm.h"
#include "x86/pv/ptable.h"
#include "x86/pv/twin.h"

#define MAX_ORDER 9     /* counters of one pass: 2 MiB */
#define MAX_REPORTS 32u /* lines of log; the rest is counted only */

struct tally {
    uint32_t refs, typed;
    /* Mappings by other unprivileged domains, less what they hold by grants: read-only, writable.
     */
    int32_t foreign[2];
    int32_t linear; /* as frame.linear */
};

struct recount {
    uint64_t base, n; /* frames of this pass */
    struct tally *tally;
    uint64_t owned; /* frames found to be some domain's */
    unsigned int bad;
};

/* One contradiction about frame f. */
static void report(struct recount *r, const struct frame *f, const char *what, uint64_t detail)
{
    if (r->bad++ < MAX_REPORTS)
        log_err("audit: frame %#lx, owner %u, state %#lx, progress %u: %s (%#lx)", frame_mfn(f).v,
                f->owner, f->state, f->progress, what, detail);
}

static bool is_table(uint64_t state)
{
    /* untested: of no type, since a frame is neither PARTIAL nor VALIDATED then */
    return frame_type_of(state) >= FT_L1 && frame_type_of(state) <= FT_L4;
}

static bool hv_slot(int level, unsigned int i)
{
    return level == 4 && i >= HV_FIRST_SLOT && i <= HV_LAST_SLOT;
}

/* Entries of f that hold references. */
static unsigned int live_entries(const struct frame *f)
{
    if (!is_table(f->state))
        return 0;
    if (f->state & FRAME_PARTIAL)
        return f->progress;
    return f->state & FRAME_VALIDATED ? 512 : 0;
}

/* --- counting --- */

/* A frame with an owner that is a domain; every one is of the kind that is audited here. */
static bool is_owned(const struct frame *f)
{
    return f && f->owner < DOMID_FIRST_RESERVED && frame_refs(f->state);
}

/* The counters of a frame of this pass, or NULL. */
static struct tally *tally_of(struct recount *r, mfn_t mfn)
{
    struct frame *f = frame_of(mfn);

    if (!f || f->owner >= DOMID_FIRST_RESERVED || mfn.v - r->base >= r->n)
        return NULL;
    return &r->tally[mfn.v - r->base];
}

/* A reference, relying on `type` unless that is FT_NONE. NULL: not a frame of this pass. */
static struct tally *count(struct recount *r, mfn_t mfn, enum frame_type type)
{
    struct frame *f = frame_of(mfn);
    struct tally *t = tally_of(r, mfn);

    if (!t)
        return NULL;
    t->refs++;
    if (type == FT_NONE)
        return t;
    t->typed++;
    if (frame_type_of(f->state) != type || (type != FT_WRITABLE && !(f->state & FRAME_VALIDATED)))
        report(r, f, "used as another type than it has", type);
    return t;
}

/* An upper table's entry that does not name the table itself: does it name one of its own level? */
static bool names_linear(int level, pte_t e)
{
    const struct frame *to = frame_of(pte_mfn(e));

    return to && frame_type_of(to->state) == level_type(level);
}

/* An entry of an upper table f: a use of the next level, of its own, or (of itself) none. */
static void count_upper(struct recount *r, struct frame *f, int level, pte_t e)
{
    bool linear = names_linear(level, e);
    struct tally *t, *own = tally_of(r, frame_mfn(f));

    if (frame_of(pte_mfn(e)) == f)
        return;
    t = count(r, pte_mfn(e), level_type(linear ? level : level - 1));
    if (linear && t)
        t->linear--;
    if (linear && own)
        own->linear++;
}

static void count_table(struct recount *r, const struct domain *holder, struct frame *f)
{
    unsigned int live = live_entries(f);
    int level = (int)frame_type_of(f->state);
    pte_t *table = table_of(f);

    for (unsigned int i = 0; i < live; i++) {
        pte_t e = table[i];
        if (!(e & PTE_P) || hv_slot(level, i))
            continue;
        if (level > 1) {
            count_upper(r, f, level, e);
            continue;
        }
        enum frame_type type = e & PTE_RW ? FT_WRITABLE : FT_NONE;
        struct tally *t = count(r, pte_mfn(e), type);
        if (t && frame_of(pte_mfn(e))->owner != holder->id && !access_host(holder))
            t->foreign[type == FT_WRITABLE]++;
    }
}

struct grant_count {
    struct recount *r;
    const struct domain *holder;
};

static void count_grant(void *arg, domid_t owner, mfn_t mfn, bool writable)
{
    struct grant_count *g = arg;
    struct tally *t = count(g->r, mfn, writable ? FT_WRITABLE : FT_NONE);

    if (t && owner != g->holder->id && !access_host(g->holder))
        t->foreign[writable]--;
}

static void count_vcpu(struct recount *r, struct vcpu *v)
{
    const struct pv_vcpu *pv = pv_vcpu(v);

    if (pv->cr3_kernel)
        count(r, MFN(pv->cr3_kernel >> PAGE_SHIFT), FT_L4);
    if (pv->cr3_user)
        count(r, MFN(pv->cr3_user >> PAGE_SHIFT), FT_L4);
    for (unsigned int i = 0; i * 512 < pv->gdt_ents; i++)
        count(r, pv->gdt_mfn[i], FT_DESC);
    for (unsigned int i = 0; i < ARRAY_SIZE(pv->ldt_mfn); i++)
        if (pv->ldt_mfn[i].v)
            count(r, pv->ldt_mfn[i], FT_DESC);
}

static void count_words(void *arg, mfn_t mfn)
{
    count(arg, mfn, FT_WRITABLE);
}

static void count_plain(void *arg, mfn_t mfn)
{
    count(arg, mfn, FT_NONE);
}

/* All that `holder` refers to. */
static void count_holder(struct recount *r, struct domain *holder)
{
    struct grant_count g = { r, holder };

    grant_walk(holder, count_grant, &g);
    evtchn_walk_pages(holder, count_words, r);
    for_each_vcpu (holder, v)
        if (v->info_frame)
            count(r, frame_mfn(v->info_frame), FT_WRITABLE);
    if (!is_pv(holder)) {
        const struct x86_guest_ops *ops = (const struct x86_guest_ops *)holder->ops;

        ops->each_reference(holder, count_plain, r);
        return;
    }
    for_each_page (holder, at)
        count_table(r, holder, at.f);
    for_each_vcpu (holder, v)
        count_vcpu(r, v);
    count(r, pirq_eoi_frame(holder), FT_WRITABLE);
    pv_exchange_walk(holder, count_plain, r);
}

/* --- rules of one frame --- */

static unsigned int in_drop(const struct pt_drop *drop, const struct frame *f)
{
    unsigned int n = 0;

    for (unsigned int level = 1; level <= 4; level++)
        n += drop->any && (drop->f[level] == f || drop->behind[level] == f) &&
             frame_type_of(f->state) == level_type((int)level);
    return n;
}

/* How many have f, which is being undone, on their hands. */
static unsigned int count_drops(const struct frame *f)
{
    unsigned int n = 0;

    for_each_domain (d) {
        if (!is_pv(d))
            continue;
        n += in_drop(&pv_domain(d)->drop, f);
        for_each_vcpu (d, v)
            n += in_drop(&pv_vcpu(v)->drop, f);
    }
    return n;
}

static void check_state(struct recount *r, const struct frame *f)
{
    uint64_t s = f->state;
    bool partial = s & FRAME_PARTIAL, table = is_table(s);

    if (s & FRAME_FREE)
        report(r, f, "owned and free", 0);
    if (partial && (!table || frame_typed(s) || (s & FRAME_VALIDATED) || f->progress > 512))
        report(r, f, "half a table with uses, or none", 0);
    if ((s & FRAME_UNDOING) && !partial)
        report(r, f, "undoing of a whole table", 0);
    if ((s & FRAME_UNDOING) && count_drops(f) != 1)
        report(r, f, "undone by so many", count_drops(f));
    if (table && !partial && !(s & FRAME_VALIDATED) != !frame_typed(s))
        report(r, f, "a table that nobody uses, or that nobody checked", 0);
    if ((s & FRAME_PINNED) && (!table || !frame_typed(s)))
        report(r, f, "pinned without a use", 0);
    if ((s & FRAME_HV) && (s & (FRAME_ALLOCATED | FRAME_PARTIAL | FRAME_PINNED)))
        report(r, f, "the hypervisor's and the domain's", 0);
}

static void compare(struct recount *r, const struct frame *f, const struct tally *t)
{
    uint64_t s = f->state, own = (s & FRAME_HV) != 0, pinned = (s & FRAME_PINNED) != 0;
    uint64_t refs = t->refs + own + pinned, typed = t->typed + own + pinned;

    refs += (s & FRAME_ALLOCATED) != 0;
    refs += (s & FRAME_PARTIAL) != 0;
    if (frame_refs(s) != refs)
        report(r, f, "references counted", refs);
    if (frame_typed(s) != typed)
        report(r, f, "typed uses counted", typed);
    if (is_table(s) && (s & (FRAME_VALIDATED | FRAME_PARTIAL)) && f->linear != t->linear)
        report(r, f, "linear entries counted", (uint64_t)(int64_t)t->linear);
    for (int i = 0; i < 2; i++)
        if (t->foreign[i] > 0)
            report(r, f,
                   i ? "others map it writable more often than they were granted"
                     : "others map it more often than they were granted",
                   (uint64_t)t->foreign[i]);
    r->owned += !own;
    check_state(r, f);
}

/* --- rules of one entry --- */

static const char *bad_l1e(const struct domain *d, pte_t e)
{
    const struct frame *f = frame_of(pte_mfn(e));

    if ((e & ~(L1_GUEST_FLAGS | PTE_ADDR | PTE_NX)) || (e & PTE_G) || !(e & PTE_US))
        return "L1 entry with wrong bits";
    if (!f)
        return pv_iomem_ok((struct domain *)d, pte_mfn(e)) ? NULL : "device frame mapped";
    if (e & (PTE_PAT | PTE_PCD | PTE_PWT))
        return "RAM mapped with another cache attribute";
    /* Nobody's, but ours: a page that was shared with a domain which is gone. */
    if (!frame_refs(f->state) || (f->owner >= DOMID_FIRST_RESERVED && !(f->state & FRAME_HV)))
        return "L1 entry maps a frame that is nobody's";
    if ((e & PTE_RW) && (frame_type_of(f->state) != FT_WRITABLE || !frame_typed(f->state)))
        return "writable mapping of a frame with another use";
    return NULL;
}

static const char *bad_upper(const struct domain *d, const struct frame *table, int level, pte_t e)
{
    const struct frame *f = frame_of(pte_mfn(e));

    if ((e & ~(LN_GUEST_FLAGS | PTE_ADDR | PTE_NX)) || !(e & PTE_US))
        return "upper entry with wrong bits";
    if (f == table || names_linear(level, e)) {
        if ((e & PTE_RW) || f->owner != d->id)
            return "linear entry that is writable, or to another domain's table";
        if (f != table && (!(f->state & FRAME_VALIDATED) || !frame_typed(f->state)))
            return "linear entry to no table";
        return NULL;
    }
    if (!f || f->owner != d->id || frame_type_of(f->state) != level_type(level - 1) ||
        !(f->state & FRAME_VALIDATED) || !frame_typed(f->state))
        return "upper entry to no table of the next level";
    return NULL;
}

/* The hypervisor's slots are its own; the M2P's may be hidden. */
static bool slots_ok(const pte_t *l4)
{
    const pte_t mask = ~(PTE_A | PTE_D);

    for (unsigned int i = HV_FIRST_SLOT; i <= HV_LAST_SLOT; i++)
        if (((l4[i] ^ idle_l4[i]) & mask) && !(i == HV_FIRST_SLOT && !l4[i]))
            return false;
    return true;
}

static void check_table(struct recount *r, const struct domain *d, struct frame *f)
{
    unsigned int live = live_entries(f);
    int level = (int)frame_type_of(f->state);
    pte_t *table = table_of(f);

    for (unsigned int i = 0; i < live; i++) {
        pte_t e = table[i];
        if (!hv_slot(level, i) && pt_leaks(e))
            report(r, f, "entry without its present bit that names RAM", e);
        if (!(e & PTE_P) || hv_slot(level, i))
            continue;
        const char *what = level == 1 ? bad_l1e(d, e) : bad_upper(d, f, level, e);
        if (what)
            report(r, f, what, e);
    }
    if (level == 4 && (f->state & FRAME_VALIDATED) && !slots_ok(table))
        report(r, f, "L4 without the hypervisor's slots", 0);
}

/* --- the whole --- */

/* Counters for as many frames as there is memory for; 0: none. */
static unsigned int allocate(struct recount *r)
{
    for (unsigned int order = MAX_ORDER + 1; order-- > 0;) {
        r->tally = frame_alloc_hv_order(order);
        r->n = (PAGE_SIZE << order) / sizeof(struct tally);
        if (r->tally)
            return order;
    }
    return 0;
}

/* The first owned frame from `mfn` on; max_mfn: there is none. */
static uint64_t next_owned(uint64_t mfn)
{
    while (mfn < max_mfn) {
        uint64_t chunk = mfn >> FRAME_CHUNK_SHIFT;

        if (is_owned(frame_of(MFN(mfn))))
            return mfn;
        if (frame_chunks[chunk / 64] >> (chunk % 64) & 1)
            mfn++;
        else
            mfn = (chunk + 1) << FRAME_CHUNK_SHIFT;
    }
    return max_mfn;
}

/* Frames [base, base + n). */
static void one_pass(struct recount *r)
{
    memset(r->tally, 0, r->n * sizeof(struct tally));
    for_each_domain (h) {
        count_holder(r, h);
        keys_alive();
    }
    for (uint64_t m = r->base; m < max_mfn && m - r->base < r->n; m = next_owned(m + 1))
        compare(r, &frame_table[m], &r->tally[m - r->base]);
    keys_alive();
}

/* Entries of all tables; how many pages the domains' totals say they have. */
static uint64_t check_tables(struct recount *r)
{
    uint64_t total = 0;

    for_each_domain (d) {
        if (is_pv(d)) {
            for_each_page (d, at)
                check_table(r, d, at.f);
            r->bad += twins_audit(d);
        }
        total += d->tot_pages;
        keys_alive();
    }
    return total;
}

unsigned int pv_audit(void)
{
    struct recount r = { 0 };
    unsigned int order = allocate(&r);
    uint64_t total;

    if (!r.tally) {
        log_err("audit: no memory for the recount");
        return 0;
    }
    total = check_tables(&r);
    for (r.base = next_owned(0); r.base < max_mfn; r.base = next_owned(r.base + r.n))
        one_pass(&r);
    if (r.owned != total) {
        log_err("audit: domains own %lu frames, %lu are in their totals", r.owned, total);
        r.bad++;
    }
    frame_free_hv_order(r.tally, order);
    return r.bad;
}
