/* SPDX-License-Identifier: MIT */
/* What the core refuses and no other test meets, refusal by refusal: see tests/model/refusals. */
#include "core/types.h"

#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#include "core/audit.h"
#include "core/console.h"
#include "core/evtchn_private.h"
#include "core/grant_private.h"
#include "core/hypercall.h"
#include "host/host.h"
#include "host/step.h"
#include "unit.h"

#define ARG HOST_PAGE(0)
#define READ_ONLY HOST_PAGE(4) /* of d: as where the guest changed its tables after it was read */
#define NOWHERE HOST_PAGE(HOST_GUEST_PAGES)

static struct domain *d, *e; /* Dom0 and a guest of two vCPUs */
static struct vcpu *v, *w;

static const struct guest_ops *toy;
static struct guest_ops limited;

static unsigned int at_the_end; /* how often the last page of all was used */

static int write_limited(struct vcpu *c, gptr_t dst, const void *src, size_t n)
{
    if (dst.v >= -4096ul) { /* memory without an end, for lists that wrap around */
        at_the_end++;
        return 0;
    }
    return dst.v >= READ_ONLY && dst.v < READ_ONLY + PAGE_SIZE ? -XEN_EFAULT
                                                               : toy->copy_to(c, dst, src, n);
}

static int read_end(struct vcpu *c, void *dst, gptr_t src, size_t n)
{
    if (src.v < -4096ul)
        return toy->copy_from(c, dst, src, n);
    at_the_end++;
    memset(dst, 0, n);
    return 0;
}

static int write_anything(struct vcpu *c, gptr_t dst, const void *src, size_t n)
{
    (void)c, (void)dst, (void)src, (void)n;
    return 0;
}

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 2);
    d = host_domain(0, 1, 6, true);
    e = host_domain(1, 2, 4, false);
    v = host_up(d, 0);
    w = host_up(e, 0);
    toy = d->ops;
    limited = *toy;
    limited.copy_to = write_limited;
    limited.copy_from = read_end;
    d->ops = &limited;
}

static long call(struct vcpu *c, unsigned long nr, unsigned long a0, unsigned long a1,
                 unsigned long a2)
{
    host_be(c->cpu->id);
    return host_call(c, nr, a0, a1, a2, 0);
}

static long event_op(unsigned int cmd, unsigned long arg)
{
    return call(v, __HYPERVISOR_event_channel_op, cmd, arg, 0);
}

static long memory_op(unsigned int cmd, unsigned long arg)
{
    return call(v, __HYPERVISOR_memory_op, cmd, arg, 0);
}

/* --- event channels --- */

TEST(no_memory_for_a_domains_records)
{
    static struct domain none;
    struct evtchn **chunks = e->evtchn->chunks;

    host_fail_every = 1;
    CHECK_EQ(evtchn_init(&none), -XEN_ENOMEM);
    CHECK_EQ(grant_init(&none), -XEN_ENOMEM);
    CHECK_EQ(evtchn_set_limit(e, 100000), -XEN_ENOMEM);
    host_fail_every = 0;
    CHECK(e->evtchn->chunks == chunks);
    CHECK_EQ(evtchn_ports(e), 4096);
}

/* A domain's vCPUs come one by one while it is built. */
TEST(ports_of_absent_vcpus)
{
    struct vcpu *first = e->vcpu[0], *second = e->vcpu[1];
    evtchn_port p, q = 0;

    CHECK_EQ(evtchn_alloc_unbound(e, 0, &p), 0);
    e->vcpu[1] = NULL;
    CHECK_EQ(evtchn_bind_ipi(e, 1, &q), -XEN_ENOENT);
    CHECK_EQ(evtchn_bind_virq(e, VIRQ_TIMER, 1, &q), -XEN_ENOENT);
    CHECK_EQ(evtchn_bind_vcpu(e, p, 1), -XEN_ENOENT);
    CHECK_EQ(q, 0);
    e->vcpu[1] = second;
    e->vcpu[0] = NULL;
    CHECK(!evtchn_virq_bound(e, VIRQ_CONSOLE));
    e->vcpu[0] = first;
    CHECK_EQ(evtchn_close(e, p), 0);
}

/* As between two steps of its end. */
TEST(no_ports_of_the_dying)
{
    uint64_t gfn = host_guest_gfn(e, 2);
    evtchn_port p, q = 0;

    CHECK_EQ(evtchn_alloc_unbound(e, 0, &p), 0);
    e->evtchn->closed = true;
    CHECK_EQ(evtchn_alloc_unbound(e, 0, &q), -XEN_EINVAL);
    CHECK_EQ(evtchn_bind_interdomain(d, e, p, &q), -XEN_EINVAL);
    CHECK_EQ(evtchn_init_control(e, 0, gfn, 0), -XEN_EINVAL);
    CHECK_EQ(q, 0);
    CHECK(!evtchn_is_fifo(e));
    e->evtchn->closed = false;
    CHECK_EQ(evtchn_init_control(e, 0, gfn, 0), 0);
    e->evtchn->closed = true;
    CHECK_EQ(evtchn_expand_array(e, gfn), -XEN_EOPNOTSUPP);
    e->evtchn->closed = false;
    while (evtchn_reset(e, true) == -XEN_EAGAIN)
        ;
    CHECK_EQ(audit(), 0);
}

/* A port of the hypervisor's is none of the domain's. */
TEST(ports_that_the_hypervisor_listens_to)
{
    evtchn_port p;

    CHECK_EQ(evtchn_alloc_hv(e, 0, 0, &p), 0);
    CHECK(evtchn_is_hv(e, p));
    CHECK_EQ(evtchn_unmask(e, p), -XEN_EINVAL);
    CHECK_EQ(evtchn_set_priority(e, p, 3), -XEN_EINVAL);
    CHECK_EQ(evtchn_close(e, p), 0);
}

static struct guest_ops resetting;

/* While a call looks for its page, the domain's other vCPU goes back to two levels. */
static int reset_and_get(struct domain *c, gfn_t gfn, unsigned int access, struct frame **f)
{
    CHECK_EQ(access, GFN_WRITE | GFN_MAP);
    while (evtchn_reset(c, true) == -XEN_EAGAIN)
        ;
    *f = frame_of(MFN(gfn.v));
    return frame_get_typed(*f, c, FT_WRITABLE);
}

TEST(fifo_pages_after_a_reset)
{
    const struct guest_ops *ops = e->ops;

    CHECK_EQ(evtchn_init_control(e, 0, host_guest_gfn(e, 2), 0), 0);
    resetting = *ops;
    resetting.gfn_get = reset_and_get;
    e->ops = &resetting;
    CHECK_EQ(evtchn_expand_array(e, host_guest_mfn(e, 3).v), -XEN_EOPNOTSUPP);
    e->ops = ops;
    CHECK(!evtchn_is_fifo(e));
    CHECK_EQ(e->evtchn->nr_pages, 0);
    CHECK_EQ(audit(), 0);
}

TEST(fifo_pages_are_limited)
{
    uint64_t gfn = host_guest_gfn(e, 2);

    CHECK_EQ(evtchn_init_control(e, 0, gfn, 0), 0);
    for (unsigned int i = 0; i < MAX_WORD_PAGES; i++)
        CHECK_EQ(evtchn_expand_array(e, gfn), 0);
    CHECK_EQ(evtchn_expand_array(e, gfn), -XEN_ENOSPC);
    CHECK_EQ(e->evtchn->nr_pages, MAX_WORD_PAGES);
    while (evtchn_reset(e, true) == -XEN_EAGAIN)
        ;
    CHECK_EQ(audit(), 0);
}

/* Events for a vCPU that has no control block, or is not there, or is not any more. */
TEST(fifo_events_without_a_queue)
{
    struct vcpu *second = e->vcpu[1];
    event_word_t *words = host_guest(e, HOST_PAGE(3));
    evtchn_port p = 0;

    memset(words, 0, PAGE_SIZE);
    CHECK_EQ(evtchn_init_control(e, 0, host_guest_gfn(e, 2), 0), 0);
    CHECK_EQ(evtchn_expand_array(e, host_guest_gfn(e, 3)), 0);
    CHECK_EQ(evtchn_bind_ipi(e, 1, &p), 0);
    host_be(0);
    CHECK_EQ(evtchn_send(w, p), 0);
    CHECK_EQ(words[p], 1u << EVTCHN_FIFO_PENDING);
    CHECK(evtchn_is_pending(e, p) && !evtchn_is_masked(e, p));
    CHECK(!evtchn_is_pending(e, 4000));
    words[p] = 1u << EVTCHN_FIFO_MASKED;
    CHECK(!evtchn_is_pending(e, p));
    e->vcpu[1] = NULL; /* the port's vCPU */
    CHECK_EQ(evtchn_send(w, p), 0);
    CHECK_EQ(evtchn_unmask(e, p), 0);
    CHECK(!evtchn_is_masked(e, p));
    CHECK_EQ(words[p], 1u << EVTCHN_FIFO_MASKED);
    e->vcpu[1] = second;
    CHECK_EQ(evtchn_close(e, p), 0);

    words[p] = 0;
    CHECK_EQ(evtchn_init_control(e, 1, host_guest_gfn(e, 2), 1024), 0);
    CHECK_EQ(evtchn_alloc_unbound(e, 0, &p), 0);
    CHECK_EQ(evtchn_bind_vcpu(e, p, 1), 0);
    evtchn_fifo_raise(e, port_of(e, p), p);
    CHECK(words[p] & 1u << EVTCHN_FIFO_LINKED);
    words[p] = 1u << EVTCHN_FIFO_MASKED;
    CHECK_EQ(evtchn_bind_vcpu(e, p, 0), 0);
    e->vcpu[1] = NULL; /* the vCPU in whose queue the port was */
    evtchn_fifo_raise(e, port_of(e, p), p);
    CHECK_EQ(evtchn_unmask(e, p), 0);
    CHECK_EQ(words[p], 1u << EVTCHN_FIFO_MASKED);
    e->vcpu[1] = second;
    CHECK_EQ(evtchn_close(e, p), 0);
    while (evtchn_reset(e, true) == -XEN_EAGAIN)
        ;
    CHECK_EQ(audit(), 0);
}

/* Behind the bitmaps of the 2-level form, where the other form had ports. */
TEST(two_levels_have_fewer_ports)
{
    struct evtchn **chunk = &e->evtchn->chunks[MAX_EVTCHNS_2L / PORTS_PER_CHUNK];
    unsigned long mask = e->shared->evtchn_mask[0];

    CHECK_EQ(evtchn_set_limit(e, 65535), 0);
    *chunk = frame_alloc_hv();
    CHECK_EQ(evtchn_unmask(e, MAX_EVTCHNS_2L + 5), -XEN_EINVAL);
    e->shared->evtchn_mask[0] = ~0ul; /* what lies behind the bits of pending ports */
    CHECK(!evtchn_is_pending(e, MAX_EVTCHNS_2L + 5));
    e->shared->evtchn_mask[0] = mask;
    CHECK_EQ(audit(), 0);
}

/* The port that a guest cannot be told is not left open. */
TEST(event_ops_answer_into_a_page_that_cannot_be_written)
{
    uint8_t *arg = host_guest(d, READ_ONLY);
    uint32_t used = d->evtchn->used;
    evtchn_port p;

    memset(arg, 0, PAGE_SIZE);
    ((struct evtchn_alloc_unbound *)(void *)arg)->dom = DOMID_SELF;
    CHECK_EQ(event_op(EVTCHNOP_alloc_unbound, READ_ONLY), E(EFAULT));
    CHECK_EQ(d->evtchn->used, used);
    CHECK_EQ(evtchn_alloc_unbound(e, d->id, &p), 0);
    *(struct evtchn_bind_interdomain *)(void *)arg = (struct evtchn_bind_interdomain){
        .remote_dom = e->id, .remote_port = p
    };
    CHECK_EQ(event_op(EVTCHNOP_bind_interdomain, READ_ONLY), E(EFAULT));
    CHECK_EQ(d->evtchn->used, used);
    CHECK_EQ(evtchn_close(e, p), 0);
    memset(arg, 0, PAGE_SIZE);
    ((struct evtchn_status *)(void *)arg)->dom = DOMID_SELF;
    CHECK_EQ(event_op(EVTCHNOP_status, READ_ONLY), E(EFAULT));
    *(struct evtchn_init_control *)(void *)arg = (struct evtchn_init_control){
        .control_gfn = host_guest_gfn(d, 3)
    };
    CHECK_EQ(event_op(EVTCHNOP_init_control, READ_ONLY), E(EFAULT));
    while (evtchn_reset(d, true) == -XEN_EAGAIN)
        ;
    CHECK_EQ(audit(), 0);
}

/* --- memory --- */

TEST(reservations_of_impossible_lists)
{
    struct xen_memory_reservation *r = host_guest(d, ARG);
    uint64_t had = d->tot_pages;

    *r = (struct xen_memory_reservation){ .nr_extents = 4, .domid = 77 };
    r->extent_start.p = (void *)-16ul; /* refused before the domain is looked for */
    CHECK_EQ(memory_op(XENMEM_increase_reservation, ARG), 0);
    r->domid = DOMID_SELF; /* nor are those done that come before its end */
    CHECK_EQ(memory_op(XENMEM_increase_reservation, ARG), 0);
    CHECK_EQ(d->tot_pages, had);
    *r = (struct xen_memory_reservation){ .domid = 1, .extent_start.p = (void *)8 };
    CHECK_EQ(memory_op(XENMEM_claim_pages, ARG), E(EINVAL));
    *r = (struct xen_memory_reservation){ .domid = 1, .extent_order = 1 };
    CHECK_EQ(memory_op(XENMEM_claim_pages, ARG), E(EINVAL));
    *r = (struct xen_memory_reservation){ .domid = 1, .mem_flags = 1 };
    CHECK_EQ(memory_op(XENMEM_claim_pages, ARG), E(EINVAL));
    *r = (struct xen_memory_reservation){ .domid = 1, .nr_extents = e->tot_pages + 1 };
    CHECK_EQ(memory_op(XENMEM_claim_pages, ARG), 0);
    r->nr_extents = 0;
    CHECK_EQ(memory_op(XENMEM_claim_pages, ARG), 0);
}

static int no_frame(struct domain *c, gfn_t gfn, unsigned int access, struct frame **f)
{
    (void)c, (void)gfn, (void)access, (void)f;
    return -XEN_EINVAL;
}

TEST(resources)
{
    struct xen_mem_acquire_resource *r = host_guest(d, ARG), good = { .domid = 1, .nr_frames = 1 };

    good.frame_list.p = (void *)HOST_PAGE(1);
    *r = good;
    r->id = XENMEM_resource_grant_table_id_shared;
    r->type = XENMEM_resource_grant_table;
    good = *r;
    CHECK_EQ(memory_op(XENMEM_acquire_resource, ARG), 0);
    r->nr_frames = MAX_GRANT_FRAMES + 1;
    CHECK_EQ(memory_op(XENMEM_acquire_resource, ARG), E(E2BIG));
    *r = good;
    r->frame_list.p = (void *)NOWHERE;
    CHECK_EQ(memory_op(XENMEM_acquire_resource, ARG), E(EFAULT));
    r->nr_frames = 2;
    r->frame_list.p = (void *)-8ul;
    CHECK_EQ(memory_op(XENMEM_acquire_resource, ARG), E(EFAULT));
    *r = good;
    r->domid = 77;
    CHECK_EQ(memory_op(XENMEM_acquire_resource, ARG), E(ESRCH));
    *r = good;
    r->type = XENMEM_resource_vmtrace_buf;
    CHECK_EQ(memory_op(XENMEM_acquire_resource, ARG), E(EOPNOTSUPP));
    *r = good;
    r->id = XENMEM_resource_grant_table_id_status;
    CHECK_EQ(memory_op(XENMEM_acquire_resource, ARG), E(EOPNOTSUPP));
    *r = good;
    limited.gfn_get = no_frame; /* as of who could not map them by the machine's numbers */
    CHECK_EQ(memory_op(XENMEM_acquire_resource, ARG), E(EOPNOTSUPP));
    limited.gfn_get = NULL;
    CHECK_EQ(memory_op(XENMEM_acquire_resource, ARG), 0);
}

/* --- grants --- */

TEST(a_grant_tables_list_that_cannot_be_written)
{
    struct gnttab_setup_table *op = host_guest(d, ARG);

    *op = (struct gnttab_setup_table){ .dom = DOMID_SELF, .nr_frames = 1 };
    op->frame_list.p = (void *)NOWHERE;
    CHECK_EQ(call(v, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, ARG, 1), 0);
    CHECK_EQ(op->status, GNTST_bad_virt_addr);
}

static struct grant_entry_v1 *offer;
static struct frame *given;

/* As soon as the page is its own, the taker's other vCPU takes its offer back. */
static void take_back(void *arg)
{
    (void)arg;
    if (given->owner == e->id)
        offer->flags = 0;
}

static void transfer(void *arg)
{
    (void)arg;
    host_call(v, __HYPERVISOR_grant_table_op, GNTTABOP_transfer, ARG, 1, 0);
}

TEST(an_offer_that_is_taken_back)
{
    struct gnttab_transfer *op = host_guest(d, ARG);
    uint64_t free = frame_free_count(), had = e->tot_pages;

    given = frame_alloc(0, 0);
    CHECK(given && frame_assign(given, 0, d) == 0);
    offer = (struct grant_entry_v1 *)arch_map(grant_frame_mfn(e, 0)) + 9;
    *offer = (struct grant_entry_v1){ .flags = GTF_accept_transfer, .domid = d->id };
    *op = (struct gnttab_transfer){ .mfn = frame_mfn(given).v, .domid = e->id, .ref = 9 };
    op->status = 99;
    host_be(v->cpu->id);
    host_step(transfer, take_back, NULL, 1);
    CHECK_EQ(op->status, GNTST_general_error);
    CHECK_EQ(offer->flags, 0);
    CHECK_EQ(offer->frame, 0);
    CHECK_EQ(e->tot_pages, had);
    CHECK_EQ(frame_free_count(), free);
    CHECK_EQ(audit(), 0);
}

/* --- the rest --- */

TEST(a_list_of_calls_that_cannot_be_written)
{
    struct multicall_entry *m = host_guest(d, READ_ONLY);
    struct xen_memory_reservation *r = host_guest(d, ARG);
    uint64_t had = d->tot_pages;

    memset(m, 0, PAGE_SIZE);
    m->op = __HYPERVISOR_memory_op; /* which gives way after its first extent */
    m->args[0] = XENMEM_increase_reservation;
    m->args[1] = ARG;
    *r = (struct xen_memory_reservation){ .nr_extents = 3, .domid = DOMID_SELF };
    r->extent_start.p = (void *)HOST_PAGE(1);
    host_be(v->cpu->id);
    v->cpu->pending = WORK_CONRING;
    CHECK_EQ(hypercall_dispatch(v, __HYPERVISOR_multicall, &HC_ARGS(READ_ONLY, 1)), E(EFAULT));
    CHECK_EQ(d->tot_pages, had + 1);
    host_settle();
    r->nr_extents = 1;
    CHECK_EQ(memory_op(XENMEM_decrease_reservation, ARG), 1);
    CHECK_EQ(audit(), 0);
}

TEST(a_list_of_calls_beyond_all_memory)
{
    at_the_end = 0;
    CHECK_EQ(call(v, __HYPERVISOR_multicall, -8 * sizeof(struct multicall_entry), 9, 0), E(EFAULT));
    CHECK_EQ(at_the_end, 0); /* none was made */
}

TEST(console_input_that_cannot_be_told)
{
    host_be(0);
    console_input('x');
    CHECK_EQ(call(v, __HYPERVISOR_console_io, CONSOLEIO_read, 10, NOWHERE), E(EFAULT));
}

TEST(shutdowns)
{
    struct sched_remote_shutdown *op = host_guest(d, ARG);

    CHECK_EQ(hc_sched_op_compat(w, &HC_ARGS(SCHEDOP_shutdown, SHUTDOWN_MAX + 1)), E(EINVAL));
    CHECK(!e->was_shut_down);
    CHECK_EQ(call(v, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, NOWHERE, 0), E(EFAULT));
    *op = (struct sched_remote_shutdown){ .domain_id = 1, .reason = SHUTDOWN_MAX + 1 };
    CHECK_EQ(call(v, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, ARG, 0), E(EINVAL));
    CHECK(!e->was_shut_down);
    *op = (struct sched_remote_shutdown){ .domain_id = 0, .reason = SHUTDOWN_poweroff };
    CHECK_EQ(call(v, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, ARG, 0), E(EPERM));
    CHECK(!d->was_shut_down);
}

TEST(a_new_watchdog_without_a_time)
{
    struct sched_watchdog *op = host_guest(d, ARG);

    *op = (struct sched_watchdog){ .id = 0, .timeout = 0 };
    CHECK_EQ(call(v, __HYPERVISOR_sched_op, SCHEDOP_watchdog, ARG, 0), E(EINVAL));
    CHECK_EQ(d->watchdogs_on, 0);
}

TEST(vcpus)
{
    CHECK_EQ(call(w, __HYPERVISOR_vcpu_op, VCPUOP_stop_singleshot_timer, 1, 0), E(EINVAL));
    cpumask_set(&w->affinity, 0);
    cpumask_set(&w->affinity, 1);
    CHECK_EQ(call(w, __HYPERVISOR_vcpu_op, VCPUOP_get_physid, 0, ARG), E(EINVAL));
}

/* While it is built. */
TEST(vcpus_that_are_not_there)
{
    struct vcpu *second = e->vcpu[1];

    CHECK_EQ(call(w, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 1, 0), 0);
    e->vcpu[1] = NULL;
    CHECK_EQ(call(w, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 1, 0), E(ENOENT));
    e->vcpu[1] = second;
}

TEST(areas_of_vcpus)
{
    struct vcpu_register_runstate_memory_area *area = host_guest(d, ARG);
    struct vcpu_register_vcpu_info *info = host_guest(e, ARG);
    struct vcpu *other = e->vcpu[1];

    memset(area, 0, sizeof(*area));
    area->addr.p = READ_ONLY;
    CHECK_EQ(call(v, __HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0, ARG),
             E(EFAULT));
    CHECK_EQ(v->runstate.area.v, 0);
    *info = (struct vcpu_register_vcpu_info){ .mfn = host_guest_gfn(e, 2) };
    __atomic_fetch_and(&other->pause_flags, ~(uint32_t)VP_DOWN, __ATOMIC_SEQ_CST);
    CHECK_EQ(call(w, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 1, ARG), E(EINVAL));
    CHECK(!other->info_frame); /* it runs and uses the other one */
    __atomic_fetch_or(&other->pause_flags, (uint32_t)VP_DOWN, __ATOMIC_SEQ_CST);
    CHECK_EQ(audit(), 0);
}

/* A page that can be written, but not read. */
TEST(features_of_no_page)
{
    limited.copy_to = write_anything;
    CHECK_EQ(call(v, __HYPERVISOR_xen_version, XENVER_get_features, NOWHERE, 0), E(EFAULT));
    limited.copy_to = write_limited;
}
