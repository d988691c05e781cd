/* SPDX-License-Identifier: MIT */
/* CPU policies: their places, the exchange format, what fits, what is cut. */
#include "unit.h"

#include <xen/errno.h>

#include "lib/cpu_policy.h"
#include "lib/macros.h"

/* Debian's Xen 4.17 on QEMU's `max` processor gives PV guests this by default (its AMD half). */
static const struct cpu_policy_leaf leaves[] = {
    { 0, ~0u, { 0xd, 0x68747541, 0x444d4163, 0x69746e65 } },
    { 1, ~0u, { 0x60fb1, 0x20800, 0xf6d83203, 0x1fc9c3f5 } },
    { 7, 0, { 0, 0x01880329, 0x200, 0 } },
    { 0xd, 0, { 7, 0, 832, 0 } },
    { 0xd, 1, { 5, 0, 0, 0 } },
    { 0xd, 2, { 256, 576, 0, 0 } },
    { 0x80000000, ~0u, { 0x80000021, 0x68747541, 0x444d4163, 0x69746e65 } },
    { 0x80000001, ~0u, { 0x60fb1, 0, 0x63, 0xe8500800 } },
    { 0x80000008, ~0u, { 0x3028, 0, 0, 0 } },
    { 0x80000021, ~0u, { 4, 0, 0, 0 } },
};

static struct cpu_policy host(void)
{
    static struct cpu_policy p;
    struct cpu_policy_where w;

    memset(&p, 0, sizeof(p));
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
        CHECK_EQ(cpu_policy_put_leaf(&p, &leaves[i], &w), 0);
    cpu_policy_settle(&p);
    return p;
}

static unsigned int count(const struct cpu_policy *p)
{
    struct cpu_policy_leaf l;
    unsigned int at = 0, n = 0;

    while (cpu_policy_next_leaf(p, &at, &l))
        n++;
    return n;
}

TEST(as_xen_gives_it)
{
    struct cpu_policy p = host();

    CHECK_EQ(count(&p), 52); /* what Debian's Xen gives for this policy */
    CHECK_EQ(*cpu_policy_word(&p, 2), 0xe9d1cbf5);
    CHECK_EQ(cpu_policy_states(&p), 7);
}

TEST(each_place_comes_back)
{
    static struct cpu_policy p, q;
    struct cpu_policy_where w;
    struct cpu_policy_leaf l;
    struct cpu_policy_msr m;
    unsigned int at = 0, n = 0;

    memset(&p, 0, sizeof(p));
    memset(&q, 0, sizeof(q));
    for (unsigned int i = 0; i < CPU_POLICY_LEAVES; i++)
        p.leaf[i] = (struct cpuid_regs){ i + 1, i + 2, i + 3, i + 4 };
    cpu_policy_at(&p, 0, 0)->a = cpu_policy_at(&p, 0x80000000, 0)->a = ~0u;
    cpu_policy_at(&p, 7, 0)->a = 2;
    cpu_policy_at(&p, 0xd, 0)->d = 1u << 30; /* the last state */
    p.msr[0].lo = p.msr[1].hi = 77;
    for (; cpu_policy_next_leaf(&p, &at, &l); n++)
        CHECK_EQ(cpu_policy_put_leaf(&q, &l, &w), 0);
    CHECK_EQ(n, CPU_POLICY_LEAVES);
    for (at = 0; cpu_policy_next_msr(&p, &at, &m);)
        CHECK_EQ(cpu_policy_put_msr(&q, &m, &w), 0);
    CHECK(memcmp(&p, &q, sizeof(p)) == 0);
    CHECK_EQ(cpu_policy_ask(&p, 0xd, 62).a, cpu_policy_at(&p, 0xd, 62)->a);
    CHECK_EQ(cpu_policy_ask(&p, 0x80000021, 9).a, 120);
    CHECK_EQ(cpu_policy_ask(&p, 0xe, 0).a | cpu_policy_ask(&p, 0x80000022, 0).a, 0);
    CHECK(!cpu_policy_at(&p, 4, 6) && !cpu_policy_at(&p, 0xd, 63) && !cpu_policy_at(&p, 0xe, 0));
}

/* The errors that Debian's Xen gives. */
TEST(what_no_policy_has)
{
    static const struct {
        uint32_t leaf, sub;
    } bad[] = { { 0, 0 },
                { 4, 6 },
                { 4, ~0u },
                { 7, 3 },
                { 0xb, 2 },
                { 0xd, 63 },
                { 0xd, ~0u },
                { 0xe, 0 },
                { 0xe, ~0u },
                { 0x40000001, ~0u },
                { 0x80000022, ~0u },
                { 0xc0000000, ~0u },
                { 0x7fffffff, 0 },
                { ~0u, ~0u } };
    static const struct {
        struct cpu_policy_msr m;
        int err;
    } msrs[] = { { { 0x10, 0, 0 }, XEN_ERANGE },
                 { { 0xce, 1, 0 }, XEN_EINVAL },
                 { { 0xc0010010, 0, 0 }, XEN_ERANGE },
                 { { 0x10a, 0, ~0ull }, 0 } };
    struct cpu_policy p = host(), before = p;
    struct cpu_policy_where w;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct cpu_policy_leaf l = { bad[i].leaf, bad[i].sub, { 1, 1, 1, 1 } };
        CHECK_EQ(cpu_policy_put_leaf(&p, &l, &w), XEN_ERANGE);
        CHECK(w.leaf == l.leaf && w.subleaf == l.subleaf && w.msr == ~0u);
    }
    CHECK(memcmp(&p, &before, sizeof(p)) == 0);
    for (size_t i = 0; i < ARRAY_SIZE(msrs); i++) {
        CHECK_EQ(cpu_policy_put_msr(&p, &msrs[i].m, &w), msrs[i].err);
        CHECK(!msrs[i].err || (w.leaf == ~0u && w.msr == msrs[i].m.idx));
    }
}

TEST(what_does_not_fit)
{
    struct cpu_policy max = host(), p = max;
    struct cpu_policy_where w;

    CHECK(cpu_policy_fits(&p, &max, &w));
    cpu_policy_at(&p, 0, 0)->a = 0x20;
    CHECK(!cpu_policy_limits_fit(&p, &max, &w) && w.leaf == 0 && w.msr == ~0u);
    p = max;
    cpu_policy_at(&p, 0x80000000, 0)->a = CPU_POLICY_MAX_EXT + 1;
    CHECK(!cpu_policy_limits_fit(&p, &max, &w) && w.leaf == 0x80000000);
    /* More leaves with nothing in them say nothing. */
    cpu_policy_at(&max, 0x80000000, 0)->a = CPU_POLICY_MAX_EXT - 2;
    p = max;
    cpu_policy_at(&p, 0x80000000, 0)->a = CPU_POLICY_MAX_EXT;
    memset(cpu_policy_at(&p, CPU_POLICY_MAX_EXT - 1, 0), 0, sizeof(struct cpuid_regs));
    cpu_policy_at(&p, CPU_POLICY_MAX_EXT, 0)->a = 1;
    CHECK(cpu_policy_limits_fit(&p, &max, &w));
    cpu_policy_at(&p, CPU_POLICY_MAX_EXT - 1, 0)->d = 1;
    CHECK(!cpu_policy_limits_fit(&p, &max, &w) && w.leaf == 0x80000000);
    p = max;
    p.msr[0].lo = 1u << 31;
    CHECK(!cpu_policy_limits_fit(&p, &max, &w) && w.leaf == ~0u && w.msr == 0xce);
    p = max;
    for (unsigned int i = 0; i < CPU_POLICY_WORDS; i++, p = max) {
        uint32_t missing = ~*cpu_policy_word(&max, i);

        *cpu_policy_word(&p, i) |= missing & -missing;
        CHECK(cpu_policy_limits_fit(&p, &max, &w));
        CHECK(!cpu_policy_fits(&p, &max, &w));
        CHECK((w.leaf == ~0u) == (i == 16 || i == 17));
        CHECK(w.msr == (w.leaf == ~0u ? 0x10a : ~0u));
    }
    *cpu_policy_word(&p, 5) |= 1u << 16;
    CHECK(!cpu_policy_fits(&p, &max, &w) && w.leaf == 7 && w.subleaf == 0);
    p = max;
    cpu_policy_at(&p, 0xd, 0)->a |= 0xe0;
    CHECK(!cpu_policy_fits(&p, &max, &w) && w.leaf == 0xd && w.subleaf == 0);
}

TEST(levelled)
{
    struct cpu_policy max = host(), p = max, once;
    struct cpu_policy_where w;

    memset(p.leaf, 0xff, sizeof(p.leaf));
    memset(p.msr, 0xff, sizeof(p.msr));
    cpu_policy_at(&p, 1, 0)->a = 0x20f10;
    cpu_policy_level(&p, &max);
    CHECK(cpu_policy_fits(&p, &max, &w));
    CHECK_EQ(cpu_policy_at(&p, 1, 0)->a, 0x20f10); /* its own; everything else is the host's */
    cpu_policy_at(&p, 1, 0)->a = cpu_policy_at(&max, 1, 0)->a;
    CHECK(memcmp(&p, &max, sizeof(p)) == 0);
    once = p;
    cpu_policy_level(&p, &max);
    CHECK(memcmp(&p, &once, sizeof(p)) == 0);
    /* Less stays less. */
    *cpu_policy_word(&p, 5) &= ~(1u << 29);
    cpu_policy_at(&p, 0, 0)->a = 0xb;
    cpu_policy_at(&p, 0x80000008, 0)->a = 0x3024;
    cpu_policy_level(&p, &max);
    CHECK_EQ(*cpu_policy_word(&p, 5) >> 29 & 1, 0);
    CHECK_EQ(cpu_policy_at(&p, 0, 0)->a, 0xb);
    CHECK_EQ(cpu_policy_at(&p, 0x80000008, 0)->a, 0x3024);
    CHECK(!cpu_policy_fits(&max, &p, &w));
}

TEST(features_go_with_their_state)
{
    struct cpu_policy p = host();

    cpu_policy_at(&p, 0xd, 0)->a = 3;
    cpu_policy_settle(&p);
    CHECK_EQ(*cpu_policy_word(&p, 1) & (1u << 28 | 1u << 12 | 1u << 29), 0); /* AVX, FMA, F16C */
    CHECK_EQ(*cpu_policy_word(&p, 5) & 1u << 5, 0);                          /* AVX2 */
    CHECK_EQ(*cpu_policy_word(&p, 6) & 1u << 9, 0);                          /* VAES */
    CHECK_EQ(cpu_policy_at(&p, 0xd, 0)->c, 576);
    CHECK_EQ(cpu_policy_at(&p, 0xd, 2)->a, 0);
    p = host();
    *cpu_policy_word(&p, 1) &= ~(1u << 28);
    cpu_policy_settle(&p);
    CHECK_EQ(cpu_policy_states(&p), 3);
    p = host();
    cpu_policy_at(&p, 0xd, 0)->a = 1; /* no SSE: nothing to save by XSAVE */
    cpu_policy_settle(&p);
    CHECK_EQ(*cpu_policy_word(&p, 1) & 1u << 26, 0);
    CHECK_EQ(*cpu_policy_word(&p, 4) | cpu_policy_states(&p), 0);
    p = host();
    *cpu_policy_word(&p, 5) |= 1u << 16 | 1u << 30; /* AVX-512 without its states */
    cpu_policy_settle(&p);
    CHECK_EQ(*cpu_policy_word(&p, 5) & (1u << 16 | 1u << 30), 0);
    p = host();
    *cpu_policy_word(&p, 15) = 1; /* 7.1 */
    cpu_policy_settle(&p);
    CHECK_EQ(cpu_policy_at(&p, 7, 0)->a, 1);
    CHECK_EQ(count(&p), 53);
}
