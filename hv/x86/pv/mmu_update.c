/* SPDX-License-Identifier: MIT */
/* mmu_update and update_va_mapping: single entries of page tables, and the M2P. */
#include "core/bug.h"
#include "core/gfn.h"
#include "core/log.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/pv/mm.h"

#define UPDATE_PREEMPTED (1u << 31) /* count: a continuation; `done` holds what came before */
#define BATCH 16

/*
 * The ABI's two domains that are none: devices' frames are DOMID_IO's, what the hypervisor shows
 * (frame_show(): the M2P) is DOMID_XEN's. Naming one keeps all other RAM out of the entries.
 */
static struct pv_domain no_domain[] = {
    { .x.d = { .id = DOMID_IO, .ops = &pv_guest_ops.g, .refs = 1 },
      .pt_lock = SPINLOCK_INIT(RANK_PTABLE) },
    { .x.d = { .id = DOMID_XEN, .ops = &pv_guest_ops.g, .refs = 1 },
      .pt_lock = SPINLOCK_INIT(RANK_PTABLE) },
};

static struct domain *get_no_domain(unsigned int id)
{
    struct domain *d = &no_domain[id == DOMID_XEN].x.d;

    __atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
    return d;
}

int pv_foreign_get(struct vcpu *v, unsigned int id, struct domain **pg_owner)
{
    *pg_owner = NULL;
    if (id == DOMID_SELF)
        return 0;
    if (id == v->domain->id) /* the ABI wants DOMID_SELF */
        return -XEN_ESRCH;
    if (!access_host(v->domain))
        return -XEN_EPERM;
    *pg_owner = id == DOMID_IO || id == DOMID_XEN ? get_no_domain(id) : domain_get((domid_t)id);
    return *pg_owner ? 0 : -XEN_ESRCH;
}

/* The domain whose tables are changed, by the upper half of foreigndom: its id + 1, or 0. */
static int table_owner_get(struct vcpu *v, unsigned int id_plus_1, struct domain **pt_owner)
{
    *pt_owner = NULL;
    if (id_plus_1 == 0 || id_plus_1 - 1 == v->domain->id)
        return 0;
    if (!access_host(v->domain))
        return -XEN_EPERM;
    *pt_owner = domain_get((domid_t)(id_plus_1 - 1));
    return *pt_owner ? 0 : -XEN_ESRCH;
}

void pv_foreign_put(struct domain *pg_owner)
{
    if (pg_owner)
        domain_put(pg_owner);
}

/* A frame that is no table: an ordinary write by machine address. */
static int write_data(struct domain *d, struct frame *f, uint64_t *at, uint64_t val)
{
    int rc = frame_get_typed(f, d, FT_WRITABLE);

    if (rc)
        return rc;
    __atomic_store_n(at, val, __ATOMIC_RELAXED);
    dirty_note(d, f);
    frame_put_typed(f);
    return 0;
}

/*
 * Maps a frame of pg_owner's, who granted nothing: what is written there is not told by anybody
 * when it ends. [pt_lock of d]
 */
static int set_l1_foreign(struct domain *d, struct domain *pg_owner, pte_t *at, pte_t val,
                          bool keep_ad)
{
    int rc = pt_set_l1(d, pg_owner, at, val, keep_ad);
    struct frame *f = frame_of(pte_mfn(val));

    if (rc == 0 && (val & PTE_P) && (val & PTE_RW) && f)
        frame_note_held(f);
    return rc;
}

/* An entry with the number of a frame of pg_owner's, which has a map of its own. [pt_lock of d] */
static __attribute__((noinline)) int set_l1_mapped(struct domain *d, struct domain *pg_owner,
                                                   pte_t *at, pte_t val, bool keep_ad)
{
    unsigned int access = val & PTE_RW ? GFN_WRITE : GFN_READ;
    struct frame *f;
    int rc;

    rc = gfn_get(pg_owner, GFN(pte_mfn(val).v), access, &f);
    if (rc) {
        log_refusal(d, "mapping of d%u's frame %#lx (%d)", pg_owner->id, pte_mfn(val).v, rc);
        return rc;
    }
    val = (val & ~PTE_ADDR) | frame_mfn(f).v << PAGE_SHIFT;
    rc = set_l1_foreign(d, pg_owner, at, val, keep_ad);
    gfn_put(f, access);
    return rc;
}

/*
 * An L1 entry with pg_owner's frame number: the tables have the machine's. (A grant is mapped by
 * the machine's number whosever it is, so this is not pt_set_l1()'s business; and so is what
 * acquire_resource told, by MMU_PT_UPDATE_NO_TRANSLATE.) [pt_lock of d]
 */
static inline int set_l1_of(struct domain *d, struct domain *pg_owner, pte_t *at, pte_t val,
                            unsigned int cmd)
{
    bool keep_ad = cmd == MMU_PT_UPDATE_PRESERVE_AD;

    if (__builtin_expect(pg_owner && !gfn_is_mfn(pg_owner) && (val & PTE_P), 0) &&
        cmd != MMU_PT_UPDATE_NO_TRANSLATE)
        return set_l1_mapped(d, pg_owner, at, val, keep_ad);
    if (__builtin_expect(pg_owner && pg_owner != d, 0))
        return set_l1_foreign(d, pg_owner, at, val, keep_ad);
    return pt_set_l1(d, pg_owner, at, val, keep_ad);
}

/* Of any table, or data. [pt_lock of d] */
static __attribute__((noinline)) int update_any_entry(struct pt_drop *drop, struct domain *d,
                                                      struct domain *pg_owner, uint64_t ptr,
                                                      uint64_t val, unsigned int cmd)
{
    struct frame *f = frame_of(MFN(ptr >> PAGE_SHIFT));
    pte_t *at = direct(ptr);

    if (__builtin_expect(!f || f->owner != d->id, 0)) {
        log_refusal(d, "mmu_update at %#lx, which is not its own memory", ptr);
        return -XEN_EINVAL;
    }
    uint64_t s = frame_state(f);
    if (frame_typed(s) && (s & FRAME_VALIDATED)) {
        enum frame_type t = frame_type_of(s);
        if (t == FT_L1)
            return set_l1_of(d, pg_owner, at, val, cmd);
        if (t >= FT_L2 && t <= FT_L4)
            return pt_set_upper(drop, d, f, (int)t, at, val, cmd == MMU_PT_UPDATE_PRESERVE_AD);
    }
    return write_data(d, f, at, val);
}

/* The M2P entry of a frame that d owns. */
static int update_m2p(struct domain *d, uint64_t ptr, uint64_t val)
{
    struct frame *f = frame_of(MFN(ptr >> PAGE_SHIFT));

    /* What the hypervisor shows is not the caller's to name. */
    if (!f || !gfn_is_mfn(d) || d->id == DOMID_XEN || !frame_get(f, d)) {
        log_refusal(d, "M2P update of frame %#lx, which is not its own", ptr >> PAGE_SHIFT);
        return -XEN_EINVAL;
    }
    dirty_note(d, f); /* by both numbers */
    m2p_rw[ptr >> PAGE_SHIFT] = val;
    dirty_note(d, f);
    frame_put(f);
    return 0;
}

/* [pt_lock of d] */
static inline int update_entry(struct pt_drop *drop, struct domain *d, struct domain *pg_owner,
                               uint64_t ptr, uint64_t val, unsigned int cmd)
{
    const struct frame *f = frame_record(MFN(ptr >> PAGE_SHIFT));
    const uint64_t l1 = (uint64_t)FT_L1 << FRAME_TYPE_SHIFT | FRAME_VALIDATED;

    /* untested: a shorter way to what update_any_entry() does */
    if (likely(f != NULL) && f->owner == d->id) {
        uint64_t s = frame_state(f);
        if ((s & (FRAME_TYPE_MASK | FRAME_VALIDATED)) == l1 && frame_typed(s))
            return set_l1_of(d, pg_owner, direct(ptr), val, cmd);
    }
    return update_any_entry(drop, d, pg_owner, ptr, val, cmd);
}

static inline int update_one(struct pt_drop *drop, struct domain *d, struct domain *pg_owner,
                             const struct mmu_update *u)
{
    uint64_t ptr = u->ptr & ~7ull;

    switch (u->ptr & 7) {
    case MMU_MACHPHYS_UPDATE:
        return update_m2p(pg_owner ? pg_owner : d, ptr, u->val);
    case MMU_NORMAL_PT_UPDATE:
    case MMU_PT_UPDATE_NO_TRANSLATE:
    case MMU_PT_UPDATE_PRESERVE_AD:
        return update_entry(drop, d, pg_owner, ptr, u->val, u->ptr & 7);
    default: /* an unknown command, or an entry that is not aligned */
        return -XEN_ENOSYS;
    }
}

struct batch {
    struct vcpu *v;
    struct domain *pt_owner, *pg_owner;
    gptr_t reqs;
    uint32_t count, done;
};

/* 0: all done, -errno of the element that failed, or HC_RESTART with `done` elements behind. */
static long run_batch(struct batch *b)
{
    struct pt_drop *drop = pv_drop_of(b->v, b->pt_owner);
    struct mmu_update u[BATCH];
    long rc = 0;

    while (b->done < b->count && !rc) {
        uint32_t n = MIN(b->count - b->done, (uint32_t)BATCH);
        if (guest_read(b->v, u, gptr_add(b->reqs, b->done * sizeof(u[0])), n * sizeof(u[0])))
            return E(EFAULT);
        spin_lock(&pv_domain(b->pt_owner)->pt_lock);
        if (domain_dying(b->pt_owner))
            rc = E(EINVAL);
        for (uint32_t i = 0; i < n && !rc; i++) {
            if (__builtin_expect(drop->any, 0) && !pt_drop_continue(drop, b->pt_owner)) {
                rc = HC_RESTART;
                break;
            }
            rc = update_one(drop, b->pt_owner, b->pg_owner, &u[i]);
            b->done += !rc;
        }
        spin_unlock(&pv_domain(b->pt_owner)->pt_lock);
        if (pcpu_gives_way(cpu_info()->pcpu, BATCH / 4) && !rc && b->done < b->count)
            rc = HC_RESTART;
    }
    if (!rc && b->pt_owner != b->v->domain && !pv_mm_ready_for(b->v, b->pt_owner))
        rc = HC_RESTART; /* there is no exit path that would do it */
    return rc == -PT_ERESTART ? HC_RESTART : rc;
}

static long finish_batch(struct batch *b, long rc, uint32_t before, unsigned long pdone,
                         unsigned long foreign)
{
    uint32_t total = before + b->done;

    pv_mm_done(b->v);
    if (pdone) /* the ABI says nothing of a count that cannot be told */
        (void)guest_put(b->v, GPTR(pdone), &total);
    if (rc == HC_RESTART)
        return hc_restart(b->v, HC_ARGS(b->reqs.v + b->done * sizeof(struct mmu_update),
                                        (b->count - b->done) | UPDATE_PREEMPTED, pdone, foreign));
    return rc;
}

/* One entry of the caller's own tables: what Linux does for every page it maps. */
static inline long update_single(struct vcpu *v, unsigned long reqs, unsigned long pdone)
{
    struct pv_domain *pd = pv_domain(v->domain);
    const struct mmu_update *at = (const struct mmu_update *)reqs;
    uint64_t ptr = 0, val = 0;
    uint32_t done;
    long rc;

    if (!pv_range_ok(reqs, sizeof(*at)))
        return E(EFAULT);
    user_begin();
    user_load(ptr, &at->ptr, fault);
    user_load(val, &at->val, fault);
    user_end();
    spin_lock(&pd->pt_lock);
    rc = update_one(&pv_vcpu(v)->drop, v->domain, NULL, &(struct mmu_update){ ptr, val });
    spin_unlock(&pd->pt_lock);
    pv_mm_done(v);
    if (likely(rc == 0 && !pdone))
        return 0;
    if (unlikely(rc == -PT_ERESTART))
        return hc_restart(v, HC_ARGS(reqs, 1, pdone, DOMID_SELF));
    done = rc == 0;
    if (unlikely(pdone))
        (void)guest_put(v, GPTR(pdone), &done);
    return rc;
fault:
    user_end();
    return E(EFAULT);
}

/* Any number of entries, of whomever's tables. */
static __attribute__((noinline)) long update_many(struct vcpu *v, unsigned long reqs,
                                                  unsigned long count, unsigned long pdone,
                                                  unsigned long foreign)
{
    struct batch b = { .v = v, .pt_owner = v->domain, .reqs = GPTR(reqs) };
    uint32_t before = 0;
    long rc;

    b.count = (uint32_t)count & ~UPDATE_PREEMPTED;
    if (((uint32_t)count & UPDATE_PREEMPTED) && pdone)
        (void)guest_get(v, &before, GPTR(pdone));
    if (reqs + (uint64_t)b.count * sizeof(struct mmu_update) < reqs)
        return E(EFAULT);
    rc = pv_foreign_get(v, foreign & 0xffff, &b.pg_owner);
    if (!rc && ((uint32_t)foreign >> 16)) {
        struct domain *pt;
        rc = table_owner_get(v, (uint32_t)foreign >> 16, &pt);
        if (pt && !is_pv(pt)) { /* it has no tables of this sort */
            pv_foreign_put(pt);
            rc = E(EINVAL);
        } else if (pt) {
            b.pt_owner = pt;
        }
        if (!rc && pt && b.pg_owner && b.pg_owner != pt) /* nobody granted it that */
            rc = E(EPERM);
    }
    if (!rc)
        rc = run_batch(&b);
    rc = finish_batch(&b, rc, before, pdone, foreign);
    pv_foreign_put(b.pg_owner);
    if (b.pt_owner != v->domain)
        pv_foreign_put(b.pt_owner);
    return rc;
}

long hc_mmu_update(struct vcpu *v, const struct hc_args *args)
{
    unsigned long reqs = args->a[0];
    unsigned long count = args->a[1];
    unsigned long pdone = args->a[2];
    unsigned long foreign = args->a[3];

    if (unlikely(!pv_mm_ready(v)))
        return hc_restart(v, HC_ARGS(reqs, count, pdone, foreign));
    if (count == 1 && (uint32_t)foreign == DOMID_SELF)
        return update_single(v, reqs, pdone);
    return update_many(v, reqs, count, pdone, foreign);
}

/* --- update_va_mapping --- */

static long flush_after(struct vcpu *v, uint64_t va, unsigned long flags)
{
    struct cpumask cpus = CPUMASK_NONE;
    unsigned long type = flags & UVMF_FLUSHTYPE_MASK;
    uint64_t mask = flags & ~(UVMF_FLUSHTYPE_MASK | UVMF_ALL);

    if (type != UVMF_TLB_FLUSH && type != UVMF_INVLPG)
        return 0;
    if (!(flags & UVMF_ALL) && !mask) { /* local */
        if (type == UVMF_TLB_FLUSH)
            tlb_flush_local();
        else
            tlb_flush_va(va);
        return 0;
    }
    if (flags & UVMF_ALL)
        cpus = cpumask_read_atomic(&v->domain->dirty_cpus);
    else if (pv_vcpumask_cpus(v, GPTR(mask), &cpus))
        return E(EFAULT);
    if (type == UVMF_TLB_FLUSH)
        pv_flush_all(&cpus);
    else
        pv_flush_va(&cpus, va);
    return 0;
}

static long update_va(struct vcpu *v, unsigned long va, unsigned long val, unsigned long flags,
                      struct domain *pg_owner)
{
    struct domain *d = v->domain;
    long rc = E(EINVAL);

    if (!pv_range_ok(va, 1))
        return E(EINVAL);
    spin_lock(&pv_domain(d)->pt_lock);
    uint64_t at = pv_find_l1e(v, va);
    if (at)
        rc = set_l1_of(d, pg_owner, direct(at), val, false);
    spin_unlock(&pv_domain(d)->pt_lock);
    return rc ? rc : flush_after(v, va, flags);
}

long hc_update_va_mapping(struct vcpu *v, const struct hc_args *args)
{
    unsigned long va = args->a[0];
    unsigned long val = args->a[1];
    unsigned long flags = args->a[2];

    if (!pv_mm_ready(v))
        return hc_restart(v, HC_ARGS(va, val, flags));
    return update_va(v, va, val, flags, NULL);
}

long hc_update_va_mapping_otherdomain(struct vcpu *v, const struct hc_args *args)
{
    unsigned long va = args->a[0];
    unsigned long val = args->a[1];
    unsigned long flags = args->a[2];
    unsigned long domid = args->a[3];
    struct domain *pg_owner;
    long rc;

    if (!pv_mm_ready(v))
        return hc_restart(v, HC_ARGS(va, val, flags, domid));
    rc = pv_foreign_get(v, domid & 0xffff, &pg_owner);
    if (rc)
        return rc;
    rc = update_va(v, va, val, flags, pg_owner);
    pv_foreign_put(pg_owner);
    return rc;
}
