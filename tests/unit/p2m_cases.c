/* SPDX-License-Identifier: MIT */
/* Cases of x86/mm/p2m that random streams (tests/model/p2m.c) meet too rarely. */
#include "unit.h"

#include <xen/errno.h>

#include "host/host.h"
#include "x86/mm/p2m.h"
#include "x86/mm/paging.h"

void *direct(uint64_t pa)
{
    return arch_map(MFN(pa >> PAGE_SHIFT));
}

uint64_t direct_pa(const void *p)
{
    return arch_unmap(p).v << PAGE_SHIFT;
}

static struct domain *d, *other;
static struct p2m p2m;
static unsigned int flushes;

static void flush(struct domain *of)
{
    (void)of;
    flushes++;
}

static const struct p2m_hooks hooks = { .flush = flush };

static void fresh(unsigned int max_order)
{
    if (!d) {
        host_boot(4096, 2);
        d = host_domain(1, 1, 0, false);
        other = host_domain(2, 1, 0, false);
    }
    CHECK(p2m_init(&p2m, d, &p2m_npt, &hooks, max_order, 100) == 0);
    flushes = 0;
}

static void end(void)
{
    while (p2m_teardown(&p2m) == -XEN_EAGAIN)
        pcpu_gave_way(arch_this_cpu());
    CHECK_EQ(p2m.tables, 0);
}

/* A leaf of 1 GiB, down to a page in its middle. The frames are a device's, behind all RAM. */
TEST(large_leaf_is_split)
{
    const uint64_t gfn = 3ull << 18, mfn = 5ull << 18, hole = gfn + 0x12345;
    struct p2m_entry e;
    uint64_t tables;

    fresh(P2M_ORDER_1G);
    CHECK_EQ(p2m_place(&p2m, GFN(gfn), MFN(mfn), 18, P2M_MMIO_DIRECT), 0);
    CHECK_EQ(p2m.entries[P2M_MMIO_DIRECT], 1u << 18);
    tables = p2m.tables;
    CHECK_EQ(tables, 2); /* the root, and one below it */
    e = p2m_lookup(&p2m, GFN(hole));
    CHECK(e.mfn.v == mfn + 0x12345 && e.order == 18 && e.type == P2M_MMIO_DIRECT);
    CHECK_EQ(p2m_remove(&p2m, GFN(hole), MFN_NONE, 0, &e), 0);
    CHECK(e.mfn.v == mfn + 0x12345 && e.order == 0);
    CHECK_EQ(p2m.tables, tables + 2);
    CHECK_EQ(p2m_lookup(&p2m, GFN(hole)).type, P2M_HOLE);
    for (uint64_t at = gfn; at < gfn + (1u << 18); at += 0x155)
        if (at != hole)
            CHECK_EQ(p2m_lookup(&p2m, GFN(at)).mfn.v, mfn + at - gfn);
    CHECK_EQ(p2m_lookup(&p2m, GFN(hole + 1)).order, 0);
    CHECK_EQ(p2m_lookup(&p2m, GFN(gfn)).order, 9);
    p2m_sync(&p2m);
    CHECK_EQ(flushes, 1);
    p2m_sync(&p2m);
    CHECK_EQ(flushes, 1); /* nothing more was taken away */
    /* A piece of 2 MiB as a whole. */
    CHECK_EQ(p2m_remove(&p2m, GFN(gfn + 512), MFN_NONE, 9, &e), 0);
    CHECK(e.order == 9 && e.mfn.v == mfn + 512);
    CHECK_EQ(p2m_audit(&p2m), 0);
    end();
}

/* Without leaves of 1 GiB the same is 512 of 2 MiB; what is in the way is found in any of them. */
TEST(order_18_without_such_leaves)
{
    struct p2m_entry e;

    fresh(P2M_ORDER_2M);
    CHECK_EQ(p2m_place(&p2m, GFN(0), MFN(1ull << 18), 18, P2M_MMIO_DIRECT), 0);
    CHECK_EQ(p2m_lookup(&p2m, GFN(77)).order, 9);
    CHECK_EQ(p2m_remove(&p2m, GFN(511 * 512 + 5), MFN_NONE, 0, &e), 0);
    CHECK_EQ(p2m_place(&p2m, GFN(0), MFN(1ull << 18), 18, P2M_MMIO_DIRECT), -XEN_EBUSY);
    end();
}

static mfn_t page_of(struct domain *owner)
{
    struct frame *f = frame_alloc_for(owner, 0, 0);

    CHECK_EQ(frame_assign(f, 0, owner), 0);
    return frame_mfn(f);
}

TEST(another_domains_frame_only_if_asked_for)
{
    static const enum p2m_type types[] = { P2M_FOREIGN, P2M_FOREIGN_RO, P2M_GRANT_RW,
                                           P2M_GRANT_RO };
    mfn_t mfn = page_of(other);
    struct p2m_entry e;

    fresh(P2M_ORDER_2M);
    for (unsigned int i = 0; i < 4; i++) {
        CHECK(frame_get(frame_of(mfn), other));
        CHECK_EQ(p2m_place(&p2m, GFN(i), mfn, 0, types[i]), 0);
        CHECK_EQ(p2m_get(&p2m, GFN(i), 0, &e), -XEN_EACCES);
        CHECK_EQ(p2m_get(&p2m, GFN(i), P2M_WRITE, &e), -XEN_EACCES);
        CHECK_EQ(p2m_get(&p2m, GFN(i), P2M_ANY_OWNER | P2M_WRITE, &e), i & 1 ? -XEN_EACCES : 0);
        CHECK_EQ(p2m_get(&p2m, GFN(i), P2M_ANY_OWNER, &e), 0);
        CHECK(mfn_eq(e.mfn, mfn));
    }
    CHECK_EQ(frame_refs(frame_of(mfn)->state), 1 + 4 + 4 + 2);
    for (unsigned int i = 0; i < 6; i++)
        frame_put(frame_of(mfn));
    end(); /* drops those of the foreign leaves */
    CHECK_EQ(frame_refs(frame_of(mfn)->state), 3);
    frame_put(frame_of(mfn));
    frame_put(frame_of(mfn));
    frame_release(frame_of(mfn), other);
}

/* Leaves whose dirty bits a log took back stay small: the CPU may set them again at any time. */
TEST(logged_leaves_are_not_merged)
{
    unsigned long bitmap[8] = { 0 };
    uint64_t done = 0;
    unsigned int order = 0;
    struct frame *f;

    fresh(P2M_ORDER_2M);
    f = frame_alloc_for(d, 9, 0);
    CHECK_EQ(frame_assign(f, 9, d), 0);
    CHECK_EQ(p2m_place(&p2m, GFN(512), frame_mfn(f), 9, P2M_RAM), 0);
    CHECK_EQ(p2m_lookup(&p2m, GFN(600)).order, 9);
    while (p2m_dirty(&p2m, GFN(512), 512, &done, bitmap) == -XEN_EAGAIN)
        pcpu_gave_way(arch_this_cpu());
    CHECK_EQ(bitmap[7], ~0ul);
    CHECK_EQ(p2m_lookup(&p2m, GFN(600)).order, 0);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(
            p2m_set_type(&p2m, GFN(600), &order, i ? P2M_IOREQ : P2M_RAM, i ? P2M_RAM : P2M_IOREQ),
            0);
    for (unsigned int i = 0; i < 512; i++) /* all alike again: none is dirty */
        done = 0, bitmap[0] = 0, p2m_dirty(&p2m, GFN(512 + i), 1, &done, bitmap);
    CHECK_EQ(p2m_set_type(&p2m, GFN(600), &order, P2M_RAM, P2M_RAM), 0);
    CHECK_EQ(p2m_lookup(&p2m, GFN(600)).order, 0);
    p2m_mark_dirty(&p2m, GFN(513));
    bitmap[0] = done = 0;
    CHECK_EQ(p2m_dirty(&p2m, GFN(513), 1, &done, bitmap), 0);
    CHECK_EQ(bitmap[0], 1);
    end();
    for (unsigned int i = 0; i < 512; i++)
        frame_release(f + i, d);
}

/* What is taken away keeps its table until the flush, and the account says so. */
TEST(tables_wait_for_the_flush)
{
    struct p2m_entry e;

    fresh(P2M_ORDER_2M);
    CHECK_EQ(p2m_place(&p2m, GFN(7), MFN(1ull << 20), 0, P2M_MMIO_DIRECT), 0);
    CHECK_EQ(p2m.tables, 4);
    CHECK_EQ(p2m_remove(&p2m, GFN(7), MFN(5), 0, &e), -XEN_ENOENT);
    CHECK_EQ(p2m_remove(&p2m, GFN(7), MFN(1ull << 20), 0, &e), 0);
    CHECK_EQ(p2m.tables, 4);
    CHECK_EQ(p2m_set_limit(&p2m, 3), -XEN_EBUSY);
    p2m_sync(&p2m);
    CHECK_EQ(p2m.tables, 1);
    CHECK_EQ(p2m_set_limit(&p2m, 3), 0);
    CHECK_EQ(p2m_place(&p2m, GFN(7), MFN(1ull << 20), 0, P2M_MMIO_DIRECT), -XEN_ENOMEM);
    p2m_sync(&p2m); /* the tables that it built in vain */
    CHECK_EQ(p2m_place(&p2m, GFN(0), MFN(1ull << 20), 9, P2M_MMIO_DIRECT), 0);
    end();
}
