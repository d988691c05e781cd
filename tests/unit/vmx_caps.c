/* SPDX-License-Identifier: MIT */
/*
 * The choice of VMX controls on capability MSRs as processors report them (Intel SDM volume 3,
 * appendix A): by generation, and with one thing after the other taken away.
 */
#include "unit.h"

#include "x86/hvm/vmx/caps.c"

#define BASIC 0x00da040000000000ull
#define PIN 0x0000007f00000016ull
#define PROC 0xfff9fffe04006172ull
#define PROC_PLAIN 0xfff9fffe0401e172ull
#define EXIT_OLD 0x007fffff00036dfbull
#define ENTRY_OLD 0x0000ffff000011fbull
#define EPT_OLD 0x00000f0106114141ull
#define EPT_HASWELL 0x00000f0106334141ull

static const struct row {
    const char *name;
    struct vmx_caps caps;
    unsigned int order; /* of the largest leaf, where it will do */
    uint64_t eptp;
    const char *why; /* a part of the answer where not */
} rows[] = {
    { "Nehalem: EPT and VPID, no unrestricted guests",
      { BASIC | 0xe, PIN, PROC, 0x6full << 32, 0x003fffff00036dfbull, 0x00003fff000011fbull,
        0x00000f0106114141ull },
      0,
      0,
      "no unrestricted guests" },
    { "Sandy Bridge: no pages of 1 GiB in EPT, no accessed and dirty bits",
      { BASIC | 0x10, PIN, PROC, 0xffull << 32, EXIT_OLD, ENTRY_OLD, EPT_OLD },
      P2M_ORDER_2M,
      0x1e,
      NULL },
    { "Ivy Bridge: VM functions, #VE beside it",
      { BASIC | 0x10, PIN, PROC, 0x8ffull << 32, EXIT_OLD, ENTRY_OLD, EPT_OLD },
      P2M_ORDER_2M,
      0x1e,
      NULL },
    { "Haswell",
      { BASIC | 0x12, PIN, PROC, 0x7cffull << 32, EXIT_OLD, ENTRY_OLD, EPT_HASWELL },
      P2M_ORDER_1G,
      0x5e,
      NULL },
    { "Skylake",
      { BASIC | 4, PIN, PROC, 0x1ffcffull << 32, 0x01ffffff00036dfbull, 0x0003ffff000011fbull,
        EPT_HASWELL },
      P2M_ORDER_1G,
      0x5e,
      NULL },
    { "later ones: all secondary controls that there are, five levels",
      { BASIC | 4, 0xff00000016ull, PROC | 1ull << 49, 0x7fffffffull << 32, 0x07ffffff00036dfbull,
        0x003fffff000011fbull, EPT_HASWELL | 0x80 },
      P2M_ORDER_1G,
      0x5e,
      NULL },
    { "a processor before the TRUE capability MSRs",
      { BASIC & ~BASIC_TRUE, PIN, PROC_PLAIN, 0xffull << 32, EXIT_OLD, ENTRY_OLD, EPT_OLD },
      0,
      0,
      "too old" },
};

static bool has_all(uint32_t value, uint64_t cap)
{
    return (value & (uint32_t)cap) == (uint32_t)cap && !(value & ~(uint32_t)(cap >> 32));
}

TEST(choice_by_generation)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        struct vmx_controls c;
        const char *why = vmx_choose(&r->caps, &c);

        if (r->why ? !why || !strstr(why, r->why) : why != NULL) {
            printf("%s: %s\n", r->name, why ? why : "taken");
            unit_failures++;
        }
        if (why || r->why)
            continue;
        CHECK_EQ(c.max_order, r->order);
        CHECK_EQ(c.eptp, r->eptp);
        CHECK_EQ(c.invept, 1);
        CHECK_EQ(c.revision, (uint32_t)r->caps.basic);
        CHECK(has_all(c.pin, r->caps.pin) && has_all(c.proc, r->caps.proc) &&
              has_all(c.proc2, r->caps.proc2) && has_all(c.exit, r->caps.exit) &&
              has_all(c.entry, r->caps.entry));
        CHECK(!(c.proc & (PROC_CR3_LOAD | PROC_CR3_STORE | PROC_WINDOW | PROC_RDTSC)));
    }
}

/* Each bit that is needed: without it the answer is a refusal, never another choice. */
static void without(const char *what, uint64_t *cap, uint64_t bits, const struct vmx_caps *caps)
{
    struct vmx_controls c;

    for (unsigned int b = 0; b < 64; b++) {
        if (!(bits >> b & 1))
            continue;
        *cap &= ~(1ull << b);
        if (!vmx_choose(caps, &c)) {
            printf("%s without bit %u is taken\n", what, b);
            unit_failures++;
        }
        *cap |= 1ull << b;
    }
}

TEST(each_need_is_asked_for)
{
    struct vmx_caps caps = rows[3].caps;

    without("pin", &caps.pin, (uint64_t)PIN_MUST << 32, &caps);
    without("proc", &caps.proc, (uint64_t)(PROC_MUST | PROC_MAY) << 32, &caps);
    without("proc2", &caps.proc2, (uint64_t)PROC2_MUST << 32, &caps);
    without("exit", &caps.exit, (uint64_t)EXIT_MUST << 32, &caps);
    without("entry", &caps.entry, (uint64_t)ENTRY_MUST << 32, &caps);
    without("ept_vpid", &caps.ept_vpid, EPT_MUST, &caps);
    without("basic", &caps.basic, BASIC_TRUE, &caps);
}

/*
 * All of it or nothing: Ivy Bridge's servers are the first with delivery, desktops up to Haswell
 * and later have some of it.
 */
TEST(the_apic_by_the_processor)
{
    static const struct {
        const char *name;
        uint64_t proc2; /* what may be 1 */
        bool apic;
    } of[] = { { "Sandy Bridge, a server", 0xff, false },
               { "Ivy Bridge, a server", 0xfff, true },
               { "Haswell, a desktop", 0x7cff, false },
               { "Haswell, a server", 0x7fff, true },
               { "Skylake, a server", 0x1fffff, true },
               { "without its registers", 0x1fffff & ~PROC2_APIC_REGISTERS, false },
               { "without delivery", 0x1fffff & ~PROC2_APIC_DELIVERY, false },
               { "without x2APIC mode", 0x1fffff & ~PROC2_X2APIC, false } };
    struct vmx_caps caps = rows[3].caps;
    struct vmx_controls c;

    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
        caps.proc2 = of[i].proc2 << 32;
        if (vmx_choose(&caps, &c) || c.apic != of[i].apic) {
            printf("%s: %d\n", of[i].name, c.apic);
            unit_failures++;
        }
        CHECK(!(c.proc2 & PROC2_APIC) && !(c.proc & PROC_TPR_SHADOW)); /* per vCPU, later */
        CHECK(c.proc & PROC_CR8_LOAD);
    }
    caps.proc2 = 0x1fffffull << 32;
    caps.proc &= ~((uint64_t)PROC_TPR_SHADOW << 32);
    CHECK(vmx_choose(&caps, &c) == NULL && !c.apic);
}

TEST(what_is_liked_is_taken_where_it_is)
{
    struct vmx_caps caps = rows[3].caps;
    struct vmx_controls c;

    CHECK(vmx_choose(&caps, &c) == NULL && (c.proc2 & PROC2_LIKED) == PROC2_LIKED);
    caps.proc2 &= ~((uint64_t)PROC2_LIKED << 32);
    CHECK(vmx_choose(&caps, &c) == NULL && !(c.proc2 & PROC2_LIKED));
    caps.ept_vpid &= ~EPT_CAP_INVEPT_SINGLE;
    CHECK(vmx_choose(&caps, &c) == NULL && c.invept == 2);
    caps.ept_vpid &= ~EPT_CAP_INVEPT_ALL;
    CHECK(vmx_choose(&caps, &c) != NULL);
    caps.ept_vpid = rows[3].caps.ept_vpid & ~(EPT_CAP_1G | EPT_CAP_2M);
    CHECK(vmx_choose(&caps, &c) == NULL && c.max_order == P2M_ORDER_4K);
}
