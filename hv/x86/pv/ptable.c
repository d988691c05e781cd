/* SPDX-License-Identifier: MIT */
/* Page tables of PV guests: validation and its undoing. The rules stand in ptable.h. */
#include "x86/pv/ptable.h"

#include <xen/errno.h>

#include "core/bug.h"
#include "core/log.h"
#include "core/pcpu.h"
#include "x86/cpu/cpu.h"
#include "x86/machine.h"
#include "x86/pv/twin.h"

/* Of a table validated or undone, in pcpu_gives_way()'s units. */
#define TABLE_COST 40

static struct domain *self_or(struct domain *pg_owner, struct domain *d)
{
    return pg_owner ? pg_owner : d;
}

/* --- L1 entries --- */

static int get_device_l1e(struct domain *d, pte_t *pe)
{
    pte_t e = *pe;

    *pe = (e | PTE_US) & ~PTE_G;
    if (machine_frame_readonly(pte_mfn(e)))
        *pe &= ~PTE_RW;
    if (pv_iomem_ok(d, pte_mfn(e)))
        return 0;
    log_refusal(d, "mapping of device frame %#lx, which it may not use", pte_mfn(e).v);
    return -XEN_EPERM;
}

static int refuse_l1e(struct domain *d, const struct frame *f, pte_t e)
{
    log_refusal(d, "%s mapping of frame %#lx (owner %u, state %#lx): refused",
                e & PTE_RW ? "writable" : "read-only", pte_mfn(e).v, f->owner, f->state);
    return -XEN_EBUSY;
}

static inline void note_foreign(struct frame *f, const struct domain *d,
                                const struct domain *pg_owner)
{
    if (pg_owner && pg_owner != d)
        frame_note_foreign(f);
}

/* RAM is always mapped write-back: one cache attribute, whatever the guest asks. */
static inline pte_t ram_l1e(pte_t e)
{
    return (e | PTE_US) & ~(PTE_G | PTE_PAT | PTE_PCD | PTE_PWT);
}

/* get_l1e() of what its shorter way does not do. */
static __attribute__((noinline)) int get_any_l1e(struct domain *d, struct domain *pg_owner,
                                                 pte_t *pe)
{
    pte_t e = *pe;
    struct domain *owner = self_or(pg_owner, d);
    struct frame *f;

    /* untested: the same answer as get_device_l1e()'s, which finds no frame there that d may use */
    if (e & cpu_feat.pte_reserved) {
        log_refusal(d, "L1 entry %#lx with reserved bits", e);
        return -XEN_EPERM;
    }
    f = frame_of(pte_mfn(e));
    if (!f)
        return get_device_l1e(d, pe);
    if (e & PTE_RW ? frame_get_writable(f, owner) != 0 : !frame_get(f, owner))
        return refuse_l1e(d, f, e);
    if (e & PTE_RW)
        note_foreign(f, d, pg_owner);
    *pe = ram_l1e(e);
    return 0;
}

/*
 * Check an L1 entry for a table of d that maps frames of pg_owner (d itself, or another domain that
 * the caller may map, or NULL: d's and devices') and take its references. The entry is completed
 * (user bit) in place. 0; -XEN_EPERM: no RAM, and not a device that d may use; -XEN_EBUSY: RAM
 * that is not pg_owner's, or not to be mapped so.
 */
static inline __attribute__((always_inline)) int get_l1e(struct domain *d, struct domain *pg_owner,
                                                         pte_t *pe)
{
    pte_t e = *pe;
    domid_t id = self_or(pg_owner, d)->id;
    struct frame *f = frame_record(pte_mfn(e));

    /* untested: all of this, a shorter way to what get_any_l1e() does */
    if (unlikely(!f) || unlikely(e & cpu_feat.pte_reserved))
        return get_any_l1e(d, pg_owner, pe);
    if (e & PTE_RW) {
        if (unlikely(!frame_get_writable_fast(f, id, 0)))
            return get_any_l1e(d, pg_owner, pe);
        note_foreign(f, d, pg_owner);
    } else if (unlikely(!frame_get_fast(f, id, 0))) {
        return get_any_l1e(d, pg_owner, pe);
    }
    *pe = ram_l1e(e);
    return 0;
}

void pt_put_last_l1e(pte_t e)
{
    struct frame *f = frame_of(pte_mfn(e));

    if (!f) /* a device's */
        return;
    if (e & PTE_RW)
        frame_put_typed(f);
    else
        frame_put(f);
}

/* --- scanning tables, most of whose entries are empty --- */

#define SCAN 8 /* entries looked at together */

/* Is none of the SCAN entries at t present? */
static inline bool none_present(const pte_t *t)
{
    return !((t[0] | t[1] | t[2] | t[3] | t[4] | t[5] | t[6] | t[7]) & PTE_P);
}

/* The first present entry of t from i on, or 512. */
static inline unsigned int next_present(const pte_t *t, unsigned int i)
{
    while (i < 512) {
        if (i % SCAN == 0 && none_present(t + i)) {
            i += SCAN;
            continue;
        }
        if (t[i] & PTE_P)
            break;
        i++;
    }
    return i;
}

/* One above the last present entry of t below i, or 0. */
static inline unsigned int last_present(const pte_t *t, unsigned int i)
{
    while (i > 0) {
        if (i % SCAN == 0 && none_present(t + i - SCAN)) {
            i -= SCAN;
            continue;
        }
        if (t[i - 1] & PTE_P)
            break;
        i--;
    }
    return i;
}

/* --- the walk down: validation and undoing without recursion --- */

/* Is slot i of a table of this level the hypervisor's? */
static inline bool hv_slot(int level, unsigned int i)
{
    return level == 4 && i >= HV_FIRST_SLOT && i <= HV_LAST_SLOT;
}

/*
 * Begin to make d's frame a table: NONE or another unused type -> PARTIAL, holding one reference.
 * 0, or -errno.
 */
static int begin_table(struct frame *f, struct domain *d, int level)
{
    /* untested: get_validated() has just seen the same; another vCPU's call changed it since */
    int rc = frame_begin_type(f, d, level_type(level), FRAME_PARTIAL);

    if (rc)
        return rc == -XEN_EBUSY ? -XEN_EINVAL : rc;
    f->progress = 0; /* ours: the lock keeps who needs it next away */
    f->linear = 0;
    return 0;
}

/* All entries are good. */
static void finish_table(struct domain *d, struct frame *f, int level)
{
    if (level == 4) {
        paging_install_slots(table_of(f));
        pt_l4_changed(d);
    }
    frame_finish_type(f);
    dirty_note(d, f); /* tools are told the type, and it is another one now */
}

/* Entries [0, progress) of a PARTIAL frame are to be let go. */
static void begin_undo(struct pt_drop *drop, struct frame *f, int level)
{
    frame_turn(f, true);
    drop->f[level] = f;
    drop->any = true;
}

static inline int get_validated(struct frame *f, struct domain *d, int level)
{
    return frame_get_validated(f, d, level_type(level));
}

/* Check and complete an entry above L1; *child is its table. */
static int check_upper(struct domain *d, int level, pte_t *pe, struct frame **child)
{
    pte_t e = *pe;

    /* untested: reserved bits, since no RAM lies there either */
    if (e & ~(LN_GUEST_FLAGS | PTE_ADDR | PTE_NX) || (e & cpu_feat.pte_reserved)) {
        log_refusal(d, "L%d entry %#lx with bits that are not allowed", level, e);
        return -XEN_EINVAL;
    }
    *child = frame_of(pte_mfn(e));
    if (!*child) {
        log_refusal(d, "L%d entry %#lx points to no RAM", level, e);
        return -XEN_EINVAL;
    }
    *pe = e | PTE_US;
    return 0;
}

/* --- linear page tables --- */

bool pt_linear = true;
_Static_assert(FRAME_TYPED_BITS < 31,
               "frame.linear counts as many entries as there are typed uses");

/* Is `to`, named by a present entry of a table of `level`, one of that level itself? */
static inline bool is_linear(int level, const struct frame *to)
{
    return frame_type_of(frame_state(to)) == level_type(level);
}

/*
 * Take an entry of f, a table of `level` or about to become one, that names `to`, which is no table
 * of the next level down. 0 or -XEN_EINVAL.
 */
static int get_linear(struct domain *d, struct frame *f, int level, pte_t e, struct frame *to)
{
    if (!pt_linear || (e & PTE_RW))
        return -XEN_EINVAL;
    /* By an L4 as a page a processor with Meltdown would read the hypervisor's tables. */
    if (level == 4 && pv_domain(d)->isolated) {
        log_refusal(d, "an L4 as an entry's target on a processor with Meltdown (xpti=)");
        return -XEN_EINVAL;
    }
    pv_domain(d)->linear = true; /* who walks its tables looks closer from now on */
    if (to == f)
        return 0;
    /* What is no table of d's in use has no count there, and is refused by the last. */
    if (__atomic_load_n(&to->linear, __ATOMIC_RELAXED) > 0 || f->linear < 0 ||
        get_validated(to, d, level))
        return -XEN_EINVAL;
    f->linear++;
    to->linear--;
    return 0;
}

/* The counts of an entry of f that named `to`; the typed use is the caller's to drop. */
static void forget_linear(struct frame *f, struct frame *to)
{
    ASSERT(f->linear > 0 && to->linear < 0);
    f->linear--;
    to->linear++;
}

bool pt_l1tf;

static int refuse_leak(struct domain *d, int level, pte_t e)
{
    log_refusal(d, "L%d entry %#lx: not present, but points into RAM (L1TF)", level, e);
    return -XEN_EINVAL;
}

/* A whole table, apart from the validating loops: most processors do without. */
static int check_leaks(struct domain *d, const pte_t *t, int level)
{
    for (unsigned int i = 0; pt_l1tf && i < 512; i++)
        if (!hv_slot(level, i) && pt_leaks(t[i]))
            return refuse_leak(d, level, t[i]);
    return 0;
}

/* Validate entries of an L1 from its progress on. */
static int validate_l1(struct domain *d, struct frame *f)
{
    pte_t *t = table_of(f);

    if (check_leaks(d, t, 1))
        return -XEN_EINVAL;
    for (unsigned int i = f->progress; (i = next_present(t, i)) < 512; i++) {
        pte_t e = t[i], fixed = e;
        int rc = get_l1e(d, NULL, &fixed);
        if (rc) {
            f->progress = (uint16_t)i;
            return rc;
        }
        if (fixed != e) {
            t[i] = fixed;
            dirty_note(d, f);
        }
    }
    f->progress = 512;
    return 0;
}

/*
 * Validate entries of an upper table from its progress on, down to a child that has to be worked on
 * first: that one is returned in *child with rc 1.
 */
static int validate_upper(struct domain *d, struct frame *f, int level, struct frame **child)
{
    pte_t *t = table_of(f);

    if (f->progress == 0 && check_leaks(d, t, level))
        return -XEN_EINVAL;
    for (unsigned int i = f->progress; (i = next_present(t, i)) < 512; i++) {
        pte_t fixed = t[i];
        if (hv_slot(level, i))
            continue;
        f->progress = (uint16_t)i;
        *child = NULL;
        int rc = check_upper(d, level, &fixed, child);
        if (!rc)
            rc = get_validated(*child, d, level - 1);
        if (rc == -XEN_EAGAIN)
            rc = begin_table(*child, d, level - 1) ?: 1;
        else if (rc == -FRAME_EPARTIAL)
            rc = 1;
        if (rc == -XEN_EINVAL && *child)
            rc = get_linear(d, f, level, fixed, *child);
        if (rc < 0)
            log_refusal(d, "L%d entry %u = %#lx refused (%d)", level, i, t[i], rc);
        if (rc)
            return rc;
        if (fixed != t[i]) {
            t[i] = fixed;
            dirty_note(d, f);
        }
    }
    f->progress = 512;
    return 0;
}

/* From the PARTIAL root down; every frame on the stack is PARTIAL on its way up. */
static int validate(struct pt_drop *drop, struct domain *d, struct frame *root, int root_level)
{
    struct frame *stack[5];
    int level = root_level, rc;

    stack[level] = root;
    for (;;) {
        struct frame *f = stack[level], *child = NULL;
        rc = level == 1 ? validate_l1(d, f) : validate_upper(d, f, level, &child);
        if (rc == 1) {
            stack[--level] = child;
        } else if (rc == 0) {
            bool enough = pcpu_gives_way(cpu_info()->pcpu, TABLE_COST);
            finish_table(d, f, level);
            if (level == root_level)
                return 0;
            /* The parent's entry takes over the child's first typed use. */
            level++;
            pte_t *e = &table_of(stack[level])[stack[level]->progress];
            *e |= PTE_US;
            dirty_note(d, stack[level]);
            stack[level]->progress++;
            if (enough)
                return -PT_ERESTART;
        } else {
            for (; level <= root_level; level++)
                begin_undo(drop, stack[level], level);
            pt_drop_continue(drop, d);
            return rc;
        }
    }
}

int pt_get_table(struct pt_drop *drop, struct domain *d, mfn_t mfn, int level)
{
    struct frame *f = frame_of(mfn);
    int rc;

    if (!f)
        return -XEN_EINVAL;
    pt_assert_locked(d);
    ASSERT(!drop->any);
    rc = get_validated(f, d, level);
    if (rc == -XEN_EAGAIN)
        rc = begin_table(f, d, level) ?: -FRAME_EPARTIAL;
    return rc == -FRAME_EPARTIAL ? validate(drop, d, f, level) : rc;
}

/* --- undoing --- */

/* Drop one typed use of a table; true when it was the last: all its entries are to be let go. */
static inline bool drop_use(struct domain *d, struct frame *f)
{
    if (!frame_undo_last(f))
        return false;
    f->progress = 512;
    dirty_note(d, f);
    twin_table_ends(d, f);
    return true;
}

static void undo_l1(struct domain *d, struct frame *f)
{
    const pte_t *t = table_of(f);

    (void)d;
    for (unsigned int i = f->progress; (i = last_present(t, i)) > 0; i--)
        pt_put_l1e(t[i - 1]);
    f->progress = 0;
}

/*
 * Lets entries go from the top down until another table needs undoing itself, a child or, where
 * *linear, one of the same level: that one is returned.
 */
static struct frame *undo_upper(struct domain *d, struct frame *f, int level, bool *linear)
{
    const pte_t *t = table_of(f);

    for (unsigned int i = f->progress; (i = last_present(t, i)) > 0;) {
        f->progress = (uint16_t)--i;
        if (hv_slot(level, i))
            continue;
        struct frame *to = frame_of(pte_mfn(t[i]));
        if (to == f)
            continue;
        *linear = is_linear(level, to);
        if (*linear)
            forget_linear(f, to);
        if (drop_use(d, to))
            return to;
    }
    f->progress = 0;
    return NULL;
}

bool pt_drop_continue(struct pt_drop *drop, struct domain *d)
{
    int level = 1;

    pt_assert_locked(d);
    while (level <= 4) {
        struct frame *f = drop->f[level], *next = NULL;
        bool linear = false;
        if (!f) {
            level++;
            continue;
        }
        if (level == 1)
            undo_l1(d, f);
        else
            next = undo_upper(d, f, level, &linear);
        if (next && linear) { /* it names no further one: see ptable.h */
            drop->behind[level] = f;
            drop->f[level] = next;
        } else if (next) {
            drop->f[--level] = next;
        } else {
            drop->f[level] = drop->behind[level];
            drop->behind[level] = NULL;
            frame_finish_undo(f);
        }
        if (pcpu_gives_way(cpu_info()->pcpu, TABLE_COST))
            break;
    }
    drop->any = drop->f[1] || drop->f[2] || drop->f[3] || drop->f[4];
    return !drop->any;
}

void pt_put_table(struct pt_drop *drop, struct domain *d, struct frame *f, int level)
{
    pt_assert_locked(d);
    if (!drop_use(d, f))
        return;
    if (__builtin_expect(drop->f[level] != NULL, 0)) {
        /* No room: it waits as a table half validated, with nothing left to validate. */
        frame_turn(f, false);
        return;
    }
    drop->f[level] = f;
    drop->any = true;
    pt_drop_continue(drop, d);
}

/* --- single entries --- */

/* Store new over old; only the CPU's Accessed and Dirty may have changed meanwhile. */
static pte_t replace(pte_t *at, pte_t new, bool keep_ad)
{
    pte_t old, n;

    if (!keep_ad)
        return __atomic_exchange_n(at, new, __ATOMIC_ACQ_REL);
    old = __atomic_load_n(at, __ATOMIC_RELAXED);
    do {
        n = new | (old & (PTE_A | PTE_D));
    } while (!__atomic_compare_exchange_n(at, &old, n, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    return old;
}

/*
 * May `new` take the place of `old` in an L1 of d? It is completed, and its references are taken;
 * *moves: frame or right to write differ, so that old's have to go. Same frame and same right: no
 * reference moves. 0 or -errno.
 */
static inline __attribute__((always_inline)) int
admit_l1e(struct domain *d, struct domain *pg_owner, pte_t old, pte_t *new, bool *moves)
{
    *moves = true;
    if (!(*new &PTE_P))
        return pt_leaks(*new) ? refuse_leak(d, 1, *new) : 0;
    if (!(old & PTE_P) || ((old ^ *new) & (PTE_ADDR | PTE_RW)) || pg_owner ||
        (*new & ~(L1_GUEST_FLAGS | PTE_ADDR | PTE_NX)))
        return get_l1e(d, pg_owner, new);
    *moves = false;
    *new = (*new | PTE_US) & ~PTE_G;
    if (frame_of(pte_mfn(*new)))
        *new &= ~(PTE_PAT | PTE_PCD | PTE_PWT);
    return 0;
}

int pt_set_l1(struct domain *d, struct domain *pg_owner, pte_t *at, pte_t new, bool keep_ad)
{
    pte_t old = *at;
    bool moves;
    int rc = admit_l1e(d, pg_owner, old, &new, &moves);

    pt_assert_locked(d);
    if (rc)
        return rc;
    old = replace(at, new, keep_ad && ((old | new) & PTE_P));
    twin_entry_changed(d, at, 1);
    if (moves && (old & PTE_P))
        pt_put_l1e(old);
    return 0;
}

int pt_set_granted(struct domain *d, struct domain *owner, pte_t *at, pte_t new)
{
    pte_t old;
    int rc = get_l1e(d, owner, &new);

    pt_assert_locked(d);
    if (rc)
        return rc;
    old = __atomic_exchange_n(at, new, __ATOMIC_ACQ_REL);
    twin_entry_changed(d, at, 1);
    if (old & PTE_P)
        pt_put_l1e(old);
    return 0;
}

int pt_exchange_l1(struct domain *d, pte_t *at, pte_t *old, pte_t new)
{
    bool moves;
    int rc = admit_l1e(d, NULL, *old, &new, &moves);

    pt_assert_locked(d);
    if (rc)
        return rc;
    if (!__atomic_compare_exchange_n(at, old, new, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        if (moves && (new &PTE_P))
            pt_put_l1e(new);
        return -XEN_EAGAIN;
    }
    twin_entry_changed(d, at, 1);
    if (moves && (*old & PTE_P))
        pt_put_l1e(*old);
    return 0;
}

static int refuse_linear(struct domain *d, int level, pte_t e)
{
    log_refusal(d, "L%d entry %#lx: no table of level %d, nor a read-only entry to one of its own",
                level, e, level - 1);
    return -XEN_EINVAL;
}

/* Let go what an entry of f that named `to` held. */
static void put_upper(struct pt_drop *drop, struct domain *d, struct frame *f, int level,
                      struct frame *to)
{
    if (to == f)
        return;
    if (!is_linear(level, to)) {
        pt_put_table(drop, d, to, level - 1);
        return;
    }
    forget_linear(f, to);
    pt_put_table(drop, d, to, level);
}

int pt_set_upper(struct pt_drop *drop, struct domain *d, struct frame *f, int level, pte_t *at,
                 pte_t new, bool keep_ad)
{
    unsigned int i = ((uint64_t)at & (PAGE_SIZE - 1)) / sizeof(pte_t);
    pte_t old = *at;
    struct frame *child;
    int rc;

    pt_assert_locked(d);
    if (hv_slot(level, i)) {
        log_refusal(d, "write to the hypervisor's slot %u of an L4", i);
        return -XEN_EINVAL;
    }
    if (new &PTE_P) {
        rc = check_upper(d, level, &new, &child);
        if (rc)
            return rc;
        /* untested: a shorter way to what comes below */
        if ((old & PTE_P) && !((old ^ new) & PTE_ADDR)) {
            if ((new &PTE_RW) && is_linear(level, child))
                return refuse_linear(d, level, new);
            replace(at, new, keep_ad);
            twin_entry_changed(d, at, level);
            if (level == 4)
                pt_l4_changed(d);
            return 0;
        }
        rc = pt_get_table(drop, d, pte_mfn(new), level - 1);
        if (rc == -XEN_EINVAL && get_linear(d, f, level, new, child))
            return refuse_linear(d, level, new);
        if (rc && rc != -XEN_EINVAL)
            return rc;
    }
    if (pt_leaks(new))
        return refuse_leak(d, level, new);
    old = replace(at, new, keep_ad && (old & PTE_P));
    twin_entry_changed(d, at, level);
    if (level == 4)
        pt_l4_changed(d);
    if (old & PTE_P)
        put_upper(drop, d, f, level, frame_of(pte_mfn(old)));
    return 0;
}
