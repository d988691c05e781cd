/* SPDX-License-Identifier: MIT */
/* memory_op: what the machine and the domain have, giving pages back, getting them, exchanging. */
#include "guest.h"

static long reservation(void)
{
    domid_t self = DOMID_SELF;

    return hc_memory_op(XENMEM_current_reservation, &self);
}

static long change(unsigned int cmd, xen_pfn_t *list, unsigned long n, unsigned int order)
{
    struct xen_memory_reservation r = { .nr_extents = n,
                                        .extent_order = order,
                                        .domid = DOMID_SELF };

    r.extent_start.p = list;
    return hc_memory_op(cmd, &r);
}

/* What the hypervisor shows of itself, the M2P: Domain 0 maps it by DOMID_XEN, to read. */
static void check_shown(xen_pfn_t extent)
{
    unsigned long pfn = alloc_pfn(), mfn = p2m[pfn];
    volatile uint64_t *m2p = (volatile uint64_t *)TEST_VA;
    xen_pfn_t frame = extent + mfn / 512;
    struct account before;
    struct mmu_update u;

    map_page(TEST_VA, 0);
    account_take(&before);
    u.ptr = va_pte_maddr(TEST_VA, 1);
    u.val = mk_pte(frame, KERN_RW);
    ANSWER(hc_mmu_update(&u, 1, NULL, DOMID_XEN), -EBUSY);
    u.val = mk_pte(frame, KERN_RO);
    ANSWER(hc_mmu_update(&u, 1, NULL, DOMID_SELF), -EBUSY);
    ANSWER(hc_mmu_update(&u, 1, NULL, DOMID_IO), -EBUSY);
    if (ANSWER(hc_mmu_update(&u, 1, NULL, DOMID_XEN), 0)) {
        CHECK_EQ(m2p[mfn % 512], pfn, "the M2P's entry of a page of ours");
        u.val = mk_pte(frame, KERN_RW);
        ANSWER(hc_mmu_update(&u, 1, NULL, DOMID_XEN), -EBUSY);
        ANSWER(hc_mmu_update(&u, 1, NULL, DOMID_SELF), -EBUSY);
        ANSWER(hc_update_va_mapping(TEST_VA, 0, UVMF_INVLPG | UVMF_LOCAL), 0);
    }
    account_check(&before, "what the hypervisor shows");
}

static void check_queries(void)
{
    struct xen_machphys_mapping m = { 0 };
    struct xen_machphys_mfn_list list = { .max_extents = 4 };
    xen_pfn_t extents[4] = { 0 };
    domid_t dom = DOMID_SELF;
    long max = hc_memory_op(XENMEM_maximum_ram_page, NULL);

    CHECK_EQ(reservation(), si->nr_pages - 1, "current reservation");
    CHECK(hc_memory_op(XENMEM_maximum_reservation, &dom) >= reservation(), "maximum reservation");
    CHECK(max >= 0x1f000 && max <= 0x100000, "maximum_ram_page %#lx", max);
    CHECK_EQ(hc_memory_op(XENMEM_machphys_mapping, &m), 0, "machphys_mapping");
    CHECK_EQ(m.v_start, HYPERVISOR_VIRT_START, "M2P start");
    CHECK(m.v_end > m.v_start && m.max_mfn + 1 >= (unsigned long)max, "M2P %#lx %#lx", m.v_end,
          m.max_mfn);
    list.extent_start.p = extents;
    CHECK_EQ(hc_memory_op(XENMEM_machphys_mfn_list, &list), 0, "machphys_mfn_list");
    CHECK(list.nr_extents >= 1 && extents[0], "M2P extents %u", list.nr_extents);
    check_shown(extents[0]);
    dom = 0x1234;
    CHECK_EQ(hc_memory_op(XENMEM_current_reservation, &dom), -ESRCH, "no such domain");
    CHECK_EQ(hc_memory_op(63, &dom), -ENOSYS, "unknown operation");
}

struct e820 {
    uint64_t addr, size;
    uint32_t type;
} __attribute__((packed));

static void check_map(void)
{
    static struct e820 map[128];
    struct xen_memory_map op = { .nr_entries = 128 };
    uint64_t ram = 0;

    op.buffer.p = map;
    CHECK_EQ(hc_memory_op(XENMEM_machine_memory_map, &op), 0, "machine_memory_map");
    CHECK(op.nr_entries >= 3 && op.nr_entries < 128, "entries %u", op.nr_entries);
    for (unsigned int i = 0; i < op.nr_entries; i++) {
        if (i)
            CHECK(map[i].addr >= map[i - 1].addr + map[i - 1].size, "entry %u", i);
        if (map[i].type == 1)
            ram += map[i].size;
    }
    CHECK(ram > (300ul << 20) && ram <= (512ul << 20), "RAM %lu", ram);
    op.nr_entries = 1;
    map[1].addr = 0x77;
    long rc = hc_memory_op(XENMEM_machine_memory_map, &op);
    CHECK(rc <= 0, "one entry: %ld", rc);
    CHECK_EQ(map[1].addr, 0x77, "beyond one entry");
}

/* A page given back and got again. */
static void check_give_and_take(void)
{
    unsigned long pfn = alloc_pfn();
    xen_pfn_t mfn = p2m[pfn], gpfn = pfn;
    long before = reservation();

    CHECK_EQ(direct_set(pfn, 0), 0, "unmap");
    CHECK_EQ(change(XENMEM_decrease_reservation, &mfn, 1, 0), 1, "decrease");
    CHECK_EQ(reservation(), before - 1, "reservation");
    CHECK(hc_update_va_mapping((uint64_t)pfn_virt(pfn), mk_pte(mfn, KERN_RW), UVMF_INVLPG) < 0,
          "mapped although given back");
    CHECK_EQ(change(XENMEM_decrease_reservation, &mfn, 1, 0), 0, "given back twice");
    CHECK_EQ(change(XENMEM_populate_physmap, &gpfn, 1, 0), 1, "populate");
    CHECK_EQ(reservation(), before, "reservation");
    p2m[pfn] = gpfn;
    CHECK_EQ(M2P[gpfn], pfn, "M2P");
    CHECK_EQ(direct_set(pfn, KERN_RW), 0, "map");
    *(uint64_t *)pfn_virt(pfn) = 1;
    free_pfn(pfn);
}

/* A page that is still mapped lives until its last mapping is gone. */
static void check_mapped(void)
{
    unsigned long pfn = alloc_pfn();
    xen_pfn_t mfn = p2m[pfn], gpfn = pfn;
    long rc, before = reservation();

    rc = change(XENMEM_decrease_reservation, &mfn, 1, 0);
    printk("note: decrease of a mapped page: %ld\n", rc);
    *(volatile uint64_t *)pfn_virt(pfn) = 5;
    CHECK_EQ(*(volatile uint64_t *)pfn_virt(pfn), 5, "the mapping");
    CHECK_EQ(direct_set(pfn, 0), 0, "unmap");
    if (!rc) {
        CHECK_EQ(direct_set(pfn, KERN_RW), 0, "map");
        return;
    }
    CHECK_EQ(reservation(), before - 1, "reservation");
    CHECK_EQ(change(XENMEM_populate_physmap, &gpfn, 1, 0), 1, "populate");
    p2m[pfn] = gpfn;
    CHECK_EQ(direct_set(pfn, KERN_RW), 0, "map");
    free_pfn(pfn);
}

/* A table in use is not lost by giving it back. */
static void check_table(void)
{
    unsigned long pfn = alloc_table();
    xen_pfn_t mfn = p2m[pfn];

    CHECK_EQ(mmuext1(MMUEXT_PIN_L1_TABLE, mfn, 0), 0, "pin");
    CHECK_EQ(change(XENMEM_decrease_reservation, &mfn, 1, 0), 1, "decrease of a pinned table");
    CHECK(hc_update_va_mapping((uint64_t)pfn_virt(pfn), mk_pte(mfn, KERN_RW), UVMF_INVLPG) < 0,
          "a pinned table made writable");
    mmuext1(MMUEXT_UNPIN_TABLE, mfn, 0);
    CHECK_EQ(direct_set(pfn, 0), 0, "unmap");
}

static void check_bad(void)
{
    xen_pfn_t bad[] = { 0x40000000, 0xfee00, 0xfffffffffffff, ~0ul, 0x1000 };
    struct xen_memory_reservation r = { .nr_extents = 1, .domid = 0x1234 };
    xen_pfn_t one = 0;

    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
        if (bad[i] < 0x20000 && M2P[bad[i]] < si->nr_pages && p2m[M2P[bad[i]]] == bad[i])
            continue;
        CHECK_EQ(change(XENMEM_decrease_reservation, &bad[i], 1, 0), 0, "decrease of %#lx", bad[i]);
    }
    r.extent_start.p = &one;
    CHECK(hc_memory_op(XENMEM_increase_reservation, &r) <= 0, "no such domain");
    CHECK(change(XENMEM_increase_reservation, &one, 1, 40) <= 0, "order 40");
    CHECK(change(XENMEM_increase_reservation, &one, 1, ~0u) <= 0, "order -1");
    CHECK(change(XENMEM_decrease_reservation, &one, 1, 64) <= 0, "order 64");
    CHECK(change(XENMEM_populate_physmap, (xen_pfn_t *)0x1000, 1, 0) <= 0, "list not mapped");
    CHECK(change(XENMEM_decrease_reservation, (xen_pfn_t *)0x1000, 10, 0) <= 0, "list not mapped");
    CHECK(change(XENMEM_decrease_reservation, (xen_pfn_t *)0x1000, ~0ul, 0) <= 0, "endless list");
    CHECK(change(XENMEM_decrease_reservation, (xen_pfn_t *)HYPERVISOR_VIRT_START, ~0ul >> 4, 0) <=
              0,
          "endless list in the M2P");
    CHECK_EQ(change(XENMEM_decrease_reservation, &one, 0, 0), 0, "no extents");
}

static long exchange(xen_pfn_t *in, unsigned long nin, unsigned int oin, xen_pfn_t *out,
                     unsigned long nout, unsigned int oout, struct xen_memory_exchange *x)
{
    memset(x, 0, sizeof(*x));
    x->in.nr_extents = nin;
    x->in.extent_order = oin;
    x->in.domid = x->out.domid = DOMID_SELF;
    x->out.nr_extents = nout;
    x->out.extent_order = oout;
    x->out.mem_flags = XENMEMF_address_bits(32);
    x->in.extent_start.p = in;
    x->out.extent_start.p = out;
    return hc_memory_op(XENMEM_exchange, x);
}

/* Eight scattered pages for one contiguous extent, as a kernel does for DMA. */
static void check_exchange(void)
{
    struct xen_memory_exchange x;
    xen_pfn_t in[8], out;
    unsigned long first = alloc_pfn();
    long before = reservation();

    for (int i = 1; i < 8; i++)
        CHECK_EQ(alloc_pfn(), first + (unsigned long)i, "consecutive pfns");
    for (unsigned long i = 0; i < 8; i++) {
        in[i] = p2m[first + (i * 3) % 8];
        CHECK_EQ(direct_set(first + i, 0), 0, "unmap");
    }
    out = first;
    CHECK_EQ(exchange(in, 8, 0, &out, 1, 3, &x), 0, "exchange");
    CHECK_EQ(x.nr_exchanged, 8, "exchanged");
    CHECK(out % 8 == 0 && out < (1ul << 20), "the extent %#lx", out);
    CHECK_EQ(reservation(), before, "reservation");
    for (unsigned long i = 0; i < 8; i++) {
        p2m[first + i] = out + i;
        CHECK_EQ(M2P[out + i], first + i, "M2P");
        CHECK_EQ(direct_set(first + i, KERN_RW), 0, "map");
        free_pfn(first + i);
    }
}

static void check_bad_exchange(void)
{
    struct xen_memory_exchange x;
    unsigned long pfn = alloc_pfn();
    xen_pfn_t in[2] = { 0x40000000, 0x40000001 }, out[2] = { pfn, pfn };

    CHECK(exchange(in, 1, 0, out, 1, 0, &x) < 0, "of nothing");
    CHECK_EQ(x.nr_exchanged, 0, "exchanged");
    in[0] = p2m[kernel_l4_pfn];
    CHECK(exchange(in, 1, 0, out, 1, 0, &x) < 0, "of the L4");
    in[0] = p2m[pfn];
    CHECK(exchange(in, 1, 0, out, 2, 0, &x) < 0, "one for two");
    CHECK(exchange(in, 1, 0, out, 1, 1, &x) < 0, "one for an extent of two");
    CHECK(exchange(in, 1ul << 61, 3, out, 1ul << 61, 3, &x) < 0, "sizes that wrap");
    CHECK(exchange(in, 1, 64, out, 1, 64, &x) < 0, "order 64");
    CHECK(exchange((xen_pfn_t *)0x1000, 1, 0, out, 1, 0, &x) < 0, "list not mapped");
    memset(&x, 0, sizeof(x));
    x.in.domid = x.out.domid = DOMID_SELF;
    x.in.nr_extents = x.out.nr_extents = 1;
    x.nr_exchanged = 5;
    x.in.extent_start.p = in;
    x.out.extent_start.p = out;
    CHECK(hc_memory_op(XENMEM_exchange, &x) < 0, "nr_exchanged beyond the list");
    *(volatile uint64_t *)pfn_virt(pfn) = 3;
    free_pfn(pfn);
}

/* Extents of 4 MiB, which some drivers want: got, exchanged both ways, given back. */
static void check_large(void)
{
    static xen_pfn_t single[1024];
    struct xen_memory_exchange x;
    xen_pfn_t large = 0, out;
    unsigned long pfn = alloc_pfn();
    long before = reservation();

    CHECK_EQ(change(XENMEM_increase_reservation, &large, 1, 10), 1, "4 MiB");
    CHECK(large && large % 1024 == 0, "the extent %#lx", large);
    CHECK_EQ(reservation(), before + 1024, "reservation");
    CHECK_EQ(
        hc_update_va_mapping((uint64_t)pfn_virt(pfn), mk_pte(large + 1023, KERN_RW), UVMF_INVLPG),
        0, "map its last page");
    CHECK_EQ(*(volatile uint64_t *)pfn_virt(pfn), 0, "what is in it");
    CHECK_EQ(direct_set(pfn, KERN_RW), 0, "map");
    free_pfn(pfn);
    for (unsigned int i = 0; i < 1024; i++)
        single[i] = 0x100000 + i;
    CHECK_EQ(exchange(&large, 1, 10, single, 1024, 0, &x), 0, "exchange for single pages");
    CHECK_EQ(x.nr_exchanged, 1, "exchanged");
    CHECK_EQ(reservation(), before + 1024, "reservation");
    CHECK_EQ(M2P[single[1023]], 0x100000 + 1023, "M2P of the last");
    CHECK_EQ(hc_memory_op(XENMEM_exchange, &x), 0, "exchange that is done already");
    out = 0x200000;
    CHECK_EQ(exchange(single, 1024, 0, &out, 1, 10, &x), 0, "exchange for 4 MiB");
    CHECK_EQ(x.nr_exchanged, 1024, "exchanged");
    CHECK(out % 1024 == 0, "the extent %#lx", out);
    CHECK_EQ(M2P[out], 0x200000, "M2P of the first");
    CHECK_EQ(M2P[out + 1023], 0x200000 + 1023, "M2P of the last");
    CHECK_EQ(change(XENMEM_decrease_reservation, &out, 1, 10), 1, "4 MiB back");
    CHECK_EQ(reservation(), before, "reservation");
    CHECK_EQ(change(XENMEM_increase_reservation, &large, 1, 19), 0, "order 19");
    CHECK_EQ(change(XENMEM_decrease_reservation, &large, 1, 19), 0, "order 19");
    CHECK_EQ(exchange(&large, 1, 19, &out, 1, 19, &x), -EPERM, "order 19");
    CHECK_EQ(change(XENMEM_increase_reservation, &large, 1, 18), 0, "more than there is");
}

/* All memory of the machine, then all of it back. */
static void check_exhaustion(void)
{
    static xen_pfn_t got[60000];
    unsigned long n = 0;
    struct evtchn_alloc_unbound port = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
    long rc = 1;

    while (n < ARRAY_SIZE(got) && (rc = change(XENMEM_increase_reservation, &got[n], 1, 4)) == 1)
        n++;
    printk("note: %lu extents of 16 pages, then %ld\n", n, rc);
    CHECK(rc <= 0, "memory without end");
    rc = hc_event_channel_op(EVTCHNOP_alloc_unbound, &port);
    CHECK(rc == 0 || rc == -ENOMEM, "a port without memory: %ld", rc);
    if (!rc)
        CHECK_EQ(event_close(port.port), 0, "close");
    CHECK_EQ(TRY("ud2", "i"(0)), VEC_UD, "a trap without memory");
    for (unsigned long i = 0; i < n; i += 1000) {
        unsigned long part = n - i < 1000 ? n - i : 1000;

        CHECK_EQ(change(XENMEM_decrease_reservation, &got[i], part, 4), part, "all back");
    }
}

void guest_main(void)
{
    struct account before, after;

    CHECK_EQ(reservation(), si->nr_pages, "reservation at the start");
    check_table();
    account_take(&before);
    check_queries();
    check_map();
    check_give_and_take();
    check_mapped();
    check_bad();
    check_exchange();
    check_bad_exchange();
    check_large();
    account_check(&before, "memory");
    check_exhaustion();
    account_take(&after);
    CHECK(after.free_pages + 64 >= before.free_pages, "%lu pages were lost",
          before.free_pages - after.free_pages);
    CHECK_EQ(after.reservation, before.reservation, "pages of the domain");
}
