/* SPDX-License-Identifier: MIT */
/*
 * shadow_op of PV domains: the log of a guest's writes, for who copies its memory while it runs.
 * The bits and who sets them: core/dirty.h. What the guest writes itself is seen by its twins
 * (twin.h), on which it runs meanwhile.
 *
 * CLEAN takes the bits, then the right to write, then waits for all CPUs to forget it: what was
 * written through an old right until then is in pages that it names, and they are read after it. It
 * is one vCPU's call, which gives way and goes on; if that one never comes back, or does not get
 * the bits where it wants them, they are lost, and so the next one names all pages.
 *
 * A guest that is shut down, or that a FINAL reading is about, writes no more, but others may: the
 * frames that they hold are marked first. Under the domctl lock.
 */
#include "x86/pv/log_dirty.h"

#include "core/grant.h"
#include "core/hypercall.h"
#include "core/log.h"
#include "core/ptype.h"
#include "lib/string.h"
#include "x86/pv/twin.h"
#include "x86/switch.h"

#define STEP_BYTES 512u /* of a bitmap, at a time */
#define STEP_PAGES (STEP_BYTES * 8u)
#define STEP_FRAMES 256u /* of a domain's list */

/* The guest's own numbers: as many as it says that it has. */
static uint64_t limit(const struct domain *d)
{
    return (__atomic_load_n(&d->shared->arch.max_pfn, __ATOMIC_RELAXED) & UINT32_MAX) + 1;
}

/* --- on and off --- */

/* Some of what the log was goes; true: nothing is left. */
static bool discard(struct pv_log *log)
{
    while (log->twins || log->log) {
        if (log->twins && twins_free(log->twins))
            log->twins = NULL;
        else if (!log->twins && dirty_log_free(log->log))
            log->log = NULL;
        if (hc_preempt(8))
            break;
    }
    log->ending = log->twins || log->log;
    return !log->ending;
}

/*
 * What the log needs. Numbers far beyond the memory that the guest has get no bits: they always
 * count as written. 0, -ENOMEM, -EAGAIN: call again.
 */
static long build(struct pv_domain *pd)
{
    const struct domain *d = &pd->x.d;
    struct pv_log *log = &pd->log;
    int more;

    if (!log->log)
        log->log = dirty_log_new(MIN(limit(d), 16 * domain_pages(d) + DIRTY_PAGE_GFNS));
    if (!log->twins)
        log->twins = twins_new(d);
    if (!log->log || !log->twins)
        return E(ENOMEM);
    hc_charge(64);
    for (;;) {
        if (log->log->built < log->log->nr)
            more = dirty_log_build(log->log) ? 1 : -XEN_ENOMEM;
        else
            more = twins_reserve(log->twins);
        if (more <= 0)
            return more;
        if (hc_preempt(1))
            return E(EAGAIN);
    }
}

/* No vCPU of d is on any CPU while its tables are exchanged for twins, or back. */
static void change_tables(struct pv_domain *pd, struct twins *twins)
{
    struct domain *d = &pd->x.d;

    domain_pause(d, true);
    for_each_vcpu (d, v)
        switch_sync(v);
    twins_set(d, twins);
    domain_unpause(d);
}

static long enable(struct pv_domain *pd)
{
    struct pv_log *log = &pd->log;
    long rc = E(ENOMEM);

    if (log->on) {
        log_refusal(&pd->x.d, "shadow_op: its writes are logged already");
        return E(EINVAL);
    }
    if (!log->ending)
        rc = build(pd);
    if (rc == E(ENOMEM)) {
        if (!discard(log))
            return E(EAGAIN);
        log_refusal(&pd->x.d, "shadow_op: no memory for the log of its writes");
    }
    if (rc)
        return rc;
    dirty_set_log(&pd->x.d, log->log);
    change_tables(pd, log->twins);
    log->on = true;
    log_debug("d%u: its writes are logged", pd->x.d.id);
    return 0;
}

bool pv_log_end(struct pv_domain *pd)
{
    struct pv_log *log = &pd->log;

    if (log->on) {
        change_tables(pd, NULL);
        dirty_set_log(&pd->x.d, NULL);
        log->on = false;
    }
    if (!discard(log))
        return false;
    *log = (struct pv_log){ 0 };
    return true;
}

/* --- reading --- */

static void mark_granted(void *arg, mfn_t mfn)
{
    dirty_mark_gfn(arg, arch_gfn(mfn));
}

/* Marks what others may write at any time; false: gave way. */
static bool mark_held(struct pv_domain *pd)
{
    struct domain *d = &pd->x.d;
    struct pv_log *log = &pd->log;
    uint32_t m;

    do {
        spin_lock(&d->page_lock);
        m = log->held;
        if (!m || frame_owner(&frame_table[m]) != d->id ||
            !frame_refs(frame_state(&frame_table[m])))
            m = d->page_list; /* where it stood, the list is another one's: from the beginning */
        for (unsigned int n = 0; m && n < STEP_FRAMES; n++) {
            if (frame_state(&frame_table[m]) & FRAME_HELD)
                dirty_mark_gfn(d, arch_gfn(MFN(m)));
            m = frame_table[m].next;
        }
        spin_unlock(&d->page_lock);
        log->held = m;
        if (hc_preempt(2) && m)
            return false;
    } while (m);
    grant_writers(d, mark_granted, d);
    return true;
}

/* The bits `of` the log's word for guest frame `at` and on, taken or looked at. */
static unsigned long word_of(const struct pv_log *log, uint64_t at, unsigned long of, bool take)
{
    unsigned long *w, bits;

    if (log->lost || at >= log->log->limit)
        return of;
    w = &log->log->page[at / DIRTY_PAGE_GFNS][at % DIRTY_PAGE_GFNS / 64];
    bits = __atomic_load_n(w, __ATOMIC_RELAXED) & of;
    if (bits && take)
        bits = __atomic_fetch_and(w, ~of, __ATOMIC_SEQ_CST) & of;
    if (log->log->limit - at < 64)
        bits |= ~0ul << (log->log->limit - at) & of;
    return bits;
}

/* Of so many pages from there on; how many bits are set. */
static unsigned int bits_of(const struct pv_log *log, uint64_t at, unsigned int pages, bool take,
                            unsigned long *out)
{
    unsigned int set = 0;

    for (unsigned int i = 0; i < pages; i += 64, out++) {
        *out = word_of(log, at + i, pages - i < 64 ? (1ul << (pages - i)) - 1 : ~0ul, take);
        for (unsigned long bits = *out; bits; bits &= bits - 1)
            set++;
    }
    return set;
}

/*
 * The bits of the guest's pages, from where log->at stands, to the caller's bitmap if it has one.
 * 0, -EFAULT, -EAGAIN: call again.
 */
static long fill(struct vcpu *v, struct pv_log *log)
{
    bool take = log->op == XEN_DOMCTL_SHADOW_OP_CLEAN && log->bitmap;
    unsigned long bits[STEP_BYTES / sizeof(unsigned long)];

    while (log->at < log->pages) {
        unsigned int n = (unsigned int)MIN(log->pages - log->at, (uint64_t)STEP_PAGES);

        log->dirty += bits_of(log, log->at, n, take, bits);
        if (log->bitmap &&
            guest_write(v, GPTR(log->bitmap + log->at / 8), bits, DIV_ROUND_UP(n, 8)))
            return E(EFAULT);
        log->at += n;
        if (hc_preempt(2) && log->at < log->pages)
            return E(EAGAIN);
    }
    return 0;
}

/*
 * The call goes on where it stood, or another one begins: with how many pages the guest has then.
 * What it says later would make it begin for ever.
 */
static void begin(struct vcpu *v, struct pv_domain *pd, const struct xen_domctl_shadow_op *op)
{
    struct pv_log *log = &pd->log;

    if (log->caller == v && log->bitmap == HANDLE_PTR(op->dirty_bitmap).v &&
        log->asked == op->pages && log->op == op->op && log->mode == op->mode)
        return;
    if (log->caller && log->op == XEN_DOMCTL_SHADOW_OP_CLEAN && log->at)
        log->lost = true;
    log->caller = v;
    log->bitmap = HANDLE_PTR(op->dirty_bitmap).v;
    log->asked = op->pages;
    log->op = op->op;
    log->mode = op->mode;
    log->pages = limit(&pd->x.d);
    log->whole = op->pages >= log->pages;
    log->pages = MIN(op->pages, log->pages);
    log->at = log->dirty = log->held = 0;
    log->searched = !op->mode && pd->x.d.state != DOM_SHUTDOWN;
}

/* What CLEAN does once it has the bits: the next write of each page is told again. */
static void end_clean(struct pv_domain *pd)
{
    pd->log.lost &= !pd->log.whole;
    __atomic_store_n(&pd->log.log->faults, 0, __ATOMIC_RELAXED);
    twins_protect(&pd->x.d);
}

static long read_log(struct vcpu *v, struct pv_domain *pd, struct xen_domctl_shadow_op *op)
{
    struct pv_log *log = &pd->log;
    bool takes = op->op == XEN_DOMCTL_SHADOW_OP_CLEAN && HANDLE_PTR(op->dirty_bitmap).v;
    long rc;

    if (!log->on || (op->mode & ~XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL)) {
        log_refusal(&pd->x.d, "shadow_op %u, mode %#x: the log of writes is %s", op->op, op->mode,
                    log->on ? "not read so" : "off");
        return E(EINVAL);
    }
    begin(v, pd, op);
    log->searched = log->searched || mark_held(pd);
    rc = log->searched ? fill(v, log) : E(EAGAIN);
    if (rc == E(EAGAIN))
        return rc;
    log->caller = NULL;
    if (rc) {
        log->lost |= takes;
        return rc;
    }
    op->pages = log->pages;
    op->stats.fault_count = __atomic_load_n(&log->log->faults, __ATOMIC_RELAXED);
    op->stats.dirty_count = (uint32_t)log->dirty;
    if (takes)
        end_clean(pd);
    return 0;
}

static long refuse(struct domain *d, const struct xen_domctl_shadow_op *op)
{
    log_refusal(d, "shadow_op %u, mode %#x: shadow page tables are not there", op->op, op->mode);
    return E(EOPNOTSUPP);
}

long pv_shadow_op(struct vcpu *v, struct domain *d, struct xen_domctl_shadow_op *op,
                  bool *copy_back)
{
    struct pv_domain *pd = pv_domain(d);

    if (d == v->domain)
        return E(EINVAL);
    switch (op->op) {
    case XEN_DOMCTL_SHADOW_OP_OFF:
        return pv_log_end(pd) ? 0 : E(EAGAIN);
    case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
        return enable(pd);
    case XEN_DOMCTL_SHADOW_OP_ENABLE:
        return op->mode == XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY ? enable(pd) : refuse(d, op);
    case XEN_DOMCTL_SHADOW_OP_CLEAN:
    case XEN_DOMCTL_SHADOW_OP_PEEK:
        *copy_back = true;
        return read_log(v, pd, op);
    default:
        return refuse(d, op);
    }
}
