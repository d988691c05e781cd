/* SPDX-License-Identifier: MIT */
/* The door from frame numbers to frames: domains whose numbers are the machine's, and others. */
#include "core/gfn.h"

#include <string.h>

#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/vcpu.h>

#include "core/audit.h"
#include "core/grant.h"
#include "core/hypercall.h"
#include "host/host.h"
#include "unit.h"

static struct domain *d, *m; /* plain; with a map */
static struct vcpu *v, *w;

static void setup(void)
{
    if (d)
        return;
    host_boot(2048, 2);
    host_mixed = true;
    d = host_domain(0, 1, 6, true);
    m = host_domain(1, 1, 6, false);
    v = host_up(d, 0);
    w = host_up(m, 0);
}

static long call(struct vcpu *by, unsigned long nr, unsigned long a0, unsigned long a1,
                 unsigned long a2)
{
    host_be(by->cpu->id);
    return host_call(by, nr, a0, a1, a2, 0);
}

static void check_door(struct domain *of)
{
    struct frame *f, *want = frame_of(host_guest_mfn(of, 2));
    gfn_t gfn = GFN(host_guest_gfn(of, 2));
    uint64_t before = want->state;

    CHECK_EQ(gfn_get(of, gfn, GFN_READ, &f), 0);
    CHECK(f == want);
    CHECK_EQ(f->state, before + FRAME_REF_ONE);
    gfn_put(f, GFN_READ);
    CHECK_EQ(gfn_get(of, gfn, GFN_WRITE | GFN_MAP, &f), 0);
    CHECK_EQ(f->state, (before + FRAME_REF_ONE + FRAME_TYPED_ONE) | FRAME_HELD);
    gfn_put(f, GFN_WRITE | GFN_MAP);
    CHECK_EQ(want->state, before | FRAME_HELD); /* until its other uses are gone, too */
    CHECK_EQ(gfn_get(of, GFN(1ull << 40), GFN_READ, &f), -XEN_EINVAL);
    CHECK_EQ(gfn_get(of, GFN(~0ull), GFN_WRITE, &f), -XEN_EINVAL);
}

TEST(a_number_becomes_a_frame)
{
    struct frame *f;

    setup();
    check_door(d);
    check_door(m);
    CHECK(host_guest_gfn(d, 2) == host_guest_mfn(d, 2).v);
    CHECK(host_guest_gfn(m, 2) != host_guest_mfn(m, 2).v);
    /* The machine's numbers mean nothing to who has a map, nor others' to anybody. */
    CHECK_EQ(gfn_get(m, GFN(host_guest_mfn(m, 2).v), GFN_READ, &f), -XEN_EINVAL);
    CHECK_EQ(gfn_get(d, GFN(host_guest_mfn(m, 2).v), GFN_READ, &f), -XEN_EINVAL);
    CHECK_EQ(gfn_of(m, m->shared_mfn), GFN_INVALID);
    CHECK_EQ(audit(), 0);
}

/* While it is held for writing it can be nothing else; a table cannot be written. */
TEST(written_means_typed)
{
    struct frame *f, *g;

    setup();
    f = frame_alloc(0, 0);
    CHECK_EQ(frame_assign(f, 0, d), 0);
    CHECK_EQ(gfn_get(d, GFN(frame_mfn(f).v), GFN_WRITE, &g), 0);
    CHECK_EQ(frame_get_typed(f, d, FT_DESC), -XEN_EBUSY);
    gfn_put(g, GFN_WRITE);
    CHECK_EQ(frame_get_typed(f, d, FT_DESC), -XEN_EAGAIN); /* from now on it might */
    f->state += FRAME_TYPED_ONE + FRAME_REF_ONE;
    f->state = (f->state & ~FRAME_TYPE_MASK) | FRAME_VALIDATED |
               (uint64_t)FT_L1 << FRAME_TYPE_SHIFT;
    CHECK_EQ(gfn_get(d, GFN(frame_mfn(f).v), GFN_WRITE, &g), -XEN_EBUSY);
    CHECK_EQ(gfn_get(d, GFN(frame_mfn(f).v), GFN_READ, &g), 0);
    gfn_put(g, GFN_READ);
    f->state = FRAME_RAM | FRAME_ALLOCATED | FRAME_REF_ONE;
    CHECK(frame_release(f, d));
}

/* The hypervisor's pages that a domain shares may be used, but not given on. */
TEST(shared_pages_are_not_for_others)
{
    struct frame *f;

    setup();
    CHECK_EQ(gfn_get(d, GFN(d->shared_mfn.v), GFN_WRITE, &f), 0);
    gfn_put(f, GFN_WRITE);
    CHECK_EQ(gfn_get(d, GFN(d->shared_mfn.v), GFN_WRITE | GFN_FOREIGN, &f), -XEN_EINVAL);
    CHECK_EQ(gfn_get(d, GFN(d->shared_mfn.v), GFN_READ | GFN_FOREIGN, &f), -XEN_EINVAL);
}

static long reserve(unsigned int op, uint64_t gfn, unsigned int order)
{
    struct xen_memory_reservation *r = host_guest(d, HOST_PAGE(0));

    *r = (struct xen_memory_reservation){ .nr_extents = 1, .extent_order = order, .domid = 1 };
    r->extent_start.p = (void *)HOST_PAGE(1);
    *(uint64_t *)host_guest(d, HOST_PAGE(1)) = gfn;
    return call(v, __HYPERVISOR_memory_op, op, HOST_PAGE(0), 0);
}

TEST(memory_is_placed_and_taken_away)
{
    uint64_t *list, pages, free;

    setup();
    list = host_guest(d, HOST_PAGE(1));
    pages = m->tot_pages;
    free = frame_free_count();
    CHECK_EQ(reserve(XENMEM_populate_physmap, 512, 3), 1);
    CHECK_EQ(m->tot_pages, pages + 8);
    CHECK_EQ(*list, 512); /* it is told no number of the machine's */
    CHECK(host_frame(m, 519) && !host_frame(m, 520));
    CHECK_EQ(gfn_of(m, frame_mfn(host_frame(m, 519))), 519);
    CHECK_EQ(reserve(XENMEM_populate_physmap, 519, 0), 0); /* something is there */
    CHECK_EQ(reserve(XENMEM_populate_physmap, HOST_GFNS, 0), 0);
    CHECK_EQ(reserve(XENMEM_increase_reservation, 600, 0), 0); /* where to? */
    CHECK_EQ(m->tot_pages, pages + 8);
    CHECK_EQ(reserve(XENMEM_decrease_reservation, 513, 2), 1); /* 513 to 516 */
    CHECK_EQ(m->tot_pages, pages + 4);
    CHECK(host_frame(m, 512) && !host_frame(m, 513) && !host_frame(m, 516) && host_frame(m, 517));
    CHECK_EQ(reserve(XENMEM_decrease_reservation, 513, 0), 0);
    CHECK_EQ(reserve(XENMEM_decrease_reservation, 517, 0), 1);
    CHECK_EQ(reserve(XENMEM_decrease_reservation, 518, 1), 1);
    CHECK_EQ(reserve(XENMEM_decrease_reservation, 512, 0), 1);
    CHECK_EQ(m->tot_pages, pages);
    CHECK_EQ(frame_free_count(), free);
    CHECK_EQ(audit(), 0);
}

/* What is in use elsewhere stays the domain's after it gave it back, and is nobody's before. */
TEST(a_page_in_use_outlives_its_number)
{
    struct frame *f;
    uint64_t pages;

    setup();
    pages = m->tot_pages;
    CHECK_EQ(reserve(XENMEM_populate_physmap, 700, 0), 1);
    CHECK_EQ(gfn_get(m, GFN(700), GFN_WRITE, &f), 0);
    CHECK_EQ(reserve(XENMEM_decrease_reservation, 700, 0), 1);
    CHECK_EQ(m->tot_pages, pages + 1);
    CHECK_EQ(f->owner, m->id);
    gfn_put(f, GFN_WRITE);
    CHECK_EQ(m->tot_pages, pages);
    CHECK_EQ(audit(), 0);
}

/* A domain of one kind serves one of the other, both ways: by the granter's own numbers. */
static void serve(struct vcpu *by, struct domain *of)
{
    struct grant_entry_v1 *table = arch_map(grant_frame_mfn(of, 0));
    struct gnttab_map_grant_ref *map = host_guest(by->domain, HOST_PAGE(0));
    struct gnttab_unmap_grant_ref *unmap = host_guest(by->domain, HOST_PAGE(0));
    struct gnttab_copy *copy = host_guest(by->domain, HOST_PAGE(0));
    uint32_t handle;

    table[8] = (struct grant_entry_v1){ .flags = GTF_permit_access,
                                        .domid = by->domain->id,
                                        .frame = (uint32_t)host_guest_gfn(of, 3) };
    *map = (struct gnttab_map_grant_ref){
        .host_addr = 0x40000000, .flags = GNTMAP_host_map, .ref = 8, .dom = of->id
    };
    CHECK_EQ(call(by, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, HOST_PAGE(0), 1), 0);
    CHECK_EQ(map->status, GNTST_okay);
    CHECK_EQ(map->dev_bus_addr, host_guest_mfn(of, 3).v << PAGE_SHIFT);
    CHECK(table[8].flags & GTF_writing);
    handle = map->handle;
    CHECK_EQ(audit(), 0);
    *unmap = (struct gnttab_unmap_grant_ref){ .host_addr = 0x40000000, .handle = handle };
    CHECK_EQ(call(by, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, HOST_PAGE(0), 1), 0);
    CHECK_EQ(unmap->status, GNTST_okay);
    CHECK(!(table[8].flags & (GTF_reading | GTF_writing)));
    memcpy(host_guest(by->domain, HOST_PAGE(4)), "orlop", 6);
    *copy = (struct gnttab_copy){ .flags = GNTCOPY_dest_gref, .len = 6 };
    copy->source.domid = DOMID_SELF;
    copy->source.u.gmfn = host_guest_gfn(by->domain, 4);
    copy->dest.domid = of->id;
    copy->dest.u.ref = 8;
    CHECK_EQ(call(by, __HYPERVISOR_grant_table_op, GNTTABOP_copy, HOST_PAGE(0), 1), 0);
    CHECK_EQ(copy->status, GNTST_okay);
    CHECK(!memcmp(host_guest(of, HOST_PAGE(3)), "orlop", 6));
    copy->source.u.gmfn = host_guest_mfn(by->domain, 4).v + (gfn_is_mfn(by->domain) ? 2048 : 0);
    CHECK_EQ(call(by, __HYPERVISOR_grant_table_op, GNTTABOP_copy, HOST_PAGE(0), 1), 0);
    CHECK_EQ(copy->status, GNTST_bad_page);
    CHECK_EQ(audit(), 0);
}

TEST(kinds_serve_each_other)
{
    setup();
    serve(v, m);
    serve(w, d);
}

TEST(areas_go_by_the_domains_numbers)
{
    struct vcpu_register_vcpu_info *op;

    setup();
    op = host_guest(m, HOST_PAGE(0));
    *op = (struct vcpu_register_vcpu_info){ .mfn = host_guest_mfn(m, 1).v, .offset = 64 };
    CHECK_EQ(call(w, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, HOST_PAGE(0)), E(EINVAL));
    op->mfn = host_guest_gfn(m, 1);
    CHECK_EQ(call(w, __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, HOST_PAGE(0)), 0);
    CHECK((void *)w->info == (uint8_t *)host_guest(m, HOST_PAGE(1)) + 64);
    CHECK_EQ(audit(), 0);
}
