/* SPDX-License-Identifier: MIT */
/*
 * Guest kinds without page tables: their memory is a window of their own pages. There are two. A
 * plain toy knows its frames by the machine's numbers, as PV guests do; a mapped toy has a map of
 * its own, as hardware-assisted guests do.
 */
#include <stdlib.h>
#include <string.h>

#include <xen/errno.h>

#include "core/grant.h"
#include "core/gfn.h"
#include "core/hypercall.h"
#include "core/log.h"
#include "core/ptype.h"
#include "host/host.h"

#include <xen/domctl.h>
#include <xen/grant_table.h>

static struct host_domain *host_of(struct domain *d)
{
    return (struct host_domain *)d;
}

void *host_guest(struct domain *d, unsigned long addr)
{
    unsigned long i = (addr - HOST_GUEST_BASE) / PAGE_SIZE;

    if (addr < HOST_GUEST_BASE || i >= HOST_GUEST_PAGES || !host_of(d)->page[i])
        return NULL;
    return (uint8_t *)arch_map(MFN(host_of(d)->page[i])) + addr % PAGE_SIZE;
}

mfn_t host_guest_mfn(struct domain *d, unsigned int i)
{
    return MFN(host_of(d)->page[i]);
}

uint64_t host_guest_gfn(struct domain *d, unsigned int i)
{
    return gfn_of(d, host_guest_mfn(d, i));
}

/*
 * Guests write their memory while it is copied; byte by byte, so that ThreadSanitizer can be told
 * that this is meant.
 */
__attribute__((no_sanitize("thread"))) static void copy_bytes(volatile uint8_t *dst,
                                                              const volatile uint8_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = src[i];
}

/* Copies page by page, as the real ones may stop half way. */
static int copy(struct domain *d, uint8_t *hv, unsigned long guest, size_t n, bool to_guest)
{
    while (n > 0) {
        size_t part = MIN(n, PAGE_SIZE - guest % PAGE_SIZE);
        void *p = host_guest(d, guest);

        if (!p)
            return -XEN_EFAULT;
        if (to_guest)
            copy_bytes(p, hv, part);
        else
            copy_bytes(hv, p, part);
        guest += part;
        hv += part;
        n -= part;
    }
    return 0;
}

static int toy_copy_from(struct vcpu *v, void *dst, gptr_t src, size_t n)
{
    return copy(v->domain, dst, src.v, n, false);
}

static int toy_copy_to(struct vcpu *v, gptr_t dst, const void *src, size_t n)
{
    return copy(v->domain, (uint8_t *)src, dst.v, n, true);
}

static int toy_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    (void)v, (void)c;
    return 0;
}

static void toy_get_context(struct vcpu *v, struct vcpu_guest_context *c)
{
    (void)v, (void)c;
}

/* Its window first, then what it was given beyond; what others hold is left to them. */
static int toy_relinquish(struct domain *d)
{
    struct host_domain *hd = host_of(d);

    for (unsigned int i = 0; i < HOST_GUEST_PAGES; i++) {
        if (hd->page[i])
            frame_put_typed(frame_of(MFN(hd->page[i])));
        hd->page[i] = 0;
    }
    while (d->page_list) {
        if (!frame_release(&frame_table[d->page_list], d)) {
            spin_lock(&d->page_lock);
            frame_set_aside(d);
            spin_unlock(&d->page_lock);
        }
    }
    return 0;
}

static void toy_vcpu_free(struct vcpu *v)
{
    free(v);
}

static void toy_domain_free(struct domain *d)
{
    free(d);
}

/* A mapping of a toy is a note: the address must lie in the window's last quarter and be aligned.
 */
static void toy_unmap(struct vcpu *v, struct grant_use *u, const struct grant_at *at,
                      unsigned int n)
{
    (void)v;
    for (unsigned int i = 0; i < n; i++)
        if ((u[i].flags & GRANT_USE_HOST) && u[i].status == GNTST_okay && at[i].addr % PAGE_SIZE)
            u[i].status = GNTST_bad_virt_addr;
}

static void toy_map(struct vcpu *v, struct domain *owner, struct grant_use *u,
                    const struct grant_at *at, unsigned int n)
{
    (void)owner;
    toy_unmap(v, u, at, n);
}

static int toy_send_nmi(struct vcpu *v)
{
    (void)v;
    return 0;
}

static uint32_t toy_features(const struct domain *d, unsigned int submap)
{
    return submap == 0 ? (d->privileged ? 0x801 : 1) : 0;
}

static long toy_memory_op(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long start)
{
    (void)v, (void)op, (void)arg, (void)start;
    return E(ENOSYS);
}

static long toy_domctl(struct vcpu *v, struct domain *d, struct xen_domctl *op, bool *copy_back)
{
    (void)v, (void)d, (void)op, (void)copy_back;
    return E(ENOSYS);
}

static unsigned int toy_audit(void)
{
    return 0;
}

/* --- the map of a mapped toy --- */

bool host_mixed;

struct frame *host_frame(struct domain *d, uint64_t gfn)
{
    if (gfn_is_mfn(d))
        return frame_of(MFN(gfn));
    return gfn < HOST_GFNS && host_of(d)->map[gfn] ? frame_of(MFN(host_of(d)->map[gfn])) : NULL;
}

static int mapped_get(struct domain *d, gfn_t gfn, unsigned int access, struct frame **f)
{
    struct host_domain *hd = host_of(d);
    int rc = -XEN_EINVAL;

    (void)access;
    if (gfn.v >= HOST_GFNS)
        return rc;
    spin_lock(&hd->map_lock);
    if (hd->map[gfn.v]) {
        *f = frame_of(MFN(hd->map[gfn.v]));
        rc = frame_get(*f, d) ? 0 : -XEN_ENOSPC;
    }
    spin_unlock(&hd->map_lock);
    return rc;
}

static int mapped_place(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned int order)
{
    struct host_domain *hd = host_of(d);
    uint64_t n = 1ull << order;
    int rc = 0;

    if (gfn.v >= HOST_GFNS || n > HOST_GFNS - gfn.v || gfn.v % n)
        return -XEN_EINVAL;
    spin_lock(&hd->map_lock);
    for (uint64_t i = 0; i < n; i++)
        if (hd->map[gfn.v + i])
            rc = -XEN_EBUSY;
    for (uint64_t i = 0; i < n && rc == 0; i++) {
        hd->map[gfn.v + i] = (uint32_t)(mfn.v + i);
        arch_set_gfn(mfn_add(mfn, i), gfn.v + i);
    }
    spin_unlock(&hd->map_lock);
    return rc;
}

/* Two pages at once where they are side by side, as a kind with large pages would do. */
static int mapped_remove(struct domain *d, gfn_t gfn, unsigned int *order, mfn_t *mfn)
{
    struct host_domain *hd = host_of(d);
    uint32_t *at;

    if (gfn.v >= HOST_GFNS)
        return -XEN_EINVAL;
    spin_lock(&hd->map_lock);
    at = &hd->map[gfn.v];
    *mfn = MFN(*at);
    *order = *order > 0 && gfn.v % 2 == 0 && at[1] == *at + 1;
    for (unsigned int i = 0; mfn->v && i < 1u << *order; i++) {
        if (hd->nr_stale == HOST_STALE)
            abort(); /* nobody flushes */
        hd->stale[hd->nr_stale++] = at[i];
        at[i] = 0;
    }
    spin_unlock(&hd->map_lock);
    return mfn->v ? 0 : -XEN_EINVAL;
}

/* CPUs forget what was taken away: none of it may be anybody else's by now. */
static void mapped_flush(struct domain *d)
{
    struct host_domain *hd = host_of(d);

    spin_lock(&hd->map_lock);
    for (uint32_t i = 0; i < hd->nr_stale; i++) {
        const struct frame *f = &frame_table[hd->stale[i]];

        if (f->owner != d->id || frame_refs(f->state) == 0)
            abort(); /* it was released before the flush */
    }
    hd->nr_stale = 0;
    spin_unlock(&hd->map_lock);
}

static unsigned int audit_map(struct host_domain *hd)
{
    unsigned int bad = hd->nr_stale != 0;

    for (uint64_t gfn = 0; gfn < HOST_GFNS && !domain_dying(&hd->d); gfn++) {
        const struct frame *f = hd->map[gfn] ? &frame_table[hd->map[gfn]] : NULL;

        if (f && (f->owner != hd->d.id || !frame_refs(f->state) || arch_gfn(frame_mfn(f)) != gfn)) {
            log_err("audit: d%u's number %#lx stands for frame %#x of d%u, number %#lx", hd->d.id,
                    gfn, hd->map[gfn], f->owner, arch_gfn(frame_mfn(f)));
            bad++;
        }
    }
    return bad;
}

static unsigned int mapped_audit(void)
{
    unsigned int bad = 0;

    for_each_domain (d)
        if (!gfn_is_mfn(d))
            bad += audit_map(host_of(d));
    return bad;
}

bool host_give_page(struct domain *d)
{
    struct frame *f = frame_alloc(0, 0);
    uint64_t gfn = 128;

    if (!f)
        return false;
    if (frame_assign(f, 0, d)) {
        frame_free(f, 0);
        return false;
    }
    while (!gfn_is_mfn(d) && gfn_place(d, GFN(gfn), f, 0))
        gfn++;
    return true;
}

/* --- toys made by the tools: no window --- */

static const struct guest_ops toy_ops, mapped_ops;

static int toy_domain_create(domid_t id, const struct xen_domctl_createdomain *config,
                             struct domain **d)
{
    bool mapped = config->flags & XEN_DOMCTL_CDF_hvm;
    struct host_domain *hd = calloc(1, sizeof(*hd));
    int rc = domain_init(&hd->d, id, mapped ? &mapped_ops : &toy_ops, config->max_vcpus);

    spin_init(&hd->map_lock, RANK_P2M);

    if (rc)
        free(hd);
    else
        *d = &hd->d;
    return rc;
}

static int toy_vcpu_create(struct domain *d, unsigned int id)
{
    void *record = frame_alloc_hv(); /* so that it can fail */
    struct vcpu *v = record ? calloc(1, sizeof(*v)) : NULL;

    if (record)
        frame_free_hv(record);
    return v ? vcpu_init(v, d, id) : -XEN_ENOMEM;
}

#define TOY_CALLS                                                                               \
    .domain_create = toy_domain_create, .vcpu_create = toy_vcpu_create,                         \
    .relinquish = toy_relinquish, .vcpu_free = toy_vcpu_free, .domain_free = toy_domain_free,   \
    .set_context = toy_set_context, .get_context = toy_get_context, .copy_from = toy_copy_from, \
    .copy_to = toy_copy_to, .grant_map = toy_map, .grant_unmap = toy_unmap,                     \
    .send_nmi = toy_send_nmi, .features = toy_features, .memory_op = toy_memory_op,             \
    .domctl = toy_domctl,

#define TOY_ASSISTS \
    (BIT64(VMASST_TYPE_runstate_update_flag) | BIT64(VMASST_TYPE_writable_pagetables))

static const struct guest_ops toy_ops = {
    .kind = GUEST_PV, .name = "toy", .vm_assist = TOY_ASSISTS, .audit = toy_audit, TOY_CALLS
};

static const struct guest_ops mapped_ops = { .kind = GUEST_HVM,
                                             .name = "mapped toy",
                                             .vm_assist = TOY_ASSISTS,
                                             .gfn_get = mapped_get,
                                             .gfn_place = mapped_place,
                                             .gfn_remove = mapped_remove,
                                             .gfn_flush = mapped_flush,
                                             .audit = mapped_audit,
                                             TOY_CALLS };

const struct guest_ops *const guest_kinds[NR_GUEST_KINDS] = {
    [GUEST_PV] = &toy_ops, [GUEST_HVM] = &mapped_ops
};

struct domain *host_domain(domid_t id, unsigned int vcpus, unsigned int pages, bool privileged)
{
    struct host_domain *hd = calloc(1, sizeof(*hd));
    struct domain *d = &hd->d;

    if (domain_init(d, id, host_mixed && id % 2 ? &mapped_ops : &toy_ops, vcpus))
        abort();
    spin_init(&hd->map_lock, RANK_P2M);
    d->privileged = privileged;
    d->max_pages = 1u << 20;
    for (unsigned int i = 0; i < vcpus; i++) {
        struct vcpu *v = calloc(1, sizeof(*v));

        if (vcpu_init(v, d, i))
            abort();
        v->initialised = true;
    }
    for (unsigned int i = 0; i < pages; i++) {
        struct frame *f = frame_alloc(0, 0);

        if (!f || frame_assign(f, 0, d) || frame_get_typed(f, d, FT_WRITABLE))
            abort();
        arch_clear_page(arch_map(frame_mfn(f)));
        hd->page[i] = (uint32_t)frame_mfn(f).v;
        if (gfn_place(d, GFN(16 + i), f, 0))
            abort();
    }
    domain_publish(d);
    if (privileged)
        dom0 = d;
    return d;
}

struct vcpu *host_up(struct domain *d, unsigned int vcpu)
{
    struct vcpu *v = d->vcpu[vcpu];

    __atomic_fetch_and(&v->pause_flags, ~(uint32_t)VP_DOWN, __ATOMIC_SEQ_CST);
    vcpu_set_upcall_mask(v, 0);
    sched_wake(v);
    host_settle();
    return v;
}
