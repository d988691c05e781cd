/* SPDX-License-Identifier: MIT */
/*
 * Extents of memory_op: how large they may be, and those that take more than one go, which wait
 * with the domain whose memory they change (core/parked.h).
 */
#include "core/parked.h"

#include <string.h>

#include <xen/domctl.h>
#include <xen/memory.h>

#include "core/audit.h"
#include "core/gfn.h"
#include "core/hypercall.h"
#include "host/host.h"
#include "unit.h"

#define FREE_GFN 256 /* of a mapped toy: nothing is there, and above */

static struct domain *dom0_, *plain, *mapped;
static struct vcpu *v, *w;

__attribute__((constructor)) static void boot(void)
{
    host_boot(20000, 2);
    host_mixed = true;
    dom0_ = host_domain(0, 1, 8, true);
    mapped = host_domain(1, 1, 8, false);
    plain = host_domain(2, 1, 8, false);
    v = host_up(dom0_, 0);
    w = host_up(plain, 0);
}

static struct xen_memory_reservation *set(struct vcpu *by, domid_t id, uint64_t gfn,
                                          unsigned int order, unsigned long n)
{
    struct xen_memory_reservation *r = host_guest(by->domain, HOST_PAGE(0));
    xen_pfn_t *list = host_guest(by->domain, HOST_PAGE(1));

    *r = (struct xen_memory_reservation){ .nr_extents = n, .extent_order = order, .domid = id };
    r->extent_start.p = (void *)HOST_PAGE(1);
    for (unsigned long i = 0; i < n; i++)
        list[i] = gfn + (i << (order & 31));
    return r;
}

static long change(struct vcpu *by, unsigned int op, domid_t id, uint64_t gfn, unsigned int order,
                   unsigned long n)
{
    set(by, id, gfn, order, n);
    host_be(by->cpu->id);
    return host_call(by, __HYPERVISOR_memory_op, op, HOST_PAGE(0), 0, 0);
}

/* One go of v's call, with `cmd` as an earlier go left it; *again: what the next is to have. */
static long once(unsigned long cmd, unsigned long *again)
{
    long rc;

    host_be(v->cpu->id);
    arch_this_cpu()->pending |= WORK_CLOCK;
    pcpu_gave_way(arch_this_cpu());
    rc = hypercall_dispatch(v, __HYPERVISOR_memory_op, &HC_ARGS(cmd, HOST_PAGE(0)));
    arch_this_cpu()->pending &= ~(uint32_t)WORK_CLOCK;
    *again = rc == HC_RESTART ? v->restart_args.a[0] : 0;
    return rc;
}

static xen_pfn_t first_of(struct domain *d)
{
    return *(xen_pfn_t *)host_guest(d, HOST_PAGE(1));
}

/* What is refused is none done; 2^10 frames are there to be had, so it is the limit that says so.
 */
TEST(limits)
{
    static const unsigned int ops[] = { XENMEM_populate_physmap, XENMEM_increase_reservation,
                                        XENMEM_decrease_reservation };

    for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
        CHECK_EQ(change(v, ops[i], DOMID_SELF, 1ull << 30, 18, 1), 0); /* there is not so much */
        CHECK_EQ(change(v, ops[i], DOMID_SELF, 1ull << 30, 19, 1), 0);
        CHECK_EQ(change(w, ops[i], DOMID_SELF, 1ull << 30, 9, 0), 0);
        CHECK_EQ(change(w, ops[i], DOMID_SELF, 0, 10, 1), 0);
        CHECK_EQ(change(v, ops[i], DOMID_SELF, 0, ~0u, 1), 0);
    }
    CHECK_EQ(audit(), 0);
}

/* Memory that is only promised: nothing is done, rather than all of it at once. */
TEST(on_demand)
{
    uint64_t had = mapped->tot_pages;

    set(v, mapped->id, FREE_GFN, 0, 2)->mem_flags = XENMEMF_populate_on_demand;
    host_be(v->cpu->id);
    CHECK_EQ(host_call(v, __HYPERVISOR_memory_op, XENMEM_populate_physmap, HOST_PAGE(0), 0, 0), 0);
    CHECK_EQ(mapped->tot_pages, had);
    CHECK_EQ(audit(), 0);
}

/* More than any go: 2^13 frames, twice; contiguous, zeroed, where the guest said. */
TEST(large_extents)
{
    uint64_t free = frame_free_count(), had = dom0_->tot_pages, max = dom0_->max_pages;
    xen_pfn_t *list = host_guest(dom0_, HOST_PAGE(1));

    CHECK_EQ(change(v, XENMEM_populate_physmap, DOMID_SELF, 1ull << 20, 13, 1), 1);
    CHECK_EQ(dom0_->tot_pages, had + 8192);
    CHECK_EQ(list[0] & 8191, 0);
    for (unsigned int i = 0; i < 8192; i += 511) {
        CHECK_EQ(arch_gfn(MFN(list[0] + i)), (1ull << 20) + i);
        CHECK_EQ(*(uint64_t *)arch_map(MFN(list[0] + i)), 0);
        CHECK_EQ(frame_of(MFN(list[0] + i))->owner, 0);
        *(uint64_t *)arch_map(MFN(list[0] + i)) = 1;
    }
    CHECK_EQ(audit(), 0);
    CHECK_EQ(change(v, XENMEM_decrease_reservation, DOMID_SELF, list[0], 13, 1), 1);
    CHECK_EQ(dom0_->tot_pages, had);
    CHECK_EQ(frame_free_count(), free);
    dom0_->max_pages = had + 2 * 1024 + 1023;
    CHECK_EQ(change(v, XENMEM_increase_reservation, DOMID_SELF, 0, 10, 3), 2);
    CHECK_EQ(*(uint64_t *)arch_map(MFN(list[0])), 0);
    CHECK(arch_gfn(MFN(list[1])) == GFN_INVALID);
    dom0_->max_pages = max;
    set(v, DOMID_SELF, list[0], 10, 1);
    list[0] = frame_mfn(frame_of(MFN(list[0]))).v;
    CHECK_EQ(host_call(v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, HOST_PAGE(0), 0, 0),
             1);
    list[0] = list[1];
    CHECK_EQ(host_call(v, __HYPERVISOR_memory_op, XENMEM_decrease_reservation, HOST_PAGE(0), 0, 0),
             1);
    CHECK_EQ(frame_free_count(), free);
    CHECK_EQ(audit(), 0);
}

/* Each go does one piece, and the last says so; 16 frames by 4. */
TEST(one_piece_a_go)
{
    uint64_t had = plain->tot_pages;
    unsigned long cmd = XENMEM_populate_physmap;
    unsigned int goes = 1;
    long rc;

    step_order = 2;
    set(v, 2, 4096, 4, 1);
    while ((rc = once(cmd, &cmd)) == HC_RESTART) {
        CHECK_EQ(plain->tot_pages, had + 4 * goes);
        CHECK_EQ(audit(), 0);
        goes++;
    }
    CHECK_EQ(rc, 1);
    CHECK(goes == 4 || goes == 5);
    CHECK(plain->parked == NULL && !plain->parked_busy);
    goes = 1;
    cmd = XENMEM_decrease_reservation;
    while ((rc = once(cmd, &cmd)) == HC_RESTART)
        CHECK_EQ(plain->tot_pages, had + 16 - 4 * goes++);
    CHECK_EQ(rc, 1);
    CHECK_EQ(goes, 4);
    CHECK_EQ(plain->tot_pages, had);
    step_order = 9;
}

/* What another call, the domain's limit or its map stops is undone, and can be had again. */
TEST(what_fails_is_undone)
{
    uint64_t free = frame_free_count(), had = mapped->tot_pages, max;
    unsigned long cmd, other;

    step_order = 2;
    /* Something is in the way of the third piece. */
    CHECK_EQ(change(v, XENMEM_populate_physmap, 1, FREE_GFN + 9, 0, 1), 1);
    CHECK_EQ(change(v, XENMEM_populate_physmap, 1, FREE_GFN, 4, 1), 0);
    CHECK_EQ(mapped->tot_pages, had + 1);
    CHECK_EQ(frame_free_count(), free - 1);
    CHECK(!host_frame(mapped, FREE_GFN) && host_frame(mapped, FREE_GFN + 9));
    CHECK_EQ(change(v, XENMEM_decrease_reservation, 1, FREE_GFN + 9, 0, 1), 1);
    /* Its limit falls meanwhile. */
    max = plain->max_pages;
    set(v, 2, 4096, 4, 1);
    CHECK_EQ(once(XENMEM_populate_physmap, &cmd), HC_RESTART);
    plain->max_pages = plain->tot_pages + 3;
    while (once(cmd, &cmd) == HC_RESTART)
        CHECK_EQ(audit(), 0);
    CHECK_EQ(frame_free_count(), free);
    plain->max_pages = max;
    /* Another call wants the slot: both get theirs in the end. */
    set(v, 1, FREE_GFN, 4, 1);
    CHECK_EQ(once(XENMEM_populate_physmap, &cmd), HC_RESTART);
    CHECK(host_frame(mapped, FREE_GFN) && !host_frame(mapped, FREE_GFN + 4));
    CHECK_EQ(change(v, XENMEM_populate_physmap, 1, FREE_GFN + 64, 4, 1), 1);
    CHECK(!host_frame(mapped, FREE_GFN) && host_frame(mapped, FREE_GFN + 79));
    set(v, 1, FREE_GFN, 4, 1);
    while (once(cmd, &cmd) == HC_RESTART)
        ;
    CHECK(host_frame(mapped, FREE_GFN) && host_frame(mapped, FREE_GFN + 15));
    CHECK_EQ(mapped->tot_pages, had + 32);
    CHECK_EQ(audit(), 0);
    CHECK_EQ(change(v, XENMEM_decrease_reservation, 1, FREE_GFN, 4, 1), 1);
    CHECK_EQ(change(v, XENMEM_decrease_reservation, 1, FREE_GFN + 64, 4, 1), 1);
    CHECK_EQ(frame_free_count(), free);
    /* A token that is nobody's begins anew. */
    set(v, 2, 4096, 3, 1);
    other = XENMEM_populate_physmap | 77ul << 47;
    while (once(other, &other) == HC_RESTART)
        ;
    CHECK_EQ(frame_free_count(), free - 8);
    CHECK_EQ(change(v, XENMEM_decrease_reservation, 2, first_of(dom0_), 3, 1), 1);
    step_order = 9;
    CHECK_EQ(audit(), 0);
}

static const struct guest_ops *toy;

/* The list of extents can be written, but not read. */
static int read_no_list(struct vcpu *c, void *dst, gptr_t src, size_t n)
{
    return src.v / PAGE_SIZE == HOST_PAGE(1) / PAGE_SIZE ? -XEN_EFAULT
                                                         : toy->copy_from(c, dst, src, n);
}

/* Extents of more than a go that are refused at once: nothing was cleared for them. */
TEST(what_cannot_be_begun)
{
    uint64_t free = frame_free_count(), max = plain->max_pages;
    struct guest_ops ops = *dom0_->ops;
    unsigned long cmd;

    step_order = 2;
    set(v, 2, 4096, 4, 1);
    plain->max_pages = plain->tot_pages + 15;
    CHECK_EQ(once(XENMEM_populate_physmap, &cmd), 0);
    plain->max_pages = max;
    CHECK_EQ(frame_free_count(), free);

    host_fail_every = 1;
    CHECK_EQ(once(XENMEM_populate_physmap, &cmd), 0);
    host_fail_every = 0;
    CHECK_EQ(frame_free_count(), free);

    set(v, 1, FREE_GFN, 4, 1); /* without a place */
    CHECK_EQ(once(XENMEM_increase_reservation, &cmd), 0);
    CHECK_EQ(frame_free_count(), free);

    toy = dom0_->ops;
    ops.copy_from = read_no_list;
    dom0_->ops = &ops;
    set(v, 2, 4096, 4, 1);
    CHECK_EQ(once(XENMEM_populate_physmap, &cmd), 0);
    CHECK_EQ(*(xen_pfn_t *)host_guest(dom0_, HOST_PAGE(1)), 4096);
    dom0_->ops = toy;
    step_order = 9;
    CHECK_EQ(frame_free_count(), free);
    CHECK_EQ(audit(), 0);
}

/* A domain ends while an extent of it waits; who comes back finds it dying. */
TEST(the_end_undoes_what_waits)
{
    uint64_t free = frame_free_count();

    step_order = 2;
    for (domid_t id = 3; id < 5; id++) { /* one with a map of its own, one without */
        struct domain *d = host_domain(id, 1, 4, false);
        unsigned long cmd;
        int rc;

        set(v, id, FREE_GFN, 5, 1);
        CHECK_EQ(once(XENMEM_populate_physmap, &cmd), HC_RESTART);
        CHECK_EQ(once(cmd, &cmd), HC_RESTART);
        CHECK(d->parked != NULL);
        host_be(0);
        d->parked_busy = true; /* another CPU works on it */
        CHECK_EQ(domain_kill(d), -XEN_EAGAIN);
        d->parked_busy = false;
        while ((rc = domain_kill(d)) == -XEN_EAGAIN)
            host_settle();
        CHECK_EQ(rc, 0);
        CHECK(d->parked == NULL);
        CHECK(once(cmd, &cmd) <= 0);
        host_settle();
        CHECK_EQ(audit(), 0);
    }
    step_order = 9;
    CHECK_EQ(frame_free_count(), free);
}
