/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls: a handler decodes and validates raw guest values (it alone touches them), then calls
 * a concept. glue/ hands the table over at boot.
 */
#ifndef CORE_HYPERCALL_H
#define CORE_HYPERCALL_H

#include <xen/errno.h>

#include "core/access.h"
#include "core/guest.h"
#include "core/pcpu.h"
#include "core/trace.h"
#include "core/watch.h"

/* Error codes are the ABI's (<xen/errno.h>), returned negative. */
#define E(x) (-(long)(XEN_##x))

/* v is current. args may be its saved registers: a handler that changes those reads them first. */
typedef long hc_fn(struct vcpu *v, const struct hc_args *args);

struct hypercall {
    const char *name;
    hc_fn *fn;   /* for callers in 64-bit mode */
    hc_fn *fn32; /* for callers in 32-bit mode, whose structures differ; NULL: -ENOSYS */
    /*
     * Who may call it: bits of enum guest_kind, for domains without ([0]) and with ([1]) privilege.
     * A kind that is in neither gets -ENOSYS, one that lacks privilege -EPERM.
     */
    uint8_t kinds[2];
};
#define NR_HYPERCALLS COUNT_CALLS
extern const struct hypercall hypercall_table[NR_HYPERCALLS]; /* glue/hypercall_table.c */

/*
 * Returned by a handler that gave way to pending work after storing its new arguments by
 * hc_restart(); never seen by a guest. No result can be this: get_debugreg gives addresses, and
 * this one is not canonical. It and the next are the two least numbers, as pv/entry.S has it.
 */
#define HC_RESTART (-__LONG_MAX__ - 1)
/* The same for a handler that has replaced the vCPU's registers: there is no result to store. */
#define HC_LEFT (HC_RESTART + 1)
static inline long hc_restart(struct vcpu *v, struct hc_args again)
{
    v->restart_args = again;
    pcpu_gave_way(arch_this_cpu());
    return HC_RESTART;
}

/*
 * Should a long operation give way now, after a step of `cost` thousands of instructions? To be
 * asked after the last step too: in a multicall the next call pays for it.
 */
static inline bool hc_preempt(int32_t cost)
{
    return pcpu_gives_way(arch_this_cpu(), cost);
}

/* Work worth telling, of an operation that is too short to give way itself. */
static inline void hc_charge(int32_t cost)
{
    arch_this_cpu()->work_left -= cost;
}

/* The largest extent that d may ask memory_op for, or give back, as a power of two of frames. */
static inline unsigned int max_extent_order(const struct domain *d)
{
    return access_host(d) ? MAX_EXTENT_ORDER_DOM0 : MAX_EXTENT_ORDER;
}

/* Index made safe against speculation past a bounds check: i if i < n, else another below n. */
static inline unsigned long index_nospec(unsigned long i, unsigned long n)
{
    unsigned long mask;

    if (__builtin_constant_p(n) && (n & (n - 1)) == 0) {
        __asm__("" : "+r"(i)); /* who knows that it is below n would leave the mask out */
        return i & (n - 1);
    }
#if defined(__x86_64__)
    __asm__("cmp %2, %1; sbb %0, %0" : "=r"(mask) : "r"(i), "r"(n) : "cc");
#else
    mask = (unsigned long)-(long)(i < n);
#endif
    return i & mask;
}

/*
 * Dispatch for a caller in 64-bit mode: checks number, guest kind and privilege, calls the handler.
 * May return HC_RESTART or HC_LEFT. pv/entry.S does the same by itself for a PV guest's calls.
 */
static inline long hypercall_dispatch(struct vcpu *v, unsigned long nr, const struct hc_args *args)
{
    const struct domain *d = v->domain;
    const struct hypercall *h;

    if (__builtin_expect(nr >= NR_HYPERCALLS, 0))
        return E(ENOSYS);
    h = &hypercall_table[index_nospec(nr, NR_HYPERCALLS)];
    if (__builtin_expect(!(h->kinds[access_host(d)] & 1u << d->kind), 0))
        return h->kinds[1] & 1u << d->kind ? E(EPERM) : E(ENOSYS);
    v->cpu->counts.calls[nr]++;
    if (watching(WATCH_TRACE | WATCH_COSTS))
        return watched_hypercall(v, nr, args, h->fn);
    return h->fn(v, args);
}

/* Tools' bitmaps. Copies `bits` of map out; what the tools' buffer has beyond becomes zero. */
struct xenctl_bitmap;
long bitmap_to_guest(struct vcpu *v, const struct xenctl_bitmap *to, const unsigned long *map,
                     unsigned int bits);
/* Copies CPUs in; those beyond the tools' buffer are not in the set. */
long cpumask_from_guest(struct vcpu *v, struct cpumask *map, const struct xenctl_bitmap *from);
/* What getdomaininfo and getdomaininfolist report. */
struct xen_domctl_getdomaininfo;
void domain_report(struct domain *d, struct xen_domctl_getdomaininfo *info);

/* domctl and sysctl scheduler_op. */
struct xen_domctl_scheduler_op;
struct xen_sysctl_scheduler_op;
long domctl_scheduler(struct vcpu *v, struct domain *d, struct xen_domctl_scheduler_op *op);
long sysctl_scheduler(struct vcpu *v, struct xen_sysctl_scheduler_op *op);

/* sysctl perfc_op. */
struct xen_sysctl_perfc_op;
long sysctl_perfc(struct vcpu *v, struct xen_sysctl_perfc_op *op);

/* sysctl tbuf_op; arg: where the caller has its struct xen_sysctl. Takes the domctl lock. */
struct xen_sysctl_tbuf_op;
long sysctl_tbuf(struct vcpu *v, unsigned long arg, struct xen_sysctl_tbuf_op *op);

/* sysctl get_pmstat and pm_op. */
struct xen_sysctl_get_pmstat;
struct xen_sysctl_pm_op;
long sysctl_pmstat(struct vcpu *v, struct xen_sysctl_get_pmstat *op);
long sysctl_pm_op(struct xen_sysctl_pm_op *op);

/* The handlers, by the ABI's names (core: hc_*.c; x86: x86/pv, x86/glue). */
hc_fn hc_multicall, hc_sched_op_compat, hc_event_channel_op_compat, hc_event_channel_op,
    hc_grant_table_op, hc_sched_op, hc_vcpu_op, hc_set_timer_op, hc_xen_version, hc_console_io,
    hc_memory_op, hc_vm_assist, hc_sysctl, hc_domctl;

#endif
