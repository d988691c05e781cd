/* SPDX-License-Identifier: MIT */
/* x86/mm/guest_walk.c against tests/unit/walk_model.h, and cases by hand. */
#include "unit.h"

#include "walk_model.h"

#include "x86/mm/guest_walk.c"

static const struct guest_walk_ops ops = { .get = wm_get };
static uint64_t seed = 88172645463325252ull;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static bool one_in(unsigned int n)
{
    return rnd() % n == 0;
}

/* An entry that mostly leads on, with a bit wrong from time to time. */
static uint64_t some_entry(bool wide)
{
    uint64_t e = (rnd() & 0xe67) | 1 | (rnd() % (WM_PAGES + 1)) << 12;

    if (!one_in(12))
        e |= 7;
    if (one_in(6))
        e |= 0x80;
    if (one_in(16))
        e ^= rnd() & 0x3fe000;
    if (one_in(16))
        e &= ~1ull;
    if (one_in(24))
        e ^= 1ull << (rnd() % (wide ? 64 : 32));
    if (wide && one_in(8))
        e |= 1ull << 63;
    if (one_in(4)) /* a large page's address */
        e &= ~0x1fe000ull;
    return e;
}

static void fill(struct walk_memory *m, bool wide)
{
    for (int p = 0; p < WM_PAGES; p++)
        for (int i = 0; i < 512; i++)
            m->page[p][i] = wide ? some_entry(true)
                                 : (some_entry(false) & 0xffffffff) | some_entry(false) << 32;
}

static struct guest_paging some_paging(void)
{
    struct guest_paging g = { .cr0 = 1ull << 31 | (rnd() & 1ull << 16),
                              .cr3 = (rnd() % WM_PAGES) << 12 | (rnd() & 0xfff),
                              .cr4 = rnd() & (3ull << 20 | 0x10),
                              .rflags = rnd() & 1ull << 18,
                              .efer = one_in(4) ? 0 : 1ull << 11,
                              .phys_bits = (uint8_t)(one_in(4) ? 36 : 40 + rnd() % 12),
                              .page1gb = one_in(2) };

    if (one_in(40))
        g.cr0 = 0;
    if (!one_in(3))
        g.cr4 |= 0x20;
    if (g.cr4 & 0x20 && !one_in(3))
        g.efer |= 1ull << 10;
    return g;
}

static bool same(const struct guest_paging *g, struct walk_memory *m, uint64_t va, uint32_t access)
{
    static struct walk_memory copy;
    struct guest_walk out;
    struct wm_result want;
    enum guest_walk_result got;

    copy = *m;
    got = guest_walk(g, &ops, m, va, access, &out);
    want = wm_walk(g, &copy, va, access);
    if (got == want.r && (got == WALK_FAULT ? out.pfec == want.pfec : out.gpa == want.gpa) &&
        (got == WALK_NO_TABLE || memcmp(&copy, m, sizeof(copy)) == 0))
        return true;
    printf("cr0 %lx cr3 %lx cr4 %lx efer %lx va %lx access %x: %d gpa %lx pfec %x, not %d %lx %x\n",
           g->cr0, g->cr3, g->cr4, g->efer, va, access, got, out.gpa, out.pfec, want.r, want.gpa,
           want.pfec);
    return false;
}

TEST(random_tables)
{
    static struct walk_memory m;
    unsigned int by_result[4] = { 0 }, faults[32] = { 0 }, orders[20] = { 0 };

    for (int i = 0; i < 150; i++) {
        fill(&m, i % 3 != 0);
        for (int j = 0; j < 400; j++) {
            struct guest_paging g = some_paging();
            uint32_t access = (uint32_t)(rnd() &
                                         (PFEC_U | PFEC_W | PFEC_I | WALK_IMPLICIT | WALK_LOOK));
            uint64_t va = rnd() & 0x7fffffffffff;
            struct guest_walk out;

            if (access & PFEC_I) /* no access is both */
                access &= ~PFEC_W;
            if (!(g.efer & 1ull << 10))
                va &= 0xffffffff;
            CHECK(same(&g, &m, va, access));
            if (unit_failures)
                return;
            enum guest_walk_result r = guest_walk(&g, &ops, &m, va, access, &out);
            by_result[r]++;
            if (r == WALK_FAULT)
                faults[out.pfec & 31]++;
            if (r == WALK_OK)
                orders[out.order]++;
        }
    }
    /* The streams meet all that there is. */
    CHECK(by_result[WALK_OK] > 1000 && by_result[WALK_FAULT] > 1000 &&
          by_result[WALK_NO_TABLE] > 1000);
    CHECK(orders[0] > 500 && orders[9] > 200 && orders[10] > 200 && orders[18] > 100);
    for (unsigned int code = 0; code < 32; code++)
        if ((code & (PFEC_I | PFEC_W)) != (PFEC_I | PFEC_W) &&
            !((code & PFEC_RSVD) && !(code & PFEC_P)))
            CHECK(faults[code] > 0);
}

/* --- another CPU changes the entry between the look and the accessed bit --- */

static unsigned int looks, change_at, change_until;

/* One entry is of every level: accessed, set for one of them, must not stand in the next one's way.
 */
TEST(tables_that_name_themselves)
{
    static const uint64_t cr4[] = { 0x20, 0x20, 0 }, efer[] = { 0x400, 0, 0 };

    for (size_t i = 0; i < 3; i++)
        for (uint32_t access = 0; access <= PFEC_W; access += PFEC_W) {
            static struct walk_memory m;
            struct guest_paging g = {
                .cr0 = 1ull << 31, .cr4 = cr4[i], .efer = efer[i], .phys_bits = 40
            };

            memset(&m, 0, sizeof(m));
            m.page[0][0] = 1;
            CHECK(same(&g, &m, 0, access));
        }
}

static void change_leaf(struct walk_memory *m)
{
    if (++looks >= change_at && looks <= change_until)
        m->page[4][0] = (uint64_t)(6 + (looks - change_at)) << 12 | 7;
}

static void four_levels(struct walk_memory *m)
{
    memset(m, 0, sizeof(*m));
    for (uint64_t p = 1; p <= 3; p++)
        m->page[p][0] = (p + 1) << 12 | 0x27;
    m->page[4][0] = 5 << 12 | 7;
}

TEST(a_race_is_walked_again)
{
    static struct walk_memory m;
    struct guest_paging g = {
        .cr0 = 1ull << 31, .cr3 = 0x1000, .efer = 3ull << 10, .phys_bits = 40, .cr4 = 0x20
    };
    struct guest_walk out;

    four_levels(&m);
    m.meanwhile = change_leaf;
    CHECK_EQ(guest_walk(&g, &ops, &m, 0x123, 0, &out), WALK_OK);
    CHECK_EQ(out.gpa, 0x5123);
    CHECK_EQ(m.page[4][0], 5 << 12 | 0x27);
    /* Four looks that find bits to set, four on the way down, the ninth is to set them: by then the
     * entry is another. */
    four_levels(&m);
    m.meanwhile = change_leaf;
    looks = 0;
    change_at = 9;
    change_until = 9;
    CHECK_EQ(guest_walk(&g, &ops, &m, 0x123, PFEC_W, &out), WALK_OK);
    CHECK_EQ(out.gpa, 0x6123);
    CHECK_EQ(m.page[4][0], 6 << 12 | 0x67);
    CHECK_EQ(looks, 14);
    /* It never stops. */
    change_until = ~0u;
    CHECK_EQ(guest_walk(&g, &ops, &m, 0x123, PFEC_W, &out), WALK_AGAIN);
}

static unsigned int held;

static void *counting_get(void *ctx, uint64_t gfn, bool write)
{
    void *p = wm_get(ctx, gfn, write);

    held += p != NULL;
    return p;
}

static void counting_put(void *ctx, uint64_t gfn, void *page)
{
    CHECK(page == ((struct walk_memory *)ctx)->page[gfn]);
    held--;
}

TEST(pages_are_put_back)
{
    static const struct guest_walk_ops counting = { counting_get, counting_put };
    static struct walk_memory m;

    fill(&m, true);
    for (int i = 0; i < 20000; i++) {
        struct guest_paging g = some_paging();
        struct guest_walk out;

        guest_walk(&g, &counting, &m, rnd() & 0x7fffffffffff, (uint32_t)(rnd() & 7), &out);
        CHECK_EQ(held, 0);
        if (held)
            return;
    }
}
