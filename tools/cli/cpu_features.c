/* SPDX-License-Identifier: MIT */
/* Features of processors by name; see cpu_features.h. */
#include "tools/cli/cpu_features.h"
#include "lib/macros.h"
#include "tools/lib/util.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The words, in the ABI's order. */
static const struct {
    uint32_t leaf, subleaf;
    unsigned int reg; /* 0 eax ... 3 edx */
} words[CPU_WORDS] = {
    { 0x1, XEN_CPUID_INPUT_UNUSED, 3 },
    { 0x1, XEN_CPUID_INPUT_UNUSED, 2 },
    { 0x80000001, XEN_CPUID_INPUT_UNUSED, 3 },
    { 0x80000001, XEN_CPUID_INPUT_UNUSED, 2 },
    { 0xd, 1, 0 },
    { 0x7, 0, 1 },
    { 0x7, 0, 2 },
    { 0x80000007, XEN_CPUID_INPUT_UNUSED, 3 },
    { 0x80000008, XEN_CPUID_INPUT_UNUSED, 1 },
    { 0x7, 0, 3 },
    { 0x7, 1, 0 },
};

#define NAME_SIZE 24
static const struct {
    char name[NAME_SIZE];
    unsigned int bit;
} known[] = {
#define XEN_CPUFEATURE(name, value) { #name, value },
#include <xen/arch-x86/cpufeatureset.h>
#undef XEN_CPUFEATURE
};

/* Where xl.cfg(5) has another word. */
static const struct {
    const char *xl, *name;
} spelled[] = {
    { "altmovcr8", "CR8_LEGACY" }, { "clfsh", "CLFLUSH" }, { "cmplegacy", "CMP_LEGACY" },
    { "cmpxchg16", "CX16" },       { "cmpxchg8", "CX8" },  { "invtsc", "ITSC" },
    { "lahfsahf", "LAHF_LM" },     { "sysenter", "SEP" },  { "tsc-deadline", "TSC_DEADLINE" },
    { "sse4.1", "SSE4_1" },        { "sse4.2", "SSE4_2" }, { "tm", "TM1" },
    { "svm_lbrv", "LBRV" },        { "pni", "SSE3" },      { "ffxsr", "FFXSR" },
};

static uint32_t *reg_of(xen_cpuid_leaf_t *l, unsigned int reg)
{
    uint32_t *const regs[] = { &l->a, &l->b, &l->c, &l->d };

    return regs[reg];
}

static xen_cpuid_leaf_t *leaf_of(const xen_cpuid_leaf_t *l, unsigned int n, unsigned int word)
{
    for (unsigned int i = 0; i < n; i++)
        if (l[i].leaf == words[word].leaf && l[i].subleaf == words[word].subleaf)
            return (xen_cpuid_leaf_t *)&l[i];
    return NULL;
}

void cpu_features_read(struct cpu_features *f, const xen_cpuid_leaf_t *leaves, unsigned int n)
{
    for (unsigned int i = 0; i < CPU_WORDS; i++) {
        xen_cpuid_leaf_t *l = leaf_of(leaves, n, i);

        f->word[i] = l ? *reg_of(l, words[i].reg) : 0;
    }
}

const char *cpu_feature_name(unsigned int bit)
{
    static char small[NAME_SIZE];

    for (unsigned int i = 0; i < ARRAY_SIZE(known); i++) {
        if (known[i].bit != bit)
            continue;
        for (unsigned int j = 0; j < NAME_SIZE; j++)
            small[j] = (char)tolower((unsigned char)known[i].name[j]);
        return small;
    }
    return NULL;
}

int cpu_feature_find(const char *name)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(spelled); i++)
        if (strcasecmp(spelled[i].xl, name) == 0)
            name = spelled[i].name;
    for (unsigned int i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i].bit < 32 * CPU_WORDS && strcasecmp(known[i].name, name) == 0)
            return (int)known[i].bit;
    return -1;
}

void cpu_features_clear(const struct cpu_features *off, xen_cpuid_leaf_t *leaves, unsigned int n)
{
    for (unsigned int i = 0; i < CPU_WORDS; i++) {
        xen_cpuid_leaf_t *l = leaf_of(leaves, n, i);

        if (l)
            *reg_of(l, words[i].reg) &= ~off->word[i];
    }
}

char *cpu_word_name(unsigned int word)
{
    if (words[word].subleaf == XEN_CPUID_INPUT_UNUSED)
        return str_fmt("%#x e%cx", words[word].leaf, "abcd"[words[word].reg]);
    return str_fmt("%#x:%u e%cx", words[word].leaf, words[word].subleaf, "abcd"[words[word].reg]);
}

/*
 * HTT, HYPERVISOR, CMP_LEGACY: what a hypervisor says of itself and of how it arranges vCPUs. No
 * host lacks them; Debian's Xen has them in its guests' policies, others do not.
 */
static const struct cpu_features arranged = { { 1u << 28, 1u << 31, 0, 1u << 1 } };

char *cpu_features_missing(const struct cpu_features *need, const struct cpu_features *have)
{
    char *text = str_dup("");

    for (unsigned int bit = 0; bit < 32 * CPU_WORDS; bit++) {
        const char *name = cpu_feature_name(bit);
        char *was = text, *word;

        if (!(need->word[bit / 32] & ~have->word[bit / 32] & 1u << bit % 32) ||
            (arranged.word[bit / 32] & 1u << bit % 32))
            continue;
        word = cpu_word_name(bit / 32);
        text = name ? str_fmt("%s%s%s", was, *was ? ", " : "", name)
                    : str_fmt("%s%sbit %u of %s", was, *was ? ", " : "", bit % 32, word);
        free(word);
        free(was);
    }
    return text;
}

/* --- cpuid= --- */

/* One FEATURE=VALUE; NULL or what is wrong with it. */
static char *parse_one(const char *item, size_t n, struct cpu_wish *w)
{
    char *text = str_fmt("%.*s", (int)n, item), *value = strchr(text, '='), *wrong = NULL;
    int bit;

    if (value)
        *value++ = 0;
    bit = cpu_feature_find(text);
    if (!value || strlen(value) != 1 || !strchr("01xks", *value))
        wrong = str_fmt("'%.*s' is no FEATURE=VALUE with a value of 0, 1, x, k or s", (int)n, item);
    else if (bit < 0)
        wrong = str_fmt("%s is no feature that a guest's policy can change; `orlop cpu-policy` "
                        "lists the host's",
                        text);
    else if (*value == '0')
        w->off.word[bit / 32] |= 1u << bit % 32;
    else if (*value == '1')
        w->on.word[bit / 32] |= 1u << bit % 32;
    free(text);
    return wrong;
}

char *cpu_wish_parse(const char *text, struct cpu_wish *w)
{
    size_t n = strcspn(text, ",");
    char *wrong = NULL;

    memset(w, 0, sizeof(*w));
    if (n != 4 || memcmp(text, "host", 4) != 0)
        return str_dup("it begins with host, as in 'host,avx512f=0'; leaves by number are not "
                       "supported");
    for (text += n; *text && !wrong; text += n) {
        text++;
        n = strcspn(text, ",");
        wrong = parse_one(text, n, w);
    }
    for (unsigned int i = 0; i < CPU_WORDS && !wrong; i++)
        if (w->on.word[i] & w->off.word[i])
            wrong = str_dup("it takes a feature away that it insists on");
    return wrong;
}
