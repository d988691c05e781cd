/* SPDX-License-Identifier: MIT */
/* The core's door to the memory of a hardware-assisted domain, and grants mapped into it. */
#include "x86/hvm/memory.h"

#include <xen/errno.h>
#include <xen/grant_table.h>

#include "core/grant.h"
#include "core/log.h"

#define ACCESS_WRITE 1u /* GFN_WRITE */

int hvm_gfn_get(struct domain *d, gfn_t gfn, unsigned int access, struct frame **f)
{
    struct p2m_entry e;
    int rc = p2m_get(&hvm_domain(d)->p2m, gfn, access & ACCESS_WRITE ? P2M_WRITE : 0, &e);

    if (rc)
        return rc == -XEN_ENOSPC ? rc : -XEN_EINVAL;
    *f = frame_of(e.mfn);
    return 0;
}

/* The largest leaf that begins at both and has at most 2^order pages. */
static unsigned int fit(uint64_t gfn, uint64_t mfn, unsigned int order)
{
    while ((gfn | mfn) & ((1ull << order) - 1))
        order--;
    return order;
}

int hvm_gfn_place(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned int order)
{
    struct p2m *p = &hvm_domain(d)->p2m;
    uint64_t n = 1ull << order, done = 0;
    int rc = 0;

    while (rc == 0 && done < n) {
        unsigned int o = fit(gfn.v + done, mfn.v + done, order);

        while (1ull << o > n - done)
            o--;
        rc = p2m_place(p, GFN(gfn.v + done), mfn_add(mfn, done), o, P2M_RAM);
        if (rc == 0)
            done += 1ull << o;
    }
    for (uint64_t i = 0; rc && i < done; i++) { /* as before */
        struct p2m_entry was;

        (void)p2m_remove(p, GFN(gfn.v + i), MFN_NONE, 0, &was);
    }
    if (rc && done)
        p2m_sync(p);
    return rc;
}

int hvm_gfn_remove(struct domain *d, gfn_t gfn, unsigned int *order, mfn_t *mfn)
{
    struct p2m *p = &hvm_domain(d)->p2m;
    struct p2m_entry is = p2m_lookup(p, gfn), was;
    unsigned int o = is.order;
    int rc;

    if (!p2m_is_ram(is.type))
        return -XEN_EINVAL;
    if (o > *order || (gfn.v & ((1ull << o) - 1)))
        o = *order >= P2M_ORDER_2M && o >= P2M_ORDER_2M && !(gfn.v & 511) ? P2M_ORDER_2M : 0;
    rc = p2m_remove(p, gfn, is.mfn, o, &was);
    if (rc)
        return rc == -XEN_ENOMEM ? rc : -XEN_EINVAL;
    *order = was.order;
    *mfn = was.mfn;
    return 0;
}

void hvm_gfn_flush(struct domain *d)
{
    p2m_sync(&hvm_domain(d)->p2m);
}

static enum p2m_type granted(const struct grant_use *u)
{
    return u->flags & GNTMAP_readonly ? P2M_GRANT_RO : P2M_GRANT_RW;
}

static int map_one(struct vcpu *v, const struct grant_use *u, uint64_t addr)
{
    if ((u->flags & GNTMAP_contains_pte) || (addr & ~PAGE_MASK))
        return GNTST_general_error;
    if (p2m_place(&hvm_domain(v->domain)->p2m, GFN(addr >> PAGE_SHIFT), MFN(u->mfn), 0,
                  granted(u))) {
        log_refusal(v->domain, "grant map: something is at its frame %#lx, or no table is left",
                    addr >> PAGE_SHIFT);
        return GNTST_general_error;
    }
    return GNTST_okay;
}

void hvm_grant_map(struct vcpu *v, struct domain *owner, struct grant_use *u,
                   const struct grant_at *at, unsigned int n)
{
    (void)owner;
    for (unsigned int i = 0; i < n; i++)
        if ((u[i].flags & GRANT_USE_HOST) && u[i].status == GNTST_okay)
            u[i].status = (int16_t)map_one(v, &u[i], at[i].addr);
}

static int unmap_one(struct vcpu *v, const struct grant_use *u, const struct grant_at *at)
{
    struct p2m *p = &hvm_domain(v->domain)->p2m;
    gfn_t gfn = GFN(at->addr >> PAGE_SHIFT);
    struct p2m_entry e = p2m_lookup(p, gfn);

    if (at->new_addr || (at->addr & ~PAGE_MASK))
        return GNTST_bad_virt_addr;
    if (e.type != granted(u) || p2m_remove(p, gfn, MFN(u->mfn), 0, &e)) {
        log_refusal(v->domain, "grant unmap: its frame %#lx is no mapping by that grant", gfn.v);
        return GNTST_general_error;
    }
    return GNTST_okay;
}

void hvm_grant_unmap(struct vcpu *v, struct grant_use *u, const struct grant_at *at, unsigned int n)
{
    for (unsigned int i = 0; i < n; i++)
        if ((u[i].flags & GRANT_USE_HOST) && u[i].status == GNTST_okay)
            u[i].status = (int16_t)unmap_one(v, &u[i], &at[i]);
    /* The caller calls hvm_gfn_flush() before the granter gets its frame back. */
}
