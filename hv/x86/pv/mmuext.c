/* SPDX-License-Identifier: MIT */
/* mmuext_op: pinning, base pointers, flushes. */
#include "core/dirty.h"
#include "core/log.h"
#include "lib/bitmap.h"
#include "lib/string.h"
#include "x86/cpu/cpu.h"
#include "x86/cpu/ops.h"
#include "x86/pv/desc.h"
#include "x86/pv/mm.h"

#define UPDATE_PREEMPTED (1u << 31)

/* --- flushes --- */

static void flush_all_here(void *unused)
{
    (void)unused;
    tlb_flush_local();
}

static void flush_va_here(void *va)
{
    tlb_flush_va(*(uint64_t *)va);
}

void pv_flush_all(const struct cpumask *cpus)
{
    if (cpumask_test(cpus, this_cpu_id()))
        tlb_flush_local();
    if (nr_pcpus > 1)
        arch_call_others(cpus, flush_all_here, NULL);
}

void pv_flush_va(const struct cpumask *cpus, uint64_t va)
{
    if (cpumask_test(cpus, this_cpu_id()))
        tlb_flush_va(va);
    if (nr_pcpus > 1)
        arch_call_others(cpus, flush_va_here, &va);
}

int pv_vcpumask_cpus(struct vcpu *v, gptr_t mask, struct cpumask *cpus)
{
    struct domain *d = v->domain;
    unsigned long vcpus[MAX_VCPUS / 64] = { 0 };
    size_t bytes = (d->max_vcpus + 7) / 8;

    if (guest_read(v, vcpus, mask, bytes))
        return -XEN_EFAULT;
    for_each_vcpu (d, o) {
        /* Nowhere: whoever takes it up loads its CR3. */
        uint32_t where = __atomic_load_n(&x86_vcpu(o)->resident, __ATOMIC_ACQUIRE);

        if (where && bitmap_test(vcpus, o->id))
            cpumask_set(cpus, where - 1);
    }
    return 0;
}

/* --- base pointers --- */

/* While Domain 0 is built there is no current vCPU of its kind. */
static struct pt_drop *drop_here(struct domain *d)
{
    struct vcpu *cur = cpu_info()->current;

    return cur && cur->domain ? pv_drop_of(cur, d) : &pv_domain(d)->drop;
}

static void note_drop(struct domain *d)
{
    struct vcpu *cur = cpu_info()->current;

    if (cur && cur->domain == d)
        pv_mm_done(cur);
}

/*
 * [pt_lock] As pt_get_table(). A call before this one may have left something to undo: in the same
 * multicall or context, or that of another vCPU of Domain 0, after this one looked last.
 */
static int get_table(struct pt_drop *drop, struct domain *d, mfn_t mfn, int level)
{
    if (drop->any && !pt_drop_continue(drop, d))
        return -PT_ERESTART;
    return pt_get_table(drop, d, mfn, level);
}

int pv_get_l4(struct domain *d, mfn_t mfn)
{
    struct frame *f = frame_of(mfn);
    int rc;

    if (!f)
        return -XEN_EINVAL;
    if (likely(frame_get_table_fast(f, d->id, FT_L4)))
        return 0;
    rc = frame_get_typed(f, d, FT_L4);
    if (rc != -XEN_EAGAIN)
        return rc == -XEN_EBUSY ? -XEN_EINVAL : rc;
    spin_lock(&pv_domain(d)->pt_lock);
    rc = get_table(drop_here(d), d, mfn, 4);
    spin_unlock(&pv_domain(d)->pt_lock);
    note_drop(d);
    return rc;
}

void pv_put_table(struct domain *d, mfn_t mfn)
{
    struct frame *f = frame_of(mfn);

    if (frame_put_not_last(f)) /* not the last: no lock */
        return;
    spin_lock(&pv_domain(d)->pt_lock);
    pt_put_table(drop_here(d), d, f, (int)frame_type_of(frame_state(f)));
    spin_unlock(&pv_domain(d)->pt_lock);
    note_drop(d);
}

int pv_new_kernel_base(struct vcpu *v, mfn_t mfn)
{
    struct pv_vcpu *pv = pv_vcpu(v);
    uint64_t old = pv->cr3_kernel;
    int rc;

    if (mfn.v == old >> PAGE_SHIFT) {
        tlb_flush_local();
        return 0;
    }
    rc = pv_get_l4(v->domain, mfn);
    if (rc)
        return rc;
    pv_set_base(pv, true, mfn.v << PAGE_SHIFT);
    paging_show_m2p(direct(pv->cr3_kernel), true);
    tlb_load(pv->load_cr3[true]);
    pv_put_table(v->domain, MFN(old >> PAGE_SHIFT));
    return 0;
}

int pv_new_user_base(struct vcpu *v, mfn_t mfn)
{
    struct pv_vcpu *pv = pv_vcpu(v);
    uint64_t old = pv->cr3_user;
    int rc;

    if (mfn.v == old >> PAGE_SHIFT) {
        tlb_flush_user();
        return 0;
    }
    rc = mfn.v ? pv_get_l4(v->domain, mfn) : 0;
    if (rc)
        return rc;
    pv_set_base(pv, false, mfn.v << PAGE_SHIFT);
    tlb_flush_user();
    if (mfn.v)
        pv_hide_m2p(pv);
    if (old)
        pv_put_table(v->domain, MFN(old >> PAGE_SHIFT));
    return 0;
}

/* --- pins --- */

static long pin(struct vcpu *v, struct domain *d, mfn_t mfn, int level)
{
    struct pv_domain *pd = pv_domain(d);
    struct frame *f = frame_of(mfn); /* if there is none, get_table() says so */
    long rc;

    spin_lock(&pd->pt_lock);
    struct pt_drop *drop = pv_drop_of(v, d);
    rc = domain_dying(d) ? E(EINVAL) : get_table(drop, d, mfn, level);
    if (!rc && frame_set_pinned(f, true)) {
        pt_put_table(drop, d, f, level);
        log_refusal(d, "pin of frame %#lx, which is pinned already", mfn.v);
        rc = E(EINVAL);
    }
    if (!rc)
        dirty_note(d, f);
    spin_unlock(&pd->pt_lock);
    if (rc && rc != -PT_ERESTART)
        log_refusal(d, "pin of frame %#lx as L%d failed (%ld)", mfn.v, level, rc);
    return rc;
}

static long unpin(struct vcpu *v, struct domain *d, mfn_t mfn)
{
    struct pv_domain *pd = pv_domain(d);
    struct frame *f = frame_of(mfn);

    if (!f)
        return E(EINVAL);
    spin_lock(&pd->pt_lock);
    long rc = E(EINVAL);
    uint64_t s = frame_state(f);
    if (f->owner == d->id && frame_typed(s) && (s & FRAME_PINNED)) {
        frame_set_pinned(f, false);
        dirty_note(d, f);
        pt_put_table(pv_drop_of(v, d), d, f, (int)frame_type_of(s));
        rc = 0;
    } else {
        log_refusal(d, "unpin of frame %#lx, which is not pinned", mfn.v);
    }
    spin_unlock(&pd->pt_lock);
    return rc;
}

/* --- data --- */

static long clear_page(struct domain *d, mfn_t mfn)
{
    struct frame *f = frame_of(mfn);

    if (!f || frame_get_typed(f, d, FT_WRITABLE))
        return E(EINVAL);
    arch_clear_page(arch_map(mfn));
    dirty_note(d, f);
    frame_put_typed(f);
    return 0;
}

static long copy_page(struct domain *d, mfn_t dst, mfn_t src)
{
    struct frame *t = frame_of(dst), *f = frame_of(src);

    if (!t || !f || !frame_get(f, d))
        return E(EINVAL);
    long rc = frame_get_typed(t, d, FT_WRITABLE) ? E(EINVAL) : 0;
    if (!rc) {
        memcpy(arch_map(dst), arch_map(src), PAGE_SIZE);
        dirty_note(d, t);
        frame_put_typed(t);
    }
    frame_put(f);
    return rc;
}

static void wbinvd_here(void *unused)
{
    (void)unused;
    wbinvd();
}

static long flush_cache(struct vcpu *v, bool all)
{
    if (!access_host(v->domain))
        return E(EACCES);
    wbinvd();
    if (all)
        arch_call_others(&cpumask_all, wbinvd_here, NULL);
    return 0;
}

static long flush_op(struct vcpu *v, const struct mmuext_op *op)
{
    struct cpumask cpus = CPUMASK_NONE;
    uint64_t va = op->arg1.linear_addr;
    bool one = op->cmd == MMUEXT_INVLPG_MULTI || op->cmd == MMUEXT_INVLPG_ALL;

    if (one && !pv_range_ok(va, 1))
        return 0; /* nothing of the guest's is mapped there */
    if (op->cmd == MMUEXT_TLB_FLUSH_MULTI || op->cmd == MMUEXT_INVLPG_MULTI) {
        if (pv_vcpumask_cpus(v, GPTR(op->arg2.vcpumask.p), &cpus))
            return E(EINVAL);
    } else {
        cpus = cpumask_read_atomic(&v->domain->dirty_cpus);
    }
    if (one)
        pv_flush_va(&cpus, va);
    else
        pv_flush_all(&cpus);
    return 0;
}

static long one_op(struct vcpu *v, struct domain *d, const struct mmuext_op *op)
{
    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE:
    case MMUEXT_PIN_L2_TABLE:
    case MMUEXT_PIN_L3_TABLE:
    case MMUEXT_PIN_L4_TABLE:
        return pin(v, d, MFN(op->arg1.mfn), (int)(op->cmd - MMUEXT_PIN_L1_TABLE) + 1);
    case MMUEXT_UNPIN_TABLE:
        return unpin(v, d, MFN(op->arg1.mfn));
    case MMUEXT_CLEAR_PAGE:
        return clear_page(d, MFN(op->arg1.mfn));
    case MMUEXT_COPY_PAGE:
        return copy_page(d, MFN(op->arg1.mfn), MFN(op->arg2.src_mfn));
    case MMUEXT_MARK_SUPER:
    case MMUEXT_UNMARK_SUPER:
        return E(EOPNOTSUPP);
    }
    if (d != v->domain) /* the others concern the caller's own vCPU */
        return E(EPERM);
    switch (op->cmd) {
    case MMUEXT_NEW_BASEPTR:
        return pv_new_kernel_base(v, MFN(op->arg1.mfn));
    case MMUEXT_NEW_USER_BASEPTR:
        return pv_new_user_base(v, MFN(op->arg1.mfn));
    case MMUEXT_TLB_FLUSH_LOCAL:
        tlb_flush_local();
        return 0;
    case MMUEXT_INVLPG_LOCAL:
        if (pv_range_ok(op->arg1.linear_addr, 1))
            tlb_flush_va(op->arg1.linear_addr);
        return 0;
    case MMUEXT_TLB_FLUSH_MULTI:
    case MMUEXT_INVLPG_MULTI:
    case MMUEXT_TLB_FLUSH_ALL:
    case MMUEXT_INVLPG_ALL:
        return flush_op(v, op);
    case MMUEXT_FLUSH_CACHE:
    case MMUEXT_FLUSH_CACHE_GLOBAL:
        return flush_cache(v, op->cmd == MMUEXT_FLUSH_CACHE_GLOBAL);
    case MMUEXT_SET_LDT:
        return pv_set_ldt(v, op->arg1.linear_addr, op->arg2.nr_ents);
    }
    return E(ENOSYS);
}

struct ext_batch {
    uint32_t count, done;
    long rc;
};

static void run_ops(struct vcpu *v, struct domain *d, gptr_t ops, struct ext_batch *b)
{
    struct mmuext_op op;

    while (b->done < b->count) {
        if (guest_get(v, &op, gptr_add(ops, b->done * sizeof(op)))) {
            b->rc = E(EFAULT);
            return;
        }
        b->rc = pv_mm_ready(v) && pv_mm_ready_for(v, d) ? one_op(v, d, &op) : -PT_ERESTART;
        pv_mm_done(v);
        if (b->rc)
            return;
        b->done++;
        if (pcpu_gives_way(cpu_info()->pcpu, 4) && b->done < b->count) {
            b->rc = -PT_ERESTART;
            return;
        }
    }
    if (d != v->domain && !pv_mm_ready_for(v, d)) /* there is no exit path that would do it */
        b->rc = -PT_ERESTART;
}

/*
 * What a kernel does at each switch of processes: operations that change the bases of its own
 * vCPU. Does those of them that come first, until one fails or is not as most are: run_ops() goes
 * on, unless b->rc says that the call gives way.
 */
static void run_bases(struct vcpu *v, gptr_t ops, struct ext_batch *b)
{
    if (unlikely(!pv_range_ok(ops.v, (uint64_t)b->count * sizeof(struct mmuext_op))))
        return;
    while (b->done < b->count && !__atomic_load_n(&pv_vcpu(v)->drop.any, __ATOMIC_RELAXED)) {
        const struct mmuext_op *op = (const struct mmuext_op *)ops.v + b->done;
        uint64_t cmd = 0, mfn = 0;

        user_begin();
        user_load(cmd, &op->cmd, fault);
        user_load(mfn, &op->arg1.mfn, fault);
        user_end();
        if ((uint32_t)cmd == MMUEXT_NEW_BASEPTR        ? pv_new_kernel_base(v, MFN(mfn))
            : (uint32_t)cmd == MMUEXT_NEW_USER_BASEPTR ? pv_new_user_base(v, MFN(mfn))
                                                       : -XEN_ENOSYS)
            return;
        b->done++;
        if (pcpu_gives_way(cpu_info()->pcpu, 4) && b->done < b->count) {
            b->rc = -PT_ERESTART;
            return;
        }
    }
    return;
fault:
    user_end();
}

/* On frames of the domain that `foreign` names; not 0: the caller may not. */
static long run_for(struct vcpu *v, unsigned long foreign, gptr_t ops, struct ext_batch *b)
{
    struct domain *pg_owner;
    long rc = pv_foreign_get(v, foreign & 0xffff, &pg_owner);

    if (rc)
        return rc;
    if (pg_owner && !is_pv(pg_owner)) /* it has no tables of this sort */
        b->rc = E(EINVAL);
    else
        run_ops(v, pg_owner ? pg_owner : v->domain, ops, b);
    pv_foreign_put(pg_owner);
    return 0;
}

long hc_mmuext_op(struct vcpu *v, const struct hc_args *args)
{
    unsigned long ops = args->a[0];
    unsigned long count = args->a[1];
    unsigned long pdone = args->a[2];
    unsigned long foreign = args->a[3];
    struct ext_batch b = { .count = (uint32_t)count & ~UPDATE_PREEMPTED };
    uint32_t before = 0;
    long rc = 0;

    if (likely((uint16_t)foreign == DOMID_SELF && !pdone)) {
        run_bases(v, GPTR(ops), &b);
        if (likely(b.done == b.count))
            return 0;
    }
    if (((uint32_t)count & UPDATE_PREEMPTED) && pdone)
        (void)guest_get(v, &before, GPTR(pdone));
    if (ops + (uint64_t)b.count * sizeof(struct mmuext_op) < ops)
        return E(EFAULT);
    if (!b.rc)
        rc = run_for(v, foreign, GPTR(ops), &b);
    if (rc)
        return rc;
    before += b.done;
    if (pdone) /* the ABI says nothing of a count that cannot be told */
        (void)guest_put(v, GPTR(pdone), &before);
    if (b.rc == -PT_ERESTART)
        return hc_restart(v, HC_ARGS(ops + b.done * sizeof(struct mmuext_op),
                                     (b.count - b.done) | UPDATE_PREEMPTED, pdone, foreign));
    return b.rc;
}
