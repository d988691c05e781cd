/* SPDX-License-Identifier: MIT */
/* The core's door to the memory of a hardware-assisted domain, and grants mapped into it. */
#include "x86/hvm/memory.h"

#include <xen/errno.h>
#include <xen/grant_table.h>

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

int hvm_grant_map(struct vcpu *v, struct domain *owner, uint64_t host_addr, mfn_t mfn,
                  uint32_t flags)
{
    enum p2m_type t = flags & GNTMAP_readonly ? P2M_GRANT_RO : P2M_GRANT_RW;

    (void)owner;
    if ((flags & GNTMAP_contains_pte) || (host_addr & ~PAGE_MASK))
        return GNTST_general_error;
    if (p2m_place(&hvm_domain(v->domain)->p2m, GFN(host_addr >> PAGE_SHIFT), mfn, 0, t)) {
        log_refusal(v->domain, "grant map: something is at its frame %#lx, or no table is left",
                    host_addr >> PAGE_SHIFT);
        return GNTST_general_error;
    }
    return GNTST_okay;
}

int hvm_grant_unmap(struct vcpu *v, uint64_t host_addr, mfn_t mfn, uint32_t flags,
                    uint64_t new_addr)
{
    struct p2m *p = &hvm_domain(v->domain)->p2m;
    gfn_t gfn = GFN(host_addr >> PAGE_SHIFT);
    struct p2m_entry e = p2m_lookup(p, gfn);
    bool readonly = flags & GNTMAP_readonly;

    if (new_addr || (host_addr & ~PAGE_MASK))
        return GNTST_bad_virt_addr;
    if (e.type != (readonly ? P2M_GRANT_RO : P2M_GRANT_RW) || p2m_remove(p, gfn, mfn, 0, &e)) {
        log_refusal(v->domain, "grant unmap: its frame %#lx is no mapping by that grant", gfn.v);
        return GNTST_general_error;
    }
    p2m_sync(p);
    return GNTST_okay;
}
