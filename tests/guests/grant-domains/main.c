/* SPDX-License-Identifier: MIT */
/*
 * Grants of another domain, which Domain 0 makes, fills and destroys, and which never runs: its
 * table by acquire_resource, its frames mapped, copied, transferred, and what is left of it while
 * Domain 0 still maps a frame.
 */
#include "domain.h"

#include <xen/memory.h>

#define TABLE_VA (TEST_VA + (1ul << 21))
#define MAP_VA TEST_VA
#define REF 8

static volatile grant_entry_v1_t *table;
static xen_pfn_t pages[4]; /* the domain's */

/* Frames from `first` on of its table. */
static long acquire(unsigned int first, unsigned int n, xen_pfn_t *frames)
{
    struct xen_mem_acquire_resource r = {
        .domid = dom,
        .type = XENMEM_resource_grant_table,
        .nr_frames = n,
        .frame = first,
    };
    long rc;

    r.frame_list.p = frames;
    rc = hc_memory_op(XENMEM_acquire_resource, &r);
    return rc == 0 && !frames ? (long)r.nr_frames : rc;
}

/* Maps a frame of the domain, as the tools do. */
static long map_foreign(uint64_t va, xen_pfn_t mfn)
{
    struct mmu_update u = { .ptr = va_pte_maddr(va, 1), .val = mk_pte(mfn, KERN_RW) };

    return hc_mmu_update(&u, 1, NULL, dom);
}

static void unmap_va(uint64_t va)
{
    CHECK_EQ(mmu_set(va_pte_maddr(va, 1), 0), 0, "clear");
    mmuext1(MMUEXT_INVLPG_ALL, va, 0);
}

static void give(unsigned int ref, xen_pfn_t frame, unsigned int flags)
{
    table[ref].domid = 0;
    table[ref].frame = (uint32_t)frame;
    BARRIER();
    table[ref].flags = (uint16_t)flags;
}

static int map(unsigned int ref, unsigned int flags, grant_handle_t *handle)
{
    struct gnttab_map_grant_ref op = {
        .host_addr = MAP_VA, .flags = GNTMAP_host_map | flags, .ref = ref, .dom = dom, .status = 99
    };

    CHECK_EQ(hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 1), 0, "map_grant_ref");
    *handle = op.handle;
    if (op.status == 0)
        CHECK_EQ(op.dev_bus_addr >> 12, table[ref].frame, "dev_bus_addr");
    return op.status;
}

static int unmap(grant_handle_t handle)
{
    struct gnttab_unmap_grant_ref op = { .host_addr = MAP_VA, .handle = handle, .status = 99 };

    CHECK_EQ(hc_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1), 0, "unmap_grant_ref");
    return op.status;
}

static void check_table(void)
{
    xen_pfn_t frames[4] = { 0 };

    CHECK_EQ(acquire(0, 0, NULL), 3, "the size of the table");
    CHECK_EQ(acquire(0, 3, frames), 0, "acquire_resource");
    CHECK(frames[0] && frames[1] && frames[2] && !frames[3], "frames %#lx %#lx %#lx", frames[0],
          frames[1], frames[2]);
    CHECK(acquire(3, 1, frames + 3) < 0, "more than its limit");
    CHECK(acquire(~0u, 1, frames + 3) < 0, "frame 4294967295");
    CHECK_EQ(map_foreign(TABLE_VA, frames[0]), 0, "map the table");
    table = (grant_entry_v1_t *)TABLE_VA;
    for (unsigned int i = 0; i < 512; i++)
        CHECK_EQ(table[i].flags, 0, "entry %u of a new table", i);
}

static void check_use(void)
{
    volatile uint64_t *seen = (uint64_t *)MAP_VA;
    unsigned long pfn = alloc_pfn();
    struct gnttab_copy c = { .flags = GNTCOPY_source_gref, .len = 16, .status = 99 };
    grant_handle_t h;

    give(REF, pages[0], GTF_permit_access);
    CHECK_EQ(map(REF, 0, &h), GNTST_okay, "map");
    seen[0] = 0xfeed;
    CHECK_EQ(table[REF].flags, GTF_permit_access | GTF_reading | GTF_writing, "flags");
    c.source.u.ref = REF;
    c.source.domid = dom;
    c.dest.u.gmfn = p2m[pfn];
    c.dest.domid = DOMID_SELF;
    CHECK_EQ(hc_grant_table_op(GNTTABOP_copy, &c, 1), 0, "copy");
    CHECK_EQ(c.status, GNTST_okay, "copy");
    CHECK_EQ(*(uint64_t *)pfn_virt(pfn), 0xfeed, "what was copied");
    CHECK_EQ(unmap(h), GNTST_okay, "unmap");
    CHECK_EQ(table[REF].flags, GTF_permit_access, "flags");
    give(REF, p2m[pfn], GTF_permit_access); /* not its own */
    CHECK(map(REF, 0, &h) < 0, "a frame that is not the granter's");
    CHECK_EQ(table[REF].flags, GTF_permit_access, "flags");
    table[REF].flags = 0;
    CHECK(map(REF, GNTMAP_readonly, &h) < 0, "an entry that was revoked");
    free_pfn(pfn);
}

/* A page goes to the domain with what is in it, and comes back to nobody. */
static void check_transfer(void)
{
    struct gnttab_transfer t = { .domid = dom, .ref = REF, .status = 99 };
    unsigned long pfn = alloc_pfn(), mfn = p2m[pfn];

    if (option("notransfer"))
        return;
    *(uint64_t *)pfn_virt(pfn) = 0x90de;
    give(REF, 0, GTF_accept_transfer);
    t.mfn = mfn;
    CHECK_EQ(hc_grant_table_op(GNTTABOP_transfer, &t, 1), 0, "transfer");
    CHECK_EQ(t.status, GNTST_bad_page, "transfer of a page that is mapped");
    CHECK_EQ(table[REF].flags, GTF_accept_transfer, "flags");
    CHECK_EQ(mmu_set(va_pte_maddr((uint64_t)pfn_virt(pfn), 1), 0), 0, "unmap it");
    mmuext1(MMUEXT_INVLPG_ALL, (uint64_t)pfn_virt(pfn), 0);
    CHECK_EQ(hc_grant_table_op(GNTTABOP_transfer, &t, 1), 0, "transfer");
    CHECK_EQ(t.status, GNTST_okay, "transfer");
    CHECK_EQ(table[REF].flags,
             GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed, "flags");
    CHECK_EQ(table[REF].frame, mfn, "the frame");
    CHECK_EQ(map_foreign(MAP_VA, mfn), 0, "it is the domain's");
    CHECK_EQ(*(volatile uint64_t *)MAP_VA, 0x90de, "what is in it");
    unmap_va(MAP_VA);
    CHECK(mmu_set(va_pte_maddr(MAP_VA, 1), mk_pte(mfn, KERN_RO)) < 0, "it is not ours");
    table[REF].flags = 0;
}

/* It dies while we map a frame and its table. */
static void check_end(void)
{
    volatile uint64_t *seen = (uint64_t *)MAP_VA;
    grant_handle_t h, h2;

    give(REF, pages[1], GTF_permit_access);
    give(REF + 1, pages[2], GTF_permit_access);
    CHECK_EQ(map(REF, 0, &h), GNTST_okay, "map");
    seen[0] = 0x1a57;
    CHECK_EQ(do_domctl(XEN_DOMCTL_destroydomain), 0, "destroydomain");
    CHECK_EQ(seen[0], 0x1a57, "the mapped frame of a destroyed domain");
    CHECK(map(REF + 1, 0, &h2) < 0, "a new map of its frame");
    CHECK(acquire(0, 1, pages) < 0 || pages[0], "its table");
    unmap_va(TABLE_VA);
    CHECK_EQ(seen[0], 0x1a57, "the mapped frame of a destroyed domain");
    CHECK_EQ(unmap(h), GNTST_okay, "unmap");
    CHECK_EQ(try_read8((uint8_t *)MAP_VA, NULL), VEC_PF, "read after unmap");
    domain_await_gone();
    CHECK(do_domctl(XEN_DOMCTL_getdomaininfo) < 0 || domctl.u.getdomaininfo.domain != dom,
          "the domain is gone");
}

void guest_main(void)
{
    struct account before, after;

    map_page(TEST_VA, 0);
    map_page(TABLE_VA, 0);
    for (int round = 0; round < 3; round++) {
        if (round == 1) /* tracks and tables of our own are there by now */
            account_take(&before);
        domain_make(1, 3, 64, pages, ARRAY_SIZE(pages));
        check_table();
        check_use();
        check_end();
    }
    account_take(&after);
    CHECK_EQ(after.free_pages, before.free_pages, "free pages");
    CHECK_EQ(after.reservation, before.reservation, "pages of the domain");
    domain_make(1, 2, 64, pages, ARRAY_SIZE(pages));
    CHECK_EQ(acquire(0, 0, NULL), 2, "the size of the table");
    xen_pfn_t frame;
    CHECK_EQ(acquire(0, 1, &frame), 0, "acquire_resource");
    CHECK_EQ(map_foreign(TABLE_VA, frame), 0, "map the table");
    check_transfer();
    unmap_va(TABLE_VA);
    CHECK_EQ(do_domctl(XEN_DOMCTL_destroydomain), 0, "destroydomain");
}
