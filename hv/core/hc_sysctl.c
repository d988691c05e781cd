/* SPDX-License-Identifier: MIT */
/* sysctl: what Dom0's tools ask of the host. */
#include "core/hypercall.h"

#include <xen/sysctl.h>

#include "core/hc_cpupool.h"
#include "core/keys.h"
#include "core/log.h"
#include "core/sched.h"
#include "lib/string.h"

#define CHUNK 1024
#define MAX_KEYS 32

long bitmap_to_guest(struct vcpu *v, const struct xenctl_bitmap *to, const unsigned long *map,
                     unsigned int bits)
{
    gptr_t p = HANDLE_PTR(to->bitmap);

    for (unsigned int bit = 0; bit < to->nr_bits; bit += 8, p = gptr_add(p, 1)) {
        uint8_t byte = 0;

        if (bit < bits) /* little endian: byte by byte as the tools read it */
            byte = (uint8_t)(map[bit / BITS_PER_LONG] >> (bit % BITS_PER_LONG));
        if (bit + 8 > bits && bit < bits)
            byte &= (uint8_t)((1u << (bits - bit)) - 1);
        if (bit >= 8 * MAX_CPUS) /* larger buffers are filled no further than anybody could look */
            break;
        if (guest_put(v, p, &byte))
            return E(EFAULT);
    }
    return 0;
}

long cpumask_from_guest(struct vcpu *v, struct cpumask *map, const struct xenctl_bitmap *from)
{
    unsigned int n = MIN(MAX_CPUS, from->nr_bits);
    gptr_t p = HANDLE_PTR(from->bitmap);

    *map = CPUMASK_NONE;
    for (unsigned int bit = 0; bit < n; bit += 8, p = gptr_add(p, 1)) {
        uint8_t byte;

        if (guest_get(v, &byte, p))
            return E(EFAULT);
        if (bit + 8 > n)
            byte &= (uint8_t)((1u << (n - bit)) - 1);
        map->w[bit / BITS_PER_LONG] |= (unsigned long)byte << (bit % BITS_PER_LONG);
    }
    return 0;
}

static long op_readconsole(struct vcpu *v, struct xen_sysctl_readconsole *op)
{
    char text[CHUNK];
    uint32_t done = 0, want = op->count;
    bool incremental = op->incremental;

    while (done < want) {
        size_t n = log_read(text, MIN(want - done, (uint32_t)CHUNK), &op->index,
                            incremental || done != 0);

        if (n == 0)
            break;
        if (guest_write(v, GPTR((unsigned long)op->buffer.p + done), text, n))
            return E(EFAULT);
        done += (uint32_t)n;
    }
    op->count = done;
    if (op->clear)
        log_clear();
    return 0;
}

static unsigned int nr_offline(void)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < nr_pcpus; i++)
        n += __atomic_load_n(&pcpus[i]->rq.pool, __ATOMIC_RELAXED) == CPUPOOL_OFFLINE;
    return n;
}

static long op_physinfo(struct xen_sysctl_physinfo *pi)
{
    memset(pi, 0, sizeof(*pi));
    pi->nr_cpus = nr_pcpus - nr_offline();
    pi->max_cpu_id = nr_pcpus - 1;
    pi->nr_nodes = 1;
    pi->total_pages = frame_total_count();
    pi->free_pages = frame_free_count();
    pi->outstanding_pages = frame_claimed_count();
    pi->max_mfn = max_mfn - 1;
    pi->capabilities = XEN_SYSCTL_PHYSCAP_gnttab_v1;
    arch_physinfo(pi);
    return 0;
}

/*
 * The list may be long. A call that gave way is known by its second argument, which the ABI leaves
 * free: how many were told, and a mark; the third is the next domain.
 */
#define LIST_GOES_ON 0x676f65736f6e0000ul
#define LIST_COUNT 0xffffu
_Static_assert(MAX_DOMAINS <= LIST_COUNT, "the count fits");

static long op_domaininfolist(struct vcpu *v, gptr_t arg, struct xen_sysctl_getdomaininfolist *op,
                              unsigned long told, unsigned long next)
{
    bool goes_on = (told & ~(unsigned long)LIST_COUNT) == LIST_GOES_ON;
    uint32_t n = goes_on ? told & LIST_COUNT : 0;
    struct xen_domctl_getdomaininfo info;
    gptr_t at;

    for_each_domain_from (d, goes_on ? (domid_t)next : op->first_domain) {
        if (n >= op->max_domains)
            break;
        domain_report(d, &info);
        if (!gptr_index(HANDLE_PTR(op->buffer), n, sizeof(info), &at) || guest_put(v, at, &info))
            return E(EFAULT);
        if (++n < op->max_domains && hc_preempt(1 + (int32_t)d->max_vcpus / 16))
            return hc_restart(v, HC_ARGS(arg.v, LIST_GOES_ON | n, d->id + 1ul));
    }
    op->num_domains = n;
    return 0;
}

static long op_debug_keys(struct vcpu *v, const struct xen_sysctl_debug_keys *op)
{
    char keys[MAX_KEYS];

    if (op->nr_keys > MAX_KEYS)
        return E(E2BIG);
    if (guest_read(v, keys, HANDLE_PTR(op->keys), op->nr_keys))
        return E(EFAULT);
    for (uint32_t i = 0; i < op->nr_keys; i++)
        keys_press(keys[i]);
    return 0;
}

static long op_getcpuinfo(struct vcpu *v, struct xen_sysctl_getcpuinfo *op)
{
    uint32_t n = MIN(op->max_cpus, nr_pcpus);

    for (uint32_t i = 0; i < n; i++) {
        struct xen_sysctl_cpuinfo info = { .idletime = pcpu_idle_time(pcpus[i]) };

        if (guest_put(v, HANDLE_AT(op->info, i), &info))
            return E(EFAULT);
    }
    op->nr_cpus = n;
    return 0;
}

static long op_cputopo(struct vcpu *v, struct xen_sysctl_cputopoinfo *op)
{
    uint32_t n = MIN(op->num_cpus, nr_pcpus);

    if (op->cputopo.p) {
        for (uint32_t i = 0; i < n; i++) {
            struct xen_sysctl_cputopo t = { 0 };

            arch_cputopo(i, &t);
            if (pcpus[i]->rq.pool == CPUPOOL_OFFLINE)
                t.core = XEN_INVALID_CORE_ID;
            if (guest_put(v, HANDLE_AT(op->cputopo, i), &t))
                return E(EFAULT);
        }
    }
    op->num_cpus = nr_pcpus;
    return 0;
}

/* One node: nobody places memory by distance yet. */
static long op_numainfo(struct vcpu *v, struct xen_sysctl_numainfo *op)
{
    struct xen_sysctl_meminfo mem = { .memsize = frame_total_count() * PAGE_SIZE,
                                      .memfree = frame_free_count() * PAGE_SIZE };
    uint32_t distance = 10;

    if (op->num_nodes > 0) {
        if (op->meminfo.p && guest_put(v, HANDLE_PTR(op->meminfo), &mem))
            return E(EFAULT);
        if (op->distance.p && guest_put(v, HANDLE_PTR(op->distance), &distance))
            return E(EFAULT);
    }
    op->num_nodes = 1;
    return 0;
}

static long op_pcitopo(struct vcpu *v, struct xen_sysctl_pcitopoinfo *op)
{
    uint32_t node = XEN_INVALID_NODE_ID, i;

    for (i = 0; i < MIN(op->num_devs, (uint32_t)PREEMPT_BUDGET); i++)
        if (guest_put(v, HANDLE_AT(op->nodes, i), &node))
            return E(EFAULT);
    op->num_devs = i;
    return 0;
}

static long do_sysctl(struct vcpu *v, struct xen_sysctl *op, bool *copy_back)
{
    *copy_back = true;
    switch (op->cmd) {
    case XEN_SYSCTL_readconsole:
        return op_readconsole(v, &op->u.readconsole);
    case XEN_SYSCTL_physinfo:
        return op_physinfo(&op->u.physinfo);
    case XEN_SYSCTL_sched_id:
        op->u.sched_id.sched_id = XEN_SCHEDULER_CREDIT;
        return 0;
    case XEN_SYSCTL_debug_keys:
        *copy_back = false;
        return op_debug_keys(v, &op->u.debug_keys);
    case XEN_SYSCTL_getcpuinfo:
        return op_getcpuinfo(v, &op->u.getcpuinfo);
    case XEN_SYSCTL_availheap:
        op->u.availheap.avail_bytes = op->u.availheap.node > 0 ? 0 : frame_free_count() * PAGE_SIZE;
        return 0;
    case XEN_SYSCTL_cputopoinfo:
        return op_cputopo(v, &op->u.cputopoinfo);
    case XEN_SYSCTL_numainfo:
        return op_numainfo(v, &op->u.numainfo);
    case XEN_SYSCTL_pcitopoinfo:
        return op_pcitopo(v, &op->u.pcitopoinfo);
    case XEN_SYSCTL_get_pmstat:
        return sysctl_pmstat(v, &op->u.get_pmstat);
    case XEN_SYSCTL_pm_op:
        return sysctl_pm_op(&op->u.pm_op);
    case XEN_SYSCTL_perfc_op:
        return sysctl_perfc(v, &op->u.perfc_op);
    case XEN_SYSCTL_scheduler_op:
        return sysctl_scheduler(v, &op->u.scheduler_op);
    default:
        *copy_back = false;
        return arch_sysctl(v, op, copy_back);
    }
}

long hc_sysctl(struct vcpu *v, const struct hc_args *args)
{
    unsigned long arg = args->a[0];
    struct xen_sysctl op;
    bool copy_back = true;
    long rc;

    if (guest_get(v, &op, GPTR(arg)))
        return E(EFAULT);
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
        return E(EACCES);
    if (op.cmd == XEN_SYSCTL_getdomaininfolist)
        rc = op_domaininfolist(v, GPTR(arg), &op.u.getdomaininfolist, args->a[1], args->a[2]);
    else if (op.cmd == XEN_SYSCTL_cpupool_op)
        rc = sysctl_cpupool(v, args, &op.u.cpupool_op);
    else if (op.cmd == XEN_SYSCTL_cpu_hotplug)
        rc = sysctl_cpu_hotplug(v, args, &op.u.cpu_hotplug);
    else if (op.cmd == XEN_SYSCTL_tbuf_op)
        rc = sysctl_tbuf(v, arg, &op.u.tbuf_op);
    else
        rc = do_sysctl(v, &op, &copy_back);
    if (rc == 0 && copy_back && guest_put(v, GPTR(arg), &op))
        rc = E(EFAULT);
    return rc;
}
