/* SPDX-License-Identifier: MIT */
/* Grants of a domain to itself: the table, mapping, unmapping, replacing, copying; types; refusals.
 */
#include "guest.h"

#define TABLE_VA (TEST_VA + (1ul << 21))
#define REF 40

static volatile grant_entry_v1_t *table;
static uint64_t host_va = TEST_VA;

static void give(unsigned int ref, unsigned long mfn, unsigned int flags)
{
    table[ref].domid = 0;
    table[ref].frame = (uint32_t)mfn;
    BARRIER();
    table[ref].flags = (uint16_t)flags;
}

static int map_full(unsigned int ref, unsigned int dom, uint64_t va, unsigned int flags,
                    grant_handle_t *handle)
{
    struct gnttab_map_grant_ref op = {
        .host_addr = va,
        .flags = GNTMAP_host_map | flags,
        .ref = ref,
        .dom = (domid_t)dom,
        .status = 99,
    };

    CHECK_EQ(hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 1), 0, "map_grant_ref");
    *handle = op.handle;
    return op.status;
}

static int map(unsigned int ref, unsigned int flags, grant_handle_t *handle)
{
    return map_full(ref, 0, host_va, flags, handle);
}

static int unmap(uint64_t va, grant_handle_t handle)
{
    struct gnttab_unmap_grant_ref op = { .host_addr = va, .handle = handle, .status = 99 };

    CHECK_EQ(hc_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1), 0, "unmap_grant_ref");
    return op.status;
}

static void check_set_up(void)
{
    xen_pfn_t frames[4] = { 0 };
    struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1, .status = 99 };
    struct gnttab_query_size size = { .dom = DOMID_SELF };
    struct gnttab_get_version version = { .dom = DOMID_SELF };

    setup.frame_list.p = frames;
    CHECK_EQ(hc_grant_table_op(GNTTABOP_query_size, &size, 1), 0, "query_size");
    CHECK_EQ(size.status, GNTST_okay, "query_size");
    CHECK(size.max_nr_frames >= 4 && size.nr_frames <= size.max_nr_frames, "frames %u of %u",
          size.nr_frames, size.max_nr_frames);
    CHECK_EQ(hc_grant_table_op(GNTTABOP_setup_table, &setup, 1), 0, "setup_table");
    CHECK_EQ(setup.status, GNTST_okay, "setup_table");
    CHECK(frames[0] && frames[1] == 0, "frames %#lx %#lx", frames[0], frames[1]);
    map_page(TABLE_VA, mk_pte(frames[0], KERN_RW));
    table = (grant_entry_v1_t *)TABLE_VA;
    for (unsigned int i = 0; i < 512; i++)
        table[i].flags = 0;
    CHECK_EQ(hc_grant_table_op(GNTTABOP_get_version, &version, 1), 0, "get_version");
    CHECK(version.version <= 1, "version %u", version.version);
    CHECK(mmuext1(MMUEXT_PIN_L1_TABLE, frames[0], 0) < 0, "the grant table as a page table");
    setup.dom = 0x1234;
    CHECK(hc_grant_table_op(GNTTABOP_setup_table, &setup, 1) != 0 || setup.status < 0, "no domain");
    setup.dom = DOMID_SELF;
    setup.nr_frames = size.max_nr_frames + 1;
    long rc = hc_grant_table_op(GNTTABOP_setup_table, &setup, 1);
    CHECK(rc < 0 || setup.status < 0, "too many frames: %ld %d", rc, setup.status);
}

static void check_map(void)
{
    unsigned long pfn = alloc_pfn();
    uint64_t *page = pfn_virt(pfn), *seen = (uint64_t *)host_va;
    grant_handle_t h;

    page[1] = 0x600d;
    give(REF, p2m[pfn], GTF_permit_access);
    CHECK_EQ(map(REF, 0, &h), GNTST_okay, "map");
    CHECK_EQ(seen[1], 0x600d, "through the grant");
    seen[2] = 0xbeef;
    CHECK_EQ(page[2], 0xbeef, "written through the grant");
    CHECK_EQ(table[REF].flags, GTF_permit_access | GTF_reading | GTF_writing, "flags");
    CHECK(unmap(host_va, h + 1000) < 0, "unmap of another handle");
    CHECK(unmap(host_va + PAGE_SIZE, h) < 0, "unmap at another address");
    CHECK_EQ(seen[1], 0x600d, "still mapped");
    CHECK_EQ(unmap(host_va, h), GNTST_okay, "unmap");
    CHECK_EQ(table[REF].flags, GTF_permit_access, "flags");
    CHECK(unmap(host_va, h) < 0, "unmap twice");
    CHECK_EQ(try_read8(seen, NULL), VEC_PF, "read after unmap");
    CHECK_EQ(map(REF, GNTMAP_readonly, &h), GNTST_okay, "map read-only");
    CHECK_EQ(table[REF].flags, GTF_permit_access | GTF_reading, "flags");
    CHECK_EQ(seen[1], 0x600d, "read");
    CHECK_EQ(try_write8(seen, 1), VEC_PF, "write through a read-only map");
    CHECK_EQ(unmap(host_va, h), GNTST_okay, "unmap");
    give(REF, p2m[pfn], GTF_permit_access | GTF_readonly);
    CHECK(map(REF, 0, &h) < 0, "writable map of a read-only grant");
    CHECK_EQ(table[REF].flags, GTF_permit_access | GTF_readonly, "flags after the refusal");
    CHECK_EQ(map(REF, GNTMAP_readonly, &h), GNTST_okay, "map read-only");
    CHECK_EQ(unmap(host_va, h), GNTST_okay, "unmap");
    table[REF].flags = 0;
    free_pfn(pfn);
}

static void check_refusals(void)
{
    unsigned long pfn = alloc_pfn();
    grant_handle_t h;

    give(REF, p2m[pfn], GTF_permit_access);
    CHECK(map(REF + 1, 0, &h) < 0, "a reference that is not given");
    CHECK(map(0x7fffffff, 0, &h) < 0, "a reference far away");
    CHECK(map(~0u, 0, &h) < 0, "reference -1");
    CHECK(map(512, 0, &h) < 0 && map(511, 0, &h) < 0, "the next frame's reference");
    CHECK_EQ(map_full(REF, 0x1234, host_va, 0, &h), GNTST_bad_domain, "no such domain");
    CHECK(map_full(REF, 0, TEST_VA + (1ul << 30), 0, &h) < 0, "no L1 there");
    CHECK(map_full(REF, 0, HYPERVISOR_VIRT_START + (5ul << 39), 0, &h) < 0, "in the hypervisor");
    CHECK(map_full(REF, 0, 0x8000000000000000, 0, &h) < 0, "not canonical");
    CHECK_EQ(table[REF].flags, GTF_permit_access, "flags after the refusals");
    table[REF].domid = 7;
    CHECK(map(REF, 0, &h) < 0, "given to domain 7");
    give(REF, p2m[kernel_l4_pfn], GTF_permit_access);
    CHECK(map(REF, 0, &h) < 0, "the L4, writable");
    CHECK_EQ(table[REF].flags, GTF_permit_access, "flags after the refusal");
    give(REF, 0x1f000, GTF_permit_access);
    if (M2P[0x1f000] >= si->nr_pages || p2m[M2P[0x1f000]] != 0x1f000)
        CHECK(map(REF, 0, &h) < 0, "memory that is not the granter's");
    give(REF, 0x7fffffff, GTF_permit_access);
    CHECK(map(REF, 0, &h) < 0, "a frame that is not there");
    give(REF, p2m[pfn], GTF_accept_transfer);
    CHECK(map(REF, 0, &h) < 0, "a transfer grant");
    table[REF].flags = 0;
    CHECK_EQ(va_pte(host_va, 1) & PTE_P, 0, "the entry");
    free_pfn(pfn);
}

/* A writable grant mapping is a writable use of the frame: no page table until it is gone. */
static void check_types(void)
{
    unsigned long pfn = alloc_table();
    grant_handle_t h, second;

    give(REF, p2m[pfn], GTF_permit_access);
    CHECK_EQ(map(REF, 0, &h), GNTST_okay, "map");
    CHECK(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[pfn], 0) < 0, "a granted page as a table");
    CHECK_EQ(map_full(REF, 0, host_va + PAGE_SIZE, 0, &second), GNTST_okay, "a second map");
    CHECK_EQ(unmap(host_va, h), GNTST_okay, "unmap");
    CHECK(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[pfn], 0) < 0, "mapped once, as a table");
    CHECK_EQ(table[REF].flags, GTF_permit_access | GTF_reading | GTF_writing, "flags");
    CHECK_EQ(unmap(host_va + PAGE_SIZE, second), GNTST_okay, "unmap");
    CHECK_EQ(mmuext1(MMUEXT_PIN_L1_TABLE, p2m[pfn], 0), 0, "pin");
    CHECK(map(REF, 0, &h) < 0, "a page table, writable");
    CHECK_EQ(mmuext1(MMUEXT_UNPIN_TABLE, p2m[pfn], 0), 0, "unpin");
    table[REF].flags = 0;
    free_table(pfn);
}

static void check_contains_pte(void)
{
    unsigned long pfn = alloc_pfn();
    uint64_t pte = va_pte_maddr(host_va, 1);
    grant_handle_t h;

    *(uint64_t *)pfn_virt(pfn) = 0x1dea;
    give(REF, p2m[pfn], GTF_permit_access);
    CHECK_EQ(map_full(REF, 0, pte, GNTMAP_contains_pte, &h), GNTST_okay, "map by entry");
    CHECK_EQ(*(uint64_t *)host_va, 0x1dea, "through the grant");
    CHECK_EQ(unmap(pte, h), GNTST_okay, "unmap by entry");
    CHECK(map_full(REF, 0, p2m[pfn] << 12, GNTMAP_contains_pte, &h) < 0, "entry in a data page");
    CHECK(map_full(REF, 0, va_pte_maddr(host_va, 2) + 8, GNTMAP_contains_pte, &h) < 0,
          "entry in an L2");
    CHECK(map_full(REF, 0, 0x40000000000, GNTMAP_contains_pte, &h) < 0, "entry nowhere");
    CHECK_EQ(table[REF].flags, GTF_permit_access, "flags");
    table[REF].flags = 0;
    free_pfn(pfn);
}

static void check_replace(void)
{
    unsigned long granted = alloc_pfn(), other = alloc_pfn();
    struct gnttab_unmap_and_replace op = { .host_addr = host_va, .new_addr = host_va + PAGE_SIZE };
    grant_handle_t h;

    *(uint64_t *)pfn_virt(other) = 0x07e5;
    map_page(host_va + PAGE_SIZE, pfn_pte(other, KERN_RW));
    give(REF, p2m[granted], GTF_permit_access);
    CHECK_EQ(map(REF, 0, &h), GNTST_okay, "map");
    op.handle = h;
    CHECK_EQ(hc_grant_table_op(GNTTABOP_unmap_and_replace, &op, 1), 0, "unmap_and_replace");
    CHECK_EQ(op.status, GNTST_okay, "unmap_and_replace");
    CHECK_EQ(*(uint64_t *)host_va, 0x07e5, "what came in its place");
    CHECK_EQ(va_pte(host_va + PAGE_SIZE, 1) & PTE_P, 0, "where it came from");
    CHECK_EQ(table[REF].flags, GTF_permit_access, "flags");
    CHECK_EQ(mmu_set(va_pte_maddr(host_va, 1), 0), 0, "clear");
    mmuext1(MMUEXT_INVLPG_ALL, host_va, 0);
    table[REF].flags = 0;
    free_pfn(granted);
    free_pfn(other);
}

static int copy(unsigned int flags, unsigned long src, unsigned int src_off, unsigned long dst,
                unsigned int dst_off, unsigned int len)
{
    struct gnttab_copy op = { .flags = (uint16_t)flags, .len = (uint16_t)len, .status = 99 };

    op.source.domid = op.dest.domid = DOMID_SELF;
    op.source.u.gmfn = src;
    op.dest.u.gmfn = dst;
    if (flags & GNTCOPY_source_gref)
        op.source.u.ref = (grant_ref_t)src;
    if (flags & GNTCOPY_dest_gref)
        op.dest.u.ref = (grant_ref_t)dst;
    op.source.offset = (uint16_t)src_off;
    op.dest.offset = (uint16_t)dst_off;
    CHECK_EQ(hc_grant_table_op(GNTTABOP_copy, &op, 1), 0, "copy");
    return op.status;
}

static void check_copy(void)
{
    unsigned long a = alloc_pfn(), b = alloc_pfn();
    uint8_t *pa = pfn_virt(a), *pb = pfn_virt(b);

    for (unsigned int i = 0; i < PAGE_SIZE; i++)
        pa[i] = (uint8_t)(i * 7);
    CHECK_EQ(copy(0, p2m[a], 0, p2m[b], 0, 4096), GNTST_okay, "a page");
    CHECK_EQ(memcmp(pa, pb, PAGE_SIZE), 0, "its bytes");
    memset(pb, 0, PAGE_SIZE);
    give(REF, p2m[a], GTF_permit_access | GTF_readonly);
    give(REF + 1, p2m[b], GTF_permit_access);
    CHECK_EQ(copy(GNTCOPY_source_gref | GNTCOPY_dest_gref, REF, 100, REF + 1, 200, 50), GNTST_okay,
             "from grant to grant");
    CHECK(!memcmp(pa + 100, pb + 200, 50) && pb[199] == 0 && pb[250] == 0, "its bytes");
    CHECK_EQ(table[REF].flags, GTF_permit_access | GTF_readonly, "flags");
    CHECK_EQ(table[REF + 1].flags, GTF_permit_access, "flags");
    CHECK_EQ(copy(0, p2m[a], 4000, p2m[b], 0, 97), GNTST_bad_copy_arg, "beyond the source page");
    CHECK_EQ(copy(0, p2m[a], 0, p2m[b], 4000, 97), GNTST_bad_copy_arg, "beyond the target page");
    CHECK_EQ(copy(0, p2m[a], 0, p2m[b], 0, 65535), GNTST_bad_copy_arg, "65535 bytes");
    CHECK_EQ(copy(0, p2m[a], 65535, p2m[b], 0, 2), GNTST_bad_copy_arg, "offset 65535");
    CHECK(copy(GNTCOPY_dest_gref, p2m[b], 0, REF, 0, 8) < 0, "into a read-only grant");
    CHECK(copy(GNTCOPY_source_gref, REF + 2, 0, p2m[b], 0, 8) < 0, "a reference not given");
    CHECK(copy(0, p2m[a], 0, p2m[kernel_l4_pfn], 0, 8) < 0, "into the L4");
    CHECK(copy(0, p2m[a], 0, 0x40000000, 0, 8) < 0, "into nowhere");
    CHECK(copy(0, 0x40000000, 0, p2m[b], 0, 8) < 0, "from nowhere");
    CHECK_EQ(copy(0, p2m[a], 0, p2m[a], 0, 4096), GNTST_okay, "onto itself");
    table[REF].flags = table[REF + 1].flags = 0;
    free_pfn(a);
    free_pfn(b);
}

/* Thousands of maps of one page: handles come and go, and none is lost. */
static void check_many(void)
{
    unsigned long pfn = alloc_pfn();
    static grant_handle_t handles[2000];
    unsigned int done = 0;

    for (unsigned int i = 0; i < 5; i++)
        give(REF + i, p2m[pfn], GTF_permit_access);
    for (int round = 0; round < 2; round++) {
        for (done = 0; done < 500; done++)
            if (map_full(REF + done % 5, 0, TEST_VA + done * PAGE_SIZE, GNTMAP_readonly,
                         &handles[done]))
                break;
        CHECK_EQ(done, 500, "maps");
        for (unsigned int i = 0; i < done; i++)
            CHECK_EQ(unmap(TEST_VA + i * PAGE_SIZE, handles[i]), GNTST_okay, "unmap %u", i);
    }
    for (unsigned int i = 0; i < 5; i++) {
        CHECK_EQ(table[REF + i].flags, GTF_permit_access, "flags");
        table[REF + i].flags = 0;
    }
    free_pfn(pfn);
}

static void check_arguments(void)
{
    struct gnttab_set_version v = { .version = 2 };
    struct gnttab_transfer t = { .mfn = p2m[kernel_l4_pfn], .domid = 0x1234 };
    struct gnttab_map_grant_ref op = { .dom = 0 };

    CHECK(hc_grant_table_op(99, &op, 1) < 0, "unknown operation");
    CHECK_EQ(hc_grant_table_op(GNTTABOP_map_grant_ref, &op, 0), 0, "no elements");
    CHECK(hc_grant_table_op(GNTTABOP_map_grant_ref, &op, ~0u) < 0, "4294967295 elements");
    CHECK_EQ(hc_grant_table_op(GNTTABOP_map_grant_ref, (void *)0x1000, 1), -EFAULT, "not mapped");
    CHECK_EQ(hc_grant_table_op(GNTTABOP_copy, (void *)0x1000, 1), -EFAULT, "not mapped");
    CHECK_EQ(hc_grant_table_op(GNTTABOP_unmap_grant_ref, (void *)0x1000, 1), -EFAULT, "not mapped");
    if (hc_grant_table_op(GNTTABOP_set_version, &v, 1) == 0) {
        v.version = 1;
        CHECK_EQ(hc_grant_table_op(GNTTABOP_set_version, &v, 1), 0, "version 1");
    }
    v.version = 3;
    CHECK(hc_grant_table_op(GNTTABOP_set_version, &v, 1) < 0, "version 3");
    long rc = hc_grant_table_op(GNTTABOP_transfer, &t, 1);
    CHECK(rc < 0 || t.status < 0, "transfer to no domain: %ld %d", rc, t.status);
}

void guest_main(void)
{
    struct account before, after;

    map_page(TEST_VA, 0);
    account_take(&before);
    check_set_up();
    check_map();
    check_refusals();
    check_types();
    check_contains_pte();
    check_replace();
    check_copy();
    check_many();
    check_arguments();
    /* The table and the handles' records may have grown. */
    account_take(&after);
    CHECK(after.free_pages + 64 >= before.free_pages, "%lu pages were lost",
          before.free_pages - after.free_pages);
    CHECK_EQ(after.reservation, before.reservation, "pages of the domain");
}
