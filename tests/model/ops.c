/* SPDX-License-Identifier: MIT */
#include "model/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/domctl.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#include "core/evtchn.h"
#include "core/gfn.h"
#include "core/grant.h"
#include "core/hypercall.h"
#include "core/parked.h"

struct domain *model_dom[MODEL_DOMAINS];
__thread char model_last[160];

void model_setup(void)
{
    host_mixed = true;
    for (unsigned int i = 0; i < MODEL_DOMAINS; i++) {
        model_dom[i] = host_domain((domid_t)i, MODEL_VCPUS, MODEL_PAGES, i == 0);
        model_dom[i]->max_pages = 200;
        grant_frame_mfn(model_dom[i], 0);
        for (unsigned int v = 0; v < MODEL_VCPUS; v++)
            host_up(model_dom[i], v);
    }
}

/* --- values that hurt --- */

static uint64_t odd_number(struct rng *r)
{
    static const uint64_t odd[] = {
        0,    1,      7,      8,      63,         64,         511,         512,        4095,
        4096, 0x7ff0, 0x7ff1, 0x7fff, 0x80000000, 0xffffffff, 0x100000000, 1ull << 63, ~0ull
    };

    return odd[rng_below(r, ARRAY_SIZE(odd))];
}

static uint32_t small(struct rng *r, unsigned int n)
{
    return rng_below(r, 16) == 0 ? (uint32_t)odd_number(r) : (uint32_t)rng_below(r, n);
}

static domid_t some_dom(struct rng *r)
{
    switch (rng_below(r, 8)) {
    case 0:
        return (domid_t)odd_number(r);
    case 1:
    case 2:
    case 3:
        return DOMID_SELF;
    default:
        return (domid_t)rng_below(r, MODEL_DOMAINS);
    }
}

static uint64_t some_mfn(struct rng *r, struct domain *self)
{
    struct domain *other = model_dom[rng_below(r, MODEL_DOMAINS)];

    switch (rng_below(r, 8)) {
    case 0:
        return odd_number(r);
    case 1:
        return other->shared_mfn.v;
    case 2:
        return rng_below(r, max_mfn);
    case 3:
        return host_guest_gfn(other, (unsigned int)rng_below(r, MODEL_PAGES));
    default:
        return host_guest_gfn(self, (unsigned int)rng_below(r, MODEL_PAGES));
    }
}

/* An address for arguments: mostly in the last page of the window. */
static uint64_t some_arg(struct rng *r)
{
    switch (rng_below(r, 12)) {
    case 0:
        return odd_number(r);
    case 1:
        return HOST_PAGE(MODEL_PAGES) - 1 - rng_below(r, 64); /* over the end */
    case 2:
        return HOST_PAGE(MODEL_PAGES - 1) - rng_below(r, 64); /* across pages */
    default:
        return HOST_PAGE(MODEL_PAGES - 1) + 8 * rng_below(r, 64);
    }
}

static void put(struct vcpu *v, uint64_t at, const void *p, size_t n)
{
    (void)guest_write(v, GPTR(at), p, n);
}

#define NOTE(...) snprintf(model_last, sizeof(model_last), __VA_ARGS__)

/* --- the calls --- */

static long do_evtchn(struct vcpu *v, struct rng *r)
{
    uint32_t cmd = rng_below(r, 4) ? small(r, 10) : small(r, 14), w[6];
    uint64_t arg = some_arg(r);

    for (int i = 0; i < 6; i++)
        w[i] = small(r, 24);
    if (cmd == EVTCHNOP_init_control || cmd == EVTCHNOP_expand_array) {
        uint64_t gfn = some_mfn(r, v->domain);

        memcpy(w, &gfn, sizeof(gfn));
        w[2] = rng_below(r, 4) ? 8 * (uint32_t)rng_below(r, 503) : w[2];
        w[3] = small(r, MODEL_VCPUS);
    } else if (rng_below(r, 2)) { /* the two domain ids in front of some */
        domid_t ids[2] = { some_dom(r), some_dom(r) };

        memcpy(w, ids, sizeof(ids));
    }
    put(v, arg, w, sizeof(w));
    NOTE("d%uv%u event_channel_op(%u, %#lx {%u %u %u})", v->domain->id, v->id, cmd, arg, w[0], w[1],
         w[2]);
    return host_call(v, __HYPERVISOR_event_channel_op, cmd, arg, 0, 0);
}

BY_GUEST static void write_grant(struct vcpu *v, struct rng *r)
{
    struct grant_entry_v1 *table = arch_map(grant_frame_mfn(v->domain, 0));
    unsigned int ref = (unsigned int)rng_below(r, 12);
    uint32_t head = (uint32_t)rng_below(r, 64) | (uint32_t)rng_below(r, MODEL_DOMAINS) << 16;

    if (rng_below(r, 2))
        head = GTF_permit_access | (uint32_t)rng_below(r, MODEL_DOMAINS) << 16;
    __atomic_store_n(&table[ref].frame, (uint32_t)some_mfn(r, v->domain), __ATOMIC_RELAXED);
    __atomic_store_n((uint32_t *)(void *)&table[ref], head, __ATOMIC_RELEASE);
}

static void fill_grant_op(struct vcpu *v, struct rng *r, uint32_t cmd, uint64_t arg)
{
    union {
        struct gnttab_map_grant_ref map;
        struct gnttab_unmap_grant_ref unmap;
        struct gnttab_copy copy;
        struct gnttab_setup_table setup;
        struct gnttab_swap_grant_ref swap;
        struct gnttab_transfer transfer;
    } op;

    for (int i = 0; i < 4; i++, arg += sizeof(op.map)) {
        memset(&op, 0, sizeof(op));
        switch (cmd) {
        case GNTTABOP_map_grant_ref:
            op.map.host_addr = 0x40000000 + (rng_below(r, 8) == 0);
            op.map.flags = (uint32_t)rng_below(r, 32);
            op.map.ref = small(r, 12);
            op.map.dom = some_dom(r);
            break;
        case GNTTABOP_unmap_grant_ref:
        case GNTTABOP_unmap_and_replace:
            op.unmap.host_addr = rng_below(r, 3) * 0x40000000;
            op.unmap.dev_bus_addr = rng_below(r, 2) ? some_mfn(r, v->domain) << PAGE_SHIFT : 0;
            op.unmap.handle = small(r, 20);
            break;
        case GNTTABOP_copy:
            op.copy.flags = (uint16_t)rng_below(r, 5);
            op.copy.source.domid = some_dom(r);
            op.copy.dest.domid = some_dom(r);
            op.copy.source.u.gmfn = op.copy.flags & 1 ? small(r, 12) : some_mfn(r, v->domain);
            op.copy.dest.u.gmfn = op.copy.flags & 2 ? small(r, 12) : some_mfn(r, v->domain);
            op.copy.source.offset = (uint16_t)small(r, 4096);
            op.copy.dest.offset = (uint16_t)small(r, 4096);
            op.copy.len = (uint16_t)small(r, 128);
            break;
        case GNTTABOP_transfer:
            op.transfer.mfn = rng_below(r, max_mfn);
            op.transfer.domid = some_dom(r);
            op.transfer.ref = small(r, 12);
            break;
        case GNTTABOP_swap_grant_ref:
            op.swap.ref_a = small(r, 12);
            op.swap.ref_b = small(r, 12);
            break;
        default:
            op.setup.dom = some_dom(r);
            op.setup.nr_frames = small(r, 4);
            op.setup.frame_list.p = (void *)some_arg(r);
            break;
        }
        put(v, arg, &op, sizeof(op));
    }
}

static long do_grant(struct vcpu *v, struct rng *r)
{
    static const uint8_t usual[] = { GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref,
                                     GNTTABOP_copy, GNTTABOP_unmap_and_replace };
    uint32_t cmd = rng_below(r, 4) ? usual[rng_below(r, 4)] : small(r, 14);
    uint64_t arg = some_arg(r), n = rng_below(r, 8) ? 1 + rng_below(r, 4) : odd_number(r);

    if (rng_below(r, 2))
        write_grant(v, r);
    fill_grant_op(v, r, cmd, arg);
    if (n > 100) /* a list that long runs into the end of the window */
        n = 100;
    NOTE("d%uv%u grant_table_op(%u, %#lx, %lu)", v->domain->id, v->id, cmd, arg, n);
    return host_call(v, __HYPERVISOR_grant_table_op, cmd, arg, n, 0);
}

static long do_memory(struct vcpu *v, struct rng *r)
{
    struct xen_memory_reservation res = { 0 };
    uint64_t arg = some_arg(r), list = some_arg(r);
    unsigned long cmd = rng_below(r, 4) ? rng_below(r, 7) : odd_number(r);

    /* Pages of the window stay: the toy's own bookkeeping holds them. */
    for (unsigned int i = 0; i < 8; i++) {
        uint64_t mfn = cmd % 64 == XENMEM_decrease_reservation ? rng_below(r, max_mfn)
                       : rng_below(r, 2)                       ? rng_below(r, HOST_GFNS + 8)
                                                               : rng_next(r);

        put(v, list + 8 * i, &mfn, sizeof(mfn));
    }
    res.extent_start.p = (void *)list;
    res.nr_extents = rng_below(r, 8) ? rng_below(r, 12) : odd_number(r);
    res.extent_order = rng_below(r, 4) ? 0 : (unsigned int)small(r, 6);
    res.mem_flags = rng_below(r, 4) ? 0 : (unsigned int)rng_next(r);
    res.domid = some_dom(r);
    put(v, arg, &res, sizeof(res));
    NOTE("d%uv%u memory_op(%#lx, %#lx {n %lu order %u dom %u})", v->domain->id, v->id, cmd, arg,
         (unsigned long)res.nr_extents, res.extent_order, res.domid);
    return host_call(v, __HYPERVISOR_memory_op, cmd, arg, 0, 0);
}

static long do_vcpu(struct vcpu *v, struct rng *r)
{
    uint32_t cmd = small(r, 15), id = small(r, MODEL_VCPUS);
    uint64_t arg = some_arg(r), w[3] = { rng_next(r) % 1000000000, 0, 0 };

    if (cmd == VCPUOP_register_vcpu_info) {
        w[0] = some_mfn(r, v->domain);
        w[1] = small(r, 4096) & ~7ull;
    } else if (cmd == VCPUOP_register_runstate_memory_area ||
               cmd == VCPUOP_register_vcpu_time_memory_area) {
        w[0] = some_arg(r);
    }
    if (cmd == VCPUOP_down) /* some have to go on */
        cmd = VCPUOP_is_up;
    put(v, arg, w, sizeof(w));
    NOTE("d%uv%u vcpu_op(%u, %u, %#lx {%#lx %#lx})", v->domain->id, v->id, cmd, id, arg, w[0],
         w[1]);
    return host_call(v, __HYPERVISOR_vcpu_op, cmd, id, arg, 0);
}

static long do_sched(struct vcpu *v, struct rng *r)
{
    uint32_t cmd = small(r, 9);
    struct sched_poll poll = { .nr_ports = small(r, 3), .timeout = rng_next(r) % 100000 };
    uint64_t arg = some_arg(r), ports = some_arg(r);

    if (cmd == SCHEDOP_shutdown || cmd == SCHEDOP_remote_shutdown)
        cmd = SCHEDOP_yield;
    for (int i = 0; i < 3; i++) {
        uint32_t port = small(r, 24);

        put(v, ports + 4 * i, &port, sizeof(port));
    }
    poll.ports.p = (void *)ports;
    if (cmd == SCHEDOP_watchdog) {
        uint32_t w[2] = { small(r, 3), 1000000 };

        put(v, arg, w, sizeof(w));
    } else {
        put(v, arg, &poll, sizeof(poll));
    }
    NOTE("d%uv%u sched_op(%u, %#lx)", v->domain->id, v->id, cmd, arg);
    return host_call(v, __HYPERVISOR_sched_op, cmd, arg, 0, 0);
}

static long do_control(struct vcpu *v, struct rng *r)
{
    uint8_t bytes[256];
    uint64_t arg = HOST_PAGE(MODEL_PAGES - 1);
    bool sys = rng_below(r, 2);
    struct xen_sysctl *s = (void *)bytes;
    struct xen_domctl *c = (void *)bytes;

    for (unsigned int i = 0; i < sizeof(bytes); i++)
        bytes[i] = rng_below(r, 3) ? 0 : (uint8_t)rng_next(r);
    if (sys) {
        s->cmd = small(r, 30);
        s->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
        if (s->cmd == XEN_SYSCTL_debug_keys) /* 'R' would end the machine */
            s->cmd = XEN_SYSCTL_sched_id;
    } else {
        c->cmd = small(r, 90);
        c->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
        c->domain = (domid_t)rng_below(r, MODEL_DOMAINS);
        if (c->cmd == XEN_DOMCTL_pausedomain || c->cmd == XEN_DOMCTL_max_mem ||
            c->cmd == XEN_DOMCTL_destroydomain)
            c->cmd = XEN_DOMCTL_getdomaininfo;
    }
    put(v, arg, bytes, sizeof(bytes));
    NOTE("d%uv%u %s(cmd %u)", v->domain->id, v->id, sys ? "sysctl" : "domctl", s->cmd);
    return host_call(v, sys ? __HYPERVISOR_sysctl : __HYPERVISOR_domctl, arg, 0, 0, 0);
}

/* A list of calls as they come, some of them multicalls. */
static long do_multicall(struct vcpu *v, struct rng *r)
{
    static const uint8_t calls[] = {
        __HYPERVISOR_event_channel_op, __HYPERVISOR_grant_table_op, __HYPERVISOR_vcpu_op,
        __HYPERVISOR_xen_version,      __HYPERVISOR_multicall,      __HYPERVISOR_set_timer_op,
        __HYPERVISOR_console_io,       __HYPERVISOR_vm_assist,      41
    };
    uint64_t arg = HOST_PAGE(0);
    unsigned int n = (unsigned int)rng_below(r, 20);
    struct multicall_entry e;

    for (unsigned int i = 0; i < n; i++) {
        memset(&e, 0, sizeof(e));
        e.op = calls[rng_below(r, ARRAY_SIZE(calls))];
        e.args[0] = small(r, 14);
        e.args[1] = e.op == __HYPERVISOR_vcpu_op ? rng_below(r, 2) : some_arg(r);
        e.args[2] = e.op == __HYPERVISOR_vcpu_op ? some_arg(r) : 1;
        if (e.op == __HYPERVISOR_vcpu_op && e.args[0] == VCPUOP_down)
            e.args[0] = VCPUOP_up;
        if (e.op == __HYPERVISOR_set_timer_op)
            e.args[0] = arch_now() + rng_below(r, 100000);
        if (e.op == __HYPERVISOR_console_io) {
            e.args[0] = CONSOLEIO_read;
            e.args[1] = 16;
        }
        put(v, arg + i * sizeof(e), &e, sizeof(e));
    }
    NOTE("d%uv%u multicall(%u)", v->domain->id, v->id, n);
    return host_call(v, __HYPERVISOR_multicall, arg, n, 0, 0);
}

static long do_garbage(struct vcpu *v, struct rng *r)
{
    uint64_t nr = rng_below(r, 64), a[4];

    for (int i = 0; i < 4; i++)
        a[i] = rng_below(r, 2) ? odd_number(r) : rng_next(r);
    if (nr == __HYPERVISOR_sched_op || nr == __HYPERVISOR_multicall || nr == __HYPERVISOR_vcpu_op)
        nr = __HYPERVISOR_xen_version;
    NOTE("d%uv%u hypercall %lu(%#lx, %#lx, %#lx)", v->domain->id, v->id, nr, a[0], a[1], a[2]);
    return host_call(v, nr, a[0], a[1], a[2], a[3]);
}

/* Pages of words and control blocks, if they are: rubbish, or what a guest does when it takes one.
 */
BY_GUEST static void change_word(struct vcpu *v, struct rng *r, unsigned int port)
{
    uint64_t page = HOST_PAGE(rng_below(r, MODEL_PAGES - 1));
    event_word_t *w = (event_word_t *)host_guest(v->domain, page) + port;

    switch (rng_below(r, 4)) {
    case 0:
        __atomic_store_n(w, rng_next(r) & 0xf000001f, __ATOMIC_RELAXED);
        break;
    case 1:
        __atomic_store_n(w + 8 * rng_below(r, 120), rng_next(r), __ATOMIC_RELAXED);
        break;
    default:
        __atomic_fetch_and(w,
                           ~(1u << EVTCHN_FIFO_LINKED | EVTCHN_FIFO_LINK_MASK |
                             (uint32_t)rng_below(r, 4) << EVTCHN_FIFO_MASKED),
                           __ATOMIC_SEQ_CST);
    }
}

/* What a guest does by itself: take its events, change its masks. */
BY_GUEST static void guest_work(struct vcpu *v, struct rng *r)
{
    struct shared_info *s = v->domain->shared;
    unsigned int port = (unsigned int)rng_below(r, 24);

    change_word(v, r, port);

    __atomic_store_n(&v->info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&v->info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
    bit_clear(s->evtchn_pending, port);
    if (rng_below(r, 3) == 0)
        bit_set(s->evtchn_mask, port);
    else
        bit_clear(s->evtchn_mask, port);
    if (rng_below(r, 8) == 0)
        vcpu_set_upcall_mask(v, (uint8_t)rng_below(r, 2));
}

long model_step(struct vcpu *v, uint64_t word)
{
    struct rng r = { word };

    if (rng_below(&r, 3) == 0)
        guest_work(v, &r);
    switch (rng_below(&r, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
        return do_evtchn(v, &r);
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
        return do_grant(v, &r);
    case 9:
        return do_vcpu(v, &r);
    case 10:
    case 11:
        return do_memory(v, &r);
    case 12:
        return do_sched(v, &r);
    case 13:
        return do_control(v, &r);
    case 14:
        return do_multicall(v, &r);
    default:
        return do_garbage(v, &r);
    }
}

/* The pages beyond the window, which memory_op gave. */
static void drop_pages(struct domain *d)
{
    uint32_t m = d->page_list;

    while (m) {
        uint32_t next = frame_table[m].next;
        bool window = false;

        for (unsigned int i = 0; i < MODEL_PAGES; i++)
            window |= host_guest_mfn(d, i).v == m;
        if (!window)
            gfn_remove(d, GFN(gfn_of(d, MFN(m))), 0);
        m = next;
    }
}

void model_teardown(void)
{
    for (unsigned int i = 0; i < MODEL_DOMAINS; i++) {
        while (parked_drop(model_dom[i]))
            ;
        while (grant_teardown(model_dom[i]))
            ;
        while (evtchn_teardown(model_dom[i]))
            ;
        domain_drop_infos(model_dom[i]);
    }
    for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
        drop_pages(model_dom[i]);
}
