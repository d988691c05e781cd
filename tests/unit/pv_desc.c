/* SPDX-License-Identifier: MIT */
/* What descriptors and selectors a PV guest may have: no segment may lead below ring 3. */
#include "unit.h"

#include <stdarg.h>

#include "core/log.h"
#include "x86/pv/desc.h"

/* --- what descriptor.c needs of the machine: one page --- */
static uint64_t page[512];
static int refusals;

struct frame *frame_table;
void *arch_map(mfn_t mfn)
{
    return mfn.v == 0 ? page : NULL;
}
void log_refusal(struct domain *d, const char *fmt, ...)
{
    (void)d, (void)fmt;
    refusals++;
}

#define P (1ull << 47)
#define S (1ull << 44)
#define TYPE(t) ((uint64_t)(t) << 40)
#define DPL(n) ((uint64_t)(n) << 45)
#define DPL_OF(d) ((d) >> 45 & 3)
#define ACCESSED (1ull << 40)
#define ELSE_BITS 0xffff00ffffffffffull /* base, limit, flags */

TEST(absent_descriptors_are_taken_as_they_are)
{
    for (unsigned int type = 0; type < 32; type++) {
        uint64_t d = TYPE(type) | DPL(type & 3) | 0x123400005678ull, was;
        d &= ~P;
        was = d;
        CHECK(desc_ok(&d));
        CHECK_EQ(d, was);
    }
}

TEST(code_and_data_get_dpl_3_and_accessed)
{
    for (unsigned int type = 0; type < 16; type++) {
        for (unsigned int dpl = 0; dpl < 4; dpl++) {
            uint64_t was = P | S | TYPE(type) | DPL(dpl) | 0x00af000012345678ull, d = was;
            CHECK(desc_ok(&d));
            CHECK_EQ(DPL_OF(d), 3);
            CHECK((d & ACCESSED) != 0);
            CHECK_EQ(d & ~(DPL(3) | ACCESSED), was & ~(DPL(3) | ACCESSED));
        }
    }
}

/* Selector e008 is the hypervisor's: not even a gate that cannot be used leads there. */
TEST(present_system_segments_are_refused)
{
    for (unsigned int type = 1; type < 16; type++) {
        for (unsigned int dpl = 0; dpl < 4; dpl++) {
            uint64_t d = P | TYPE(type) | DPL(dpl) | 0xe0080000ull, was = d;
            CHECK(!desc_ok(&d));
            CHECK_EQ(d, was);
        }
    }
}

TEST(call_gates_are_kept_and_cannot_be_used)
{
    uint64_t d = P | TYPE(12) | DPL(3) | 0x00300000ull;

    CHECK(desc_ok(&d));
    CHECK_EQ(d, P | TYPE(12) | 0x00330000ull);
    d = P | 0x1234; /* the upper half of one */
    CHECK(desc_ok(&d));
    CHECK_EQ(d, P | 0x1234);
}

/*
 * Whatever the 64 bits: what is accepted has ring 3, cannot be used, or is not present, and
 * accepting is stable.
 */
TEST(any_bits)
{
    uint64_t x = 0x9e3779b97f4a7c15ull;

    for (int i = 0; i < 200000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint64_t d = x, again;
        if (!desc_ok(&d)) {
            CHECK((x & P) && !(x & S));
            continue;
        }
        if ((d & P) && !(d & S)) {
            unsigned int type = d >> 40 & 15;
            CHECK(type == 0 || (type == 12 && DPL_OF(d) == 0 && (d >> 16 & 3) == 3));
            CHECK_EQ((d ^ x) & ELSE_BITS & ~(3ull << 16), 0);
            continue;
        }
        CHECK(!(d & P) || (DPL_OF(d) == 3 && (d & ACCESSED)));
        CHECK_EQ(d & ELSE_BITS, x & ELSE_BITS);
        again = d;
        CHECK(desc_ok(&again));
        CHECK_EQ(again, d);
    }
}

static struct frame record;

TEST(a_page_is_checked_to_its_last_entry)
{
    frame_table = &record;
    memset(page, 0, sizeof(page));
    page[2] = P | S | TYPE(2);
    CHECK_EQ(desc_validate_frame(&record), 0);
    CHECK_EQ(page[2], P | S | TYPE(3) | DPL(3));
    CHECK_EQ(refusals, 0);
    page[511] = P | TYPE(9);
    CHECK(desc_validate_frame(&record) < 0);
    CHECK_EQ(page[511], P | TYPE(9));
    CHECK_EQ(refusals, 1);
}

TEST(selectors)
{
    static const uint16_t good[] = {
        0,      3,      0x10,           0x13,         0x33,           0x7,
        0xfff7, 0xdfff, SEL_RING3_CS32, SEL_RING3_DS, SEL_RING3_CS64, SEL_RING3_CS64 & ~3
    };
    static const uint16_t bad[] = { HV_CS,        HV_CS | 3, HV_SS,  HV_SS | 3, SEL_TSS, SEL_LDT,
                                    SEL_RING1_CS, 0xe003,    0xe03b, 0xf003,    0xfffb };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        CHECK(pv_selector_ok(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(!pv_selector_ok(bad[i]));
}

TEST(window_faults_name_the_selector)
{
    uint64_t w = desc_window(3);

    CHECK(desc_in_window(3, w) && desc_in_window(3, w + GDT_WINDOW_USED - 1));
    CHECK(!desc_in_window(3, w - 1) && !desc_in_window(3, w + GDT_WINDOW_USED));
    CHECK_EQ(desc_fault_error(3, w + 0x1234), 0x1230);
    CHECK_EQ(desc_fault_error(3, w + LDT_OFFSET), 4);
    CHECK_EQ(desc_fault_error(3, w + LDT_OFFSET + 0xffff), 0xfffc);
}
