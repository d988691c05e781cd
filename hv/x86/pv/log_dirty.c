/* SPDX-License-Identifier: MIT */
/*
 * shadow_op of PV domains: the log of a guest's writes, for who copies its memory while it runs.
 *
 * This is the slow form, which is correct because it never says too little: while the log is on,
 * every frame counts as written since it was asked last. So a migration ends by the tools' limit of
 * rounds, and sends all again once the guest is suspended. Nothing of the guest's changes, and the
 * log costs nothing while it is on. Under the domctl lock.
 */
#include "x86/pv/log_dirty.h"

#include "core/log.h"
#include "lib/string.h"

#define STEP_BYTES 512u /* of a bitmap, at a time */
#define STEP_PAGES (STEP_BYTES * 8u)

static long enable(struct pv_domain *pd)
{
    if (pd->log.on) {
        log_refusal(&pd->x.d, "shadow_op: its writes are logged already");
        return E(EINVAL);
    }
    pd->log.on = true;
    log_debug("d%u: its writes are logged: all pages count as written", pd->x.d.id);
    return 0;
}

/* The guest's own numbers: as many as it says that it has. */
static uint64_t limit(const struct domain *d)
{
    return (__atomic_load_n(&d->shared->arch.max_pfn, __ATOMIC_RELAXED) & UINT32_MAX) + 1;
}

/*
 * Sets the bits of the guest's pages, `asked` at most, in the caller's bitmap. Where it stands is
 * kept in the domain for a call that gives way; another call than that one begins at the beginning,
 * and so does the first one then. So is how many pages the guest had when it began: what it says
 * later would make it begin for ever. -EAGAIN: call again.
 */
static long fill(struct vcpu *v, struct pv_domain *pd, gptr_t bitmap, uint64_t asked,
                 uint64_t *pages_out)
{
    struct pv_log *log = &pd->log;
    uint8_t ones[STEP_BYTES];
    bool same = log->caller == v && log->bitmap == bitmap.v && log->asked == asked;
    uint64_t pages = same ? log->pages : MIN(asked, limit(&pd->x.d)), at = same ? log->at : 0;

    *pages_out = pages;
    memset(ones, 0xff, sizeof(ones));
    log->caller = NULL;
    for (; at < pages; at += STEP_PAGES) {
        uint64_t n = MIN(pages - at, (uint64_t)STEP_PAGES);

        if (n % 8)
            ones[n / 8] = (uint8_t)((1u << n % 8) - 1);
        if (guest_write(v, gptr_add(bitmap, at / 8), ones, DIV_ROUND_UP(n, 8)))
            return E(EFAULT);
        if (!hc_preempt(2) || at + STEP_PAGES >= pages)
            continue;
        *log = (struct pv_log){ .on = log->on,
                                .caller = v,
                                .bitmap = bitmap.v,
                                .asked = asked,
                                .pages = pages,
                                .at = at + STEP_PAGES };
        return E(EAGAIN);
    }
    return 0;
}

static long read_log(struct vcpu *v, struct pv_domain *pd, struct xen_domctl_shadow_op *op)
{
    uint64_t pages = MIN(op->pages, limit(&pd->x.d));
    gptr_t bitmap = HANDLE_PTR(op->dirty_bitmap);
    long rc = 0;

    if (!pd->log.on || (op->mode & ~XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL)) {
        log_refusal(&pd->x.d, "shadow_op %u, mode %#x: the log of writes is %s", op->op, op->mode,
                    pd->log.on ? "not read so" : "off");
        return E(EINVAL);
    }
    if (bitmap.v)
        rc = fill(v, pd, bitmap, op->pages, &pages);
    if (rc)
        return rc;
    op->pages = pages;
    op->stats.fault_count = 0;
    op->stats.dirty_count = (uint32_t)pages;
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
        pd->log = (struct pv_log){ 0 };
        return 0;
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
