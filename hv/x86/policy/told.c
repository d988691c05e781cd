/* SPDX-License-Identifier: MIT */
/*
 * One page for each domain that was told anything, made at the first such call and atomic to
 * set; it goes with the domain. The tools fill it before the domain runs.
 */
#include "x86/policy/told.h"

#include "core/hypercall.h"

#include <xen/memory.h>

#include "core/frame.h"

struct x86_told *told_get(struct domain *d)
{
    struct x86_domain *xd = x86_domain(d);
    struct x86_told *t = __atomic_load_n(&xd->told, __ATOMIC_ACQUIRE), *new;

    if (t)
        return t;
    new = frame_alloc_hv();
    if (!new ||
        __atomic_compare_exchange_n(&xd->told, &t, new, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return new;
    frame_free_hv(new);
    return t;
}

void told_free(struct domain *d)
{
    if (x86_domain(d)->told)
        frame_free_hv(x86_domain(d)->told);
}

static long set_map(struct vcpu *v, struct domain *d, const struct xen_memory_map *map)
{
    struct x86_told *t;

    if (map->nr_entries > MAX_E820)
        return E(EINVAL);
    t = told_get(d);
    if (!t)
        return E(ENOMEM);
    t->nr_e820 = 0; /* none rather than half of one */
    if (guest_read(v, t->e820, HANDLE_PTR(map->buffer), map->nr_entries * sizeof(t->e820[0])))
        return E(EFAULT);
    t->nr_e820 = map->nr_entries;
    return 0;
}

long told_set_memory_map(struct vcpu *v, gptr_t arg)
{
    struct xen_foreign_memory_map fmap;
    struct domain *d;
    long rc;

    if (guest_get(v, &fmap, arg))
        return E(EFAULT);
    d = domain_get_self(v, fmap.domid);
    if (!d)
        return E(ESRCH);
    rc = domain_controls(v->domain, d) ? set_map(v, d, &fmap.map) : E(EPERM);
    domain_put(d);
    return rc;
}

long told_memory_map(struct vcpu *v, gptr_t arg)
{
    const struct x86_told *t = x86_domain(v->domain)->told;
    struct xen_memory_map map;

    if (guest_get(v, &map, arg))
        return E(EFAULT);
    if (!t || !t->nr_e820)
        return E(ENOSYS);
    map.nr_entries = MIN(map.nr_entries, t->nr_e820);
    if (guest_write(v, HANDLE_PTR(map.buffer), t->e820, map.nr_entries * sizeof(t->e820[0])) ||
        guest_put(v, arg, &map))
        return E(EFAULT);
    return 0;
}
