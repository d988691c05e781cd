/* SPDX-License-Identifier: MIT */
/* The speculation choice on processors as their CPUID and MSRs describe them. */
#include "unit.h"

#include "core/log.h"
#include "x86/cpu/ops.h"
#include "x86/cpu/signature.h"
#include "x86/cpu/spec.h"

static char logged[512];

void log_msg(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    vsnprintf(logged, sizeof(logged), fmt, ap);
    va_end(ap);
}

#define IBRSB (1u << 26)
#define STIBP (1u << 27)
#define CAPS (1u << 29)
#define SSBD (1u << 31)
#define MDCLEAR (1u << 10)
#define L1DFLUSH (1u << 28)

enum {
    MELTDOWN = 1,
    L1TF = 2,
    VERW = 4,
    IBPB = 8,
    RSB = 16,
    AUTO = 32,
    BUFFERS = 64,
    RETURNS = 128,
    HISTORY = 256,
    SIBLING = 512,
    BRANCHES = 1024,
    FLUSH = 2048,
    L1 = 4096
};

static const struct row {
    const char *name;
    struct spec_input in;
    unsigned int want;
    uint64_t spec_ctrl;
} rows[] = {
    { "QEMU TCG Skylake-Server",
      { SPEC_INTEL, 6, 0x55, 4, 0, 0, 0, 0, false, true, true, 0 },
      0,
      0 },
    { "Pentium MMX", { SPEC_INTEL, 5, 4, 3, 0, 0, 0, 0, false, false, false, 0 }, 0, 0 },
    { "Atom N270 (Bonnell)", { SPEC_INTEL, 6, 0x1c, 2, 0, 0, 0, 0, false, true, false, 0 }, 0, 0 },
    { "Core 2 Quad, no microcode",
      { SPEC_INTEL, 6, 0x17, 10, 0, 0, 0, 0, false, false, false, 0 },
      MELTDOWN | L1TF | L1 | RSB | BUFFERS | BRANCHES,
      0 },
    { "Xeon E5-2670 (Sandy Bridge)",
      { SPEC_INTEL, 6, 0x2d, 7, IBRSB | STIBP | SSBD | MDCLEAR | L1DFLUSH, 0, 0, 0, false, true,
        false, 0 },
      MELTDOWN | L1TF | FLUSH | RSB | VERW | IBPB | SIBLING,
      2 },
    { "Celeron J1900 (Silvermont)",
      { SPEC_INTEL, 6, 0x37, 8, IBRSB | STIBP | MDCLEAR, 0, 0, 0, false, false, false, 0 },
      MELTDOWN | RSB | VERW | IBPB,
      0 },
    { "Celeron J3455 (Goldmont)",
      { SPEC_INTEL, 6, 0x5c, 9, IBRSB | STIBP | CAPS, 0, 0, 0, false, false, false, 1ull << 0 },
      RSB | IBPB,
      0 },
    { "Core i7-6700 (Skylake)",
      { SPEC_INTEL, 6, 0x5e, 3, IBRSB | STIBP | SSBD | MDCLEAR | L1DFLUSH, 0, 0, 0, true, true,
        false, 0 },
      MELTDOWN | L1TF | FLUSH | RSB | VERW | IBPB | RETURNS | SIBLING,
      2 },
    { "Xeon 8260 (Cascade Lake)",
      { SPEC_INTEL, 6, 0x55, 7, IBRSB | STIBP | SSBD | MDCLEAR | CAPS, 0, 0, 0, true, true, false,
        0x2b | 1ull << 7 | 1ull << 17 },
      RSB | VERW | IBPB | HISTORY | SIBLING,
      3 },
    { "Xeon 8380 (Ice Lake)",
      { SPEC_INTEL, 6, 0x6a, 6, IBRSB | STIBP | SSBD | MDCLEAR | CAPS, 0, 0, 0, false, false, false,
        0x2b | 1ull << 8 | 1ull << 6 | 1ull << 17 | 1ull << 13 },
      RSB | VERW | IBPB | HISTORY,
      1 },
    { "Core i7-12700 (Alder Lake)",
      { SPEC_INTEL, 6, 0x97, 2, IBRSB | STIBP | SSBD | MDCLEAR | CAPS, 1u << 4, 0, 0, false, false,
        false, 0x2b | 1ull << 8 | 1ull << 6 | 7ull << 13 | 1ull << 17 | 1ull << 28 },
      RSB | VERW | IBPB,
      0x401 },
    { "Xeon 8480+ (Sapphire Rapids)",
      { SPEC_INTEL, 6, 0x8f, 8, IBRSB | STIBP | SSBD | MDCLEAR | CAPS, 1u << 4, 0, 0, true, true,
        false, 0x2b | 1ull << 8 | 1ull << 6 | 7ull << 13 | 1ull << 17 | 1ull << 27 },
      RSB | IBPB,
      0x403 },
    { "Opteron 2350 (Barcelona)",
      { SPEC_AMD, 0x10, 2, 3, 0, 0, 0, 0, false, false, false, 0 },
      RSB | BRANCHES,
      0 },
    { "FX-8350 (Piledriver)",
      { SPEC_AMD, 0x15, 2, 0, 0, 0, 1u << 12, 0, false, false, false, 0 },
      RSB | IBPB | RETURNS,
      0 },
    { "EPYC 7551 (Zen)",
      { SPEC_AMD, 0x17, 1, 2, 0, 0, 1u << 12, 0, false, true, false, 0 },
      RSB | IBPB | RETURNS,
      0 },
    { "EPYC 7742 (Zen 2)",
      { SPEC_AMD, 0x17, 0x31, 0, 0, 0, 1u << 12 | 1u << 15, 0, false, true, false, 0 },
      RSB | IBPB | RETURNS,
      2 },
    { "EPYC 7763 (Zen 3)",
      { SPEC_AMD, 0x19, 1, 1, 0, 0, 1u << 12 | 1u << 15 | 1u << 29, 0, false, true, false, 0 },
      RSB | IBPB | RETURNS,
      2 },
    { "EPYC 9654 (Zen 4)",
      { SPEC_AMD, 0x19, 0x11, 1, 0, 0, 1u << 12 | 1u << 15 | 1u << 29, 1u << 8, false, false, false,
        0 },
      RSB | IBPB | AUTO | RETURNS,
      0 },
    { "EPYC 9755 (Zen 5)",
      { SPEC_AMD, 0x1a, 2, 1, 0, 0, 1u << 12 | 1u << 15, 1u << 8 | 1u << 29, false, false, false,
        0 },
      RSB | IBPB | AUTO,
      0 },
    { "Zhaoxin KX-6000",
      { SPEC_OTHER, 7, 0x3b, 0, 0, 0, 0, 0, false, false, false, 0 },
      MELTDOWN | L1TF | L1 | RSB | BRANCHES,
      0 },
};

static unsigned int bits(const struct spec_choice *c)
{
    return (c->meltdown ? MELTDOWN : 0) | (c->l1tf ? L1TF : 0) | (c->verw ? VERW : 0) |
           (c->ibpb ? IBPB : 0) | (c->rsb_fill ? RSB : 0) | (c->auto_ibrs ? AUTO : 0) |
           (c->open_buffers ? BUFFERS : 0) | (c->open_returns ? RETURNS : 0) |
           (c->open_history ? HISTORY : 0) | (c->open_sibling ? SIBLING : 0) |
           (c->open_branches ? BRANCHES : 0) | (c->flush_l1d ? FLUSH : 0) | (c->open_l1d ? L1 : 0);
}

TEST(real_processors)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct spec_choice c;
        char text[400];

        spec_decide(&rows[i].in, &c);
        if (bits(&c) != rows[i].want || c.spec_ctrl != rows[i].spec_ctrl)
            printf("%s: %#x (%#llx): %s\n", rows[i].name, bits(&c), (unsigned long long)c.spec_ctrl,
                   spec_describe(&c, text, sizeof(text)));
        CHECK_EQ(bits(&c), rows[i].want);
        CHECK_EQ(c.spec_ctrl, rows[i].spec_ctrl);
    }
}

/* Below another hypervisor that flushes itself, or on a processor without L1TF, nothing is done. */
TEST(l1_flush)
{
    struct spec_input in = {
        .vendor = SPEC_INTEL, .family = 6, .model = 0x5e, .leaf7_edx = L1DFLUSH | CAPS
    };
    struct spec_choice c;
    char text[400];

    spec_decide(&in, &c);
    CHECK(c.flush_l1d && !c.open_l1d);
    CHECK(strstr(spec_describe(&c, text, sizeof(text)), "L1 flush for HVM guests"));
    in.leaf7_edx = CAPS;
    spec_decide(&in, &c);
    CHECK(!c.flush_l1d && c.open_l1d);
    CHECK(strstr(spec_describe(&c, text, sizeof(text)), "L1 to HVM guests"));
    in.arch_caps = 1u << 3;
    spec_decide(&in, &c);
    CHECK(c.l1tf && !c.flush_l1d && !c.open_l1d);
    in.leaf7_edx |= L1DFLUSH;
    in.arch_caps = 1; /* no L1TF */
    spec_decide(&in, &c);
    CHECK(!c.l1tf && !c.flush_l1d && !c.open_l1d);
}

TEST(the_safe_side)
{
    struct spec_input in = { .vendor = SPEC_INTEL, .family = 6, .model = 0xff };
    struct spec_choice c;
    char small[8];

    /* An unknown processor that says nothing about itself. */
    spec_decide(&in, &c);
    CHECK(c.meltdown && c.l1tf && c.open_buffers && c.open_branches && c.rsb_fill);
    CHECK(!c.verw && !c.ibpb && !c.spec_ctrl);
    spec_describe(&c, small, sizeof(small));
    CHECK(strlen(small) == sizeof(small) - 1); /* cut, and terminated */
}

static const struct spec_wish by_need = { .xpti_dom0 = -1, .xpti_domu = -1 };

TEST(reads_the_machine)
{
    static const struct host_cpuid skylake_x[] = {
        { 0, 0, 0x16, 0x756e6547, 0x6c65746e, 0x49656e69 },
        { 1, 0, 0x50657, 0x100800, 0x7ffefbff, 0xbfebfbff },
        { 7, 0, 0, 0xd39ffffb, 0x808, IBRSB | STIBP | CAPS | MDCLEAR },
        { 0xb, 0, 1, 2, 0x100, 0 },
        { 0x80000000, 0, 0x80000008, 0, 0, 0 },
        { 0x80000008, 0, 0x302e, 0, 0, 0 },
        { ~0u, ~0u, 0, 0, 0, 0 },
    };
    static const struct host_cpuid tcg[] = {
        { 0, 0, 0xd, 0x68747541, 0x444d4163, 0x69746e65 },
        { 1, 0, 0x663, 0x10800, 0x80002001, 0x78bfbff },
        { 0x40000000, 0, 0x40000001, 0x54474354, 0x43544743, 0x47435447 },
        { ~0u, ~0u, 0, 0, 0, 0 },
    };

    host_machine = (struct host_machine){ .cpuid = skylake_x, .nr_msr = 3 };
    host_machine.msr[0] = (struct host_msr){ 0x10a, 0x2b, true };
    host_machine.msr[1] = (struct host_msr){ 0x48, 0, false };
    host_machine.msr[2] = (struct host_msr){ 0x49, 0, false };
    spec_init(&by_need);
    CHECK_EQ(bits(&spec_choice), RSB | VERW | IBPB | HISTORY | SIBLING);
    CHECK(strstr(logged, "family 0x6 model 0x55)"));
    CHECK(strstr(logged, "enhanced IBRS"));
    CHECK(spec_choice.tags && strstr(logged, "address-space tags"));
    spec_init_cpu();
    CHECK_EQ(host_machine.msr[1].val, 3);
    spec_switch_domain();
    CHECK_EQ(host_machine.msr[2].val, 1);

    host_machine = (struct host_machine){ .cpuid = tcg };
    spec_init(&by_need);
    CHECK_EQ(bits(&spec_choice), 0);
    CHECK(!spec_choice.tags && !strstr(logged, "tags"));
    CHECK(strstr(logged, "emulated): retpolines, index clamping"));
    CHECK(!strstr(logged, "open"));
    spec_init_cpu();
    spec_switch_domain();
}

/* Page tables without the hypervisor: as the processor needs it, or as the command line says. */
TEST(isolation)
{
    static const struct host_cpuid haswell[] = {
        { 0, 0, 0xd, 0x756e6547, 0x6c65746e, 0x49656e69 },
        { 1, 0, 0x306c3, 0x100800, 0x7ffafbff, 0xbfebfbff },
        { ~0u, ~0u, 0, 0, 0, 0 },
    };
    static const struct {
        struct spec_wish wish;
        bool dom0, domu;
        const char *says, *open;
    } row[] = {
        { { false, -1, -1 }, true, true, "isolated page tables for PV guests;", NULL },
        { { false, 0, 0 }, false, false, NULL, " Meltdown buffer" },
        { { false, 0, -1 }, false, true, "for PV guests but Domain 0", "Meltdown (Domain 0)" },
        { { false, -1, 0 }, true, false, "tables for Domain 0", "Meltdown (other guests)" },
    };
    struct spec_input amd = { .vendor = SPEC_AMD, .family = 0x17 };
    struct spec_choice c;

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        host_machine = (struct host_machine){ .cpuid = haswell };
        spec_init(&row[i].wish);
        CHECK(spec_choice.meltdown);
        CHECK_EQ(spec_choice.isolate_dom0, row[i].dom0);
        CHECK_EQ(spec_choice.isolate_domu, row[i].domu);
        CHECK_EQ(spec_isolates(), row[i].dom0 || row[i].domu);
        CHECK(row[i].says ? strstr(logged, row[i].says) != NULL : !strstr(logged, "isolated"));
        CHECK(row[i].open ? strstr(logged, row[i].open) != NULL : !strstr(logged, "Meltdown"));
    }
    spec_decide(&amd, &c);
    CHECK(!c.isolate_dom0 && !c.isolate_domu);
}

/* PCID and INVPCID, or none; before anything else is known of the processor. */
TEST(tags)
{
    for (unsigned int i = 0; i < 16; i++) {
        struct spec_input in = { .vendor = i & 4 ? SPEC_AMD : SPEC_INTEL,
                                 .family = 6,
                                 .emulated = i & 8,
                                 .pcid = i & 1,
                                 .invpcid = i & 2 };
        struct spec_choice c;

        spec_decide(&in, &c);
        CHECK_EQ(c.tags, (i & 3) == 3);
    }
}

TEST(family_and_model)
{
    static const struct {
        uint32_t eax;
        struct cpu_signature is;
    } known[] = {
        { 0x50654, { 0x6, 0x55, 4 } },   /* Skylake-X */
        { 0x830f10, { 0x17, 0x31, 0 } }, /* Zen 2 */
        { 0xf4a, { 0xf, 0x4, 10 } },     /* Prescott */
        { 0x10543, { 0x5, 0x4, 3 } },    /* what is behind means nothing in family 5 */
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct cpu_signature s = cpu_signature(known[i].eax);

        CHECK_EQ(s.family, known[i].is.family);
        CHECK_EQ(s.model, known[i].is.model);
        CHECK_EQ(s.stepping, known[i].is.stepping);
    }
}
