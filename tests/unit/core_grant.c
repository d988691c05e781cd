/* SPDX-License-Identifier: MIT */
#include "core/types.h"

#include <xen/grant_table.h>

#include "core/audit.h"
#include "core/grant_private.h"
#include "core/hypercall.h"
#include "core/ptype.h"
#include "host/host.h"
#include "unit.h"

static struct domain *a, *b; /* a grants, b uses */
static struct domain *c;     /* a stranger */
static struct vcpu *b0, *c0;
static struct grant_entry_v1 *table;

#define ARG HOST_PAGE(3)
#define ADDR 0x40000000ul /* a toy maps what it is granted at any whole page */

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 1);
    a = host_domain(0, 1, 4, true);
    b = host_domain(1, 1, 5, false);
    c = host_domain(2, 1, 4, false);
    b0 = b->vcpu[0];
    c0 = c->vcpu[0];
    host_up(b, 0); /* a call that gives way goes on only where it runs */
    table = arch_map(grant_frame_mfn(a, 0));
}

static void grant(grant_ref_t ref, mfn_t mfn, uint16_t flags)
{
    table[ref] = (struct grant_entry_v1){ .flags = flags, .domid = 1, .frame = (uint32_t)mfn.v };
}

static int map_by(struct vcpu *v, domid_t owner, grant_ref_t ref, uint32_t flags, grant_handle_t *h)
{
    struct gnttab_map_grant_ref *op = host_guest(v->domain, ARG);

    *op = (struct gnttab_map_grant_ref){
        .host_addr = ADDR, .flags = flags, .ref = ref, .dom = owner, .status = 99
    };
    CHECK_EQ(host_call(v, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, ARG, 1, 0), 0);
    *h = op->handle;
    return op->status;
}

static int map(grant_ref_t ref, uint32_t flags, grant_handle_t *h)
{
    return map_by(b0, 0, ref, flags, h);
}

static int unmap_by(struct vcpu *v, grant_handle_t h, uint64_t addr)
{
    struct gnttab_unmap_grant_ref *op = host_guest(v->domain, ARG);

    *op = (struct gnttab_unmap_grant_ref){ .host_addr = addr, .handle = h, .status = 99 };
    CHECK_EQ(host_call(v, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, ARG, 1, 0), 0);
    return op->status;
}

static int unmap(grant_handle_t h, uint64_t addr)
{
    return unmap_by(b0, h, addr);
}

/* Destroys d; how many steps that took. */
static int kill(struct domain *d)
{
    int steps = 1;

    arch_this_cpu()->work_left = 1;
    while (domain_kill(d) == E(EAGAIN)) {
        host_exit_path();
        arch_this_cpu()->work_left = 1; /* the shortest steps */
        steps++;
    }
    host_settle();
    return steps;
}

TEST(map_and_unmap)
{
    mfn_t m = host_guest_mfn(a, 0);
    struct frame *f = frame_of(m);
    uint64_t before = f->state;
    grant_handle_t h, h2;

    grant(8, m, GTF_permit_access);
    CHECK_EQ(map(8, GNTMAP_host_map, &h), GNTST_okay);
    CHECK_EQ(table[8].flags, GTF_permit_access | GTF_reading | GTF_writing);
    CHECK_EQ(frame_refs(f->state), frame_refs(before) + 1);
    CHECK_EQ(frame_typed(f->state), frame_typed(before) + 1);
    CHECK_EQ(audit(), 0);
    CHECK_EQ(map(8, GNTMAP_host_map | GNTMAP_readonly, &h2), GNTST_okay);
    CHECK(h != h2);
    CHECK_EQ(audit(), 0);
    CHECK_EQ(unmap(h, ADDR), GNTST_okay);
    CHECK_EQ(table[8].flags, GTF_permit_access | GTF_reading);
    CHECK_EQ(unmap(h, ADDR), GNTST_bad_handle);
    CHECK_EQ(unmap(h2, 0), GNTST_okay); /* nothing named: nothing unmapped */
    CHECK_EQ(unmap(h2, ADDR + 1), GNTST_bad_virt_addr);
    CHECK_EQ(unmap(h2, ADDR), GNTST_okay);
    CHECK_EQ(table[8].flags, GTF_permit_access);
    CHECK_EQ(f->state, before);
    CHECK_EQ(unmap(~0u, ADDR), GNTST_bad_handle);
    CHECK_EQ(audit(), 0);
}

TEST(refusals)
{
    grant_handle_t h;

    grant(9, host_guest_mfn(a, 0), GTF_permit_access | GTF_readonly);
    CHECK_EQ(map(9, GNTMAP_host_map, &h), GNTST_general_error);
    CHECK_EQ(table[9].flags, GTF_permit_access | GTF_readonly);
    CHECK_EQ(map(9, 0, &h), GNTST_bad_gntref);
    table[9].domid = 7;
    CHECK_EQ(map(9, GNTMAP_host_map | GNTMAP_readonly, &h), GNTST_general_error);
    grant(9, host_guest_mfn(b, 0), GTF_permit_access); /* not a's to grant */
    CHECK_EQ(map(9, GNTMAP_host_map, &h), GNTST_bad_page);
    grant(9, MFN(max_mfn), GTF_permit_access);
    CHECK_EQ(map(9, GNTMAP_host_map, &h), GNTST_bad_page);
    grant(9, MFN(0xffffffff), GTF_permit_access);
    CHECK_EQ(map(9, GNTMAP_host_map | GNTMAP_readonly, &h), GNTST_bad_page);
    CHECK_EQ(map(512, GNTMAP_host_map, &h), GNTST_bad_gntref);
    CHECK_EQ(map(~0u, GNTMAP_host_map, &h), GNTST_bad_gntref);
    grant(9, host_guest_mfn(a, 0), GTF_accept_transfer);
    CHECK_EQ(map(9, GNTMAP_host_map, &h), GNTST_general_error);
    CHECK_EQ(table[9].flags, GTF_accept_transfer);
    /* a page table of a is never written through a grant */
    struct frame *f = frame_of(host_guest_mfn(a, 2));
    uint64_t state = f->state;

    f->state = (state & ~FRAME_TYPE_MASK) | (uint64_t)FT_L1 << FRAME_TYPE_SHIFT | FRAME_VALIDATED;
    grant(9, host_guest_mfn(a, 2), GTF_permit_access);
    CHECK_EQ(map(9, GNTMAP_host_map, &h), GNTST_bad_page);
    CHECK_EQ(table[9].flags, GTF_permit_access);
    f->state = state;
    CHECK_EQ(audit(), 0);
}

static int copy(bool src_ref, uint64_t src, uint16_t src_off, bool dst_ref, uint64_t dst,
                uint16_t dst_off, uint16_t len)
{
    struct gnttab_copy *op = host_guest(b, ARG);

    memset(op, 0, sizeof(*op));
    op->source.u.gmfn = src;
    op->source.domid = src_ref ? 0 : DOMID_SELF;
    op->source.offset = src_off;
    op->dest.u.gmfn = dst;
    op->dest.domid = dst_ref ? 0 : DOMID_SELF;
    op->dest.offset = dst_off;
    op->len = len;
    op->flags = (src_ref ? GNTCOPY_source_gref : 0) | (dst_ref ? GNTCOPY_dest_gref : 0);
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_copy, ARG, 1, 0), 0);
    return op->status;
}

static int copy_ids(uint16_t flags, domid_t src_dom, uint64_t src, domid_t dst_dom, uint64_t dst)
{
    struct gnttab_copy *op = host_guest(b, ARG);

    memset(op, 0, sizeof(*op));
    op->source.u.gmfn = src;
    op->source.domid = src_dom;
    op->dest.u.gmfn = dst;
    op->dest.domid = dst_dom;
    op->len = 8;
    op->flags = flags;
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_copy, ARG, 1, 0), 0);
    return op->status;
}

TEST(copies)
{
    uint64_t own = host_guest_mfn(b, 0).v;
    uint64_t before = frame_of(host_guest_mfn(a, 1))->state;

    grant(10, host_guest_mfn(a, 1), GTF_permit_access);
    strcpy(host_guest(b, HOST_PAGE(0)), "hello");
    CHECK_EQ(copy(false, own, 0, true, 10, 100, 6), GNTST_okay);
    CHECK_STR((char *)host_guest(a, HOST_PAGE(1) + 100), "hello");
    CHECK_EQ(copy(true, 10, 101, false, own, 1000, 5), GNTST_okay);
    CHECK_STR((char *)host_guest(b, HOST_PAGE(0) + 1000), "ello");
    CHECK_EQ(copy(false, own, 4095, true, 10, 0, 2), GNTST_bad_copy_arg);
    CHECK_EQ(copy(false, own, 0xffff, true, 10, 0, 0xffff), GNTST_bad_copy_arg);
    CHECK_EQ(copy(false, host_guest_mfn(a, 0).v, 0, true, 10, 0, 8), GNTST_bad_page);
    table[10].flags |= GTF_readonly;
    CHECK_EQ(copy(false, own, 0, true, 10, 0, 8), GNTST_general_error);
    CHECK_EQ(copy(true, 10, 0, false, own, 0, 8), GNTST_okay);
    CHECK_EQ(table[10].flags, GTF_permit_access | GTF_readonly);
    CHECK_EQ(frame_of(host_guest_mfn(a, 1))->state, before);
    CHECK_EQ(audit(), 0);
}

TEST(handles_run_out_and_come_back)
{
    static grant_handle_t h[768];
    struct frame *f = frame_of(host_guest_mfn(a, 0));
    uint64_t before = f->state;
    grant_handle_t extra;

    for (grant_ref_t r = 0; r < 4; r++)
        grant(20 + r, host_guest_mfn(a, 0), GTF_permit_access);
    for (int i = 0; i < 768; i++) /* three pages of tracks */
        CHECK_EQ(map(20 + i % 4, GNTMAP_host_map | (i & 4 ? GNTMAP_readonly : 0), &h[i]),
                 GNTST_okay);
    CHECK_EQ(audit(), 0);
    host_fail_every = 1;
    CHECK_EQ(map(20, GNTMAP_host_map, &extra), GNTST_no_space); /* there is no fourth */
    host_fail_every = 0;
    CHECK_EQ(map(20, GNTMAP_host_map, &extra), GNTST_okay);
    CHECK_EQ(unmap(extra, ADDR), GNTST_okay);
    for (int i = 767; i >= 0; i--)
        CHECK_EQ(unmap(h[i], ADDR), GNTST_okay);
    CHECK_EQ(f->state, before);
    CHECK_EQ(audit(), 0);
}

TEST(setup_and_query)
{
    struct gnttab_setup_table *op = host_guest(b, ARG);
    struct gnttab_query_size *q = host_guest(b, ARG);
    xen_pfn_t *list = host_guest(b, HOST_PAGE(2));

    *op = (struct gnttab_setup_table){ .dom = DOMID_SELF, .nr_frames = 3, .status = 99 };
    op->frame_list.p = (void *)HOST_PAGE(2);
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, ARG, 1, 0), 0);
    CHECK_EQ(op->status, GNTST_okay);
    CHECK_EQ(list[2], grant_frame_mfn(b, 2).v);
    op->nr_frames = DEFAULT_GRANT_FRAMES + 1;
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, ARG, 1, 0), 0);
    CHECK_EQ(op->status, GNTST_general_error);
    op->dom = 0;
    op->nr_frames = 1;
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, ARG, 1, 0), 0);
    CHECK_EQ(op->status, GNTST_permission_denied);
    *q = (struct gnttab_query_size){ .dom = DOMID_SELF };
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_query_size, ARG, 1, 0), 0);
    CHECK_EQ(q->nr_frames, 3);
    CHECK_EQ(q->max_nr_frames, DEFAULT_GRANT_FRAMES);
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_query_size, 0x1000, 1, 0),
             E(EFAULT));
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, 99, ARG, 1, 0), E(ENOSYS));
    CHECK_EQ(audit(), 0);
}

/* --- batches --- */

static void call_batch(unsigned int cmd, unsigned int n)
{
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, cmd, ARG, n, 0), 0);
}

TEST(a_batch_of_two_owners_with_failures_among_them)
{
    struct gnttab_map_grant_ref *op = host_guest(b, ARG);
    struct gnttab_unmap_grant_ref *un = host_guest(b, ARG);
    struct grant_entry_v1 *of_c = arch_map(grant_frame_mfn(c, 0));
    uint32_t refs_a = a->refs, refs_c = c->refs;
    grant_handle_t h[6];

    grant(30, host_guest_mfn(a, 0), GTF_permit_access);
    grant(31, host_guest_mfn(a, 1), GTF_permit_access | GTF_readonly);
    of_c[30] = (struct grant_entry_v1){ GTF_permit_access, 1, (uint32_t)host_guest_mfn(c, 0).v };
    for (unsigned int i = 0; i < 7; i++)
        op[i] = (struct gnttab_map_grant_ref){
            .host_addr = ADDR, .flags = GNTMAP_host_map, .ref = 30, .status = 99
        };
    op[1].ref = 31;             /* may not be written */
    op[2].host_addr = ADDR + 1; /* pinned, and not to be mapped */
    op[3].dom = op[4].dom = 2;
    op[4].flags = 0;
    op[5].dom = 77; /* there is none */
    call_batch(GNTTABOP_map_grant_ref, 7);
    CHECK_EQ(op[0].status, GNTST_okay);
    CHECK_EQ(op[1].status, GNTST_general_error);
    CHECK_EQ(op[2].status, GNTST_bad_virt_addr);
    CHECK_EQ(op[3].status, GNTST_okay);
    CHECK_EQ(op[3].dev_bus_addr, host_guest_mfn(c, 0).v << PAGE_SHIFT);
    CHECK_EQ(op[4].status, GNTST_bad_gntref);
    CHECK_EQ(op[5].status, GNTST_bad_domain);
    CHECK_EQ(op[6].status, GNTST_okay);
    CHECK_EQ(a->refs, refs_a + 2); /* one for each mapping */
    CHECK_EQ(c->refs, refs_c + 1);
    CHECK_EQ(audit(), 0);
    h[0] = op[0].handle;
    h[1] = op[3].handle;
    h[2] = op[6].handle;
    for (unsigned int i = 0; i < 4; i++)
        un[i] = (struct gnttab_unmap_grant_ref){ .host_addr = ADDR,
                                                 .handle = h[i % 3],
                                                 .status = 99 };
    call_batch(GNTTABOP_unmap_grant_ref, 4);
    CHECK_EQ(un[0].status, GNTST_okay);
    CHECK_EQ(un[1].status, GNTST_okay);
    CHECK_EQ(un[2].status, GNTST_okay);
    CHECK_EQ(un[3].status, GNTST_bad_handle); /* gone by the first */
    CHECK_EQ(table[30].flags, GTF_permit_access);
    CHECK_EQ(of_c[30].flags, GTF_permit_access);
    CHECK_EQ(a->refs, refs_a);
    CHECK_EQ(c->refs, refs_c);
    CHECK_EQ(audit(), 0);
}

TEST(a_batch_takes_a_mapping_away_in_parts)
{
    uint64_t addr = host_guest_mfn(a, 0).v << PAGE_SHIFT;
    struct gnttab_unmap_grant_ref *op = host_guest(b, ARG);
    grant_handle_t h;

    grant(32, host_guest_mfn(a, 0), GTF_permit_access);
    CHECK_EQ(map(32, GNTMAP_host_map | GNTMAP_device_map, &h), GNTST_okay);
    op[0] = (struct gnttab_unmap_grant_ref){ .dev_bus_addr = addr, .handle = h, .status = 99 };
    op[1] = (struct gnttab_unmap_grant_ref){ .host_addr = ADDR, .handle = h, .status = 99 };
    op[2] = (struct gnttab_unmap_grant_ref){ .host_addr = ADDR, .handle = h, .status = 99 };
    call_batch(GNTTABOP_unmap_grant_ref, 3);
    CHECK_EQ(op[0].status, GNTST_okay);
    CHECK_EQ(op[1].status, GNTST_okay);
    CHECK_EQ(op[2].status, GNTST_bad_handle);
    CHECK_EQ(table[32].flags, GTF_permit_access);
    CHECK_EQ(audit(), 0);
}

TEST(a_batch_of_copies_of_all_kinds)
{
    struct gnttab_copy *op = host_guest(b, ARG);
    struct grant_entry_v1 *of_c = arch_map(grant_frame_mfn(c, 0));
    uint64_t own = host_guest_mfn(b, 0).v;
    uint32_t refs_a = a->refs, refs_c = c->refs;

    grant(33, host_guest_mfn(a, 1), GTF_permit_access);
    of_c[33] = (struct grant_entry_v1){ GTF_permit_access, 1, (uint32_t)host_guest_mfn(c, 1).v };
    memset(host_guest(a, HOST_PAGE(1)), 0, PAGE_SIZE);
    strcpy(host_guest(b, HOST_PAGE(0)), "batch");
    memset(op, 0, 6 * sizeof(*op));
    for (unsigned int i = 0; i < 6; i++) {
        op[i].source.domid = op[i].dest.domid = DOMID_SELF;
        op[i].source.u.gmfn = op[i].dest.u.gmfn = own;
        op[i].len = 6;
        op[i].status = 99;
    }
    for (unsigned int i = 0; i < 4; i++) { /* a's, a run of four */
        op[i].flags = GNTCOPY_dest_gref;
        op[i].dest.domid = 0;
        op[i].dest.u.gmfn = 33;
        op[i].dest.offset = (uint16_t)(16 * i);
    }
    op[1].dest.offset = 4095;
    op[2].source.u.gmfn = host_guest_mfn(a, 0).v;          /* not b's */
    op[4].flags = GNTCOPY_source_gref | GNTCOPY_dest_gref; /* from a's, just written, to c's */
    op[4].source.domid = 0;
    op[4].source.u.gmfn = 33;
    op[4].dest.domid = 2;
    op[4].dest.u.gmfn = 33;
    op[5].dest.domid = 2; /* another's by number */
    call_batch(GNTTABOP_copy, 6);
    CHECK_EQ(op[0].status, GNTST_okay);
    CHECK_EQ(op[1].status, GNTST_bad_copy_arg);
    CHECK_EQ(op[2].status, GNTST_bad_page);
    CHECK_EQ(op[3].status, GNTST_okay);
    CHECK_EQ(op[4].status, GNTST_okay);
    CHECK_EQ(op[5].status, GNTST_permission_denied);
    CHECK_STR((char *)host_guest(a, HOST_PAGE(1)), "batch");
    CHECK_EQ(*(char *)host_guest(a, HOST_PAGE(1) + 32), 0);
    CHECK_STR((char *)host_guest(a, HOST_PAGE(1) + 48), "batch");
    CHECK_STR((char *)host_guest(c, HOST_PAGE(1)), "batch");
    CHECK_EQ(table[33].flags, GTF_permit_access);
    CHECK_EQ(of_c[33].flags, GTF_permit_access);
    CHECK_EQ(a->refs, refs_a);
    CHECK_EQ(c->refs, refs_c);
    CHECK_EQ(audit(), 0);
}

/* --- rules of revocation --- */

TEST(flags_follow_the_pins_and_the_guest)
{
    struct gnttab_map_grant_ref *op = host_guest(b, ARG);
    grant_handle_t h, h2;

    grant(13, host_guest_mfn(a, 0), GTF_permit_access);
    CHECK_EQ(map(13, GNTMAP_host_map, &h), GNTST_okay);
    CHECK_EQ(op->dev_bus_addr, host_guest_mfn(a, 0).v << PAGE_SHIFT); /* Linux's p2m wants it */
    /* revoked against the rules, while it is mapped: nothing new by it */
    table[13].flags = 0;
    CHECK_EQ(map(13, GNTMAP_host_map, &h2), GNTST_general_error);
    CHECK_EQ(map(13, GNTMAP_host_map | GNTMAP_readonly, &h2), GNTST_general_error);
    CHECK_EQ(table[13].flags, 0);
    /* given again, another frame: not before the old use is over */
    grant(13, host_guest_mfn(a, 1), GTF_permit_access);
    CHECK_EQ(map(13, GNTMAP_host_map, &h2), GNTST_general_error);
    CHECK_EQ(table[13].flags, GTF_permit_access | GTF_reading | GTF_writing);
    CHECK_EQ(audit(), 0);
    CHECK_EQ(unmap(h, ADDR), GNTST_okay);
    CHECK_EQ(table[13].flags, GTF_permit_access);
    CHECK_EQ(map(13, GNTMAP_host_map, &h), GNTST_okay);
    CHECK_EQ(op->dev_bus_addr, host_guest_mfn(a, 1).v << PAGE_SHIFT);
    /* made read-only meanwhile: no new writer */
    table[13].flags |= GTF_readonly;
    CHECK_EQ(map(13, GNTMAP_host_map, &h2), GNTST_general_error);
    CHECK_EQ(map(13, GNTMAP_host_map | GNTMAP_readonly, &h2), GNTST_okay);
    CHECK_EQ(unmap(h2, ADDR), GNTST_okay);
    CHECK_EQ(unmap(h, ADDR), GNTST_okay);
    CHECK_EQ(table[13].flags, GTF_permit_access | GTF_readonly);
    CHECK_EQ(audit(), 0);
}

TEST(one_domain_an_entry)
{
    grant_handle_t h, h2;

    grant(14, host_guest_mfn(a, 0), GTF_permit_access);
    CHECK_EQ(map(14, GNTMAP_host_map, &h), GNTST_okay);
    table[14].domid = 2; /* c's turn, while b still has it */
    CHECK_EQ(map_by(c0, 0, 14, GNTMAP_host_map, &h2), GNTST_general_error);
    CHECK_EQ(unmap(h, ADDR), GNTST_okay);
    CHECK_EQ(map_by(c0, 0, 14, GNTMAP_host_map, &h2), GNTST_okay);
    CHECK_EQ(unmap(h2, ADDR), GNTST_bad_handle); /* c's handle is not b's */
    CHECK_EQ(unmap_by(c0, h2, ADDR), GNTST_okay);
    CHECK_EQ(table[14].flags, GTF_permit_access);
    CHECK_EQ(audit(), 0);
}

TEST(pins_of_one_entry_run_out)
{
    static grant_handle_t h[300];
    int n = 0;

    grant(15, host_guest_mfn(a, 0), GTF_permit_access);
    while (n < 300 && map(15, GNTMAP_host_map | GNTMAP_readonly, &h[n]) == GNTST_okay)
        n++;
    CHECK_EQ(n, 255);
    CHECK_EQ(map(15, GNTMAP_host_map | GNTMAP_readonly, &h[n]), GNTST_no_space);
    CHECK_EQ(audit(), 0);
    while (n-- > 0)
        CHECK_EQ(unmap(h[n], ADDR), GNTST_okay);
    CHECK_EQ(table[15].flags, GTF_permit_access);
    CHECK_EQ(audit(), 0);
}

TEST(device_maps)
{
    uint64_t addr = host_guest_mfn(a, 0).v << PAGE_SHIFT;
    struct gnttab_unmap_grant_ref *op = host_guest(b, ARG);
    grant_handle_t h;

    grant(16, host_guest_mfn(a, 0), GTF_permit_access);
    CHECK_EQ(map(16, GNTMAP_host_map | GNTMAP_device_map, &h), GNTST_okay);
    CHECK_EQ(unmap(h, ADDR), GNTST_okay); /* the device's half stays */
    CHECK_EQ(table[16].flags, GTF_permit_access | GTF_reading | GTF_writing);
    *op = (struct gnttab_unmap_grant_ref){ .dev_bus_addr = addr + PAGE_SIZE, .handle = h };
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, ARG, 1, 0), 0);
    CHECK_EQ(op->status, GNTST_bad_dev_addr);
    op->dev_bus_addr = addr;
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, ARG, 1, 0), 0);
    CHECK_EQ(op->status, GNTST_okay);
    CHECK_EQ(table[16].flags, GTF_permit_access);
    CHECK_EQ(unmap(h, ADDR), GNTST_bad_handle);
    CHECK_EQ(audit(), 0);
}

TEST(the_hypervisors_frames_are_not_granted)
{
    grant_handle_t h;

    grant(17, a->shared_mfn, GTF_permit_access);
    CHECK_EQ(map(17, GNTMAP_host_map, &h), GNTST_bad_page);
    CHECK_EQ(map(17, GNTMAP_host_map | GNTMAP_readonly, &h), GNTST_bad_page);
    grant(17, grant_frame_mfn(a, 0), GTF_permit_access);
    CHECK_EQ(map(17, GNTMAP_host_map, &h), GNTST_bad_page);
    CHECK_EQ(copy(false, b->shared_mfn.v, 0, false, host_guest_mfn(b, 0).v, 0, 8), GNTST_bad_page);
    CHECK_EQ(table[17].flags, GTF_permit_access);
    CHECK_EQ(audit(), 0);
}

TEST(batches)
{
    struct gnttab_copy *op = host_guest(b, HOST_PAGE(4));
    uint64_t own = host_guest_mfn(b, 0).v, before = frame_of(host_guest_mfn(a, 1))->state;
    uint8_t *from = host_guest(b, HOST_PAGE(0)), *to = host_guest(a, HOST_PAGE(1));

    grant(18, host_guest_mfn(a, 1), GTF_permit_access);
    grant(19, host_guest_mfn(a, 0), GTF_permit_access | GTF_readonly);
    for (unsigned int i = 0; i < 100; i++) {
        from[i] = (uint8_t)(i + 1);
        op[i] = (struct gnttab_copy){ .flags = GNTCOPY_dest_gref, .len = 1, .status = 99 };
        op[i].source.domid = DOMID_SELF;
        op[i].source.offset = (uint16_t)i;
        op[i].source.u.gmfn = own;
        op[i].dest.u.ref = i == 70 ? 19 : 18;
        op[i].dest.offset = (uint16_t)(i * 3);
    }
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_copy, HOST_PAGE(4), 100, 0), 0);
    for (unsigned int i = 0; i < 100; i++) {
        CHECK_EQ(op[i].status, i == 70 ? GNTST_general_error : GNTST_okay);
        if (i != 70)
            CHECK_EQ(to[i * 3], i + 1);
    }
    /* an array that ends in nowhere: what can be read of it is done */
    memcpy(host_guest(b, HOST_PAGE(5) - 3 * sizeof(*op)), op, 3 * sizeof(*op));
    op = host_guest(b, HOST_PAGE(5) - 3 * sizeof(*op));
    for (int i = 0; i < 3; i++)
        op[i].status = 99;
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_copy,
                       HOST_PAGE(5) - 3 * sizeof(*op), 10, 0),
             E(EFAULT));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(op[i].status, GNTST_okay);
    CHECK_EQ(table[18].flags, GTF_permit_access);
    CHECK_EQ(frame_of(host_guest_mfn(a, 1))->state, before);
    CHECK_EQ(audit(), 0);
}

/* Somebody else's page moves by offsets, but never its own frame number. */
TEST(copies_of_others)
{
    CHECK_EQ(copy_ids(GNTCOPY_dest_gref, 0, host_guest_mfn(a, 0).v, 0, 18),
             GNTST_permission_denied);
    CHECK_EQ(copy_ids(GNTCOPY_source_gref, 77, 18, DOMID_SELF, host_guest_mfn(b, 0).v),
             GNTST_bad_domain);
    CHECK_EQ(copy_ids(GNTCOPY_source_gref, 0, 1 << 20, DOMID_SELF, host_guest_mfn(b, 0).v),
             GNTST_bad_gntref);
    CHECK_EQ(copy_ids(0, DOMID_SELF, (1ull << 32) + host_guest_mfn(b, 0).v, DOMID_SELF,
                      host_guest_mfn(b, 0).v),
             GNTST_bad_page);
    /* from one page to another by one reference, both ways in one element */
    grant(18, host_guest_mfn(a, 1), GTF_permit_access);
    CHECK_EQ(copy_ids(GNTCOPY_source_gref | GNTCOPY_dest_gref, 0, 18, 0, 18), GNTST_okay);
    CHECK_EQ(table[18].flags, GTF_permit_access);
    CHECK_EQ(audit(), 0);
}

TEST(swap)
{
    struct gnttab_swap_grant_ref *op = host_guest(a, ARG);
    grant_handle_t h;

    grant(30, host_guest_mfn(a, 0), GTF_permit_access);
    grant(31, host_guest_mfn(a, 1), GTF_permit_access | GTF_readonly);
    *op = (struct gnttab_swap_grant_ref){ 30, 31, 99 };
    CHECK_EQ(host_call(a->vcpu[0], __HYPERVISOR_grant_table_op, GNTTABOP_swap_grant_ref, ARG, 1, 0),
             0);
    CHECK_EQ(op->status, GNTST_okay);
    CHECK_EQ(table[30].frame, host_guest_mfn(a, 1).v);
    CHECK_EQ(table[31].flags, GTF_permit_access);
    CHECK_EQ(map(31, GNTMAP_host_map, &h), GNTST_okay);
    *op = (struct gnttab_swap_grant_ref){ 30, 31, 99 };
    CHECK_EQ(host_call(a->vcpu[0], __HYPERVISOR_grant_table_op, GNTTABOP_swap_grant_ref, ARG, 1, 0),
             0);
    CHECK_EQ(op->status, GNTST_eagain);
    CHECK_EQ(unmap(h, ADDR), GNTST_okay);
    *op = (struct gnttab_swap_grant_ref){ 30, 1u << 30, 99 };
    CHECK_EQ(host_call(a->vcpu[0], __HYPERVISOR_grant_table_op, GNTTABOP_swap_grant_ref, ARG, 1, 0),
             0);
    CHECK_EQ(op->status, GNTST_bad_gntref);
}

TEST(limits)
{
    uint64_t free_before = frame_free_count();
    struct domain *d = host_domain(9, 1, 4, false);
    struct vcpu *v = d->vcpu[0];
    struct gnttab_setup_table *op = host_guest(d, ARG);
    grant_handle_t h;
    int n = 0;

    CHECK_EQ(grant_set_limits(d, MAX_GRANT_FRAMES + 1, 0), E(EINVAL));
    CHECK_EQ(grant_set_limits(d, 0, MAX_MAPTRACK_FRAMES + 1), E(EINVAL));
    CHECK_EQ(grant_set_limits(d, (uint32_t)-1, (uint32_t)-1), 0);
    CHECK_EQ(grant_max_frames(d), DEFAULT_GRANT_FRAMES);
    CHECK_EQ(grant_set_limits(d, 2, 1), 0);
    CHECK(!mfn_eq(grant_frame_mfn(d, 1), MFN_NONE));
    CHECK(mfn_eq(grant_frame_mfn(d, 2), MFN_NONE));
    *op = (struct gnttab_setup_table){ .dom = DOMID_SELF, .nr_frames = 3, .status = 99 };
    op->frame_list.p = (void *)HOST_PAGE(2);
    CHECK_EQ(host_call(v, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, ARG, 1, 0), 0);
    CHECK_EQ(op->status, GNTST_general_error);
    for (grant_ref_t r = 40; r < 42; r++) {
        grant(r, host_guest_mfn(a, 0), GTF_permit_access);
        table[r].domid = 9;
    }
    while (n < 300 && map_by(v, 0, 40 + n % 2, GNTMAP_host_map, &h) == GNTST_okay)
        n++;
    CHECK_EQ(n, 256);
    CHECK_EQ(map_by(v, 0, 40, GNTMAP_host_map, &h), GNTST_no_space);
    CHECK_EQ(audit(), 0);
    kill(d);
    CHECK_EQ(table[40].flags, GTF_permit_access);
    CHECK_EQ(frame_free_count(), free_before);
    CHECK_EQ(audit(), 0);
}

/* --- the end of one side --- */

TEST(a_holder_dies)
{
    uint64_t free_before = frame_free_count();
    struct domain *d = host_domain(9, 1, 4, false);
    struct frame *f = frame_of(host_guest_mfn(a, 0));
    uint64_t before = f->state;
    grant_handle_t h;

    for (grant_ref_t r = 12; r < 14; r++) {
        grant(r, host_guest_mfn(a, 0), GTF_permit_access);
        table[r].domid = 9;
    }
    for (int i = 0; i < 300; i++)
        CHECK_EQ(map_by(d->vcpu[0], 0, 12 + i % 2, GNTMAP_host_map, &h), GNTST_okay);
    CHECK(frame_refs(f->state) == frame_refs(before) + 300);
    CHECK(kill(d) >= 5);
    CHECK_EQ(f->state, before);
    CHECK_EQ(table[12].flags, GTF_permit_access);
    CHECK_EQ(frame_free_count(), free_before);
    CHECK_EQ(audit(), 0);
}

TEST(a_granter_dies)
{
    uint64_t free_before = frame_free_count();
    struct domain *d = host_domain(9, 1, 4, false);
    struct grant_entry_v1 *t = arch_map(grant_frame_mfn(d, 0));
    mfn_t m = host_guest_mfn(d, 0);
    struct frame *shared = frame_of(grant_frame_mfn(d, 0));
    grant_handle_t h, h2;

    t[8] = (struct grant_entry_v1){ GTF_permit_access, 1, (uint32_t)m.v };
    t[9] = (struct grant_entry_v1){ GTF_permit_access, 1, (uint32_t)host_guest_mfn(d, 1).v };
    CHECK_EQ(map_by(b0, 9, 8, GNTMAP_host_map, &h), GNTST_okay);
    strcpy(host_guest(d, HOST_PAGE(0)), "kept");
    CHECK(frame_get(shared, d)); /* a tool maps its table */
    kill(d);
    CHECK_EQ(audit(), 0);
    CHECK_STR((char *)arch_map(m), "kept"); /* and whose it was is still known */
    CHECK_EQ(frame_of(m)->owner, 9);
    CHECK_EQ(frame_refs(frame_of(m)->state), 1);
    /* nothing new of a dying domain, nor a larger table */
    CHECK(map_by(b0, 9, 9, GNTMAP_host_map, &h2) != GNTST_okay);
    CHECK(map_by(b0, 9, 8, GNTMAP_host_map, &h2) != GNTST_okay);
    CHECK(copy_ids(GNTCOPY_source_gref, 9, 8, DOMID_SELF, host_guest_mfn(b, 0).v) != GNTST_okay);
    CHECK(mfn_eq(grant_frame_mfn(d, 1), MFN_NONE));
    CHECK_EQ(audit(), 0);
    CHECK_EQ(unmap(h, ADDR), GNTST_okay);
    host_settle();
    CHECK(domain_get(9) == NULL);
    CHECK_EQ(frame_free_count(), free_before - 1); /* the tool's */
    CHECK_EQ(shared->owner, DOMID_INVALID);
    frame_put(shared);
    CHECK_EQ(frame_free_count(), free_before);
    CHECK_EQ(audit(), 0);
}

TEST(both_die)
{
    uint64_t free_before = frame_free_count();
    struct domain *d = host_domain(9, 1, 4, false), *e = host_domain(10, 1, 4, false);
    struct grant_entry_v1 *t = arch_map(grant_frame_mfn(d, 0));
    struct grant_entry_v1 *u = arch_map(grant_frame_mfn(e, 0));
    grant_handle_t h;

    t[8] = (struct grant_entry_v1){ GTF_permit_access, 10, (uint32_t)host_guest_mfn(d, 0).v };
    t[9] = (struct grant_entry_v1){ GTF_permit_access, 9, (uint32_t)host_guest_mfn(d, 0).v };
    u[8] = (struct grant_entry_v1){ GTF_permit_access, 9, (uint32_t)host_guest_mfn(e, 0).v };
    CHECK_EQ(map_by(e->vcpu[0], 9, 8, GNTMAP_host_map, &h), GNTST_okay);
    CHECK_EQ(map_by(d->vcpu[0], 10, 8, GNTMAP_host_map, &h), GNTST_okay);
    CHECK_EQ(map_by(d->vcpu[0], 9, 9, GNTMAP_host_map, &h), GNTST_okay); /* to itself */
    CHECK_EQ(audit(), 0);
    kill(d);
    CHECK_EQ(audit(), 0);
    kill(e);
    host_settle();
    CHECK(domain_get(9) == NULL && domain_get(10) == NULL);
    CHECK_EQ(frame_free_count(), free_before);
    CHECK_EQ(audit(), 0);
}

/* --- transfer --- */

/* A page that d has and does not use. */
static mfn_t spare_page(struct domain *d)
{
    struct frame *f = frame_alloc(0, 0);

    CHECK(f && frame_assign(f, 0, d) == 0);
    return frame_mfn(f);
}

static int transfer(mfn_t m, domid_t to, grant_ref_t ref)
{
    struct gnttab_transfer *op = host_guest(b, ARG);

    *op = (struct gnttab_transfer){ .mfn = m.v, .domid = to, .ref = ref, .status = 99 };
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_transfer, ARG, 1, 0), 0);
    return op->status;
}

static grant_handle_t busy_handle;
static int second_status = 99;

/* While a mapping is taken away, the guest's other vCPU asks for the same. */
static void unmap_twice(struct vcpu *v, struct grant_use *u, const struct grant_at *at,
                        unsigned int n)
{
    struct gnttab_unmap_grant_ref op = { .host_addr = at->addr, .handle = busy_handle };

    (void)u, (void)n;
    if (second_status == 99) {
        second_status = 98;
        grant_unmap(v, &op, 1, false);
        second_status = op.status;
    }
}

TEST(a_mapping_goes_once)
{
    const struct guest_ops *real = b->ops;
    struct guest_ops twice = *real;

    grant(8, host_guest_mfn(a, 0), GTF_permit_access);
    CHECK_EQ(map(8, GNTMAP_host_map, &busy_handle), GNTST_okay);
    twice.grant_unmap = unmap_twice;
    b->ops = &twice;
    CHECK_EQ(unmap(busy_handle, ADDR), GNTST_okay);
    b->ops = real;
    CHECK_EQ(second_status, GNTST_bad_handle);
    CHECK_EQ(table[8].flags, GTF_permit_access);
    CHECK_EQ(audit(), 0);
}

TEST(transfers)
{
    uint64_t free_before = frame_free_count();
    uint64_t pages_a = a->tot_pages, pages_b = b->tot_pages;
    mfn_t m = spare_page(b);
    uint64_t flushed;

    strcpy(arch_map(m), "moved");
    grant(50, MFN(0), GTF_accept_transfer);
    flushed = pcpus[0]->tlb_flushed;
    CHECK_EQ(transfer(m, 0, 50), GNTST_okay);
    CHECK(pcpus[0]->tlb_flushed > flushed); /* the giver may have it in its TLBs */
    CHECK_EQ(table[50].flags,
             GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed);
    CHECK_EQ(table[50].frame, m.v);
    CHECK_EQ(frame_of(m)->owner, 0);
    CHECK_STR((char *)arch_map(m), "moved");
    CHECK_EQ(a->tot_pages, pages_a + 1);
    CHECK_EQ(b->tot_pages, pages_b);
    CHECK_EQ(audit(), 0);
    CHECK_EQ(transfer(m, 0, 50), GNTST_bad_page); /* it is not b's any more */
    CHECK(frame_release(frame_of(m), a));
    CHECK_EQ(frame_free_count(), free_before);
}

TEST(transfers_that_the_giver_may_not_make)
{
    uint64_t free_before = frame_free_count();
    uint64_t pages_b = b->tot_pages;
    struct frame *shared = frame_of(b->shared_mfn);
    uint64_t state = shared->state;

    grant(50, MFN(0), GTF_accept_transfer);
    CHECK_EQ(transfer(host_guest_mfn(b, 0), 0, 50), GNTST_bad_page); /* in use */
    CHECK_EQ(transfer(host_guest_mfn(a, 0), 0, 50), GNTST_bad_page);
    CHECK_EQ(transfer(b->shared_mfn, 0, 50), GNTST_bad_page);
    CHECK_EQ(transfer(MFN(max_mfn), 0, 50), GNTST_bad_page);
    CHECK_EQ(transfer(MFN(~0ull), 0, 50), GNTST_bad_page);
    CHECK_EQ(table[50].flags, GTF_accept_transfer);
    CHECK_EQ(shared->state, state);
    CHECK_EQ(b->tot_pages, pages_b);
    CHECK_EQ(frame_free_count(), free_before);
    CHECK_EQ(audit(), 0);
}

/* The ABI: the page is gone nevertheless; but it goes to nobody. */
TEST(transfers_that_nobody_takes)
{
    uint64_t free_before = frame_free_count();
    uint64_t pages_a = a->tot_pages, max = a->max_pages;
    grant_handle_t h;

    CHECK_EQ(transfer(spare_page(b), 77, 50), GNTST_bad_domain);
    CHECK_EQ(transfer(spare_page(b), 0, 51), GNTST_bad_gntref);
    CHECK_EQ(transfer(spare_page(b), 0, 1u << 20), GNTST_bad_gntref);
    grant(50, MFN(0), GTF_accept_transfer);
    table[50].domid = 2;
    CHECK_EQ(transfer(spare_page(b), 0, 50), GNTST_bad_gntref);
    grant(50, MFN(0), GTF_accept_transfer);
    a->max_pages = a->tot_pages;
    CHECK_EQ(transfer(spare_page(b), 0, 50), GNTST_no_space);
    a->max_pages = max;
    CHECK_EQ(table[50].flags, GTF_accept_transfer);
    for (uint32_t how = 0; how <= GNTMAP_readonly; how += GNTMAP_readonly) {
        grant(50, host_guest_mfn(a, 0), GTF_permit_access);
        CHECK_EQ(map(50, GNTMAP_host_map | how, &h), GNTST_okay);
        table[50].flags = GTF_accept_transfer; /* while it is mapped */
        CHECK_EQ(transfer(spare_page(b), 0, 50), GNTST_bad_gntref);
        CHECK_EQ(unmap(h, ADDR), GNTST_okay);
    }
    CHECK_EQ(a->tot_pages, pages_a);
    CHECK_EQ(frame_free_count(), free_before);
    CHECK_EQ(audit(), 0);
}
