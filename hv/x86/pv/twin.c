/* SPDX-License-Identifier: MIT */
/* Twins of a PV guest's page tables: the rules stand in twin.h. [pt_lock], unless said otherwise */
#include "x86/pv/twin.h"

#include <xen/errno.h>

#include "core/arch.h"
#include "core/log.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/pv/mm.h"

#define PAGES_OF_A_VCPU 16u /* set aside: its two roots and some walks */
#define LIMIT_MAX 65536u
#define FAULT_P 1u
#define FAULT_WRITE 2u
#define FAULT_RSVD 8u
#define FAULT_FETCH 16u

struct twin {
    pte_t *table;  /* NULL: a slot without a page */
    uint32_t next; /* index + 1 of the next one of its bucket, or of its list of free ones */
    uint32_t mfn;  /* of the guest's table */
    uint32_t epoch, generation;
    uint32_t level; /* 0: free */
};

struct twins {
    uint32_t nr, order;         /* constant: slots; of this record */
    uint32_t mask;              /* constant: buckets - 1 */
    uint32_t epoch, generation; /* of now */
    uint32_t fresh;             /* slots from here on were never used: building takes no time */
    uint32_t bare, spare;       /* free slots, without a page or with one: index + 1 */
    uint32_t nr_spare, reserve; /* how many have one, how many may keep it */
    uint32_t hand;              /* where the search for one of an older generation goes on */
    uint32_t *bucket;
    struct twin slot[];
};

/* --- the cache --- */

static struct twin *at_index(struct twins *t, uint32_t index_plus_1)
{
    return index_plus_1 ? &t->slot[index_plus_1 - 1] : NULL;
}

static uint32_t index_of(const struct twins *t, const struct twin *w)
{
    return (uint32_t)(w - t->slot) + 1;
}

static uint32_t *bucket_of(struct twins *t, uint32_t mfn, uint32_t level)
{
    return &t->bucket[(mfn * 4 + level) & t->mask];
}

static struct twin *find(struct twins *t, uint64_t mfn, uint32_t level)
{
    struct twin *w = at_index(t, *bucket_of(t, (uint32_t)mfn, level));

    while (w && (w->mfn != mfn || w->level != level))
        w = at_index(t, w->next);
    return w;
}

/* The slot with its page is nobody's any more; `keep` the page although there are enough. */
static void release(struct twins *t, struct twin *w)
{
    struct frame *f = frame_of(arch_unmap(w->table));

    w->level = 0;
    f->stamp = tlb_stamp();
    if (t->nr_spare < t->reserve) {
        w->next = t->spare;
        t->spare = index_of(t, w);
        t->nr_spare++;
        return;
    }
    frame_free_hv(w->table);
    w->table = NULL;
    w->next = t->bare;
    t->bare = index_of(t, w);
}

static void unlink(struct twins *t, const struct twin *w)
{
    uint32_t *at = bucket_of(t, w->mfn, w->level);

    while (*at != index_of(t, w))
        at = &at_index(t, *at)->next;
    *at = w->next;
}

/* A free slot that had no page, with one now; NULL: none left, or no memory. */
static struct twin *furnish(struct twins *t)
{
    struct twin *w = at_index(t, t->bare);

    if (!w && t->fresh < t->nr)
        w = &t->slot[t->fresh];
    if (!w || !(w->table = frame_alloc_hv()))
        return NULL;
    if (t->bare)
        t->bare = w->next;
    else
        t->fresh++;
    return w;
}

/* A free slot with an empty page, or NULL. */
static struct twin *take(struct twins *t)
{
    struct twin *w = furnish(t);
    struct frame *f;

    if (w)
        return w;
    w = at_index(t, t->spare);
    if (!w)
        return NULL;
    t->spare = w->next;
    t->nr_spare--;
    f = frame_of(arch_unmap(w->table));
    if (f->stamp)
        arch_tlb_flush_stamped(&cpumask_all, f->stamp);
    f->stamp = 0;
    arch_clear_page(w->table);
    return w;
}

static bool hv_slot(unsigned int i)
{
    return i >= HV_FIRST_SLOT && i <= HV_LAST_SLOT;
}

static void empty(struct twin *w)
{
    for (unsigned int i = 0; i < 512; i++)
        if (w->level != 4 || !hv_slot(i))
            w->table[i] = 0;
}

/* No entry is writable any more: the hypervisor's slots are no matter of the guest's. */
static void scrub(struct twin *w, uint32_t epoch)
{
    for (unsigned int i = 0; i < 512; i++)
        if ((w->table[i] & PTE_RW) && (w->level != 4 || !hv_slot(i)))
            w->table[i] &= ~PTE_RW;
    w->epoch = epoch;
}

/*
 * Another generation: the bases begin anew, nobody walks anything else. A CPU that is on its way
 * from one base to the next answers when it has come there.
 */
static void begin_generation(struct domain *d, struct twins *t)
{
    struct cpumask cpus;

    t->generation++;
    t->hand = 0;
    for_each_vcpu (d, v) {
        const struct pv_vcpu *pv = pv_vcpu(v);

        for (unsigned int i = 0; i < 2; i++) {
            struct twin *w = find(t, (i ? pv->cr3_user : pv->cr3_kernel) >> PAGE_SHIFT, 4);
            if (!w || w->generation == t->generation)
                continue;
            empty(w);
            w->generation = t->generation;
            w->epoch = t->epoch;
        }
    }
    pt_l4_changed(d);
    cpus = cpumask_read_atomic(&d->dirty_cpus);
    pv_flush_all(&cpus);
}

/* Makes a slot free, if one of an older generation is left. */
static bool evict(struct twins *t)
{
    for (; t->hand < t->nr; t->hand++) {
        struct twin *w = &t->slot[t->hand];

        if (!w->level || w->generation == t->generation)
            continue;
        unlink(t, w);
        w->level = 0; /* its page stays: CPUs were flushed since anybody walked it */
        frame_of(arch_unmap(w->table))->stamp = 0;
        w->next = t->spare;
        t->spare = index_of(t, w);
        t->nr_spare++;
        return true;
    }
    return false;
}

/* A twin of now for d's table mfn at this level. *again: the roots are empty, begin anew. */
static struct twin *get(struct domain *d, struct twins *t, uint64_t mfn, int level, bool *again)
{
    struct twin *w = find(t, mfn, (uint32_t)level);
    const pte_t *l4 = direct(mfn << PAGE_SHIFT);
    uint32_t *head;

    if (w && w->generation != t->generation) {
        if (level > 1) /* it names others of that generation */
            empty(w);
        w->generation = t->generation;
    }
    if (w)
        return w;
    while (!(w = take(t))) {
        if (evict(t))
            continue;
        begin_generation(d, t);
        *again = true;
    }
    head = bucket_of(t, (uint32_t)mfn, (uint32_t)level);
    w->mfn = (uint32_t)mfn;
    w->level = (uint32_t)level;
    w->epoch = t->epoch;
    w->generation = t->generation;
    w->next = *head;
    *head = index_of(t, w);
    for (unsigned int i = HV_FIRST_SLOT; level == 4 && i <= HV_LAST_SLOT; i++)
        w->table[i] = l4[i];
    return w;
}

/* --- what an entry's twin may be --- */

/* Is a write to the frame told by the log if it is marked there? */
static bool is_logged(const struct domain *d, const struct frame *f)
{
    return f && f->owner == d->id && !(frame_state(f) & FRAME_HV);
}

/* The twin of e, as an entry of a table that is used as an L1. */
static pte_t leaf(const struct domain *d, pte_t e)
{
    const struct frame *f = frame_of(pte_mfn(e));

    if (!(e & PTE_P) || !(e & PTE_A))
        return 0;
    if (!(e & PTE_D) || (is_logged(d, f) && !dirty_is_marked(d, arch_gfn(frame_mfn(f)))))
        e &= ~PTE_RW;
    return e;
}

void twin_follow_entry(struct domain *d, pte_t *at, int level)
{
    struct twins *t = pv_domain(d)->twins;
    uint64_t mfn = direct_pa(at) >> PAGE_SHIFT;
    unsigned int i = direct_pa(at) % PAGE_SIZE / sizeof(pte_t);

    dirty_note(d, frame_of(MFN(mfn)));
    for (int use = level; use >= 1; use--) {
        struct twin *w = find(t, mfn, (uint32_t)use);

        if (w)
            __atomic_store_n(&w->table[i], use == 1 ? leaf(d, *at) : 0, __ATOMIC_RELEASE);
        if (!pv_domain(d)->linear)
            break;
    }
}

void twin_forget_table(struct domain *d, struct frame *f)
{
    struct twins *t = pv_domain(d)->twins;

    for (uint32_t use = 1; use <= 4; use++) {
        struct twin *w = find(t, frame_mfn(f).v, use);

        if (w) {
            unlink(t, w);
            release(t, w);
        }
    }
}

/* --- faults --- */

/* A walk of the guest's own tables, by level. */
struct walk {
    pte_t *at[5], e[5];
};

static unsigned int index_at(uint64_t va, int level)
{
    return va >> (12 + 9 * (level - 1)) & 511;
}

/* Does the walk allow the access? *present: as the error code has it. */
static bool allowed(uint64_t l4, uint64_t va, uint32_t code, struct walk *w, bool *present)
{
    uint64_t table = l4;
    pte_t all = PTE_RW, any = 0;

    *present = true;
    for (int level = 4; level >= 1; level--) {
        pte_t e;

        w->at[level] = (pte_t *)direct(table) + index_at(va, level);
        w->e[level] = e = __atomic_load_n(w->at[level], __ATOMIC_RELAXED);
        *present = e & PTE_P;
        if (!(e & PTE_P) || !(e & PTE_US)) /* the latter: by linear tables, the hypervisor's */
            return false;
        all &= e;
        any |= e;
        table = e & PTE_ADDR;
    }
    return (!(code & FAULT_WRITE) || (all & PTE_RW)) && (!(code & FAULT_FETCH) || !(any & PTE_NX));
}

/* As a CPU does that walks the guest's own tables. */
static void set_bits(struct domain *d, struct walk *w, int level, pte_t bits)
{
    if ((w->e[level] & bits) == bits)
        return;
    __atomic_fetch_or(w->at[level], bits, __ATOMIC_ACQ_REL);
    w->e[level] |= bits;
    dirty_note(d, frame_of(MFN(direct_pa(w->at[level]) >> PAGE_SHIFT)));
}

/*
 * The twin below w's entry for va, as the guest's entry e has it, which w gets if it has not. NULL:
 * the roots were emptied, begin anew.
 */
static struct twin *descend(struct domain *d, struct twins *t, struct twin *w, uint64_t va, pte_t e)
{
    pte_t *slot = &w->table[index_at(va, (int)w->level)];
    bool again = false;
    struct twin *down = get(d, t, pte_mfn(e).v, (int)w->level - 1, &again);
    pte_t want;

    if (again)
        return NULL;
    if ((e & PTE_RW) && down->epoch != t->epoch)
        scrub(down, t->epoch);
    want = (e & ~PTE_ADDR) | direct_pa(down->table);
    if (*slot == want)
        return down;
    __atomic_store_n(slot, want, __ATOMIC_RELEASE);
    if (w->level == 4)
        pt_l4_changed(d);
    return down;
}

static bool fill(struct domain *d, struct twins *t, uint64_t l4, uint64_t va, struct walk *own)
{
    bool again = false;
    struct twin *w = get(d, t, l4 >> PAGE_SHIFT, 4, &again);

    for (int level = 4; level > 1 && w && !again; level--)
        w = descend(d, t, w, va, own->e[level]);
    if (!w || again)
        return false;
    __atomic_store_n(&w->table[index_at(va, 1)], leaf(d, own->e[1]), __ATOMIC_RELEASE);
    return true;
}

bool twin_fault(struct vcpu *v, bool kernel, uint64_t va, uint32_t *code)
{
    struct domain *d = v->domain;
    struct pv_domain *pd = pv_domain(d);
    uint64_t l4 = kernel ? pv_vcpu(v)->cr3_kernel : pv_vcpu(v)->cr3_user;
    bool write = *code & FAULT_WRITE, present = false, ok;
    struct walk own;

    if ((*code & FAULT_RSVD) || !l4)
        return false;
    spin_lock(&pd->pt_lock);
    ok = allowed(l4, va, *code, &own, &present);
    if (ok) {
        const struct frame *f = frame_of(pte_mfn(own.e[1]));

        for (int level = 4; level > 1; level--)
            set_bits(d, &own, level, PTE_A);
        set_bits(d, &own, 1, write ? PTE_A | PTE_D : PTE_A);
        if (write && is_logged(d, f)) {
            dirty_note(d, f);
            __atomic_fetch_add(&d->dirty->faults, 1, __ATOMIC_RELAXED);
        }
        while (!fill(d, pd->twins, l4, va, &own))
            ;
    }
    spin_unlock(&pd->pt_lock);
    *code = (*code & ~FAULT_P) | (present ? FAULT_P : 0);
    return ok;
}

/* --- bases --- */

/* The L4 is v's from now on, by a twin that shows the M2P so. Takes pt_lock. */
static void set_base(struct pv_vcpu *pv, bool kernel, uint64_t l4, pte_t m2p)
{
    struct domain *d = pv->x.v.domain;
    struct pv_domain *pd = pv_domain(d);
    bool again = false;
    struct twin *w;

    spin_lock(&pd->pt_lock);
    /* Before it is the base: a CPU is on the old one, which stays as long as it is that. */
    w = get(d, pd->twins, l4 >> PAGE_SHIFT, 4, &again);
    if (w->epoch != pd->twins->epoch)
        scrub(w, pd->twins->epoch);
    w->table[HV_FIRST_SLOT] = m2p;
    *(kernel ? &pv->cr3_kernel : &pv->cr3_user) = l4;
    pv->load_cr3[kernel] = tlb_cr3(direct_pa(w->table), kernel ? TAG_KERNEL : TAG_USER);
    spin_unlock(&pd->pt_lock);
}

static pte_t shown_m2p(uint64_t l4)
{
    return ((const pte_t *)direct(l4))[HV_FIRST_SLOT];
}

void twin_set_base(struct pv_vcpu *pv, bool kernel, uint64_t l4)
{
    bool strict = pv->x.v.domain->vm_assist & BIT64(VMASST_TYPE_m2p_strict);

    /* As who changes the base does with the guest's own one next. */
    set_base(pv, kernel, l4, kernel ? idle_l4[HV_FIRST_SLOT] : strict ? 0 : shown_m2p(l4));
}

void twins_set(struct domain *d, struct twins *t)
{
    struct pv_domain *pd = pv_domain(d);

    spin_lock(&pd->pt_lock);
    pd->twins = t;
    spin_unlock(&pd->pt_lock);
    for_each_vcpu (d, v) {
        struct pv_vcpu *pv = pv_vcpu(v);
        uint64_t l4[2] = { pv->cr3_user, pv->cr3_kernel };

        for (unsigned int i = 0; i < 2; i++) {
            if (t && l4[i])
                set_base(pv, i, l4[i], shown_m2p(l4[i]));
            else
                pv_set_base(pv, i, l4[i]);
        }
    }
}

void twins_protect(struct domain *d)
{
    struct pv_domain *pd = pv_domain(d);
    struct twins *t = pd->twins;
    struct cpumask cpus;

    spin_lock(&pd->pt_lock);
    t->epoch++;
    for_each_vcpu (d, v) {
        const struct pv_vcpu *pv = pv_vcpu(v);

        for (unsigned int i = 0; i < 2; i++) {
            struct twin *w = find(t, (i ? pv->cr3_user : pv->cr3_kernel) >> PAGE_SHIFT, 4);
            if (w && w->epoch != t->epoch)
                scrub(w, t->epoch);
        }
    }
    pt_l4_changed(d);
    spin_unlock(&pd->pt_lock);
    cpus = cpumask_read_atomic(&d->dirty_cpus);
    pv_flush_all(&cpus);
}

/* --- audit --- */

/* What is wrong with entry e of a twin, beside what the guest's own entry says; NULL: nothing. */
static const char *bad_entry(const struct domain *d, struct twins *t, const struct twin *w, pte_t e,
                             pte_t own)
{
    const pte_t flags = ~(PTE_ADDR | PTE_RW);
    const struct twin *down;

    if (!(own & PTE_P) || !(own & PTE_A) || ((e ^ own) & flags) || (e & ~own & PTE_RW))
        return "permits more than the guest's entry";
    if (w->level == 1) {
        if ((e ^ own) & PTE_ADDR)
            return "names another frame";
        return w->epoch == t->epoch && (e & ~leaf(d, own) & PTE_RW) ? "writable, but not marked"
                                                                    : NULL;
    }
    down = find(t, pte_mfn(own).v, w->level - 1);
    if (!down || direct_pa(down->table) != (e & PTE_ADDR))
        return "names no twin of the next table";
    if (w->generation == t->generation && down->generation != t->generation)
        return "names a twin of an older generation";
    if (w->epoch == t->epoch && (e & PTE_RW) && down->epoch != t->epoch)
        return "writable, but what it names is not cleared";
    return NULL;
}

/* How many vCPUs' bases are not as CLEAN, and another generation, left them. */
static unsigned int bad_bases(const struct domain *d, struct twins *t)
{
    unsigned int bad = 0;

    for_each_vcpu (d, v) {
        const uint64_t l4[2] = { pv_vcpu(v)->cr3_user, pv_vcpu(v)->cr3_kernel };

        for (unsigned int i = 0; i < 2; i++) {
            const struct twin *w = find(t, l4[i] >> PAGE_SHIFT, 4);
            if (l4[i] && (!w || w->epoch != t->epoch || w->generation != t->generation) && ++bad)
                log_err("audit: d%uv%u's base %#lx has no twin of now", d->id, v->id, l4[i]);
        }
    }
    return bad;
}

unsigned int twins_audit(const struct domain *d)
{
    struct twins *t = pv_domain((struct domain *)d)->twins;
    unsigned int bad = t ? bad_bases(d, t) : 0;

    for (uint32_t n = 0; t && n < t->nr; n++) {
        const struct twin *w = &t->slot[n];
        const pte_t *own = direct((uint64_t)w->mfn << PAGE_SHIFT);

        /* Of an older generation an upper one is emptied before it is used again. */
        if (!w->level || (w->generation != t->generation && w->level > 1))
            continue;
        for (unsigned int i = 0; i < 512; i++) {
            pte_t e = w->table[i];
            const char *what;

            if (!(e & PTE_P) || (w->level == 4 && hv_slot(i)))
                continue;
            what = bad_entry(d, t, w, e, own[i]);
            if (what && bad++ < 8)
                log_err("audit: d%u's twin of frame %#x as L%u, entry %u %#lx of %#lx: %s", d->id,
                        w->mfn, w->level, i, e, own[i], what);
        }
    }
    return bad;
}

/* --- the record --- */

struct twins *twins_new(const struct domain *d)
{
    uint32_t reserve = d->max_vcpus * PAGES_OF_A_VCPU + 8, mask = 64;
    uint32_t nr = (uint32_t)MIN(domain_pages(d) / 32, (uint64_t)LIMIT_MAX) + reserve + 8;
    unsigned int order;
    struct twins *t;

    while (mask < nr)
        mask *= 2;
    order = frame_order(sizeof(*t) + nr * sizeof(struct twin) + mask * sizeof(uint32_t));
    t = frame_alloc_hv_order(order);
    if (!t)
        return NULL;
    t->nr = nr;
    t->order = order;
    t->mask = mask - 1;
    t->reserve = reserve;
    t->epoch = t->generation = 1;
    t->bucket = (uint32_t *)&t->slot[nr];
    return t;
}

int twins_reserve(struct twins *t)
{
    struct twin *w;

    if (t->nr_spare == t->reserve)
        return 0;
    w = furnish(t);
    if (!w)
        return -XEN_ENOMEM;
    w->next = t->spare;
    t->spare = index_of(t, w);
    t->nr_spare++;
    return 1;
}

bool twins_free(struct twins *t)
{
    for (unsigned int n = 0; t->fresh && n < 64; n++) {
        const struct twin *w = &t->slot[--t->fresh];

        if (!w->table)
            continue;
        frame_of(arch_unmap(w->table))->stamp = tlb_stamp();
        frame_free_hv(w->table);
    }
    if (t->fresh)
        return false;
    frame_free_hv_order(t, t->order);
    return true;
}
