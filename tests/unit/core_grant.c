/* SPDX-License-Identifier: MIT */
#include "core/types.h"

#include <xen/grant_table.h>

#include "core/audit.h"
#include "core/grant.h"
#include "core/hypercall.h"
#include "core/ptype.h"
#include "host/host.h"
#include "unit.h"

static struct domain *a, *b; /* a grants, b uses */
static struct vcpu *b0;
static struct grant_entry_v1 *table;
static uint64_t free_before;

#define ARG HOST_PAGE(3)

__attribute__((constructor)) static void boot(void)
{
    host_boot(4096, 1);
    a = host_domain(0, 1, 4, true);
    b = host_domain(1, 1, 5, false);
    b0 = b->vcpu[0];
    table = arch_map(grant_frame_mfn(a, 0));
    free_before = frame_free_count();
}

static void grant(grant_ref_t ref, mfn_t mfn, uint16_t flags)
{
    table[ref] = (struct grant_entry_v1){ .flags = flags, .domid = 1, .frame = (uint32_t)mfn.v };
}

static int map(grant_ref_t ref, uint32_t flags, grant_handle_t *h)
{
    struct gnttab_map_grant_ref *op = host_guest(b, ARG);

    *op = (struct gnttab_map_grant_ref){
        .host_addr = 0x40000000, .flags = flags, .ref = ref, .dom = 0, .status = 99
    };
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, ARG, 1, 0), 0);
    *h = op->handle;
    return op->status;
}

static int unmap(grant_handle_t h, uint64_t addr)
{
    struct gnttab_unmap_grant_ref *op = host_guest(b, ARG);

    *op = (struct gnttab_unmap_grant_ref){ .host_addr = addr, .handle = h, .status = 99 };
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, ARG, 1, 0), 0);
    return op->status;
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
    CHECK_EQ(unmap(h, 0x40000000), GNTST_okay);
    CHECK_EQ(table[8].flags, GTF_permit_access | GTF_reading);
    CHECK_EQ(unmap(h, 0x40000000), GNTST_bad_handle);
    CHECK_EQ(unmap(h2, 0), GNTST_okay); /* nothing named: nothing unmapped */
    CHECK_EQ(unmap(h2, 0x40000001), GNTST_bad_virt_addr);
    CHECK_EQ(unmap(h2, 0x40000000), GNTST_okay);
    CHECK_EQ(table[8].flags, GTF_permit_access);
    CHECK_EQ(f->state, before);
    CHECK_EQ(unmap(~0u, 0x40000000), GNTST_bad_handle);
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
    static grant_handle_t h[700];
    struct frame *f = frame_of(host_guest_mfn(a, 0));
    uint64_t before = f->state;

    grant(11, host_guest_mfn(a, 0), GTF_permit_access);
    for (int i = 0; i < 700; i++)
        CHECK_EQ(map(11, GNTMAP_host_map | (i & 1 ? GNTMAP_readonly : 0), &h[i]), GNTST_okay);
    CHECK_EQ(audit(), 0);
    host_fail_every = 1;
    for (int i = 0; i < 70; i++) { /* the third page of tracks cannot be had */
        grant_handle_t extra;
        int rc = map(11, GNTMAP_host_map, &extra);

        CHECK(rc == GNTST_okay || rc == GNTST_no_space);
        if (rc == GNTST_okay)
            CHECK_EQ(unmap(extra, 0x40000000), GNTST_okay);
    }
    host_fail_every = 0;
    for (int i = 699; i >= 0; i--)
        CHECK_EQ(unmap(h[i], 0x40000000), GNTST_okay);
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
    op->nr_frames = MAX_GRANT_FRAMES + 1;
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, ARG, 1, 0), 0);
    CHECK_EQ(op->status, GNTST_general_error);
    op->dom = 0;
    op->nr_frames = 1;
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, ARG, 1, 0), 0);
    CHECK_EQ(op->status, GNTST_permission_denied);
    *q = (struct gnttab_query_size){ .dom = DOMID_SELF };
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_query_size, ARG, 1, 0), 0);
    CHECK_EQ(q->nr_frames, 3);
    CHECK_EQ(q->max_nr_frames, MAX_GRANT_FRAMES);
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, GNTTABOP_query_size, 0x1000, 1, 0),
             E(EFAULT));
    CHECK_EQ(host_call(b0, __HYPERVISOR_grant_table_op, 99, ARG, 1, 0), E(ENOSYS));
    CHECK_EQ(audit(), 0);
}

TEST(teardown_drops_what_is_mapped)
{
    struct frame *f = frame_of(host_guest_mfn(a, 0));
    uint64_t before = f->state;
    grant_handle_t h;
    int rc;

    grant(12, host_guest_mfn(a, 0), GTF_permit_access);
    for (int i = 0; i < 300; i++)
        CHECK_EQ(map(12, GNTMAP_host_map, &h), GNTST_okay);
    while ((rc = grant_teardown(b)) == E(EAGAIN))
        ;
    CHECK_EQ(rc, 0);
    CHECK_EQ(f->state, before);
    CHECK_EQ(table[12].flags, GTF_permit_access);
    CHECK_EQ(audit(), 0);
}
