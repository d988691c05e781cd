/* SPDX-License-Identifier: MIT */
/* memory_op's operations of x86 that are the same for all guest kinds: maps of memory. */
#include "core/hypercall.h"

#include <xen/memory.h>

#include "x86/boot/boot.h"
#include "x86/policy/told.h"

/* The firmware's map as it is: Dom0 maps what is not RAM one to one, RAM by its own p2m. */
static long machine_memory_map(struct vcpu *v, gptr_t arg)
{
    struct xen_memory_map map;
    unsigned int n = 0;
    gptr_t at;

    if (!access_host(v->domain))
        return E(EPERM);
    if (guest_get(v, &map, arg))
        return E(EFAULT);
    for (unsigned int i = 0; i < boot_info.nr_mem; i++) {
        const struct boot_memory *m = &boot_info.mem[i];
        struct e820_entry e = { m->base, m->len, m->type };

        if (!m->len)
            continue;
        if (n == map.nr_entries) /* as many as there is room for */
            break;
        if (!gptr_index(HANDLE_PTR(map.buffer), n, sizeof(e), &at) || guest_put(v, at, &e))
            return E(EFAULT);
        n++;
    }
    map.nr_entries = n;
    return guest_put(v, arg, &map) ? E(EFAULT) : 0;
}

/* No guest is populated on demand: its target is what it has. */
static long pod_target(struct vcpu *v, gptr_t arg)
{
    struct xen_pod_target t;
    struct domain *d;
    long rc;

    if (guest_get(v, &t, arg))
        return E(EFAULT);
    rc = access_domain_get(v, t.domid, ACCESS_CONTROL, &d);
    if (rc)
        return rc;
    t.tot_pages = domain_pages(d);
    t.pod_cache_pages = 0;
    t.pod_entries = 0;
    domain_put(d);
    return guest_put(v, arg, &t) ? E(EFAULT) : 0;
}

/* The last of its frame numbers: by its map, or as a guest without one says in its shared page. */
static long maximum_gpfn(struct vcpu *v, gptr_t arg)
{
    struct domain *d;
    uint64_t max;
    domid_t id;
    bool ok;

    if (guest_get(v, &id, arg))
        return E(EFAULT);
    d = domain_get_self(v, id);
    if (!d)
        return E(ESRCH);
    if (d->ops->max_gfn)
        max = d->ops->max_gfn(d) + 1;
    else
        max = __atomic_load_n(&d->shared->arch.max_pfn, __ATOMIC_RELAXED) & INT64_MAX;
    ok = access_ok(v->domain, d, ACCESS_INSPECT);
    domain_put(d);
    return ok ? (long)MAX(max, 1ull) - 1 : E(EPERM);
}

/* There are none without an IOMMU in use. */
static long reserved_device_memory(struct vcpu *v, gptr_t arg)
{
    struct xen_reserved_device_memory_map map;

    if (guest_get(v, &map, arg))
        return E(EFAULT);
    if (map.flags & ~XENMEM_RDM_ALL)
        return E(EINVAL);
    map.nr_entries = 0;
    return guest_put(v, arg, &map) ? E(EFAULT) : 0;
}

long arch_memory_op(struct vcpu *v, unsigned int op, gptr_t arg, unsigned long start_extent)
{
    (void)start_extent;
    switch (op) {
    case XENMEM_machine_memory_map:
        return machine_memory_map(v, arg);
    case XENMEM_memory_map:
        return told_memory_map(v, arg);
    case XENMEM_set_memory_map:
        return told_set_memory_map(v, arg);
    case XENMEM_get_pod_target:
    case XENMEM_set_pod_target:
        return pod_target(v, arg);
    case XENMEM_maximum_gpfn:
        return maximum_gpfn(v, arg);
    case XENMEM_reserved_device_memory_map:
        return reserved_device_memory(v, arg);
    case XENMEM_get_vnumainfo:
        return E(EOPNOTSUPP);
    default:
        return E(ENOSYS);
    }
}
