/* SPDX-License-Identifier: MIT */
/* Features by name, cpuid= of configurations, what one host lacks of another's. */
#include "tools/cli/cpu_features.h"
#include <stdlib.h>
#include "unit.h"

TEST(features_by_name)
{
    CHECK_EQ(cpu_feature_find("fpu"), 0);
    CHECK_EQ(cpu_feature_find("AVX2"), 5 * 32 + 5);
    CHECK_EQ(cpu_feature_find("sse4.2"), 32 + 20);
    CHECK_EQ(cpu_feature_find("clfsh"), 19);
    CHECK_EQ(cpu_feature_find("cmpxchg16"), 32 + 13);
    CHECK_EQ(cpu_feature_find("nonsense"), -1);
    CHECK_EQ(cpu_feature_find("psdp_no"), -1); /* no leaf of CPUID */
    CHECK_STR(cpu_feature_name(5 * 32 + 5), "avx2");
    CHECK(cpu_feature_name(10) == NULL);
}

TEST(features_of_leaves)
{
    xen_cpuid_leaf_t l[] = { { .leaf = 7, .subleaf = 0, .b = 0x20, .c = 4, .d = 8 },
                             { .leaf = 1, .subleaf = XEN_CPUID_INPUT_UNUSED, .c = 1, .d = 2 },
                             { .leaf = 7, .subleaf = 1, .a = 16, .b = 0xff } };
    struct cpu_features f, off = { { [5] = 0x20, [0] = 2 } };

    cpu_features_read(&f, l, 3);
    CHECK(f.word[0] == 2 && f.word[1] == 1 && f.word[5] == 0x20 && f.word[6] == 4);
    CHECK(f.word[9] == 8 && f.word[10] == 16 && f.word[2] == 0);
    cpu_features_clear(&off, l, 3);
    CHECK(l[0].b == 0 && l[0].c == 4 && l[1].d == 0 && l[1].c == 1);
}

TEST(features_that_are_missing)
{
    struct cpu_features need = { { [0] = 1 << 10 | 1, [5] = 0x20 } }, have = { { [0] = 1 } };
    char *text = cpu_features_missing(&need, &have);

    CHECK_STR(text, "bit 10 of 0x1 edx, avx2");
    free(text);
    text = cpu_features_missing(&have, &need);
    CHECK_STR(text, "");
    free(text);
    need = have;
    need.word[0] |= 1u << 28; /* what a hypervisor says of its vCPUs */
    need.word[1] |= 1u << 31;
    need.word[3] |= 1u << 1 | 1;
    text = cpu_features_missing(&need, &have);
    CHECK_STR(text, "lahf_lm");
    free(text);
}

static void wrong(const char *text, const char *words)
{
    struct cpu_wish w;
    char *why = cpu_wish_parse(text, &w);

    if (!why || !strstr(why, words)) {
        printf("%s: \"%s\" instead of \"%s\"\n", text, why ? why : "", words);
        unit_failures++;
    }
    free(why);
}

TEST(wishes)
{
    struct cpu_wish w;

    CHECK(cpu_wish_parse("host", &w) == NULL);
    CHECK(cpu_wish_parse("host,avx2=0,sse3=1,x2apic=k,tm=x,htt=s", &w) == NULL);
    CHECK(w.off.word[5] == 0x20 && w.on.word[1] == 1 && w.off.word[0] == 0);
    wrong("avx2=0", "begins with host");
    wrong("hostavx2=0", "begins with host");
    wrong("host,", "no FEATURE=VALUE");
    wrong("host,avx2", "no FEATURE=VALUE");
    wrong("host,avx2=2", "no FEATURE=VALUE");
    wrong("host,avx2=00", "no FEATURE=VALUE");
    wrong("host,family=6", "no FEATURE=VALUE with a value");
    wrong("host,fnord=0", "fnord is no feature");
    wrong("host,avx2=0,avx2=1", "insists on");
}
