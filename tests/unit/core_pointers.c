/* SPDX-License-Identifier: MIT */
/*
 * Arguments that cannot be read, or whose answers cannot be written: each call of the core says so
 * and has changed nothing. A call that does not look would go on with what its stack held.
 */
#include "core/types.h"

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#include "core/audit.h"
#include "core/evtchn_private.h"
#include "core/grant_private.h"
#include "core/hypercall.h"
#include "host/host.h"
#include "unit.h"

#define NOWHERE HOST_PAGE(HOST_GUEST_PAGES)
#define ARG HOST_PAGE(0)
#define READ_ONLY HOST_PAGE(4)        /* as where the guest changed its tables after it was read */
#define LAST_BYTES (HOST_PAGE(6) - 1) /* of d's window: one byte, and then nothing */

static struct domain *d;
static struct vcpu *v;
static const struct guest_ops *toy;
static struct guest_ops limited;

static int write_limited(struct vcpu *c, gptr_t dst, const void *src, size_t n)
{
    return dst.v >= READ_ONLY && dst.v < READ_ONLY + PAGE_SIZE ? -XEN_EFAULT
                                                               : toy->copy_to(c, dst, src, n);
}

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 2);
    d = host_domain(0, 1, 6, true);
    v = host_up(d, 0);
    toy = d->ops;
    limited = *toy;
    limited.copy_to = write_limited;
    d->ops = &limited;
}

struct op {
    unsigned int nr, cmd;
    bool in_third; /* the pointer is the third argument, the second a vCPU */
};

#define EVENT(op)                                           \
    {                                                       \
        __HYPERVISOR_event_channel_op, EVTCHNOP_##op, false \
    }
#define GRANT(op)                                         \
    {                                                     \
        __HYPERVISOR_grant_table_op, GNTTABOP_##op, false \
    }
#define MEMORY(op)                                 \
    {                                              \
        __HYPERVISOR_memory_op, XENMEM_##op, false \
    }
#define SCHED(op)                                  \
    {                                              \
        __HYPERVISOR_sched_op, SCHEDOP_##op, false \
    }
#define VCPU(op)                                \
    {                                           \
        __HYPERVISOR_vcpu_op, VCPUOP_##op, true \
    }

static const struct op ops[] = {
    EVENT(bind_interdomain),
    EVENT(bind_virq),
    EVENT(bind_pirq),
    EVENT(close),
    EVENT(send),
    EVENT(status),
    EVENT(alloc_unbound),
    EVENT(bind_ipi),
    EVENT(bind_vcpu),
    EVENT(unmask),
    EVENT(reset),
    EVENT(init_control),
    EVENT(expand_array),
    EVENT(set_priority),
    GRANT(map_grant_ref),
    GRANT(unmap_grant_ref),
    GRANT(setup_table),
    GRANT(dump_table),
    GRANT(transfer),
    GRANT(copy),
    GRANT(query_size),
    GRANT(unmap_and_replace),
    GRANT(set_version),
    GRANT(get_version),
    GRANT(swap_grant_ref),
    MEMORY(acquire_resource),
    MEMORY(current_reservation),
    MEMORY(maximum_reservation),
    MEMORY(claim_pages),
    SCHED(shutdown),
    SCHED(poll),
    SCHED(remote_shutdown),
    SCHED(shutdown_code),
    SCHED(watchdog),
    VCPU(set_periodic_timer),
    VCPU(set_singleshot_timer),
    VCPU(register_vcpu_info),
    VCPU(register_runstate_memory_area),
    VCPU(register_vcpu_time_memory_area),
};

static long call(const struct op *o, unsigned long at)
{
    host_be(v->cpu->id);
    return o->in_third ? host_call(v, o->nr, o->cmd, 0, at, 0)
                       : host_call(v, o->nr, o->cmd, at, 1, 0);
}

static unsigned int answers;

static int write_anything(struct vcpu *c, gptr_t dst, const void *src, size_t n)
{
    (void)c, (void)dst, (void)src, (void)n;
    answers++;
    return 0;
}

static void none_can_be_read(void)
{
    uint32_t ports = d->evtchn->used;
    uint64_t had = d->tot_pages;

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        long rc = call(&ops[i], NOWHERE);

        if (rc != E(EFAULT))
            printf("call %u, command %u: %ld\n", ops[i].nr, ops[i].cmd, rc);
        CHECK_EQ(rc, E(EFAULT));
        CHECK_EQ(call(&ops[i], LAST_BYTES), E(EFAULT));
    }
    CHECK(!d->was_shut_down && !d->watchdogs_on);
    CHECK_EQ(d->evtchn->used, ports);
    CHECK_EQ(d->tot_pages, had);
    CHECK_EQ(audit(), 0);
}

/* Where they cannot be written, and where they can: there a call that goes on may say that all is
 * well. */
TEST(arguments_that_cannot_be_read)
{
    none_can_be_read();
    limited.copy_to = write_anything;
    none_can_be_read();
    limited.copy_to = write_limited;
    CHECK_EQ(answers, 0);
}

static long grant_op(unsigned int cmd, unsigned long at, unsigned long n)
{
    host_be(v->cpu->id);
    return host_call(v, __HYPERVISOR_grant_table_op, cmd, at, n, 0);
}

/* A grant table's operations write their status back. */
TEST(statuses_that_cannot_be_written)
{
    static const unsigned int batches[] = {
        GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref,   GNTTABOP_transfer,
        GNTTABOP_copy,          GNTTABOP_unmap_and_replace, GNTTABOP_swap_grant_ref,
    };
    static const unsigned int others[] = { GNTTABOP_setup_table, GNTTABOP_query_size,
                                           GNTTABOP_dump_table };

    memset(host_guest(d, READ_ONLY), 0xff, PAGE_SIZE); /* nothing in it is there */
    for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
        CHECK_EQ(grant_op(batches[i], READ_ONLY, 1), E(EFAULT));
        CHECK_EQ(grant_op(batches[i], READ_ONLY, 40), E(EFAULT)); /* more than a step */
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK_EQ(grant_op(others[i], READ_ONLY, 1), E(EFAULT));
    ((struct gnttab_get_version *)host_guest(d, READ_ONLY))->dom = DOMID_SELF;
    CHECK_EQ(grant_op(GNTTABOP_get_version, READ_ONLY, 1), E(EFAULT));
    ((struct gnttab_set_version *)host_guest(d, READ_ONLY))->version = 1;
    CHECK_EQ(grant_op(GNTTABOP_set_version, READ_ONLY, 1), E(EFAULT));
    CHECK_EQ(audit(), 0);
}

/* An array that ends where nothing is: what is there is done. */
TEST(an_array_that_ends_too_early)
{
    unsigned long at = HOST_PAGE(6) - 2 * sizeof(struct gnttab_swap_grant_ref);
    struct gnttab_swap_grant_ref *op = host_guest(d, at);

    for (unsigned int i = 0; i < 2; i++)
        op[i] = (struct gnttab_swap_grant_ref){ .ref_a = 8, .ref_b = 8, .status = 99 };
    CHECK_EQ(grant_op(GNTTABOP_swap_grant_ref, at, 3), E(EFAULT));
    CHECK_EQ(op[0].status, GNTST_bad_gntref); /* no table yet */
    CHECK_EQ(op[1].status, GNTST_bad_gntref);
}

TEST(one_query_at_a_time)
{
    struct gnttab_query_size *q = host_guest(d, ARG);
    struct gnttab_setup_table *t = host_guest(d, ARG);
    struct gnttab_set_version *version = host_guest(d, ARG);

    for (unsigned long n = 0; n <= 2; n += 2) {
        *q = (struct gnttab_query_size){ .dom = DOMID_SELF, .status = 99 };
        CHECK_EQ(grant_op(GNTTABOP_query_size, ARG, n), E(EINVAL));
        CHECK_EQ(q->status, 99);
        *t = (struct gnttab_setup_table){ .dom = DOMID_SELF, .status = 99 };
        CHECK_EQ(grant_op(GNTTABOP_setup_table, ARG, n), E(EINVAL));
        CHECK_EQ(t->status, 99);
    }
    version->version = 2;
    CHECK_EQ(grant_op(GNTTABOP_set_version, ARG, 1), E(ENOSYS));
    version->version = 3;
    CHECK_EQ(grant_op(GNTTABOP_set_version, ARG, 1), E(EINVAL));
    version->version = 1;
    CHECK_EQ(grant_op(GNTTABOP_set_version, ARG, 1), 0);
    CHECK_EQ(grant_op(GNTTABOP_query_size, ARG, 1ul << 31), E(EINVAL));
}

TEST(frames_beyond_a_grant_table)
{
    CHECK_EQ(grant_frame_mfn(d, UINT32_MAX).v, MFN_NONE.v);
    CHECK_EQ(grant_frame_mfn(d, grant_max_frames(d)).v, MFN_NONE.v);
}

static long old_event_op(unsigned int cmd)
{
    struct evtchn_op *op = host_guest(d, ARG);

    *op = (struct evtchn_op){ .cmd = cmd };
    op->u.status.dom = DOMID_SELF;
    host_be(v->cpu->id);
    return hc_event_channel_op_compat(v, &HC_ARGS(ARG, 0));
}

TEST(old_event_calls)
{
    CHECK_EQ(old_event_op(EVTCHNOP_status), 0);
    CHECK_EQ(old_event_op(EVTCHNOP_reset), E(ENOSYS)); /* younger than that number */
    CHECK_EQ(hc_event_channel_op_compat(v, &HC_ARGS(NOWHERE, 0)), E(EFAULT));
}

TEST(events_of_vcpus_that_nobody_has)
{
    struct evtchn_bind_vcpu *to = host_guest(d, ARG);
    struct evtchn_bind_virq *virq = host_guest(d, ARG);
    evtchn_port p, q;

    CHECK_EQ(evtchn_alloc_unbound(d, 0, &p), 0);
    *to = (struct evtchn_bind_vcpu){ .port = p, .vcpu = MAX_VCPUS };
    CHECK_EQ(host_call(v, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_vcpu, ARG, 0, 0), E(ENOENT));
    to->vcpu = d->max_vcpus;
    CHECK_EQ(host_call(v, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_vcpu, ARG, 0, 0), E(ENOENT));
    CHECK_EQ(evtchn_close(d, p), 0);
    CHECK(!evtchn_virq_bound(d, VIRQ_DEBUGGER));
    *virq = (struct evtchn_bind_virq){ .virq = VIRQ_DEBUGGER };
    CHECK_EQ(host_call(v, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, ARG, 0, 0), 0);
    q = virq->port;
    CHECK(evtchn_virq_bound(d, VIRQ_DEBUGGER));
    CHECK_EQ(host_call(v, __HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, ARG, 0, 0), E(EEXIST));
    CHECK_EQ(evtchn_close(d, q), 0);
}

static long memory_op(unsigned int cmd)
{
    host_be(v->cpu->id);
    return host_call(v, __HYPERVISOR_memory_op, cmd, ARG, 0, 0);
}

/* Lists that no address space holds. */
TEST(extents_beyond_all_memory)
{
    struct xen_memory_reservation *r = host_guest(d, ARG);
    uint64_t had = d->tot_pages;

    *r = (struct xen_memory_reservation){ .nr_extents = (1ul << 40) + 1, .domid = DOMID_SELF };
    r->extent_start.p = (void *)HOST_PAGE(1);
    CHECK_EQ(memory_op(XENMEM_increase_reservation), 0);
    *r = (struct xen_memory_reservation){ .nr_extents = 4, .domid = DOMID_SELF };
    r->extent_start.p = (void *)-16ul;
    CHECK_EQ(memory_op(XENMEM_increase_reservation), 0);
    CHECK_EQ(d->tot_pages, had);
}

TEST(resources_of_nothing)
{
    struct xen_mem_acquire_resource *r = host_guest(d, ARG), good = {
        .domid = 0,
        .type = XENMEM_resource_grant_table,
        .nr_frames = 1,
    };

    good.frame_list.p = (void *)HOST_PAGE(1);
    *r = good;
    CHECK_EQ(memory_op(XENMEM_acquire_resource), 0);
    *r = good;
    r->pad = 1;
    CHECK_EQ(memory_op(XENMEM_acquire_resource), E(EINVAL));
    *r = good;
    r->frame_list.p = NULL;
    CHECK_EQ(memory_op(XENMEM_acquire_resource), E(EINVAL));
    *r = good;
    r->frame = MAX_GRANT_FRAMES + 1;
    CHECK_EQ(memory_op(XENMEM_acquire_resource), E(EINVAL));
    *r = good;
    r->nr_frames = 0;
    r->frame_list.p = NULL;
    CHECK_EQ(memory_op(XENMEM_acquire_resource), 0);
    CHECK_EQ(r->nr_frames, grant_max_frames(d));
}

TEST(a_list_of_calls_that_wraps_around)
{
    host_be(v->cpu->id);
    CHECK_EQ(host_call(v, __HYPERVISOR_multicall, -64ul, 4, 0, 0), E(EFAULT));
}
